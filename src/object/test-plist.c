/* SPDX-License-Identifier: Apache-2.0 */
/* Property lists: good ones, broken ones, hostile ones. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/base.h"
#include "base/test-suite.h"
#include "object/plist.h"
#include "object/value.h"

#define HEAD                                                                                                            \
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                                  \
        "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"

static const char sample[] =
        HEAD "<plist version=\"1.0\">\n<!-- a driver -->\n<dict>\n"
             "\t<key>CFBundleIdentifier</key>\n\t<string>org.example.<![CDATA[sen<so>rs]]></string>\n"
             "\t<key>IOKitPersonalities</key>\n\t<dict>\n\t\t<key>A &amp; B</key>\n\t\t<dict>\n"
             "\t\t\t<key>IOProbeScore</key><integer>-1</integer><key>hex</key><integer>0x1F</integer>\n"
             "\t\t\t<key>big</key><integer>18446744073709551615</integer>\n"
             "\t\t\t<key>bytes</key><data>\n\t\t\tAQID\n\t\t\tBA==\n\t\t\t</data><key>none</key><data/>\n"
             "\t\t\t<key>list</key><array><true/><false/><dict/><array/><string/>"
             "<string>\xc3\xa9&#x20ac;&#128512;</string></array>\n"
             "\t\t</dict>\n\t</dict>\n</dict>\n</plist>\n";

static OSObject *parse_ok(const void *bytes, size_t length)
{
        OSObject *value = NULL;
        char *why = NULL;
        int r = amb_plist_parse(bytes, length, &value, &why);
        ck_assert_msg(r == 0, "refused (%d): %s", r, why ? why : "");
        return value;
}

/* Refused with this code, a reason, and *ret untouched. The bytes lie at the end of a heap block, so that a sanitizer sees
 * the first byte read beyond. */
static char *refused(int no, const void *bytes, size_t length)
{
        char *exact = malloc(length ? length : 1), *why = NULL;
        OSObject *value = (OSObject *)&no;
        memcpy(exact, bytes, length);
        int r = amb_plist_parse(exact, length, &value, &why);
        ck_assert_msg(r == no, "returned %d (%s) instead of %d", r, why ? why : "", no);
        ck_assert_ptr_eq(value, &no);
        ck_assert_ptr_nonnull(why);
        ck_assert_int_eq(amb_plist_parse(exact, length, &value, NULL), no);
        free(exact);
        return why;
}

static void xml_refused(int no, const char *list, const char *why_has)
{
        char *why = refused(no, list, strlen(list));
        ck_assert_msg(strstr(why, why_has), "\"%s\" does not say \"%s\"", why, why_has);
        free(why);
}

START_TEST(sample_is_read)
{
        OSDictionary *root = OSRequiredCast(OSDictionary, parse_ok(sample, strlen(sample)));
        ck_assert_str_eq(OSDictionaryGetStringValue(root, "CFBundleIdentifier"), "org.example.sen<so>rs");
        OSDictionary *personality = OSDictionaryGetDictionaryValue(OSDictionaryGetDictionaryValue(root, "IOKitPersonalities"),
                                                                   "A & B");
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(personality, "IOProbeScore"), UINT64_MAX);
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(personality, "hex"), 31);
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(personality, "big"), UINT64_MAX);
        OSData *bytes = OSRequiredCast(OSData, OSDictionaryGetValue(personality, "bytes"));
        ck_assert_uint_eq(OSDataGetLength(bytes), 4);
        ck_assert_mem_eq(OSDataGetBytesPtr(bytes, 0, 4), "\1\2\3\4", 4);
        OSArray *list = OSDictionaryGetArrayValue(personality, "list");
        ck_assert_uint_eq(OSArrayGetCount(list), 6);
        ck_assert_ptr_eq(OSArrayGetValue(list, 0), kOSBooleanTrue);
        ck_assert_str_eq(OSArrayGetStringValue(list, 5), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
        ck_assert_str_eq(OSDictionaryGetKeyAt(personality, 0), "IOProbeScore");
        OSObject_release(root);
}
END_TEST

static char *write_ok(const OSObject *value, bool binary, size_t *length)
{
        char *bytes = NULL;
        ck_assert_int_eq(amb_plist_write(value, binary, &bytes, length), 0);
        return bytes;
}

