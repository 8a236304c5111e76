/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays, and what sets are made of (set.c). */
#include "base/base.h"
#include "object/value.h"

#define NOWHERE ((uint32_t)-1)

bool amb_array_reserve(OSArray *array, size_t capacity)
{
        if (capacity <= array->capacity)
                return true;
        OSObject **members = reallocarray(array->members, capacity, sizeof(*members));
        if (!members)
                return false;
        array->members = members;
        array->capacity = capacity;
        return true;
}

static bool array_make_room(OSArray *array)
{
        if (array->count < array->capacity)
                return true;
        return amb_array_reserve(array, array->capacity ? array->capacity * 2 : 4);
}

void *amb_array_new(const OSMetaClass *meta, size_t least, size_t capacity)
{
        if (!capacity)
                capacity = least;
        OSArray *array = capacity < least ? NULL : (OSArray *)amb_object_alloc(meta);
        if (array && !amb_array_reserve(array, capacity))
                OSSafeReleaseNULL(array);
        return array;
}

/* --- what every collection can do --- */

static OSArray *array_of(const OSCollection *collection)
{
        return (OSArray *)collection;
}

static uint32_t array_count(const OSCollection *collection)
{
        return (uint32_t)array_of(collection)->count;
}

static uint32_t array_capacity(const OSCollection *collection)
{
        return (uint32_t)array_of(collection)->capacity;
}

static uint32_t array_ensure(OSCollection *collection, uint32_t capacity)
{
        (void)amb_array_reserve(array_of(collection), capacity);
        return array_capacity(collection);
}

/* Emptied before the members go: the free of one may come back to this array. */
static void array_flush(OSCollection *collection)
{
        OSArray *array = array_of(collection);
        OSObject **members = array->members;
        size_t count = array->count;
        array->members = NULL;
        array->count = array->capacity = 0;
        for (size_t i = 0; i < count; i++)
                OSObject_release(members[i]);
        free(members);
}

static bool array_iterate(const OSCollection *collection, void *context, OSCollectionIterateFunction function)
{
        const OSArray *array = array_of(collection);
        bool stop = false;
        for (size_t i = 0; !stop && i < array->count; i++) {
                OSObject *member = array->members[i];
                OSObject_retain(member); /* the call may take it out */
                stop = function(context, member);
                OSObject_release(member);
        }
        return true;
}

OSCollection *amb_array_copy(const OSCollection *self, OSDictionary *cycle)
{
        const OSArray *original = array_of(self);
        OSCollection *done;
        if (!cycle)
                return OSCollection_copyCollection(self, NULL);
        OSArray *copy = amb_array_new(original->object.meta, 0, 0);
        if (amb_copy_begin(cycle, original, copy, &done))
                return done;
        for (size_t i = 0; i < original->count; i++) {
                OSObject *member = amb_copy_member(cycle, original->members[i]);
                if (!member || !array_make_room(copy)) {
                        OSObject_release(member);
                        return amb_copy_fail(cycle, original, copy);
                }
                copy->members[copy->count++] = member; /* with its reference; the copy may also be its own member */
        }
        return (OSCollection *)copy;
}

static void array_free(OSObject *object)
{
        array_flush((OSCollection *)object);
        OSObject_free(object);
}

const struct amb_method amb_array_methods[] = {
        AMB_OVERRIDE(OSObject, free, array_free),
        AMB_OVERRIDE(OSObject, isEqualTo, amb_value_is_equal),
        AMB_OVERRIDE(OSCollection, getCount, array_count),
        AMB_OVERRIDE(OSCollection, getCapacity, array_capacity),
        AMB_OVERRIDE(OSCollection, ensureCapacity, array_ensure),
        AMB_OVERRIDE(OSCollection, flushCollection, array_flush),
        AMB_OVERRIDE(OSCollection, iterateObjects_f, array_iterate),
        AMB_OVERRIDE(OSCollection, copyCollection, amb_array_copy),
        AMB_METHODS_END,
};

const OSMetaClass gOSArrayMetaClass = { "OSArray", &gOSCollectionMetaClass, sizeof(OSArray), amb_array_methods, AMB_SKIN_PLACE };

/* --- C functions --- */

OSArray *OSArrayCreate(void)
{
        return (OSArray *)amb_object_alloc(&gOSArrayMetaClass);
}

size_t OSArrayGetCount(const OSArray *array)
{
        return array ? array->count : 0;
}

OSObject *OSArrayGetValue(const OSArray *array, size_t index)
{
        return array && index < array->count ? array->members[index] : NULL;
}

const char *OSArrayGetStringValue(const OSArray *array, size_t index)
{
        OSString *string = OSDynamicCast(OSString, OSArrayGetValue(array, index));
        return string ? OSStringGetStringPtr(string) : NULL;
}

uint64_t OSArrayGetUInt64Value(const OSArray *array, size_t index)
{
        return OSNumberGetUInt64Value(OSDynamicCast(OSNumber, OSArrayGetValue(array, index)));
}

bool OSArraySetValue(OSArray *array, size_t index, void *value)
{
        /* An array in itself would hold its own last reference for ever. */
        if (!array || !value || value == array)
                return false;
        if (index == kOSArrayAppend)
                index = array->count;
        if (index > array->count || !array_make_room(array))
                return false;
        memmove(array->members + index + 1, array->members + index, (array->count - index) * sizeof(*array->members));
        OSObject_retain(value);
        array->members[index] = value;
        array->count++;
        return true;
}

