/* SPDX-License-Identifier: Apache-2.0 */
/* What a host accepts as a file of an application's, and how ranges are checked and joined. */
#include <check.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/test-suite.h"
#include "channel/loan.h"

#define P 4096ull

static int memory(uint64_t size, int seals, unsigned flags)
{
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
        ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

static bool check_and_close(int fd, uint64_t size, uint32_t flags)
{
        bool good = amb_loan_file_check(fd, size, flags);

        close(fd);
        return good;
}

START_TEST(files_with_seals)
{
        const struct {
                int seals;
                uint32_t flags;
                bool good;
        } cases[] = {
                { 0, 0, false }, { F_SEAL_GROW | F_SEAL_SEAL, 0, false }, { F_SEAL_SHRINK, 0, true }, { 0, AMB_LOAN_OPEN, true },
                { F_SEAL_SHRINK, AMB_LOAN_WRITABLE | AMB_LOAN_ONCE, true }, { 0, AMB_LOAN_ONCE, false },
                { F_SEAL_SHRINK, AMB_LOAN_SEALED, false }, { F_SEAL_SHRINK | F_SEAL_GROW, AMB_LOAN_SEALED, false },
                { F_SEAL_GROW | F_SEAL_WRITE, AMB_LOAN_SEALED, false }, { F_SEAL_SHRINK | F_SEAL_WRITE, AMB_LOAN_SEALED, false },
                { F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE, AMB_LOAN_SEALED, false },
                { F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE, AMB_LOAN_SEALED, true },
                { 0, AMB_LOAN_OPEN | AMB_LOAN_SEALED, false }, { F_SEAL_WRITE, AMB_LOAN_OPEN | AMB_LOAN_SEALED, false },
        };

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++)
                ck_assert_msg(check_and_close(memory(P, cases[i].seals, 0), P, cases[i].flags) == cases[i].good, "case %zu", i);
}
END_TEST

START_TEST(files_with_sizes)
{
        ck_assert(check_and_close(memory(P, F_SEAL_SHRINK, 0), 1, 0));
        ck_assert(check_and_close(memory(3 * P, F_SEAL_SHRINK, 0), P, 0));
        ck_assert(!check_and_close(memory(P, F_SEAL_SHRINK, 0), P + 1, 0));
        ck_assert(!check_and_close(memory(P, F_SEAL_SHRINK, 0), UINT64_MAX, 0));
        ck_assert(!check_and_close(memory(0, F_SEAL_SHRINK, 0), 0, 0));
        ck_assert(check_and_close(memory(0, 0, 0), 0, AMB_LOAN_OPEN));
        /* cut short a moment ago, as it may be a moment later */
        ck_assert(check_and_close(memory(P, 0, 0), P + 1, AMB_LOAN_OPEN));
}
END_TEST

/* With OPEN no seal is asked for: everything that is no file on tmpfs must be told from it. */
START_TEST(not_files)
{
        const uint32_t flags[] = { 0, AMB_LOAN_OPEN, AMB_LOAN_SEALED, AMB_LOAN_ONCE };
        char path[] = "/var/tmp/ambidext-test-XXXXXX";
        int sockets[2], pipes[2], disk = mkostemp(path, O_CLOEXEC), huge;

        ck_assert_int_ge(disk, 0);
        unlink(path);
        ck_assert_int_eq(ftruncate(disk, 8192), 0);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
        ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(flags); i++) {
                ck_assert(!amb_loan_file_check(-1, 1, flags[i]));
                ck_assert(!amb_loan_file_check(sockets[0], 1, flags[i]));
                ck_assert(!amb_loan_file_check(pipes[0], 1, flags[i]));
                ck_assert(!amb_loan_file_check(pipes[1], 1, flags[i]));
                ck_assert(!check_and_close(open("/dev/zero", O_RDWR | O_CLOEXEC), 1, flags[i]));
                ck_assert(!check_and_close(open("/proc/self/status", O_RDONLY | O_CLOEXEC), 0, flags[i]));
                ck_assert(!check_and_close(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 1, flags[i]));
                ck_assert(!check_and_close(open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0, flags[i]));
                ck_assert(!check_and_close(open("/tmp", O_PATH | O_CLOEXEC), 0, flags[i]));
                huge = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
                if (huge >= 0)          /* a kernel without huge pages has none to refuse */
                        ck_assert(!check_and_close(huge, 0, flags[i]));
        }
        /* a file on a disk, unless that is a tmpfs here; its reads can hang on a server */
        ck_assert(!amb_loan_file_check(disk, 8192, 0));
        close(disk);
        for (int i = 0; i < 2; i++) {
                close(sockets[i]);
                close(pipes[i]);
        }
}
END_TEST

