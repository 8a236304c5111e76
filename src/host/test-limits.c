/* SPDX-License-Identifier: Apache-2.0 */
/* The limits hold: what goes beyond them fails, and nobody is killed for it. */
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <check.h>

#include "base/base.h"
#include "base/test-suite.h"
#include "host/limits.h"

static struct rlimit get(__rlimit_resource_t resource)
{
        struct rlimit limit = { 1, 1 };

        ck_assert_int_eq(getrlimit(resource, &limit), 0);
        return limit;
}

START_TEST(memory)
{
        size_t piece = 256u << 20, got = 0;
        void *at;

        ck_assert_int_eq(amb_limits_set(), 0);
        ck_assert_uint_le(get(RLIMIT_DATA).rlim_max, AMB_LIMIT_DATA);
        /* Not touched: it is the address space that is counted. */
        while ((at = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) != MAP_FAILED)
                got += piece;
        ck_assert_int_eq(errno, ENOMEM);
        ck_assert_uint_le(got, AMB_LIMIT_DATA);
        ck_assert_uint_ge(got, AMB_LIMIT_DATA - 2 * piece);
        ck_assert_ptr_null(malloc(piece));
}
END_TEST

START_TEST(files)
{
        int fd = memfd_create("test", MFD_CLOEXEC);

        ck_assert_int_eq(amb_limits_set(), 0);
        ck_assert_int_eq(ftruncate(fd, (off_t)AMB_LIMIT_FILE), 0);
        ck_assert_int_eq(ftruncate(fd, (off_t)AMB_LIMIT_FILE + 1), -1);
        ck_assert_int_eq(errno, EFBIG);
        ck_assert_int_eq(pwrite(fd, "x", 1, (off_t)AMB_LIMIT_FILE), -1);
        ck_assert_int_eq(errno, EFBIG);
        close(fd);
}
END_TEST

START_TEST(for_ever)
{
        struct rlimit more = { AMB_LIMIT_DATA * 2, AMB_LIMIT_DATA * 2 }, lower = { 1u << 30, 1u << 30 };

        ck_assert_int_eq(setrlimit(RLIMIT_DATA, &lower), 0);
        ck_assert_int_eq(amb_limits_set(), 0);
        ck_assert_uint_eq(get(RLIMIT_DATA).rlim_max, 1u << 30);         /* a lower one stays */
        ck_assert_uint_eq(get(RLIMIT_CORE).rlim_max, 0);
        if (geteuid() != 0)
                ck_assert_int_eq(setrlimit(RLIMIT_DATA, &more), -1);
}
END_TEST

int main(void)
{
        return run_suite("limits", memory, files, for_ever);
}
