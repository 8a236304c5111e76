/* SPDX-License-Identifier: Apache-2.0 */
/* Property values and how they compare. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/test-suite.h"
#include "object/match.h"
#include "object/plist.h"
#include "object/value.h"

static const OSObject *object_of(const void *value)
{
        return value;
}

START_TEST(strings)
{
        OSString *two = OSStringCreate("abc", 2), *all = OSStringCreate("abc", (size_t)-1), *cut = OSStringCreate("a\0b", 3);
        ck_assert_uint_eq(OSStringGetLength(two), 2); /* R12 */
        ck_assert_str_eq(OSStringGetStringPtr(two), "ab");
        ck_assert_uint_eq(OSStringGetLength(all), 3);
        ck_assert_uint_eq(OSStringGetLength(cut), 1);
        ck_assert_ptr_null(OSStringCreate(NULL, 3));
        ck_assert_str_eq(OSStringGetStringPtr(NULL), "");
        OSString *bare = (OSString *)amb_object_new(OSTypeID(OSString)), *empty = OSStringCreate("", 0);
        ck_assert_str_eq(OSStringGetStringPtr(bare), "");
        ck_assert(OSObjectIsEqual(bare, empty));
        ck_assert(!OSObjectIsEqual(two, all));
        void *values[] = { two, all, cut, bare, empty };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(values); i++)
                OSObject_release(values[i]);
}
END_TEST

START_TEST(data)
{
        OSData *d = OSDataCreate("abc", 3);
        char buffer[4] = "";
        ck_assert_ptr_null(OSDataGetBytesPtr(d, 2, 2)); /* R13 */
        ck_assert_ptr_null(OSDataGetBytesPtr(d, SIZE_MAX, 2));
        ck_assert_ptr_null(OSDataGetBytesPtr(d, 0, 0));
        ck_assert(!OSDataGetBytes(d, buffer, 1, SIZE_MAX));
        ck_assert(OSDataGetBytes(d, buffer, 3, 0));
        ck_assert(OSDataGetBytes(d, buffer, 1, 2));
        ck_assert_str_eq(buffer, "bc");
        /* Appending a piece of itself, through a reallocation. */
        for (int i = 0; i < 12; i++)
                ck_assert(OSDataAppendBytes(d, OSDataGetBytesPtr(d, 0, OSDataGetLength(d)), OSDataGetLength(d)));
        ck_assert_uint_eq(OSDataGetLength(d), 3 << 12);
        ck_assert_mem_eq(OSDataGetBytesPtr(d, (3 << 12) - 6, 6), "abcabc", 6);
        ck_assert(!OSDataAppendBytes(d, "x", SIZE_MAX));
        OSObject_release(d);
        d = OSDataCreate(NULL, 2);
        ck_assert_mem_eq(OSDataGetBytesPtr(d, 0, 2), "\0\0", 2);
        OSObject_release(d);
        d = OSDataCreate("x", 0);
        ck_assert_uint_eq(OSDataGetLength(d), 0);
        OSObject_release(d);
}
END_TEST

/* Filled anew only while nobody else holds it, and then in the room that it has. */
START_TEST(data_refilled)
{
        OSData *d = OSDataCreate("abcdef", 6);
        const void *room = OSDataGetBytesPtr(d, 0, 6);
        ck_assert_ptr_eq(amb_data_refill(d, 3), room);
        ck_assert_uint_eq(OSDataGetLength(d), 3);
        ck_assert_ptr_eq(OSDataGetBytesPtr(d, 0, 3), room);
        memcpy(amb_data_refill(d, 3), "xyz", 3);
        OSObject_retain(d);
        ck_assert_ptr_null(amb_data_refill(d, 4));
        ck_assert_uint_eq(OSDataGetLength(d), 3);
        ck_assert_mem_eq(OSDataGetBytesPtr(d, 0, 3), "xyz", 3);
        OSObject_release(d);
        uint8_t *longer = amb_data_refill(d, 18);
        ck_assert_ptr_nonnull(longer);
        memcpy(longer, "longer than before", 18);
        ck_assert_uint_eq(OSDataGetLength(d), 18);
        ck_assert_mem_eq(OSDataGetBytesPtr(d, 0, 18), "longer than before", 18);
        ck_assert_ptr_null(amb_data_refill(NULL, 0));
        OSObject_release(d);
}
END_TEST

