/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Mach's clocks. A tick is a nanosecond here; programs that multiply by the time base are right all the same. Any thread, also
 * in a signal handler. Contract: memory-and-queues 13 (time), real-code 3 'Mach functions and macros'.
 */
#include <stdint.h>
#include <time.h>

#include <mach/clock_types.h>
#include <mach/kern_return.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mach_timebase_info {
        uint32_t numer;
        uint32_t denom;
};
typedef struct mach_timebase_info *mach_timebase_info_t;
typedef struct mach_timebase_info mach_timebase_info_data_t;

/* Nanoseconds since some moment before the start of this program; these cannot fail. */
uint64_t mach_absolute_time(void);              /* stops while the machine sleeps: CLOCK_MONOTONIC */
uint64_t mach_continuous_time(void);            /* goes on: CLOCK_BOOTTIME */
/* Fills *info, which must not be NULL: 1 / 1; ns = ticks * numer / denom. Always 0. */
kern_return_t mach_timebase_info(mach_timebase_info_t info);

/* Where <time.h> shows POSIX clocks: not under a strict -std=c17. */
#ifdef CLOCK_MONOTONIC
#ifndef CLOCK_UPTIME_RAW
#define CLOCK_UPTIME_RAW CLOCK_MONOTONIC
#define CLOCK_UPTIME_RAW_APPROX CLOCK_MONOTONIC
#define CLOCK_MONOTONIC_RAW_APPROX CLOCK_MONOTONIC_RAW
#endif

/*
 * Nanoseconds of a clock of <time.h>; 0 for an unknown clock. CLOCK_UPTIME_RAW is mach_absolute_time(), CLOCK_MONOTONIC_RAW, which
 * is another clock in Linux, mach_continuous_time(): what timers take as kIOTimerClockUptimeRaw and kIOTimerClockMonotonicRaw.
 */
static inline uint64_t clock_gettime_nsec_np(clockid_t clock)
{
        struct timespec now;

        if (clock == CLOCK_MONOTONIC_RAW)
                return mach_continuous_time();
        if (clock_gettime(clock, &now) != 0)
                return 0;
        return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}
#endif

#ifdef __cplusplus
}
#endif
