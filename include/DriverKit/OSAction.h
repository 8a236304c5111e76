/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An action: a callback that somebody else invokes. It names a target object and one of the target's methods.
 *
 * Two kinds reach a driver. Actions it creates itself and gives to a source (a timer) call a method of its own object on that
 * object's default queue. Actions it receives as arguments->completion stand for an application's callback; it sends them off
 * with IOUserClient_AsyncCompletion().
 *
 * Contract: memory-and-queues 8.1 to 8.3 (A1 to A4, A6), call-path 4.1, 4.8.
 */
#include <DriverKit/IOTypes.h>
#include <DriverKit/OSObject.h>

#ifdef __cplusplus
extern "C" {
#endif

struct OSAction_ivars;
typedef struct OSAction {
        OSObject object;
        struct OSAction_ivars *ivars;
} OSAction;

extern const OSMetaClass gOSActionMetaClass;

/*
 * Makes an action that calls method `targetmsgid` of `target`: the id under which the target's class lists the method in its
 * method table (AMB_METHOD(SENSORS_TICK, sensors_tick)). `msgid` says what kind of callback it is, and so the method's
 * signature:
 *      IOTimerDispatchSource_TimerOccurred_ID     void method(void *self, OSAction *action, uint64_t time)
 * referenceSize bytes of zeroed memory come along for the driver's own use, see OSAction_GetReference().
 *
 * 0: *action has one reference. kIOReturnBadArgument: no target, target is no IOService, or its class has no such method.
 * kIOReturnNoMemory. On failure *action is not written. The target is retained until the action is cancelled or freed: a
 * service that keeps its own actions cancels or releases them in Stop, or it is never freed. Any thread.
 */
kern_return_t OSAction_Create(OSObject *target, uint64_t targetmsgid, uint64_t msgid, size_t referenceSize, OSAction **action);

/*
 * The memory of referenceSize bytes, valid as long as the action; NULL when the size was 0, and for actions that somebody else
 * created (an application's completion). Any thread.
 */
void *OSAction_GetReference(OSAction *self);

/*
 * Stops the action for good: its method is not called any more, completions sent through it are dropped. When a callback in
 * progress has finished, handler(context) runs once, asynchronously (handler may be NULL); then the target is released. A
 * second Cancel runs its handler too. Returns 0. Any thread, also from inside the action's own method.
 */
kern_return_t OSAction_Cancel_f(OSAction *self, void *context, void (*handler)(void *context));

/*
 * handler(context) runs asynchronously when nobody can invoke the action any more: the last source that it was given to has
 * been cancelled, freed or given another action. At most once in the life of the action; a later handler replaces the earlier
 * one, NULL takes it away. On an application's completion, which somebody else created, it has no effect. Returns 0. Any
 * thread.
 */
kern_return_t OSAction_SetAbortedHandler_f(OSAction *self, void *context, void (*handler)(void *context));

#ifdef __cplusplus
}
#endif
