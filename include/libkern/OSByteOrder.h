/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Byte order: OSSwapInt16 and its relatives turn a number round; OSSwapLittleToHostInt16 and its relatives only where the machine's
 * order is another. Pure functions of their argument. Contract: memory-and-queues 13.
 */
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline uint16_t OSSwapInt16(uint16_t number)
{
        return __builtin_bswap16(number);
}

static inline uint32_t OSSwapInt32(uint32_t number)
{
        return __builtin_bswap32(number);
}

static inline uint64_t OSSwapInt64(uint64_t number)
{
        return __builtin_bswap64(number);
}

/* The same by the names that <stdlib.h> brings on Darwin. */
#define _OSSwapInt16(number) OSSwapInt16(number)
#define _OSSwapInt32(number) OSSwapInt32(number)
#define _OSSwapInt64(number) OSSwapInt64(number)

/* Constant where the argument is. */
#define OSSwapConstInt16(number) __builtin_bswap16(number)
#define OSSwapConstInt32(number) __builtin_bswap32(number)
#define OSSwapConstInt64(number) __builtin_bswap64(number)

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OSSwapLittleToHostInt16(number) ((uint16_t)(number))
#define OSSwapLittleToHostInt32(number) ((uint32_t)(number))
#define OSSwapLittleToHostInt64(number) ((uint64_t)(number))
#define OSSwapBigToHostInt16(number) OSSwapInt16(number)
#define OSSwapBigToHostInt32(number) OSSwapInt32(number)
#define OSSwapBigToHostInt64(number) OSSwapInt64(number)
#else
#define OSSwapLittleToHostInt16(number) OSSwapInt16(number)
#define OSSwapLittleToHostInt32(number) OSSwapInt32(number)
#define OSSwapLittleToHostInt64(number) OSSwapInt64(number)
#define OSSwapBigToHostInt16(number) ((uint16_t)(number))
#define OSSwapBigToHostInt32(number) ((uint32_t)(number))
#define OSSwapBigToHostInt64(number) ((uint64_t)(number))
#endif
#define OSSwapHostToLittleInt16(number) OSSwapLittleToHostInt16(number)
#define OSSwapHostToLittleInt32(number) OSSwapLittleToHostInt32(number)
#define OSSwapHostToLittleInt64(number) OSSwapLittleToHostInt64(number)
#define OSSwapHostToBigInt16(number) OSSwapBigToHostInt16(number)
#define OSSwapHostToBigInt32(number) OSSwapBigToHostInt32(number)
#define OSSwapHostToBigInt64(number) OSSwapBigToHostInt64(number)

/*
 * Numbers of an order in memory that need not be aligned: OSReadLittleInt32(base, offset), OSWriteBigInt16(base, offset, number);
 * offset in bytes.
 */
#define AMB_MEMORY_ORDER(order, bits)                                                                                   \
        static inline uint##bits##_t OSRead##order##Int##bits(const volatile void *base, uintptr_t offset)              \
        {                                                                                                               \
                uint##bits##_t number;                                                                                  \
                                                                                                                        \
                __builtin_memcpy(&number, (const char *)base + offset, sizeof(number));                                 \
                return OSSwap##order##ToHostInt##bits(number);                                                          \
        }                                                                                                               \
        static inline void OSWrite##order##Int##bits(volatile void *base, uintptr_t offset, uint##bits##_t number)      \
        {                                                                                                               \
                number = OSSwapHostTo##order##Int##bits(number);                                                        \
                __builtin_memcpy((char *)base + offset, &number, sizeof(number));                                       \
        }
AMB_MEMORY_ORDER(Little, 16)
AMB_MEMORY_ORDER(Little, 32)
AMB_MEMORY_ORDER(Little, 64)
AMB_MEMORY_ORDER(Big, 16)
AMB_MEMORY_ORDER(Big, 32)
AMB_MEMORY_ORDER(Big, 64)

#ifdef __cplusplus
}
#endif
