/* SPDX-License-Identifier: Apache-2.0 */
/* Completions of every size, kept, repeated, failed, collected after the close. */
#include <CoreFoundation/CoreFoundation.h>
#include <mach/mach.h>

#include "async/Courier/CourierShared.h"
#include "client.h"

enum { MACH_CODE = 0x10000003, STORM = 5000 };

static IONotificationPortRef notify;

/* What has come for one request. The library calls by the number of values, so each number has its own form. */
struct inbox {
    uint32_t messages, wanted;
    uint32_t values;
    IOReturn status;
    uint64_t data[16];
};

static void arrived(struct inbox *inbox, IOReturn status, uint32_t values)
{
    inbox->status = status;
    inbox->values = values;
    if (++inbox->messages == inbox->wanted)
        CFRunLoopStop(CFRunLoopGetCurrent());
}

static void arrived_0(void *refcon, IOReturn status)
{
    arrived(refcon, status, 0);
}

static void arrived_1(void *refcon, IOReturn status, void *a)
{
    ((struct inbox *)refcon)->data[0] = (uint64_t)a;
    arrived(refcon, status, 1);
}

static void arrived_2(void *refcon, IOReturn status, void *a, void *b)
{
    ((struct inbox *)refcon)->data[0] = (uint64_t)a;
    ((struct inbox *)refcon)->data[1] = (uint64_t)b;
    arrived(refcon, status, 2);
}

static void arrived_n(void *refcon, IOReturn status, void **values, uint32_t n)
{
    struct inbox *inbox = refcon;
    CHECK(n >= 3 && n <= 16);
    memcpy(inbox->data, values, n * sizeof(inbox->data[0]));
    arrived(inbox, status, n);
}

static void *form(uint64_t values)
{
    return values == 0 ? (void *)arrived_0 : values == 1 ? (void *)arrived_1 : values == 2 ? (void *)arrived_2 : (void *)arrived_n;
}

static kern_return_t ask(io_connect_t connect, uint32_t selector, struct inbox *inbox, uint64_t values, const uint64_t *in,
                         uint32_t n)
{
    io_async_ref64_t reference = { 0 };
    reference[kIOAsyncCalloutFuncIndex] = (io_user_reference_t)form(values);
    reference[kIOAsyncCalloutRefconIndex] = (io_user_reference_t)inbox;
    return IOConnectCallAsyncScalarMethod(connect, selector, IONotificationPortGetMachPort(notify), reference, kIOAsyncCalloutCount,
                                          in, n, NULL, NULL);
}

static kern_return_t tell(io_connect_t connect, uint32_t selector, uint64_t a, uint64_t b, uint64_t c, uint32_t n)
{
    const uint64_t in[] = { a, b, c };
    return IOConnectCallScalarMethod(connect, selector, in, n, NULL, NULL);
}

static void wait_for(struct inbox *inbox, uint32_t messages)
{
    for (inbox->wanted = messages; inbox->messages < messages;)
        CFRunLoopRun();
    CHECK(inbox->messages == messages);
}

static void check_numbers(io_connect_t connect)
{
    for (uint64_t values = 0; values <= 16; values++) {
        struct inbox inbox = { 0 };
        const uint64_t in[] = { values, 3, values };
        CHECK_OK(ask(connect, kCourierBurst, &inbox, values, in, 3));
        wait_for(&inbox, 3);
        CHECK(inbox.values == values && inbox.status == (IOReturn)values);
        for (uint64_t i = 0; i < values; i++)
            CHECK(inbox.data[i] == 2000 + i);
    }
    /* Seventeen do not go; what is sent after them does. */
    struct inbox none = { 0 }, one = { 0 };
    const uint64_t many[] = { 17, 1, 0 }, single[] = { 16, 1, 0 };
    CHECK_OK(ask(connect, kCourierBurst, &none, 17, many, 3));
    CHECK_OK(ask(connect, kCourierBurst, &one, 16, single, 3));
    wait_for(&one, 1);
    CHECK(none.messages == 0);
}

static void check_kept(io_connect_t connect)
{
    struct inbox inboxes[kCourierSlots];
    memset(inboxes, 0, sizeof(inboxes));
    for (uint64_t slot = 0; slot < kCourierSlots; slot++)
        CHECK_OK(ask(connect, kCourierKeep, &inboxes[slot], slot, &slot, 1));
    for (uint64_t round = 1; round <= 3; round++) {
        for (uint64_t slot = 0; slot < kCourierSlots; slot++)
            CHECK_OK(tell(connect, kCourierDeliver, slot, slot, round, 3));
        for (uint64_t slot = 0; slot < kCourierSlots; slot++)
            wait_for(&inboxes[slot], (uint32_t)round);
    }
    for (uint64_t slot = 0; slot < kCourierSlots; slot++) {
        CHECK(inboxes[slot].values == slot && inboxes[slot].status == 3);
        CHECK(slot == 0 || inboxes[slot].data[slot - 1] == 2 * slot - 1);
        CHECK_OK(tell(connect, kCourierDrop, slot, 0, 0, 1));
        CHECK_CODE(tell(connect, kCourierDeliver, slot, 0, 0, 3), kIOReturnNotFound);
    }
}

