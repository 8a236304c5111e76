/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An action: a callback that somebody else invokes. It names a target object and one of the target's methods.
 *
 * Two kinds reach a driver. Actions it creates itself and gives to a source (a timer) call a method of its own object, on the
 * queue of that method (IOService_SetDispatchQueue) or else the object's default queue, in the order of the events. Actions it
 * receives as arguments->completion stand for an application's callback; it sends them off with IOUserClient_AsyncCompletion().
 *
 * Functions that take a block do as their `_f` forms; the block is copied, and the copy goes after it has run or when it never
 * will.
 *
 * Contract: memory-and-queues 8.1 to 8.3 (A1 to A13), call-path 4.1, 4.8.
 */
#include <DriverKit/IOTypes.h>
#include <DriverKit/OSCollections.h>
#include <DriverKit/OSObject.h>

AMB_CLASS(OSAction);

AMB_BLOCK_TYPE(OSActionCancelHandler, void, void);
AMB_BLOCK_TYPE(OSActionAbortedHandler, void, void);

#if defined(__IIG)
#include <DriverKit/OSAction.iig>
#elif defined(__cplusplus)
#include <DriverKit/OSAction.iig.h>
#else
struct OSAction_ivars;
struct OSAction {
        OSObject object;
        struct OSAction_ivars *ivars;
};

extern const OSMetaClass gOSActionMetaClass;

/*
 * Makes an action that calls method `targetmsgid` of `target`: the id under which the target's class lists the method in its
 * method table (AMB_METHOD(SENSORS_TICK, sensors_tick)). `msgid` says what kind of callback it is, and so the method's
 * signature:
 *      IOTimerDispatchSource_TimerOccurred_ID     void method(void *self, OSAction *action, uint64_t time)
 * referenceSize bytes of zeroed memory come along for the driver's own use, see OSAction_GetReference().
 *
 * 0: *action has one reference. kIOReturnBadArgument: no target, target is no IOService, or its class has no such method.
 * kIOReturnNoMemory. On failure *action is not written. The action's class is OSAction. The target is retained until the action
 * is cancelled or freed: a service that keeps its own actions cancels or releases them in Stop, or it is never freed. Any
 * thread.
 */
kern_return_t OSAction_Create(OSObject *target, uint64_t targetmsgid, uint64_t msgid, size_t referenceSize, OSAction **action);

/*
 * The same, of a class of its own: a subclass of OSAction with this name, which OSObject_GetClassName() shows. A method that is
 * listed with AMB_ACTION_METHOD takes only actions of the class made for it: others are dropped when they are delivered
 * (kIOReturnBadArgument, which a one-way call has nobody to tell; the log says it). kIOReturnBadArgument also: typeName NULL,
 * empty or longer than 127 bytes. Any thread.
 */
kern_return_t OSAction_CreateWithTypeName(OSObject *target, uint64_t targetmsgid, uint64_t msgid, size_t referenceSize,
                                          OSString *typeName, OSAction **action);

/*
 * For a method that actions call: defines Class_CreateActionMethod(self, referenceSize, &action), which makes an action of the
 * class OSAction_Class_Method for it. `type_msgid` is the kind of callback (msgid above). The class lists the method by
 * AMB_ACTION_METHOD(Class, Method, implementation), its id is Class_Method_ID:
 *
 *      #define Sensors_Tick_ID 0x53656e7300000001ull
 *      static void sensors_tick(Sensors *self, OSAction *action, uint64_t time) ...
 *      OSDefineAction(Sensors, Tick, IOTimerDispatchSource_TimerOccurred_ID);
 *      static const struct amb_method sensors_methods[] = { AMB_ACTION_METHOD(Sensors, Tick, sensors_tick), ...
 *
 *      r = Sensors_CreateActionTick(self, 0, &action);
 */
#define OSDefineAction(Class, Method, type_msgid)                                                                       \
        static __attribute__((unused)) kern_return_t Class##_CreateAction##Method(struct Class *self, size_t referenceSize, \
                                                                                  OSAction **action)                    \
        {                                                                                                               \
                static const char type_name[] = "OSAction_" #Class "_" #Method;                                         \
                OSString *type = OSStringCreate(type_name, sizeof(type_name) - 1);                                      \
                kern_return_t code = kIOReturnNoMemory;                                                                 \
                if (type)                                                                                               \
                        code = OSAction_CreateWithTypeName((OSObject *)self, Class##_##Method##_ID, (type_msgid),       \
                                                           referenceSize, type, action);                                \
                OSObject_release(type);                                                                                 \
                return code;                                                                                            \
        }                                                                                                               \
        struct Class    /* takes the semicolon */

/*
 * The memory of referenceSize bytes, valid as long as the action; NULL when the size was 0, and for actions that somebody else
 * created (an application's completion). Any thread.
 */
void *OSAction_GetReference(OSAction *self);

/*
 * Stops the action for good: its method is not called any more, completions sent through it are dropped, a Wait ends. When a
 * callback in progress has finished, handler(context) runs once, asynchronously (handler may be NULL); then the target is
 * released. A second Cancel runs its handler too. 0; kIOReturnNoMemory. Any thread, also from inside the action's own method.
 */
kern_return_t OSAction_Cancel_f(OSAction *self, void *context, void (*handler)(void *context));
#ifdef __BLOCKS__
kern_return_t OSAction_Cancel(OSAction *self, OSActionCancelHandler handler);
#endif

/*
 * handler(context) runs asynchronously when nobody can invoke the action any more: the last source that it was given to has
 * been cancelled, freed or given another action. At most once in the life of the action; a later handler replaces the earlier
 * one, NULL takes it away. On an application's completion, which somebody else created, it has no effect. 0; kIOReturnNoMemory
 * (of the block's copy). Any thread.
 */
kern_return_t OSAction_SetAbortedHandler_f(OSAction *self, void *context, void (*handler)(void *context));
#ifdef __BLOCKS__
kern_return_t OSAction_SetAbortedHandler(OSAction *self, OSActionAbortedHandler handler);
#endif

/*
 * Waiting for the next invocation. WillWait comes before anything that may lead to it; Wait returns when the method has run;
 * EndWait gives the token back, in any case.
 *
 * WillWait: 0: *token is valid until EndWait. kIOReturnBusy: somebody has one already. kIOReturnUnsupported: an application's
 * completion. kIOReturnBadArgument: token NULL.
 *
 * Wait: 0: the method has been called and has returned. kIOReturnAborted: that will not happen any more: the action has been
 * cancelled, the last source has let go of it, or another thread has called EndWait. kIOReturnTimeout: the deadline has passed
 * (absolute, on the clock that clockOption names, as IODispatchQueue_SleepWithDeadline; both 0: no limit), Wait can be called
 * again. Without a wait: kIOReturnBadArgument (not the current token, an unknown clock), kIOReturnBusy (another thread
 * waits), kIOReturnNotPermitted (the caller is on the queue on which the method would have to run).
 *
 * EndWait: 0, kIOReturnAborted as Wait; kIOReturnTimeout: neither has happened. kIOReturnBadArgument: not the current token.
 *
 * Any thread; the caller holds a reference to the action.
 */
kern_return_t OSAction_WillWait(OSAction *self, void **token);
kern_return_t OSAction_Wait(OSAction *self, void *token, uint64_t clockOption, uint64_t deadline);
kern_return_t OSAction_EndWait(OSAction *self, void *token);
#endif
