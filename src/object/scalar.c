/* SPDX-License-Identifier: Apache-2.0 */
/* The values without members: strings, data, numbers, booleans. */
#include "base/base.h"
#include "object/match.h"
#include "object/value.h"

/* --- strings --- */

static const struct amb_method string_methods[] = {
        AMB_OVERRIDE(OSObject, isEqualTo, amb_value_is_equal),
        AMB_METHODS_END,
};

const OSMetaClass gOSStringMetaClass = { "OSString", &gOSContainerMetaClass, sizeof(OSString), string_methods, AMB_SKIN_PLACE };

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

OSString *OSString_withCString(const char *cString)
{
        return OSStringCreate(cString, (size_t)-1);
}

OSString *OSString_withCString_length(const char *cString, size_t length)
{
        return OSStringCreate(cString, length);
}

OSString *OSString_withCStringNoCopy(const char *cString)
{
        OSString *string = cString ? (OSString *)amb_object_alloc(&gOSStringMetaClass) : NULL;
        if (!string)
                return NULL;
        string->bytes = cString;
        string->length = strlen(cString);
        return string;
}

OSString *OSString_withString(const OSString *string)
{
        return string ? OSStringCreate(OSStringGetStringPtr(string), string->length) : NULL;
}

size_t OSString_getLength(const OSString *self)
{
        return OSStringGetLength(self);
}

const char *OSString_getCStringNoCopy(const OSString *self)
{
        return OSStringGetStringPtr(self);
}

bool OSString_isEqualTo(const OSString *self, const void *object)
{
        return self && OSObjectIsEqual(self, object);
}

bool OSString_isEqualTo_cString(const OSString *self, const char *cString)
{
        return self && cString && strcmp(OSStringGetStringPtr(self), cString) == 0;
}

bool OSString_isEqualTo_data(const OSString *self, const OSData *data)
{
        return self && data && amb_string_is_data(self, data);
}

/* --- data --- */

static void data_free(OSObject *object)
{
        if (!((OSData *)object)->borrowed)
                free(((OSData *)object)->bytes);
        OSObject_free(object);
}

static const struct amb_method data_methods[] = {
        AMB_OVERRIDE(OSObject, free, data_free),
        AMB_OVERRIDE(OSObject, isEqualTo, amb_value_is_equal),
        AMB_METHODS_END,
};

const OSMetaClass gOSDataMetaClass = { "OSData", &gOSContainerMetaClass, sizeof(OSData), data_methods, AMB_SKIN_PLACE };

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
        if (data->borrowed)
                return false;
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

uint8_t *amb_data_refill(OSData *data, size_t length)
{
        /* Acquire: what the others did with it before they released it. */
        if (!data || data->borrowed || __atomic_load_n(&data->object.references, __ATOMIC_ACQUIRE) != 1)
                return NULL;
        if (length > data->capacity && !data_grow(data, length))
                return NULL;
        data->length = length;
        return data->bytes;
}

OSData *OSData_withCapacity(uint32_t capacity)
{
        OSData *data = (OSData *)amb_object_alloc(&gOSDataMetaClass);
        if (data && !data_grow(data, capacity))
                OSSafeReleaseNULL(data);
        return data;
}

OSData *OSData_withBytes(const void *bytes, size_t length)
{
        return bytes || !length ? OSDataCreate(bytes, length) : NULL;
}

OSData *OSData_withBytesNoCopy(void *bytes, size_t length)
{
        OSData *data = bytes || !length ? (OSData *)amb_object_alloc(&gOSDataMetaClass) : NULL;
        if (!data)
                return NULL;
        data->bytes = bytes;
        data->length = data->capacity = length;
        data->borrowed = true;
        return data;
}

OSData *OSData_withData(const OSData *data)
{
        return data ? OSDataCreate(data->bytes, data->length) : NULL;
}

OSData *OSData_withData_range(const OSData *data, size_t start, size_t length)
{
        if (!data || start > data->length || length > data->length - start)
                return NULL;
        return OSDataCreate(OSDataGetBytesPtr(data, start, length), length);
}

