/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A zeroed buffer of the driver's own, which it can give to an application (IOUserClient's CopyClientMemoryForType). The process
 * that made it always maps it writable, whatever its direction.
 *
 * Contract: memory-and-queues 2.2, 2.3 (M1 to M17), 3.2.
 */
#include <DriverKit/IOMemoryDescriptor.h>

AMB_CLASS(IOBufferMemoryDescriptor);

#if defined(__IIG)
#include <DriverKit/IOBufferMemoryDescriptor.iig>
#elif defined(__cplusplus)
#include <DriverKit/IOBufferMemoryDescriptor.iig.h>
#else
struct IOBufferMemoryDescriptor {
        IOMemoryDescriptor descriptor;
};

extern const OSMetaClass gIOBufferMemoryDescriptorMetaClass;

/*
 * options: a kIOMemoryDirection, without effect on this process's mappings of the buffer and on an application's. capacity:
 * bytes; storage is whole pages, the length starts as capacity. alignment: bytes; at least a page is given, at most 2 MiB is
 * honoured, for GetAddressRange; other mappings start pages.
 * 0: *memory has one reference. kIOReturnBadArgument: other bits in options, NULL. kIOReturnNoMemory: capacity 0 or too large
 * (above 1 GiB in a host that ambidextd has started). On failure *memory is not written. Any thread.
 */
kern_return_t IOBufferMemoryDescriptor_Create(uint64_t options, uint64_t capacity, uint64_t alignment,
                                              IOBufferMemoryDescriptor **memory);

/*
 * The buffer in this process: writable, the same address each time, valid as long as the descriptor. range->length: the current
 * length. 0; kIOReturnBadArgument: NULL range, or no buffer; kIOReturnNoMemory. Never unmap it. Any thread.
 */
kern_return_t IOBufferMemoryDescriptor_GetAddressRange(IOBufferMemoryDescriptor *self, IOAddressSegment *range);

/*
 * Sets what GetLength reports and what later mappings cover, in bytes; 0 is legal, but nothing can be mapped then. Above the
 * capacity: ignored. Returns 0. Existing mappings stay as they are, and so do descriptors that were made of this one. Any thread.
 */
kern_return_t IOBufferMemoryDescriptor_SetLength(IOBufferMemoryDescriptor *self, uint64_t length);

/* Inherited from IOMemoryDescriptor, in the class's own spelling. */
#define IOBufferMemoryDescriptor_CreateSubMemoryDescriptor IOMemoryDescriptor_CreateSubMemoryDescriptor
#define IOBufferMemoryDescriptor_CreateWithMemoryDescriptors IOMemoryDescriptor_CreateWithMemoryDescriptors
#endif
