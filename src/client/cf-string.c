/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CFString over OSString: UTF-8 inside, converted from and to what CF's encodings name.
 */
#include <pthread.h>

#include <CoreFoundation/CoreFoundation.h>

#include "base/base.h"
#include "client/cf-text.h"
#include "client/cf.h"
#include "object/value.h"

#define text_of amb_text_of
#define bytes_of amb_text_bytes

CFTypeID CFStringGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&gOSStringMetaClass;
}

CFStringEncoding CFStringGetSystemEncoding(void)
{
        return kCFStringEncodingUTF8;
}

/* --- constants: one string per text, in a table that only grows --- */

struct constant {
        struct constant *next;
        OSString *string;
};

static struct {
        pthread_mutex_t lock;
        struct constant *buckets[256];
} constants = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void constants_lock(void)
{
        pthread_mutex_lock(&constants.lock);
}

static void constants_unlock(void)
{
        pthread_mutex_unlock(&constants.lock);
}

__attribute__((constructor)) static void constants_start(void)
{
        pthread_atfork(constants_lock, constants_unlock, constants_unlock);
}

static OSString *constant_new(struct constant **bucket, const char *literal, size_t length)
{
        struct constant *constant;

        constant = calloc(1, sizeof(*constant));
        if (!constant)
                return NULL;
        constant->string = OSStringCreate(literal, length);
        if (!constant->string) {
                free(constant);
                return NULL;
        }
        AS(OSObject, constant->string)->references = AMB_REFERENCES_STUCK;
        constant->next = *bucket;
        *bucket = constant;
        return constant->string;
}

CFStringRef __CFStringMakeConstantString(const char *literal)
{
        size_t length = strlen(literal);
        struct constant **bucket, *constant;
        OSString *string = NULL;

        bucket = &constants.buckets[amb_string_hash(literal, length) % AMB_ARRAY_LENGTH(constants.buckets)];
        constants_lock();
        for (constant = *bucket; constant && !string; constant = constant->next)
                if (OSStringGetLength(constant->string) == length &&
                    memcmp(OSStringGetStringPtr(constant->string), literal, length) == 0)
                        string = constant->string;
        if (!string)
                string = constant_new(bucket, literal, length);
        constants_unlock();
        return (CFStringRef)string;
}

/* --- encodings --- */

static bool is_ascii(const char *text, size_t length)
{
        for (size_t i = 0; i < length; i++)
                if ((unsigned char)text[i] > 127)
                        return false;
        return true;
}

/* For text with a NUL at its end. */
static bool encoding_known(CFStringEncoding encoding)
{
        return encoding == kCFStringEncodingUTF8 || encoding == kCFStringEncodingASCII ||
               encoding == kCFStringEncodingMacRoman || encoding == kCFStringEncodingISOLatin1;
}

/* Latin-1 to UTF-8; the result is malloc'ed. */
static char *from_latin1(const char *text, size_t *ret_length)
{
        char *result = malloc(strlen(text) * 2 + 1), *at = result;

        if (!result)
                return NULL;
        for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
                if (*c > 127)
                        *at++ = (char)(0xC0 | *c >> 6);
                *at++ = (char)(*c > 127 ? 0x80 | (*c & 0x3F) : *c);
        }
        *at = 0;
        *ret_length = (size_t)(at - result);
        return result;
}

/* UTF-8 to Latin-1 with a NUL into `size` bytes; false: no room, or a character beyond U+00FF. */
static bool to_latin1(const char *text, char *buffer, size_t size)
{
        size_t n = 0;

        for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
                unsigned int character = *c;

                if (character > 0xC3)
                        return false;
                if (character > 127)
                        character = (character & 3) << 6 | (*++c & 0x3F);
                if (n + 1 >= size)
                        return false;
                buffer[n++] = (char)character;
        }
        buffer[n] = 0;
        return true;
}

