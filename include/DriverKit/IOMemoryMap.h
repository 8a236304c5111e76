/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A mapping of a memory descriptor in this process (IOMemoryDescriptor_CreateMapping). It lasts as long as the object: the last
 * release unmaps; only where the memory is an application's, the address may stay readable until the descriptor is freed. It
 * retains the memory, so the descriptor may be released before. Any thread; the calls cannot fail.
 *
 * Contract: memory-and-queues 2.4, 2.6 (M16, M17, M18, M22, M27).
 */
#include <DriverKit/IOTypes.h>
#include <DriverKit/OSObject.h>

AMB_CLASS(IOMemoryMap);

#if defined(__IIG)
#include <DriverKit/IOMemoryMap.iig>
#elif defined(__cplusplus)
#include <DriverKit/IOMemoryMap.iig.h>
#else
struct IOMemoryMap_ivars;
struct IOMemoryMap {
        OSObject object;
        struct IOMemoryMap_ivars *ivars;
};

extern const OSMetaClass gIOMemoryMapMetaClass;

/* Of the first byte asked for; the offset inside the page is the source's. Valid as long as the object. */
uint64_t IOMemoryMap_GetAddress(IOMemoryMap *self);
uint64_t IOMemoryMap_GetLength(IOMemoryMap *self);      /* bytes asked for, not rounded to pages */
uint64_t IOMemoryMap_GetOffset(IOMemoryMap *self);      /* bytes from the start of the descriptor to the first byte */
#endif
