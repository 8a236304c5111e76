/* SPDX-License-Identifier: Apache-2.0 */
/* As found: a client keeps what it has found out in a property list, by way of a URL and streams. */
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <dispatch/dispatch.h>

static const CFStringRef kSettings = CFSTR("settings.plist");

Boolean save(io_service_t service);
Boolean save(io_service_t service)
{
    CFURLRef url = CFURLCreateWithFileSystemPath(kCFAllocatorDefault, kSettings, kCFURLPOSIXPathStyle, false);
    CFWriteStreamRef stream = CFWriteStreamCreateWithFile(kCFAllocatorDefault, url);
    CFDateRef now = CFDateCreate(kCFAllocatorDefault, CFAbsoluteTimeGetCurrent());
    CFMutableDictionaryRef properties = NULL;
    CFErrorRef error = NULL;
    Boolean saved = false;

    if (CFDateGetAbsoluteTime(now) + kCFAbsoluteTimeIntervalSince1970 > 0 &&
        IORegistryEntryCreateCFProperties(service, &properties, kCFAllocatorDefault, kNilOptions) == KERN_SUCCESS) {
        if (CFWriteStreamOpen(stream))
            saved = CFPropertyListWrite(properties, stream, kCFPropertyListXMLFormat_v1_0, 0, &error) > 0;
        CFWriteStreamClose(stream);
        CFRelease(properties);
    }
    CFRelease(now);
    CFRelease(stream);
    CFRelease(url);
    return saved;
}

CFPropertyListRef load(const char *path);
CFPropertyListRef load(const char *path)
{
    CFURLRef url = CFURLCreateFromFileSystemRepresentation(kCFAllocatorDefault, (const UInt8 *)path, (CFIndex)strlen(path), false);
    CFReadStreamRef stream = CFReadStreamCreateWithFile(kCFAllocatorDefault, url);
    CFPropertyListRef list = NULL;
    CFPropertyListFormat format;
    UInt8 buffer[PATH_MAX];

    if (CFURLGetFileSystemRepresentation(url, true, buffer, sizeof(buffer)) && CFReadStreamOpen(stream))
        list = CFPropertyListCreateWithStream(kCFAllocatorDefault, stream, 0, kCFPropertyListImmutable, &format, NULL);
    CFReadStreamClose(stream);
    CFRelease(stream);
    CFRelease(url);
    return list;
}
