/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the property values look like inside, for the modules that put another face on them (CF names, the C++ skin) or carry
 * them over a wire. Everybody else uses <DriverKit/OSCollections.h>. Read the fields, change them only in src/object.
 */
#include <DriverKit/OSCollections.h>

struct OSString {
        OSObject object;
        size_t length;
        const char *bytes;              /* behind the struct, or NULL for an instance that nobody filled: use the getter */
};

struct OSData {
        OSObject object;
        size_t length, capacity;
        uint8_t *bytes;
};

/*
 * Fills `data` anew if the caller's reference is the only one: no allocation when its room is enough. False: somebody else may be
 * reading it (nothing has changed), or no memory.
 */
bool amb_data_refill(OSData *data, const void *bytes, size_t length);

struct OSNumber {
        OSObject object;
        uint64_t value;
        size_t bits;
};

struct OSBoolean {
        OSObject object;
        bool value;
};

struct OSArray {
        OSObject object;
        size_t count, capacity;
        OSObject **members;
};

struct amb_pair {
        OSString *key;
        OSObject *value;
        uint32_t hash;
};

/* Entries in order of insertion; above a few dozen also an open hash of their positions, a power of two of slots. */
struct OSDictionary {
        OSObject object;
        size_t count, capacity;
        struct amb_pair *entries;
        uint32_t *slots;                /* position + 1; 0: free */
        size_t slot_count;
};

/* Which of the six an object is, by its class or a superclass. */
enum amb_value_kind {
        AMB_VALUE_NONE,
        AMB_VALUE_STRING,
        AMB_VALUE_DATA,
        AMB_VALUE_NUMBER,
        AMB_VALUE_BOOLEAN,
        AMB_VALUE_ARRAY,
        AMB_VALUE_DICTIONARY,
};
enum amb_value_kind amb_value_kind(const void *object);

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

/* SipHash-1-3 under a key that each process draws for itself: a peer cannot choose strings that collide. */
uint32_t amb_string_hash(const char *bytes, size_t length);

/* Well-formed UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF) without a NUL. D-Bus accepts just these. */
bool amb_utf8_valid(const char *bytes, size_t length);

/* Length of the well-formed UTF-8 character at bytes[0], 0 if there is none. */
size_t amb_utf8_character(const char *bytes, size_t length);
