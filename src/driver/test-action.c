/* SPDX-License-Identifier: Apache-2.0 */
/* Actions and timers; memory-and-queues 15.8: A1 to A4, A6, T1 to T7. */
#include <DriverKit/DriverKit.h>

#include "driver/test.h"

#define TICK_ID 0x7469636b00000001ull

typedef struct Ticker {
        IOService service;
        struct signal ticks;
        uint64_t time;
        uint64_t period;                        /* not 0: the method arms the timer again, until ticks_wanted */
        int ticks_wanted;
        bool on_queue, hold;
        struct signal held, go;
        IOTimerDispatchSource *timer;
        struct signal *freed;
} Ticker;

static void ticker_tick(Ticker *self, OSAction *action, uint64_t time)
{
        IODispatchQueue *queue;

        IOService_CopyDispatchQueue(&self->service, kIOServiceDefaultQueueName, &queue);
        self->on_queue = IODispatchQueue_OnQueue(queue);
        OSObject_release(queue);
        self->time = time;
        if (self->hold) {
                signal_add(&self->held);
                signal_wait(&self->go, 1);
        }
        if (self->period && signal_count(&self->ticks) + 1 < self->ticks_wanted)
                IOTimerDispatchSource_WakeAtTime(self->timer, kIOTimerClockUptimeRaw, time + self->period, 0);
        signal_add(&self->ticks);
}

static void ticker_free(OSObject *object)
{
        struct signal *freed = ((Ticker *)object)->freed;

        IOService_free(object);
        if (freed)
                signal_add(freed);
}

static const struct amb_method ticker_methods[] = {
        AMB_OVERRIDE(OSObject, free, ticker_free),
        AMB_METHOD(TICK_ID, ticker_tick),
        AMB_METHODS_END,
};
OSDefineMetaClass(Ticker, IOService, ticker_methods);

static Ticker *ticker_new(void)
{
        Ticker *ticker = (Ticker *)amb_object_new(OSTypeID(Ticker));
        struct signal none = SIGNAL_INIT;

        ck_assert_ptr_nonnull(ticker);
        ticker->ticks = ticker->held = ticker->go = none;
        return ticker;
}

static OSAction *action_new(Ticker *ticker)
{
        OSAction *action = NULL;

        ck_assert_int_eq(OSAction_Create((OSObject *)ticker, TICK_ID, IOTimerDispatchSource_TimerOccurred_ID, 0, &action), 0);
        return action;
}

static void add_timer(Ticker *ticker)
{
        OSAction *action = action_new(ticker);
        IODispatchQueue *queue;

        IOService_CopyDispatchQueue(&ticker->service, kIOServiceDefaultQueueName, &queue);
        ck_assert_int_eq(IOTimerDispatchSource_Create(queue, &ticker->timer), 0);
        ck_assert_int_eq(IOTimerDispatchSource_SetHandler(ticker->timer, action), 0);
        OSObject_release(action);
        OSObject_release(queue);
}

/* Cancels and waits: afterwards nothing holds the ticker but the test. */
static void drop_timer(Ticker *ticker)
{
        struct signal cancelled = SIGNAL_INIT, freed = SIGNAL_INIT;

        IODispatchSource_Cancel_f(&ticker->timer->source, &cancelled, signal_add);
        signal_wait(&cancelled, 1);
        OSObject_release(ticker->timer);
        ticker->freed = &freed;
        OSObject_release(ticker);
        signal_wait(&freed, 1);
}

START_TEST(reference_area)
{
        Ticker *ticker = ticker_new();
        OSAction *action = NULL, *marker = NULL;
        const char zeros[16] = { 0 };

        ck_assert_int_eq(OSAction_Create((OSObject *)ticker, TICK_ID, 1, 16, &action), 0);
        ck_assert_ptr_nonnull(OSAction_GetReference(action));
        ck_assert_mem_eq(OSAction_GetReference(action), zeros, 16);
        OSObject_release(action);
        action = action_new(ticker);
        ck_assert_ptr_null(OSAction_GetReference(action));
        OSObject_release(action);
        ck_assert_int_eq(OSAction_Create((OSObject *)ticker, 42, 1, 0, &marker), kIOReturnBadArgument);
        ck_assert_int_eq(OSAction_Create(NULL, TICK_ID, 1, 0, &marker), kIOReturnBadArgument);
        ck_assert_ptr_null(marker);
        OSObject_release(ticker);
}
END_TEST

START_TEST(target_kept)
{
        struct signal cancelled = SIGNAL_INIT, freed = SIGNAL_INIT;
        Ticker *ticker = ticker_new();
        OSAction *action = action_new(ticker);

        ticker->freed = &freed;
        OSObject_release(ticker);
        ck_assert_int_eq(signal_count(&freed), 0);
        ck_assert_int_eq(OSAction_Cancel_f(action, &cancelled, signal_add), 0);
        signal_wait(&cancelled, 1);
        signal_wait(&freed, 1);
        OSObject_release(action);
}
END_TEST

