/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "client/exchange.h"
#include "client/export.h"

struct amb_link amb_exports = AMB_LIST_INIT(amb_exports);
uint32_t amb_export_id = 1;

uintptr_t amb_page_size(void)
{
        static uintptr_t size;

        if (size == 0)
                size = (uintptr_t)sysconf(_SC_PAGESIZE);
        return size;
}

int amb_export_file(uint64_t size)
{
        AMB_FD fd = memfd_create("ambidext-loan", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0 || fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)size) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
                return amb_errno();
        return amb_fd_steal(&fd);
}

/* What the host may do with it is settled from now on. */
int amb_export_close_up(int fd, bool writable)
{
        return fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | (writable ? 0 : F_SEAL_FUTURE_WRITE)) < 0 ? -errno : 0;
}

/* --- views --- */

static struct amb_link views = AMB_LIST_INIT(views);

struct amb_export_view *amb_export_view(const struct amb_export *e, uintptr_t from)
{
        struct amb_export_view *view;

        amb_list_for(view, &views, link)
                if (view->export == e && view->from == from)
                        return view;
        return NULL;
}

int amb_export_view_make(const struct amb_export *e, uintptr_t from, uintptr_t to)
{
        struct amb_export_view *view;

        if (from == to)
                return 0;
        view = calloc(1, sizeof(*view));
        if (!view)
                return -ENOMEM;
        *view = (struct amb_export_view){ .export = e, .from = from, .size = to - from };
        view->at = mmap(NULL, view->size, PROT_READ | PROT_WRITE, MAP_SHARED, e->fd, (off_t)(from - e->start));
        if (view->at == MAP_FAILED) {
                free(view);
                return -errno;
        }
        madvise(view->at, view->size, MADV_DONTFORK);
        amb_list_append(&views, &view->link);
        return 0;
}

static void view_free(struct amb_export_view *view)
{
        munmap(view->at, view->size);
        amb_link_remove(&view->link);
        free(view);
}

static void views_drop(const struct amb_export *e)
{
        struct amb_export_view *view, *next;

        amb_list_for_safe(view, next, &views, link)
                if (view->export == e)
                        view_free(view);
}

/* --- exports --- */

struct amb_export *amb_export_next(struct amb_export *export)
{
        struct amb_link *next = export ? export->link.next : amb_exports.next;

        return next == &amb_exports ? NULL : amb_container_of(next, struct amb_export, link);
}

/* All of the core, at its place; nobody has mapped something else there or moved it. */
bool amb_export_mapped(const struct amb_export *e)
{
        struct amb_vma vma;

        if (e->core == e->core_end)
                return false;
        for (uintptr_t at = e->core; at < e->core_end; at = vma.end)
                if (amb_vma_find(at, &vma) != 0 || !amb_export_is_of(e, &vma) || vma.offset + (at - vma.start) != at - e->start)
                        return false;
        return true;
}

static void export_free(struct amb_export *e)
{
        amb_link_remove(&e->link);
        amb_fd_close(e->fd);
        free(e);
}

typedef int (*give_back)(uintptr_t at, size_t length, bool writable, int fd, uint64_t offset);

/* Pages that nobody may touch need no protection, and userfaultfd has none for them. */
static int return_closed(const struct amb_export *e, uintptr_t at, uintptr_t to)
{
        int r = amb_exchange_return_alone(at, to - at, false, e->fd, at - e->start);

        return r == 0 && mprotect((void *)at, to - at, PROT_NONE) < 0 ? -errno : r;
}

/* What still is ours of the core: part of it may be gone, or have other rights by now. */
static void core_return(struct amb_export *e, give_back one)
{
        struct amb_vma vma;

        for (uintptr_t at = e->core, to; at < e->core_end && amb_vma_next(at, &vma) == 0; at = to) {
                if (vma.start > at)
                        at = vma.start < e->core_end ? vma.start : e->core_end;
                to = vma.end < e->core_end ? vma.end : e->core_end;
                if (at == to || !amb_export_is_of(e, &vma) || vma.offset + (at - vma.start) != at - e->start)
                        continue;
                if ((vma.readable ? one(at, to - at, vma.writable, e->fd, at - e->start) : return_closed(e, at, to)) < 0)
                        amb_log(AMB_LOG_WARNING, "memory at 0x%zx stays a file that a driver may have", (size_t)at);
        }
}

void amb_export_private(struct amb_export *e)
{
        core_return(e, amb_exchange_return);
        e->core = e->core_end = e->end;
}

void amb_export_end(struct amb_export *e)
{
        core_return(e, amb_exchange_return);
        views_drop(e);
        export_free(e);
}

void amb_exports_forked(void)
{
        struct amb_export *e, *next;

        amb_exchange_forked();
        amb_list_for_safe(e, next, &amb_exports, link) {
                core_return(e, amb_exchange_return_alone);
                views_drop(e);
                export_free(e);
        }
}

struct amb_export *amb_export_of(const struct amb_vma *vma)
{
        struct amb_export *e;

        amb_list_for(e, &amb_exports, link)
                if (!e->own && amb_export_is_of(e, vma))
                        return e;
        return NULL;
}

int amb_export_window(size_t size, struct amb_export **ret, uint8_t **ret_at)
{
        struct amb_export *e = calloc(1, sizeof(*e));
        struct stat st;
        void *at;

        if (!e)
                return -ENOMEM;
        *e = (struct amb_export){ .id = amb_export_id++, .end = size, .own = true };
        e->fd = amb_export_file(size);
        if (e->fd < 0 || fstat(e->fd, &st) < 0) {
                int r = e->fd < 0 ? e->fd : -errno;

                amb_fd_close(e->fd);
                free(e);
                return r;
        }
        e->inode = st.st_ino;
        e->device = st.st_dev;
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, e->fd, 0);
        if (at == MAP_FAILED || amb_export_close_up(e->fd, false) < 0) {
                int r = -errno;

                if (at != MAP_FAILED)
                        munmap(at, size);
                amb_fd_close(e->fd);
                free(e);
                return r;
        }
        madvise(at, size, MADV_DONTFORK);
        amb_list_append(&amb_exports, &e->link);
        *ret = e;
        *ret_at = at;
        return 0;
}
