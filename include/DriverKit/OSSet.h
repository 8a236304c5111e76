/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Sets of objects, by identity: an object is in it once; two objects with equal values are two members. OSContainer.h says
 * what holds for every function, OSCollection.h what every collection can do. A set that becomes a registry property, or
 * travels to another process, arrives there as an array. Contract: memory-and-queues 12.5.
 */
#include <DriverKit/OSCollection.h>

#if defined(__IIG)
#include <DriverKit/OSSet.iig>
#elif defined(__cplusplus)
#include <DriverKit/OSSet.iig.h>
#else
extern const OSMetaClass gOSSetMetaClass;

/* capacity: as for arrays. An object that occurs more than once is taken once. */
OSSet *OSSet_withCapacity(uint32_t capacity);
OSSet *OSSet_withObjects(OSObject *const objects[], uint32_t count, uint32_t capacity);
OSSet *OSSet_withArray(const OSArray *array, uint32_t capacity);
OSSet *OSSet_withSet(const OSSet *set, uint32_t capacity);

uint32_t OSSet_getCount(const OSSet *self);
uint32_t OSSet_getCapacity(const OSSet *self);
uint32_t OSSet_ensureCapacity(OSSet *self, uint32_t capacity);
void OSSet_flushCollection(OSSet *self);
OSCollection *OSSet_copyCollection(const OSSet *self, OSDictionary *cycleDict);

bool OSSet_setObject(OSSet *self, void *object);                        /* false also: it was there */
bool OSSet_merge_array(OSSet *self, const OSArray *other);              /* false also: nothing was new */
bool OSSet_merge_set(OSSet *self, const OSSet *other);
bool OSSet_removeObject(OSSet *self, const void *object);
bool OSSet_containsObject(const OSSet *self, const void *object);
OSObject *OSSet_getAnyObject(const OSSet *self);                        /* one of them; NULL if empty */

/* A set of as many members, each equal to one of the other's; NULL is equal to nothing. */
bool OSSet_isEqualTo(const OSSet *self, const void *object);
#endif
