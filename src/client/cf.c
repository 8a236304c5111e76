/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CF's names for property values: everything but strings and numbers. A CFTypeRef is the OSObject itself; a CFTypeID is the
 * address of its class. Contract: memory-and-queues 12, real-code 3.
 */
#include <stdio.h>

#include <CoreFoundation/CoreFoundation.h>

#include "base/base.h"
#include "client/cf-text.h"
#include "client/cf.h"
#include "object/value.h"

const CFAllocatorRef kCFAllocatorDefault = NULL;
const CFAllocatorRef kCFAllocatorSystemDefault = NULL;
const CFAllocatorRef kCFAllocatorMalloc = NULL;
/* Compared with, never followed. */
static const char null_allocator;
const CFAllocatorRef kCFAllocatorNull = (CFAllocatorRef)&null_allocator;
double kCFCoreFoundationVersionNumber = 1858.112;
const CFSetCallBacks kCFTypeSetCallBacks = { 0 };
const CFArrayCallBacks kCFTypeArrayCallBacks = { 0 };
const CFDictionaryKeyCallBacks kCFTypeDictionaryKeyCallBacks = { 0 };
const CFDictionaryKeyCallBacks kCFCopyStringDictionaryKeyCallBacks = { 0 };
const CFDictionaryValueCallBacks kCFTypeDictionaryValueCallBacks = { 0 };

/* --- any value --- */

CFTypeRef CFRetain(CFTypeRef object)
{
        if (!object)
                abort();
        if (!amb_cf_literal(object))
                OSObject_retain(object);
        return object;
}

void CFRelease(CFTypeRef object)
{
        if (!object)
                abort();
        if (!amb_cf_literal(object))
                OSObject_release(object);
}

CFIndex CFGetRetainCount(CFTypeRef object)
{
        return OSObject_getRetainCount(amb_cf_object(object));
}

static bool is_abstract(const OSMetaClass *meta)
{
        return meta == &gOSObjectMetaClass || meta == &gOSContainerMetaClass || meta == &gOSCollectionMetaClass;
}

/* The class below the abstract ones: a subclass that only we know of has its superclass's type. */
CFTypeID CFGetTypeID(CFTypeRef object)
{
        const OSMetaClass *meta;

        if (amb_cf_literal(object))
                return CFStringGetTypeID();
        meta = OSObject_getMetaClass(object);
        if (meta == &amb_float_class)
                return CFNumberGetTypeID();
        while (meta->super && !is_abstract(meta->super))
                meta = meta->super;
        return (CFTypeID)(uintptr_t)meta;
}

Boolean CFEqual(CFTypeRef one, CFTypeRef other)
{
        if (one == other)
                return true;
        if (!one || !other || CFGetTypeID(one) != CFGetTypeID(other))
                return false;
        if (CFGetTypeID(one) == CFNumberGetTypeID())
                return CFNumberCompare(one, other, NULL) == kCFCompareEqualTo;
        return OSObjectIsEqual(AS(OSObject, one), AS(OSObject, other));
}

static CFHashCode double_hash(double number)
{
        number += 0.0;                  /* -0 is 0 */
        return amb_string_hash((const char *)&number, sizeof(number));
}

/* Numbers by value, since CFEqual does so; containers by their count. */
CFHashCode CFHash(CFTypeRef object)
{
        CFTypeID type = CFGetTypeID(object);
        double number = 0;

        if (type == CFStringGetTypeID())
                return amb_string_hash(amb_text_of(object), amb_text_bytes(object));
        if (type == CFDataGetTypeID())
                return amb_string_hash((const char *)CFDataGetBytePtr(object), (size_t)CFDataGetLength(object));
        if (type == CFNumberGetTypeID()) {
                CFNumberGetValue(object, kCFNumberDoubleType, &number);
                return double_hash(number);
        }
        if (type == CFDateGetTypeID())
                return double_hash(CFDateGetAbsoluteTime(object));
        if (type == CFURLGetTypeID())
                return CFHash(CFURLGetString(object));
        if (type == CFArrayGetTypeID())
                return (CFHashCode)CFArrayGetCount(object);
        if (type == CFDictionaryGetTypeID())
                return (CFHashCode)CFDictionaryGetCount(object);
        if (type == CFSetGetTypeID())
                return (CFHashCode)CFSetGetCount(object);
        if (type == CFUUIDGetTypeID())
                return CFUUIDGetUUIDBytes(object).byte15;
        return (CFHashCode)((uintptr_t)object >> 4);
}

void CFShow(CFTypeRef object)
{
        AMB_FREE char *text = amb_value_text(object);

        fprintf(stderr, "%s\n", text ? text : "(no memory)");
}

