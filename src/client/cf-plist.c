/* SPDX-License-Identifier: Apache-2.0 */
/* CFPropertyList over the module of property lists, and the errors it tells. Any thread. */
#include <CoreFoundation/CoreFoundation.h>

#include "base/base.h"
#include "client/cf.h"
#include "object/plist.h"

/* --- errors --- */

struct __CFError {
        OSObject object;
        CFIndex code;
        OSString *why;
};

static void error_free(OSObject *object)
{
        OSObject_release(AS(struct __CFError, object)->why);
        OSObject_free(object);
}

static const struct amb_method error_methods[] = { AMB_OVERRIDE(OSObject, free, error_free), AMB_METHODS_END };
static const OSMetaClass error_class = { "CFError", &gOSObjectMetaClass, sizeof(struct __CFError), error_methods, NULL };

CFTypeID CFErrorGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&error_class;
}

CFIndex CFErrorGetCode(CFErrorRef error)
{
        return error->code;
}

CFStringRef CFErrorCopyDescription(CFErrorRef error)
{
        return CFRetain(error->why);
}

void amb_cf_error(CFErrorRef *ret, CFIndex code, const char *why)
{
        struct __CFError *error;

        if (!ret)
                return;
        *ret = NULL;
        error = (struct __CFError *)amb_object_new(&error_class);
        if (!error)
                return;
        error->code = code;
        error->why = OSStringCreate(why, SIZE_MAX);
        if (error->why)
                *ret = error;
        else
                OSObject_release(error);
}

/* --- lists --- */

CFDataRef CFPropertyListCreateData(CFAllocatorRef allocator, CFPropertyListRef list, CFPropertyListFormat format,
                                   CFOptionFlags options, CFErrorRef *error)
{
        AMB_FREE char *bytes = NULL;
        size_t length = 0;

        (void)options;
        if (!list || (format != kCFPropertyListXMLFormat_v1_0 && format != kCFPropertyListBinaryFormat_v1_0)) {
                amb_cf_error(error, kCFPropertyListWriteStreamError, "no list, or a form that cannot be written");
                return NULL;
        }
        if (amb_plist_write(AS(OSObject, list), format == kCFPropertyListBinaryFormat_v1_0, &bytes, &length) != 0) {
                amb_cf_error(error, kCFPropertyListWriteStreamError,
                             "what it holds cannot be in a property list, or it is too big");
                return NULL;
        }
        return CFDataCreate(allocator, (const UInt8 *)bytes, (CFIndex)length);
}

CFDataRef CFPropertyListCreateXMLData(CFAllocatorRef allocator, CFPropertyListRef list)
{
        return CFPropertyListCreateData(allocator, list, kCFPropertyListXMLFormat_v1_0, 0, NULL);
}

static CFPropertyListRef parse(const char *bytes, size_t length, char **ret_why)
{
        OSObject *value = NULL;

        return amb_plist_parse(bytes, length, &value, ret_why) == 0 ? value : NULL;
}

CFPropertyListRef CFPropertyListCreateWithData(CFAllocatorRef allocator, CFDataRef data, CFOptionFlags options,
                                               CFPropertyListFormat *format, CFErrorRef *error)
{
        const char *bytes = (const char *)CFDataGetBytePtr(data);
        size_t length = (size_t)CFDataGetLength(data);
        AMB_FREE char *why = NULL;
        CFPropertyListRef list = parse(bytes ? bytes : "", length, &why);

        (void)allocator;
        (void)options;
        if (!list)
                amb_cf_error(error, kCFPropertyListReadCorruptError, why ? why : "no memory");
        else if (format)
                *format = length > 6 && memcmp(bytes, "bplist", 6) == 0 ? kCFPropertyListBinaryFormat_v1_0 :
                                                                           kCFPropertyListXMLFormat_v1_0;
        return list;
}

CFPropertyListRef CFPropertyListCreateFromXMLData(CFAllocatorRef allocator, CFDataRef data, CFOptionFlags options,
                                                  CFStringRef *why_not)
{
        CFErrorRef error = NULL;
        CFPropertyListRef list = CFPropertyListCreateWithData(allocator, data, options, NULL, why_not ? &error : NULL);

        if (error) {
                *why_not = CFErrorCopyDescription(error);
                CFRelease(error);
        }
        return list;
}

Boolean CFPropertyListIsValid(CFPropertyListRef list, CFPropertyListFormat format)
{
        CFDataRef data = list ? CFPropertyListCreateData(NULL, list, format, 0, NULL) : NULL;

        if (data)
                CFRelease(data);
        return data != NULL;
}