START_TEST(what_is_written_is_read)
{
        OSObject *value = parse_ok(sample, strlen(sample));
        for (int binary = 0; binary < 2; binary++) {
                size_t length;
                char *bytes = write_ok(value, binary, &length);
                OSObject *again = parse_ok(bytes, length);
                ck_assert(OSObjectIsEqual(value, again));
                OSObject_release(again);
                free(bytes);
        }
        OSObject_release(value);
}
END_TEST

START_TEST(what_cannot_be_written)
{
        char *bytes;
        size_t length;
        OSObject *other = amb_object_new(OSTypeID(OSObject));
        ck_assert_int_eq(amb_plist_write(other, false, &bytes, &length), AMB_PLIST_UNSUPPORTED);
        OSObject_release(other);
        OSString *broken = OSStringCreate("\xff", 1), *control = OSStringCreate("\1", 1);
        ck_assert_int_eq(amb_plist_write((OSObject *)broken, true, &bytes, &length), AMB_PLIST_UNSUPPORTED);
        ck_assert_int_eq(amb_plist_write((OSObject *)control, false, &bytes, &length), AMB_PLIST_UNSUPPORTED);
        OSDictionary *dictionary = OSDictionaryCreate();
        OSDictionarySetBooleanValue(dictionary, "\xc3", true);
        ck_assert_int_eq(amb_plist_write((OSObject *)dictionary, true, &bytes, &length), AMB_PLIST_UNSUPPORTED);
        OSArray *array = OSArrayCreate();
        for (int i = 0; i < AMB_PLIST_MAX_NODES; i++)
                OSArrayAppendValue(array, kOSBooleanTrue);
        ck_assert_int_eq(amb_plist_write((OSObject *)array, true, &bytes, &length), AMB_PLIST_TOO_BIG);
        OSObject_release(array);
        OSObject_release(dictionary);
        OSObject_release(broken);
        OSObject_release(control);
}
END_TEST

START_TEST(cut_at_every_byte)
{
        size_t end = (size_t)(strstr(sample, "</plist>") - sample) + strlen("</plist>");
        for (size_t length = 0; length < end; length++)
                free(refused(AMB_PLIST_MALFORMED, sample, length));
        OSObject *value = parse_ok(sample, end);
        size_t length;
        char *binary = write_ok(value, true, &length);
        for (size_t cut = 0; cut < length; cut++)
                free(refused(AMB_PLIST_MALFORMED, binary, cut));
        free(binary);
        OSObject_release(value);
}
END_TEST

/* Every byte set to a few values: nothing is asserted of the answer, the sanitizers and the limits are the judges. */
START_TEST(every_byte_changed)
{
        static const unsigned char instead[] = { 0, 1, 0x0f, 0x7f, 0x80, 0xa1, 0xd1, 0xff, '<', '>', '&', '"', '/' };
        OSObject *value = parse_ok(sample, strlen(sample));
        for (int binary = 0; binary < 2; binary++) {
                size_t length;
                char *bytes = write_ok(value, binary, &length);
                for (size_t at = 0; at < length; at++) {
                        char kept = bytes[at];
                        for (size_t i = 0; i < sizeof(instead); i++) {
                                OSObject *changed = NULL;
                                bytes[at] = (char)instead[i];
                                int r = amb_plist_parse(bytes, length, &changed, NULL);
                                ck_assert_int_ge(r, 0);
                                ck_assert_int_eq(r == 0, changed != NULL);
                                OSObject_release(changed);
                        }
                        bytes[at] = kept;
                }
                free(bytes);
        }
        OSObject_release(value);
}
END_TEST

