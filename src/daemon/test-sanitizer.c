/* SPDX-License-Identifier: Apache-2.0 */
/* Which run-time libraries may be preloaded into hosts, and what is said of the others. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <check.h>

#include "base/sanitizer.h"
#include "base/test-suite.h"
#include "daemon/daemon.h"

static char directory[] = "/tmp/test-sanitizer-XXXXXX";
static char library[64];

static void set_up(void)
{
        ck_assert_ptr_nonnull(mkdtemp(directory));
        snprintf(library, sizeof(library), "%s/library.so", directory);
        close(open(library, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void tear_down(void)
{
        unlink(library);
        rmdir(directory);
        memcpy(strrchr(directory, '-') + 1, "XXXXXX", 6);
}

/* value NULL: the key is not there. The message, which has the bundle's path and `words`, is checked here. */
static IOReturn check_value(bool developer, OSObject *value, const char *words)
{
        struct amb_daemon daemon = { .options = { .developer = developer } };
        OSDictionary *info = OSDictionaryCreate();
        const char *runtime = "unset";
        AMB_FREE char *message = NULL;
        IOReturn code;

        if (value)
                ck_assert(OSDictionarySetValue(info, "AmbidextSanitizerRuntime", value));
        code = amb_sanitizer_check(&daemon, "/b/faulty.dext", (OSObject *)info, &runtime, &message);
        if (words) {
                ck_assert_ptr_nonnull(message);
                ck_assert_msg(strstr(message, words) && strstr(message, "/b/faulty.dext/Info.plist"), "%s", message);
                ck_assert_ptr_null(runtime);
        } else {
                ck_assert_ptr_null(message);
                /* A sanitized build preloads nothing. */
                if (!value || AMB_SANITIZED)
                        ck_assert_ptr_null(runtime);
                else
                        ck_assert_str_eq(runtime, library);
        }
        OSObject_release(value);
        OSObject_release(info);
        return code;
}

static IOReturn check_path(bool developer, const char *path, const char *words)
{
        return check_value(developer, (OSObject *)OSStringCreate(path, (size_t)-1), words);
}

START_TEST(allowed)
{
        ck_assert_int_eq(check_value(true, NULL, NULL), kIOReturnSuccess);
        ck_assert_int_eq(check_value(false, NULL, NULL), kIOReturnSuccess);
        ck_assert_int_eq(check_path(true, library, NULL), kIOReturnSuccess);
}
END_TEST

START_TEST(production)
{
        ck_assert_int_eq(check_path(false, library, "only in developer mode"), kIOReturnNotPermitted);
}
END_TEST

START_TEST(paths)
{
        ck_assert_int_eq(check_path(true, "library.so", "is no absolute path"), kIOReturnBadArgument);
        ck_assert_int_eq(check_path(true, "", "is no absolute path"), kIOReturnBadArgument);
        ck_assert_int_eq(check_path(true, "/a b/library.so", "has a blank"), kIOReturnBadArgument);
        ck_assert_int_eq(check_path(true, "/a:/b", "has a blank, a colon"), kIOReturnBadArgument);
        ck_assert_int_eq(check_path(true, "/none/library.so", "/none/library.so is not there"), kIOReturnBadArgument);
        ck_assert_int_eq(check_path(true, directory, "is no regular file"), kIOReturnBadArgument);
        ck_assert_int_eq(check_value(true, (OSObject *)OSNumberCreate(1, 32), "is no string"), kIOReturnBadArgument);
}
END_TEST

/* Only root can make a file that belongs to somebody else. */
START_TEST(owners)
{
        if (geteuid() != 0 || chown(library, 12345, 12345) < 0)
                return;
        ck_assert_int_eq(check_path(true, library, "belongs neither to root nor to you"), kIOReturnBadArgument);
}
END_TEST

START_TEST(replaceable)
{
        AMB_FREE char *link = amb_format("%s.link", directory), *through = amb_format("%s.link/library.so", directory);

        ck_assert(link && through && symlink(directory, link) == 0);
        ck_assert_int_eq(chmod(directory, 0777), 0);
        ck_assert_int_eq(check_path(true, library, "can be replaced by others"), kIOReturnBadArgument);
        ck_assert_int_eq(check_path(true, through, "can be replaced by others"), kIOReturnBadArgument);
        unlink(link);
        ck_assert_int_eq(chmod(directory, 01777), 0);
        ck_assert_int_eq(check_path(true, library, NULL), kIOReturnSuccess);
        ck_assert_int_eq(chmod(library, 0666), 0);
        ck_assert_int_eq(check_path(true, library, "can be replaced by others"), kIOReturnBadArgument);
}
END_TEST

int main(void)
{
        TCase *tests = test_case("sanitizer", allowed, production, paths, owners, replaceable);

        tcase_add_checked_fixture(tests, set_up, tear_down);
        return run_cases("sanitizer", tests);
}
