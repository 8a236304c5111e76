/* SPDX-License-Identifier: Apache-2.0 */
/* As found: what clients do with CoreFoundation besides property values. */
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>

#define kKey CFSTR("Key")

static CFComparisonResult by_name(const void *one, const void *other, void *context)
{
    (void)context;
    return CFStringCompare((CFStringRef)one, (CFStringRef)other, kCFCompareCaseInsensitive);
}

static void print(const void *key, const void *value, void *context)
{
    CFStringRef line = CFStringCreateWithFormat(kCFAllocatorDefault, NULL, CFSTR("%@ = %@ (%s, %ld)"), key, value, (char *)context,
                                                (long)CFStringGetLength((CFStringRef)key));
    char *buffer = NULL;
    CFIndex size = CFStringGetMaximumSizeForEncoding(CFStringGetLength(line), kCFStringEncodingUTF8) + 1;

    buffer = malloc((size_t)size);
    if (buffer && CFStringGetCString(line, buffer, size, kCFStringEncodingUTF8))
        fprintf(stdout, "%s\n", buffer);
    free(buffer);
    CFRelease(line);
}

Boolean write_property(io_service_t service, const char *text, UInt8 *bytes, CFIndex count);
Boolean write_property(io_service_t service, const char *text, UInt8 *bytes, CFIndex count)
{
    CFMutableDictionaryRef dictionary = CFDictionaryCreateMutable(kCFAllocatorDefault, 0, &kCFCopyStringDictionaryKeyCallBacks,
                                                                  &kCFTypeDictionaryValueCallBacks);
    CFStringRef string = CFStringCreateWithCString(kCFAllocatorDefault, text, CFStringGetSystemEncoding());
    CFDataRef data = CFDataCreateWithBytesNoCopy(kCFAllocatorDefault, bytes, count, kCFAllocatorNull);
    CFMutableArrayRef names = CFArrayCreateMutable(kCFAllocatorDefault, 0, &kCFTypeArrayCallBacks);
    CFUUIDRef uuid = CFUUIDCreate(kCFAllocatorDefault);
    CFStringRef name = CFUUIDCreateString(kCFAllocatorDefault, uuid);
    kern_return_t kr;

    CFDictionaryAddValue(dictionary, kKey, string);
    CFDictionarySetValue(dictionary, CFSTR("Data"), data);
    CFArrayAppendValue(names, name);
    CFArraySortValues(names, CFRangeMake(0, CFArrayGetCount(names)), by_name, NULL);
    if (CFStringFind(string, CFSTR("x"), kCFCompareCaseInsensitive).location == kCFNotFound)
        CFDictionaryRemoveValue(dictionary, kKey);
    CFDictionaryApplyFunction(dictionary, print, (void *)text);
    kr = IORegistryEntrySetCFProperties(service, dictionary);
    CFShow(names);
    CFRelease(name);
    CFRelease(uuid);
    CFRelease(names);
    CFRelease(data);
    CFRelease(string);
    CFRelease(dictionary);
    return kr == kIOReturnSuccess && kCFCoreFoundationVersionNumber > 1000;
}
