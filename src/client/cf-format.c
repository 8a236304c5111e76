/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CFStringCreateWithFormat: printf's directives one by one, each given to the C library with its argument, and %@ for a CF value.
 * The format is the program's own, as printf's is. Not here: arguments by number (%1$@), and %n.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include <CoreFoundation/CoreFoundation.h>

#include "base/base.h"
#include "client/cf-text.h"
#include "client/cf.h"
#include "object/plist.h"

/* A variable argument list that functions hand on to each other. */
struct arguments {
        va_list list;
};

struct directive {
        char text[48];          /* as printf wants it: the flags, numbers for *, the letter */
        char size[3];           /* "", h, hh, l, ll (q too), j, z, t, L */
        char letter;            /* 0: none that we know */
        bool too_long;
};

/* --- words for values --- */

static char *number_text(CFNumberRef number)
{
        int64_t whole = 0;

        if (CFNumberIsFloatType(number))
                return amb_format("%g", amb_float_value(number));
        CFNumberGetValue(number, kCFNumberSInt64Type, &whole);
        return amb_format("%lld", (long long)whole);
}

char *amb_value_text(CFTypeRef value)
{
        CFTypeID type = value ? CFGetTypeID(value) : 0;

        if (!value)
                return amb_format("(null)");
        if (type == CFStringGetTypeID())
                return amb_format("%s", amb_text_of(value));
        if (type == CFNumberGetTypeID())
                return number_text(value);
        if (type == CFUUIDGetTypeID())
                return amb_uuid_text(value);
        if (type == CFDateGetTypeID())
                return amb_date_text(value);
        if (type == CFURLGetTypeID())
                return amb_format("%s", amb_text_of(CFURLGetString(value)));
        return amb_value_json(AS(OSObject, value));
}

CFStringRef CFCopyDescription(CFTypeRef value)
{
        AMB_FREE char *text = amb_value_text(value);

        return text ? (CFStringRef)OSStringCreate(text, SIZE_MAX) : NULL;
}

/* --- one directive --- */

/* Always with room for a size and the letter. */
static void add(struct directive *d, char c)
{
        size_t length = strlen(d->text);

        if (length + sizeof("llX") < sizeof(d->text))
                d->text[length] = c;
        else
                d->too_long = true;
}

/* A number, or * for the next argument. */
static const char *take_number(struct directive *d, const char *at, struct arguments *arguments)
{
        char number[16];

        if (*at == '*') {
                snprintf(number, sizeof(number), "%d", va_arg(arguments->list, int));
                for (const char *c = number; *c; c++)
                        add(d, *c);
                return at + 1;
        }
        while (isdigit((unsigned char)*at))
                add(d, *at++);
        return at;
}

/* *at stands behind a %; returns what comes after the directive. */
static const char *take_directive(struct directive *d, const char *at, struct arguments *arguments)
{
        *d = (struct directive){ .text = "%" };
        while (*at && strchr("-+ #0'", *at))
                add(d, *at++);
        at = take_number(d, at, arguments);
        if (*at == '.') {
                add(d, *at);
                at = take_number(d, at + 1, arguments);
        }
        while (*at && strchr("hlqjztL", *at)) {
                if (*at == 'q')
                        strcpy(d->size, "ll");
                else if (strlen(d->size) < 2)
                        d->size[strlen(d->size)] = *at;
                at++;
        }
        for (const char *c = d->size; *c; c++)
                add(d, *c);
        if (!*at || !strchr("@diouxXDUOcCsSpaAeEfFgG%", *at))
                return at;
        d->letter = d->too_long ? 0 : *at;
        return at + 1;
}

/* --- its argument --- */

