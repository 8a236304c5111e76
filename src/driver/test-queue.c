/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 15.8: D1 to D10, D18. */
#include <stdarg.h>
#include <string.h>

#include <DriverKit/DriverKit.h>

#include "driver/queue.h"
#include "driver/test.h"

static IODispatchQueue *make(const char *name)
{
        IODispatchQueue *queue = NULL;

        ck_assert_int_eq(IODispatchQueue_Create(name, 0, 0, &queue), 0);
        return queue;
}

START_TEST(create)
{
        char name[301];
        IODispatchQueue *queue = (IODispatchQueue *)1;

        memset(name, 'q', 300);
        name[300] = '\0';
        ck_assert_int_eq(IODispatchQueue_Create("x", 4, 0, &queue), kIOReturnUnsupported);
        ck_assert_int_eq(IODispatchQueue_Create("x", 0, 1, &queue), kIOReturnUnsupported);
        ck_assert_int_eq(IODispatchQueue_Create(NULL, 0, 0, &queue), kIOReturnBadArgument);
        ck_assert_ptr_eq(queue, (void *)1);
        ck_assert_int_eq(IODispatchQueue_Create("x", kIODispatchQueueMethodsNotSynchronized, 0, &queue), 0);
        OSObject_release(queue);
        queue = make(name);
        ck_assert_uint_eq(strlen(IODispatchQueue_GetName(queue)), 255);
        OSObject_release(queue);
}
END_TEST

/* D1: serial, and in order for each thread that dispatches. */
#define THREADS 4
#define ROUNDS 1000
static struct {
        IODispatchQueue *queue;
        int inside, total, last[THREADS];
        bool bad;
        struct signal done;
} serial = { .done = SIGNAL_INIT };

static void serial_item(void *context)
{
        int thread = (int)((intptr_t)context / ROUNDS), number = (int)((intptr_t)context % ROUNDS);

        if (serial.inside++ != 0 || !IODispatchQueue_OnQueue(serial.queue) || number != serial.last[thread]++)
                serial.bad = true;
        serial.inside--;
        if (++serial.total == THREADS * ROUNDS)
                signal_add(&serial.done);
}

static void *serial_thread(void *context)
{
        for (intptr_t i = 0; i < ROUNDS; i++)
                IODispatchQueue_DispatchAsync_f(serial.queue, (void *)((intptr_t)context * ROUNDS + i), serial_item);
        return NULL;
}

START_TEST(async_serial)
{
        pthread_t threads[THREADS];

        serial.queue = make("serial");
        for (intptr_t i = 0; i < THREADS; i++)
                pthread_create(&threads[i], NULL, serial_thread, (void *)i);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        signal_wait(&serial.done, 1);
        ck_assert(!serial.bad);
        ck_assert(!IODispatchQueue_OnQueue(serial.queue));
        OSObject_release(serial.queue);
}
END_TEST

/* Threads that enter synchronously, mixed with asynchronous items, exclude each other. */
static uint64_t unprotected;

static void count_up(void *context)
{
        unprotected++;
}

static void *mixed_thread(void *context)
{
        for (int i = 0; i < ROUNDS; i++) {
                if (i % 3 == 0)
                        IODispatchQueue_DispatchAsync_f(context, NULL, count_up);
                else
                        IODispatchQueue_DispatchSync_f(context, NULL, count_up);
        }
        return NULL;
}

START_TEST(sync_and_async)
{
        IODispatchQueue *queue = make("mixed");
        struct signal done = SIGNAL_INIT;
        pthread_t threads[THREADS];

        for (int i = 0; i < THREADS; i++)
                pthread_create(&threads[i], NULL, mixed_thread, queue);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        IODispatchQueue_DispatchAsync_f(queue, &done, signal_add);
        signal_wait(&done, 1);
        ck_assert_uint_eq(unprotected, THREADS * ROUNDS);
        OSObject_release(queue);
}
END_TEST

/* D2, D3: on the queue, also through another one. */
static IODispatchQueue *outer, *inner;
static int depth;

static void innermost_step(void *context)
{
        ck_assert(IODispatchQueue_OnQueue(outer));
        ck_assert(IODispatchQueue_OnQueue(inner));
        depth++;
}

static void inner_step(void *context)
{
        IODispatchQueue_DispatchSync_f(outer, NULL, innermost_step);
        depth++;
}

static void outer_step(void *context)
{
        ck_assert(!IODispatchQueue_OnQueue(inner));
        IODispatchQueue_DispatchSync_f(inner, NULL, inner_step);
        ck_assert(!IODispatchQueue_OnQueue(inner));
        depth++;
}

