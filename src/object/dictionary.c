/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dictionaries: an array of entries in order of insertion, and for the larger ones an open hash (linear probing) of positions
 * in that array. Small ones are scanned, comparing hashes first.
 */
#include "base/base.h"
#include "object/value.h"

enum { SMALL = 24 };
#define NONE ((size_t)-1)

static void dictionary_free(OSObject *object)
{
        OSDictionary *dictionary = (OSDictionary *)object;
        for (size_t i = 0; i < dictionary->count; i++) {
                OSObject_release(dictionary->entries[i].key);
                OSObject_release(dictionary->entries[i].value);
        }
        free(dictionary->entries);
        free(dictionary->slots);
        OSObject_free(object);
}

static bool dictionary_is_equal(const OSObject *self, const OSObject *other)
{
        return OSObjectIsEqual(self, other);
}

static const struct amb_method dictionary_methods[] = {
        AMB_OVERRIDE(OSObject, free, dictionary_free),
        AMB_OVERRIDE(OSObject, isEqualTo, dictionary_is_equal),
        AMB_METHODS_END,
};

const OSMetaClass gOSDictionaryMetaClass = { "OSDictionary", &gOSObjectMetaClass, sizeof(OSDictionary), dictionary_methods,
                                             NULL };

/* --- finding --- */

static bool entry_is(const struct amb_pair *entry, const char *key, size_t length, uint32_t hash)
{
        return entry->hash == hash && entry->key->length == length && memcmp(entry->key->bytes, key, length) == 0;
}

/* The slot that holds the key's position, or the free slot where it would go. There is always a free one. */
static size_t slot_find(const OSDictionary *dictionary, const char *key, size_t length, uint32_t hash)
{
        size_t mask = dictionary->slot_count - 1;
        for (size_t s = hash & mask;; s = (s + 1) & mask) {
                uint32_t position = dictionary->slots[s];
                if (!position || entry_is(&dictionary->entries[position - 1], key, length, hash))
                        return s;
        }
}

static size_t dictionary_find(const OSDictionary *dictionary, const char *key, size_t length, uint32_t hash)
{
        if (dictionary->slots)
                return (size_t)dictionary->slots[slot_find(dictionary, key, length, hash)] - 1; /* free: 0 - 1 is NONE */
        for (size_t i = 0; i < dictionary->count; i++)
                if (entry_is(&dictionary->entries[i], key, length, hash))
                        return i;
        return NONE;
}

/* --- changing --- */

/* Rebuilds the hash with room for `capacity` entries at most half full. The keys are known to differ. */
static bool slots_build(OSDictionary *dictionary, size_t capacity)
{
        size_t slot_count = 64;
        while (slot_count < capacity * 2)
                slot_count *= 2;
        uint32_t *slots = calloc(slot_count, sizeof(*slots));
        if (!slots)
                return false;
        for (size_t i = 0; i < dictionary->count; i++) {
                size_t s = dictionary->entries[i].hash & (slot_count - 1);
                while (slots[s])
                        s = (s + 1) & (slot_count - 1);
                slots[s] = (uint32_t)(i + 1);
        }
        free(dictionary->slots);
        dictionary->slots = slots;
        dictionary->slot_count = slot_count;
        return true;
}

static bool dictionary_make_room(OSDictionary *dictionary)
{
        if (dictionary->count < dictionary->capacity)
                return true;
        size_t capacity = dictionary->capacity ? dictionary->capacity * 2 : 6;
        if (capacity > UINT32_MAX / 4)
                return false;
        if (capacity > SMALL && !slots_build(dictionary, capacity))
                return false;
        struct amb_pair *entries = reallocarray(dictionary->entries, capacity, sizeof(*entries));
        if (!entries)
                return false;
        dictionary->entries = entries;
        dictionary->capacity = capacity;
        return true;
}

static bool dictionary_append(OSDictionary *dictionary, const char *key, size_t length, uint32_t hash, OSObject *value)
{
        if (!dictionary_make_room(dictionary))
                return false;
        OSString *copy = OSStringCreate(key, length);
        if (!copy)
                return false;
        OSObject_retain(value);
        dictionary->entries[dictionary->count] = (struct amb_pair){ copy, value, hash };
        if (dictionary->slots)
                dictionary->slots[slot_find(dictionary, key, length, hash)] = (uint32_t)(dictionary->count + 1);
        dictionary->count++;
        return true;
}

bool OSDictionarySetValue(OSDictionary *dictionary, const char *key, void *value)
{
        if (!dictionary || !key || !value || value == dictionary)
                return false;
        size_t length = strlen(key);
        uint32_t hash = amb_string_hash(key, length);
        size_t at = dictionary_find(dictionary, key, length, hash);
        if (at == NONE)
                return dictionary_append(dictionary, key, length, hash, value);
        OSObject *old = dictionary->entries[at].value;
        OSObject_retain(value); /* first: it may be the old one */
        dictionary->entries[at].value = value;
        OSObject_release(old);
        return true;
}

int amb_dictionary_claim(OSDictionary *dictionary, const char *key)
{
        size_t length = strlen(key);
        uint32_t hash = amb_string_hash(key, length);
        if (dictionary_find(dictionary, key, length, hash) != NONE)
                return 1;
        return dictionary_append(dictionary, key, length, hash, &kOSBooleanTrue->object) ? 0 : -ENOMEM;
}

