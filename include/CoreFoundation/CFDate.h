/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Points in time: seconds since 1 January 2001, 0:00 UTC, as a number and as an immutable object. Any thread. A date cannot be a
 * registry property, nor in a property list. Contract: real-code 3 'CoreFoundation functions'.
 */
#include <CoreFoundation/CFBase.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef double CFTimeInterval;                                  /* seconds */
typedef double CFAbsoluteTime;                                  /* seconds since 1 January 2001, 0:00 UTC */
typedef const struct __CFDate *CFDateRef;

CF_EXPORT const CFTimeInterval kCFAbsoluteTimeIntervalSince1970;        /* what time() counts is that much more */
CF_EXPORT const CFTimeInterval kCFAbsoluteTimeIntervalSince1904;

CFAbsoluteTime CFAbsoluteTimeGetCurrent(void);                  /* CLOCK_REALTIME; any thread */

CFTypeID CFDateGetTypeID(void);
CFDateRef CFDateCreate(CFAllocatorRef allocator, CFAbsoluteTime at);    /* one reference for the caller; NULL: no memory */
CFAbsoluteTime CFDateGetAbsoluteTime(CFDateRef date);
CFTimeInterval CFDateGetTimeIntervalSinceDate(CFDateRef date, CFDateRef other);         /* positive: date is the later one */
/* The earlier one is less. context is ignored. */
CFComparisonResult CFDateCompare(CFDateRef date, CFDateRef other, void *context);

#ifdef __cplusplus
}
#endif
