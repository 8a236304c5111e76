/* SPDX-License-Identifier: Apache-2.0 */
/* Items of report descriptors: Device Class Definition for HID 1.11, 6.2.2. */
#include "hid/descriptor.h"

#define STACK_MOST 16
#define LONG_ITEM 0xFE

/* An item's first byte without the two bits of its size. */
enum {
        INPUT = 0x80, OUTPUT = 0x90, FEATURE = 0xB0, COLLECTION = 0xA0, END_COLLECTION = 0xC0,
        USAGE_PAGE = 0x04, REPORT_SIZE = 0x74, REPORT_ID = 0x84, REPORT_COUNT = 0x94, PUSH = 0xA4, POP = 0xB4,
        USAGE = 0x08,
};

struct globals {
        uint32_t usage_page, size, count;
        uint8_t id;
};

struct reader {
        struct amb_hid_layout *layout;
        struct globals now, stack[STACK_MOST];
        unsigned int pushed, depth;
        uint32_t usage;                 /* the first one since the last main item */
        bool has_usage, wide_usage;     /* wide: it names its page */
        bool found;                     /* an application collection */
};

static bool add_field(struct reader *r, IOHIDReportType type)
{
        uint64_t bits = (uint64_t)r->now.size * r->now.count + r->layout->bits[type][r->now.id];

        if (bits > 8ull * (AMB_HID_REPORT_MOST - 1))    /* the id comes on top */
                return false;
        r->layout->bits[type][r->now.id] = (uint32_t)bits;
        r->layout->numbered[type] |= r->now.id != 0;
        return true;
}

static void open_collection(struct reader *r, uint32_t kind)
{
        r->depth++;
        if (kind != kIOHIDElementCollectionTypeApplication || r->found || !r->has_usage)
                return;
        r->found = true;
        r->layout->usage_page = r->wide_usage ? r->usage >> 16 : r->now.usage_page;
        r->layout->usage = r->usage & 0xFFFF;
}

static bool main_item(struct reader *r, unsigned int item, uint32_t value)
{
        bool fine = true;

        switch (item) {
        case INPUT:
                fine = add_field(r, kIOHIDReportTypeInput);
                break;
        case OUTPUT:
                fine = add_field(r, kIOHIDReportTypeOutput);
                break;
        case FEATURE:
                fine = add_field(r, kIOHIDReportTypeFeature);
                break;
        case COLLECTION:
                open_collection(r, value);
                break;
        case END_COLLECTION:
                fine = r->depth-- > 0;
                break;
        }
        r->has_usage = false;
        return fine;
}

static bool global_item(struct reader *r, unsigned int item, uint32_t value)
{
        switch (item) {
        case USAGE_PAGE:
                r->now.usage_page = value;
                break;
        case REPORT_SIZE:
                r->now.size = value;
                break;
        case REPORT_COUNT:
                r->now.count = value;
                break;
        case REPORT_ID:
                if (value == 0 || value > 255)
                        return false;
                r->now.id = (uint8_t)value;
                break;
        case PUSH:
                if (r->pushed == STACK_MOST)
                        return false;
                r->stack[r->pushed++] = r->now;
                break;
        case POP:
                if (r->pushed == 0)
                        return false;
                r->now = r->stack[--r->pushed];
                break;
        }
        return true;
}

static bool take_item(struct reader *r, uint8_t prefix, uint32_t value, size_t size)
{
        unsigned int item = prefix & 0xFCu;

        switch (prefix >> 2 & 3) {
        case 0:
                return main_item(r, item, value);
        case 1:
                return global_item(r, item, value);
        case 2:
                if (item == USAGE && !r->has_usage) {
                        r->usage = value;
                        r->has_usage = true;
                        r->wide_usage = size == 4;
                }
                return true;
        default:
                return false;
        }
}

int amb_hid_descriptor_read(const uint8_t *bytes, size_t size, struct amb_hid_layout *ret_layout)
{
        static const uint8_t sizes[] = { 0, 1, 2, 4 };
        struct reader r = { .layout = ret_layout };

        memset(ret_layout, 0, sizeof(*ret_layout));
        for (size_t at = 0; at < size;) {
                uint8_t prefix = bytes[at++];
                size_t length = sizes[prefix & 3];
                uint32_t value = 0;

                if (prefix == LONG_ITEM) {      /* its size, a tag, and data that mean nothing to anybody yet */
                        if (size - at < 2 || size - at - 2 < bytes[at])
                                return AMB_HID_DESCRIPTOR_BAD;
                        at += 2u + bytes[at];
                        continue;
                }
                if (size - at < length)
                        return AMB_HID_DESCRIPTOR_BAD;
                for (size_t i = 0; i < length; i++)
                        value |= (uint32_t)bytes[at + i] << 8 * i;
                at += length;
                if (!take_item(&r, prefix, value, length))
                        return AMB_HID_DESCRIPTOR_BAD;
        }
        return r.depth == 0 && size > 0 ? 0 : AMB_HID_DESCRIPTOR_BAD;
}

uint32_t amb_hid_report_size(const struct amb_hid_layout *layout, IOHIDReportType type, uint8_t id)
{
        uint32_t bits = layout->bits[type][id];

        return bits == 0 ? 0 : (bits + 7) / 8 + layout->numbered[type];
}

uint32_t amb_hid_report_size_most(const struct amb_hid_layout *layout, IOHIDReportType type)
{
        uint32_t most = 0;

        for (unsigned int id = 0; id < 256; id++) {
                uint32_t size = amb_hid_report_size(layout, type, (uint8_t)id);

                if (size > most)
                        most = size;
        }
        return most;
}
