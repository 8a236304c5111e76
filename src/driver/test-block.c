/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forms that take a block: it runs, with what it has captured, and its copy goes, also when it never runs. Compiled by clang.
 */
#include <Block.h>
#include <sched.h>

#include <DriverKit/DriverKit.h>

#include "driver/service.h"
#include "driver/test.h"

#define Sleeper_Fired_ID 0x736c656570000001ull

/* A service with a timer that never fires. */
typedef struct Sleeper {
        IOService service;
} Sleeper;
static void sleeper_fired(Sleeper *self, OSAction *action, uint64_t time)
{
}
OSDefineAction(Sleeper, Fired, IOTimerDispatchSource_TimerOccurred_ID);
static const struct amb_method sleeper_methods[] = {
        AMB_ACTION_METHOD(Sleeper, Fired, sleeper_fired),
        AMB_METHODS_END,
};
OSDefineMetaClass(Sleeper, IOService, sleeper_methods);

typedef void (^block_t)(void);

/* References to a block that lies on the heap: the low bits of its flags. */
static int references(const void *block)
{
        return __atomic_load_n((const int *)((const char *)block + sizeof(void *)), __ATOMIC_SEQ_CST) & 0xffff;
}

/* Waits until nobody but the test has the block. A wait for ever is the test's time-out. */
static void wait_released(const void *block, int mine)
{
        while (references(block) != mine)
                sched_yield();
}

/* A block that counts into `signal`, on the heap. */
static block_t counting(struct signal *signal)
{
        return Block_copy(^{
                signal_add(signal);
        });
}

static IODispatchQueue *make(uint64_t options)
{
        IODispatchQueue *queue = NULL;

        ck_assert_int_eq(IODispatchQueue_Create("blocks", options, 0, &queue), 0);
        return queue;
}

START_TEST(queue)
{
        IODispatchQueue *queue = make(0);
        struct signal done = SIGNAL_INIT, *d = &done;
        __block int sum = 0;
        block_t block = counting(&done);
        int mine = references(block);

        for (int i = 1; i <= 10; i++)
                IODispatchQueue_DispatchAsync(queue, ^{
                        sum += i;
                        signal_add(d);
                });
        signal_wait(&done, 10);
        ck_assert_int_eq(sum, 55);
        IODispatchQueue_DispatchSync(queue, ^{
                sum += IODispatchQueue_OnQueue(queue) ? 1000 : 0;
        });
        ck_assert_int_eq(sum, 1055);
        ck_assert_int_eq(IODispatchQueue_RunAction(queue, ^{
                return (kern_return_t)(0x123 + sum - 1055);
        }), 0x123);

        IODispatchQueue_DispatchAsync(queue, block);
        IODispatchQueue_DispatchConcurrent(queue, block);
        IODispatchQueue_DispatchSync(queue, block);
        ck_assert_int_eq(signal_count(&done), 13);
        ck_assert_int_eq(references(block), mine);
        Block_release(block);
        OSObject_release(queue);
}
END_TEST

START_TEST(concurrent)
{
        IODispatchQueue *queue = make(kIODispatchQueueReentrant);
        struct signal started = SIGNAL_INIT, go = SIGNAL_INIT, *s = &started, *g = &go;
        __block _Atomic int together = 0;

        /* Each waits until all are there. */
        for (int i = 0; i < 3; i++)
                IODispatchQueue_DispatchConcurrent(queue, ^{
                        signal_add(s);
                        signal_wait(s, 3);
                        together++;
                        signal_add(g);
                });
        signal_wait(&go, 3);
        ck_assert_int_eq(together, 3);
        IODispatchQueue_DispatchSync(queue, ^{
                ck_assert_int_eq(together, 3);
        });
        OSObject_release(queue);
}
END_TEST

/* What a cancelled queue drops is released, and so is what comes too late. */
START_TEST(dropped)
{
        IODispatchQueue *queue = make(0);
        struct signal ran = SIGNAL_INIT, started = SIGNAL_INIT, go = SIGNAL_INIT, cancelled = SIGNAL_INIT;
        struct signal *s = &started, *g = &go;
        block_t block = counting(&ran), handler = counting(&cancelled);
        int mine = references(block), mine_too = references(handler);

        IODispatchQueue_DispatchAsync(queue, ^{
                signal_add(s);
                signal_wait(g, 1);
        });
        signal_wait(&started, 1);
        for (int i = 0; i < 3; i++)
                IODispatchQueue_DispatchAsync(queue, block);
        ck_assert_int_gt(references(block), mine);
        ck_assert_int_eq(IODispatchQueue_Cancel(queue, handler), 0);
        ck_assert_int_eq(references(block), mine);
        ck_assert_int_eq(signal_count(&cancelled), 0);
        signal_add(&go);
        signal_wait(&cancelled, 1);
        wait_released(handler, mine_too);
        IODispatchQueue_DispatchAsync(queue, block);
        IODispatchQueue_DispatchSync(queue, block);
        ck_assert_int_eq(references(block), mine);
        ck_assert_int_eq(signal_count(&ran), 0);
        ck_assert_int_eq(IODispatchQueue_RunAction(queue, ^{
                return kIOReturnSuccess;
        }), kIOReturnAborted);
        ck_assert_int_eq(IODispatchQueue_Cancel(queue, NULL), 0);
        Block_release(block);
        Block_release(handler);
        OSObject_release(queue);
}
END_TEST