START_TEST(xml_that_is_refused)
{
        static const struct {
                int no;
                const char *list, *why;
        } cases[] = {
                { AMB_PLIST_MALFORMED, "", "too early" },
                { AMB_PLIST_MALFORMED, "hello", "text" },
                { AMB_PLIST_MALFORMED, "<plist/>", "begins with <plist>" },
                { AMB_PLIST_MALFORMED, "<dict/>", "begins with <plist>" },
                { AMB_PLIST_MALFORMED, "<plist></plist>", "</plist>" },
                { AMB_PLIST_MALFORMED, "<plist><true/><true/></plist>", "more than one" },
                { AMB_PLIST_MALFORMED, "<plist><true/></plist><plist><true/></plist>", "follows" },
                { AMB_PLIST_MALFORMED, "<plist><plist><true/></plist></plist>", "<plist> inside" },
                { AMB_PLIST_MALFORMED, "<plist><dict></array></plist>", "</array> closes nothing" },
                { AMB_PLIST_MALFORMED, "<plist><dict><true/></dict></plist>", "without a key" },
                { AMB_PLIST_MALFORMED, "<plist><dict><key>a</key></dict></plist>", "without a value" },
                { AMB_PLIST_MALFORMED, "<plist><dict><key>a</key><key>b</key></dict></plist>", "where a value is expected" },
                { AMB_PLIST_MALFORMED, "<plist><array><key>a</key></array></plist>", "where a value is expected" },
                { AMB_PLIST_MALFORMED, "<plist>\n<dict><key>a</key><true/>\n<key>a</key><true/></dict></plist>",
                  "line 3: the key \"a\" occurs twice" },
                { AMB_PLIST_MALFORMED, "<plist><dict><key>ab</key><true/><key><!-- x -->&#97;<![CDATA[b]]></key><true/></dict>",
                  "the key \"ab\" occurs twice" },
                { AMB_PLIST_MALFORMED, "<plist><dict><key/><true/><key></key><true/></dict></plist>", "occurs twice" },
                { AMB_PLIST_MALFORMED, "<plist><string>a<b>c</b></string></plist>", "inside <string>" },
                { AMB_PLIST_MALFORMED, "<plist><string>a</key></plist>", "not closed" },
                { AMB_PLIST_MALFORMED, "<plist><string>&#0;</string></plist>", "character reference" },
                { AMB_PLIST_MALFORMED, "<plist><string>&#xd800;</string></plist>", "character reference" },
                { AMB_PLIST_MALFORMED, "<plist><string>&#x110000;</string></plist>", "character reference" },
                { AMB_PLIST_MALFORMED, "<plist><string>&#1;</string></plist>", "character reference" },
                { AMB_PLIST_MALFORMED, "<plist><string>&#x;</string></plist>", "character reference" },
                { AMB_PLIST_MALFORMED, "<plist><string>\xff</string></plist>", "UTF-8" },
                { AMB_PLIST_MALFORMED, "<plist><string>\1</string></plist>", "control character" },
                { AMB_PLIST_MALFORMED, "<plist><string><!-- never ends</string></plist>", "-->" },
                { AMB_PLIST_MALFORMED, "<plist><integer/></plist>", "without digits" },
                { AMB_PLIST_MALFORMED, "<plist><integer>x</integer></plist>", "without digits" },
                { AMB_PLIST_MALFORMED, "<plist><integer>1x</integer></plist>", "text" },
                { AMB_PLIST_MALFORMED, "<plist><data>A</data></plist>", "base64" },
                { AMB_PLIST_MALFORMED, "<plist><data>A===</data></plist>", "base64" },
                { AMB_PLIST_MALFORMED, "<plist><data>AQ==AQ==</data></plist>", "base64" },
                { AMB_PLIST_MALFORMED, "<plist><true>x</true></plist>", "text" },
                { AMB_PLIST_MALFORMED, "<plist><foo/></plist>", "<foo>" },
                { AMB_PLIST_MALFORMED, "<plist><true x=\"y\"/></plist>", "broken tag <true>" },
                { AMB_PLIST_MALFORMED, "<plist a=\"<\"><true/></plist>", "attribute" },
                { AMB_PLIST_MALFORMED, "<?xml a=\"?><plist><true/></plist>", "declaration" },
                { AMB_PLIST_UNSUPPORTED, "<?xml version=\"1.0\" encoding=\"UTF-16\"?><plist><true/></plist>", "encoding" },
                { AMB_PLIST_UNSUPPORTED, "<plist><integer>010</integer></plist>", "begins with 0" },
                { AMB_PLIST_UNSUPPORTED, "<plist><integer>18446744073709551616</integer></plist>", "64 bits" },
                { AMB_PLIST_UNSUPPORTED, "<plist><integer>-9223372036854775809</integer></plist>", "64 bits" },
                { AMB_PLIST_UNSUPPORTED, "<plist><real>1.5</real></plist>", "<real>" },
                { AMB_PLIST_UNSUPPORTED, "<plist><date>2026-01-01T00:00:00Z</date></plist>", "<date>" },
                { AMB_PLIST_UNSUPPORTED, "<plist><string>&nbsp;</string></plist>", "&nbsp;" },
                { AMB_PLIST_UNSUPPORTED, "<plist><string>&ampersand;</string></plist>", "&" },
                { AMB_PLIST_UNSUPPORTED, "<plist><string>a & b</string></plist>", "&" },
                { AMB_PLIST_UNSUPPORTED,
                  "<!DOCTYPE plist [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]><plist><string>&b;</string></plist>", "DOCTYPE" },
                { AMB_PLIST_UNSUPPORTED, "<!DOCTYPE plist SYSTEM \"x\" [<!ENTITY a SYSTEM \"/etc/x\">]><plist><true/></plist>",
                  "DOCTYPE" },
                { AMB_PLIST_MALFORMED, "<!DOCTYPE plist '[' ><plist><true/></plist>", "DOCTYPE" },
                { AMB_PLIST_MALFORMED, "<!DOCTYPE plist \"><plist><true/></plist>", "DOCTYPE" },
        };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++)
                xml_refused(cases[i].no, cases[i].list, cases[i].why);
        free(refused(AMB_PLIST_MALFORMED, "<plist><string>a\0b</string></plist>", 35));
        OSObject_release(parse_ok("\xef\xbb\xbf<plist><true/></plist>", 25));
        OSObject_release(parse_ok("<plist><integer>-9223372036854775808</integer></plist>", 54));
}
END_TEST

