/* SPDX-License-Identifier: Apache-2.0 */
/* What CF's containers and data can do beside what cf.c has: copies, sorting, sets, bytes that are not copied. */
#include <CoreFoundation/CoreFoundation.h>

#include "base/base.h"
#include "client/cf-text.h"
#include "client/cf.h"
#include "object/value.h"

/* --- arrays --- */

CFMutableArrayRef CFArrayCreateMutableCopy(CFAllocatorRef allocator, CFIndex capacity, CFArrayRef array)
{
        CFMutableArrayRef copy = CFArrayCreateMutable(allocator, capacity, NULL);

        for (CFIndex i = 0; copy && i < CFArrayGetCount(array); i++)
                if (!OSArrayAppendValue(AS(OSArray, copy), OSArrayGetValue(AS(OSArray, array), (size_t)i))) {
                        CFRelease(copy);
                        copy = NULL;
                }
        return copy;
}

CFArrayRef CFArrayCreateCopy(CFAllocatorRef allocator, CFArrayRef array)
{
        return CFArrayCreateMutableCopy(allocator, 0, array);
}

/* The part of a range that is there. */
static void clip(CFArrayRef array, CFRange range, CFIndex *ret_first, CFIndex *ret_end)
{
        CFIndex count = CFArrayGetCount(array), first = range.location < 0 ? 0 : range.location;

        *ret_first = first < count ? first : count;
        *ret_end = range.length < 0 ? *ret_first : range.length < count - *ret_first ? *ret_first + range.length : count;
}

void CFArrayAppendArray(CFMutableArrayRef array, CFArrayRef other, CFRange range)
{
        CFIndex i, end;

        for (clip(other, range, &i, &end); i < end; i++)
                CFArrayAppendValue(array, CFArrayGetValueAtIndex(other, i));
}

void CFArrayGetValues(CFArrayRef array, CFRange range, const void **values)
{
        CFIndex i, end;

        for (clip(array, range, &i, &end); i < end; i++)
                *values++ = CFArrayGetValueAtIndex(array, i);
}

CFIndex CFArrayGetFirstIndexOfValue(CFArrayRef array, CFRange range, const void *value)
{
        CFIndex i, end;

        for (clip(array, range, &i, &end); i < end; i++)
                if (CFEqual(CFArrayGetValueAtIndex(array, i), value))
                        return i;
        return kCFNotFound;
}

void CFArrayRemoveAllValues(CFMutableArrayRef array)
{
        OSArray_flushCollection(AS(OSArray, array));
}

/* Merges two sorted halves; equal ones keep their order. */
static void sort(OSObject **members, OSObject **room, size_t count, CFComparatorFunction compare, void *context)
{
        size_t half = count / 2, a = 0, b = half;

        if (count < 2)
                return;
        sort(members, room, half, compare, context);
        sort(members + half, room, count - half, compare, context);
        for (size_t i = 0; i < count; i++) {
                bool left = b == count || (a < half && compare(members[a], members[b], context) != kCFCompareGreaterThan);

                room[i] = left ? members[a++] : members[b++];
        }
        memcpy(members, room, count * sizeof(*members));
}

void CFArraySortValues(CFMutableArrayRef array, CFRange range, CFComparatorFunction compare, void *context)
{
        OSObject **members = AS(OSArray, array)->members;
        AMB_FREE OSObject **room = NULL;
        CFIndex first, end;

        clip(array, range, &first, &end);
        room = calloc((size_t)(end - first) + 1, sizeof(OSObject *));
        if (room)
                sort(members + first, room, (size_t)(end - first), compare, context);
}

/* --- dictionaries --- */

void CFDictionaryRemoveAllValues(CFMutableDictionaryRef dictionary)
{
        OSDictionary_flushCollection(AS(OSDictionary, dictionary));
}

/* --- sets --- */

CFTypeID CFSetGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&gOSSetMetaClass;
}

CFMutableSetRef CFSetCreateMutable(CFAllocatorRef allocator, CFIndex capacity, const CFSetCallBacks *callbacks)
{
        (void)allocator;
        (void)capacity;
        (void)callbacks;
        return (CFMutableSetRef)amb_array_new(&gOSSetMetaClass, 0, 0);
}

