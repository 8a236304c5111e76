/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Dictionaries: keys are strings, kept by value, in order of insertion. OSContainer.h says what holds for every function,
 * OSCollection.h what every collection can do. Contract: memory-and-queues 12.5.
 *
 * An object of another class can be a key, too, for a table within the driver: it is retained, found by OSObjectIsEqual, one by
 * one, and comes after the strings. Such entries are not seen by the functions with C strings or positions, or by
 * OSDictionaryGetCount and OSDictionaryApply; a dictionary with one of them can be no property, and cannot be sent or serialized.
 */
#include <DriverKit/OSCollection.h>

typedef bool (*OSDictionaryIterateFunction)(void *context, OSObject *key, OSObject *value);
AMB_BLOCK_TYPE(OSDictionaryIterateBlock, bool, OSObject *key, OSObject *value);

#if defined(__IIG)
#include <DriverKit/OSDictionary.iig>
#elif defined(__cplusplus)
#include <DriverKit/OSDictionary.iig.h>
#else
extern const OSMetaClass gOSDictionaryMetaClass;

/* capacity: room for that many; for a copy 0 (as many as needed), or at least the count, else NULL. Values are shared. */
OSDictionary *OSDictionary_withCapacity(uint32_t capacity);
/* Of equal keys the last one's value counts. */
OSDictionary *OSDictionary_withObjects(OSObject *const values[], OSObject *const keys[], uint32_t count, uint32_t capacity);
OSDictionary *OSDictionary_withDictionary(const OSDictionary *dictionary, uint32_t capacity);

uint32_t OSDictionary_getCount(const OSDictionary *self);
uint32_t OSDictionary_getCapacity(const OSDictionary *self);
uint32_t OSDictionary_ensureCapacity(OSDictionary *self, uint32_t capacity);
void OSDictionary_flushCollection(OSDictionary *self);
OSCollection *OSDictionary_copyCollection(const OSDictionary *self, OSDictionary *cycleDict);

/* setObject replaces; false: NULL, the dictionary itself, no memory. removeObject: false: no such key. */
bool OSDictionary_setObject(OSDictionary *self, const void *key, void *object);
bool OSDictionary_setObject_cString(OSDictionary *self, const char *key, void *object);
OSObject *OSDictionary_getObject(const OSDictionary *self, const void *key);
OSObject *OSDictionary_getObject_cString(const OSDictionary *self, const char *key);
bool OSDictionary_removeObject(OSDictionary *self, const void *key);
bool OSDictionary_removeObject_cString(OSDictionary *self, const char *key);
/* other's values win. No memory: false, and what was merged until then stays. */
bool OSDictionary_merge(OSDictionary *self, const OSDictionary *other);

/* As OSCollection_iterateObjects, with keys and values. */
bool OSDictionary_iterateObjects_f(const OSDictionary *self, void *context, OSDictionaryIterateFunction function);
bool OSDictionary_iterateObjects(const OSDictionary *self, OSDictionaryIterateBlock block);

/* A dictionary with the same keys and equal values; NULL is equal to nothing. */
bool OSDictionary_isEqualTo(const OSDictionary *self, const void *object);
/* Only as to these keys (of a dictionary: its keys): both have each of them, with equal values. */
bool OSDictionary_isEqualTo_keys(const OSDictionary *self, const OSDictionary *other, const OSCollection *keys);
#endif
