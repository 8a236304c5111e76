/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Dictionaries: CFString keys, CF values, in order of insertion. The dictionary retains its values and keeps the text of its
 * keys; the callbacks arguments are accepted and ignored. A key that is no CFString is never found and never set.
 */
#include <CoreFoundation/CFBase.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
        CFIndex version;
} CFDictionaryKeyCallBacks;
typedef struct {
        CFIndex version;
} CFDictionaryValueCallBacks;
CF_EXPORT const CFDictionaryKeyCallBacks kCFTypeDictionaryKeyCallBacks;
CF_EXPORT const CFDictionaryKeyCallBacks kCFCopyStringDictionaryKeyCallBacks;
CF_EXPORT const CFDictionaryValueCallBacks kCFTypeDictionaryValueCallBacks;
typedef void (*CFDictionaryApplierFunction)(const void *key, const void *value, void *context);

CFTypeID CFDictionaryGetTypeID(void);
CFDictionaryRef CFDictionaryCreate(CFAllocatorRef allocator, const void **keys, const void **values, CFIndex count,
                                   const CFDictionaryKeyCallBacks *key_callbacks,
                                   const CFDictionaryValueCallBacks *value_callbacks);
CFMutableDictionaryRef CFDictionaryCreateMutable(CFAllocatorRef allocator, CFIndex capacity,
                                                 const CFDictionaryKeyCallBacks *key_callbacks,
                                                 const CFDictionaryValueCallBacks *value_callbacks);
/* A new dictionary with the same members. */
CFDictionaryRef CFDictionaryCreateCopy(CFAllocatorRef allocator, CFDictionaryRef dictionary);
CFMutableDictionaryRef CFDictionaryCreateMutableCopy(CFAllocatorRef allocator, CFIndex capacity, CFDictionaryRef dictionary);
CFIndex CFDictionaryGetCount(CFDictionaryRef dictionary);
Boolean CFDictionaryContainsKey(CFDictionaryRef dictionary, const void *key);
const void *CFDictionaryGetValue(CFDictionaryRef dictionary, const void *key);          /* NULL: absent */
/* True and *value (value may be NULL) when the key is there. */
Boolean CFDictionaryGetValueIfPresent(CFDictionaryRef dictionary, const void *key, const void **value);
/* Fills arrays of CFDictionaryGetCount() pointers; either may be NULL. Keys and values live as long as they are members. */
void CFDictionaryGetKeysAndValues(CFDictionaryRef dictionary, const void **keys, const void **values);
void CFDictionaryApplyFunction(CFDictionaryRef dictionary, CFDictionaryApplierFunction applier, void *context);
void CFDictionaryAddValue(CFMutableDictionaryRef dictionary, const void *key, const void *value);       /* only if absent */
void CFDictionarySetValue(CFMutableDictionaryRef dictionary, const void *key, const void *value);
void CFDictionaryReplaceValue(CFMutableDictionaryRef dictionary, const void *key, const void *value);   /* only if present */
void CFDictionaryRemoveValue(CFMutableDictionaryRef dictionary, const void *key);

#ifdef __cplusplus
}
#endif
