/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory of this process for copies of applications' memory, seen twice: writable by the runtime, read-only by the driver.
 *
 * Fresh pages cost more than the copy itself, so what is given back waits for the next one, up to AMB_SNAPSHOT_IDLE bytes in
 * the process; the longest unused goes first. Any thread; one lock.
 */
#include "driver/view.h"

#define AMB_SNAPSHOT_IDLE (128ull << 20)
#define AMB_SNAPSHOT_MOST (1ull << 30)          /* bytes of one: what a sandboxed host may make a file of */

struct amb_snapshot {
        struct amb_link link;
        size_t size;                            /* whole pages */
        int fd;
        struct amb_view writable, readable;
        bool used;                              /* may hold something of an earlier use */
};

/* At least `size` bytes; their contents are undefined. -ENOMEM, -EFBIG. */
int amb_snapshot_get(uint64_t size, struct amb_snapshot **ret);
void amb_snapshot_put(struct amb_snapshot *snapshot);   /* NULL is fine */

/* [at, at + length) becomes the file's [offset, ...). Holes of the file cost nothing. -EFAULT: it is not as long any more. */
int amb_snapshot_copy(struct amb_snapshot *snapshot, uint64_t at, int fd, uint64_t offset, uint64_t length);
/* Zeros. */
void amb_snapshot_clear(struct amb_snapshot *snapshot, uint64_t at, uint64_t length);
