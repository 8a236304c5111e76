/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of a driver in apps, with real processes: rounds of open, map, unmap, close leave nothing behind, in no process, and go
 * fast; and an app that misuses what it has been given hurts neither the driver nor other apps. Contract: memory-and-queues 3.
 *
 * AMBIDEXT_TEST_ROUNDS is how many rounds are made; with 100,000 or more the rate is asserted too.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/sanitizer.h"
#include "channel/side.h"
#include "raw.h"
#include "echo-world.h"


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

/* Of mappings -1: a sandboxed process shows them to nobody without CAP_SYS_PTRACE. */
static void look(pid_t pid, struct holding *ret)
{
        *ret = (struct holding){ process_descriptors(pid), (int)process_status(pid, "Threads"), process_mappings(pid, NULL),
                                 process_resident_kib(pid) };
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
        return (int)process_status(wait->pid, "Threads") <= wait->most;
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
enum { MEASURE_MEMORY = !AMB_SANITIZED };

static bool has_grown(const char *name, pid_t pid, const struct holding *before)
{
        struct threads_wait wait = { pid, before->threads };
        struct holding now;
        world_until(threads_are_few, &wait, "threads have ended");
        look(pid, &now);
        ck_assert_msg(now.fds <= before->fds, "%s: %d fds, %d before", name, now.fds, before->fds);
        /* Heaps of threads and cached stacks come and go: a leak of one mapping in a hundred rounds would be more. */
        if (!MEASURE_MEMORY || (now.mappings <= before->mappings + 32 && now.kib <= before->kib + 512))
                return false;
        printf("%s: %d mappings, %d before; %ld KiB, %ld before\n", name, now.mappings, before->mappings, now.kib, before->kib);
        fflush(stdout);
        return true;
}

static void rounds_of(io_service_t service, int from, int to)
{
        double start = seconds(), measured = to - from, us = 1e6 / measured, rate;

        memset(&spent, 0, sizeof(spent));
        for (int i = from; i < to; i++)
                round_of(service, i);
        rate = measured / (seconds() - start);
        printf("%d rounds of open, map, unmap, close: %.0f a second (%.0f, %.0f, %.0f, %.0f us)\n", to - from, rate, spent.open * us,
               spent.map * us, spent.unmap * us, spent.close * us);
        fflush(stdout);
        ck_assert_msg(!MEASURE_MEMORY || measured < 50000 || rate >= 2000, "%.0f rounds a second", rate);
}

/* Threads of which many happened to run at once leave stacks and heaps behind, once; what leaks grows in every part. */
START_TEST(rounds)
{
        const char *wanted = getenv("AMBIDEXT_TEST_ROUNDS");
        int count = wanted ? atoi(wanted) : MEASURE_MEMORY ? 5000 : 1000, done = count / 10, parts = 0;
        struct quiet state = { world_service("echo"), world_open("echo") };
        pid_t pids[3] = { getpid(), world_host_pid("echo"), world.daemon };
        struct holding before[3];
        bool grown = true;

        /* Caches, pools and heaps have their size after these. */
        rounds_of(state.service, 0, done);
        while (grown && parts++ < 3) {
                world_until(quiet, &state, "one user client is left");
                for (int p = 0; p < 3; p++)
                        look(pids[p], &before[p]);
                rounds_of(state.service, done, done + count);
                done += count;
                world_until(quiet, &state, "one user client is left");
                grown = false;
                for (int p = 0; p < 3; p++)
                        grown |= has_grown(who[p], pids[p], &before[p]);
        }
        ck_assert_msg(!grown, "something grows with every %d rounds", count);
        IOServiceClose(state.watcher);
        IOObjectRelease(state.service);
}
END_TEST

/* --- an app that misuses what it has been given --- */

#define WORDS 512
#define WRITABLE 2u             /* the echo driver's pages that all its clients share */
#define READ_ONLY 3u

/* The other app, with a mapping of its own, and what the driver sees. */
static struct {
        io_connect_t connection;
        volatile uint64_t *memory;
        uint32_t type;
        pid_t host;
} honest;

static uint64_t driver_word(uint64_t word)
{
        uint64_t in[2] = { honest.type, word }, out = 0;
        uint32_t count = 1;
        ck_assert_int_eq(IOConnectCallScalarMethod(honest.connection, kEchoMemory, in, 2, &out, &count), 0);
        return out;
}
static void driver_store(uint64_t word, uint64_t value)
{
        uint64_t in[3] = { honest.type, word, value }, out = 0;
        uint32_t count = 1;
        ck_assert_int_eq(IOConnectCallScalarMethod(honest.connection, kEchoMemory, in, 3, &out, &count), 0);
}
static uint64_t pattern(uint64_t word)
{
        return word * 0x9E3779B97F4A7C15ull + 1;
}

static void honest_begins(uint32_t type)
{
        honest.connection = world_open("echo");
        honest.host = world_host_pid("echo");
        honest.type = type;
        ck_assert_int_eq(try_map(honest.connection, type, &honest.memory), 0);
        for (uint64_t i = 0; i < WORDS; i++)
                driver_store(i, pattern(i));
}

/* Driver and app use the memory as if nothing were wrong, in the same process as before. */
static void honest_goes_on(void)
{
        for (uint64_t i = 0; i < WORDS; i += 37) {
                driver_store(i, pattern(i) + 1);
                ck_assert_uint_eq(honest.memory[i], pattern(i) + 1);
                driver_store(i, pattern(i));
                ck_assert_uint_eq(driver_word(i), pattern(i));
        }
        if (honest.type == WRITABLE) {
                honest.memory[5] = 55;
                ck_assert_uint_eq(driver_word(5), 55);
                driver_store(5, pattern(5));
        }
        ck_assert_int_eq(world_host_pid("echo"), honest.host);
}
static void honest_sees_no_change(void)
{
        for (uint64_t i = 0; i < WORDS; i++) {
                ck_assert_uint_eq(honest.memory[i], pattern(i));
                ck_assert_uint_eq(driver_word(i), pattern(i));
        }
}
static void honest_ends(void)
{
        ck_assert_int_eq(IOServiceClose(honest.connection), 0);
}

/* Another file description of the same file, which may write where the first one may not. */
static int open_again(int fd)
{
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        return open(path, O_RDWR | O_CLOEXEC);
}

static void cannot_be_resized(int fd)
{
        ck_assert_int_lt(ftruncate(fd, 0), 0);
        ck_assert_int_lt(ftruncate(fd, 1), 0);
        ck_assert_int_lt(ftruncate(fd, 1 << 20), 0);
        ck_assert_int_lt(fallocate(fd, 0, 0, 1 << 20), 0);
        ck_assert_int_lt(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), 0);
        /* Nor can what others may do with it be changed. */
        ck_assert_int_lt(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
        ck_assert_int_lt(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
}

START_TEST(writable_is_cut)
{
        struct raw raw;
        struct stat st;
        honest_begins(WRITABLE);
        raw_open(&raw, "echo");
        int fd = raw_map(&raw, WRITABLE), again = open_again(fd);
        ck_assert_int_ge(again, 0);
        cannot_be_resized(fd);
        cannot_be_resized(again);
        ck_assert_int_eq(fstat(fd, &st), 0);
        ck_assert_int_eq(st.st_size, 4096);
        honest_sees_no_change();
        honest_goes_on();
        /* A hole is zeros, as good as any other scribble: no fault in anybody's mapping. */
        ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
        for (uint64_t i = 0; i < WORDS; i++) {
                ck_assert_uint_eq(honest.memory[i], 0);
                ck_assert_uint_eq(driver_word(i), 0);
        }
        honest_goes_on();
        close(again);
        close(fd);
        raw_close(&raw);
        honest_goes_on();
        honest_ends();
}
END_TEST

/* All that one can do to one's own view of it, and to its pages, while the driver and another app use it. */
static void *harass(void *argument)
{
        int fd = *(int *)argument;
        for (int i = 0; i < 3000; i++) {
                uint8_t *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                if (memory == MAP_FAILED)
                        return "no mapping";
                memset(memory, i, 4096);
                if (i % 2)
                        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
                else
                        madvise(memory, 4096, MADV_REMOVE);
                mprotect(memory, 4096, PROT_NONE);
                void *moved = mremap(memory, 4096, 8192, MREMAP_MAYMOVE);
                if (moved == MAP_FAILED)
                        munmap(memory, 4096);
                else
                        munmap(moved, 8192);
        }
        return NULL;
}

START_TEST(writable_is_harassed)
{
        struct raw raw;
        pthread_t thread;
        void *wrong;
        honest_begins(WRITABLE);
        raw_open(&raw, "echo");
        int fd = raw_map(&raw, WRITABLE);
        ck_assert_int_eq(pthread_create(&thread, NULL, harass, &fd), 0);
        while (pthread_tryjoin_np(thread, &wrong) != 0) {
                uint64_t sum = 0;
                for (uint64_t i = 0; i < WORDS; i++)
                        sum += honest.memory[i];
                driver_store(3, sum);
                driver_word(WORDS - 1);
        }
        ck_assert_ptr_null(wrong);
        honest_goes_on();
        close(fd);
        raw_close(&raw);
        honest_goes_on();
        honest_ends();
}
END_TEST

/* No way leads to a store into memory that is read-only for apps; `fd` may be any descriptor of the file. */
static void cannot_be_written(int fd)
{
        uint64_t bytes[WORDS];
        int source = memfd_create("source", MFD_CLOEXEC);
        loff_t from = 0, to = 0;
        memset(bytes, 0x5a, sizeof(bytes));
        ck_assert_int_eq(pwrite(source, bytes, sizeof(bytes), 0), (int)sizeof(bytes));
        ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
        ck_assert_ptr_eq(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
        uint8_t *memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
        ck_assert_ptr_ne(memory, MAP_FAILED);
        ck_assert_int_lt(mprotect(memory, 4096, PROT_READ | PROT_WRITE), 0);
        ck_assert_int_lt(madvise(memory, 4096, MADV_REMOVE), 0);
        /* A second view of the same pages has no more rights than the first. */
        uint8_t *twin = mremap(memory, 0, 4096, MREMAP_MAYMOVE);
        ck_assert_ptr_ne(twin, MAP_FAILED);
        ck_assert_int_lt(mprotect(twin, 4096, PROT_READ | PROT_WRITE), 0);
        ck_assert_int_lt(pwrite(fd, bytes, 8, 0), 0);
        ck_assert_int_lt(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
        ck_assert_int_lt(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
        ck_assert_int_lt(copy_file_range(source, &from, fd, &to, 4096, 0), 0);
        ck_assert_int_lt(sendfile(fd, source, &(off_t){ 0 }, 4096), 0);
        cannot_be_resized(fd);
        /* A private copy can be written; it stays one. */
        uint64_t *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        ck_assert_ptr_ne(private, MAP_FAILED);
        memcpy(private, bytes, sizeof(bytes));
        munmap(private, 4096);
        munmap(twin, 4096);
        munmap(memory, 4096);
        close(source);
}

START_TEST(read_only_stays)
{
        struct raw raw;
        honest_begins(READ_ONLY);
        raw_open(&raw, "echo");
        int fd = raw_map(&raw, READ_ONLY);
        cannot_be_written(fd);
        honest_sees_no_change();
        /* Whoever may open the file again gets no further, also not with rights that he gives himself. */
        fchmod(fd, 0666);
        int again = open_again(fd);
        ck_assert_int_ge(again, 0);
        cannot_be_written(again);
        honest_sees_no_change();
        honest_goes_on();
        close(again);
        close(fd);
        raw_close(&raw);
        honest_sees_no_change();
        honest_ends();
}
END_TEST

/* The library's own mapping of it, too, and at any address. */
START_TEST(read_only_by_the_library)
{
        volatile uint64_t *memory;
        honest_begins(READ_ONLY);
        io_connect_t connection = world_open("echo");
        ck_assert_int_eq(try_map(connection, READ_ONLY, &memory), 0);
        ck_assert_int_lt(mprotect((void *)(uintptr_t)memory, 4096, PROT_READ | PROT_WRITE), 0);
        ck_assert_int_lt(madvise((void *)(uintptr_t)memory, 4096, MADV_REMOVE), 0);
        honest_sees_no_change();
        ck_assert_int_eq(IOServiceClose(connection), 0);
        honest_goes_on();
        honest_ends();
}
END_TEST

struct fd_wait {
        pid_t pid;
        int most;
};
static bool fds_are_few(void *context)
{
        struct fd_wait *wait = context;
        return process_descriptors(wait->pid) <= wait->most;
}

/* Asks for memory without end and takes no answer: cut off, with everything that was on its way to it. */
START_TEST(asks_without_end)
{
        struct amb_side_message request = { .kind = AMB_SIDE_MAP, .id = WRITABLE };
        struct raw raw;
        honest_begins(WRITABLE);
        int before = process_descriptors(honest.host);
        raw_open(&raw, "echo");
        struct msghdr header = { .msg_iov = &(struct iovec){ &request, sizeof(request) }, .msg_iovlen = 1 };
        for (int i = 0; i < 100000; i++) {
                request.serial++;
                if (sendmsg(raw.side, &header, MSG_NOSIGNAL) < 0)
                        break;
        }
        raw_cut_off(&raw);
        raw_close(&raw);
        honest_sees_no_change();
        honest_goes_on();
        struct fd_wait wait = { honest.host, before };
        world_until(fds_are_few, &wait, "the host has closed what it kept for the app");
        honest_ends();
}
END_TEST

/* Keeps more descriptors of the same memory than it could ever map: they are its own, not the host's. */
START_TEST(collects_descriptors)
{
        int fds[200];
        struct raw raw;
        honest_begins(WRITABLE);
        raw_open(&raw, "echo");
        fds[0] = raw_map(&raw, WRITABLE);
        int before = process_descriptors(honest.host);
        for (int i = 1; i < 200; i++)
                fds[i] = raw_map(&raw, WRITABLE);
        struct fd_wait wait = { honest.host, before };
        world_until(fds_are_few, &wait, "the host keeps nothing of what it gives");
        for (int i = 0; i < 200; i++)
                close(fds[i]);
        honest_goes_on();
        raw_close(&raw);
        honest_ends();
}
END_TEST

int main(void)
{
        TCase *tests = test_case("maps", rounds, writable_is_cut, writable_is_harassed, read_only_stays, read_only_by_the_library,
                                 asks_without_end, collects_descriptors);

        tcase_add_checked_fixture(tests, setup, teardown);
        tcase_set_timeout(tests, getenv("AMBIDEXT_TEST_ROUNDS") ? 1200 : 120);
        return run_cases("maps", tests);
}
