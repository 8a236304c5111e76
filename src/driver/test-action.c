/* SPDX-License-Identifier: Apache-2.0 */
/* Actions and timers; memory-and-queues 15.8: A1 to A13, T1 to T7. */
#include <sched.h>

#include <DriverKit/DriverKit.h>

#include "driver/test.h"

#define TICK_ID 0x7469636b00000001ull
#define Ticker_Typed_ID 0x7469636b00000002ull
#define Ticker_Apart_ID 0x7469636b00000003ull
#define APART_QUEUE "TickerQueueApart"

typedef struct Ticker {
        IOService service;
        struct signal ticks;
        uint64_t time;
        uint64_t period;                        /* not 0: the method arms the timer again, until ticks_wanted */
        int ticks_wanted;
        bool on_queue, on_apart, hold;
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

/* On its own queue if that has been set. */
static void ticker_apart(Ticker *self, OSAction *action, uint64_t time)
{
        IODispatchQueue *queue = NULL;

        if (IOService_CopyDispatchQueue(&self->service, APART_QUEUE, &queue) == kIOReturnSuccess)
                self->on_apart = IODispatchQueue_OnQueue(queue);
        OSObject_release(queue);
        ticker_tick(self, action, time);
}

OSDefineAction(Ticker, Typed, IOTimerDispatchSource_TimerOccurred_ID);
OSDefineAction(Ticker, Apart, IOTimerDispatchSource_TimerOccurred_ID);

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
        AMB_ACTION_METHOD(Ticker, Typed, ticker_tick),
        AMB_ACTION_METHOD_ON(APART_QUEUE, Ticker, Apart, ticker_apart),
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

/* A driver that only lets go of its timer: nothing keeps an armed one, nor its action, nor the target. */
START_TEST(released_while_armed)
{
        for (int i = 0; i < 300; i++) {
                struct signal freed = SIGNAL_INIT;
                Ticker *ticker = ticker_new();

                add_timer(ticker);
                ticker->freed = &freed;
                /* Far away, or just now: the thread of the timers may be about to take it. */
                IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw,
                                                 mach_absolute_time() + (i % 3 == 0 ? 3600 * kSecondScale : (uint64_t)i * 200), 0);
                if (i % 3 == 2)
                        sched_yield();
                OSObject_release(ticker->timer);
                OSObject_release(ticker);
                signal_wait(&freed, 1);
        }
}
END_TEST

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

/* Waits until the timers' thread has passed what was due on this clock until now. */
static void timers_pass(Ticker *other)
{
        int before = signal_count(&other->ticks);

        IOTimerDispatchSource_WakeAtTime(other->timer, kIOTimerClockUptimeRaw, mach_absolute_time() + kMillisecondScale, 0);
        signal_wait(&other->ticks, before + 1);
}

START_TEST(typed)
{
        Ticker *ticker = ticker_new(), *other = ticker_new();
        OSString *name = OSStringCreate("OSAction_Ticker_Other", (size_t)-1), *none = OSStringCreate("", 0);
        OSAction *action = NULL, *wrong = NULL, *marker = NULL;
        const char zeros[16] = { 0 };

        add_timer(ticker);
        add_timer(other);
        ck_assert_int_eq(Ticker_CreateActionTyped(ticker, 16, &action), 0);
        ck_assert_str_eq(OSObject_GetClassName(action), "OSAction_Ticker_Typed");
        ck_assert_ptr_nonnull(OSDynamicCast(OSAction, action));
        ck_assert_mem_eq(OSAction_GetReference(action), zeros, 16);
        ck_assert_int_eq(IOTimerDispatchSource_SetHandler(ticker->timer, action), 0);
        IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, 1, 0);
        signal_wait(&ticker->ticks, 1);

        ck_assert_int_eq(OSAction_CreateWithTypeName((OSObject *)ticker, Ticker_Typed_ID, IOTimerDispatchSource_TimerOccurred_ID, 0,
                                                     name, &wrong), 0);
        ck_assert_str_eq(OSObject_GetClassName(wrong), "OSAction_Ticker_Other");
        ck_assert_int_eq(IOTimerDispatchSource_SetHandler(ticker->timer, wrong), 0);
        IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, 1, 0);
        timers_pass(other);
        ck_assert_int_eq(signal_count(&ticker->ticks), 1);

        ck_assert_int_eq(OSAction_CreateWithTypeName((OSObject *)ticker, Ticker_Typed_ID, 1, 0, none, &marker),
                         kIOReturnBadArgument);
        ck_assert_int_eq(OSAction_CreateWithTypeName((OSObject *)ticker, Ticker_Typed_ID, 1, 0, NULL, &marker),
                         kIOReturnBadArgument);
        ck_assert_ptr_null(marker);
        OSObject_release(name);
        OSObject_release(none);
        OSObject_release(action);
        OSObject_release(wrong);
        drop_timer(ticker);
        drop_timer(other);
}
END_TEST

