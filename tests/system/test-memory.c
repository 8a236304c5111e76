/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of this process that drivers keep, with real hosts: threads store into it all the time while its pages are exchanged; apps that take it away
 * under the driver's hands, stand still, or are killed; hosts that are killed; drivers whose memory overlaps.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <CoreFoundation/CoreFoundation.h>
#include <ambidext/registry.h>

#include "base/test-suite.h"
#include "drivers/echo/echo.h"
#include "world.h"

#define STEP 4096u                      /* of kEchoExchange */
#define IN 1u                           /* kIOMemoryDirectionIn, Out, DisableCopyOnWrite: what drivers pass */
#define OUT 2u
#define SHARED 0x10u

static struct world world;

static void setup(void)
{
        static const char *const one[] = { "drivers/echo.dext", NULL };

        world_start(&world, one);
}

static void setup_both(void)
{
        static const char *const both[] = { "drivers/echo.dext", "tests/second.dext", NULL };

        world_start(&world, both);
}

static void teardown(void)
{
        world_stop(&world);
}

static bool is_of(io_service_t service, const char *identifier)
{
        CFStringRef server = IORegistryEntryCreateCFProperty(service, CFSTR("IOUserServerName"), NULL, 0);
        char name[128] = "";

        if (server && CFGetTypeID(server) == CFStringGetTypeID())
                CFStringGetCString(server, name, sizeof(name), kCFStringEncodingUTF8);
        if (server)
                CFRelease(server);
        return strcmp(name, identifier) == 0;
}

/* The service of a bundle: both have the same name. */
static io_service_t service_of(const char *identifier)
{
        io_service_t service = world_service("echo"), other;

        if (is_of(service, identifier))
                return service;
        other = world_service_again("echo", world_service_id(service));
        IOObjectRelease(service);
        ck_assert_msg(is_of(other, identifier), "no service of %s", identifier);
        return other;
}

static io_connect_t open_bundle(const char *identifier)
{
        io_service_t service = service_of(identifier);
        io_connect_t c = 0;

        ck_assert_int_eq(IOServiceOpen(service, mach_task_self(), 0, &c), 0);
        IOObjectRelease(service);
        return c;
}

static kern_return_t keep(io_connect_t c, uint64_t slot, uint64_t options, void *at, size_t length)
{
        uint64_t in[] = { slot, options, (uintptr_t)at, length };

        return IOConnectCallScalarMethod(c, kEchoKeep, in, 4, NULL, NULL);
}

static kern_return_t keep_output(io_connect_t c, uint64_t slot, void *at, size_t length)
{
        return IOConnectCallMethod(c, kEchoKeep, &slot, 1, NULL, 0, NULL, NULL, at, &length);
}

static kern_return_t exchange(io_connect_t c, uint64_t slot, uint64_t least, uint64_t value, uint64_t out[2])
{
        uint64_t in[] = { slot, least, value };
        uint32_t count = 2;

        return IOConnectCallScalarMethod(c, kEchoExchange, in, 3, out, &count);
}

static kern_return_t drop(io_connect_t c, uint64_t slot)
{
        return IOConnectCallScalarMethod(c, kEchoDrop, &slot, 1, NULL, NULL);
}

static bool served(io_connect_t c)
{
        uint64_t in = 77, out = 0;
        uint32_t count = 1;

        return IOConnectCallScalarMethod(c, kEchoNop, &in, 1, &out, &count) == 0 && out == 77;
}

/* Lines of /proc/PID/maps, or those with `text` in them. */
static int maps_with(const char *text)
{
        FILE *file = fopen("/proc/self/maps", "re");
        char *line = NULL;
        size_t size = 0;
        int count = 0;

        ck_assert_ptr_nonnull(file);
        while (getline(&line, &size, file) > 0)
                count += !text || strstr(line, text) != NULL;
        free(line);
        fclose(file);
        return count;
}

/* --- nothing is lost --- */

struct area {
        uint8_t *at;
        size_t size;
        pthread_t thread;
        _Atomic uint64_t swept, lost;
        _Atomic bool stop;
};

