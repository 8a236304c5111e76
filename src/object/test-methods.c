/* SPDX-License-Identifier: Apache-2.0 */
/* DriverKit's methods of the property values, in their C spelling; blocks, deep copies, serializations. */
#include <check.h>
#include <stdio.h>

#include "base/base.h"
#include "base/test-suite.h"
#include "object/plist.h"
#include "object/value.h"

#define RELEASE(...)                                                                                                    \
        do {                                                                                                            \
                void *release_all[] = { __VA_ARGS__ };                                                                  \
                for (size_t release_i = 0; release_i < AMB_ARRAY_LENGTH(release_all); release_i++)                      \
                        OSObject_release(release_all[release_i]);                                                       \
        } while (0)

static OSNumber *number(uint64_t value)
{
        return OSNumber_withNumber(value, 32);
}

START_TEST(strings)
{
        static const char for_ever[] = "abc";
        OSString *abc = OSString_withCString("abc"), *ab = OSString_withCString_length("abc", 2);
        OSString *borrowed = OSString_withCStringNoCopy(for_ever), *copy = OSString_withString(borrowed);
        OSData *bare = OSData_withBytes("abc", 3), *terminated = OSData_withBytes("abc", 4), *longer = OSData_withBytes("abcd", 4);
        ck_assert_ptr_eq(OSString_getCStringNoCopy(borrowed), for_ever);
        ck_assert_ptr_ne(OSString_getCStringNoCopy(copy), for_ever);
        ck_assert_uint_eq(OSString_getLength(ab), 2);
        ck_assert(OSString_isEqualTo(abc, borrowed) && OSString_isEqualTo(copy, abc));
        ck_assert(!OSString_isEqualTo(abc, ab) && !OSString_isEqualTo(abc, NULL) && !OSString_isEqualTo(abc, bare));
        ck_assert(OSString_isEqualTo_cString(ab, "ab") && !OSString_isEqualTo_cString(ab, "abc"));
        ck_assert(!OSString_isEqualTo_cString(NULL, "") && !OSString_isEqualTo_cString(ab, NULL));
        ck_assert(OSString_isEqualTo_data(abc, bare) && OSString_isEqualTo_data(abc, terminated));
        ck_assert(!OSString_isEqualTo_data(abc, longer) && !OSString_isEqualTo_data(abc, NULL));
        ck_assert_ptr_null(OSString_withCString(NULL));
        ck_assert_ptr_null(OSString_withCStringNoCopy(NULL));
        ck_assert_ptr_null(OSString_withString(NULL));
        ck_assert_ptr_eq(OSDynamicCast(OSSymbol, abc), abc);
        RELEASE(abc, ab, borrowed, copy, bare, terminated, longer);
}
END_TEST

START_TEST(data)
{
        OSData *room = OSData_withCapacity(100), *bytes = OSData_withBytes("0123456789", 10), *none = OSData_withBytes(NULL, 0);
        ck_assert_uint_eq(OSData_getLength(room), 0);
        ck_assert_uint_ge(OSData_getCapacity(room), 100);
        ck_assert_ptr_null(OSData_getBytesNoCopy(room));
        ck_assert(OSData_appendBytes(room, "ab", 2) && OSData_appendBytes_data(room, bytes));
        ck_assert(OSData_appendBytes_data(room, room));
        ck_assert(OSData_isEqualTo_bytes(room, "ab0123456789ab0123456789", 24));
        ck_assert(!OSData_appendBytes(room, NULL, 1) && !OSData_appendBytes_data(room, NULL));
        ck_assert_mem_eq(OSData_getBytesNoCopy_range(bytes, 8, 2), "89", 2);
        ck_assert_ptr_null(OSData_getBytesNoCopy_range(bytes, 9, 2));
        ck_assert_ptr_null(OSData_withBytes(NULL, 1));
        OSData *part = OSData_withData_range(bytes, 2, 3), *copy = OSData_withData(bytes);
        OSData *end = OSData_withData_range(bytes, 10, 0);
        ck_assert(OSData_isEqualTo_bytes(part, "234", 3) && OSData_isEqualTo(copy, bytes) && OSData_isEqualTo(end, none));
        ck_assert(!OSData_isEqualTo(copy, part) && !OSData_isEqualTo(copy, NULL) && !OSData_isEqualTo_bytes(copy, NULL, 10));
        ck_assert_ptr_null(OSData_withData_range(bytes, 8, 3));
        ck_assert_ptr_null(OSData_withData_range(bytes, SIZE_MAX, 1));
        OSString *text = OSString_withCString("234");
        ck_assert(OSData_isEqualTo_string(part, text) && !OSData_isEqualTo_string(bytes, text));
        RELEASE(room, bytes, none, part, copy, end, text);
}
END_TEST