/* The method's queue: the one set under its name, or the default queue. */
START_TEST(on_its_queue)
{
        Ticker *ticker = ticker_new();
        IODispatchQueue *queue, *found = NULL;
        OSAction *action;

        add_timer(ticker);
        ck_assert_int_eq(Ticker_CreateActionApart(ticker, 0, &action), 0);
        IOTimerDispatchSource_SetHandler(ticker->timer, action);
        OSObject_release(action);
        ck_assert_int_eq(IOService_CopyDispatchQueue(&ticker->service, APART_QUEUE, &found), kIOReturnNotFound);
        IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, 1, 0);
        signal_wait(&ticker->ticks, 1);
        ck_assert(ticker->on_queue && !ticker->on_apart);

        ck_assert_int_eq(IODispatchQueue_Create("apart", 0, 0, &queue), 0);
        ck_assert_int_eq(IOService_SetDispatchQueue(&ticker->service, "nobody's", queue), kIOReturnBadArgument);
        ck_assert_int_eq(IOService_SetDispatchQueue(&ticker->service, APART_QUEUE, queue), 0);
        ck_assert_int_eq(IOService_SetDispatchQueue(&ticker->service, APART_QUEUE, queue), 0);
        ck_assert_int_eq(IOService_CopyDispatchQueue(&ticker->service, APART_QUEUE, &found), 0);
        ck_assert_ptr_eq(found, queue);
        OSObject_release(found);
        IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, 1, 0);
        signal_wait(&ticker->ticks, 2);
        ck_assert(!ticker->on_queue && ticker->on_apart);
        drop_timer(ticker);
        ck_assert_uint_eq(OSObject_getRetainCount(queue), 1);
        OSObject_release(queue);
}
END_TEST

/* Timers that may come late come together with the one that may not, after all deadlines; alone they come at their own. */
START_TEST(leeway)
{
        Ticker *tickers[3], *alone = ticker_new();
        uint64_t now;

        add_timer(alone);
        for (int i = 0; i < 3; i++)
                add_timer(tickers[i] = ticker_new());
        now = mach_absolute_time();
        IOTimerDispatchSource_WakeAtTime(tickers[0]->timer, kIOTimerClockUptimeRaw, now + 100 * kMillisecondScale, UINT64_MAX);
        IOTimerDispatchSource_WakeAtTime(tickers[1]->timer, kIOTimerClockUptimeRaw, now + 150 * kMillisecondScale,
                                         60 * kSecondScale);
        IOTimerDispatchSource_WakeAtTime(tickers[2]->timer, kIOTimerClockUptimeRaw, now + 200 * kMillisecondScale, 0);
        for (int i = 0; i < 3; i++)
                signal_wait(&tickers[i]->ticks, 1);
        for (int i = 0; i < 3; i++)
                ck_assert_uint_ge(tickers[i]->time, now + 200 * kMillisecondScale);
        /* A time-out if it waited for its whole leeway. */
        IOTimerDispatchSource_WakeAtTime(alone->timer, kIOTimerClockUptimeRaw, mach_absolute_time() + kMillisecondScale,
                                         3600 * kSecondScale);
        signal_wait(&alone->ticks, 1);
        for (int i = 0; i < 3; i++)
                drop_timer(tickers[i]);
        drop_timer(alone);
}
END_TEST

