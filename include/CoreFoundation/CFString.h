/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Strings: immutable, stored as UTF-8 without NUL inside. Any thread.
 *
 * Contract: real-code 3 'CoreFoundation functions', memory-and-queues 12.1, lifecycle-registry 6.
 */
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
        kCFStringEncodingUTF8 = 0x08000100
};

typedef CFOptionFlags CFStringCompareFlags;
enum { kCFCompareCaseInsensitive = 1 };                         /* ASCII letters */

/* The string of a literal: one object per text, lives for ever; retain and release are allowed and not needed. */
#define CFSTR(literal) __CFStringMakeConstantString("" literal "")
CFStringRef __CFStringMakeConstantString(const char *literal);

CFTypeID CFStringGetTypeID(void);
/*
 * Copies text up to its NUL; one reference for the caller. NULL: no memory, text NULL, encoding unknown, text not valid in it.
 */
CFStringRef CFStringCreateWithCString(CFAllocatorRef allocator, const char *text, CFStringEncoding encoding);
/* One reference more of the same string, which never changes. */
CFStringRef CFStringCreateCopy(CFAllocatorRef allocator, CFStringRef string);
/* Length in UTF-16 units. */
CFIndex CFStringGetLength(CFStringRef string);
/* Bytes that `length` UTF-16 units need at most in `encoding`, without a NUL; kCFNotFound for an unknown encoding. */
CFIndex CFStringGetMaximumSizeForEncoding(CFIndex length, CFStringEncoding encoding);
/* Copies with a NUL into `size` bytes. False, and an empty string if size > 0: too small, or not representable. */
Boolean CFStringGetCString(CFStringRef string, char *buffer, CFIndex size, CFStringEncoding encoding);
/* The text itself, valid as long as the string; NULL where a conversion would be needed. */
const char *CFStringGetCStringPtr(CFStringRef string, CFStringEncoding encoding);
/* By code points; flags: 0 or kCFCompareCaseInsensitive. */
CFComparisonResult CFStringCompare(CFStringRef one, CFStringRef other, CFStringCompareFlags flags);
/* Byte for byte; every string begins and ends with the empty one. */
Boolean CFStringHasPrefix(CFStringRef string, CFStringRef prefix);
Boolean CFStringHasSuffix(CFStringRef string, CFStringRef suffix);
CFStringEncoding CFStringGetSystemEncoding(void);               /* kCFStringEncodingUTF8 */

#ifdef __cplusplus
}
#endif