START_TEST(borrowed_data_cannot_grow)
{
        char bytes[4] = "abcd";
        OSData *data = OSData_withBytesNoCopy(bytes, sizeof(bytes));
        ck_assert_ptr_eq(OSData_getBytesNoCopy(data), bytes);
        ck_assert(!OSData_appendBytes(data, "e", 1));
        ck_assert(OSData_appendBytes(data, NULL, 0));
        ck_assert_ptr_null(amb_data_refill(data, 1)); /* it would write into the lender's memory */
        ck_assert_uint_eq(OSData_getLength(data), 4);
        ck_assert_mem_eq(bytes, "abcd", 4);
        ck_assert_ptr_null(OSData_withBytesNoCopy(NULL, 1));
        OSObject_release(data); /* does not free it */
}
END_TEST

START_TEST(numbers)
{
        static const struct {
                const char *text;
                size_t bits;
                uint64_t value;
        } good[] = {
                { "0x20", 32, 32 },     { "020", 8, 16 },
                { "300", 8, 44 },       { "-1", 16, 0xffff },
                { "18446744073709551615", 64, UINT64_MAX },
        };
        static const char *const bad[] = { "", "x", "12a", "0x", "18446744073709551616", "1 " };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(good); i++) {
                OSNumber *n = OSNumber_withNumber_cString(good[i].text, good[i].bits);
                ck_assert_uint_eq(OSNumber_unsigned64BitValue(n), good[i].value);
                ck_assert_uint_eq(OSNumber_numberOfBits(n), good[i].bits);
                ck_assert_uint_eq(OSNumber_numberOfBytes(n), good[i].bits / 8);
                OSObject_release(n);
        }
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(bad); i++)
                ck_assert_ptr_null(OSNumber_withNumber_cString(bad[i], 64));
        ck_assert_ptr_null(OSNumber_withNumber_cString(NULL, 64));
        ck_assert_ptr_null(OSNumber_withNumber(1, 24));
        OSNumber *wide = OSNumber_withNumber(0x1122334455667788, 64), *narrow = OSNumber_withNumber(0x88, 8), *same = number(0x88);
        ck_assert_uint_eq(OSNumber_unsigned8BitValue(wide), 0x88);
        ck_assert_uint_eq(OSNumber_unsigned16BitValue(wide), 0x7788);
        ck_assert_uint_eq(OSNumber_unsigned32BitValue(wide), 0x55667788);
        ck_assert(OSNumber_isEqualTo(narrow, same) && !OSNumber_isEqualTo(wide, narrow) && !OSNumber_isEqualTo(wide, NULL));
        ck_assert(!OSNumber_isEqualTo(narrow, kOSBooleanTrue));
        RELEASE(wide, narrow, same);
}
END_TEST

START_TEST(arrays)
{
        OSNumber *n[4] = { number(0), number(1), number(2), number(3) };
        OSArray *a = OSArray_withCapacity(10), *b = OSArray_withObjects((OSObject **)n, 3, 0);
        ck_assert_uint_ge(OSArray_getCapacity(a), 10);
        ck_assert_uint_ge(OSArray_ensureCapacity(a, 20), 20);
        ck_assert_uint_ge(OSArray_ensureCapacity(a, 1), 20);
        ck_assert(OSArray_setObject(a, n[1]) && OSArray_setObject_at(a, 0, n[0]) && OSArray_setObject(a, n[2]));
        ck_assert(OSArray_isEqualTo(a, b) && !OSArray_isEqualTo(a, NULL));
        ck_assert(!OSArray_setObject(a, NULL) && !OSArray_setObject(a, a) && !OSArray_setObject_at(a, 4, n[0]));
        ck_assert_ptr_eq(OSArray_getObject(a, 2), n[2]);
        ck_assert_ptr_null(OSArray_getObject(a, 3));
        ck_assert_ptr_eq(OSArray_getLastObject(a), n[2]);
        ck_assert(OSArray_replaceObject(a, 1, n[3]) && !OSArray_replaceObject(a, 3, n[3]));
        ck_assert(!OSArray_isEqualTo(a, b));
        ck_assert(OSArray_merge(a, b) && OSArray_merge(b, b) && !OSArray_merge(a, NULL));
        ck_assert_uint_eq(OSArray_getCount(a), 6);
        ck_assert_uint_eq(OSArray_getCount(b), 6);
        ck_assert_uint_eq(OSArray_getNextIndexOfObject(a, n[2], 0), 2);
        ck_assert_uint_eq(OSArray_getNextIndexOfObject(a, n[2], 3), 5);
        ck_assert_uint_eq(OSArray_getNextIndexOfObject(a, n[2], 6), (uint32_t)-1);
        ck_assert_uint_eq(OSArray_getNextIndexOfObject(a, NULL, 0), (uint32_t)-1);
        ck_assert(OSArray_removeObject(a, 0) && !OSArray_removeObject(a, 5));
        OSArray *c = OSArray_withArray(a, 0), *wide = OSArray_withArray(a, 8);
        ck_assert(OSArray_isEqualTo(a, c));
        ck_assert_uint_eq(OSArray_getCapacity(wide), 8);
        ck_assert_ptr_null(OSArray_withArray(a, 4));
        ck_assert_ptr_null(OSArray_withArray(NULL, 4));
        OSArray *holder = OSArrayCreate();
        ck_assert(OSArray_setObject(holder, c) && !OSArray_merge(c, holder)); /* it would be its own member */
        OSArray_flushCollection(a);
        ck_assert_uint_eq(OSArray_getCount(a), 0);
        ck_assert_ptr_null(OSArray_getLastObject(a));
        ck_assert(OSArray_setObject(a, n[0]));
        ck_assert_uint_eq(OSArray_getCount(NULL), 0);
        ck_assert_ptr_null(OSArray_getLastObject(NULL));
        RELEASE(a, b, c, wide, holder);
        for (int i = 0; i < 4; i++)
                ck_assert_uint_eq(OSObject_getRetainCount(n[i]), 1);
        RELEASE(n[0], n[1], n[2], n[3]);
}
END_TEST

