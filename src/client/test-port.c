/* SPDX-License-Identifier: Apache-2.0 */
/* Notification ports: completions through a pollable fd and through a run loop, destroy, many ports. No daemon. */
#include <IOKit/IOKitLib.h>
#include <ambidext/port.h>

#include <check.h>
#include <poll.h>

#include "base/test-suite.h"
#include "channel/wait.h"
#include "client/port.h"
#include "client/test-host.h"

static struct host host;

static struct {
        int calls;
        void *refcon;
        IOReturn result;
        uint64_t args[16];
        uint32_t count;
} got;

static void take(void *refcon, IOReturn result, const uint64_t *args, uint32_t count)
{
        got.calls++;
        got.refcon = refcon;
        got.result = result;
        got.count = count;
        if (count)
                memcpy(got.args, args, count * sizeof(*args));
}
static void callback0(void *refcon, IOReturn result)
{
        take(refcon, result, NULL, 0);
}
static void callback1(void *refcon, IOReturn result, void *a)
{
        take(refcon, result, (uint64_t[]){ (uintptr_t)a }, 1);
}
static void callback2(void *refcon, IOReturn result, void *a, void *b)
{
        take(refcon, result, (uint64_t[]){ (uintptr_t)a, (uintptr_t)b }, 2);
}
static void callback(void *refcon, IOReturn result, void **args, uint32_t count)
{
        take(refcon, result, (uint64_t *)args, count);
}

static bool readable(IONotificationPortRef port, int milliseconds)
{
        struct pollfd fd = { amb_port_get_fd(port), POLLIN, 0 };

        return poll(&fd, 1, milliseconds) == 1;
}

static kern_return_t ask(io_connect_t c, IONotificationPortRef port, uint32_t selector, void *function, uint64_t count)
{
        uint64_t reference[8] = { 0x1234, (uintptr_t)function, 0xCAFE }, in[2] = { count, 0x55 };

        return IOConnectCallAsyncScalarMethod(c, selector, IONotificationPortGetMachPort(port), reference, kIOAsyncCalloutCount,
                                              in,
                                              2, NULL, NULL);
}

START_TEST(test_forms)
{
        void *functions[] = { (void *)callback0, (void *)callback1, (void *)callback2, (void *)callback, (void *)callback };
        uint32_t counts[] = { 0, 1, 2, 3, 16 };
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        io_connect_t c = host_open(&host);

        for (size_t i = 0; i < 5; i++) {
                ck_assert_int_eq(ask(c, port, HOST_COMPLETE, functions[i], counts[i]), 0);
                ck_assert(readable(port, 5000));
                amb_port_dispatch(port);
                ck_assert_int_eq(got.calls, (int)i + 1);
                ck_assert_ptr_eq(got.refcon, (void *)0xCAFE);
                ck_assert_int_eq(got.result, 0x55);
                ck_assert_uint_eq(got.count, counts[i]);
                for (uint32_t k = 0; k < counts[i]; k++)
                        ck_assert_uint_eq(got.args[k], k + 1);
                ck_assert(!readable(port, 0));
        }
        ck_assert_int_eq(IOServiceClose(c), 0);
        IONotificationPortDestroy(port);
        host_end(&host);
}
END_TEST

static void check_message(void *context, mach_msg_header_t *message)
{
        struct OSNotificationHeader64 *head = (struct OSNotificationHeader64 *)(message + 1);
        uintptr_t reference = 7;
        uint32_t type;
        vm_size_t size;
        void *content;

        ck_assert_int_eq(message->msgh_id, 53);
        ck_assert_uint_eq(message->msgh_size, 104 + 8 * 3);
        ck_assert_int_eq(OSGetNotificationFromMessage(message, 1, &type, &reference, &content, &size), kIOReturnNoResources);
        ck_assert_int_eq(OSGetNotificationFromMessage(message, 0, &type, &reference, &content, &size), 0);
        ck_assert_uint_eq(type, 150);
        ck_assert_uint_eq(reference, 0);
        ck_assert_uint_eq(size, 4 + 8 * 3);
        ck_assert_ptr_eq(content, (char *)message + 96);
        ck_assert_uint_eq(head->reference[7], 777);
        message->msgh_id = 54;
        ck_assert_int_eq(OSGetNotificationFromMessage(message, 0, &type, &reference, &content, &size), kIOReturnBadMessageID);
        IODispatchCalloutFromMessage(NULL, message, NULL);
        ck_assert_int_eq(got.calls, 0);
        ++*(int *)context;
}

