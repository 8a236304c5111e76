/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-contract-guest TYPE: an app that declares no entitlements opens the contract driver.
 * Exit status: 0 opened, 2 kIOReturnNotPermitted, 3 another code, 4 no such service.
 */
#include <stdlib.h>

#include <IOKit/IOKitLib.h>

int main(int argc, char **argv)
{
        io_service_t service = IOServiceGetMatchingService(0, IOServiceNameMatching("contract"));
        io_connect_t connection = 0;
        kern_return_t code;

        if (argc != 2 || !service)
                return 4;
        code = IOServiceOpen(service, mach_task_self(), (uint32_t)atoi(argv[1]), &connection);
        IOObjectRelease(service);
        return code == 0 ? 0 : code == kIOReturnNotPermitted && connection == 0 ? 2 : 3;
}
