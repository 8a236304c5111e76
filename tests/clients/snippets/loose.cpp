// SPDX-License-Identifier: Apache-2.0
// As found: what compilers only warn of: NULL as a port, 64-bit numbers printed as long long, members named in initialisers, a path
// into room for a name; and what comes with <iostream> alone.
#include <IOKit/usb/USB.h>
#include <IOKit/IOReturn.h>
#include <IOKit/IOKitLib.h>
#include <IOKit/hidsystem/IOHIDShared.h>
#include <iostream>

typedef struct {
    uint64_t addr;
    uint32_t value;
} Register;

inline void PrintErrorDetails(kern_return_t ret)
{
    printf("\tSystem: 0x%02x\n\tSubsystem: 0x%03x\n\tCode: 0x%04x\n", err_get_system(ret), err_get_sub(ret), err_get_code(ret));
}

int main(int argc, const char *argv[])
{
    IONotificationPortRef notificationPort = nullptr;
    mach_port_t machNotificationPort = NULL;
    CFRunLoopSourceRef runLoopSource = nullptr;
    io_async_ref64_t asyncRef = {};
    io_iterator_t iterator = IO_OBJECT_NULL;
    io_connect_t connection = IO_OBJECT_NULL;
    io_service_t service;
    Register input = { .addr = 0x1000 }, output = {};
    size_t size = sizeof(output);
    io_name_t path;

    kern_return_t ret = IOServiceGetMatchingServices(NULL, IOServiceNameMatching("register"), &iterator);
    while ((service = IOIteratorNext(iterator)) != IO_OBJECT_NULL) {
        if (IORegistryEntryGetPath(service, kIOServicePlane, path) == kIOReturnSuccess)
            printf("%s\n", path);
        ret = IOServiceOpen(service, mach_task_self_, kIOHIDServerConnectType, &connection);
        IOObjectRelease(service);
    }
    if (ret != kIOReturnSuccess)
        PrintErrorDetails(ret);
    ret = IOConnectCallStructMethod(connection, 0, &input, sizeof(input), &output, &size);
    ret = IOConnectCallScalarMethod(connection, 1, nullptr, 0, nullptr, 0);
    printf("result: addr: 0x%llx data: 0x%08x\n", output.addr, output.value);
    usleep(1'000);
    getchar();
    return EXIT_SUCCESS;
}