START_TEST(numbers)
{
        OSNumber *small = OSNumberCreate(300, 8), *narrow = OSNumberCreate(5, 8), *wide = OSNumberCreate(5, 64);
        ck_assert_uint_eq(OSNumberGetUInt64Value(small), 44); /* R9 */
        ck_assert(OSObjectIsEqual(narrow, wide));             /* R10 */
        ck_assert(amb_invoke(narrow, OSObject, isEqualTo, object_of(wide)));
        ck_assert(!OSObjectIsEqual(narrow, small));
        ck_assert_uint_eq(OSNumberGetBits(narrow), 8);
        ck_assert_ptr_null(OSNumberCreate(1, 7));
        ck_assert_ptr_null(OSNumberCreate(1, 0));
        ck_assert_ptr_null(OSNumberCreate(1, 128));
        OSObject_release(small);
        OSObject_release(narrow);
        OSObject_release(wide);
}
END_TEST

START_TEST(arrays)
{
        OSArray *array = OSArrayCreate();
        OSString *string = OSStringCreate("b", 1);
        ck_assert(OSArrayAppendStringValue(array, "c"));
        ck_assert(OSArraySetValue(array, 0, kOSBooleanTrue));
        ck_assert(OSArraySetValue(array, 1, string));
        ck_assert(!OSArraySetValue(array, 4, string));
        ck_assert(!OSArrayAppendValue(array, NULL));
        ck_assert(!OSArrayAppendValue(array, array));
        ck_assert(!OSArrayReplaceValue(array, 0, array));
        ck_assert(!OSArrayAppendStringValue(array, NULL));
        ck_assert_uint_eq(OSArrayGetCount(array), 3);
        ck_assert_str_eq(OSArrayGetStringValue(array, 1), "b");
        ck_assert_str_eq(OSArrayGetStringValue(array, 2), "c");
        ck_assert_ptr_null(OSArrayGetStringValue(array, 0));
        ck_assert_uint_eq(OSArrayGetUInt64Value(array, 1), 0);
        ck_assert_ptr_null(OSArrayGetValue(array, 3)); /* R16 */
        ck_assert_uint_eq(OSObject_getRetainCount(string), 2);
        ck_assert(OSArrayReplaceValue(array, 1, string));
        ck_assert_uint_eq(OSObject_getRetainCount(string), 2);
        ck_assert(OSArrayRemoveValue(array, 1));
        ck_assert(!OSArrayRemoveValue(array, 2));
        ck_assert_uint_eq(OSObject_getRetainCount(string), 1);
        ck_assert_str_eq(OSArrayGetStringValue(array, 1), "c");
        OSObject_release(string);
        OSObject_release(array);
}
END_TEST

