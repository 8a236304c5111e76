/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Keys of a HID device's description (IOUserHIDDevice's newDeviceDescription), which become properties of its service. Marked: what
 * the Linux device gets of them.
 */
#define kIOHIDTransportKey "Transport"                          /* string, below; the bus */
#define kIOHIDVendorIDKey "VendorID"                            /* number; the vendor */
#define kIOHIDVendorIDSourceKey "VendorIDSource"
#define kIOHIDProductIDKey "ProductID"                          /* number; the product */
#define kIOHIDVersionNumberKey "VersionNumber"                  /* number; the version */
#define kIOHIDManufacturerKey "Manufacturer"                    /* string; the name begins with it */
#define kIOHIDProductKey "Product"                              /* string; and ends with this */
#define kIOHIDSerialNumberKey "SerialNumber"                    /* string; the "uniq" */
#define kIOHIDCountryCodeKey "CountryCode"                      /* number; the country */
#define kIOHIDStandardTypeKey "StandardType"
#define kIOHIDLocationIDKey "LocationID"
#define kIOHIDModelNumberKey "ModelNumber"
#define kIOHIDDeviceUsageKey "DeviceUsage"
#define kIOHIDDeviceUsagePageKey "DeviceUsagePage"
#define kIOHIDDeviceUsagePairsKey "DeviceUsagePairs"
#define kIOHIDPrimaryUsageKey "PrimaryUsage"                    /* number; taken from the report descriptor if it is not given */
#define kIOHIDPrimaryUsagePageKey "PrimaryUsagePage"
#define kIOHIDMaxInputReportSizeKey "MaxInputReportSize"        /* numbers, bytes; always taken from the report descriptor */
#define kIOHIDMaxOutputReportSizeKey "MaxOutputReportSize"
#define kIOHIDMaxFeatureReportSizeKey "MaxFeatureReportSize"
#define kIOHIDReportIntervalKey "ReportInterval"
#define kIOHIDSampleIntervalKey "SampleInterval"
#define kIOHIDBatchIntervalKey "BatchInterval"
#define kIOHIDReportDescriptorKey "ReportDescriptor"            /* data; what newReportDescriptor has given */
#define kIOHIDRequestTimeoutKey "RequestTimeout"                /* number, microseconds: of getReport and setReport */
#define kIOHIDBuiltInKey "Built-In"
#define kIOHIDElementKey "Elements"
#define kIOHIDCategoryKey "Category"
#define kIOHIDPhysicalDeviceUniqueIDKey "PhysicalDeviceUniqueID"
#define kIOHIDDeviceSuspendKey "DeviceSuspend"

/* Values of the transport. */
#define kIOHIDTransportUSBValue "USB"
#define kIOHIDTransportBluetoothValue "Bluetooth"
#define kIOHIDTransportBluetoothLowEnergyValue "Bluetooth Low Energy"
#define kIOHIDTransportAIDBValue "AID"
#define kIOHIDTransportI2CValue "I2C"
#define kIOHIDTransportSPIValue "SPI"
#define kIOHIDTransportSerialValue "Serial"
#define kIOHIDTransportiAPValue "iAP"
#define kIOHIDTransportAirPlayValue "AirPlay"
#define kIOHIDTransportSPUValue "SPU"
