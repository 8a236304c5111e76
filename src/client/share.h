/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The app's memory as files that a host may have.
 *
 * A described range is cut into runs of whole pages:
 *      private anonymous memory, pages that lie in the range as a whole   exchanged (exchange.h): from now on a mapping of a file
 * of ours
 *      a shared mapping of a file on tmpfs that the range covers whole    the app's own file
 *      everything else: part-pages at both ends, program data, pages of   copied: pages of a file of ours, kept like the app's
 * memory at
 *      a bigger file, all of it where userfaultfd is forbidden            the borders of calls and completions
 * so that no file that goes out holds a byte of the app that was not described to that host. Neighbours of exchanged runs lie
 * in the same file, with zeros around the described bytes.
 *
 * An exchanged range becomes private again when its ticket ends, because an allocator may put anything there next and the host
 * still has the file. Only what goes by munmap when it is freed stays a file, for the next use of the same buffer, until the
 * app unmaps it or the last connection that was given it ends: blocks that glibc's malloc has mapped by themselves and, if it
 * is the program's allocator, whole pages outside of its heaps and ranges of AMB_SHARE_KEPT bytes, which no heap of its holds.
 * After a fork the child's is private memory, as it was when the child copied it; fork() returns in the parent after that.
 *
 * Everything here runs under the lock of loan.c. A range that is not there or has not the rights is -EFAULT and nothing has
 * changed.
 */
#include <stdatomic.h>

#include "base/base.h"
#include "channel/loan.h"
#include "client/copied.h"
#include "client/export.h"

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
 * Who asks. has: does its host have the file? sweep: a good time to forget() exports without users that are not mapped any
 * more. forget: tells all holders, and amb_export_end().
 */
struct amb_share_client {
        bool (*has)(void *userdata, const struct amb_export *export);
        void (*sweep)(void *userdata);
        void (*forget)(void *userdata, struct amb_export *export);
        void *userdata;
};

/*
 * The segments' memory as files. writable: the host may write (the memory must be writable); stack: the memory is the caller's
 * stack. exact: nothing may be copied but the ends of an exchanged range that stays (AMB_SHARE_INEXACT, positive, otherwise).
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
bool amb_share_again(const struct amb_loan_segment *segment, bool writable, const struct amb_share_client *client,
                     struct amb_shared *ret);
