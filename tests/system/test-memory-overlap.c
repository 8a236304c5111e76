/* SPDX-License-Identifier: Apache-2.0 */
/* Two drivers keep memory of one app that overlaps. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lent.h"

static void setup_both(void)
{
        static const char *const both[] = { "drivers/echo.dext", "tests/second.dext", NULL };

        world_start(&world, both);
}

/*
 * Bytes of this value in the files of ours that a process has; -1: files cannot be looked at here. *ret_files: how many there are.
 */
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

/*
 * Ranges that overlap, in steps and not: each driver sees the common part, and no file that its host has holds a byte of the
 * other's alone.
 */
START_TEST(two_drivers)
{
        static const struct {
                size_t first_end, second;       /* [0, first_end) and [second, size) */
        } cases[] = { { 40 * STEP, 24 * STEP },
                      { 40 * STEP + 100, 24 * STEP + 24 },
                      { 64 * STEP, 16 * STEP },
                      { 30 * STEP + 8, 30 * STEP + 8 } };
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
                hosts[i] = world_host_of(services[i]);
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
        ck_assert_int_eq(process_mappings(getpid(), "ambidext-loan"), 0);
        for (size_t at = 0; at < second; at++)
                ck_assert(memory[at] == 0xa1 || at % STEP >= 2048);
        munmap(memory, size);
}
END_TEST

int main(void)
{
        TCase *tests = tcase_create("two drivers");

        tcase_add_checked_fixture(tests, setup_both, teardown);
        tcase_set_timeout(tests, 120);
        tcase_add_loop_test(tests, two_drivers, 0, 8);
        return run_cases("memory-overlap", tests);
}
