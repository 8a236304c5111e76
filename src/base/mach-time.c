/* SPDX-License-Identifier: Apache-2.0 */
/* Mach's clocks for programs and drivers alike. Any thread. Contract: memory-and-queues 13. */
#include <mach/mach_time.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT uint64_t mach_absolute_time(void)
{
        return clock_gettime_nsec_np(CLOCK_MONOTONIC);
}

EXPORT uint64_t mach_continuous_time(void)
{
        return clock_gettime_nsec_np(CLOCK_BOOTTIME);
}

EXPORT kern_return_t mach_timebase_info(mach_timebase_info_t info)
{
        info->numer = info->denom = 1;
        return KERN_SUCCESS;
}
