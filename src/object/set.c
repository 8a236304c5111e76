/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of objects by identity: arrays inside (array.c) that take an object once. They are searched from the front. */
#include "base/base.h"
#include "object/value.h"

#define NOWHERE ((uint32_t)-1)

/* --- both kinds --- */

static uint32_t members_find(const OSArray *members, const void *object)
{
        return OSArray_getNextIndexOfObject(members, object, 0);
}

static bool members_add(OSArray *members, size_t index, void *object)
{
        return members && members_find(members, object) == NOWHERE && OSArraySetValue(members, index, object);
}

static bool members_remove(OSArray *members, const void *object)
{
        uint32_t at = members_find(members, object);
        return at != NOWHERE && OSArrayRemoveValue(members, at);
}

/* --- sets --- */

static OSArray *inside(const OSSet *set)
{
        return (OSArray *)set;
}

const OSMetaClass gOSSetMetaClass = { "OSSet", &gOSCollectionMetaClass, sizeof(OSSet), amb_array_methods, AMB_SKIN_PLACE };

OSSet *OSSet_withCapacity(uint32_t capacity)
{
        return amb_array_new(&gOSSetMetaClass, 0, capacity);
}

OSSet *OSSet_withObjects(OSObject *const objects[], uint32_t count, uint32_t capacity)
{
        OSSet *set = amb_array_new(&gOSSetMetaClass, count, capacity);
        for (uint32_t i = 0; set && i < count; i++)
                if (!OSSet_containsObject(set, objects[i]) && !OSSet_setObject(set, objects[i]))
                        OSSafeReleaseNULL(set);
        return set;
}

OSSet *OSSet_withArray(const OSArray *array, uint32_t capacity)
{
        return array ? OSSet_withObjects(array->members, (uint32_t)array->count, capacity) : NULL;
}

OSSet *OSSet_withSet(const OSSet *set, uint32_t capacity)
{
        return OSSet_withArray(inside(set), capacity);
}

uint32_t OSSet_getCount(const OSSet *self)
{
        return OSArray_getCount(inside(self));
}

uint32_t OSSet_getCapacity(const OSSet *self)
{
        return OSArray_getCapacity(inside(self));
}

uint32_t OSSet_ensureCapacity(OSSet *self, uint32_t capacity)
{
        return OSArray_ensureCapacity(inside(self), capacity);
}

void OSSet_flushCollection(OSSet *self)
{
        OSArray_flushCollection(inside(self));
}

OSCollection *OSSet_copyCollection(const OSSet *self, OSDictionary *cycleDict)
{
        return self ? amb_array_copy((const OSCollection *)self, cycleDict) : NULL;
}

bool OSSet_setObject(OSSet *self, void *object)
{
        return members_add(inside(self), kOSArrayAppend, object);
}

bool OSSet_merge_array(OSSet *self, const OSArray *other)
{
        bool added = false;
        for (size_t i = 0; i < OSArrayGetCount(other); i++)
                added |= OSSet_setObject(self, other->members[i]);
        return added;
}

bool OSSet_merge_set(OSSet *self, const OSSet *other)
{
        return OSSet_merge_array(self, inside(other));
}

bool OSSet_removeObject(OSSet *self, const void *object)
{
        return members_remove(inside(self), object);
}

bool OSSet_containsObject(const OSSet *self, const void *object)
{
        return members_find(inside(self), object) != NOWHERE;
}

OSObject *OSSet_getAnyObject(const OSSet *self)
{
        return OSArrayGetValue(inside(self), 0);
}

bool OSSet_isEqualTo(const OSSet *self, const void *object)
{
        return self && OSObjectIsEqual(self, object);
}

/* --- ordered sets --- */

static OSArray *ordered(const OSOrderedSet *set)
{
        return (OSArray *)set;
}

const OSMetaClass gOSOrderedSetMetaClass = {
        "OSOrderedSet", &gOSCollectionMetaClass, sizeof(OSOrderedSet), amb_array_methods, AMB_SKIN_PLACE,
};

OSOrderedSet *OSOrderedSet_withCapacity(uint32_t capacity)
{
        return amb_array_new(&gOSOrderedSetMetaClass, 0, capacity);
}

uint32_t OSOrderedSet_getCount(const OSOrderedSet *self)
{
        return OSArray_getCount(ordered(self));
}

uint32_t OSOrderedSet_getCapacity(const OSOrderedSet *self)
{
        return OSArray_getCapacity(ordered(self));
}

uint32_t OSOrderedSet_ensureCapacity(OSOrderedSet *self, uint32_t capacity)
{
        return OSArray_ensureCapacity(ordered(self), capacity);
}

void OSOrderedSet_flushCollection(OSOrderedSet *self)
{
        OSArray_flushCollection(ordered(self));
}

OSCollection *OSOrderedSet_copyCollection(const OSOrderedSet *self, OSDictionary *cycleDict)
{
        return self ? amb_array_copy((const OSCollection *)self, cycleDict) : NULL;
}

bool OSOrderedSet_setObject(OSOrderedSet *self, void *object)
{
        return OSOrderedSet_setLastObject(self, object);
}

bool OSOrderedSet_setFirstObject(OSOrderedSet *self, void *object)
{
        return members_add(ordered(self), 0, object);
}

bool OSOrderedSet_setLastObject(OSOrderedSet *self, void *object)
{
        return members_add(ordered(self), kOSArrayAppend, object);
}

bool OSOrderedSet_setObject_at(OSOrderedSet *self, uint32_t index, void *object)
{
        return members_add(ordered(self), index, object);
}

bool OSOrderedSet_removeObject(OSOrderedSet *self, const void *object)
{
        return members_remove(ordered(self), object);
}

bool OSOrderedSet_containsObject(const OSOrderedSet *self, const void *object)
{
        return members_find(ordered(self), object) != NOWHERE;
}

OSObject *OSOrderedSet_getObject(const OSOrderedSet *self, uint32_t index)
{
        return OSArrayGetValue(ordered(self), index);
}

OSObject *OSOrderedSet_getFirstObject(const OSOrderedSet *self)
{
        return OSArrayGetValue(ordered(self), 0);
}

OSObject *OSOrderedSet_getLastObject(const OSOrderedSet *self)
{
        return OSArray_getLastObject(ordered(self));
}

bool OSOrderedSet_isEqualTo(const OSOrderedSet *self, const void *object)
{
        return self && OSObjectIsEqual(self, object);
}
