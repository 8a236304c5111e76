/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Arrays of CF values. The array retains its members; the callbacks argument is accepted and ignored. Indices count from 0.
 * An array has no lock: one thread at a time changes it, or many read it.
 *
 * Contract: real-code 3 'CoreFoundation functions', memory-and-queues 12.4, lifecycle-registry 6.7.
 */
#include <CoreFoundation/CFBase.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
        CFIndex version;
} CFArrayCallBacks;
CF_EXPORT const CFArrayCallBacks kCFTypeArrayCallBacks;
typedef void (*CFArrayApplierFunction)(const void *value, void *context);

CFTypeID CFArrayGetTypeID(void);
/* Both: one reference for the caller; NULL: no memory, or one of the `count` values is NULL. capacity is not a limit. */
CFArrayRef CFArrayCreate(CFAllocatorRef allocator, const void **values, CFIndex count, const CFArrayCallBacks *callbacks);
CFMutableArrayRef CFArrayCreateMutable(CFAllocatorRef allocator, CFIndex capacity, const CFArrayCallBacks *callbacks);
/* A new array with the same members, one reference for the caller; NULL: no memory. */
CFArrayRef CFArrayCreateCopy(CFAllocatorRef allocator, CFArrayRef array);
CFMutableArrayRef CFArrayCreateMutableCopy(CFAllocatorRef allocator, CFIndex capacity, CFArrayRef array);
CFIndex CFArrayGetCount(CFArrayRef array);                              /* members; 0 for NULL */
/* Without a reference, valid as long as it is a member; NULL: index outside. */
const void *CFArrayGetValueAtIndex(CFArrayRef array, CFIndex index);
/* Is a member of `range` equal to value (CFEqual)? What of the range lies behind the last member is left out. */
Boolean CFArrayContainsValue(CFArrayRef array, CFRange range, const void *value);
/* The first place in `range` with an equal value; kCFNotFound. */
CFIndex CFArrayGetFirstIndexOfValue(CFArrayRef array, CFRange range, const void *value);
/* Fills room for range.length pointers, without references; what of the range is not there is left out. */
void CFArrayGetValues(CFArrayRef array, CFRange range, const void **values);
/*
 * Changes. value: retained, not NULL and not the array itself. Insert: index 0 to the count, the others move up. Set: replaces
 * and releases the old one, at the count it appends. Remove: releases it, the others move down. Another index or value, or no
 * memory: the array stays as it was, and nothing tells.
 */
void CFArrayAppendValue(CFMutableArrayRef array, const void *value);
void CFArrayInsertValueAtIndex(CFMutableArrayRef array, CFIndex index, const void *value);
void CFArraySetValueAtIndex(CFMutableArrayRef array, CFIndex index, const void *value);
void CFArrayRemoveValueAtIndex(CFMutableArrayRef array, CFIndex index);
void CFArrayAppendArray(CFMutableArrayRef array, CFArrayRef other, CFRange range_of_other);
void CFArrayRemoveAllValues(CFMutableArrayRef array);
/* Sorts a range; equal values keep their order. compare must not change the array. Without memory it stays as it was. */
void CFArraySortValues(CFMutableArrayRef array, CFRange range, CFComparatorFunction compare, void *context);
/* Calls applier(member, context) for each member of `range`, in order, on the calling thread. It must not change the array. */
void CFArrayApplyFunction(CFArrayRef array, CFRange range, CFArrayApplierFunction applier, void *context);

#ifdef __cplusplus
}
#endif
