/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which processors threads and processes run on, and how much of them they have used. Any thread. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Two processors to measure on: the first and the last that we may use. False: there is only one. */
bool amb_processors_two(int *ret_one, int *ret_other);
/*
 * Keeps a thread (0: the calling one) on a processor, or lets it go to all those that this process could use when this was first
 * called. Failure is no error, it only makes figures less even.
 */
enum { AMB_PROCESSOR_ANY = -1 };
void amb_thread_stay_on(pid_t thread, int processor);
/* All threads of a process, and those that they will make. */
void amb_process_stay_on(pid_t process, int processor);
/* Nanoseconds of processor time that a process has used, all its threads together; 0: there is no such process. */
uint64_t amb_process_time(pid_t process);
