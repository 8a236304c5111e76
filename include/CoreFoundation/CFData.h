/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bytes. */
#include <CoreFoundation/CFBase.h>

#ifdef __cplusplus
extern "C" {
#endif

CFTypeID CFDataGetTypeID(void);
/* copies; NULL: no memory, length < 0 */
CFDataRef CFDataCreate(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex length);
CFMutableDataRef CFDataCreateMutable(CFAllocatorRef allocator, CFIndex capacity);       /* empty; capacity is not a limit */
CFDataRef CFDataCreateCopy(CFAllocatorRef allocator, CFDataRef data);
CFIndex CFDataGetLength(CFDataRef data);
/* The bytes themselves, valid until the data changes or is freed. Never NULL for data that is not empty. */
const UInt8 *CFDataGetBytePtr(CFDataRef data);
/* Copies the bytes of `range`, which must lie inside; otherwise nothing is copied. */
void CFDataGetBytes(CFDataRef data, CFRange range, UInt8 *buffer);
void CFDataAppendBytes(CFMutableDataRef data, const UInt8 *bytes, CFIndex length);

#ifdef __cplusplus
}
#endif
