/* SPDX-License-Identifier: Apache-2.0 */
/* Values as text and JSON, numbers, method descriptions of careless and hostile drivers, and what measuring counts. */
#include <check.h>

#include <CoreFoundation/CoreFoundation.h>

#include "base/test-suite.h"
#include "cli/method.h"

/* --- helpers --- */

static CFStringRef string(const char *text)
{
        return CFStringCreateWithCString(NULL, text, kCFStringEncodingUTF8);
}

static CFNumberRef number(int64_t value)
{
        return CFNumberCreate(NULL, kCFNumberSInt64Type, &value);
}

static void put(CFMutableDictionaryRef dictionary, const char *key, CFTypeRef value)
{
        CFStringRef name = string(key);
        CFDictionarySetValue(dictionary, name, value);
        CFRelease(name);
        CFRelease(value);
}

static CFMutableDictionaryRef dictionary(void)
{
        return CFDictionaryCreateMutable(NULL, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
}

static void expect_text(void (*print)(FILE *out, CFTypeRef value), CFTypeRef value, const char *expected)
{
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        print(out, value);
        fclose(out);
        ck_assert_str_eq(text, expected);
        free(text);
}

static void expect_string(const char *text, const char *expected)
{
        char *said = NULL;
        size_t size;
        FILE *out = open_memstream(&said, &size);
        cli_json_string(out, text);
        fclose(out);
        ck_assert_str_eq(said, expected);
        free(said);
}

/* --- values --- */

START_TEST(json_strings)
{
        expect_string("", "\"\"");
        expect_string("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
        expect_string("\x1b[2J\n\x7f", "\"\\u001b[2J\\u000a\\u007f\"");
        expect_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
        /* not UTF-8: a lone byte, one too short, overlong, a surrogate, beyond the last character */
        expect_string("\xff", "\"\\ufffd\"");
        expect_string("\xe2\x82", "\"\\ufffd\\ufffd\"");
        expect_string("\xc0\x80", "\"\\ufffd\\ufffd\"");
        expect_string("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");
        expect_string("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
}
END_TEST

START_TEST(values)
{
        static const unsigned char bytes[] = { 0, 0xff, 0x10 };
        CFMutableDictionaryRef all = dictionary();
        CFMutableArrayRef list = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
        CFStringRef text = string("two words");
        CFArrayAppendValue(list, text);
        CFArrayAppendValue(list, kCFBooleanTrue);
        CFRelease(text);
        put(all, "list", list);
        put(all, "data", CFDataCreate(NULL, bytes, sizeof(bytes)));
        put(all, "number", number(-7));
        put(all, "plain", string("plain"));
        expect_text(cli_json_value, all,
                    "{\"data\": {\"data\": \"00ff10\"}, \"list\": [\"two words\", true], \"number\": -7, \"plain\": \"plain\"}");
        expect_text(cli_print_value, all, "{data = <00ff10>, list = (\"two words\", true), number = -7, plain = plain}");
        ck_assert_str_eq(cli_get_string(all, "plain", "no"), "plain");
        ck_assert_str_eq(cli_get_string(all, "number", "no"), "no");
        ck_assert_uint_eq(cli_get_number(all, "plain", 5), 5);
        ck_assert_uint_eq(cli_get_number(all, "number", 5), (uint64_t)-7);
        ck_assert_uint_eq(cli_get_number(NULL, "number", 5), 5);
        CFRelease(all);
}
END_TEST

START_TEST(deep_values_end)
{
        CFTypeRef value = string("bottom");
        for (int i = 0; i < 200; i++) {
                CFMutableArrayRef around = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
                CFArrayAppendValue(around, value);
                CFRelease(value);
                value = around;
        }
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        cli_json_value(out, value);
        fclose(out);
        ck_assert_ptr_nonnull(strstr(text, "null"));
        ck_assert_ptr_null(strstr(text, "bottom"));
        free(text);
        CFRelease(value);
}
END_TEST

START_TEST(numbers)
{
        static const struct {
                const char *text;
                bool valid;
                uint64_t number;
        } cases[] = {
                { "0", true, 0 },
                { "010", true, 10 },
                { "0x10", true, 16 },
                { "0XfF", true, 255 },
                { "-1", true, ~0ull },
                { "-0x2", true, ~1ull },
                { "18446744073709551615", true, ~0ull },
                { "18446744073709551616", false, 0 },
                { "", false, 0 },
                { " 1", false, 0 },
                { "1 ", false, 0 },
                { "+1", false, 0 },
                { "0x", false, 0 },
                { "--1", false, 0 },
                { "1e3", false, 0 },
                { "abc", false, 0 },
        };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++) {
                uint64_t parsed = 77;
                ck_assert_msg(cli_parse_number(cases[i].text, &parsed) == cases[i].valid, "'%s'", cases[i].text);
                ck_assert_msg(parsed == (cases[i].valid ? cases[i].number : 77), "'%s'", cases[i].text);
        }
}
END_TEST

/* --- methods --- */

static CFMutableDictionaryRef method(const char *name, int64_t scalars_in, int64_t scalars_out, int64_t struct_out)
{
        CFMutableDictionaryRef described = dictionary();
        put(described, "name", string(name));
        put(described, "scalars-in", number(scalars_in));
        put(described, "scalars-out", number(scalars_out));
        put(described, "struct-out", number(struct_out));
        return described;
}

static void append(CFMutableArrayRef array, CFTypeRef value)
{
        CFArrayAppendValue(array, value);
        CFRelease(value);
}

START_TEST(methods)
{
        CFMutableArrayRef described = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
        CFMutableDictionaryRef async = method("Tell", 1, 0, 0);
        put(async, "async", CFRetain(kCFBooleanTrue));
        append(described, method("Add", 2, 1, 0));
        append(described, async);
        append(described, method("Any", -1, 0xffffffff, 0x7fffffffffffffff));

        struct cli_method found;
        uint32_t selector = 77;
        ck_assert(cli_method_at(described, 0, &found));
        ck_assert_str_eq(found.name, "Add");
        ck_assert_uint_eq(found.scalars_in, 2);
        ck_assert_uint_eq(found.scalars_out, 1);
        ck_assert_uint_eq(found.struct_in, 0);          /* not said: none */
        ck_assert(!found.async);
        ck_assert(cli_method_at(described, 1, &found) && found.async);
        ck_assert(cli_method_at(described, 2, &found));
        ck_assert_uint_eq(found.scalars_in, CLI_METHOD_ANY);
        ck_assert_uint_eq(found.scalars_out, CLI_METHOD_ANY);
        ck_assert_uint_eq(found.struct_out, CLI_METHOD_ANY);
        ck_assert(!cli_method_at(described, 3, &found));
        ck_assert(!cli_method_at(described, UINT32_MAX, &found));
        ck_assert(cli_method_find(described, "Tell", &selector) && selector == 1);
        ck_assert(!cli_method_find(described, "tell", &selector) && selector == 1);
        CFRelease(described);
}
END_TEST

START_TEST(methods_of_other_shapes)
{
        struct cli_method found;
        CFTypeRef text = string("methods");
        ck_assert(!cli_method_at(NULL, 0, &found));
        ck_assert(!cli_method_at(text, 0, &found));
        CFMutableArrayRef described = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
        append(described, text);
        ck_assert(!cli_method_at(described, 0, &found));
        CFMutableDictionaryRef wrong = dictionary();
        put(wrong, "name", number(1));
        put(wrong, "scalars-in", string("two"));
        put(wrong, "async", string("yes"));
        append(described, wrong);
        ck_assert(cli_method_at(described, 1, &found));
        ck_assert_str_eq(found.name, "");
        ck_assert_uint_eq(found.scalars_in, 0);
        ck_assert(!found.async);
        CFRelease(described);
}
END_TEST

/* --- measuring --- */

int main(void)
{
        return run_suite("cli", json_strings, values, deep_values_end, numbers, methods, methods_of_other_shapes);
}
