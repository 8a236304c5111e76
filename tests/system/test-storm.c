/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application at its worst hour, with a real host: signals without end, cancelled threads, an exit with calls in progress, forks
 * at any time, closes and destroyed ports inside callbacks, an application that stands still; and what idle connections cost.
 */
#include <ambidext/port.h>
#include <mach/mach.h>

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "echo-world.h"


static kern_return_t echo(io_connect_t c, char *bytes, size_t size)
{
        char *copy = malloc(size);
        size_t got = size;
        kern_return_t code;

        memset(bytes, (int)size, size);
        code = IOConnectCallStructMethod(c, kEchoStruct, bytes, size, copy, &got);
        if (code == 0 && memcmp(bytes, copy, size) != 0)
                code = -1;
        free(copy);
        return code;
}

static uint64_t clients_alive(io_connect_t c)
{
        uint64_t out[3] = { 0 };
        uint32_t count = 3;

        ck_assert_int_eq(IOConnectCallScalarMethod(c, kEchoStatistics, NULL, 0, out, &count), 0);
        return out[0];
}

static bool one_client_alive(void *context)
{
        return clients_alive(*(io_connect_t *)context) == 1;
}

/* --- signals --- */

static _Atomic unsigned int alarms;

static void on_alarm(int number)
{
        alarms++;
}

/* Every 100 us, with and without SA_RESTART: nothing fails, nothing is done twice. */
START_TEST(signals)
{
        struct itimerval often = { { 0, 100 }, { 0, 100 } }, never = { { 0, 0 }, { 0, 0 } };
        struct sigaction action = { .sa_handler = on_alarm, .sa_flags = _i ? SA_RESTART : 0 };
        static char bytes[100000];
        mach_vm_address_t at;
        io_connect_t c = world_open("echo"), other;
        io_service_t service = world_service("echo");

        ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
        ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
        for (int i = 0; i < 200; i++) {
                ck_assert_int_eq(nop(c), 0);
                ck_assert_int_eq(echo(c, bytes, i % 2 ? 100 : sizeof(bytes)), 0);
                if (i % 4 == 0) {
                        ck_assert_int_eq(IOServiceOpen(service, mach_task_self(), 0, &other), 0);
                        at = 0;
                        ck_assert_int_eq(IOConnectMapMemory64(other, 0, mach_task_self(), &at, NULL, kIOMapAnywhere), 0);
                        ck_assert_int_eq(nop(other), 0);
                        ck_assert_int_eq(IOServiceClose(other), 0);
                }
        }
        ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
        ck_assert_uint_gt(alarms, 50);
        world_until(one_client_alive, &c, "all but one closed");
        ck_assert_int_eq(IOServiceClose(c), 0);
        IOObjectRelease(service);
}
END_TEST

/* --- threads that vanish --- */

static io_connect_t shared;

static void *calls_for_ever(void *context)
{
        static _Thread_local char bytes[6000];

        for (;;) {
                kern_return_t code = (uintptr_t)context % 2 ? nop(shared) : echo(shared, bytes, sizeof(bytes));

                if (code)
                        break;
                pthread_testcancel();
        }
        return NULL;
}

START_TEST(cancelled_threads)
{
        pthread_t threads[4];

        shared = world_open("echo");
        for (int round = 0; round < 100; round++) {
                for (uintptr_t i = 0; i < 4; i++)
                        ck_assert_int_eq(pthread_create(&threads[i], NULL, calls_for_ever, (void *)i), 0);
                for (int i = 0; i < round % 7; i++)
                        ck_assert_int_eq(nop(shared), 0);
                for (int i = 0; i < 4; i++)
                        pthread_cancel(threads[i]);
                for (int i = 0; i < 4; i++)
                        pthread_join(threads[i], NULL);
                ck_assert_int_eq(nop(shared), 0);
        }
        ck_assert_int_eq(IOServiceClose(shared), 0);
}
END_TEST

static void *blocked_call(void *context)
{
        *(kern_return_t *)context = IOConnectCallScalarMethod(shared, kEchoBlock, NULL, 0, NULL, NULL);
        pthread_testcancel();
        *(kern_return_t *)context = -1;
        return NULL;
}

static bool one_blocked(void *context)
{
        uint64_t blocked = 0;
        uint32_t count = 1;

        return IOConnectCallScalarMethod(*(io_connect_t *)context, kEchoBlocked, NULL, 0, &blocked, &count) == 0 && blocked == 1;
}

