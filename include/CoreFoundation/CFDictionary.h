/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Dictionaries: CFString keys, CF values, in order of insertion. The dictionary retains its values and keeps the text of its
 * keys; the callbacks arguments are accepted and ignored. A key that is no CFString is never found and never set.
 * A dictionary has no lock: one thread at a time changes it, or many read it.
 *
 * Contract: real-code 3 'CoreFoundation functions', memory-and-queues 12.5, lifecycle-registry 6.1, 6.7.
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
/*
 * Both: one reference for the caller; NULL: no memory. `count` keys and values; one with a NULL value is left out, of equal
 * keys the last counts. capacity is not a limit.
 */
CFDictionaryRef CFDictionaryCreate(CFAllocatorRef allocator, const void **keys, const void **values, CFIndex count,
                                   const CFDictionaryKeyCallBacks *key_callbacks,
                                   const CFDictionaryValueCallBacks *value_callbacks);
CFMutableDictionaryRef CFDictionaryCreateMutable(CFAllocatorRef allocator, CFIndex capacity,
                                                 const CFDictionaryKeyCallBacks *key_callbacks,
                                                 const CFDictionaryValueCallBacks *value_callbacks);
/* A new dictionary with the same members (shared, not copied), one reference for the caller; NULL: no memory. */
CFDictionaryRef CFDictionaryCreateCopy(CFAllocatorRef allocator, CFDictionaryRef dictionary);
CFMutableDictionaryRef CFDictionaryCreateMutableCopy(CFAllocatorRef allocator, CFIndex capacity, CFDictionaryRef dictionary);
CFIndex CFDictionaryGetCount(CFDictionaryRef dictionary);                               /* members; 0 for NULL */
Boolean CFDictionaryContainsKey(CFDictionaryRef dictionary, const void *key);
/* Without a reference, valid as long as it is a member; NULL: absent. */
const void *CFDictionaryGetValue(CFDictionaryRef dictionary, const void *key);
/* True and *value, without a reference (value may be NULL), when the key is there; else *value stays. */
Boolean CFDictionaryGetValueIfPresent(CFDictionaryRef dictionary, const void *key, const void **value);
/* Fills arrays of CFDictionaryGetCount() pointers; either may be NULL. Keys and values live as long as they are members. */
void CFDictionaryGetKeysAndValues(CFDictionaryRef dictionary, const void **keys, const void **values);
/* Calls applier(key, value, context) for each member, in order, on the calling thread. It must not change the dictionary. */
void CFDictionaryApplyFunction(CFDictionaryRef dictionary, CFDictionaryApplierFunction applier, void *context);
/*
 * Changes. value: retained, not NULL and not the dictionary itself; a value that goes is released. Another value, a key that is
 * no string, or no memory: the dictionary stays as it was, and nothing tells. Removing what is absent does nothing.
 */
void CFDictionaryAddValue(CFMutableDictionaryRef dictionary, const void *key, const void *value);       /* only if absent */
void CFDictionarySetValue(CFMutableDictionaryRef dictionary, const void *key, const void *value);
void CFDictionaryReplaceValue(CFMutableDictionaryRef dictionary, const void *key, const void *value);   /* only if present */
void CFDictionaryRemoveValue(CFMutableDictionaryRef dictionary, const void *key);
void CFDictionaryRemoveAllValues(CFMutableDictionaryRef dictionary);

#ifdef __cplusplus
}
#endif
