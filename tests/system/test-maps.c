/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of a driver in apps, with real processes: rounds of open, map, unmap, close leave nothing behind, in no process, and go fast;
 * and an app that misuses what it has been given hurts neither the driver nor other apps. Contract: memory-and-queues 3.
 *
 * AMBIDEXT_TEST_ROUNDS is how many rounds are made; with 100,000 or more the rate is asserted too.
 */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "drivers/echo/echo.h"
#include "world.h"

static struct world world;
static const char *const bundles[] = { "drivers/echo.dext", NULL };

static void setup(void)
{
        world_start(&world, bundles);
}
static void teardown(void)
{
        world_stop(&world);
}

static kern_return_t try_map(io_connect_t connection, uint32_t type, volatile uint64_t **ret_memory)
{
        mach_vm_address_t address = 0;
        mach_vm_size_t size = 0;
        kern_return_t code = IOConnectMapMemory64(connection, type, mach_task_self(), &address, &size, kIOMapAnywhere);
        *ret_memory = (volatile uint64_t *)(uintptr_t)address;
        return code == 0 && size != 4096 ? kIOReturnError : code;
}

/* --- rounds --- */

/* What a process holds. */
struct holding {
        int fds, threads, mappings;
        long kib;
};
static const char *const who[] = { "app", "host", "daemon" };

static int count_lines(const char *path)
{
        FILE *file = fopen(path, "re");
        int lines = 0;
        ck_assert_msg(file != NULL, "%s", path);
        for (int c; (c = getc(file)) != EOF;)
                lines += c == '\n';
        fclose(file);
        return lines;
}

static int count_threads(pid_t pid)
{
        char path[64];
        int count = 0;
        snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
        DIR *directory = opendir(path);
        ck_assert_msg(directory != NULL, "%s", path);
        while (readdir(directory))
                count++;
        closedir(directory);
        return count - 2;
}

static void look(pid_t pid, struct holding *ret)
{
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
        *ret = (struct holding){ world_fd_count(pid), count_threads(pid), count_lines(path), world_resident_kib(pid) };
}

struct quiet {
        io_service_t service;
        io_connect_t watcher;
};
/* The driver and the registry know of no user client but the watcher's. */
static bool quiet(void *context)
{
        struct quiet *quiet = context;
        uint64_t out[3] = { 0 };
        uint32_t count = 3;
        io_iterator_t children;
        int left = 0;
        ck_assert_int_eq(IOConnectCallScalarMethod(quiet->watcher, kEchoStatistics, NULL, 0, out, &count), 0);
        ck_assert_int_eq(IORegistryEntryGetChildIterator(quiet->service, "IOService", &children), 0);
        for (io_object_t child; (child = IOIteratorNext(children)); left++)
                IOObjectRelease(child);
        IOObjectRelease(children);
        return out[0] == 1 && out[1] - out[2] == 1 && left == 1;
}

/* Threads that had work for a moment go away by themselves. */
struct threads_wait {
        pid_t pid;
        int most;
};
static bool threads_are_few(void *context)
{
        struct threads_wait *wait = context;
        return count_threads(wait->pid) <= wait->most;
}

static double seconds(void)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Where a round's time goes. */
static struct {
        double open, map, unmap, close;
} spent;

static kern_return_t timed(double *sum, double *start, kern_return_t code)
{
        double now = seconds();
        *sum += now - *start;
        *start = now;
        return code;
}

/* Asserts once, at the end: Check writes to a file for every assertion that it passes. */
static void round_of(io_service_t service, int i)
{
        double start = seconds();
        io_connect_t connection;
        uint32_t type = (uint32_t)i & 1;        /* a page that we may write, and one that only the driver writes */
        volatile uint64_t *memory = NULL, *second = NULL;
        const char *what = "open";
        uint64_t byte = 0;
        kern_return_t code = timed(&spent.open, &start, IOServiceOpen(service, mach_task_self(), 0, &connection));
        if (code == 0) {
                what = "map";
                code = timed(&spent.map, &start, try_map(connection, type, &memory));
        }
        if (code == 0) {
                byte = memory[511];
                if (type == 0)
                        memory[511] = (uint64_t)i;
                what = "unmap";
                code = timed(&spent.unmap, &start, IOConnectUnmapMemory64(connection, type, mach_task_self(), (uintptr_t)memory));
        }
        /* Some leave an unmapping to the close. */
        if (code == 0 && i % 16 == 15) {
                what = "second map";
                code = timed(&spent.map, &start, try_map(connection, type, &second));
        }
        if (code == 0) {
                what = "close";
                code = timed(&spent.close, &start, IOServiceClose(connection));
        }
        ck_assert_msg(code == 0 && byte == 0, "round %d: %s: %s", i, what, code ? mach_error_string(code) : "old contents");
}

/* The address sanitizer keeps what was freed for a while, and finds leaks by itself when each process ends. */
#if defined(__SANITIZE_ADDRESS__)
#define MEASURE_MEMORY false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEASURE_MEMORY false
#endif
#endif
#ifndef MEASURE_MEMORY
#define MEASURE_MEMORY true
#endif

static void has_not_grown(const char *name, pid_t pid, const struct holding *before)
{
        struct threads_wait wait = { pid, before->threads };
        struct holding now;
        world_until(threads_are_few, &wait, "threads have ended");
        look(pid, &now);
        ck_assert_msg(now.fds <= before->fds, "%s: %d fds, %d before", name, now.fds, before->fds);
        if (!MEASURE_MEMORY)
                return;
        /* Heaps of threads and cached stacks come and go: a leak of one mapping in a hundred rounds would be more. */
        ck_assert_msg(now.mappings <= before->mappings + 32, "%s: %d mappings, %d before", name, now.mappings, before->mappings);
        ck_assert_msg(now.kib <= before->kib + 512, "%s: %ld KiB, %ld before", name, now.kib, before->kib);
}

START_TEST(rounds)
{
        const char *wanted = getenv("AMBIDEXT_TEST_ROUNDS");
        int count = wanted ? atoi(wanted) : 10000, i = 0;
        struct quiet state = { world_service("echo"), world_open("echo") };
        pid_t pids[3] = { getpid(), world_host_pid("echo"), world.daemon };
        struct holding before[3];
        double start;
        /* Caches, pools and heaps have their size after these. */
        for (; i < count / 10; i++)
                round_of(state.service, i);
        world_until(quiet, &state, "one user client is left");
        for (int p = 0; p < 3; p++)
                look(pids[p], &before[p]);
        memset(&spent, 0, sizeof(spent));
        start = seconds();
        for (; i < count; i++)
                round_of(state.service, i);
        double measured = count - count / 10, rate = measured / (seconds() - start), us = 1e6 / measured;
        printf("%d rounds of open, map, unmap, close: %.0f a second (%.0f, %.0f, %.0f, %.0f us)\n", count, rate, spent.open * us,
               spent.map * us, spent.unmap * us, spent.close * us);
        world_until(quiet, &state, "one user client is left");
        for (int p = 0; p < 3; p++)
                has_not_grown(who[p], pids[p], &before[p]);
        ck_assert_msg(!MEASURE_MEMORY || count < 100000 || rate >= 2000, "%.0f rounds a second", rate);
        IOServiceClose(state.watcher);
        IOObjectRelease(state.service);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("maps");
        TCase *tests = tcase_create("maps");
        tcase_add_checked_fixture(tests, setup, teardown);
        tcase_set_timeout(tests, getenv("AMBIDEXT_TEST_ROUNDS") ? 1200 : 120);
        tcase_add_test(tests, rounds);
        suite_add_tcase(suite, tests);
        SRunner *runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        int failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
