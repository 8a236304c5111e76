/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors: what all have in common, buffers, and memory that has an origin elsewhere.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "driver/memory-private.h"

/* Guards all lists of maps, lengths, views and what is known of backings. */
pthread_mutex_t amb_maps_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t resolved = PTHREAD_COND_INITIALIZER;
static _Atomic uint64_t identities;

AMB_EXPORT uint64_t IOVMPageSize;

__attribute__((constructor)) static void page_size_learn(void)
{
        IOVMPageSize = (uint64_t)sysconf(_SC_PAGESIZE);
}

/* --- what all have in common --- */

static bool memory_init(OSObject *object)
{
        IOMemoryDescriptor *self = (IOMemoryDescriptor *)object;

        if (!OSObject_init(object))
                return false;
        self->ivars = calloc(1, sizeof(*self->ivars));
        if (!self->ivars)
                return false;
        self->ivars->identity = atomic_fetch_add(&identities, 1) + 1;
        self->ivars->file.fd = -1;
        amb_list_init(&self->ivars->maps);
        amb_list_init(&self->ivars->owned);
        return true;
}

static void memory_free(OSObject *object)
{
        IOMemoryDescriptor *self = (IOMemoryDescriptor *)object;
        struct IOMemoryDescriptor_ivars *d = self->ivars;

        if (d) {
                amb_maps_free(d);
                amb_view_unmap(&d->whole);
                amb_fd_close(d->file.fd);
                if (d->origin)
                        d->origin->class->free(d->origin);
                for (uint32_t i = 0; i < d->part_count; i++)
                        OSObject_release(d->parts[i].whose);
                free(d->parts);
                free(d);
        }
        OSObject_free(object);
}

