/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "driver/memory.h"
#include "driver/view.h"

#define SNAPSHOT_STEP (256ull << 10)
#define SNAPSHOT_MOST (1ull << 30)      /* bytes in use that an application can make this process copy at a time */

struct IOMemoryDescriptor_ivars {
        uint64_t identity;
        uint64_t length, capacity;      /* guarded by maps_lock; capacity never changes */
        uint64_t alignment;
        uint64_t direction;
        uint64_t start;                 /* of byte 0 in the file */
        int fd;                         /* the buffer's own file, or the region's */
        struct amb_region *region;
        bool snapshot;                  /* map a copy */
        bool absent;                    /* nothing to map: the application does not have it */
        struct amb_view whole;          /* buffer: this process's writable view; snapshot: the copy; else unused */
        enum { PRIVATE, SHARED_WRITABLE, SHARED_READ_ONLY } shared;
        struct amb_link maps;           /* IOMemoryMap_ivars of this descriptor, not retained */
        struct amb_link owned;          /* those that Map() made: one reference each */
};

struct IOMemoryMap_ivars {
        IOMemoryMap *map;
        IOMemoryDescriptor *descriptor; /* retained unless owned; NULL: it has gone */
        IOMemoryMap *parent;            /* part of a bigger map */
        struct amb_view view;           /* own pages; none for a part */
        uint64_t address, offset, length;
        uint64_t guard;
        bool read_only;
        struct amb_link link, owned;
};

/* Guards all lists of maps, lengths and views. */
static pthread_mutex_t maps_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t identities;

AMB_EXPORT uint64_t IOVMPageSize;