/* --- limits --- */

/* prefix, `count` times `middle`, suffix */
static char *repeated(const char *prefix, const char *middle, size_t count, const char *suffix)
{
        size_t step = strlen(middle);
        char *text = malloc(strlen(prefix) + count * step + strlen(suffix) + 1), *to = stpcpy(text, prefix);
        for (size_t i = 0; i < count; i++)
                to = mempcpy(to, middle, step);
        strcpy(to, suffix);
        return text;
}

static void repeated_gives(int expected, const char *prefix, const char *middle, size_t count, const char *suffix)
{
        char *text = repeated(prefix, middle, count, suffix), *why = NULL;
        OSObject *value = NULL;
        ck_assert_int_eq(amb_plist_parse(text, strlen(text), &value, &why), expected);
        free(why);
        free(text);
        OSObject_release(value);
}

START_TEST(limits_of_xml)
{
        char *closing = repeated("", "</array>", AMB_PLIST_MAX_DEPTH, "</plist>");
        repeated_gives(0, "<plist>", "<array>", AMB_PLIST_MAX_DEPTH, closing);
        repeated_gives(AMB_PLIST_TOO_BIG, "<plist>", "<array>", AMB_PLIST_MAX_DEPTH, "<array/></plist>");
        free(closing);
        /* A million levels do not fit into the list; as many as fit do not reach the stack. */
        repeated_gives(AMB_PLIST_TOO_BIG, "<plist>", "<array>", 1000000, "");
        repeated_gives(AMB_PLIST_TOO_BIG, "<plist>", "<array>", 140000, "");
        repeated_gives(AMB_PLIST_TOO_BIG, "<plist>", "<dict><key>k</key>", 50000, "");
        repeated_gives(0, "<plist><array>", "<true/>", AMB_PLIST_MAX_NODES - 1, "</array></plist>");
        repeated_gives(AMB_PLIST_TOO_BIG, "<plist><array>", "<true/>", AMB_PLIST_MAX_NODES, "</array></plist>");
        repeated_gives(0, "<plist><string>", "x", AMB_PLIST_MAX_STRING, "</string></plist>");
        repeated_gives(AMB_PLIST_TOO_BIG, "<plist><string>", "x", AMB_PLIST_MAX_STRING + 1, "</string></plist>");
        repeated_gives(AMB_PLIST_TOO_BIG, "<plist><dict><key>", "x", AMB_PLIST_MAX_STRING + 1, "</key><true/></dict></plist>");
        repeated_gives(AMB_PLIST_TOO_BIG, "<plist><string><![CDATA[", "x", AMB_PLIST_MAX_STRING + 1, "]]></string></plist>");
        repeated_gives(0, "<plist><string>", "&lt;", AMB_PLIST_MAX_REFERENCES, "</string></plist>");
        repeated_gives(AMB_PLIST_TOO_BIG, "<plist><string>", "&lt;", AMB_PLIST_MAX_REFERENCES + 1, "</string></plist>");
        repeated_gives(0, "<plist><data>", "AAAA", 200000, "</data></plist>");
        repeated_gives(0, "<plist><true/></plist>", " ", AMB_PLIST_MAX_BYTES - 22, "");
        repeated_gives(AMB_PLIST_TOO_BIG, "<plist><true/></plist>", " ", AMB_PLIST_MAX_BYTES - 21, "");
}
END_TEST

