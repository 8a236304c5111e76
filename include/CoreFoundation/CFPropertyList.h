/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Property lists: strings, data, whole numbers, booleans, arrays and dictionaries as XML or binary. Floating point numbers and
 * dates are refused, in both directions; so is what is larger than 1 MiB, deeper than 32 levels, or has more than 8192 values. Any
 * thread.
 *
 * Contract: real-code 3 'CoreFoundation functions'.
 */
#include <CoreFoundation/CFBase.h>
#include <CoreFoundation/CFError.h>
#include <CoreFoundation/CFStream.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef CFOptionFlags CFPropertyListMutabilityOptions;
/* All that is read can be changed. */
enum { kCFPropertyListImmutable = 0, kCFPropertyListMutableContainers = 1, kCFPropertyListMutableContainersAndLeaves = 2 };
typedef CFIndex CFPropertyListFormat;
enum { kCFPropertyListXMLFormat_v1_0 = 100, kCFPropertyListBinaryFormat_v1_0 = 200 };
enum { kCFPropertyListReadCorruptError = 3840, kCFPropertyListReadStreamError = 3842, kCFPropertyListWriteStreamError = 3851 };

/*
 * Writing and reading: one reference for the caller; NULL: *error (where error is not NULL) is an error that says why, to be
 * released, or NULL without memory. options are ignored. *format, where format is not NULL: what was read.
 */
CFDataRef CFPropertyListCreateData(CFAllocatorRef allocator, CFPropertyListRef list, CFPropertyListFormat format,
                                   CFOptionFlags options, CFErrorRef *error);
CFPropertyListRef CFPropertyListCreateWithData(CFAllocatorRef allocator, CFDataRef data, CFOptionFlags options,
                                               CFPropertyListFormat *format, CFErrorRef *error);
/* The same in their older forms. *why_not, where why_not is not NULL: a sentence, to be released. */
CFDataRef CFPropertyListCreateXMLData(CFAllocatorRef allocator, CFPropertyListRef list);
CFPropertyListRef CFPropertyListCreateFromXMLData(CFAllocatorRef allocator, CFDataRef data, CFOptionFlags options,
                                                  CFStringRef *why_not);
/*
 * From a stream that is open, `length` bytes of it or all (0); and into one: bytes written, 0 where *error says why. Otherwise as
 * above.
 */
CFPropertyListRef CFPropertyListCreateWithStream(CFAllocatorRef allocator, CFReadStreamRef stream, CFIndex length,
                                                 CFOptionFlags options, CFPropertyListFormat *format, CFErrorRef *error);
CFIndex CFPropertyListWrite(CFPropertyListRef list, CFWriteStreamRef stream, CFPropertyListFormat format, CFOptionFlags options,
                            CFErrorRef *error);
Boolean CFPropertyListIsValid(CFPropertyListRef list, CFPropertyListFormat format);     /* could it be written? */

#ifdef __cplusplus
}
#endif
