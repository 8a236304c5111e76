/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "client/exchange.h"
#include "client/share.h"
#include "client/vma.h"

#define SEEN 64

static uint64_t use_count;

/* A piece of a segment, treated in one way. */
struct run {
        enum { EXPORTED, PRIVATE, COPIED } kind;
        uintptr_t from, to;             /* described; of PRIVATE ones whole pages */
        struct amb_export *export;
        uint64_t offset;                /* EXPORTED: in its file */
        bool writable;                  /* of the mapping */
};

struct plan {
        struct run runs[AMB_LOAN_EXTENTS_MAX];
        uint32_t count;
        bool writable, stack, exact, keep;
        const struct amb_share_client *client;
        struct amb_shared *shared;
};

void amb_shared_init(struct amb_shared *shared)
{
        *shared = (struct amb_shared){ 0 };
        amb_list_init(&shared->copied);
}

/* --- extents --- */

static void export_use(struct amb_shared *shared, struct amb_export *e)
{
        e->used = ++use_count;
        for (uint32_t i = 0; i < shared->export_count; i++)
                if (shared->exports[i] == e)
                        return;
        shared->exports[shared->export_count++] = e;
        e->users++;
}

/* --- the plan --- */

static int plan_add(struct plan *p, struct run run)
{
        struct run *last = p->count > 0 ? &p->runs[p->count - 1] : NULL;

        if (last && last->to == run.from && last->kind == COPIED && run.kind == COPIED) {
                last->to = run.to;
                last->writable &= run.writable;
                return 0;
        }
        if (p->count == AMB_LOAN_EXTENTS_MAX)
                return -E2BIG;
        p->runs[p->count++] = run;
        return 0;
}

/* May this file go to the client, for a range of which it has [from, to) mapped there? */
static bool may_have(const struct plan *p, const struct amb_export *e, uintptr_t from, uintptr_t to)
{
        if (p->writable && !e->writable)
                return false;
        if (p->client->has(p->client->userdata, e))
                return true;
        /* Copied pages hold what has been described to somebody else. */
        return p->writable == e->writable && e->holders == 0 ? from <= e->core && e->core_end <= to && !e->copied_taken :
               p->writable == e->writable && from <= e->core && e->core_end <= to && e->start == e->core && e->end == e->core_end;
}

static int plan_exported(struct plan *p, struct amb_export *e, const struct amb_vma *vma, uintptr_t from, uintptr_t to,
                         uintptr_t segment_end)
{
        uintptr_t first = e->core > from ? e->core : from, last = e->core_end < to ? e->core_end : to;
        uint64_t offset = vma->offset + (from - vma->start);

        if (first != from || last != to || offset != from - e->start || !may_have(p, e, from, segment_end))
                return plan_add(p, (struct run){ COPIED, from, to, NULL, 0, vma->writable });
        return plan_add(p, (struct run){ EXPORTED, from, to, e, offset, vma->writable });
}

/* It has another length than the one that hosts know it by: for them it is another file from now on. */
static bool outgrown(const struct amb_export *e)
{
        struct stat st;

        return fstat(e->fd, &st) < 0 || (uintptr_t)st.st_size != e->end;
}

static bool planned(const struct plan *p, const struct amb_export *e)
{
        for (uint32_t i = 0; i < p->count; i++)
                if (p->runs[i].export == e)
                        return true;
        return false;
}

/* The app's own file behind a mapping: as it is, if the range has all of it. */
static struct amb_export *own_file(const struct plan *p, const struct amb_vma *vma)
{
        struct amb_export *e, *next;
        bool writable = p->writable;
        AMB_FD fd = -1;
        struct statfs fs;
        struct stat st;

        amb_list_for_safe(e, next, &amb_exports, link) {
                if (!e->own || !amb_export_is_of(e, vma) || e->writable != writable)
                        continue;
                if (!outgrown(e))
                        return e;
                if (e->users > 0 || planned(p, e))
                        return NULL;
                p->client->forget(p->client->userdata, e);
        }
        if (amb_vma_open(vma, writable ? O_RDWR : O_RDONLY, &fd) != 0 || fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC ||
            fstat(fd, &st) < 0 || st.st_size <= 0)
                return NULL;
        e = calloc(1, sizeof(*e));
        if (!e)
                return NULL;
        *e = (struct amb_export){ .id = amb_export_id++, .end = (uintptr_t)st.st_size, .own = true, .writable = writable,
                                  .inode = vma->inode, .device = vma->device, .fd = amb_fd_steal(&fd) };
        amb_list_append(&amb_exports, &e->link);
        return e;
}

