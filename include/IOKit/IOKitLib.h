/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * IOKit's client interface: finding services, opening them, calling them, hearing from them, mapping their memory.
 *
 * Handles (io_object_t and its like) are 32-bit numbers of this process; 0 is none. Each counts references: a call that returns
 * a handle adds one, IOObjectRelease drops one, the same object has the same handle as long as one is held. A forked child has
 * none of its parent's. Unless a call says otherwise: 0, an unknown handle or one whose object is gone gives
 * MACH_SEND_INVALID_DEST, a live handle of the wrong kind kIOReturnBadArgument, and out-parameters are untouched on error.
 *
 * While the registry daemon cannot be reached, look-ups find nothing, calls on a live entry and IOServiceOpen give
 * kIOReturnOffline, and open connections go on; handles of entries stay good for the next daemon.
 *
 * Every call may be made from any thread at any time, except where a notification port is named (see there). No call installs a
 * signal handler or is ended by a signal. The first failing look-up does not say why; amb_registry_explain() does.
 *
 * Names that go in are `const char *`, the type that Darwin's `const io_name_t` parameters decay to: an array parameter of 128
 * bytes makes gcc warn of every shorter literal. At most 127 bytes of a name count.
 *
 * <AvailabilityMacros.h>, <TargetConditionals.h>, Darwin's attributes and the C headers below come along, because programs take
 * them for granted (real-code 1.9, 1.10). What they take from <stdlib.h> and <stdio.h> is in the directory darwin/.
 *
 * Contract: call-path 1 to 5, lifecycle-registry 2 and 6, memory-and-queues 3, real-code 1 and 3 'IOKit functions'; each group
 * below names its sections and the rows of its conformance tables.
 */
#include <arpa/inet.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <AvailabilityMacros.h>
#include <TargetConditionals.h>
#include <ambidext/cdefs.h>

#include <CoreFoundation/CFArray.h>
#include <CoreFoundation/CFBase.h>
#include <CoreFoundation/CFData.h>
#include <CoreFoundation/CFDictionary.h>
#include <CoreFoundation/CFNumber.h>
#include <CoreFoundation/CFRunLoop.h>
#include <CoreFoundation/CFString.h>
#include <IOKit/IOKitKeys.h>
#include <IOKit/IOTypes.h>
#include <IOKit/OSMessageNotification.h>
#include <dispatch/dispatch.h>
#include <libkern/OSByteOrder.h>
#include <mach/mach_init.h>
#include <mach/mach_port.h>
#include <mach/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- the registry's door (lifecycle-registry 6.1, rows 174 to 205) --- */

/* Means "the registry of this process's environment" wherever a main port is asked for; 0 is the same. */
extern const mach_port_t kIOMainPortDefault;
extern const mach_port_t kIOMasterPortDefault;
/* A handle for the same; drop it with mach_port_deallocate. bootstrap is ignored. 0; kIOReturnNoMemory. */
kern_return_t IOMainPort(mach_port_t bootstrap, mach_port_t *main_port);
kern_return_t IOMasterPort(mach_port_t bootstrap, mach_port_t *main_port);

/*
 * --- finding services (lifecycle-registry 5.3, 6.1, 6.2, rows 155 to 205) ---
 * Codes of a look-up: kIOReturnNotPrivileged (main_port is neither 0 nor of IOMainPort(); look-ups of entries ignore it),
 * kIOReturnBadArgument (matching is NULL or no dictionary), kIOReturnUnsupported (it holds what is no property, such as a
 * floating point number), kIOReturnMessageTooLarge (over 4 MiB, 16384 values or 32 levels), kIOReturnNoMemory.
 */

/*
 * Matching dictionaries: one reference for the caller, NULL without memory or name. A service is found by its class or a
 * superclass (IOServiceMatching), by its entry's name, which is the driver's class unless it set another
 * (IOServiceNameMatching), or by its id. More keys may be added with CFDictionarySetValue; all must hold.
 */
