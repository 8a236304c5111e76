/*
 * What the driver promises, and what it refuses. `meson test` runs it against the driver in a registry of its own.
 * Exits with 0 if everything is as it should be.
 */
#include <IOKit/IOKitLib.h>
#include <mach/mach.h>
#include <mach/mach_error.h>
#include <stdio.h>

#include "NAME/NAMEShared.h"

static int mistakes;

#define CHECK(what) ((what) ? (void)0 : (void)(mistakes++, fprintf(stderr, "test.c:%d: not true: %s\n", __LINE__, #what)))
#define CHECK_CODE(call, wanted)                                                                                        \
        do {                                                                                                            \
                kern_return_t code_ = (call), wanted_ = (wanted);                                                       \
                if (code_ != wanted_) {                                                                                 \
                        mistakes++;                                                                                     \
                        fprintf(stderr, "test.c:%d: %s gave %s, not %s\n", __LINE__, #call, mach_error_string(code_), #wanted); \
                }                                                                                                       \
        } while (0)

static void test_add(io_connect_t connect)
{
        uint64_t numbers[3] = { 40, 2, 0 }, sum = 0;
        uint32_t sums = 1;

        CHECK_CODE(IOConnectCallScalarMethod(connect, kNAMEAdd, numbers, 2, &sum, &sums), kIOReturnSuccess);
        CHECK(sum == 42 && sums == 1);
        /* The dispatch table refuses these; the driver's function does not run. */
        CHECK_CODE(IOConnectCallScalarMethod(connect, kNAMEAdd, numbers, 3, &sum, &sums), kIOReturnBadArgument);
        CHECK_CODE(IOConnectCallScalarMethod(connect, kNAMEAdd, numbers, 2, NULL, NULL), kIOReturnBadArgument);
        CHECK_CODE(IOConnectCallScalarMethod(connect, kNAMESelectors, numbers, 2, &sum, &sums), kIOReturnBadArgument);
}

static void test_summarize(io_connect_t connect)
{
        struct NAMENumbers in = { .count = 3, .values = { 7, 5, 6 } };
        struct NAMESummary out = { 0 };
        size_t size = sizeof(out);

        CHECK_CODE(IOConnectCallStructMethod(connect, kNAMESummarize, &in, sizeof(in), &out, &size), kIOReturnSuccess);
        CHECK(size == sizeof(out) && out.sum == 18 && out.least == 5 && out.most == 7);
        CHECK_CODE(IOConnectCallStructMethod(connect, kNAMESummarize, &in, 4, &out, &size), kIOReturnBadArgument);
        /* Right in size, wrong inside: this is the driver's to refuse. */
        in.count = kNAMENumbersMost + 1;
        CHECK_CODE(IOConnectCallStructMethod(connect, kNAMESummarize, &in, sizeof(in), &out, &size), kIOReturnBadArgument);
        in.count = 0;
        CHECK_CODE(IOConnectCallStructMethod(connect, kNAMESummarize, &in, sizeof(in), &out, &size), kIOReturnBadArgument);
}

static int heard;               /* completions */

static void counted(void *context, IOReturn result, void *left)
{
        const uint64_t *from = context;

        heard++;
        CHECK(result == kIOReturnSuccess && (uintptr_t)left == *from - (uint64_t)heard);
        if (!left)
                CFRunLoopStop(CFRunLoopGetCurrent());
}

static void test_count_down(io_connect_t connect)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        uint64_t from = 100, reference[kIOAsyncCalloutCount] = { 0 };
        mach_port_t wake = IONotificationPortGetMachPort(port);

        reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)counted;
        reference[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)&from;
        CHECK_CODE(IOConnectCallAsyncScalarMethod(connect, kNAMECountDown, wake, reference, kIOAsyncCalloutCount, &from, 1, NULL, NULL),
                   kIOReturnSuccess);
        CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
        /* It is stopped by the last completion; a driver that forgets one fails the test after ten seconds. */
        CHECK(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 10, false) == kCFRunLoopRunStopped);
        CHECK(heard == (int)from);
        from = 0;
        CHECK_CODE(IOConnectCallAsyncScalarMethod(connect, kNAMECountDown, wake, reference, kIOAsyncCalloutCount, &from, 1, NULL, NULL),
                   kIOReturnBadArgument);
        /* Without a completion it makes no sense: the table says so. */
        CHECK(IOConnectCallScalarMethod(connect, kNAMECountDown, &from, 1, NULL, NULL) != kIOReturnSuccess);
        IONotificationPortDestroy(port);
}

int main(void)
{
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("NAME"));
        io_connect_t connect = IO_OBJECT_NULL;

        CHECK(service != IO_OBJECT_NULL);
        CHECK_CODE(IOServiceOpen(service, mach_task_self(), 0, &connect), kIOReturnSuccess);
        IOObjectRelease(service);
        if (mistakes)
                return 1;
        test_add(connect);
        test_summarize(connect);
        test_count_down(connect);
        IOServiceClose(connect);
        return mistakes != 0;
}
