/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many connections of one application to one host: that they open, work and cost little memory, and that nothing of them is left
 * when the application closes them or is killed, or the host is; and what happens when a process runs out of descriptors.
 *
 * The application is a child of the test, which it obeys over a pair of pipes (struct app). How many: AMBIDEXT_TEST_CONNECTIONS.
 */
#include <mach/mach.h>

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitizer.h"
#include "echo-world.h"

enum { MOST = 20000, CALLS = 500, EACH_KIB = 32, IDLE_THREADS = 40, FEW = 100 };

static int many = AMB_SANITIZED ? 200 : 1500;

/* --- the application --- */

struct app {
        pid_t pid;
        int ask, answer;
};

static io_connect_t connections[MOST];
static int opened;

/* One command: the code that it came to. */
static kern_return_t obey(char command)
{
        io_service_t service;
        kern_return_t code = 0;

        switch (command) {
        case 'o':               /* open many */
                service = world_service("echo");
                for (int i = 0; i < many && code == 0; i++) {
                        code = IOServiceOpen(service, mach_task_self(), 0, &connections[opened]);
                        opened += code == 0;
                }
                IOObjectRelease(service);
                return code;
        case 'r':               /* call on any of them */
                for (int i = 0; i < CALLS && code == 0; i++)
                        code = nop(connections[random() % opened]);
                return code;
        case 'e':               /* call on each */
                for (int i = 0; i < opened && code == 0; i++)
                        code = nop(connections[i]);
                return code;
        case 'w':               /* call until the host has died */
                while ((code = nop(connections[random() % opened])) == 0)
                        continue;
                for (int i = 0; i < opened; i++)
                        if (nop(connections[i]) == 0)
                                return -1;
                return 0;
        case 'f':               /* open and call until it is refused, then call on all again; the refusal must be one */
                service = world_service("echo");
                while (code == 0 && opened < many)
                        if ((code = IOServiceOpen(service, mach_task_self(), 0, &connections[opened])) == 0)
                                if (nop(connections[opened++]) != 0)
                                        return -3;
                IOObjectRelease(service);
                if (code == 0 || opened == 0)
                        return -1;
                for (int i = 0; i < opened; i++)
                        if (nop(connections[i]) != 0)
                                return -2;
                return 0;
        case 'c':               /* close all */
                for (int i = 0; i < opened && code == 0; i++)
                        code = IOServiceClose(connections[i]);
                opened = 0;
                return code;
        }
        return -1;
}

static void app_run(int ask, int answer)
{
        kern_return_t code;
        char command;

        while (read(ask, &command, 1) == 1) {
                code = obey(command);
                if (write(answer, &code, sizeof(code)) != sizeof(code))
                        _exit(1);
        }
        _exit(0);
}

static struct app app_start(void)
{
        struct app app;
        int ask[2], answer[2];

        ck_assert_int_eq(pipe(ask), 0);
        ck_assert_int_eq(pipe(answer), 0);
        app.pid = fork();
        ck_assert_int_ge(app.pid, 0);
        if (app.pid == 0) {
                close(ask[1]);
                close(answer[0]);
                app_run(ask[0], answer[1]);
        }
        close(ask[0]);
        close(answer[1]);
        app.ask = ask[1];
        app.answer = answer[0];
        return app;
}

static void app_ask(const struct app *app, char command)
{
        ck_assert_int_eq(write(app->ask, &command, 1), 1);
}

static void app_answers(const struct app *app, char command)
{
        kern_return_t code;

        ck_assert_int_eq(read(app->answer, &code, sizeof(code)), sizeof(code));
        ck_assert_msg(code == 0, "'%c': 0x%x", command, code);
}

static void app_obeys(const struct app *app, char command)
{
        app_ask(app, command);
        app_answers(app, command);
}

static void app_end(const struct app *app, int number)
{
        if (number)
                kill(app->pid, number);
        close(app->ask);
        close(app->answer);
        ck_assert_int_eq(waitpid(app->pid, NULL, 0), app->pid);
}

/* --- what it costs --- */

struct cost {
        pid_t pid;
        int threads, descriptors;
        long resident;
};

static struct cost cost(pid_t pid)
{
        return (struct cost){ pid, (int)process_status(pid, "Threads"), process_descriptors(pid), process_resident_kib(pid) };
}

static uint64_t alive(io_connect_t c)
{
        uint64_t out[3] = { 0 };
        uint32_t count = 3;

        ck_assert_int_eq(IOConnectCallScalarMethod(c, kEchoStatistics, NULL, 0, out, &count), 0);
        return out[0];
}

