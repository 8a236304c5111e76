/* SPDX-License-Identifier: Apache-2.0 */
/* The dispatch functions that take a block. Compiled by clang. */
#include <Block.h>
#include <check.h>
#include <sched.h>
#include <stdlib.h>

#include <CoreFoundation/CoreFoundation.h>
#include <dispatch/dispatch.h>

#include "base/test-suite.h"

#define PATIENCE dispatch_time(DISPATCH_TIME_NOW, 20 * NSEC_PER_SEC)

/* References to a block that lies on the heap: the low bits of its flags. */
static int references(const void *block)
{
        return __atomic_load_n((const int *)((const char *)block + sizeof(void *)), __ATOMIC_SEQ_CST) & 0xffff;
}

START_TEST(test_blocks)
{
        dispatch_queue_t queue = dispatch_queue_create("blocks", DISPATCH_QUEUE_SERIAL);
        dispatch_semaphore_t done = dispatch_semaphore_create(0);
        __block int sum = 0;
        dispatch_block_t block = Block_copy(^{
                sum += 100;
                dispatch_semaphore_signal(done);
        });
        int mine = references(block);

        for (int i = 1; i <= 10; i++)
                dispatch_async(queue, ^{
                        sum += i;
                });
        dispatch_async(queue, block);
        dispatch_after(DISPATCH_TIME_NOW, queue, block);
        dispatch_after(dispatch_time(DISPATCH_TIME_NOW, 10 * NSEC_PER_MSEC), queue, block);
        dispatch_after(DISPATCH_TIME_FOREVER, queue, block);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(dispatch_semaphore_wait(done, PATIENCE), 0);
        dispatch_sync(queue, ^{
                ck_assert_int_eq(sum, 355);
        });
        while (references(block) != mine)       /* for ever: the test's time-out */
                sched_yield();
        Block_release(block);
        dispatch_release(queue);
        dispatch_release(done);
}
END_TEST

START_TEST(test_once)
{
        static dispatch_once_t once;
        __block int times = 0;

        for (int i = 0; i < 3; i++)
                dispatch_once(&once, ^{
                        times++;
                });
        ck_assert_int_eq(times, 1);
}
END_TEST

static int counted;

START_TEST(test_run_loop)
{
        CFRunLoopRef loop = CFRunLoopGetCurrent();
        CFRunLoopTimerRef timer;
        __block int times = 0;
        void (^block)(void) = Block_copy(^{
                counted++;
        });
        int mine = references(block);

        CFRunLoopPerformBlock(loop, kCFRunLoopDefaultMode, block);
        CFRunLoopPerformBlock(loop, CFSTR("another mode"), block);
        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0.001, false), kCFRunLoopRunFinished);
        ck_assert_int_eq(counted, 1);
        CFRunLoopRunInMode(CFSTR("another mode"), 0.001, false);
        ck_assert_int_eq(counted, 2);
        ck_assert_int_eq(references(block), mine);
        Block_release(block);
        timer = CFRunLoopTimerCreateWithHandler(NULL, CFAbsoluteTimeGetCurrent(), 0.001, 0, 0, ^(CFRunLoopTimerRef fired) {
                if (++times == 3)
                        CFRunLoopTimerInvalidate(fired);
        });
        CFRunLoopAddTimer(loop, timer, kCFRunLoopDefaultMode);
        CFRunLoopRun();         /* until nothing is left to wait for */
        ck_assert_int_eq(times, 3);
        CFRelease(timer);
        dispatch_queue_t queue = dispatch_queue_create("loop", DISPATCH_QUEUE_SERIAL);
        dispatch_async(queue, ^{
                CFRunLoopPerformBlock(loop, kCFRunLoopCommonModes, ^{
                        CFRunLoopStop(loop);
                });
        });
        timer = CFRunLoopTimerCreateWithHandler(NULL, CFAbsoluteTimeGetCurrent() + 20, 0, 0, 0, ^(CFRunLoopTimerRef unused) {
                ck_abort_msg("the block of the other thread did not come");
        });
        CFRunLoopAddTimer(loop, timer, kCFRunLoopDefaultMode);
        CFRunLoopRun();
        CFRunLoopTimerInvalidate(timer);
        CFRelease(timer);
        dispatch_release(queue);
}
END_TEST

/* A source's blocks: replaced while it runs, and gone when it has ended. */
START_TEST(test_source)
{
        dispatch_source_t timer = dispatch_source_create(DISPATCH_SOURCE_TYPE_TIMER, 0, 0, dispatch_get_global_queue(0, 0));
        dispatch_semaphore_t first = dispatch_semaphore_create(0), second = dispatch_semaphore_create(0);
        dispatch_semaphore_t ended = dispatch_semaphore_create(0);
        dispatch_block_t one = Block_copy(^{
                dispatch_semaphore_signal(first);
        });
        dispatch_block_t two = Block_copy(^{
                dispatch_semaphore_signal(second);
                dispatch_source_cancel(timer);
        });
        dispatch_block_t end = Block_copy(^{
                dispatch_semaphore_signal(ended);
        });
        int of_one = references(one), of_two = references(two), of_end = references(end);

        dispatch_source_set_event_handler(timer, one);
        dispatch_source_set_cancel_handler(timer, end);
        ck_assert_int_gt(references(end), of_end);
        dispatch_source_set_timer(timer, DISPATCH_TIME_NOW, NSEC_PER_MSEC, 0);
        dispatch_resume(timer);
        ck_assert_int_eq(dispatch_semaphore_wait(first, PATIENCE), 0);
        dispatch_source_set_event_handler(timer, two);
        ck_assert_int_eq(dispatch_semaphore_wait(second, PATIENCE), 0);
        ck_assert_int_eq(dispatch_semaphore_wait(ended, PATIENCE), 0);
        /* For ever: the test's time-out. */
        while (references(one) != of_one || references(two) != of_two || references(end) != of_end)
                sched_yield();
        dispatch_source_set_event_handler(timer, one);          /* too late: it is not kept */
        ck_assert_int_eq(references(one), of_one);
        dispatch_release(timer);
        Block_release(one);
        Block_release(two);
        Block_release(end);
        dispatch_release(first);
        dispatch_release(second);
        dispatch_release(ended);
}
END_TEST

int main(void)
{
        return run_suite("client-block", test_blocks, test_run_loop, test_once, test_source);
}
