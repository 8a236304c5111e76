/* SPDX-License-Identifier: Apache-2.0 */
/* A user client that the driver has terminated, and ports that come and go. Against a host in this process, no daemon. */
#include <IOKit/IOKitLib.h>
#include <ambidext/port.h>
#include <mach/mach.h>

#include <check.h>
#include <poll.h>
#include <sched.h>

#include "base/test-process.h"
#include "base/test-suite.h"
#include "client/test-host.h"

static struct host host;
static struct {
        int calls;
        uintptr_t refcon, arg;
} got;

static void callback1(void *refcon, IOReturn result, void *arg)
{
        got.calls++;
        got.refcon = (uintptr_t)refcon;
        got.arg = (uintptr_t)arg;
}

static kern_return_t ask(io_connect_t c, IONotificationPortRef port, uint32_t selector, uintptr_t refcon)
{
        uint64_t reference[3] = { 0, (uintptr_t)callback1, refcon }, in[2] = { 1, 0 };

        return IOConnectCallAsyncScalarMethod(c, selector, IONotificationPortGetMachPort(port), reference, 3, in, 2, NULL, NULL);
}

static kern_return_t status(io_connect_t c, uint32_t code)
{
        uint64_t in = code;

        return IOConnectCallScalarMethod(c, HOST_STATUS, &in, 1, NULL, NULL);
}

/* --- terminated --- */

/* Row 181. The application has made no call since: an idle connection knows, too. 1: after a call has told. */
START_TEST(terminated)
{
        mach_vm_address_t at = 0;
        io_connect_t c = host_open(&host);

        ck_assert_int_eq(status(c, 0), 0);
        host_terminate(&host);
        if (_i == 1) {
                ck_assert_int_eq(status(c, 0), MACH_SEND_INVALID_DEST);
                ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, NULL, kIOMapAnywhere), MACH_SEND_INVALID_DEST);
                ck_assert_int_eq(IOConnectUnmapMemory64(c, 7, mach_task_self(), 0), MACH_SEND_INVALID_DEST);
        }
        ck_assert_int_eq(IOServiceClose(c), MACH_SEND_INVALID_DEST);
        ck_assert_int_eq(IOConnectAddRef(c), KERN_INVALID_NAME);
        host_end(&host);
}
END_TEST

/* The handle is dead at once for whoever looks first, whatever function that is. */
START_TEST(terminated_first_look)
{
        static const char large[5000];
        mach_vm_address_t at = 0;
        io_connect_t c = host_open(&host);
        io_service_t service;

        host_terminate(&host);
        switch (_i) {
        case 0:
                ck_assert_int_eq(IOConnectAddRef(c), KERN_INVALID_RIGHT);
                break;
        case 1:
                ck_assert_int_eq(IOConnectRelease(c), KERN_INVALID_RIGHT);
                break;
        case 2:
                ck_assert_int_eq(IOConnectGetService(c, &service), MACH_SEND_INVALID_DEST);
                break;
        case 3:
                ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, NULL, kIOMapAnywhere), MACH_SEND_INVALID_DEST);
                break;
        case 4:
                ck_assert_int_eq(IOConnectCallStructMethod(c, HOST_SILENT, large, sizeof(large), NULL, NULL),
                                 MACH_SEND_INVALID_DEST);
                break;
        }
        ck_assert_int_eq(IOServiceClose(c), MACH_SEND_INVALID_DEST);
        host_end(&host);
}
END_TEST

/* Row 182: with mappings. */
START_TEST(terminated_with_mapping)
{
        mach_vm_address_t at = 0;
        io_connect_t c = host_open(&host);

        ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, NULL, kIOMapAnywhere), 0);
        host_terminate(&host);
        if (_i == 1) {
                ck_assert_int_eq(status(c, 0), kIOReturnBadArgument);
                ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, NULL, kIOMapAnywhere), kIOReturnBadArgument);
        }
        ck_assert_mem_eq((void *)at, "shared", 6);
        ck_assert_int_eq(IOServiceClose(c), 0);
        ck_assert_int_eq(status(c, 0), MACH_SEND_INVALID_DEST);
        host_end(&host);
}
END_TEST