static _Atomic uint64_t *word(const struct area *area, size_t step, size_t index)
{
        return (_Atomic uint64_t *)(area->at + step * STEP) + index;
}

/* Stores into the app's half of each page without end, and looks whether what it stored before is still there. */
static void *writer(void *context)
{
        struct area *area = context;

        for (uint64_t n = 1; !area->stop; n++) {
                for (size_t i = 0; i < area->size / STEP; i++) {
                        if (*word(area, i, 0) != n - 1 || *word(area, i, 255) != n - 1)
                                area->lost++;
                        *word(area, i, 0) = n;
                        *word(area, i, 255) = n;
                }
                area->swept = n;
        }
        return NULL;
}

static void area_start(struct area *area, void *at, size_t size)
{
        *area = (struct area){ .at = at, .size = size };
        memset(at, 0, size);
        ck_assert_int_eq(pthread_create(&area->thread, NULL, writer, area), 0);
}

static void area_stop(struct area *area)
{
        area->stop = true;
        pthread_join(area->thread, NULL);
        ck_assert_uint_eq(area->lost, 0);
}

static void exchange_checked(io_connect_t c, struct area *area, uint64_t value)
{
        uint64_t out[2] = { 0, 0 };

        ck_assert_int_eq(exchange(c, 0, area->swept, value, out), 0);
        ck_assert_uint_eq(out[0], area->size / STEP);
        ck_assert_msg(out[1] == 0, "the driver does not see %llu pages' stores", (unsigned long long)out[1]);
        for (size_t i = 0; i < area->size / STEP; i++)
                ck_assert_msg(*word(area, i, 256) == value && *word(area, i, 511) == value, "page %zu: %llu and %llu, not %llu", i,
                              (unsigned long long)*word(area, i, 256), (unsigned long long)*word(area, i, 511), (unsigned long long)value);
}

struct usage {
        int own_fds, host_fds, maps;
        long host_kib;
};

static struct usage usage_now(pid_t host)
{
        return (struct usage){ world_fd_count(getpid()), world_fd_count(host), maps_with(NULL), world_resident_kib(host) };
}

START_TEST(nothing_is_lost)
{
        const size_t size = 1 << 20;
        const char *wish = getenv("AMBIDEXT_TEST_ROUNDS");
        int rounds = wish ? atoi(wish) : 300;
        io_connect_t c = open_bundle("org.ambidext.echo");
        pid_t host = world_host_pid("echo");
        struct usage before = { 0 }, after;
        struct area areas[2];
        void *allocated = malloc(size);

        area_start(&areas[0], allocated, size);
        area_start(&areas[1], mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), size);
        for (int round = 1; round <= rounds; round++) {
                struct area *area = &areas[round & 1];

                if (round & 2)
                        ck_assert_int_eq(keep_output(c, 0, area->at, area->size), 0);
                else
                        ck_assert_int_eq(keep(c, 0, IN | OUT | SHARED, area->at, area->size), 0);
                exchange_checked(c, area, 2 * (uint64_t)round);
                exchange_checked(c, area, 2 * (uint64_t)round + 1);
                /* Kept across calls, let go, and, with the connection, private memory again. */
                if (round & 4)
                        ck_assert_int_eq(drop(c, 0), 0);
                if (round % 8 == 0) {
                        ck_assert_int_eq(drop(c, 0), 0);
                        ck_assert_int_eq(IOServiceClose(c), 0);
                        ck_assert_int_eq(maps_with("ambidext-loan"), 0);
                        c = open_bundle("org.ambidext.echo");
                }
                if (round == 48)
                        before = usage_now(host);
        }
        ck_assert_int_eq(drop(c, 0), 0);
        after = usage_now(host);
        area_stop(&areas[0]);
        area_stop(&areas[1]);
        ck_assert_int_eq(IOServiceClose(c), 0);
        ck_assert_int_eq(maps_with("ambidext-loan"), 0);
        for (int i = 0; i < 2; i++)
                for (size_t step = 0; step < size / STEP; step++)
                        ck_assert_uint_eq(*word(&areas[i], step, 0), areas[i].swept);
        ck_assert_msg(after.own_fds <= before.own_fds + 8 && after.host_fds <= before.host_fds + 16 && after.maps <= before.maps + 16 &&
                      after.host_kib <= before.host_kib + 16384, "fds %d to %d, host's %d to %d, mappings %d to %d, host's KiB %ld to %ld",
                      before.own_fds, after.own_fds, before.host_fds, after.host_fds, before.maps, after.maps, before.host_kib, after.host_kib);
        free(allocated);
        munmap(areas[1].at, size);
}
END_TEST

