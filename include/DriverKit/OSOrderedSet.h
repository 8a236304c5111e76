/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Sets that keep their order of insertion; else as OSSet.h. Contract: memory-and-queues 12.5.
 */
#include <DriverKit/OSCollection.h>

#if defined(__IIG)
#include <DriverKit/OSOrderedSet.iig>
#elif defined(__cplusplus)
#include <DriverKit/OSOrderedSet.iig.h>
#else
extern const OSMetaClass gOSOrderedSetMetaClass;

OSOrderedSet *OSOrderedSet_withCapacity(uint32_t capacity);

uint32_t OSOrderedSet_getCount(const OSOrderedSet *self);
uint32_t OSOrderedSet_getCapacity(const OSOrderedSet *self);
uint32_t OSOrderedSet_ensureCapacity(OSOrderedSet *self, uint32_t capacity);
void OSOrderedSet_flushCollection(OSOrderedSet *self);
OSCollection *OSOrderedSet_copyCollection(const OSOrderedSet *self, OSDictionary *cycleDict);

/* False also: it was there. */
bool OSOrderedSet_setObject(OSOrderedSet *self, void *object);          /* at the end, as setLastObject */
bool OSOrderedSet_setFirstObject(OSOrderedSet *self, void *object);
bool OSOrderedSet_setLastObject(OSOrderedSet *self, void *object);
bool OSOrderedSet_setObject_at(OSOrderedSet *self, uint32_t index, void *object); /* before the one at index */
bool OSOrderedSet_removeObject(OSOrderedSet *self, const void *object);
bool OSOrderedSet_containsObject(const OSOrderedSet *self, const void *object);
OSObject *OSOrderedSet_getObject(const OSOrderedSet *self, uint32_t index);      /* NULL beyond the end */
OSObject *OSOrderedSet_getFirstObject(const OSOrderedSet *self);
OSObject *OSOrderedSet_getLastObject(const OSOrderedSet *self);

/* An ordered set of as many members, equal one by one; NULL is equal to nothing. */
bool OSOrderedSet_isEqualTo(const OSOrderedSet *self, const void *object);
#endif
