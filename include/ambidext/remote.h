/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Calls between the objects of a driver that go where the runtime's own calls go: to the queue that serves the method. What iig
 * generates for C++ calls these (docs/IIG.md); a driver in C may, too.
 *
 * A method with a queue name runs on that queue, others on the object's default queue (IOService_SetDispatchQueue). An object
 * that is no service has no queue: its methods run where they are called. Any thread.
 *
 * Contract: iig-language 5 (X1), memory-and-queues 9.3.
 */
#include <stdbool.h>
#include <stdint.h>

#include <DriverKit/IOReturn.h>

#ifdef __cplusplus
extern "C" {
class OSObject;
class OSAction;
#else
#include <DriverKit/OSAction.h>
#endif

/* May the caller run method `id` of the object right now, because it is on the method's queue, or there is none? */
bool amb_method_here(OSObject *object, uint64_t id);

/*
 * Runs function(context) on the queue of method `id` and returns after it. 0. kIOReturnUnsupported: the object's class has no such
 * method. kIOReturnAborted: the queue has been cancelled; function did not run.
 */
kern_return_t amb_method_run(OSObject *object, uint64_t id, void *context, void (*function)(void *context));

/*
 * Runs it later, in its turn, and then done(context), which runs in every case, also after a failure; the object is retained until
 * then. 0; kIOReturnUnsupported; kIOReturnNoMemory.
 */
kern_return_t amb_method_post(OSObject *object, uint64_t id, void *context, void (*function)(void *context),
                              void (*done)(void *context));

/*
 * Invokes an action: call(context, method, target) later, on the queue of the method that it names, as a source would; then
 * done(context), in every case. msgid: the kind of callback that the caller knows how to call. 0. kIOReturnBadArgument: action is
 * NULL or of another kind. kIOReturnAborted: it has been cancelled. kIOReturnNoMemory.
 */
kern_return_t amb_action_post(OSAction *action, uint64_t msgid, void *context,
                              void (*call)(void *context, void (*method)(void), OSObject *target), void (*done)(void *context));

#ifdef __cplusplus
}
#endif
