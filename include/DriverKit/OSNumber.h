/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Numbers: 8, 16, 32 or 64 bits, unsigned, immutable; any thread. OSContainer.h says what holds for every function. Contract:
 * memory-and-queues 12.3.
 */
#include <DriverKit/OSContainer.h>

#if defined(__IIG)
#include <DriverKit/OSNumber.iig>
#elif defined(__cplusplus)
#include <DriverKit/OSNumber.iig.h>
#else
extern const OSMetaClass gOSNumberMetaClass;

/* The value is cut to its width. NULL also: another width. */
OSNumber *OSNumber_withNumber(uint64_t value, size_t numberOfBits);
/*
 * The number that the text is: decimal, 0x.. or 0.. (octal), a sign allowed (two's complement). NULL also: other characters,
 * none, or more than 64 bits.
 */
OSNumber *OSNumber_withNumber_cString(const char *value, size_t numberOfBits);

/* NULL: 0 */
uint32_t OSNumber_numberOfBits(const OSNumber *self);
uint32_t OSNumber_numberOfBytes(const OSNumber *self);
uint8_t OSNumber_unsigned8BitValue(const OSNumber *self);       /* the lowest 8 bits, and so on */
uint16_t OSNumber_unsigned16BitValue(const OSNumber *self);
uint32_t OSNumber_unsigned32BitValue(const OSNumber *self);
uint64_t OSNumber_unsigned64BitValue(const OSNumber *self);

/* By value, whatever the widths; NULL is equal to nothing. */
bool OSNumber_isEqualTo(const OSNumber *self, const void *object);
#endif
