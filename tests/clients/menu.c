/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client with a menu, as they are written to try a driver out: finds the service by name, opens it, and calls what it is told to
 * on standard input. Every code is printed taken apart.
 */
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <IOKit/hidsystem/IOHIDShared.h>
#include <IOKit/usb/USB.h>
#include <mach/mach.h>
#include <mach/mach_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define kDriverName "echo"

typedef struct {
    uint64_t foo;
    uint64_t bar;
} DataStruct;

typedef struct {
    uint64_t foo;
    uint64_t bar;
    uint8_t largeArray[4096];
} OversizedDataStruct;

enum { ScalarMethod = 0, StructMethod = 1, AsyncMethod = 2, CodeMethod = 3, MissingMethod = 4242 };

static IONotificationPortRef globalNotificationPort = NULL;
static mach_port_t globalMachNotificationPort = MACH_PORT_NULL;
static CFRunLoopRef globalRunLoop = NULL;
static CFRunLoopSourceRef globalRunLoopSource = NULL;

static void PrintErrorDetails(kern_return_t ret)
{
    printf("\tError: 0x%08x %s\n", ret, mach_error_string(ret));
    printf("\tSystem: 0x%02x, Subsystem: 0x%03x, Code: 0x%04x\n", err_get_system(ret), err_get_sub(ret), err_get_code(ret));
}

static void AsyncCallback(void *refcon, IOReturn result, void **args, UInt32 numArgs)
{
    const uint64_t *arrArgs = (const uint64_t *)args;

    printf("Async callback: result %08x, %u values, refcon \"%s\":", result, numArgs, (const char *)refcon);
    for (UInt32 i = 0; i < numArgs; ++i)
        printf(" %llu", (unsigned long long)arrArgs[i]);
    printf("\n");
    CFRunLoopStop(globalRunLoop);
}

static kern_return_t CallScalar(io_connect_t connection)
{
    const uint64_t input[16] = { 1, 2, 3, 4 };
    uint64_t output[16] = { 0 };
    uint32_t outputCount = 16;
    kern_return_t ret = IOConnectCallScalarMethod(connection, ScalarMethod, input, 16, output, &outputCount);

    if (ret != kIOReturnSuccess) {
        printf("IOConnectCallScalarMethod failed.\n");
        PrintErrorDetails(ret);
        return ret;
    }
    printf("Scalar result:");
    for (uint32_t i = 0; i < outputCount; ++i)
        printf(" %llu", (unsigned long long)output[i]);
    printf("\n");
    return ret;
}

static kern_return_t CallStruct(io_connect_t connection)
{
    DataStruct input = { .foo = 300, .bar = 70000 };
    DataStruct output = { 0 };
    size_t outputSize = sizeof(DataStruct);
    kern_return_t ret = IOConnectCallStructMethod(connection, StructMethod, &input, sizeof(DataStruct), &output, &outputSize);

    if (ret != kIOReturnSuccess) {
        printf("IOConnectCallStructMethod failed.\n");
        PrintErrorDetails(ret);
        return ret;
    }
    printf("Struct result: foo %llu, bar %llu, %zu bytes\n", (unsigned long long)output.foo, (unsigned long long)output.bar,
           outputSize);
    return ret;
}

static kern_return_t CallOversized(io_connect_t connection)
{
    OversizedDataStruct input = { .foo = 9, .bar = 10 };
    OversizedDataStruct output = { 0 };
    size_t outputSize = sizeof(OversizedDataStruct);
    kern_return_t ret;

    memset(input.largeArray, 0x5a, sizeof(input.largeArray));
    ret = IOConnectCallStructMethod(connection, StructMethod, &input, sizeof(input), &output, &outputSize);
    if (ret != kIOReturnSuccess) {
        printf("IOConnectCallStructMethod failed.\n");
        PrintErrorDetails(ret);
        return ret;
    }
    printf("Oversized result: %s, %zu bytes\n", memcmp(&input, &output, sizeof(input)) == 0 ? "the same" : "DIFFERENT", outputSize);
    return ret;
}

