/* SPDX-License-Identifier: Apache-2.0 */
/* CFUUID: 16 bytes, immutable. Any thread. */
#include <stdio.h>
#include <sys/random.h>

#include <CoreFoundation/CoreFoundation.h>

#include "base/base.h"
#include "client/cf.h"

struct __CFUUID {
        OSObject object;
        CFUUIDBytes bytes;
};

static bool uuid_is_equal(const OSObject *one, const OSObject *other);

static const struct amb_method uuid_methods[] = {
        AMB_OVERRIDE(OSObject, isEqualTo, uuid_is_equal),
        AMB_METHODS_END,
};
static const OSMetaClass uuid_class = { "CFUUID", &gOSObjectMetaClass, sizeof(struct __CFUUID), uuid_methods, NULL };

static bool uuid_is_equal(const OSObject *one, const OSObject *other)
{
        return OSObject_getMetaClass(other) == &uuid_class &&
               memcmp(&AS(struct __CFUUID, one)->bytes, &AS(struct __CFUUID, other)->bytes, sizeof(CFUUIDBytes)) == 0;
}

CFTypeID CFUUIDGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&uuid_class;
}

CFUUIDRef CFUUIDCreateFromUUIDBytes(CFAllocatorRef allocator, CFUUIDBytes bytes)
{
        struct __CFUUID *uuid = (struct __CFUUID *)amb_object_new(&uuid_class);

        (void)allocator;
        if (uuid)
                uuid->bytes = bytes;
        return uuid;
}

/* Version 4: random, but for 6 bits. */
CFUUIDRef CFUUIDCreate(CFAllocatorRef allocator)
{
        CFUUIDBytes bytes;

        if (getrandom(&bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
                return NULL;
        bytes.byte6 = (UInt8)((bytes.byte6 & 0x0F) | 0x40);
        bytes.byte8 = (UInt8)((bytes.byte8 & 0x3F) | 0x80);
        return CFUUIDCreateFromUUIDBytes(allocator, bytes);
}

CFUUIDRef CFUUIDCreateWithBytes(CFAllocatorRef allocator, UInt8 b0, UInt8 b1, UInt8 b2, UInt8 b3, UInt8 b4, UInt8 b5, UInt8 b6,
                                UInt8 b7, UInt8 b8, UInt8 b9, UInt8 b10, UInt8 b11, UInt8 b12, UInt8 b13, UInt8 b14, UInt8 b15)
{
        CFUUIDBytes bytes = { b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15 };

        return CFUUIDCreateFromUUIDBytes(allocator, bytes);
}

/* 8-4-4-4-12 hexadecimal digits, and nothing behind them. */
CFUUIDRef CFUUIDCreateFromString(CFAllocatorRef allocator, CFStringRef string)
{
        const char *text = CFStringGetCStringPtr(string, kCFStringEncodingUTF8);
        CFUUIDBytes bytes;
        UInt8 *to = &bytes.byte0;

        if (strlen(text) != 36)
                return NULL;
        for (size_t i = 0; i < 36;) {
                char pair[3] = { text[i], text[i + 1], 0 };

                if (i == 8 || i == 13 || i == 18 || i == 23) {
                        if (text[i++] != '-')
                                return NULL;
                        continue;
                }
                if (strspn(pair, "0123456789abcdefABCDEF") != 2)
                        return NULL;
                *to++ = (UInt8)strtoul(pair, NULL, 16);
                i += 2;
        }
        return CFUUIDCreateFromUUIDBytes(allocator, bytes);
}

CFUUIDBytes CFUUIDGetUUIDBytes(CFUUIDRef uuid)
{
        return uuid->bytes;
}

char *amb_uuid_text(const void *object)
{
        const UInt8 *b = &((const struct __CFUUID *)object)->bytes.byte0;

        return amb_format("%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X", b[0], b[1], b[2], b[3], b[4],
                          b[5],
                          b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

CFStringRef CFUUIDCreateString(CFAllocatorRef allocator, CFUUIDRef uuid)
{
        AMB_FREE char *text = amb_uuid_text(uuid);

        return text ? CFStringCreateWithCString(allocator, text, kCFStringEncodingASCII) : NULL;
}