/* The app's own file, which the driver has as it is, becomes longer and shorter between uses. */
START_TEST(own_file_changes_size)
{
        static const size_t steps[] = { 8, 16, 4, 16, 1 };
        int fd = memfd_create("own", MFD_CLOEXEC);
        io_connect_t c = open_bundle("org.ambidext.echo");
        uint64_t out[2];

        for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
                struct area area = { .size = steps[i] * STEP };

                ck_assert_int_eq(ftruncate(fd, (off_t)area.size - (i & 1 ? 0 : 1)), 0);        /* and ends inside a page */
                area.at = mmap(NULL, area.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                /* once let go, once still kept when the next one comes */
                ck_assert_int_eq(keep(c, i % 2, IN | OUT | SHARED, area.at, area.size), 0);
                *word(&area, steps[i] - 1, 0) = *word(&area, steps[i] - 1, 255) = i + 1;
                ck_assert_int_eq(exchange(c, i % 2, 0, i + 10, out), 0);
                ck_assert_uint_eq(out[0], steps[i]);
                ck_assert_uint_eq(*word(&area, steps[i] - 1, 511), i + 10);
                if (i < 2)
                        ck_assert_int_eq(drop(c, i % 2), 0);
                munmap(area.at, area.size);
        }
        drop(c, 0);
        drop(c, 1);
        ck_assert_int_eq(IOServiceClose(c), 0);
        close(fd);
}
END_TEST

