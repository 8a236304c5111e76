/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Sets of CF values, no two of them equal (CFEqual). A set retains its members; the callbacks argument is accepted and ignored. As
 * a registry property a set becomes an array. One thread at a time changes a set, or many read it.
 *
 * Contract: real-code 3 'CoreFoundation functions', memory-and-queues 12.5.
 */
#include <CoreFoundation/CFBase.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
        CFIndex version;
} CFSetCallBacks;
CF_EXPORT const CFSetCallBacks kCFTypeSetCallBacks;
typedef void (*CFSetApplierFunction)(const void *value, void *context);

CFTypeID CFSetGetTypeID(void);
/* Empty, one reference for the caller; NULL: no memory. capacity is not a limit. */
CFMutableSetRef CFSetCreateMutable(CFAllocatorRef allocator, CFIndex capacity, const CFSetCallBacks *callbacks);
CFIndex CFSetGetCount(CFSetRef set);                                    /* members; 0 for NULL */
Boolean CFSetContainsValue(CFSetRef set, const void *value);
/* The member that is equal to value, without a reference; NULL: none. */
const void *CFSetGetValue(CFSetRef set, const void *value);
void CFSetGetValues(CFSetRef set, const void **values);                 /* fills CFSetGetCount() pointers, without references */
/* Calls applier(member, context) for each member, on the calling thread. It must not change the set. */
void CFSetApplyFunction(CFSetRef set, CFSetApplierFunction applier, void *context);
/* Retained, unless an equal one is there; released. Without memory the set stays as it was, and nothing tells. */
void CFSetAddValue(CFMutableSetRef set, const void *value);
void CFSetRemoveValue(CFMutableSetRef set, const void *value);

#ifdef __cplusplus
}
#endif