START_TEST(dictionaries)
{
        OSDictionary *d = OSDictionaryCreate();
        OSString *x = OSStringCreate("x", 1), *y = OSStringCreate("y", 1);
        ck_assert(OSDictionarySetValue(d, "a", x));
        ck_assert(OSDictionarySetValue(d, "a", y)); /* R14 */
        ck_assert_uint_eq(OSObject_getRetainCount(x), 1);
        ck_assert_uint_eq(OSObject_getRetainCount(y), 2);
        ck_assert_uint_eq(OSDictionaryGetCount(d), 1);
        ck_assert_ptr_null(OSDictionaryGetValue(d, "none"));            /* R15 */
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(d, "missing"), 0); /* R19 */
        ck_assert(!OSDictionarySetValue(d, "a", d));
        ck_assert(!OSDictionarySetValue(d, NULL, x));
        ck_assert(!OSDictionarySetValue(d, "b", NULL));
        ck_assert(OSDictionarySetUInt64Value(d, "n", UINT64_MAX));
        ck_assert(OSDictionarySetBooleanValue(d, "t", true));
        ck_assert(OSDictionarySetStringValue(d, "", "empty key"));
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(d, "n"), UINT64_MAX);
        ck_assert_ptr_eq(OSDictionaryGetValue(d, "t"), kOSBooleanTrue);
        ck_assert_str_eq(OSDictionaryGetStringValue(d, ""), "empty key");
        ck_assert_ptr_null(OSDictionaryGetStringValue(d, "n"));
        ck_assert_ptr_null(OSDictionaryGetArrayValue(d, "a"));
        /* A key that belongs to the entry that goes away. */
        ck_assert(OSDictionaryRemoveValue(d, OSDictionaryGetKeyAt(d, 0)));
        ck_assert_str_eq(OSDictionaryGetKeyAt(d, 0), "n");
        ck_assert_ptr_null(OSDictionaryGetKeyAt(d, 3));
        ck_assert_ptr_null(OSDictionaryGetValueAt(d, 3));
        OSDictionary *copy = OSDictionaryCreateCopy(d);
        ck_assert(OSObjectIsEqual(copy, d));
        ck_assert(OSDictionarySetUInt64Value(copy, "n", 1));
        ck_assert(!OSObjectIsEqual(copy, d));
        ck_assert(OSDictionaryMerge(d, copy));
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(d, "n"), 1);
        ck_assert(OSDictionaryMerge(d, d));
        OSObject_release(x);
        OSObject_release(y);
        OSObject_release(copy);
        OSObject_release(d);
}
END_TEST

/* Against a model: which of 4000 keys are in, and that order is the order of insertion. */
START_TEST(dictionary_with_many_keys)
{
        enum { KEYS = 4000, STEPS = 30000 };
        static uint32_t in[KEYS]; /* 0: absent, else when it was inserted */
        OSDictionary *d = OSDictionaryCreate();
        uint32_t random = 12345;
        size_t count = 0;
        for (uint32_t step = 1; step <= STEPS; step++) {
                random = random * 1664525 + 1013904223;
                size_t k = (random >> 8) % KEYS;
                char key[16];
                snprintf(key, sizeof(key), "key %zu", k);
                if ((random >> 28) < 6) {
                        ck_assert_int_eq(OSDictionaryRemoveValue(d, key), in[k] != 0);
                        count -= in[k] != 0;
                        in[k] = 0;
                } else {
                        ck_assert(OSDictionarySetUInt64Value(d, key, k));
                        if (!in[k]) {
                                in[k] = step;
                                count++;
                        }
                }
                ck_assert_uint_eq(OSDictionaryGetCount(d), count);
        }
        for (size_t k = 0; k < KEYS; k++) {
                char key[16];
                snprintf(key, sizeof(key), "key %zu", k);
                ck_assert_int_eq(OSDictionaryGetValue(d, key) != NULL, in[k] != 0);
                ck_assert_uint_eq(OSDictionaryGetUInt64Value(d, key), in[k] ? k : 0);
        }
        uint32_t before = 0;
        for (size_t i = 0; i < count; i++) {
                uint64_t k = OSNumberGetUInt64Value(OSRequiredCast(OSNumber, OSDictionaryGetValueAt(d, i)));
                ck_assert_uint_lt(before, in[k]);
                before = in[k];
        }
        OSObject_release(d);
}
END_TEST

