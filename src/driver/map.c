/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOMemoryMap, and how one is made: CreateMapping and Map of every kind of descriptor. Contract: memory-and-queues 2.4 to 2.6.
 *
 * A map retains its descriptor, unless it belongs to it (Map). A part of a map retains the bigger one. A map has pages of its own,
 * but for such a part and for memory that this process has a suitable view of already.
 */
#include "driver/memory-private.h"
#include "object/alive.h"

struct IOMemoryMap_ivars {
        IOMemoryMap *map;
        IOMemoryDescriptor *descriptor; /* retained; NULL: owned by it */
        IOMemoryMap *parent;            /* part of a bigger map */
        struct amb_view view;           /* own pages, if any */
        uint64_t address, offset, length;
        uint64_t guard;
        bool read_only;
        struct amb_link link, owned;    /* the descriptor's lists */
};

/* --- the class --- */

static bool map_init(OSObject *object)
{
        IOMemoryMap *self = (IOMemoryMap *)object;

        if (!OSObject_init(object))
                return false;
        self->ivars = calloc(1, sizeof(*self->ivars));
        if (!self->ivars)
                return false;
        self->ivars->map = self;
        amb_list_init(&self->ivars->link);
        amb_list_init(&self->ivars->owned);
        return true;
}

static void map_free(OSObject *object)
{
        IOMemoryMap *self = (IOMemoryMap *)object;
        struct IOMemoryMap_ivars *m = self->ivars;

        if (m) {
                pthread_mutex_lock(&amb_maps_lock);
                amb_link_remove(&m->link);
                pthread_mutex_unlock(&amb_maps_lock);
                amb_view_unmap(&m->view);
                OSObject_release(m->parent);
                OSObject_release(m->descriptor);
                free(m);
        }
        OSObject_free(object);
}

