/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Tells a driver which services come and go: those of its own driver host that match a dictionary. Services of other hosts are
 * not reported, whatever they match.
 *
 * A service is Matched when it has registered, each time it does, and when it was registered as the source was made;
 * Terminated when its end begins, if its Matched has been taken. One that ends earlier is not reported at all.
 * IODispatchSource_Cancel_f and its block form are kIOReturnUnsupported: release the source. IODispatchSource_SetEnable
 * keeps a flag that holds nothing back.
 *
 * Contract: memory-and-queues 10.3 (N1 to N5), lifecycle-registry 3.6.
 */
#include <DriverKit/IODispatchSource.h>
#include <DriverKit/IOService.h>
#include <DriverKit/OSAction.h>

/* The kind of callback (msgid of OSAction_Create): void method(void *self, OSAction *action) */
#define IOServiceNotificationDispatchSource_ServiceNotificationReady_ID 0x494f4e7472000001ull

#define kIOServiceNotificationTypeTerminated 0x00000000ull
#define kIOServiceNotificationTypeMatched 0x00000001ull
#define kIOServiceNotificationTypeNone 0xffffffffull

/* type: one of these. */
AMB_BLOCK_TYPE(IOServiceNotificationBlock, void, uint64_t type, IOService *service, uint64_t options);

#if defined(__IIG)
#include <DriverKit/IOServiceNotificationDispatchSource.iig>
#elif defined(__cplusplus)
#include <DriverKit/IOServiceNotificationDispatchSource.iig.h>
#else
struct IOServiceNotificationDispatchSource_ivars;
typedef struct IOServiceNotificationDispatchSource {
        IODispatchSource source;
        struct IOServiceNotificationDispatchSource_ivars *ivars;
} IOServiceNotificationDispatchSource;

extern const OSMetaClass gIOServiceNotificationDispatchSourceMetaClass;

/*
 * Makes a source. matching: copied; what it may ask for: lifecycle-registry 5.1 (IOProviderClass, IONameMatch,
 * IOPropertyMatch, IOPropertyExistsMatch, IORegistryEntryID, IOParentMatch; a criterion that only the registry could decide,
 * IOPathMatch or IOMatchedServiceCountMatch, matches nothing). options: 0. queue: must not be NULL; callbacks run on the queue
 * of the action's target. 0: *source has one reference. kIOReturnBadArgument, kIOReturnNoMemory. Any thread.
 */
kern_return_t IOServiceNotificationDispatchSource_Create(OSDictionary *matching, uint64_t options, IODispatchQueue *queue,
                                                         IOServiceNotificationDispatchSource **source);

/*
 * Sets what is called when something has happened; at once if something has already. It is called when the first Matched, or
 * the first Terminated, waits to be taken; not again until all of that kind have been. The action is retained until it is
 * replaced or the source is freed. kIOReturnBadArgument: NULL, or the action's msgid is not
 * IOServiceNotificationDispatchSource_ServiceNotificationReady_ID. Any thread.
 */
kern_return_t IOServiceNotificationDispatchSource_SetHandler(IOServiceNotificationDispatchSource *self, OSAction *action);

/*
 * Calls function(context, type, service, options) for everything that waits to be taken, on the calling thread: all Terminated
 * first, each kind in order. service is valid during the call only, unless it is retained; options is 0. Returns 0. Any thread.
 */
kern_return_t IOServiceNotificationDispatchSource_DeliverNotifications_f(IOServiceNotificationDispatchSource *self, void *context,
                                                                         void (*function)(void *context, uint64_t type,
                                                                                          IOService *service, uint64_t options));
kern_return_t IOServiceNotificationDispatchSource_DeliverNotifications(IOServiceNotificationDispatchSource *self,
                                                                       IOServiceNotificationBlock block);

/*
 * Takes the next one: *service has one reference. Nothing waits: *type is kIOServiceNotificationTypeNone, *service NULL. *options
 * becomes 0. Returns 0; kIOReturnBadArgument: a NULL pointer. Any thread.
 */
kern_return_t IOServiceNotificationDispatchSource_CopyNextNotification(IOServiceNotificationDispatchSource *self, uint64_t *type,
                                                                       IOService **service, uint64_t *options);
#endif
