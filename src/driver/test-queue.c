/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 15.8: D1 to D6, D18. */
#include <string.h>

#include <DriverKit/DriverKit.h>

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
        ck_assert_int_eq(IODispatchQueue_Create("x", 1, 0, &queue), kIOReturnUnsupported);
        ck_assert_int_eq(IODispatchQueue_Create(NULL, 0, 0, &queue), kIOReturnBadArgument);
        ck_assert_ptr_eq(queue, (void *)1);
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

int main(void)
{
        const TTest *const tests[] = { create, async_serial, sync_and_async, nested, cancelled, run_action, blocked_queues };

        return run_tests("queue", tests, sizeof(tests) / sizeof(*tests));
}
