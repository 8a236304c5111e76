/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Strings, stored as UTF-8 without NUL inside. A CFStringRef never changes: any thread. A CFMutableStringRef is one that does: one
 * thread at a time changes it, or many read it. Lengths, indices and ranges count UTF-16 units; of a range, what lies outside the
 * string is left out.
 *
 * Contract: real-code 3 'CoreFoundation functions', memory-and-queues 12.1, lifecycle-registry 6.
 */
#include <stdarg.h>

#include <CoreFoundation/CFBase.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef UInt32 CFStringEncoding;
/*
 * What CreateWithCString and GetCString convert from and to. MacRoman is accepted for ASCII text only: a character above 127
 * makes the call fail, as it does for ASCII.
 */
enum {
        kCFStringEncodingMacRoman = 0,
        kCFStringEncodingISOLatin1 = 0x0201,
        kCFStringEncodingASCII = 0x0600,
        kCFStringEncodingUTF8 = 0x08000100,
        /* Only in CreateWithBytes and GetBytes; those without BE or LE are in the machine's order. */
        kCFStringEncodingUnicode = 0x0100,
        kCFStringEncodingUTF16 = 0x0100,
        kCFStringEncodingUTF16BE = 0x10000100,
        kCFStringEncodingUTF16LE = 0x14000100,
        kCFStringEncodingUTF32 = 0x0c000100,
        kCFStringEncodingUTF32BE = 0x18000100,
        kCFStringEncodingUTF32LE = 0x1c000100
};
#define kCFStringEncodingInvalidId 0xffffffffu

typedef CFOptionFlags CFStringCompareFlags;
enum {
        kCFCompareCaseInsensitive = 1,                          /* ASCII letters */
        kCFCompareBackwards = 4,                                /* searches: the last place */
        kCFCompareAnchored = 8                                  /* searches: at the range's start alone, backwards at its end */
};

/*
 * The string of a literal, which is UTF-8: a constant that may initialise what is static. It lives as long as the program, or the
 * plug-in, that has it; retain and release are allowed and not needed. In a container an equal string stands for it. For CF's and
 * IOKit's calls alone: it is no object of <DriverKit/OSCollections.h>. The function: one object for each text, for ever; NULL: no
 * memory.
 */
#define AMB_CFSTR_MARK "\317\201AmbStr"
#ifdef __cplusplus
#define CFSTR(literal) static_cast<CFStringRef>(static_cast<const void *>(AMB_CFSTR_MARK literal ""))
#else
#define CFSTR(literal) ((CFStringRef)(const void *)(AMB_CFSTR_MARK literal ""))
#endif
CFStringRef __CFStringMakeConstantString(const char *literal);

CFTypeID CFStringGetTypeID(void);
/*
 * Copies text up to its NUL; one reference for the caller. NULL: no memory, text NULL, encoding unknown, text not valid in it.
 */
CFStringRef CFStringCreateWithCString(CFAllocatorRef allocator, const char *text, CFStringEncoding encoding);
/* One reference more of the same string, which never changes; of a mutable string a new one. NULL: no memory. */
CFStringRef CFStringCreateCopy(CFAllocatorRef allocator, CFStringRef string);
/*
 * The next ones: one reference for the caller; NULL: no memory, a length below 0, a NUL inside, unknown encoding, not valid in it.
 *
 * CreateWithBytes: `length` bytes; external is ignored: a mark of byte order is taken into account where the encoding is UTF16 or
 * UTF32.
 * CreateWithCharacters: `length` UTF-16 units in the machine's order.
 * CreateWithCStringNoCopy: as CreateWithCString; then frees text, unless deallocator is kCFAllocatorNull.
 * CreateWithSubstring: the units of a range.
 */
CFStringRef CFStringCreateWithBytes(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex length, CFStringEncoding encoding,
                                    Boolean external);
CFStringRef CFStringCreateWithCharacters(CFAllocatorRef allocator, const UniChar *characters, CFIndex length);
CFStringRef CFStringCreateWithCStringNoCopy(CFAllocatorRef allocator, const char *text, CFStringEncoding encoding,
                                            CFAllocatorRef deallocator);
CFStringRef CFStringCreateWithSubstring(CFAllocatorRef allocator, CFStringRef string, CFRange range);
/*
 * printf's directives, and %@ for a CF value (a string's text, a number, others for people), %C and %S for UTF-16. options is
 * ignored. There are no arguments by number (%1$@) and no %n. One reference for the caller; NULL: no memory, or the result is not
 * UTF-8.
 */
CFStringRef CFStringCreateWithFormat(CFAllocatorRef allocator, CFDictionaryRef options, CFStringRef format, ...);
CFStringRef CFStringCreateWithFormatAndArguments(CFAllocatorRef allocator, CFDictionaryRef options, CFStringRef format,
                                                 va_list arguments);
