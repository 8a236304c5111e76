/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon among hosts and apps that do what they must not, and after a death at a bad moment. Arguments: ambidextd,
 * test-host; or, as an app under another name: `open` or `vanish`, entry.
 */
#include "daemon/test-tool.h"

#include <sched.h>

/* --- what everybody reads stays readable --- */

/* The row of the entry; everything else can be read too. */
static OSDictionary *dump_row(sd_bus *bus, uint64_t entry, size_t *ret_count)
{
        sd_bus_message *reply = reply_to(bus, call_new(bus, "Dump", ""));
        OSDictionary *found = NULL;
        OSArray *rows = NULL;

        ck_assert_int_eq(amb_dictionary_array_read(reply, &rows), 0);
        sd_bus_message_unref(reply);
        *ret_count = OSArrayGetCount(rows);
        for (size_t i = 0; i < *ret_count; i++) {
                OSDictionary *row = OSDynamicCast(OSDictionary, OSArrayGetValue(rows, i));

                if (OSDictionaryGetUInt64Value(row, "id") == entry)
                        found = row;
        }
        OSObject_retain(found);
        OSObject_release(rows);
        return found;
}

static void name_is(sd_bus *bus, uint64_t entry, const char *expected)
{
        sd_bus_message *reply = reply_to(bus, call_new(bus, "GetEntry", "t", entry));
        const char *class, *name;

        ck_assert_int_eq(code_of(reply), 0);
        ck_assert_int_gt(sd_bus_message_read(reply, "ss", &class, &name), 0);
        ck_assert_str_eq(name, expected);
        sd_bus_message_unref(reply);
}

/* The driver, by its bundle: its name is what is tested. */
static uint64_t wait_driver(sd_bus *bus)
{
        struct news news = { .count = 0 };
        sd_bus_message *reply;
        uint64_t *ids = NULL, id;
        size_t count;

        hear_news(bus, &news);
        reply = reply_to(bus, call_new(bus, "Subscribe", "usa{sv}", 7, "IOServiceMatched", 1, "IOPropertyMatch", "a{sv}", 1,
                                       "CFBundleIdentifier", "s", "org.example.test"));
        ck_assert_int_eq(code_of(reply), 0);
        ck_assert_int_eq(amb_id_array_read(reply, &ids, &count), 0);
        sd_bus_message_unref(reply);
        if (count == 0)
                wait_news(bus, &news, 1);
        id = count > 0 ? ids[0] : news.entry;
        free(ids);
        sd_bus_message_unref(reply_to(bus, call_new(bus, "Unsubscribe", "u", 7)));
        return id;
}

