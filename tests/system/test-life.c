/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life and death with real processes: who dies, what the others are told, what is left. Issue rows: death of the app, of the host,
 * of the daemon, of two of them at once; nothing hangs, nothing leaks. Contract: call-path 5, lifecycle-registry 4.4 to 4.6.
 */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CoreFoundation/CoreFoundation.h>
#include <ambidext/port.h>

#include "base/sanitizer.h"
#include "echo-world.h"


/* --- what the driver says of itself: user clients alive now, Starts and Stops so far --- */

struct statistics {
        uint64_t alive, started, stopped;
};

static struct statistics statistics(io_connect_t connection)
{
        uint64_t out[3] = { 0 };
        uint32_t count = 3;
        kern_return_t code = IOConnectCallScalarMethod(connection, kEchoStatistics, NULL, 0, out, &count);
        ck_assert_msg(code == 0, "%s", mach_error_string(code));
        return (struct statistics){ out[0], out[1], out[2] };
}

struct alive_wait {
        io_connect_t connection;
        uint64_t alive;
};
static bool alive_is(void *context)
{
        struct alive_wait *wait = context;
        struct statistics s = statistics(wait->connection);
        return s.alive == wait->alive && s.started - s.stopped == wait->alive;
}

static void children_are(io_connect_t connection, uint64_t alive)
{
        struct alive_wait wait = { connection, alive };
        char what[64];
        snprintf(what, sizeof(what), "%d user clients in the driver", (int)alive);
        world_until(alive_is, &wait, what);
}

/* Until a call is inside kEchoBlock. */
static void call_is_blocked(io_connect_t prober)
{
        uint64_t blocked = 0;
        do {
                uint32_t count = 1;
                ck_assert_int_eq(IOConnectCallScalarMethod(prober, kEchoBlocked, NULL, 0, &blocked, &count), 0);
        } while (blocked == 0);
}

/* --- the app dies --- */

START_TEST(app_killed)
{
        io_connect_t watcher = world_open("echo");
        int ready[2];
        ck_assert_int_eq(pipe(ready), 0);
        pid_t app = fork();
        if (app == 0) {
                /* Three connections, one with a call in progress that nobody will answer before the death. */
                world_open("echo");
                io_connect_t second = world_open("echo"), blocked = world_open("echo");
                if (nop(second) != 0 || write(ready[1], "x", 1) != 1)
                        _exit(1);
                IOConnectCallScalarMethod(blocked, kEchoBlock, NULL, 0, NULL, NULL);
                _exit(2);
        }
        char byte;
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
        children_are(watcher, 4);
        call_is_blocked(watcher);
        world_kill(app);
        int status;
        ck_assert_int_eq(waitpid(app, &status, 0), app);
        ck_assert(WIFSIGNALED(status));
        /* The two idle ones go at once; the third when its call has returned: Stop comes after the last call. */
        children_are(watcher, 2);
        ck_assert_int_eq(IOConnectCallScalarMethod(watcher, kEchoUnblock, NULL, 0, NULL, NULL), 0);
        children_are(watcher, 1);
        ck_assert_int_eq(nop(watcher), 0);
        ck_assert_int_eq(IOServiceClose(watcher), 0);
        close(ready[0]);
        close(ready[1]);
}
END_TEST

/* --- the host dies --- */

static void *blocked_call(void *argument)
{
        io_connect_t connection = *(io_connect_t *)argument;
        return (void *)(intptr_t)IOConnectCallScalarMethod(connection, kEchoBlock, NULL, 0, NULL, NULL);
}

START_TEST(host_killed)
{
        io_connect_t connection = world_open("echo"), idle = world_open("echo"), prober = world_open("echo");
        io_service_t service = world_service("echo");
        uint64_t old = world_service_id(service);
        pid_t host = world_host_pid("echo");
        pthread_t thread;
        void *result;
        ck_assert_int_eq(nop(connection), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, blocked_call, &connection), 0);
        call_is_blocked(prober);

        world_kill(host);
        ck_assert_int_eq(pthread_join(thread, &result), 0);
        ck_assert_msg((kern_return_t)(intptr_t)result == MIG_SERVER_DIED, "in flight: %s",
                      mach_error_string((kern_return_t)(intptr_t)result));
        kern_return_t code = nop(idle);
        ck_assert_msg(code == MACH_SEND_INVALID_DEST || code == MIG_SERVER_DIED, "later: %s", mach_error_string(code));
        ck_assert_int_eq(nop(idle), MACH_SEND_INVALID_DEST);
        ck_assert_int_eq(IOServiceClose(idle), MACH_SEND_INVALID_DEST);
        ck_assert_int_eq(nop(connection), MACH_SEND_INVALID_DEST);

        /* A new instance with a new id; the old handle is dead. */
        io_service_t again = world_service_again("echo", old);
        ck_assert_uint_ne(world_service_id(again), old);
        io_connect_t fresh = 0;
        ck_assert_int_eq(IOServiceOpen(service, mach_task_self(), 0, &fresh), MACH_SEND_INVALID_DEST);
        ck_assert_int_eq(IOServiceOpen(again, mach_task_self(), 0, &fresh), 0);
        ck_assert_int_eq(nop(fresh), 0);
        ck_assert_int_ne(world_host_pid("echo"), host);
        IOObjectRelease(again);
        IOObjectRelease(service);
        IOServiceClose(fresh);
}
END_TEST

