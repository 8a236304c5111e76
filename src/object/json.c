/* SPDX-License-Identifier: Apache-2.0 */
/* Property values as JSON, for people and their tools; nothing reads it back. */
#include <inttypes.h>
#include <stdio.h>

#include "object/plist.h"
#include "object/value.h"

#include "base/base.h"

static void write_value(FILE *out, const OSObject *value, unsigned depth);

static void write_string(FILE *out, const char *bytes, size_t length)
{
        fputc('"', out);
        for (size_t at = 0, n; at < length; at += n) {
                unsigned char c = (unsigned char)bytes[at];
                n = amb_utf8_character(bytes + at, length - at);
                if (!n) {
                        fputs("\\ufffd", out);
                        n = 1;
                } else if (c < ' ' || c == 0x7f) {
                        fprintf(out, "\\u%04x", c);
                } else {
                        if (c == '"' || c == '\\')
                                fputc('\\', out);
                        fwrite(bytes + at, 1, n, out);
                }
        }
        fputc('"', out);
}

static void write_base64(FILE *out, const uint8_t *bytes, size_t length)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for (size_t i = 0; i < length; i += 3) {
                size_t n = length - i < 3 ? length - i : 3;
                unsigned group = 0;
                for (size_t b = 0; b < n; b++)
                        group |= (unsigned)bytes[i + b] << (16 - 8 * b);
                for (size_t d = 0; d < 4; d++)
                        fputc(d <= n ? digits[group >> (18 - 6 * d) & 63] : '=', out);
        }
}

static void write_array(FILE *out, const OSArray *array, unsigned depth)
{
        fputc('[', out);
        for (size_t i = 0; i < array->count; i++) {
                if (i)
                        fputc(',', out);
                write_value(out, array->members[i], depth);
        }
        fputc(']', out);
}

/* As a key, which is a string in this language: a number's digits, else the class. */
static void write_key(FILE *out, const OSObject *key)
{
        const OSNumber *number = OSDynamicCast(OSNumber, key);
        const char *name = OSObject_GetClassName(key);

        if (number)
                fprintf(out, "\"%" PRIu64 "\"", number->value);
        else
                write_string(out, name, strlen(name));
}

static void write_dictionary(FILE *out, const OSDictionary *dictionary, unsigned depth)
{
        fputc('{', out);
        for (size_t i = 0; i < dictionary->count; i++) {
                if (i)
                        fputc(',', out);
                write_string(out, dictionary->entries[i].key->bytes, dictionary->entries[i].key->length);
                fputc(':', out);
                write_value(out, dictionary->entries[i].value, depth);
        }
        for (size_t i = 0; i < amb_dictionary_keyed(dictionary); i++) {
                if (i || dictionary->count)
                        fputc(',', out);
                write_key(out, dictionary->keyed->entries[i].key);
                fputc(':', out);
                write_value(out, dictionary->keyed->entries[i].value, depth);
        }
        fputc('}', out);
}

static void write_class(FILE *out, const OSObject *object)
{
        const char *name = OSObject_GetClassName(object);
        fputs("{\"class\":", out);
        write_string(out, name, strlen(name));
        fputc('}', out);
}

static void write_value(FILE *out, const OSObject *value, unsigned depth)
{
        enum amb_value_kind kind = amb_value_kind(value);
        if (depth >= AMB_PLIST_MAX_DEPTH && (amb_value_members(value) || kind == AMB_VALUE_DICTIONARY))
                kind = AMB_VALUE_NONE;
        switch (kind) {
        case AMB_VALUE_STRING:
                write_string(out, OSStringGetStringPtr((const OSString *)value), ((const OSString *)value)->length);
                return;
        case AMB_VALUE_DATA:
                fputs("{\"data\":\"", out);
                write_base64(out, ((const OSData *)value)->bytes, ((const OSData *)value)->length);
                fputs("\"}", out);
                return;
        case AMB_VALUE_NUMBER:
                fprintf(out, "%" PRIu64, ((const OSNumber *)value)->value);
                return;
        case AMB_VALUE_BOOLEAN:
                fputs(((const OSBoolean *)value)->value ? "true" : "false", out);
                return;
        case AMB_VALUE_ARRAY:
        case AMB_VALUE_SET:
        case AMB_VALUE_ORDERED_SET:
                write_array(out, amb_value_members(value), depth + 1);
                return;
        case AMB_VALUE_DICTIONARY:
                write_dictionary(out, (const OSDictionary *)value, depth + 1);
                return;
        case AMB_VALUE_NONE:
                break;
        }
        if (value)
                write_class(out, value);
        else
                fputs("null", out);
}

char *amb_value_json(const OSObject *value)
{
        char *text = NULL;
        size_t length = 0;
        FILE *out = open_memstream(&text, &length);
        if (!out)
                return NULL;
        write_value(out, value, 0);
        bool failed = ferror(out);
        if (fclose(out) != 0 || failed) {
                free(text);
                return NULL;
        }
        return text;
}
