/*
 * An application of the driver NAME: finds it, opens it, and makes one call of each kind.
 * It compiles unchanged on macOS, too.
 */
#include <IOKit/IOKitLib.h>
#include <mach/mach.h>
#include <mach/mach_error.h>
#include <stdio.h>

#include "NAME/NAMEShared.h"

static int failed(const char *what, kern_return_t code)
{
        fprintf(stderr, "NAME-client: %s: %s (0x%08x)\n", what, mach_error_string(code), (unsigned int)code);
        if (code == kIOReturnNotPermitted)
                fprintf(stderr, "NAME-client: is NAME-client.entitlements beside the program, and does it name the driver's bundle?\n");
        return 1;
}

/* Called for each completion. One value came with it, so the third parameter is that value. */
static void counted(void *context, IOReturn result, void *left)
{
        (void)context;
        printf("left: %d%s\n", (int)(uintptr_t)left, result == kIOReturnSuccess ? "" : " (with an error)");
        if (!left || result != kIOReturnSuccess)
                CFRunLoopStop(CFRunLoopGetCurrent());
}

static kern_return_t count_down(io_connect_t connect, uint64_t from)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        uint64_t reference[kIOAsyncCalloutCount] = { 0 };
        kern_return_t code;

        if (!port)
                return kIOReturnNoMemory;
        reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)counted;
        code = IOConnectCallAsyncScalarMethod(connect, kNAMECountDown, IONotificationPortGetMachPort(port), reference,
                                              kIOAsyncCalloutCount, &from, 1, NULL, NULL);
        if (code == kIOReturnSuccess) {
                /* Completions wait in the port until this thread's run loop delivers them. */
                CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
                CFRunLoopRun();
        }
        IONotificationPortDestroy(port);
        return code;
}

static int use(io_connect_t connect)
{
        uint64_t numbers[2] = { 19, 23 }, sum = 0;
        uint32_t sums = 1;
        struct NAMENumbers in = { .count = 4, .values = { 8, 3, 9, 4 } };
        struct NAMESummary out;
        size_t size = sizeof(out);
        kern_return_t code;

        code = IOConnectCallScalarMethod(connect, kNAMEAdd, numbers, 2, &sum, &sums);
        if (code != kIOReturnSuccess)
                return failed("adding two numbers", code);
        printf("sum: %d\n", (int)sum);

        code = IOConnectCallStructMethod(connect, kNAMESummarize, &in, sizeof(in), &out, &size);
        if (code != kIOReturnSuccess)
                return failed("summarizing four numbers", code);
        printf("sum %d, least %d, most %d\n", (int)out.sum, (int)out.least, (int)out.most);

        code = count_down(connect, 3);
        return code == kIOReturnSuccess ? 0 : failed("counting down", code);
}

int main(void)
{
        /* The driver's entry in the registry has the name of its class. */
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("NAME"));
        io_connect_t connect = IO_OBJECT_NULL;
        kern_return_t code;
        int status;

        if (!service) {
                fprintf(stderr, "NAME-client: no service named NAME; try: ambidext run --dext NAME.dext -- ./NAME-client\n");
                return 1;
        }
        code = IOServiceOpen(service, mach_task_self(), 0, &connect);
        IOObjectRelease(service);
        if (code != kIOReturnSuccess)
                return failed("opening NAME", code);
        status = use(connect);
        IOServiceClose(connect);
        return status;
}