START_TEST(driver_crashes)
{
        io_connect_t connection = world_open("echo");
        io_service_t service = world_service("echo");
        uint64_t old = world_service_id(service);
        IOObjectRelease(service);
        uint64_t crash = 1;
        kern_return_t code = IOConnectCallScalarMethod(connection, kEchoEnd, &crash, 1, NULL, NULL);
        ck_assert_msg(code == MIG_SERVER_DIED, "%s", mach_error_string(code));
        IOObjectRelease(world_service_again("echo", old));
        world_log_wait(&world, "signal");
}
END_TEST

START_TEST(host_killed_many_times)
{
        for (int i = 0; i < 4; i++) {
                io_connect_t connection = world_open("echo");
                io_service_t service = world_service("echo");
                uint64_t old = world_service_id(service);
                IOObjectRelease(service);
                world_kill(world_host_pid("echo"));
                IOObjectRelease(world_service_again("echo", old));
                ck_assert_int_ne(nop(connection), 0);
                IOServiceClose(connection);
        }
}
END_TEST

/* --- the daemon dies --- */

struct caller {
        io_connect_t connection;
        uint64_t calls;
        kern_return_t failure;
        bool stop;
};

static void *keep_calling(void *argument)
{
        struct caller *caller = argument;
        while (!__atomic_load_n(&caller->stop, __ATOMIC_RELAXED) && !caller->failure) {
                caller->failure = nop(caller->connection);
                __atomic_add_fetch(&caller->calls, 1, __ATOMIC_RELAXED);
        }
        return NULL;
}

static void calls_pass(struct caller *caller, uint64_t more)
{
        uint64_t start = __atomic_load_n(&caller->calls, __ATOMIC_RELAXED);
        while (__atomic_load_n(&caller->calls, __ATOMIC_RELAXED) < start + more && !caller->failure)
                sched_yield();
        ck_assert_msg(caller->failure == 0, "%s", mach_error_string(caller->failure));
}

static void came(void *reference, IOReturn result, void **arguments, uint32_t count)
{
        ck_assert_int_eq(result, 0);
        ck_assert_uint_eq(count, 3);
        ck_assert_uint_eq((uintptr_t)arguments[2], 33);
        ++*(int *)reference;
}

static void async_works(io_connect_t connection)
{
        int completions = 0;
        IONotificationPortRef port = IONotificationPortCreate(0);
        uint64_t reference[3] = { 0, (uintptr_t)came, (uintptr_t)&completions }, in[4] = { 2, 0, 0, 33 };
        ck_assert_int_eq(IOConnectCallAsyncScalarMethod(connection, kEchoAsync, IONotificationPortGetMachPort(port), reference, 3,
                                                        in, 4, NULL, NULL),
                         0);
        while (completions < 2) {
                struct pollfd poller = { .fd = amb_port_get_fd(port), .events = POLLIN };
                ck_assert_int_eq(poll(&poller, 1, 20000), 1);
                amb_port_dispatch(port);
        }
        IONotificationPortDestroy(port);
}

static void mapping_works(io_connect_t connection)
{
        mach_vm_address_t address = 0;
        mach_vm_size_t size = 0;
        ck_assert_int_eq(IOConnectMapMemory64(connection, 0, mach_task_self(), &address, &size, kIOMapAnywhere), 0);
        ck_assert_uint_gt(size, 0);
        *(volatile uint64_t *)address = 0x1234;
        ck_assert_int_eq(IOConnectUnmapMemory64(connection, 0, mach_task_self(), address), 0);
}

START_TEST(daemon_killed)
{
        struct caller caller = { .connection = world_open("echo") };
        io_connect_t other = world_open("echo");
        io_service_t service = world_service("echo");
        uint64_t id = world_service_id(service);
        pid_t host = world_host_pid("echo");
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, keep_calling, &caller), 0);
        calls_pass(&caller, 1000);
        world_daemon_kill(&world);
        /* Everything of an open connection goes on without a daemon: calls, completions, mappings, close. */
        calls_pass(&caller, 10000);
        async_works(other);
        mapping_works(other);
        ck_assert_int_eq(IOServiceClose(other), 0);
        calls_pass(&caller, 1000);

        world_daemon_start(&world, bundles);
        /* The same service, the same id, the same host: taken over, not started anew. */
        io_service_t again = world_service("echo");
        ck_assert_uint_eq(world_service_id(again), id);
        ck_assert_int_eq(world_host_pid("echo"), host);
        io_connect_t fresh = world_open("echo");
        children_are(fresh, 2);
        ck_assert_int_eq(nop(fresh), 0);
        calls_pass(&caller, 1000);
        __atomic_store_n(&caller.stop, true, __ATOMIC_RELAXED);
        pthread_join(thread, NULL);
        ck_assert_int_eq(caller.failure, 0);

        /* The new daemon is told of deaths as the old one was. */
        world_kill(host);
        ck_assert_int_ne(nop(fresh), 0);
        io_service_t third = world_service_again("echo", id);
        ck_assert_int_ne(world_host_pid("echo"), host);
        IOObjectRelease(third);
        IOObjectRelease(again);
        IOObjectRelease(service);
}
END_TEST

