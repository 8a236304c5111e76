/* SPDX-License-Identifier: Apache-2.0 */
#include <DriverKit/IOTimerDispatchSource.h>

#include "driver/clock.h"

#define SECOND 1000000000ull

clockid_t amb_clock_of_option(uint64_t option)
{
        switch (option) {
        case kIOTimerClockUptimeRaw:
        case kIOTimerClockMachAbsoluteTime:
                return CLOCK_MONOTONIC;
        case kIOTimerClockMonotonicRaw:
        case kIOTimerClockMachContinuousTime:
                return CLOCK_BOOTTIME;
        case kIOTimerClockRealTime:
                return CLOCK_REALTIME;
        default:
                return -1;
        }
}

uint64_t amb_clock_now(clockid_t clock)
{
        struct timespec now;

        clock_gettime(clock, &now);
        return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

struct timespec amb_clock_timespec(uint64_t time)
{
        return (struct timespec){ .tv_sec = (time_t)(time / SECOND), .tv_nsec = (long)(time % SECOND) };
}

void amb_clock_make_waitable(clockid_t *clock, uint64_t *deadline)
{
        uint64_t now;

        if (*clock != CLOCK_BOOTTIME)
                return;
        now = amb_clock_now(CLOCK_BOOTTIME);
        *clock = CLOCK_MONOTONIC;
        if (__builtin_add_overflow(amb_clock_now(CLOCK_MONOTONIC), *deadline > now ? *deadline - now : 0, deadline))
                *deadline = UINT64_MAX;
}
