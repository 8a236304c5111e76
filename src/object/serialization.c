/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as bytes. A magic word, then one value:
 *
 *      value           type (1 byte, a kOSCollectionType, or ORDERED), then by type:
 *      string, data    length (4 bytes), bytes
 *      number          width in bits (1 byte), value (8 bytes)
 *      boolean         0 or 1
 *      array, sets     count (4 bytes), values
 *      dictionary      count (4 bytes), for each: length (4 bytes) and bytes of the key, value
 *
 * Numbers are little endian. The bytes may come from anybody: each length is compared with what is left before it is used, a count
 * reserves nothing, and no value is nested deeper than MAX_DEPTH.
 */
#include <endian.h>

#include "base/base.h"
#include "object/value.h"

enum { MAX_DEPTH = 64, MAX_BYTES = 1 << 28, ORDERED = 5 };
static const char magic[4] = { 'A', 'm', 'b', '1' };

struct OSSerialization {
        OSObject object;
        const void *bytes;
        size_t length;
        void *context;
        OSSerializationFreeBufferFunction free_bytes;
};

static void serialization_free(OSObject *object)
{
        OSSerialization *s = (OSSerialization *)object;
        if (s->free_bytes)
                s->free_bytes(s->context, s->bytes, s->length);
        OSObject_free(object);
}

static const struct amb_method serialization_methods[] = {
        AMB_OVERRIDE(OSObject, free, serialization_free),
        AMB_METHODS_END,
};

const OSMetaClass gOSSerializationMetaClass = { "OSSerialization", &gOSContainerMetaClass, sizeof(OSSerialization),
                                                serialization_methods, AMB_SKIN_PLACE };

/* --- writing --- */

static bool write_value(OSData *out, const OSObject *value, unsigned depth);

static bool write_byte(OSData *out, uint8_t byte)
{
        return OSDataAppendBytes(out, &byte, 1);
}

static bool write_length(OSData *out, size_t length)
{
        uint32_t wire = htole32((uint32_t)length);
        return length <= UINT32_MAX && OSDataAppendBytes(out, &wire, sizeof(wire));
}

static bool write_bytes(OSData *out, const void *bytes, size_t length)
{
        return write_length(out, length) && OSDataAppendBytes(out, bytes, length);
}

static bool write_number(OSData *out, const OSNumber *number)
{
        uint64_t wire = htole64(number->value);
        return write_byte(out, (uint8_t)number->bits) && OSDataAppendBytes(out, &wire, sizeof(wire));
}

static bool write_members(OSData *out, const OSArray *members, unsigned depth)
{
        bool done = write_length(out, members->count);
        for (size_t i = 0; done && i < members->count; i++)
                done = write_value(out, members->members[i], depth);
        return done;
}

static bool write_dictionary(OSData *out, const OSDictionary *dictionary, unsigned depth)
{
        bool done = amb_dictionary_keyed(dictionary) == 0 && write_length(out, dictionary->count);
        for (size_t i = 0; done && i < dictionary->count; i++) {
                const OSString *key = dictionary->entries[i].key;
                done = write_bytes(out, key->bytes, key->length) && write_value(out, dictionary->entries[i].value, depth);
        }
        return done;
}

static bool write_value(OSData *out, const OSObject *value, unsigned depth)
{
        enum amb_value_kind kind = amb_value_kind(value);
        /* Bytes too: what contains the same container over and over has room in memory, and none in a row. */
        if (depth >= MAX_DEPTH || out->length > MAX_BYTES || kind == AMB_VALUE_NONE)
                return false;
        if (!write_byte(out, kind == AMB_VALUE_ORDERED_SET ? ORDERED : (uint8_t)OSCollectionTypeID(value)))
                return false;
        switch (kind) {
        case AMB_VALUE_STRING:
                return write_bytes(out, OSStringGetStringPtr((const OSString *)value), ((const OSString *)value)->length);
        case AMB_VALUE_DATA:
                return write_bytes(out, ((const OSData *)value)->bytes, ((const OSData *)value)->length);
        case AMB_VALUE_NUMBER:
                return write_number(out, (const OSNumber *)value);
        case AMB_VALUE_BOOLEAN:
                return write_byte(out, ((const OSBoolean *)value)->value);
        case AMB_VALUE_DICTIONARY:
                return write_dictionary(out, (const OSDictionary *)value, depth + 1);
        default:
                return write_members(out, amb_value_members(value), depth + 1);
        }
}

static void release_data(void *context, const void *bytes, size_t length)
{
        OSObject_release(context);
}

OSSerialization *OSCreateSerializationFromObject(const void *object)
{
        OSData *out = OSDataCreate(magic, sizeof(magic));
        OSSerialization *s = NULL;
        if (out && write_value(out, object, 0))
                s = (OSSerialization *)amb_object_alloc(&gOSSerializationMetaClass);
        if (!s) {
                OSObject_release(out);
                return NULL;
        }
        s->bytes = out->bytes;
        s->length = out->length;
        s->context = out;
        s->free_bytes = release_data;
        return s;
}

OSSerialization *OSCreateSerializationFromBytes_f(const void *bytes, size_t length, void *context,
                                                  OSSerializationFreeBufferFunction freeBytes)
{
        OSSerialization *s = bytes ? (OSSerialization *)amb_object_alloc(&gOSSerializationMetaClass) : NULL;
        if (!s) {
                if (freeBytes)
                        freeBytes(context, bytes, length);
                return NULL;
        }
        s->bytes = bytes;
        s->length = length;
        s->context = context;
        s->free_bytes = freeBytes;
        return s;
}

