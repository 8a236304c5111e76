/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is mapped where in this process.
 *
 * Asks the kernel about one address (PROCMAP_QUERY, Linux 6.11), or reads /proc/self/maps where it cannot be asked. Allocates
 * nothing. The answer may be out of date when it is looked at: other threads map and unmap. Any thread.
 */
#include "base/base.h"

struct amb_vma {
        uintptr_t start, end;
        uint64_t offset;                /* of start in the file */
        uint64_t inode;                 /* 0: anonymous */
        uint64_t device;                /* as st_dev */
        bool readable, writable, executable, shared;
};

/* The mapping that covers `address`. AMB_VMA_NONE (positive): nothing does. -errno: there is no /proc. */
enum { AMB_VMA_NONE = 1 };
int amb_vma_find(uintptr_t address, struct amb_vma *ret);
/* The mapping that covers `address`, or the first one above it. */
int amb_vma_next(uintptr_t address, struct amb_vma *ret);

/*
 * A descriptor of this process for the file behind a mapping, opened anew with these flags (O_RDWR or O_RDONLY; close-on-exec):
 * some open descriptor is the same file. AMB_VMA_NONE: none is.
 */
int amb_vma_open(const struct amb_vma *vma, int flags, int *ret_fd);