CFMutableDictionaryRef IOServiceMatching(const char *name);
CFMutableDictionaryRef IOServiceNameMatching(const char *name);
CFMutableDictionaryRef IORegistryEntryIDMatching(uint64_t entry_id);
/* By the property "BSD Name", which only drivers set that have such a name. main_port and options are ignored. */
CFMutableDictionaryRef IOBSDNameMatching(mach_port_t main_port, uint32_t options, const char *bsd_name);

/*
 * The first service that matches and is active, or 0: none, no registry, or no dictionary.
 * Takes the caller's reference of the dictionary, also on failure.
 */
io_service_t IOServiceGetMatchingService(mach_port_t main_port, CFDictionaryRef matching);
/*
 * All of them, in registry order: 0 and an iterator over what matched now; 0 and *existing = 0 when nothing matched or there is
 * no registry; else a code as above. Takes the caller's reference of the dictionary, also on failure.
 */
kern_return_t IOServiceGetMatchingServices(mach_port_t main_port, CFDictionaryRef matching, io_iterator_t *existing);
/* Does this service match now? Does not take the dictionary. Codes as above; on failure *matches stays. */
kern_return_t IOServiceMatchPropertyTable(io_service_t service, CFDictionaryRef matching, boolean_t *matches);

/* --- handles (lifecycle-registry 6.6, rows 174 to 205) --- */

/* 0 is accepted and does nothing. KERN_INVALID_NAME: no such handle. Releasing the last reference of a connection closes it. */
kern_return_t IOObjectRetain(io_object_t object);
kern_return_t IOObjectRelease(io_object_t object);
/* The class in the registry ("IOUserService"), not the driver's own (property IOUserClass); at most 127 bytes and a NUL. */
kern_return_t IOObjectGetClass(io_object_t object, io_name_t class_name);
CFStringRef IOObjectCopyClass(io_object_t object);              /* one reference for the caller; NULL on any error */
/* Is that its class or one of the superclasses? Are both the same object? No on any error. */
boolean_t IOObjectConformsTo(io_object_t object, const char *class_name);
boolean_t IOObjectIsEqualTo(io_object_t object, io_object_t other);
uint32_t IOObjectGetUserRetainCount(io_object_t object);        /* 0 on any error */
/* References to what the handle stands for, in this process: there is no kernel that has any. For diagnostics. 0 on any error. */
uint32_t IOObjectGetKernelRetainCount(io_object_t object);
uint32_t IOObjectGetRetainCount(io_object_t object);            /* the same by its older name */
/*
 * The superclass of a class that some entry of the registry has, or is a subclass of: one reference for the caller. NULL: unknown,
 * the root class, no memory, or no registry.
 */
CFStringRef IOObjectCopySuperclassForClass(CFStringRef class_name);

/* --- iterators (lifecycle-registry 6.3) --- */

/*
 * A handle that is no iterator: 0, false, no effect.
 * The next object, with a reference for the caller, or 0: at the end (a notification's iterator is armed by that), not an
 * iterator.
 */
io_object_t IOIteratorNext(io_iterator_t iterator);
void IOIteratorReset(io_iterator_t iterator);                   /* starts again; no effect on a notification's iterator */
boolean_t IOIteratorIsValid(io_iterator_t iterator);            /* false: the registry has changed below a recursive iterator */

/* --- entries (lifecycle-registry 5.6, 6.7, rows 174 to 205, 234) --- */

enum { kIORegistryIterateRecursively = 0x1, kIORegistryIterateParents = 0x2 };