/* B14: 200,000 keys are no matter of minutes. The limit of time is Check's. */
START_TEST(dictionary_is_not_quadratic)
{
        OSDictionary *d = OSDictionaryCreate();
        char key[24];
        for (uint32_t i = 0; i < 200000; i++) {
                snprintf(key, sizeof(key), "%u", i);
                ck_assert(OSDictionarySetValue(d, key, kOSBooleanTrue));
        }
        ck_assert_uint_eq(OSDictionaryGetCount(d), 200000);
        ck_assert_ptr_nonnull(OSDictionaryGetValue(d, "199999"));
        ck_assert_ptr_null(OSDictionaryGetValue(d, "200000"));
        OSObject_release(d);
}
END_TEST

/* Two that contain each other end the comparison instead of the stack. */
START_TEST(comparison_ends_on_cycles)
{
        OSArray *array[4];
        for (size_t i = 0; i < 4; i++)
                array[i] = OSArrayCreate();
        for (size_t i = 0; i < 4; i++)
                ck_assert(OSArrayAppendValue(array[i], array[i ^ 1]));
        ck_assert(!OSObjectIsEqual(array[0], array[2]));
        ck_assert(OSObjectIsEqual(array[0], array[0]));
        char *json = amb_value_json(object_of(array[0]));
        ck_assert_ptr_nonnull(strstr(json, "{\"class\":\"OSArray\"}"));
        free(json);
        char *bytes;
        size_t length;
        ck_assert_int_eq(amb_plist_write(object_of(array[0]), false, &bytes, &length), AMB_PLIST_TOO_BIG);
        for (size_t i = 0; i < 4; i++)
                OSArrayRemoveValue(array[i], 0);
        for (size_t i = 0; i < 4; i++)
                OSObject_release(array[i]);
}
END_TEST

static bool matches(const char *wanted, const char *property)
{
        OSObject *values[2];
        const char *lists[] = { wanted, property };
        for (size_t i = 0; i < 2; i++) {
                char *text = amb_format("<plist>%s</plist>", lists[i]);
                ck_assert_int_eq(amb_plist_parse(text, strlen(text), &values[i], NULL), 0);
                free(text);
        }
        bool result = amb_value_matches(values[0], values[1]);
        ck_assert_int_eq(result, amb_value_matches(values[1], values[0]));
        OSObject_release(values[0]);
        OSObject_release(values[1]);
        return result;
}

START_TEST(property_comparison) /* lifecycle-registry 5.1, rows 162, 163 */
{
        OSNumber *narrow = OSNumberCreate(5, 32);
        OSNumber *wide = OSNumberCreate(5, 64);
        ck_assert(amb_value_matches(object_of(narrow), object_of(wide)));
        OSObject_release(narrow);
        OSObject_release(wide);
        ck_assert(!matches("<integer>5</integer>", "<integer>6</integer>"));
        ck_assert(matches("<string>x</string>", "<string>x</string>"));
        ck_assert(!matches("<string>x</string>", "<string>X</string>"));
        ck_assert(matches("<string>x</string>", "<data>eA==</data>"));   /* "x" */
        ck_assert(matches("<string>x</string>", "<data>eAA=</data>"));   /* "x\0" */
        ck_assert(!matches("<string>x</string>", "<data>eAAA</data>"));  /* "x\0\0" */
        ck_assert(!matches("<string>x</string>", "<data>eHg=</data>"));  /* "xx" */
        ck_assert(!matches("<string>xx</string>", "<data>eAA=</data>")); /* "x\0" */
        ck_assert(matches("<string></string>", "<data></data>"));
        ck_assert(matches("<string></string>", "<data>AA==</data>"));
        ck_assert(!matches("<data>eA==</data>", "<data>eAA=</data>"));
        ck_assert(matches("<true/>", "<true/>"));
        ck_assert(!matches("<true/>", "<false/>"));
        ck_assert(!matches("<true/>", "<integer>1</integer>"));
        ck_assert(!matches("<true/>", "<string>true</string>"));
        ck_assert(!matches("<integer>1</integer>", "<string>1</string>"));
        ck_assert(matches("<array><string>x</string></array>", "<array><data>eAA=</data></array>"));
        ck_assert(!matches("<array><true/></array>", "<array><true/><true/></array>"));
        ck_assert(!matches("<array/>", "<dict/>"));
        ck_assert(matches("<dict><key>a</key><true/><key>b</key><string>x</string></dict>",
                          "<dict><key>b</key><data>eA==</data><key>a</key><true/></dict>"));
        ck_assert(!matches("<dict><key>a</key><true/></dict>", "<dict><key>b</key><true/></dict>"));
        ck_assert(!matches("<dict/>", "<dict><key>b</key><true/></dict>"));
        ck_assert(!amb_value_matches(NULL, NULL));
        ck_assert(!amb_value_matches(&kOSBooleanTrue->object, NULL));
        OSString *string = OSStringCreate("x", 1);
        OSData *bytes = OSDataCreate("x", 1);
        ck_assert(!OSObjectIsEqual(string, bytes)); /* by value is by class too */
        OSObject_release(string);
        OSObject_release(bytes);
}
END_TEST