bool OSArrayReplaceValue(OSArray *array, size_t index, void *value)
{
        if (!array || !value || value == array || index >= array->count)
                return false;
        OSObject *old = array->members[index];
        OSObject_retain(value); /* first: it may be the old one */
        array->members[index] = value;
        OSObject_release(old);
        return true;
}

bool OSArrayAppendValue(OSArray *array, void *value)
{
        return OSArraySetValue(array, kOSArrayAppend, value);
}

/* Takes the reference of a value that was just made, or NULL. */
static bool array_give(OSArray *array, size_t index, void *value)
{
        bool done = OSArraySetValue(array, index, value);
        OSObject_release(value);
        return done;
}

bool OSArraySetStringValue(OSArray *array, size_t index, const char *value)
{
        return array_give(array, index, OSStringCreate(value, (size_t)-1));
}

bool OSArraySetUInt64Value(OSArray *array, size_t index, uint64_t value)
{
        return array_give(array, index, OSNumberCreateWithUInt64Value(value));
}

bool OSArrayAppendStringValue(OSArray *array, const char *value)
{
        return OSArraySetStringValue(array, kOSArrayAppend, value);
}

bool OSArrayRemoveValue(OSArray *array, size_t index)
{
        if (!array || index >= array->count)
                return false;
        OSObject *old = array->members[index];
        array->count--;
        memmove(array->members + index, array->members + index + 1, (array->count - index) * sizeof(*array->members));
        OSObject_release(old);
        return true;
}

bool OSArrayApply_f(const OSArray *array, void *context, OSArrayApplierFunction applier)
{
        bool stop = false;
        for (size_t i = 0; !stop && i < OSArrayGetCount(array); i++) {
                OSObject *member = array->members[i];
                OSObject_retain(member); /* the call may take it out */
                stop = applier(context, i, member);
                OSObject_release(member);
        }
        return array != NULL;
}

bool OSArrayApply(const OSArray *array, OSArrayApplier applier)
{
        return OSArrayApply_f(array, (void *)applier, AMB_BLOCK_FUNCTION(applier, OSArrayApplierFunction));
}

/* --- methods --- */

OSArray *OSArray_withCapacity(uint32_t capacity)
{
        return amb_array_new(&gOSArrayMetaClass, 0, capacity);
}

OSArray *OSArray_withObjects(OSObject *const objects[], uint32_t count, uint32_t capacity)
{
        OSArray *array = amb_array_new(&gOSArrayMetaClass, count, capacity);
        for (uint32_t i = 0; array && i < count; i++)
                if (!OSArrayAppendValue(array, objects[i]))
                        OSSafeReleaseNULL(array);
        return array;
}

OSArray *OSArray_withArray(const OSArray *array, uint32_t capacity)
{
        return array ? OSArray_withObjects(array->members, (uint32_t)array->count, capacity) : NULL;
}

uint32_t OSArray_getCount(const OSArray *self)
{
        return (uint32_t)OSArrayGetCount(self);
}

uint32_t OSArray_getCapacity(const OSArray *self)
{
        return self ? (uint32_t)self->capacity : 0;
}

uint32_t OSArray_ensureCapacity(OSArray *self, uint32_t capacity)
{
        return self ? array_ensure((OSCollection *)self, capacity) : 0;
}

void OSArray_flushCollection(OSArray *self)
{
        if (self)
                array_flush((OSCollection *)self);
}

OSCollection *OSArray_copyCollection(const OSArray *self, OSDictionary *cycleDict)
{
        return self ? amb_array_copy((const OSCollection *)self, cycleDict) : NULL;
}

bool OSArray_setObject(OSArray *self, void *object)
{
        return OSArrayAppendValue(self, object);
}

bool OSArray_setObject_at(OSArray *self, uint32_t index, void *object)
{
        return OSArraySetValue(self, index, object);
}

bool OSArray_replaceObject(OSArray *self, uint32_t index, void *object)
{
        return OSArrayReplaceValue(self, index, object);
}

bool OSArray_removeObject(OSArray *self, uint32_t index)
{
        return OSArrayRemoveValue(self, index);
}

bool OSArray_merge(OSArray *self, const OSArray *other)
{
        size_t count = OSArrayGetCount(other), wanted;
        if (!self || !other || OSArray_getNextIndexOfObject(other, self, 0) != NOWHERE)
                return false;
        if (__builtin_add_overflow(self->count, count, &wanted) || !amb_array_reserve(self, wanted))
                return false;
        for (size_t i = 0; i < count; i++) /* other may be this array: its members are those that it had */
                (void)OSArrayAppendValue(self, other->members[i]);
        return true;
}

OSObject *OSArray_getObject(const OSArray *self, uint32_t index)
{
        return OSArrayGetValue(self, index);
}

OSObject *OSArray_getLastObject(const OSArray *self)
{
        return OSArrayGetCount(self) ? self->members[self->count - 1] : NULL;
}

uint32_t OSArray_getNextIndexOfObject(const OSArray *self, const void *object, uint32_t index)
{
        for (size_t i = index; object && i < OSArrayGetCount(self); i++)
                if (self->members[i] == object)
                        return (uint32_t)i;
        return NOWHERE;
}

bool OSArray_isEqualTo(const OSArray *self, const void *object)
{
        return self && OSObjectIsEqual(self, object);
}