io_registry_entry_t IORegistryGetRootEntry(mach_port_t main_port);      /* with a reference for the caller; 0: no registry */
/* At most 127 bytes and a NUL. */
kern_return_t IORegistryEntryGetName(io_registry_entry_t entry, io_name_t name);
/* The same in every plane. */
kern_return_t IORegistryEntryGetNameInPlane(io_registry_entry_t entry, const char *plane, io_name_t name);
/* "IOService:/IOUserResources/Sensors". kIOReturnBadArgument: unknown plane, or longer than 511 bytes. */
kern_return_t IORegistryEntryGetPath(io_registry_entry_t entry, const char *plane, io_string_t path);
/* The same, up to 16384 bytes, with one reference for the caller; NULL on any error. */
CFStringRef IORegistryEntryCopyPath(io_registry_entry_t entry, const char *plane);
/* The entry at such a path, with a reference for the caller; the first one where names repeat. 0: none, or no registry. */
io_registry_entry_t IORegistryEntryFromPath(mach_port_t main_port, const char *path);
io_registry_entry_t IORegistryEntryCopyFromPath(mach_port_t main_port, CFStringRef path);
/* Nothing here has a location, which hardware's buses give: kIOReturnNotFound, and location stays. */
kern_return_t IORegistryEntryGetLocationInPlane(io_registry_entry_t entry, const char *plane, io_name_t location);
/* On failure *entry_id becomes 0. */
kern_return_t IORegistryEntryGetRegistryEntryID(io_registry_entry_t entry, uint64_t *entry_id);
/* Is it attached (the same in every plane)? No on any error. */
boolean_t IORegistryEntryInPlane(io_registry_entry_t entry, const char *plane);
/* A copy of all properties: one reference for the caller. options: 0. */
kern_return_t IORegistryEntryCreateCFProperties(io_registry_entry_t entry, CFMutableDictionaryRef *properties,
                                                CFAllocatorRef allocator, IOOptionBits options);
/* One property: one reference for the caller; NULL: absent, or any error. */
CFTypeRef IORegistryEntryCreateCFProperty(io_registry_entry_t entry, CFStringRef key, CFAllocatorRef allocator,
                                          IOOptionBits options);
/*
 * The entry's own, else with kIORegistryIterateRecursively that of the nearest child, with kIORegistryIterateParents too:
 * parent.
 */
CFTypeRef IORegistryEntrySearchCFProperty(io_registry_entry_t entry, const char *plane, CFStringRef key,
                                          CFAllocatorRef allocator, IOOptionBits options);
/*
 * A property's bytes: data as it is, strings and booleans ("Yes", "No") with their NUL, numbers little-endian in their width.
 * *size: bytes of the buffer, then of the property. kIOReturnNoResources: absent; kIOReturnIPCError: buffer too small;
 * kIOReturnBadArgument: an array or a dictionary.
 */
kern_return_t IORegistryEntryGetProperty(io_registry_entry_t entry, const char *name, io_struct_inband_t buffer,
                                         uint32_t *size);
/*
 * Asks an entry, or the driver's end of a connection, to take properties: a dictionary, or one key and value. What driver
 * extensions make takes none, as on macOS, and their SetProperties is not called: kIOReturnUnsupported. Before that:
 * kIOReturnBadArgument (NULL; neither entry nor connection; a key that the entry's list IORegistryEntryAllowableSetProperties
 * has not), kIOReturnNotPermitted (the entry has such a list and this is no dictionary), kIOReturnNotPrivileged (IOResources),
 * kIOReturnUnsupported (what is no property value), kIOReturnMessageTooLarge.
 */
kern_return_t IORegistryEntrySetCFProperties(io_registry_entry_t entry, CFTypeRef properties);
kern_return_t IORegistryEntrySetCFProperty(io_registry_entry_t entry, CFStringRef key, CFTypeRef property);
kern_return_t IOConnectSetCFProperties(io_connect_t connect, CFTypeRef properties);
kern_return_t IOConnectSetCFProperty(io_connect_t connect, CFStringRef key, CFTypeRef property);
/* 0 and an iterator (perhaps empty); 0 and 0 for an unknown plane. */
kern_return_t IORegistryEntryGetChildIterator(io_registry_entry_t entry, const char *plane, io_iterator_t *iterator);
kern_return_t IORegistryEntryGetParentIterator(io_registry_entry_t entry, const char *plane, io_iterator_t *iterator);
/* The first one; kIOReturnNoDevice: none, or an unknown plane. */
kern_return_t IORegistryEntryGetChildEntry(io_registry_entry_t entry, const char *plane, io_registry_entry_t *child);
kern_return_t IORegistryEntryGetParentEntry(io_registry_entry_t entry, const char *plane, io_registry_entry_t *parent);
/* Children of the root, or of an entry, in pre-order; options: kIORegistryIterate... kIOReturnBadArgument: unknown plane. */
kern_return_t IORegistryCreateIterator(mach_port_t main_port, const char *plane, IOOptionBits options,
                                       io_iterator_t *iterator);
