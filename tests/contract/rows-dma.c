/* SPDX-License-Identifier: Apache-2.0 */
/*
 * real-code 1, item 1: a driver that keeps an argument's descriptor after the call and prepares it for DMA. Its device, which is
 * played by further calls, works on the application's memory itself.
 */
#include <DriverKit/IODMACommand.h>
#include <sys/mman.h>

#include "contract.h"

#define P 4096u

#define kInput 10001u           /* a structure input; out: the flags, the segments' count and length */
#define kNamed 20001u           /* in: address, length: described by the driver, both directions, no option; out: as above */
#define kSee 30001u             /* in: offset; out: what the device reads there, and what a mapping shows */
#define kWrite 40001u           /* in: offset, byte: the device writes */
#define kEnd 50001u             /* out: the codes of two completions */

/* --- the driver's half --- */

static __attribute__((unused)) IODMACommand *command;
static __attribute__((unused)) IOMemoryDescriptor *kept;
static __attribute__((unused)) IOMemoryMap *snapshot;
static __attribute__((unused)) uint8_t *device;

static __attribute__((unused)) kern_return_t prepare(IOMemoryDescriptor *memory, IOUserClientMethodArguments *arguments)
{
        const IODMACommandSpecification specification = { .maxAddressBits = 64 };
        IOAddressSegment segments[32] = { 0 };
        uint64_t flags = 0;
        uint32_t count = 32;
        kern_return_t code;

        D_EXPECT(!command && arguments->scalarOutputCount == 3);
        D_EXPECT(IODMACommand_Create(NULL, kIODMACommandCreateNoOptions, &specification, &command) == kIOReturnSuccess);
        code = IODMACommand_PrepareForDMA(command, kIODMACommandPrepareForDMANoOptions, memory, 0, 0, &flags, &count, segments);
        if (code != kIOReturnSuccess)
                return code;
        D_EXPECT(IOMemoryDescriptor_CreateMapping(memory, 0, 0, 0, 0, 0, &snapshot) == kIOReturnSuccess);
        device = (uint8_t *)(uintptr_t)segments[0].address;
        arguments->scalarOutput[0] = flags;
        arguments->scalarOutput[1] = count;
        arguments->scalarOutput[2] = segments[0].length;
        return kIOReturnSuccess;
}

DRIVER(10001)
{
        D_EXPECT(arguments->structureInputDescriptor);
        kept = arguments->structureInputDescriptor;
        OSObject_retain(kept);
        return prepare(kept, arguments);
}

DRIVER(20001)
{
        const IOAddressSegment segment = { arguments->scalarInput[0], arguments->scalarInput[1] };

        D_EXPECT(IOUserClient_CreateMemoryDescriptorFromClient(&self->client, kIOMemoryDirectionInOut, 1, &segment,
                                                               &kept) == kIOReturnSuccess);
        return prepare(kept, arguments);
}

DRIVER(30001)
{
        uint64_t offset = arguments->scalarInput[0];

        D_EXPECT(command && arguments->scalarOutputCount == 2);
        arguments->scalarOutput[0] = ((volatile uint8_t *)device)[offset];
        arguments->scalarOutput[1] = *(volatile uint8_t *)(IOMemoryMap_GetAddress(snapshot) + offset);
        return kIOReturnSuccess;
}

DRIVER(40001)
{
        ((volatile uint8_t *)device)[arguments->scalarInput[0]] = (uint8_t)arguments->scalarInput[1];
        return kIOReturnSuccess;
}

DRIVER(50001)
{
        D_EXPECT(command && arguments->scalarOutputCount == 2);
        arguments->scalarOutput[0] = (uint32_t)IODMACommand_CompleteDMA(command, kIODMACommandCompleteDMANoOptions);
        arguments->scalarOutput[1] = (uint32_t)IODMACommand_CompleteDMA(command, kIODMACommandCompleteDMANoOptions);
        OSSafeReleaseNULL(snapshot);
        OSSafeReleaseNULL(command);
        OSSafeReleaseNULL(kept);
        return kIOReturnSuccess;
}

/* --- the app's half --- */

static void check_seen(io_connect_t c, uint64_t offset, uint8_t device_sees, uint8_t map_shows)
{
        uint64_t out[2] = { 0, 0 };
        uint32_t outs = 2;

        ck_code(IOConnectCallScalarMethod(c, kSee, &offset, 1, out, &outs), kIOReturnSuccess);
        ck_assert_uint_eq(out[0], device_sees);
        ck_assert_uint_eq(out[1], map_shows);
}

static void end(io_connect_t c)
{
        uint64_t out[2] = { 0, 0 };
        uint32_t outs = 2;

        ck_code(IOConnectCallScalarMethod(c, kEnd, NULL, 0, out, &outs), kIOReturnSuccess);
        ck_code((kern_return_t)out[0], kIOReturnSuccess);
        ck_code((kern_return_t)out[1], kIOReturnNotReady);
}

static void check_input(io_connect_t c, uint8_t *buffer, size_t length)
{
        uint64_t out[3] = { 0 }, write[2] = { P + 1, 9 };
        uint32_t outs = 3;

        memset(buffer, 1, length);
        ck_code(IOConnectCallMethod(c, kInput, NULL, 0, buffer, length, out, &outs, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(out[0], kIOMemoryDirectionOut);
        ck_assert_uint_eq(out[1], 1);
        ck_assert_uint_eq(out[2], length);
        /* The call is over; stores at both ends and in the middle reach the device, and no mapping that is a snapshot. */
        buffer[0] = 2;
        buffer[length / 2] = 3;
        buffer[length - 1] = 4;
        check_seen(c, 0, 2, 1);
        check_seen(c, length / 2, 3, 1);
        check_seen(c, length - 1, 4, 1);
        /* And what the device writes the application finds: existing drivers fill such buffers. */
        ck_code(IOConnectCallScalarMethod(c, kWrite, write, 2, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(buffer[P + 1], 9);
        check_seen(c, P + 1, 9, 1);
        end(c);
        ck_assert_uint_eq(buffer[P + 1], 9);
        ck_assert(buffer[0] == 2 && buffer[length / 2] == 3 && buffer[length - 1] == 4);
}

KEPT(real_code_01, "a described argument that the driver keeps and prepares for DMA is the app's memory itself, after the call too")
{
        io_connect_t c = contract_open(0);
        uint8_t *heap = malloc(20001), *pages = mmap(NULL, 4 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uint64_t in[2] = { (uintptr_t)pages, 4 * P }, out[3] = { 0 }, write[2] = { P + 1, 9 };
        uint32_t outs = 3;

        ck_assert(heap && pages != MAP_FAILED);
        for (int use = 0; use < 3; use++) {
                check_input(c, heap + 1, 20000);
                check_input(c, pages, 4 * P);
        }
        /* What the driver names by itself, in both directions: what the device writes the app finds. */
        memset(pages, 5, 4 * P);
        ck_code(IOConnectCallScalarMethod(c, kNamed, in, 2, out, &outs), kIOReturnSuccess);
        ck_assert(out[0] == kIOMemoryDirectionInOut && out[1] == 1 && out[2] == 4 * P);
        ck_code(IOConnectCallScalarMethod(c, kWrite, write, 2, NULL, NULL), kIOReturnSuccess);
        ck_assert_int_eq(pages[P + 1], 9);
        pages[7] = 6;
        check_seen(c, 7, 6, 5);
        check_seen(c, P + 1, 9, 5);
        end(c);
        ck_assert_int_eq(pages[P + 1], 9);
        munmap(pages, 4 * P);
        free(heap);
}
