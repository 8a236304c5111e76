/* SPDX-License-Identifier: Apache-2.0 */
/* Calls every selector of NullDriver rightly and wrongly, in the manner of an app with a run loop. */
#include <CoreFoundation/CoreFoundation.h>

#include "client.h"
#include "null/NullDriver/NullDriverTypes.h"

static io_connect_t connection;

static void check_scalars(void)
{
    const uint64_t in[4] = { 2, 3, 7, 1 };
    uint64_t out[16] = { 0 };
    uint32_t count = 2;

    CHECK_OK(IOConnectCallScalarMethod(connection, kNullScalar, in, 3, out, &count));
    CHECK(count == 2 && out[0] == 12 && out[1] == 42);
    CHECK_CODE(IOConnectCallScalarMethod(connection, kNullScalar, in, 2, out, &count), kIOReturnBadArgument);
    CHECK_CODE(IOConnectCallScalarMethod(connection, kNullScalar, in, 4, out, &count), kIOReturnBadArgument);
    count = 3;
    CHECK_CODE(IOConnectCallScalarMethod(connection, kNullScalar, in, 3, out, &count), kIOReturnBadArgument);
    CHECK_CODE(IOConnectCallMethod(connection, kNullScalar, in, 3, "x", 1, out, &count, NULL, NULL), kIOReturnBadArgument);

    count = 16; /* nobody but the driver checks this one */
    CHECK_OK(IOConnectCallMethod(connection, kNullScalarUnchecked, in, 4, "more", 4, out, &count, NULL, NULL));
    CHECK(count == 2 && out[0] == 12 && out[1] == 42);
    count = 1;
    CHECK_CODE(IOConnectCallScalarMethod(connection, kNullScalarUnchecked, in, 3, out, &count), kIOReturnBadArgument);
}

static void check_structs(void)
{
    NullSample in = { 41, 32 }, out = { 0, 0 };
    size_t size = sizeof(out);

    CHECK_OK(IOConnectCallStructMethod(connection, kNullStruct, &in, sizeof(in), &out, &size));
    CHECK(size == sizeof(out) && out.foo == 42 && out.bar == 42);
    CHECK_CODE(IOConnectCallStructMethod(connection, kNullStruct, &in, sizeof(in) - 1, &out, &size), kIOReturnBadArgument);
    size = sizeof(out) - 1;
    CHECK_CODE(IOConnectCallStructMethod(connection, kNullStruct, &in, sizeof(in), &out, &size), kIOReturnBadArgument);
    CHECK_CODE(IOConnectCallStructMethod(connection, kNullStruct, &in, sizeof(in), NULL, NULL), kIOReturnBadArgument);
}

static void check_large(void)
{
    enum { LENGTH = 3 * 4096 + 77 };
    unsigned char *in = malloc(LENGTH), *out = calloc(1, LENGTH);
    size_t size = LENGTH;

    CHECK(in && out);
    for (int i = 0; i < LENGTH; i++)
        in[i] = (unsigned char)(i * 7);
    CHECK_OK(IOConnectCallStructMethod(connection, kNullLargeStruct, in, LENGTH, out, &size));
    CHECK(size == LENGTH);
    for (int i = 0; i < LENGTH; i++)
        CHECK(out[i] == (unsigned char)~in[i]);
    size = 4096 + 1; /* smaller than the input */
    CHECK_CODE(IOConnectCallStructMethod(connection, kNullLargeStruct, in, LENGTH, out, &size), kIOReturnNoSpace);
    size = 4096; /* small enough to be no memory of its own */
    CHECK_CODE(IOConnectCallStructMethod(connection, kNullLargeStruct, in, 4096, out, &size), kIOReturnBadArgument);
    free(in);
    free(out);
}

static void check_holes(void)
{
    uint64_t in = 0x0f, out = 0;
    uint32_t count = 1;

    CHECK_OK(IOConnectCallScalarMethod(connection, kNullOwn, &in, 1, &out, &count));
    CHECK(out == ~0x0full);
    CHECK_CODE(IOConnectCallScalarMethod(connection, kNullOwn, NULL, 0, &out, &count), kIOReturnBadArgument);
    CHECK_CODE(IOConnectCallScalarMethod(connection, 5, NULL, 0, NULL, NULL), kIOReturnUnsupported);
    CHECK_CODE(IOConnectCallScalarMethod(connection, 5, &in, 1, NULL, NULL), kIOReturnBadArgument);
    CHECK_CODE(IOConnectCallScalarMethod(connection, kNullMethodCount, NULL, 0, NULL, NULL), kIOReturnBadArgument);
    CHECK_CODE(IOConnectCallScalarMethod(connection, 0xffffffff, NULL, 0, NULL, NULL), kIOReturnBadArgument);
    CHECK_CODE(IOConnectCallScalarMethod(connection, kNullUnregister, NULL, 0, NULL, NULL), kIOReturnNotFound);
}

