/* SPDX-License-Identifier: Apache-2.0 */
/* Client of Watcher: what the driver hears of its children, the registry shows too. */
#include <CoreFoundation/CoreFoundation.h>

#include "client.h"
#include "Watcher/WatcherKeys.h"

struct news {
        uint64_t values[3];
        int count, wanted;
};

static void heard(void *refcon, IOReturn result, void **arguments, uint32_t count)
{
        struct news *news = refcon;

        CHECK_OK(result);
        CHECK(count == 3);
        for (uint32_t i = 0; i < count; i++)
                news->values[i] = (uint64_t)(uintptr_t)arguments[i];
        if (++news->count == news->wanted)
                CFRunLoopStop(CFRunLoopGetCurrent());
}

static void ask(io_connect_t connect, IONotificationPortRef port, uint32_t selector, struct news *news)
{
        uint64_t reference[kIOAsyncCalloutCount] = { 0 };

        reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)heard;
        reference[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)news;
        CHECK_OK(IOConnectCallAsyncScalarMethod(connect, selector, IONotificationPortGetMachPort(port), reference, kIOAsyncCalloutCount,
                                                NULL, 0, NULL, NULL));
}

static void until(struct news *news, int wanted)
{
        news->wanted = wanted;
        while (news->count < wanted)
                CFRunLoopRun();
}

static uint64_t out_of(io_connect_t connect, uint32_t selector, const uint64_t *in)
{
        uint64_t out = 0;
        uint32_t count = 1;

        CHECK_OK(IOConnectCallScalarMethod(connect, selector, in, in ? 1 : 0, &out, &count));
        return out;
}

static io_service_t by_id(uint64_t id)
{
        return IOServiceGetMatchingService(kIOMainPortDefault, IORegistryEntryIDMatching(id));
}

static void check_children(io_connect_t connect, IONotificationPortRef port)
{
        struct news news = { .count = 0 };
        uint64_t ids[3];
        io_service_t chick;
        io_name_t name;

        ask(connect, port, kWatcherListen, &news);
        for (int i = 0; i < 3; i++) {
                ids[i] = out_of(connect, kWatcherHatch, NULL);
                until(&news, i + 1);
                CHECK(news.values[0] == 1 && news.values[1] == ids[i] && news.values[2] == (uint64_t)i + 1);
                chick = by_id(ids[i]);
                CHECK(chick);
                CHECK_OK(IORegistryEntryGetName(chick, name));
                CHECK(strcmp(name, "Chick") == 0);
                CHECK_OK(IOObjectRelease(chick));
        }
        CHECK(ids[0] != ids[1] && ids[1] != ids[2]);
        CHECK_OK(IOConnectCallScalarMethod(connect, kWatcherCull, &ids[1], 1, NULL, NULL));
        until(&news, 4);
        CHECK(news.values[0] == 0 && news.values[1] == ids[1] && news.values[2] == 2);
        CHECK_CODE(IOConnectCallScalarMethod(connect, kWatcherCull, &ids[1], 1, NULL, NULL), kIOReturnNotFound);
        chick = by_id(ids[0]);
        CHECK(chick);
        CHECK_OK(IOObjectRelease(chick));
        printf("children: come, go, and are in the registry\n");
}

static void check_nap(io_connect_t connect, IONotificationPortRef port)
{
        struct news news = { .count = 0 };

        ask(connect, port, kWatcherNap, &news);
        until(&news, 1);
        CHECK(news.values[0] == 0 && news.values[1] >= 1 && news.values[2] == 1);
        printf("timer: off, and on\n");
}

static void check_rest(io_connect_t connect)
{
        uint64_t in = 100, out[3] = { 0 };
        uint32_t count = 3;
        static const kern_return_t codes[] = { kIOReturnAborted, kIOReturnTimeout, kIOReturnNoResources, kIOReturnNotPermitted,
                                               kIOReturnBadArgument };

        CHECK(out_of(connect, kWatcherMemory, &in) == (1 << kWatcherMemoryBits) - 1);
        CHECK(out_of(connect, kWatcherClient, NULL) == (1 << kWatcherClientBits) - 1);
        CHECK_OK(IOConnectCallScalarMethod(connect, kWatcherPower, NULL, 0, out, &count));
        CHECK(out[0] == (uint32_t)kIOReturnNotReady && out[1] == 0 && out[2] == 0x10000);       /* nothing to acknowledge; Low */
        for (in = 0; in <= kWatcherWords; in++)
                CHECK_CODE(IOConnectCallScalarMethod(connect, kWatcherWord, &in, 1, NULL, NULL), codes[in]);
        printf("memory, client, power, codes\n");
}

int main(void)
{
        io_connect_t connect = client_open("Watcher", 0);
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);

        CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
        check_children(connect, port);
        check_nap(connect, port);
        check_rest(connect);
        CHECK_OK(IOServiceClose(connect));
        IONotificationPortDestroy(port);
        return 0;
}
