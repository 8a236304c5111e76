/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Regions: staging memory for structure arguments of more than 4096 bytes.
 *
 * A region is a sealed memfd that was given to the host over the side socket once; a call then names it by its id. Sizes are
 * powers of two from 16 KiB; a region belongs to one call at a time, afterwards it waits in the cache. More than 64 MiB of
 * waiting regions of one connection are given back. When the host says that the driver keeps a region, it is given up: the
 * driver's memory stays as it is, and later calls use another.
 *
 * A region of more than 64 MiB is made for its call and given back after it. It begins as zeros that take no memory, and only
 * what is not zero is copied in, only what has been written is copied out: buffers of gigabytes cost what is used of them.
 *
 * The mapping is not inherited by a forked child. Any thread; one lock, not held while the host is asked.
 */
#include <pthread.h>

#include "base/base.h"

struct amb_connection;

#define AMB_REGION_CACHE_BYTES (64ull << 20)

struct amb_region {
        struct amb_link link;
        uint32_t id, flags;             /* AMB_SIDE_REGION_IN or _OUT */
        uint64_t size;
        void *memory;
        int fd;                         /* of a region that is never reused: knows which pages are in use; else -1 */
};

struct amb_regions {
        pthread_mutex_t lock;
        pthread_cond_t returned;
        struct amb_link waiting;        /* most recently used first */
        uint64_t waiting_bytes, bytes;  /* bytes: of all that exist */
        uint32_t count, used;           /* count: all that exist; used: seats taken by calls */
        uint32_t next_id;
};
void amb_regions_init(struct amb_regions *regions);
void amb_regions_free(struct amb_regions *regions);     /* no call is using one */

/*
 * A call that needs `count` regions (1 or 2) takes as many seats first, so that calls cannot wait for each other in a circle;
 * waits while AMB_SIDE_REGIONS_MAX are taken.
 */
void amb_regions_enter(struct amb_regions *regions, uint32_t count);
void amb_regions_leave(struct amb_regions *regions, uint32_t count);

/*
 * The caller's bytes into the region, before the call; and back, after it. `size` as in get. What the caller's memory held is
 * there again afterwards except where the driver has stored.
 */
void amb_region_fill(struct amb_region *region, const void *bytes, uint64_t size);
void amb_region_fetch(const struct amb_region *region, void *bytes, uint64_t size);

/* A region of at least `size` bytes. -ENOMEM; -EMSGSIZE: more than a connection may have; AMB_SIDE_GONE (positive). */
int amb_region_get(struct amb_connection *connection, uint32_t flags, uint64_t size, struct amb_region **ret);
/* Back to the cache; or, retained, given up. */
void amb_region_put(struct amb_connection *connection, struct amb_region *region, bool retained);