START_TEST(sockets)
{
        const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
        int pair[2];

        for (int i = 0; i < 3; i++) {
                ck_assert_int_eq(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, pair), 0);
                ck_assert(amb_loan_socket_check(pair[0]) == (types[i] == SOCK_SEQPACKET));
                close(pair[0]);
                close(pair[1]);
        }
        ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
        ck_assert(!amb_loan_socket_check(pair[1]));
        close(pair[0]);
        close(pair[1]);
        ck_assert(!amb_loan_socket_check(-1));
}
END_TEST

static bool check_segments(const struct amb_loan_segment *segments, uint32_t count, uint64_t expected)
{
        uint64_t length = 0;

        return amb_loan_segments_check(segments, count, &length) && length == expected;
}

START_TEST(segments)
{
        const struct amb_loan_segment good[] = { { 100, 5 }, { 0, 0 }, { UINT64_MAX - 1, 1 } };
        const struct amb_loan_segment over[] = { { UINT64_MAX, 1 } }, sum[] = { { 0, UINT64_MAX }, { 0, 1 } };
        const struct amb_loan_segment most[] = { { 0, AMB_LOAN_BYTES_MAX - 1 }, { 0, 1 }, { 0, 1 } };

        ck_assert(check_segments(good, 3, 6));
        ck_assert(!check_segments(good, 0, 0));
        ck_assert(!check_segments(good + 1, 1, 0));
        ck_assert(!check_segments(over, 1, 1));
        ck_assert(!check_segments(sum, 2, 0));
        ck_assert(check_segments(most, 2, AMB_LOAN_BYTES_MAX));
        ck_assert(!check_segments(most, 3, AMB_LOAN_BYTES_MAX + 1));
}
END_TEST

START_TEST(merged)
{
        struct amb_loan_segment s[] = {
                { 7, 0 }, { 100, 10 }, { 110, 5 }, { 0, 0 }, { 115, 1 }, { 200, 1 }, { 100, 100 }, { 9, 0 }
        };

        ck_assert_uint_eq(amb_loan_segments_merge(s, AMB_ARRAY_LENGTH(s)), 3);
        ck_assert(s[0].address == 100 && s[0].length == 16);
        ck_assert(s[1].address == 200 && s[1].length == 1);
        ck_assert(s[2].address == 100 && s[2].length == 100);
        ck_assert_uint_eq(amb_loan_segments_merge(s, 0), 0);
        s[0].length = 0;
        ck_assert_uint_eq(amb_loan_segments_merge(s, 1), 0);
}
END_TEST

START_TEST(congruent)
{
        const struct amb_loan_segment fine[] = { { P - 1, 1 }, { 7 * P, 2 * P }, { 3 * P, 5 } };
        const struct amb_loan_segment early[] = { { P, P - 1 }, { 7 * P, P } }, late[] = { { P, P }, { 7 * P + 1, P } };

        ck_assert(amb_loan_segments_congruent(fine, 3, P));
        ck_assert(amb_loan_segments_congruent(early, 1, P));
        ck_assert(!amb_loan_segments_congruent(early, 2, P));
        ck_assert(!amb_loan_segments_congruent(late, 2, P));
        ck_assert(!amb_loan_segments_congruent(fine, 3, 16 * P));
}
END_TEST

int main(void)
{
        return run_suite("loan", files_with_seals, files_with_sizes, not_files, sockets, segments, merged, congruent);
}
