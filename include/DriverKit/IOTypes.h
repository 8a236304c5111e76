/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Plain types and numbers of the driver API; any thread reads IOVMPageSize. Contract: memory-and-queues 1.1, 1.2, 1.4;
 * call-path 1.1.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <DriverKit/IOReturn.h>
#include <libkern/OSTypes.h>
/* Drivers that include <time.h> and any of these headers find Apple's clocks. */
#include <mach/mach_time.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t IOOptionBits;
typedef int32_t IOFixed;                        /* 16 bits before the point and 16 behind it */
typedef uint32_t IOVersion;
typedef uint32_t IOItemCount;
typedef uint32_t IOCacheMode;
typedef uint32_t IOByteCount32;
typedef uint64_t IOByteCount64;
typedef IOByteCount64 IOByteCount;
typedef uint64_t IOVirtualAddress;
typedef uint64_t IOLogicalAddress;
typedef uint64_t IOPhysicalAddress;
typedef uint32_t IOPhysicalAddress32;
typedef uint64_t IOPhysicalAddress64;
typedef uint64_t IOPhysicalLength;

/* A range of bytes: address and length in bytes. */
typedef struct IOAddressSegment {
        uint64_t address;
        uint64_t length;
} IOAddressSegment;

typedef struct IOVirtualAddressRange {
        uint64_t address;
        uint64_t length;
} IOVirtualAddressRange;

/* Direction of a memory descriptor, seen from the memory: In = data comes into it, Out = data is read out of it. */
#define kIOMemoryDirectionNone 0x0ull
#define kIOMemoryDirectionIn 0x1ull
#define kIOMemoryDirectionOut 0x2ull
#define kIOMemoryDirectionOutIn 0x3ull
#define kIOMemoryDirectionInOut 0x3ull

/* Of CreateMemoryDescriptorFromClient: the memory itself, not a snapshot. */
#define kIOMemoryDisableCopyOnWrite 0x10ull

/* Options of IOMemoryDescriptor_CreateMapping. */
#define kIOMemoryMapFixedAddress 0x1ull
#define kIOMemoryMapReadOnly 0x2ull
#define kIOMemoryMapGuardedMask 0x1cull
#define kIOMemoryMapGuardedDefault 0x0ull               /* one inaccessible page on each side */
#define kIOMemoryMapGuardedNone 0x4ull
#define kIOMemoryMapGuardedSmall 0x8ull                 /* one page on each side */
#define kIOMemoryMapGuardedLarge 0xcull                 /* 64 KiB on each side */
#define kIOMemoryMapCacheModeDefault 0x0ull             /* cache modes are accepted and make no difference on ordinary memory */
#define kIOMemoryMapCacheModeInhibit 0x100ull
#define kIOMemoryMapCacheModeCopyback 0x200ull
#define kIOMemoryMapCacheModeWriteThrough 0x400ull
#define kIOMemoryMapCacheModeRealTime 0x800ull

/* Bytes of a page of this machine. */
extern uint64_t IOVMPageSize;

#ifdef __cplusplus
}
#endif
