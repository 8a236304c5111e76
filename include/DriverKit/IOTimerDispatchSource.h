/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A one-shot timer. A periodic one arms itself again in its handler. Any thread may call; where the callback runs: Create. The
 * last release of a timer disarms it; a callback that is on its queue already still comes, unless the timer is cancelled.
 *
 * Contract: memory-and-queues 10.1 (T1 to T7).
 */
#include <DriverKit/IODispatchSource.h>
#include <DriverKit/OSAction.h>

/* The kind of callback (msgid of OSAction_Create): void method(void *self, OSAction *action, uint64_t time) */
#define IOTimerDispatchSource_TimerOccurred_ID 0x494f546d72000001ull

/* Clocks. The deadline's unit is nanoseconds, except for the two Mach clocks, whose ticks are nanoseconds here too. */
#define kIOTimerClockRealTime 0x80ull                   /* since the epoch */
#define kIOTimerClockWallTime 0x80ull
#define kIOTimerClockMonotonicRaw 0x84ull               /* goes on while the machine sleeps */
#define kIOTimerClockUptimeRaw 0x88ull                  /* stops then; clock_gettime_nsec_np(CLOCK_UPTIME_RAW) */
#define kIOTimerClockMachContinuousTime 0xc4ull         /* mach_continuous_time() */
#define kIOTimerClockMachAbsoluteTime 0xc8ull           /* mach_absolute_time() */

#if defined(__IIG)
#include <DriverKit/IOTimerDispatchSource.iig>
#elif defined(__cplusplus)
#include <DriverKit/IOTimerDispatchSource.iig.h>
#else
typedef struct IOTimerDispatchSource {
        IODispatchSource source;
} IOTimerDispatchSource;

extern const OSMetaClass gIOTimerDispatchSourceMetaClass;

/*
 * Makes a timer, switched on, not armed. queue: must not be NULL; callbacks run on the queue of the action's method, else on the
 * default queue of its target. 0: *timer has one reference. On failure *timer is not written. kIOReturnBadArgument,
 * kIOReturnNoMemory, kIOReturnNoResources (no descriptor for the clock).
 */
kern_return_t IOTimerDispatchSource_Create(IODispatchQueue *queue, IOTimerDispatchSource **timer);

/*
 * Sets what is called; the action is retained until it is replaced or the source is cancelled or freed. NULL: nothing. The action's
 * msgid must be IOTimerDispatchSource_TimerOccurred_ID, else kIOReturnBadArgument. kIOReturnNotReady: cancelled. Any thread.
 */
kern_return_t IOTimerDispatchSource_SetHandler(IOTimerDispatchSource *self, OSAction *action);

/*
 * Arms the timer: one callback at `deadline` (absolute) or soon after; one that is pending is replaced; a deadline in the past
 * is due at once. options: one of the clocks above; a deadline of kIOTimerClockRealTime comes earlier or later when that clock
 * is set. leeway (nanoseconds, ticks for the Mach clocks): how much later the callback may come if others of the clock are due
 * within it, to be called together with them; without others the timer is as exact as the clock. The method gets the time at
 * which the timer was noticed, in the same clock, never before the deadline. 0. kIOReturnBadArgument: unknown clock.
 * kIOReturnNotReady: cancelled. Any thread.
 */
kern_return_t IOTimerDispatchSource_WakeAtTime(IOTimerDispatchSource *self, uint64_t options, uint64_t deadline,
                                               uint64_t leeway);
#endif