START_TEST(test_message)
{
        uint64_t reference[8] = { 0, (uintptr_t)callback, 1, 3, 4, 5, 6, 777 }, in[2] = { 3, 0 };
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        io_connect_t c = host_open(&host);
        int taken = 0;

        ck_assert_int_eq(IOConnectCallAsyncScalarMethod(c, HOST_COMPLETE, IONotificationPortGetMachPort(port), reference, 8, in,
                                                        2,
                                                        NULL, NULL), 0);
        amb_port_dispatch_messages(port, check_message, &taken);
        ck_assert_int_eq(taken, 1);
        ck_assert_int_eq(IOServiceClose(c), 0);
        IONotificationPortDestroy(port);
        host_end(&host);
}
END_TEST

START_TEST(test_rules)
{
        uint64_t reference[9] = { 1, 2, 3 }, in[17] = { 0 }, seen[6];
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        mach_port_t wake = IONotificationPortGetMachPort(port);
        io_connect_t c = host_open(&host);
        uint32_t count = 6;
        size_t size = (size_t)kIOConnectMethodVarOutputSize;
        char buffer[16];

        ck_assert_int_eq(IOConnectCallAsyncScalarMethod(c, HOST_SEEN, wake, reference, 9, NULL, 0, NULL, NULL),
                         MIG_ARRAY_TOO_LARGE);
        ck_assert_int_eq(IOConnectCallAsyncScalarMethod(c, HOST_SEEN, wake, reference, 3, in, 17, NULL, NULL),
                         MIG_ARRAY_TOO_LARGE);
        ck_assert_int_eq(IOConnectCallAsyncScalarMethod(c, HOST_SEEN, wake, reference, 0, NULL, 0, NULL, NULL),
                         kIOReturnBadArgument);
        ck_assert_int_eq(IOConnectCallAsyncScalarMethod(0, HOST_SEEN, wake, reference, 0, NULL, 0, NULL, NULL),
                         MACH_SEND_INVALID_DEST);
        ck_assert_int_eq(IOConnectCallAsyncScalarMethod(0, HOST_SEEN, c, reference, 3, NULL, 0, NULL, NULL),
                         MACH_SEND_INVALID_RIGHT);
        ck_assert_int_eq(IOConnectCallAsyncScalarMethod(c, HOST_SEEN, 0xFFFFFFFF, reference, 3, NULL, 0, NULL, NULL),
                         MACH_SEND_INVALID_RIGHT);
        ck_assert_int_eq(IOConnectCallAsyncScalarMethod(c, HOST_SEEN, 0, reference, 3, NULL, 0, seen, &count), 0);
        ck_assert_uint_eq(seen[4], 0);
        ck_assert_int_eq(IOConnectCallAsyncScalarMethod(c, HOST_SEEN, wake, NULL, 0, NULL, 0, seen, &count), 0);
        ck_assert_uint_eq(seen[4], AMB_CALL_ASYNC);
        ck_assert_uint_eq(seen[5], 0);
        ck_assert_int_eq(IOConnectCallAsyncStructMethod(c, HOST_SEEN, wake, reference, 3, NULL, 0, buffer, &size),
                         kIOReturnIPCError);
        ck_assert_int_eq(IOConnectCallAsyncStructMethod(c, HOST_SEEN, wake, reference, 3, NULL, 0, NULL, &size), 0);
        ck_assert_uint_eq(size, 0xFFFFFFFDu);
        ck_assert_uint_eq(reference[0], 1);
        IONotificationPortDestroy(port);
        ck_assert_int_eq(IOConnectCallAsyncScalarMethod(c, HOST_SEEN, wake, reference, 3, NULL, 0, NULL, NULL),
                         MACH_SEND_INVALID_RIGHT);
        ck_assert_int_eq(IOServiceClose(c), 0);
        host_end(&host);
}
END_TEST

