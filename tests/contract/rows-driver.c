/* SPDX-License-Identifier: Apache-2.0 */
/* call-path 6.4: what the driver sees. */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sanitizer.h"
#include "contract.h"

enum { LARGE = 5000, PATTERN = 0xaa };

/* --- the driver's half: a gate between calls of two connections --- */

static __attribute__((unused)) struct {
        pthread_mutex_t lock;
        pthread_cond_t moved;
        int at;
} gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };

static __attribute__((unused)) void gate_move(int at)
{
        pthread_mutex_lock(&gate.lock);
        gate.at = at;
        pthread_cond_broadcast(&gate.moved);
        pthread_mutex_unlock(&gate.lock);
}

static __attribute__((unused)) void gate_wait(int at)
{
        pthread_mutex_lock(&gate.lock);
        while (gate.at < at)
                pthread_cond_wait(&gate.moved, &gate.lock);
        pthread_mutex_unlock(&gate.lock);
}

/* Returns when the gate is there; moves it. */
DRIVER(4066)
{
        gate_wait((int)arguments->scalarInput[0]);
        return kIOReturnSuccess;
}
DRIVER(4067)
{
        gate_move((int)arguments->scalarInput[0]);
        return kIOReturnSuccess;
}

/* --- the app's half: a call in a thread of its own --- */

struct caller {
        pthread_t thread;
        io_connect_t connection;
        uint32_t selector;
        uint8_t in[64];
        uint8_t out[2 * LARGE];
        size_t in_size, out_size;
        kern_return_t code;
};

static __attribute__((unused)) void *caller_run(void *context)
{
        struct caller *caller = context;
        caller->code = IOConnectCallStructMethod(caller->connection, caller->selector, caller->in, caller->in_size, caller->out,
                                                 caller->out_size ? &caller->out_size : NULL);
        return NULL;
}

static __attribute__((unused)) void caller_start(struct caller *caller, uint32_t selector)
{
        caller->connection = contract_open(0);
        caller->selector = selector;
        ck_assert_int_eq(pthread_create(&caller->thread, NULL, caller_run, caller), 0);
}

/* What the app does to its buffer while the library may be using it: that is what these rows are about. */
__attribute__((unused, no_sanitize("thread"))) static void scribble(volatile uint8_t *bytes, size_t size, uint8_t value)
{
        for (size_t i = 0; i < size; i++)
                bytes[i] = value;
}

__attribute__((unused, no_sanitize("thread"))) static uint8_t peek(const volatile uint8_t *byte)
{
        return *byte;
}

/* --- the block --- */

DRIVER(66)
{
        D_EXPECT(arguments->version == 2 && arguments->version == kIOUserClientMethodArgumentsCurrentVersion);
        D_EXPECT(selector == 66 && arguments->selector == 66);
        for (int i = 0; i < 30; i++)
                D_EXPECT(arguments->__reserved[i] == 0);
        /* what a driver writes into the block is nobody's concern */
        memset(arguments->__reserved, 0xff, sizeof(arguments->__reserved));
        arguments->version = 77;
        arguments->selector = 78;
        return kIOReturnSuccess;
}
KEPT(call_path_066, "version is 2; the selector is the same in the parameter and in the block")
{
        io_connect_t connection = contract_open(0);
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        uint64_t reference[3] = { 0, 0, 0 }, in[16] = { 1 };
        uint8_t bytes[LARGE] = { 0 };
        size_t size = sizeof(bytes);
        for (int i = 0; i < 2; i++) {
                ck_code(IOConnectCallScalarMethod(connection, 66, NULL, 0, NULL, NULL), kIOReturnSuccess);
                ck_code(IOConnectCallMethod(connection, 66, in, 16, bytes, sizeof(bytes), NULL, NULL, bytes, &size),
                        kIOReturnSuccess);
                ck_code(IOConnectCallAsyncScalarMethod(connection, 66, IONotificationPortGetMachPort(port), reference, 3, in, 1,
                                                       NULL, NULL),
                        kIOReturnSuccess);
        }
        ck_assert_uint_eq(contract_calls(66), 6);
        IONotificationPortDestroy(port);
}

