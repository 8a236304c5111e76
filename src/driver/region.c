/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "driver/region.h"
#include "driver/view.h"

#define SNAPSHOT_STEP (256ull << 10)
#define SNAPSHOT_MOST (1ull << 30)      /* bytes in use that an application can make this process copy at a time */
#define SNAPSHOT_FILE (1ull << 30)      /* a file of a copy; a host cannot make bigger ones */

struct amb_region *amb_region_new(uint32_t id, uint32_t flags, uint64_t size, int fd)
{
        struct amb_region *region = calloc(1, sizeof(*region));

        if (!region) {
                amb_fd_close(fd);
                return NULL;
        }
        *region = (struct amb_region){ .references = 1, .id = id, .flags = flags, .size = size, .fd = fd };
        return region;
}

struct amb_region *amb_region_retain(struct amb_region *region)
{
        __atomic_add_fetch(&region->references, 1, __ATOMIC_RELAXED);
        return region;
}

struct amb_region *amb_region_release(struct amb_region *region)
{
        if (region && __atomic_sub_fetch(&region->references, 1, __ATOMIC_ACQ_REL) == 0) {
                amb_fd_close(region->fd);
                free(region);
        }
        return NULL;
}

/* --- the memory of a descriptor --- */

struct range {
        struct amb_memory_origin origin;
        struct amb_region *region;      /* NULL: the application does not have it */
        uint64_t offset, length;
        struct amb_memory_extent *extents;
        uint32_t count, files;          /* the first `files` extents' descriptors are ours */
        struct amb_view copy;
};

static void range_clear(struct range *range)
{
        amb_view_unmap(&range->copy);
        for (uint32_t i = 0; i < range->files; i++)
                amb_fd_close(range->extents[i].fd);
        free(range->extents);
        range->extents = NULL;
        range->count = range->files = 0;
}

static void range_free(struct amb_memory_origin *origin)
{
        struct range *range = amb_container_of(origin, struct range, origin);

        range_clear(range);
        amb_region_release(range->region);
        free(range);
}

static int output_resolve(struct amb_memory_origin *origin, struct amb_memory_backing *ret)
{
        struct range *range = amb_container_of(origin, struct range, origin);

        if (!range->region)
                return -EFAULT;
        range->extents = calloc(1, sizeof(*range->extents));
        if (!range->extents)
                return amb_trace(-ENOMEM);
        range->extents[0] = (struct amb_memory_extent){ range->region->fd, range->offset, range->length };
        range->count = 1;
        *ret = (struct amb_memory_backing){ .extents = range->extents, .count = 1, .writable = true };
        return 0;
}

/* Files for the copy, which keeps the range's place inside its first page. */
static int copy_files(struct range *range)
{
        uint64_t before = range->offset % IOVMPageSize, whole = before + range->length;
        uint64_t count = (whole + SNAPSHOT_FILE - 1) / SNAPSHOT_FILE;

        range->extents = calloc(count, sizeof(*range->extents));
        if (!range->extents)
                return amb_trace(-ENOMEM);
        range->count = (uint32_t)count;
        for (uint32_t i = 0; i < range->count; i++) {
                uint64_t start = i * SNAPSHOT_FILE, size = whole - start < SNAPSHOT_FILE ? whole - start : SNAPSHOT_FILE;
                int fd = memfd_create("ambidext-input", MFD_CLOEXEC);

                if (fd < 0)
                        return amb_trace(amb_errno());
                range->extents[i] = (struct amb_memory_extent){ fd, i == 0 ? before : 0, size - (i == 0 ? before : 0) };
                range->files++;
                if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)size) < 0)
                        return amb_trace(amb_errno());
        }
        return 0;
}

static int copy_view(struct range *range)
{
        AMB_FREE struct amb_view_piece *pieces = calloc(range->count, sizeof(*pieces));
        const struct amb_view_request request = {
                .pieces = pieces, .count = range->count, .writable = true, .guard = IOVMPageSize,
        };

        if (!pieces)
                return amb_trace(-ENOMEM);
        for (uint32_t i = 0; i < range->count; i++) {
                const struct amb_memory_extent *extent = &range->extents[i];

                pieces[i] = (struct amb_view_piece){ extent->fd, extent->offset, extent->length, NULL };
        }
        return amb_trace(amb_view_map(&range->copy, &request));
}

/* Copies what is in use of an application's memory; `to` is zeros. The application may change it meanwhile, that is its loss. */
static int copy_fill(const struct range *range, uint8_t *to)
{
        uint64_t copied = 0;

        for (uint64_t at = 0; at < range->length;) {
                off_t data = lseek(range->region->fd, (off_t)(range->offset + at), SEEK_DATA);
                uint64_t length;
                ssize_t n;

                if (data < 0 && errno == ENXIO)
                        return 0;
                if (data < 0)
                        return -errno;
                at = (uint64_t)data - range->offset;
                if (at >= range->length)
                        return 0;
                length = range->length - at < SNAPSHOT_STEP ? range->length - at : SNAPSHOT_STEP;
                if (copied + length > SNAPSHOT_MOST)
                        return -EFBIG;
                n = pread(range->region->fd, to + at, length, data);
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                at += (uint64_t)n;
                copied += (uint64_t)n;
        }
        return 0;
}

static int input_resolve(struct amb_memory_origin *origin, struct amb_memory_backing *ret)
{
        struct range *range = amb_container_of(origin, struct range, origin);
        int r;

        if (!range->region)
                return -EFAULT;
        r = copy_files(range);
        if (r == 0)
                r = copy_view(range);
        if (r == 0)
                r = copy_fill(range, range->copy.at);
        if (r == 0)
                r = amb_view_protect(&range->copy, range->length);
        if (r < 0) {
                range_clear(range);
                return amb_trace(r);
        }
        *ret = (struct amb_memory_backing){ .extents = range->extents, .count = range->count, .at = range->copy.at };
        return 0;
}

static const struct amb_memory_origin_class input_class = { input_resolve, range_free };
static const struct amb_memory_origin_class output_class = { output_resolve, range_free };

int amb_memory_new_region(struct amb_region *region, bool writable, uint64_t offset, uint64_t length,
                          IOMemoryDescriptor **ret_memory)
{
        struct range *range = calloc(1, sizeof(*range));
        int r;

        if (!range)
                return amb_trace(-ENOMEM);
        *range = (struct range){ .origin.class = writable ? &output_class : &input_class, .offset = offset, .length = length };
        if (region)
                range->region = amb_region_retain(region);
        r = amb_memory_new_origin(&range->origin, writable ? kIOMemoryDirectionIn : kIOMemoryDirectionOut, length, ret_memory);
        if (r < 0)
                range_free(&range->origin);
        return r;
}