START_TEST(many_keys)
{
        char *text = malloc(40 << 20);
        static const size_t counts[] = { (AMB_PLIST_MAX_NODES - 1) / 2, AMB_PLIST_MAX_NODES / 2, 1000000 };
        for (size_t c = 0; c < AMB_ARRAY_LENGTH(counts); c++) {
                size_t keys = counts[c];
                char *to = stpcpy(text, "<plist><dict>");
                for (size_t i = 0; i < keys; i++)
                        to += sprintf(to, "<key>%zu</key><true/>", i);
                strcpy(to, "</dict></plist>");
                if (c > 0) {
                        free(refused(AMB_PLIST_TOO_BIG, text, strlen(text)));
                        continue;
                }
                OSObject *value = parse_ok(text, strlen(text));
                ck_assert_uint_eq(OSDictionaryGetCount(OSRequiredCast(OSDictionary, value)), keys);
                OSObject_release(value);
        }
        free(text);
}
END_TEST

/* --- binary lists made by hand: objects of bytes, one-byte references, two-byte offsets --- */

struct binary {
        unsigned char bytes[1 << 16];
        size_t length, objects;
        size_t offsets[256];
};

static void binary_begin(struct binary *b)
{
        *b = (struct binary){ .length = 8 };
        memcpy(b->bytes, "bplist00", 8);
}

static void binary_object(struct binary *b, const void *bytes, size_t length)
{
        b->offsets[b->objects++] = b->length;
        memcpy(b->bytes + b->length, bytes, length);
        b->length += length;
}

static size_t binary_end(struct binary *b)
{
        size_t table = b->length;
        for (size_t i = 0; i < b->objects; i++) {
                b->bytes[b->length++] = (unsigned char)(b->offsets[i] >> 8);
                b->bytes[b->length++] = (unsigned char)b->offsets[i];
        }
        unsigned char *trailer = b->bytes + b->length;
        memset(trailer, 0, 32);
        trailer[6] = 2;
        trailer[7] = 1;
        trailer[14] = (unsigned char)(b->objects >> 8);
        trailer[15] = (unsigned char)b->objects;
        trailer[30] = (unsigned char)(table >> 8);
        trailer[31] = (unsigned char)table;
        b->length += 32;
        return b->length;
}

#define OBJECT(b, literal) binary_object((b), literal, sizeof(literal) - 1)

static struct binary list;

static void binary_refused(int no, const char *why_has)
{
        size_t length = binary_end(&list);
        char *why = refused(no, list.bytes, length);
        ck_assert_msg(strstr(why, why_has), "\"%s\" does not say \"%s\"", why, why_has);
        free(why);
        binary_begin(&list);
}

START_TEST(binary_by_hand)
{
        binary_begin(&list);
        OBJECT(&list, "\xd2\1\2\3\4");
        OBJECT(&list, "\x51" "a");
        OBJECT(&list, "\x61\x20\xac");
        OBJECT(&list, "\xa3\1\1\5");
        OBJECT(&list, "\x14\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xfe");
        OBJECT(&list, "\x4f\x10\2\xca\xfe");
        size_t length = binary_end(&list);
        OSDictionary *d = OSRequiredCast(OSDictionary, parse_ok(list.bytes, length));
        ck_assert_str_eq(OSArrayGetStringValue(OSDictionaryGetArrayValue(d, "a"), 1), "a");
        ck_assert_uint_eq(OSDataGetLength(OSRequiredCast(OSData, OSArrayGetValue(OSDictionaryGetArrayValue(d, "a"), 2))), 2);
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(d, "\xe2\x82\xac"), UINT64_MAX - 1);
        OSObject_release(d);
}
END_TEST