/* Cancelled in a call that the driver has not answered: the thread goes when it has, and leaves nothing in the close's way. */
START_TEST(cancelled_in_a_long_call)
{
        io_connect_t other = world_open("echo");
        kern_return_t code = -2;
        uint64_t woken = 0;
        uint32_t count = 1;
        pthread_t thread;
        void *result;

        shared = world_open("echo");
        ck_assert_int_eq(pthread_create(&thread, NULL, blocked_call, &code), 0);
        world_until(one_blocked, &other, "a call is in the driver");
        ck_assert_int_eq(pthread_cancel(thread), 0);
        poll(NULL, 0, 300);             /* the caller looks at the host's pidfd every 100 ms: there it could vanish */
        ck_assert_int_eq(IOConnectCallScalarMethod(other, kEchoUnblock, NULL, 0, &woken, &count), 0);
        ck_assert_uint_eq(woken, 1);
        pthread_join(thread, &result);
        ck_assert_ptr_eq(result, PTHREAD_CANCELED);
        ck_assert_int_eq(code, 0);
        ck_assert_int_eq(IOServiceClose(shared), 0);
        ck_assert_int_eq(IOServiceClose(other), 0);
}
END_TEST

/* exit() with threads in calls, one of them blocked in the driver: the process ends at once, the host frees what was its. */
START_TEST(exit_in_calls)
{
        io_connect_t c = world_open("echo");
        uint64_t woken;
        uint32_t count;
        int status;
        pid_t pid;

        for (int round = 0; round < 10; round++) {
                pid = fork();
                ck_assert_int_ge(pid, 0);
                if (pid == 0) {
                        pthread_t thread;

                        shared = world_open("echo");
                        for (uintptr_t i = 0; i < 8; i++)
                                pthread_create(&thread, NULL, calls_for_ever, (void *)i);
                        for (int i = 0; i < round; i++)
                                nop(shared);
                        exit(3);
                }
                ck_assert_int_eq(waitpid(pid, &status, 0), pid);
                ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 3, "status 0x%x", status);
        }
        count = 1;
        ck_assert_int_eq(IOConnectCallScalarMethod(c, kEchoUnblock, NULL, 0, &woken, &count), 0);
        world_until(one_client_alive, &c, "the dead ones' user clients are gone");
        ck_assert_int_eq(IOServiceClose(c), 0);
}
END_TEST

/* Children are made while all threads call: they are cut off, the parent notices nothing. */
START_TEST(forks_in_calls)
{
        pthread_t threads[3];
        int status;
        pid_t pid;

        shared = world_open("echo");
        for (uintptr_t i = 0; i < 3; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, calls_for_ever, (void *)i), 0);
        for (int round = 0; round < 40; round++) {
                pid = fork();
                ck_assert_int_ge(pid, 0);
                if (pid == 0)
                        _exit(nop(shared) == MACH_SEND_INVALID_DEST && IOServiceClose(shared) == MACH_SEND_INVALID_DEST ? 0 : 1);
                ck_assert_int_eq(waitpid(pid, &status, 0), pid);
                ck_assert_int_eq(status, 0);
                ck_assert_int_eq(nop(shared), 0);
        }
        ck_assert_int_eq(IOServiceClose(shared), 0);
        for (int i = 0; i < 3; i++)
                pthread_join(threads[i], NULL);
}
END_TEST

/* --- callbacks --- */

static struct {
        IONotificationPortRef port;
        io_connect_t connection;
        int calls, close_at, destroy_at;
        kern_return_t code;
} in_callback;

static void callback(void *refcon, IOReturn result, void *arg)
{
        in_callback.calls++;
        if (in_callback.calls == in_callback.close_at)
                in_callback.code = IOServiceClose(in_callback.connection);
        if (in_callback.calls == in_callback.destroy_at)
                IONotificationPortDestroy(in_callback.port);
}

static kern_return_t many(io_connect_t c, IONotificationPortRef port, uint64_t times)
{
        uint64_t reference[3] = { 0, (uintptr_t)callback, 0 }, in[2] = { times, 7 };

        return IOConnectCallAsyncScalarMethod(c, kEchoAsync, IONotificationPortGetMachPort(port), reference, 3, in, 2, NULL, NULL);
}

enum { MANY = 1000 };

/* 0: the close in the middle of 1000 completions takes none of them away. 1: the port is destroyed: not one more. 2: both. */
START_TEST(ends_inside_a_callback)
{
        in_callback.port = IONotificationPortCreate(kIOMainPortDefault);
        in_callback.connection = world_open("echo");
        in_callback.code = -1;
        in_callback.close_at = _i == 1 ? 0 : 10;
        in_callback.destroy_at = _i == 0 ? 0 : 20;
        ck_assert_int_eq(many(in_callback.connection, in_callback.port, MANY), 0);
        if (_i == 0) {
                struct pollfd pollfd = { .fd = amb_port_get_fd(in_callback.port), .events = POLLIN };

                while (in_callback.calls < MANY) {
                        ck_assert_int_eq(poll(&pollfd, 1, 20000), 1);
                        amb_port_dispatch(in_callback.port);
                }
                IONotificationPortDestroy(in_callback.port);
        } else {
                amb_port_dispatch(in_callback.port);
                ck_assert_int_eq(in_callback.calls, 20);
        }
        if (_i == 1)
                ck_assert_int_eq(IOServiceClose(in_callback.connection), 0);
        else
                ck_assert_int_eq(in_callback.code, 0);
        in_callback.connection = world_open("echo");
        world_until(one_client_alive, &in_callback.connection, "the closed one is gone");
        ck_assert_int_eq(IOServiceClose(in_callback.connection), 0);
}
END_TEST