/* A driver's own 0x10000003 is a code like any other, and ends nothing. */
START_TEST(drivers_own_code)
{
        mach_vm_address_t at = 0;
        io_connect_t c = host_open(&host);

        for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(status(c, MACH_SEND_INVALID_DEST), MACH_SEND_INVALID_DEST);
                ck_assert_int_eq(status(c, 0), 0);
                ck_assert_int_eq(IOConnectMapMemory64(c, 7, mach_task_self(), &at, NULL, kIOMapAnywhere), 0);
        }
        ck_assert_int_eq(IOServiceClose(c), 0);
        host_end(&host);
}
END_TEST

/* call-path 4.7: an action that is still held works, before and after the close. */
START_TEST(completions_after_termination)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        struct pollfd pollfd = { .fd = amb_port_get_fd(port), .events = POLLIN };
        io_connect_t c = host_open(&host);

        ck_assert_int_eq(ask(c, port, HOST_LATER, 5), 0);
        host_terminate(&host);
        ck_assert_int_eq(ask(c, port, HOST_LATER, 6), MACH_SEND_INVALID_DEST);
        for (int i = 1; i <= 2; i++) {
                host_complete_later(&host, 1, 0);
                ck_assert_int_eq(poll(&pollfd, 1, -1), 1);
                amb_port_dispatch(port);
                ck_assert_int_eq(got.calls, i);
                ck_assert_uint_eq(got.refcon, 5);
                if (i == 1)
                        ck_assert_int_eq(IOServiceClose(c), MACH_SEND_INVALID_DEST);
        }
        host_end(&host);
        IONotificationPortDestroy(port);
}
END_TEST

/* --- ports --- */

/* One port for each call; nothing is left of them on either side. */
START_TEST(a_port_for_each_call)
{
        io_connect_t c = host_open(&host);
        int before = 0;

        for (int i = 0; i < 1000; i++) {
                IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);

                ck_assert_int_eq(ask(c, port, HOST_COMPLETE, (uintptr_t)i), 0);
                amb_port_dispatch(port);
                ck_assert_int_eq(got.calls, i + 1);
                ck_assert_uint_eq(got.refcon, i);
                IONotificationPortDestroy(port);
                if (i == 100)
                        before = process_descriptors(getpid());
        }
        ck_assert_int_eq(process_descriptors(getpid()), before);
        ck_assert_int_eq(IOServiceClose(c), 0);
        sem_wait(&host.closed);                 /* it has heard everything up to the close */
        ck_assert_uint_eq(host.port_drops, 1000);
        host_end(&host);
}
END_TEST

START_TEST(ports_at_a_time)
{
        IONotificationPortRef ports[AMB_SIDE_PORTS_MAX + 1];
        io_connect_t c = host_open(&host);

        for (size_t i = 0; i <= AMB_SIDE_PORTS_MAX; i++) {
                ports[i] = IONotificationPortCreate(kIOMainPortDefault);
                ck_assert_int_eq(ask(c, ports[i], HOST_SILENT, 0), i < AMB_SIDE_PORTS_MAX ? 0 : kIOReturnNoResources);
        }
        IONotificationPortDestroy(ports[3]);
        ck_assert_int_eq(ask(c, ports[AMB_SIDE_PORTS_MAX], HOST_COMPLETE, 9), 0);
        amb_port_dispatch(ports[AMB_SIDE_PORTS_MAX]);
        ck_assert_uint_eq(got.refcon, 9);
        for (size_t i = 0; i <= AMB_SIDE_PORTS_MAX; i++)
                if (i != 3)
                        IONotificationPortDestroy(ports[i]);
        ck_assert_int_eq(IOServiceClose(c), 0);
        host_end(&host);
}
END_TEST

/* The former owner's late completion does not reach the port that sits there now. */
START_TEST(late_completion)
{
        IONotificationPortRef first = IONotificationPortCreate(kIOMainPortDefault), second;
        io_connect_t c = host_open(&host);

        ck_assert_int_eq(ask(c, first, HOST_LATER, 1), 0);
        IONotificationPortDestroy(first);
        second = IONotificationPortCreate(kIOMainPortDefault);
        ck_assert_int_eq(ask(c, second, HOST_SILENT, 2), 0);
        host_complete_later(&host, 1, 0);
        ck_assert_int_eq(ask(c, second, HOST_COMPLETE, 2), 0);
        amb_port_dispatch(second);
        ck_assert_int_eq(got.calls, 1);
        ck_assert_uint_eq(got.refcon, 2);
        ck_assert_int_eq(IOServiceClose(c), 0);
        IONotificationPortDestroy(second);
        host_end(&host);
}
END_TEST

/* --- everything at once --- */

