/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Strings: bytes without a NUL inside, NUL-terminated, immutable; any thread. OSSymbol is another name for them. OSContainer.h
 * says what holds for every function. Contract: memory-and-queues 12.1.
 */
#include <DriverKit/OSContainer.h>

#if defined(__IIG)
#include <DriverKit/OSString.iig>
#elif defined(__cplusplus)
#include <DriverKit/OSString.iig.h>
#else
extern const OSMetaClass gOSStringMetaClass;
#define gOSSymbolMetaClass gOSStringMetaClass

OSString *OSString_withCString(const char *cString);                            /* copies it */
OSString *OSString_withCString_length(const char *cString, size_t length);      /* at most `length` bytes, up to a NUL */
/* Keeps the pointer: the characters must live, unchanged, as long as the string. */
OSString *OSString_withCStringNoCopy(const char *cString);
OSString *OSString_withString(const OSString *string);

size_t OSString_getLength(const OSString *self);                      /* bytes, without the NUL */
const char *OSString_getCStringNoCopy(const OSString *self);            /* valid as long as the string; "" for NULL */

/* By bytes. NULL is equal to nothing. */
bool OSString_isEqualTo(const OSString *self, const void *object);      /* an OSString with the same bytes */
bool OSString_isEqualTo_cString(const OSString *self, const char *cString);
bool OSString_isEqualTo_data(const OSString *self, const OSData *data); /* the same bytes, with a NUL behind them or without */
#endif