START_TEST(long_name)
{
        char expected[128] = "";
        OSDictionary *row;
        uint64_t entry;
        size_t count;
        sd_bus *bus;

        for (int i = 0; i < 63; i++)
                strcat(expected, "\xc3\xa9");
        start_with_driver(true, "long name");
        bus = bus_new();
        entry = wait_driver(bus);
        name_is(bus, entry, expected);
        row = dump_row(bus, entry, &count);
        ck_assert_ptr_nonnull(row);
        ck_assert_str_eq(OSDictionaryGetStringValue(row, "name"), expected);
        OSObject_release(row);
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(escapes)
{
        uint64_t entry;
        sd_bus *bus;

        start_with_driver(false, "escapes");
        bus = bus_new();
        entry = wait_driver(bus);
        name_is(bus, entry, "a_[31mb_31mc_d");
        sd_bus_close_unref(bus);
}
END_TEST

/* KiB. A sanitizer keeps what has been freed for a while. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RESIDENT_MOST (512 * 1024)
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define RESIDENT_MOST (512 * 1024)
#endif
#ifndef RESIDENT_MOST
#define RESIDENT_MOST (128 * 1024)
#endif

static long daemon_resident_kib(void)
{
        AMB_FREE char *path = amb_format("/proc/%d/status", daemon_pid), *text = NULL;
        size_t length;
        long kib = 0;

        ck_assert_int_eq(amb_file_read(AT_FDCWD, path, 1 << 16, &text, &length), 0);
        ck_assert_int_eq(sscanf(strstr(text, "VmRSS:"), "VmRSS: %ld", &kib), 1);
        return kib;
}

START_TEST(fat_host)
{
        OSDictionary *row;
        uint64_t entry;
        size_t count;
        sd_bus *bus;

        start_with_driver(false, "fat");
        bus = bus_new();
        entry = wait_driver(bus);
        ck_assert_int_lt(daemon_resident_kib(), RESIDENT_MOST);
        row = dump_row(bus, entry, &count);
        ck_assert_ptr_nonnull(row);
        OSObject_release(row);
        is_alive();
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(scattered_properties)
{
        sd_bus_message *reply;
        OSDictionary *row;
        uint64_t entry;
        size_t count;
        sd_bus *bus;

        start_with_driver(false, "scattered");
        bus = bus_new();
        entry = wait_driver(bus);
        reply = reply_to(bus, call_new(bus, "GetEntry", "t", entry));
        ck_assert_int_eq(code_of(reply), 0);
        sd_bus_message_unref(reply);
        row = dump_row(bus, entry, &count);
        ck_assert_ptr_nonnull(row);
        OSObject_release(row);
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(meddler)
{
        uint64_t entry, connection;
        sd_bus *bus;

        start_with_driver(true, "meddle");
        bus = bus_new();
        entry = wait_driver(bus);
        name_is(bus, 0, "Root");
        name_is(bus, AMB_ENTRY_USER_RESOURCES, "IOUserResources");
        name_is(bus, entry, "TestDriver");
        ck_assert_int_eq(open_service(bus, entry, 0, &connection), 0);
        close_ends();
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(host_object_has_its_process)
{
        struct news news = { .count = 0 };
        uint64_t entry, *ids = NULL;
        sd_bus_message *reply;
        size_t count;
        sd_bus *bus;

        start_with_driver(false, NULL);
        bus = bus_new();
        entry = find_driver(bus, &news);
        reply = reply_to(bus, call_new(bus, "FindServices", "a{sv}", 1, "IOProviderClass", "s", "IOUserServer"));
        ck_assert_int_eq(code_of(reply), 0);
        ck_assert_int_eq(amb_id_array_read(reply, &ids, &count), 0);
        ck_assert_uint_eq(count, 1);
        ck_assert_int_eq(host_pid(bus, ids[0]), host_pid(bus, entry));
        free(ids);
        sd_bus_message_unref(reply);
        sd_bus_close_unref(bus);
}
END_TEST

/* --- answers to an open --- */

static int on_opened(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        ck_assert_int_gt(sd_bus_message_read(reply, "i", (int *)userdata), 0);
        return 0;
}

static sd_bus_message *open_later(sd_bus *bus, uint64_t entry, uint32_t type, int *ret_code)
{
        sd_bus_message *call = call_new(bus, "OpenService", "tu", entry, type);

        *ret_code = 1;
        ck_assert_int_ge(sd_bus_call_async(bus, NULL, call, on_opened, ret_code, UINT64_MAX), 0);
        ck_assert_int_ge(sd_bus_flush(bus), 0);
        return sd_bus_message_unref(call);
}

static void wait_code(sd_bus *bus, const int *code)
{
        while (*code == 1) {
                int r = sd_bus_process(bus, NULL);

                ck_assert_int_ge(r, 0);
                if (r == 0)
                        ck_assert_int_gt(sd_bus_wait(bus, PATIENCE), 0);
        }
}

START_TEST(silent_driver)
{
        struct news news = { .count = 0 };
        uint64_t entry, connection;
        int silent, pretended;
        sd_bus *bus, *other;

        start_with_driver(true, NULL);
        bus = bus_new();
        other = bus_new();
        entry = find_driver(other, &news);
        open_later(bus, entry, 97, &silent);
        open_later(bus, entry, 96, &pretended);
        /* Nobody else has to wait for them. */
        for (int i = 0; i < 20; i++) {
                ck_assert_int_eq(open_service(other, entry, 0, &connection), 0);
                close_ends();
        }
        /* An error that the bus itself would say is an answer like any other. */
        wait_code(bus, &pretended);
        ck_assert_int_eq(pretended, kIOReturnIPCError);
        ck_assert_int_eq(silent, 1);
        kill(host_pid(other, entry), SIGKILL);
        wait_code(bus, &silent);
        ck_assert_int_eq(silent, MIG_SERVER_DIED);
        wait_news(other, &news, 1);
        ck_assert_int_eq(open_service(other, news.entry, 0, &connection), 0);
        close_ends();
        sd_bus_close_unref(bus);
        sd_bus_close_unref(other);
}
END_TEST

START_TEST(wrong_answers)
{
        static const struct {
                uint32_t type;
                int code;
                bool dies;
        } cases[] = { { 93, kIOReturnUnsupported, false }, { 92, kIOReturnBusy, false }, { 94, MIG_SERVER_DIED, true },
                      { 95, kIOReturnIPCError, false } };
        struct news news = { .count = 0 };
        uint64_t entry, connection;
        sd_bus *bus;

        start_with_driver(true, NULL);
        bus = bus_new();
        entry = find_driver(bus, &news);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++) {
                unsigned before = news.count;

                ck_assert_int_eq(open_service(bus, entry, cases[i].type, &connection), cases[i].code);
                if (cases[i].dies) {
                        wait_news(bus, &news, before + 1);
                        entry = news.entry;
                }
                ck_assert_int_eq(open_service(bus, entry, 0, &connection), 0);
                close_ends();
        }
        sd_bus_close_unref(bus);
}
END_TEST

/* The driver's own no is not a lack of permission. */
START_TEST(drivers_refusal)
{
        struct news news = { .count = 0 };
        uint64_t entry, connection;
        sd_bus *bus;

        start_with_driver(true, NULL);
        bus = bus_new();
        entry = find_driver(bus, &news);
        ck_assert_int_eq(open_service(bus, entry, 99, &connection), kIOReturnExclusiveAccess);
        ck_assert_uint_eq(log_count("refused: process"), 0);
        ck_assert_uint_eq(log_count("0xe00002c5"), 1);
        sd_bus_close_unref(bus);
}
END_TEST