struct storm {
        io_connect_t connection;
        _Atomic bool end;
        _Atomic unsigned int calls, refused;
};

static bool end_code(kern_return_t code)
{
        return code == MACH_SEND_INVALID_DEST || code == MIG_SERVER_DIED || code == kIOReturnBadArgument;
}

static void *storm_calls(void *data)
{
        struct storm *storm = data;
        uint64_t in = 1, out;
        uint32_t count = 1;

        while (!storm->end) {
                kern_return_t code = IOConnectCallScalarMethod(storm->connection, HOST_ADD_ONE, &in, 1, &out, &count);

                if (code) {
                        ck_assert_msg(end_code(code), "0x%x", code);
                        storm->refused++;
                } else {
                        ck_assert_uint_eq(out, 2);
                        storm->calls++;
                }
                count = 1;
        }
        return NULL;
}

static void *storm_structs(void *data)
{
        static _Thread_local char in[20000], out[20000];
        struct storm *storm = data;

        while (!storm->end) {
                size_t size = sizeof(out);
                kern_return_t code = IOConnectCallStructMethod(storm->connection, HOST_ECHO, in, sizeof(in), out, &size);

                ck_assert_msg(code == 0 || end_code(code), "0x%x", code);
        }
        return NULL;
}

static void *storm_maps(void *data)
{
        struct storm *storm = data;

        while (!storm->end) {
                mach_vm_address_t at = 0;
                kern_return_t code = IOConnectMapMemory64(storm->connection, 7, mach_task_self(), &at, NULL, kIOMapAnywhere);

                ck_assert_msg(code == 0 || end_code(code), "0x%x", code);
        }
        return NULL;
}

static void *storm_ports(void *data)
{
        struct storm *storm = data;

        while (!storm->end) {
                IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
                kern_return_t code = ask(storm->connection, port, HOST_COMPLETE, 1);

                ck_assert_msg(code == 0 || end_code(code), "0x%x", code);
                if (code == 0)
                        amb_port_dispatch(port);
                IONotificationPortDestroy(port);
        }
        return NULL;
}

static void *storm_close(void *data)
{
        struct storm *storm = data;
        kern_return_t code = IOServiceClose(storm->connection);

        ck_assert_msg(code == 0 || code == MACH_SEND_INVALID_DEST, "0x%x", code);
        return NULL;
}

/* Calls of every kind on one connection while two threads close it; in odd rounds it is terminated just before. */
START_TEST(close_in_a_storm)
{
        void *(*const kinds[])(void *) = { storm_calls, storm_calls, storm_structs, storm_structs, storm_maps, storm_ports };
        enum { KINDS = AMB_ARRAY_LENGTH(kinds) };
        pthread_t threads[KINDS], closers[2];
        int before = 0;

        for (int round = 0; round < 150; round++) {
                struct storm storm = { 0 };

                memset(&host, 0, sizeof(host));
                storm.connection = host_open(&host);
                ck_assert_int_eq(IOConnectAddRef(storm.connection), 0);         /* one for each closer */
                for (size_t i = 0; i < KINDS; i++)
                        ck_assert_int_eq(pthread_create(&threads[i], NULL, kinds[i], &storm), 0);
                while (storm.calls < 20)
                        sched_yield();
                if (round % 2)
                        host_terminate(&host);
                for (size_t i = 0; i < 2; i++)
                        ck_assert_int_eq(pthread_create(&closers[i], NULL, storm_close, &storm), 0);
                for (size_t i = 0; i < 2; i++)
                        pthread_join(closers[i], NULL);
                while (storm.refused < 5)
                        sched_yield();
                storm.end = true;
                for (size_t i = 0; i < KINDS; i++)
                        pthread_join(threads[i], NULL);
                ck_assert_int_eq(IOConnectAddRef(storm.connection), KERN_INVALID_NAME);
                host_end(&host);
                if (round == 10)
                        before = process_descriptors(getpid());
        }
        ck_assert_int_eq(process_descriptors(getpid()), before);
}
END_TEST

int main(void)
{
        TCase *tcase = test_case("end", drivers_own_code, completions_after_termination, a_port_for_each_call, ports_at_a_time,
                                 late_completion, close_in_a_storm);

        tcase_add_loop_test(tcase, terminated, 0, 2);
        tcase_add_loop_test(tcase, terminated_first_look, 0, 5);
        tcase_add_loop_test(tcase, terminated_with_mapping, 0, 2);
        return run_cases("client-end", tcase);
}
