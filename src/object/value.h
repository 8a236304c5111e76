/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the property values look like inside, for the modules that put another face on them (CF names, the C++ skin) or carry
 * them over a wire. Everybody else uses <DriverKit/OSCollections.h>. Read the fields, change them only in src/object.
 */
#include <DriverKit/OSCollections.h>

#include "base/block.h"

struct OSString {
        OSObject object;
        size_t length;
        const char *bytes;              /* behind the struct, or NULL for an instance that nobody filled: use the getter */
};

struct OSData {
        OSObject object;
        size_t length, capacity;
        uint8_t *bytes;
        bool borrowed;                  /* the bytes are the caller's: neither freed nor moved */
};

/*
 * Makes `data`, if the caller's reference is the only one, an object of `length` bytes that the caller fills: no allocation when
 * its room is enough. The bytes; NULL: somebody else may be reading it (nothing has changed), or no memory.
 */
uint8_t *amb_data_refill(OSData *data, size_t length);

struct OSNumber {
        OSObject object;
        uint64_t value;
        size_t bits;
};

struct OSBoolean {
        OSObject object;
        bool value;
};

/* Both kinds of sets are arrays inside, whose members differ. */
struct OSArray {
        OSObject object;
        size_t count, capacity;
        OSObject **members;
};
struct OSSet {
        struct OSArray array;
};
struct OSOrderedSet {
        struct OSArray array;
};

struct amb_pair {
        OSString *key;
        OSObject *value;
        uint32_t hash;
};

/* Entries whose keys are other objects than strings. keyed.c */
struct amb_keyed_entry {
        OSObject *key, *value;
};
struct amb_keyed {
        size_t count, capacity;
        struct amb_keyed_entry *entries;
};

/*
 * Entries in order of insertion; above a few dozen also an open hash of their positions, a power of two of slots. What is not
 * written in objects (C strings as keys, positions, OSDictionaryGetCount) knows only these, whose keys are strings.
 */
struct OSDictionary {
        OSObject object;
        size_t count, capacity;
        struct amb_pair *entries;
        uint32_t *slots;                /* position + 1; 0: free */
        size_t slot_count;
        struct amb_keyed *keyed;        /* mostly NULL */
};

/* How many entries have other keys than strings: with one of them it cannot be sent or written down. */
static inline size_t amb_dictionary_keyed(const OSDictionary *dictionary)
{
        return dictionary && dictionary->keyed ? dictionary->keyed->count : 0;
}

/* key: no string; set retains key and value. false: no memory (set), no such key (remove). flush frees them all. */
bool amb_keyed_set(OSDictionary *dictionary, OSObject *key, OSObject *value);
OSObject *amb_keyed_get(const OSDictionary *dictionary, const OSObject *key);
bool amb_keyed_remove(OSDictionary *dictionary, const OSObject *key);
void amb_keyed_flush(OSDictionary *dictionary);

struct OSCollection {
        OSObject object;
};

/* Which of them an object is, by its class or a superclass. */
enum amb_value_kind {
        AMB_VALUE_NONE,
        AMB_VALUE_STRING,
        AMB_VALUE_DATA,
        AMB_VALUE_NUMBER,
        AMB_VALUE_BOOLEAN,
        AMB_VALUE_ARRAY,
        AMB_VALUE_DICTIONARY,
        AMB_VALUE_SET,
        AMB_VALUE_ORDERED_SET,
};
enum amb_value_kind amb_value_kind(const void *object);

/* The members of an array or a set, as an array; NULL for everything else. */
const OSArray *amb_value_members(const void *object);

/* The reference count of an object that is never freed; retain and release leave it alone. */
#define AMB_REFERENCES_STUCK 0xc0000000u

/* amb_object_alloc with `extra` zeroed bytes behind the instance. */
OSObject *amb_object_alloc_extra(const OSMetaClass *meta, size_t extra);

/* The key itself, no reference given; NULL beyond the end. */
OSString *amb_dictionary_key(const OSDictionary *dictionary, size_t index);

/*
 * A dictionary that serves as a set of keys: adds `key` and says whether it is new. 0: new. 1: it was there. -ENOMEM.
 */
int amb_dictionary_claim(OSDictionary *dictionary, const char *key);

/* A block's function, for the `_f` form with the block as context. */
#define AMB_BLOCK_FUNCTION(block, type) ((type)((struct amb_block *)(void *)(block))->invoke)

/*
 * The parts of copyCollection. Every copy is in `cycle` under its original before its members are copied, so that a
 * collection inside itself finds it there.
 * begin: true when *ret is the answer (a copy with a reference, or NULL: no memory), false when `copy` shall be filled. member: a
 * reference to the member's copy, or to the member; NULL: no memory. fail: takes an unfinished copy back; NULL.
 */
bool amb_copy_begin(OSDictionary *cycle, const void *original, void *copy, OSCollection **ret);
OSObject *amb_copy_member(OSDictionary *cycle, OSObject *member);
OSCollection *amb_copy_fail(OSDictionary *cycle, const void *original, void *copy);

/*
 * A value of which nothing is shared with the original, also no data: what arrives when it is sent. NULL: no memory, or it could
 * not be sent (serialization.c).
 */
OSObject *amb_value_copy(const OSObject *value);

/* Room for that many members at least; false: no memory. */
bool amb_array_reserve(OSArray *array, size_t capacity);
bool amb_dictionary_reserve(OSDictionary *dictionary, size_t capacity);

/* An empty array or set with room, NULL: no memory. least: the count that the capacity must hold, unless it is 0. */
void *amb_array_new(const OSMetaClass *meta, size_t least, size_t capacity);

/* The methods of arrays and of both kinds of sets. */
extern const struct amb_method amb_array_methods[];
OSCollection *amb_array_copy(const OSCollection *self, OSDictionary *cycle);

/* isEqualTo of all values. */
bool amb_value_is_equal(const OSObject *self, const OSObject *other);

/* SipHash-1-3 under a key that each process draws for itself: a peer cannot choose strings that collide. */
uint32_t amb_string_hash(const char *bytes, size_t length);

/* Well-formed UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF) without a NUL. D-Bus accepts just these. */
bool amb_utf8_valid(const char *bytes, size_t length);

/* Length of the well-formed UTF-8 character at bytes[0], 0 if there is none. */
size_t amb_utf8_character(const char *bytes, size_t length);
