/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A serial queue: runs one thing at a time, first in, first out. A reentrant one can be given up while something that runs on
 * it sleeps, and runs what is dispatched concurrently side by side.
 *
 * A queue is bound to no thread. What is dispatched asynchronously runs on a thread of the runtime; what is dispatched
 * synchronously runs on the caller's thread while the queue belongs to it. Each service has a default queue, on which its
 * methods run (IOService_CopyDispatchQueue).
 *
 * A driver that writes blocks is compiled by clang -fblocks and linked with the blocks runtime (-lBlocksRuntime, which pkg-config
 * --libs ambidext-driver gives). Functions that take a block do as their `_f` forms, which take a function and its context. A
 * block that will run later is copied, and with it what it has captured; the copy goes after it has run, or when it is dropped.
 *
 * In C++ the functions are methods: queue->DispatchAsync(^{ ... }), IODispatchQueue::Create(name, 0, 0, &queue).
 *
 * Contract: memory-and-queues 9.1, 9.2 (D1 to D10, D18).
 */
#include <DriverKit/IOTypes.h>
#include <DriverKit/OSObject.h>

typedef char IODispatchQueueName[256];
typedef void (*IODispatchFunction)(void *context);
typedef int (*IODispatchLogFunction)(const char *format, ...);
AMB_BLOCK_TYPE(IODispatchBlock, void, void);
AMB_BLOCK_TYPE(IODispatchAction, kern_return_t, void);
typedef IODispatchBlock IODispatchQueueCancelHandler;

/* Options of Create: DispatchConcurrent, Sleep and Wakeup are allowed. */
#define kIODispatchQueueReentrant 0x0000000000000001ull
/*
 * Methods that run on the queue need not be kept apart from each other and from its blocks. A permission: they are kept apart
 * here all the same.
 */
#define kIODispatchQueueMethodsNotSynchronized 0x0000000000000002ull
/* Of WakeupWithOptions: all sleepers, not only the one that has slept longest. */
#define kIODispatchQueueWakeupAll 0x0000000000000001ull
/*
 * Of SleepWithDeadline, or-ed to the clock: the event will be slept on again. Events need no such care here: accepted, no
 * effect.
 */
#define kIODispatchQueueSleepReuseEvent 0x0000000000000100ull

#if defined(__IIG)
#include <DriverKit/IODispatchQueue.iig>
#elif defined(__cplusplus)
#include <DriverKit/IODispatchQueue.iig.h>
#else
struct IODispatchQueue_ivars;
typedef struct IODispatchQueue {
        OSObject object;
        struct IODispatchQueue_ivars *ivars;
} IODispatchQueue;

extern const OSMetaClass gIODispatchQueueMetaClass;

/*
 * Makes a queue. name: at most 255 bytes, the rest is cut off; for GetName and debuggers. options: 0 or some of the two above;
 * priority: 0. 0: *queue has one reference. On failure *queue is not written. kIOReturnUnsupported: other options, another
 * priority. kIOReturnBadArgument: NULL name or queue. kIOReturnNoMemory. Any thread.
 */
kern_return_t IODispatchQueue_Create(const char *name, uint64_t options, uint64_t priority, IODispatchQueue **queue);

/* The name, at most 255 bytes, valid as long as the queue. Any thread. */
const char *IODispatchQueue_GetName(IODispatchQueue *self);

/* Does the calling thread run on this queue now, directly or further out in nested synchronous dispatches? */
bool IODispatchQueue_OnQueue(IODispatchQueue *self);

/*
 * Runs function(context) later, after everything that reached the queue before. Returns at once. The queue is retained until
 * then. Dropped silently when the queue is or gets cancelled before. Any thread.
 */
void IODispatchQueue_DispatchAsync_f(IODispatchQueue *self, void *context, IODispatchFunction function);
void IODispatchQueue_DispatchAsync(IODispatchQueue *self, IODispatchBlock block);

