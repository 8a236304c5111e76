/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/mman.h>

#include "channel/side.h"
#include "client/connection.h"
#include "client/region.h"

#define SMALLEST (16u << 10)
#define PAGE 4096u                      /* grain of what is copied; need not be the machine's */

void amb_regions_init(struct amb_regions *regions)
{
        pthread_mutex_init(&regions->lock, NULL);
        pthread_cond_init(&regions->returned, NULL);
        amb_list_init(&regions->waiting);
        regions->next_id = 1;
}

static struct amb_region *region_free(struct amb_region *region)
{
        munmap(region->memory, region->size);
        amb_fd_close(region->fd);
        free(region);
        return NULL;
}

void amb_regions_free(struct amb_regions *regions)
{
        struct amb_region *region, *next;

        amb_list_for_safe(region, next, &regions->waiting, link)
                region_free(region);
        pthread_cond_destroy(&regions->returned);
        pthread_mutex_destroy(&regions->lock);
}

void amb_regions_enter(struct amb_regions *regions, uint32_t count)
{
        pthread_mutex_lock(&regions->lock);
        while (regions->used + count > AMB_SIDE_REGIONS_MAX)
                pthread_cond_wait(&regions->returned, &regions->lock);
        regions->used += count;
        pthread_mutex_unlock(&regions->lock);
}

void amb_regions_leave(struct amb_regions *regions, uint32_t count)
{
        pthread_mutex_lock(&regions->lock);
        regions->used -= count;
        pthread_mutex_unlock(&regions->lock);
        pthread_cond_broadcast(&regions->returned);
}

/* Under the lock. */
static void waiting_remove(struct amb_regions *regions, struct amb_region *region)
{
        amb_link_remove(&region->link);
        regions->waiting_bytes -= region->size;
}

static struct amb_region *waiting_find(struct amb_regions *regions, uint32_t flags, uint64_t size)
{
        struct amb_region *region;

        amb_list_for(region, &regions->waiting, link) {
                if (region->flags == flags && region->size == size) {
                        waiting_remove(regions, region);
                        return region;
                }
        }
        return NULL;
}

/* Takes the longest unused region out when there are too many, or too many bytes, to add `size`. */
static struct amb_region *waiting_evict(struct amb_regions *regions, uint64_t size)
{
        struct amb_region *region;

        if (amb_list_empty(&regions->waiting) ||
            (regions->count < AMB_SIDE_REGIONS_MAX && regions->bytes + size <= AMB_SIDE_REGION_BYTES_MAX &&
             regions->waiting_bytes <= AMB_REGION_CACHE_BYTES))
                return NULL;
        region = amb_container_of(regions->waiting.previous, struct amb_region, link);
        waiting_remove(regions, region);
        return region;
}

/* Tells the host that a region is not used any more. If the host has gone, it knows. */
static void region_drop(struct amb_connection *connection, struct amb_region *region)
{
        struct amb_side_message request = { .kind = AMB_SIDE_REGION_DROP, .id = region->id }, answer;
        struct amb_regions *regions = &connection->regions;

        (void)amb_connection_ask(connection, &request, -1, &answer, NULL);
        pthread_mutex_lock(&regions->lock);
        regions->count--;
        regions->bytes -= region->size;
        pthread_mutex_unlock(&regions->lock);
        region_free(region);
}