/* Words with something between them, and back: one reference for the caller, NULL: no memory. Of an empty string one empty word. */
CFStringRef CFStringCreateByCombiningStrings(CFAllocatorRef allocator, CFArrayRef words, CFStringRef between);
CFArrayRef CFStringCreateArrayBySeparatingStrings(CFAllocatorRef allocator, CFStringRef string, CFStringRef between);
/* Length in UTF-16 units. */
CFIndex CFStringGetLength(CFStringRef string);
/* Bytes that `length` UTF-16 units need at most in `encoding`, without a NUL; kCFNotFound for an unknown encoding. */
CFIndex CFStringGetMaximumSizeForEncoding(CFIndex length, CFStringEncoding encoding);
/* Copies with a NUL into `size` bytes. False, and an empty string if size > 0: too small, or not representable. */
Boolean CFStringGetCString(CFStringRef string, char *buffer, CFIndex size, CFStringEncoding encoding);
/* The text itself, valid as long as the string; NULL where a conversion would be needed. */
const char *CFStringGetCStringPtr(CFStringRef string, CFStringEncoding encoding);
/*
 * Converts a range into `size` bytes at buffer (NULL: only counts), as many characters as fit, without NUL; returns the units
 * converted, *used (may be NULL) becomes the bytes. It ends at a character that the encoding does not have, unless loss is not 0,
 * which takes its place. external is ignored. 0 for an unknown encoding.
 */
CFIndex CFStringGetBytes(CFStringRef string, CFRange range, CFStringEncoding encoding, UInt8 loss, Boolean external, UInt8 *buffer,
                         CFIndex size, CFIndex *used);
/* UTF-16 in the machine's order: of a range, into room for range.length units; of one place, 0 outside. */
void CFStringGetCharacters(CFStringRef string, CFRange range, UniChar *buffer);
UniChar CFStringGetCharacterAtIndex(CFStringRef string, CFIndex index);
/* The number that the string begins with, 0 if none; held within 32 bits. In the format of the C locale, or of setlocale(). */
SInt32 CFStringGetIntValue(CFStringRef string);
double CFStringGetDoubleValue(CFStringRef string);
/* By code points; flags: 0 or kCFCompareCaseInsensitive. */
CFComparisonResult CFStringCompare(CFStringRef one, CFStringRef other, CFStringCompareFlags flags);
CFComparisonResult CFStringCompareWithOptions(CFStringRef one, CFStringRef other, CFRange range_of_one, CFStringCompareFlags flags);
/* Where `word` is; { kCFNotFound, 0 } if nowhere, and for the empty word. */
CFRange CFStringFind(CFStringRef string, CFStringRef word, CFStringCompareFlags flags);
/* The same within a range: false, and *result (may be NULL) as it was, if nowhere. */
Boolean CFStringFindWithOptions(CFStringRef string, CFStringRef word, CFRange range, CFStringCompareFlags flags, CFRange *result);
/* Byte for byte; every string begins and ends with the empty one. */
Boolean CFStringHasPrefix(CFStringRef string, CFStringRef prefix);
Boolean CFStringHasSuffix(CFStringRef string, CFStringRef suffix);
CFStringEncoding CFStringGetSystemEncoding(void);               /* kCFStringEncodingUTF8 */

/*
 * Strings that change. Create: one reference for the caller, NULL: no memory; most is ignored. Changes do nothing, and nothing
 * tells, when there is no memory or the string is not a mutable one. FindAndReplace returns how often.
 */
CFMutableStringRef CFStringCreateMutable(CFAllocatorRef allocator, CFIndex most);
CFMutableStringRef CFStringCreateMutableCopy(CFAllocatorRef allocator, CFIndex most, CFStringRef string);
void CFStringAppend(CFMutableStringRef string, CFStringRef text);
void CFStringAppendCString(CFMutableStringRef string, const char *text, CFStringEncoding encoding);
void CFStringAppendFormat(CFMutableStringRef string, CFDictionaryRef options, CFStringRef format, ...);
void CFStringAppendFormatAndArguments(CFMutableStringRef string, CFDictionaryRef options, CFStringRef format, va_list arguments);
void CFStringInsert(CFMutableStringRef string, CFIndex index, CFStringRef text);
void CFStringReplace(CFMutableStringRef string, CFRange range, CFStringRef text);
void CFStringReplaceAll(CFMutableStringRef string, CFStringRef text);
void CFStringDelete(CFMutableStringRef string, CFRange range);
CFIndex CFStringFindAndReplace(CFMutableStringRef string, CFStringRef word, CFStringRef text, CFRange range,
                               CFStringCompareFlags flags);
void CFStringTrimWhitespace(CFMutableStringRef string);         /* ASCII's, at both ends */

#ifdef __cplusplus
}
#endif
