/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of memory descriptors and maps.
 *
 * A descriptor's bytes are its *backing*: extents of files, end to end. Three kinds of descriptors: the driver's own buffer (a
 * memfd made here, always writable here); memory of somebody else's, whose backing is asked of its *origin* at the first mapping;
 * and descriptors that are joined of parts of others (sub and multi descriptors, joined.c), which resolve to the extents of those
 * parts. A mapping (map.c) places the extents of its range one after the other.
 *
 * A buffer leaves the process only through amb_memory_share, which fixes its kind for ever: read-only means that the host's one
 * writable view is made first, then the file is sealed against every later writing (F_SEAL_FUTURE_WRITE), then the descriptor goes
 * out. Later views of the host's are copies of that first one's mapping.
 *
 * Maps are listed with their descriptor, so that the same request finds the same map; one lock for all lists: mapping is rare.
 */
#include <DriverKit/IOBufferMemoryDescriptor.h>

#include "base/base.h"

/* A run of bytes of a file. */
struct amb_memory_extent {
        int fd;
        uint64_t offset, length;
        bool may_vanish;        /* the file is somebody's who can cut it short (vanish.h) */
};
/* What a descriptor's bytes are: extents end to end; the descriptor keeps them. */
struct amb_memory_backing {
        const struct amb_memory_extent *extents;
        uint32_t count;
        uint8_t *at;            /* a view of all of it that this process has already, guarded, or NULL */
        bool writable;          /* may be mapped writable; `at` is then writable */
};

/* Memory that somebody else has and that is asked for at the first mapping. */
struct amb_memory_origin;
struct amb_memory_origin_class {
        /*
         * By the first mapping (again by the next if it failed); no lock is held, may take long; one thread at a time per
         * descriptor, others wait for it. 0 or -errno. What it returns stays valid until free.
         */
        int (*resolve)(struct amb_memory_origin *origin, struct amb_memory_backing *ret);
        /* The descriptor is freed; no map is left. */
        void (*free)(struct amb_memory_origin *origin);
};
struct amb_memory_origin { const struct amb_memory_origin_class *class; };
/* A descriptor of such memory; takes the origin over on success. options: direction and kIOMemoryDisableCopyOnWrite. -ENOMEM. */
int amb_memory_new_origin(struct amb_memory_origin *origin, uint64_t options, uint64_t length, IOMemoryDescriptor **ret);
/* The origin of a descriptor made so, else NULL. */
struct amb_memory_origin *amb_memory_origin(const IOMemoryDescriptor *memory);

/*
 * Prepares memory for an application. *ret: all of its bytes, of a buffer the whole capacity; the array is the caller's to free,
 * the files are borrowed: send them while the descriptor is held. Positive: AMB_MEMORY_REFUSED, a buffer that was given the other
 * way round before, memory that is not the driver's, pieces that do not meet at borders of pages, nothing at all, or more than
 * AMB_SIDE_EXTENTS_MAX pieces.
 */
enum { AMB_MEMORY_REFUSED = 1 };
int amb_memory_share(IOMemoryDescriptor *memory, bool read_only, struct amb_memory_extent **ret, uint32_t *ret_count);

/* A number for this object that no other descriptor of the process ever has; 1 or more. */
uint64_t amb_memory_identity(const IOMemoryDescriptor *memory);