START_TEST(nested)
{
        outer = make("outer");
        inner = make("inner");
        IODispatchQueue_DispatchSync_f(outer, NULL, outer_step);
        ck_assert_int_eq(depth, 3);
        ck_assert(!IODispatchQueue_OnQueue(outer));
        OSObject_release(outer);
        OSObject_release(inner);
}
END_TEST

/* D4, D6: a running block ends, queued ones never run, the handler runs once, after it. */
static struct {
        struct signal started, go, dropped, ended, handled;
        bool handled_early;
} cancel = { SIGNAL_INIT, SIGNAL_INIT, SIGNAL_INIT, SIGNAL_INIT, SIGNAL_INIT, false };

static void block(void *context)
{
        signal_add(&cancel.started);
        signal_wait(&cancel.go, 1);
        cancel.handled_early = signal_count(&cancel.handled) > 0;
        signal_add(&cancel.ended);
}

static void *waiting_thread(void *context)
{
        signal_add(&cancel.started);
        IODispatchQueue_DispatchSync_f(context, &cancel.dropped, signal_add);
        signal_add(&cancel.ended);
        return NULL;
}

START_TEST(cancelled)
{
        IODispatchQueue *queue = make("cancelled");
        pthread_t waiter;

        IODispatchQueue_DispatchAsync_f(queue, NULL, block);
        signal_wait(&cancel.started, 1);
        for (int i = 0; i < 3; i++)
                IODispatchQueue_DispatchAsync_f(queue, &cancel.dropped, signal_add);
        pthread_create(&waiter, NULL, waiting_thread, queue);
        signal_wait(&cancel.started, 2);
        ck_assert_int_eq(IODispatchQueue_Cancel_f(queue, &cancel.handled, signal_add), 0);
        pthread_join(waiter, NULL);
        ck_assert_int_eq(signal_count(&cancel.handled), 0);
        signal_add(&cancel.go);
        signal_wait(&cancel.handled, 1);
        ck_assert(!cancel.handled_early);
        ck_assert_int_eq(signal_count(&cancel.ended), 2);
        IODispatchQueue_DispatchAsync_f(queue, &cancel.dropped, signal_add);
        IODispatchQueue_DispatchSync_f(queue, &cancel.dropped, signal_add);
        IODispatchQueue_Cancel_f(queue, &cancel.handled, signal_add);
        signal_wait(&cancel.handled, 2);
        ck_assert_int_eq(signal_count(&cancel.dropped), 0);
        OSObject_release(queue);
}
END_TEST

static kern_return_t give_code(void *context)
{
        return 0x123;
}

START_TEST(run_action)
{
        IODispatchQueue *queue = make("action");

        ck_assert_int_eq(IODispatchQueue_RunAction_f(queue, NULL, give_code), 0x123);
        IODispatchQueue_Cancel_f(queue, NULL, NULL);
        ck_assert_int_eq(IODispatchQueue_RunAction_f(queue, NULL, give_code), kIOReturnAborted);
        OSObject_release(queue);
}
END_TEST

/* Blocked queues hold up nobody else, however many there are. */
static struct signal many_started = SIGNAL_INIT, many_go = SIGNAL_INIT, many_done = SIGNAL_INIT;

static void many_block(void *context)
{
        signal_add(&many_started);
        signal_wait(&many_go, 1);
        signal_add(&many_done);
}

START_TEST(blocked_queues)
{
        IODispatchQueue *queues[40];
        struct signal other = SIGNAL_INIT;
        IODispatchQueue *free_queue = make("free");

        for (int i = 0; i < 40; i++) {
                queues[i] = make("blocked");
                IODispatchQueue_DispatchAsync_f(queues[i], NULL, many_block);
        }
        signal_wait(&many_started, 40);
        IODispatchQueue_DispatchAsync_f(free_queue, &other, signal_add);
        signal_wait(&other, 1);
        signal_add(&many_go);
        signal_wait(&many_done, 40);
        for (int i = 0; i < 40; i++)
                OSObject_release(queues[i]);
        OSObject_release(free_queue);
}
END_TEST

/* --- reentrant queues --- */

#define MS 1000000ull

static IODispatchQueue *make_reentrant(void)
{
        IODispatchQueue *queue = NULL;

        ck_assert_int_eq(IODispatchQueue_Create("reentrant", kIODispatchQueueReentrant, 0, &queue), 0);
        return queue;
}

