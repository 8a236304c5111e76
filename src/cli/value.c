/* SPDX-License-Identifier: Apache-2.0 */
/* Property values as JSON and as text. What drivers wrote is printed by both: control characters never reach a terminal. */
#include "cli/cli.h"

#include <ctype.h>
#include <inttypes.h>

#include <CoreFoundation/CoreFoundation.h>

/* Drivers may nest values as deep as plists allow; beyond this we print "..." rather than use our stack. */
enum { DEPTH_MAX = 32 };

/* The length of the UTF-8 sequence at `text`, or 0 when there is none: such bytes are replaced. */
static size_t utf8_length(const unsigned char *text)
{
        size_t length = text[0] < 0x80 ? 1 : (text[0] >= 0xc2 && text[0] < 0xe0) ? 2 : (text[0] & 0xf0) == 0xe0 ? 3
                        : (text[0] >= 0xf0 && text[0] < 0xf5) ? 4 : 0;
        for (size_t i = 1; i < length; i++)
                if ((text[i] & 0xc0) != 0x80)
                        return 0;
        bool overlong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xf0 && text[1] < 0x90);
        bool surrogate = text[0] == 0xed && text[1] >= 0xa0;
        bool beyond = text[0] == 0xf4 && text[1] >= 0x90;
        return overlong || surrogate || beyond ? 0 : length;
}

void cli_json_string(FILE *out, const char *text)
{
        fputc('"', out);
        for (const unsigned char *c = (const unsigned char *)text; *c;) {
                size_t length = utf8_length(c);
                if (length == 0) {
                        fputs("\\ufffd", out);
                        c++;
                        continue;
                }
                if (*c == '"' || *c == '\\')
                        fprintf(out, "\\%c", *c);
                else if (*c < ' ' || *c == 0x7f)
                        fprintf(out, "\\u%04x", *c);
                else
                        fwrite(c, 1, length, out);
                c += length;
        }
        fputc('"', out);
}

static void print_string(FILE *out, const char *text)
{
        bool plain = *text != 0;
        for (const char *c = text; *c; c++)
                plain &= isalnum((unsigned char)*c) || strchr("._-/:+", *c);
        if (plain)
                fputs(text, out);
        else
                cli_json_string(out, text);
}

static void print_number(FILE *out, CFNumberRef number)
{
        int64_t bits = 0;
        CFNumberGetValue(number, kCFNumberSInt64Type, &bits);
        fprintf(out, "%" PRId64, bits);
}

static void print_data(FILE *out, CFDataRef data)
{
        const unsigned char *bytes = CFDataGetBytePtr(data);
        for (CFIndex i = 0; i < CFDataGetLength(data); i++)
                fprintf(out, "%02x", bytes[i]);
}

static const char *c_string(CFTypeRef string)
{
        const char *text = CFStringGetCStringPtr(string, kCFStringEncodingUTF8);
        return text ? text : "";
}

static int compare_keys(const void *one, const void *other)
{
        return strcmp(c_string(*(const CFTypeRef *)one), c_string(*(const CFTypeRef *)other));
}

/* A dictionary's keys in alphabetical order: the same registry prints the same text. NULL: empty, or no memory. */
static CFTypeRef *sorted_keys(CFDictionaryRef dictionary, size_t *ret_count)
{
        size_t count = (size_t)CFDictionaryGetCount(dictionary);
        CFTypeRef *keys = count ? calloc(count, sizeof(*keys)) : NULL;
        *ret_count = keys ? count : 0;
        if (keys) {
                CFDictionaryGetKeysAndValues(dictionary, (const void **)keys, NULL);
                qsort(keys, count, sizeof(*keys), compare_keys);
        }
        return keys;
}

static void json_value(FILE *out, CFTypeRef value, int depth);

static void json_dictionary(FILE *out, CFDictionaryRef dictionary, int depth)
{
        size_t count;
        AMB_FREE CFTypeRef *keys = sorted_keys(dictionary, &count);
        fputc('{', out);
        for (size_t i = 0; i < count; i++) {
                fputs(i ? ", " : "", out);
                cli_json_string(out, c_string(keys[i]));
                fputs(": ", out);
                json_value(out, CFDictionaryGetValue(dictionary, keys[i]), depth + 1);
        }
        fputc('}', out);
}

