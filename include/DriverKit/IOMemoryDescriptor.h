/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory that has a length and can be mapped. There are
 *      buffers of the driver's own (IOBufferMemoryDescriptor),
 *      an application's structure arguments of more than 4096 bytes, which ExternalMethod gets as descriptors,
 *      any memory of an application's that the driver names (IOUserClient_CreateMemoryDescriptorFromClient),
 *      parts of other descriptors (CreateSubMemoryDescriptor) and several joined into one (CreateWithMemoryDescriptors).
 * All of them can be mapped, cut and joined; all but an application's memory can be given to applications
 * (IOUserClient's CopyClientMemoryForType).
 *
 * A structure input maps read-only and is a snapshot taken at the first mapping, or before; where the host must copy, the first
 * mapping fails with kIOReturnError beyond 1 GiB of copies for one connection. A structure output maps writable;
 * the application sees stores at once, also after the call, as long as the descriptor is held; in pages that the output does not
 * fill, and in memory that cannot be shared, when a call begins or returns (ambidext-memory(7)).
 *
 * A descriptor lives as long as somebody holds it, a mapping of it exists, or another descriptor was made of it. It keeps no
 * mapping, but those of IOMemoryDescriptor_Map.
 *
 * Contract: memory-and-queues 2.1, 2.4 to 2.8 (M10 to M52, M110, M111), 4.2; call-path 3.4.
 */
#include <DriverKit/IOMemoryMap.h>

AMB_CLASS(IOMemoryDescriptor);

#if defined(__IIG)
#include <DriverKit/IOMemoryDescriptor.iig>
#elif defined(__cplusplus)
#include <DriverKit/IOMemoryDescriptor.iig.h>
#else
struct IOMemoryDescriptor_ivars;
struct IOMemoryDescriptor {
        OSObject object;
        struct IOMemoryDescriptor_ivars *ivars;
};

extern const OSMetaClass gIOMemoryDescriptorMetaClass;

/* Bytes. Returns 0. Any thread. */
kern_return_t IOMemoryDescriptor_GetLength(IOMemoryDescriptor *self, uint64_t *length);

/*
 * Maps [offset, offset + length) into this process. length 0: the whole descriptor's length (so it goes with offset 0 only).
 *
 * options: kIOMemoryMapFixedAddress (exactly at `address`, which must be free and have the source's offset inside the page; no
 * guard pages; else address is ignored), a guard kind, a cache mode (without effect), kIOMemoryMapReadOnly. alignment is ignored.
 *
 * The mapping is read-only if the options say so or the descriptor's direction is exactly kIOMemoryDirectionOut; but a buffer, of
 * which this process is the owner, always maps writable, whatever it was made with. A part of a buffer and joined buffers have no
 * owner: for them the options and the direction count.
 *
 * A joined descriptor maps as one range. Where one piece ends and the next begins there must be a border of pages, in both;
 * else kIOReturnError. Only pieces inside the range count.
 *
 * A mapping of this process that already covers the range with the same rights and the same kind of guard pages is given out
 * again: the same range is the same object with one reference more; a part of it is a map of its own that keeps the bigger one.
 *
 * 0: *map has one reference. kIOReturnError: the range is not inside the descriptor's length, it may not be written as asked for,
 * an application's memory is not there, or mapping failed. kIOReturnBadArgument: unknown cache mode. On failure *map is not
 * written. Any thread. Where a piece is an application's memory the first mapping may wait for the application; others do not.
 */
kern_return_t IOMemoryDescriptor_CreateMapping(IOMemoryDescriptor *self, uint64_t options, uint64_t address, uint64_t offset,
                                               uint64_t length, uint64_t alignment, IOMemoryMap **map);

/*
 * The same from offset 0 with a mapping that belongs to the descriptor: it lasts until the descriptor is freed, and does not keep
 * it. The same arguments give the same address again. *outAddress, *outLength: address and bytes; not written on failure.
 */
kern_return_t IOMemoryDescriptor_Map(IOMemoryDescriptor *self, uint64_t options, uint64_t address, uint64_t length,
                                     uint64_t alignment, uint64_t *outAddress, uint64_t *outLength);

/*
 * A descriptor of [offset, offset + length) of another one. memoryDescriptorCreateOptions: a kIOMemoryDirection, for this
 * descriptor's own mappings (an application's memory becomes no more writable by it). length 0 is legal, but cannot be mapped.
 * Mappings cannot leave the range. Its length stays what it is, also when a buffer's SetLength changes that one's.
 *
 * 0: *memory has one reference, and keeps what it is made of. kIOReturnBadArgument: NULL, other bits in the options, a range that
 * is not inside the other's present length. kIOReturnNoMemory. On failure *memory is not written. Any thread.
 *
 * An application that is given such a descriptor gets a file descriptor of the *whole* buffer: its library maps the range only,
 * but the application can look at, and unless it is given read-only change, every byte of the buffer. What it must not see
 * belongs into another buffer.
 */
kern_return_t IOMemoryDescriptor_CreateSubMemoryDescriptor(uint64_t memoryDescriptorCreateOptions, uint64_t offset, uint64_t length,
                                                           IOMemoryDescriptor *ofDescriptor, IOMemoryDescriptor **memory);

/*
 * A descriptor of up to 32 others, end to end, joined ones among them; the same one may come several times. Its length is the sum
 * of their lengths now, and stays that. memoryDescriptorCreateOptions: as above.
 *
 * 0: *memory has one reference, and keeps what it is made of. kIOReturnOverrun: more than 32. kIOReturnBadArgument: none, a NULL
 * among them, something else than a memory descriptor, NULL, other bits in the options. kIOReturnNoMemory; also when it would
 * consist of more than 65536 pieces. On failure *memory is not written. Any thread.
 */
kern_return_t IOMemoryDescriptor_CreateWithMemoryDescriptors(uint64_t memoryDescriptorCreateOptions, uint32_t withDescriptorsCount,
                                                             IOMemoryDescriptor *const *withDescriptors,
                                                             IOMemoryDescriptor **memory);
#endif