kern_return_t IORegistryEntryCreateIterator(io_registry_entry_t entry, const char *plane, IOOptionBits options,
                                            io_iterator_t *iterator);

/* --- services (lifecycle-registry 0.4, 6.8, 6.9, rows 206 to 230) --- */

enum {
        kIOServiceInactiveState = 0x1,
        kIOServiceRegisteredState = 0x2,
        kIOServiceMatchedState = 0x4,
        kIOServiceFirstPublishState = 0x8,
        kIOServiceFirstMatchState = 0x10
};
kern_return_t IOServiceGetState(io_service_t service, uint64_t *state);         /* on error *state becomes 0 */
kern_return_t IOServiceGetBusyState(io_service_t service, uint32_t *busy);      /* on error *busy becomes 0 */
kern_return_t IOKitGetBusyState(mach_port_t main_port, uint32_t *busy);         /* of the whole registry; likewise */
/* Waits until the busy count is 0; wait: at most that long, NULL: for ever. kIOReturnTimeout: it was not. */
kern_return_t IOServiceWaitQuiet(io_service_t service, mach_timespec_t *wait);
kern_return_t IOKitWaitQuiet(mach_port_t main_port, mach_timespec_t *wait);
/* Services of driver extensions are not probed again: kIOReturnUnsupported. */
kern_return_t IOServiceRequestProbe(io_service_t service, uint32_t options);

/* --- connections (call-path 2.10, 5, rows 153 to 198; lifecycle-registry 2, 3.3, rows 70 to 136, 231 to 240) --- */

/*
 * Opens a connection: the driver makes a user client of `type`, any number. owning_task: mach_task_self().
 * Errors that leave *connect alone: MACH_SEND_INVALID_DEST, kIOReturnBadArgument (not a service; another task).
 * Errors that set *connect to 0: kIOReturnNotPermitted (an entitlement is missing; the daemon's log names it),
 * kIOReturnUnsupported (the service has no driver to open), MIG_SERVER_DIED (the driver died), and whatever the driver says.
 */
kern_return_t IOServiceOpen(io_service_t service, task_port_t owning_task, uint32_t type, io_connect_t *connect);
/*
 * Closes: waits until all calls in progress on the connection have returned, then returns 0 without waiting for the driver's
 * Stop. From then on the handle is dead, also where references are left. Drops one reference in every case.
 * Where memory was mapped through the connection, calls then give kIOReturnBadArgument, and the mappings live until the last
 * reference is dropped.
 */
kern_return_t IOServiceClose(io_connect_t connect);
/* One reference more, or less. KERN_INVALID_NAME: no such handle; KERN_INVALID_RIGHT: a dead one. */
kern_return_t IOConnectAddRef(io_connect_t connect);
kern_return_t IOConnectRelease(io_connect_t connect);
/* DriverKit's user clients have none of these: kIOReturnUnsupported on a live connection. */
kern_return_t IOConnectGetService(io_connect_t connect, io_service_t *service);
kern_return_t IOConnectSetNotificationPort(io_connect_t connect, uint32_t type, mach_port_t port, uintptr_t reference);
kern_return_t IOConnectAddClient(io_connect_t connect, io_connect_t client);

