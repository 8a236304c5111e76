/* SPDX-License-Identifier: Apache-2.0 */
/* The values without members: strings, data, numbers, booleans. */
#include "base/base.h"
#include "object/match.h"
#include "object/value.h"

/* All values compare by contents; which contents are alike is written in one place, match.c. */
static bool value_is_equal(const OSObject *self, const OSObject *other)
{
        return OSObjectIsEqual(self, other);
}

/* --- strings --- */

static const struct amb_method string_methods[] = {
        AMB_OVERRIDE(OSObject, isEqualTo, value_is_equal),
        AMB_METHODS_END,
};

const OSMetaClass gOSStringMetaClass = { "OSString", &gOSObjectMetaClass, sizeof(OSString), string_methods, NULL };

OSString *OSStringCreate(const char *cstring, size_t length)
{
        if (!cstring)
                return NULL;
        length = length == (size_t)-1 ? strlen(cstring) : strnlen(cstring, length);
        OSString *string = (OSString *)amb_object_alloc_extra(&gOSStringMetaClass, length + 1);
        if (!string)
                return NULL;
        memcpy(string + 1, cstring, length);
        string->bytes = (const char *)(string + 1);
        string->length = length;
        return string;
}

const char *OSStringGetStringPtr(const OSString *string)
{
        return string && string->bytes ? string->bytes : "";
}

size_t OSStringGetLength(const OSString *string)
{
        return string ? string->length : 0;
}

/* --- data --- */

static void data_free(OSObject *object)
{
        free(((OSData *)object)->bytes);
        OSObject_free(object);
}

static const struct amb_method data_methods[] = {
        AMB_OVERRIDE(OSObject, free, data_free),
        AMB_OVERRIDE(OSObject, isEqualTo, value_is_equal),
        AMB_METHODS_END,
};

const OSMetaClass gOSDataMetaClass = { "OSData", &gOSObjectMetaClass, sizeof(OSData), data_methods, NULL };

OSData *OSDataCreate(const void *bytes, size_t length)
{
        OSData *data = (OSData *)amb_object_alloc(&gOSDataMetaClass);
        if (data && !OSDataAppendBytes(data, bytes, length))
                OSSafeReleaseNULL(data);
        return data;
}

size_t OSDataGetLength(const OSData *data)
{
        return data ? data->length : 0;
}

const void *OSDataGetBytesPtr(const OSData *data, size_t offset, size_t length)
{
        if (!data || !length || offset > data->length || length > data->length - offset)
                return NULL;
        return data->bytes + offset;
}

bool OSDataGetBytes(const OSData *data, void *buffer, size_t offset, size_t length)
{
        if (!data || offset > data->length || length > data->length - offset)
                return false;
        if (length)
                memcpy(buffer, data->bytes + offset, length);
        return true;
}

static bool data_grow(OSData *data, size_t wanted)
{
        if (wanted <= data->capacity)
                return true;
        /* The first bytes get just their room (most data never grows), later ones double it. */
        size_t capacity = data->capacity ? data->capacity * 2 : wanted;
        if (capacity < wanted)
                capacity = wanted;
        uint8_t *grown = realloc(data->bytes, capacity);
        if (!grown)
                return false;
        data->bytes = grown;
        data->capacity = capacity;
        return true;
}

bool OSDataAppendBytes(OSData *data, const void *bytes, size_t length)
{
        size_t wanted;
        if (!data || __builtin_add_overflow(data->length, length, &wanted))
                return false;
        if (!length)
                return true;
        /* The source may be our own bytes, which growing moves. */
        uintptr_t inside = (uintptr_t)bytes - (uintptr_t)data->bytes;
        bool own = bytes && data->bytes && inside < data->capacity;
        if (!data_grow(data, wanted))
                return false;
        if (own)
                memmove(data->bytes + data->length, data->bytes + inside, length);
        else if (bytes)
                memcpy(data->bytes + data->length, bytes, length);
        else
                memset(data->bytes + data->length, 0, length);
        data->length = wanted;
        return true;
}

bool amb_data_refill(OSData *data, const void *bytes, size_t length)
{
        /* Acquire: what the others did with it before they released it. */
        if (!data || __atomic_load_n(&data->object.references, __ATOMIC_ACQUIRE) != 1)
                return false;
        data->length = 0;
        return OSDataAppendBytes(data, bytes, length);
}

/* --- numbers --- */

static const struct amb_method number_methods[] = {
        AMB_OVERRIDE(OSObject, isEqualTo, value_is_equal),
        AMB_METHODS_END,
};

const OSMetaClass gOSNumberMetaClass = { "OSNumber", &gOSObjectMetaClass, sizeof(OSNumber), number_methods, NULL };

OSNumber *OSNumberCreate(uint64_t value, size_t bits)
{
        if (bits != 8 && bits != 16 && bits != 32 && bits != 64)
                return NULL;
        OSNumber *number = (OSNumber *)amb_object_alloc(&gOSNumberMetaClass);
        if (!number)
                return NULL;
        number->value = value & (UINT64_MAX >> (64 - bits));
        number->bits = bits;
        return number;
}

OSNumber *OSNumberCreateWithUInt64Value(uint64_t value)
{
        return OSNumberCreate(value, 64);
}

uint64_t OSNumberGetUInt64Value(const OSNumber *number)
{
        return number ? number->value : 0;
}

size_t OSNumberGetBits(const OSNumber *number)
{
        return number ? number->bits : 0;
}

/* --- booleans --- */

static const struct amb_method boolean_methods[] = {
        AMB_OVERRIDE(OSObject, isEqualTo, value_is_equal),
        AMB_METHODS_END,
};

const OSMetaClass gOSBooleanMetaClass = { "OSBoolean", &gOSObjectMetaClass, sizeof(OSBoolean), boolean_methods, NULL };

static OSBoolean boolean_true = { { NULL, AMB_REFERENCES_STUCK, 0, &gOSBooleanMetaClass }, true };
static OSBoolean boolean_false = { { NULL, AMB_REFERENCES_STUCK, 0, &gOSBooleanMetaClass }, false };

OSBoolean *const kOSBooleanTrue = &boolean_true;
OSBoolean *const kOSBooleanFalse = &boolean_false;
