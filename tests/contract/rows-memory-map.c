/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 15.4, first part: the app maps memory of the driver. */
#include "mapping.h"

/* What the driver sees and does at a byte of its buffer. */
DRIVER(10053)
{
        return exchange_byte(self, arguments, false);
}
DRIVER(110053)
{
        return exchange_byte(self, arguments, true);
}
static uint8_t seen(io_connect_t connection, uint64_t offset)
{
        return driver_byte(connection, 10053, offset);
}
/* Stores through the mapping, and the driver has it. */
static void store_arrives(io_connect_t connection, volatile uint8_t *memory, uint64_t offset)
{
        uint8_t byte = (uint8_t)(memory[offset] + 1);
        ck_assert(writable(memory + offset));
        memory[offset] = byte;
        ck_assert_uint_eq(seen(connection, offset), byte);
}

/* Most rows need no more than this. */
DRIVER_MEMORY(10053)
{
        return give_buffer(self, kIOMemoryDirectionInOut, 5000, memory);
}
KEPT(memory_and_queues_M053, "a 5000-byte buffer is mapped: 0, size 5000, a page-aligned address, shared both ways")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *memory = map_anywhere(connection, 10053, 5000);
        for (uint32_t i = 0; i < 5000; i++)
                ck_assert_uint_eq(memory[i], (uint8_t)(i * 7));
        store_arrives(connection, memory, 0);
        store_arrives(connection, memory, 4999);
        driver_store(connection, 110053, 4096, 0xc3);
        ck_assert_uint_eq(memory[4096], 0xc3);
        /* The older name of the call, and no size wanted. */
        vm_address_t address = 0;
        vm_size_t size = 0;
        ck_code(IOConnectMapMemory(connection, 10053, mach_task_self(), &address, &size, kIOMapAnywhere), kIOReturnSuccess);
        ck_assert_uint_eq(size, 5000);
        ck_assert_uint_eq(address, (uintptr_t)memory);
        ck_code(IOConnectMapMemory(connection, 10053, mach_task_self(), &address, NULL, kIOMapAnywhere), kIOReturnSuccess);
        ck_assert_uint_eq(address, (uintptr_t)memory);
        ck_code(IOConnectUnmapMemory(connection, 10053, mach_task_self(), address), kIOReturnSuccess);
        ck_assert(gone(memory));
}

DRIVER_MEMORY(10054)
{
        return give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
KEPT(memory_and_queues_M054, "into no task: kIOReturnBadArgument, and the driver is not called")
{
        io_connect_t connection = contract_open(0);
        mach_vm_address_t address = 1;
        mach_vm_size_t size = 2;
        ck_code(IOConnectMapMemory64(connection, 10054, 0, &address, &size, kIOMapAnywhere), kIOReturnBadArgument);
        ck_assert_uint_eq(address, 1);
        ck_assert_uint_eq(size, 2);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_MEMORY, 10054), 0);
        map_anywhere(connection, 10054, 4096);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_MEMORY, 10054), 1);
}

DRIVER_MEMORY(10055)
{
        return kIOReturnNoDevice;
}
KEPT(memory_and_queues_M055, "the driver answers kIOReturnNoDevice: kIOReturnBadArgument")
{
        io_connect_t connection = contract_open(0);
        ck_code(map_fails(connection, 10055, 0, kIOMapAnywhere), kIOReturnBadArgument);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_MEMORY, 10055), 1);
}

DRIVER_MEMORY(10056)
{
        *memory = NULL;
        return kIOReturnSuccess;
}
DRIVER_MEMORY(110056)
{
        return kIOReturnSuccess;
}
DRIVER_MEMORY(210056)
{
        *memory = (IOMemoryDescriptor *)OSStringCreate("memory", 6);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_M056, "the driver answers 0 without memory, or with what is none: kIOReturnBadArgument")
{
        io_connect_t connection = contract_open(0);
        for (uint32_t type = 10056; type <= 210056; type += 100000) {
                ck_code(map_fails(connection, type, 0, kIOMapAnywhere), kIOReturnBadArgument);
                ck_assert_uint_eq(contract_calls_of(CONTRACT_MEMORY, type), 1);
        }
        map_anywhere(connection, 10053, 5000);
}

/* A user client that overrides nothing. */
#ifdef CONTRACT_DRIVER
struct PlainMemoryUserClient {
        IOUserClient client;
};
static const struct amb_method plain_methods[] = { AMB_METHODS_END };
OSDefineMetaClass(PlainMemoryUserClient, IOUserClient, plain_methods);
#endif
DRIVER_OPEN(10057)
{
        IOService *made;
        kern_return_t code = IOService_Create(self, self, "PlainMemoryProperties", &made);
        if (code == kIOReturnSuccess)
                *client = (IOUserClient *)made;
        return code;
}
KEPT(memory_and_queues_M057, "a user client without CopyClientMemoryForType: kIOReturnBadArgument")
{
        io_connect_t connection = contract_open(10057);
        ck_code(map_fails(connection, 10053, 0, kIOMapAnywhere), kIOReturnBadArgument);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_MEMORY, 10053), 0);
}

