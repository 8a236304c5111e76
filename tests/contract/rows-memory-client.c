/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory-and-queues 15.5: the app's memory seen by the driver. The app passes addresses and lengths as scalars, as real clients do;
 * the driver describes them (CreateMemoryDescriptorFromClient), keeps descriptor and map, and tells or changes bytes at offsets of
 * its map.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "contract.h"

#define P 4096u

/* in: options, map options, address, length [, address, length ...]; out: Create's code, map's code */
#define kDescribe 110099u
#define kMap 210099u            /* in: map options; maps what the last kDescribe made without a map; out: code */
#define kLook 310099u           /* in: offset; out: byte, length of the map, address inside its page */
#define kStore 410099u          /* in: offset, byte */
#define kLetGo 510099u

/* --- the driver's half --- */

static __attribute__((unused)) IOMemoryDescriptor *memory;
static __attribute__((unused)) IOMemoryMap *map;

static __attribute__((unused)) void let_go(void)
{
        OSSafeReleaseNULL(map);
        OSSafeReleaseNULL(memory);
}

DRIVER(110099)
{
        IOAddressSegment segments[33] = { 0 };
        uint32_t count = (arguments->scalarInputCount - 2) / 2;
        uint64_t options = arguments->scalarInput[0];

        D_EXPECT(arguments->scalarOutputCount == 2);
        let_go();
        for (uint32_t i = 0; i < count; i++)
                segments[i] = (IOAddressSegment){ arguments->scalarInput[2 + 2 * i], arguments->scalarInput[3 + 2 * i] };
        memory = (void *)0x5a5a;
        arguments->scalarOutput[0] = (uint32_t)IOUserClient_CreateMemoryDescriptorFromClient(&self->client, options, count,
                                                                                             segments, &memory);
        if (arguments->scalarOutput[0]) {
                D_EXPECT(memory == (void *)0x5a5a);
                memory = NULL;
                return kIOReturnSuccess;
        }
        if (arguments->scalarInput[1] != UINT64_MAX)
                arguments->scalarOutput[1] = (uint32_t)IOMemoryDescriptor_CreateMapping(memory, arguments->scalarInput[1], 0, 0, 0,
                                                                                        0, &map);
        return kIOReturnSuccess;
}

DRIVER(210099)
{
        arguments->scalarOutput[0] = (uint32_t)IOMemoryDescriptor_CreateMapping(memory, arguments->scalarInput[0], 0, 0, 0, 0,
                                                                                &map);
        return kIOReturnSuccess;
}

DRIVER(310099)
{
        D_EXPECT(map && arguments->scalarOutputCount == 3);
        arguments->scalarOutput[0] = *(volatile uint8_t *)(IOMemoryMap_GetAddress(map) + arguments->scalarInput[0]);
        arguments->scalarOutput[1] = IOMemoryMap_GetLength(map);
        arguments->scalarOutput[2] = IOMemoryMap_GetAddress(map) % P;
        return kIOReturnSuccess;
}

DRIVER(410099)
{
        D_EXPECT(map);
        *(volatile uint8_t *)(IOMemoryMap_GetAddress(map) + arguments->scalarInput[0]) = (uint8_t)arguments->scalarInput[1];
        return kIOReturnSuccess;
}

DRIVER(510099)
{
        let_go();
        return kIOReturnSuccess;
}

/* --- the app's half --- */

struct range {
        void *at;
        size_t length;
};

/* Describes and, unless map_options is -1, maps; asserts the codes. */
static void describe(io_connect_t c, uint64_t options, uint64_t map_options, const struct range *ranges, uint32_t count,
                     kern_return_t made, kern_return_t mapped)
{
        uint64_t in[16] = { options, map_options }, out[2] = { 0, 0 };
        uint32_t outs = 2;

        for (uint32_t i = 0; i < count; i++) {
                in[2 + 2 * i] = (uintptr_t)ranges[i].at;
                in[3 + 2 * i] = ranges[i].length;
        }
        ck_code(IOConnectCallScalarMethod(c, kDescribe, in, 2 + 2 * count, out, &outs), kIOReturnSuccess);
        ck_code((kern_return_t)out[0], made);
        ck_code((kern_return_t)out[1], mapped);
}

