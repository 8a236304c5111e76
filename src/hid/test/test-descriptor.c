/* SPDX-License-Identifier: Apache-2.0 */
/* What is read out of report descriptors, good and bad ones. */
#include <check.h>

#include "base/test-suite.h"
#include "hid/descriptor.h"

/* A keyboard with lamps, two reports with ids, an array of a feature. */
static const uint8_t keyboard[] = {
        0x05, 0x01, 0x09, 0x06, 0xA1, 0x01,                                             /* generic desktop, keyboard */
        0x85, 0x01, 0x05, 0x07, 0x19, 0xE0, 0x29, 0xE7, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02,
        0x95, 0x06, 0x75, 0x08, 0x81, 0x00,                                             /* 8 bits and 6 bytes */
        0x85, 0x02, 0x05, 0x08, 0x75, 0x01, 0x95, 0x05, 0x91, 0x02, 0x75, 0x03, 0x95, 0x01, 0x91, 0x01,
        0xA4, 0x85, 0x03, 0x75, 0x08, 0x95, 0x10, 0xB1, 0x02, 0xB4,                     /* pushed: id 3 */
        0x75, 0x08, 0x95, 0x02, 0xB1, 0x02,                                             /* popped: id 2 again */
        0xC0,
};
static struct amb_hid_layout layout;

START_TEST(sizes_and_ids)
{
        ck_assert_int_eq(amb_hid_descriptor_read(keyboard, sizeof(keyboard), &layout), 0);
        for (IOHIDReportType type = 0; type < kIOHIDReportTypeCount; type++)
                ck_assert(layout.numbered[type]);
        ck_assert_uint_eq(layout.usage_page, 1);
        ck_assert_uint_eq(layout.usage, 6);
        ck_assert_uint_eq(amb_hid_report_size(&layout, kIOHIDReportTypeInput, 1), 1 + 7);
        ck_assert_uint_eq(amb_hid_report_size(&layout, kIOHIDReportTypeOutput, 2), 1 + 1);
        ck_assert_uint_eq(amb_hid_report_size(&layout, kIOHIDReportTypeFeature, 3), 1 + 16);
        ck_assert_uint_eq(amb_hid_report_size(&layout, kIOHIDReportTypeFeature, 2), 1 + 2);
        ck_assert_uint_eq(amb_hid_report_size(&layout, kIOHIDReportTypeInput, 2), 0);
        ck_assert_uint_eq(amb_hid_report_size_most(&layout, kIOHIDReportTypeFeature), 17);
}
END_TEST

START_TEST(without_ids)
{
        /* A security key: its page in two bytes, its usage in four, with a page of its own; a long item in between. */
        static const uint8_t token[] = { 0x06, 0xD0, 0xF1, 0x0B, 0x01, 0x00, 0xD0, 0xF1, 0xA1, 0x01, 0xFE, 0x02, 0x00, 0xAA, 0xBB,
                                         0x75, 0x08, 0x95, 0x40, 0x81, 0x02, 0x91, 0x02, 0xC0 };

        ck_assert_int_eq(amb_hid_descriptor_read(token, sizeof(token), &layout), 0);
        for (IOHIDReportType type = 0; type < kIOHIDReportTypeCount; type++)
                ck_assert(!layout.numbered[type]);
        ck_assert_uint_eq(layout.usage_page, 0xF1D0);
        ck_assert_uint_eq(layout.usage, 1);
        ck_assert_uint_eq(amb_hid_report_size(&layout, kIOHIDReportTypeInput, 0), 64);
        ck_assert_uint_eq(amb_hid_report_size(&layout, kIOHIDReportTypeOutput, 0), 64);
        ck_assert_uint_eq(amb_hid_report_size(&layout, kIOHIDReportTypeFeature, 0), 0);
}
END_TEST

static const struct {
        const char *what;
        size_t size;
        uint8_t bytes[24];
} bad[] = {
        { "nothing", 0, { 0 } },
        { "a value that is cut off", 2, { 0x26, 0xFF } },
        { "a collection that stays open", 6, { 0x05, 0x01, 0x09, 0x06, 0xA1, 0x01 } },
        { "an end too many", 1, { 0xC0 } },
        { "report id 0", 2, { 0x85, 0x00 } },
        { "report id 256", 3, { 0x86, 0x00, 0x01 } },
        { "a report of 4096 bytes", 7, { 0x75, 0x08, 0x96, 0x00, 0x10, 0x81, 0x02 } },
        { "sizes that wrap", 12, { 0x77, 0xFF, 0xFF, 0xFF, 0xFF, 0x97, 0xFF, 0xFF, 0xFF, 0xFF, 0x81, 0x02 } },
        { "a pop of nothing", 1, { 0xB4 } },
        { "seventeen pushes", 17, { [0 ... 16] = 0xA4 } },
        { "a long item that is cut off", 4, { 0xFE, 0x02, 0x00, 0xAA } },
        { "a long item without a size", 1, { 0xFE } },
        { "a reserved type", 1, { 0x0C } },
};

START_TEST(bad_ones)
{
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(bad); i++) {
                /* In memory of its own, so that a sanitizer sees a byte too many. */
                uint8_t *copy = malloc(bad[i].size + 1);

                memcpy(copy, bad[i].bytes, bad[i].size);
                copy = realloc(copy, bad[i].size ? bad[i].size : 1);
                ck_assert_msg(amb_hid_descriptor_read(copy, bad[i].size, &layout) == AMB_HID_DESCRIPTOR_BAD, "%s", bad[i].what);
                free(copy);
        }
}
END_TEST

/* Whatever the bytes are, nothing beyond them is looked at, and no report is longer than it may be. */
START_TEST(any_bytes)
{
        uint64_t seed = 0x9E3779B97F4A7C15ull;
        unsigned int good = 0;

        for (int round = 0; round < 200000; round++) {
                uint8_t bytes[sizeof(keyboard)];
                size_t size = sizeof(keyboard);

                memcpy(bytes, keyboard, sizeof(bytes));
                for (int changes = 0; changes < 3; changes++) {
                        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
                        bytes[(seed >> 33) % size] = (uint8_t)(seed >> 56);
                }
                if (amb_hid_descriptor_read(bytes, size, &layout) != 0)
                        continue;
                good++;
                for (IOHIDReportType type = 0; type < kIOHIDReportTypeCount; type++)
                        ck_assert_uint_le(amb_hid_report_size_most(&layout, type), AMB_HID_REPORT_MOST);
        }
        ck_assert_uint_gt(good, 1000);
}
END_TEST

int main(void)
{
        return run_suite("hid-descriptor", sizes_and_ids, without_ids, bad_ones, any_bytes);
}
