/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What all HID devices have in common: reports, in both directions. Drivers derive from IOUserHIDDevice.
 *
 * Reports are bytes in memory descriptors, laid out as the device's report descriptor says; a report of a device that has report
 * ids begins with its id.
 *
 *      driver   -> handleReport      -> the system: an input report
 *      system   -> setReport         -> driver: an output or feature report
 *      system   -> getReport         -> driver, which fills a buffer
 *      driver   -> CompleteReport    -> system: the answer to one of the two
 *
 * The system asks on the device's default queue. Where reports go to and come from: ambidext-hid(7).
 */
#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IOService.h>
#include <DriverKit/OSAction.h>
#include <HIDDriverKit/IOHIDDeviceTypes.h>

AMB_CLASS(IOHIDDevice);

#define IOHIDDevice_handleReport_ID 0x494f484400000001ull
#define IOHIDDevice_getReport_ID 0x494f484400000002ull
#define IOHIDDevice_setReport_ID 0x494f484400000003ull
#define IOHIDDevice_setProperty_ID 0x494f484400000004ull

#if defined(__IIG)
#include <HIDDriverKit/IOHIDDevice.iig>
#elif defined(__cplusplus)
#include <HIDDriverKit/IOHIDDevice.iig.h>
#else
struct IOHIDDevice_ivars;
struct IOHIDDevice {
        IOService service;
        struct IOHIDDevice_ivars *ivars;
};

extern const OSMetaClass gIOHIDDeviceMetaClass;

bool IOHIDDevice_init(OSObject *self);
void IOHIDDevice_free(OSObject *self);

/*
 * --- methods to override ---
 * The base hands the first reportLength bytes of `report` to the system, as the device's state of now; timestamp and options have
 * no effect. Linux takes input reports alone; of an output or feature report the last one is kept, by its id, and the base's
 * getReport answers with it. Never waits. 0, also when there is no system to take it: the log has said so. kIOReturnBadArgument:
 * no report, reportLength 0 or longer than the descriptor. kIOReturnMessageTooLarge: more than 4096 bytes. kIOReturnUnsupported:
 * no such type of report. kIOReturnNotReady: the device has not been started, or stops. kIOReturnDeviceError: the kernel does not
 * take it. Any thread.
 */
kern_return_t IOHIDDevice_handleReport(IOHIDDevice *self, uint64_t timestamp, IOMemoryDescriptor *report, uint32_t reportLength,
                                       IOHIDReportType reportType, IOOptionBits options);

/*
 * The system wants a report: the driver writes it into `report`, whose length is the report's (4096 if the report descriptor has no
 * such report), and calls CompleteReport, now or later, keeping references to what it needs. options: the report's id in the
 * lowest byte. completionTimeout: milliseconds; the answer is kIOReturnTimeout then. A code other than 0 is the answer if there was
 * none. Who returns 0 and lets the action go without an answer has not answered getReport (kIOReturnAborted), but has taken
 * setReport's bytes. action is never NULL. Base: the answer that handleReport was given; else kIOReturnUnsupported. Default queue.
 */
kern_return_t IOHIDDevice_getReport(IOHIDDevice *self, IOMemoryDescriptor *report, IOHIDReportType reportType, IOOptionBits options,
                                    uint32_t completionTimeout, OSAction *action);

/* The system sends one: the same, with the report's bytes in `report`. Base: kIOReturnUnsupported. */
kern_return_t IOHIDDevice_setReport(IOHIDDevice *self, IOMemoryDescriptor *report, IOHIDReportType reportType, IOOptionBits options,
                                    uint32_t completionTimeout, OSAction *action);

/* Base: sets a run-time property of the service; key must be a string, else nothing happens. Any thread. */
void IOHIDDevice_setProperty(IOHIDDevice *self, OSObject *key, OSObject *value);

/*
 * --- calls ---
 * Answers getReport or setReport, once; a later answer has no effect. actualByteCount: how much of getReport's buffer counts;
 * more than it has is all of it. Any thread.
 */
void IOHIDDevice_CompleteReport(IOHIDDevice *self, OSAction *action, IOReturn status, uint32_t actualByteCount);
#endif