START_TEST(array_values_by_number_and_text)
{
        OSArray *a = OSArrayCreate();
        ck_assert(OSArraySetStringValue(a, kOSArrayAppend, "second") && OSArraySetUInt64Value(a, 0, 7));
        ck_assert_uint_eq(OSArrayGetUInt64Value(a, 0), 7);
        ck_assert_str_eq(OSArrayGetStringValue(a, 1), "second");
        ck_assert(!OSArraySetStringValue(a, 0, NULL) && !OSArraySetUInt64Value(a, 5, 1));
        ck_assert_uint_eq(OSArrayGetCount(a), 2);
        OSObject_release(a);
}
END_TEST

START_TEST(dictionaries)
{
        OSString *k[3] = { OSString_withCString("a"), OSString_withCString("b"), OSString_withCString("c") };
        OSNumber *n[3] = { number(0), number(1), number(2) };
        OSDictionary *d = OSDictionary_withObjects((OSObject **)n, (OSObject **)k, 3, 0), *e = OSDictionary_withCapacity(100);
        ck_assert_uint_ge(OSDictionary_getCapacity(e), 100);
        ck_assert(OSDictionary_setObject(e, k[2], n[2]) && OSDictionary_setObject_cString(e, "b", n[1]));
        ck_assert(!OSDictionary_setObject(e, e, n[0]) && !OSDictionary_setObject(e, NULL, n[0]));
        ck_assert(!OSDictionary_setObject(e, k[0], NULL) && !OSDictionary_setObject(e, k[0], e));
        ck_assert(!OSDictionary_isEqualTo(d, e) && OSDictionary_merge(e, d) && OSDictionary_isEqualTo(d, e));
        ck_assert(!OSDictionary_isEqualTo(d, NULL) && !OSDictionary_merge(e, NULL));
        ck_assert_ptr_eq(OSDictionary_getObject(d, k[1]), n[1]);
        ck_assert_ptr_eq(OSDictionary_getObject_cString(d, "c"), n[2]);
        ck_assert_ptr_null(OSDictionary_getObject(d, n[1]));
        ck_assert(OSDictionary_setObject(d, k[0], n[2]) && OSDictionary_getCount(d) == 3); /* R14 */
        ck_assert_uint_eq(OSObject_getRetainCount(n[0]), 2);
        OSArray *keys = OSArray_withObjects((OSObject **)k + 1, 2, 0), *all = OSArray_withObjects((OSObject **)k, 3, 0);
        ck_assert(OSDictionary_isEqualTo_keys(d, e, (OSCollection *)keys));
        ck_assert(!OSDictionary_isEqualTo_keys(d, e, (OSCollection *)all));
        ck_assert(!OSDictionary_isEqualTo_keys(d, NULL, (OSCollection *)keys) && !OSDictionary_isEqualTo_keys(d, e, NULL));
        ck_assert(OSDictionary_removeObject(e, k[0]) && OSDictionary_removeObject_cString(e, "b"));
        ck_assert(!OSDictionary_removeObject(e, k[0]));
        ck_assert(OSDictionary_isEqualTo_keys(d, e, (OSCollection *)e) && !OSDictionary_isEqualTo_keys(d, e, (OSCollection *)d));
        OSDictionary *copy = OSDictionary_withDictionary(d, 0);
        ck_assert(OSDictionary_isEqualTo(d, copy));
        ck_assert_ptr_null(OSDictionary_withDictionary(d, 2));
        ck_assert_ptr_null(OSDictionary_withObjects((OSObject **)n, (OSObject *[]){ NULL }, 1, 0));
        ck_assert_uint_ge(OSDictionary_ensureCapacity(d, 50), 50); /* builds the hash under three members */
        ck_assert(OSDictionary_isEqualTo(d, copy));
        OSDictionary_flushCollection(d);
        ck_assert_uint_eq(OSDictionary_getCount(d), 0);
        ck_assert(OSDictionary_setObject(d, k[0], n[0]) && OSDictionary_getObject(d, k[0]));
        RELEASE(d, e, keys, all, copy);
        for (int i = 0; i < 3; i++) {
                ck_assert_uint_eq(OSObject_getRetainCount(n[i]), 1);
                RELEASE(n[i], k[i]);
        }
}
END_TEST

