/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest program that calls bench.dext: it does so once and says when that was (amb_time_now()). */
#include <inttypes.h>
#include <mach/mach.h>
#include <mach/mach_error.h>
#include <stdio.h>

#include <IOKit/IOKitLib.h>

#include "base/base.h"
#include "bench/driver/bench-driver.h"

int main(void)
{
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("bench"));
        io_connect_t connection;
        uint64_t in[2] = { 1, 2 }, out[2];
        uint32_t count = 2;
        kern_return_t code = IOServiceOpen(service, mach_task_self(), kBenchDirect, &connection);
        if (code == kIOReturnSuccess)
                code = IOConnectCallScalarMethod(connection, kBenchScalar, in, 2, out, &count);
        if (code != kIOReturnSuccess) {
                fprintf(stderr, "first-call: %s\n", mach_error_string(code));
                return 1;
        }
        printf("%" PRIu64 "\n", amb_time_now());
        return 0;
}
