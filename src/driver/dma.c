/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IODMACommand. Contract: memory-and-queues 2.9, real-code 1.1.
 *
 * A preparation is a list of pieces of this process's address space. A buffer's piece is the view that GetAddressRange shows, which
 * costs nothing; other memory is mapped, all of it as one piece where that is possible, else each part by itself. Of an
 * application's memory the memory itself is mapped (amb_borrow_itself). The preparation keeps the descriptor and the maps.
 */
#include <stdatomic.h>
#include <sys/mman.h>

#include <DriverKit/IODMACommand.h>

#include "driver/borrow.h"
#include "driver/memory-private.h"

#define ADDRESS_BITS 47                 /* what every address of a process has */
#define SEGMENTS_MOST 32
#define PLACES 256                      /* that are tried below a limit before it is looked closer */

struct piece {
        uint8_t *at;
        uint64_t length;
        bool writable;                  /* by PerformOperation */
        IOMemoryMap *map;               /* NULL: a buffer's own view */
};

struct preparation {
        IOMemoryDescriptor *memory;     /* retained; NULL: nothing is prepared */
        uint64_t offset, length;
        struct piece *pieces;
        uint32_t count;
};

struct IODMACommand_ivars {
        pthread_mutex_t lock;
        uint64_t bits;
        struct preparation now;
};

/* --- pieces --- */

static void preparation_end(struct preparation *p)
{
        for (uint32_t i = 0; i < p->count; i++)
                OSObject_release(p->pieces[i].map);
        free(p->pieces);
        OSObject_release(p->memory);
        *p = (struct preparation){ 0 };
}

static kern_return_t piece_add(struct preparation *p, const struct piece *piece)
{
        struct piece *pieces = reallocarray(p->pieces, p->count + 1, sizeof(*pieces));

        if (!pieces) {
                OSObject_release(piece->map);
                return kIOReturnNoMemory;
        }
        p->pieces = pieces;
        pieces[p->count++] = *piece;
        return kIOReturnSuccess;
}

static bool is_below(const uint8_t *at, uint64_t length, uint64_t bits)
{
        return bits >= ADDRESS_BITS || ((uint64_t)(uintptr_t)at + length - 1) >> bits == 0;
}

