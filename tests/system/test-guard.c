/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening is guarded. This program copies itself into the private world under other names, with other entitlements beside it, and
 * looks at what IOServiceOpen gives each of them, what the daemon says, and whether the driver saw anything.
 * Contract: lifecycle-registry 3.1 to 3.3; our decision: the daemon decides before any driver code runs.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "echo-world.h"

#define ACCESS "<key>com.apple.developer.driverkit.userclient-access</key>"
#define ECHO_ID "org.ambidext.echo"


/* What the copies do: open, one call, print the code; with "count" also how many user clients the driver ever started. */
static int open_and_report(bool count)
{
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("echo"));
        io_connect_t connection = 77;
        kern_return_t code = IOServiceOpen(service, mach_task_self(), 0, &connection);
        if (code == 0 && count) {
                uint64_t out[3] = { 0 };
                uint32_t n = 3;
                code = IOConnectCallScalarMethod(connection, kEchoStatistics, NULL, 0, out, &n);
                printf("%s %llu\n", mach_error_string(code), (unsigned long long)out[1]);
        } else {
                printf("%s %u\n", mach_error_string(code), connection);
        }
        if (code == 0)
                IOServiceClose(connection);
        return 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
        ck_assert_msg(fd >= 0, "%s", path);
        ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
}

static void copy_self(const char *path)
{
        int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
        struct stat status;
        ck_assert_int_eq(fstat(from, &status), 0);
        for (off_t left = status.st_size; left > 0;) {
                ssize_t n = sendfile(to, from, NULL, (size_t)left);
                ck_assert_int_gt(n, 0);
                left -= n;
        }
        close(from);
        close(to);
}

/* Runs a copy called `name` whose entitlements file holds `entitlements` (NULL: no file); its answer, valid until the next call. */
static const char *answer_of(const char *name, const char *entitlements, const char *verb)
{
        static char text[256];
        char path[256], file[300], command[700];
        snprintf(path, sizeof(path), "%s/%s", world.directory, name);
        snprintf(file, sizeof(file), "%s.entitlements", path);
        copy_self(path);
        if (entitlements)
                write_file(file, entitlements, 0600);
        char *library = strdup(world_build_path("src/client"));
        setenv("LD_LIBRARY_PATH", library, 1);
        free(library);
        snprintf(command, sizeof(command), "'%s' %s", path, verb);
        FILE *out = popen(command, "re");
        ck_assert_ptr_nonnull(out);
        text[0] = 0;
        ck_assert_msg(fgets(text, sizeof(text), out) != NULL, "%s said nothing", name);
        ck_assert_int_eq(pclose(out), 0);
        text[strcspn(text, "\n")] = 0;
        return text;
}

static const char *plist(const char *inside)
{
        static char text[1024];
        snprintf(text, sizeof(text),
                 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
                 "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\"><dict>%s</dict></plist>\n", inside);
        return text;
}

static void setup_found(void)
{
        setup();
        IOObjectRelease(world_service("echo")); /* the copies find it at once */
}
START_TEST(without_entitlement)
{
        ck_assert_str_eq(answer_of("nobody", NULL, "open"), "kIOReturnNotPermitted 0");
        /* One line that names the app, the driver and the grant that would fix it. */
        const char *log = world_log(&world), *line = strstr(log, "/nobody");
        ck_assert_msg(line != NULL, "the log does not name the app:\n%s", log);
        while (line > log && line[-1] != '\n')
                line--;
        char *whole = strndup(line, strcspn(line, "\n"));
        ck_assert_msg(strstr(whole, ECHO_ID) != NULL, "%s", whole);
        ck_assert_msg(strstr(whole, "com.apple.developer.driverkit.userclient-access") != NULL, "%s", whole);
        ck_assert_ptr_null(strstr(line + strlen(whole), "/nobody"));
        free(whole);
        /* No driver code ran for the refused: the first user client that the driver ever started is the counting one. */
        ck_assert_str_eq(answer_of("counter", plist(ACCESS "<array><string>" ECHO_ID "</string></array>"), "count"),
                         "kIOReturnSuccess 1");
}
END_TEST

static const struct {
        const char *name, *entitlements, *result;
} forms[] = {
        { "array", ACCESS "<array><string>other</string><string>" ECHO_ID "</string></array>", "kIOReturnSuccess" },
        { "string", ACCESS "<string>" ECHO_ID "</string>", "kIOReturnSuccess" },
        { "dictionary", ACCESS "<dict><key>" ECHO_ID "</key><true/></dict>", "kIOReturnSuccess" },
        { "empty", "", "kIOReturnNotPermitted" },
        { "other-id", ACCESS "<array><string>org.ambidext.ech</string></array>", "kIOReturnNotPermitted" },
        { "longer-id", ACCESS "<array><string>" ECHO_ID ".x</string></array>", "kIOReturnNotPermitted" },
        { "case", ACCESS "<array><string>org.ambidext.Echo</string></array>", "kIOReturnNotPermitted" },
        { "wildcard", ACCESS "<array><string>*</string></array>", "kIOReturnNotPermitted" },
        { "boolean", ACCESS "<true/>", "kIOReturnNotPermitted" },
        { "driver-access",
          "<key>com.apple.private.driverkit.driver-access</key><array><string>com.apple.developer.driverkit</string>"
          "</array>",
          "kIOReturnSuccess" },
        { "driver-access-none", "<key>com.apple.private.driverkit.driver-access</key><array/>", "kIOReturnNotPermitted" },
};

START_TEST(form)
{
        const char *answer = answer_of(forms[_i].name, plist(forms[_i].entitlements), "open");
        ck_assert_msg(strncmp(answer, forms[_i].result, strlen(forms[_i].result)) == 0, "%s: %s", forms[_i].name, answer);
}
END_TEST

static const char *const broken[] = { "", "no plist at all", "<plist><dict><key>", "<plist version=\"1.0\"><array/></plist>",
                                      "<!DOCTYPE x [<!ENTITY a \"b\">]><plist version=\"1.0\"><dict/></plist>" };

START_TEST(broken_entitlements)
{
        ck_assert_str_eq(answer_of("broken", broken[_i], "open"), "kIOReturnNotPermitted 0");
        /* The owner is told that the file is bad, and which file. */
        world_log_wait(&world, "broken.entitlements");
}
END_TEST

int main(int argc, char **argv)
{
        if (argc > 1)
                return open_and_report(strcmp(argv[1], "count") == 0);
        TCase *tests = test_case("open", without_entitlement);
        tcase_add_checked_fixture(tests, setup_found, teardown);
        tcase_add_loop_test(tests, form, 0, sizeof(forms) / sizeof(forms[0]));
        tcase_add_loop_test(tests, broken_entitlements, 0, sizeof(broken) / sizeof(broken[0]));
        return run_cases("guard", tests);
}
