/* SPDX-License-Identifier: Apache-2.0 */
/* CFStrings looked into: places, parts, search, bytes and characters, numbers, lists of words. */
#include <CoreFoundation/CoreFoundation.h>

#include "base/base.h"
#include "client/cf-text.h"
#include "client/cf.h"

/* --- places --- */

const char *amb_text_of(CFStringRef string)
{
        const char *literal = amb_cf_literal(string);

        return literal ? literal : OSStringGetStringPtr((const OSString *)string);
}

size_t amb_text_bytes(CFStringRef string)
{
        const char *literal = amb_cf_literal(string);

        return literal ? strlen(literal) : OSStringGetLength((const OSString *)string);
}

static CFIndex units_of_byte(char c)
{
        const uint8_t byte = (uint8_t)c;

        return ((byte & 0xC0) != 0x80) + (byte >= 0xF0);
}

CFIndex amb_text_units(const char *text, size_t length)
{
        CFIndex units = 0;

        for (size_t i = 0; i < length; i++)
                units += units_of_byte(text[i]);
        return units;
}

size_t amb_text_place(CFStringRef string, CFIndex unit)
{
        const char *text = amb_text_of(string);
        size_t length = amb_text_bytes(string), i;
        CFIndex units = 0;

        for (i = 0; i < length; i++) {
                if (units >= unit && units_of_byte(text[i]) > 0)
                        break;
                units += units_of_byte(text[i]);
        }
        return i;
}

struct amb_text_part amb_text_part(CFStringRef string, CFRange range)
{
        CFIndex first = range.location < 0 ? 0 : range.location, end;
        size_t at, behind;

        if (range.length < 0 || __builtin_add_overflow(range.location, range.length, &end))
                end = range.length < 0 ? first : INTPTR_MAX;
        at = amb_text_place(string, first);
        behind = amb_text_place(string, end);
        return (struct amb_text_part){ at, behind > at ? behind - at : 0 };
}

/* --- search --- */

