/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that drivers keep, of apps that take it away under their hands, stand still, or are killed. Each app is a process of its
 * own.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lent.h"

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
        game = mmap(aside - 0x10000000, game_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
                    0);
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
                if (nop(c) != 0)
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
                ck_assert_int_eq(nop(c), 0);
        ck_assert_int_eq(nop(c), 0);
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
                        fds = process_descriptors(world_host_pid("echo"));
                        host = world_host_pid("echo");
                }
                ck_assert_int_eq(IOServiceClose(c), 0);
        }
        ck_assert_int_eq(world_host_pid("echo"), host);
        ck_assert_int_le(process_descriptors(host), fds + 8);
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
                ck_assert_int_eq(nop(c), 0);
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

int main(void)
{
        TCase *tests = test_case("one driver", memory_is_taken_away, app_is_killed, app_is_stopped);

        tcase_add_checked_fixture(tests, setup, teardown);
        tcase_set_timeout(tests, 280);
        return run_cases("memory-apps", tests);
}