/* Many files of one connection are forgotten at once, when another one's are asked for. */
START_TEST(many_are_forgotten)
{
        enum { MANY = 250, SIZE = 2 * STEP };
        io_connect_t c = open_bundle("org.ambidext.echo"), other = open_bundle("org.ambidext.echo");
        uint8_t *memory[MANY], *hole;
        uint64_t out[2];

        for (int i = 0; i < MANY; i++) {
                /* pages between them keep them apart */
                hole = mmap(NULL, SIZE + 2 * STEP, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                memory[i] = mmap(hole + STEP, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
                ck_assert_int_eq(keep(c, 0, IN | OUT | SHARED, memory[i], SIZE), 0);
                ck_assert_int_eq(exchange(c, 0, 0, 1, out), 0);
        }
        ck_assert_int_eq(drop(c, 0), 0);
        for (int i = 1; i < MANY; i++)
                munmap(memory[i] - STEP, SIZE + 2 * STEP);
        hole = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (int round = 0; round < 2; round++) {
                ck_assert_int_eq(keep(round ? c : other, 0, IN | OUT | SHARED, round ? memory[0] : hole, SIZE), 0);
                ck_assert_int_eq(exchange(round ? c : other, 0, 0, 7, out), 0);
                ck_assert_int_eq(drop(c, 0), 0);
        }
        ck_assert_ptr_null(strstr(world_log(&world), "cut off"));
        ck_assert_int_eq(IOServiceClose(c), 0);
        ck_assert_int_eq(IOServiceClose(other), 0);
        munmap(memory[0] - STEP, SIZE + 2 * STEP);
        munmap(hole, SIZE);
}
END_TEST

/* --- apps that misbehave; each is a process of its own --- */

struct child {
        pid_t pid;
        int from, to;                   /* it says a byte when it is ready, and goes on when it is told to */
};

static void child_say(const struct child *me)
{
        char byte = 1;

        if (write(me->from, &byte, 1) != 1)
                _exit(80);
}

static void child_wait(const struct child *me)
{
        char byte;

        if (read(me->to, &byte, 1) != 1)
                _exit(81);
}

/* Before this process has opened anything. */
static void child_start(struct child *child, void (*run)(const struct child *me))
{
        int from[2], to[2];

        ck_assert_int_eq(pipe2(from, O_CLOEXEC), 0);
        ck_assert_int_eq(pipe2(to, O_CLOEXEC), 0);
        child->pid = fork();
        ck_assert_int_ge(child->pid, 0);
        if (child->pid == 0) {
                struct child me = { 0, from[1], to[0] };

                close(from[0]);
                close(to[1]);
                run(&me);
                _exit(0);
        }
        close(from[1]);
        close(to[0]);
        child->from = from[0];
        child->to = to[1];
}

static void child_ready(const struct child *child)
{
        struct pollfd poller = { .fd = child->from, .events = POLLIN };
        char byte;

        ck_assert_msg(poll(&poller, 1, 60000) == 1 && read(child->from, &byte, 1) == 1, "the other app has ended");
}

static void child_go(const struct child *child)
{
        ck_assert_int_eq(write(child->to, "", 1), 1);
}

static int child_end(struct child *child)
{
        int status = 0;

        ck_assert_int_eq(waitpid(child->pid, &status, 0), child->pid);
        close(child->from);
        close(child->to);
        return status;
}

static uint8_t *game;                   /* what the thread plays with */
static int game_file = -1;
static uint8_t *const aside = (uint8_t *)0x200010000000;
static const size_t game_size = 64 * STEP;
static _Atomic bool game_over;

static void game_back(void)
{
        mmap(game, game_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void *player(void *context)
{
        unsigned int seed = 4711;

        (void)context;
        while (!game_over) {
                size_t at = rand_r(&seed) % 64 * STEP, length = game_size - at;

                switch (rand_r(&seed) % 10) {
                case 0:
                        munmap(game + at, length);
                        break;
                case 1:
                        mprotect(game + at, length, PROT_NONE);
                        break;
                case 2:
                        mprotect(game + at, length, PROT_READ);
                        break;
                case 3:
                        mprotect(game, game_size, PROT_READ | PROT_WRITE);
                        break;
                case 4:
                        madvise(game + at, length, MADV_DONTNEED);
                        break;
                case 5:
                        (void)!ftruncate(game_file, (off_t)at);
                        break;
                case 6:
                        (void)!ftruncate(game_file, (off_t)game_size);
                        mmap(game, game_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, game_file, 0);
                        break;
                case 7:
                        fallocate(game_file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)length);
                        break;
                case 8:
                        if (mremap(game, game_size, game_size, MREMAP_MAYMOVE | MREMAP_FIXED, aside) == aside)
                                (void)!mremap(aside, game_size, game_size, MREMAP_MAYMOVE | MREMAP_FIXED, game);
                        game_back();
                        break;
                default:
                        game_back();
                }
        }
        return NULL;
}

static void play(const struct child *me)
{
        io_connect_t c;
        pthread_t thread;
        uint64_t out[2], length = game_size;
        uint32_t good = 0;

        /* Where nobody is given memory who does not ask for the place: what is unmapped here stays a hole. */
        game = mmap(aside - 0x10000000, game_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        game_file = memfd_create("game", MFD_CLOEXEC);
        c = open_bundle("org.ambidext.echo");
        if (!c || ftruncate(game_file, (off_t)game_size) < 0 || pthread_create(&thread, NULL, player, NULL) != 0)
                _exit(82);
        for (int round = 0; round < 400; round++) {
                static const uint64_t options[] = { IN | OUT | SHARED, OUT | SHARED, OUT, IN | SHARED };
                kern_return_t code;

                if (round % 5 == 4)
                        code = keep_output(c, 1, game, length);
                else
                        code = keep(c, 1, options[round % 4], game, length);
                /* Each may fail; the connection may not. */
                if (code == 0 && round % 4 != 1 && round % 4 != 2 && exchange(c, 1, 0, 1, out) == 0)
                        good++;
                if (round % 5 == 4 || round % 4 == 1 || round % 4 == 2)
                        drop(c, 1);
                if (!served(c))
                        _exit(83);
        }
        game_over = true;
        pthread_join(thread, NULL);
        game_back();
        if (keep(c, 1, IN | OUT | SHARED, game, length) != 0 || exchange(c, 1, 0, 5, out) != 0)
                _exit(84);
        if (*(uint64_t *)(game + 2048) != 5 || drop(c, 1) != 0 || IOServiceClose(c) != 0)
                _exit(85);
        child_say(me);
        child_wait(me);
}

/* Memory is unmapped, cut short, protected, thinned out and moved while it is lent and used. */
START_TEST(memory_is_taken_away)
{
        struct child child;
        struct pollfd poller = { .events = POLLIN };
        io_connect_t c;
        pid_t host;
        int status;

        child_start(&child, play);
        c = open_bundle("org.ambidext.echo");
        host = world_host_pid("echo");
        poller.fd = child.from;
        while (poll(&poller, 1, 1) == 0)
                ck_assert(served(c));
        ck_assert(served(c));
        if (poller.revents & POLLIN)
                child_go(&child);
        status = child_end(&child);
        ck_assert_msg(status == 0, "the app ended with %x; %s", (unsigned int)status, world_log(&world));
        ck_assert_int_eq(world_host_pid("echo"), host);
        ck_assert_int_eq(IOServiceClose(c), 0);
}
END_TEST

static void lend_for_ever(const struct child *me)
{
        const size_t size = 1 << 20;
        uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        io_connect_t c = open_bundle("org.ambidext.echo");
        uint64_t out[2];

        if (!c || keep(c, 2, IN | OUT | SHARED, memory, size) != 0 || exchange(c, 2, 0, 1, out) != 0)
                _exit(82);
        child_say(me);
        for (uint64_t n = 2;; n++) {
                exchange(c, 2, 0, n, out);
                keep(c, 3, IN | OUT | SHARED, memory, size);
                exchange(c, 3, 0, n, out);
        }
}

static bool one_client(void *context)
{
        uint64_t out[3] = { 0 };
        uint32_t count = 3;

        ck_assert_int_eq(IOConnectCallScalarMethod(*(io_connect_t *)context, kEchoStatistics, NULL, 0, out, &count), 0);
        return out[0] == 1;
}

/* The driver goes on with memory that it had mapped; when it lets go, nothing is left of the app. */
START_TEST(app_is_killed)
{
        uint64_t out[2] = { 0 };
        pid_t host = 0;
        io_connect_t c;
        int fds = 0;

        for (int round = 0; round < 6; round++) {
                struct child child;

                child_start(&child, lend_for_ever);
                child_ready(&child);
                kill(child.pid, SIGKILL);
                child_end(&child);
                c = open_bundle("org.ambidext.echo");
                ck_assert_int_eq(exchange(c, 2, 0, 9, out), 0);
                ck_assert_uint_eq(out[0], 256);
                ck_assert_int_eq(drop(c, 2), 0);
                ck_assert_int_eq(drop(c, 3), 0);
                world_until(one_client, &c, "the killed app's user client is gone");
                if (round == 1) {
                        fds = world_fd_count(world_host_pid("echo"));
                        host = world_host_pid("echo");
                }
                ck_assert_int_eq(IOServiceClose(c), 0);
        }
        ck_assert_int_eq(world_host_pid("echo"), host);
        ck_assert_int_le(world_fd_count(host), fds + 8);
}
END_TEST

/* The app's memory is what it was, and its own again. */
START_TEST(host_is_killed)
{
        const size_t size = 1 << 20;
        uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        io_connect_t c = open_bundle("org.ambidext.echo");
        struct area area = { .at = memory, .size = size };
        uint64_t out[2];

        for (size_t i = 0; i < size / STEP; i++)
                *word(&area, i, 1) = i + 1;
        ck_assert_int_eq(keep(c, 0, IN | OUT | SHARED, memory, size), 0);
        exchange_checked(c, &area, 42);
        world_kill(world_host_pid("echo"));
        ck_assert_int_ne(exchange(c, 0, 0, 43, out), 0);
        *word(&area, 7, 2) = 8;
        IOServiceClose(c);
        ck_assert_int_eq(maps_with("ambidext-loan"), 0);
        for (size_t i = 0; i < size / STEP; i++) {
                ck_assert_uint_eq(*word(&area, i, 1), i + 1);
                ck_assert_uint_eq(*word(&area, i, 256), 42);
        }
        ck_assert_uint_eq(*word(&area, 7, 2), 8);
        munmap(memory, size);
}
END_TEST

static void stand_still(const struct child *me)
{
        const size_t size = 1 << 20;
        uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        io_connect_t c = open_bundle("org.ambidext.echo");

        if (!c || keep(c, 4, IN | OUT | SHARED, memory, size) != 0)
                _exit(82);
        child_say(me);
        child_wait(me);
}

static void *exchange_stopped(void *context)
{
        io_connect_t c = open_bundle("org.ambidext.echo");
        uint64_t out[2];

        *(_Atomic kern_return_t *)context = exchange(c, 4, 0, 1, out);
        IOServiceClose(c);
        return NULL;
}

static int64_t now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* An app that does not answer: who maps its memory gets an error in time, others do not notice. */
START_TEST(app_is_stopped)
{
        _Atomic kern_return_t code = 12345;
        struct child child;
        io_connect_t c;
        pthread_t thread;
        int64_t began;

        child_start(&child, stand_still);
        child_ready(&child);
        c = open_bundle("org.ambidext.echo");
        kill(child.pid, SIGSTOP);
        began = now_ms();
        ck_assert_int_eq(pthread_create(&thread, NULL, exchange_stopped, &code), 0);
        while (__atomic_load_n((kern_return_t *)&code, __ATOMIC_SEQ_CST) == 12345) {
                ck_assert(served(c));
                ck_assert_int_lt(now_ms() - began, 30000);
                poll(NULL, 0, 1);       /* as an app that has other things to do */
        }
        pthread_join(thread, NULL);
        ck_assert_int_eq(code, kIOReturnError);
        world_log_wait(&world, "it does not answer what is asked of its memory");
        kill(child.pid, SIGKILL);
        child_end(&child);
        ck_assert_int_eq(drop(c, 4), 0);
        world_until(one_client, &c, "the stopped app's user client is gone");
        ck_assert_int_eq(IOServiceClose(c), 0);
}
END_TEST

/* --- two drivers --- */

static int64_t number_of(CFDictionaryRef row, CFStringRef key)
{
        CFNumberRef number = CFDictionaryGetValue(row, key);
        int64_t value = 0;

        if (number)
                CFNumberGetValue(number, kCFNumberSInt64Type, &value);
        return value;
}

static pid_t host_of(io_service_t service)
{
        CFArrayRef rows = NULL;
        pid_t pid = 0;

        ck_assert_int_eq(amb_registry_dump(&rows), 0);
        for (CFIndex i = 0; i < CFArrayGetCount(rows); i++) {
                CFDictionaryRef row = CFArrayGetValueAtIndex(rows, i);

                if ((uint64_t)number_of(row, CFSTR("id")) == world_service_id(service))
                        pid = (pid_t)number_of(row, CFSTR("pid"));
        }
        CFRelease(rows);
        ck_assert_int_gt(pid, 0);
        return pid;
}

/* Bytes of this value in the files of ours that a process has; -1: files cannot be looked at here. *ret_files: how many there are. */
static long bytes_in_files(pid_t pid, uint8_t byte, int *ret_files)
{
        static uint8_t buffer[1 << 20];
        char path[300], target[256];
        struct dirent *entry;
        DIR *directory;
        long count = 0;

        snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
        directory = opendir(path);
        if (!directory)
                return -1;
        *ret_files = 0;
        while ((entry = readdir(directory))) {
                ssize_t n;
                int fd;

                snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, entry->d_name);
                n = readlink(path, target, sizeof(target) - 1);
                if (n < 0 && errno == EACCES) {
                        closedir(directory);
                        return -1;      /* a sandboxed process shows its files to nobody without CAP_SYS_PTRACE */
                }
                if (n <= 0)
                        continue;
                target[n] = 0;
                if (!strstr(target, "ambidext-loan"))
                        continue;
                fd = open(path, O_RDONLY | O_CLOEXEC);
                ck_assert_int_ge(fd, 0);
                ++*ret_files;
                while ((n = read(fd, buffer, sizeof(buffer))) > 0)
                        for (ssize_t i = 0; i < n; i++)
                                count += buffer[i] == byte;
                close(fd);
        }
        closedir(directory);
        return count;
}

/* Ranges that overlap, in steps and not: each driver sees the common part, and no file that its host has holds a byte of the other's alone. */
START_TEST(two_drivers)
{
        static const struct {
                size_t first_end, second;       /* [0, first_end) and [second, size) */
        } cases[] = { { 40 * STEP, 24 * STEP }, { 40 * STEP + 100, 24 * STEP + 24 }, { 64 * STEP, 16 * STEP }, { 30 * STEP + 8, 30 * STEP + 8 } };
        const size_t size = 64 * STEP, first_end = cases[_i % 4].first_end, second = cases[_i % 4].second;
        uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        const char *const names[] = { "org.ambidext.echo", "org.ambidext.second" };
        io_connect_t c[2];
        io_service_t services[2];
        uint64_t out[2], first_word = second / STEP * STEP + STEP;
        long found;
        int files = 0;
        pid_t hosts[2];

        for (int i = 0; i < 2; i++) {
                c[i] = open_bundle(names[i]);
                services[i] = service_of(names[i]);
                hosts[i] = host_of(services[i]);
        }
        ck_assert_int_ne(hosts[0], hosts[1]);
        memset(memory, 0xa1, second);
        memset(memory + second, 0xa2, first_end > second ? first_end - second : 0);
        memset(memory + (first_end > second ? first_end : second), 0xa3, size - (first_end > second ? first_end : second));
        /* which is lent first makes a difference */
        for (int turn = 0; turn < 2; turn++) {
                int i = turn ^ (_i / 4);

                ck_assert_int_eq(i ? keep(c[1], 0, IN | OUT | SHARED, memory + second, size - second) :
                                     keep(c[0], 0, IN | OUT | SHARED, memory, first_end), 0);
                ck_assert_int_eq(exchange(c[i], 0, 1, 5, out), 0);
                ck_assert_uint_eq(out[1], 0);
        }
        found = bytes_in_files(hosts[0], 0xa3, &files);
        if (found >= 0) {
                ck_assert_int_eq(found, 0);
                ck_assert_int_gt(files, 0);
                ck_assert_int_gt(bytes_in_files(hosts[0], 0xa1, &files), 0);
                ck_assert_int_eq(bytes_in_files(hosts[1], 0xa1, &files), 0);
                ck_assert_int_gt(files, 0);
        }
        /* What the first driver stores into the common part, the app and, at its next call, the second driver have. */
        if (first_end >= first_word + STEP) {
                ck_assert_int_eq(exchange(c[0], 0, 0, 0x7777, out), 0);
                ck_assert_uint_eq(*(uint64_t *)(memory + first_word + 2048), 0x7777);
                ck_assert_int_eq(exchange(c[1], 0, 0, 0x8888, out), 0);
        }
        for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(drop(c[i], 0), 0);
                ck_assert_int_eq(IOServiceClose(c[i]), 0);
                IOObjectRelease(services[i]);
        }
        ck_assert_int_eq(maps_with("ambidext-loan"), 0);
        for (size_t at = 0; at < second; at++)
                ck_assert(memory[at] == 0xa1 || at % STEP >= 2048);
        munmap(memory, size);
}
END_TEST

int main(void)
{
        TCase *one = test_case("one driver", nothing_is_lost, own_file_changes_size, many_are_forgotten, memory_is_taken_away,
                               app_is_killed, host_is_killed, app_is_stopped);
        TCase *both = tcase_create("two drivers");

        tcase_add_checked_fixture(one, setup, teardown);
        tcase_set_timeout(one, 280);
        tcase_add_checked_fixture(both, setup_both, teardown);
        tcase_set_timeout(both, 120);
        tcase_add_loop_test(both, two_drivers, 0, 8);
        return run_cases("memory", one, both);
}