/* --- an application that stands still --- */

/* Stopped with 30000 completions on their way: the driver and others go on; when it runs again it gets them all. */
START_TEST(stopped_app)
{
        io_connect_t c;
        int status, ready[2];
        char byte;
        pid_t pid;

        ck_assert_int_eq(pipe(ready), 0);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                struct pollfd pollfd = { .events = POLLIN };

                in_callback.port = IONotificationPortCreate(kIOMainPortDefault);
                in_callback.connection = world_open("echo");
                pollfd.fd = amb_port_get_fd(in_callback.port);
                if (many(in_callback.connection, in_callback.port, 30000) != 0 || write(ready[1], "x", 1) != 1)
                        _exit(1);
                raise(SIGSTOP);
                while (in_callback.calls < 30000 && poll(&pollfd, 1, 20000) == 1)
                        amb_port_dispatch(in_callback.port);
                _exit(in_callback.calls == 30000 ? 0 : 2);
        }
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
        ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
        ck_assert(WIFSTOPPED(status));
        c = world_open("echo");
        for (int i = 0; i < 1000; i++)
                ck_assert_int_eq(nop(c), 0);
        ck_assert_int_eq(kill(pid, _i ? SIGKILL : SIGCONT), 0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        if (_i)
                ck_assert(WIFSIGNALED(status));
        else
                ck_assert_int_eq(status, 0);
        world_until(one_client_alive, &c, "the other's user client is gone");
        ck_assert_int_eq(IOServiceClose(c), 0);
        close(ready[0]);
        close(ready[1]);
}
END_TEST

/* --- sizes --- */

START_TEST(zero_length)
{
        io_connect_t c = world_open("echo");
        uint64_t scalar = 1;
        uint32_t count = 0;
        size_t size = 0;

        ck_assert_int_eq(IOConnectCallMethod(c, kEchoNop, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL), 0);
        ck_assert_int_eq(IOConnectCallMethod(c, kEchoNop, &scalar, 0, "", 0, &scalar, &count, &scalar, &size), 0);
        ck_assert_uint_eq(count, 0);
        ck_assert_uint_eq(size, 0);
        ck_assert_uint_eq(scalar, 1);
        ck_assert_int_eq(IOServiceClose(c), 0);
}
END_TEST

/* --- what idle connections cost --- */

/* How often the threads of a process have gone to sleep of their own will, all together. */
static long switches(pid_t pid)
{
        char command[128], line[64] = "";
        FILE *pipe;

        snprintf(command, sizeof(command), "cat /proc/%d/task/*/status | awk '/^voluntary/ { n += $2 } END { print n }'", (int)pid);
        pipe = popen(command, "r");
        ck_assert_ptr_nonnull(pipe);
        ck_assert_ptr_nonnull(fgets(line, sizeof(line), pipe));
        pclose(pipe);
        return atol(line);
}

START_TEST(idle)
{
        enum { CONNECTIONS = 100 };
        io_connect_t connections[CONNECTIONS];
        pid_t host;
        long before;

        for (int i = 0; i < CONNECTIONS; i++) {
                connections[i] = world_open("echo");
                ck_assert_int_eq(nop(connections[i]), 0);
        }
        host = world_host_pid("echo");
        poll(NULL, 0, 6000);            /* threads of the pool end after 5 s */
        before = switches(host);
        poll(NULL, 0, 1000);
        ck_assert_int_eq(switches(host), before);
        for (int i = 0; i < CONNECTIONS; i++) {
                ck_assert_int_eq(nop(connections[i]), 0);
                ck_assert_int_eq(IOServiceClose(connections[i]), 0);
        }
}
END_TEST

int main(void)
{
        TCase *tests = test_case("storm", cancelled_threads, cancelled_in_a_long_call, exit_in_calls, forks_in_calls, zero_length,
                                 idle);

        tcase_set_timeout(tests, 120);
        tcase_add_checked_fixture(tests, setup, teardown);
        tcase_add_loop_test(tests, signals, 0, 2);
        tcase_add_loop_test(tests, ends_inside_a_callback, 0, 3);
        tcase_add_loop_test(tests, stopped_app, 0, 2);
        return run_cases("storm", tests);
}
