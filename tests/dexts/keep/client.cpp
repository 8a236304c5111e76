/* SPDX-License-Identifier: Apache-2.0 */
/* Client of Keeper: memory that the driver keeps, and writes after the call; structures of every size. */
#include <cstdint>
#include <cstring>
#include <vector>

#include <IOKit/IOKitLib.h>
#include <CoreFoundation/CoreFoundation.h>

#include "client.h"
#include "Keeper/KeeperKeys.h"

static KeeperSizes sizes(io_connect_t connect, size_t input, size_t output)
{
    std::vector<uint8_t> in(input, 1), out(output, 0xee);
    KeeperSizes sizes = {};
    uint32_t count = 5;
    size_t outputSize = output;

    CHECK_OK(IOConnectCallMethod(connect, kKeeperSizes, nullptr, 0, in.data(), input, reinterpret_cast<uint64_t *>(&sizes), &count,
                                 out.data(), &outputSize));
    CHECK(count == 5 && outputSize == output);
    return sizes;
}

static void checkSizes(io_connect_t connect)
{
    KeeperSizes is = sizes(connect, 4096, 4096);
    CHECK(is.inline_input == 4096 && is.described_input == 0 && is.described_output == 0 && is.maximum_output == 4096);
    is = sizes(connect, 4097, 4097);
    CHECK(is.inline_input == 0 && is.described_input == 4097 && is.described_output == 4097 && is.maximum_output == 4097);
    is = sizes(connect, 1 << 20, 3);
    CHECK(is.described_input == 1 << 20 && is.described_output == 0 && is.maximum_output == 3 && is.completion == 0);
    is = sizes(connect, 0, 0);
    CHECK(is.inline_input == 0 && is.described_input == 0 && is.maximum_output == 0);
    printf("sizes: 0 to 1 MiB\n");
}

static bool all(const std::vector<uint8_t> & bytes, uint8_t byte)
{
    for (uint8_t one : bytes)
        if (one != byte)
            return false;
    return true;
}

static void checkKept(io_connect_t connect)
{
    std::vector<uint8_t> in(10000, 3), out(3 * 4096 + 123, 0);
    size_t size = out.size();
    uint64_t sum[2] = { 0, 0 };
    uint32_t count = 2;

    uint64_t early[2] = { 1, 0 };
    CHECK_CODE(IOConnectCallScalarMethod(connect, kKeeperFill, early, 2, nullptr, nullptr), kIOReturnNotReady);
    CHECK_OK(IOConnectCallStructMethod(connect, kKeeperHold, in.data(), in.size(), out.data(), &size));
    CHECK(size == out.size() && all(out, 0));
    for (uint64_t how = 0; how < 3; how++) {
        uint64_t fill[2] = { 0x30 + how, how };
        CHECK_OK(IOConnectCallScalarMethod(connect, kKeeperFill, fill, 2, nullptr, nullptr));
        CHECK(all(out, (uint8_t)fill[0]));
    }
    memset(in.data(), 9, in.size());    // the driver has what there was
    CHECK_OK(IOConnectCallScalarMethod(connect, kKeeperSum, nullptr, 0, sum, &count));
    CHECK(count == 2 && sum[0] == in.size() && sum[1] == 3 * in.size());
    CHECK_OK(IOConnectCallScalarMethod(connect, kKeeperDrop, nullptr, 0, nullptr, nullptr));
    CHECK_CODE(IOConnectCallScalarMethod(connect, kKeeperSum, nullptr, 0, sum, &count), kIOReturnNotReady);
    printf("kept: written after the call, by mapping, by addresses, by copy\n");
}

