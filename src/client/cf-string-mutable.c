/* SPDX-License-Identifier: Apache-2.0 */
/* Strings that grow: an OSString whose bytes lie in memory of its own. One thread at a time changes one. */
#include <stdarg.h>

#include <CoreFoundation/CoreFoundation.h>

#include "base/base.h"
#include "client/cf-text.h"
#include "client/cf.h"
#include "object/value.h"

struct mutable_string {
        OSString string;
        size_t capacity;        /* bytes of the buffer, the NUL included */
        char *buffer;           /* what string.bytes shows; NULL before the first change */
};

static void mutable_free(OSObject *object)
{
        free(((struct mutable_string *)object)->buffer);
        OSObject_free(object);
}

static const struct amb_method mutable_methods[] = {
        AMB_OVERRIDE(OSObject, free, mutable_free),
        AMB_METHODS_END,
};
const OSMetaClass amb_mutable_string_class = { "CFMutableString", &gOSStringMetaClass, sizeof(struct mutable_string),
                                               mutable_methods,
                                               NULL };

static bool room_for(struct mutable_string *m, size_t length)
{
        size_t wanted = m->capacity ? m->capacity : 16;
        char *grown;

        while (wanted <= length)
                if (__builtin_mul_overflow(wanted, 2, &wanted))
                        return false;
        if (wanted <= m->capacity)
                return true;
        grown = realloc(m->buffer, wanted);
        if (!grown)
                return false;
        m->string.bytes = m->buffer = grown;
        m->capacity = wanted;
        return true;
}

bool amb_string_replace(CFMutableStringRef string, struct amb_text_part part, const char *text, size_t length)
{
        struct mutable_string *m = amb_object_cast(AS(void, string), &amb_mutable_string_class);
        AMB_FREE char *own = NULL;
        size_t behind, after;

        if (!m || __builtin_add_overflow(m->string.length - part.length, length, &after))
                return false;
        /* What goes in may be the string itself, which moves. */
        own = malloc(length + 1);
        if (!own)
                return false;
        memcpy(own, text, length);
        if (!room_for(m, after))
                return false;
        behind = m->string.length - part.at - part.length;
        memmove(m->buffer + part.at + length, m->buffer + part.at + part.length, behind);
        memcpy(m->buffer + part.at, own, length);
        m->buffer[after] = 0;
        m->string.length = after;
        return true;
}

static struct amb_text_part end_of(CFMutableStringRef string)
{
        return (struct amb_text_part){ amb_text_bytes(string), 0 };
}

static void put(CFMutableStringRef string, struct amb_text_part part, CFStringRef text)
{
        (void)amb_string_replace(string, part, amb_text_of(text), amb_text_bytes(text));
}

CFMutableStringRef CFStringCreateMutable(CFAllocatorRef allocator, CFIndex most)
{
        (void)allocator;
        (void)most;
        return (CFMutableStringRef)amb_object_new(&amb_mutable_string_class);
}

CFMutableStringRef CFStringCreateMutableCopy(CFAllocatorRef allocator, CFIndex most, CFStringRef string)
{
        CFMutableStringRef copy = CFStringCreateMutable(allocator, most);

        if (copy && !amb_string_replace(copy, end_of(copy), amb_text_of(string), amb_text_bytes(string))) {
                CFRelease(copy);
                return NULL;
        }
        return copy;
}

void CFStringAppend(CFMutableStringRef string, CFStringRef text)
{
        put(string, end_of(string), text);
}

void CFStringAppendCString(CFMutableStringRef string, const char *text, CFStringEncoding encoding)
{
        CFStringRef other = CFStringCreateWithCString(NULL, text, encoding);

        if (!other)
                return;
        CFStringAppend(string, other);
        CFRelease(other);
}

void CFStringAppendFormatAndArguments(CFMutableStringRef string, CFDictionaryRef options, CFStringRef format, va_list arguments)
{
        CFStringRef text = CFStringCreateWithFormatAndArguments(NULL, options, format, arguments);

        if (!text)
                return;
        CFStringAppend(string, text);
        CFRelease(text);
}

void CFStringAppendFormat(CFMutableStringRef string, CFDictionaryRef options, CFStringRef format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        CFStringAppendFormatAndArguments(string, options, format, arguments);
        va_end(arguments);
}

void CFStringInsert(CFMutableStringRef string, CFIndex index, CFStringRef text)
{
        put(string, (struct amb_text_part){ amb_text_place(string, index), 0 }, text);
}

void CFStringReplace(CFMutableStringRef string, CFRange range, CFStringRef text)
{
        put(string, amb_text_part(string, range), text);
}

void CFStringReplaceAll(CFMutableStringRef string, CFStringRef text)
{
        put(string, (struct amb_text_part){ 0, amb_text_bytes(string) }, text);
}

void CFStringDelete(CFMutableStringRef string, CFRange range)
{
        (void)amb_string_replace(string, amb_text_part(string, range), "", 0);
}

CFIndex CFStringFindAndReplace(CFMutableStringRef string, CFStringRef word, CFStringRef text, CFRange range,
                               CFStringCompareFlags flags)
{
        CFIndex times = 0, grown = CFStringGetLength(text) - CFStringGetLength(word);
        CFRange found;

        while (CFStringFindWithOptions(string, word, range, flags & (kCFCompareCaseInsensitive | kCFCompareAnchored), &found)) {
                CFIndex end = range.location + range.length;

                CFStringReplace(string, found, text);
                times++;
                if (flags & kCFCompareAnchored)
                        break;
                range.location = found.location + CFStringGetLength(text);
                range.length = end + grown - range.location;
        }
        return times;
}

void CFStringTrimWhitespace(CFMutableStringRef string)
{
        size_t length = amb_text_bytes(string), first, last = length;
        const char *text = amb_text_of(string);

        for (first = 0; first < length && strchr(" \t\r\n\v\f", text[first]); first++)
                ;
        while (last > first && strchr(" \t\r\n\v\f", text[last - 1]))
                last--;
        (void)amb_string_replace(string, (struct amb_text_part){ last, length - last }, "", 0);
        (void)amb_string_replace(string, (struct amb_text_part){ 0, first }, "", 0);
}
