/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A HID device that a driver makes: a keyboard, a pointer, a game pad, with or without hardware behind it.
 *
 *      Start:  handleStart(provider) -> newDeviceDescription -> newReportDescriptor -> the Linux device exists, the service has the
 *              description's properties and is registered (unless the description says "RegisterService" = false)
 *      Stop:   the Linux device goes; what getReport and setReport have not answered is answered kIOReturnAborted
 *
 * Drivers override these and leave Start alone, or call its base first.
 */
#include <HIDDriverKit/IOHIDDevice.h>

AMB_CLASS(IOUserHIDDevice);

#define IOUserHIDDevice_handleStart_ID 0x494f554800000001ull
#define IOUserHIDDevice_newDeviceDescription_ID 0x494f554800000002ull
#define IOUserHIDDevice_newReportDescriptor_ID 0x494f554800000003ull

#if defined(__IIG)
#include <HIDDriverKit/IOUserHIDDevice.iig>
#elif defined(__cplusplus)
#include <HIDDriverKit/IOUserHIDDevice.iig.h>
#else
struct IOUserHIDDevice {
        IOHIDDevice device;
};

extern const OSMetaClass gIOUserHIDDeviceMetaClass;

bool IOUserHIDDevice_init(OSObject *self);
void IOUserHIDDevice_free(OSObject *self);

/*
 * As above. 0. What handleStart has refused: kIOReturnError. kIOReturnNotReady: no report descriptor. kIOReturnBadArgument: it is
 * empty, longer than 4096 bytes or no report descriptor. kIOReturnDeviceError: the kernel refuses the device; the log says why.
 * kIOReturnNoMemory. Default queue.
 */
kern_return_t IOUserHIDDevice_Start(IOService *self, IOService *provider);
kern_return_t IOUserHIDDevice_Stop(IOService *self, IOService *provider);

/* --- methods to override; default queue, inside Start --- */

/* false: the device does not start. Base: true. */
bool IOUserHIDDevice_handleStart(IOUserHIDDevice *self, IOService *provider);

/* A new dictionary (IOHIDDeviceKeys.h), with a reference for the caller; NULL: an empty one. Base: NULL. */
OSDictionary *IOUserHIDDevice_newDeviceDescription(IOUserHIDDevice *self);

/* The report descriptor's bytes, with a reference for the caller. Base: NULL. */
OSData *IOUserHIDDevice_newReportDescriptor(IOUserHIDDevice *self);
#endif