static bool is_free(uint64_t place, uint64_t size)
{
        void *at = mmap((void *)(uintptr_t)place, size, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

        if (at == MAP_FAILED)
                return false;
        munmap(at, size);
        return (uintptr_t)at == place;
}

/*
 * A place for that many bytes below the limit that is free now, `inside` bytes behind an aligned address. 0: there is none. Behind
 * the place that was found last there is mostly room for the next; else all over the range, and then closer together.
 */
static uint64_t free_place(uint64_t inside, uint64_t length, uint64_t bits, uint64_t alignment)
{
        static _Atomic uint64_t behind;
        uint64_t size = (inside + length + IOVMPageSize - 1) & ~(IOVMPageSize - 1), end = 1ull << bits, first, span, begin;

        first = (end / 16 + alignment - 1) & ~(alignment - 1);
        if (size > end || first > end - size)
                return 0;
        span = ((end - size - first) & ~(alignment - 1)) + alignment;
        begin = (atomic_load(&behind) + alignment - 1) & ~(alignment - 1);
        begin = begin < first ? 0 : (begin - first) % span;
        for (uint64_t places = PLACES; places <= PLACES * PLACES; places *= 16) {
                uint64_t step = (span / places) & ~(alignment - 1), few = span / alignment;

                for (uint64_t i = 0; i < places && i < few; i++) {
                        uint64_t place = first + (begin + i * (step ? step : alignment)) % span;

                        if (!is_free(place, size))
                                continue;
                        atomic_store(&behind, place + size);
                        return place + inside;
                }
        }
        return 0;
}

/* Maps it below the limit. Somebody may take the place that was free: some attempts. */
static kern_return_t map_below(IOMemoryDescriptor *memory, uint64_t options, uint64_t offset, uint64_t length, uint64_t inside,
                               uint64_t bits, IOMemoryMap **ret)
{
        uint64_t alignment = memory->ivars->alignment > IOVMPageSize && offset == 0 ? memory->ivars->alignment : IOVMPageSize;

        options |= kIOMemoryMapFixedAddress;
        for (int i = 0; i < 8; i++) {
                uint64_t place = free_place(inside, length, bits, alignment);

                if (place == 0)
                        break;
                if (IOMemoryDescriptor_CreateMapping(memory, options, place, offset, length, 0, ret) == kIOReturnSuccess)
                        return kIOReturnSuccess;
        }
        return kIOReturnNoSpace;
}

/* May only be read: joined memory by its direction; an application's by what it lends. */
static uint64_t map_options(IOMemoryDescriptor *memory)
{
        const struct IOMemoryDescriptor_ivars *d = memory->ivars;
        bool closed = false;

        if (d->kind == AMB_MEMORY_ORIGIN && amb_memory_resolve(memory) == 0) {
                pthread_mutex_lock(&amb_maps_lock);
                closed = !d->backing.writable;
                pthread_mutex_unlock(&amb_maps_lock);
        }
        return closed ? kIOMemoryMapReadOnly : 0;
}

static kern_return_t piece_mapped(IOMemoryDescriptor *memory, uint64_t offset, uint64_t length, uint64_t bits, struct piece *ret)
{
        uint64_t options = map_options(memory), address;
        kern_return_t code = IOMemoryDescriptor_CreateMapping(memory, options, 0, offset, length, 0, &ret->map);

        if (code != kIOReturnSuccess)
                return code;
        address = IOMemoryMap_GetAddress(ret->map);
        if (!is_below((uint8_t *)(uintptr_t)address, length, bits)) {
                OSObject_release(amb_steal(ret->map));
                code = map_below(memory, options, offset, length, address % IOVMPageSize, bits, &ret->map);
                if (code != kIOReturnSuccess)
                        return code;
                address = IOMemoryMap_GetAddress(ret->map);
        }
        ret->at = (uint8_t *)(uintptr_t)address;
        ret->length = length;
        return kIOReturnSuccess;
}

/* A buffer's own view. False: it cannot be made, or lies beyond the limit. */
static bool piece_of_buffer(IOMemoryDescriptor *memory, uint64_t offset, uint64_t length, uint64_t bits, struct piece *ret)
{
        struct IOMemoryDescriptor_ivars *d = memory->ivars;
        bool fine;

        if (d->kind != AMB_MEMORY_BUFFER)
                return false;
        pthread_mutex_lock(&amb_maps_lock);
        fine = amb_memory_whole(d) == 0 && is_below(d->whole.at + offset, length, bits);
        if (fine)
                *ret = (struct piece){ .at = d->whole.at + offset, .length = length };
        pthread_mutex_unlock(&amb_maps_lock);
        return fine;
}

/* A range of a buffer or of an application's memory. */
static kern_return_t prepare_part(struct preparation *p, const struct amb_memory_part *part, uint64_t bits)
{
        IOMemoryDescriptor *itself;
        struct piece piece = { 0 };
        kern_return_t code = kIOReturnSuccess;

        if (amb_borrow_itself(part->whose, &itself) < 0)
                return kIOReturnNoMemory;
        if (!piece_of_buffer(itself, part->offset, part->length, bits, &piece))
                code = piece_mapped(itself, part->offset, part->length, bits, &piece);
        piece.writable = part->whose->ivars->kind == AMB_MEMORY_BUFFER || part->whose->ivars->direction != kIOMemoryDirectionOut;
        return code == kIOReturnSuccess ? piece_add(p, &piece) : code;
}

/* As one piece: joined memory of which all that is mapped is the memory itself, and whose parts meet at borders of pages. */
static bool prepare_joined(struct preparation *p, const struct amb_memory_part *parts, uint32_t count, uint64_t bits)
{
        struct piece piece = { 0 };
        IOMemoryDescriptor *itself;

        for (uint32_t i = 0; i < count; i++)
                if (amb_borrow_itself(parts[i].whose, &itself) < 0 || itself != parts[i].whose)
                        return false;
        piece.writable = p->memory->ivars->direction != kIOMemoryDirectionOut;
        return piece_mapped(p->memory, p->offset, p->length, bits, &piece) == kIOReturnSuccess &&
               piece_add(p, &piece) == kIOReturnSuccess;
}

static kern_return_t prepare(struct preparation *p, uint64_t bits)
{
        AMB_FREE struct amb_memory_part *parts = NULL;
        kern_return_t code = kIOReturnSuccess;
        uint32_t count;

        if (amb_memory_range(p->memory, p->offset, p->length, &parts, &count) < 0)
                return kIOReturnNoMemory;
        if (count > 1 && prepare_joined(p, parts, count, bits))
                return kIOReturnSuccess;
        for (uint32_t i = 0; i < count && code == kIOReturnSuccess; i++)
                code = prepare_part(p, &parts[i], bits);
        return code;
}

/* --- the class --- */

static bool command_init(OSObject *object)
{
        IODMACommand *self = (IODMACommand *)object;

        if (!OSObject_init(object))
                return false;
        self->ivars = calloc(1, sizeof(*self->ivars));
        if (!self->ivars)
                return false;
        pthread_mutex_init(&self->ivars->lock, NULL);
        return true;
}

static void command_free(OSObject *object)
{
        IODMACommand *self = (IODMACommand *)object;

        if (self->ivars) {
                preparation_end(&self->ivars->now);
                pthread_mutex_destroy(&self->ivars->lock);
                free(self->ivars);
        }
        OSObject_free(object);
}

static const struct amb_method command_methods[] = {
        AMB_OVERRIDE(OSObject, init, command_init),
        AMB_OVERRIDE(OSObject, free, command_free),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIODMACommandMetaClass = {
        "IODMACommand", &gOSObjectMetaClass, sizeof(IODMACommand), command_methods, AMB_SKIN_PLACE,
};

AMB_EXPORT kern_return_t IODMACommand_Create(IOService *device, uint64_t options, const IODMACommandSpecification *specification,
                                             IODMACommand **command)
{
        IODMACommand *created;

        (void)device;
        if (options != kIODMACommandCreateNoOptions || !specification || specification->maxAddressBits > UINT8_MAX || !command)
                return kIOReturnBadArgument;
        created = (IODMACommand *)amb_object_new(OSTypeID(IODMACommand));
        if (!created)
                return kIOReturnNoMemory;
        created->ivars->bits = specification->maxAddressBits ? specification->maxAddressBits : 64;
        *command = created;
        return kIOReturnSuccess;
}

/* --- preparing --- */

static uint32_t segments_fill(const struct preparation *p, IOAddressSegment *segments, uint32_t room)
{
        uint32_t count = p->count < room ? p->count : room;

        for (uint32_t i = 0; i < count; i++)
                segments[i] = (IOAddressSegment){ (uintptr_t)p->pieces[i].at, p->pieces[i].length };
        return count;
}

/* Under the lock. *next: what is to be prepared, its memory not retained yet. */
static kern_return_t replace(struct IODMACommand_ivars *c, struct preparation *next)
{
        kern_return_t code;

        if (c->now.memory && c->now.memory != next->memory)
                return kIOReturnBusy;
        OSObject_retain(next->memory);
        preparation_end(&c->now);
        code = prepare(next, c->bits);
        if (code == kIOReturnSuccess)
                c->now = *next;
        else
                preparation_end(next);
        return code;
}

/* The contract's order: options and memory first. */
AMB_EXPORT kern_return_t IODMACommand_PrepareForDMA(IODMACommand *self, uint64_t options, IOMemoryDescriptor *memory,
                                                    uint64_t offset, uint64_t length, uint64_t *flags,
                                                    uint32_t *segmentsCount, IOAddressSegment *segments)
{
        struct preparation next = { .memory = memory, .offset = offset, .length = length };
        kern_return_t code;
        uint64_t whole, end;

        if (segmentsCount && *segmentsCount > SEGMENTS_MOST)
                return kIOReturnOverrun;
        if (options != kIODMACommandPrepareForDMANoOptions || !amb_object_cast(memory, OSTypeID(IOMemoryDescriptor)) || !flags ||
            !segmentsCount || *segmentsCount == 0 || !segments)
                return kIOReturnBadArgument;
        IOMemoryDescriptor_GetLength(memory, &whole);
        if (length == 0 && offset < whole)
                next.length = whole - offset;
        if (next.length == 0 || __builtin_add_overflow(offset, next.length, &end) || end > whole)
                return kIOReturnBadArgument;
        pthread_mutex_lock(&self->ivars->lock);
        code = replace(self->ivars, &next);
        if (code == kIOReturnSuccess) {
                *segmentsCount = segments_fill(&next, segments, *segmentsCount);
                *flags = memory->ivars->direction;
        }
        pthread_mutex_unlock(&self->ivars->lock);
        return code;
}

AMB_EXPORT kern_return_t IODMACommand_CompleteDMA(IODMACommand *self, uint64_t options)
{
        kern_return_t code = kIOReturnNotReady;

        if (options != kIODMACommandCompleteDMANoOptions)
                return kIOReturnBadArgument;
        pthread_mutex_lock(&self->ivars->lock);
        if (self->ivars->now.memory) {
                preparation_end(&self->ivars->now);
                code = kIOReturnSuccess;
        }
        pthread_mutex_unlock(&self->ivars->lock);
        return code;
}

AMB_EXPORT kern_return_t IODMACommand_GetPreparation(IODMACommand *self, uint64_t *offset, uint64_t *length,
                                                     IOMemoryDescriptor **memory)
{
        const struct preparation *p = &self->ivars->now;
        kern_return_t code = kIOReturnNotReady;

        pthread_mutex_lock(&self->ivars->lock);
        if (p->memory) {
                if (offset)
                        *offset = p->offset;
                if (length)
                        *length = p->length;
                if (memory) {
                        OSObject_retain(p->memory);
                        *memory = p->memory;
                }
                code = kIOReturnSuccess;
        }
        pthread_mutex_unlock(&self->ivars->lock);
        return code;
}

/* --- moving bytes --- */

/* What is done with one run of the prepared bytes; NULL data: zeros. */
static void move(uint64_t operation, uint8_t *prepared, uint8_t *data, uint64_t length)
{
        if (operation == kIODMACommandPerformOperationOptionZero)
                memset(prepared, 0, length);
        else if (operation == kIODMACommandPerformOperationOptionRead)
                memmove(data, prepared, length);
        else
                memmove(prepared, data, length);
}

static kern_return_t perform(const struct preparation *p, uint64_t operation, uint64_t offset, uint64_t length, uint8_t *data)
{
        for (uint32_t i = 0; i < p->count && length > 0; i++) {
                uint64_t here = p->pieces[i].length;

                if (offset >= here) {
                        offset -= here;
                        continue;
                }
                here = here - offset < length ? here - offset : length;
                if (operation != kIODMACommandPerformOperationOptionRead && !p->pieces[i].writable)
                        return kIOReturnUnderrun;
                move(operation, p->pieces[i].at + offset, data, here);
                data = data ? data + here : NULL;
                length -= here;
                offset = 0;
        }
        return length > 0 ? kIOReturnUnderrun : kIOReturnSuccess;
}

/* The data's bytes; *ret_map keeps them. Zeros need none. */
static kern_return_t data_map(uint64_t operation, uint64_t offset, uint64_t length, IOMemoryDescriptor *data, IOMemoryMap **ret_map)
{
        uint64_t whole, end;

        if (operation == kIODMACommandPerformOperationOptionZero)
                return kIOReturnSuccess;
        if (!amb_object_cast(data, OSTypeID(IOMemoryDescriptor)))
                return kIOReturnBadArgument;
        IOMemoryDescriptor_GetLength(data, &whole);
        if (__builtin_add_overflow(offset, length, &end) || end > whole)
                return kIOReturnBadArgument;
        if (operation == kIODMACommandPerformOperationOptionRead && data->ivars->kind != AMB_MEMORY_BUFFER &&
            data->ivars->direction == kIOMemoryDirectionOut)
                return kIOReturnUnderrun;
        return length > 0 ? IOMemoryDescriptor_CreateMapping(data, 0, 0, offset, length, 0, ret_map) : kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IODMACommand_PerformOperation(IODMACommand *self, uint64_t options, uint64_t dmaOffset, uint64_t length,
                                                       uint64_t dataOffset, IOMemoryDescriptor *data)
{
        const struct preparation *p = &self->ivars->now;
        kern_return_t code = kIOReturnSuccess;
        IOMemoryMap *map = NULL;
        uint64_t end;

        if (options != kIODMACommandPerformOperationOptionRead && options != kIODMACommandPerformOperationOptionWrite &&
            options != kIODMACommandPerformOperationOptionZero)
                return kIOReturnBadArgument;
        pthread_mutex_lock(&self->ivars->lock);
        if (!p->memory)
                code = kIOReturnNotReady;
        else if (__builtin_add_overflow(dmaOffset, length, &end) || end > p->length)
                code = kIOReturnBadArgument;
        if (code == kIOReturnSuccess)
                code = data_map(options, dataOffset, length, data, &map);
        if (code == kIOReturnSuccess)
                code = perform(p, options, dmaOffset, length, map ? (uint8_t *)(uintptr_t)IOMemoryMap_GetAddress(map) : NULL);
        pthread_mutex_unlock(&self->ivars->lock);
        OSObject_release(map);
        return code;
}