/* Frees a slot and moves back those behind it that would no longer be found across the gap. */
static void slot_remove(OSDictionary *dictionary, size_t gap)
{
        size_t mask = dictionary->slot_count - 1;
        for (size_t s = (gap + 1) & mask; dictionary->slots[s]; s = (s + 1) & mask) {
                size_t home = dictionary->entries[dictionary->slots[s] - 1].hash & mask;
                if (((s - home) & mask) >= ((s - gap) & mask)) {
                        dictionary->slots[gap] = dictionary->slots[s];
                        gap = s;
                }
        }
        dictionary->slots[gap] = 0;
}

bool OSDictionaryRemoveValue(OSDictionary *dictionary, const char *key)
{
        if (!dictionary || !key)
                return false;
        size_t length = strlen(key);
        uint32_t hash = amb_string_hash(key, length);
        size_t at = dictionary_find(dictionary, key, length, hash);
        if (at == NONE)
                return false;
        struct amb_pair old = dictionary->entries[at];
        if (dictionary->slots) {
                slot_remove(dictionary, slot_find(dictionary, key, length, hash));
                if (at + 1 < dictionary->count)
                        for (size_t s = 0; s < dictionary->slot_count; s++)
                                dictionary->slots[s] -= dictionary->slots[s] > at + 1;
        }
        dictionary->count--;
        memmove(dictionary->entries + at, dictionary->entries + at + 1, (dictionary->count - at) * sizeof(old));
        OSObject_release(old.key); /* last: `key` may point into it, and a value's free may come back to this dictionary */
        OSObject_release(old.value);
        return true;
}

OSDictionary *OSDictionaryCreate(void)
{
        return (OSDictionary *)amb_object_alloc(&gOSDictionaryMetaClass);
}

OSDictionary *OSDictionaryCreateCopy(const OSDictionary *dictionary)
{
        OSDictionary *copy = OSDictionaryCreate();
        if (copy && !OSDictionaryMerge(copy, dictionary))
                OSSafeReleaseNULL(copy);
        return copy;
}

/* A failure half-way (no memory) leaves the entries merged so far. */
bool OSDictionaryMerge(OSDictionary *dictionary, const OSDictionary *other)
{
        if (!dictionary || !other)
                return false;
        if (dictionary == other)
                return true;
        for (size_t i = 0; i < other->count; i++)
                if (!OSDictionarySetValue(dictionary, other->entries[i].key->bytes, other->entries[i].value))
                        return false;
        return true;
}

/* --- reading --- */

size_t OSDictionaryGetCount(const OSDictionary *dictionary)
{
        return dictionary ? dictionary->count : 0;
}

OSString *amb_dictionary_key(const OSDictionary *dictionary, size_t index)
{
        return dictionary && index < dictionary->count ? dictionary->entries[index].key : NULL;
}

const char *OSDictionaryGetKeyAt(const OSDictionary *dictionary, size_t index)
{
        OSString *key = amb_dictionary_key(dictionary, index);
        return key ? key->bytes : NULL;
}

OSObject *OSDictionaryGetValueAt(const OSDictionary *dictionary, size_t index)
{
        return dictionary && index < dictionary->count ? dictionary->entries[index].value : NULL;
}

OSObject *OSDictionaryGetValue(const OSDictionary *dictionary, const char *key)
{
        if (!dictionary || !dictionary->count || !key)
                return NULL;
        size_t length = strlen(key);
        size_t at = dictionary_find(dictionary, key, length, amb_string_hash(key, length));
        return at == NONE ? NULL : dictionary->entries[at].value;
}

const char *OSDictionaryGetStringValue(const OSDictionary *dictionary, const char *key)
{
        OSString *string = OSDynamicCast(OSString, OSDictionaryGetValue(dictionary, key));
        return string ? OSStringGetStringPtr(string) : NULL;
}

uint64_t OSDictionaryGetUInt64Value(const OSDictionary *dictionary, const char *key)
{
        return OSNumberGetUInt64Value(OSDynamicCast(OSNumber, OSDictionaryGetValue(dictionary, key)));
}

OSDictionary *OSDictionaryGetDictionaryValue(const OSDictionary *dictionary, const char *key)
{
        return OSDynamicCast(OSDictionary, OSDictionaryGetValue(dictionary, key));
}

OSArray *OSDictionaryGetArrayValue(const OSDictionary *dictionary, const char *key)
{
        return OSDynamicCast(OSArray, OSDictionaryGetValue(dictionary, key));
}

/* --- setting by C value --- */

/* Takes the reference of a value that was just made, or NULL. */
static bool dictionary_give(OSDictionary *dictionary, const char *key, void *value)
{
        bool done = OSDictionarySetValue(dictionary, key, value);
        OSObject_release(value);
        return done;
}

bool OSDictionarySetStringValue(OSDictionary *dictionary, const char *key, const char *value)
{
        return dictionary_give(dictionary, key, OSStringCreate(value, (size_t)-1));
}

bool OSDictionarySetUInt64Value(OSDictionary *dictionary, const char *key, uint64_t value)
{
        return dictionary_give(dictionary, key, OSNumberCreateWithUInt64Value(value));
}

bool OSDictionarySetBooleanValue(OSDictionary *dictionary, const char *key, bool value)
{
        return OSDictionarySetValue(dictionary, key, value ? kOSBooleanTrue : kOSBooleanFalse);
}