START_TEST(test_after_close)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        io_connect_t c = host_open(&host);

        ck_assert_int_eq(ask(c, port, HOST_LATER, (void *)callback1, 0), 0);
        ck_assert_int_eq(IOServiceClose(c), 0);
        amb_port_dispatch(port);
        host_complete_later(&host, 1, 9);
        ck_assert(readable(port, 5000));
        amb_port_dispatch(port);
        ck_assert_int_eq(got.calls, 1);
        ck_assert_int_eq(got.result, 9);
        /* The host lets go: the next dispatch forgets the connection. */
        host_end(&host);
        amb_port_dispatch(port);
        IONotificationPortDestroy(port);
}
END_TEST

START_TEST(test_destroyed_port)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault), other;
        io_connect_t c = host_open(&host);

        ck_assert_int_eq(ask(c, port, HOST_LATER, (void *)callback1, 0), 0);
        IONotificationPortDestroy(port);
        host_complete_later(&host, 1, 1);
        /* A new port takes a new number: the late completion is nobody's. */
        other = IONotificationPortCreate(kIOMainPortDefault);
        ck_assert_int_eq(ask(c, other, HOST_COMPLETE, (void *)callback2, 2), 0);
        amb_port_dispatch(other);
        ck_assert_int_eq(got.calls, 1);
        ck_assert_uint_eq(got.count, 2);
        ck_assert_int_eq(IOServiceClose(c), 0);
        IONotificationPortDestroy(other);
        host_end(&host);
}
END_TEST

START_TEST(test_two_ports)
{
        IONotificationPortRef a = IONotificationPortCreate(kIOMainPortDefault),
                b = IONotificationPortCreate(kIOMainPortDefault);
        io_connect_t c = host_open(&host);

        ck_assert_int_eq(ask(c, a, HOST_COMPLETE, (void *)callback1, 1), 0);
        ck_assert_int_eq(ask(c, b, HOST_COMPLETE, (void *)callback2, 2), 0);
        ck_assert_int_eq(ask(c, a, HOST_COMPLETE, (void *)callback0, 0), 0);
        amb_port_dispatch(b);                   /* takes a's from the ring, and hands them over */
        ck_assert_int_eq(got.calls, 1);
        ck_assert_uint_eq(got.count, 2);
        ck_assert(readable(a, 0));
        amb_port_dispatch(a);
        ck_assert_int_eq(got.calls, 3);
        ck_assert_uint_eq(got.count, 0);
        ck_assert_int_eq(IOServiceClose(c), 0);
        IONotificationPortDestroy(a);
        IONotificationPortDestroy(b);
        host_end(&host);
}
END_TEST

START_TEST(test_order)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        io_connect_t c = host_open(&host);

        /* More than the ring holds: the rest waits in the host. */
        for (int i = 0; i < 3000; i++) {
                uint64_t reference[3] = { 0, (uintptr_t)callback0, (uint64_t)i }, in[2] = { 0, (uint64_t)i };

                ck_assert_int_eq(IOConnectCallAsyncScalarMethod(c, HOST_COMPLETE, IONotificationPortGetMachPort(port),
                                                                reference, 3,
                                                                in, 2, NULL, NULL), 0);
        }
        while (got.calls < 3000) {
                int before = got.calls;

                ck_assert(readable(port, 5000));
                amb_port_dispatch(port);
                amb_channel_flush(host.channel);
                ck_assert(got.calls == before || (got.result == got.calls - 1 &&
                                                  got.refcon == (void *)(intptr_t)(got.calls - 1)));
        }
        ck_assert_int_eq(IOServiceClose(c), 0);
        IONotificationPortDestroy(port);
        host_end(&host);
}
END_TEST

