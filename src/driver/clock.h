/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The clocks that timers, sleeps and waits name (kIOTimerClock...), as Linux knows them. Points in time are nanoseconds.
 *
 * Absolute deadlines of the wall clock follow it when it is set: the kernel looks again at timers and futexes that wait on it.
 */
#include <time.h>

#include "base/base.h"

/* Of one of the kIOTimerClock... values; -1: no such clock. */
clockid_t amb_clock_of_option(uint64_t option);
uint64_t amb_clock_now(clockid_t clock);
struct timespec amb_clock_timespec(uint64_t time);

/*
 * A futex or a condition can wait on CLOCK_MONOTONIC and CLOCK_REALTIME only: turns a deadline of CLOCK_BOOTTIME into one of
 * CLOCK_MONOTONIC. If the machine sleeps before it, the wait ends that much later.
 */
void amb_clock_make_waitable(clockid_t *clock, uint64_t *deadline);