static void free_by_block(void *context, const void *bytes, size_t length)
{
        AMB_BLOCK_FUNCTION(context, OSSerializationFreeBufferFunction)(context, bytes, length);
        _Block_release(context);
}

OSSerialization *OSCreateSerializationFromBytes(const void *bytes, size_t length, OSSerializationFreeBufferHandler freeBytes)
{
        void *copy = freeBytes ? _Block_copy((void *)freeBytes) : NULL;
        if (!freeBytes || copy)
                return OSCreateSerializationFromBytes_f(bytes, length, copy, copy ? free_by_block : NULL);
        AMB_BLOCK_FUNCTION(freeBytes, OSSerializationFreeBufferFunction)((void *)freeBytes, bytes, length);
        return NULL;
}

const void *OSSerializationGetBytes(const OSSerialization *serialization, size_t *length)
{
        if (length)
                *length = serialization ? serialization->length : 0;
        return serialization ? serialization->bytes : NULL;
}

/* --- reading: NULL as soon as something is wrong --- */

struct rest {
        const uint8_t *at;
        size_t length;
};

static OSObject *read_value(struct rest *rest, unsigned depth);

static const uint8_t *take(struct rest *rest, size_t length)
{
        const uint8_t *at = rest->at;
        if (length > rest->length)
                return NULL;
        rest->at += length;
        rest->length -= length;
        return at;
}

static bool take_length(struct rest *rest, uint32_t *ret)
{
        const uint8_t *at = take(rest, sizeof(*ret));
        if (!at)
                return false;
        memcpy(ret, at, sizeof(*ret));
        *ret = le32toh(*ret);
        return true;
}

static OSString *read_string(struct rest *rest)
{
        uint32_t length;
        const uint8_t *bytes = take_length(rest, &length) ? take(rest, length) : NULL;
        if (!bytes || memchr(bytes, 0, length))
                return NULL;
        return OSStringCreate((const char *)bytes, length);
}

static OSData *read_data(struct rest *rest)
{
        uint32_t length;
        const uint8_t *bytes = take_length(rest, &length) ? take(rest, length) : NULL;
        return bytes ? OSDataCreate(bytes, length) : NULL;
}

static OSNumber *read_number(struct rest *rest)
{
        const uint8_t *bytes = take(rest, 1 + sizeof(uint64_t));
        uint64_t value;
        if (!bytes)
                return NULL;
        memcpy(&value, bytes + 1, sizeof(value));
        return OSNumberCreate(le64toh(value), bytes[0]);
}

static OSBoolean *read_boolean(struct rest *rest)
{
        const uint8_t *byte = take(rest, 1);
        if (!byte || *byte > 1)
                return NULL;
        return *byte ? kOSBooleanTrue : kOSBooleanFalse;
}

static OSArray *read_members(struct rest *rest, const OSMetaClass *meta, unsigned depth)
{
        OSArray *members = amb_array_new(meta, 0, 0);
        uint32_t count = 0;
        bool done = members && take_length(rest, &count);
        for (uint32_t i = 0; done && i < count; i++) {
                OSObject *value = read_value(rest, depth);
                done = OSArrayAppendValue(members, value);
                OSObject_release(value);
        }
        if (!done)
                OSSafeReleaseNULL(members);
        return members;
}

static OSDictionary *read_dictionary(struct rest *rest, unsigned depth)
{
        OSDictionary *dictionary = OSDictionaryCreate();
        uint32_t count = 0;
        bool done = dictionary && take_length(rest, &count);
        for (uint32_t i = 0; done && i < count; i++) {
                OSString *key = read_string(rest);
                OSObject *value = key ? read_value(rest, depth) : NULL;
                done = value && !OSDictionary_getObject(dictionary, key) && OSDictionary_setObject(dictionary, key, value);
                OSObject_release(key);
                OSObject_release(value);
        }
        if (!done)
                OSSafeReleaseNULL(dictionary);
        return dictionary;
}

static OSObject *read_value(struct rest *rest, unsigned depth)
{
        const uint8_t *type = take(rest, 1);
        if (!type || depth >= MAX_DEPTH)
                return NULL;
        switch (*type) {
        case kOSCollectionTypeString:
                return (OSObject *)read_string(rest);
        case kOSCollectionTypeData:
                return (OSObject *)read_data(rest);
        case kOSCollectionTypeNumber:
                return (OSObject *)read_number(rest);
        case kOSCollectionTypeBoolean:
                return (OSObject *)read_boolean(rest);
        case kOSCollectionTypeArray:
                return (OSObject *)read_members(rest, &gOSArrayMetaClass, depth + 1);
        case kOSCollectionTypeSet:
                return (OSObject *)read_members(rest, &gOSSetMetaClass, depth + 1);
        case ORDERED:
                return (OSObject *)read_members(rest, &gOSOrderedSetMetaClass, depth + 1);
        case kOSCollectionTypeDictionary:
                return (OSObject *)read_dictionary(rest, depth + 1);
        default:
                return NULL;
        }
}

OSObject *OSCreateObjectFromSerialization(const OSSerialization *serialization)
{
        struct rest rest;
        rest.at = OSSerializationGetBytes(serialization, &rest.length);
        const uint8_t *word = take(&rest, sizeof(magic));
        OSObject *value = word && memcmp(word, magic, sizeof(magic)) == 0 ? read_value(&rest, 0) : NULL;
        if (value && rest.length)
                OSSafeReleaseNULL(value);
        return value;
}

OSObject *amb_value_copy(const OSObject *value)
{
        OSSerialization *s = OSCreateSerializationFromObject(value);
        OSObject *copy = OSCreateObjectFromSerialization(s);
        OSObject_release(s);
        return copy;
}
