/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For rows about memory of the driver in the app: in the driver one buffer per user client, whose bytes the app can have read and
 * written by calls; in the app a way to map, and to try an access that must fault. All of it is private to each file of rows.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"
#include "driver/test-faults.h"

/* --- the driver's half --- */

/* The user client's own buffer, made when it is first asked for; byte i is i * 7. */
static inline kern_return_t give_buffer(struct ContractUserClient *self, uint64_t direction, uint64_t capacity,
                                        IOMemoryDescriptor **memory)
{
        if (!self->mine) {
                IOBufferMemoryDescriptor *buffer;
                IOAddressSegment range;
                kern_return_t code = IOBufferMemoryDescriptor_Create(direction, capacity, 0, &buffer);
                if (code != kIOReturnSuccess)
                        return code;
                self->mine = (OSObject *)buffer;
                code = IOBufferMemoryDescriptor_GetAddressRange(buffer, &range);
                if (code != kIOReturnSuccess)
                        return code;
                for (uint64_t i = 0; i < range.length; i++)
                        ((uint8_t *)(uintptr_t)range.address)[i] = (uint8_t)(i * 7);
        }
        OSObjectRetain(self->mine);
        *memory = (IOMemoryDescriptor *)self->mine;
        return kIOReturnSuccess;
}

/* Scalars in: an offset, and a byte to store there; out: the byte that was there before. */
static inline kern_return_t exchange_byte(struct ContractUserClient *self, IOUserClientMethodArguments *arguments, bool store)
{
        IOAddressSegment range;
        D_EXPECT(self->mine && arguments->scalarInputCount == (store ? 2u : 1u) && arguments->scalarOutputCount == 1);
        D_EXPECT(IOBufferMemoryDescriptor_GetAddressRange((IOBufferMemoryDescriptor *)self->mine, &range) == kIOReturnSuccess);
        D_EXPECT(arguments->scalarInput[0] < range.length);
        volatile uint8_t *byte = (volatile uint8_t *)(uintptr_t)(range.address + arguments->scalarInput[0]);
        arguments->scalarOutput[0] = *byte;
        if (store)
                *byte = (uint8_t)arguments->scalarInput[1];
        return kIOReturnSuccess;
}

/* --- the app's half --- */

/* By a call of selector `peek`, which does exchange_byte(..., false). */
static inline uint8_t driver_byte(io_connect_t connection, uint32_t peek, uint64_t offset)
{
        uint64_t out = 0;
        uint32_t count = 1;
        ck_code(IOConnectCallScalarMethod(connection, peek, &offset, 1, &out, &count), kIOReturnSuccess);
        return (uint8_t)out;
}
/* By a call of selector `poke`, which does exchange_byte(..., true). */
static inline void driver_store(io_connect_t connection, uint32_t poke, uint64_t offset, uint8_t byte)
{
        uint64_t in[2] = { offset, byte }, out = 0;
        uint32_t count = 1;
        ck_code(IOConnectCallScalarMethod(connection, poke, in, 2, &out, &count), kIOReturnSuccess);
}

/* Maps with these options; asserts success and the size. */
static inline volatile uint8_t *map_with(io_connect_t connection, uint32_t type, uint64_t at, IOOptionBits options, uint64_t size)
{
        mach_vm_address_t address = at;
        mach_vm_size_t told = 0;
        ck_code(IOConnectMapMemory64(connection, type, mach_task_self(), &address, &told, options), kIOReturnSuccess);
        ck_assert_uint_eq(told, size);
        ck_assert_uint_eq(address % 4096, 0);
        if (!(options & kIOMapAnywhere))
                ck_assert_uint_eq(address, at);
        return (volatile uint8_t *)(uintptr_t)address;
}
static inline volatile uint8_t *map_anywhere(io_connect_t connection, uint32_t type, uint64_t size)
{
        return map_with(connection, type, 0, kIOMapAnywhere, size);
}
/* A map that must fail leaves what the caller passed in as it was. */
static inline kern_return_t map_fails(io_connect_t connection, uint32_t type, uint64_t at, IOOptionBits options)
{
        mach_vm_address_t address = at;
        mach_vm_size_t size = 0x5aa5;
        kern_return_t code = IOConnectMapMemory64(connection, type, mach_task_self(), &address, &size, options);
        ck_assert_uint_eq(address, at);
        ck_assert_uint_eq(size, 0x5aa5);
        return code;
}
static inline kern_return_t unmap(io_connect_t connection, uint32_t type, volatile uint8_t *at)
{
        return IOConnectUnmapMemory64(connection, type, mach_task_self(), (uintptr_t)at);
}
