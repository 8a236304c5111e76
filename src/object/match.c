/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which values are alike. One comparison for both faces: OSObjectIsEqual asks for the same class, matching lets a string equal
 * data. Recursion ends at MAX_DEPTH, which also ends it on containers that contain one another.
 */
#include "object/match.h"

#include "base/base.h"
#include "object/value.h"

enum { MAX_DEPTH = 64 };

struct rules {
        bool string_is_data;
};

static bool value_alike(const OSObject *one, const OSObject *other, const struct rules *rules, unsigned depth);

static bool bytes_alike(const void *one, const void *other, size_t length)
{
        return length == 0 || memcmp(one, other, length) == 0;
}

static bool string_alike(const OSString *one, const OSString *other)
{
        return one->length == other->length && bytes_alike(one->bytes, other->bytes, one->length);
}

static bool data_alike(const OSData *one, const OSData *other)
{
        return one->length == other->length && bytes_alike(one->bytes, other->bytes, one->length);
}

/* Drivers publish C strings as data, with their NUL or without. */
bool amb_string_is_data(const OSString *string, const OSData *data)
{
        bool terminated = data->length == string->length + 1 && data->bytes[string->length] == 0;
        return (terminated || data->length == string->length) && bytes_alike(string->bytes, data->bytes, string->length);
}

static bool array_alike(const OSArray *one, const OSArray *other, const struct rules *rules, unsigned depth)
{
        if (one->count != other->count)
                return false;
        for (size_t i = 0; i < one->count; i++)
                if (!value_alike(one->members[i], other->members[i], rules, depth))
                        return false;
        return true;
}

/* Each member of one has a member of the other to itself. Being alike is transitive, so the first one that is alike will do. */
static bool set_alike(const OSArray *one, const OSArray *other, const struct rules *rules, unsigned depth)
{
        if (one->count != other->count)
                return false;
        AMB_FREE bool *taken = calloc(one->count + 1, sizeof(*taken));
        if (!taken)
                return false;
        for (size_t i = 0; i < one->count; i++) {
                size_t at = 0;
                while (at < other->count && (taken[at] || !value_alike(one->members[i], other->members[at], rules, depth)))
                        at++;
                if (at == other->count)
                        return false;
                taken[at] = true;
        }
        return true;
}

static bool dictionary_alike(const OSDictionary *one, const OSDictionary *other, const struct rules *rules, unsigned depth)
{
        if (one->count != other->count || amb_dictionary_keyed(one) != amb_dictionary_keyed(other))
                return false;
        for (size_t i = 0; i < one->count; i++) {
                const OSObject *value = OSDictionaryGetValue(other, one->entries[i].key->bytes);
                if (!value || !value_alike(one->entries[i].value, value, rules, depth))
                        return false;
        }
        for (size_t i = 0; i < amb_dictionary_keyed(one); i++) {
                const OSObject *value = amb_keyed_get(other, one->keyed->entries[i].key);
                if (!value || !value_alike(one->keyed->entries[i].value, value, rules, depth))
                        return false;
        }
        return true;
}

static bool value_alike(const OSObject *one, const OSObject *other, const struct rules *rules, unsigned depth)
{
        if (one == other)
                return true;
        if (!one || !other || depth >= MAX_DEPTH)
                return false;
        enum amb_value_kind kind = amb_value_kind(one), other_kind = amb_value_kind(other);
        if (rules->string_is_data && kind == AMB_VALUE_STRING && other_kind == AMB_VALUE_DATA)
                return amb_string_is_data((const OSString *)one, (const OSData *)other);
        if (rules->string_is_data && kind == AMB_VALUE_DATA && other_kind == AMB_VALUE_STRING)
                return amb_string_is_data((const OSString *)other, (const OSData *)one);
        if (kind != other_kind)
                return false;
        switch (kind) {
        case AMB_VALUE_STRING:
                return string_alike((const OSString *)one, (const OSString *)other);
        case AMB_VALUE_DATA:
                return data_alike((const OSData *)one, (const OSData *)other);
        case AMB_VALUE_NUMBER:
                return ((const OSNumber *)one)->value == ((const OSNumber *)other)->value;
        case AMB_VALUE_BOOLEAN:
                return ((const OSBoolean *)one)->value == ((const OSBoolean *)other)->value;
        case AMB_VALUE_ARRAY:
        case AMB_VALUE_ORDERED_SET:
                return array_alike(amb_value_members(one), amb_value_members(other), rules, depth + 1);
        case AMB_VALUE_SET:
                return set_alike(amb_value_members(one), amb_value_members(other), rules, depth + 1);
        case AMB_VALUE_DICTIONARY:
                return dictionary_alike((const OSDictionary *)one, (const OSDictionary *)other, rules, depth + 1);
        case AMB_VALUE_NONE:
                break;
        }
        return amb_invoke(one, OSObject, isEqualTo, other);
}

enum amb_value_kind amb_value_kind(const void *object)
{
        static const struct {
                const OSMetaClass *meta;
                enum amb_value_kind kind;
        } kinds[] = {
                { &gOSStringMetaClass, AMB_VALUE_STRING },   { &gOSNumberMetaClass, AMB_VALUE_NUMBER },
                { &gOSBooleanMetaClass, AMB_VALUE_BOOLEAN }, { &gOSDataMetaClass, AMB_VALUE_DATA },
                { &gOSArrayMetaClass, AMB_VALUE_ARRAY },     { &gOSDictionaryMetaClass, AMB_VALUE_DICTIONARY },
                { &gOSSetMetaClass, AMB_VALUE_SET },         { &gOSOrderedSetMetaClass, AMB_VALUE_ORDERED_SET },
        };
        for (const OSMetaClass *m = OSObject_getMetaClass(object); m; m = m->super)
                for (size_t i = 0; i < AMB_ARRAY_LENGTH(kinds); i++)
                        if (kinds[i].meta == m)
                                return kinds[i].kind;
        return AMB_VALUE_NONE;
}

const OSArray *amb_value_members(const void *object)
{
        switch (amb_value_kind(object)) {
        case AMB_VALUE_ARRAY:
        case AMB_VALUE_SET:
        case AMB_VALUE_ORDERED_SET:
                return object;
        default:
                return NULL;
        }
}

bool OSObjectIsEqual(const void *one, const void *other)
{
        return value_alike(one, other, &(struct rules){ .string_is_data = false }, 0);
}

bool amb_value_matches(const OSObject *wanted, const OSObject *property)
{
        return wanted && property && value_alike(wanted, property, &(struct rules){ .string_is_data = true }, 0);
}