/* Apps that come and go while the driver is stuck: what they leave behind is limited, and everybody else is served. */
START_TEST(opens_pile_up)
{
        struct news news = { .count = 0 };
        uint64_t entry;
        sd_bus *bus;

        descriptors = 256;
        start_with_driver(true, NULL);
        bus = bus_new();
        entry = find_driver(bus, &news);
        kill(host_pid(bus, entry), SIGSTOP);
        for (int i = 0; i < 200; i++) {
                sd_bus *app = bus_new();
                sd_bus_message *call = call_new(app, "OpenService", "tu", entry, 0), *quiet;

                ck_assert_int_ge(sd_bus_send(app, call, &(uint64_t){ 0 }), 0);
                sd_bus_message_unref(call);
                quiet = call_new(app, "WaitQuiet", "tt", UINT64_C(0), UINT64_C(0));
                ck_assert_msg(sd_bus_call(app, quiet, PATIENCE, NULL, NULL) >= 0, "app %d is not served", i);
                sd_bus_message_unref(quiet);
                sd_bus_close_unref(app);
        }
        ck_assert_uint_lt(daemon_fds(), 160);
        is_alive();
        kill(host_pid(bus, entry), SIGCONT);
        sd_bus_close_unref(bus);
}
END_TEST

/* An app whose program is called something that is no text must neither be sent on as it is nor hurt the host. */
START_TEST(odd_program_name)
{
        AMB_FREE char *odd = in_directory("\xff\xfe\x1b[31m\n");
        struct news news = { .count = 0 };
        char *self = realpath("/proc/self/exe", NULL), number[32];
        uint64_t entry;
        int status;
        pid_t pid, host;
        sd_bus *bus;

        start_with_driver(true, NULL);
        bus = bus_new();
        entry = find_driver(bus, &news);
        host = host_pid(bus, entry);
        AMB_FREE char *copy = NULL;
        size_t length;
        ck_assert_int_eq(amb_file_read(AT_FDCWD, self, 1 << 26, &copy, &length), 0);
        int fd = open(odd, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
        ck_assert_int_eq(write(fd, copy, length), (ssize_t)length);
        close(fd);
        snprintf(number, sizeof(number), "%llu", (unsigned long long)entry);
        pid = fork();
        if (pid == 0) {
                execl(odd, "odd", "open", number, NULL);
                _exit(125);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
        ck_assert_int_eq(host_pid(bus, entry), host);
        ck_assert_uint_eq(news.count, 0);
        free(self);
        sd_bus_close_unref(bus);
}
END_TEST

/* --- takeover --- */

static void daemon_again(void)
{
        AMB_FREE char *policy = in_directory("policy");

        ck_assert_int_eq(daemon_start((char *[]){ access(policy, F_OK) == 0 ? "--policy" : NULL, policy, NULL }), -1);
}

/* More connections than fit into one budget of values. */
START_TEST(many_connections_are_taken_over)
{
        enum { MANY = 1500 };
        static int sides[MANY];
        struct news news = { .count = 0 }, later = { .count = 0 };
        uint64_t entry, connection;
        OSDictionary *row;
        size_t count;
        pid_t pid;
        sd_bus *bus;

        start_with_driver(true, NULL);
        bus = bus_new();
        entry = find_driver(bus, &news);
        pid = host_pid(bus, entry);
        for (int i = 0; i < MANY; i++) {
                ck_assert_int_eq(open_service(bus, entry, 0, &connection), 0);
                sides[i] = ends[1].fd;
                ends[1].fd = -1;
                close_ends();
        }
        row = dump_row(bus, entry, &count);
        ck_assert_uint_ge(count, MANY);
        OSObject_release(row);
        daemon_signal(SIGKILL);
        sd_bus_close_unref(bus);
        daemon_again();
        bus = bus_new();
        ck_assert_uint_eq(find_driver(bus, &later), entry);
        ck_assert_int_eq(host_pid(bus, entry), pid);
        row = dump_row(bus, connection, &count);
        ck_assert_ptr_nonnull(row);
        OSObject_release(row);
        for (int i = 0; i < MANY; i++)
                close(sides[i]);
        sd_bus_close_unref(bus);
}
END_TEST

/* Who waits for quiet waits for the hosts of the former daemon too. */
START_TEST(not_quiet_before_all_have_reported)
{
        struct news news = { .count = 0 };
        sd_bus_message *reply;
        uint64_t entry;
        pid_t pid;
        sd_bus *bus;

        start_with_driver(false, NULL);
        bus = bus_new();
        entry = find_driver(bus, &news);
        pid = host_pid(bus, entry);
        kill(pid, SIGSTOP);
        daemon_signal(SIGKILL);
        sd_bus_close_unref(bus);
        daemon_again();
        bus = bus_new();
        reply = reply_to(bus, call_new(bus, "WaitQuiet", "tt", UINT64_C(0), UINT64_C(0)));
        ck_assert_int_eq(code_of(reply), kIOReturnTimeout);
        sd_bus_message_unref(reply);
        kill(pid, SIGCONT);
        reply = reply_to(bus, call_new(bus, "WaitQuiet", "tt", UINT64_C(0), UINT64_MAX));
        ck_assert_int_eq(code_of(reply), 0);
        sd_bus_message_unref(reply);
        ck_assert_int_eq(host_pid(bus, entry), pid);
        sd_bus_close_unref(bus);
}
END_TEST

/* A host that stays stopped is killed, and its driver started again: never two, never none. */
START_TEST(stopped_host_is_replaced)
{
        struct news news = { .count = 0 }, later = { .count = 0 };
        uint64_t entry;
        pid_t pid;
        sd_bus *bus;

        start_with_driver(false, NULL);
        bus = bus_new();
        entry = find_driver(bus, &news);
        pid = host_pid(bus, entry);
        kill(pid, SIGSTOP);
        daemon_signal(SIGKILL);
        sd_bus_close_unref(bus);
        daemon_again();
        bus = bus_new();
        ck_assert_uint_gt(find_driver(bus, &later), entry);
        wait_end(pid);
        ck_assert_int_ne(host_pid(bus, later.entry ? later.entry : wait_driver(bus)), pid);
        ck_assert_uint_eq(log_count("launched host"), 2);
        sd_bus_close_unref(bus);
}
END_TEST

/* The daemon dies five times in a row, at once after it has begun to serve: one host, one service, all the time. */
START_TEST(daemon_dies_again_and_again)
{
        struct news news = { .count = 0 }, later = { .count = 0 };
        sd_bus_message *reply;
        OSDictionary *row;
        uint64_t entry;
        size_t count;
        pid_t pid;
        sd_bus *bus;

        start_with_driver(false, NULL);
        bus = bus_new();
        entry = find_driver(bus, &news);
        pid = host_pid(bus, entry);
        sd_bus_close_unref(bus);
        for (int i = 0; i < 5; i++) {
                daemon_signal(SIGKILL);
                daemon_again();
        }
        bus = bus_new();
        ck_assert_uint_eq(find_driver(bus, &later), entry);
        ck_assert_int_eq(host_pid(bus, entry), pid);
        reply = reply_to(bus, call_new(bus, "WaitQuiet", "tt", UINT64_C(0), UINT64_MAX));
        ck_assert_int_eq(code_of(reply), 0);
        sd_bus_message_unref(reply);
        row = dump_row(bus, entry, &count);
        ck_assert_uint_eq(count, 5);
        OSObject_release(row);
        ck_assert_uint_eq(log_count("launched host"), 1);
        sd_bus_close_unref(bus);
}
END_TEST

/* Killed while the host has not checked in: it must not be lost, nor run twice. */
START_TEST(daemon_dies_during_a_launch)
{
        AMB_FREE char *bundle = in_directory("Test.dext");
        struct news news = { .count = 0 };
        OSDictionary *row;
        uint64_t entry;
        size_t count;
        sd_bus *bus;

        put_bundle(NULL);
        for (int i = 0; i < 5; i++) {
                ck_assert_int_eq(daemon_start((char *[]){ "--dext", bundle, NULL }), -1);
                daemon_signal(SIGKILL);
        }
        daemon_again();
        bus = bus_new();
        entry = find_driver(bus, &news);
        row = dump_row(bus, entry, &count);
        ck_assert_uint_eq(count, 5);
        OSObject_release(row);
        sd_bus_close_unref(bus);
}
END_TEST

/* An id far away would leave no ids for anybody else. */
START_TEST(far_id_is_refused)
{
        struct news news = { .count = 0 }, later = { .count = 0 };
        uint64_t entry;
        pid_t pid;
        sd_bus *bus;

        start_with_driver(false, "far id");
        bus = bus_new();
        entry = find_driver(bus, &news);
        pid = host_pid(bus, entry);
        daemon_signal(SIGKILL);
        sd_bus_close_unref(bus);
        daemon_again();
        bus = bus_new();
        entry = find_driver(bus, &later);
        ck_assert_uint_lt(entry, UINT64_C(1) << 60);
        ck_assert_int_ne(host_pid(bus, entry), pid);
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(rubbish_in_the_state)
{
        AMB_FREE char *state = in_directory("registry.state"), *hosts = in_directory("registry.state/hosts"),
                *fifo = in_directory("registry.state/hosts/11"), *link = in_directory("registry.state/hosts/12"),
                *inner = in_directory("registry.state/hosts/13"), *bundles = in_directory("registry.state/bundles");
        static const char *const records[] = {
                "", "x", "bplist00", "<plist version=\"1.0\"><dict/></plist>",
                "<plist version=\"1.0\"><dict><key>pid</key><integer>1</integer></dict></plist>",
                "<plist version=\"1.0\"><dict><key>token</key><string>a</string><key>bundle</key><string>b</string>"
                "<key>identifier</key><string>c</string><key>server</key><string>d</string><key>pid</key><integer>"
                "99999999999</integer><key>start</key><integer>0</integer></dict></plist>",
        };
        sd_bus *bus;

        ck_assert_int_eq(mkdir(state, 0700), 0);
        ck_assert_int_eq(mkdir(hosts, 0700), 0);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(records); i++) {
                AMB_FREE char *name = amb_format("registry.state/hosts/%zu", i + 20);

                put(name, records[i]);
        }
        put("registry.state/hosts/77.new", "half");
        put("registry.state/hosts/not a number", "x");
        put("registry.state/hosts/99999999999999999999999999", "x");
        put("registry.state/bundles", "<plist version=\"1.0\"><array><integer>1</integer><string>relative</string>"
                                      "<string>/nowhere/x.dext</string></array></plist>");
        ck_assert_int_eq(mkfifo(fifo, 0600), 0);
        ck_assert_int_eq(symlink("/dev/zero", link), 0);
        ck_assert_int_eq(mkdir(inner, 0700), 0);
        ck_assert_int_eq(daemon_start(NULL), -1);
        bus = bus_new();
        is_alive();
        sd_bus_close_unref(bus);
        daemon_signal(SIGTERM);
        /* A directory is nothing that it has made: it stays, and is in nobody's way. */
        rmdir(inner);
        rmdir(hosts);
        rmdir(state);
        ck_assert_int_eq(mkdir(state, 0700), 0);
        ck_assert_int_eq(mkfifo(bundles, 0600), 0);
        ck_assert_int_eq(daemon_start(NULL), -1);
        is_alive();
}
END_TEST

/* --- files that others wrote --- */

/* What an app's PROGRAM.entitlements may be: never more than what it says, and nothing that holds the daemon up. */
START_TEST(odd_entitlements)
{
        static const char good[] = "<plist version=\"1.0\"><dict><key>com.apple.developer.driverkit.userclient-access</key><array>"
                                   "<string>org.example.test</string></array></dict></plist>";
        AMB_FREE char *executable = realpath("/proc/self/exe", NULL);
        AMB_FREE char *copy = in_directory("app"), *beside = in_directory("app.entitlements"), *bytes = NULL;
        struct news news = { .count = 0 };
        char number[32];
        uint64_t entry;
        size_t length;
        sd_bus *bus;

        start_with_driver(false, NULL);
        bus = bus_new();
        entry = find_driver(bus, &news);
        snprintf(number, sizeof(number), "%llu", (unsigned long long)entry);
        ck_assert_int_eq(amb_file_read(AT_FDCWD, executable, 1 << 26, &bytes, &length), 0);
        int fd = open(copy, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
        ck_assert_int_eq(write(fd, bytes, length), (ssize_t)length);
        close(fd);
        for (int i = 0; i < 8; i++) {
                int status, expected = 1;
                pid_t pid;

                unlink(beside);
                rmdir(beside);
                if (i == 0)
                        ck_assert_int_eq(mkfifo(beside, 0600), 0);
                else if (i == 1)
                        ck_assert_int_eq(mkdir(beside, 0700), 0);
                else if (i == 2)
                        ck_assert_int_eq(symlink("/dev/zero", beside), 0);
                else if (i == 3)
                        ck_assert_int_eq(symlink(beside, beside), 0);
                else if (i == 4)
                        put("app.entitlements", "<plist version=\"1.0\"><array/></plist>");
                else if (i == 5)
                        put("app.entitlements", "bplist00\xff\xff\xff\xff");
                else if (i == 6)
                        put("app.entitlements", "");
                else
                        put("app.entitlements", good);
                if (i == 7)
                        expected = 0;
                pid = fork();
                if (pid == 0) {
                        execl(copy, "app", "open", number, NULL);
                        _exit(125);
                }
                ck_assert_int_eq(waitpid(pid, &status, 0), pid);
                ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == expected, "case %d: status %x", i, status);
        }
        sd_bus_close_unref(bus);
}
END_TEST

/* A program that is not at its path any more: what lies beside that path may be anybody's. */
START_TEST(executable_has_gone)
{
        AMB_FREE char *copy = in_directory("app"), *executable = realpath("/proc/self/exe", NULL), *bytes = NULL;
        struct news news = { .count = 0 };
        size_t length;
        char number[32];
        int status;
        pid_t pid;
        sd_bus *bus;

        start_with_driver(false, NULL);
        bus = bus_new();
        snprintf(number, sizeof(number), "%llu", (unsigned long long)find_driver(bus, &news));
        ck_assert_int_eq(amb_file_read(AT_FDCWD, executable, 1 << 26, &bytes, &length), 0);
        for (int i = 0; i < 2; i++) {
                int fd = open(copy, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);

                ck_assert_int_eq(write(fd, bytes, length), (ssize_t)length);
                close(fd);
                put(i ? "app (deleted).entitlements" : "app.entitlements",
                    "<plist version=\"1.0\"><dict><key>com.apple.developer.driverkit.userclient-access</key><array>"
                    "<string>org.example.test</string></array></dict></plist>");
                pid = fork();
                if (pid == 0) {
                        execl(copy, "app", "vanish", number, NULL);
                        _exit(125);
                }
                ck_assert_int_eq(waitpid(pid, &status, 0), pid);
                ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %x", status);
                ck_assert_uint_eq(log_count("no longer the file at that path"), i + 1);
        }
        sd_bus_close_unref(bus);
}
END_TEST

/* A policy file that is not its owner's alone, or no file at all, grants nothing, and the others count. */
START_TEST(odd_policy_files)
{
        AMB_FREE char *fifo = in_directory("policy/a.plist"), *link = in_directory("policy/b.plist"),
                *inner = in_directory("policy/c.plist"), *loose = in_directory("policy/d.plist"),
                *policy = in_directory("policy"), *bundle = in_directory("Test.dext"), *whole = NULL;
        AMB_FREE char *source = in_directory("policy/test.plist");
        struct news news = { .count = 0 };
        uint64_t connection;
        size_t length;
        sd_bus *bus;

        put_bundle(NULL);
        put_policy();
        ck_assert_int_eq(amb_file_read(AT_FDCWD, source, 65536, &whole, &length), 0);
        ck_assert_int_eq(unlink(source), 0);
        ck_assert_int_eq(mkfifo(fifo, 0600), 0);
        put("elsewhere.plist", whole);
        ck_assert_int_eq(symlink("../elsewhere.plist", link), 0);
        ck_assert_int_eq(mkdir(inner, 0700), 0);
        put("policy/d.plist", whole);
        ck_assert_int_eq(chmod(loose, 0666), 0);
        ck_assert_int_eq(daemon_start((char *[]){ "--dext", bundle, "--policy", policy, NULL }), -1);
        ck_assert_uint_eq(log_count("grants nothing"), 4);
        bus = bus_new();
        ck_assert_int_eq(open_service(bus, find_driver(bus, &news), 0, &connection), kIOReturnNotPermitted);
        sd_bus_close_unref(bus);
        daemon_signal(SIGTERM);
        ck_assert_int_eq(chmod(loose, 0600), 0);
        ck_assert_int_eq(daemon_start((char *[]){ "--dext", bundle, "--policy", policy, NULL }), -1);
        bus = bus_new();
        ck_assert_int_eq(open_service(bus, find_driver(bus, &news), 0, &connection), 0);
        close_ends();
        sd_bus_close_unref(bus);
        daemon_signal(SIGTERM);
        /* A directory that anybody can write says nothing at all. */
        ck_assert_int_eq(chmod(policy, 0777), 0);
        ck_assert_int_eq(daemon_start((char *[]){ "--dext", bundle, "--policy", policy, NULL }), 1);
}
END_TEST

/* --- floods --- */

/* Waits with the longest names and numbers of things that a client may ask for; the daemon gives each its limit. */
START_TEST(subscription_flood)
{
        unsigned given = 0, refused = 0;
        long before;
        sd_bus *bus;

        ck_assert_int_eq(daemon_start(NULL), -1);
        is_alive();
        bus = bus_new();
        for (uint32_t i = 0; i < 1100; i++) {
                sd_bus_message *reply = reply_to(bus, call_new(bus, "Subscribe", "usa{sv}", i, "IOServiceMatched", 0));
                int code = code_of(reply);

                given += code == 0;
                refused += code == kIOReturnNoResources;
                sd_bus_message_unref(reply);
        }
        ck_assert_uint_eq(given, 1024);
        ck_assert_uint_eq(refused, 76);
        sd_bus_close_unref(bus);
        is_alive();
        before = daemon_resident_kib();
        bus = bus_new();
        for (uint32_t i = 0; i < 10000; i++) {
                sd_bus_message *reply = reply_to(bus, call_new(bus, "Subscribe", "usa{sv}", 1, "IOServiceMatched", 0));

                ck_assert_int_eq(code_of(reply), 0);
                sd_bus_message_unref(reply);
                sd_bus_message_unref(reply_to(bus, call_new(bus, "Unsubscribe", "u", 1)));
        }
        sd_bus_close_unref(bus);
        ck_assert_int_lt(daemon_resident_kib(), before + (RESIDENT_MOST > 131072 ? 262144 : 1024));
}
END_TEST

/* With hardly any descriptors it does not start, or does less, and always ends in order. */
START_TEST(few_descriptors)
{
        AMB_FREE char *bundle = in_directory("Test.dext");
        int started = 0, opened = 0;

        put_bundle(NULL);
        put_policy();
        AMB_FREE char *policy = in_directory("policy");
        for (descriptors = 8; descriptors < 48; descriptors += 2) {
                sd_bus_message *call, *reply = NULL;
                uint64_t *ids = NULL, connection;
                size_t count = 0;
                sd_bus *bus;

                if (daemon_start((char *[]){ "--dext", bundle, "--policy", policy, NULL }) != -1)
                        continue;
                started++;
                if (amb_bus_connect_registry(&bus, NULL) < 0) {
                        daemon_signal(SIGTERM);
                        continue;
                }
                call = call_new(bus, "WaitQuiet", "tt", UINT64_C(0), UINT64_C(5000000000));
                if (sd_bus_call(bus, call, PATIENCE, NULL, &reply) >= 0) {
                        sd_bus_message_unref(reply);
                        reply = reply_to(bus, call_new(bus, "FindServices", "a{sv}", 1, "IONameMatch", "s", "TestDriver"));
                        ck_assert_int_eq(code_of(reply), 0);
                        ck_assert_int_eq(amb_id_array_read(reply, &ids, &count), 0);
                }
                for (int i = 0; i < 4 && count > 0; i++) {
                        int code = open_service(bus, ids[0], 0, &connection);

                        ck_assert_msg(code == 0 || code == kIOReturnNoResources || code == MIG_SERVER_DIED, "%x", (unsigned)code);
                        opened += code == 0;
                        close_ends();
                }
                free(ids);
                sd_bus_message_unref(call);
                sd_bus_message_unref(reply);
                sd_bus_close_unref(bus);
                daemon_signal(SIGTERM);
        }
        ck_assert_int_gt(started, 4);
        ck_assert_int_gt(opened, 4);
}
END_TEST

/* Half a message each, announced as the largest there can be: they wait, and nobody else does. */
START_TEST(half_messages)
{
        static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n";
        static const unsigned char half[] = { 'l', 1, 0, 1, 0, 0, 0xff, 0x07, 1, 0, 0, 0, 8, 0, 0, 0, 1 };
        int fds[100];

        ck_assert_int_eq(daemon_start(NULL), -1);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(fds); i++) {
                fds[i] = raw_connect();
                ck_assert_int_eq(write(fds[i], hello, sizeof(hello) - 1), sizeof(hello) - 1);
                ck_assert_int_eq(write(fds[i], half, sizeof(half)), sizeof(half));
        }
        is_alive();
        ck_assert_int_lt(daemon_resident_kib(), RESIDENT_MOST);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(fds); i++)
                close(fds[i]);
        is_alive();
}
END_TEST

