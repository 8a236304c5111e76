/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where this process has drivers' memory mapped: what bounds an access whose size the driver has a say in.
 *
 * Any thread; a look-up that repeats itself takes no lock. The structs are the mappings' own, linked while they are mapped.
 */
#include "base/base.h"

struct amb_mapped {
        struct amb_link link;
        uintptr_t start;
        size_t length;
};
void amb_mapped_add(struct amb_mapped *mapped, const void *address, size_t length);
void amb_mapped_remove(struct amb_mapped *mapped);              /* before it is unmapped */

/* Bytes from here to the end of the mapping; SIZE_MAX: this is no driver's memory. */
size_t amb_mapped_room(const void *address);