/*
 * The same, but functions that are dispatched so on a reentrant queue may run side by side, each on a thread of the runtime;
 * never beside anything else of the queue, and not before what reached the queue earlier. On other queues it is DispatchAsync.
 * Any thread.
 */
void IODispatchQueue_DispatchConcurrent_f(IODispatchQueue *self, void *context, IODispatchFunction function);
void IODispatchQueue_DispatchConcurrent(IODispatchQueue *self, IODispatchBlock block);

/*
 * Runs function(context) on the calling thread when it is its turn; returns after it. From a thread that is on this queue
 * already it runs at once. Not run when the queue has been cancelled. Any thread.
 */
void IODispatchQueue_DispatchSync_f(IODispatchQueue *self, void *context, IODispatchFunction function);
void IODispatchQueue_DispatchSync(IODispatchQueue *self, IODispatchBlock block);

/*
 * The same for a function with a result, which is returned. kIOReturnAborted: the queue has been cancelled, function did not
 * run.
 */
kern_return_t IODispatchQueue_RunAction_f(IODispatchQueue *self, void *context, kern_return_t (*function)(void *context));
kern_return_t IODispatchQueue_RunAction(IODispatchQueue *self, IODispatchAction block);

/*
 * Ends the queue: nothing more is taken from it, what waits is dropped. After what runs on it now, handler(context) runs
 * once on a thread of the runtime; handler may be NULL. Legal on the queue itself. 0; a later Cancel only runs its
 * handler. kIOReturnNoMemory. The default queue of a service is not the driver's to cancel. Any thread.
 */
kern_return_t IODispatchQueue_Cancel_f(IODispatchQueue *self, void *context, IODispatchFunction handler);
kern_return_t IODispatchQueue_Cancel(IODispatchQueue *self, IODispatchQueueCancelHandler handler);

/*
 * --- reentrant queues ---
 * Sleeps until a wake-up for `event` (any address but NULL; only compared) or the deadline, and gives the queue up meanwhile:
 * other work of the queue runs, also other calls of the same connection when an ExternalMethod sleeps. In every case the caller
 * holds the queue again when the call returns, in its turn, also when the queue has been cancelled. Other queues that the
 * caller is on are not given up. Called on the queue. deadline: absolute, on the clock that options name (kIOTimerClock...,
 * IOTimerDispatchSource.h), a past one is due at once; after a sleep of the machine, one of the two clocks that go on meanwhile
 * is noticed late by as much. timeout: nanoseconds from now, UINT64_MAX is as good as never. 0: woken.
 * kIOReturnTimeout. Without a wait: kIOReturnUnsupported (not a reentrant queue), kIOReturnNotPermitted (not on the queue),
 * kIOReturnBadArgument (event NULL, unknown clock).
 */
kern_return_t IODispatchQueue_SleepWithDeadline(IODispatchQueue *self, void *event, uint64_t options, uint64_t deadline);
kern_return_t IODispatchQueue_SleepWithTimeout(IODispatchQueue *self, void *event, uint64_t timeout);
kern_return_t IODispatchQueue_Sleep(IODispatchQueue *self, void *event, uint64_t timeout);      /* = SleepWithTimeout */

/*
 * Wakes the thread that has slept longest on `event`, or all; they return after what runs and waits on the queue now. Nobody
 * sleeps: nothing happens. Called on the queue. options: 0 or kIODispatchQueueWakeupAll. 0; kIOReturnUnsupported,
 * kIOReturnNotPermitted, kIOReturnBadArgument as above and for other options.
 */
kern_return_t IODispatchQueue_Wakeup(IODispatchQueue *self, void *event);
kern_return_t IODispatchQueue_WakeupWithOptions(IODispatchQueue *self, void *event, uint64_t options);

/* For debugging: `message` and the queues that the calling thread is on, a line each, through output (a printf). */
void IODispatchQueue_Log(const char *message, IODispatchLogFunction output);
#endif
