/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOConnectMapMemory and its counterpart. The host asks the driver, between calls; which memory it is we are told by an
 * identity: the same identity with the same rights is the same memory, and has one mapping here. Contract: memory-and-queues 3.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include <IOKit/IOKitLib.h>

#include "client/cancel.h"
#include "client/connection.h"
#include "client/mapped.h"

struct amb_mapping {
        struct amb_mapping *next;
        uint64_t identity;
        bool read_only;
        void *address;
        size_t length;                  /* of the mapping; what the app is told may be less */
        struct amb_mapped mapped;
};

void amb_mappings_free(struct amb_connection *connection)
{
        struct amb_mapping *mapping;

        while ((mapping = connection->mappings)) {
                connection->mappings = mapping->next;
                amb_mapped_remove(&mapping->mapped);
                munmap(mapping->address, mapping->length);
                free(mapping);
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

/* A private, checked look at what the host sent: a sealed memfd that holds at least `size` bytes. */
static bool memory_valid(int fd, uint64_t size, size_t *ret_length)
{
        struct stat st;

        if (fd < 0 || size == 0 || !amb_side_memory_check(fd, 0, 0) || fstat(fd, &st) < 0 || (uint64_t)st.st_size < size)
                return false;
        *ret_length = (size_t)st.st_size;
        return true;
}

static kern_return_t mapping_new(struct amb_connection *connection, const struct amb_side_message *answer, int fd,
                                 uint64_t fixed, void **ret_address)
{
        bool read_only = answer->flags & AMB_SIDE_READ_ONLY;
        struct amb_mapping *mapping;
        size_t length;

        if (!memory_valid(fd, answer->size, &length))
                return kIOReturnBadArgument;
        mapping = calloc(1, sizeof(*mapping));
        if (!mapping)
                return kIOReturnBadArgument;
        mapping->address = mmap((void *)(uintptr_t)fixed, length, PROT_READ | (read_only ? 0 : PROT_WRITE),
                                MAP_SHARED | (fixed ? MAP_FIXED_NOREPLACE : 0), fd, 0);
        if (mapping->address == MAP_FAILED) {
                free(mapping);
                return kIOReturnBadArgument;
        }
        mapping->identity = answer->identity;
        mapping->read_only = read_only;
        mapping->length = length;
        amb_mapped_add(&mapping->mapped, mapping->address, length);
        mapping->next = connection->mappings;
        connection->mappings = mapping;
        *ret_address = mapping->address;
        return KERN_SUCCESS;
}

static kern_return_t connection_map(struct amb_connection *connection, uint32_t type, uint64_t fixed, void **ret_address,
                                    uint64_t *ret_size)
{
        struct amb_side_message request = { .kind = AMB_SIDE_MAP, .id = type }, answer;
        kern_return_t code = KERN_SUCCESS;
        struct amb_mapping **known;
        AMB_FD fd = -1;

        if (amb_connection_ask(connection, &request, -1, &answer, &fd))
                return amb_connection_ended(connection);
        if (answer.flags & AMB_SIDE_TERMINATED)
                return amb_connection_terminated(connection);
        if (answer.code)
                return kIOReturnBadArgument;
        pthread_mutex_lock(&connection->map_lock);
        known = mapping_find(connection, answer.identity, answer.flags & AMB_SIDE_READ_ONLY, fixed);
        if (known)
                *ret_address = (*known)->address;
        else
                code = mapping_new(connection, &answer, fd, fixed, ret_address);
        if (code == KERN_SUCCESS) {
                *ret_size = answer.size;
                atomic_store(&connection->ever_mapped, true);
        }
        pthread_mutex_unlock(&connection->map_lock);
        return code;
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
                amb_mapped_remove(&mapping->mapped);
                munmap(mapping->address, mapping->length);
                free(mapping);
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