static struct {
        IODispatchQueue *queue;
        int event, inside;
        _Atomic bool bad;               /* written only when something is wrong: orders nothing for the thread sanitizer */
        struct signal asleep, woken, timed_out;
} nap = { .asleep = SIGNAL_INIT, .woken = SIGNAL_INIT, .timed_out = SIGNAL_INIT };

static void expect(bool good)
{
        if (!good)
                nap.bad = true;
}

/* Never two at once on the queue, sleep apart. */
static void nap_until(void *event, uint64_t timeout)
{
        kern_return_t code;

        expect(nap.inside++ == 0);
        signal_add(&nap.asleep);
        nap.inside--;
        code = IODispatchQueue_Sleep(nap.queue, event, timeout);
        expect(nap.inside++ == 0 && IODispatchQueue_OnQueue(nap.queue));
        signal_add(code == kIOReturnSuccess ? &nap.woken : &nap.timed_out);
        expect(code == kIOReturnSuccess || code == kIOReturnTimeout);
        nap.inside--;
}

static void nap_long(void *context)
{
        nap_until(&nap.event, UINT64_MAX);
}

static void nap_short(void *context)
{
        nap_until(&nap.event, 20 * MS);
}

static void *nap_thread(void *context)
{
        IODispatchQueue_DispatchSync_f(nap.queue, NULL, nap_long);
        return NULL;
}

static void wake_one(void *context)
{
        expect(nap.inside == 0);
        ck_assert_int_eq(IODispatchQueue_Wakeup(nap.queue, context), 0);
        /* We are still on the queue: nobody has gone on. */
        expect(nap.inside == 0);
}

static void wake_all(void *context)
{
        ck_assert_int_eq(IODispatchQueue_WakeupWithOptions(nap.queue, context, kIODispatchQueueWakeupAll), 0);
}

/* D7, D8: another function runs meanwhile, and its wake-up ends the sleep; without one, the time does. */
START_TEST(sleep_and_wakeup)
{
        int other;

        nap.queue = make_reentrant();
        IODispatchQueue_DispatchAsync_f(nap.queue, NULL, nap_long);
        signal_wait(&nap.asleep, 1);
        IODispatchQueue_DispatchSync_f(nap.queue, &other, wake_one);
        ck_assert_int_eq(signal_count(&nap.woken), 0);
        IODispatchQueue_DispatchSync_f(nap.queue, &nap.event, wake_one);
        signal_wait(&nap.woken, 1);
        IODispatchQueue_DispatchSync_f(nap.queue, NULL, nap_short);
        ck_assert_int_eq(signal_count(&nap.timed_out), 1);
        ck_assert(!IODispatchQueue_OnQueue(nap.queue));
        ck_assert(!nap.bad);
        OSObject_release(nap.queue);
}
END_TEST

/* D9: one, or all; from a drainer and from threads that entered. */
START_TEST(wakeup_all)
{
        pthread_t threads[3];

        nap.queue = make_reentrant();
        for (int i = 0; i < 3; i++)
                pthread_create(&threads[i], NULL, nap_thread, NULL);
        IODispatchQueue_DispatchAsync_f(nap.queue, NULL, nap_long);
        signal_wait(&nap.asleep, 4);
        IODispatchQueue_DispatchSync_f(nap.queue, &nap.event, wake_one);
        signal_wait(&nap.woken, 1);
        /* Nobody else was woken: a function that comes after the one sleeper finds the others asleep. */
        IODispatchQueue_DispatchSync_f(nap.queue, NULL, count_up);
        ck_assert_int_eq(signal_count(&nap.woken), 1);
        IODispatchQueue_DispatchAsync_f(nap.queue, &nap.event, wake_all);
        signal_wait(&nap.woken, 4);
        for (int i = 0; i < 3; i++)
                pthread_join(threads[i], NULL);
        ck_assert(!nap.bad);
        OSObject_release(nap.queue);
}
END_TEST

static void sleep_errors_on_queue(void *context)
{
        IODispatchQueue *queue = context;

        ck_assert_int_eq(IODispatchQueue_Sleep(queue, NULL, UINT64_MAX), kIOReturnBadArgument);
        ck_assert_int_eq(IODispatchQueue_SleepWithDeadline(queue, &nap, 7, UINT64_MAX), kIOReturnBadArgument);
        ck_assert_int_eq(IODispatchQueue_WakeupWithOptions(queue, &nap, 2), kIOReturnBadArgument);
        ck_assert_int_eq(IODispatchQueue_Wakeup(queue, NULL), kIOReturnBadArgument);
        ck_assert_int_eq(IODispatchQueue_Wakeup(queue, &nap), kIOReturnSuccess);
        /* A deadline in the past, on each clock. */
        for (uint64_t clock = kIOTimerClockRealTime; clock <= kIOTimerClockUptimeRaw; clock += 4) {
                ck_assert_int_eq(IODispatchQueue_SleepWithDeadline(queue, &nap, clock, 1), kIOReturnTimeout);
                ck_assert_int_eq(IODispatchQueue_SleepWithDeadline(queue, &nap, clock | kIODispatchQueueSleepReuseEvent, 1),
                                 kIOReturnTimeout);
        }
}