/* --- a stream --- */

static void check_refilled(void *context, mach_msg_header_t *message)
{
        const uint64_t *words = (const uint64_t *)(message + 1);
        uint32_t *args = context;

        ck_assert_uint_eq(message->msgh_size, (100 + 8 * *args + 7) & ~7u);
        ck_assert_int_eq(message->msgh_id, 53);
        /* Size and type, eight references, then status and arguments; the last word's second half is nobody's. */
        ck_assert_uint_eq(words[0] & UINT32_MAX, 4 + 8 * *args);
        ck_assert_uint_eq(words[7], *args == 16 ? 0x77 : 0);
        ck_assert_uint_eq(words[9 + *args] >> 32, 0);
        *args = UINT32_MAX;
}

/* A message that has been delivered is filled again, and nothing of what it was remains. */
START_TEST(test_refilled)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        uint64_t reference[8] = { 0, 1, 2, 3, 4, 0x77, 0x77, 0x77 };
        io_connect_t c = host_open(&host);

        for (uint32_t i = 0; i < 8; i++) {
                uint32_t args = i % 2 ? 0 : 16, expected = args;
                uint64_t in[2] = { args, 0 };

                ck_assert_int_eq(IOConnectCallAsyncScalarMethod(c, HOST_COMPLETE, IONotificationPortGetMachPort(port), reference,
                                                                args ? 8 : 3, in, 2, NULL, NULL), 0);
                amb_port_dispatch_messages(port, check_refilled, &expected);
                ck_assert_uint_eq(expected, UINT32_MAX);
                ck_assert_uint_eq(port->port.spare_count, 1);
        }
        ck_assert_int_eq(IOServiceClose(c), 0);
        IONotificationPortDestroy(port);
        host_end(&host);
}
END_TEST

static io_connect_t again_connection;
static IONotificationPortRef again_port;
static bool again_over;

static void again(void *refcon, IOReturn result)
{
        take(refcon, result, NULL, 0);
        if (!again_over)
                ck_assert_int_eq(ask(again_connection, again_port, HOST_COMPLETE, (void *)again, 0), 0);
}

/* Each callback has another one come: a dispatch ends all the same, and the port is readable for the next. */
START_TEST(test_endless)
{
        again_port = IONotificationPortCreate(kIOMainPortDefault);
        again_connection = host_open(&host);
        again_over = false;
        ck_assert_int_eq(ask(again_connection, again_port, HOST_COMPLETE, (void *)again, 0), 0);
        for (int i = 0; i < 3; i++) {
                int before = got.calls;

                ck_assert(readable(again_port, 0));
                amb_port_dispatch(again_port);
                ck_assert_int_gt(got.calls, before);
        }
        ck_assert(readable(again_port, 0));
        again_over = true;
        amb_port_dispatch(again_port);
        ck_assert(!readable(again_port, 0));
        ck_assert_int_eq(IOServiceClose(again_connection), 0);
        IONotificationPortDestroy(again_port);
        host_end(&host);
}
END_TEST

/* Completions that come singly are not looked for, but for one time in 64; a dispatch to which nothing came never looks. */
START_TEST(test_looks)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        io_connect_t c = host_open(&host);
        unsigned looks = 0;

        for (int i = 0; i < 10; i++)
                amb_port_dispatch(port);
        ck_assert_uint_eq(port->port.look_misses + port->port.look_skip, 0);
        for (int i = 0; i < 63 + 2 * 64 + 2; i++) {
                uint32_t skip = port->port.look_skip;

                ck_assert_int_eq(ask(c, port, HOST_COMPLETE, (void *)callback0, 0), 0);
                amb_port_dispatch(port);
                ck_assert_int_eq(got.calls, i + 1);
                looks += port->port.look_skip >= skip && port->port.look_skip > 0;
                ck_assert_uint_le(port->port.look_skip, 63);
        }
        /* After looks 1 to 6 comes a break of 1, 3, 7, 15, 31 and 63 dispatches, and of 63 after each later one. */
        ck_assert_uint_le(looks, 8);
        ck_assert_uint_ge(looks, amb_wait_cpus() > 1 ? 7 : 0);
        ck_assert_int_eq(IOServiceClose(c), 0);
        IONotificationPortDestroy(port);
        host_end(&host);
}
END_TEST