/* --- waiting --- */

START_TEST(wait_result)
{
        Ticker *ticker = ticker_new();
        OSAction *action = action_new(ticker);
        void *token = NULL, *second = NULL;
        uint64_t deadline;

        add_timer(ticker);
        IOTimerDispatchSource_SetHandler(ticker->timer, action);
        ck_assert_int_eq(OSAction_WillWait(action, NULL), kIOReturnBadArgument);
        ck_assert_int_eq(OSAction_WillWait(action, &token), 0);
        ck_assert_int_eq(OSAction_WillWait(action, &second), kIOReturnBusy);
        ck_assert_ptr_null(second);
        for (uint64_t clock = kIOTimerClockRealTime; clock <= kIOTimerClockUptimeRaw; clock += 4)
                ck_assert_int_eq(OSAction_Wait(action, token, clock, 1), kIOReturnTimeout);
        deadline = mach_absolute_time() + 20 * kMillisecondScale;
        ck_assert_int_eq(OSAction_Wait(action, token, kIOTimerClockMachAbsoluteTime, deadline), kIOReturnTimeout);
        ck_assert_uint_ge(mach_absolute_time(), deadline);
        ck_assert_int_eq(OSAction_Wait(action, token, 7, UINT64_MAX), kIOReturnBadArgument);
        ck_assert_int_eq(OSAction_Wait(action, token, 0, 1), kIOReturnBadArgument);
        ck_assert_int_eq(OSAction_Wait(action, NULL, 0, 0), kIOReturnBadArgument);

        IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, deadline, 0);
        ck_assert_int_eq(OSAction_Wait(action, token, 0, 0), 0);
        ck_assert_int_eq(signal_count(&ticker->ticks), 1);
        ck_assert_int_eq(OSAction_EndWait(action, token), 0);
        ck_assert_int_eq(OSAction_EndWait(action, token), kIOReturnBadArgument);
        ck_assert_int_eq(OSAction_Wait(action, token, 0, 0), kIOReturnBadArgument);
        /* That one does not count for the next. */
        ck_assert_int_eq(OSAction_WillWait(action, &second), 0);
        ck_assert_ptr_ne(second, token);
        ck_assert_int_eq(OSAction_EndWait(action, second), kIOReturnTimeout);
        OSObject_release(action);
        drop_timer(ticker);
}
END_TEST

static struct {
        OSAction *action;
        void *token;
        kern_return_t code;
} waiter;

static void *wait_thread(void *context)
{
        do
                waiter.code = OSAction_Wait(waiter.action, waiter.token, 0, 0);
        while (waiter.code == kIOReturnBusy);   /* wait_begin is in there, for a moment */
        return NULL;
}

/* A thread waits for ever in Wait, for certain. */
static pthread_t wait_begin(OSAction *action)
{
        pthread_t thread;

        waiter.action = action;
        ck_assert_int_eq(OSAction_WillWait(action, &waiter.token), 0);
        pthread_create(&thread, NULL, wait_thread, NULL);
        /* A deadline in the past: Timeout until the thread is there. */
        while (OSAction_Wait(action, waiter.token, kIOTimerClockUptimeRaw, 1) != kIOReturnBusy)
                sched_yield();
        return thread;
}

START_TEST(wait_aborted)
{
        Ticker *ticker = ticker_new();
        OSAction *action = action_new(ticker);
        struct signal cancelled = SIGNAL_INIT;
        void *token;

        add_timer(ticker);
        for (int how = 0; how < 3; how++) {
                pthread_t thread;

                IOTimerDispatchSource_SetHandler(ticker->timer, action);
                thread = wait_begin(action);
                switch (how) {
                case 0:         /* the last source lets go */
                        IOTimerDispatchSource_SetHandler(ticker->timer, NULL);
                        break;
                case 1:
                        ck_assert_int_eq(OSAction_EndWait(action, waiter.token), kIOReturnTimeout);
                        break;
                case 2:
                        OSAction_Cancel_f(action, &cancelled, signal_add);
                }
                pthread_join(thread, NULL);
                ck_assert_int_eq(waiter.code, kIOReturnAborted);
                ck_assert_int_eq(OSAction_EndWait(action, waiter.token), how == 1 ? kIOReturnBadArgument : kIOReturnAborted);
        }
        signal_wait(&cancelled, 1);
        /* And for what is cancelled already there is nothing to wait for. */
        ck_assert_int_eq(OSAction_WillWait(action, &token), 0);
        ck_assert_int_eq(OSAction_Wait(action, token, 0, 0), kIOReturnAborted);
        ck_assert_int_eq(OSAction_EndWait(action, token), kIOReturnAborted);
        OSObject_release(action);
        drop_timer(ticker);
}
END_TEST