/* Deep and wide matching dictionaries: refused, or answered, and never at the cost of the connection of somebody else. */
START_TEST(matching_flood)
{
        sd_bus *bus;

        ck_assert_int_eq(daemon_start(NULL), -1);
        bus = bus_new();
        for (int depth = 1; depth < 60; depth += 7) {
                sd_bus_message *call = call_new(bus, "FindServices", "");
                int r = sd_bus_message_open_container(call, 'a', "{sv}"), opened = 0;

                for (int i = 0; i < depth && r >= 0; i++) {
                        r = sd_bus_message_open_container(call, 'e', "sv");
                        if (r >= 0)
                                r = sd_bus_message_append(call, "s", "IOParentMatch");
                        if (r >= 0)
                                r = sd_bus_message_open_container(call, 'v', "a{sv}");
                        if (r >= 0)
                                r = sd_bus_message_open_container(call, 'a', "{sv}");
                        opened += r >= 0;
                }
                for (int i = 0; i < opened * 3 + 1 && r >= 0; i++)
                        r = sd_bus_message_close_container(call);
                if (r >= 0) {
                        sd_bus_message *reply = NULL;

                        r = sd_bus_call(bus, call, PATIENCE, NULL, &reply);
                        ck_assert_msg(depth > 20 || r >= 0, "depth %d: %d", depth, r);
                        sd_bus_message_unref(reply);
                }
                sd_bus_message_unref(call);
        }
        is_alive();
        sd_bus_close_unref(bus);
}
END_TEST

