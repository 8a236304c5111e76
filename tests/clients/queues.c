/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client on dispatch queues, with blocks: it waits for its device on one queue, calls it from another, and ends the process from
 * the main queue. run-client: clang -fblocks
 */
#include <Block.h>
#include <IOKit/IOKitLib.h>
#include <IOKit/IOMessage.h>
#include <dispatch/dispatch.h>
#include <mach/mach_error.h>
#include <stdio.h>
#include <stdlib.h>

static dispatch_queue_t gEvents, gCalls;
static IONotificationPortRef gPort;

static void Answered(void *refcon, IOReturn result, void *first, void *second)
{
    void (^handler)(IOReturn, uint64_t) = (void (^)(IOReturn, uint64_t))refcon;

    handler(result, (uint64_t)first + (uint64_t)second);
    Block_release(handler);
}

/* Calls the driver on the calls' queue; the handler runs on the events' queue. */
static void Ask(io_connect_t connection, uint64_t a, uint64_t b, void (^handler)(IOReturn, uint64_t))
{
    void (^kept)(IOReturn, uint64_t) = Block_copy(handler);

    dispatch_async(gCalls, ^{
        io_async_ref64_t reference = { 0 };
        const uint64_t input[] = { 1, a, b };

        reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)Answered;
        reference[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)kept;
        kern_return_t kr = IOConnectCallAsyncScalarMethod(connection, 2, IONotificationPortGetMachPort(gPort), reference,
                                                          kIOAsyncCalloutCount, input, 3, NULL, NULL);
        if (kr != KERN_SUCCESS) {
            printf("call: %s\n", mach_error_string(kr));
            exit(EXIT_FAILURE);
        }
    });
}

static void Found(void *refcon, io_iterator_t iterator)
{
    io_service_t service;

    while ((service = IOIteratorNext(iterator)) != IO_OBJECT_NULL) {
        static dispatch_once_t once;
        io_connect_t connection;
        kern_return_t kr = IOServiceOpen(service, mach_task_self(), 0, &connection);

        IOObjectRelease(service);
        if (kr != KERN_SUCCESS)
            continue;
        dispatch_once(&once, ^{
            printf("%s\n", (const char *)refcon);
        });
        Ask(connection, 40, 2, ^(IOReturn result, uint64_t sum) {
            uint64_t total = sum;

            printf("answer: %llu, %s\n", (unsigned long long)total, mach_error_string(result));
            dispatch_async(dispatch_get_main_queue(), ^{
                printf("main queue: %llu\n", (unsigned long long)total + 1);
                IOServiceClose(connection);
                exit(EXIT_SUCCESS);
            });
        });
    }
}

int main(void)
{
    static char text[] = "found";
    __block io_iterator_t found = IO_OBJECT_NULL;

    gEvents = dispatch_queue_create("org.example.events", DISPATCH_QUEUE_SERIAL);
    gCalls = dispatch_queue_create("org.example.calls", DISPATCH_QUEUE_SERIAL);
    gPort = IONotificationPortCreate(kIOMainPortDefault);
    IONotificationPortSetDispatchQueue(gPort, gEvents);
    dispatch_sync(gEvents, ^{
        if (IOServiceAddMatchingNotification(gPort, kIOFirstMatchNotification, IOServiceNameMatching("echo"), Found, text,
                                             &found) ==
            KERN_SUCCESS)
            Found(text, found);
    });
    dispatch_after(dispatch_time(DISPATCH_TIME_NOW, 60 * NSEC_PER_SEC), dispatch_get_main_queue(), ^{
        printf("nothing has happened\n");
        exit(EXIT_FAILURE);
    });
    dispatch_main();
}