START_TEST(source_and_action)
{
        struct signal off = SIGNAL_INIT, first = SIGNAL_INIT, second = SIGNAL_INIT, ended = SIGNAL_INIT;
        block_t switched = counting(&off), replaced = counting(&first), aborted = counting(&second), cancelled = counting(&ended);
        int mine = references(switched);
        Sleeper *sleeper = (Sleeper *)amb_object_new(OSTypeID(Sleeper));
        IODispatchQueue *queue = make(0);
        IOTimerDispatchSource *timer;
        OSAction *action;

        ck_assert_int_eq(Sleeper_CreateActionFired(sleeper, 0, &action), 0);
        ck_assert_int_eq(IOTimerDispatchSource_Create(queue, &timer), 0);
        ck_assert_int_eq(IOTimerDispatchSource_SetHandler(timer, action), 0);
        ck_assert_int_eq(IODispatchSource_SetEnableWithCompletion(&timer->source, false, switched), 0);
        signal_wait(&off, 1);
        wait_released(switched, mine);

        ck_assert_int_eq(OSAction_SetAbortedHandler(action, replaced), 0);
        ck_assert_int_gt(references(replaced), mine);
        ck_assert_int_eq(OSAction_SetAbortedHandler(action, aborted), 0);
        ck_assert_int_eq(references(replaced), mine);
        ck_assert_int_eq(IODispatchSource_Cancel(&timer->source, cancelled), 0);
        signal_wait(&ended, 1);
        signal_wait(&second, 1);
        wait_released(aborted, mine);
        wait_released(cancelled, mine);
        ck_assert_int_eq(IODispatchSource_SetEnableWithCompletion(&timer->source, true, switched), kIOReturnNotReady);
        ck_assert_int_eq(references(switched), mine);
        /* Never to be called: it goes with the action. */
        ck_assert_int_eq(OSAction_SetAbortedHandler(action, replaced), 0);
        ck_assert_int_eq(OSAction_Cancel(action, cancelled), 0);
        signal_wait(&ended, 2);
        OSObject_release(action);
        wait_released(replaced, mine);
        wait_released(cancelled, mine);
        ck_assert_int_eq(signal_count(&first), 0);
        Block_release(switched);
        Block_release(replaced);
        Block_release(aborted);
        Block_release(cancelled);
        OSObject_release(timer);
        OSObject_release(queue);
        OSObject_release(sleeper);
}
END_TEST

/* These run before the call returns, so nothing is copied. */
START_TEST(data_queue)
{
        IODataQueueDispatchSource *source;
        bool flag = false;
        __block size_t seen = 0;
        __block int runs = 0;
        void (^look)(const void *, size_t) = ^(const void *data, size_t size) {
                ck_assert_mem_eq(data, "abcde", size);
                seen = size;
                runs++;
        };

        ck_assert_int_eq(IODataQueueDispatchSource_Create(64, NULL, &source), 0);
        ck_assert_int_eq(IODataQueueDispatchSource_Enqueue(source, 5, ^(void *data, size_t size) {
                memcpy(data, "abcde", size);
                seen = size;
        }), 0);
        ck_assert_uint_eq(seen, 5);
        ck_assert_int_eq(IODataQueueDispatchSource_EnqueueWithCoalesce(source, 3, &flag, ^(void *data, size_t size) {
                memcpy(data, "abc", size);
        }), 0);
        ck_assert(!flag);
        ck_assert_int_eq(IODataQueueDispatchSource_Peek(source, look), 0);
        ck_assert_int_eq(IODataQueueDispatchSource_Dequeue(source, look), 0);
        ck_assert_uint_eq(seen, 5);
        ck_assert_int_eq(IODataQueueDispatchSource_DequeueWithCoalesce(source, &flag, look), 0);
        ck_assert_uint_eq(seen, 3);
        ck_assert_int_eq(IODataQueueDispatchSource_Dequeue(source, look), kIOReturnUnderrun);
        ck_assert_int_eq(runs, 3);
        ck_assert_int_eq(IODataQueueDispatchSource_SetEnableWithCompletion(source, false, ^{ runs++; }), 0);
        ck_assert_int_eq(runs, 3);
        ck_assert_int_eq(IODataQueueDispatchSource_Cancel(source, ^{ runs++; }), 0);
        ck_assert_int_eq(runs, 4);
        ck_assert_int_eq(IODataQueueDispatchSource_Cancel(source, NULL), 0);
        OSObject_release(source);
}
END_TEST

/* DeliverNotifications runs its block before it returns, and keeps nothing. */
START_TEST(notifications)
{
        Sleeper *sleeper = (Sleeper *)amb_object_new(OSTypeID(Sleeper));
        OSDictionary *all = OSDictionaryCreate();
        IODispatchQueue *queue = make(0);
        IOServiceNotificationDispatchSource *source;
        __block int count = 0;

        ck_assert_int_eq(IOServiceNotificationDispatchSource_Create(all, 0, queue, &source), 0);
        IOService_RegisterService(&sleeper->service);
        ck_assert_int_eq(amb_service_start(&sleeper->service, NULL), 0);
        ck_assert_int_eq(IOServiceNotificationDispatchSource_DeliverNotifications(source, ^(uint64_t type, IOService *service,
                                                                                           uint64_t options) {
                ck_assert_uint_eq(type, kIOServiceNotificationTypeMatched);
                ck_assert_ptr_eq(service, &sleeper->service);
                ck_assert_uint_eq(options, 0);
                count++;
        }), 0);
        ck_assert_int_eq(count, 1);
        OSObject_release(source);
        OSObject_release(queue);
        OSObject_release(all);
        OSObject_release(sleeper);
}
END_TEST

int main(void)
{
        return run_suite("block", queue, concurrent, dropped, source_and_action, data_queue, notifications);
}
