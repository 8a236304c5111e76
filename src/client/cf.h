/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the CF faces share. Floating point numbers are the one CF value that is no property value: they exist in the app only,
 * and the wire refuses them.
 *
 * What CFSTR() makes is no object: AMB_CFSTR_MARK, then the text, a string literal of the program, so that it can initialise what
 * is static. No object begins so: its first word is a pointer or 0, and in the mark each byte of one is set. Whatever comes from a
 * program therefore goes through AS(), which puts the object of this text (one for each text, for ever) in its place, or is asked
 * whether it is such a constant. Any thread.
 */
#include <string.h>

#include <CoreFoundation/CFError.h>
#include <CoreFoundation/CFString.h>
#include <DriverKit/OSObject.h>

/* The text of a constant; NULL: it is an object, or NULL. */
static inline const char *amb_cf_literal(const void *value)
{
        const size_t mark = sizeof(AMB_CFSTR_MARK) - 1;

        return value && memcmp(value, AMB_CFSTR_MARK, mark) == 0 ? (const char *)value + mark : NULL;
}

/* The object that a value is; NULL for NULL, and where there is no memory for a constant's first use. */
static inline const void *amb_cf_object(const void *value)
{
        const char *literal = amb_cf_literal(value);

        return literal ? __CFStringMakeConstantString(literal) : value;
}

#define AS(Class, value) ((Class *)(uintptr_t)amb_cf_object(value))

extern const OSMetaClass amb_float_class;
double amb_float_value(const void *number);
/* A UUID and a date as text, in memory of malloc; NULL: no memory. */
char *amb_uuid_text(const void *uuid);
char *amb_date_text(const void *date);
/* Where the caller wants one, *ret becomes an error with this sentence; NULL without memory. */
void amb_cf_error(CFErrorRef *ret, CFIndex code, const char *why);