/* Mapped in the driver before it is given away. */
DRIVER_MEMORY(10058)
{
        kern_return_t code = give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
        IOMemoryMap *map;
        D_EXPECT(code == kIOReturnSuccess);
        code = IOMemoryDescriptor_CreateMapping(*memory, 0, 0, 0, 0, 0, &map);
        D_EXPECT(code == kIOReturnSuccess);
        OSObjectRelease(map);
        *options = kIOUserClientMemoryReadOnly;
        return kIOReturnSuccess;
}
/* The exit status tells how far a process came that maps the memory, reads it and stores into it. */
static int stores_and_dies(void)
{
        int status;
        pid_t app = fork();
        ck_assert_int_ge(app, 0);
        if (app == 0) {
                setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
                signal(SIGSEGV, SIG_DFL);
                signal(SIGBUS, SIG_DFL);
                volatile uint8_t *memory = map_anywhere(contract_open(0), 10058, 4096);
                if (memory[3] != 21)
                        _exit(1);
                memory[3] = 99;
                _exit(2);
        }
        ck_assert_int_eq(waitpid(app, &status, 0), app);
        return status;
}
KEPT(memory_and_queues_M058, "read-only by the driver's options: reads work, a store is a memory fault and kills the client")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *memory = map_anywhere(connection, 10058, 4096);
        ck_assert_uint_eq(memory[4095], (uint8_t)(4095 * 7));
        ck_assert(!writable(memory));
        ck_assert(!writable(memory + 4095));
        ck_assert_int_lt(mprotect((void *)(uintptr_t)memory, 4096, PROT_READ | PROT_WRITE), 0);
        /* The driver still writes. */
        driver_store(connection, 110053, 4095, 0x3c);
        ck_assert_uint_eq(memory[4095], 0x3c);

        int status = stores_and_dies();
        ck_assert_msg(WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS), "status 0x%x", status);
        ck_assert_uint_eq(seen(connection, 3), 21);
}

DRIVER_MEMORY(10059)
{
        *options = 0xfffffffe;
        return give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
KEPT(memory_and_queues_M059, "of the driver's options only bit 0 counts: 0xfffffffe is writable")
{
        io_connect_t connection = contract_open(0);
        store_arrives(connection, map_anywhere(connection, 10059, 4096), 17);
}

DRIVER_MEMORY(10060)
{
        D_EXPECT(*options == 0);
        return give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
DRIVER_MEMORY(110060)
{
        *options |= kIOUserClientMemoryReadOnly;
        return give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
KEPT(memory_and_queues_M060, "options are 0 before the driver writes them: untouched is writable, or-ed with 1 is read-only")
{
        io_connect_t plain = contract_open(0), or_ed = contract_open(0);
        store_arrives(plain, map_anywhere(plain, 10060, 4096), 0);
        volatile uint8_t *memory = map_anywhere(or_ed, 110060, 4096);
        ck_assert(readable(memory) && !writable(memory));
        ck_code(unmap(plain, 10060, NULL), kIOReturnSuccess);
        ck_code(unmap(or_ed, 110060, NULL), kIOReturnSuccess);
}

DRIVER_MEMORY(10061)
{
        return give_buffer(self, kIOMemoryDirectionOut, 4096, memory);
}
KEPT(memory_and_queues_M061, "a buffer of direction Out without the option is writable, and the driver sees the store")
{
        io_connect_t connection = contract_open(0);
        store_arrives(connection, map_anywhere(connection, 10061, 4096), 4095);
}

KEPT(memory_and_queues_M062, "the client's own kIOMapReadOnly is ignored: writable")
{
        io_connect_t connection = contract_open(0);
        store_arrives(connection, map_with(connection, 10053, 0, kIOMapReadOnly | kIOMapAnywhere, 5000), 0);
}

KEPT(memory_and_queues_M063, "the client's options 0xf0000001 are 0x1, and 0xf0000000 are 0")
{
        io_connect_t connection = contract_open(0);
        ck_assert_uint_eq(kIOMapPrefault | kIOMapOverwrite | kIOMapGuardedSmall | kIOMapGuardedLarge, 0xf0000000);
        ck_assert_uint_eq(kIOMapStatic | kIOMapReference | kIOMapUnique, 0x07000000);
        ck_assert_uint_eq(kIOMapPostedCombinedReordered >> kIOMapCacheShift, 9);
        volatile uint8_t *memory = map_with(connection, 10053, 0x1000, 0xf0000001, 5000);
        store_arrives(connection, memory, 0);
        ck_assert(map_anywhere(connection, 10053, 5000) == memory);
        ck_code(map_fails(connection, 10053, 0, 0xf0000000), kIOReturnBadArgument);
}

KEPT(memory_and_queues_M064, "the same descriptor twice: the same address both times")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *memory = map_anywhere(connection, 10053, 5000);
        ck_assert(map_anywhere(connection, 10053, 5000) == memory);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_MEMORY, 10053), 2);
        /* Not so for another connection: its own buffer, its own mapping. */
        ck_assert(map_anywhere(contract_open(0), 10053, 5000) != memory);
}

