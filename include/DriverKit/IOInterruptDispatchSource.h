/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A device's interrupts. On Linux they come from file descriptors that a provider is given: <ambidext/interrupt.h>.
 *
 * The handler runs on a queue like any other method. Interrupts that happen until it has run are counted, not queued: the next
 * run is told how many and when the last one was. IODispatchSource_SetEnable and IODispatchSource_Cancel_f are meant for it,
 * with these differences: the source is made switched off; what happens while it is off waits in the descriptor and is
 * delivered when it is switched on; after Cancel a SetEnable that would change anything is kIOReturnUnsupported, one that would
 * not is 0.
 *
 * Contract: memory-and-queues 10.2 (I1 to I5).
 */
#include <DriverKit/IODispatchSource.h>
#include <DriverKit/IOService.h>
#include <DriverKit/OSAction.h>

/*
 * The kind of callback (msgid of OSAction_Create): void method(void *self, OSAction *action, uint64_t count, uint64_t time)
 * count: interrupts since the last call; time: of the last one, as mach_absolute_time(), or as mach_continuous_time() if the
 * source was made so.
 */
#define IOInterruptDispatchSource_InterruptOccurred_ID 0x494f496e74000001ull

#define kIOInterruptTypeEdge 0
#define kIOInterruptTypeLevel 1                                 /* not looked for again until the handler has run */

#define kIOInterruptSourceIndexMask 0x0000ffffu
#define kIOInterruptSourceContinuousTime 0x00010000u            /* times go on while the machine sleeps */

#if defined(__IIG)
#include <DriverKit/IOInterruptDispatchSource.iig>
#elif defined(__cplusplus)
#include <DriverKit/IOInterruptDispatchSource.iig.h>
#else
struct IOInterruptDispatchSource_ivars;
typedef struct IOInterruptDispatchSource {
        IODispatchSource source;
        struct IOInterruptDispatchSource_ivars *ivars;
} IOInterruptDispatchSource;

extern const OSMetaClass gIOInterruptDispatchSourceMetaClass;

/*
 * Makes a source, switched off. indexAndFlags: the provider's number for the interrupt, or-ed with
 * kIOInterruptSourceContinuousTime. queue: must not be NULL; callbacks run on the queue of the action's target. The provider is
 * retained. 0: *source has one reference. kIOReturnBadArgument: NULL, other flags. kIOReturnNoInterrupt: the provider has no
 * such interrupt. kIOReturnNoResources: another source uses it and is neither cancelled nor freed, or no descriptor.
 * kIOReturnNoMemory. On failure *source is not written. Any thread.
 */
kern_return_t IOInterruptDispatchSource_Create(IOService *provider, uint32_t indexAndFlags, IODispatchQueue *queue,
                                               IOInterruptDispatchSource **source);

/*
 * *type: kIOInterruptTypeEdge or kIOInterruptTypeLevel; 0 on failure. 0; kIOReturnNoInterrupt; kIOReturnBadArgument: NULL. Any
 * thread.
 */
kern_return_t IOInterruptDispatchSource_GetInterruptType(IOService *provider, uint32_t index, uint64_t *interruptType);

/*
 * Sets what is called; the action is retained until it is replaced or the source is cancelled. NULL: nothing. The action's
 * msgid must be IOInterruptDispatchSource_InterruptOccurred_ID, else kIOReturnBadArgument. kIOReturnNotReady: cancelled. Any
 * thread.
 */
kern_return_t IOInterruptDispatchSource_SetHandler(IOInterruptDispatchSource *self, OSAction *action);

/*
 * *count: interrupts that no call of the handler has been told yet; *time: of the last one (0: there was none), also if it
 * has been delivered. Consumes nothing. Either may be NULL. Returns 0. Any thread.
 */
kern_return_t IOInterruptDispatchSource_GetLastInterrupt(IOInterruptDispatchSource *self, uint64_t *count, uint64_t *time);
#endif
