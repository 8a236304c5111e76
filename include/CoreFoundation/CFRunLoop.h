/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Run loops: one per thread, made on first use, gone with the thread. A loop waits for its sources and timers and calls them on
 * its own thread. Sources and timers are added per mode; those of kCFRunLoopCommonModes run in every mode. The main thread's
 * loop also runs what is on the main dispatch queue, in the default mode, from the first dispatch_get_main_queue() on.
 *
 * A loop is run by its own thread. Everything else may be done by any thread that knows that the loop's thread still lives, or has
 * retained the loop: stopping and waking it, adding and removing, which take effect at once.
 * A source comes from IONotificationPortGetRunLoopSource() or CFRunLoopSourceCreate(). Add, remove, invalidate and stop are
 * allowed inside callbacks.
 *
 * Contract: real-code 3 'CoreFoundation functions'; call-path 4.4, 4.6; lifecycle-registry 6.10.
 */
#include <CoreFoundation/CFBase.h>
#include <CoreFoundation/CFDate.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct __CFRunLoop *CFRunLoopRef;
typedef struct __CFRunLoopSource *CFRunLoopSourceRef;
typedef struct __CFRunLoopTimer *CFRunLoopTimerRef;
typedef CFStringRef CFRunLoopMode;

CF_EXPORT const CFRunLoopMode kCFRunLoopDefaultMode;
CF_EXPORT const CFRunLoopMode kCFRunLoopCommonModes;

typedef SInt32 CFRunLoopRunResult;
enum {
        kCFRunLoopRunFinished = 1,                              /* nothing to wait for: no source, no timer in this mode */
        kCFRunLoopRunStopped = 2,                               /* CFRunLoopStop */
        kCFRunLoopRunTimedOut = 3,
        kCFRunLoopRunHandledSource = 4                          /* returnAfterSourceHandled was true and one has run */
};

CFTypeID CFRunLoopGetTypeID(void);
/* The calling thread's; not owned by the caller. NULL: no memory or no descriptor. */
CFRunLoopRef CFRunLoopGetCurrent(void);
CFRunLoopRef CFRunLoopGetMain(void);                            /* the main thread's, likewise; any thread */
Boolean CFRunLoopIsWaiting(CFRunLoopRef loop);                  /* does it sleep just now? Any thread */
/* The mode that it runs in just now: one reference for the caller; NULL: it does not run. Any thread. */
CFRunLoopMode CFRunLoopCopyCurrentMode(CFRunLoopRef loop);
#ifdef __BLOCKS__
/*
 * Copies the block and runs it once, on the loop's thread, when the loop runs in `mode` (a mode, or an array of them). It wakes the
 * loop. Any thread. Without memory it is not run, and nothing tells.
 */
void CFRunLoopPerformBlock(CFRunLoopRef loop, CFTypeRef mode, void (^block)(void));
#endif
void CFRunLoopRun(void);                                        /* default mode; until stopped, or nothing to wait for */
/* Runs `mode` for `seconds` at most; 0 or less: handles what is ready and returns. Timers alone do not end it. */
CFRunLoopRunResult CFRunLoopRunInMode(CFRunLoopMode mode, CFTimeInterval seconds, Boolean return_after_source_handled);
void CFRunLoopStop(CFRunLoopRef loop);                          /* ends the innermost run; remembered if none is running */
void CFRunLoopWakeUp(CFRunLoopRef loop);                        /* makes it look again at what it waits for */
/*
 * Into one mode, or out of it; the loop holds a reference while it is in. A source or timer is in one loop at a time: one of
 * another loop, an invalid one, and one that is there already are not added, and nothing tells, nor that there is no memory.
 */
void CFRunLoopAddSource(CFRunLoopRef loop, CFRunLoopSourceRef source, CFRunLoopMode mode);
void CFRunLoopRemoveSource(CFRunLoopRef loop, CFRunLoopSourceRef source, CFRunLoopMode mode);
Boolean CFRunLoopContainsSource(CFRunLoopRef loop, CFRunLoopSourceRef source, CFRunLoopMode mode);
Boolean CFRunLoopContainsTimer(CFRunLoopRef loop, CFRunLoopTimerRef timer, CFRunLoopMode mode);
void CFRunLoopAddTimer(CFRunLoopRef loop, CFRunLoopTimerRef timer, CFRunLoopMode mode);
void CFRunLoopRemoveTimer(CFRunLoopRef loop, CFRunLoopTimerRef timer, CFRunLoopMode mode);

