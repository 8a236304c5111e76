/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Tells a driver that items of a service's state have changed: named dictionaries, see IOService_StateNotificationItemSet().
 *
 * It tells once and is then silent until StateNotificationBegin. So the handler calls Begin first and then reads the items: a
 * change after that brings the next call. IODispatchSource_Cancel_f and its block form are kIOReturnUnsupported: release the
 * source. IODispatchSource_SetEnable keeps a flag that holds nothing back.
 *
 * Contract: memory-and-queues 10.4 (N6, N7), lifecycle-registry 1.9.
 */
#include <DriverKit/IODispatchSource.h>
#include <DriverKit/IOService.h>
#include <DriverKit/OSAction.h>

/* The kind of callback (msgid of OSAction_Create): void method(void *self, OSAction *action) */
#define IOServiceStateNotificationDispatchSource_StateNotificationReady_ID 0x494f537472000001ull

#if defined(__IIG)
#include <DriverKit/IOServiceStateNotificationDispatchSource.iig>
#elif defined(__cplusplus)
#include <DriverKit/IOServiceStateNotificationDispatchSource.iig.h>
#else
struct IOServiceStateNotificationDispatchSource_ivars;
typedef struct IOServiceStateNotificationDispatchSource {
        IODispatchSource source;
        struct IOServiceStateNotificationDispatchSource_ivars *ivars;
} IOServiceStateNotificationDispatchSource;

extern const OSMetaClass gIOServiceStateNotificationDispatchSourceMetaClass;

/*
 * Makes a source for the items of these names (OSString; the array is copied); items that the service does not have are made,
 * without a value. service: of this process; retained. queue: must not be NULL; callbacks run on the queue of the action's
 * target. 0: *source has one reference. kIOReturnBadArgument: NULL, or an element that is no string. kIOReturnUnsupported: the
 * service is not of this process. kIOReturnNoMemory. Any thread.
 */
kern_return_t IOServiceStateNotificationDispatchSource_Create(IOService *service, OSArray *items, IODispatchQueue *queue,
                                                              IOServiceStateNotificationDispatchSource **source);

/*
 * Sets what is called, and has it called once at once. The action is retained until it is replaced or the source is freed.
 * kIOReturnBadArgument: NULL, or the action's msgid is not
 * IOServiceStateNotificationDispatchSource_StateNotificationReady_ID. Any thread.
 */
kern_return_t IOServiceStateNotificationDispatchSource_SetHandler(IOServiceStateNotificationDispatchSource *self, OSAction *action);

/* From now on the next change of an item is told, once. Returns 0. Any thread. */
kern_return_t IOServiceStateNotificationDispatchSource_StateNotificationBegin(IOServiceStateNotificationDispatchSource *self);
#endif