static bool one_alive(void *context)
{
        return alive(*(io_connect_t *)context) == 1;
}

/* Nothing is left but what there was, and the threads of the pool that wait for more. */
static bool host_is_back(void *context)
{
        const struct cost *before = context;
        struct cost now = cost(before->pid);

        return now.descriptors <= before->descriptors + 1 && now.threads <= before->threads + IDLE_THREADS;
}

static bool daemon_is_back(void *context)
{
        const struct cost *before = context;

        return process_descriptors(before->pid) <= before->descriptors + 16;       /* of this process, and of the new host */
}

/* Twice: what the first ones needed is enough for the second. */
START_TEST(closed_or_killed)
{
        io_connect_t mine = world_open("echo");
        struct cost host = cost(world_host_pid("echo")), daemon = cost(world.daemon);

        for (int round = 0; round < 2; round++) {
                struct app app = app_start();

                app_obeys(&app, 'o');
                app_obeys(&app, 'e');
                app_obeys(&app, 'r');
                ck_assert_uint_eq(alive(mine), (uint64_t)many + 1);
                if (!AMB_SANITIZED)
                        ck_assert_int_le(cost(host.pid).resident - host.resident, (long)EACH_KIB * many);
                ck_assert_int_le(cost(host.pid).threads, 400);
                if (_i == 0)
                        app_obeys(&app, 'c');
                app_end(&app, SIGKILL);
                world_until(one_alive, &mine, "the end of all the connections");
                world_until(host_is_back, &host, "the host without them");
                world_until(daemon_is_back, &daemon, "the daemon without them");
        }
        ck_assert_int_eq(nop(mine), 0);
        ck_assert_int_eq(IOServiceClose(mine), 0);
}
END_TEST

START_TEST(host_killed)
{
        struct app app = app_start();
        struct cost daemon = cost(world.daemon);
        io_service_t service = world_service("echo");
        uint64_t old = world_service_id(service);
        io_connect_t fresh;

        app_obeys(&app, 'o');
        app_obeys(&app, 'r');
        app_ask(&app, 'w');
        world_kill(world_host_pid("echo"));
        app_answers(&app, 'w');
        IOObjectRelease(service);
        service = world_service_again("echo", old);
        ck_assert_int_eq(IOServiceOpen(service, mach_task_self(), 0, &fresh), 0);
        ck_assert_int_eq(nop(fresh), 0);
        ck_assert_int_eq(IOServiceClose(fresh), 0);
        IOObjectRelease(service);
        app_end(&app, SIGKILL);
        world_until(daemon_is_back, &daemon, "the daemon without them");
}
END_TEST

/* --- too few descriptors --- */

/* Of whom: 0 app, 1 host, 2 daemon. The others go on, and so does that one when there is room again. */
START_TEST(too_few_descriptors)
{
        const pid_t pids[] = { 0, world_host_pid("echo"), world.daemon };
        const struct rlimit few = { FEW, FEW };
        io_connect_t mine = world_open("echo");
        struct app app = app_start();

        ck_assert_int_eq(prlimit(_i == 0 ? app.pid : pids[_i], RLIMIT_NOFILE, &few, NULL), 0);
        /* The daemon keeps none for connections: it runs out with as many applications, see the listener's test. */
        app_obeys(&app, _i == 2 ? 'o' : 'f');
        if (_i == 1)
                world_log_wait(&world, "a connection is refused: this host may have");
        ck_assert_int_eq(nop(mine), 0);
        if (_i == 2)
                app_obeys(&app, 'e');
        app_end(&app, SIGKILL);
        world_until(one_alive, &mine, "the end of all the connections");
        ck_assert_int_eq(world_host_pid("echo"), pids[1]);
        ck_assert_int_eq(IOServiceClose(mine), 0);
        ck_assert_int_eq(IOServiceClose(world_open("echo")), 0);
}
END_TEST

int main(void)
{
        TCase *tests = test_case("many", host_killed);
        struct rlimit limit;

        if (getenv("AMBIDEXT_TEST_CONNECTIONS"))
                many = atoi(getenv("AMBIDEXT_TEST_CONNECTIONS"));
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        /* Two descriptors for each. */
        if ((rlim_t)many * 2 + 100 > limit.rlim_max)
                many = (int)(limit.rlim_max / 2) - 50;
        tcase_add_checked_fixture(tests, setup, teardown);
        tcase_set_timeout(tests, 120);
        tcase_add_loop_test(tests, closed_or_killed, 0, 2);
        tcase_add_loop_test(tests, too_few_descriptors, 0, 3);
        return run_cases("many", tests);
}
