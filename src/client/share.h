/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The app's memory as files that a host may have.
 *
 * A described range is cut into runs of whole pages:
 *      private anonymous memory, pages that lie in the range as a whole   exchanged (exchange.h): from now on a mapping of a file of ours
 *      a shared mapping of a file on tmpfs that the range covers whole    the app's own file
 *      everything else: part-pages at both ends, program data, pages of   copied: pages of a file of ours, kept like the app's memory at
 *      a bigger file, all of it where userfaultfd is forbidden            the borders of calls and completions
 * so that no file that goes out holds a byte of the app that was not described to that host. Neighbours of exchanged runs lie in the same file, with
 * zeros around the described bytes.
 *
 * An exchanged range becomes private again when its ticket ends, because an allocator may put anything there next and the host still has
 * the file. Only what goes by munmap when it is freed stays a file, for the next use of the same buffer, until the app unmaps it or the
 * last connection that was given it ends: blocks that glibc's malloc has mapped by themselves and, if it is the program's allocator,
 * whole pages outside of its heaps and ranges of AMB_SHARE_KEPT bytes, which no heap of its holds. After a fork the child's is private
 * memory, as it was when the child copied it; fork() returns in the parent after that.
 *
 * What a copied part holds is merged byte by byte against what both sides last agreed on: what one side has changed goes to the other; if
 * both have, the app's store stays.
 *
 * Everything here runs under the lock of loan.c. A range that is not there or has not the rights is -EFAULT and nothing has changed.
 */
#include <stdatomic.h>

#include "base/base.h"
#include "channel/loan.h"

/* A file with memory of this process. */
struct amb_export {
        struct amb_link link;
        uint32_t id, users;             /* users: tickets that need it as it is */
        uint32_t holders;               /* connections whose hosts have it */
        uintptr_t start, end;           /* addresses that the file covers from its offset 0, whole pages */
        uintptr_t core, core_end;       /* of these, exchanged; around it, copied pages */
        bool writable, own, copied_taken;       /* own: the app's own file */
        bool brief, stack;              /* brief: private again when no ticket needs it; so is a stack, which must not be forked with */
        int fd;
        uint64_t inode, device, used;
};

/* A part that is kept like the app's memory by copying. */
struct amb_copied {
        struct amb_link link;
        uintptr_t address;              /* in the app */
        size_t length;
        uint8_t *at, *agreed;           /* the file's bytes; what both sides last had */
        void *view;
        size_t view_size;
        bool from_host;                 /* the host may write it */
};

struct amb_extent {
        struct amb_export *export;      /* NULL: fd, for this ticket alone */
        int fd;
        uint64_t offset, length, size;
        uint32_t flags;                 /* AMB_LOAN_... */
};

/* What a ticket's memory has become. Zeros: nothing. */
struct amb_shared {
        struct amb_extent extents[AMB_LOAN_EXTENTS_MAX];
        uint32_t count;
        struct amb_export *exports[AMB_LOAN_EXTENTS_MAX];       /* used by it, each counted once */
        struct amb_export *taken[AMB_LOAN_EXTENTS_MAX];         /* whose copied pages are its */
        uint32_t export_count, taken_count;
        struct amb_link copied;
};
void amb_shared_init(struct amb_shared *shared);

/*
 * Who asks. has: does its host have the file? sweep: a good time to forget() exports without users that are not mapped any more. forget: tells all
 * holders, and amb_export_end().
 */
struct amb_share_client {
        bool (*has)(void *userdata, const struct amb_export *export);
        void (*sweep)(void *userdata);
        void (*forget)(void *userdata, struct amb_export *export);
        void *userdata;
};

/*
 * The segments' memory as files. writable: the host may write (the memory must be writable); stack: the memory is the caller's stack. exact: nothing may
 * be copied but the ends of an exchanged range that stays (AMB_SHARE_INEXACT, positive, otherwise).
 */
#define AMB_SHARE_KEPT (32u << 20)
extern _Atomic int amb_share_known_malloc;      /* for tests: 1: take the allocator for glibc's; -1: look */
enum { AMB_SHARE_INEXACT = 1 };
int amb_share(const struct amb_loan_segment *segments, uint32_t count, bool writable, bool stack, bool exact,
              const struct amb_share_client *client, struct amb_shared *ret);
/* A copy that nobody can change any more. */
int amb_share_sealed(const struct amb_loan_segment *segments, uint32_t count, struct amb_shared *ret);
/* The ticket's end: the app's side of what was copied is up to date afterwards. */
void amb_share_end(struct amb_shared *shared);
/* Brings both sides of the copied parts together. */
void amb_share_sync(struct amb_shared *shared);
/* Closes the descriptors that were for one answer. */
void amb_share_sent(struct amb_shared *shared);

/* Has this buffer been an input lately? Remembers it. */
bool amb_share_seen(const struct amb_loan_segment *segments, uint32_t count);

/* The same buffer as before, and the client has its file: no question is needed. False: it is not so; nothing has changed. */
bool amb_share_again(const struct amb_loan_segment *segment, bool writable, const struct amb_share_client *client, struct amb_shared *ret);
/* A file of `size` bytes for the library's own use, with a view of it; -errno. It has no place in the app's memory. */
int amb_export_window(size_t size, struct amb_export **ret, uint8_t **ret_at);

/*
 * One export after the other (NULL: the first), and its end: private memory again if it still is ours and nobody uses it; freed. Only without holders and
 * users, or, forced (a fork, the stack), in any case.
 */
struct amb_export *amb_export_next(struct amb_export *export);
bool amb_export_mapped(const struct amb_export *export);        /* is all of it still at its place? */
void amb_export_end(struct amb_export *export);
/* Private memory again, though somebody may use it: what the host has is the app's no more. */
void amb_export_private(struct amb_export *export);
/* In a forked child: all exports become private memory and are forgotten. */
void amb_exports_forked(void);
