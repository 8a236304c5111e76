/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What has to be known of a report descriptor: how long each report is, whether reports have ids, and what the device is in the
 * main. The bytes are the driver's, who wrote them; they are looked at once and never trusted with a size.
 */
#include <HIDDriverKit/IOHIDDeviceTypes.h>

#include "base/base.h"

#define AMB_HID_DESCRIPTOR_MOST 4096u
#define AMB_HID_REPORT_MOST 4096u

struct amb_hid_layout {
        bool numbered[kIOHIDReportTypeCount];           /* reports of this type begin with their id */
        uint32_t bits[kIOHIDReportTypeCount][256];      /* of the fields, without the id */
        uint32_t usage_page, usage;                     /* of the first application collection; 0 and 0: there is none */
};

enum { AMB_HID_DESCRIPTOR_BAD = 1 };    /* not made of whole items, or the items nest or add up to what cannot be */

int amb_hid_descriptor_read(const uint8_t *bytes, size_t size, struct amb_hid_layout *ret_layout);

/* Bytes with the id; 0: there is no such report. */
uint32_t amb_hid_report_size(const struct amb_hid_layout *layout, IOHIDReportType type, uint8_t id);
/* The longest of a type. */
uint32_t amb_hid_report_size_most(const struct amb_hid_layout *layout, IOHIDReportType type);
