/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of this process that drivers keep, with real hosts: threads store into it all the time while its pages are exchanged,
 * hosts are killed.
 */
#include "lent.h"

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
                              (unsigned long long)*word(area, i, 256), (unsigned long long)*word(area, i, 511),
                              (unsigned long long)value);
}

struct usage {
        int own_fds, host_fds, maps;
        long host_kib;
};

static struct usage usage_now(pid_t host)
{
        return (struct usage){ process_descriptors(getpid()), process_descriptors(host), process_mappings(getpid(), NULL),
                               process_resident_kib(host) };
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
                        ck_assert_int_eq(process_mappings(getpid(), "ambidext-loan"), 0);
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
        ck_assert_int_eq(process_mappings(getpid(), "ambidext-loan"), 0);
        for (int i = 0; i < 2; i++)
                for (size_t step = 0; step < size / STEP; step++)
                        ck_assert_uint_eq(*word(&areas[i], step, 0), areas[i].swept);
        ck_assert_msg(after.own_fds <= before.own_fds + 8 && after.host_fds <= before.host_fds + 16 &&
                              after.maps <= before.maps + 16 && after.host_kib <= before.host_kib + 16384,
                      "fds %d to %d, host's %d to %d, mappings %d to %d, host's KiB %ld to %ld", before.own_fds, after.own_fds,
                      before.host_fds, after.host_fds, before.maps, after.maps, before.host_kib, after.host_kib);
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
        ck_assert_int_eq(process_mappings(getpid(), "ambidext-loan"), 0);
        for (size_t i = 0; i < size / STEP; i++) {
                ck_assert_uint_eq(*word(&area, i, 1), i + 1);
                ck_assert_uint_eq(*word(&area, i, 256), 42);
        }
        ck_assert_uint_eq(*word(&area, 7, 2), 8);
        munmap(memory, size);
}
END_TEST

int main(void)
{
        TCase *tests = test_case("one driver", nothing_is_lost, own_file_changes_size, many_are_forgotten, host_is_killed);

        tcase_add_checked_fixture(tests, setup, teardown);
        tcase_set_timeout(tests, 280);
        return run_cases("memory", tests);
}