/* People are told that a host keeps them waiting; an end of the daemon does not wait for it. */
START_TEST(host_never_checks_in)
{
        sd_bus_message *reply;
        sd_bus *bus;

        start_with_driver(false, "absent");
        bus = bus_new();
        reply = reply_to(bus, call_new(bus, "WaitQuiet", "tt", UINT64_C(0), UINT64_C(5500000000)));
        ck_assert_int_eq(code_of(reply), kIOReturnTimeout);
        sd_bus_message_unref(reply);
        ck_assert_uint_eq(log_count("has not checked in for 5 s, it has 115 more"), 1);
        sd_bus_close_unref(bus);
}
END_TEST

/* Kills `victim` when `sleeper` waits on a futex. */
static int kill_when_asleep(pid_t sleeper, pid_t victim)
{
        AMB_FREE char *path = amb_format("/proc/%d/syscall", sleeper);

        for (;;) {
                AMB_FREE char *text = NULL;
                size_t length;

                if (amb_file_read(AT_FDCWD, path, 1024, &text, &length) < 0)
                        return 1;
                if (strtol(text, NULL, 10) == SYS_futex && *text >= '0' && *text <= '9')
                        return kill(victim, SIGKILL) < 0;
                sched_yield();
        }
}

/* The host dies while an app sleeps in a call: before a takeover the daemon rings, after it the app looks for itself. */
START_TEST(death_after_a_takeover)
{
        struct amb_channel_options options = { .peer_pidfd = -1 };
        struct news news = { .count = 0 };
        struct amb_channel *channel = NULL;
        struct amb_call call = { .selector = 0 };
        uint64_t entry, connection, before, took[2];
        struct amb_reply answer;
        sd_bus *bus;

        start_with_driver(true, NULL);
        bus = bus_new();
        entry = find_driver(bus, &news);
        for (int i = 0; i < 2; i++) {
                pid_t pid, killer;

                ck_assert_int_eq(open_service(bus, entry, 0, &connection), 0);
                pid = host_pid(bus, entry);
                if (i == 1) {
                        daemon_signal(SIGKILL);
                        daemon_again();
                        sd_bus_close_unref(bus);
                        bus = bus_new();
                        ck_assert_uint_eq(find_driver(bus, &news), entry);
                }
                options.peer_pidfd = ends[2].fd;
                ck_assert_int_eq(amb_channel_attach(ends[0].fd, AMB_CHANNEL_APP, &options, &channel), 0);
                killer = fork();
                if (killer == 0)
                        _exit(kill_when_asleep(getppid(), pid));
                before = amb_time_now();
                ck_assert_int_ne(amb_channel_call(channel, &call, &answer), 0);
                took[i] = (amb_time_now() - before) / 1000000;
                waitpid(killer, NULL, 0);
                amb_channel_free(channel);
                close_ends();
                wait_news(bus, &news, 1);
                entry = news.entry;
                news.count = 0;
        }
        if (getenv("AMBIDEXT_TEST_VERBOSE"))
                fprintf(stderr, "from the call to MIG_SERVER_DIED: %d ms; after a takeover: %d ms\n", (int)took[0], (int)took[1]);
        ck_assert_uint_lt(took[0], 2000);
        ck_assert_uint_lt(took[1], 2000);
        sd_bus_close_unref(bus);
}
END_TEST