static bool second_is_number(void *context, OSObject *key, OSObject *value)
{
        int *seen = context;

        ck_assert_ptr_nonnull(value);
        return ++*seen == 2 && OSDynamicCast(OSNumber, key);
}

/* Tables of a driver: numbers, data as keys. */
START_TEST(other_keys)
{
        OSString *name = OSString_withCString("7"), *text = OSString_withCString("text");
        OSNumber *seven = number(7), *same = OSNumber_withNumber(7, 64), *eight = number(8);
        OSData *data = OSData_withBytes("k", 1);
        OSDictionary *d = OSDictionary_withCapacity(4), *copy;
        OSCollection *deep;
        char *json, *bytes;
        size_t length;
        int seen = 0;

        ck_assert(OSDictionary_setObject(d, seven, text) && OSDictionary_setObject(d, name, eight));
        ck_assert_ptr_eq(OSDictionary_getObject(d, same), text);
        ck_assert_ptr_eq(OSDictionary_getObject(d, name), eight);
        ck_assert_ptr_null(OSDictionary_getObject(d, eight));
        ck_assert(OSDictionary_setObject(d, same, eight) && OSDictionary_getCount(d) == 2); /* the key that was there stays */
        ck_assert_uint_eq(OSObject_getRetainCount(seven), 2);
        ck_assert_uint_eq(OSObject_getRetainCount(same), 1);
        ck_assert_uint_eq(OSObject_getRetainCount(text), 1);
        for (uint64_t i = 100; i < 120; i++) {
                OSNumber *key = number(i);
                ck_assert(OSDictionary_setObject(d, key, key));
                RELEASE(key);
        }
        ck_assert(OSDictionary_setObject(d, data, name) && OSDictionary_getCount(d) == 23 && OSDictionaryGetCount(d) == 1);
        ck_assert_uint_ge(OSDictionary_getCapacity(d), 23);
        ck_assert(OSDictionary_iterateObjects_f(d, &seen, second_is_number) && seen == 2);
        copy = OSDictionary_withDictionary(d, 0);
        deep = OSDictionary_copyCollection(d, NULL);
        ck_assert(OSDictionary_isEqualTo(d, copy) && OSObjectIsEqual(d, deep) && OSDictionary_isEqualTo_keys(d, copy, deep));
        ck_assert(OSDictionary_removeObject(copy, same) && !OSDictionary_removeObject(copy, same));
        ck_assert(!OSDictionary_isEqualTo(d, copy) && OSDictionary_setObject(copy, seven, text));
        ck_assert(!OSDictionary_isEqualTo(d, copy));
        RELEASE(copy, deep);
        /* It stays where it is. */
        ck_assert_ptr_null(amb_value_copy(&d->object));
        ck_assert_int_eq(amb_plist_write(&d->object, false, &bytes, &length), AMB_PLIST_UNSUPPORTED);
        while (OSDictionary_getCount(d) > 3) {
                OSNumber *key = number(100 + 23 - OSDictionary_getCount(d));
                ck_assert(OSDictionary_removeObject(d, key));
                RELEASE(key);
        }
        json = amb_value_json(&d->object);
        ck_assert_str_eq(json, "{\"7\":8,\"7\":8,\"OSData\":\"7\"}");
        free(json);
        OSDictionary_flushCollection(d);
        ck_assert_uint_eq(OSDictionary_getCount(d), 0);
        ck_assert_uint_eq(OSObject_getRetainCount(seven), 1);
        ck_assert(OSDictionary_setObject(d, seven, eight));
        RELEASE(d);
        ck_assert_uint_eq(OSObject_getRetainCount(seven), 1);
        ck_assert_uint_eq(OSObject_getRetainCount(eight), 1);
        RELEASE(name, text, seven, same, eight, data);
}
END_TEST

