/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A zeroed buffer of the driver's own, which it can give to an application (IOUserClient's CopyClientMemoryForType).
 *
 * Contract: memory-and-queues 2.2, 2.3 (M1 to M17), 3.2.
 */
#include <DriverKit/IOMemoryDescriptor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct IOBufferMemoryDescriptor {
        IOMemoryDescriptor descriptor;
} IOBufferMemoryDescriptor;

extern const OSMetaClass gIOBufferMemoryDescriptorMetaClass;

/*
 * options: a kIOMemoryDirection. capacity: bytes; storage is whole pages, the length starts as capacity. alignment: bytes; at
 * least a page is given, at most 2 MiB is honoured.
 * 0: *memory has one reference. kIOReturnBadArgument: other bits in options. kIOReturnNoMemory: capacity 0 or too large. On
 * failure *memory is not written. Any thread.
 */
kern_return_t IOBufferMemoryDescriptor_Create(uint64_t options, uint64_t capacity, uint64_t alignment,
                                              IOBufferMemoryDescriptor **memory);

/*
 * The buffer in this process: writable, the same address each time, valid as long as the descriptor. range->length: the current
 * length. 0; kIOReturnBadArgument: NULL range; kIOReturnNoMemory. Never unmap it. Any thread.
 */
kern_return_t IOBufferMemoryDescriptor_GetAddressRange(IOBufferMemoryDescriptor *self, IOAddressSegment *range);

/*
 * Sets what GetLength reports and what later mappings cover, in bytes. Above the capacity: ignored. Returns 0. Existing
 * mappings stay. Any thread.
 */
kern_return_t IOBufferMemoryDescriptor_SetLength(IOBufferMemoryDescriptor *self, uint64_t length);

#ifdef __cplusplus
}
#endif
