/* SPDX-License-Identifier: Apache-2.0 */
/* A device's description: from DriverKit's keys to what Linux wants to know, and to the service's properties. */
#include <stdio.h>

#include <HIDDriverKit/IOHIDDeviceKeys.h>

#include "hid/device.h"

static uint16_t bus_of(const char *transport)
{
        static const struct {
                const char *transport;
                uint16_t bus;
        } buses[] = {
                { kIOHIDTransportUSBValue, BUS_USB },   { kIOHIDTransportBluetoothValue, BUS_BLUETOOTH },
                { kIOHIDTransportBluetoothLowEnergyValue, BUS_BLUETOOTH },
                { kIOHIDTransportI2CValue, BUS_I2C },   { kIOHIDTransportSPIValue, BUS_SPI },
        };

        for (size_t i = 0; transport && i < AMB_ARRAY_LENGTH(buses); i++)
                if (strcmp(transport, buses[i].transport) == 0)
                        return buses[i].bus;
        return BUS_VIRTUAL;
}

/* Numbers come as they like; what does not fit is cut off, as the kernel's fields are. */
static uint32_t number(OSDictionary *description, const char *key)
{
        return (uint32_t)OSDictionaryGetUInt64Value(description, key);
}

void amb_hid_describe(OSDictionary *description, OSData *descriptor, uint64_t entry, struct uhid_create2_req *ret_create)
{
        const char *maker = OSDictionaryGetStringValue(description, kIOHIDManufacturerKey);
        const char *product = OSDictionaryGetStringValue(description, kIOHIDProductKey);
        const char *serial = OSDictionaryGetStringValue(description, kIOHIDSerialNumberKey);
        size_t size = OSDataGetLength(descriptor);

        memset(ret_create, 0, sizeof(*ret_create));
        snprintf((char *)ret_create->name, sizeof(ret_create->name), "%s%s%s", maker ? maker : "", maker && product ? " " : "",
                 product ? product : maker ? "" : "DriverKit HID device");
        snprintf((char *)ret_create->phys, sizeof(ret_create->phys), "ambidext/%llu", (unsigned long long)entry);
        snprintf((char *)ret_create->uniq, sizeof(ret_create->uniq), "%s", serial ? serial : "");
        ret_create->bus = bus_of(OSDictionaryGetStringValue(description, kIOHIDTransportKey));
        ret_create->vendor = number(description, kIOHIDVendorIDKey);
        ret_create->product = number(description, kIOHIDProductIDKey);
        ret_create->version = number(description, kIOHIDVersionNumberKey);
        ret_create->country = number(description, kIOHIDCountryCodeKey);
        if (size > sizeof(ret_create->rd_data))
                size = sizeof(ret_create->rd_data);
        if (size > 0)
                memcpy(ret_create->rd_data, OSDataGetBytesPtr(descriptor, 0, size), size);
        ret_create->rd_size = (uint16_t)size;
}

static bool set_number(OSDictionary *dictionary, const char *key, uint32_t value)
{
        OSNumber *object = OSNumberCreate(value, 32);
        bool set = object && OSDictionarySetValue(dictionary, key, object);

        OSObject_release(object);
        return set;
}

static bool set_default(OSDictionary *dictionary, const char *key, uint32_t value)
{
        return OSDictionaryGetValue(dictionary, key) || set_number(dictionary, key, value);
}

OSDictionary *amb_hid_properties(OSDictionary *description, OSData *descriptor, const struct amb_hid_layout *layout)
{
        static const char *const sizes[] = {
                [kIOHIDReportTypeInput] = kIOHIDMaxInputReportSizeKey,
                [kIOHIDReportTypeOutput] = kIOHIDMaxOutputReportSizeKey,
                [kIOHIDReportTypeFeature] = kIOHIDMaxFeatureReportSizeKey,
        };
        OSDictionary *properties = OSDictionaryCreate();
        bool done = properties && OSDictionary_merge(properties, description) &&
                    OSDictionarySetValue(properties, kIOHIDReportDescriptorKey, descriptor);

        for (IOHIDReportType type = 0; done && type < kIOHIDReportTypeCount; type++)
                done = set_number(properties, sizes[type], amb_hid_report_size_most(layout, type));
        if (done && layout->usage != 0)
                done = set_default(properties, kIOHIDPrimaryUsagePageKey, layout->usage_page) &&
                       set_default(properties, kIOHIDPrimaryUsageKey, layout->usage);
        if (done)
                return properties;
        OSObject_release(properties);
        return NULL;
}
