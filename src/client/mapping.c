/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOConnectMapMemory and its counterpart. The host asks the driver, between calls; which memory it is we are told by an
 * identity: the same identity with the same rights is the same memory, and has one mapping here. It comes as extents, each with a
 * file descriptor that is closed as soon as its pages are in place. Contract: memory-and-queues 3.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include <IOKit/IOKitLib.h>

#include "base/cancel.h"
#include "client/connection.h"
#include "client/mapped.h"

struct amb_mapping {
        struct amb_mapping *next;
        uint64_t identity;
        bool read_only;
        uint8_t *address;               /* of the first byte */
        uint8_t *base;                  /* the pages; what the app is told may be less */
        size_t length;
        struct amb_mapped mapped;       /* once it is complete */
};

/* A mapping that is being made, extent by extent. */
struct making {
        struct amb_connection *connection;
        uint64_t fixed;                 /* 0: anywhere */
        bool begun;
        struct amb_mapping *known;      /* there is one already: what comes is not needed */
        struct amb_mapping *mapping;    /* NULL, when begun: it has failed, or one is known */
        uint64_t total, done;           /* bytes */
};

static uint64_t page_size(void)
{
        return (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t round_up(uint64_t bytes)
{
        return (bytes + page_size() - 1) & ~(page_size() - 1);
}

static struct amb_mapping *mapping_free(struct amb_mapping *mapping)
{
        if (mapping) {
                amb_mapped_remove(&mapping->mapped);
                munmap(mapping->base, mapping->length);
                free(mapping);
        }
        return NULL;
}

void amb_mappings_free(struct amb_connection *connection)
{
        struct amb_mapping *mapping;

        while ((mapping = connection->mappings)) {
                connection->mappings = mapping->next;
                mapping_free(mapping);
        }
}

static struct amb_mapping **mapping_find(struct amb_connection *connection, uint64_t identity, bool read_only, uint64_t fixed)
{
        struct amb_mapping **link;

        for (link = &connection->mappings; *link; link = &(*link)->next)
                if ((*link)->identity == identity && (*link)->read_only == read_only &&
                    (fixed == 0 || (uintptr_t)(*link)->address == fixed))
                        return link;
        return NULL;
}

/* --- a new one --- */

/* Address space for all extents, the first of which starts `before` bytes behind the start of a page. NULL: there is none. */
static struct amb_mapping *mapping_reserve(uint64_t total, uint64_t before, uint64_t fixed)
{
        struct amb_mapping *mapping;
        uint8_t *wanted = fixed ? (uint8_t *)(uintptr_t)(fixed - before) : NULL;

        if (total > PTRDIFF_MAX - 2 * page_size() || (fixed && fixed % page_size() != before))
                return NULL;
        mapping = calloc(1, sizeof(*mapping));
        if (!mapping)
                return NULL;
        mapping->length = round_up(before + total);
        mapping->base = mmap(wanted, mapping->length, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (fixed ? MAP_FIXED_NOREPLACE : 0), -1, 0);
        if (mapping->base == MAP_FAILED) {
                free(mapping);
                return NULL;
        }
        if (fixed && mapping->base != wanted)
                return mapping_free(mapping);
        mapping->address = mapping->base + before;
        return mapping;
}

/* A private, checked look at what the host sent: a sealed memfd that has these bytes. */
static bool extent_valid(const struct amb_side_message *extent, int fd)
{
        struct stat st;
        uint64_t end;

        return fd >= 0 && extent->size > 0 && !__builtin_add_overflow(extent->offset, extent->size, &end) &&
               amb_side_memory_check(fd, 0, 0) && fstat(fd, &st) == 0 && (uint64_t)st.st_size >= end;
}

/*
 * The next extent into its place, which is reserved. Only at the first one's start and at the last one's end may a page be in part.
 */
static bool extent_place(struct making *making, const struct amb_side_message *extent, int fd, bool read_only)
{
        uint64_t before = extent->offset % page_size();
        uint8_t *place = making->mapping->address + making->done;

        if (extent->size > making->total - making->done ||
            (making->done > 0 && (before || (uintptr_t)place % page_size())))
                return false;
        making->done += extent->size;
        return mmap(place - before, round_up(before + extent->size), PROT_READ | (read_only ? 0 : PROT_WRITE),
                    MAP_SHARED | MAP_FIXED, fd, (off_t)(extent->offset - before)) != MAP_FAILED;
}

static void extent_begin(struct making *making, const struct amb_side_message *answer, const struct amb_side_message *extent)
{
        struct amb_mapping **known;

        making->begun = true;
        known = mapping_find(making->connection, answer->identity, answer->flags & AMB_SIDE_READ_ONLY, making->fixed);
        if (known) {
                making->known = *known;
                return;
        }
        /* One extent may be more than what is in use of it just now. */
        making->total = answer->id == 1 && extent->size > answer->size ? extent->size : answer->size;
        making->mapping = mapping_reserve(making->total, extent->offset % page_size(), making->fixed);
}

/* With map_lock. Consumes fd. */
static void extent_take(void *context, const struct amb_side_message *answer, const struct amb_side_message *extent, int fd)
{
        struct making *making = context;
        bool read_only = answer->flags & AMB_SIDE_READ_ONLY, valid = extent_valid(extent, fd);

        if (!making->begun && valid)
                extent_begin(making, answer, extent);
        making->begun = true;
        if (making->mapping && (!valid || !extent_place(making, extent, fd, read_only)))
                making->mapping = mapping_free(making->mapping);
        amb_fd_close(fd);
}

/* With map_lock: all extents have come. NULL: no mapping. */
static struct amb_mapping *making_end(struct making *making, const struct amb_side_message *answer)
{
        struct amb_mapping *mapping = making->known;

        if (mapping)
                return answer->size <= mapping->length - (size_t)(mapping->address - mapping->base) ? mapping : NULL;
        mapping = making->mapping;
        if (!mapping || making->done != making->total || answer->size == 0)
                return mapping_free(mapping);
        mapping->identity = answer->identity;
        mapping->read_only = answer->flags & AMB_SIDE_READ_ONLY;
        amb_mapped_add(&mapping->mapped, mapping->base, mapping->length);
        mapping->next = making->connection->mappings;
        making->connection->mappings = mapping;
        return mapping;
}

static kern_return_t connection_map(struct amb_connection *connection, uint32_t type, uint64_t fixed, void **ret_address,
                                    uint64_t *ret_size)
{
        struct making making = { .connection = connection, .fixed = fixed };
        struct amb_mapping *mapping = NULL;
        struct amb_side_message answer;
        int r;

        pthread_mutex_lock(&connection->map_lock);
        r = amb_connection_ask_memory(connection, type, &answer, extent_take, &making);
        if (r)
                mapping_free(making.mapping);
        else if (making.begun)
                mapping = making_end(&making, &answer);
        if (mapping) {
                *ret_address = mapping->address;
                *ret_size = answer.size;
                atomic_store(&connection->ever_mapped, true);
        }
        pthread_mutex_unlock(&connection->map_lock);
        if (r)
                return amb_connection_ended(connection);
        if (answer.flags & AMB_SIDE_TERMINATED)
                return amb_connection_terminated(connection);
        return mapping ? KERN_SUCCESS : kIOReturnBadArgument;
}

kern_return_t IOConnectMapMemory64(io_connect_t connect, uint32_t type, task_port_t into_task, mach_vm_address_t *address,
                                   mach_vm_size_t *size, IOOptionBits options)
{
        AMB_NO_CANCEL;
        struct amb_connection *connection;
        kern_return_t code;
        uint64_t bytes = 0;
        void *place = NULL;

        connection = amb_handle_pin(connect);
        if (!connection)
                return amb_connection_refusal(connect);
        if (into_task != mach_task_self() || (!(options & kIOMapAnywhere) && *address == 0))
                code = kIOReturnBadArgument;
        else
                code = connection_map(connection, type, options & kIOMapAnywhere ? 0 : *address, &place, &bytes);
        amb_handle_unpin(connect);
        if (code)
                return code;
        *address = (uintptr_t)place;
        if (size)
                *size = bytes;
        return KERN_SUCCESS;
}

static kern_return_t connection_unmap(struct amb_connection *connection, uint32_t type)
{
        struct amb_side_message request = { .kind = AMB_SIDE_UNMAP, .id = type }, answer;
        struct amb_mapping **link, *mapping;
        kern_return_t code = kIOReturnBadArgument;

        if (amb_connection_ask(connection, &request, -1, &answer, NULL))
                return amb_connection_ended(connection);
        if (answer.flags & AMB_SIDE_TERMINATED)
                return amb_connection_terminated(connection);
        if (answer.code || answer.identity == 0)
                return answer.code;
        pthread_mutex_lock(&connection->map_lock);
        link = mapping_find(connection, answer.identity, answer.flags & AMB_SIDE_READ_ONLY, 0);
        if (link) {
                mapping = *link;
                *link = mapping->next;
                mapping_free(mapping);
                code = KERN_SUCCESS;
        }
        pthread_mutex_unlock(&connection->map_lock);
        return code;
}

kern_return_t IOConnectUnmapMemory64(io_connect_t connect, uint32_t type, task_port_t from_task, mach_vm_address_t address)
{
        AMB_NO_CANCEL;
        struct amb_connection *connection;
        kern_return_t code;

        (void)address;
        connection = amb_handle_pin(connect);
        if (!connection)
                return amb_connection_refusal(connect);
        code = from_task == mach_task_self() ? connection_unmap(connection, type) : kIOReturnBadArgument;
        amb_handle_unpin(connect);
        return code;
}

kern_return_t IOConnectMapMemory(io_connect_t connect, uint32_t type, task_port_t into_task, vm_address_t *address,
                                 vm_size_t *size, IOOptionBits options)
{
        mach_vm_address_t place = *address;
        mach_vm_size_t bytes;
        kern_return_t code;

        code = IOConnectMapMemory64(connect, type, into_task, &place, &bytes, options);
        if (code)
                return code;
        *address = place;
        if (size)
                *size = bytes;
        return KERN_SUCCESS;
}

kern_return_t IOConnectUnmapMemory(io_connect_t connect, uint32_t type, task_port_t from_task, vm_address_t address)
{
        return IOConnectUnmapMemory64(connect, type, from_task, address);
}