static uint64_t take_integer(const struct directive *d, struct arguments *arguments)
{
        if (d->size[0] == 'l' || strchr("jzt", d->size[0] ? d->size[0] : ' ') || strchr("DUO", d->letter))
                return (uint64_t)va_arg(arguments->list, long);
        return (uint64_t)(int64_t)va_arg(arguments->list, int);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

/* All integers as the widest, cut to what the directive says before. */
static char *integer_text(struct directive *d, struct arguments *arguments)
{
        uint64_t value = take_integer(d, arguments);
        size_t length = strlen(d->text) - strlen(d->size);
        char letter = (char)(strchr("DUO", d->letter) ? tolower((unsigned char)d->letter) : d->letter);
        bool sign = letter == 'd' || letter == 'i', wide = d->size[0] && d->size[0] != 'h';

        if (strcmp(d->size, "hh") == 0)
                value = sign ? (uint64_t)(int8_t)value : (uint8_t)value;
        else if (d->size[0] == 'h')
                value = sign ? (uint64_t)(int16_t)value : (uint16_t)value;
        else if (!wide && !sign && !strchr("DUO", d->letter))
                value = (uint32_t)value;
        snprintf(d->text + length, sizeof(d->text) - length, "ll%c", letter);
        return amb_format(d->text, (long long)value);
}

static char *float_text(struct directive *d, struct arguments *arguments)
{
        strncat(d->text, &d->letter, 1);
        if (d->size[0] == 'L')
                return amb_format(d->text, va_arg(arguments->list, long double));
        return amb_format(d->text, va_arg(arguments->list, double));
}

/* %C and %S are UTF-16. */
static char *units_text(const UniChar *units, CFIndex length)
{
        CFStringRef string = CFStringCreateWithCharacters(NULL, units, length);
        char *text = string ? amb_value_text(string) : amb_format("?");

        if (string)
                CFRelease(string);
        return text;
}

static char *string_text(struct directive *d, struct arguments *arguments)
{
        const char *text = va_arg(arguments->list, const char *);

        d->text[strlen(d->text) - strlen(d->size)] = 0;
        strcat(d->text, "s");
        return amb_format(d->text, text ? text : "(null)");
}

static char *value_text(struct directive *d, struct arguments *arguments)
{
        AMB_FREE char *text = amb_value_text(va_arg(arguments->list, CFTypeRef));

        /* Without a size: "%ls" would read it as wide characters. */
        d->text[strlen(d->text) - strlen(d->size)] = 0;
        strcat(d->text, "s");
        return text ? amb_format(d->text, text) : NULL;
}

static char *directive_text(struct directive *d, struct arguments *arguments)
{
        const UniChar *units;
        UniChar unit;
        CFIndex n = 0;

        switch (d->letter) {
        case '@':
                return value_text(d, arguments);
        case '%':
                return amb_format("%%");
        case 's':
                return string_text(d, arguments);
        case 'S':
                units = va_arg(arguments->list, const UniChar *);
                while (units && units[n])
                        n++;
                return units_text(units, n);
        case 'C':
                unit = (UniChar)va_arg(arguments->list, int);
                return units_text(&unit, 1);
        case 'c':
                strcat(d->text, "c");
                return amb_format(d->text, va_arg(arguments->list, int));
        case 'p':
                strcat(d->text, "p");
                return amb_format(d->text, va_arg(arguments->list, void *));
        default:
                return strchr("aAeEfFgG", d->letter) ? float_text(d, arguments) : integer_text(d, arguments);
        }
}

#pragma GCC diagnostic pop

/* --- the whole --- */

static bool append(CFMutableStringRef string, const char *text, size_t length)
{
        return amb_string_replace(string, (struct amb_text_part){ amb_text_bytes(string), 0 }, text, length);
}

static bool format_into(CFMutableStringRef string, const char *format, struct arguments *arguments)
{
        while (*format) {
                AMB_FREE char *text = NULL;
                struct directive d;
                size_t plain = strcspn(format, "%");

                if (!append(string, format, plain))
                        return false;
                format += plain;
                if (!*format)
                        break;
                format = take_directive(&d, format + 1, arguments);
                if (!d.letter)
                        continue;
                text = directive_text(&d, arguments);
                if (!text || !append(string, text, strlen(text)))
                        return false;
        }
        return true;
}

CFStringRef CFStringCreateWithFormatAndArguments(CFAllocatorRef allocator, CFDictionaryRef options, CFStringRef format,
                                                 va_list list)
{
        CFMutableStringRef string = CFStringCreateMutable(allocator, 0);
        struct arguments arguments;
        CFStringRef copy = NULL;

        (void)options;
        if (!string)
                return NULL;
        va_copy(arguments.list, list);
        if (format_into(string, amb_text_of(format), &arguments))
                copy = CFStringCreateCopy(allocator, string);
        va_end(arguments.list);
        CFRelease(string);
        return copy;
}

CFStringRef CFStringCreateWithFormat(CFAllocatorRef allocator, CFDictionaryRef options, CFStringRef format, ...)
{
        CFStringRef string;
        va_list arguments;

        va_start(arguments, format);
        string = CFStringCreateWithFormatAndArguments(allocator, options, format, arguments);
        va_end(arguments);
        return string;
}
