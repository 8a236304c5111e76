/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Arrays. OSContainer.h says what holds for every function, OSCollection.h what every collection can do. Contract:
 * memory-and-queues 12.4.
 */
#include <DriverKit/OSCollection.h>

#if defined(__IIG)
#include <DriverKit/OSArray.iig>
#elif defined(__cplusplus)
#include <DriverKit/OSArray.iig.h>
#else
extern const OSMetaClass gOSArrayMetaClass;

/* capacity: room for that many; for a copy 0 (as many as needed), or at least the count, else NULL. Members are shared. */
OSArray *OSArray_withCapacity(uint32_t capacity);
OSArray *OSArray_withObjects(OSObject *const objects[], uint32_t count, uint32_t capacity);
OSArray *OSArray_withArray(const OSArray *array, uint32_t capacity);

uint32_t OSArray_getCount(const OSArray *self);
uint32_t OSArray_getCapacity(const OSArray *self);
uint32_t OSArray_ensureCapacity(OSArray *self, uint32_t capacity);
void OSArray_flushCollection(OSArray *self);
OSCollection *OSArray_copyCollection(const OSArray *self, OSDictionary *cycleDict);

bool OSArray_setObject(OSArray *self, void *object);                            /* at the end */
bool OSArray_setObject_at(OSArray *self, uint32_t index, void *object);  /* before the one there; index = count: at the end */
bool OSArray_replaceObject(OSArray *self, uint32_t index, void *object);
bool OSArray_removeObject(OSArray *self, uint32_t index);                       /* the others move down */
bool OSArray_merge(OSArray *self, const OSArray *other);                        /* other's members at the end, all or none */

OSObject *OSArray_getObject(const OSArray *self, uint32_t index);               /* NULL beyond the end */
OSObject *OSArray_getLastObject(const OSArray *self);                           /* NULL if empty */
/* The first index from `index` at which this very object is; (uint32_t)-1: nowhere. */
uint32_t OSArray_getNextIndexOfObject(const OSArray *self, const void *object, uint32_t index);

/* An array of as many members, equal one by one; NULL is equal to nothing. */
bool OSArray_isEqualTo(const OSArray *self, const void *object);
#endif
