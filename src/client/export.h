/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Exports: files that hold memory of this process, or that the app has made itself, and that hosts may have. One list of all of
 * them.
 *
 * An export covers whole pages of the app's memory. Its core has been exchanged: the app's pages are a mapping of the file.
 * Around it lie pages whose described bytes are copied (copied.h); the library has a view of these. Everything under the lock
 * of loan.c.
 */
#include "base/base.h"
#include "client/vma.h"

/* A file with memory of this process. */
struct amb_export {
        struct amb_link link;
        uint32_t id, users;             /* users: tickets that need it as it is */
        uint32_t holders;               /* connections whose hosts have it */
        uintptr_t start, end;           /* addresses that the file covers from its offset 0, whole pages */
        uintptr_t core, core_end;       /* of these, exchanged; around it, copied pages */
        bool writable, own, copied_taken;       /* own: the app's own file */
        /* brief: private again when no ticket needs it; so is a stack, which must not be forked with */
        bool brief, stack;
        int fd;
        uint64_t inode, device, used;
};

extern struct amb_link amb_exports;
extern uint32_t amb_export_id;                  /* the next one's; never 0 */

uintptr_t amb_page_size(void);
static inline uintptr_t amb_page_floor(uintptr_t address)
{
        return address & ~(amb_page_size() - 1);
}
static inline uintptr_t amb_page_ceil(uintptr_t address)
{
        return amb_page_floor(address + amb_page_size() - 1);
}

/*
 * A sealed file of `size` bytes; -errno. Then: what others may do with it is settled, and no writer comes any more unless
 * writable.
 */
int amb_export_file(uint64_t size);
int amb_export_close_up(int fd, bool writable);

static inline bool amb_export_is_of(const struct amb_export *export, const struct amb_vma *vma)
{
        return vma->shared && vma->inode == export->inode && vma->device == export->device;
}
/* The exchanged export that is mapped there, or NULL. */
struct amb_export *amb_export_of(const struct amb_vma *vma);

/*
 * The library's own view of the copied pages from this address on: made before the file is closed to writers, gone with the
 * export.
 */
struct amb_export_view {
        struct amb_link link;
        const struct amb_export *export;
        uintptr_t from;
        uint8_t *at;
        size_t size;
};
int amb_export_view_make(const struct amb_export *export, uintptr_t from, uintptr_t to);
struct amb_export_view *amb_export_view(const struct amb_export *export, uintptr_t from);

/* A file of `size` bytes for the library's own use, with a view of it; -errno. It has no place in the app's memory. */
int amb_export_window(size_t size, struct amb_export **ret, uint8_t **ret_at);

/*
 * One export after the other (NULL: the first), and its end: private memory again if it still is ours and nobody uses it;
 * freed. Only without holders and users, or, forced (a fork, the stack), in any case.
 */
struct amb_export *amb_export_next(struct amb_export *export);
bool amb_export_mapped(const struct amb_export *export);        /* is all of it still at its place? */
void amb_export_end(struct amb_export *export);
/* Private memory again, though somebody may use it: what the host has is the app's no more. */
void amb_export_private(struct amb_export *export);
/* In a forked child: all exports become private memory and are forgotten. */
void amb_exports_forked(void);