START_TEST(sets)
{
        OSNumber *one = number(1), *again = number(1), *two = number(2);
        OSObject *objects[] = { (OSObject *)one, (OSObject *)two, (OSObject *)one };
        OSSet *s = OSSet_withObjects(objects, 3, 0), *t = OSSet_withCapacity(4);
        ck_assert_uint_eq(OSSet_getCount(s), 2);
        ck_assert(OSSet_containsObject(s, one) && !OSSet_containsObject(s, again) && !OSSet_containsObject(s, NULL));
        ck_assert(OSSet_setObject(s, again) && !OSSet_setObject(s, again));
        ck_assert(!OSSet_setObject(s, NULL) && !OSSet_setObject(s, s));
        ck_assert(OSSet_setObject(t, two) && OSSet_setObject(t, two) == false);
        ck_assert(OSSet_merge_set(t, s) && !OSSet_merge_set(t, s) && OSSet_getCount(t) == 3);
        ck_assert(OSSet_isEqualTo(s, t)); /* in another order */
        ck_assert(OSSet_removeObject(t, one) && !OSSet_removeObject(t, one));
        ck_assert(OSSet_setObject(t, two) == false && !OSSet_isEqualTo(s, t));
        OSNumber *other_two = number(2);
        ck_assert(OSSet_setObject(t, other_two) && OSSet_getCount(t) == 3 && !OSSet_isEqualTo(s, t)); /* 1 1 2, 1 2 2 */
        OSArray *list = OSArray_withObjects(objects, 3, 0);
        OSSet *u = OSSet_withArray(list, 0), *v = OSSet_withSet(s, 0);
        ck_assert(OSSet_getCount(u) == 2 && OSSet_isEqualTo(v, s) && !OSObjectIsEqual(u, list));
        ck_assert(OSSet_containsObject(u, OSSet_getAnyObject(u)));
        ck_assert(OSSet_merge_array(u, list) == false);
        OSSet_flushCollection(u);
        ck_assert_ptr_null(OSSet_getAnyObject(u));
        char *json = amb_value_json((OSObject *)s);
        ck_assert_str_eq(json, "[1,2,1]");
        free(json);
        RELEASE(s, t, u, v, list, one, again, two, other_two);
}
END_TEST

START_TEST(ordered_sets)
{
        OSNumber *n[3] = { number(0), number(1), number(2) };
        OSOrderedSet *s = OSOrderedSet_withCapacity(1), *t = OSOrderedSet_withCapacity(0);
        ck_assert(OSOrderedSet_setObject(s, n[1]) && OSOrderedSet_setFirstObject(s, n[0]) && OSOrderedSet_setLastObject(s, n[2]));
        ck_assert(!OSOrderedSet_setFirstObject(s, n[2]) && !OSOrderedSet_setObject_at(s, 9, n[0]));
        for (uint32_t i = 0; i < 3; i++)
                ck_assert_ptr_eq(OSOrderedSet_getObject(s, i), n[i]);
        ck_assert(OSOrderedSet_setObject(t, n[2]) && OSOrderedSet_setObject_at(t, 0, n[1]));
        ck_assert(OSOrderedSet_setObject_at(t, 2, n[0]));
        ck_assert(!OSOrderedSet_isEqualTo(s, t) && OSOrderedSet_getCount(t) == 3);
        ck_assert(OSOrderedSet_removeObject(t, n[0]) && OSOrderedSet_setFirstObject(t, n[0]) && OSOrderedSet_isEqualTo(s, t));
        ck_assert_ptr_eq(OSOrderedSet_getFirstObject(s), n[0]);
        ck_assert_ptr_eq(OSOrderedSet_getLastObject(s), n[2]);
        ck_assert(OSOrderedSet_containsObject(s, n[1]) && !OSOrderedSet_containsObject(s, s));
        ck_assert_ptr_null(OSOrderedSet_getObject(s, 3));
        RELEASE(s, t, n[0], n[1], n[2]);
}
END_TEST

/* --- walking --- */

struct walk {
        size_t calls, stop_at;
        OSObject *last;
        OSArray *remove_from;
};

static bool count_objects(void *context, OSObject *object)
{
        struct walk *w = context;
        w->last = object;
        if (w->remove_from)
                ck_assert(OSArrayRemoveValue(w->remove_from, 0));
        if (w->remove_from && w->calls == 0)
                ck_assert_uint_eq(OSObject_getRetainCount(object), 1); /* held by the walk alone */
        return ++w->calls == w->stop_at;
}

static bool count_pairs(void *context, OSObject *key, OSObject *value)
{
        ck_assert_uint_eq(OSNumber_unsigned64BitValue((OSNumber *)value), (uint64_t)OSString_getCStringNoCopy((OSString *)key)[0]);
        return count_objects(context, value);
}

static bool count_texts(void *context, const char *key, OSObject *value)
{
        ck_assert_uint_eq(OSNumber_unsigned64BitValue((OSNumber *)value), (uint64_t)key[0]);
        return count_objects(context, value);
}

static bool count_indices(void *context, size_t index, OSObject *value)
{
        ck_assert_uint_eq(index, ((struct walk *)context)->calls);
        return count_objects(context, value);
}

