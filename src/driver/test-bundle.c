/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading bundles: from the sealed copy; from the file, when the driver needs a library from beside itself; errors. The bundles are
 * made here with the compiler that the build uses (argv[1]).
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <DriverKit/DriverKit.h>
#include <check.h>

#include "base/base.h"
#include "base/test-suite.h"
#include "driver/bundle.h"

static const char *compiler;
static char directory[] = "/tmp/ambidext-bundle-XXXXXX";

static void run(const char *const arguments[])
{
        pid_t pid = fork();
        int status;

        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                execvp(arguments[0], (char *const *)arguments);
                _exit(127);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
}

static void make_file(const char *name, const char *text)
{
        AMB_FREE char *path = amb_format("%s/%s", directory, name);
        AMB_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void make_bundle(void)
{
        AMB_FREE char *bundle = NULL;

        ck_assert_ptr_nonnull(mkdtemp(directory));
        bundle = amb_format("%s/near.dext", directory);
        ck_assert_int_eq(mkdir(bundle, 0700), 0);
        make_file("near.dext/Info.plist", "<?xml version=\"1.0\"?><plist version=\"1.0\"><dict/></plist>\n");
}

static void remove_bundle(void)
{
        run((const char *const[]){ "rm", "-rf", directory, NULL });
}

/* A driver that takes a number from a library beside it, found by $ORIGIN alone. */
START_TEST(library_beside)
{
        AMB_FREE char *bundle = NULL, *library = NULL, *driver = NULL, *first = NULL, *second = NULL, *message = NULL;
        const OSMetaClass *meta;

        make_bundle();
        bundle = amb_format("%s/near.dext", directory);
        library = amb_format("%s/near.dext/libbeside.so", directory);
        driver = amb_format("%s/near.dext/near", directory);
        first = amb_format("%s/beside.c", directory);
        second = amb_format("%s/near.c", directory);
        make_file("beside.c", "const char beside_name[] = \"Near\"; int beside(void) { return 7; }\n");
        /* The shape of a class table's beginning is all that is needed here: its name. */
        make_file("near.c", "int beside(void); struct { const char *name; void *rest[8]; } gNearMetaClass = { \"Near\" };\n"
                            "int near_number(void) { return beside(); }\n");
        run((const char *const[]){ compiler, "-shared", "-fPIC", "-o", library, "-Wl,-soname,libbeside.so", first, NULL });
        run((const char *const[]){ compiler, "-shared", "-fPIC", "-o", driver, second, library, "-Wl,-rpath,$ORIGIN",
                                   NULL });
        ck_assert_int_eq(amb_bundle_load(bundle, &message), 0);
        ck_assert_ptr_null(message);
        meta = amb_bundle_class("Near", &message);
        ck_assert_ptr_nonnull(meta);
        ck_assert_str_eq(meta->name, "Near");
        /* again: the same */
        ck_assert_int_eq(amb_bundle_load(bundle, &message), 0);
        remove_bundle();
}
END_TEST

/* Without the library it cannot be loaded either way; the message names what is missing. */
START_TEST(library_missing)
{
        AMB_FREE char *bundle = NULL, *library = NULL, *driver = NULL, *first = NULL, *message = NULL;

        make_bundle();
        bundle = amb_format("%s/near.dext", directory);
        library = amb_format("%s/near.dext/libbeside.so", directory);
        driver = amb_format("%s/near.dext/near", directory);
        first = amb_format("%s/beside.c", directory);
        make_file("beside.c", "int beside(void) { return 7; }\n");
        run((const char *const[]){ compiler, "-shared", "-fPIC", "-o", library, "-Wl,-soname,libbeside.so", first, NULL });
        run((const char *const[]){ compiler, "-shared", "-fPIC", "-o", driver, "-Wl,--no-as-needed", library, "-Wl,-rpath,$ORIGIN",
                                   NULL });
        ck_assert_int_eq(unlink(library), 0);
        ck_assert_int_eq(amb_bundle_load(bundle, &message), kIOReturnUnsupported);
        ck_assert_ptr_nonnull(message);
        ck_assert_ptr_nonnull(strstr(message, "libbeside.so"));
        remove_bundle();
}
END_TEST

int main(int argc, char **argv)
{
        compiler = argc > 1 ? argv[1] : "cc";
        return run_suite("bundle", library_beside, library_missing);
}
