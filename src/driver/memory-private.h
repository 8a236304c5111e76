/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Shared by memory.c (descriptors, buffers), map.c (maps) and joined.c (sub and multi descriptors).
 */
#include <pthread.h>

#include "driver/memory.h"
#include "driver/view.h"

/* Bytes of a descriptor that is a buffer or has an origin: never of a joined one. */
struct amb_memory_part {
        IOMemoryDescriptor *whose;
        uint64_t offset, length;        /* length more than 0 */
};

struct IOMemoryDescriptor_ivars {
        /* constant from the time of creation */
        uint64_t identity, capacity, direction;
        enum { AMB_MEMORY_BUFFER = 1, AMB_MEMORY_ORIGIN, AMB_MEMORY_JOINED } kind;
        struct amb_memory_origin *origin;       /* owned */
        struct amb_memory_part *parts;          /* of a joined one; each is retained */
        uint32_t part_count;
        struct amb_memory_extent file;          /* of a buffer: all of it */
        uint64_t alignment;

        /* all below: amb_maps_lock */
        uint64_t length;
        enum { AMB_MEMORY_UNKNOWN, AMB_MEMORY_RESOLVING, AMB_MEMORY_KNOWN } state;
        struct amb_memory_backing backing;      /* of a buffer or an origin, once known; it does not change then */
        struct amb_view whole;                  /* of a buffer: this process's writable view, once there is one */
        enum { AMB_MEMORY_PRIVATE, AMB_MEMORY_SHARED_WRITABLE, AMB_MEMORY_SHARED_READ_ONLY } shared;
        struct amb_link maps;                   /* IOMemoryMap_ivars of this descriptor, not retained */
        struct amb_link owned;                  /* those that Map() made: one reference each */
};

extern pthread_mutex_t amb_maps_lock;

/* A new descriptor without anything in it; NULL: no memory. */
IOMemoryDescriptor *amb_memory_new(const OSMetaClass *meta, int kind, uint64_t direction, uint64_t length);
/* Finds out what the bytes of a buffer or an origin are, if that is not known yet. Without the lock; may take long. */
int amb_memory_resolve(IOMemoryDescriptor *memory);
/* Under the lock: this process's own view of a buffer. */
int amb_memory_whole(struct IOMemoryDescriptor_ivars *buffer);
/*
 * What [offset, offset + length) of a descriptor consists of, none of it joined; at least one part. *ret is the caller's to free;
 * the parts are retained by the descriptor only. -ENOMEM.
 */
int amb_memory_range(IOMemoryDescriptor *memory, uint64_t offset, uint64_t length, struct amb_memory_part **ret,
                     uint32_t *ret_count);
/* Releases the maps that the descriptor owns; it is being freed. */
void amb_maps_free(struct IOMemoryDescriptor_ivars *memory);