START_TEST(walks)
{
        OSDictionary *d = OSDictionaryCreate();
        OSArray *a = OSArrayCreate();
        for (const char *key = "a\0b\0c\0"; *key; key += 2)
                ck_assert(OSDictionarySetUInt64Value(d, key, (uint64_t)*key) && OSArraySetUInt64Value(a, kOSArrayAppend, 1));
        struct walk w = { .stop_at = 2 };
        ck_assert(OSDictionary_iterateObjects_f(d, &w, count_pairs) && w.calls == 2); /* R17 */
        w = (struct walk){ .stop_at = 2 };
        ck_assert(OSDictionaryApply_f(d, &w, count_texts) && w.calls == 2);
        w = (struct walk){ 0 };
        ck_assert(OSCollection_iterateObjects_f((OSCollection *)d, &w, count_objects) && w.calls == 3);
        ck_assert(OSString_isEqualTo_cString(OSDynamicCast(OSString, w.last), "c"));
        w = (struct walk){ 0 };
        ck_assert(OSArrayApply_f(a, &w, count_indices) && w.calls == 3);
        /* The first call takes the first one out; the next index is then what was the third. */
        w = (struct walk){ .remove_from = a };
        ck_assert(OSCollection_iterateObjects_f((OSCollection *)a, &w, count_objects) && w.calls == 2);
        ck_assert(!OSCollection_iterateObjects_f(NULL, &w, count_objects) && !OSArrayApply_f(NULL, &w, count_indices));
        ck_assert(!OSDictionary_iterateObjects_f(NULL, &w, count_pairs) && !OSDictionaryApply_f(NULL, &w, count_texts));
        ck_assert_uint_eq(w.calls, 2);
        RELEASE(a, d);
}
END_TEST

/* What a compiler with blocks makes of ^bool (OSObject *o) { ... w ... }: the layout of a block is an ABI. */
struct block {
        struct amb_block head;
        const void *descriptor;
        struct walk *captured;
};

static bool block_object(struct block *self, OSObject *object)
{
        return count_objects(self->captured, object);
}

static bool block_pair(struct block *self, OSObject *key, OSObject *value)
{
        return count_pairs(self->captured, key, value);
}

static bool block_text(struct block *self, const char *key, OSObject *value)
{
        return count_texts(self->captured, key, value);
}

static bool block_index(struct block *self, size_t index, OSObject *value)
{
        return count_indices(self->captured, index, value);
}

START_TEST(blocks)
{
        OSDictionary *d = OSDictionaryCreate();
        OSArray *a = OSArrayCreate();
        ck_assert(OSDictionarySetUInt64Value(d, "a", 'a') && OSDictionarySetUInt64Value(d, "b", 'b'));
        ck_assert(OSArrayAppendStringValue(a, "x") && OSArrayAppendStringValue(a, "y"));
        struct walk w = { 0 };
        struct block block = { .head.invoke = (void (*)(void))block_object, .captured = &w };
        ck_assert(OSCollection_iterateObjects((OSCollection *)a, &block) && w.calls == 2);
        ck_assert_ptr_eq(w.last, OSArray_getObject(a, 1));
        block.head.invoke = (void (*)(void))block_pair;
        ck_assert(OSDictionary_iterateObjects(d, &block) && w.calls == 4);
        block.head.invoke = (void (*)(void))block_text;
        ck_assert(OSDictionaryApply(d, &block) && w.calls == 6);
        w.calls = 0;
        block.head.invoke = (void (*)(void))block_index;
        ck_assert(OSArrayApply(a, &block) && w.calls == 2);
        RELEASE(a, d);
}
END_TEST

/* --- copies --- */

START_TEST(deep_copies)
{
        OSDictionary *inner = OSDictionaryCreate(), *outer = OSDictionaryCreate();
        OSArray *list = OSArrayCreate();
        OSSet *set = OSSet_withCapacity(0);
        OSString *text = OSString_withCString("text");
        ck_assert(OSDictionary_setObject_cString(inner, "text", text) && OSSet_setObject(set, text));
        ck_assert(OSArray_setObject(list, inner) && OSArray_setObject(list, inner) && OSArray_setObject(list, set));
        ck_assert(OSDictionary_setObject_cString(outer, "list", list));
        OSDictionary *copy = (OSDictionary *)OSCollection_copyCollection((OSCollection *)outer, NULL);
        ck_assert(OSDictionary_isEqualTo(copy, outer));
        OSArray *its_list = OSDictionaryGetArrayValue(copy, "list");
        OSDictionary *its_inner = OSDynamicCast(OSDictionary, OSArray_getObject(its_list, 0));
        ck_assert(its_list != list && its_inner && its_inner != inner);
        ck_assert_ptr_eq(OSArray_getObject(its_list, 1), its_inner);    /* shared in the copy as in the original */
        ck_assert_ptr_eq(OSDictionary_getObject_cString(its_inner, "text"), text);
        ck_assert(OSDynamicCast(OSSet, OSArray_getObject(its_list, 2)) != NULL);
        ck_assert(OSDictionary_setObject_cString(its_inner, "text", kOSBooleanTrue));
        ck_assert_ptr_eq(OSDictionary_getObject_cString(inner, "text"), text);
        /* Copies that are remembered from call to call. */
        OSDictionary *cycle = OSDictionaryCreate();
        OSCollection *one = OSDictionary_copyCollection(inner, cycle), *other = OSArray_copyCollection(list, cycle);
        ck_assert_ptr_eq(OSArray_getObject((OSArray *)other, 1), one);
        ck_assert_ptr_null(OSCollection_copyCollection(NULL, NULL));
        ck_assert_ptr_null(OSArray_copyCollection(NULL, NULL));
        RELEASE(inner, outer, list, set, copy, cycle, one, other);
        ck_assert_uint_eq(OSObject_getRetainCount(text), 1);
        OSObject_release(text);
}
END_TEST

