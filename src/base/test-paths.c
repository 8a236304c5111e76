/* SPDX-License-Identifier: Apache-2.0 */
/* Programs are found in an installed prefix and in a build tree, and nowhere else. */
#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/base.h"
#include "base/paths.h"
#include "base/test-suite.h"

static char root[PATH_MAX];

static const char *below(const char *path)
{
        static char text[2][PATH_MAX + 256];
        static int turn;
        turn ^= 1;
        snprintf(text[turn], sizeof(text[turn]), "%s/%s", root, path);
        return text[turn];
}

static void make_program(const char *path, mode_t mode)
{
        int fd = open(below(path), O_CREAT | O_WRONLY | O_CLOEXEC, mode);
        ck_assert_int_ge(fd, 0);
        close(fd);
}

static const char *const directories[] = {
        "bin", "libexec", "libexec/ambidext", "build", "build/meson-private", "build/src", "build/src/cli", "build/src/daemon",
        "build/src/host", "build/tests", "elsewhere", "elsewhere/src", "elsewhere/src/daemon",
};
static const char *const programs[] = {
        "bin/ambidext", "bin/ambidextd", "libexec/ambidext/ambidext-host", "build/src/cli/ambidext", "build/src/daemon/ambidextd",
        "elsewhere/src/daemon/ambidextd",
};

static void setup(void)
{
        const char *temporary = getenv("TMPDIR");
        snprintf(root, sizeof(root), "%s/amb-paths-XXXXXX", temporary ? temporary : "/tmp");
        ck_assert_ptr_nonnull(mkdtemp(root));
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(directories); i++)
                ck_assert_int_eq(mkdir(below(directories[i]), 0700), 0);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(programs); i++)
                make_program(programs[i], 0700);
        make_program("build/src/host/ambidext-host", 0600);     /* there, but nobody may execute it */
}

static void teardown(void)
{
        unlink(below("build/src/host/ambidext-host"));
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(programs); i++)
                unlink(below(programs[i]));
        for (size_t i = AMB_ARRAY_LENGTH(directories); i > 0; i--)
                rmdir(below(directories[i - 1]));
        ck_assert_int_eq(rmdir(root), 0);
}

static void expect(const char *self, const char *name, const char *expected)
{
        char *path = amb_program_path_from(below(self), name);
        if (expected) {
                ck_assert_msg(path != NULL, "%s asks for %s: nothing", self, name);
                ck_assert_str_eq(path, below(expected));
        } else {
                ck_assert_msg(path == NULL, "%s asks for %s: %s", self, name, path);
                ck_assert_int_eq(errno, ENOENT);
        }
        free(path);
}

START_TEST(installed)
{
        expect("bin/ambidext", "ambidextd", "bin/ambidextd");
        expect("bin/ambidextd", "ambidext-host", "libexec/ambidext/ambidext-host");
        expect("libexec/ambidext/ambidext-host", "ambidext", "bin/ambidext");
}
END_TEST

START_TEST(build_tree)
{
        expect("build/src/cli/ambidext", "ambidextd", "build/src/daemon/ambidextd");
        expect("build/tests/test-anything", "ambidext", "build/src/cli/ambidext");
        expect("build/src/cli/ambidext", "ambidext-host", NULL); /* no x bit: also root may not */
}
END_TEST

START_TEST(nowhere)
{
        expect("elsewhere/src/daemon/anything", "ambidextd", NULL);     /* looks like a build tree, but meson made none */
        expect("elsewhere/ambidext", "ambidextd", NULL);
        expect("bin/ambidext", "sh", NULL);
        expect("bin/ambidext", "../bin/ambidext", NULL);
}
END_TEST

int main(void)
{
        TCase *paths = test_case("paths", installed, build_tree, nowhere);

        tcase_add_checked_fixture(paths, setup, teardown);
        return run_cases("paths", paths);
}
