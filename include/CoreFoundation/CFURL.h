/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * URLs of files: an absolute path, immutable, and whether it is a directory's. Any thread. Nothing is looked up in the file system:
 * a relative path is put behind the working directory of the moment, and stays as it is otherwise. There are no other URLs here,
 * and of the styles only POSIX's. Contract: real-code 3 'CoreFoundation functions'.
 */
#include <CoreFoundation/CFBase.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef const struct __CFURL *CFURLRef;
typedef CFIndex CFURLPathStyle;
enum { kCFURLPOSIXPathStyle = 0, kCFURLHFSPathStyle = 1, kCFURLWindowsPathStyle = 2 };

CFTypeID CFURLGetTypeID(void);
/* All that create: one reference for the caller; NULL: no memory, an empty path, a NUL inside, or another style. */
CFURLRef CFURLCreateWithFileSystemPath(CFAllocatorRef allocator, CFStringRef path, CFURLPathStyle style, Boolean is_directory);
/* `length` bytes. */
CFURLRef CFURLCreateFromFileSystemRepresentation(CFAllocatorRef allocator, const UInt8 *path, CFIndex length, Boolean is_directory);
/* "file:///a/b%20c"; a '/' at the end is a directory's. NULL also: not of this form, or with a host. base is ignored. */
CFURLRef CFURLCreateWithString(CFAllocatorRef allocator, CFStringRef text, CFURLRef base);
CFURLRef CFURLCreateCopyAppendingPathComponent(CFAllocatorRef allocator, CFURLRef url, CFStringRef name, Boolean is_directory);
CFURLRef CFURLCreateCopyDeletingLastPathComponent(CFAllocatorRef allocator, CFURLRef url);

/* The path with a NUL, into `size` bytes. False: too small, and nothing is written. absolute is ignored. */
Boolean CFURLGetFileSystemRepresentation(CFURLRef url, Boolean absolute, UInt8 *buffer, CFIndex size);
/* One reference for the caller; NULL: no memory, another style, or a path that is no UTF-8. The second as it is in a URL. */
CFStringRef CFURLCopyFileSystemPath(CFURLRef url, CFURLPathStyle style);
CFStringRef CFURLCopyPath(CFURLRef url);
CFStringRef CFURLCopyLastPathComponent(CFURLRef url);
CFStringRef CFURLGetString(CFURLRef url);                       /* "file:///..."; not the caller's, lives as long as the URL */
Boolean CFURLHasDirectoryPath(CFURLRef url);

#ifdef __cplusplus
}
#endif
