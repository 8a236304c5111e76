/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A serial queue: runs one thing at a time, first in, first out.
 *
 * A queue is bound to no thread. What is dispatched asynchronously runs on a thread of the runtime; what is dispatched
 * synchronously runs on the caller's thread while the queue belongs to it. Each service has a default queue, on which its methods
 * run (IOService_CopyDispatchQueue).
 *
 * Contract: memory-and-queues 9.1, 9.2 (D1 to D6, D18).
 */
#include <DriverKit/IOTypes.h>
#include <DriverKit/OSObject.h>

#ifdef __cplusplus
extern "C" {
#endif

struct IODispatchQueue_ivars;
typedef struct IODispatchQueue {
        OSObject object;
        struct IODispatchQueue_ivars *ivars;
} IODispatchQueue;

extern const OSMetaClass gIODispatchQueueMetaClass;

typedef char IODispatchQueueName[256];
typedef void (*IODispatchFunction)(void *context);

/*
 * Makes a queue. name: at most 255 bytes, the rest is cut off; for GetName and debuggers. options: 0; priority: 0.
 * 0: *queue has one reference. kIOReturnUnsupported: other options. kIOReturnBadArgument: NULL name or queue. kIOReturnNoMemory.
 */
kern_return_t IODispatchQueue_Create(const char *name, uint64_t options, uint64_t priority, IODispatchQueue **queue);

/* Valid as long as the queue. */
const char *IODispatchQueue_GetName(IODispatchQueue *self);

/* Does the calling thread run on this queue now, directly or further out in nested synchronous dispatches? */
bool IODispatchQueue_OnQueue(IODispatchQueue *self);

/*
 * Runs function(context) later, after everything that reached the queue before. Returns at once. The queue is retained until then.
 * Dropped silently when the queue is or gets cancelled before. Any thread.
 */
void IODispatchQueue_DispatchAsync_f(IODispatchQueue *self, void *context, IODispatchFunction function);

/*
 * Runs function(context) on the calling thread when it is its turn; returns after it. From a thread that is on this queue already it runs
 * at once. Not run when the queue has been cancelled. Any thread.
 */
void IODispatchQueue_DispatchSync_f(IODispatchQueue *self, void *context, IODispatchFunction function);

/* The same for a function with a result, which is returned. kIOReturnAborted: the queue has been cancelled, function did not run. */
kern_return_t IODispatchQueue_RunAction_f(IODispatchQueue *self, void *context, kern_return_t (*function)(void *context));

/*
 * Ends the queue: nothing more is taken from it, what waits is dropped. After what runs on it now, handler(context) runs
 * once on a thread of the runtime; handler may be NULL. Legal on the queue itself. Returns 0; a later Cancel only runs its handler.
 * The default queue of a service is not the driver's to cancel.
 */
kern_return_t IODispatchQueue_Cancel_f(IODispatchQueue *self, void *context, IODispatchFunction handler);

#ifdef __cplusplus
}
#endif
