/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 10.1, 15.8: timers, in the test program itself. */
#include "rows-probe.h"

#define MS 1000000ull

KEPT_BARE(memory_and_queues_T001,
        "armed without SetEnable: one call, on the target's queue, not before the deadline, with a time not before it")
{
        struct Probe *probe = probe_ticking(), *other = probe_ticking();
        uint64_t deadline = clock_gettime_nsec_np(CLOCK_UPTIME_RAW) + 10 * MS;
        probe_wake(probe, deadline);
        signal_wait(&probe->ticks, 1);
        ck_assert_uint_ge(clock_gettime_nsec_np(CLOCK_UPTIME_RAW), deadline);
        ck_assert_uint_ge(probe->time, deadline);
        ck_assert(probe->on_default);
        probe_pass(probe, other, clock_gettime_nsec_np(CLOCK_UPTIME_RAW) + 10 * MS);
        ck_assert_int_eq(signal_count(&probe->ticks), 1);
        probe_end(probe);
        probe_end(other);
}

KEPT_BARE(memory_and_queues_T002, "armed again before it was due: exactly one call, for the new deadline")
{
        struct Probe *probe = probe_ticking(), *other = probe_ticking();
        uint64_t now = mach_absolute_time();
        /* Earlier than before: a time-out if it waited for the first. */
        probe_wake(probe, now + 3600000 * MS);
        probe_wake(probe, now + 10 * MS);
        signal_wait(&probe->ticks, 1);
        ck_assert_uint_ge(probe->time, now + 10 * MS);
        /* Later than that one must not come; if this thread was kept from arming it again in time, it may have come. */
        for (uint64_t first = 50 * MS; ; first *= 2) {
                int before = signal_count(&probe->ticks);
                now = mach_absolute_time();
                probe_wake(probe, now + first);
                probe_wake(probe, now + 10 * MS);
                bool in_time = mach_absolute_time() < now + first;
                probe_pass(probe, other, now + first + MS);
                ck_assert_int_ge(signal_count(&probe->ticks), before + 1);
                if (!in_time)
                        continue;
                ck_assert_int_eq(signal_count(&probe->ticks), before + 1);
                break;
        }
        probe_end(probe);
        probe_end(other);
}

KEPT_BARE(memory_and_queues_T003, "a deadline in the past: one call soon")
{
        struct Probe *probe = probe_ticking(), *other = probe_ticking();
        probe_wake(probe, 1);
        signal_wait(&probe->ticks, 1);
        probe_wake(probe, 0);
        signal_wait(&probe->ticks, 2);
        probe_pass(probe, other, mach_absolute_time() + MS);
        ck_assert_int_eq(signal_count(&probe->ticks), 2);
        probe_end(probe);
        probe_end(other);
}

KEPT_BARE(memory_and_queues_T004, "a handler that arms the timer again: periodic, on the target's queue")
{
        struct Probe *probe = probe_ticking(), *other = probe_ticking();
        uint64_t begin = mach_absolute_time();
        probe->again = 5 * MS;
        probe->wanted = 8;
        probe_wake(probe, begin + 5 * MS);
        signal_wait(&probe->ticks, 8);
        ck_assert_uint_ge(probe->time, begin + 40 * MS);
        ck_assert(probe->on_default);
        probe_pass(probe, other, mach_absolute_time() + 10 * MS);
        ck_assert_int_eq(signal_count(&probe->ticks), 8);
        probe_end(probe);
        probe_end(other);
}

