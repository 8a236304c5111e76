/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Iterators: what IOIteratorNext works on. A list of entry ids as it was when the iterator was made; a walk over the registry,
 * which is such a list and knows how to be made again; or a notification's queue (notification.c). Any thread.
 */
#include <pthread.h>

#include "client/handle.h"
#include "client/remote.h"

struct amb_iterator {
        struct amb_target target;
        uint64_t (*next)(struct amb_iterator *iterator);        /* an entry's id; 0: the end */
        void (*reset)(struct amb_iterator *iterator);
        bool (*valid)(struct amb_iterator *iterator);
};

/* One user reference; 0 without memory. Takes over the list. */
mach_port_t amb_iterator_of_ids(struct amb_ids *ids);

/* The ids below (or with kIORegistryIterateParents above) `entry`, in pre-order, without itself; never descends twice. */
int amb_walk(uint64_t entry, uint32_t options, struct amb_ids *ret);
/* An iterator over that, which notices that the registry has changed. -errno. */
int amb_iterator_of_walk(uint64_t entry, uint32_t options, mach_port_t *ret);