START_TEST(daemon_and_host_killed)
{
        io_connect_t connection = world_open("echo"), prober = world_open("echo");
        pid_t host = world_host_pid("echo");
        pthread_t thread;
        void *result;
        ck_assert_int_eq(pthread_create(&thread, NULL, blocked_call, &connection), 0);
        call_is_blocked(prober);
        world_daemon_kill(&world);
        world_kill(host);
        /* Nobody is left to wake the caller: it notices by itself. */
        ck_assert_int_eq(pthread_join(thread, &result), 0);
        ck_assert_int_eq((kern_return_t)(intptr_t)result, MIG_SERVER_DIED);
        ck_assert_int_eq(nop(connection), MACH_SEND_INVALID_DEST);
        /* No daemon at all: an error, not a hang. */
        ck_assert_uint_eq(IOServiceGetMatchingService(0, IOServiceNameMatching("echo")), 0);
        world_daemon_start(&world, bundles);
        io_connect_t fresh = world_open("echo");
        ck_assert_int_eq(nop(fresh), 0);
}
END_TEST

/* --- fork: a child has none of its parent's connections, and does not hurt them --- */

START_TEST(forked_child)
{
        io_connect_t connection = world_open("echo");
        ck_assert_int_eq(nop(connection), 0);
        pid_t child = fork();
        if (child == 0)
                _exit(nop(connection) == MACH_SEND_INVALID_DEST && IOServiceClose(connection) == MACH_SEND_INVALID_DEST ? 0 : 1);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        for (uint64_t i = 0; i < 1000; i++)
                ck_assert_int_eq(nop(connection), 0);
        ck_assert_int_eq(IOServiceClose(connection), 0);
}
END_TEST

/* --- nothing leaks: rounds of open, call, close --- */

static bool one_child(void *context)
{
        io_iterator_t children;
        int left = 0;
        ck_assert_int_eq(IORegistryEntryGetChildIterator(*(io_service_t *)context, "IOService", &children), 0);
        for (io_object_t child; (child = IOIteratorNext(children)); left++)
                IOObjectRelease(child);
        IOObjectRelease(children);
        return left == 1;
}

struct fds {
        pid_t process;
        int most;
};

/* The host has told the registry of the last close before it has closed all that belonged to it. */
static bool no_more_fds(void *context)
{
        const struct fds *fds = context;
        return process_descriptors(fds->process) <= fds->most;
}

/* The address sanitizer keeps what was freed for a while, and finds leaks by itself when each process ends. */
enum { MEASURE_MEMORY = !AMB_SANITIZED_ADDRESS };

START_TEST(rounds)
{
        const char *wanted = getenv("AMBIDEXT_TEST_ROUNDS");
        int rounds = wanted ? atoi(wanted) : 10000;
        io_service_t service = world_service("echo");
        io_connect_t watcher = world_open("echo");
        pid_t host = world_host_pid("echo");
        int fds[3] = { 0 };
        long kib[3] = { 0 };
        pid_t pids[3] = { getpid(), host, world.daemon };
        for (int i = 0; i < rounds; i++) {
                io_connect_t connection;
                kern_return_t code = IOServiceOpen(service, mach_task_self(), 0, &connection);
                ck_assert_msg(code == 0, "round %d: %s", i, mach_error_string(code));
                ck_assert_int_eq(nop(connection), 0);
                ck_assert_int_eq(IOServiceClose(connection), 0);
                if (i == rounds / 10) { /* caches, pools and heaps have their size by now */
                        children_are(watcher, 1);
                        for (int p = 0; p < 3; p++) {
                                fds[p] = process_descriptors(pids[p]);
                                kib[p] = process_resident_kib(pids[p]);
                        }
                }
        }
        children_are(watcher, 1);
        /* The registry forgets them when the host has told it. */
        world_until(one_child, &service, "the registry has one user client left");
        const char *const names[] = { "app", "host", "daemon" };
        const char *const wanted_fds[] = { "the app has no more fds than before", "the host has no more fds",
                                           "the daemon has no more fds" };
        for (int p = 0; p < 3; p++) {
                struct fds before = { pids[p], fds[p] };
                long growth = process_resident_kib(pids[p]) - kib[p];
                world_until(no_more_fds, &before, wanted_fds[p]);
                ck_assert_msg(!MEASURE_MEMORY || growth <= 512, "%s: %ld KiB more after %d rounds", names[p], growth, rounds);
        }
        IOServiceClose(watcher);
        IOObjectRelease(service);
}
END_TEST

int main(void)
{
        TCase *tests = test_case("death", app_killed, host_killed, driver_crashes, host_killed_many_times, daemon_killed,
                                 daemon_and_host_killed, forked_child, rounds);

        tcase_add_checked_fixture(tests, setup, teardown);
        tcase_set_timeout(tests, 120);
        return run_cases("life", tests);
}
