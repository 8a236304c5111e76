/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * UUIDs: 16 bytes, immutable; equal when the bytes are. Any thread. They cannot be registry properties.
 *
 * Contract: real-code 3 'CoreFoundation functions'.
 */
#include <CoreFoundation/CFBase.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
        UInt8 byte0, byte1, byte2, byte3, byte4, byte5, byte6, byte7, byte8, byte9, byte10, byte11, byte12, byte13, byte14, byte15;
} CFUUIDBytes;

CFTypeID CFUUIDGetTypeID(void);
/*
 * One reference for the caller; NULL: no memory, or no UUID as text (8-4-4-4-12 hexadecimal digits). Create: a random one.
 */
CFUUIDRef CFUUIDCreate(CFAllocatorRef allocator);
CFUUIDRef CFUUIDCreateFromUUIDBytes(CFAllocatorRef allocator, CFUUIDBytes bytes);
CFUUIDRef CFUUIDCreateFromString(CFAllocatorRef allocator, CFStringRef text);
CFUUIDRef CFUUIDCreateWithBytes(CFAllocatorRef allocator, UInt8 byte0, UInt8 byte1, UInt8 byte2, UInt8 byte3, UInt8 byte4,
                                UInt8 byte5,
                                UInt8 byte6, UInt8 byte7, UInt8 byte8, UInt8 byte9, UInt8 byte10, UInt8 byte11, UInt8 byte12,
                                UInt8 byte13, UInt8 byte14, UInt8 byte15);
CFUUIDBytes CFUUIDGetUUIDBytes(CFUUIDRef uuid);
/* In capitals; one reference for the caller; NULL: no memory. */
CFStringRef CFUUIDCreateString(CFAllocatorRef allocator, CFUUIDRef uuid);

#ifdef __cplusplus
}
#endif
