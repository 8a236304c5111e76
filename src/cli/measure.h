/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What `ambidext bench` measures with: a histogram of durations, and what calls are compared with - the least that two processes
 * can do to answer each other, and the least that a process can ask of the kernel.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/*
 * Nanoseconds, in buckets of at most 1.6 % width; what is longer than half a minute counts as that. Fixed size, so that
 * measuring does not allocate.
 */
enum { HISTOGRAM_STEPS = 64, HISTOGRAM_BUCKETS = 30 * HISTOGRAM_STEPS };
struct cli_histogram {
        uint64_t count, sum, least, buckets[HISTOGRAM_BUCKETS];
};
void cli_histogram_add(struct cli_histogram *histogram, uint64_t nanoseconds);
/* The duration that `share` (0 to 1) of the samples do not exceed, to within a bucket; 0 without samples. */
uint64_t cli_histogram_at(const struct cli_histogram *histogram, double share);

/* Two processors to measure on: the first and the last that we may use. False: there is only one. */
bool cli_processors(int *ret_one, int *ret_other);
/* Keeps a thread (0: the calling one) on a processor, or lets it go; failure is no error, it only makes figures less even. */
enum { CLI_ANY_PROCESSOR = -1 };
void cli_stay_on(pid_t thread, int processor);
/* All threads of a process, and those that they will make. */
void cli_process_stay_on(pid_t process, int processor);

/*
 * The ping-pong: a child process that answers by storing one number into shared memory when another changes, spinning. It runs
 * only between begin and end; otherwise it is blocked, so that it does not disturb other measurements.
 */
struct cli_pingpong;
int cli_pingpong_create(struct cli_pingpong **ret_pingpong, int processor);    /* -errno */
struct cli_pingpong *cli_pingpong_free(struct cli_pingpong *pingpong);         /* ends the child; NULL is allowed */
void cli_pingpong_begin(struct cli_pingpong *pingpong);
void cli_pingpong_end(struct cli_pingpong *pingpong);
/* One round trip. False: the other process is gone. */
bool cli_pingpong_once(struct cli_pingpong *pingpong);
