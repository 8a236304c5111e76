/* SPDX-License-Identifier: Apache-2.0 */
/* Client of Dial: finds it among all services of its name, calls it in every way, prints the codes, waits in the run loop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <mach/mach.h>
#include <mach/mach_error.h>

#include "Dial/DialShared.h"

static const char *dextIdentifier = "Dial";
static int failed;

static void PrintError(kern_return_t ret, const char *what)
{
    printf("\t%s: %s\n", what, mach_error_string(ret));
    printf("\tsystem 0x%02x, subsystem 0x%03x, code 0x%04x\n", err_get_system(ret), err_get_sub(ret), err_get_code(ret));
}

static void Wanted(bool held, const char *what)
{
    printf("%s: %s\n", held ? "good" : "BAD", what);
    failed += !held;
}

static bool UncheckedScalar(io_connect_t connection)
{
    uint64_t input = 4, output = 0;
    uint32_t count = 1;
    kern_return_t ret = IOConnectCallScalarMethod(connection, kDialScalar, &input, 1, &output, &count);

    if (ret != kIOReturnSuccess) {
        PrintError(ret, "IOConnectCallScalarMethod");
        return false;
    }
    return count == 1 && output == 7;
}

static bool Structure(io_connect_t connection)
{
    const DialStruct input = { 10, 20 };
    DialStruct output = { 0, 0 };
    size_t size = sizeof(output);
    kern_return_t ret = IOConnectCallStructMethod(connection, kDialStruct, &input, sizeof(input), &output, &size);

    if (ret != kIOReturnSuccess) {
        PrintError(ret, "IOConnectCallStructMethod");
        return false;
    }
    return size == sizeof(output) && output.foo == 17 && output.bar == 27;
}

static bool LargeStructure(io_connect_t connection)
{
    DialLargeStruct *input = calloc(1, sizeof(*input)), *output = calloc(1, sizeof(*output));
    size_t size = sizeof(*output);
    kern_return_t ret;
    bool held;

    for (size_t i = 0; i < 300; i++)
        input->many[i].foo = i;
    ret = IOConnectCallStructMethod(connection, kDialLarge, input, sizeof(*input), output, &size);
    if (ret != kIOReturnSuccess)
        PrintError(ret, "IOConnectCallStructMethod");
    held = ret == kIOReturnSuccess && size == sizeof(*output) && output->many[299].foo == 306 && output->many[299].bar == 7;
    free(input);
    free(output);
    return held;
}

static void BellRang(void *refcon, IOReturn result, void **args, uint32_t numArgs)
{
    DialPayload *payload = refcon;
    uint64_t *values = (uint64_t *)payload;

    if (result != kIOReturnSuccess)
        PrintError(result, "the bell");
    if (numArgs == sizeof(*payload) / sizeof(uint64_t))
        for (uint32_t i = 0; i < numArgs; i++)
            values[i] = (uint64_t)(uintptr_t)args[i];
    CFRunLoopStop(CFRunLoopGetCurrent());
}

static bool Asynchronous(io_connect_t connection)
{
    io_async_ref64_t asyncRef = {};
    DialPayload payload = { 0, 0, "" };
    uint64_t milliseconds = 5;
    IONotificationPortRef notificationPort = IONotificationPortCreate(kIOMasterPortDefault);
    mach_port_t machPort;
    kern_return_t ret;

    if (notificationPort == NULL)
        return false;
    machPort = IONotificationPortGetMachPort(notificationPort);
    CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(notificationPort), kCFRunLoopDefaultMode);
    asyncRef[kIOAsyncCalloutFuncIndex] = (io_user_reference_t)(uintptr_t)BellRang;
    asyncRef[kIOAsyncCalloutRefconIndex] = (io_user_reference_t)(uintptr_t)&payload;
    ret = IOConnectCallAsyncStructMethod(connection, kDialRegister, machPort, asyncRef, kIOAsyncCalloutCount, NULL, 0, NULL, NULL);
    if (ret == kIOReturnSuccess)
        ret = IOConnectCallScalarMethod(connection, kDialLater, &milliseconds, 1, NULL, NULL);
    if (ret != kIOReturnSuccess)
        PrintError(ret, "the bell");
    else
        CFRunLoopRun();
    IONotificationPortDestroy(notificationPort);
    return ret == kIOReturnSuccess && payload.version == 1 && payload.position == 107 && strcmp(payload.message, "time is up") == 0;
}

static bool Errors(io_connect_t connection)
{
    const uint64_t codes[] = { 1, 0xe00002bc, 0x0000c00d, 0xffffffff, 0xe3ff8001 };

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        kern_return_t ret = IOConnectCallScalarMethod(connection, kDialError, &codes[i], 1, NULL, NULL);
        PrintError(ret, "an error, as wanted");
        if (ret != (kern_return_t)codes[i])
            return false;
    }
    return IOConnectCallScalarMethod(connection, 100, NULL, 0, NULL, NULL) == kIOReturnUnsupported;
}

int main(int argc, const char *argv[])
{
    kern_return_t ret;
    io_iterator_t iterator = IO_OBJECT_NULL;
    io_service_t service = IO_OBJECT_NULL;
    io_connect_t connection = IO_OBJECT_NULL;

    (void)argc, (void)argv;
    ret = IOServiceGetMatchingServices(kIOMasterPortDefault, IOServiceNameMatching(dextIdentifier), &iterator);
    if (ret != kIOReturnSuccess) {
        PrintError(ret, "no service");
        return EXIT_FAILURE;
    }
    while ((service = IOIteratorNext(iterator)) != IO_OBJECT_NULL) {
        ret = IOServiceOpen(service, mach_task_self(), 0, &connection);
        IOObjectRelease(service);
        if (ret == kIOReturnSuccess)
            break;
        PrintError(ret, "this one cannot be opened");
    }
    IOObjectRelease(iterator);
    if (connection == IO_OBJECT_NULL) {
        fprintf(stderr, "no %s could be opened\n", dextIdentifier);
        return EXIT_FAILURE;
    }
    Wanted(UncheckedScalar(connection), "scalar");
    Wanted(Structure(connection), "structure");
    Wanted(LargeStructure(connection), "large structure");
    Wanted(Asynchronous(connection), "asynchronous");
    Wanted(Errors(connection), "errors pass through");
    ret = IOServiceClose(connection);
    Wanted(ret == kIOReturnSuccess, "closed");
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