static const struct amb_method memory_methods[] = {
        AMB_OVERRIDE(OSObject, init, memory_init),
        AMB_OVERRIDE(OSObject, free, memory_free),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIOMemoryDescriptorMetaClass = {
        "IOMemoryDescriptor", &gOSObjectMetaClass, sizeof(IOMemoryDescriptor), memory_methods, AMB_SKIN_PLACE,
};

AMB_EXPORT const OSMetaClass gIOBufferMemoryDescriptorMetaClass = {
        "IOBufferMemoryDescriptor", &gIOMemoryDescriptorMetaClass, sizeof(IOBufferMemoryDescriptor), memory_methods, AMB_SKIN_PLACE,
};

IOMemoryDescriptor *amb_memory_new(const OSMetaClass *meta, int kind, uint64_t direction, uint64_t length)
{
        IOMemoryDescriptor *created = (IOMemoryDescriptor *)amb_object_new(meta);

        if (created) {
                created->ivars->kind = kind;
                created->ivars->direction = direction;
                created->ivars->length = created->ivars->capacity = length;
        }
        return created;
}

uint64_t amb_memory_identity(const IOMemoryDescriptor *memory)
{
        return memory->ivars->identity;
}

AMB_EXPORT kern_return_t IOMemoryDescriptor_GetLength(IOMemoryDescriptor *self, uint64_t *length)
{
        pthread_mutex_lock(&amb_maps_lock);
        *length = self->ivars->length;
        pthread_mutex_unlock(&amb_maps_lock);
        return kIOReturnSuccess;
}

/* --- backings --- */

/* An origin that says less than the descriptor's length would let a mapping end early. */
static int backing_check(const struct IOMemoryDescriptor_ivars *d, const struct amb_memory_backing *backing)
{
        uint64_t sum = 0;

        for (uint32_t i = 0; i < backing->count; i++)
                if (backing->extents[i].length == 0 || __builtin_add_overflow(sum, backing->extents[i].length, &sum))
                        return amb_trace(-EINVAL);
        return sum == d->capacity ? 0 : amb_trace(-EINVAL);
}

int amb_memory_resolve(IOMemoryDescriptor *memory)
{
        struct IOMemoryDescriptor_ivars *d = memory->ivars;
        struct amb_memory_backing backing = { 0 };
        int r = 0;

        pthread_mutex_lock(&amb_maps_lock);
        while (d->state == AMB_MEMORY_RESOLVING)
                pthread_cond_wait(&resolved, &amb_maps_lock);
        if (d->state == AMB_MEMORY_UNKNOWN) {
                d->state = AMB_MEMORY_RESOLVING;
                pthread_mutex_unlock(&amb_maps_lock);
                r = d->origin->class->resolve(d->origin, &backing);
                if (r == 0)
                        r = backing_check(d, &backing);
                pthread_mutex_lock(&amb_maps_lock);
                if (r == 0)
                        d->backing = backing;
                d->state = r == 0 ? AMB_MEMORY_KNOWN : AMB_MEMORY_UNKNOWN;
                pthread_cond_broadcast(&resolved);
        }
        pthread_mutex_unlock(&amb_maps_lock);
        return r;
}

int amb_memory_range(IOMemoryDescriptor *memory, uint64_t offset, uint64_t length, struct amb_memory_part **ret,
                     uint32_t *ret_count)
{
        const struct IOMemoryDescriptor_ivars *d = memory->ivars;
        struct amb_memory_part self = { memory, 0, d->capacity }, *found;
        const struct amb_memory_part *parts = d->kind == AMB_MEMORY_JOINED ? d->parts : &self;
        uint32_t part_count = d->kind == AMB_MEMORY_JOINED ? d->part_count : 1, count = 0;

        found = calloc(part_count ? part_count : 1, sizeof(*found));
        if (!found)
                return amb_trace(-ENOMEM);
        for (uint32_t i = 0; i < part_count && length > 0; i++) {
                uint64_t here = parts[i].length;

                if (offset >= here) {
                        offset -= here;
                        continue;
                }
                here = here - offset < length ? here - offset : length;
                found[count++] = (struct amb_memory_part){ parts[i].whose, parts[i].offset + offset, here };
                length -= here;
                offset = 0;
        }
        *ret = found;
        *ret_count = count;
        return 0;
}

/* --- memory that has an origin --- */

int amb_memory_new_origin(struct amb_memory_origin *origin, uint64_t options, uint64_t length, IOMemoryDescriptor **ret)
{
        IOMemoryDescriptor *created;

        created = amb_memory_new(OSTypeID(IOMemoryDescriptor), AMB_MEMORY_ORIGIN, options & kIOMemoryDirectionInOut, length);
        if (!created)
                return amb_trace(-ENOMEM);
        created->ivars->origin = origin;
        *ret = created;
        return 0;
}

struct amb_memory_origin *amb_memory_origin(const IOMemoryDescriptor *memory)
{
        return memory->ivars->origin;
}

/* --- buffers --- */

/* A file that can neither shrink nor grow; the last word on its rights is spoken when it is shared. */
static int buffer_file(uint64_t size)
{
        AMB_FD fd = -1;

#ifdef MFD_NOEXEC_SEAL
        fd = memfd_create("ambidext-buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
#endif
        if (fd < 0)
                fd = memfd_create("ambidext-buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return amb_trace(amb_errno());
        /* Nobody but this user opens it again through /proc. */
        if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
                return amb_trace(amb_errno());
        return amb_fd_steal(&fd);
}

AMB_EXPORT kern_return_t IOBufferMemoryDescriptor_Create(uint64_t options, uint64_t capacity, uint64_t alignment,
                                                         IOBufferMemoryDescriptor **memory)
{
        IOMemoryDescriptor *created;
        struct IOMemoryDescriptor_ivars *d;
        uint64_t size;

        if ((options & ~kIOMemoryDirectionInOut) || !memory)
                return kIOReturnBadArgument;
        if (capacity == 0 || __builtin_add_overflow(capacity, IOVMPageSize - 1, &size) || size > INT64_MAX)
                return kIOReturnNoMemory;
        created = amb_memory_new(OSTypeID(IOBufferMemoryDescriptor), AMB_MEMORY_BUFFER, options, capacity);
        if (!created)
                return kIOReturnNoMemory;
        d = created->ivars;
        if (alignment > IOVMPageSize && alignment <= AMB_VIEW_ALIGNMENT_MOST && (alignment & (alignment - 1)) == 0)
                d->alignment = alignment;
        d->file = (struct amb_memory_extent){ buffer_file(size & ~(IOVMPageSize - 1)), 0, capacity };
        if (d->file.fd < 0) {
                d->file.fd = -1;
                OSObject_release(created);
                return kIOReturnNoMemory;
        }
        d->backing = (struct amb_memory_backing){ .extents = &d->file, .count = 1, .writable = true };
        d->state = AMB_MEMORY_KNOWN;
        *memory = (IOBufferMemoryDescriptor *)created;
        return kIOReturnSuccess;
}

int amb_memory_whole(struct IOMemoryDescriptor_ivars *buffer)
{
        const struct amb_view_piece piece = { .fd = buffer->file.fd, .length = buffer->capacity };
        const struct amb_view_request request = {
                .pieces = &piece,
                .count = 1,
                .writable = true,
                .guard = IOVMPageSize,
                .alignment = buffer->alignment,
        };

        return buffer->whole.base ? 0 : amb_trace(amb_view_map(&buffer->whole, &request));
}

AMB_EXPORT kern_return_t IOBufferMemoryDescriptor_GetAddressRange(IOBufferMemoryDescriptor *self, IOAddressSegment *range)
{
        struct IOMemoryDescriptor_ivars *d = self->descriptor.ivars;
        int r;

        if (!range || d->kind != AMB_MEMORY_BUFFER)
                return kIOReturnBadArgument;
        pthread_mutex_lock(&amb_maps_lock);
        r = amb_memory_whole(d);
        if (r == 0) {
                range->address = (uintptr_t)d->whole.at;
                range->length = d->length;
        }
        pthread_mutex_unlock(&amb_maps_lock);
        return r < 0 ? kIOReturnNoMemory : kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOBufferMemoryDescriptor_SetLength(IOBufferMemoryDescriptor *self, uint64_t length)
{
        struct IOMemoryDescriptor_ivars *d = self->descriptor.ivars;

        pthread_mutex_lock(&amb_maps_lock);
        if (length <= d->capacity)
                d->length = length;
        pthread_mutex_unlock(&amb_maps_lock);
        return kIOReturnSuccess;
}