KEPT_BARE(memory_and_queues_T005, "Cancel of a pending timer: the handler once, no call")
{
        struct Probe *other = probe_ticking();
        bool in_time = false;
        /* Once more if this thread was kept from cancelling in time. */
        for (uint64_t delay = 20 * MS; !in_time; delay *= 2) {
                struct signal cancelled = SIGNAL_INIT;
                struct Probe *probe = probe_ticking();
                uint64_t deadline = mach_absolute_time() + delay;
                probe_wake(probe, deadline);
                ck_code(IODispatchSource_Cancel_f(&probe->timer->source, &cancelled, signal_add), kIOReturnSuccess);
                in_time = mach_absolute_time() < deadline;
                signal_wait(&cancelled, 1);
                probe_pass(probe, other, deadline + MS);
                ck_assert(signal_count(&probe->ticks) == 0 || !in_time);
                ck_assert_int_eq(signal_count(&cancelled), 1);
                ck_code(IOTimerDispatchSource_WakeAtTime(probe->timer, kIOTimerClockUptimeRaw, 1, 0), kIOReturnNotReady);
                probe_end(probe);
        }
        probe_end(other);
}

/* One call for a deadline 10 ms from now on each of a clock's names. */
static __attribute__((unused)) void ck_clock(clockid_t clock, uint64_t option)
{
        struct Probe *probe = probe_ticking();
        uint64_t deadline = clock_gettime_nsec_np(clock) + 10 * MS;
        ck_code(IOTimerDispatchSource_WakeAtTime(probe->timer, option, deadline, 0), kIOReturnSuccess);
        signal_wait(&probe->ticks, 1);
        ck_assert_uint_ge(probe->time, deadline);
        ck_assert_uint_ge(clock_gettime_nsec_np(clock), deadline);
        ck_code(IOTimerDispatchSource_WakeAtTime(probe->timer, 7, deadline, 0), kIOReturnBadArgument);
        probe_end(probe);
}

KEPT_BARE(memory_and_queues_T006,
        "the wall clock: a deadline of clock_gettime(CLOCK_REALTIME) fires; so do the other clocks in nanoseconds")
{
        ck_assert_uint_eq(kIOTimerClockRealTime, 0x80);
        ck_assert_uint_eq(kIOTimerClockWallTime, 0x80);
        ck_assert_uint_eq(kIOTimerClockMonotonicRaw, 0x84);
        ck_assert_uint_eq(kIOTimerClockUptimeRaw, 0x88);
        ck_clock(CLOCK_REALTIME, kIOTimerClockRealTime);
        ck_clock(CLOCK_BOOTTIME, kIOTimerClockMonotonicRaw);
        ck_clock(CLOCK_MONOTONIC, kIOTimerClockUptimeRaw);
}

KEPT_BARE(memory_and_queues_T007,
        "MachAbsolute and MachContinuous: a deadline in ticks fires; nanoseconds are ticks * numer / denom")
{
        mach_timebase_info_data_t base = { 0 };
        struct Probe *probe = probe_ticking();
        ck_assert_uint_eq(kIOTimerClockMachAbsoluteTime, 0xC8);
        ck_assert_uint_eq(kIOTimerClockMachContinuousTime, 0xC4);
        ck_code(mach_timebase_info(&base), kIOReturnSuccess);
        ck_assert_uint_ne(base.denom, 0);
        for (int continuous = 0; continuous < 2; continuous++) {
                uint64_t (*now)(void) = continuous ? mach_continuous_time : mach_absolute_time;
                uint64_t begin = clock_gettime_nsec_np(continuous ? CLOCK_BOOTTIME : CLOCK_MONOTONIC);
                uint64_t deadline = now() + 10 * MS * base.denom / base.numer;
                uint64_t clock = continuous ? kIOTimerClockMachContinuousTime : kIOTimerClockMachAbsoluteTime;
                ck_code(IOTimerDispatchSource_WakeAtTime(probe->timer, clock, deadline, 0), kIOReturnSuccess);
                signal_wait(&probe->ticks, continuous + 1);
                ck_assert_uint_ge(probe->time, deadline);
                ck_assert_uint_ge(now(), deadline);
                ck_assert_uint_ge(clock_gettime_nsec_np(continuous ? CLOCK_BOOTTIME : CLOCK_MONOTONIC), begin + 10 * MS);
        }
        probe_end(probe);
}