static void json_value(FILE *out, CFTypeRef value, int depth)
{
        CFTypeID type = value ? CFGetTypeID(value) : 0;
        if (!value || depth > DEPTH_MAX)
                fputs("null", out);
        else if (type == CFStringGetTypeID())
                cli_json_string(out, c_string(value));
        else if (type == CFBooleanGetTypeID())
                fputs(CFBooleanGetValue(value) ? "true" : "false", out);
        else if (type == CFNumberGetTypeID())
                print_number(out, value);
        else if (type == CFDataGetTypeID()) {
                fputs("{\"data\": \"", out);
                print_data(out, value);
                fputs("\"}", out);
        } else if (type == CFArrayGetTypeID()) {
                fputc('[', out);
                for (CFIndex i = 0; i < CFArrayGetCount(value); i++) {
                        fputs(i ? ", " : "", out);
                        json_value(out, CFArrayGetValueAtIndex(value, i), depth + 1);
                }
                fputc(']', out);
        } else if (type == CFDictionaryGetTypeID())
                json_dictionary(out, value, depth);
        else
                fputs("null", out);
}

void cli_json_value(FILE *out, CFTypeRef value)
{
        json_value(out, value, 0);
}

static void print_value(FILE *out, CFTypeRef value, int depth)
{
        CFTypeID type = value ? CFGetTypeID(value) : 0;
        if (!value || depth > DEPTH_MAX)
                fputs("...", out);
        else if (type == CFStringGetTypeID())
                print_string(out, c_string(value));
        else if (type == CFBooleanGetTypeID())
                fputs(CFBooleanGetValue(value) ? "true" : "false", out);
        else if (type == CFNumberGetTypeID())
                print_number(out, value);
        else if (type == CFDataGetTypeID()) {
                fputc('<', out);
                print_data(out, value);
                fputc('>', out);
        } else if (type == CFArrayGetTypeID()) {
                fputc('(', out);
                for (CFIndex i = 0; i < CFArrayGetCount(value); i++) {
                        fputs(i ? ", " : "", out);
                        print_value(out, CFArrayGetValueAtIndex(value, i), depth + 1);
                }
                fputc(')', out);
        } else if (type == CFDictionaryGetTypeID()) {
                size_t count;
                AMB_FREE CFTypeRef *keys = sorted_keys(value, &count);
                fputc('{', out);
                for (size_t i = 0; i < count; i++) {
                        fputs(i ? ", " : "", out);
                        print_string(out, c_string(keys[i]));
                        fputs(" = ", out);
                        print_value(out, CFDictionaryGetValue(value, keys[i]), depth + 1);
                }
                fputc('}', out);
        }
}

void cli_print_value(FILE *out, CFTypeRef value)
{
        print_value(out, value, 0);
}

CFTypeRef cli_get_value(CFDictionaryRef dictionary, const char *key)
{
        CFStringRef name = dictionary ? CFStringCreateWithCString(NULL, key, kCFStringEncodingUTF8) : NULL;
        CFTypeRef value = name ? CFDictionaryGetValue(dictionary, name) : NULL;
        if (name)
                CFRelease(name);
        return value;
}

const char *cli_get_string(CFDictionaryRef dictionary, const char *key, const char *fallback)
{
        CFTypeRef value = cli_get_value(dictionary, key);
        return value && CFGetTypeID(value) == CFStringGetTypeID() ? c_string(value) : fallback;
}

uint64_t cli_get_number(CFDictionaryRef dictionary, const char *key, uint64_t fallback)
{
        CFTypeRef value = cli_get_value(dictionary, key);
        uint64_t bits;
        return value && CFGetTypeID(value) == CFNumberGetTypeID() && CFNumberGetValue(value, kCFNumberSInt64Type, &bits) ? bits
                                                                                                                     : fallback;
}

bool cli_parse_number(const char *text, uint64_t *ret_number)
{
        char *end;
        errno = 0;
        if (!isdigit((unsigned char)text[0]) && !(text[0] == '-' && isdigit((unsigned char)text[1])))
                return false;
        const char *digits = text + (text[0] == '-');
        bool hexadecimal = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
        unsigned long long number = strtoull(text, &end, hexadecimal ? 16 : 10);
        if (errno != 0 || *end)
                return false;
        *ret_number = number;
        return true;
}