/* Can nobody who has a descriptor open the file anew and write it? */
static bool closed_to_writers(int fd)
{
        int seals = fcntl(fd, F_GET_SEALS);

        return seals >= 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE));
}

static int plan_own(struct plan *p, const struct amb_vma *vma, uintptr_t from, uintptr_t to)
{
        struct amb_export *e = own_file(p, vma);
        uint64_t offset = vma->offset + (from - vma->start);
        struct stat st;

        /* An input is not to be written, whoever made the file and however open it is. */
        if (e && p->exact && !closed_to_writers(e->fd))
                e = NULL;
        /* Whole: from its first byte, and up to its end, which may lie inside the last page. */
        if (e && offset == 0 && fstat(e->fd, &st) == 0 && (uint64_t)st.st_size <= to - from &&
            amb_page_ceil((uintptr_t)st.st_size) >= to - from)
                return plan_add(p, (struct run){ EXPORTED, from, to, e, offset, vma->writable });
        return plan_add(p, (struct run){ COPIED, from, to, NULL, 0, vma->writable });
}

/* Part-pages at the ends of the segment, whole pages between. */
static int plan_private(struct plan *p, const struct amb_vma *vma, uintptr_t from, uintptr_t to)
{
        uintptr_t first = amb_page_ceil(from), last = amb_page_floor(to);
        int r = 0;

        if (vma->executable || first >= last || !amb_exchange_possible())
                return plan_add(p, (struct run){ COPIED, from, to, NULL, 0, vma->writable });
        if (from < first)
                r = plan_add(p, (struct run){ COPIED, from, first, NULL, 0, vma->writable });
        if (r == 0)
                r = plan_add(p, (struct run){ PRIVATE, first, last, NULL, 0, vma->writable });
        if (r == 0 && last < to)
                r = plan_add(p, (struct run){ COPIED, last, to, NULL, 0, vma->writable });
        return r;
}