/*
 * A source that its owner signals. `info` and `perform` are used, retain (of info, when it is made) and release (when it goes) if
 * they are not NULL; the other members are there for source compatibility.
 */
typedef struct {
        CFIndex version;
        void *info;
        const void *(*retain)(const void *info);
        void (*release)(const void *info);
        CFStringRef (*copyDescription)(const void *info);
        Boolean (*equal)(const void *one, const void *other);
        CFHashCode (*hash)(const void *info);
        void (*schedule)(void *info, CFRunLoopRef loop, CFRunLoopMode mode);
        void (*cancel)(void *info, CFRunLoopRef loop, CFRunLoopMode mode);
        void (*perform)(void *info);
} CFRunLoopSourceContext;
CFTypeID CFRunLoopSourceGetTypeID(void);
/*
 * context: copied; order is ignored. One reference for the caller; NULL: no memory or no descriptor. info must outlive the
 * source, if nothing retains it.
 */
CFRunLoopSourceRef CFRunLoopSourceCreate(CFAllocatorRef allocator, CFIndex order, CFRunLoopSourceContext *context);
/*
 * Marks it ready and wakes the loop that it was added to: perform(info) runs there once for all signals until then. Any thread.
 */
void CFRunLoopSourceSignal(CFRunLoopSourceRef source);
void CFRunLoopSourceInvalidate(CFRunLoopSourceRef source);      /* never called again; leaves its loop */
Boolean CFRunLoopSourceIsValid(CFRunLoopSourceRef source);      /* not invalidated; any thread */

typedef void (*CFRunLoopTimerCallBack)(CFRunLoopTimerRef timer, void *info);
typedef struct {
        CFIndex version;
        void *info;
        const void *(*retain)(const void *info);
        void (*release)(const void *info);
        CFStringRef (*copyDescription)(const void *info);
} CFRunLoopTimerContext;
CFTypeID CFRunLoopTimerGetTypeID(void);
/*
 * First call at `fire_date`, then every `interval` seconds; interval 0: once, then invalid. Missed intervals are skipped.
 * context may be NULL; its info must outlive the timer, unless retain and release (as for sources) see to that. flags and order are
 * ignored. One reference for the caller; NULL: no memory.
 */
CFRunLoopTimerRef CFRunLoopTimerCreate(CFAllocatorRef allocator, CFAbsoluteTime fire_date, CFTimeInterval interval,
                                       CFOptionFlags flags, CFIndex order, CFRunLoopTimerCallBack callback,
                                       CFRunLoopTimerContext *context);
#ifdef __BLOCKS__
/* The same with a block, which is copied. */
CFRunLoopTimerRef CFRunLoopTimerCreateWithHandler(CFAllocatorRef allocator, CFAbsoluteTime fire_date, CFTimeInterval interval,
                                                  CFOptionFlags flags, CFIndex order, void (^block)(CFRunLoopTimerRef timer));
#endif
CFAbsoluteTime CFRunLoopTimerGetNextFireDate(CFRunLoopTimerRef timer);  /* 0: never again */
CFTimeInterval CFRunLoopTimerGetInterval(CFRunLoopTimerRef timer);      /* 0: once */
Boolean CFRunLoopTimerDoesRepeat(CFRunLoopTimerRef timer);
/* The next call comes then instead; in the past: at once. An interval is counted from there. */
void CFRunLoopTimerSetNextFireDate(CFRunLoopTimerRef timer, CFAbsoluteTime fire_date);
void CFRunLoopTimerInvalidate(CFRunLoopTimerRef timer);         /* never called again; leaves its loop */
Boolean CFRunLoopTimerIsValid(CFRunLoopTimerRef timer);         /* not invalidated; any thread */

#ifdef __cplusplus
}
#endif