static void describe_one(io_connect_t c, uint64_t options, void *at, size_t length)
{
        describe(c, options, 0, &(struct range){ at, length }, 1, kIOReturnSuccess, kIOReturnSuccess);
}

static uint64_t looked[3];

static uint8_t look(io_connect_t c, uint64_t offset)
{
        uint32_t outs = 3;

        ck_code(IOConnectCallScalarMethod(c, kLook, &offset, 1, looked, &outs), kIOReturnSuccess);
        return (uint8_t)looked[0];
}

static void store(io_connect_t c, uint64_t offset, uint8_t byte)
{
        uint64_t in[2] = { offset, byte };

        ck_code(IOConnectCallScalarMethod(c, kStore, in, 2, NULL, NULL), kIOReturnSuccess);
}

static uint8_t *pages(uint32_t count)
{
        uint8_t *at = mmap(NULL, count * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        ck_assert(at != MAP_FAILED);
        for (uint32_t i = 0; i < count * P; i++)
                at[i] = (uint8_t)(i * 7 + i / P);
        return at;
}

/* The code that the method has got, which is what it tells. */
static kern_return_t told_code(io_connect_t connection, uint32_t selector)
{
        uint64_t code = 0;
        uint32_t count = 1;

        ck_code(IOConnectCallScalarMethod(connection, selector, NULL, 0, &code, &count), kIOReturnSuccess);
        return (kern_return_t)code;
}

DRIVER_START(10089)
{
        const IOAddressSegment segment = { 0x10000, P };
        IOMemoryDescriptor *made = NULL;

        self->number = (uint32_t)IOUserClient_CreateMemoryDescriptorFromClient(&self->client, kIOMemoryDirectionIn, 1, &segment,
                                                                               &made);
        return kIOReturnSuccess;
}
DRIVER(10089)
{
        arguments->scalarOutput[0] = self->number;
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_M089, "inside Start of the user client, its application's memory cannot be described: kIOReturnNotReady")
{
        ck_code(told_code(contract_open(10089), 10089), kIOReturnNotReady);
}

static __attribute__((unused)) uint64_t after_stop;
DRIVER_STOP(10090)
{
        const IOAddressSegment segment = { 0x10000, P };
        IOMemoryDescriptor *made = NULL;
        kern_return_t code = IOService_Stop(&self->client.service, provider);

        __atomic_store_n(&after_stop,
                         (uint32_t)IOUserClient_CreateMemoryDescriptorFromClient(&self->client, kIOMemoryDirectionIn, 1, &segment,
                                                                                 &made),
                         __ATOMIC_SEQ_CST);
        return code;
}
DRIVER(10090)
{
        arguments->scalarOutput[0] = __atomic_load_n(&after_stop, __ATOMIC_SEQ_CST);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_M090, "after the base class's Stop it cannot be described any more: kIOReturnNotReady")
{
        io_connect_t c = contract_open(0);
        kern_return_t code;

        ck_code(IOServiceClose(contract_open(10090)), kIOReturnSuccess);
        while ((code = told_code(c, 10090)) == 0)
                continue;
        ck_code(code, kIOReturnNotReady);
}

DRIVER(10091)
{
        const IOAddressSegment segment = { 0x10000, P };
        IOMemoryDescriptor *made = (void *)0x5a5a;
        OSString *other = OSStringCreate("x", 1);

        arguments->scalarOutput[0] = (uint32_t)IOUserClient_CreateMemoryDescriptorFromClient((IOUserClient *)other,
                                                                                             kIOMemoryDirectionIn, 1, &segment,
                                                                                             &made);
        OSObject_release(other);
        D_EXPECT(made == (void *)0x5a5a);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_M091, "on an object that is no user client: kIOReturnBadArgument")
{
        ck_code(told_code(contract_open(0), 10091), kIOReturnBadArgument);
}

DRIVER(10092)
{
        IOAddressSegment segments[33];
        IOMemoryDescriptor *made = (void *)0x5a5a;

        for (int i = 0; i < 33; i++)
                segments[i] = (IOAddressSegment){ 0x10000, P };
        arguments->scalarOutput[0] = (uint32_t)IOUserClient_CreateMemoryDescriptorFromClient(&self->client, kIOMemoryDirectionIn,
                                                                                             33, segments, &made);
        D_EXPECT(made == (void *)0x5a5a);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_M092, "33 segments: kIOReturnOverrun")
{
        ck_code(told_code(contract_open(0), 10092), kIOReturnOverrun);
}

KEPT(memory_and_queues_M093, "no segment: kIOReturnNoMemory")
{
        describe(contract_open(0), kIOMemoryDirectionIn, 0, NULL, 0, kIOReturnNoMemory, 0);
}

KEPT(memory_and_queues_M094, "a segment that wraps around the address space: kIOReturnNoMemory")
{
        const struct range wraps = { (void *)0xfffffffffffff000ull, 0x2000 };

        describe(contract_open(0), kIOMemoryDirectionIn, 0, &wraps, 1, kIOReturnNoMemory, 0);
}

KEPT(memory_and_queues_M095, "memory that the application never mapped can be described; mapping it gives kIOReturnError")
{
        io_connect_t c = contract_open(0);
        uint8_t *at = pages(3);

        /* As good as never mapped, and no other thread's mapping comes to lie there. */
        mprotect(at + P, P, PROT_NONE);
        describe(c, kIOMemoryDirectionInOut, 0, &(struct range){ at + P, P }, 1, 0, kIOReturnError);
        describe(c, kIOMemoryDirectionInOut | kIOMemoryDisableCopyOnWrite, 0, &(struct range){ at, 3 * P }, 1, 0, kIOReturnError);
        describe(c, kIOMemoryDirectionOut, 0, &(struct range){ (void *)0x10, P }, 1, 0, kIOReturnError);
        /* Nothing has changed. */
        ck_assert_int_eq(at[2 * P + 5], (uint8_t)((2 * P + 5) * 7 + 2));
}

KEPT(memory_and_queues_M096, "read-only memory of the application cannot be mapped for storing: kIOReturnError; for reading it can")
{
        io_connect_t c = contract_open(0);
        uint8_t *at = pages(2);

        ck_assert_int_eq(mprotect(at, 2 * P, PROT_READ), 0);
        describe(c, kIOMemoryDirectionIn | kIOMemoryDisableCopyOnWrite, 0, &(struct range){ at, 2 * P }, 1, 0, kIOReturnError);
        describe_one(c, kIOMemoryDirectionOut, at, 2 * P);
        ck_assert_int_eq(look(c, P + 1), at[P + 1]);
        describe_one(c, kIOMemoryDirectionOut | kIOMemoryDisableCopyOnWrite, at, 2 * P);
        ck_assert_int_eq(look(c, P + 1), at[P + 1]);
}

KEPT(memory_and_queues_M097, "a snapshot for reading: what the application stores after the first mapping is not seen")
{
        io_connect_t c = contract_open(0);
        uint8_t *at = pages(3), before = at[P + 9];

        describe_one(c, kIOMemoryDirectionOut, at + 16, 2 * P);
        at[P + 9] = (uint8_t)~before;
        ck_assert_int_eq(look(c, P + 9 - 16), before);
}

KEPT(memory_and_queues_M098, "a snapshot for both: the driver's stores stay with the driver")
{
        io_connect_t c = contract_open(0);
        uint8_t *at = pages(2), before = at[77];

        describe_one(c, kIOMemoryDirectionInOut, at, 2 * P);
        store(c, 77, (uint8_t)~before);
        ck_assert_int_eq(look(c, 77), (uint8_t)~before);
        ck_assert_int_eq(at[77], before);
}

KEPT(memory_and_queues_M099,
     "without copy on write each side sees the other's stores, also after the call, in whole pages and in parts of pages")
{
        io_connect_t c = contract_open(0);
        uint8_t *at = pages(4);

        describe_one(c, kIOMemoryDirectionInOut | kIOMemoryDisableCopyOnWrite, at + 100, 3 * P);
        for (uint32_t i = 0; i < 3; i++) {
                static const uint32_t places[] = { 0, P, 3 * P - 1 };
                uint32_t offset = places[i];

                store(c, offset, (uint8_t)(0xa0 + i));
                ck_assert_int_eq(at[100 + offset], 0xa0 + i);
                at[100 + offset] = (uint8_t)(0x50 + i);
                ck_assert_int_eq(look(c, offset), 0x50 + i);
        }
        /* Neighbours in the part-pages are nobody's business. */
        ck_assert_int_eq(at[99], (uint8_t)(99 * 7));
        ck_assert_int_eq(at[100 + 3 * P], (uint8_t)((100 + 3 * P) * 7 + 3));
}

KEPT(memory_and_queues_M100, "for reading alone, without copy on write: shared, and a store of the driver faults")
{
        io_connect_t c = contract_open(0);
        uint8_t *at = pages(2);
        uint64_t in[2] = { 3, 1 };

        describe_one(c, kIOMemoryDirectionOut | kIOMemoryDisableCopyOnWrite, at, 2 * P);
        at[3] = 0x33;
        ck_assert_int_eq(look(c, 3), 0x33);
        ck_code(IOConnectCallScalarMethod(c, kStore, in, 2, NULL, NULL), MIG_SERVER_DIED);
        ck_assert_int_eq(at[3], 0x33);
}

KEPT(memory_and_queues_M101, "segments that meet at page borders are one range, in their order; their length is the sum")
{
        io_connect_t c = contract_open(0);
        uint8_t *one = pages(2), *two = pages(1), *three = pages(2);
        const struct range ranges[] = { { one + 100, 2 * P - 100 }, { two, P }, { three, 50 } },
                           apart[] = { { one, 100 }, { two, P } };

        describe(c, kIOMemoryDirectionInOut | kIOMemoryDisableCopyOnWrite, 0, ranges, 3, 0, 0);
        two[5] = 0x77;
        three[49] = 0x66;
        ck_assert_int_eq(look(c, 0), one[100]);
        ck_assert_int_eq(looked[1], 3 * P - 100 + 50);
        ck_assert_int_eq(looked[2], 100);
        ck_assert_int_eq(look(c, 2 * P - 100 + 5), 0x77);
        ck_assert_int_eq(look(c, 3 * P - 100 + 49), 0x66);
        store(c, 2 * P - 100 + 6, 0x55);
        ck_assert_int_eq(two[6], 0x55);
        describe(c, kIOMemoryDirectionOut, 0, ranges, 3, 0, 0);
        ck_assert_int_eq(look(c, 2 * P - 100 + 6), 0x55);
        describe(c, kIOMemoryDirectionOut, 0, apart, 2, 0, kIOReturnError);
}

KEPT(memory_and_queues_M102, "what the driver has mapped it still reads after the application has unmapped it")
{
        io_connect_t c = contract_open(0);
        uint8_t *at = pages(3), byte = at[2 * P + 1];

        describe_one(c, kIOMemoryDirectionInOut | kIOMemoryDisableCopyOnWrite, at, 3 * P);
        ck_assert_int_eq(munmap(at, 3 * P), 0);
        ck_assert_int_eq(look(c, 2 * P + 1), byte);
}

/* The guest that maps, and dies, is a child of this process with a connection of its own. */
static void child_describes(uint64_t map_options)
{
        pid_t child = fork();
        int status = -1;

        if (child == 0) {
                uint8_t *at = pages(2);

                at[P + 3] = 0x42;
                describe(contract_open(0), kIOMemoryDirectionInOut | kIOMemoryDisableCopyOnWrite, map_options,
                         &(struct range){ at, 2 * P }, 1, 0, 0);
                raise(SIGKILL);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

KEPT(memory_and_queues_M103, "what the driver has mapped it still reads after the application has died")
{
        child_describes(0);
        ck_assert_int_eq(look(contract_open(0), P + 3), 0x42);
}

KEPT(memory_and_queues_M104, "what it has not mapped when the application dies, it cannot map any more: kIOReturnError")
{
        uint64_t options = 0, code = 0;
        uint32_t count = 1;

        child_describes(UINT64_MAX);
        ck_code(IOConnectCallScalarMethod(contract_open(0), kMap, &options, 1, &code, &count), kIOReturnSuccess);
        ck_code((kern_return_t)code, kIOReturnError);
}

/* --- structure arguments --- */

#define kKeepMap 110105u        /* out: bytes that differ from byte i = i * 3, the address inside its page, length */
#define kChanged 110106u        /* out: byte 4000 of the kept map */

static __attribute__((unused)) uint64_t differing(const uint8_t *at, uint64_t length)
{
        uint64_t count = 0;

        for (uint64_t i = 0; i < length; i++)
                count += at[i] != (uint8_t)(i * 3);
        return count;
}

DRIVER(110105)
{
        D_EXPECT(arguments->structureInputDescriptor && !arguments->structureInput && arguments->scalarOutputCount == 3);
        let_go();
        D_EXPECT(IOMemoryDescriptor_CreateMapping(arguments->structureInputDescriptor, 0, 0, 0, 0, 0, &map) == kIOReturnSuccess);
        arguments->scalarOutput[0] = differing((uint8_t *)(uintptr_t)IOMemoryMap_GetAddress(map), IOMemoryMap_GetLength(map));
        arguments->scalarOutput[1] = IOMemoryMap_GetAddress(map) % P;
        arguments->scalarOutput[2] = IOMemoryMap_GetLength(map);
        return kIOReturnSuccess;
}

static void send_input(io_connect_t c, const uint8_t *input, size_t size)
{
        uint64_t out[3];
        uint32_t count = 3;

        ck_code(IOConnectCallMethod(c, kKeepMap, NULL, 0, input, size, out, &count, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(out[0], 0);
        ck_assert_uint_eq(out[1], (uintptr_t)input % P);
        ck_assert_uint_eq(out[2], size);
}

KEPT(memory_and_queues_M105,
     "4097 bytes at an odd address: the driver's mapping has the address inside the page, the length and the bytes")
{
        io_connect_t c = contract_open(0);
        uint8_t *at = pages(3);

        for (uint32_t i = 0; i < 4097; i++)
                at[33 + i] = (uint8_t)(i * 3);
        send_input(c, at + 33, 4097);
}

KEPT(memory_and_queues_M106,
     "what the application stores into a structure input after the driver's first mapping is not seen, in small and in big ones")
{
        io_connect_t c = contract_open(0);
        size_t size = 3u << 20;
        uint8_t *at = malloc(size);

        for (size_t i = 0; i < size; i++)
                at[i] = (uint8_t)(i * 3);
        for (int round = 0; round < 6; round++) {
                size_t used = round % 3 == 0 ? 5000 : size;

                send_input(c, at, used);
                at[4000] = 0xee;
                ck_assert_int_eq(look(c, 4000), (uint8_t)(4000 * 3));
                at[4000] = (uint8_t)(4000 * 3);
        }
        ck_code(IOConnectCallScalarMethod(c, kLetGo, NULL, 0, NULL, NULL), kIOReturnSuccess);
        free(at);
}

#define kStoreAndWait 110107u
static __attribute__((unused)) pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

/* Stores, and returns when the application has answered in the same memory. */
DRIVER(110107)
{
        uint64_t length = 0;
        volatile uint8_t *at;

        D_EXPECT(arguments->structureOutputDescriptor && !arguments->structureOutput);
        IOMemoryDescriptor_GetLength(arguments->structureOutputDescriptor, &length);
        D_EXPECT(length == arguments->structureOutputMaximumSize);
        let_go();
        pthread_mutex_lock(&seen_lock);
        D_EXPECT(IOMemoryDescriptor_CreateMapping(arguments->structureOutputDescriptor, 0, 0, 0, 0, 0, &map) == kIOReturnSuccess);
        pthread_mutex_unlock(&seen_lock);
        at = (uint8_t *)(uintptr_t)IOMemoryMap_GetAddress(map);
        at[4096 + 1] = 0x99;
        __atomic_store_n(&at[4096], 0x11, __ATOMIC_RELEASE);
        while (__atomic_load_n(&at[4097], __ATOMIC_ACQUIRE) != 0x22)
                IOSleep(1);
        OSSafeReleaseNULL(map);
        return kIOReturnSuccess;
}

static uint8_t *output;

static void *answer(void *context)
{
        while (__atomic_load_n(&output[4096], __ATOMIC_ACQUIRE) != 0x11)
                usleep(500);
        *(int *)context = output[4097];
        __atomic_store_n(&output[4097], 0x22, __ATOMIC_RELEASE);
        return NULL;
}

KEPT(memory_and_queues_M107,
     "stores into 8192 bytes of output are seen at once, before the call returns, and the application's are; the count is 8192")
{
        io_connect_t c = contract_open(0);
        static uint8_t fixed[3 * P];
        uint8_t stack[3 * P], *places[] = { pages(2), fixed + (P - (uintptr_t)fixed % P) % P, malloc(3 * P), stack };

        memset(stack, 0, sizeof(stack));
        memset(places[2], 0, 3 * P);
        for (int i = 0; i < 4; i++) {
                size_t size = 2 * P;
                pthread_t thread;
                int seen = 0;

                /* In the heap and on the stack: the page that lies in the buffer as a whole has the bytes that the two look at. */
                output = places[i];
                if (i >= 2)
                        output += (P - (uintptr_t)output % P) % P;
                memset(output, 0, 2 * P);
                ck_assert_int_eq(pthread_create(&thread, NULL, answer, &seen), 0);
                ck_code(IOConnectCallStructMethod(c, kStoreAndWait, NULL, 0, output, &size), kIOReturnSuccess);
                pthread_join(thread, NULL);
                ck_assert_int_eq(seen, 0x99);
                ck_assert_uint_eq(size, 2 * P);
        }
        free(places[2]);
}

DRIVER(10108)
{
        arguments->structureOutput = OSDataCreate("x", 1);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_M108, "a structure besides the output descriptor: kIOReturnBadArgument")
{
        io_connect_t c = contract_open(0);
        size_t size = 8192;

        ck_code(IOConnectCallStructMethod(c, 10108, NULL, 0, pages(2), &size), kIOReturnBadArgument);
}

KEPT(memory_and_queues_M109,
     "a descriptor that the driver retains works after the call; nothing is promised of one that it does not")
{
        io_connect_t c = contract_open(0);
        uint8_t *at = pages(2);

        describe(c, kIOMemoryDirectionInOut | kIOMemoryDisableCopyOnWrite, UINT64_MAX, &(struct range){ at, 2 * P }, 1, 0, 0);
        uint64_t options = 0, code = 1;
        uint32_t count = 1;
        ck_code(IOConnectCallScalarMethod(c, kMap, &options, 1, &code, &count), kIOReturnSuccess);
        ck_code((kern_return_t)code, kIOReturnSuccess);
        store(c, P, 0x18);
        ck_assert_int_eq(at[P], 0x18);
}