static kern_return_t CallAsync(io_connect_t connection)
{
    static char name[] = "menu";
    uint64_t asyncRef[kIOAsyncCalloutCount];
    uint64_t input[] = { 1, 11, 22, 33 };
    kern_return_t ret;

    asyncRef[kIOAsyncCalloutFuncIndex] = (uint64_t)AsyncCallback;
    asyncRef[kIOAsyncCalloutRefconIndex] = (uint64_t)name;
    ret = IOConnectCallAsyncScalarMethod(connection, AsyncMethod, globalMachNotificationPort, asyncRef, kIOAsyncCalloutCount, input,
                                         4,
                                         NULL, NULL);
    if (ret != kIOReturnSuccess) {
        printf("IOConnectCallAsyncScalarMethod failed.\n");
        PrintErrorDetails(ret);
        return ret;
    }
    CFRunLoopRun();
    return ret;
}

static void CallWrong(io_connect_t connection)
{
    uint64_t code = 0xe000404f;
    kern_return_t ret = IOConnectCallScalarMethod(connection, CodeMethod, &code, 1, NULL, NULL);

    printf("A code of the driver's:\n");
    PrintErrorDetails(ret);
    ret = IOConnectCallScalarMethod(connection, MissingMethod, NULL, 0, NULL, NULL);
    printf("A selector that is not there:\n");
    PrintErrorDetails(ret);
    ret = IOConnectCallScalarMethod(connection, CodeMethod, NULL, 0, NULL, NULL);
    printf("Too few values:\n");
    PrintErrorDetails(ret);
}

static void PrintMenu(void)
{
    printf("1. Scalar\n2. Struct\n3. Struct (oversized)\n4. Async\n5. Errors\n0. Exit\nSelect a message type to send: ");
    fflush(stdout);
}

static void Interact(io_connect_t connection)
{
    for (;;) {
        int selection = -1;

        PrintMenu();
        if (scanf("%d", &selection) != 1)
            return;
        printf("\n");
        switch (selection) {
        case 1: CallScalar(connection); break;
        case 2: CallStruct(connection); break;
        case 3: CallOversized(connection); break;
        case 4: CallAsync(connection); break;
        case 5: CallWrong(connection); break;
        case 0: return;
        default: printf("Unknown command.\n"); break;
        }
    }
}

int main(int argc, const char *argv[] __unused)
{
    kern_return_t ret = kIOReturnSuccess;
    io_iterator_t iterator = IO_OBJECT_NULL;
    io_service_t service = IO_OBJECT_NULL;
    io_connect_t connection = IO_OBJECT_NULL;
    bool found = false;

    globalRunLoop = CFRunLoopGetCurrent();
    CFRetain(globalRunLoop);
    globalNotificationPort = IONotificationPortCreate(kIOMainPortDefault);
    if (globalNotificationPort == NULL) {
        printf("Failed to create notification port.\n");
        return EXIT_FAILURE;
    }
    globalMachNotificationPort = IONotificationPortGetMachPort(globalNotificationPort);
    globalRunLoopSource = IONotificationPortGetRunLoopSource(globalNotificationPort);
    CFRunLoopAddSource(globalRunLoop, globalRunLoopSource, kCFRunLoopDefaultMode);

    ret = IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceNameMatching(kDriverName), &iterator);
    if (ret != kIOReturnSuccess) {
        printf("Unable to find service.\n");
        PrintErrorDetails(ret);
        return EXIT_FAILURE;
    }
    while ((service = IOIteratorNext(iterator)) != IO_OBJECT_NULL) {
        ret = IOServiceOpen(service, mach_task_self_, kIOHIDServerConnectType, &connection);
        if (ret == kIOReturnSuccess) {
            printf("Opened service.\n");
            found = true;
            break;
        }
        printf("Failed to open service.\n");
        PrintErrorDetails(ret);
        IOObjectRelease(service);
    }
    IOObjectRelease(iterator);
    if (!found) {
        printf("Failed to match to device (%d arguments).\n", argc);
        return EXIT_FAILURE;
    }
    Interact(connection);
    printf("Exiting\n");
    CFRunLoopRemoveSource(globalRunLoop, globalRunLoopSource, kCFRunLoopDefaultMode);
    IONotificationPortDestroy(globalNotificationPort);
    CFRelease(globalRunLoop);
    IOServiceClose(connection);
    IOObjectRelease(service);
    return EXIT_SUCCESS;
}