/* --- calls (call-path 2.1 to 2.9, rows 1 to 65; asynchronous ones 2.7, 4, rows 110 to 152) --- */

/*
 * Calls the driver's ExternalMethod and waits for its answer, without limit.
 *
 * input: input_count scalars, 0 to 16; more: MIG_ARRAY_TOO_LARGE. NULL is allowed with 0.
 * input_struct: input_size bytes; up to 4096 are copied, more reach the driver as a memory descriptor.
 * output: room for *output_count scalars; more than 16 count as 16; output_count NULL: none. On success *output_count is what
 *      the driver left, and that many are written.
 * output_struct: room for *output_size bytes; output_size NULL or 0: none; more than 0xFFFFFFFF: kIOReturnIPCError.
 *      Up to 4096: on success *output_size is what the driver returned. If it returned nothing, the whole room is zeroed.
 *      More than 4096: the driver writes through a descriptor, *output_size stays, and what it wrote is there also on error.
 *      kIOConnectMethodVarOutputSize: *(void **)output_struct becomes memory of *output_size bytes, to be given to
 *      vm_deallocate (<mach/mach.h>); NULL and 0 on error.
 * On error nothing else is written.
 *
 * Errors: MIG_ARRAY_TOO_LARGE; MACH_SEND_INVALID_DEST (the handle is 0, unknown or dead: closed, driver gone);
 * kIOReturnBadArgument (not a connection; a terminated one that has mappings; the driver returned more bytes than fit);
 * MIG_SERVER_DIED (the driver died during the call); kIOReturnUnderrun (variable output, the driver returned none);
 * kIOReturnNoResources (no memory for a large argument); and whatever the driver returns, unchanged.
 */
kern_return_t IOConnectCallMethod(mach_port_t connection, uint32_t selector, const uint64_t *input, uint32_t input_count,
                                  const void *input_struct, size_t input_size, uint64_t *output, uint32_t *output_count,
                                  void *output_struct, size_t *output_size);
kern_return_t IOConnectCallStructMethod(mach_port_t connection, uint32_t selector, const void *input_struct, size_t input_size,
                                        void *output_struct, size_t *output_size);
kern_return_t IOConnectCallScalarMethod(mach_port_t connection, uint32_t selector, const uint64_t *input, uint32_t input_count,
                                        uint64_t *output, uint32_t *output_count);
/*
 * The same with a completion action for the driver. The call still waits for ExternalMethod; completions come later, any number
 * of them, to wake_port: IONotificationPortGetMachPort(). They may come after IOServiceClose, until the port is destroyed.
 * reference: reference_count values, 1 to 8: [0] is reserved, [kIOAsyncCalloutFuncIndex] the callback,
 *      [kIOAsyncCalloutRefconIndex] its first argument, the others come back in the message.
 * Errors besides: MIG_ARRAY_TOO_LARGE (more than 8), kIOReturnBadArgument (0 with a non-NULL reference),
 * MACH_SEND_INVALID_RIGHT (wake_port is no receive port of this process). wake_port 0: the driver sees no completion.
 * There is no variable output here: kIOReturnIPCError.
 */
kern_return_t IOConnectCallAsyncMethod(mach_port_t connection, uint32_t selector, mach_port_t wake_port, uint64_t *reference,
                                       uint32_t reference_count, const uint64_t *input, uint32_t input_count,
                                       const void *input_struct, size_t input_size, uint64_t *output, uint32_t *output_count,
                                       void *output_struct, size_t *output_size);
kern_return_t IOConnectCallAsyncStructMethod(mach_port_t connection, uint32_t selector, mach_port_t wake_port,
                                             uint64_t *reference, uint32_t reference_count, const void *input_struct,
                                             size_t input_size, void *output_struct, size_t *output_size);
kern_return_t IOConnectCallAsyncScalarMethod(mach_port_t connection, uint32_t selector, mach_port_t wake_port,
                                             uint64_t *reference, uint32_t reference_count, const uint64_t *input,
                                             uint32_t input_count, uint64_t *output, uint32_t *output_count);

