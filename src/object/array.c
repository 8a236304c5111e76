/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "object/value.h"

static void array_free(OSObject *object)
{
        OSArray *array = (OSArray *)object;
        for (size_t i = 0; i < array->count; i++)
                OSObject_release(array->members[i]);
        free(array->members);
        OSObject_free(object);
}

static bool array_is_equal(const OSObject *self, const OSObject *other)
{
        return OSObjectIsEqual(self, other);
}

static const struct amb_method array_methods[] = {
        AMB_OVERRIDE(OSObject, free, array_free),
        AMB_OVERRIDE(OSObject, isEqualTo, array_is_equal),
        AMB_METHODS_END,
};

const OSMetaClass gOSArrayMetaClass = { "OSArray", &gOSObjectMetaClass, sizeof(OSArray), array_methods, NULL };

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

static bool array_make_room(OSArray *array)
{
        if (array->count < array->capacity)
                return true;
        size_t capacity = array->capacity ? array->capacity * 2 : 4;
        OSObject **members = reallocarray(array->members, capacity, sizeof(*members));
        if (!members)
                return false;
        array->members = members;
        array->capacity = capacity;
        return true;
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

bool OSArrayAppendStringValue(OSArray *array, const char *value)
{
        OSString *string = OSStringCreate(value, (size_t)-1);
        bool done = OSArrayAppendValue(array, string);
        OSObject_release(string);
        return done;
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