static void check_codes(io_connect_t connect)
{
    static const uint32_t codes[] = { 1, 0xdeadbeef, 0xe00002bc, MACH_CODE, 0xe0ff0001, 0x2c, 0x7fffffff, 0xffffffff };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct inbox inbox = { 0 };
        const uint64_t in[] = { 0, codes[i] }, status[] = { 1, 1, codes[i] };
        CHECK_CODE(tell(connect, kCourierCode, codes[i], 0, 0, 1), codes[i]);
        /* The call fails, the completion was kept and works. */
        CHECK_CODE(ask(connect, kCourierKeepAndFail, &inbox, 2, in, 2), codes[i]);
        CHECK_OK(tell(connect, kCourierDeliver, 0, 2, codes[i], 3));
        wait_for(&inbox, 1);
        CHECK(inbox.status == (IOReturn)codes[i]);
        CHECK_OK(tell(connect, kCourierDrop, 0, 0, 0, 1));
        CHECK_OK(ask(connect, kCourierBurst, &inbox, 1, status, 3));
        wait_for(&inbox, 2);
        CHECK(inbox.status == (IOReturn)codes[i]);
    }
}

static void check_payload(io_connect_t connect)
{
    struct inbox inbox = { 0 };
    unsigned char bytes[64];
    io_async_ref64_t reference = { 0 };
    reference[kIOAsyncCalloutFuncIndex] = (io_user_reference_t)(void *)arrived_n;
    reference[kIOAsyncCalloutRefconIndex] = (io_user_reference_t)&inbox;

    for (int i = 0; i < 64; i++)
        bytes[i] = (unsigned char)(i * 5);
    CHECK_OK(IOConnectCallAsyncStructMethod(connect, kCourierPayload, IONotificationPortGetMachPort(notify), reference,
                                            kIOAsyncCalloutCount, bytes, sizeof(bytes), NULL, NULL));
    wait_for(&inbox, 1);
    CHECK(inbox.values == 8);
    for (int i = 0; i < 64; i++)
        CHECK(((unsigned char *)inbox.data)[i] == (unsigned char)(i * 5 + 1));
    CHECK_CODE(IOConnectCallStructMethod(connect, kCourierPayload, bytes, sizeof(bytes), NULL, NULL), kIOReturnBadArgument);
}

/* By way of an action of the driver's own. */
static void check_returned(io_connect_t connect)
{
    for (uint64_t values = 0; values <= 16; values += 4) {
        struct inbox inbox = { 0 };
        const uint64_t in[] = { values, 0xe00002d5 };
        CHECK_OK(ask(connect, kCourierReturn, &inbox, values, in, 2));
        wait_for(&inbox, 1);
        CHECK(inbox.values == values && inbox.status == kIOReturnBusy);
        for (uint64_t i = 0; i < values; i++)
            CHECK(inbox.data[i] == i * i);
    }
}

/* More than fit anywhere, and in order: the last is the last. */
static void check_storm(io_connect_t connect)
{
    struct inbox inbox = { 0 };
    const uint64_t in[] = { STORM };
    CHECK_OK(ask(connect, kCourierStorm, &inbox, 1, in, 1));
    wait_for(&inbox, STORM);
    CHECK(inbox.status == kCourierStormOver && inbox.data[0] == STORM);
}

/* Left by a connection that is closed when another has it sent. */
static void check_after_close(io_connect_t connect)
{
    struct inbox inbox = { 0 };
    const uint64_t slot = 5;
    io_connect_t other = client_open("Courier", 2);
    CHECK_OK(ask(other, kCourierLeave, &inbox, 1, &slot, 1));
    CHECK_CODE(ask(other, kCourierLeave, &inbox, 1, &slot, 1), kIOReturnExclusiveAccess);
    CHECK_OK(IOServiceClose(other));
    CHECK_OK(tell(connect, kCourierCollect, slot, 4711, 0, 2));
    wait_for(&inbox, 1);
    CHECK(inbox.data[0] == 4711 && inbox.status == kIOReturnSuccess);
    CHECK_CODE(tell(connect, kCourierCollect, slot, 4711, 0, 2), kIOReturnNotFound);
}

int main(void)
{
    io_connect_t connect = client_open("Courier", 0);
    struct inbox kept = { 0 };
    const uint64_t slot = 7;

    notify = IONotificationPortCreate(kIOMainPortDefault);
    CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(notify), kCFRunLoopDefaultMode);
    check_numbers(connect);
    check_kept(connect);
    check_codes(connect);
    check_payload(connect);
    check_returned(connect);
    check_storm(connect);
    check_after_close(connect);
    CHECK_OK(ask(connect, kCourierKeep, &kept, 1, &slot, 1)); /* never completed: Stop lets it go */
    CHECK_OK(IOServiceClose(connect));
    IONotificationPortDestroy(notify);
    printf("the courier delivers\n");
    return 0;
}
