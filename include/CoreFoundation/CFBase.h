/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The subset of CoreFoundation that IOKit clients use.
 *
 * The values are the objects of <DriverKit/OSCollections.h> under CF's names: a property read from the registry is the very
 * object that CF calls work on. "Create" and "Copy" hand one reference to the caller, "Get" none.
 * Allocators are accepted and ignored. Strings, numbers and booleans may be used from any thread; data, arrays and dictionaries
 * by one thread at a time while one changes them. There are no immutable containers: a CFDictionaryRef is a
 * CFMutableDictionaryRef whose holder has promised not to change it.
 *
 * In all these headers CFIndex counts members, bytes or UTF-16 units, as said there; a type number (X...GetTypeID) is the same
 * for the life of the process, and any thread may ask for it. A NULL object is the caller's error except where it is allowed.
 *
 * Contract: real-code 3 'CoreFoundation functions', 'CoreFoundation constants'; memory-and-queues 12; lifecycle-registry 6.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef CF_EXPORT
#define CF_EXPORT extern
#endif
#define CF_INLINE static inline

/* What declarations say to Darwin's analysers and to other languages: nothing here. */
#define CF_RETURNS_RETAINED
#define CF_RETURNS_NOT_RETAINED
#define CF_CONSUMED
#define CF_RELEASES_ARGUMENT
#define CF_NOESCAPE
#define CF_IMPLICIT_BRIDGING_ENABLED
#define CF_IMPLICIT_BRIDGING_DISABLED
#define CF_ASSUME_NONNULL_BEGIN
#define CF_ASSUME_NONNULL_END
#define CF_BRIDGED_TYPE(type)
#define CF_BRIDGED_MUTABLE_TYPE(type)
#define CF_SWIFT_NAME(name)
#define CF_REFINED_FOR_SWIFT
#define CF_AVAILABLE(...)
#define CF_AVAILABLE_MAC(...)
#define CF_DEPRECATED(...)
#ifdef __cplusplus
#define CF_EXTERN_C_BEGIN extern "C" {
#define CF_EXTERN_C_END }
#else
#define CF_EXTERN_C_BEGIN
#define CF_EXTERN_C_END
#endif
/* typedef CF_ENUM(UInt32, Mode) { kModeOne, ... }; a type of that width, and constants. */
#define CF_ENUM(type, name) type name; enum
#define CF_OPTIONS(type, name) type name; enum

typedef unsigned char Boolean;
typedef unsigned char UInt8;
typedef signed char SInt8;
typedef unsigned short UInt16;
typedef signed short SInt16;
typedef unsigned int UInt32;
typedef signed int SInt32;
typedef uint64_t UInt64;
typedef int64_t SInt64;
typedef SInt32 OSStatus;
typedef float Float32;
typedef double Float64;
typedef UInt16 UniChar;
typedef UInt32 UTF32Char;
typedef UInt32 FourCharCode;
typedef FourCharCode OSType;
typedef SInt16 OSErr;
enum { noErr = 0 };

typedef unsigned long CFTypeID;
typedef unsigned long CFOptionFlags;
typedef unsigned long CFHashCode;
typedef signed long CFIndex;
typedef const void *CFTypeRef;

typedef const struct __CFAllocator *CFAllocatorRef;
typedef const struct __CFString *CFStringRef;
typedef struct __CFString *CFMutableStringRef;
typedef const struct __CFNumber *CFNumberRef;
typedef const struct __CFBoolean *CFBooleanRef;
typedef const struct __CFData *CFDataRef;
typedef struct __CFData *CFMutableDataRef;
typedef const struct __CFArray *CFArrayRef;
typedef struct __CFArray *CFMutableArrayRef;
typedef const struct __CFDictionary *CFDictionaryRef;
typedef struct __CFDictionary *CFMutableDictionaryRef;
typedef const struct __CFSet *CFSetRef;
typedef struct __CFSet *CFMutableSetRef;
typedef const struct __CFUUID *CFUUIDRef;
typedef struct __CFError *CFErrorRef;
typedef CFTypeRef CFPropertyListRef;

typedef CFIndex CFComparisonResult;
enum { kCFCompareLessThan = -1, kCFCompareEqualTo = 0, kCFCompareGreaterThan = 1 };
enum { kCFNotFound = -1 };
typedef CFComparisonResult (*CFComparatorFunction)(const void *one, const void *other, void *context);

typedef struct {
        CFIndex location;
        CFIndex length;
} CFRange;
CF_INLINE CFRange CFRangeMake(CFIndex location, CFIndex length)
{
        CFRange range;
        range.location = location;
        range.length = length;
        return range;
}

CF_EXPORT const CFAllocatorRef kCFAllocatorDefault;             /* NULL; every allocator argument may be NULL */
CF_EXPORT const CFAllocatorRef kCFAllocatorSystemDefault;       /* NULL too, as is the next */
CF_EXPORT const CFAllocatorRef kCFAllocatorMalloc;
CF_EXPORT const CFAllocatorRef kCFAllocatorNull;                /* as a deallocator: the bytes are not freed */
/* Of the library that this one stands for: macOS 12. */
CF_EXPORT double kCFCoreFoundationVersionNumber;

/* One reference more, or less; the last one frees. NULL ends the process, as it does in CF. Any thread. */
CFTypeRef CFRetain(CFTypeRef object);
void CFRelease(CFTypeRef object);
CFIndex CFGetRetainCount(CFTypeRef object);                     /* references held now; for diagnostics. Any thread. */

/* The type of a value: compare with CFStringGetTypeID() and its like. Any thread. */
CFTypeID CFGetTypeID(CFTypeRef object);
/* Equal by type and contents; numbers by value. NULL is allowed, and equal to NULL only. */
Boolean CFEqual(CFTypeRef one, CFTypeRef other);
/* Equal values have equal ones. Any thread. */
CFHashCode CFHash(CFTypeRef object);
/* Prints a value and a newline to standard error, for people; the text may change. NULL is allowed. */
void CFShow(CFTypeRef object);
/* What a value is, for people, and the name of a type ("CFString"): one reference for the caller; NULL: no memory. Any thread. */
CFStringRef CFCopyDescription(CFTypeRef object);
CFStringRef CFCopyTypeIDDescription(CFTypeID type);

#ifdef __cplusplus
}
#endif