__attribute__((constructor)) static void page_size_learn(void)
{
        IOVMPageSize = (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A listed map whose last reference is being released cannot be given out any more. */
static bool retain_living(IOMemoryMap *map)
{
        uint32_t now = __atomic_load_n(&map->object.references, __ATOMIC_RELAXED);

        while (now != 0 && now < 0x40000000u)
                if (__atomic_compare_exchange_n(&map->object.references, &now, now + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                        return true;
        return false;
}

/* --- regions --- */

struct amb_region *amb_region_new(uint32_t id, uint32_t flags, uint64_t size, int fd)
{
        struct amb_region *region = calloc(1, sizeof(*region));

        if (!region) {
                amb_fd_close(fd);
                return NULL;
        }
        *region = (struct amb_region){ .references = 1, .id = id, .flags = flags, .size = size, .fd = fd };
        return region;
}

struct amb_region *amb_region_retain(struct amb_region *region)
{
        __atomic_add_fetch(&region->references, 1, __ATOMIC_RELAXED);
        return region;
}

struct amb_region *amb_region_release(struct amb_region *region)
{
        if (region && __atomic_sub_fetch(&region->references, 1, __ATOMIC_ACQ_REL) == 0) {
                amb_fd_close(region->fd);
                free(region);
        }
        return NULL;
}

/* --- maps --- */

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
                pthread_mutex_lock(&maps_lock);
                amb_link_remove(&m->link);
                pthread_mutex_unlock(&maps_lock);
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
        "IOMemoryMap", &gOSObjectMetaClass, sizeof(IOMemoryMap), map_methods, NULL,
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

/* --- descriptors --- */

static bool memory_init(OSObject *object)
{
        IOMemoryDescriptor *self = (IOMemoryDescriptor *)object;

        if (!OSObject_init(object))
                return false;
        self->ivars = calloc(1, sizeof(*self->ivars));
        if (!self->ivars)
                return false;
        self->ivars->identity = atomic_fetch_add(&identities, 1) + 1;
        self->ivars->fd = -1;
        amb_list_init(&self->ivars->maps);
        amb_list_init(&self->ivars->owned);
        return true;
}

static void memory_free(OSObject *object)
{
        IOMemoryDescriptor *self = (IOMemoryDescriptor *)object;
        struct IOMemoryDescriptor_ivars *d = self->ivars;
        struct IOMemoryMap_ivars *m, *following;

        if (d) {
                struct amb_link owned = AMB_LIST_INIT(owned);

                pthread_mutex_lock(&maps_lock);
                amb_list_for_safe(m, following, &d->owned, owned) {
                        amb_link_remove(&m->link);
                        amb_link_remove(&m->owned);
                        amb_list_append(&owned, &m->owned);
                }
                pthread_mutex_unlock(&maps_lock);
                amb_list_for_safe(m, following, &owned, owned) {
                        amb_link_remove(&m->owned);
                        OSObject_release(m->map);
                }
                amb_view_unmap(&d->whole);
                if (d->region)
                        amb_region_release(d->region);
                else
                        amb_fd_close(d->fd);
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
        "IOMemoryDescriptor", &gOSObjectMetaClass, sizeof(IOMemoryDescriptor), memory_methods, NULL,
};

AMB_EXPORT const OSMetaClass gIOBufferMemoryDescriptorMetaClass = {
        "IOBufferMemoryDescriptor", &gIOMemoryDescriptorMetaClass, sizeof(IOBufferMemoryDescriptor), memory_methods, NULL,
};

uint64_t amb_memory_identity(const IOMemoryDescriptor *memory)
{
        return memory->ivars->identity;
}

AMB_EXPORT kern_return_t IOMemoryDescriptor_GetLength(IOMemoryDescriptor *self, uint64_t *length)
{
        pthread_mutex_lock(&maps_lock);
        *length = self->ivars->length;
        pthread_mutex_unlock(&maps_lock);
        return kIOReturnSuccess;
}

/* Reads into pages that are read-only before and after: only what is writable counts against the process's limit (RLIMIT_DATA). */
static ssize_t snapshot_part(int fd, uint8_t *to, uint64_t length, off_t from)
{
        uint8_t *page = (uint8_t *)((uintptr_t)to & ~(uintptr_t)(IOVMPageSize - 1));
        size_t span = (size_t)(to + length - page);
        ssize_t n;

        if (mprotect(page, span, PROT_READ | PROT_WRITE) < 0)
                return -errno;
        n = pread(fd, to, length, from);
        if (n < 0)
                n = -errno;
        return mprotect(page, span, PROT_READ) < 0 ? -errno : n;
}

/* Copies what is in use of an application's memory; `to` is zeros. The application may change it meanwhile, that is its loss. */
static int snapshot_fill(struct IOMemoryDescriptor_ivars *d, uint8_t *to)
{
        uint64_t copied = 0;

        for (uint64_t at = 0; at < d->capacity;) {
                off_t data = lseek(d->fd, (off_t)(d->start + at), SEEK_DATA);
                uint64_t length;
                ssize_t n;

                if (data < 0 && errno == ENXIO)
                        return 0;
                if (data < 0)
                        return -errno;
                at = (uint64_t)data - d->start;
                if (at >= d->capacity)
                        return 0;
                length = d->capacity - at < SNAPSHOT_STEP ? d->capacity - at : SNAPSHOT_STEP;
                if (copied + length > SNAPSHOT_MOST)
                        return -EFBIG;
                n = snapshot_part(d->fd, to + at, length, data);
                if (n <= 0)
                        return n < 0 ? (int)n : -EIO;
                at += (uint64_t)n;
                copied += (uint64_t)n;
        }
        return 0;
}

/* Under the lock: this process's own view of a buffer, or the copy of an application's input. */
static int whole_view(struct IOMemoryDescriptor_ivars *d)
{
        struct amb_view_request request = {
                .fd = d->snapshot ? -1 : d->fd,
                .offset = d->start,
                .length = d->capacity,
                .writable = !d->snapshot,
                .guard = IOVMPageSize,
                .alignment = d->alignment,
        };
        struct amb_view view;
        int r;

        if (d->whole.base)
                return 0;
        if (d->absent)
                return -EFAULT;
        r = amb_view_map(&view, &request);
        if (r < 0)
                return amb_trace(r);
        if (d->snapshot)
                r = snapshot_fill(d, view.at);
        if (r < 0) {
                amb_view_unmap(&view);
                return amb_trace(r);
        }
        d->whole = view;
        return 0;
}

struct map_request {
        uint64_t address;               /* 0: anywhere */
        uint64_t offset, length;
        uint64_t guard_kind;
        bool read_only;
};

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
                if (retain_living(m->map))
                        return m->map;
        }
        return NULL;
}

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

/* Under the lock: pages for a new map. */
static int map_pages(struct IOMemoryDescriptor_ivars *d, struct IOMemoryMap_ivars *m, const struct map_request *request)
{
        struct amb_view_request pages = {
                .fd = d->snapshot ? -1 : d->fd,
                .offset = d->start + request->offset,
                .length = request->length,
                .writable = d->snapshot || !request->read_only,
                .guard = guard_bytes(request->guard_kind),
                .address = request->address,
        };
        int r;

        if (d->snapshot || d->absent) {
                r = whole_view(d);
                if (r < 0)
                        return r;
                if (!request->address) {
                        m->address = (uintptr_t)d->whole.at + request->offset;
                        return 0;
                }
        }
        if (d->shared == SHARED_READ_ONLY && !request->read_only)
                pages.twin = d->whole.at + request->offset;
        r = amb_view_map(&m->view, &pages);
        if (r < 0)
                return r;
        if (d->snapshot) {
                memcpy(m->view.at, d->whole.at + request->offset, request->length);
                r = amb_view_protect(&m->view, request->length);
        }
        m->address = (uintptr_t)m->view.at;
        return r;
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
                r = map_pages(d, m, request);
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
        pthread_mutex_lock(&maps_lock);
        found = find_map(d, request, owned);
        /*
         * One that the descriptor keeps does not keep the descriptor: who is given a reference gets a part of it, which does. Otherwise the
         * application's region would be used for other calls under the eyes of a driver that has kept the map.
         */
        if (found && (owned || !amb_link_linked(&found->ivars->owned)) && found->ivars->offset == request->offset &&
            found->ivars->length == request->length) {
                pthread_mutex_unlock(&maps_lock);
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
        pthread_mutex_unlock(&maps_lock);
        if (r < 0) {
                OSObject_release(made);
                return kIOReturnError;
        }
        *map = made;
        return kIOReturnSuccess;
}

/* The checks of CreateMapping, in the contract's order (memory-and-queues 2.4). */
static kern_return_t check_request(IOMemoryDescriptor *self, uint64_t options, uint64_t address, uint64_t offset, uint64_t length,
                                   struct map_request *ret)
{
        struct IOMemoryDescriptor_ivars *d = self->ivars;
        bool fixed = options & kIOMemoryMapFixedAddress, creator = !d->region && !d->absent;
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

AMB_EXPORT kern_return_t IOMemoryDescriptor_CreateMapping(IOMemoryDescriptor *self, uint64_t options, uint64_t address,
                                                          uint64_t offset, uint64_t length, uint64_t alignment, IOMemoryMap **map)
{
        struct map_request request;
        kern_return_t code = check_request(self, options, address, offset, length, &request);

        return code ? code : create_mapping(self, &request, false, map);
}

AMB_EXPORT kern_return_t IOMemoryDescriptor_Map(IOMemoryDescriptor *self, uint64_t options, uint64_t address, uint64_t length,
                                                uint64_t alignment, uint64_t *outAddress, uint64_t *outLength)
{
        struct map_request request;
        IOMemoryMap *map;
        kern_return_t code = check_request(self, options, address, 0, length, &request);

        if (code == kIOReturnSuccess)
                code = create_mapping(self, &request, true, &map);
        if (code != kIOReturnSuccess)
                return code;
        *outAddress = map->ivars->address;
        *outLength = map->ivars->length;
        return kIOReturnSuccess;
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
        IOBufferMemoryDescriptor *created;
        struct IOMemoryDescriptor_ivars *d;
        uint64_t size;

        if ((options & ~kIOMemoryDirectionInOut) || !memory)
                return kIOReturnBadArgument;
        if (capacity == 0 || __builtin_add_overflow(capacity, IOVMPageSize - 1, &size) || size > INT64_MAX)
                return kIOReturnNoMemory;
        created = (IOBufferMemoryDescriptor *)amb_object_new(OSTypeID(IOBufferMemoryDescriptor));
        if (!created)
                return kIOReturnNoMemory;
        d = created->descriptor.ivars;
        d->length = d->capacity = capacity;
        d->direction = options;
        if (alignment > IOVMPageSize && alignment <= AMB_VIEW_ALIGNMENT_MOST && (alignment & (alignment - 1)) == 0)
                d->alignment = alignment;
        d->fd = buffer_file(size & ~(IOVMPageSize - 1));
        if (d->fd < 0) {
                d->fd = -1;
                OSObject_release(created);
                return kIOReturnNoMemory;
        }
        *memory = created;
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOBufferMemoryDescriptor_GetAddressRange(IOBufferMemoryDescriptor *self, IOAddressSegment *range)
{
        struct IOMemoryDescriptor_ivars *d = self->descriptor.ivars;
        int r;

        if (!range)
                return kIOReturnBadArgument;
        pthread_mutex_lock(&maps_lock);
        r = whole_view(d);
        if (r == 0) {
                range->address = (uintptr_t)d->whole.at;
                range->length = d->length;
        }
        pthread_mutex_unlock(&maps_lock);
        return r < 0 ? kIOReturnNoMemory : kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOBufferMemoryDescriptor_SetLength(IOBufferMemoryDescriptor *self, uint64_t length)
{
        struct IOMemoryDescriptor_ivars *d = self->descriptor.ivars;

        pthread_mutex_lock(&maps_lock);
        if (length <= d->capacity)
                d->length = length;
        pthread_mutex_unlock(&maps_lock);
        return kIOReturnSuccess;
}

/* --- what the connection uses --- */

int amb_memory_new_region(struct amb_region *region, bool writable, uint64_t offset, uint64_t length,
                          IOMemoryDescriptor **ret_memory)
{
        IOMemoryDescriptor *created = (IOMemoryDescriptor *)amb_object_new(OSTypeID(IOMemoryDescriptor));
        struct IOMemoryDescriptor_ivars *d;

        if (!created)
                return amb_trace(-ENOMEM);
        d = created->ivars;
        if (region) {
                d->region = amb_region_retain(region);
                d->fd = region->fd;
        }
        d->absent = !region;
        d->start = offset;
        d->length = d->capacity = length;
        d->direction = writable ? kIOMemoryDirectionIn : kIOMemoryDirectionOut;
        d->snapshot = !writable;
        *ret_memory = created;
        return 0;
}

/* Under the lock. Only now is it settled which seals the file gets, so only now may it leave the process. */
static int share_first(struct IOMemoryDescriptor_ivars *d, bool read_only)
{
        int seals = F_SEAL_SEAL, r;

        if (read_only) {
                /* The seal refuses new writable mappings to everybody, us included: make ours first. */
                r = whole_view(d);
                if (r < 0)
                        return r;
                seals |= F_SEAL_FUTURE_WRITE;
        }
        if (fcntl(d->fd, F_ADD_SEALS, seals) < 0)
                return amb_trace(amb_errno());
        d->shared = read_only ? SHARED_READ_ONLY : SHARED_WRITABLE;
        return 0;
}

int amb_memory_share(IOMemoryDescriptor *memory, bool read_only, int *ret_fd)
{
        struct IOMemoryDescriptor_ivars *d = memory->ivars;
        int r = 0;

        if (d->region || d->absent)
                return AMB_MEMORY_REFUSED;
        pthread_mutex_lock(&maps_lock);
        if (d->shared == PRIVATE)
                r = share_first(d, read_only);
        else if ((d->shared == SHARED_READ_ONLY) != read_only)
                r = AMB_MEMORY_REFUSED;
        pthread_mutex_unlock(&maps_lock);
        if (r == 0)
                *ret_fd = d->fd;
        return r;
}
