/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Data: bytes that can grow at the end. OSContainer.h says what holds for every function. Contract: memory-and-queues 12.2.
 */
#include <DriverKit/OSContainer.h>

#if defined(__IIG)
#include <DriverKit/OSData.iig>
#elif defined(__cplusplus)
#include <DriverKit/OSData.iig.h>
#else
extern const OSMetaClass gOSDataMetaClass;

OSData *OSData_withCapacity(uint32_t capacity);                         /* empty, with room for that many bytes */
OSData *OSData_withBytes(const void *bytes, size_t length);             /* copies; NULL bytes only with length 0 */
/* Keeps the pointer: the bytes must live as long as the data, and are not freed with it. It cannot grow. */
OSData *OSData_withBytesNoCopy(void *bytes, size_t length);
OSData *OSData_withData(const OSData *data);                            /* a copy */
OSData *OSData_withData_range(const OSData *data, size_t start, size_t length); /* of a part; NULL if it is not inside */

size_t OSData_getLength(const OSData *self);
size_t OSData_getCapacity(const OSData *self);                        /* bytes it can have without a new allocation */
/* The bytes, until the data changes; NULL when there are none, or the range is empty or not inside. */
const void *OSData_getBytesNoCopy(const OSData *self);
const void *OSData_getBytesNoCopy_range(const OSData *self, size_t start, size_t length);

/* Behind the others; they may be the data's own. */
bool OSData_appendBytes(OSData *self, const void *bytes, size_t length);
bool OSData_appendBytes_data(OSData *self, const OSData *other);

/* By length and bytes. NULL is equal to nothing. */
bool OSData_isEqualTo(const OSData *self, const void *object);          /* an OSData */
bool OSData_isEqualTo_bytes(const OSData *self, const void *bytes, size_t length);
bool OSData_isEqualTo_string(const OSData *self, const OSString *string); /* as OSString_isEqualTo_data */
#endif