START_TEST(binary_cycles)
{
        binary_begin(&list);
        OBJECT(&list, "\xa1\0");
        binary_refused(AMB_PLIST_MALFORMED, "contains itself");
        OBJECT(&list, "\xa1\1");
        OBJECT(&list, "\xd1\2\0");
        OBJECT(&list, "\x51k");
        binary_refused(AMB_PLIST_MALFORMED, "contains itself");
        for (unsigned char i = 0; i < 200; i++)
                binary_object(&list, (unsigned char[]){ 0xa1, i + 1 }, 2);
        OBJECT(&list, "\x09");
        binary_refused(AMB_PLIST_TOO_BIG, "inside one another");
}
END_TEST

/* Arrays that name the next one many times: 10^9 values, or many megabytes, out of some hundred bytes. */
START_TEST(binary_laughs)
{
        binary_begin(&list);
        for (unsigned char i = 0; i < 9; i++) {
                unsigned char next = i + 1;
                binary_object(&list, (unsigned char[]){ 0xaa, next, next, next, next, next, next, next, next, next, next }, 11);
        }
        OBJECT(&list, "\x09");
        binary_refused(AMB_PLIST_TOO_BIG, "written out");

        static unsigned char string[4 + 60000] = { 0x5f, 0x11, 60000 >> 8, 60000 & 0xff };
        memset(string + 4, 'x', 60000);
        unsigned char array[2 + 1 + 100] = { 0xaf, 0x10, 100 };
        memset(array + 3, 1, 100);
        binary_object(&list, array, sizeof(array));
        binary_object(&list, string, sizeof(string));
        binary_refused(AMB_PLIST_TOO_BIG, "4 MiB");
        string[0] = 0x4f; /* as data */
        binary_object(&list, array, sizeof(array));
        binary_object(&list, string, sizeof(string));
        binary_refused(AMB_PLIST_TOO_BIG, "4 MiB");
}
END_TEST

START_TEST(binary_lengths_that_lie)
{
        static const struct {
                const char *object;
                size_t length;
        } cases[] = {
                { "\x4f\x13\xff\xff\xff\xff\xff\xff\xff\xff", 10 }, { "\x4f\x12\xff\xff\xff\xff", 6 },
                { "\x4f\x12\x80\0\0\0", 6 },                        { "\x5f\x13\0\0\0\1\0\0\0\0", 10 },
                { "\x5f\x12\xff\xff\xff\xff", 6 },                  { "\x6f\x13\x80\0\0\0\0\0\0\1", 10 },
                { "\x6f\x13\x7f\xff\xff\xff\xff\xff\xff\xff", 10 }, { "\xaf\x13\xff\xff\xff\xff\xff\xff\xff\xff", 10 },
                { "\xaf\x12\xff\xff\xff\xff", 6 },                  { "\xdf\x13\x80\0\0\0\0\0\0\1", 10 },
                { "\xdf\x12\x7f\xff\xff\xff", 6 },                  { "\x4f\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18 },
                { "\x4f\x23\0\0\0\0", 6 },                          { "\x4f", 1 },
                { "\x4f\x13\0", 3 },                                { "\x13\0\0\0", 4 },
                { "\x14\0\0\0", 4 },                                { "\x1f", 1 },
                { "\x45xxxx", 5 },                                  { "\x55xxxx", 5 },
                { "\x62\0x\0", 4 },                                 { "\xa2\0", 2 },
                { "\xd1\0", 2 },                                    { "\xa1\7", 2 },
                { "\x60", 1 },                                      { "\x0b", 1 },
                { "\x71", 1 },                                      { "\xf0", 1 },
                { "\x51\xc3", 2 },                                  { "\x51\0", 2 },
                { "\x61\xd8\x3d", 3 },                              { "\x61\xde\0", 3 },
                { "\x62\xd8\x3d\xd8\x3d", 5 },                      { "\x61\0\0", 3 },
                { "\xd1\0\0", 3 },
        };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++) {
                binary_begin(&list);
                binary_object(&list, cases[i].object, cases[i].length);
                size_t length = binary_end(&list);
                free(refused(AMB_PLIST_MALFORMED, list.bytes, length));
        }
        static const char *const unsupported[] = { "\x23" "12345678", "\x33" "12345678", "\x80" "1", "\xc1\0",
                                                   "\x14" "1234567812345678" };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(unsupported); i++) {
                binary_begin(&list);
                binary_object(&list, unsupported[i], strlen(unsupported[i]) + (unsupported[i][0] == '\xc1'));
                free(refused(AMB_PLIST_UNSUPPORTED, list.bytes, binary_end(&list)));
        }
}
END_TEST

