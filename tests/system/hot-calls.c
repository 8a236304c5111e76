/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls for count-instructions to look at: driver and app in one process, a daemon beside it, one processor.
 *
 *      hot-calls CALLS [BUNDLE [KIND]]
 *
 * Makes CALLS calls and then twice as many, and calls window_mark() before, between and after, where callgrind writes down what it
 * has counted since the last time. BUNDLE: of the driver, below the build directory; drivers/echo.dext without it. Of NAME.dext the
 * service NAME of org.ambidext.NAME is called, whose selectors are those of bench/driver/bench-driver.h (of echo.dext the first:
 * its answer is in another order). KIND: of call, as `kinds` says; without it scalar.
 *
 * On one processor nobody spins: each wait is one sleep, so that the same instructions run in each call whatever else the machine
 * does.
 */
#include <check.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CoreFoundation/CoreFoundation.h>
#include <DriverKit/DriverKit.h>

#include "base/test-suite.h"
#include "bench/driver/bench-driver.h"
#include "world.h"

enum { WARM_UP = 50, CALLS_MOST = 1000000 };

__attribute__((noinline)) void window_mark(void);
void window_mark(void)
{
        __asm__ volatile("" ::: "memory");
}

/* Of the command line. */
static int calls;
static const char *bundle = "drivers/echo.dext";
static char service[64], identifier[128];

static IONotificationPortRef port;

/* --- kinds of calls --- */

static void call_scalar(io_connect_t connection)
{
        uint64_t in[2] = { 1, 2 }, out[2] = { 0, 0 };
        uint32_t count = 2;
        ck_assert_int_eq(IOConnectCallScalarMethod(connection, kBenchScalar, in, 2, out, &count), 0);
        ck_assert(count == 2 && out[0] + out[1] == 3);
}

static void call_page(io_connect_t connection, uint32_t selector)
{
        static unsigned char in[kBenchPage] = { [0] = 1, [kBenchPage - 1] = 2 }, out[kBenchPage];
        size_t size = sizeof(out);
        ck_assert_int_eq(IOConnectCallStructMethod(connection, selector, in, sizeof(in), out, &size), 0);
        ck_assert(size == sizeof(out) && out[0] == 1 && out[kBenchPage - 1] == 2);
}

static void call_struct(io_connect_t connection)
{
        call_page(connection, kBenchStruct);
}

static void call_made(io_connect_t connection)
{
        call_page(connection, kBenchMade);
}

static void completed(void *context, IOReturn result, void *number)
{
        ck_assert(result == kIOReturnSuccess && !number);
        ++*(int *)context;
}

/* One processor: the completion has come before the call returns. */
static void call_async(io_connect_t connection)
{
        int seen = 0;
        uint64_t one = 1, reference[kIOAsyncCalloutCount] = {
                [kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)completed,
                [kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)&seen,
        };
        uint32_t none = 0;
        ck_assert_int_eq(IOConnectCallAsyncScalarMethod(connection, kBenchStream, IONotificationPortGetMachPort(port), reference,
                                                        kIOAsyncCalloutCount, &one, 1, NULL, &none), 0);
        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 20, true), kCFRunLoopRunHandledSource);
        ck_assert_int_eq(seen, 1);
}

static void call_memory(io_connect_t connection)
{
        mach_vm_address_t address = 0;
        mach_vm_size_t size = 0;
        ck_assert_int_eq(IOConnectMapMemory64(connection, kBenchMemory, mach_task_self(), &address, &size, kIOMapAnywhere), 0);
        ck_assert_uint_eq(size, kBenchPage);
        ck_assert_int_eq(IOConnectUnmapMemory64(connection, kBenchMemory, mach_task_self(), address), 0);
}

/* Without a call: the connection never gets a thread. */
static void call_open(io_connect_t connection)
{
        io_connect_t other = world_open(service);
        ck_assert_int_eq(IOServiceClose(other), 0);
}

static const struct kind {
        const char *name;
        void (*once)(io_connect_t connection);
} kinds[] = {
        { "scalar", call_scalar },      /* 2 scalars in and 2 out */
        { "struct", call_struct },      /* 4096 bytes in, the same out */
        { "made", call_made },          /* 4096 bytes in, and out in an OSData that the driver makes */
        { "async", call_async },        /* 1 scalar in; 1 completion, taken by the run loop */
        { "memory", call_memory },      /* maps a page and unmaps it */
        { "open", call_open },          /* finds the service, opens a connection and closes it */
        { 0 },
};
static const struct kind *kind = kinds;

static void call(io_connect_t connection, int count_of_calls)
{
        for (int i = 0; i < count_of_calls; i++)
                kind->once(connection);
}

/* --- */

static void serve(void)
{
        OSString *bundle_id = OSStringCreate(identifier, (size_t)-1);
        IOUserServer *server;
        ck_assert_int_eq(IOUserServer_Create(identifier, 0, 0, bundle_id, &server), 0);
        ck_assert_int_eq(IOUserServer_LoadModule(server, world_build_path(bundle)), 0);
        ck_assert_int_eq(IOUserServer_RegisterService(server), 0);
        OSObjectRelease(bundle_id);
}

static void stay_on_one_processor(void)
{
        cpu_set_t processors;
        ck_assert_int_eq(sched_getaffinity(0, sizeof(processors), &processors), 0);
        for (int i = 0; i < CPU_SETSIZE; i++)
                if (CPU_ISSET(i, &processors)) {
                        CPU_ZERO(&processors);
                        CPU_SET(i, &processors);
                        break;
                }
        ck_assert_int_eq(sched_setaffinity(0, sizeof(processors), &processors), 0);
}

START_TEST(hot_calls)
{
        struct world world;
        stay_on_one_processor();
        world_start(&world, NULL);
        serve();
        io_connect_t connection = world_open(service);
        port = IONotificationPortCreate(kIOMainPortDefault);
        ck_assert_ptr_nonnull(port);
        CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
        call(connection, WARM_UP);
        window_mark();
        call(connection, calls);
        window_mark();
        call(connection, 2 * calls);
        window_mark();
        ck_assert_int_eq(IOServiceClose(connection), 0);
        IONotificationPortDestroy(port);
        world_stop(&world);
}
END_TEST

/* What bundle and service are called. */
static bool names(void)
{
        const char *slash = strrchr(bundle, '/'), *name = slash ? slash + 1 : bundle, *end = strstr(name, ".dext");
        if (!end || end == name || end - name >= (ptrdiff_t)sizeof(service))
                return false;
        snprintf(service, sizeof(service), "%.*s", (int)(end - name), name);
        snprintf(identifier, sizeof(identifier), "org.ambidext.%s", service);
        return true;
}

int main(int argc, char **argv)
{
        calls = argc >= 2 ? atoi(argv[1]) : 0;
        bundle = argc >= 3 ? argv[2] : bundle;
        while (argc >= 4 && kind->name && strcmp(kind->name, argv[3]) != 0)
                kind++;
        if (argc > 4 || !kind->name || calls < 1 || calls > CALLS_MOST || !names()) {
                fprintf(stderr, "usage: hot-calls CALLS [BUNDLE [KIND]]\n");
                return 2;
        }
        setenv("CK_FORK", "no", 1); /* what counts instructions sees this process alone */
        return run_suite("hot-calls", hot_calls);
}
