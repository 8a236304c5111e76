/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What every section of `make bench` is written in.
 *
 * A section is a function that measures a few things and says what it found; sections.c lists them, bars.c what they must reach.
 * Each runs in a process of its own, with a private registry and bench.dext in it, both fresh (bench.c). The process has one
 * thread when the section begins: it forks its partners first (bench_partner(), amb_partner_fork()), then opens connections.
 * Whatever it started ends with it. Nothing here returns an error: bench_fail() ends the section, and the program goes on with
 * the next and says so at its end.
 *
 *      struct bench_row *plain = bench_row(bench, "ping-pong", NULL), *ours = bench_row(bench, "call", plain);
 *      bench_rounds(bench, 3);
 *      while (bench_round(bench)) {
 *              ... a few milliseconds of the one, then of the other: bench_add() or bench_turn()
 *      }
 *      bench_bar_rows(bench, "hot_scalar", ours, plain, BENCH_P50);
 *
 * Processors of virtual machines move apart and together within seconds: what is compared is measured in one round, and a bar is
 * the median of the rounds' ratios. One thread only may use these functions, but bench_since() and the calls, which any may.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <IOKit/IOKitLib.h>

#include "base/base.h"
#include "bench/results.h"
#include "measure/partner.h"
#include "measure/processors.h"

struct bench {
        struct bench_results *results;
        const char *section;
        unsigned first_row;             /* of this section */
        bool quick;                     /* everything as short as can be: does it work? */
        int one, other;                 /* two processors; the same one twice where there is no other */
        bool several;
        uint64_t clock_cost;            /* ns: of reading the clock, taken off every sample */
        uint64_t rounds_end;            /* clock */
        unsigned rounds_fixed;          /* --rounds, or 0 */
        unsigned rounds_least, rounds_most;
        unsigned round;                 /* how many have begun */
        bool in_round;
        io_service_t service;
};

struct bench_section {
        const char *name, *about;
        unsigned seconds;               /* about what it takes; three times that and a bit is the most it gets */
        void (*run)(struct bench *bench);
        const char *also;               /* a bundle that is in the registry, too, beside bench.dext */
        bool one_core;                  /* everything that belongs to it may use one processor alone, from its start on */
};
extern const struct bench_section bench_sections[];     /* ends with a name of NULL */

_Noreturn void bench_fail(const char *format, ...) AMB_PRINTF(1, 2);
/* A thing that may not go wrong did not. */
void bench_check(kern_return_t code, const char *what);

/* --- rounds --- */

/* From now on rounds for about so long: never fewer than 5, `--quick`: 5. */
void bench_rounds(struct bench *bench, double seconds);
bool bench_round(struct bench *bench);          /* ends a round and begins the next; false: no more */
/* What a duration or a number is under --quick: a small part of it, at least `least`. */
uint64_t bench_amount(const struct bench *bench, uint64_t amount, uint64_t least);

/* --- rows: durations, as the table shows them --- */

/* Begins a row; baseline: what its ratio is to, or NULL. It lives as long as the section. */
struct bench_row *bench_row(struct bench *bench, const char *name, const struct bench_row *baseline);
void bench_add(struct bench_row *row, uint64_t nanoseconds);
/* Samples that another process has gathered. */
void bench_add_all(struct bench_row *row, const struct amb_histogram *samples);
/* Nanoseconds since `begin` (amb_time_now()), without what reading the clock costs. */
uint64_t bench_since(const struct bench *bench, uint64_t begin);
/*
 * once(context) again and again, for so long; a few times before that without counting. In turns one alone and a batch
 * (results.h: which the median comes from). once ends the section if it fails.
 */
void bench_turn(struct bench *bench, struct bench_row *row, void (*once)(void *context), void *context, uint64_t nanoseconds);

/* --- what was found --- */

/* The median of the rounds' ratios. Fewer than 5 rounds in which both rows have samples: skipped, and why. */
void bench_bar_rows(struct bench *bench, const char *name, const struct bench_row *row, const struct bench_row *baseline,
                    enum bench_quantile quantile);
/* Values that the section made itself, one of each round: likewise. Sorts them. */
void bench_bar_values(struct bench *bench, const char *name, double *values, unsigned count);
/* The worst of several such ratios. */
struct bench_pair {
        const struct bench_row *row, *baseline;
};
void bench_bar_worst(struct bench *bench, const char *name, const struct bench_pair *pairs, unsigned count,
                     enum bench_quantile quantile);
/* A value that is the median of so many rounds already. */
void bench_bar_median(struct bench *bench, const char *name, double value, unsigned rounds);
/* A bar that is no median: a count, a size. */
void bench_bar(struct bench *bench, const char *name, double value);
/* Cannot be measured here. */
void bench_skip(struct bench *bench, const char *name, const char *format, ...) AMB_PRINTF(3, 4);
/* Worth knowing, but no latency and no bar. */
void bench_figure(struct bench *bench, const char *name, double value, const char *unit);
/* A point of the plot, in nanoseconds. */
void bench_point(struct bench *bench, const char *series, double offered, double p50, double p99);

/* --- idling --- */

void bench_sleep(uint64_t nanoseconds);         /* by clock_nanosleep */
void bench_burn(uint64_t nanoseconds);          /* by looking at the clock */

/* --- other processes --- */

struct amb_partner *bench_partner(enum amb_partner_kind kind, int processor);
/* amb_partner_once() for bench_turn(). */
void bench_partner_once(void *partner);
/* A process that does nothing but burn a processor (or AMB_PROCESSOR_ANY's); amb_partner_kill() ends it. */
pid_t bench_burner(int processor);
/* The directory that everything is built in: this program lies in BUILD/bench. The caller frees it. */
char *bench_build_directory(void);
/*
 * Runs a program to its end, which comes at the latest with ours: its exit status, or -1 when a signal ended it; and what it
 * printed, as much as there is room for. While there is one thread.
 */
int bench_run(const char *const arguments[], char *out, size_t size);

/* --- the driver (driver/bench-driver.h says what its selectors do) --- */

io_connect_t bench_open(struct bench *bench, uint32_t type);
io_connect_t bench_open_alone(void);    /* the same in another process of its own: nobody else's connections are there */
io_connect_t bench_open_service(const char *name);      /* of the section's other bundle */
pid_t bench_host(struct bench *bench);          /* the driver's process */
pid_t bench_daemon(void);
/* For bench_turn(); context: an io_connect_t *. */
void bench_call(void *connection);              /* kBenchScalar, 2 in and 2 out */
void bench_call_page(void *connection);         /* kBenchStruct, 4096 in and out */
/* Calls for so long that do not count: both sides have been idle, and learn that they are not any more. */
void bench_warm(io_connect_t connection, uint64_t nanoseconds);
