/* SPDX-License-Identifier: Apache-2.0 */
/* call-path 6.2: what the client may pass, and what the driver then sees. */
#include "contract.h"

#include <sys/mman.h>

/* Bytes that are different at every place. */
static uint8_t pattern(uint64_t at)
{
        return (uint8_t)(at * 31 + (at >> 8) * 7 + 5);
}

static __attribute__((unused)) void pattern_fill(void *bytes, size_t size)
{
        for (size_t i = 0; i < size; i++)
                ((uint8_t *)bytes)[i] = pattern(i);
}

static __attribute__((unused)) bool pattern_is(const void *bytes, size_t size)
{
        for (size_t i = 0; i < size; i++)
                if (((const uint8_t *)bytes)[i] != pattern(i))
                        return false;
        return true;
}

/* Is [bytes, bytes + size) all `byte`? */
static __attribute__((unused)) bool all_are(const void *bytes, size_t size, uint8_t byte)
{
        for (size_t i = 0; i < size; i++)
                if (((const uint8_t *)bytes)[i] != byte)
                        return false;
        return true;
}

/* The driver's view of a descriptor: its length (0: none), all of it. */
static __attribute__((unused)) uint64_t length_of(IOMemoryDescriptor *memory)
{
        uint64_t length = 0;
        return memory && IOMemoryDescriptor_GetLength(memory, &length) == kIOReturnSuccess ? length : 0;
}

/* All of it, mapped; NULL: could not be. The map is the caller's to release. */
static __attribute__((unused)) uint8_t *map_of(IOMemoryDescriptor *memory, IOMemoryMap **map)
{
        kern_return_t code = IOMemoryDescriptor_CreateMapping(memory, 0, 0, 0, 0, 0, map);
        return code == kIOReturnSuccess ? (uint8_t *)(uintptr_t)IOMemoryMap_GetAddress(*map) : NULL;
}

static __attribute__((unused)) bool descriptor_has_pattern(IOMemoryDescriptor *memory)
{
        IOMemoryMap *map;
        uint8_t *bytes = map_of(memory, &map);
        if (!bytes)
                return false;
        bool is = pattern_is(bytes, IOMemoryMap_GetLength(map));
        OSObject_release(map);
        return is;
}

/* --- scalars --- */