CFIndex CFSetGetCount(CFSetRef set)
{
        return set ? (CFIndex)AS(OSSet, set)->array.count : 0;
}

const void *CFSetGetValue(CFSetRef set, const void *value)
{
        for (size_t i = 0; i < AS(OSSet, set)->array.count; i++)
                if (CFEqual(AS(OSSet, set)->array.members[i], value))
                        return AS(OSSet, set)->array.members[i];
        return NULL;
}

Boolean CFSetContainsValue(CFSetRef set, const void *value)
{
        return CFSetGetValue(set, value) != NULL;
}

void CFSetGetValues(CFSetRef set, const void **values)
{
        for (size_t i = 0; i < AS(OSSet, set)->array.count; i++)
                values[i] = AS(OSSet, set)->array.members[i];
}

void CFSetApplyFunction(CFSetRef set, CFSetApplierFunction applier, void *context)
{
        for (size_t i = 0; i < AS(OSSet, set)->array.count; i++)
                applier(AS(OSSet, set)->array.members[i], context);
}

void CFSetAddValue(CFMutableSetRef set, const void *value)
{
        if (value && !CFSetContainsValue(set, value))
                OSSet_setObject(AS(OSSet, set), AS(OSObject, value));
}

void CFSetRemoveValue(CFMutableSetRef set, const void *value)
{
        const void *member = CFSetGetValue(set, value);

        if (member)
                OSSet_removeObject(AS(OSSet, set), member);
}

/* --- data --- */

/* With an allocator that frees, the bytes are copied and freed: nobody can tell. */
CFDataRef CFDataCreateWithBytesNoCopy(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex length, CFAllocatorRef deallocator)
{
        CFDataRef data;

        if (deallocator == kCFAllocatorNull && length > 0)
                return bytes ? (CFDataRef)OSData_withBytesNoCopy((void *)(uintptr_t)bytes, (size_t)length) : NULL;
        data = CFDataCreate(allocator, bytes, length);
        if (data && deallocator != kCFAllocatorNull)
                free((void *)(uintptr_t)bytes);
        return data;
}

CFMutableDataRef CFDataCreateMutableCopy(CFAllocatorRef allocator, CFIndex capacity, CFDataRef data)
{
        (void)capacity;
        return (CFMutableDataRef)(uintptr_t)CFDataCreateCopy(allocator, data);
}

UInt8 *CFDataGetMutableBytePtr(CFMutableDataRef data)
{
        return (UInt8 *)(uintptr_t)CFDataGetBytePtr(data);
}

void CFDataSetLength(CFMutableDataRef data, CFIndex length)
{
        OSData *d = AS(OSData, data);

        if (length < 0)
                return;
        if ((size_t)length < d->length)
                d->length = (size_t)length;
        else
                (void)OSDataAppendBytes(d, NULL, (size_t)length - d->length);
}

void CFDataIncreaseLength(CFMutableDataRef data, CFIndex more)
{
        if (more > 0)
                (void)OSDataAppendBytes(AS(OSData, data), NULL, (size_t)more);
}

void CFDataReplaceBytes(CFMutableDataRef data, CFRange range, const UInt8 *bytes, CFIndex length)
{
        OSData *d = AS(OSData, data);
        size_t at = (size_t)range.location, gone = (size_t)range.length, behind;
        AMB_FREE UInt8 *own = NULL;

        if (range.location < 0 || range.length < 0 || length < 0 || at > d->length || gone > d->length - at)
                return;
        behind = d->length - at - gone;
        own = malloc((size_t)length + behind + 1);
        if (!own)
                return;
        if (length > 0)
                memcpy(own, bytes, (size_t)length);
        if (behind > 0)
                memcpy(own + length, d->bytes + at + gone, behind);
        if ((size_t)length > gone && !OSDataAppendBytes(d, NULL, (size_t)length - gone))
                return;
        if ((size_t)length + behind > 0)
                memcpy(d->bytes + at, own, (size_t)length + behind);
        d->length = at + (size_t)length + behind;
}

void CFDataDeleteBytes(CFMutableDataRef data, CFRange range)
{
        CFDataReplaceBytes(data, range, NULL, 0);
}
