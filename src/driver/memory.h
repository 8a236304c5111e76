/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of memory descriptors and maps.
 *
 * A descriptor is a range of a memfd. Three kinds: the driver's own buffer (created here, always writable here), an application's
 * structure input (a region of the connection; mapped as a read-only copy, made at the first mapping, so that the application cannot
 * change what the driver looks at), and its structure output (a region too; mapped writable and shared).
 *
 * A buffer leaves the process only through amb_memory_share, which fixes its kind for ever: read-only means that the host's one
 * writable view is made first, then the file is sealed against every later writing (F_SEAL_FUTURE_WRITE), then the descriptor goes out.
 * Later views of the host's are copies of that first one's mapping.
 *
 * Maps are listed with their descriptor, so that the same request finds the same map; one lock for all lists: mapping is rare.
 */
#include <DriverKit/IOBufferMemoryDescriptor.h>

#include "base/base.h"

/* Memory that an application has handed over: shared by the connection's table and the descriptors made of it. */
struct amb_region {
        uint32_t references;
        uint32_t id, flags;
        uint64_t size;
        int fd;
        struct amb_link link;           /* the connection's table */
};
/* Consumes the fd, also on failure (NULL). One reference. */
struct amb_region *amb_region_new(uint32_t id, uint32_t flags, uint64_t size, int fd);
struct amb_region *amb_region_retain(struct amb_region *region);
struct amb_region *amb_region_release(struct amb_region *region);

/*
 * A descriptor of [offset, offset + length) of a region; the caller has checked the range. region NULL: the application named memory that it
 * does not have; the descriptor has its length, but every attempt to map it fails. -ENOMEM.
 */
int amb_memory_new_region(struct amb_region *region, bool writable, uint64_t offset, uint64_t length,
                          IOMemoryDescriptor **ret_memory);

/*
 * Prepares a buffer for an application. *ret_fd is borrowed: send it while the descriptor is held. Positive: AMB_MEMORY_REFUSED, a
 * buffer that was given the other way round before, or no buffer of the driver's.
 */
enum { AMB_MEMORY_REFUSED = 1 };
int amb_memory_share(IOMemoryDescriptor *memory, bool read_only, int *ret_fd);

/* A number for this object that no other descriptor of the process ever has; 1 or more. */
uint64_t amb_memory_identity(const IOMemoryDescriptor *memory);