static const struct amb_method map_methods[] = {
        AMB_OVERRIDE(OSObject, init, map_init),
        AMB_OVERRIDE(OSObject, free, map_free),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIOMemoryMapMetaClass = {
        "IOMemoryMap", &gOSObjectMetaClass, sizeof(IOMemoryMap), map_methods, AMB_SKIN_PLACE,
};

AMB_EXPORT uint64_t IOMemoryMap_GetAddress(IOMemoryMap *self)
{
        return self->ivars->address;
}

AMB_EXPORT uint64_t IOMemoryMap_GetLength(IOMemoryMap *self)
{
        return self->ivars->length;
}

AMB_EXPORT uint64_t IOMemoryMap_GetOffset(IOMemoryMap *self)
{
        return self->ivars->offset;
}

void amb_maps_free(struct IOMemoryDescriptor_ivars *d)
{
        struct amb_link owned = AMB_LIST_INIT(owned);
        struct IOMemoryMap_ivars *m, *following;

        pthread_mutex_lock(&amb_maps_lock);
        amb_list_for_safe(m, following, &d->owned, owned) {
                amb_link_remove(&m->link);
                amb_link_remove(&m->owned);
                amb_list_append(&owned, &m->owned);
        }
        pthread_mutex_unlock(&amb_maps_lock);
        amb_list_for_safe(m, following, &owned, owned) {
                amb_link_remove(&m->owned);
                OSObject_release(m->map);
        }
}

/* --- a request --- */

struct map_request {
        uint64_t address;               /* 0: anywhere */
        uint64_t offset, length;
        uint64_t guard_kind;
        bool read_only;
        struct amb_memory_part *parts;  /* what the range consists of */
        uint32_t part_count;
};

/* The checks of CreateMapping, in the contract's order (memory-and-queues 2.4). */
static kern_return_t check_request(IOMemoryDescriptor *self, uint64_t options, uint64_t address, uint64_t offset, uint64_t length,
                                   struct map_request *ret)
{
        struct IOMemoryDescriptor_ivars *d = self->ivars;
        bool fixed = options & kIOMemoryMapFixedAddress, creator = d->kind == AMB_MEMORY_BUFFER;
        uint64_t cache = options & 0xff00, now, end;

        if (cache && cache != kIOMemoryMapCacheModeInhibit && cache != kIOMemoryMapCacheModeCopyback &&
            cache != kIOMemoryMapCacheModeWriteThrough && cache != kIOMemoryMapCacheModeRealTime)
                return kIOReturnBadArgument;
        IOMemoryDescriptor_GetLength(self, &now);
        if (length == 0)
                length = now;
        if (offset >= now || __builtin_add_overflow(offset, length, &end) || end > now || (fixed && address == 0))
                return kIOReturnError;
        *ret = (struct map_request){
                .address = fixed ? address : 0,
                .offset = offset,
                .length = length,
                .guard_kind = fixed ? kIOMemoryMapGuardedNone : options & kIOMemoryMapGuardedMask,
                .read_only = !creator && ((options & kIOMemoryMapReadOnly) || d->direction == kIOMemoryDirectionOut),
        };
        return kIOReturnSuccess;
}

/* Finds out what the range consists of; this is where somebody else's memory is asked for, so no lock is held. */
static int request_resolve(IOMemoryDescriptor *self, struct map_request *request)
{
        int r;

        r = amb_memory_range(self, request->offset, request->length, &request->parts, &request->part_count);
        for (uint32_t i = 0; r == 0 && i < request->part_count; i++)
                r = amb_memory_resolve(request->parts[i].whose);
        return r;
}

/* May everything that the request names be mapped as it says? */
static bool request_permitted(const struct map_request *request)
{
        for (uint32_t i = 0; i < request->part_count && !request->read_only; i++) {
                const struct IOMemoryDescriptor_ivars *whose = request->parts[i].whose->ivars;

                if (!whose->backing.writable || (whose->kind == AMB_MEMORY_ORIGIN && whose->direction == kIOMemoryDirectionOut))
                        return false;
        }
        return true;
}

/* --- pages --- */

static uint64_t guard_bytes(uint64_t kind)
{
        switch (kind) {
        case kIOMemoryMapGuardedNone:
                return 0;
        case kIOMemoryMapGuardedLarge:
                return 64 << 10;
        default:
                return IOVMPageSize;
        }
}

/* Under the lock: the pieces of files in one part; with `to` NULL only their number. */
static uint32_t part_pieces(const struct amb_memory_part *part, bool read_only, struct amb_view_piece *to)
{
        const struct IOMemoryDescriptor_ivars *d = part->whose->ivars;
        const uint8_t *twin = d->shared == AMB_MEMORY_SHARED_READ_ONLY && !read_only ? d->whole.at : NULL;
        uint64_t skip = part->offset, left = part->length;
        uint32_t count = 0;

        for (uint32_t i = 0; i < d->backing.count && left > 0; i++) {
                const struct amb_memory_extent *extent = &d->backing.extents[i];
                uint64_t here = extent->length;

                if (skip >= here) {
                        skip -= here;
                        continue;
                }
                here = here - skip < left ? here - skip : left;
                if (to)
                        to[count] = (struct amb_view_piece){ extent->fd, extent->offset + skip, here, extent->may_vanish,
                                                                 twin ? twin + skip : NULL };
                count++;
                left -= here;
                skip = 0;
        }
        return count;
}

/* A view that this process has already; its guards are around all of the memory, not around the part that is mapped. */
static uint8_t *present_view(const struct map_request *request)
{
        const struct amb_memory_part *part = &request->parts[0];
        const struct amb_memory_backing *backing = &part->whose->ivars->backing;

        if (request->part_count != 1 || !backing->at || request->address || request->read_only == backing->writable ||
            request->guard_kind != kIOMemoryMapGuardedDefault)
                return NULL;
        return backing->at + part->offset;
}

/* Under the lock: pages for a new map. */
static int map_pages(struct IOMemoryMap_ivars *m, const struct map_request *request)
{
        struct amb_view_request pages = {
                .writable = !request->read_only,
                .guard = guard_bytes(request->guard_kind),
                .address = request->address,
        };
        AMB_FREE struct amb_view_piece *pieces = NULL;
        uint8_t *present = present_view(request);
        int r;

        if (present) {
                m->address = (uintptr_t)present;
                return 0;
        }
        for (uint32_t i = 0; i < request->part_count; i++)
                pages.count += part_pieces(&request->parts[i], request->read_only, NULL);
        pieces = calloc(pages.count, sizeof(*pieces));
        if (!pieces)
                return amb_trace(-ENOMEM);
        pages.pieces = pieces;
        for (uint32_t i = 0, count = 0; i < request->part_count; i++)
                count += part_pieces(&request->parts[i], request->read_only, pieces + count);
        r = amb_view_map(&m->view, &pages);
        if (r == 0)
                m->address = (uintptr_t)m->view.at;
        return r;
}

/* --- making one --- */

/* Under the lock: a living map that covers the request in the same way, retained. */
static IOMemoryMap *find_map(struct IOMemoryDescriptor_ivars *d, const struct map_request *request, bool owned)
{
        struct IOMemoryMap_ivars *m;

        amb_list_for(m, &d->maps, link) {
                if (m->read_only != request->read_only || m->guard != request->guard_kind || m->offset > request->offset ||
                    request->offset + request->length > m->offset + m->length)
                        continue;
                /* A map that retains the descriptor must not be kept by it. */
                if (owned && !amb_link_linked(&m->owned))
                        continue;
                if (request->address && request->address != m->address + (request->offset - m->offset))
                        continue;
                if (amb_object_retain_alive(m->map))
                        return m->map;
        }
        return NULL;
}

/* Under the lock. Consumes `bigger`, a map that contains the request, or NULL. The new map does not retain the descriptor yet. */
static int make_map(struct IOMemoryDescriptor_ivars *d, const struct map_request *request, IOMemoryMap *bigger, IOMemoryMap *map)
{
        struct IOMemoryMap_ivars *m = map->ivars;
        int r = 0;

        m->offset = request->offset;
        m->length = request->length;
        m->guard = request->guard_kind;
        m->read_only = request->read_only;
        if (bigger) {
                m->parent = bigger;
                m->address = bigger->ivars->address + (request->offset - bigger->ivars->offset);
        } else {
                r = map_pages(m, request);
        }
        if (r == 0)
                amb_list_append(&d->maps, &m->link);
        return r;
}

/* owned: the reference belongs to the descriptor, *map is borrowed. */
static kern_return_t create_mapping(IOMemoryDescriptor *self, const struct map_request *request, bool owned, IOMemoryMap **map)
{
        struct IOMemoryDescriptor_ivars *d = self->ivars;
        IOMemoryMap *made = (IOMemoryMap *)amb_object_new(OSTypeID(IOMemoryMap)), *found;
        int r = 0;

        if (!made)
                return kIOReturnError;
        pthread_mutex_lock(&amb_maps_lock);
        found = find_map(d, request, owned);
        /*
         * One that the descriptor keeps does not keep the descriptor: who is given a reference gets a part of it, which does.
         * Otherwise the application's region would be used for other calls under the eyes of a driver that has kept the map.
         */
        if (found && (owned || !amb_link_linked(&found->ivars->owned)) && found->ivars->offset == request->offset &&
            found->ivars->length == request->length) {
                pthread_mutex_unlock(&amb_maps_lock);
                OSObject_release(made);
                if (owned)
                        OSObject_release(found);        /* the descriptor has its reference already */
                *map = found;
                return kIOReturnSuccess;
        }
        r = make_map(d, request, found, made);
        if (r == 0 && owned) {
                amb_list_append(&d->owned, &made->ivars->owned);
        } else if (r == 0) {
                made->ivars->descriptor = self;
                OSObject_retain(self);
        }
        pthread_mutex_unlock(&amb_maps_lock);
        if (r < 0) {
                OSObject_release(made);
                return kIOReturnError;
        }
        *map = made;
        return kIOReturnSuccess;
}

static kern_return_t map_memory(IOMemoryDescriptor *self, struct map_request *request, bool owned, IOMemoryMap **map)
{
        kern_return_t code = kIOReturnError;

        if (request_resolve(self, request) == 0 && request_permitted(request))
                code = create_mapping(self, request, owned, map);
        free(request->parts);
        return code;
}

AMB_EXPORT kern_return_t IOMemoryDescriptor_CreateMapping(IOMemoryDescriptor *self, uint64_t options, uint64_t address,
                                                          uint64_t offset, uint64_t length, uint64_t alignment, IOMemoryMap **map)
{
        struct map_request request;
        kern_return_t code = check_request(self, options, address, offset, length, &request);

        return code ? code : map_memory(self, &request, false, map);
}

AMB_EXPORT kern_return_t IOMemoryDescriptor_Map(IOMemoryDescriptor *self, uint64_t options, uint64_t address, uint64_t length,
                                                uint64_t alignment, uint64_t *outAddress, uint64_t *outLength)
{
        struct map_request request;
        IOMemoryMap *map;
        kern_return_t code = check_request(self, options, address, 0, length, &request);

        if (code == kIOReturnSuccess)
                code = map_memory(self, &request, true, &map);
        if (code != kIOReturnSuccess)
                return code;
        *outAddress = map->ivars->address;
        *outLength = map->ivars->length;
        return kIOReturnSuccess;
}