/* A callback in progress when the action is cancelled still counts. */
START_TEST(wait_running)
{
        Ticker *ticker = ticker_new();
        OSAction *action = action_new(ticker);
        pthread_t thread;

        add_timer(ticker);
        IOTimerDispatchSource_SetHandler(ticker->timer, action);
        ticker->hold = true;
        thread = wait_begin(action);
        IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, 1, 0);
        signal_wait(&ticker->held, 1);
        OSAction_Cancel_f(action, NULL, NULL);
        ck_assert_int_eq(OSAction_Wait(action, waiter.token, kIOTimerClockUptimeRaw, 1), kIOReturnBusy);
        signal_add(&ticker->go);
        pthread_join(thread, NULL);
        ck_assert_int_eq(waiter.code, 0);
        ck_assert_int_eq(OSAction_EndWait(action, waiter.token), 0);
        OSObject_release(action);
        drop_timer(ticker);
}
END_TEST

static void wait_on_queue(void *context)
{
        waiter.code = OSAction_Wait(waiter.action, waiter.token, 0, 0);
}

/* On the queue that the method needs: an error, not a wait for ever. */
START_TEST(wait_in_the_way)
{
        Ticker *ticker = ticker_new();
        IODispatchQueue *queue;

        waiter.action = action_new(ticker);
        IOService_CopyDispatchQueue(&ticker->service, kIOServiceDefaultQueueName, &queue);
        ck_assert_int_eq(OSAction_WillWait(waiter.action, &waiter.token), 0);
        IODispatchQueue_DispatchSync_f(queue, NULL, wait_on_queue);
        ck_assert_int_eq(waiter.code, kIOReturnNotPermitted);
        ck_assert_int_eq(OSAction_EndWait(waiter.action, waiter.token), kIOReturnTimeout);
        OSObject_release(queue);
        OSObject_release(waiter.action);
        OSObject_release(ticker);
}
END_TEST

/* Waits, invocations and a cancel in the middle race: every wait ends, with one of the results. For the thread sanitizer. */
START_TEST(wait_race)
{
        for (int round = 0; round < 50; round++) {
                Ticker *ticker = ticker_new();
                OSAction *action = action_new(ticker);
                struct signal cancelled = SIGNAL_INIT;
                kern_return_t code;
                pthread_t thread;

                add_timer(ticker);
                IOTimerDispatchSource_SetHandler(ticker->timer, action);
                waiter.action = action;
                ck_assert_int_eq(OSAction_WillWait(action, &waiter.token), 0);
                pthread_create(&thread, NULL, wait_thread, NULL);
                IOTimerDispatchSource_WakeAtTime(ticker->timer, kIOTimerClockUptimeRaw, 1, 0);
                if (round % 2)
                        OSAction_Cancel_f(action, &cancelled, signal_add);
                pthread_join(thread, NULL);
                code = OSAction_EndWait(action, waiter.token);
                ck_assert_int_eq(waiter.code, code);
                ck_assert(code == kIOReturnSuccess || (round % 2 && code == kIOReturnAborted));
                if (round % 2)
                        signal_wait(&cancelled, 1);
                OSObject_release(action);
                drop_timer(ticker);
        }
}
END_TEST

int main(void)
{
        return run_suite("action", reference_area, target_kept, fires, replaced_past_periodic, cancel_pending, cancel_running,
                         disabled, action_cancelled, typed, on_its_queue, leeway, wait_result, wait_aborted, wait_running,
                         wait_in_the_way, wait_race, released_while_armed);
}