/* Each byte of the trailer, and offsets that point elsewhere. */
START_TEST(binary_trailers_that_lie)
{
        binary_begin(&list);
        OBJECT(&list, "\x09");
        size_t length = binary_end(&list);
        OSObject_release(parse_ok(list.bytes, length));
        for (size_t at = length - 26; at < length; at++) {
                unsigned char kept = list.bytes[at];
                list.bytes[at] = 0xff;
                free(refused(AMB_PLIST_MALFORMED, list.bytes, length));
                list.bytes[at] = kept;
        }
        for (int offset = 0; offset < 300; offset++) {
                if (offset == 8)
                        continue;
                list.bytes[length - 34] = (unsigned char)(offset >> 8);
                list.bytes[length - 33] = (unsigned char)offset;
                free(refused(AMB_PLIST_MALFORMED, list.bytes, length));
        }
}
END_TEST

START_TEST(binary_keys)
{
        binary_begin(&list);
        OBJECT(&list, "\xd2\1\2\3\3"); /* the same key as ASCII and as UTF-16 */
        OBJECT(&list, "\x51k");
        OBJECT(&list, "\x61\0k");
        OBJECT(&list, "\x09");
        binary_refused(AMB_PLIST_MALFORMED, "\"k\" occurs twice");
        OBJECT(&list, "\xd1\1\1");
        OBJECT(&list, "\x09");
        binary_refused(AMB_PLIST_MALFORMED, "not a string");
}
END_TEST

START_TEST(files)
{
        char directory[] = "/tmp/ambidext-test-plist-XXXXXX";
        ck_assert_ptr_nonnull(mkdtemp(directory));
        int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int file = openat(fd, "Info.plist", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        ck_assert_int_eq(write(file, sample, strlen(sample)), strlen(sample));
        OSObject *value = NULL, *direct = parse_ok(sample, strlen(sample));
        char *why = NULL;
        ck_assert_int_eq(amb_plist_read_file(fd, "Info.plist", &value, &why), 0);
        ck_assert(OSObjectIsEqual(value, direct));
        ck_assert_int_eq(ftruncate(file, AMB_PLIST_MAX_BYTES + 1), 0);
        int big = amb_plist_read_file(fd, "Info.plist", &value, &why);
        int none = amb_plist_read_file(fd, "none", &value, &why);
        int directory_read = amb_plist_read_file(AT_FDCWD, directory, &value, NULL);
        unlinkat(fd, "Info.plist", 0);
        rmdir(directory);
        ck_assert_int_eq(big, AMB_PLIST_TOO_BIG);
        ck_assert_str_eq(why, "longer than 1 MiB");
        ck_assert_int_eq(none, -ENOENT);
        ck_assert_int_eq(directory_read, -EISDIR);
        free(why);
        OSObject_release(value);
        OSObject_release(direct);
        close(file);
        close(fd);
}
END_TEST

int main(void)
{
        return run_suite("plist", sample_is_read, what_is_written_is_read, what_cannot_be_written, cut_at_every_byte,
                         every_byte_changed, xml_that_is_refused, limits_of_xml, many_keys, binary_by_hand, binary_cycles,
                         binary_laughs, binary_lengths_that_lie, binary_trailers_that_lie, binary_keys, files);
}
