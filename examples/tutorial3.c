/* SPDX-License-Identifier: Apache-2.0 */
/* Tutorial 3, the app: it starts a countdown in the driver (tutorial3-driver.c) and hears of each number by a completion. */
#include <IOKit/IOKitLib.h>
#include <mach/mach.h>
#include <mach/mach_error.h>
#include <stdio.h>

/* One value came along, so this form of callback is called. The value itself stands in the pointer. */
static void counted(void *refcon, IOReturn result, void *number)
{
        printf("%d\n", (int)(uintptr_t)number);
        if (number == NULL)
                CFRunLoopStop(CFRunLoopGetCurrent());
}

int main(void)
{
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("Countdown"));
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        uint64_t from = 5, reference[kIOAsyncCalloutCount] = { 0, (uint64_t)(uintptr_t)counted, 0 };
        io_connect_t connect = 0;
        kern_return_t r = service && port ? IOServiceOpen(service, mach_task_self(), 0, &connect) : kIOReturnNotFound;

        if (r == kIOReturnSuccess)
                r = IOConnectCallAsyncScalarMethod(connect, 0, IONotificationPortGetMachPort(port), reference,
                                                   kIOAsyncCalloutCount, &from, 1, NULL, NULL);
        if (r != kIOReturnSuccess) {
                fprintf(stderr, "tutorial3: %s (try: ambidext run --dext tutorial3.dext -- ./tutorial3)\n", mach_error_string(r));
                return 1;
        }
        /* Completions wait in the port until somebody delivers them: here the run loop of this thread. */
        CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
        CFRunLoopRun();
        IOServiceClose(connect);
        IONotificationPortDestroy(port);
        IOObjectRelease(service);
        return 0;
}