START_TEST(utf8)
{
        static const struct {
                const char *bytes;
                bool valid;
        } cases[] = {
                { "", true }, { "a", true }, { "\xc3\xa9", true }, { "\xe2\x82\xac", true }, { "\xf0\x9f\x98\x80", true },
                { "\xf4\x8f\xbf\xbf", true }, { "\xf4\x90\x80\x80", false }, { "\xc0\x80", false }, { "\xc1\xbf", false },
                { "\xe0\x9f\xbf", false }, { "\xf0\x8f\xbf\xbf", false }, { "\xed\xa0\x80", false }, { "\xed\x9f\xbf", true },
                { "\xee\x80\x80", true }, { "\x80", false }, { "\xc3", false }, { "\xe2\x82", false }, { "\xff", false },
                { "a\xf5\x80\x80\x80", false },
        };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++)
                ck_assert_msg(amb_utf8_valid(cases[i].bytes, strlen(cases[i].bytes)) == cases[i].valid, "case %zu", i);
        ck_assert(!amb_utf8_valid("a\0b", 3));
}
END_TEST

static void json_is(const char *list, const char *expected)
{
        OSObject *value;
        char *text = amb_format("<plist>%s</plist>", list);
        ck_assert_int_eq(amb_plist_parse(text, strlen(text), &value, NULL), 0);
        char *json = amb_value_json(value);
        ck_assert_str_eq(json, expected);
        free(json);
        free(text);
        OSObject_release(value);
}

START_TEST(json)
{
        json_is("<dict><key>a\"b\\</key><array><true/><false/><integer>-1</integer></array><key>d</key><dict/></dict>",
                "{\"a\\\"b\\\\\":[true,false,18446744073709551615],\"d\":{}}");
        json_is("<string>\t\xc3\xa9&#x7f;\n</string>", "\"\\u0009\xc3\xa9\\u007f\\u000a\"");
        json_is("<data></data>", "{\"data\":\"\"}");
        json_is("<data>AQ==</data>", "{\"data\":\"AQ==\"}");
        json_is("<data>AQL/</data>", "{\"data\":\"AQL/\"}");
        json_is("<data>AQL/+/8=</data>", "{\"data\":\"AQL/+/8=\"}");
        OSString *broken = OSStringCreate("a\xff", 2);
        char *text = amb_value_json(object_of(broken));
        ck_assert_str_eq(text, "\"a\\ufffd\"");
        free(text);
        OSObject_release(broken);
        text = amb_value_json(NULL);
        ck_assert_str_eq(text, "null");
        free(text);
}
END_TEST

int main(void)
{
        return run_suite("collections", strings, data, data_refilled, numbers, arrays, dictionaries, dictionary_with_many_keys,
                         dictionary_is_not_quadratic, comparison_ends_on_cycles, property_comparison, utf8, json);
}