START_TEST(copies_of_circles)
{
        OSArray *a = OSArrayCreate(), *b = OSArrayCreate();
        ck_assert(OSArray_setObject(a, b) && OSArray_setObject(b, a));
        OSArray *copy = (OSArray *)OSArray_copyCollection(a, NULL), *its_b = OSDynamicCast(OSArray, OSArray_getObject(copy, 0));
        ck_assert(copy != a && its_b && its_b != b);
        ck_assert_ptr_eq(OSArray_getObject(its_b, 0), copy);
        OSArray_flushCollection(b); /* nobody else opens the circles */
        OSArray_flushCollection(its_b);
        RELEASE(a, b, copy);
}
END_TEST

/* --- serializations --- */

static OSDictionary *sample(void)
{
        static const char *const text = "{ }";
        OSDictionary *d = OSDictionaryCreate();
        OSArray *list = OSArrayCreate();
        OSSet *set = OSSet_withCapacity(0);
        OSOrderedSet *ordered = OSOrderedSet_withCapacity(0);
        OSNumber *narrow = OSNumber_withNumber(200, 8);
        OSData *data = OSData_withBytes("\0\1\2", 3), *nothing = OSData_withBytes("", 0);
        ck_assert(OSDictionarySetStringValue(d, "string", text) && OSDictionarySetUInt64Value(d, "wide", UINT64_MAX));
        ck_assert(OSDictionarySetBooleanValue(d, "yes", true) && OSDictionarySetBooleanValue(d, "", false));
        ck_assert(OSArray_setObject(list, narrow) && OSArray_setObject(list, data) && OSArray_setObject(list, nothing));
        ck_assert(OSSet_setObject(set, list) && OSOrderedSet_setObject(ordered, set));
        ck_assert(OSDictionary_setObject_cString(d, "sets", ordered) && OSDictionary_setObject_cString(d, "list", list));
        RELEASE(list, set, ordered, narrow, data, nothing);
        return d;
}

START_TEST(serialize_and_back)
{
        OSDictionary *d = sample();
        OSSerialization *s = OSCreateSerializationFromObject(d);
        size_t length = 0;
        ck_assert_ptr_nonnull(OSSerializationGetBytes(s, &length));
        ck_assert_uint_gt(length, 30);
        ck_assert_ptr_nonnull(OSSerializationGetBytes(s, NULL));
        OSDictionary *back = OSDynamicCast(OSDictionary, OSCreateObjectFromSerialization(s));
        ck_assert(back && OSDictionary_isEqualTo(d, back));
        OSArray *list = OSDictionaryGetArrayValue(back, "list");
        ck_assert_uint_eq(OSNumber_numberOfBits((OSNumber *)OSArray_getObject(list, 0)), 8);
        ck_assert(OSDynamicCast(OSOrderedSet, OSDictionaryGetValue(back, "sets")) != NULL);
        ck_assert_uint_eq(OSCollectionTypeID(s), kOSCollectionTypeSerialization);
        /* What cannot become bytes: no value, and a nesting that never ends. */
        OSObject *object = amb_object_new(OSTypeID(OSObject));
        ck_assert_ptr_null(OSCreateSerializationFromObject(object));
        ck_assert_ptr_null(OSCreateSerializationFromObject(NULL));
        OSArray *a = OSArrayCreate(), *b = OSArrayCreate();
        ck_assert(OSArray_setObject(a, b) && OSArray_setObject(b, a));
        ck_assert_ptr_null(OSCreateSerializationFromObject(a));
        OSArray_flushCollection(a);
        RELEASE(d, s, back, object, a, b);
}
END_TEST

struct lent {
        int frees;
        size_t length;
};

static void lent_free(void *context, const void *bytes, size_t length)
{
        struct lent *lent = context;
        lent->frees++;
        ck_assert_uint_eq(length, lent->length);
        free((void *)bytes);
}