/* --- run loop --- */

static IONotificationPortRef loop_port;

static void stop_loop(void *refcon, IOReturn result)
{
        take(refcon, result, NULL, 0);
        CFRunLoopStop(CFRunLoopGetCurrent());
}

START_TEST(test_run_loop)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        io_connect_t c = host_open(&host);

        ck_assert_ptr_eq(IONotificationPortGetRunLoopSource(port), IONotificationPortGetRunLoopSource(port));
        CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
        ck_assert_int_eq(ask(c, port, HOST_COMPLETE, (void *)stop_loop, 0), 0);
        CFRunLoopRun();
        ck_assert_int_eq(got.calls, 1);
        ck_assert_int_eq(ask(c, port, HOST_COMPLETE, (void *)callback0, 0), 0);
        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 5, true), kCFRunLoopRunHandledSource);
        ck_assert_int_eq(got.calls, 2);
        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0, true), kCFRunLoopRunTimedOut);
        ck_assert_int_eq(IOServiceClose(c), 0);
        IONotificationPortDestroy(port);
        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 5, true), kCFRunLoopRunFinished);
        host_end(&host);
}
END_TEST

/* What is left when a callback stops the loop waits for the next run. */
START_TEST(test_stop_in_callback)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        io_connect_t c = host_open(&host);

        CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(ask(c, port, HOST_COMPLETE, (void *)stop_loop, 0), 0);
        for (int i = 1; i <= 3; i++) {
                CFRunLoopRun();
                ck_assert_int_eq(got.calls, i);
        }
        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0, true), kCFRunLoopRunTimedOut);
        ck_assert_int_eq(IOServiceClose(c), 0);
        IONotificationPortDestroy(port);
        host_end(&host);
}
END_TEST

static void destroy_port(void *refcon, IOReturn result)
{
        take(refcon, result, NULL, 0);
        IONotificationPortDestroy(loop_port);
}

START_TEST(test_destroy_in_callback)
{
        io_connect_t c = host_open(&host);

        loop_port = IONotificationPortCreate(kIOMainPortDefault);
        CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(loop_port), kCFRunLoopDefaultMode);
        ck_assert_int_eq(ask(c, loop_port, HOST_COMPLETE, (void *)destroy_port, 0), 0);
        ck_assert_int_eq(ask(c, loop_port, HOST_COMPLETE, (void *)callback0, 0), 0);
        CFRunLoopRun();                         /* ends: nothing is left to wait for */
        ck_assert_int_eq(got.calls, 1);
        ck_assert_int_eq(IOServiceClose(c), 0);
        host_end(&host);
}
END_TEST

START_TEST(test_fork)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        io_connect_t c = host_open(&host);
        int status;
        pid_t pid;

        ck_assert_int_eq(ask(c, port, HOST_COMPLETE, (void *)callback0, 0), 0);
        pid = fork();
        if (pid == 0) {
                amb_port_dispatch(port);
                IONotificationPortDestroy(port);
                _exit(got.calls);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        ck_assert(readable(port, 0));
        amb_port_dispatch(port);
        ck_assert_int_eq(got.calls, 1);
        ck_assert_int_eq(IOServiceClose(c), 0);
        IONotificationPortDestroy(port);
        host_end(&host);
}
END_TEST

int main(void)
{
        return run_suite("client-port", test_forms, test_message, test_rules, test_after_close, test_destroyed_port, test_two_ports,
                         test_order, test_refilled, test_endless, test_looks, test_run_loop, test_stop_in_callback,
                         test_destroy_in_callback, test_fork);
}