/* What comes and goes leaves nothing behind: connections, and whole drivers with their processes. */
START_TEST(nothing_grows)
{
        const char *rounds = getenv("AMBIDEXT_TEST_ROUNDS");
        AMB_FREE char *bundle = in_directory("Test.dext");
        int opens = rounds ? atoi(rounds) : 4000, loads = opens / 100;
        struct news news = { .count = 0 };
        uint64_t entry, connection;
        size_t fds = 0;
        long resident = 0;
        sd_bus *bus;

        start_with_driver(true, NULL);
        bus = bus_new();
        entry = find_driver(bus, &news);
        for (int i = 0; i < opens; i++) {
                if (i == opens / 2) {
                        resident = daemon_resident_kib();
                        fds = daemon_fds();
                }
                ck_assert_int_eq(open_service(bus, entry, 0, &connection), 0);
                close_ends();
        }
        ck_assert_int_lt(daemon_resident_kib(), resident + (RESIDENT_MOST > 131072 ? 262144 : 512));
        ck_assert_uint_lt(daemon_fds(), fds + 16);
        for (int i = 0; i < loads; i++) {
                pid_t pid = host_pid(bus, entry);

                if (i == loads / 2) {
                        resident = daemon_resident_kib();
                        fds = daemon_fds();
                }
                sd_bus_message_unref(reply_to(bus, call_new(bus, "UnloadBundle", "s", "org.example.test")));
                wait_end(pid);
                news.count = 0;
                sd_bus_message_unref(reply_to(bus, call_new(bus, "LoadBundle", "s", bundle)));
                wait_news(bus, &news, 1);
                entry = news.entry;
        }
        ck_assert_int_lt(daemon_resident_kib(), resident + (RESIDENT_MOST > 131072 ? 262144 : 512));
        ck_assert_uint_lt(daemon_fds(), fds + 8);
        sd_bus_close_unref(bus);
}
END_TEST

