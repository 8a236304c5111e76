/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How memory leaves the process: the files of buffers, sealed for ever the one way or the other.
 */
#include <fcntl.h>

#include "channel/side.h"
#include "driver/memory-private.h"

/* May these parts be given so? The application maps them end to end. Under the lock. */
static bool permitted(const struct amb_memory_part *parts, uint32_t count, bool read_only)
{
        uint64_t position = parts[0].offset % IOVMPageSize;

        for (uint32_t i = 0; i < count; i++) {
                const struct IOMemoryDescriptor_ivars *whose = parts[i].whose->ivars;

                if (whose->kind != AMB_MEMORY_BUFFER ||
                    whose->shared == (read_only ? AMB_MEMORY_SHARED_WRITABLE : AMB_MEMORY_SHARED_READ_ONLY))
                        return false;
                if (i > 0 && (position % IOVMPageSize || parts[i].offset % IOVMPageSize))
                        return false;
                position += parts[i].length;
        }
        return true;
}

/* Under the lock. Only now is it settled which seals the file gets, so only now may it leave the process. */
static int seal(struct IOMemoryDescriptor_ivars *buffer, bool read_only)
{
        int seals = F_SEAL_SEAL, r;

        if (buffer->shared != AMB_MEMORY_PRIVATE)
                return 0;
        if (read_only) {
                /* The seal refuses new writable mappings to everybody, us included: make ours first. */
                r = amb_memory_whole(buffer);
                if (r < 0)
                        return r;
                seals |= F_SEAL_FUTURE_WRITE;
        }
        if (fcntl(buffer->file.fd, F_ADD_SEALS, seals) < 0)
                return amb_trace(amb_errno());
        buffer->shared = read_only ? AMB_MEMORY_SHARED_READ_ONLY : AMB_MEMORY_SHARED_WRITABLE;
        return 0;
}

/* Under the lock. */
static int share_parts(const struct amb_memory_part *parts, uint32_t count, bool read_only, struct amb_memory_extent *extents)
{
        int r;

        if (!permitted(parts, count, read_only))
                return AMB_MEMORY_REFUSED;
        for (uint32_t i = 0; i < count; i++) {
                struct IOMemoryDescriptor_ivars *buffer = parts[i].whose->ivars;

                r = seal(buffer, read_only);
                if (r < 0)
                        return r;
                extents[i] = (struct amb_memory_extent){ buffer->file.fd, parts[i].offset, parts[i].length };
        }
        return 0;
}

int amb_memory_share(IOMemoryDescriptor *memory, bool read_only, struct amb_memory_extent **ret, uint32_t *ret_count)
{
        AMB_FREE struct amb_memory_part *parts = NULL;
        AMB_FREE struct amb_memory_extent *extents = NULL;
        uint32_t count = 0;
        int r;

        r = amb_memory_range(memory, 0, memory->ivars->capacity, &parts, &count);
        if (r < 0)
                return r;
        if (count == 0 || count > AMB_SIDE_EXTENTS_MAX)
                return AMB_MEMORY_REFUSED;
        extents = calloc(count, sizeof(*extents));
        if (!extents)
                return amb_trace(-ENOMEM);
        pthread_mutex_lock(&amb_maps_lock);
        r = share_parts(parts, count, read_only, extents);
        pthread_mutex_unlock(&amb_maps_lock);
        if (r != 0)
                return r;
        *ret = amb_steal(extents);
        *ret_count = count;
        return 0;
}
