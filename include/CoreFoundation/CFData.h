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
CFMutableDataRef CFDataCreateMutableCopy(CFAllocatorRef allocator, CFIndex capacity, CFDataRef data);
/*
 * With kCFAllocatorNull as deallocator it shows the caller's bytes, which must live as long and stay the caller's; with another it
 * copies them and frees them with free(). NULL as for CFDataCreate; then nothing is freed.
 */
CFDataRef CFDataCreateWithBytesNoCopy(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex length, CFAllocatorRef deallocator);
CFIndex CFDataGetLength(CFDataRef data);                        /* bytes; 0 for NULL */
/* The bytes themselves, valid until the data changes or is freed; NULL for empty data, and only for that. */
const UInt8 *CFDataGetBytePtr(CFDataRef data);
/* Copies the bytes of `range` into `buffer`, which has room for range.length; a range that is not inside: nothing is copied. */
void CFDataGetBytes(CFDataRef data, CFRange range, UInt8 *buffer);
/* Copies `length` bytes behind the others. Nothing changes when bytes is NULL, length is below 1, or there is no memory. */
void CFDataAppendBytes(CFMutableDataRef data, const UInt8 *bytes, CFIndex length);
/* The bytes, to be written to; otherwise as CFDataGetBytePtr. */
UInt8 *CFDataGetMutableBytePtr(CFMutableDataRef data);
/*
 * Changes: new bytes at the end are 0. Nothing changes when a length is below 0, a range is not inside, or there is no memory;
 * bytes must not be the data's own.
 */
void CFDataSetLength(CFMutableDataRef data, CFIndex length);
void CFDataIncreaseLength(CFMutableDataRef data, CFIndex more);
void CFDataReplaceBytes(CFMutableDataRef data, CFRange range, const UInt8 *bytes, CFIndex length);
void CFDataDeleteBytes(CFMutableDataRef data, CFRange range);

#ifdef __cplusplus
}
#endif