static void sleep_on_serial(void *context)
{
        ck_assert_int_eq(IODispatchQueue_Sleep(context, &nap, UINT64_MAX), kIOReturnUnsupported);
        ck_assert_int_eq(IODispatchQueue_Wakeup(context, &nap), kIOReturnUnsupported);
}

/* D10 and the other errors: none of them waits. */
START_TEST(sleep_errors)
{
        IODispatchQueue *reentrant = make_reentrant(), *plain = make("plain");

        ck_assert_int_eq(IODispatchQueue_Sleep(reentrant, &nap, UINT64_MAX), kIOReturnNotPermitted);
        ck_assert_int_eq(IODispatchQueue_Wakeup(reentrant, &nap), kIOReturnNotPermitted);
        IODispatchQueue_DispatchSync_f(reentrant, reentrant, sleep_errors_on_queue);
        IODispatchQueue_DispatchSync_f(plain, plain, sleep_on_serial);
        OSObject_release(reentrant);
        OSObject_release(plain);
}
END_TEST

/* Cancelled in its sleep: the sleeper goes on, on the queue, at a wake-up or its time; the handler can wake it. */
START_TEST(cancelled_asleep)
{
        nap.queue = make_reentrant();
        IODispatchQueue_DispatchAsync_f(nap.queue, NULL, nap_long);
        IODispatchQueue_DispatchAsync_f(nap.queue, NULL, nap_short);
        signal_wait(&nap.asleep, 2);
        IODispatchQueue_Cancel_f(nap.queue, NULL, NULL);
        signal_wait(&nap.timed_out, 1);
        IODispatchQueue_Cancel_f(nap.queue, &nap.event, wake_all);
        signal_wait(&nap.woken, 1);
        ck_assert(!nap.bad);
        OSObject_release(nap.queue);
}
END_TEST

/* Many sleeps and wake-ups: none is lost, and nobody else is on the queue meanwhile. */
static struct signal rally_ended = SIGNAL_INIT;
static int rally_ball;

static void rally(void *context)
{
        int me = *(int *)context;

        for (int i = 0; i < 500; i++) {
                while (rally_ball != me)
                        expect(IODispatchQueue_Sleep(nap.queue, &rally_ball, UINT64_MAX) == kIOReturnSuccess);
                rally_ball = !me;
                IODispatchQueue_WakeupWithOptions(nap.queue, &rally_ball, i % 2 ? kIODispatchQueueWakeupAll : 0);
        }
        signal_add(&rally_ended);
}

static void *rally_thread(void *context)
{
        IODispatchQueue_DispatchSync_f(nap.queue, context, rally);
        return NULL;
}

START_TEST(sleep_rally)
{
        int players[2] = { 0, 1 };
        pthread_t thread;

        nap.queue = make_reentrant();
        pthread_create(&thread, NULL, rally_thread, &players[1]);
        IODispatchQueue_DispatchAsync_f(nap.queue, &players[0], rally);
        signal_wait(&rally_ended, 2);
        pthread_join(thread, NULL);
        ck_assert(!nap.bad);
        OSObject_release(nap.queue);
}
END_TEST

static struct {
        struct signal started, go, ended;
        _Atomic int together;
} beside = { SIGNAL_INIT, SIGNAL_INIT, SIGNAL_INIT, 0 };

static void beside_wait(void *context)
{
        beside.together++;
        signal_add(&beside.started);
        signal_wait(&beside.go, 1);
        expect(IODispatchQueue_OnQueue(nap.queue));
        beside.together--;
        signal_add(&beside.ended);
}

static void alone(void *context)
{
        expect(beside.together == 0 && nap.inside++ == 0);
        signal_add(&beside.ended);
        nap.inside--;
}

static void beside_nap(void *context)
{
        signal_add(&beside.started);
        expect(IODispatchQueue_Sleep(nap.queue, &nap.event, UINT64_MAX) == kIOReturnSuccess);
        expect(IODispatchQueue_OnQueue(nap.queue));
        signal_add(&beside.ended);
}

static void beside_wake(void *context)
{
        wake_all(&nap.event);
}

