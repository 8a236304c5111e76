/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A piece of address space with pieces of files in its middle, end to end, and inaccessible pages around it.
 *
 * Internal errors only: 0 or -errno. A view is plain data; amb_view_unmap leaves an empty one and takes an empty one.
 */
#include "base/base.h"

struct amb_view {
        void *base;             /* everything reserved; NULL: empty */
        size_t size;
        uint8_t *at;            /* the first byte asked for */
        void *watched;          /* what vanish.h knows, or NULL */
};

struct amb_view_piece {
        int fd;
        /* in the file. The first piece may start anywhere, its place inside the page is kept; others start pages */
        uint64_t offset;
        uint64_t length;        /* more than 0; where a piece ends and another follows, a page must end */
        bool may_vanish;        /* the file can be cut short by its owner */
        const uint8_t *twin;    /* not NULL: a second view of the pages of this shared mapping of the same bytes, not of fd */
};

struct amb_view_request {
        const struct amb_view_piece *pieces;
        uint32_t count;         /* 1 or more */
        bool writable;
        uint64_t guard;         /* bytes on each side, whole pages */
        uint64_t alignment;     /* a power of two, up to AMB_VIEW_ALIGNMENT_MOST; at least a page is given */
        uint64_t address;       /* not 0: exactly there, without guards; the range must be free */
};
#define AMB_VIEW_ALIGNMENT_MOST (2ull << 20)

/* -EINVAL: pieces that do not meet at borders of pages, or an address that does not suit the first one's place inside its page. */
int amb_view_map(struct amb_view *view, const struct amb_view_request *request);
void amb_view_unmap(struct amb_view *view);
/* Takes the right to write away. */
int amb_view_protect(struct amb_view *view, uint64_t length);
