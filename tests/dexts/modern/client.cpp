/* SPDX-License-Identifier: Apache-2.0 */
/* Mixes, asks in words, lists and lets it tick. */
#include <CoreFoundation/CoreFoundation.h>
#include <string_view>
#include <vector>

#include "client.h"
#include "modern/Mixer/Shared/MixerCommands.h"

using mixer::Command;

static io_connect_t connection;

static uint32_t selector(Command command)
{
    return static_cast<uint32_t>(command);
}

static kern_return_t set_gain(uint64_t channel, uint64_t gain, uint64_t *before)
{
    const uint64_t in[] = { channel, gain };
    uint32_t count = 1;
    return IOConnectCallScalarMethod(connection, selector(Command::gain), in, 2, before, &count);
}

static kern_return_t say(std::string_view words, uint64_t *changes)
{
    uint32_t count = 1;
    return IOConnectCallMethod(connection, selector(Command::text), nullptr, 0, words.data(), words.size(), changes, &count,
                               nullptr, nullptr);
}

static uint64_t statistic(unsigned int which)
{
    uint64_t out[4] = {};
    uint32_t count = 4;
    CHECK_OK(IOConnectCallScalarMethod(connection, selector(Command::statistics), nullptr, 0, out, &count));
    return out[which];
}

static kern_return_t mix(const std::vector<int16_t> &samples, std::vector<int16_t> &mixed)
{
    size_t size = mixed.size() * sizeof(int16_t);
    kern_return_t code = IOConnectCallStructMethod(connection, selector(Command::mix), samples.data(),
                                                   samples.size() * sizeof(int16_t), mixed.data(), &size);
    if (code == kIOReturnSuccess)
        mixed.resize(size / sizeof(int16_t));
    return code;
}

static void check_mixing()
{
    const std::vector<int16_t> samples{ 1, 100, 30000, 2, 100, 30000, 3, 100, 30000, 4, -100, 30000 };
    std::vector<int16_t> mixed(16);
    uint64_t before = 0;

    CHECK_OK(mix(samples, mixed));
    CHECK(mixed == (std::vector<int16_t>{ 10, 200, 32767 }));
    CHECK(statistic(0) == 1 && statistic(1) == 1);
    CHECK_OK(set_gain(3, 0, &before));
    CHECK(before == 1000);
    CHECK_OK(set_gain(2, 2500, &before));
    CHECK_CODE(set_gain(4, 0, &before), kIOReturnBadArgument);
    mixed.resize(3);
    CHECK_OK(mix(samples, mixed));
    CHECK(mixed == (std::vector<int16_t>{ 10, 450, 32767 }));
    CHECK_CODE(mix({ 1, 2, 3 }, mixed), kIOReturnBadArgument);
    CHECK_CODE(mix({}, mixed), kIOReturnBadArgument);
    CHECK(statistic(0) == 2 && statistic(1) == 2);
}

static void check_words()
{
    uint64_t changes = 0;
    CHECK_OK(say("mute 3", &changes));
    CHECK_OK(say("gain 1 500", &changes));
    CHECK(changes == 1);
    CHECK_OK(say("  mute\t2 ", &changes));
    for (auto wrong : { "gain 1", "gain x 5", "gain 9 5", "mute 1 2", "loud 1", "", "gain 1 99999999999" })
        CHECK_CODE(say(wrong, &changes), kIOReturnBadArgument);

    mixer::ChannelInfo infos[mixer::kChannels];
    size_t size = sizeof(infos);
    CHECK_OK(IOConnectCallStructMethod(connection, selector(Command::list), nullptr, 0, infos, &size));
    CHECK(size == sizeof(infos));
    CHECK(infos[0].id == 0 && infos[0].gain == 1000 && infos[1].id == 1 && infos[1].gain == 500);
    CHECK(infos[2].gain == 0 && infos[3].gain == 0 && strcmp(infos[1].name, "ch 1") == 0);
    size = sizeof(infos[0]) + 3;
    CHECK_OK(IOConnectCallStructMethod(connection, selector(Command::list), nullptr, 0, infos, &size));
    CHECK(size == sizeof(infos[0]));
    CHECK_OK(say("reset", &changes));
    CHECK(changes == mixer::kChannels);
}

static void check_equality()
{
    for (uint64_t first = 0; first < 2; first++) {
        uint64_t out[2] = {};
        uint32_t count = 2;
        CHECK_OK(IOConnectCallScalarMethod(connection, selector(Command::lookup), &first, 1, out, &count));
        CHECK(out[0] == (first == 0) && out[1] == (first == 0));
        CHECK(statistic(2) == mixer::kChannels);
    }
}

static void ticked(void *refcon, IOReturn result, void *ticks)
{
    CHECK(result == kIOReturnSuccess);
    *static_cast<uint64_t *>(refcon) = (uint64_t)ticks;
    CFRunLoopStop(CFRunLoopGetCurrent());
}

static void check_ticks(IONotificationPortRef notify, uint64_t wanted, uint64_t interval, bool wait)
{
    static uint64_t arrived;
    const uint64_t in[] = { wanted, interval };
    io_async_ref64_t reference = {};
    reference[kIOAsyncCalloutFuncIndex] = (io_user_reference_t)ticked;
    reference[kIOAsyncCalloutRefconIndex] = (io_user_reference_t)&arrived;
    auto call = [&] {
        return IOConnectCallAsyncScalarMethod(connection, selector(Command::ticks), IONotificationPortGetMachPort(notify),
                                              reference, kIOAsyncCalloutCount, in, 2, nullptr, nullptr);
    };

    arrived = 0;
    CHECK_OK(call());
    if (!wait)
        return;
    CHECK_CODE(call(), kIOReturnBusy);
    CFRunLoopRun();
    CHECK(arrived == wanted && statistic(3) == wanted);
}

int main()
{
    io_connect_t refused = IO_OBJECT_NULL;
    io_service_t service = client_find("MixerDriver");
    IONotificationPortRef notify = IONotificationPortCreate(kIOMainPortDefault);

    CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(notify), kCFRunLoopDefaultMode);
    CHECK_CODE(IOServiceOpen(service, mach_task_self(), 2, &refused), kIOReturnError);
    IOObjectRelease(service);
    for (uint32_t type = 0; type < 2; type++) {
        connection = client_open("MixerDriver", type);
        if (type == 0)
            check_mixing();
        check_words();
        check_equality();
        check_ticks(notify, 10, 1000000, true);
        check_ticks(notify, 1000, 1000000, false); /* closed while it ticks */
        CHECK_OK(IOServiceClose(connection));
    }
    IONotificationPortDestroy(notify);
    printf("the mixer mixes\n");
    return 0;
}
