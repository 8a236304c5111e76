/* SPDX-License-Identifier: Apache-2.0 */
/* CF's encodings, character by character, to and from the UTF-8 inside strings. */
#include <CoreFoundation/CoreFoundation.h>

#include "base/base.h"
#include "client/cf-text.h"
#include "object/value.h"

#define REPLACEMENT 0xFFFDu

enum family { NONE, ASCII, LATIN1, UTF8, UTF16, UTF32 };
struct shape {
        enum family family;
        bool big;               /* most significant byte first */
};

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define NATIVE_BIG true
#else
#define NATIVE_BIG false
#endif

static struct shape shape_of(CFStringEncoding encoding)
{
        switch (encoding) {
        case kCFStringEncodingMacRoman:
        case kCFStringEncodingASCII:
                return (struct shape){ ASCII, false };
        case kCFStringEncodingISOLatin1:
                return (struct shape){ LATIN1, false };
        case kCFStringEncodingUTF8:
                return (struct shape){ UTF8, false };
        case kCFStringEncodingUTF16:
                return (struct shape){ UTF16, NATIVE_BIG };
        case kCFStringEncodingUTF16BE:
                return (struct shape){ UTF16, true };
        case kCFStringEncodingUTF16LE:
                return (struct shape){ UTF16, false };
        case kCFStringEncodingUTF32:
                return (struct shape){ UTF32, NATIVE_BIG };
        case kCFStringEncodingUTF32BE:
                return (struct shape){ UTF32, true };
        case kCFStringEncodingUTF32LE:
                return (struct shape){ UTF32, false };
        default:
                return (struct shape){ NONE, false };
        }
}

bool amb_encoding_known(CFStringEncoding encoding)
{
        return shape_of(encoding).family != NONE;
}

/* --- characters out of UTF-8 --- */

uint32_t amb_text_next(const char *text, size_t length, size_t *at)
{
        const uint8_t *c = (const uint8_t *)text + *at;
        size_t bytes = amb_utf8_character((const char *)c, length - *at);

        *at += bytes ? bytes : 1;
        switch (bytes) {
        case 1:
                return c[0];
        case 2:
                return (c[0] & 0x1Fu) << 6 | (c[1] & 0x3Fu);
        case 3:
                return (c[0] & 0x0Fu) << 12 | (c[1] & 0x3Fu) << 6 | (c[2] & 0x3Fu);
        case 4:
                return (c[0] & 0x07u) << 18 | (c[1] & 0x3Fu) << 12 | (c[2] & 0x3Fu) << 6 | (c[3] & 0x3Fu);
        default:
                return REPLACEMENT;
        }
}

/* --- to bytes --- */

static size_t put_number(uint8_t *to, uint32_t number, size_t width, bool big)
{
        for (size_t i = 0; i < width; i++)
                to[big ? width - 1 - i : i] = (uint8_t)(number >> 8 * i);
        return width;
}

static size_t put_utf16(uint8_t *to, uint32_t character, bool big)
{
        if (character < 0x10000)
                return put_number(to, character, 2, big);
        character -= 0x10000;
        return put_number(to, 0xD800 + (character >> 10), 2, big) + put_number(to + 2, 0xDC00 + (character & 0x3FF), 2, big);
}

static size_t put_utf8(uint8_t *to, uint32_t character)
{
        static const uint8_t lead[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
        size_t bytes = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;

        for (size_t i = bytes; i-- > 1; character >>= 6)
                to[i] = (uint8_t)(0x80 | (character & 0x3F));
        to[0] = (uint8_t)(lead[bytes] | character);
        return bytes;
}

size_t amb_encoding_put(CFStringEncoding encoding, uint32_t character, uint8_t to[4])
{
        struct shape shape = shape_of(encoding);

        switch (shape.family) {
        case ASCII:
        case LATIN1:
                to[0] = (uint8_t)character;
                return character < (shape.family == ASCII ? 0x80u : 0x100u);
        case UTF8:
                return put_utf8(to, character);
        case UTF16:
                return put_utf16(to, character, shape.big);
        case UTF32:
                return put_number(to, character, 4, shape.big);
        default:
                return 0;
        }
}

/* --- from bytes --- */

struct input {
        const uint8_t *bytes;
        size_t left;
        struct shape shape;
};

/* False: fewer bytes than that. */
static bool get_number(struct input *input, size_t width, uint32_t *ret)
{
        *ret = 0;
        if (input->left < width)
                return false;
        for (size_t i = 0; i < width; i++)
                *ret |= (uint32_t)input->bytes[input->shape.big ? width - 1 - i : i] << 8 * i;
        input->bytes += width;
        input->left -= width;
        return true;
}

static bool get_utf16(struct input *input, uint32_t *ret)
{
        uint32_t low;

        if (!get_number(input, 2, ret))
                return false;
        if ((*ret & 0xF800) != 0xD800)
                return true;
        if ((*ret & 0x400) || !get_number(input, 2, &low) || (low & 0xFC00) != 0xDC00)
                return false;
        *ret = 0x10000 + ((*ret & 0x3FF) << 10 | (low & 0x3FF));
        return true;
}

static bool get_character(struct input *input, uint32_t *ret)
{
        switch (input->shape.family) {
        case UTF16:
                return get_utf16(input, ret);
        case UTF32:
                return get_number(input, 4, ret) && *ret < 0x110000 && (*ret & 0xFFFFF800) != 0xD800;
        case ASCII:
                return get_number(input, 1, ret) && *ret < 0x80;
        default:
                return get_number(input, 1, ret);
        }
}

/* A mark of byte order at the start says how the rest is to be read, where the encoding leaves that open. */
static void take_mark(struct input *input, CFStringEncoding encoding)
{
        size_t width = encoding == kCFStringEncodingUTF16 ? 2 : encoding == kCFStringEncodingUTF32 ? 4 : 0;
        struct input ahead = *input;
        uint32_t mark;

        if (width == 0)
                return;
        for (int turn = 0; turn < 2; turn++, ahead = *input, ahead.shape.big = !input->shape.big)
                if (get_number(&ahead, width, &mark) && mark == 0xFEFF) {
                        *input = ahead;
                        return;
                }
}

CFStringRef amb_encoding_decode(CFStringEncoding encoding, const uint8_t *bytes, size_t length)
{
        struct input input = { bytes, length, shape_of(encoding) };
        AMB_FREE uint8_t *text = NULL;
        size_t used = 0;

        if (input.shape.family == NONE)
                return NULL;
        if (input.shape.family == UTF8)
                return !amb_utf8_valid((const char *)bytes, length) ? NULL :
                       (CFStringRef)OSStringCreate((const char *)bytes, length);
        take_mark(&input, encoding);
        /* No character of one byte takes more than 2, none of two more than 3. */
        text = malloc(2 * input.left + 4);
        while (text && input.left > 0) {
                uint32_t character;

                if (!get_character(&input, &character) || character == 0)
                        return NULL;
                used += put_utf8(text + used, character);
        }
        return text ? (CFStringRef)OSStringCreate((const char *)text, used) : NULL;
}