/* Concurrent functions run side by side, serial ones alone and in their turn; a concurrent one can sleep. */
START_TEST(concurrent)
{
        nap.queue = make_reentrant();
        for (int i = 0; i < 3; i++)
                IODispatchQueue_DispatchConcurrent_f(nap.queue, NULL, beside_wait);
        signal_wait(&beside.started, 3);
        IODispatchQueue_DispatchAsync_f(nap.queue, NULL, alone);
        for (int i = 0; i < 2; i++)
                IODispatchQueue_DispatchConcurrent_f(nap.queue, NULL, beside_wait);
        /* Those after the serial one do not overtake it. */
        ck_assert_int_eq(signal_count(&beside.started), 3);
        signal_add(&beside.go);
        signal_wait(&beside.ended, 6);
        IODispatchQueue_DispatchSync_f(nap.queue, NULL, alone);

        for (int i = 0; i < 2; i++)
                IODispatchQueue_DispatchConcurrent_f(nap.queue, NULL, beside_nap);
        signal_wait(&beside.started, 7);
        IODispatchQueue_DispatchSync_f(nap.queue, NULL, alone);
        IODispatchQueue_DispatchConcurrent_f(nap.queue, NULL, beside_wake);
        signal_wait(&beside.ended, 10);
        ck_assert(!nap.bad);
        OSObject_release(nap.queue);
}
END_TEST

static char logged[512];

__attribute__((format(printf, 1, 2))) static int log_line(const char *format, ...)
{
        size_t used = strlen(logged);
        va_list list;
        int n;

        va_start(list, format);
        n = vsnprintf(logged + used, sizeof(logged) - used, format, list);
        va_end(list);
        return n;
}

static void log_here(void *context)
{
        IODispatchQueue_Log("here", log_line);
}

static void log_inner(void *context)
{
        IODispatchQueue_DispatchSync_f(context, NULL, log_here);
}

START_TEST(log_queues)
{
        IODispatchQueue *plain = make("plain"), *reentrant = make_reentrant();

        IODispatchQueue_Log("nowhere", NULL);
        IODispatchQueue_DispatchSync_f(plain, reentrant, log_inner);
        ck_assert_str_eq(logged,
                         "here: on these queues, innermost first\n        reentrant, alone, reentrant\n        plain, alone\n");
        OSObject_release(plain);
        OSObject_release(reentrant);
}
END_TEST

/*
 * Threads that own a queue each and call into the next one's, all at once: each call runs, and never two on a queue side by side.
 */
enum { RING = 3 };
static struct {
        IODispatchQueue *queues[RING];
        pthread_barrier_t ready;
        int size, calls;                /* calls: only one thread at a time runs one */
} ring;

static void *ring_thread(void *context)
{
        int i = (int)(intptr_t)context, next = (i + 1) % ring.size;
        struct amb_queue_frame own, other;

        ck_assert(amb_queue_enter(ring.queues[i], &own));
        pthread_barrier_wait(&ring.ready);
        ck_assert(amb_queue_enter_call(ring.queues[next], &other));
        ck_assert(IODispatchQueue_OnQueue(ring.queues[next]));
        ring.calls++;
        amb_queue_leave(&other);
        ck_assert(!IODispatchQueue_OnQueue(ring.queues[next]));
        ck_assert(IODispatchQueue_OnQueue(ring.queues[i]));
        amb_queue_leave(&own);
        return NULL;
}

static void circles_of(int size)
{
        pthread_t threads[RING];

        ring.size = size;
        ring.calls = 0;
        for (int round = 1; round <= 300; round++) {
                pthread_barrier_init(&ring.ready, NULL, (unsigned int)size);
                for (intptr_t i = 0; i < size; i++)
                        pthread_create(&threads[i], NULL, ring_thread, (void *)i);
                for (int i = 0; i < size; i++)
                        pthread_join(threads[i], NULL);
                pthread_barrier_destroy(&ring.ready);
                ck_assert_int_eq(ring.calls, round * size);
        }
}

START_TEST(calls_in_a_circle)
{
        for (int i = 0; i < RING; i++)
                ring.queues[i] = make("ring");
        circles_of(2);
        circles_of(RING);
        for (int i = 0; i < RING; i++)
                OSObject_release(ring.queues[i]);
}
END_TEST

int main(void)
{
        return run_suite("queue", create, async_serial, sync_and_async, nested, cancelled, run_action, blocked_queues,
                         sleep_and_wakeup, wakeup_all, sleep_errors, cancelled_asleep, sleep_rally, concurrent, log_queues,
                         calls_in_a_circle);
}