static struct {
    int registered, asked, either;
    NullPayload payload;
} arrived;

static void registered(void *refcon, IOReturn result, void **args, uint32_t count)
{
    CHECK(refcon == &arrived && result == kIOReturnSuccess && count == kNullPayloadValues);
    memcpy(&arrived.payload, args, sizeof(arrived.payload));
    arrived.registered++;
    CFRunLoopStop(CFRunLoopGetCurrent());
}

static void asked(void *refcon, IOReturn result, void *arg)
{
    CHECK(refcon == &arrived && result == kIOReturnSuccess);
    CHECK((uint64_t)(uintptr_t)arg == 0x0000000100000000ull); /* the first two words */
    arrived.asked++;
}

static void either(void *refcon, IOReturn result)
{
    CHECK(refcon == &arrived && result == kIOReturnSuccess);
    arrived.either++;
    CFRunLoopStop(CFRunLoopGetCurrent());
}

static void make_reference(io_async_ref64_t reference, void *callback)
{
    memset(reference, 0, sizeof(io_async_ref64_t));
    reference[kIOAsyncCalloutFuncIndex] = (io_user_reference_t)callback;
    reference[kIOAsyncCalloutRefconIndex] = (io_user_reference_t)&arrived;
}

static void check_payload(mach_port_t port)
{
    io_async_ref64_t reference;
    NullPayload in, out;
    size_t size = sizeof(out);

    for (uint32_t i = 0; i < 16; i++)
        in.words[i] = i;
    make_reference(reference, (void *)asked);
    CHECK_OK(IOConnectCallAsyncStructMethod(connection, kNullAsyncStruct, port, reference, kIOAsyncCalloutCount, &in, sizeof(in),
                                            &out, &size));
    CHECK(size == sizeof(out) && out.words[0] == 15 && out.words[15] == 0);
    CFRunLoopRun();
    CHECK(memcmp(&arrived.payload, &in, sizeof(in)) == 0);
}

static void check_async(void)
{
    IONotificationPortRef notify = IONotificationPortCreate(kIOMainPortDefault);
    CHECK(notify != NULL);
    mach_port_t port = IONotificationPortGetMachPort(notify);
    CFRunLoopSourceRef source = IONotificationPortGetRunLoopSource(notify);
    io_async_ref64_t reference;
    uint64_t out = 7;
    uint32_t count = 1;
    NullPayload payload = { { 0 } };
    size_t size = sizeof(payload);

    CFRunLoopAddSource(CFRunLoopGetCurrent(), source, kCFRunLoopDefaultMode);
    make_reference(reference, (void *)registered);
    CHECK_CODE(IOConnectCallAsyncStructMethod(connection, kNullAsyncStruct, port, reference, kIOAsyncCalloutCount, &payload, size,
                                              &payload, &size), kIOReturnNotReady);
    CHECK_OK(IOConnectCallAsyncScalarMethod(connection, kNullRegister, port, reference, kIOAsyncCalloutCount, NULL, 0, NULL, NULL));
    check_payload(port);
    check_payload(port);
    CHECK(arrived.registered == 2);

    /* With and without where it is not wanted, wanted, and either. */
    CHECK_CODE(IOConnectCallScalarMethod(connection, kNullRegister, NULL, 0, NULL, NULL), kIOReturnBadArgument);
    CHECK_CODE(IOConnectCallAsyncScalarMethod(connection, kNullOwn, port, reference, kIOAsyncCalloutCount, &out, 1, &out, &count),
               kIOReturnBadArgument);
    CHECK_OK(IOConnectCallScalarMethod(connection, kNullEither, NULL, 0, &out, &count));
    CHECK(out == 0);
    make_reference(reference, (void *)either);
    CHECK_OK(IOConnectCallAsyncScalarMethod(connection, kNullEither, port, reference, kIOAsyncCalloutCount, NULL, 0, &out, &count));
    CHECK(out == 1);
    CFRunLoopRun();
    CHECK(arrived.either == 1 && arrived.asked == 2 && arrived.registered == 2);

    CHECK_OK(IOConnectCallScalarMethod(connection, kNullUnregister, NULL, 0, NULL, NULL));
    CFRunLoopRemoveSource(CFRunLoopGetCurrent(), source, kCFRunLoopDefaultMode);
    IONotificationPortDestroy(notify);
}

int main(void)
{
    io_service_t service = client_find("NullDriver");
    CHECK_CODE(IOServiceOpen(service, mach_task_self(), 1, &connection), kIOReturnUnsupported);
    IOObjectRelease(service);
    connection = client_open("NullDriver", 0);
    check_scalars();
    check_structs();
    check_large();
    check_holes();
    check_async();
    CHECK_OK(IOServiceClose(connection));
    printf("all of NullDriver's selectors answer as they should\n");
    return 0;
}
