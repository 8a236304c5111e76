/* SPDX-License-Identifier: Apache-2.0 */
/* Client of Ring: bytes through it, and events out of it. */
#include <string>

#include <CoreFoundation/CoreFoundation.h>

#include "client.h"
#include "Ring/RingTypes.h"

static uint32_t put(io_connect_t connect, const std::string & text, kern_return_t wanted)
{
    uint64_t taken = 0;
    uint32_t count = 1;

    CHECK_CODE(IOConnectCallMethod(connect, kRingWrite, nullptr, 0, text.data(), text.size(), &taken, &count, nullptr, nullptr), wanted);
    return (uint32_t)taken;
}

static std::string get(io_connect_t connect, size_t most)
{
    char bytes[64];
    size_t size = most;

    CHECK_OK(IOConnectCallStructMethod(connect, kRingRead, nullptr, 0, bytes, &size));
    return std::string(bytes, size);
}

static void checkBytes(io_connect_t connect)
{
    uint64_t state[5] = {}, out = 0;
    uint32_t count = 5;

    CHECK(put(connect, "hello, ring", kIOReturnSuccess) == 11);
    CHECK(get(connect, 5) == "hello");
    CHECK(get(connect, 64) == ", ring");
    for (int i = 0; i < 2; i++)
        CHECK(put(connect, std::string(64, 'x'), kIOReturnSuccess) == 64);
    CHECK(put(connect, "y", kIOReturnNoSpace) == 0);
    CHECK(put(connect, std::string(65, 'z'), kIOReturnOverrun) == 0);
    CHECK_OK(IOConnectCallScalarMethod(connect, kRingState, nullptr, 0, state, &count));
    CHECK(state[0] == 128 && state[1] == 128 && state[2] == 115200 && state[3] == 11 + 128 && state[4] == 11);
    CHECK(get(connect, 64) == std::string(64, 'x') && put(connect, "last", kIOReturnSuccess) == 4);
    CHECK(get(connect, 64) == std::string(64, 'x') && get(connect, 64) == "last");
    count = 1;
    CHECK_OK(IOConnectCallScalarMethod(connect, kRingCheck, nullptr, 0, &out, &count));
    if (out != (1u << kRingChecks) - 1)
        fprintf(stderr, "held: 0x%llx\n", (unsigned long long)out);
    CHECK(out == (1u << kRingChecks) - 1);
    printf("bytes: through the ring\n");
}

static void checkConfigure(io_connect_t connect)
{
    RingConfigure wanted = { 300, 2, "quite slow" };
    uint64_t out = 0, state[5];
    uint32_t count = 1;

    CHECK_OK(IOConnectCallMethod(connect, kRingConfigure, nullptr, 0, &wanted, sizeof(wanted), &out, &count, nullptr, nullptr));
    CHECK(out == strlen(wanted.name));
    wanted.parity = 3;
    wanted.baud = 600;
    CHECK_OK(IOConnectCallMethod(connect, kRingConfigure, nullptr, 0, &wanted, sizeof(wanted), &out, &count, nullptr, nullptr));
    CHECK(out == 0xffffffff);
    count = 5;
    CHECK_OK(IOConnectCallScalarMethod(connect, kRingState, nullptr, 0, state, &count));
    CHECK(state[2] == 300);
    printf("configured: a structure by value, and a name\n");
}

struct Events {
    uint64_t events, how;
    int count, wanted;
};

static void happened(void * refcon, IOReturn result, void * events, void * how)
{
    Events * all = static_cast<Events *>(refcon);

    CHECK_OK(result);
    all->events = reinterpret_cast<uint64_t>(events);
    all->how = reinterpret_cast<uint64_t>(how);
    if (++all->count == all->wanted)
        CFRunLoopStop(CFRunLoopGetCurrent());
}

static void until(Events & all, int wanted)
{
    all.wanted = wanted;
    while (all.count < wanted)
        CFRunLoopRun();
}

static void checkEvents(io_connect_t connect, uint64_t plain)
{
    IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
    Events all = {};
    uint64_t reference[3] = { 0, reinterpret_cast<uint64_t>(&happened), reinterpret_cast<uint64_t>(&all) }, sent = 0x40;

    CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
    CHECK_OK(IOConnectCallAsyncScalarMethod(connect, kRingListen, IONotificationPortGetMachPort(port), reference, 3, &plain, 1, nullptr,
                                            nullptr));
    CHECK_OK(IOConnectCallScalarMethod(connect, kRingSend, &sent, 1, nullptr, nullptr));
    until(all, 1);
    CHECK(all.events == 0x40 && all.how == (plain ? 2 : 1));
    put(connect, "a", kIOReturnSuccess);
    until(all, 2);
    CHECK(all.events == 4);
    put(connect, std::string(63, 'b'), kIOReturnSuccess);
    put(connect, std::string(64, 'c'), kIOReturnSuccess);
    until(all, 4);
    CHECK(all.events == 5);     // data, and full
    CHECK_OK(IOConnectCallScalarMethod(connect, kRingReset, nullptr, 0, nullptr, nullptr));
    IONotificationPortDestroy(port);
    printf("events: of %s action\n", plain ? "a plain" : "a typed");
}

int main()
{
    io_connect_t connect = client_open("RingDevice", 0);

    checkBytes(connect);
    checkConfigure(connect);
    checkEvents(connect, 0);
    checkEvents(connect, 1);
    CHECK_OK(IOServiceClose(connect));
    return 0;
}