KEPT(memory_and_queues_M065, "mapped twice: one unmap removes it, a second one gives kIOReturnBadArgument")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *memory = map_anywhere(connection, 10053, 5000);
        map_anywhere(connection, 10053, 5000);
        ck_code(unmap(connection, 10053, memory), kIOReturnSuccess);
        ck_assert(gone(memory) && gone(memory + 4096));
        ck_code(unmap(connection, 10053, memory), kIOReturnBadArgument);
        /* It can be mapped again, and has kept what it held. */
        memory = map_anywhere(connection, 10053, 5000);
        ck_assert_uint_eq(memory[3], 21);
}

/* A new one each time; byte 0 is its number. */
DRIVER_MEMORY(10066)
{
        IOBufferMemoryDescriptor *buffer;
        IOAddressSegment range;
        kern_return_t code = IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, 4096, 0, &buffer);
        D_EXPECT(code == kIOReturnSuccess);
        IOBufferMemoryDescriptor_GetAddressRange(buffer, &range);
        *(uint8_t *)(uintptr_t)range.address = (uint8_t)++self->number;
        *memory = (IOMemoryDescriptor *)buffer;
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_M066, "a new descriptor each time: two addresses, unmap gives kIOReturnBadArgument, both stay")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *first = map_anywhere(connection, 10066, 4096), *second = map_anywhere(connection, 10066, 4096);
        ck_assert(first != second);
        ck_code(unmap(connection, 10066, first), kIOReturnBadArgument);
        ck_code(unmap(connection, 10066, second), kIOReturnBadArgument);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_MEMORY, 10066), 4);
        ck_assert(writable(first) && writable(second));
        ck_assert_uint_eq(*first, 1);
        ck_assert_uint_eq(*second, 2);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        ck_assert(gone(first) && gone(second));
}

DRIVER_MEMORY(10067)
{
        return give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
DRIVER_MEMORY(110067)
{
        return give_buffer(self, kIOMemoryDirectionInOut, 4096, memory);
}
KEPT(memory_and_queues_M067, "two types, one descriptor: the same address")
{
        io_connect_t connection = contract_open(0);
        volatile uint8_t *memory = map_anywhere(connection, 10067, 4096);
        ck_assert(map_anywhere(connection, 110067, 4096) == memory);
        /* And one mapping: the other type's name serves to remove it. */
        ck_code(unmap(connection, 110067, memory), kIOReturnSuccess);
        ck_assert(gone(memory));
        ck_code(unmap(connection, 10067, memory), kIOReturnBadArgument);
}

/* Free addresses, with room above them for whatever else is mapped meanwhile: the kernel fills gaps from above. */
static uint64_t free_place(void)
{
        size_t room = 64 << 20;
        void *place = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        ck_assert_ptr_ne(place, MAP_FAILED);
        munmap(place, room);
        return (uintptr_t)place;
}
KEPT(memory_and_queues_M068, "a free aligned address is asked for: exactly there")
{
        io_connect_t connection = contract_open(0);
        uint64_t place = free_place();
        volatile uint8_t *memory = map_with(connection, 10053, place, 0, 5000), *other;
        store_arrives(connection, memory, 4999);
        /* The same place again is the same mapping; another one is another, of the same bytes. */
        ck_assert(map_with(connection, 10053, place, 0, 5000) == memory);
        other = map_with(connection, 10053, place + 65536, 0, 5000);
        store_arrives(connection, other, 4998);
        ck_assert_uint_eq(memory[4998], other[4998]);
        ck_code(map_fails(connection, 10053, place + 131072 + 8, 0), kIOReturnBadArgument);
}

KEPT(memory_and_queues_M069, "address 0 is asked for: kIOReturnBadArgument")
{
        io_connect_t connection = contract_open(0);
        ck_code(map_fails(connection, 10053, 0, 0), kIOReturnBadArgument);
        map_anywhere(connection, 10053, 5000);
        ck_code(map_fails(connection, 10053, 0, 0), kIOReturnBadArgument);
}

KEPT(memory_and_queues_M070, "an occupied address is asked for: kIOReturnBadArgument, and what is there stays as it is")
{
        io_connect_t connection = contract_open(0);
        uint8_t *taken = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(taken, MAP_FAILED);
        memset(taken, 0x77, 8192);
        ck_code(map_fails(connection, 10053, (uintptr_t)taken, 0), kIOReturnBadArgument);
        /* Also if only the last page is. */
        ck_assert_int_eq(munmap(taken, 4096), 0);
        ck_code(map_fails(connection, 10053, (uintptr_t)taken, 0), kIOReturnBadArgument);
        for (int i = 4096; i < 8192; i++)
                ck_assert_uint_eq(taken[i], 0x77);
        /* Nothing is left of the attempts. */
        ck_code(unmap(connection, 10053, taken), kIOReturnBadArgument);
        ck_assert_uint_eq(taken[4096], 0x77);
        munmap(taken + 4096, 4096);
}
