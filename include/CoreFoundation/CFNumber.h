/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Numbers and booleans: immutable. Any thread.
 *
 * Contract: real-code 3 'CoreFoundation functions', memory-and-queues 12.3, lifecycle-registry 6.7.
 */
#include <CoreFoundation/CFBase.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef CFIndex CFNumberType;
enum {
        kCFNumberSInt8Type = 1,
        kCFNumberSInt16Type = 2,
        kCFNumberSInt32Type = 3,
        kCFNumberSInt64Type = 4,
        kCFNumberFloat32Type = 5,
        kCFNumberFloat64Type = 6,
        kCFNumberCharType = 7,
        kCFNumberShortType = 8,
        kCFNumberIntType = 9,
        kCFNumberLongType = 10,
        kCFNumberLongLongType = 11,
        kCFNumberFloatType = 12,
        kCFNumberDoubleType = 13,
        kCFNumberCFIndexType = 14
};

CF_EXPORT const CFBooleanRef kCFBooleanTrue;
CF_EXPORT const CFBooleanRef kCFBooleanFalse;
CFTypeID CFBooleanGetTypeID(void);
Boolean CFBooleanGetValue(CFBooleanRef boolean);                /* false for NULL */

CFTypeID CFNumberGetTypeID(void);
/*
 * Reads a value of `type` from `value`. One reference for the caller; NULL: no memory, unknown type, value NULL. Floating point
 * numbers cannot be registry properties.
 */
CFNumberRef CFNumberCreate(CFAllocatorRef allocator, CFNumberType type, const void *value);
/*
 * Writes the number as `type` to `value`. False: unknown type (nothing written), or the number does not fit (the nearest that
 * a cast gives is written). Numbers of 32 and 64 bits are signed; those of 8 and 16 bits, which only drivers make, are not.
 */
Boolean CFNumberGetValue(CFNumberRef number, CFNumberType type, void *value);
Boolean CFNumberIsFloatType(CFNumberRef number);                /* made of a Float or Double type */
/* By value: one before other is kCFCompareLessThan; NaN is equal to all. context is ignored. Neither may be NULL. */
CFComparisonResult CFNumberCompare(CFNumberRef one, CFNumberRef other, void *context);

#ifdef __cplusplus
}
#endif
