/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory that an application has handed over for the structure arguments of its calls, and the descriptors that drivers see of it.
 *
 * A structure input is a private copy, made at the first mapping, read-only here: the application cannot change what the driver
 * looks at. A structure output is mapped writable and shared.
 */
#include "driver/memory.h"

/* Shared by the connection's table and the descriptors made of it. */
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
 * A descriptor of [offset, offset + length) of a region; the caller has checked the range. region NULL: the application named
 * memory that it does not have; the descriptor has its length, but every attempt to map it fails. -ENOMEM.
 */
int amb_memory_new_region(struct amb_region *region, bool writable, uint64_t offset, uint64_t length,
                          IOMemoryDescriptor **ret_memory);
