/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#include <DriverKit/IOTypes.h>

#include "driver/snapshot.h"

static pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;
static struct amb_link idle = AMB_LIST_INIT(idle);      /* last used first */
static uint64_t idle_bytes;

static void snapshot_free(struct amb_snapshot *s)
{
        amb_view_unmap(&s->writable);
        amb_view_unmap(&s->readable);
        amb_fd_close(s->fd);
        free(s);
}

static int snapshot_new(size_t size, struct amb_snapshot **ret)
{
        struct amb_snapshot *s = calloc(1, sizeof(*s));
        struct amb_view_piece piece = { .length = size };
        struct amb_view_request request = { .pieces = &piece, .count = 1, .writable = true, .guard = IOVMPageSize };
        int r = 0;

        if (!s)
                return amb_trace(-ENOMEM);
        s->size = size;
        s->fd = piece.fd = memfd_create("ambidext-snapshot", MFD_CLOEXEC);
        if (s->fd < 0 || ftruncate(s->fd, (off_t)size) < 0)
                r = amb_trace(amb_errno());
        if (r == 0)
                r = amb_view_map(&s->writable, &request);
        request.writable = false;
        if (r == 0)
                r = amb_view_map(&s->readable, &request);
        if (r < 0) {
                snapshot_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

int amb_snapshot_get(uint64_t size, struct amb_snapshot **ret)
{
        struct amb_snapshot *s, *best = NULL;

        if (size > AMB_SNAPSHOT_MOST)
                return -EFBIG;
        size = (size + IOVMPageSize - 1) & ~(IOVMPageSize - 1);
        pthread_mutex_lock(&idle_lock);
        /* Not one that is much too big: a small copy would keep it from a big one. */
        amb_list_for(s, &idle, link)
                if (s->size >= size && s->size / 4 <= size && (!best || s->size < best->size))
                        best = s;
        if (best) {
                amb_link_remove(&best->link);
                idle_bytes -= best->size;
        }
        pthread_mutex_unlock(&idle_lock);
        if (!best)
                return snapshot_new(size, ret);
        *ret = best;
        return 0;
}

void amb_snapshot_put(struct amb_snapshot *snapshot)
{
        struct amb_link doomed = AMB_LIST_INIT(doomed);
        struct amb_snapshot *s, *next;

        if (!snapshot)
                return;
        snapshot->used = true;
        snapshot->link = (struct amb_link){ 0 };
        pthread_mutex_lock(&idle_lock);
        amb_list_append(idle.next, &snapshot->link);
        idle_bytes += snapshot->size;
        while (idle_bytes > AMB_SNAPSHOT_IDLE) {
                s = amb_container_of(idle.previous, struct amb_snapshot, link);
                amb_link_remove(&s->link);
                idle_bytes -= s->size;
                amb_list_append(&doomed, &s->link);
        }
        pthread_mutex_unlock(&idle_lock);
        amb_list_for_safe(s, next, &doomed, link)
                snapshot_free(s);
}

void amb_snapshot_clear(struct amb_snapshot *s, uint64_t at, uint64_t length)
{
        uint64_t first = (at + IOVMPageSize - 1) & ~(IOVMPageSize - 1), last = (at + length) & ~(IOVMPageSize - 1);

        if (!s->used || length == 0)
                return;
        if (first >= last) {
                memset(s->writable.at + at, 0, length);
                return;
        }
        memset(s->writable.at + at, 0, first - at);
        memset(s->writable.at + last, 0, at + length - last);
        /* Pages that are taken out are zeros when they are looked at. */
        if (fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first, (off_t)(last - first)) < 0)
                memset(s->writable.at + first, 0, last - first);
}

/* A system call, not memcpy: a file that is cut short meanwhile is an error then, not a signal. */
static int read_all(int fd, uint8_t *to, uint64_t offset, uint64_t length)
{
        while (length > 0) {
                ssize_t n = pread(fd, to, length, (off_t)offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EFAULT;
                to += n;
                offset += (uint64_t)n;
                length -= (uint64_t)n;
        }
        return 0;
}

int amb_snapshot_copy(struct amb_snapshot *s, uint64_t at, int fd, uint64_t offset, uint64_t length)
{
        uint64_t end = offset + length;
        int r = 0;

        while (offset < end && r == 0) {
                off_t data = lseek(fd, (off_t)offset, SEEK_DATA), hole;
                uint64_t from = data < 0 || (uint64_t)data > end ? end : (uint64_t)data, to = end;

                if (data < 0 && errno != ENXIO)
                        return -errno;
                amb_snapshot_clear(s, at, from - offset);
                at += from - offset;
                hole = from < end ? lseek(fd, (off_t)from, SEEK_HOLE) : -1;
                /* The application may change the file meanwhile; we go on in any case. */
                if (hole > (off_t)from && (uint64_t)hole < end)
                        to = (uint64_t)hole;
                r = read_all(fd, s->writable.at + at, from, to - from);
                at += to - from;
                offset = to;
        }
        return r;
}