static void block_free(struct block *self, const void *bytes, size_t length)
{
        self->captured->calls += length;
        free((void *)bytes);
}

START_TEST(lent_by_block)
{
        struct walk w = { 0 };
        /* One without a destructor, as the compiler makes it: its size is what is copied. */
        static const struct {
                unsigned long reserved, size;
        } descriptor = { 0, sizeof(struct block) };
        extern void *_NSConcreteStackBlock[];
        struct block block = { .head = { .isa = _NSConcreteStackBlock, .invoke = (void (*)(void))block_free },
                               .descriptor = &descriptor, .captured = &w };
        OSSerialization *s = OSCreateSerializationFromBytes(calloc(1, 10), 10, &block);
        memset(&block, 0, sizeof(block)); /* its copy is what runs later */
        ck_assert_uint_eq(w.calls, 0);
        OSObject_release(s);
        ck_assert_uint_eq(w.calls, 10);
        s = OSCreateSerializationFromBytes("", 0, NULL);
        ck_assert_ptr_null(OSCreateObjectFromSerialization(s));
        OSObject_release(s);
}
END_TEST

/* Every prefix of good bytes, and every byte of them changed: an object or NULL, and the lender gets his bytes back. */
START_TEST(broken_serializations)
{
        OSDictionary *d = sample();
        OSSerialization *good = OSCreateSerializationFromObject(d);
        size_t length;
        const uint8_t *bytes = OSSerializationGetBytes(good, &length);
        for (size_t cut = 0; cut < length; cut++) {
                uint8_t *part = malloc(cut + 1); /* its own block: a sanitizer sees a byte too much */
                ck_assert_ptr_nonnull(part);
                part = realloc(part, cut ? cut : 1);
                memcpy(part, bytes, cut);
                struct lent lent = { 0, cut };
                OSSerialization *s = OSCreateSerializationFromBytes_f(part, cut, &lent, lent_free);
                ck_assert_ptr_null(OSCreateObjectFromSerialization(s));
                OSObject_release(s);
                ck_assert_int_eq(lent.frees, 1);
        }
        for (size_t i = 0; i < length * 256; i++) {
                uint8_t *changed = malloc(length);
                ck_assert_ptr_nonnull(changed);
                memcpy(changed, bytes, length);
                changed[i / 256] = (uint8_t)i;
                OSSerialization *s = OSCreateSerializationFromBytes_f(changed, length, NULL, NULL);
                OSObject_release(OSCreateObjectFromSerialization(s));
                OSObject_release(s);
                free(changed);
        }
        uint8_t deep[4 + 5 * 1000];
        memcpy(deep, bytes, 4);
        for (size_t i = 0; i < 1000; i++)
                memcpy(deep + 4 + 5 * i, (uint8_t[]){ kOSCollectionTypeArray, 1, 0, 0, 0 }, 5);
        OSSerialization *s = OSCreateSerializationFromBytes_f(deep, sizeof(deep), NULL, NULL);
        ck_assert_ptr_null(OSCreateObjectFromSerialization(s));
        ck_assert_ptr_null(OSCreateObjectFromSerialization(NULL));
        ck_assert_ptr_null(OSCreateSerializationFromBytes_f(NULL, 0, NULL, NULL));
        RELEASE(d, good, s);
}
END_TEST

START_TEST(types)
{
        OSSet *set = OSSet_withCapacity(0);
        OSDictionary *d = OSDictionaryCreate();
        ck_assert_uint_eq(OSCollectionTypeID(set), 3);
        ck_assert_uint_eq(OSCollectionTypeID(d), 1);
        ck_assert_uint_eq(OSCollectionTypeID(kOSBooleanTrue), 11);
        ck_assert_uint_eq(OSCollectionTypeID(NULL), 0);
        ck_assert_str_eq(OSCollectionTypeName(3), "set");
        ck_assert_str_eq(OSCollectionTypeName(13), "serialization");
        ck_assert_ptr_null(OSCollectionTypeName(0));
        ck_assert_ptr_null(OSCollectionTypeName(5));
        ck_assert_ptr_null(OSCollectionTypeName(14));
        ck_assert(OSDynamicCast(OSCollection, set) && OSDynamicCast(OSContainer, d) && OSDynamicCast(OSContainer, kOSBooleanTrue));
        ck_assert_ptr_null(OSDynamicCast(OSCollection, kOSBooleanTrue));
        RELEASE(set, d);
}
END_TEST

int main(void)
{
        return run_suite("object-methods", strings, data, borrowed_data_cannot_grow, numbers, arrays,
                         array_values_by_number_and_text, dictionaries, other_keys, sets, ordered_sets, walks, blocks, deep_copies,
                         copies_of_circles, serialize_and_back, lent_by_block, broken_serializations, types);
}