/* --- memory (memory-and-queues 1.3, 3, rows M53 to M88) --- */

/*
 * Maps the driver's memory of `type` (any number that it understands) into this process; into_task: mach_task_self().
 * options: kIOMapAnywhere, or without it exactly at *address, which must be free and have the memory's place in a page: a buffer
 * starts a page, a part of one need not. On success *address and *size (size may be NULL): bytes, not
 * rounded. The same memory again gives the same address. Read-only where the driver says so: a store faults.
 * Waits for calls in progress and holds new ones up. Whatever goes wrong is kIOReturnBadArgument.
 */
kern_return_t IOConnectMapMemory(io_connect_t connect, uint32_t type, task_port_t into_task, vm_address_t *address,
                                 vm_size_t *size, IOOptionBits options);
kern_return_t IOConnectMapMemory64(io_connect_t connect, uint32_t type, task_port_t into_task, mach_vm_address_t *address,
                                   mach_vm_size_t *size, IOOptionBits options);
/*
 * Unmaps the memory of `type`; the address is ignored. The driver is asked again; its error is returned and nothing unmapped.
 */
kern_return_t IOConnectUnmapMemory(io_connect_t connect, uint32_t type, task_port_t from_task, vm_address_t address);
kern_return_t IOConnectUnmapMemory64(io_connect_t connect, uint32_t type, task_port_t from_task, mach_vm_address_t address);

/* --- traps (memory-and-queues 10.5, rows N9 to N11) --- */

/*
 * Index 0 joins an event link of the driver's (<DriverKit/IOEventLink.h>), 1 a work group: p1 is its name (const char *), p2 the
 * name's length in bytes, p3 the port with which this process joins. Any other index: 0, without effect.
 *
 * kIOReturnBadArgument: connect is 0, dead, or no connection; the length is not that of the name, or above 64; name NULL; p3 is
 * no live port. kIOReturnNotFound: the driver has nothing under this name. kIOReturnUnsupported: it has, but nothing can
 * be joined on this system: there are no ports of event links or work groups. A trap with fewer parameters has 0 for the
 * others.
 */
kern_return_t IOConnectTrap0(io_connect_t connect, uint32_t index);
kern_return_t IOConnectTrap1(io_connect_t connect, uint32_t index, uintptr_t p1);
kern_return_t IOConnectTrap2(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2);
kern_return_t IOConnectTrap3(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3);
kern_return_t IOConnectTrap4(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3, uintptr_t p4);
kern_return_t IOConnectTrap5(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3, uintptr_t p4,
                             uintptr_t p5);
kern_return_t IOConnectTrap6(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3, uintptr_t p4,
                             uintptr_t p5, uintptr_t p6);

/* --- notification ports (call-path 4.3 to 4.7, rows 110 to 152; lifecycle-registry 6.10) --- */

/*
 * Where completions and notifications arrive. They are delivered by a run loop (IONotificationPortGetRunLoopSource), on a
 * dispatch queue (IONotificationPortSetDispatchQueue), by whoever polls amb_port_get_fd() and calls amb_port_dispatch()
 * (<ambidext/port.h>), or received one by one with mach_msg() (<mach/message.h>); until then they wait in the port.
 * Calls on one port are made by one thread at a time. Callbacks of one port never overlap.
 */
typedef struct IONotificationPort *IONotificationPortRef;

typedef void (*IOAsyncCallback0)(void *refcon, IOReturn result);
typedef void (*IOAsyncCallback1)(void *refcon, IOReturn result, void *arg0);
typedef void (*IOAsyncCallback2)(void *refcon, IOReturn result, void *arg0, void *arg1);
/*
 * 3 to 16 arguments, valid during the callback. Which form is called depends on what the driver sent, not on the registration.
 */
