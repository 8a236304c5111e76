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

int main(void)
{
        return run_suite("client-block", test_blocks, test_run_loop, test_once);
}
