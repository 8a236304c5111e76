/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that hosts a driver itself: driver and client in one process, one daemon beside it. Contract: lifecycle-registry 4.3,
 * 3.2.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CoreFoundation/CoreFoundation.h>
#include <DriverKit/DriverKit.h>
#include <ambidext/registry.h>

#include "base/test-suite.h"
#include "drivers/echo/echo.h"
#include "world.h"

static struct world world;
static IOUserServer *server;

static void setup(void)
{
        world_start(&world, NULL);
}
static void teardown(void)
{
        world_stop(&world);
}

static void embed(void)
{
        OSString *bundle_id = OSStringCreate("org.ambidext.echo", (size_t)-1);
        ck_assert_int_eq(IOUserServer_Create("org.ambidext.echo", 0, 0, bundle_id, &server), 0);
        ck_assert_int_eq(IOUserServer_RegisterService(server), kIOReturnNotReady);
        ck_assert_int_eq(IOUserServer_LoadModule(server, world_build_path("drivers/echo.dext")), 0);
        ck_assert_int_eq(IOUserServer_RegisterService(server), 0);
        OSObjectRelease(bundle_id);
}

static void nop(io_connect_t connection)
{
        uint64_t in = 42, out = 0;
        uint32_t count = 1;
        ck_assert_int_eq(IOConnectCallScalarMethod(connection, kEchoNop, &in, 1, &out, &count), 0);
        ck_assert_uint_eq(out, 42);
}

START_TEST(one_process)
{
        embed();
        io_connect_t connection = world_open("echo");
        nop(connection);
        ck_assert_int_eq(world_host_pid("echo"), getpid());
        /* One host in a process. */
        IOUserServer *second = NULL;
        OSString *bundle_id = OSStringCreate("other", (size_t)-1);
        ck_assert_int_eq(IOUserServer_Create("other", 0, 0, bundle_id, &second), kIOReturnExclusiveAccess);
        OSObjectRelease(bundle_id);
        ck_assert_int_eq(IOServiceClose(connection), 0);
}
END_TEST

static bool echo_is_gone(void *context)
{
        io_service_t service = IOServiceGetMatchingService(0, IOServiceNameMatching("echo"));
        IOObjectRelease(service);
        return service == 0;
}

/* The process gives up hosting and lives on; the service goes, its bundle too, and nothing is launched in its place. */
START_TEST(gives_up)
{
        embed();
        IOObjectRelease(world_service("echo"));
        ck_assert_int_eq(IOUserServer_Exit(server, "the test is over"), 0);
        ck_assert_int_eq(amb_server_wait(server), 0);
        world_until(echo_is_gone, NULL, "the service goes with its host");
        char *message = NULL;
        ck_assert_int_eq(amb_registry_unload_bundle("org.ambidext.echo", &message), kIOReturnNotFound);
        free(message);
        ck_assert_ptr_null(strstr(world_log(&world), "launched host"));
}
END_TEST

/* Unloaded by somebody else: the host is told to end and the process is not killed. */
START_TEST(unloaded)
{
        embed();
        io_connect_t connection = world_open("echo");
        char *message = NULL;
        nop(connection);
        ck_assert_int_eq(amb_registry_unload_bundle("org.ambidext.echo", &message), 0);
        free(message);
        world_until(echo_is_gone, NULL, "the service goes with its bundle");
        kern_return_t code = IOServiceClose(connection);
        ck_assert_msg(code == 0 || code == MACH_SEND_INVALID_DEST, "%s", mach_error_string(code));
        ck_assert_int_eq(amb_server_wait(server), 0);
}
END_TEST

/* The bundle is somebody's already. */
START_TEST(taken)
{
        char *message = NULL, *id = NULL;
        ck_assert_int_eq(amb_registry_load_bundle(world_build_path("drivers/echo.dext"), &message, &id), 0);
        free(message);
        free(id);
        OSString *bundle_id = OSStringCreate("org.ambidext.echo", (size_t)-1);
        ck_assert_int_eq(IOUserServer_Create("org.ambidext.echo", 0, 0, bundle_id, &server), 0);
        ck_assert_int_eq(IOUserServer_LoadModule(server, world_build_path("drivers/echo.dext")), 0);
        ck_assert_int_eq(IOUserServer_RegisterService(server), kIOReturnExclusiveAccess);
        OSObjectRelease(bundle_id);
}
END_TEST

int main(void)
{
        TCase *tests = test_case("one process", one_process, gives_up, unloaded, taken);

        tcase_add_checked_fixture(tests, setup, teardown);
        return run_cases("embed", tests);
}
