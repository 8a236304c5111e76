/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include <CoreFoundation/CoreFoundation.h>
#include <DriverKit/OSCollections.h>

#include "base/base.h"
#include "client/cf.h"

struct amb_float {
        OSObject object;
        double value;
};

static const struct amb_method float_methods[] = { AMB_METHODS_END };
const OSMetaClass amb_float_class = { "CFNumber", &gOSObjectMetaClass, sizeof(struct amb_float), float_methods, NULL };

double amb_float_value(const void *number)
{
        return AS(struct amb_float, number)->value;
}

CFTypeID CFBooleanGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&gOSBooleanMetaClass;
}

Boolean CFBooleanGetValue(CFBooleanRef boolean)
{
        return AS(OSBoolean, boolean) == kOSBooleanTrue;
}

CFTypeID CFNumberGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&gOSNumberMetaClass;
}

/* Width in bytes and whether it is an integer; 0: unknown type. */
static size_t type_width(CFNumberType type, bool *ret_integer)
{
        *ret_integer = true;
        switch (type) {
        case kCFNumberSInt8Type:
        case kCFNumberCharType:
                return 1;
        case kCFNumberSInt16Type:
        case kCFNumberShortType:
                return 2;
        case kCFNumberSInt32Type:
        case kCFNumberIntType:
                return 4;
        case kCFNumberLongType:
        case kCFNumberCFIndexType:
                return sizeof(long);
        case kCFNumberSInt64Type:
        case kCFNumberLongLongType:
                return 8;
        case kCFNumberFloat32Type:
        case kCFNumberFloatType:
                *ret_integer = false;
                return 4;
        case kCFNumberFloat64Type:
        case kCFNumberDoubleType:
                *ret_integer = false;
                return 8;
        default:
                return 0;
        }
}

static int64_t read_integer(const void *value, size_t width)
{
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;

        switch (width) {
        case 1:
                memcpy(&i8, value, 1);
                return i8;
        case 2:
                memcpy(&i16, value, 2);
                return i16;
        case 4:
                memcpy(&i32, value, 4);
                return i32;
        default:
                memcpy(&i64, value, 8);
                return i64;
        }
}

/* Signed numbers need 32 bits at least: those of 8 and 16 bits are a driver's, and unsigned. */
CFNumberRef CFNumberCreate(CFAllocatorRef allocator, CFNumberType type, const void *value)
{
        struct amb_float *number;
        bool integer;
        size_t width = type_width(type, &integer);
        float f;

        (void)allocator;
        if (width == 0 || !value)
                return NULL;
        if (integer)
                return (CFNumberRef)OSNumberCreate((uint64_t)read_integer(value, width), width < 4 ? 32 : width * 8);
        number = (struct amb_float *)amb_object_new(&amb_float_class);
        if (!number)
                return NULL;
        if (width == 4) {
                memcpy(&f, value, sizeof(f));
                number->value = f;
        } else {
                memcpy(&number->value, value, sizeof(number->value));
        }
        return (CFNumberRef)number;
}

Boolean CFNumberIsFloatType(CFNumberRef number)
{
        return OSObject_getMetaClass(AS(OSObject, number)) == &amb_float_class;
}

static int64_t integer_of(CFNumberRef number)
{
        uint64_t value = OSNumberGetUInt64Value(AS(OSNumber, number));

        return OSNumberGetBits(AS(OSNumber, number)) == 32 ? (int32_t)value : (int64_t)value;
}

static double float_of(CFNumberRef number)
{
        return CFNumberIsFloatType(number) ? amb_float_value(number) : (double)integer_of(number);
}

/* The integer nearest to zero's side, held within 64 bits; *ret_exact false when something was lost. */
static int64_t float_to_integer(double value, bool *ret_exact)
{
        *ret_exact = false;
        if (isnan(value))
                return 0;
        if (value >= 0x1p63)
                return INT64_MAX;
        if (value < -0x1p63)
                return INT64_MIN;
        *ret_exact = trunc(value) == value;
        return (int64_t)value;
}

static Boolean write_integer(int64_t integer, size_t width, void *value)
{
        int8_t i8 = (int8_t)integer;
        int16_t i16 = (int16_t)integer;
        int32_t i32 = (int32_t)integer;

        switch (width) {
        case 1:
                memcpy(value, &i8, 1);
                return i8 == integer;
        case 2:
                memcpy(value, &i16, 2);
                return i16 == integer;
        case 4:
                memcpy(value, &i32, 4);
                return i32 == integer;
        default:
                memcpy(value, &integer, 8);
                return true;
        }
}

static Boolean write_float(double number, size_t width, void *value)
{
        float f = (float)number;

        if (width == 4)
                memcpy(value, &f, sizeof(f));
        else
                memcpy(value, &number, sizeof(number));
        return width == 8 || (double)f == number || isnan(number);
}

Boolean CFNumberGetValue(CFNumberRef number, CFNumberType type, void *value)
{
        bool integer, exact = true;
        size_t width = type_width(type, &integer);
        int64_t whole;

        if (width == 0 || !number)
                return false;
        if (!integer)
                return write_float(float_of(number), width, value);
        whole = CFNumberIsFloatType(number) ? float_to_integer(amb_float_value(number), &exact) : integer_of(number);
        return write_integer(whole, width, value) && exact;
}

CFComparisonResult CFNumberCompare(CFNumberRef one, CFNumberRef other, void *context)
{
        (void)context;
        if (!CFNumberIsFloatType(one) && !CFNumberIsFloatType(other)) {
                int64_t a = integer_of(one), b = integer_of(other);

                return a < b ? kCFCompareLessThan : a > b ? kCFCompareGreaterThan : kCFCompareEqualTo;
        } else {
                double a = float_of(one), b = float_of(other);

                return a < b ? kCFCompareLessThan : a > b ? kCFCompareGreaterThan : kCFCompareEqualTo;
        }
}