DRIVER(67)
{
        D_EXPECT(dispatch == NULL && target == NULL && reference == NULL);
        return kIOReturnSuccess;
}
KEPT(call_path_067, "dispatch, target and reference are NULL")
{
        io_connect_t connection = contract_open(0);
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        uint64_t async[3] = { 0, 0, 0 };
        ck_code(IOConnectCallScalarMethod(connection, 67, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_code(IOConnectCallStructMethod(connection, 67, "x", 1, NULL, NULL), kIOReturnSuccess);
        ck_code(IOConnectCallAsyncScalarMethod(connection, 67, IONotificationPortGetMachPort(port), async, 3, NULL, 0, NULL, NULL),
                kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(67), 3);
        IONotificationPortDestroy(port);
}

DRIVER(68)
{
        D_EXPECT((arguments->completion != NULL) == (arguments->scalarInputCount == 1));
        return kIOReturnSuccess;
}
KEPT(call_path_068, "a synchronous call has no completion, also after one that had")
{
        io_connect_t connection = contract_open(0);
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        uint64_t reference[3] = { 0, 0, 0 }, in = 0;
        ck_code(IOConnectCallScalarMethod(connection, 68, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_code(IOConnectCallAsyncScalarMethod(connection, 68, IONotificationPortGetMachPort(port), reference, 3, &in, 1, NULL,
                                               NULL),
                kIOReturnSuccess);
        ck_code(IOConnectCallScalarMethod(connection, 68, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_code(IOConnectCallStructMethod(connection, 68, "x", 1, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(68), 4);
        IONotificationPortDestroy(port);
}

DRIVER(69)
{
        D_EXPECT(arguments->scalarInputCount == 0 && arguments->scalarOutputCount == 0);
        D_EXPECT(arguments->scalarInput != NULL && arguments->scalarOutput != NULL);
        /* there is room for 16 whatever the count says */
        for (int i = 0; i < kIOUserClientScalarArrayCountMax; i++) {
                D_EXPECT(arguments->scalarInput[i] == 0);
                arguments->scalarOutput[i] = UINT64_MAX;
        }
        return kIOReturnSuccess;
}
KEPT(call_path_069, "without scalars both counts are 0; the pointers are there nevertheless, as on the original")
{
        io_connect_t connection = contract_open(0);
        uint32_t count = 0;
        ck_code(IOConnectCallScalarMethod(connection, 69, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_code(IOConnectCallScalarMethod(connection, 69, NULL, 0, NULL, &count), kIOReturnSuccess);
        ck_assert_uint_eq(count, 0);
        ck_assert_uint_eq(contract_calls(69), 2);
}

/* --- memory --- */

DRIVER(70)
{
        uint8_t before[64];
        OSData *input = arguments->structureInput;
        D_EXPECT(OSDataGetLength(input) == sizeof(before) && OSDataGetBytes(input, before, 0, sizeof(before)));
        for (size_t i = 0; i < sizeof(before); i++)
                D_EXPECT(before[i] == PATTERN);
        /* kept: the copy outlives the call, and the next call must not change it */
        OSObject_retain(input);
        self->mine = (OSObject *)input;
        gate_move(1);
        gate_wait(2);
        D_EXPECT(memcmp(OSDataGetBytesPtr(input, 0, sizeof(before)), before, sizeof(before)) == 0);
        return kIOReturnSuccess;
}
DRIVER(1070)
{
        D_EXPECT(OSDataGetLength(arguments->structureInput) == 64 && arguments->structureInput != (OSData *)self->mine);
        D_EXPECT(((const uint8_t *)OSDataGetBytesPtr(arguments->structureInput, 0, 64))[0] == 0x55);
        D_EXPECT(((const uint8_t *)OSDataGetBytesPtr((OSData *)self->mine, 0, 64))[0] == PATTERN);
        return kIOReturnSuccess;
}
KEPT(call_path_070,
     "inline input is a private copy: the app's later writes do not show, nor does the next call's input in a copy kept")
{
        struct caller caller = { .in_size = 64 };
        io_connect_t other = contract_open(0);
        uint64_t in_driver = 1, changed = 2;
        memset(caller.in, PATTERN, sizeof(caller.in));
        caller_start(&caller, 70);
        ck_code(IOConnectCallScalarMethod(other, 4066, &in_driver, 1, NULL, NULL), kIOReturnSuccess);
        scribble(caller.in, sizeof(caller.in), 0x55);
        ck_code(IOConnectCallScalarMethod(other, 4067, &changed, 1, NULL, NULL), kIOReturnSuccess);
        pthread_join(caller.thread, NULL);
        ck_code(caller.code, kIOReturnSuccess);
        for (int i = 0; i < 3; i++)
                ck_code(IOConnectCallStructMethod(caller.connection, 1070, caller.in, 64, NULL, NULL), kIOReturnSuccess);
}

static __thread sigjmp_buf fault_jump;
static __attribute__((unused)) void fault(int signal_number)
{
        siglongjmp(fault_jump, signal_number);
}

/* The signal that a store to this address brings; 0: none. */
static __attribute__((unused)) int store_signal(volatile uint8_t *address)
{
        struct sigaction action = { .sa_handler = fault }, before[2];
        sigaction(SIGSEGV, &action, &before[0]);
        sigaction(SIGBUS, &action, &before[1]);
        int got = sigsetjmp(fault_jump, 1);
        if (got == 0)
                *address = 1;
        sigaction(SIGSEGV, &before[0], NULL);
        sigaction(SIGBUS, &before[1], NULL);
        return got;
}

DRIVER(71)
{
        static const uint64_t options[] = { 0, kIOMemoryMapReadOnly, kIOMemoryMapGuardedNone };
        for (int i = 0; i < 3; i++) {
                IOMemoryMap *map;
                D_EXPECT(IOMemoryDescriptor_CreateMapping(arguments->structureInputDescriptor, options[i], 0, 0, 0, 0, &map) ==
                         kIOReturnSuccess);
                uint8_t *bytes = (uint8_t *)(uintptr_t)IOMemoryMap_GetAddress(map);
                D_EXPECT(IOMemoryMap_GetLength(map) == LARGE && bytes[0] == PATTERN && bytes[LARGE - 1] == PATTERN);
                D_EXPECT(store_signal(bytes) == SIGSEGV && store_signal(bytes + LARGE - 1) == SIGSEGV);
                D_EXPECT(bytes[0] == PATTERN && bytes[LARGE - 1] == PATTERN);
                OSSafeReleaseNULL(map);
        }
        return kIOReturnSuccess;
}
KEPT(call_path_071, "input out of line is mapped read-only whatever the options: a store faults")
{
        uint8_t in[LARGE];
        memset(in, PATTERN, sizeof(in));
        ck_code(IOConnectCallStructMethod(contract_open(0), 71, in, sizeof(in), NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(71), 1);
}

DRIVER(72)
{
        IOMemoryMap *map;
        D_EXPECT(IOMemoryDescriptor_CreateMapping(arguments->structureOutputDescriptor, 0, 0, 0, 0, 0, &map) == kIOReturnSuccess);
        ((volatile uint8_t *)(uintptr_t)IOMemoryMap_GetAddress(map))[4096] = 0x5a;
        OSSafeReleaseNULL(map);
        gate_move(1);
        gate_wait(2);
        return kIOReturnSuccess;
}
KEPT(call_path_072, "a store to output out of line is visible to the app before the call ends")
{
        struct caller caller = { .out_size = 2 * LARGE };
        io_connect_t other = contract_open(0);
        uint64_t stored = 1, seen = 2;
        memset(caller.out, PATTERN, sizeof(caller.out));
        caller_start(&caller, 72);
        ck_code(IOConnectCallScalarMethod(other, 4066, &stored, 1, NULL, NULL), kIOReturnSuccess);
        /* That byte's page lies in the buffer as a whole, wherever the buffer begins. */
        ck_assert_uint_eq(peek(&caller.out[4096]), 0x5a);
        ck_code(IOConnectCallScalarMethod(other, 4067, &seen, 1, NULL, NULL), kIOReturnSuccess);
        pthread_join(caller.thread, NULL);
        ck_code(caller.code, kIOReturnSuccess);
        ck_assert_uint_eq(caller.out_size, 2 * LARGE);
        ck_assert_uint_eq(caller.out[4096], 0x5a);
        ck_assert_uint_eq(caller.out[4095], PATTERN);
        ck_assert_uint_eq(caller.out[4097], PATTERN);
}

/* Whether the descriptor is there, as long as it should be, and cannot be mapped in any way. */
static __attribute__((unused)) bool unmappable(IOMemoryDescriptor *memory)
{
        uint64_t length = 0, address = 1;
        IOMemoryMap *map = (IOMemoryMap *)&length;
        return memory && IOMemoryDescriptor_GetLength(memory, &length) == kIOReturnSuccess && length == LARGE &&
               IOMemoryDescriptor_CreateMapping(memory, 0, 0, 0, 0, 0, &map) == kIOReturnError &&
               IOMemoryDescriptor_CreateMapping(memory, kIOMemoryMapReadOnly, 0, 16, 32, 0, &map) == kIOReturnError &&
               IOMemoryDescriptor_Map(memory, 0, 0, 0, 0, &address, &length) == kIOReturnError && map == (IOMemoryMap *)&length &&
               address == 1;
}

DRIVER(73)
{
        D_EXPECT(arguments->structureInput == NULL);
        if (arguments->scalarInput[0] & 1)
                D_EXPECT(unmappable(arguments->structureInputDescriptor));
        if (arguments->scalarInput[0] & 2)
                D_EXPECT(unmappable(arguments->structureOutputDescriptor) && arguments->structureOutputMaximumSize == LARGE);
        return kIOReturnSuccess;
}
KEPT(call_path_073, "large arguments over memory that is not there: the call is accepted, mapping them gives kIOReturnError")
{
        io_connect_t connection = contract_open(0);
        uint64_t in = 1, out = 2, both = 3, neither = 0;
        size_t size = LARGE;
        /* No process has memory at 4096; `half` is there but for its end. */
        void *nowhere = (void *)4096;
        size_t page = (size_t)sysconf(_SC_PAGESIZE), end = (LARGE / page + 1) * page;
        uint8_t *half = mmap(NULL, end, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uint8_t *whole = mmap(NULL, end, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert(half != MAP_FAILED && whole != MAP_FAILED);
        ck_code(IOConnectCallMethod(connection, 73, &neither, 1, half, LARGE, NULL, NULL, whole, &size), kIOReturnSuccess);
        ck_code(IOConnectCallMethod(connection, 73, &in, 1, nowhere, LARGE, NULL, NULL, whole, &size), kIOReturnSuccess);
        ck_code(IOConnectCallMethod(connection, 73, &out, 1, whole, LARGE, NULL, NULL, nowhere, &size), kIOReturnSuccess);
        ck_code(IOConnectCallMethod(connection, 73, &both, 1, nowhere, LARGE, NULL, NULL, nowhere, &size), kIOReturnSuccess);
        ck_assert_int_eq(munmap(half + end - page, page), 0);
        ck_code(IOConnectCallMethod(connection, 73, &both, 1, half, LARGE, NULL, NULL, half, &size), kIOReturnSuccess);
        ck_code(IOConnectCallMethod(connection, 73, &neither, 1, whole, LARGE, NULL, NULL, whole, &size), kIOReturnSuccess);
        ck_assert_uint_eq(size, LARGE);
        ck_assert_uint_eq(contract_calls(73), 6);
}

DRIVER(74)
{
        static const uint64_t known[] = {
                kIOMemoryMapCacheModeDefault, kIOMemoryMapCacheModeInhibit, kIOMemoryMapCacheModeCopyback,
                kIOMemoryMapCacheModeWriteThrough, kIOMemoryMapCacheModeRealTime,
        };
        IOMemoryDescriptor *memory[2] = { arguments->structureInputDescriptor, arguments->structureOutputDescriptor };
        for (int i = 0; i < 2; i++) {
                IOMemoryMap *map = NULL;
                for (uint64_t mode = 0; mode <= 0xff00; mode += 0x100) {
                        bool is_known = false;
                        for (int k = 0; k < 5; k++)
                                is_known = is_known || mode == known[k];
                        if (is_known)
                                continue;
                        D_EXPECT(IOMemoryDescriptor_CreateMapping(memory[i], mode, 0, 0, 0, 0, &map) == kIOReturnBadArgument);
                        D_EXPECT(map == NULL);
                }
                for (int k = 0; k < 5; k++) {
                        D_EXPECT(IOMemoryDescriptor_CreateMapping(memory[i], known[k], 0, 0, 0, 0, &map) == kIOReturnSuccess);
                        OSSafeReleaseNULL(map);
                }
        }
        return kIOReturnSuccess;
}
KEPT(call_path_074, "an unknown cache mode is refused with kIOReturnBadArgument, the known ones are not")
{
        uint8_t bytes[LARGE] = { 0 };
        size_t size = sizeof(bytes);
        ck_code(IOConnectCallStructMethod(contract_open(0), 74, bytes, sizeof(bytes), bytes, &size), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(74), 1);
}

/* --- CreateMemoryDescriptorFromClient --- */

/* As memory_and_queues_M089 and M092, which look closer. */
DRIVER_START(75)
{
        const IOAddressSegment segment = { 0x10000, 4096 };
        IOMemoryDescriptor *memory = NULL;
        self->number = (uint32_t)IOUserClient_CreateMemoryDescriptorFromClient(&self->client, kIOMemoryDirectionIn, 1, &segment,
                                                                               &memory);
        return kIOReturnSuccess;
}
DRIVER(75)
{
        D_EXPECT(self->number == (uint32_t)kIOReturnNotReady);
        return kIOReturnSuccess;
}
KEPT(call_path_075, "CreateMemoryDescriptorFromClient inside Start: kIOReturnNotReady")
{
        ck_code(IOConnectCallScalarMethod(contract_open(75), 75, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_START, 75), 1);
}

DRIVER(76)
{
        IOAddressSegment segments[33] = { { 0x10000, 4096 } };
        IOMemoryDescriptor *memory = NULL;
        D_EXPECT(IOUserClient_CreateMemoryDescriptorFromClient(&self->client, kIOMemoryDirectionIn, 33, segments, &memory) ==
                 kIOReturnOverrun);
        D_EXPECT(!memory);
        return kIOReturnSuccess;
}
KEPT(call_path_076, "CreateMemoryDescriptorFromClient with 33 segments: kIOReturnOverrun")
{
        ck_code(IOConnectCallScalarMethod(contract_open(0), 76, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(76), 1);
}

/* --- the reference of the output --- */

/* Sanitizers make calls slow, and the address sanitizer keeps 256 MiB of what was freed. */
#if AMB_SANITIZED
enum { OUTPUT = 1024, CALLS = 50000, MOST_MIB = 300 };
#else
enum { OUTPUT = 1024, CALLS = 1000000, MOST_MIB = 64 };
#endif

DRIVER(77)
{
        if (!self->mine)
                self->mine = (OSObject *)OSDataCreate("kept", 4);
        if (self->number++ % 2) {
                arguments->structureOutput = OSDataCreate(NULL, OUTPUT);
        } else {
                OSObject_retain(self->mine);
                arguments->structureOutput = (OSData *)self->mine;
        }
        return kIOReturnSuccess;
}
DRIVER(1077)
{
        arguments->scalarOutput[0] = OSObject_getRetainCount(self->mine);
        arguments->scalarOutput[1] = self->number;
        return kIOReturnSuccess;
}

static __attribute__((unused)) long host_resident_mib(void)
{
        char path[64];
        long total, resident = 0;
        snprintf(path, sizeof(path), "/proc/%d/statm", (int)contract_host());
        FILE *file = fopen(path, "re");
        ck_assert_ptr_nonnull(file);
        ck_assert_int_eq(fscanf(file, "%ld %ld", &total, &resident), 2);
        fclose(file);
        return resident * sysconf(_SC_PAGESIZE) >> 20;
}

KEPT(call_path_077, "the runtime consumes the reference of the output: nothing is left over after 10^6 calls")
{
        io_connect_t connection = contract_open(0);
        uint8_t out[OUTPUT];
        uint64_t numbers[2] = { 0, 0 };
        uint32_t count = 2;
        long before = host_resident_mib();
        for (int i = 0; i < CALLS; i++) {
                size_t size = sizeof(out);
                kern_return_t code = IOConnectCallStructMethod(connection, 77, NULL, 0, out, &size);
                if (code != kIOReturnSuccess || size != (i % 2 ? OUTPUT : 4))
                        ck_abort_msg("call %d: 0x%x, %zu bytes", i, (unsigned)code, size);
        }
        ck_code(IOConnectCallScalarMethod(connection, 1077, NULL, 0, numbers, &count), kIOReturnSuccess);
        ck_assert_uint_eq(numbers[0], 1);
        ck_assert_uint_eq(numbers[1], CALLS);
        /* Half of the objects were new: 500 MiB if a million calls had left them. */
        ck_assert_int_lt(host_resident_mib() - before, MOST_MIB);
}
