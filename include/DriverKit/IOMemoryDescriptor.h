/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory that has a length and can be mapped: a buffer of the driver's (IOBufferMemoryDescriptor), or an application's
 * structure argument of more than 4096 bytes, which ExternalMethod gets as a descriptor.
 *
 * A structure input maps read-only and is a snapshot taken at the first mapping, which fails with kIOReturnError when more than
 * 1 GiB of it is in use (pages that hold something besides zeros). A structure output maps writable; stores reach
 * the application's buffer when the call returns, and only until then.
 *
 * Contract: memory-and-queues 2.4 to 2.6 (M10 to M38), 4.2; call-path 3.4.
 */
#include <DriverKit/IOMemoryMap.h>

#ifdef __cplusplus
extern "C" {
#endif

struct IOMemoryDescriptor_ivars;
typedef struct IOMemoryDescriptor {
        OSObject object;
        struct IOMemoryDescriptor_ivars *ivars;
} IOMemoryDescriptor;

extern const OSMetaClass gIOMemoryDescriptorMetaClass;

/* Bytes. Returns 0. Any thread. */
kern_return_t IOMemoryDescriptor_GetLength(IOMemoryDescriptor *self, uint64_t *length);

/*
 * Maps [offset, offset + length) into this process. length 0: the whole descriptor's length (so it goes with offset 0 only).
 *
 * options: kIOMemoryMapFixedAddress (exactly at `address`, which must be free and have the source's offset inside the page;
 * else address is ignored), a guard kind, a cache mode, kIOMemoryMapReadOnly (ignored on a buffer of this process, whose owner
 * always gets a writable view). alignment is ignored. A mapping of this process that already covers the range in the same way
 * is given out again.
 *
 * 0: *map has one reference. kIOReturnError: the range is not inside the descriptor, or mapping failed. kIOReturnBadArgument:
 * unknown cache mode. On failure *map is not written. Any thread.
 */
kern_return_t IOMemoryDescriptor_CreateMapping(IOMemoryDescriptor *self, uint64_t options, uint64_t address, uint64_t offset,
                                               uint64_t length, uint64_t alignment, IOMemoryMap **map);

/*
 * The same from offset 0 with a mapping that belongs to the descriptor: it lasts until the descriptor is freed. The same
 * arguments give the same address again. *outAddress, *outLength: address and bytes.
 */
kern_return_t IOMemoryDescriptor_Map(IOMemoryDescriptor *self, uint64_t options, uint64_t address, uint64_t length,
                                     uint64_t alignment, uint64_t *outAddress, uint64_t *outLength);

#ifdef __cplusplus
}
#endif