/* --- an app under another name --- */

static int open_once(const char *number)
{
        sd_bus_message *call = NULL, *reply = NULL;
        sd_bus *bus = NULL;
        int code = -1, r;

        r = amb_bus_connect_registry(&bus, NULL);
        if (r >= 0)
                r = amb_bus_new_call(bus, &call, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, "OpenService");
        if (r >= 0)
                r = sd_bus_message_append(call, "tu", (uint64_t)strtoull(number, NULL, 10), 0);
        if (r >= 0)
                r = sd_bus_call(bus, call, PATIENCE, NULL, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "i", &code);
        sd_bus_message_unref(call);
        sd_bus_message_unref(reply);
        sd_bus_close_unref(bus);
        return r > 0 && code == 0 ? 0 : 1;
}

int main(int count, char **arguments)
{
        if (count != 3)
                return 2;
        if (strcmp(arguments[1], "vanish") == 0) {
                AMB_FREE char *own = realpath("/proc/self/exe", NULL);

                return own && unlink(own) == 0 ? open_once(arguments[2]) : 3;
        }
        if (strcmp(arguments[1], "open") == 0)
                return open_once(arguments[2]);
        Suite *suite = suite_create("daemon-hostile");
        TCase *tests = tcase_create("daemon-hostile");
        SRunner *runner;
        int failed;

        daemon_program = arguments[1];
        host_program = arguments[2];
        amb_fd_limit_raise();
        tcase_add_checked_fixture(tests, set_up, tear_down);
        tcase_set_timeout(tests, 60);
        tcase_add_test(tests, long_name);
        tcase_add_test(tests, escapes);
        tcase_add_test(tests, fat_host);
        tcase_add_test(tests, scattered_properties);
        tcase_add_test(tests, meddler);
        tcase_add_test(tests, host_object_has_its_process);
        tcase_add_test(tests, silent_driver);
        tcase_add_test(tests, wrong_answers);
        tcase_add_test(tests, drivers_refusal);
        tcase_add_test(tests, opens_pile_up);
        tcase_add_test(tests, odd_program_name);
        tcase_add_test(tests, many_connections_are_taken_over);
        tcase_add_test(tests, not_quiet_before_all_have_reported);
        tcase_add_test(tests, stopped_host_is_replaced);
        tcase_add_test(tests, daemon_dies_again_and_again);
        tcase_add_test(tests, daemon_dies_during_a_launch);
        tcase_add_test(tests, far_id_is_refused);
        tcase_add_test(tests, rubbish_in_the_state);
        tcase_add_test(tests, odd_entitlements);
        tcase_add_test(tests, odd_policy_files);
        tcase_add_test(tests, subscription_flood);
        tcase_add_test(tests, half_messages);
        tcase_add_test(tests, matching_flood);
        tcase_add_test(tests, nothing_grows);
        tcase_add_test(tests, host_never_checks_in);
        tcase_add_test(tests, death_after_a_takeover);
        tcase_add_test(tests, few_descriptors);
        tcase_add_test(tests, executable_has_gone);
        suite_add_tcase(suite, tests);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
