/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entries of a dictionary whose keys are no strings: a list beside the others, made with the first of them. Drivers use such
 * dictionaries as tables of their own, of a few things; they are searched one by one. Only what works with objects as keys sees
 * them. They have no form outside of a process: what would write such a dictionary down fails.
 */
#include "base/base.h"
#include "object/value.h"

#define NONE ((size_t)-1)

static size_t keyed_find(const struct amb_keyed *keyed, const OSObject *key)
{
        for (size_t i = 0; keyed && i < keyed->count; i++)
                if (OSObjectIsEqual(keyed->entries[i].key, key))
                        return i;
        return NONE;
}

static bool keyed_make_room(struct amb_keyed *keyed)
{
        size_t capacity = keyed->capacity ? keyed->capacity * 2 : 4;
        struct amb_keyed_entry *entries;

        if (keyed->count < keyed->capacity)
                return true;
        entries = reallocarray(keyed->entries, capacity, sizeof(*entries));
        if (!entries)
                return false;
        keyed->entries = entries;
        keyed->capacity = capacity;
        return true;
}

bool amb_keyed_set(OSDictionary *dictionary, OSObject *key, OSObject *value)
{
        size_t at = keyed_find(dictionary->keyed, key);
        OSObject *old;

        if (at == NONE) {
                if (!dictionary->keyed)
                        dictionary->keyed = calloc(1, sizeof(*dictionary->keyed));
                if (!dictionary->keyed || !keyed_make_room(dictionary->keyed))
                        return false;
                OSObject_retain(key);
                OSObject_retain(value);
                dictionary->keyed->entries[dictionary->keyed->count++] = (struct amb_keyed_entry){ key, value };
                return true;
        }
        old = dictionary->keyed->entries[at].value;
        OSObject_retain(value); /* first: it may be the old one */
        dictionary->keyed->entries[at].value = value;
        OSObject_release(old);
        return true;
}

OSObject *amb_keyed_get(const OSDictionary *dictionary, const OSObject *key)
{
        size_t at = keyed_find(dictionary->keyed, key);

        return at == NONE ? NULL : dictionary->keyed->entries[at].value;
}

bool amb_keyed_remove(OSDictionary *dictionary, const OSObject *key)
{
        struct amb_keyed *keyed = dictionary->keyed;
        size_t at = keyed_find(keyed, key);
        struct amb_keyed_entry old;

        if (at == NONE)
                return false;
        old = keyed->entries[at];
        keyed->count--;
        memmove(keyed->entries + at, keyed->entries + at + 1, (keyed->count - at) * sizeof(old));
        OSObject_release(old.key); /* last: a free may come back to this dictionary */
        OSObject_release(old.value);
        return true;
}

/* Taken from the dictionary before the members go. */
void amb_keyed_flush(OSDictionary *dictionary)
{
        struct amb_keyed *keyed = amb_steal(dictionary->keyed);

        for (size_t i = 0; keyed && i < keyed->count; i++) {
                OSObject_release(keyed->entries[i].key);
                OSObject_release(keyed->entries[i].value);
        }
        if (keyed)
                free(keyed->entries);
        free(keyed);
}
