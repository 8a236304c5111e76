/* SPDX-License-Identifier: Apache-2.0 */
/* Four threads, a connection each, call what is in order. Exits with 0 if every call was answered as it should be. */
#include <pthread.h>
#include <stdio.h>

#include <IOKit/IOKitLib.h>
#include <mach/mach.h>
#include <mach/mach_error.h>

#include "faulty.h"

enum { THREADS = 4, CALLS = 400 };

static void *run(void *context)
{
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("Faulty"));
        uint64_t in = 0, out = 0, calls = 0;
        io_connect_t connect = 0;
        kern_return_t code = IOServiceOpen(service, mach_task_self(), 0, &connect);

        for (; code == kIOReturnSuccess && calls < CALLS && out == calls; calls++) {
                uint32_t count = 1;
                code = IOConnectCallScalarMethod(connect, kFaultyHealthy, &in, 1, &out, &count);
        }
        if (code != kIOReturnSuccess)
                fprintf(stderr, "client: after %d calls: %s\n", (int)calls, mach_error_string(code));
        IOServiceClose(connect);
        IOObjectRelease(service);
        return out == CALLS && code == kIOReturnSuccess ? context : NULL;
}

int main(void)
{
        pthread_t threads[THREADS];
        int good = 0;

        for (int i = 0; i < THREADS; i++)
                if (pthread_create(&threads[i], NULL, run, &good) != 0)
                        return 2;
        for (int i = 0; i < THREADS; i++) {
                void *result;
                pthread_join(threads[i], &result);
                good += result != NULL;
        }
        return good != THREADS;
}