START_TEST(fires)
{
        const uint64_t clocks[] = { kIOTimerClockUptimeRaw, kIOTimerClockMonotonicRaw, kIOTimerClockRealTime,
                                    kIOTimerClockMachAbsoluteTime, kIOTimerClockMachContinuousTime };
        const clockid_t ids[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME };
        Ticker *ticker = ticker_new();

        add_timer(ticker);
        for (int i = 0; i < 5; i++) {
                uint64_t deadline = clock_gettime_nsec_np(ids[i]) + 10 * kMillisecondScale;

                ck_assert_int_eq(IOTimerDispatchSource_WakeAtTime(ticker->timer, clocks[i], deadline, 0), 0);
                signal_wait(&ticker->ticks, i + 1);
                ck_assert_uint_ge(ticker->time, deadline);
                ck_assert_uint_ge(clock_gettime_nsec_np(ids[i]), deadline);
                ck_assert(ticker->on_queue);
        }
        ck_assert_int_eq(IOTimerDispatchSource_WakeAtTime(ticker->timer, 7, 0, 0), kIOReturnBadArgument);
        drop_timer(ticker);
}
END_TEST

START_TEST(replaced_past_periodic)
{
        Ticker *ticker = ticker_new();
        uint64_t now;

        add_timer(ticker);
        now = mach_absolute_time();
        IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, now + 3600 * kSecondScale, 0);
        IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, now + 5 * kMillisecondScale, 0);
        signal_wait(&ticker->ticks, 1);
        IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, 1, 0);
        signal_wait(&ticker->ticks, 2);
        ticker->period = kMillisecondScale;
        ticker->ticks_wanted = 7;
        IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, mach_absolute_time(), 0);
        signal_wait(&ticker->ticks, 7);
        drop_timer(ticker);
}
END_TEST

START_TEST(cancel_pending)
{
        struct signal cancelled = SIGNAL_INIT;
        Ticker *ticker = ticker_new();

        add_timer(ticker);
        IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, mach_absolute_time() + 3600 * kSecondScale, 0);
        IODispatchSource_Cancel_f(&ticker->timer->source, &cancelled, signal_add);
        signal_wait(&cancelled, 1);
        ck_assert_int_eq(IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, 1, 0), kIOReturnNotReady);
        ck_assert_int_eq(IODispatchSource_SetEnable(&ticker->timer->source, true), kIOReturnNotReady);
        ck_assert_int_eq(signal_count(&ticker->ticks), 0);
        drop_timer(ticker);
}
END_TEST

START_TEST(cancel_running)
{
        struct signal cancelled = SIGNAL_INIT;
        Ticker *ticker = ticker_new();

        add_timer(ticker);
        ticker->hold = true;
        IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, 1, 0);
        signal_wait(&ticker->held, 1);
        IODispatchSource_Cancel_f(&ticker->timer->source, &cancelled, signal_add);
        ck_assert_int_eq(signal_count(&cancelled), 0);
        signal_add(&ticker->go);
        signal_wait(&cancelled, 1);
        ck_assert_int_eq(signal_count(&ticker->ticks), 1);
        drop_timer(ticker);
}
END_TEST

START_TEST(disabled)
{
        struct signal off = SIGNAL_INIT;
        Ticker *ticker = ticker_new();
        Ticker *other = ticker_new();

        add_timer(ticker);
        add_timer(other);
        IODispatchSource_SetEnableWithCompletion_f(&ticker->timer->source, false, &off, signal_add);
        signal_wait(&off, 1);
        IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, 1, 0);
        /* The other timer is due later on the same clock: when it has fired, this one's turn has been. */
        IOTimerDispatchSource_WakeAtTime(other->timer, kIOTimerClockUptimeRaw, mach_absolute_time() + 5 * kMillisecondScale, 0);
        signal_wait(&other->ticks, 1);
        ck_assert_int_eq(signal_count(&ticker->ticks), 0);
        IODispatchSource_SetEnable(&ticker->timer->source, true);
        signal_wait(&ticker->ticks, 1);
        drop_timer(ticker);
        drop_timer(other);
}
END_TEST

START_TEST(action_cancelled)
{
        struct signal cancelled = SIGNAL_INIT;
        Ticker *ticker = ticker_new(), *other = ticker_new();
        OSAction *action = action_new(ticker);

        add_timer(ticker);
        add_timer(other);
        IOTimerDispatchSource_SetHandler(ticker->timer, action);
        OSAction_Cancel_f(action, &cancelled, signal_add);
        signal_wait(&cancelled, 1);
        IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, 1, 0);
        IOTimerDispatchSource_WakeAtTime(other->timer, kIOTimerClockUptimeRaw, mach_absolute_time() + 5 * kMillisecondScale, 0);
        signal_wait(&other->ticks, 1);
        ck_assert_int_eq(signal_count(&ticker->ticks), 0);
        OSObject_release(action);
        drop_timer(ticker);
        drop_timer(other);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = { reference_area, target_kept, fires, replaced_past_periodic, cancel_pending, cancel_running, disabled,
                                       action_cancelled };

        return run_tests("action", tests, sizeof(tests) / sizeof(*tests));
}
