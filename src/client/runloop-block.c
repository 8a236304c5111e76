/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop's functions that take a block: a timer whose info is a copy of it. The header declares them where the compiler knows
 * blocks; here a block is a pointer. Without memory a block is not run, and nothing tells.
 */
#include <CoreFoundation/CFArray.h>

#include "base/base.h"
#include "base/block.h"
#include "client/runloop.h"

CFRunLoopTimerRef CFRunLoopTimerCreateWithHandler(CFAllocatorRef allocator, CFAbsoluteTime fire_date, CFTimeInterval interval,
                                                  CFOptionFlags flags, CFIndex order, void *block);
void CFRunLoopPerformBlock(CFRunLoopRef loop, CFTypeRef mode, void *block);

static void block_release(const void *block)
{
        _Block_release(block);
}

static void handler_call(CFRunLoopTimerRef timer, void *block)
{
        ((void (*)(void *, CFRunLoopTimerRef))((struct amb_block *)block)->invoke)(block, timer);
}

static void block_call(CFRunLoopTimerRef timer, void *block)
{
        (void)timer;
        amb_block_run(block);
}

static CFRunLoopTimerRef timer_of(CFAbsoluteTime fire_date, CFTimeInterval interval, CFRunLoopTimerCallBack callback, void *block)
{
        CFRunLoopTimerContext context = { .info = _Block_copy(block), .release = block_release };
        CFRunLoopTimerRef timer = context.info ? CFRunLoopTimerCreate(NULL, fire_date, interval, 0, 0, callback, &context) : NULL;

        if (!timer && context.info)
                _Block_release(context.info);
        return timer;
}

CFRunLoopTimerRef CFRunLoopTimerCreateWithHandler(CFAllocatorRef allocator, CFAbsoluteTime fire_date, CFTimeInterval interval,
                                                  CFOptionFlags flags, CFIndex order, void *block)
{
        (void)allocator;
        (void)flags;
        (void)order;
        return timer_of(fire_date, interval, handler_call, block);
}

/* mode: a mode, or an array of them: then it is run in whichever comes first. */
void CFRunLoopPerformBlock(CFRunLoopRef loop, CFTypeRef mode, void *block)
{
        CFRunLoopTimerRef timer = timer_of(0, 0, block_call, block);

        if (!timer)
                return;
        if (CFGetTypeID(mode) == CFArrayGetTypeID())
                for (CFIndex i = 0; i < CFArrayGetCount(mode); i++)
                        CFRunLoopAddTimer(loop, timer, CFArrayGetValueAtIndex(mode, i));
        else
                CFRunLoopAddTimer(loop, timer, mode);
        CFRelease(timer);
}