static void checkReach(io_connect_t connect)
{
    const size_t page = 4096;
    uint8_t * memory = static_cast<uint8_t *>(aligned_alloc(page, 4 * page));
    KeeperReach reach = {};

    for (size_t i = 0; i < 4 * page; i++)
        memory[i] = static_cast<uint8_t>(i / 256);
    // Two pieces with a page between them that nobody may touch.
    reach.piece[0] = { reinterpret_cast<uint64_t>(memory), page };
    reach.piece[1] = { reinterpret_cast<uint64_t>(memory + 2 * page), 2 * page };
    CHECK_OK(IOConnectCallStructMethod(connect, kKeeperReach, &reach, sizeof(reach), nullptr, nullptr));
    CHECK(memory[0] == 0 && memory[4 * page - 1] == 63);        // a copy was turned around
    reach.share = 1;
    CHECK_OK(IOConnectCallStructMethod(connect, kKeeperReach, &reach, sizeof(reach), nullptr, nullptr));
    CHECK(memory[0] == 63 && memory[4 * page - 1] == 0 && memory[page] == 16 && memory[2 * page - 1] == 31);
    CHECK(memory[page - 1] == 48 && memory[2 * page] == 47);
    reach.piece[0] = { 4096, page };                            // nothing is there
    CHECK_CODE(IOConnectCallStructMethod(connect, kKeeperReach, &reach, sizeof(reach), nullptr, nullptr), kIOReturnError);
    free(memory);
    printf("reach: addresses in a structure\n");
}

static void checkReverse(io_connect_t connect)
{
    char text[] = "desserts", back[64] = "";
    size_t size = sizeof(back);

    CHECK_OK(IOConnectCallStructMethod(connect, kKeeperReverse, text, 8, back, &size));
    CHECK(size == 8 && memcmp(back, "stressed", 8) == 0);
    size = 4;
    CHECK_CODE(IOConnectCallStructMethod(connect, kKeeperReverse, text, 8, back, &size), kIOReturnBadArgument);
    uint64_t scalar = 1;
    CHECK_CODE(IOConnectCallScalarMethod(connect, kKeeperReverse, &scalar, 1, nullptr, nullptr), kIOReturnBadArgument);
    size = 10;
    CHECK_CODE(IOConnectCallStructMethod(connect, kKeeperTooMuch, nullptr, 0, back, &size), kIOReturnBadArgument);
    CHECK_CODE(IOConnectCallScalarMethod(connect, 77, nullptr, 0, nullptr, nullptr), kIOReturnUnsupported);
    printf("reverse: structures of variable size\n");
}

struct Late {
    uint64_t length;
    IOReturn status;
    bool done;
};

static void completed(void * refcon, IOReturn result, void * argument)
{
    Late * late = static_cast<Late *>(refcon);

    late->status = result;
    late->length = reinterpret_cast<uint64_t>(argument);
    late->done = true;
    CFRunLoopStop(CFRunLoopGetCurrent());
}

static void checkLate(io_connect_t connect)
{
    IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
    std::vector<uint8_t> out(20000, 0);
    size_t size = out.size();
    Late late = {};
    uint64_t reference[kIOAsyncCalloutCount] = {}, byte = 0x77;

    CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
    reference[kIOAsyncCalloutFuncIndex] = reinterpret_cast<uint64_t>(&completed);
    reference[kIOAsyncCalloutRefconIndex] = reinterpret_cast<uint64_t>(&late);
    CHECK_OK(IOConnectCallAsyncMethod(connect, kKeeperLate, IONotificationPortGetMachPort(port), reference, kIOAsyncCalloutCount, &byte, 1,
                                      nullptr, 0, nullptr, nullptr, out.data(), &size));
    while (!late.done)
        CFRunLoopRun();
    CHECK(late.status == kIOReturnSuccess && late.length == out.size());
    CHECK(all(out, 0x77));
    CHECK_CODE(IOConnectCallAsyncMethod(connect, kKeeperLate, IONotificationPortGetMachPort(port), reference, kIOAsyncCalloutCount, &byte,
                                        1, nullptr, 0, nullptr, nullptr, nullptr, nullptr),
               kIOReturnBadArgument);
    IONotificationPortDestroy(port);
    printf("late: the output is filled, then the completion comes\n");
}

int main()
{
    io_connect_t connect = client_open("Keeper of things", 0);
    io_service_t service = client_find("Keeper of things");
    io_connect_t none = IO_OBJECT_NULL;

    CHECK_CODE(IOServiceOpen(service, mach_task_self(), 1, &none), kIOReturnUnsupported);
    CHECK_OK(IOObjectRelease(service));
    checkSizes(connect);
    checkKept(connect);
    checkReach(connect);
    checkReverse(connect);
    checkLate(connect);
    CHECK_OK(IOServiceClose(connect));
    return 0;
}
