/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of memory share: buffers, and what is mapped of them. By public functions alone. */
#include <sys/mman.h>
#include <unistd.h>

#include <DriverKit/DriverKit.h>

#include "base/test-suite.h"
#include "driver/test-faults.h"

#define P IOVMPageSize
#define MARK ((void *)0x5a5a)           /* in an out-parameter that must not be written */

static inline IOBufferMemoryDescriptor *buffer_of(uint64_t options, uint64_t capacity)
{
        IOBufferMemoryDescriptor *buffer = NULL;

        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(options, capacity, 0, &buffer), 0);
        return buffer;
}

static inline IOMemoryDescriptor *joined_of(IOMemoryDescriptor **with, uint32_t count)
{
        IOMemoryDescriptor *joined = NULL;

        ck_assert_int_eq(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, count, with, &joined), 0);
        return joined;
}

static inline uint64_t length_of(void *memory)
{
        uint64_t length = 0;

        ck_assert_int_eq(IOMemoryDescriptor_GetLength(memory, &length), 0);
        return length;
}

static inline uint8_t *own_view(IOBufferMemoryDescriptor *buffer)
{
        IOAddressSegment range = { 0, 0 };

        ck_assert_int_eq(IOBufferMemoryDescriptor_GetAddressRange(buffer, &range), 0);
        return (uint8_t *)(uintptr_t)range.address;
}

static inline kern_return_t map(void *memory, uint64_t options, uint64_t address, uint64_t offset, uint64_t length,
                                IOMemoryMap **ret)
{
        return IOMemoryDescriptor_CreateMapping(memory, options, address, offset, length, 0, ret);
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