DRIVER(12)
{
        D_EXPECT(arguments->scalarInputCount == 16);
        for (uint64_t i = 0; i < 16; i++)
                D_EXPECT(arguments->scalarInput[i] == i * 0x0101010101010101ull);
        return kIOReturnSuccess;
}
KEPT(call_path_012, "16 scalars arrive as 16 scalars")
{
        uint64_t in[16];
        for (uint64_t i = 0; i < 16; i++)
                in[i] = i * 0x0101010101010101ull;
        ck_code(IOConnectCallMethod(contract_open(0), 12, in, 16, NULL, 0, NULL, NULL, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(12), 1);
}

/* 17 scalars with room for everything: the code, and nothing is touched. */
static __attribute__((unused)) void seventeen_scalars(io_connect_t connection, uint32_t selector)
{
        uint64_t in[17] = { 0 }, out[16];
        uint8_t bytes[64];
        uint32_t count = 5;
        size_t size = 33;
        memset(out, 0xa5, sizeof(out));
        memset(bytes, 0xa5, sizeof(bytes));
        ck_code(IOConnectCallMethod(connection, selector, in, 17, NULL, 0, out, &count, bytes, &size), MIG_ARRAY_TOO_LARGE);
        ck_assert_uint_eq(count, 5);
        ck_assert_uint_eq(size, 33);
        ck_assert(all_are(out, sizeof(out), 0xa5));
        ck_assert(all_are(bytes, sizeof(bytes), 0xa5));
}

DRIVER(13)
{
        return kIOReturnSuccess;
}
KEPT(call_path_013, "17 scalars in: MIG_ARRAY_TOO_LARGE, the driver not called, outputs and counts untouched")
{
        seventeen_scalars(contract_open(0), 13);
        ck_assert_uint_eq(contract_calls(13), 0);
}

KEPT(call_path_014, "17 scalars in on handle 0: the count is looked at before the handle and the scalars are")
{
        seventeen_scalars(0, 13);
        ck_code(IOConnectCallMethod(0, 13, NULL, 17, NULL, 0, NULL, NULL, NULL, NULL), MIG_ARRAY_TOO_LARGE);
}

DRIVER(15)
{
        D_EXPECT(arguments->scalarInputCount == 0);
        return kIOReturnSuccess;
}
KEPT(call_path_015, "count 0 with a pointer: the driver sees no scalars, the pointer is not followed")
{
        uint64_t in[1] = { 42 };
        io_connect_t connection = contract_open(0);
        ck_code(IOConnectCallMethod(connection, 15, in, 0, NULL, 0, NULL, NULL, NULL, NULL), kIOReturnSuccess);
        ck_code(IOConnectCallMethod(connection, 15, (uint64_t *)8, 0, NULL, 0, NULL, NULL, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(15), 2);
}

DRIVER(16)
{
        D_EXPECT(arguments->scalarOutputCount == 0);
        return kIOReturnSuccess;
}
KEPT(call_path_016, "no output count: room for 0 scalars, nothing written")
{
        uint64_t out[2] = { 1, 2 };
        ck_code(IOConnectCallMethod(contract_open(0), 16, NULL, 0, NULL, 0, out, NULL, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(out[0], 1);
        ck_assert_uint_eq(out[1], 2);
        ck_assert_uint_eq(contract_calls(16), 1);
}

/* Also what 18 calls: stores 16 values and leaves the count alone. */
DRIVER(17)
{
        D_EXPECT(arguments->scalarOutputCount == 16);
        for (uint64_t i = 0; i < 16; i++)
                arguments->scalarOutput[i] = 1000 + i;
        return kIOReturnSuccess;
}
static __attribute__((unused)) void sixteen_out(uint32_t room)
{
        uint64_t out[100];
        uint32_t count = room;
        memset(out, 0xa5, sizeof(out));
        ck_code(IOConnectCallMethod(contract_open(0), 17, NULL, 0, NULL, 0, out, &count, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(count, 16);
        for (uint64_t i = 0; i < 16; i++)
                ck_assert_uint_eq(out[i], 1000 + i);
        ck_assert(all_are(out + 16, sizeof(out) - 16 * sizeof(out[0]), 0xa5));
}
KEPT(call_path_017, "room for 16 scalars: the driver sees 16, 16 come back")
{
        sixteen_out(16);
}

KEPT(call_path_018, "room for 100 scalars counts as 16: the driver sees 16, 16 are written, the count is 16")
{
        sixteen_out(100);
}

/* --- structure input --- */

DRIVER(19)
{
        D_EXPECT(arguments->structureInput == NULL);
        D_EXPECT(arguments->structureInputDescriptor == NULL);
        return kIOReturnSuccess;
}
KEPT(call_path_019, "structure of 0 bytes with a pointer: neither object nor descriptor")
{
        char bytes[1] = "x";
        io_connect_t connection = contract_open(0);
        ck_code(IOConnectCallMethod(connection, 19, NULL, 0, bytes, 0, NULL, NULL, NULL, NULL), kIOReturnSuccess);
        ck_code(IOConnectCallMethod(connection, 19, NULL, 0, (void *)8, 0, NULL, NULL, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(19), 2);
}

DRIVER(20)
{
        D_EXPECT(arguments->structureInputDescriptor == NULL);
        D_EXPECT(arguments->structureInput != NULL);
        size_t length = OSDataGetLength(arguments->structureInput);
        D_EXPECT(arguments->scalarInputCount == 1 && length == arguments->scalarInput[0]);
        D_EXPECT(pattern_is(OSDataGetBytesPtr(arguments->structureInput, 0, length), length));
        return kIOReturnSuccess;
}
static __attribute__((unused)) void inline_in(uint64_t size)
{
        uint8_t bytes[4096];
        pattern_fill(bytes, sizeof(bytes));
        ck_code(IOConnectCallMethod(contract_open(0), 20, &size, 1, bytes, size, NULL, NULL, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(20), 1);
}
KEPT(call_path_020, "1 byte in: an object of length 1, no descriptor")
{
        inline_in(1);
}

KEPT(call_path_021, "4096 bytes in: an object of length 4096, no descriptor")
{
        inline_in(4096);
}

DRIVER(22)
{
        D_EXPECT(arguments->structureInput == NULL);
        D_EXPECT(length_of(arguments->structureInputDescriptor) == 4097);
        D_EXPECT(descriptor_has_pattern(arguments->structureInputDescriptor));
        return kIOReturnSuccess;
}
KEPT(call_path_022, "4097 bytes in: no object, a descriptor of length 4097 with the bytes")
{
        uint8_t bytes[4097];
        pattern_fill(bytes, sizeof(bytes));
        ck_code(IOConnectCallMethod(contract_open(0), 22, NULL, 0, bytes, sizeof(bytes), NULL, NULL, NULL, NULL),
                kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(22), 1);
}

#define HUGE_SIZE ((4ull << 30) + 12345)

/* Memory of which nothing is used until it is touched. */
static __attribute__((unused)) uint8_t *huge_memory(uint64_t size)
{
        uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        ck_assert_ptr_ne(memory, MAP_FAILED);
        madvise(memory, size, MADV_HUGEPAGE);   /* one zero page for 2 MiB of what is never written: reading it is quick */
        return memory;
}

DRIVER(23)
{
        IOMemoryMap *map;
        D_EXPECT(arguments->structureInput == NULL);
        D_EXPECT(length_of(arguments->structureInputDescriptor) == HUGE_SIZE);
        const uint8_t *bytes = map_of(arguments->structureInputDescriptor, &map);
        D_EXPECT(bytes != NULL);
        bool right = bytes[0] == 'a' && bytes[1] == 0 && bytes[(4ull << 30) - 1] == 'b' && bytes[4ull << 30] == 'c' &&
                     bytes[HUGE_SIZE - 2] == 0 && bytes[HUGE_SIZE - 1] == 'd';
        OSObject_release(map);
        D_EXPECT(right);
        return kIOReturnSuccess;
}
KEPT(call_path_023, "more than 4 GiB in: a descriptor of that length with the bytes")
{
        uint8_t *memory = huge_memory(HUGE_SIZE);
        memory[0] = 'a';
        memory[(4ull << 30) - 1] = 'b';
        memory[4ull << 30] = 'c';
        memory[HUGE_SIZE - 1] = 'd';
        ck_code(IOConnectCallStructMethod(contract_open(0), 23, memory, HUGE_SIZE, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(23), 1);
        munmap(memory, HUGE_SIZE);
}

KEPT(call_path_024, "pointer NULL with 5000 bytes in: no error, neither object nor descriptor")
{
        ck_code(IOConnectCallMethod(contract_open(0), 19, NULL, 0, NULL, 5000, NULL, NULL, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(19), 1);
}

/* --- structure output --- */

DRIVER(25)
{
        D_EXPECT(arguments->structureOutput == NULL);
        D_EXPECT(arguments->structureOutputMaximumSize == 0);
        D_EXPECT(arguments->structureOutputDescriptor == NULL);
        return kIOReturnSuccess;
}
KEPT(call_path_025, "buffer without a count: maximum 0, no descriptor, the buffer untouched")
{
        uint8_t bytes[64];
        memset(bytes, 0xa5, sizeof(bytes));
        ck_code(IOConnectCallMethod(contract_open(0), 25, NULL, 0, NULL, 0, NULL, NULL, bytes, NULL), kIOReturnSuccess);
        ck_assert(all_are(bytes, sizeof(bytes), 0xa5));
        ck_assert_uint_eq(contract_calls(25), 1);
}

KEPT(call_path_026, "room for 0 bytes: maximum 0, no descriptor, the count stays 0")
{
        uint8_t bytes[64];
        size_t size = 0;
        memset(bytes, 0xa5, sizeof(bytes));
        ck_code(IOConnectCallMethod(contract_open(0), 25, NULL, 0, NULL, 0, NULL, NULL, bytes, &size), kIOReturnSuccess);
        ck_assert_uint_eq(size, 0);
        ck_assert(all_are(bytes, sizeof(bytes), 0xa5));
        ck_assert_uint_eq(contract_calls(25), 1);
}

DRIVER(27)
{
        D_EXPECT(arguments->structureOutputMaximumSize == 4096);
        D_EXPECT(arguments->structureOutputDescriptor == NULL);
        arguments->structureOutput = OSDataCreate("27", 3);
        return kIOReturnSuccess;
}
KEPT(call_path_027, "room for 4096 bytes: maximum 4096, no descriptor")
{
        char bytes[4096];
        size_t size = sizeof(bytes);
        ck_code(IOConnectCallMethod(contract_open(0), 27, NULL, 0, NULL, 0, NULL, NULL, bytes, &size), kIOReturnSuccess);
        ck_assert_uint_eq(size, 3);
        ck_assert_str_eq(bytes, "27");
}

DRIVER(28)
{
        IOMemoryMap *map;
        D_EXPECT(arguments->structureOutputMaximumSize == 4097);
        D_EXPECT(length_of(arguments->structureOutputDescriptor) == 4097);
        D_EXPECT(arguments->structureOutput == NULL);
        uint8_t *bytes = map_of(arguments->structureOutputDescriptor, &map);
        D_EXPECT(bytes != NULL);
        pattern_fill(bytes, 4097);
        OSObject_release(map);
        return kIOReturnSuccess;
}
KEPT(call_path_028, "room for 4097 bytes: maximum 4097 and a descriptor of that length")
{
        uint8_t bytes[4100];
        size_t size = 4097;
        memset(bytes, 0xa5, sizeof(bytes));
        ck_code(IOConnectCallMethod(contract_open(0), 28, NULL, 0, NULL, 0, NULL, NULL, bytes, &size), kIOReturnSuccess);
        ck_assert_uint_eq(size, 4097);
        ck_assert(pattern_is(bytes, 4097));
        ck_assert(all_are(bytes + 4097, sizeof(bytes) - 4097, 0xa5));
}

DRIVER(29)
{
        return kIOReturnSuccess;
}
KEPT(call_path_029, "room for 4 GiB: kIOReturnIPCError, the driver not called, the count unchanged")
{
        uint8_t bytes[64];
        size_t size = 0x100000000ull;
        memset(bytes, 0xa5, sizeof(bytes));
        ck_code(IOConnectCallMethod(contract_open(0), 29, NULL, 0, NULL, 0, NULL, NULL, bytes, &size), kIOReturnIPCError);
        ck_assert_uint_eq(size, 0x100000000ull);
        ck_assert(all_are(bytes, sizeof(bytes), 0xa5));
        ck_assert_uint_eq(contract_calls(29), 0);
}

DRIVER(30)
{
        IOMemoryMap *map;
        D_EXPECT(arguments->structureOutputMaximumSize == 0xFFFFFFFF);
        D_EXPECT(length_of(arguments->structureOutputDescriptor) == 0xFFFFFFFF);
        uint8_t *bytes = map_of(arguments->structureOutputDescriptor, &map);
        D_EXPECT(bytes != NULL);
        bool sees = bytes[0x7fffffff] == 'm';
        bytes[0] = 'a';
        bytes[0x80000000] = 0;
        bytes[0xfffffffe] = 'z';
        OSObject_release(map);
        D_EXPECT(sees);
        return kIOReturnSuccess;
}
KEPT(call_path_030, "room for 4 GiB - 1: maximum 0xFFFFFFFF and a descriptor, which reaches the whole buffer")
{
        size_t size = 0xFFFFFFFF;
        uint8_t *memory = huge_memory(size);
        memory[0x7fffffff] = 'm';
        memory[0x80000000] = 'n';
        memory[0x80000001] = 'o';
        ck_code(IOConnectCallMethod(contract_open(0), 30, NULL, 0, NULL, 0, NULL, NULL, memory, &size), kIOReturnSuccess);
        ck_assert_uint_eq(size, 0xFFFFFFFF);
        ck_assert_uint_eq(memory[0], 'a');
        ck_assert_uint_eq(memory[0x7fffffff], 'm');
        ck_assert_uint_eq(memory[0x80000000], 0);
        ck_assert_uint_eq(memory[0x80000001], 'o');
        ck_assert_uint_eq(memory[0xfffffffe], 'z');
        munmap(memory, 0xFFFFFFFF);
}

KEPT(call_path_031, "output pointer NULL with 5000: maximum 0, no descriptor, 0, the count stays 5000")
{
        size_t size = 5000;
        ck_code(IOConnectCallMethod(contract_open(0), 25, NULL, 0, NULL, 0, NULL, NULL, NULL, &size), kIOReturnSuccess);
        ck_assert_uint_eq(size, 5000);
        ck_assert_uint_eq(contract_calls(25), 1);
}

DRIVER(32)
{
        D_EXPECT(arguments->structureInputDescriptor == NULL);
        D_EXPECT(arguments->structureInput && OSDataGetLength(arguments->structureInput) == 10);
        D_EXPECT(pattern_is(OSDataGetBytesPtr(arguments->structureInput, 0, 10), 10));
        D_EXPECT(arguments->structureOutputMaximumSize == 8192);
        D_EXPECT(length_of(arguments->structureOutputDescriptor) == 8192);
        return kIOReturnSuccess;
}
KEPT(call_path_032, "10 bytes in, room for 8192: an object for the input, a descriptor for the output")
{
        uint8_t in[10], out[8192];
        size_t size = sizeof(out);
        pattern_fill(in, sizeof(in));
        memset(out, 0xa5, sizeof(out));
        ck_code(IOConnectCallStructMethod(contract_open(0), 32, in, sizeof(in), out, &size), kIOReturnSuccess);
        ck_assert_uint_eq(size, 8192);
        ck_assert(all_are(out, sizeof(out), 0xa5));
}

DRIVER(33)
{
        D_EXPECT(arguments->structureInput == NULL);
        D_EXPECT(length_of(arguments->structureInputDescriptor) == 8192);
        D_EXPECT(descriptor_has_pattern(arguments->structureInputDescriptor));
        D_EXPECT(arguments->structureOutputMaximumSize == 10);
        D_EXPECT(arguments->structureOutputDescriptor == NULL);
        arguments->structureOutput = OSDataCreate("thirtythree", 10);
        return kIOReturnSuccess;
}
KEPT(call_path_033, "8192 bytes in, room for 10: a descriptor for the input, inline output")
{
        uint8_t in[8192], out[11] = "           ";
        size_t size = 10;
        pattern_fill(in, sizeof(in));
        ck_code(IOConnectCallStructMethod(contract_open(0), 33, in, sizeof(in), out, &size), kIOReturnSuccess);
        ck_assert_uint_eq(size, 10);
        ck_assert_mem_eq(out, "thirtythre ", 11);
}

/* --- selector and handle --- */

DRIVER(0xffffffff)
{
        D_EXPECT(selector == 0x00000000ffffffffull);
        D_EXPECT(arguments->selector == 0x00000000ffffffffull);
        D_EXPECT(arguments->version == kIOUserClientMethodArgumentsCurrentVersion);
        D_EXPECT(dispatch == NULL && target == NULL && reference == NULL);
        return kIOReturnSuccess;
}
KEPT(call_path_034, "selector 0xFFFFFFFF: the driver sees 0x00000000FFFFFFFF, as parameter and in the block")
{
        ck_code(IOConnectCallMethod(contract_open(0), 0xffffffff, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(0xffffffff), 1);
}

KEPT(call_path_035, "handle 0: MACH_SEND_INVALID_DEST")
{
        ck_code(IOConnectCallMethod(0, 35, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL), MACH_SEND_INVALID_DEST);
        ck_code(IOConnectCallScalarMethod(0, 35, NULL, 0, NULL, NULL), MACH_SEND_INVALID_DEST);
        ck_code(IOConnectCallStructMethod(0, 35, NULL, 0, NULL, NULL), MACH_SEND_INVALID_DEST);
}

KEPT(call_path_036, "a handle that was never given out: MACH_SEND_INVALID_DEST, counts and buffers untouched")
{
        io_connect_t connection = contract_open(0);
        uint64_t out = 7;
        uint32_t count = 1;
        uint8_t bytes[16];
        size_t size = sizeof(bytes);
        memset(bytes, 0xa5, sizeof(bytes));
        ck_code(IOConnectCallMethod(connection ^ 0x40000000, 35, NULL, 0, NULL, 0, &out, &count, bytes, &size),
                MACH_SEND_INVALID_DEST);
        ck_code(IOConnectCallMethod(0xffffffff, 35, NULL, 0, NULL, 0, &out, &count, bytes, &size), MACH_SEND_INVALID_DEST);
        ck_assert_uint_eq(out, 7);
        ck_assert_uint_eq(count, 1);
        ck_assert_uint_eq(size, sizeof(bytes));
        ck_assert(all_are(bytes, sizeof(bytes), 0xa5));
}

KEPT(call_path_037, "a service handle as the connection: kIOReturnBadArgument")
{
        io_service_t service = contract_service();
        ck_code(IOConnectCallMethod(service, 35, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL), kIOReturnBadArgument);
        IOObjectRelease(service);
}

/* --- the short forms --- */

DRIVER(38)
{
        D_EXPECT(arguments->structureInput == NULL && arguments->structureInputDescriptor == NULL);
        D_EXPECT(arguments->structureOutput == NULL && arguments->structureOutputDescriptor == NULL);
        D_EXPECT(arguments->structureOutputMaximumSize == 0);
        D_EXPECT(arguments->completion == NULL);
        D_EXPECT(arguments->scalarInputCount == 2 && arguments->scalarOutputCount == 1);
        arguments->scalarOutput[0] = arguments->scalarInput[0] - arguments->scalarInput[1];
        return kIOReturnSuccess;
}
KEPT(call_path_038, "IOConnectCallScalarMethod: no structure in, room for none")
{
        uint64_t in[2] = { 50, 8 }, out = 0;
        uint32_t count = 1;
        ck_code(IOConnectCallScalarMethod(contract_open(0), 38, in, 2, &out, &count), kIOReturnSuccess);
        ck_assert_uint_eq(out, 42);
        ck_assert_uint_eq(count, 1);
}

DRIVER(39)
{
        D_EXPECT(arguments->scalarInputCount == 0 && arguments->scalarOutputCount == 0);
        D_EXPECT(arguments->completion == NULL);
        D_EXPECT(arguments->structureInput && OSDataGetLength(arguments->structureInput) == 3);
        D_EXPECT(arguments->structureOutputMaximumSize == 8);
        arguments->structureOutput = OSDataCreate("out", 3);
        return kIOReturnSuccess;
}
KEPT(call_path_039, "IOConnectCallStructMethod: both scalar counts 0")
{
        char out[8] = "........";
        size_t size = 8;
        ck_code(IOConnectCallStructMethod(contract_open(0), 39, "in", 3, out, &size), kIOReturnSuccess);
        ck_assert_uint_eq(size, 3);
        ck_assert_mem_eq(out, "out.....", 8);
}