static char fold(char c, CFStringCompareFlags flags)
{
        return (char)((flags & kCFCompareCaseInsensitive) && c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool same_at(const char *text, const char *word, size_t length, CFStringCompareFlags flags)
{
        for (size_t i = 0; i < length; i++)
                if (fold(text[i], flags) != fold(word[i], flags))
                        return false;
        return true;
}

/* Where the word is in a part, in bytes; false: nowhere. UTF-8 finds no character in the middle of another. */
static bool find_in(CFStringRef string, struct amb_text_part part, CFStringRef word, CFStringCompareFlags flags, size_t *ret)
{
        size_t length = amb_text_bytes(word), last;
        const char *text = amb_text_of(string) + part.at;

        if (length == 0 || length > part.length)
                return false;
        last = part.length - length;
        for (size_t i = 0; i <= last; i++) {
                size_t at = flags & kCFCompareBackwards ? last - i : i;

                if (same_at(text + at, amb_text_of(word), length, flags)) {
                        *ret = part.at + at;
                        return true;
                }
                if (flags & kCFCompareAnchored)
                        break;
        }
        return false;
}

Boolean CFStringFindWithOptions(CFStringRef string, CFStringRef word, CFRange range, CFStringCompareFlags flags, CFRange *result)
{
        size_t at;

        if (!find_in(string, amb_text_part(string, range), word, flags, &at))
                return false;
        if (result)
                *result = CFRangeMake(amb_text_units(amb_text_of(string), at), CFStringGetLength(word));
        return true;
}

CFRange CFStringFind(CFStringRef string, CFStringRef word, CFStringCompareFlags flags)
{
        CFRange found = { kCFNotFound, 0 };

        CFStringFindWithOptions(string, word, CFRangeMake(0, CFStringGetLength(string)), flags, &found);
        return found;
}

CFComparisonResult CFStringCompareWithOptions(CFStringRef string, CFStringRef other, CFRange range, CFStringCompareFlags flags)
{
        CFStringRef part = CFStringCreateWithSubstring(NULL, string, range);
        CFComparisonResult result;

        if (!part)
                return kCFCompareLessThan;
        result = CFStringCompare(part, other, flags);
        CFRelease(part);
        return result;
}

/* --- parts --- */

CFStringRef CFStringCreateWithSubstring(CFAllocatorRef allocator, CFStringRef string, CFRange range)
{
        struct amb_text_part part = amb_text_part(string, range);

        (void)allocator;
        return (CFStringRef)OSStringCreate(amb_text_of(string) + part.at, part.length);
}

CFIndex CFStringGetBytes(CFStringRef string, CFRange range, CFStringEncoding encoding, UInt8 loss, Boolean external, UInt8 *buffer,
                         CFIndex size, CFIndex *used)
{
        struct amb_text_part part = amb_text_part(string, range);
        size_t at = part.at, end = part.at + part.length;
        CFIndex units = 0, filled = 0;

        (void)external;
        while (amb_encoding_known(encoding) && at < end) {
                uint32_t character = amb_text_next(amb_text_of(string), end, &at);
                uint8_t bytes[4];
                size_t length = amb_encoding_put(encoding, character, bytes);

                if (length == 0 && loss)
                        length = amb_encoding_put(encoding, loss, bytes);
                if (length == 0 || (buffer && (CFIndex)length > size - filled))
                        break;
                if (buffer)
                        memcpy(buffer + filled, bytes, length);
                filled += (CFIndex)length;
                units += character > 0xFFFF ? 2 : 1;
        }
        if (used)
                *used = filled;
        return units;
}

void CFStringGetCharacters(CFStringRef string, CFRange range, UniChar *buffer)
{
        CFStringGetBytes(string, range, kCFStringEncodingUTF16, 0, false, (UInt8 *)buffer, range.length * (CFIndex)sizeof(*buffer),
                         NULL);
}

UniChar CFStringGetCharacterAtIndex(CFStringRef string, CFIndex index)
{
        UniChar pair[2] = { 0, 0 };
        size_t at = amb_text_place(string, index);
        bool second = index > 0 && amb_text_units(amb_text_of(string), at) > index;
        CFRange range = { second ? index - 1 : index, 2 };

        CFStringGetCharacters(string, range, pair);
        return pair[second];
}

/* --- from other forms --- */

CFStringRef CFStringCreateWithBytes(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex length, CFStringEncoding encoding,
                                    Boolean external)
{
        (void)allocator;
        (void)external;
        return length < 0 || (!bytes && length > 0) ? NULL : amb_encoding_decode(encoding, bytes ? bytes : (const UInt8 *)"",
                                                                                (size_t)length);
}

CFStringRef CFStringCreateWithCharacters(CFAllocatorRef allocator, const UniChar *characters, CFIndex length)
{
        bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

        return CFStringCreateWithBytes(allocator, (const UInt8 *)characters,
                                       length < 0 ? -1 : length * (CFIndex)sizeof(*characters),
                                       big ? kCFStringEncodingUTF16BE : kCFStringEncodingUTF16LE, false);
}

CFStringRef CFStringCreateWithCStringNoCopy(CFAllocatorRef allocator, const char *text, CFStringEncoding encoding,
                                            CFAllocatorRef deallocator)
{
        CFStringRef string = CFStringCreateWithCString(allocator, text, encoding);

        if (string && deallocator != kCFAllocatorNull)
                free((void *)(uintptr_t)text);
        return string;
}

/* --- numbers --- */

SInt32 CFStringGetIntValue(CFStringRef string)
{
        long long number = strtoll(amb_text_of(string), NULL, 10);

        return number > INT32_MAX ? INT32_MAX : number < INT32_MIN ? INT32_MIN : (SInt32)number;
}

double CFStringGetDoubleValue(CFStringRef string)
{
        return strtod(amb_text_of(string), NULL);
}

/* --- lists of words --- */

CFStringRef CFStringCreateByCombiningStrings(CFAllocatorRef allocator, CFArrayRef words, CFStringRef between)
{
        CFMutableStringRef all = CFStringCreateMutable(allocator, 0);
        CFStringRef copy;

        if (!all)
                return NULL;
        for (CFIndex i = 0; i < CFArrayGetCount(words); i++) {
                if (i > 0)
                        CFStringAppend(all, between);
                CFStringAppend(all, CFArrayGetValueAtIndex(words, i));
        }
        copy = CFStringCreateCopy(allocator, all);
        CFRelease(all);
        return copy;
}

CFArrayRef CFStringCreateArrayBySeparatingStrings(CFAllocatorRef allocator, CFStringRef string, CFStringRef between)
{
        CFMutableArrayRef words = CFArrayCreateMutable(allocator, 0, NULL);
        struct amb_text_part rest = { 0, amb_text_bytes(string) };
        size_t at;
        bool more;

        while (words) {
                OSString *word;

                more = find_in(string, rest, between, 0, &at);
                word = OSStringCreate(amb_text_of(string) + rest.at, more ? at - rest.at : rest.length);
                if (!word || !OSArrayAppendValue(AS(OSArray, words), word)) {
                        OSObject_release(word);
                        CFRelease(words);
                        return NULL;
                }
                OSObject_release(word);
                if (!more)
                        break;
                at += amb_text_bytes(between);
                rest = (struct amb_text_part){ at, rest.at + rest.length - at };
        }
        return words;
}
