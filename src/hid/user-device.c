/* SPDX-License-Identifier: Apache-2.0 */
/* IOUserHIDDevice: from the driver's description to a device. */
#include <HIDDriverKit/IOHIDDeviceKeys.h>

#include "hid/device.h"

#define REGISTER_SERVICE_KEY "RegisterService"

AMB_EXPORT bool IOUserHIDDevice_init(OSObject *self)
{
        return IOHIDDevice_init(self);
}

AMB_EXPORT void IOUserHIDDevice_free(OSObject *self)
{
        IOHIDDevice_free(self);
}

static const struct amb_method user_device_methods[] = {
        AMB_OVERRIDE(IOService, Start, IOUserHIDDevice_Start),
        AMB_OVERRIDE(IOService, Stop, IOUserHIDDevice_Stop),
        AMB_OVERRIDE(IOUserHIDDevice, handleStart, IOUserHIDDevice_handleStart),
        AMB_OVERRIDE(IOUserHIDDevice, newDeviceDescription, IOUserHIDDevice_newDeviceDescription),
        AMB_OVERRIDE(IOUserHIDDevice, newReportDescriptor, IOUserHIDDevice_newReportDescriptor),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIOUserHIDDeviceMetaClass = {
        "IOUserHIDDevice", &gIOHIDDeviceMetaClass, sizeof(IOUserHIDDevice), user_device_methods, AMB_SKIN_PLACE,
};

AMB_EXPORT bool IOUserHIDDevice_handleStart(IOUserHIDDevice *self, IOService *provider)
{
        return true;
}

AMB_EXPORT OSDictionary *IOUserHIDDevice_newDeviceDescription(IOUserHIDDevice *self)
{
        return NULL;
}

AMB_EXPORT OSData *IOUserHIDDevice_newReportDescriptor(IOUserHIDDevice *self)
{
        return NULL;
}

static bool wants_registration(OSDictionary *description)
{
        OSObject *value = OSDictionaryGetValue(description, REGISTER_SERVICE_KEY);

        return value != (OSObject *)kOSBooleanFalse;
}

static kern_return_t make_device(IOUserHIDDevice *self, OSDictionary *description, OSData *descriptor)
{
        struct uhid_create2_req create;
        uint64_t entry = 0, limit = OSDictionaryGetUInt64Value(description, kIOHIDRequestTimeoutKey) / 1000;
        const char *name = OSObject_GetClassName(self);
        int r = AMB_HID_DESCRIPTOR_BAD;

        IOService_GetRegistryEntryID(&self->device.service, &entry);
        if (OSDataGetLength(descriptor) <= AMB_HID_DESCRIPTOR_MOST) {
                amb_hid_describe(description, descriptor, entry, &create);
                r = amb_hid_device_open(&self->device, &create, limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit);
        }
        if (r == 0)
                return kIOReturnSuccess;
        if (r == AMB_HID_DESCRIPTOR_BAD) {
                amb_log(AMB_LOG_ERROR, "%s: what newReportDescriptor returned (%zu bytes) is no HID report descriptor: items are "
                        "cut off, do not nest, or are too large", name, OSDataGetLength(descriptor));
                return kIOReturnBadArgument;
        }
        return r == -ENOMEM ? kIOReturnNoMemory : kIOReturnDeviceError;
}

static kern_return_t publish(IOUserHIDDevice *self, OSDictionary *description, OSData *descriptor)
{
        OSDictionary *properties = amb_hid_properties(description, descriptor, &self->device.ivars->layout);
        kern_return_t code = properties ? IOService_SetProperties(&self->device.service, properties) : kIOReturnNoMemory;

        OSObject_release(properties);
        if (code == kIOReturnSuccess && wants_registration(description))
                code = IOService_RegisterService(&self->device.service);
        return code;
}

static kern_return_t start_described(IOUserHIDDevice *self)
{
        OSDictionary *description = amb_invoke(self, IOUserHIDDevice, newDeviceDescription);
        OSData *descriptor = amb_invoke(self, IOUserHIDDevice, newReportDescriptor);
        kern_return_t code = kIOReturnNotReady;

        if (!descriptor)
                amb_log(AMB_LOG_ERROR, "%s: newReportDescriptor returned NULL", OSObject_GetClassName(self));
        else if (!description && !(description = OSDictionaryCreate()))
                code = kIOReturnNoMemory;
        else
                code = make_device(self, description, descriptor);
        if (code == kIOReturnSuccess) {
                code = publish(self, description, descriptor);
                if (code != kIOReturnSuccess)
                        amb_hid_device_close(&self->device);
        }
        OSObject_release(description);
        OSObject_release(descriptor);
        return code;
}

AMB_EXPORT kern_return_t IOUserHIDDevice_Start(IOService *service, IOService *provider)
{
        IOUserHIDDevice *self = (IOUserHIDDevice *)service;
        kern_return_t code = IOService_Start(service, provider);

        if (code != kIOReturnSuccess)
                return code;
        if (!amb_invoke(self, IOUserHIDDevice, handleStart, provider)) {
                amb_log(AMB_LOG_ERROR, "%s: handleStart returned false", OSObject_GetClassName(self));
                return kIOReturnError;
        }
        return start_described(self);
}

AMB_EXPORT kern_return_t IOUserHIDDevice_Stop(IOService *service, IOService *provider)
{
        amb_hid_device_close(&((IOUserHIDDevice *)service)->device);
        return IOService_Stop(service, provider);
}