/* The values' classes have DriverKit's names, ours begin with CF. */
CFStringRef CFCopyTypeIDDescription(CFTypeID type)
{
        const char *name = ((const OSMetaClass *)type)->name;
        AMB_FREE char *text = NULL;

        text = amb_format("CF%s", strncmp(name, "OS", 2) == 0 || strncmp(name, "CF", 2) == 0 ? name + 2 : name);
        return text ? CFStringCreateWithCString(NULL, text, kCFStringEncodingUTF8) : NULL;
}

/* --- data --- */

CFTypeID CFDataGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&gOSDataMetaClass;
}

CFDataRef CFDataCreate(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex length)
{
        (void)allocator;
        return length < 0 || (length > 0 && !bytes) ? NULL : (CFDataRef)OSDataCreate(bytes, (size_t)length);
}

CFMutableDataRef CFDataCreateMutable(CFAllocatorRef allocator, CFIndex capacity)
{
        (void)allocator;
        (void)capacity;
        return (CFMutableDataRef)OSDataCreate(NULL, 0);
}

CFDataRef CFDataCreateCopy(CFAllocatorRef allocator, CFDataRef data)
{
        return CFDataCreate(allocator, CFDataGetBytePtr(data), CFDataGetLength(data));
}

CFIndex CFDataGetLength(CFDataRef data)
{
        return (CFIndex)OSDataGetLength(AS(OSData, data));
}

const UInt8 *CFDataGetBytePtr(CFDataRef data)
{
        return OSDataGetBytesPtr(AS(OSData, data), 0, OSDataGetLength(AS(OSData, data)));
}

void CFDataGetBytes(CFDataRef data, CFRange range, UInt8 *buffer)
{
        if (range.location >= 0 && range.length > 0)
                (void)OSDataGetBytes(AS(OSData, data), buffer, (size_t)range.location, (size_t)range.length);
}

void CFDataAppendBytes(CFMutableDataRef data, const UInt8 *bytes, CFIndex length)
{
        if (length > 0 && bytes)
                (void)OSDataAppendBytes(AS(OSData, data), bytes, (size_t)length);
}

/* --- arrays --- */

CFTypeID CFArrayGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&gOSArrayMetaClass;
}

CFArrayRef CFArrayCreate(CFAllocatorRef allocator, const void **values, CFIndex count, const CFArrayCallBacks *callbacks)
{
        CFMutableArrayRef array = CFArrayCreateMutable(allocator, count, callbacks);

        for (CFIndex i = 0; array && i < count; i++) {
                if (OSArrayAppendValue(AS(OSArray, array), AS(OSObject, values[i])))
                        continue;
                CFRelease(array);
                array = NULL;
        }
        return array;
}

CFMutableArrayRef CFArrayCreateMutable(CFAllocatorRef allocator, CFIndex capacity, const CFArrayCallBacks *callbacks)
{
        (void)allocator;
        (void)capacity;
        (void)callbacks;
        return (CFMutableArrayRef)OSArrayCreate();
}

CFIndex CFArrayGetCount(CFArrayRef array)
{
        return (CFIndex)OSArrayGetCount(AS(OSArray, array));
}

const void *CFArrayGetValueAtIndex(CFArrayRef array, CFIndex index)
{
        return index < 0 ? NULL : OSArrayGetValue(AS(OSArray, array), (size_t)index);
}

Boolean CFArrayContainsValue(CFArrayRef array, CFRange range, const void *value)
{
        for (CFIndex i = range.location; i < range.location + range.length && i < CFArrayGetCount(array); i++)
                if (CFEqual(CFArrayGetValueAtIndex(array, i), value))
                        return true;
        return false;
}

void CFArrayAppendValue(CFMutableArrayRef array, const void *value)
{
        (void)OSArrayAppendValue(AS(OSArray, array), AS(OSObject, value));
}

void CFArrayInsertValueAtIndex(CFMutableArrayRef array, CFIndex index, const void *value)
{
        if (index >= 0 && index <= CFArrayGetCount(array))
                (void)OSArraySetValue(AS(OSArray, array), (size_t)index, AS(OSObject, value));
}

void CFArraySetValueAtIndex(CFMutableArrayRef array, CFIndex index, const void *value)
{
        if (index == CFArrayGetCount(array))
                CFArrayAppendValue(array, value);
        else if (index >= 0)
                (void)OSArrayReplaceValue(AS(OSArray, array), (size_t)index, AS(OSObject, value));
}

void CFArrayRemoveValueAtIndex(CFMutableArrayRef array, CFIndex index)
{
        if (index >= 0)
                (void)OSArrayRemoveValue(AS(OSArray, array), (size_t)index);
}

void CFArrayApplyFunction(CFArrayRef array, CFRange range, CFArrayApplierFunction applier, void *context)
{
        for (CFIndex i = range.location; i < range.location + range.length && i < CFArrayGetCount(array); i++)
                applier(CFArrayGetValueAtIndex(array, i), context);
}

