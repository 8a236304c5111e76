/* SPDX-License-Identifier: Apache-2.0 */
/* CFDate: a point in time. Immutable. */
#include <time.h>

#include <CoreFoundation/CoreFoundation.h>

#include "base/base.h"
#include "client/cf.h"

const CFTimeInterval kCFAbsoluteTimeIntervalSince1970 = 978307200.0;
const CFTimeInterval kCFAbsoluteTimeIntervalSince1904 = 3061152000.0;

struct __CFDate {
        OSObject object;
        CFAbsoluteTime at;
};

static bool date_is_equal(const OSObject *one, const OSObject *other);

static const struct amb_method date_methods[] = { AMB_OVERRIDE(OSObject, isEqualTo, date_is_equal), AMB_METHODS_END };
static const OSMetaClass date_class = { "CFDate", &gOSObjectMetaClass, sizeof(struct __CFDate), date_methods, NULL };

static bool date_is_equal(const OSObject *one, const OSObject *other)
{
        return OSObject_getMetaClass(other) == &date_class &&
               ((const struct __CFDate *)one)->at == ((const struct __CFDate *)other)->at;
}

CFTypeID CFDateGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&date_class;
}

CFDateRef CFDateCreate(CFAllocatorRef allocator, CFAbsoluteTime at)
{
        struct __CFDate *date = (struct __CFDate *)amb_object_new(&date_class);

        (void)allocator;
        if (date)
                date->at = at;
        return date;
}

CFAbsoluteTime CFDateGetAbsoluteTime(CFDateRef date)
{
        return date->at;
}

CFTimeInterval CFDateGetTimeIntervalSinceDate(CFDateRef date, CFDateRef other)
{
        return date->at - other->at;
}

CFComparisonResult CFDateCompare(CFDateRef date, CFDateRef other, void *context)
{
        (void)context;
        return date->at < other->at ? kCFCompareLessThan : date->at > other->at ? kCFCompareGreaterThan : kCFCompareEqualTo;
}

/* "2001-01-01 00:00:00 +0000" */
char *amb_date_text(const void *date)
{
        time_t seconds = (time_t)(((const struct __CFDate *)date)->at + kCFAbsoluteTimeIntervalSince1970);
        struct tm parts = { 0 };
        char text[64] = "";

        if (gmtime_r(&seconds, &parts))
                strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S +0000", &parts);
        return strdup(text);
}
