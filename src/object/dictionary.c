/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dictionaries: an array of entries in order of insertion, and for the larger ones an open hash (linear probing) of positions
 * in that array. Small ones are scanned, comparing hashes first.
 */
#include "base/base.h"
#include "object/value.h"

enum { SMALL = 24 };
#define NONE ((size_t)-1)

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

bool amb_dictionary_reserve(OSDictionary *dictionary, size_t capacity)
{
        if (capacity <= dictionary->capacity)
                return true;
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

static bool dictionary_make_room(OSDictionary *dictionary)
{
        if (dictionary->count < dictionary->capacity)
                return true;
        return amb_dictionary_reserve(dictionary, dictionary->capacity ? dictionary->capacity * 2 : 6);
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

/* --- what every collection can do --- */

static OSDictionary *dictionary_of(const OSCollection *collection)
{
        return (OSDictionary *)collection;
}

static uint32_t dictionary_count(const OSCollection *self)
{
        return (uint32_t)(dictionary_of(self)->count + amb_dictionary_keyed(dictionary_of(self)));
}

static uint32_t dictionary_capacity(const OSCollection *self)
{
        return (uint32_t)(dictionary_of(self)->capacity + amb_dictionary_keyed(dictionary_of(self)));
}

static uint32_t dictionary_ensure(OSCollection *self, uint32_t capacity)
{
        (void)amb_dictionary_reserve(dictionary_of(self), capacity);
        return dictionary_capacity(self);
}

/* Emptied before the members go: the free of one may come back to this dictionary. */
static void dictionary_flush(OSCollection *self)
{
        OSDictionary *dictionary = dictionary_of(self);
        struct amb_pair *entries = dictionary->entries;
        size_t count = dictionary->count;
        free(dictionary->slots);
        dictionary->entries = NULL;
        dictionary->slots = NULL;
        dictionary->count = dictionary->capacity = dictionary->slot_count = 0;
        for (size_t i = 0; i < count; i++) {
                OSObject_release(entries[i].key);
                OSObject_release(entries[i].value);
        }
        free(entries);
        amb_keyed_flush(dictionary);
}

/* Both are held during the call, which may take them out. */
static bool entry_visit(OSObject *key, OSObject *value, void *context, OSDictionaryIterateFunction function)
{
        OSObject_retain(key);
        OSObject_retain(value);
        bool stop = function(context, key, value);
        OSObject_release(key);
        OSObject_release(value);
        return stop;
}

/* The entries whose keys are strings; true: stopped. */
static bool strings_visit(const OSDictionary *dictionary, void *context, OSDictionaryIterateFunction function)
{
        bool stop = false;
        for (size_t i = 0; !stop && i < OSDictionaryGetCount(dictionary); i++)
                stop = entry_visit(&dictionary->entries[i].key->object, dictionary->entries[i].value, context, function);
        return stop;
}

struct key_walk {
        void *context;
        OSCollectionIterateFunction function;
};

static bool key_visit(void *context, OSObject *key, OSObject *value)
{
        const struct key_walk *walk = context;
        return walk->function(walk->context, key);
}

static bool dictionary_iterate(const OSCollection *self, void *context, OSCollectionIterateFunction function)
{
        struct key_walk walk = { context, function };
        return OSDictionary_iterateObjects_f(dictionary_of(self), &walk, key_visit);
}

static OSCollection *dictionary_copy(const OSCollection *self, OSDictionary *cycle)
{
        if (!cycle)
                return OSCollection_copyCollection(self, NULL);
        const OSDictionary *original = dictionary_of(self);
        OSDictionary *copy = OSDictionaryCreate();
        OSCollection *done;
        if (amb_copy_begin(cycle, original, copy, &done))
                return done;
        for (size_t i = 0; i < original->count; i++) {
                const struct amb_pair *entry = &original->entries[i];
                OSObject *member = amb_copy_member(cycle, entry->value);
                bool put = member && dictionary_append(copy, entry->key->bytes, entry->key->length, entry->hash, member);
                OSObject_release(member);
                if (!put)
                        return amb_copy_fail(cycle, original, copy);
        }
        for (size_t i = 0; i < amb_dictionary_keyed(original); i++) {
                OSObject *member = amb_copy_member(cycle, original->keyed->entries[i].value);
                bool put = member && amb_keyed_set(copy, original->keyed->entries[i].key, member);
                OSObject_release(member);
                if (!put)
                        return amb_copy_fail(cycle, original, copy);
        }
        return (OSCollection *)copy;
}

static void dictionary_free(OSObject *object)
{
        dictionary_flush((OSCollection *)object);
        OSObject_free(object);
}

static const struct amb_method dictionary_methods[] = {
        AMB_OVERRIDE(OSObject, free, dictionary_free),
        AMB_OVERRIDE(OSObject, isEqualTo, amb_value_is_equal),
        AMB_OVERRIDE(OSCollection, getCount, dictionary_count),
        AMB_OVERRIDE(OSCollection, getCapacity, dictionary_capacity),
        AMB_OVERRIDE(OSCollection, ensureCapacity, dictionary_ensure),
        AMB_OVERRIDE(OSCollection, flushCollection, dictionary_flush),
        AMB_OVERRIDE(OSCollection, iterateObjects_f, dictionary_iterate),
        AMB_OVERRIDE(OSCollection, copyCollection, dictionary_copy),
        AMB_METHODS_END,
};

const OSMetaClass gOSDictionaryMetaClass = { "OSDictionary", &gOSCollectionMetaClass, sizeof(OSDictionary), dictionary_methods,
                                             AMB_SKIN_PLACE };

/* --- C functions --- */

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
        for (size_t i = 0; i < amb_dictionary_keyed(other); i++)
                if (!OSDictionary_setObject(dictionary, other->keyed->entries[i].key, other->keyed->entries[i].value))
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

/* --- methods --- */

/* A key's text; NULL for what is no string. */
static const char *key_text(const void *key)
{
        const OSString *string = OSDynamicCast(OSString, key);
        return string ? OSStringGetStringPtr(string) : NULL;
}

static bool key_is_other(const void *key)
{
        return key && !OSDynamicCast(OSString, key);
}

OSDictionary *OSDictionary_withCapacity(uint32_t capacity)
{
        OSDictionary *dictionary = OSDictionaryCreate();
        if (dictionary && !amb_dictionary_reserve(dictionary, capacity))
                OSSafeReleaseNULL(dictionary);
        return dictionary;
}

/* Room for a copy of `count` members; NULL when they would not fit into a capacity that was asked for. */
static OSDictionary *dictionary_for(size_t count, uint32_t capacity)
{
        return capacity && capacity < count ? NULL : OSDictionary_withCapacity(capacity ? capacity : (uint32_t)count);
}

OSDictionary *OSDictionary_withObjects(OSObject *const values[], OSObject *const keys[], uint32_t count, uint32_t capacity)
{
        OSDictionary *dictionary = dictionary_for(count, capacity);
        for (uint32_t i = 0; dictionary && i < count; i++)
                if (!OSDictionary_setObject(dictionary, keys[i], values[i]))
                        OSSafeReleaseNULL(dictionary);
        return dictionary;
}

OSDictionary *OSDictionary_withDictionary(const OSDictionary *dictionary, uint32_t capacity)
{
        OSDictionary *copy = dictionary ? dictionary_for(OSDictionary_getCount(dictionary), capacity) : NULL;
        if (copy && !OSDictionaryMerge(copy, dictionary))
                OSSafeReleaseNULL(copy);
        return copy;
}

uint32_t OSDictionary_getCount(const OSDictionary *self)
{
        return self ? dictionary_count((const OSCollection *)self) : 0;
}

uint32_t OSDictionary_getCapacity(const OSDictionary *self)
{
        return self ? dictionary_capacity((const OSCollection *)self) : 0;
}

uint32_t OSDictionary_ensureCapacity(OSDictionary *self, uint32_t capacity)
{
        return self ? dictionary_ensure((OSCollection *)self, capacity) : 0;
}

void OSDictionary_flushCollection(OSDictionary *self)
{
        if (self)
                dictionary_flush((OSCollection *)self);
}

OSCollection *OSDictionary_copyCollection(const OSDictionary *self, OSDictionary *cycleDict)
{
        return self ? dictionary_copy((const OSCollection *)self, cycleDict) : NULL;
}

bool OSDictionary_setObject(OSDictionary *self, const void *key, void *object)
{
        if (!key_is_other(key))
                return OSDictionarySetValue(self, key_text(key), object);
        return self && object && object != self && key != self && amb_keyed_set(self, (OSObject *)key, object);
}

bool OSDictionary_setObject_cString(OSDictionary *self, const char *key, void *object)
{
        return OSDictionarySetValue(self, key, object);
}

OSObject *OSDictionary_getObject(const OSDictionary *self, const void *key)
{
        if (!key_is_other(key))
                return OSDictionaryGetValue(self, key_text(key));
        return self ? amb_keyed_get(self, key) : NULL;
}

OSObject *OSDictionary_getObject_cString(const OSDictionary *self, const char *key)
{
        return OSDictionaryGetValue(self, key);
}

bool OSDictionary_removeObject(OSDictionary *self, const void *key)
{
        if (!key_is_other(key))
                return OSDictionaryRemoveValue(self, key_text(key));
        return self && amb_keyed_remove(self, key);
}

bool OSDictionary_removeObject_cString(OSDictionary *self, const char *key)
{
        return OSDictionaryRemoveValue(self, key);
}

bool OSDictionary_merge(OSDictionary *self, const OSDictionary *other)
{
        return OSDictionaryMerge(self, other);
}

bool OSDictionary_iterateObjects_f(const OSDictionary *self, void *context, OSDictionaryIterateFunction function)
{
        bool stop = strings_visit(self, context, function);
        for (size_t i = 0; !stop && i < amb_dictionary_keyed(self); i++)
                stop = entry_visit(self->keyed->entries[i].key, self->keyed->entries[i].value, context, function);
        return self != NULL;
}

bool OSDictionary_iterateObjects(const OSDictionary *self, OSDictionaryIterateBlock block)
{
        return OSDictionary_iterateObjects_f(self, (void *)block, AMB_BLOCK_FUNCTION(block, OSDictionaryIterateFunction));
}

struct text_walk {
        void *context;
        OSDictionaryApplierFunction function;
};

static bool text_visit(void *context, OSObject *key, OSObject *value)
{
        const struct text_walk *walk = context;
        return walk->function(walk->context, ((OSString *)key)->bytes, value);
}

bool OSDictionaryApply_f(const OSDictionary *dictionary, void *context, OSDictionaryApplierFunction applier)
{
        struct text_walk walk = { context, applier };
        (void)strings_visit(dictionary, &walk, text_visit);
        return dictionary != NULL;
}

bool OSDictionaryApply(const OSDictionary *dictionary, OSDictionaryApplier applier)
{
        return OSDictionaryApply_f(dictionary, (void *)applier, AMB_BLOCK_FUNCTION(applier, OSDictionaryApplierFunction));
}

bool OSDictionary_isEqualTo(const OSDictionary *self, const void *object)
{
        return self && OSObjectIsEqual(self, object);
}

struct comparison {
        const OSDictionary *one, *other;
        bool equal;
};

static bool key_compare(void *context, OSObject *key)
{
        struct comparison *c = context;
        OSObject *value = OSDictionary_getObject(c->one, key);
        c->equal = value && OSObjectIsEqual(value, OSDictionary_getObject(c->other, key));
        return !c->equal;
}

bool OSDictionary_isEqualTo_keys(const OSDictionary *self, const OSDictionary *other, const OSCollection *keys)
{
        struct comparison c = { self, other, true };
        return OSCollection_iterateObjects_f(keys, &c, key_compare) && self && other && c.equal;
}
