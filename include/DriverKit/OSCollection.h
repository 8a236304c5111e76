/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Collections: what arrays, dictionaries and sets can all do. OSCollection is abstract, so these functions are virtual calls: they
 * reach what the object's own class does. OSContainer.h says what holds for every function. Contract: memory-and-queues 12.4.
 */
#include <DriverKit/OSContainer.h>

#define OSCollection_getCount_ID 0x4f53436f6c000001ull
#define OSCollection_getCapacity_ID 0x4f53436f6c000002ull
#define OSCollection_ensureCapacity_ID 0x4f53436f6c000003ull
#define OSCollection_flushCollection_ID 0x4f53436f6c000004ull
#define OSCollection_iterateObjects_f_ID 0x4f53436f6c000005ull
#define OSCollection_copyCollection_ID 0x4f53436f6c000006ull
typedef bool (*OSCollectionIterateFunction)(void *context, OSObject *object);
AMB_BLOCK_TYPE(OSCollectionIterateBlock, bool, OSObject *object);

#if defined(__IIG)
#include <DriverKit/OSCollection.iig>
#elif defined(__cplusplus)
#include <DriverKit/OSCollection.iig.h>
#else
extern const OSMetaClass gOSCollectionMetaClass;

uint32_t OSCollection_getCount(const OSCollection *self);               /* members */
uint32_t OSCollection_getCapacity(const OSCollection *self);            /* members it can have without a new allocation */
uint32_t OSCollection_ensureCapacity(OSCollection *self, uint32_t capacity); /* at least that many; what it is then */
void OSCollection_flushCollection(OSCollection *self);                  /* takes all members out */

/*
 * Calls for each member, of a dictionary for each key, in order, until one call returns true. The object is held during its
 * call. A call may change the collection; the walk goes on with what is then at the next index. True: it could walk; false: NULL.
 */
bool OSCollection_iterateObjects_f(const OSCollection *self, void *context, OSCollectionIterateFunction function);
bool OSCollection_iterateObjects(const OSCollection *self, OSCollectionIterateBlock block);

/*
 * A copy, one reference: collections inside are copied too, other members are shared. A collection that occurs more than once
 * - even inside itself - is copied once. cycleDict, may be NULL: remembers from call to call what has been copied; the
 * originals must live as long as it does.
 */
OSCollection *OSCollection_copyCollection(const OSCollection *self, OSDictionary *cycleDict);
#endif