size_t OSData_getLength(const OSData *self)
{
        return OSDataGetLength(self);
}

size_t OSData_getCapacity(const OSData *self)
{
        return self ? self->capacity : 0;
}

const void *OSData_getBytesNoCopy(const OSData *self)
{
        return OSDataGetBytesPtr(self, 0, OSDataGetLength(self));
}

const void *OSData_getBytesNoCopy_range(const OSData *self, size_t start, size_t length)
{
        return OSDataGetBytesPtr(self, start, length);
}

bool OSData_appendBytes(OSData *self, const void *bytes, size_t length)
{
        return (bytes || !length) && OSDataAppendBytes(self, bytes, length);
}

bool OSData_appendBytes_data(OSData *self, const OSData *other)
{
        return other && OSDataAppendBytes(self, other->bytes, other->length);
}

bool OSData_isEqualTo(const OSData *self, const void *object)
{
        return self && OSObjectIsEqual(self, object);
}

bool OSData_isEqualTo_bytes(const OSData *self, const void *bytes, size_t length)
{
        return self && self->length == length && (!length || (bytes && memcmp(self->bytes, bytes, length) == 0));
}

bool OSData_isEqualTo_string(const OSData *self, const OSString *string)
{
        return OSString_isEqualTo_data(string, self);
}

/* --- numbers --- */

static const struct amb_method number_methods[] = {
        AMB_OVERRIDE(OSObject, isEqualTo, amb_value_is_equal),
        AMB_METHODS_END,
};

const OSMetaClass gOSNumberMetaClass = { "OSNumber", &gOSContainerMetaClass, sizeof(OSNumber), number_methods, AMB_SKIN_PLACE };

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

OSNumber *OSNumber_withNumber(uint64_t value, size_t numberOfBits)
{
        return OSNumberCreate(value, numberOfBits);
}

OSNumber *OSNumber_withNumber_cString(const char *value, size_t numberOfBits)
{
        if (!value)
                return NULL;
        char *end;
        errno = 0;
        uint64_t number = strtoull(value, &end, 0);
        return errno || end == value || *end ? NULL : OSNumberCreate(number, numberOfBits);
}

uint32_t OSNumber_numberOfBits(const OSNumber *self)
{
        return (uint32_t)OSNumberGetBits(self);
}

uint32_t OSNumber_numberOfBytes(const OSNumber *self)
{
        return OSNumber_numberOfBits(self) / 8;
}

uint8_t OSNumber_unsigned8BitValue(const OSNumber *self)
{
        return (uint8_t)OSNumberGetUInt64Value(self);
}

uint16_t OSNumber_unsigned16BitValue(const OSNumber *self)
{
        return (uint16_t)OSNumberGetUInt64Value(self);
}

uint32_t OSNumber_unsigned32BitValue(const OSNumber *self)
{
        return (uint32_t)OSNumberGetUInt64Value(self);
}

uint64_t OSNumber_unsigned64BitValue(const OSNumber *self)
{
        return OSNumberGetUInt64Value(self);
}

bool OSNumber_isEqualTo(const OSNumber *self, const void *object)
{
        return self && OSObjectIsEqual(self, object);
}

/* --- booleans --- */

static const struct amb_method boolean_methods[] = {
        AMB_OVERRIDE(OSObject, isEqualTo, amb_value_is_equal),
        AMB_METHODS_END,
};

const OSMetaClass gOSBooleanMetaClass = { "OSBoolean", &gOSContainerMetaClass, sizeof(OSBoolean), boolean_methods, AMB_SKIN_PLACE };

static OSBoolean boolean_true = { { NULL, AMB_REFERENCES_STUCK, 0, &gOSBooleanMetaClass }, true };
static OSBoolean boolean_false = { { NULL, AMB_REFERENCES_STUCK, 0, &gOSBooleanMetaClass }, false };

OSBoolean *const kOSBooleanTrue = &boolean_true;
OSBoolean *const kOSBooleanFalse = &boolean_false;