static int plan_segment(struct plan *p, uintptr_t from, uintptr_t end)
{
        struct amb_vma vma;
        int r;

        for (uintptr_t at = from, to; at < end; at = to) {
                struct amb_export *e;

                r = amb_vma_find(at, &vma);
                if (r != 0 || !vma.readable || (p->writable && !vma.writable))
                        return r < 0 ? r : -EFAULT;
                to = vma.end < end ? vma.end : end;
                e = vma.shared ? amb_export_of(&vma) : NULL;
                if (e && !e->writable && p->writable && e->users == 0 && !planned(p, e)) {
                        /* Given for reading so far: private again, and then anew. */
                        p->client->forget(p->client->userdata, e);
                        to = at;
                        continue;
                }
                if (e)
                        r = plan_exported(p, e, &vma, at, to, end);
                else if (vma.shared && vma.inode != 0)
                        r = plan_own(p, &vma, at, to);
                else if (!vma.shared && vma.inode == 0)
                        r = plan_private(p, &vma, at, to);
                else
                        r = plan_add(p, (struct run){ COPIED, at, to, NULL, 0, vma.writable });
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- carrying it out --- */

static int extent_add(struct amb_shared *shared, struct amb_extent extent)
{
        if (shared->count == AMB_LOAN_EXTENTS_MAX || shared->export_count == AMB_LOAN_EXTENTS_MAX)
                return -E2BIG;
        if (extent.export)
                export_use(shared, extent.export);
        shared->extents[shared->count++] = extent;
        return 0;
}

/* The described bytes [from, to) of the copied pages [first, last) of an export, the rest of which is zeros. */
static int export_copy(struct amb_shared *shared, struct amb_export *e, uintptr_t first, uintptr_t last, uintptr_t from,
                       uintptr_t to, bool from_host)
{
        struct amb_export_view *view = first < last ? amb_export_view(e, first) : NULL;

        if (!view)
                return 0;
        memset(view->at, 0, view->size);
        return amb_copied_add(&shared->copied, from, to, view->at + (from - first), from_host, NULL);
}

/* The copied pages of the export are this ticket's: [from, to) is what it describes. */
static int export_take(struct plan *p, struct amb_export *e, uintptr_t from, uintptr_t to)
{
        int r;

        if (e->start == e->core && e->end == e->core_end)
                return 0;
        e->copied_taken = true;
        p->shared->taken[p->shared->taken_count++] = e;
        r = export_copy(p->shared, e, e->start, e->core, from, e->core, p->writable);
        return r < 0 ? r : export_copy(p->shared, e, e->core_end, e->end, e->core_end, to, p->writable);
}

/*
 * The runs [first, last) as one file: a row of private ones, the core, with copied neighbours. On failure nothing has changed,
 * and the caller copies them.
 */
static int export_new(struct plan *p, const struct run *first, const struct run *last, const struct run *core,
                      const struct run *core_end, struct amb_export **ret)
{
        struct amb_export *e = calloc(1, sizeof(*e));
        const struct run *run = core;
        struct stat st;
        int r = 0;

        if (!e)
                return -ENOMEM;
        *e = (struct amb_export){ .id = amb_export_id++, .start = amb_page_floor(first->from), .end = amb_page_ceil(last[-1].to),
                                  .core = core->from, .core_end = core->from, .writable = p->writable, .stack = p->stack,
                                  .brief = !p->keep };
        amb_list_append(&amb_exports, &e->link);
        e->fd = amb_export_file(e->end - e->start);
        if (e->fd < 0 || fstat(e->fd, &st) < 0)
                r = e->fd < 0 ? e->fd : -errno;
        if (r == 0) {
                e->inode = st.st_ino;
                e->device = st.st_dev;
                r = amb_export_view_make(e, e->start, core->from);
        }
        if (r == 0)
                r = amb_export_view_make(e, core_end[-1].to, e->end);
        for (; r == 0 && run < core_end; run++) {
                r = amb_exchange_share(run->from, run->to - run->from, run->writable, e->fd, run->from - e->start);
                if (r == 0)
                        e->core_end = run->to;
        }
        if (r == 0)
                r = amb_export_close_up(e->fd, p->writable);
        if (r < 0) {
                amb_export_end(e);
                return r;
        }
        *ret = e;
        return 0;
}

/* A file for this ticket alone, for [from, to), all of it copied. */
static int copy_run(struct plan *p, uintptr_t from, uintptr_t to)
{
        uintptr_t start = amb_page_floor(from), end = amb_page_ceil(to);
        struct amb_copied *copied;
        AMB_FD fd = amb_export_file(end - start);
        uint8_t *view;
        int r;

        if (fd < 0)
                return fd;
        view = mmap(NULL, end - start, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (view == MAP_FAILED)
                return -errno;
        madvise(view, end - start, MADV_DONTFORK);
        r = amb_copied_add(&p->shared->copied, from, to, view + (from - start), p->writable, &copied);
        if (r < 0) {
                munmap(view, end - start);
                return r;
        }
        copied->view = view;
        copied->view_size = end - start;
        r = amb_export_close_up(fd, p->writable);
        if (r == 0)
                r = extent_add(p->shared, (struct amb_extent){ NULL, fd, from - start, to - from, end - start,
                                                               AMB_LOAN_ONCE | (p->writable ? AMB_LOAN_WRITABLE : 0) });
        if (r == 0)
                fd = -1;
        return r;
}

/* Runs that are no amb_exports yet, from `run` on: as many as make one file. Returns where to go on. */
static int realise_new(struct plan *p, const struct run *run, const struct run *end, const struct run **ret_next)
{
        const struct run *last = run, *core, *core_end;
        struct amb_export *e = NULL;
        int r;

        while (last < end && last->kind == COPIED && last->to > last->from && (last == run || last[-1].to == last->from))
                last++;
        core = last;
        while (last < end && last->kind == PRIVATE && (last == run || last[-1].to == last->from))
                last++;
        core_end = last;
        if (core < core_end && last < end && last->kind == COPIED && last[-1].to == last->from)
                last++;
        *ret_next = last;
        if (p->exact && !p->keep)
                return AMB_SHARE_INEXACT;
        if (core < core_end) {
                r = export_new(p, run, last, core, core_end, &e);
                if (r == 0) {
                        r = extent_add(p->shared, (struct amb_extent){ e, -1, run->from - e->start, last[-1].to - run->from,
                                                                      e->end - e->start, p->writable ? AMB_LOAN_WRITABLE : 0 });
                        return r < 0 ? r : export_take(p, e, run->from, last[-1].to);
                }
                if (p->exact)
                        return AMB_SHARE_INEXACT;
        } else if (p->exact) {
                return AMB_SHARE_INEXACT;
        }
        return copy_run(p, run->from, last[-1].to);
}

static int realise(struct plan *p)
{
        const struct run *run = p->runs, *end = p->runs + p->count;
        int r = 0;

        while (run < end && r == 0) {
                if (run->kind != EXPORTED) {
                        r = realise_new(p, run, end, &run);
                        continue;
                }
                r = extent_add(p->shared, (struct amb_extent){
                        run->export, -1, run->offset, run->to - run->from, run->export->end - run->export->start,
                        (p->writable ? AMB_LOAN_WRITABLE : 0) | (run->export->own ? AMB_LOAN_OPEN : 0) });
                run++;
        }
        return r;
}

static bool has_rights(uintptr_t from, uintptr_t to, bool writable)
{
        struct amb_vma vma;

        for (uintptr_t at = from; at < to; at = vma.end)
                if (amb_vma_find(at, &vma) != 0 || !vma.readable || (writable && !vma.writable))
                        return false;
        return true;
}

/* The same buffer as before: its file as it is. NOT_REUSED: there is none that fits. */
enum { NOT_REUSED = 1 };
static int reuse(struct plan *p, uintptr_t from, uintptr_t to)
{
        struct amb_export *e;
        int r;

        /* Sizes first: looking a mapping up is a system call. */
        amb_list_for(e, &amb_exports, link) {
                bool copies = e->start < e->core || e->core_end < e->end;

                if (e->own || e->start != amb_page_floor(from) || e->end != amb_page_ceil(to) || e->core != amb_page_ceil(from) ||
                    e->core_end != amb_page_floor(to) || (copies && e->copied_taken) || !may_have(p, e, from, to) ||
                    !amb_export_mapped(e) || !has_rights(from, to, p->writable))
                        continue;
                r = extent_add(p->shared, (struct amb_extent){ e, -1, from - e->start, to - from, e->end - e->start,
                                                               p->writable ? AMB_LOAN_WRITABLE : 0 });
                return r < 0 ? r : export_take(p, e, from, to);
        }
        return NOT_REUSED;
}

/* --- what stays a file after its ticket --- */

/*
 * A block that glibc's malloc has mapped by itself says so in the words before it (bit 1 alone, and whole pages): free()
 * unmaps it.
 */
static bool mapped_block(uintptr_t from, uintptr_t to)
{
        uint64_t size;

        if (from % amb_page_size() != 16 || amb_exchange_read(&size, from - sizeof(size), sizeof(size)) < 0)
                return false;
        return (size & 7) == 2 && (size & ~7ull) % amb_page_size() == 0 && to - (from - 16) <= (size & ~7ull);
}

/*
 * Is the program's allocator glibc's? Of others' heaps nothing is known, and some give pages back by MADV_DONTNEED and expect
 * zeros, which a file does not become.
 */
_Atomic int amb_share_known_malloc = -1;
static bool known_malloc(void)
{
        Dl_info allocator, library;

        if (amb_share_known_malloc < 0)
                amb_share_known_malloc = dladdr((void *)malloc, &allocator) && dladdr((void *)gnu_get_libc_version, &library) &&
                                         allocator.dli_fbase == library.dli_fbase;
        return amb_share_known_malloc;
}

/*
 * Where glibc's malloc puts blocks side by side: below the program break, and in heaps that begin with a multiple of 64 MiB
 * and their sizes.
 */
#define HEAP (64ull << 20)
static bool in_heap(uintptr_t at)
{
        uint64_t heap[4];       /* arena, previous heap, size, size that may be written */
        uintptr_t start = at & ~(HEAP - 1);

        if (at < (uintptr_t)sbrk(0))
                return true;
        return amb_exchange_read(heap, start, sizeof(heap)) == 0 && heap[2] > 0 && heap[2] <= heap[3] && heap[3] <= HEAP &&
               heap[2] % amb_page_size() == 0 && heap[3] % amb_page_size() == 0 && at - start < heap[3];
}

static bool stays(const struct amb_loan_segment *segment)
{
        uintptr_t from = segment->address, to = from + segment->length;

        if (mapped_block(from, to))
                return true;
        return known_malloc() && (segment->length >= AMB_SHARE_KEPT ||
                                  (from % amb_page_size() == 0 && to % amb_page_size() == 0 && !in_heap(from)));
}

int amb_share(const struct amb_loan_segment *segments, uint32_t count, bool writable, bool stack, bool exact,
              const struct amb_share_client *client, struct amb_shared *ret)
{
        struct plan p = { .writable = writable, .stack = stack, .exact = exact, .client = client, .shared = ret };
        int r = 0;

        for (uint32_t i = 0; i < count && r == 0; i++) {
                uintptr_t from = segments[i].address, to = from + segments[i].length;

                r = reuse(&p, from, to);
                if (r != NOT_REUSED)
                        continue;
                client->sweep(client->userdata);
                p.count = 0;
                p.keep = !stack && stays(&segments[i]);
                r = plan_segment(&p, from, to);
                if (r == 0)
                        r = realise(&p);
        }
        if (r != 0) {
                amb_share_sent(ret);
                amb_share_end(ret);
        }
        return r;
}

bool amb_share_again(const struct amb_loan_segment *segment, bool writable, const struct amb_share_client *client,
                     struct amb_shared *ret)
{
        struct plan p = { .writable = writable, .client = client, .shared = ret };

        int r = reuse(&p, segment->address, segment->address + segment->length);

        if (r == 0 && client->has(client->userdata, ret->extents[0].export))
                return true;
        if (r != NOT_REUSED)
                amb_share_end(ret);
        return false;
}

int amb_share_sealed(const struct amb_loan_segment *segments, uint32_t count, struct amb_shared *ret)
{
        uint64_t offset = segments[0].address % amb_page_size(), at = offset, size = offset;
        AMB_FD fd = -1;
        int r = 0;

        for (uint32_t i = 0; i < count; i++)
                size += segments[i].length;
        fd = amb_export_file(size);
        if (fd < 0)
                return fd;
        for (uint32_t i = 0; i < count && r == 0; i++) {
                r = amb_exchange_save(fd, at, segments[i].address, segments[i].length);
                at += segments[i].length;
        }
        if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                r = -errno;
        if (r == 0)
                r = extent_add(ret, (struct amb_extent){ NULL, fd, offset, size - offset, size, AMB_LOAN_SEALED | AMB_LOAN_ONCE });
        if (r == 0)
                fd = -1;
        return r;
}

void amb_share_sync(struct amb_shared *shared)
{
        amb_copied_sync(&shared->copied);
}

void amb_share_sent(struct amb_shared *shared)
{
        for (uint32_t i = 0; i < shared->count; i++)
                if (!shared->extents[i].export)
                        shared->extents[i].fd = amb_fd_close(shared->extents[i].fd);
}

void amb_share_end(struct amb_shared *shared)
{
        struct amb_copied *copied, *next;

        amb_share_sync(shared);
        amb_list_for_safe(copied, next, &shared->copied, link)
                amb_copied_free(copied);
        for (uint32_t i = 0; i < shared->taken_count; i++)
                shared->taken[i]->copied_taken = false;
        for (uint32_t i = 0; i < shared->export_count; i++)
                shared->exports[i]->users--;
        amb_shared_init(shared);
}

bool amb_share_seen(const struct amb_loan_segment *segments, uint32_t count)
{
        static struct amb_loan_segment seen[SEEN];
        static uint32_t next;

        if (count != 1)
                return false;
        for (uint32_t i = 0; i < SEEN; i++)
                if (seen[i].address == segments->address && seen[i].length == segments->length)
                        return true;
        seen[next++ % SEEN] = *segments;
        return false;
}