static int region_memory(struct amb_region *region, int *ret_fd)
{
        AMB_FD fd = -1;

        fd = memfd_create("ambidext-region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0 || ftruncate(fd, (off_t)region->size) < 0)
                return amb_trace(amb_errno());
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return amb_trace(amb_errno());
        region->memory = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (region->memory == MAP_FAILED)
                return amb_trace(amb_errno());
        madvise(region->memory, region->size, MADV_DONTFORK);
        *ret_fd = amb_fd_steal(&fd);
        return 0;
}

/* Makes a region and gives it to the host; its place in count and bytes has been taken already. */
static int region_new(struct amb_connection *connection, uint32_t flags, uint64_t size, uint32_t id, struct amb_region **ret)
{
        struct amb_side_message request = { .kind = AMB_SIDE_REGION, .id = id, .flags = flags, .size = size }, answer;
        AMB_FREE struct amb_region *region = NULL;
        AMB_FD fd = -1;
        int r;

        region = calloc(1, sizeof(*region));
        if (!region)
                return -ENOMEM;
        region->id = id;
        region->flags = flags;
        region->size = size;
        r = region_memory(region, &fd);
        if (r < 0)
                return r;
        r = amb_connection_ask(connection, &request, fd, &answer, NULL);
        if (r == 0 && answer.code != 0)
                r = -ENOMEM;
        if (r) {
                munmap(region->memory, size);
                return r;
        }
        region->fd = size > AMB_REGION_CACHE_BYTES ? amb_fd_steal(&fd) : -1;
        *ret = amb_steal(region);
        return 0;
}

int amb_region_get(struct amb_connection *connection, uint32_t flags, uint64_t size, struct amb_region **ret)
{
        struct amb_regions *regions = &connection->regions;
        struct amb_region *region, *old;
        uint64_t rounded = SMALLEST;
        uint32_t id;
        int r;

        if (size > AMB_SIDE_REGION_BYTES_MAX)
                return -EMSGSIZE;
        while (rounded < size)
                rounded *= 2;
        if (rounded > AMB_REGION_CACHE_BYTES)
                rounded = (size + SMALLEST - 1) & ~(uint64_t)(SMALLEST - 1);
        pthread_mutex_lock(&regions->lock);
        region = waiting_find(regions, flags, rounded);
        while (!region && (old = waiting_evict(regions, rounded))) {
                pthread_mutex_unlock(&regions->lock);
                region_drop(connection, old);
                pthread_mutex_lock(&regions->lock);
        }
        if (region || regions->bytes + rounded > AMB_SIDE_REGION_BYTES_MAX) {
                pthread_mutex_unlock(&regions->lock);
                if (!region)
                        return -EMSGSIZE;
                *ret = region;
                return 0;
        }
        regions->count++;
        regions->bytes += rounded;
        id = regions->next_id++;
        if (regions->next_id == 0)
                regions->next_id = 1;
        pthread_mutex_unlock(&regions->lock);

        r = region_new(connection, flags, rounded, id, ret);
        if (r) {
                pthread_mutex_lock(&regions->lock);
                regions->count--;
                regions->bytes -= rounded;
                pthread_mutex_unlock(&regions->lock);
        }
        return r;
}

/* --- the caller's bytes --- */

void amb_region_fill(struct amb_region *region, const void *bytes, uint64_t size)
{
        static const uint8_t zeros[PAGE];

        if (region->fd < 0) {
                memcpy(region->memory, bytes, size);
                return;
        }
        for (uint64_t at = 0; at < size; at += PAGE) {
                size_t length = size - at < PAGE ? size - at : PAGE;
                const uint8_t *from = (const uint8_t *)bytes + at;

                if (memcmp(from, zeros, length) != 0)
                        memcpy((uint8_t *)region->memory + at, from, length);
        }
}

void amb_region_fetch(const struct amb_region *region, void *bytes, uint64_t size)
{
        if (region->fd < 0) {
                memcpy(bytes, region->memory, size);
                return;
        }
        for (uint64_t at = 0; at < size;) {
                off_t data = lseek(region->fd, (off_t)at, SEEK_DATA), hole;
                uint64_t end;

                if (data < 0 || (uint64_t)data >= size)
                        break;          /* ENXIO: nothing more is in use */
                hole = lseek(region->fd, data, SEEK_HOLE);
                /* The host may change the file meanwhile; we go on in any case. */
                end = hole > data ? (uint64_t)hole : (uint64_t)data + PAGE;
                if (end > size)
                        end = size;
                memcpy((uint8_t *)bytes + data, (uint8_t *)region->memory + data, end - (uint64_t)data);
                at = end;
        }
}

void amb_region_put(struct amb_connection *connection, struct amb_region *region, bool retained)
{
        struct amb_regions *regions = &connection->regions;
        struct amb_region *old;

        if (retained || region->fd >= 0) {
                region_drop(connection, region);
                return;
        }
        pthread_mutex_lock(&regions->lock);
        region->link = (struct amb_link){ 0 };
        amb_list_append(regions->waiting.next, &region->link);
        regions->waiting_bytes += region->size;
        old = waiting_evict(regions, 0);
        pthread_mutex_unlock(&regions->lock);
        if (old)
                region_drop(connection, old);
}
