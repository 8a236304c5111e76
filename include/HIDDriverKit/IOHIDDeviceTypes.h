/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The kinds of reports, and what a report descriptor says about its fields. Values are those of the HID specification where it has
 * them.
 */
#include <stdint.h>

typedef uint32_t IOHIDElementCookie;

typedef enum {
        kIOHIDReportTypeInput = 0,              /* from the device */
        kIOHIDReportTypeOutput = 1,             /* to the device: lamps and the like */
        kIOHIDReportTypeFeature = 2,            /* settings, both ways */
        kIOHIDReportTypeCount = 3
} IOHIDReportType;

/* Options of reports; their lowest byte is the report's id, 0 for a device whose reports have none. */
typedef enum {
        kIOHIDReportOptionNotInterrupt = 0x100,
        kIOHIDReportOptionVariableSize = 0x200
} IOHIDReportOption;

typedef enum {
        kIOHIDOptionsTypeNone = 0x0,
        kIOHIDOptionsTypeSeizeDevice = 0x1
} IOHIDOptionsType;

typedef enum {
        kIOHIDElementTypeInput_Misc = 1,
        kIOHIDElementTypeInput_Button = 2,
        kIOHIDElementTypeInput_Axis = 3,
        kIOHIDElementTypeInput_ScanCodes = 4,
        kIOHIDElementTypeInput_NULL = 5,
        kIOHIDElementTypeOutput = 129,
        kIOHIDElementTypeFeature = 257,
        kIOHIDElementTypeCollection = 513
} IOHIDElementType;

typedef enum {
        kIOHIDElementCollectionTypePhysical = 0x00,
        kIOHIDElementCollectionTypeApplication = 0x01,
        kIOHIDElementCollectionTypeLogical = 0x02,
        kIOHIDElementCollectionTypeReport = 0x03,
        kIOHIDElementCollectionTypeNamedArray = 0x04,
        kIOHIDElementCollectionTypeUsageSwitch = 0x05,
        kIOHIDElementCollectionTypeUsageModifier = 0x06
} IOHIDElementCollectionType;

/* The bits of an Input, Output or Feature item. */
enum {
        kIOHIDElementFlagsConstantMask = 0x0001,
        kIOHIDElementFlagsVariableMask = 0x0002,
        kIOHIDElementFlagsRelativeMask = 0x0004,
        kIOHIDElementFlagsWrapMask = 0x0008,
        kIOHIDElementFlagsNonLinearMask = 0x0010,
        kIOHIDElementFlagsNoPreferredMask = 0x0020,
        kIOHIDElementFlagsNullStateMask = 0x0040,
        kIOHIDElementFlagsVolativeMask = 0x0080,
        kIOHIDElementFlagsBufferedByteMask = 0x0100
};
typedef uint32_t IOHIDElementFlags;
