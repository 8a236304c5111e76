/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The types of IOKit's client interface, no calls. Contract: call-path 1.1, 1.2, memory-and-queues 1.3. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <CoreFoundation/CFBase.h>
#include <IOKit/IOReturn.h>
#include <mach/mach_types.h>

typedef uint32_t IOOptionBits;
typedef int32_t IOFixed;
typedef uint32_t IOVersion;
typedef uint32_t IOItemCount;
typedef uint32_t IOCacheMode;
typedef uint32_t IOByteCount32;
typedef uint64_t IOByteCount64;
typedef IOByteCount64 IOByteCount;
typedef mach_port_t io_object_t;

#define IO_OBJECT_NULL ((io_object_t)0)

typedef io_object_t io_enumerator_t;
typedef io_object_t io_registry_entry_t;
typedef io_object_t io_iterator_t;
typedef io_object_t io_service_t;
typedef io_object_t io_connect_t;
typedef io_object_t io_notification_t;
typedef io_object_t uext_object_t;

typedef char io_name_t[128];                    /* name or class, with its NUL */
typedef char io_string_t[512];                  /* path, with its NUL */
typedef char io_string_inband_t[4096];
typedef char io_struct_inband_t[4096];          /* the largest structure that travels inline, each direction */
typedef uint64_t io_user_scalar_t;
typedef uint64_t io_user_reference_t;
typedef uint64_t io_scalar_inband64_t[16];
typedef io_user_scalar_t io_scalar_inband_t[16];
typedef uint64_t io_async_ref64_t[8];
typedef io_user_reference_t io_async_ref_t[8];

/*
 * As *outputStructCnt of IOConnectCallMethod: the library allocates an output of the size that the driver chose (call-path
 * 2.6).
 */
#define kIOConnectMethodVarOutputSize (-3)

/* IOConnectMapMemory's options; all others are ignored (memory-and-queues 1.3). */
enum {
        kIODefaultMemoryType = 0,
        kIOMapAnywhere = 0x00000001,
        kIOMapCacheMask = 0x00000f00,
        kIOMapCacheShift = 8,
        kIOMapDefaultCache = 0x000,
        kIOMapInhibitCache = 0x100,
        kIOMapWriteThruCache = 0x200,
        kIOMapCopybackCache = 0x300,
        kIOMapWriteCombineCache = 0x400,
        kIOMapCopybackInnerCache = 0x500,
        kIOMapPostedWrite = 0x600,
        kIOMapRealTimeCache = 0x700,
        kIOMapPostedReordered = 0x800,
        kIOMapPostedCombinedReordered = 0x900,
        kIOMapUserOptionsMask = 0x00000fff,
        kIOMapReadOnly = 0x00001000,
        kIOMapStatic = 0x01000000,
        kIOMapReference = 0x02000000,
        kIOMapUnique = 0x04000000,
        kIOMapPrefault = 0x10000000,
        kIOMapOverwrite = 0x20000000
};
#define kIOMapGuardedSmall 0x40000000u
#define kIOMapGuardedLarge 0x80000000u

#ifndef kNilOptions
#define kNilOptions 0
#endif