/* --- dictionaries --- */

/* A key's text; NULL for what is no string. */
static const char *key_text(const void *key)
{
        const char *literal = amb_cf_literal(key);
        const OSString *string = literal ? NULL : OSDynamicCast(OSString, key);

        return literal ? literal : string ? OSStringGetStringPtr(string) : NULL;
}

CFTypeID CFDictionaryGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&gOSDictionaryMetaClass;
}

CFMutableDictionaryRef CFDictionaryCreateMutable(CFAllocatorRef allocator, CFIndex capacity,
                                                 const CFDictionaryKeyCallBacks *key_callbacks,
                                                 const CFDictionaryValueCallBacks *value_callbacks)
{
        (void)allocator;
        (void)capacity;
        (void)key_callbacks;
        (void)value_callbacks;
        return (CFMutableDictionaryRef)OSDictionaryCreate();
}

CFDictionaryRef CFDictionaryCreate(CFAllocatorRef allocator, const void **keys, const void **values, CFIndex count,
                                   const CFDictionaryKeyCallBacks *key_callbacks,
                                   const CFDictionaryValueCallBacks *value_callbacks)
{
        CFMutableDictionaryRef dictionary = CFDictionaryCreateMutable(allocator, count, key_callbacks, value_callbacks);

        for (CFIndex i = 0; dictionary && i < count; i++)
                CFDictionarySetValue(dictionary, keys[i], values[i]);
        return dictionary;
}

CFMutableDictionaryRef CFDictionaryCreateMutableCopy(CFAllocatorRef allocator, CFIndex capacity, CFDictionaryRef dictionary)
{
        (void)allocator;
        (void)capacity;
        return (CFMutableDictionaryRef)OSDictionaryCreateCopy(AS(OSDictionary, dictionary));
}

CFDictionaryRef CFDictionaryCreateCopy(CFAllocatorRef allocator, CFDictionaryRef dictionary)
{
        return CFDictionaryCreateMutableCopy(allocator, 0, dictionary);
}

CFIndex CFDictionaryGetCount(CFDictionaryRef dictionary)
{
        return (CFIndex)OSDictionaryGetCount(AS(OSDictionary, dictionary));
}

const void *CFDictionaryGetValue(CFDictionaryRef dictionary, const void *key)
{
        const char *text = key_text(key);

        return text ? OSDictionaryGetValue(AS(OSDictionary, dictionary), text) : NULL;
}

Boolean CFDictionaryGetValueIfPresent(CFDictionaryRef dictionary, const void *key, const void **value)
{
        const void *found = CFDictionaryGetValue(dictionary, key);

        if (found && value)
                *value = found;
        return found != NULL;
}

Boolean CFDictionaryContainsKey(CFDictionaryRef dictionary, const void *key)
{
        return CFDictionaryGetValue(dictionary, key) != NULL;
}

void CFDictionaryGetKeysAndValues(CFDictionaryRef dictionary, const void **keys, const void **values)
{
        const OSDictionary *d = AS(OSDictionary, dictionary);

        for (size_t i = 0; i < OSDictionaryGetCount(d); i++) {
                if (keys)
                        keys[i] = amb_dictionary_key(d, i);
                if (values)
                        values[i] = OSDictionaryGetValueAt(d, i);
        }
}

void CFDictionaryApplyFunction(CFDictionaryRef dictionary, CFDictionaryApplierFunction applier, void *context)
{
        const OSDictionary *d = AS(OSDictionary, dictionary);

        for (size_t i = 0; i < OSDictionaryGetCount(d); i++)
                applier(amb_dictionary_key(d, i), OSDictionaryGetValueAt(d, i), context);
}

void CFDictionarySetValue(CFMutableDictionaryRef dictionary, const void *key, const void *value)
{
        const char *text = key_text(key);

        if (text)
                (void)OSDictionarySetValue(AS(OSDictionary, dictionary), text, AS(OSObject, value));
}

void CFDictionaryAddValue(CFMutableDictionaryRef dictionary, const void *key, const void *value)
{
        if (!CFDictionaryContainsKey(dictionary, key))
                CFDictionarySetValue(dictionary, key, value);
}

void CFDictionaryReplaceValue(CFMutableDictionaryRef dictionary, const void *key, const void *value)
{
        if (CFDictionaryContainsKey(dictionary, key))
                CFDictionarySetValue(dictionary, key, value);
}

void CFDictionaryRemoveValue(CFMutableDictionaryRef dictionary, const void *key)
{
        const char *text = key_text(key);

        if (text)
                (void)OSDictionaryRemoveValue(AS(OSDictionary, dictionary), text);
}
