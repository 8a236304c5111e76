/* SPDX-License-Identifier: Apache-2.0 */
/* Has the switchboard's objects call each other, and hears of calls that arrive. */
#include <CoreFoundation/CoreFoundation.h>

#include "client.h"
#include "remote/Switchboard/SwitchboardTypes.h"

struct heard {
    unsigned int calls, wanted;
    uint64_t values[5];
    bool timed;
};

static void rang(void *refcon, IOReturn result, void **values, uint32_t n)
{
    struct heard *heard = refcon;
    CHECK(result == kIOReturnSuccess && n == 5);
    memcpy(heard->values, values, sizeof(heard->values));
    if (++heard->calls == heard->wanted)
        CFRunLoopStop(CFRunLoopGetCurrent());
}

static void elapsed(void *refcon, IOReturn result, void *time)
{
    CHECK(result == kIOReturnSuccess && time);
    ((struct heard *)refcon)->timed = true;
    CFRunLoopStop(CFRunLoopGetCurrent());
}

static kern_return_t ask(io_connect_t connect, IONotificationPortRef notify, uint32_t selector, void *callback, struct heard *heard,
                         uint64_t value, uint32_t n)
{
    io_async_ref64_t reference = { 0 };
    reference[kIOAsyncCalloutFuncIndex] = (io_user_reference_t)callback;
    reference[kIOAsyncCalloutRefconIndex] = (io_user_reference_t)heard;
    return IOConnectCallAsyncScalarMethod(connect, selector, IONotificationPortGetMachPort(notify), reference, kIOAsyncCalloutCount,
                                          &value, n, NULL, NULL);
}

static void ring(io_connect_t connect, uint64_t line)
{
    CHECK_OK(IOConnectCallScalarMethod(connect, kSwitchboardRing, &line, 1, NULL, NULL));
}

static void check_calls(io_connect_t connect, io_connect_t other, IONotificationPortRef notify)
{
    static struct heard first, second; /* a closed connection's completions may still come */
    uint64_t line = 3, before = 0, after = 0;
    uint32_t one = 1;

    CHECK_OK(IOConnectCallScalarMethod(connect, kSwitchboardHeard, NULL, 0, &before, &one));
    CHECK_OK(ask(connect, notify, kSwitchboardSubscribe, (void *)rang, &first, 0, 0));
    CHECK_OK(ask(other, notify, kSwitchboardSubscribe, (void *)rang, &second, 0, 0));
    CHECK_CODE(ask(other, notify, kSwitchboardSubscribe, (void *)rang, &second, 0, 0), kIOReturnBusy);
    CHECK_CODE(IOConnectCallScalarMethod(connect, kSwitchboardRing, &line, 1, NULL, NULL), kIOReturnNoDevice);
    first.wanted = second.wanted = 6;
    for (uint64_t i = 0; i < 6; i++)
        ring(i % 2 ? connect : other, i % 3);
    while (first.calls < 6 || second.calls < 6)
        CFRunLoopRun();
    CHECK(first.values[0] == 2 && first.values[1] == 49 && first.values[2] == 3 && first.values[3] == 123 && first.values[4] == 6);
    CHECK(memcmp(first.values, second.values, sizeof(first.values)) == 0);
    do /* its own action is served by its own queue */
        CHECK_OK(IOConnectCallScalarMethod(connect, kSwitchboardHeard, NULL, 0, &after, &one));
    while (after < before + 6);
    CHECK(after == before + 6);

    /* With one of the two closed the other goes on. */
    CHECK_OK(IOServiceClose(other));
    first.wanted = 7;
    ring(connect, 0);
    while (first.calls < 7)
        CFRunLoopRun();
    CHECK(first.values[3] == 1);
}

int main(void)
{
    struct heard heard = { 0 };
    io_connect_t connect = client_open("Switchboard", 0), other = client_open("Switchboard", 0);
    IONotificationPortRef notify = IONotificationPortCreate(kIOMainPortDefault);

    CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(notify), kCFRunLoopDefaultMode);
    for (uint32_t selector = 0; selector < kSwitchboardChecks; selector++) {
        CHECK_OK(IOConnectCallScalarMethod(connect, selector, NULL, 0, NULL, NULL));
        CHECK_OK(IOConnectCallScalarMethod(other, selector, NULL, 0, NULL, NULL));
    }
    check_calls(connect, other, notify);
    CHECK_OK(ask(connect, notify, kSwitchboardLater, (void *)elapsed, &heard, 2000000, 1));
    CHECK_CODE(ask(connect, notify, kSwitchboardLater, (void *)elapsed, &heard, 2000000, 1), kIOReturnBusy);
    while (!heard.timed)
        CFRunLoopRun();
    CHECK_OK(IOServiceClose(connect));
    IONotificationPortDestroy(notify);
    printf("the switchboard's objects reach each other\n");
    return 0;
}
