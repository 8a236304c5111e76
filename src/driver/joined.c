/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sub and multi descriptors: bytes of other descriptors, end to end. Contract: memory-and-queues 2.7, 2.8.
 *
 * What such a descriptor consists of is written down when it is made, as parts of buffers and of memory that has an origin: it
 * retains those, not the joined descriptors in between. So chains of any length cost nothing at a mapping and nothing when they are
 * freed.
 */
#include "driver/memory-private.h"

#define DESCRIPTORS_MOST 32u             /* that one call joins */
#define PARTS_MOST 65536u               /* more mappings than that no process may have */

/* Parts that are being collected. */
struct parts {
        struct amb_memory_part *list;
        uint32_t count;
};

/* Adds [offset, offset + length) of a descriptor; -E2BIG: too many parts. */
static int parts_add(struct parts *parts, IOMemoryDescriptor *memory, uint64_t offset, uint64_t length)
{
        AMB_FREE struct amb_memory_part *more = NULL;
        struct amb_memory_part *list;
        uint32_t count;
        int r;

        if (length == 0)
                return 0;
        r = amb_memory_range(memory, offset, length, &more, &count);
        if (r < 0)
                return r;
        if (count > PARTS_MOST - parts->count)
                return amb_trace(-E2BIG);
        list = reallocarray(parts->list, parts->count + count, sizeof(*list));
        if (!list)
                return amb_trace(-ENOMEM);
        parts->list = list;
        for (uint32_t i = 0; i < count; i++) {
                OSObject_retain(more[i].whose);
                list[parts->count++] = more[i];
        }
        return 0;
}

static void parts_clear(struct parts *parts)
{
        for (uint32_t i = 0; i < parts->count; i++)
                OSObject_release(parts->list[i].whose);
        free(parts->list);
        *parts = (struct parts){ 0 };
}

/* Takes the parts over, also on failure. */
static kern_return_t join(struct parts *parts, uint64_t direction, uint64_t length, IOMemoryDescriptor **ret)
{
        IOMemoryDescriptor *created = amb_memory_new(OSTypeID(IOMemoryDescriptor), AMB_MEMORY_JOINED, direction, length);

        if (!created) {
                parts_clear(parts);
                return kIOReturnNoMemory;
        }
        created->ivars->parts = parts->list;
        created->ivars->part_count = parts->count;
        *ret = created;
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOMemoryDescriptor_CreateSubMemoryDescriptor(uint64_t memoryDescriptorCreateOptions, uint64_t offset,
                                                                      uint64_t length, IOMemoryDescriptor *ofDescriptor,
                                                                      IOMemoryDescriptor **memory)
{
        struct parts parts = { 0 };
        uint64_t whole, end;

        if (!ofDescriptor || !memory || (memoryDescriptorCreateOptions & ~kIOMemoryDirectionInOut))
                return kIOReturnBadArgument;
        IOMemoryDescriptor_GetLength(ofDescriptor, &whole);
        if (__builtin_add_overflow(offset, length, &end) || end > whole)
                return kIOReturnBadArgument;
        if (parts_add(&parts, ofDescriptor, offset, length) < 0) {
                parts_clear(&parts);
                return kIOReturnNoMemory;
        }
        return join(&parts, memoryDescriptorCreateOptions, length, memory);
}

AMB_EXPORT kern_return_t IOMemoryDescriptor_CreateWithMemoryDescriptors(uint64_t memoryDescriptorCreateOptions,
                                                                        uint32_t withDescriptorsCount,
                                                                        IOMemoryDescriptor *const *withDescriptors,
                                                                        IOMemoryDescriptor **memory)
{
        struct parts parts = { 0 };
        uint64_t length, sum = 0;

        if (withDescriptorsCount > DESCRIPTORS_MOST)
                return kIOReturnOverrun;
        if (!withDescriptors || withDescriptorsCount == 0 || !memory || (memoryDescriptorCreateOptions & ~kIOMemoryDirectionInOut))
                return kIOReturnBadArgument;
        for (uint32_t i = 0; i < withDescriptorsCount; i++)
                if (!amb_object_cast(withDescriptors[i], OSTypeID(IOMemoryDescriptor)))
                        return kIOReturnBadArgument;
        for (uint32_t i = 0; i < withDescriptorsCount; i++) {
                IOMemoryDescriptor_GetLength(withDescriptors[i], &length);
                if (__builtin_add_overflow(sum, length, &sum) || parts_add(&parts, withDescriptors[i], 0, length) < 0) {
                        parts_clear(&parts);
                        return kIOReturnNoMemory;
                }
        }
        return join(&parts, memoryDescriptorCreateOptions, sum, memory);
}
