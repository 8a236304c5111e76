/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot scalar calls for count-instructions to look at: driver and app in one process, a daemon beside it, one processor.
 *
 *      hot-calls CALLS [BUNDLE]
 *
 * Makes CALLS calls and then twice as many, 2 scalars in and 2 out through a dispatch table, and calls window_mark() before,
 * between and after, where callgrind writes down what it has counted since the last time. BUNDLE: of the driver, below the build
 * directory; drivers/echo.dext without it. Of NAME.dext the service NAME of org.ambidext.NAME is called: its selector 0 gives back
 * what it gets, in any order.
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

#include <DriverKit/DriverKit.h>

#include "base/test-suite.h"
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

static void call(io_connect_t connection, int count_of_calls)
{
        for (int i = 0; i < count_of_calls; i++) {
                uint64_t in[2] = { 1, 2 }, out[2] = { 0, 0 };
                uint32_t count = 2;
                ck_assert_int_eq(IOConnectCallScalarMethod(connection, 0, in, 2, out, &count), 0);
                ck_assert(count == 2 && out[0] + out[1] == 3);
        }
}

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
        call(connection, WARM_UP);
        window_mark();
        call(connection, calls);
        window_mark();
        call(connection, 2 * calls);
        window_mark();
        ck_assert_int_eq(IOServiceClose(connection), 0);
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
        bundle = argc == 3 ? argv[2] : bundle;
        if (argc > 3 || calls < 1 || calls > CALLS_MOST || !names()) {
                fprintf(stderr, "usage: hot-calls CALLS [BUNDLE]\n");
                return 2;
        }
        setenv("CK_FORK", "no", 1); /* what counts instructions sees this process alone */
        return run_suite("hot-calls", hot_calls);
}
