/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Bytes: `length`, `capacity` and ranges count them. Data has no lock: one thread at a time changes it, or many read it.
 *
 * Contract: real-code 3 'CoreFoundation functions', memory-and-queues 12.2, lifecycle-registry 6.7.
 */
#include <CoreFoundation/CFBase.h>

#ifdef __cplusplus
extern "C" {
#endif

CFTypeID CFDataGetTypeID(void);
/* Copies `length` bytes; one reference for the caller. NULL: no memory, length < 0, or bytes NULL with length > 0. */
CFDataRef CFDataCreate(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex length);
/* Empty, one reference for the caller; capacity is not a limit. NULL: no memory. */
CFMutableDataRef CFDataCreateMutable(CFAllocatorRef allocator, CFIndex capacity);
/* A new object with the same bytes, one reference for the caller; NULL: no memory. */
CFDataRef CFDataCreateCopy(CFAllocatorRef allocator, CFDataRef data);
CFIndex CFDataGetLength(CFDataRef data);                        /* bytes; 0 for NULL */
/* The bytes themselves, valid until the data changes or is freed; NULL for empty data, and only for that. */
const UInt8 *CFDataGetBytePtr(CFDataRef data);
/* Copies the bytes of `range` into `buffer`, which has room for range.length; a range that is not inside: nothing is copied. */
void CFDataGetBytes(CFDataRef data, CFRange range, UInt8 *buffer);
/* Copies `length` bytes behind the others. Nothing changes when bytes is NULL, length is below 1, or there is no memory. */
void CFDataAppendBytes(CFMutableDataRef data, const UInt8 *bytes, CFIndex length);

#ifdef __cplusplus
}
#endif
