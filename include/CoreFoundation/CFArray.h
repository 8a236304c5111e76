/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Arrays of CF values. The array retains its members; the callbacks argument is accepted and ignored. */
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
CFArrayRef CFArrayCreate(CFAllocatorRef allocator, const void **values, CFIndex count, const CFArrayCallBacks *callbacks);
CFMutableArrayRef CFArrayCreateMutable(CFAllocatorRef allocator, CFIndex capacity, const CFArrayCallBacks *callbacks);
CFIndex CFArrayGetCount(CFArrayRef array);
const void *CFArrayGetValueAtIndex(CFArrayRef array, CFIndex index);    /* NULL outside */
Boolean CFArrayContainsValue(CFArrayRef array, CFRange range, const void *value);
void CFArrayAppendValue(CFMutableArrayRef array, const void *value);
void CFArrayInsertValueAtIndex(CFMutableArrayRef array, CFIndex index, const void *value);
void CFArraySetValueAtIndex(CFMutableArrayRef array, CFIndex index, const void *value);
void CFArrayRemoveValueAtIndex(CFMutableArrayRef array, CFIndex index);
void CFArrayApplyFunction(CFArrayRef array, CFRange range, CFArrayApplierFunction applier, void *context);

#ifdef __cplusplus
}
#endif
