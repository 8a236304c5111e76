/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the rows about the driver's own memory share. */
#include <sys/mman.h>

#include "contract.h"
#include "driver/test-faults.h"

#define P IOVMPageSize
#define MARK ((void *)0x5a5a)           /* in an out-parameter that must not be written */

static inline IOBufferMemoryDescriptor *buffer_of(uint64_t options, uint64_t capacity)
{
        IOBufferMemoryDescriptor *buffer = NULL;

        ck_code(IOBufferMemoryDescriptor_Create(options, capacity, 0, &buffer), 0);
        return buffer;
}

static inline uint64_t length_of(void *memory)
{
        uint64_t length = 0;

        ck_code(IOMemoryDescriptor_GetLength(memory, &length), 0);
        return length;
}

static inline uint8_t *own_view(IOBufferMemoryDescriptor *buffer)
{
        IOAddressSegment range = { 0, 0 };

        ck_code(IOBufferMemoryDescriptor_GetAddressRange(buffer, &range), 0);
        return (uint8_t *)(uintptr_t)range.address;
}

static inline kern_return_t map(void *memory, uint64_t options, uint64_t address, uint64_t offset, uint64_t length, IOMemoryMap **ret)
{
        return IOMemoryDescriptor_CreateMapping(memory, options, address, offset, length, 0, ret);
}

/* The same, anywhere; it must succeed. */
static inline IOMemoryMap *mapped(void *memory, uint64_t options, uint64_t offset, uint64_t length)
{
        IOMemoryMap *m = NULL;

        ck_code(map(memory, options, 0, offset, length, &m), 0);
        ck_assert_ptr_nonnull(m);
        return m;
}

static inline uint8_t *at(IOMemoryMap *m)
{
        return (uint8_t *)(uintptr_t)IOMemoryMap_GetAddress(m);
}

/* An address where nothing is. */
static inline uint64_t free_space(size_t size)
{
        void *space = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        munmap(space, size);
        return (uintptr_t)space;
}