CFStringRef CFStringCreateWithCString(CFAllocatorRef allocator, const char *text, CFStringEncoding encoding)
{
        AMB_FREE char *converted = NULL;
        size_t length;

        (void)allocator;
        if (!text || !encoding_known(encoding))
                return NULL;
        length = strlen(text);
        if (encoding == kCFStringEncodingISOLatin1) {
                text = converted = from_latin1(text, &length);
                if (!text)
                        return NULL;
        } else if (encoding == kCFStringEncodingUTF8 ? !amb_utf8_valid(text, length) : !is_ascii(text, length)) {
                return NULL;
        }
        return (CFStringRef)OSStringCreate(text, length);
}

CFStringRef CFStringCreateCopy(CFAllocatorRef allocator, CFStringRef string)
{
        (void)allocator;
        if (OSObject_getMetaClass(AS(OSObject, string)) == &amb_mutable_string_class)
                return (CFStringRef)OSStringCreate(text_of(string), bytes_of(string));
        return CFRetain(string);
}

CFIndex CFStringGetLength(CFStringRef string)
{
        return amb_text_units(text_of(string), bytes_of(string));
}

CFIndex CFStringGetMaximumSizeForEncoding(CFIndex length, CFStringEncoding encoding)
{
        if (!amb_encoding_known(encoding) || length < 0)
                return kCFNotFound;
        if (encoding_known(encoding))
                return encoding == kCFStringEncodingUTF8 ? length * 3 : length;
        return length * ((encoding & 0x0c000000) == 0x0c000000 ? 4 : 2);
}

Boolean CFStringGetCString(CFStringRef string, char *buffer, CFIndex size, CFStringEncoding encoding)
{
        size_t length = bytes_of(string);
        bool fits = size > 0 && encoding_known(encoding);

        if (fits && encoding == kCFStringEncodingISOLatin1) {
                fits = to_latin1(text_of(string), buffer, (size_t)size);
        } else if (fits) {
                fits = length < (size_t)size && (encoding == kCFStringEncodingUTF8 || is_ascii(text_of(string), length));
                if (fits)
                        memcpy(buffer, text_of(string), length + 1);
        }
        if (!fits && size > 0)
                buffer[0] = 0;
        return fits;
}

const char *CFStringGetCStringPtr(CFStringRef string, CFStringEncoding encoding)
{
        if (!string || !encoding_known(encoding))
                return NULL;
        if (encoding != kCFStringEncodingUTF8 && !is_ascii(text_of(string), bytes_of(string)))
                return NULL;
        return text_of(string);
}

/* --- comparing: UTF-8 sorts by code point as it is --- */

static unsigned char fold(char c, CFStringCompareFlags flags)
{
        return (unsigned char)((flags & kCFCompareCaseInsensitive) && c >= 'A' && c <= 'Z' ? c + 32 : c);
}

CFComparisonResult CFStringCompare(CFStringRef one, CFStringRef other, CFStringCompareFlags flags)
{
        size_t a = bytes_of(one), b = bytes_of(other);

        for (size_t i = 0; i < a && i < b; i++) {
                unsigned char x = fold(text_of(one)[i], flags), y = fold(text_of(other)[i], flags);

                if (x != y)
                        return x < y ? kCFCompareLessThan : kCFCompareGreaterThan;
        }
        return a < b ? kCFCompareLessThan : a > b ? kCFCompareGreaterThan : kCFCompareEqualTo;
}

Boolean CFStringHasPrefix(CFStringRef string, CFStringRef prefix)
{
        return bytes_of(prefix) <= bytes_of(string) && memcmp(text_of(string), text_of(prefix), bytes_of(prefix)) == 0;
}

Boolean CFStringHasSuffix(CFStringRef string, CFStringRef suffix)
{
        return bytes_of(suffix) <= bytes_of(string) &&
               memcmp(text_of(string) + bytes_of(string) - bytes_of(suffix), text_of(suffix), bytes_of(suffix)) == 0;
}
