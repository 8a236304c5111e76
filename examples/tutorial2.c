/* SPDX-License-Identifier: Apache-2.0 */
/* Tutorial 2: an app. It finds the driver of tutorial 1 and has it add two numbers; tutorial2.entitlements lets it open it. */
#include <IOKit/IOKitLib.h>
#include <mach/mach.h>
#include <mach/mach_error.h>
#include <stdio.h>

int main(void)
{
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("Adder"));
        uint64_t numbers[2] = { 19, 23 }, sum = 0;
        uint32_t count = 1;
        io_connect_t connect = 0;
        kern_return_t r;

        if (!service) {
                fprintf(stderr, "tutorial2: no service named Adder: ambidext run --dext tutorial1.dext -- ./tutorial2\n");
                return 1;
        }
        r = IOServiceOpen(service, mach_task_self(), 0, &connect);
        if (r == kIOReturnSuccess)
                r = IOConnectCallScalarMethod(connect, 0, numbers, 2, &sum, &count);
        if (r == kIOReturnSuccess)
                printf("%d + %d = %d\n", (int)numbers[0], (int)numbers[1], (int)sum);
        else
                fprintf(stderr, "tutorial2: opening or calling Adder: %s\n", mach_error_string(r));
        if (connect)
                IOServiceClose(connect);
        IOObjectRelease(service);
        return r != kIOReturnSuccess;
}