typedef void (*IOAsyncCallback)(void *refcon, IOReturn result, void **args, uint32_t count);
typedef void (*IOServiceMatchingCallback)(void *refcon, io_iterator_t iterator);
/* service is valid during the callback; retain it to keep it. */
typedef void (*IOServiceInterestCallback)(void *refcon, io_service_t service, uint32_t message_type, void *argument);

IONotificationPortRef IONotificationPortCreate(mach_port_t main_port);  /* NULL: no memory or no file descriptor */
/* What has not been delivered is discarded. Allowed inside a callback. Until it returns, refcons must stay alive. */
void IONotificationPortDestroy(IONotificationPortRef port);
mach_port_t IONotificationPortGetMachPort(IONotificationPortRef port);  /* usable as wake_port; not owned by the caller */
/* Made on first use, the same later; not owned by the caller. NULL: no memory. */
CFRunLoopSourceRef IONotificationPortGetRunLoopSource(IONotificationPortRef port);
/*
 * Callbacks run on `queue` (<dispatch/dispatch.h>), one at a time, until another queue or NULL is set: then none begins any
 * more, one in progress finishes, and what comes waits in the port. The port lives until its last callback has returned. Starts
 * threads.
 */
void IONotificationPortSetDispatchQueue(IONotificationPortRef port, dispatch_queue_t queue);
/* Linux has no such attribute: 0, and nothing changes. kIOReturnBadArgument: port is NULL. */
kern_return_t IONotificationPortSetImportanceReceiver(IONotificationPortRef port);
/*
 * A receive port without callbacks of its own, to be read with mach_msg() and ended with mach_port_destroy(). type:
 * kOSNotificationMessageID or kOSAsyncCompleteMessageID; another: kIOReturnBadArgument. kIOReturnNoResources: no descriptor.
 */
kern_return_t IOCreateReceivePort(uint32_t type, mach_port_t *port);
/* Calls the callback that a message (id 53) asks for; ignores all others. unused and reference are ignored. */
void IODispatchCalloutFromMessage(void *unused, mach_msg_header_t *message, void *reference);
/*
 * Takes a notification apart. kIOReturnBadMessageID: id is not 53; kIOReturnNoResources: too short, or index is not 0.
 * content: inside the message, NULL if size is 0.
 */
IOReturn OSGetNotificationFromMessage(mach_msg_header_t *message, uint32_t index, uint32_t *type, uintptr_t *reference,
                                      void **content, vm_size_t *size);

/*
 * Contract: lifecycle-registry 0.3, 6.4, rows 206 to 230, 236.
 *
 * Tells when services come or go: kIOMatchedNotification, kIOFirstMatchNotification, kIOPublishNotification,
 * kIOFirstPublishNotification, kIOTerminatedNotification, kIOWillTerminateNotification; another name: kIOReturnUnsupported.
 * *notification is an iterator that holds what is there already (for the two last: nothing). It must be drained once, until
 * IOIteratorNext returns 0: that arms it. Then the callback is called once when something has come, and must drain it again.
 * Releasing the iterator ends it. Takes the caller's reference of the dictionary, also on failure.
 * kIOReturnBadArgument: matching is NULL. Goes on after a restart of the registry daemon; starts when there is none yet.
 */
kern_return_t IOServiceAddMatchingNotification(IONotificationPortRef port, const char *type, CFDictionaryRef matching,
                                               IOServiceMatchingCallback callback, void *refcon,
                                               io_iterator_t *notification);
/*
 * Contract: lifecycle-registry 0.2, 6.5, rows 206 to 230, 235.
 *
 * Tells what happens to one service: kIOGeneralInterest (kIOMessageServiceIsTerminated and the driver's own) or
 * kIOBusyInterest; another name, or a terminated service: kIOReturnUnsupported. Releasing *notification ends it.
 */
kern_return_t IOServiceAddInterestNotification(IONotificationPortRef port, io_service_t service, const char *type,
                                               IOServiceInterestCallback callback, void *refcon,
                                               io_object_t *notification);

#ifdef __cplusplus
}
#endif
