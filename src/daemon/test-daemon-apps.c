/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon among apps that ask for too much, and among files that others wrote. Arguments: ambidextd, test-host; or, as
 * an app under another name: `open` or `vanish`, entry.
 */
#include "daemon/test-tool.h"

/* --- files that others wrote --- */

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

        bus = start_and_find(true, &news, &entry);
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

        bus = start_and_find(false, &news, &entry);
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

/* Apps that come and go while the driver is stuck: what they leave behind is limited, and everybody else is served. */
START_TEST(opens_pile_up)
{
        struct news news = { .count = 0 };
        uint64_t entry;
        sd_bus *bus;

        descriptors = 256;
        bus = start_and_find(true, &news, &entry);
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
        ck_assert_int_lt(daemon_fds(), 160);
        is_alive();
        kill(host_pid(bus, entry), SIGCONT);
        sd_bus_close_unref(bus);
}
END_TEST

/* Consumes the call, which is not answered. */
static void send_only(sd_bus *bus, sd_bus_message *call)
{
        ck_assert_int_ge(sd_bus_message_set_expect_reply(call, false), 0);
        ck_assert_int_ge(sd_bus_send(bus, call, NULL), 0);
        sd_bus_message_unref(call);
}

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
                sd_bus_message *call = call_new(bus, "Subscribe", "usa{sv}", 1, "IOServiceMatched", 0);

                /* Only now and then an answer: ten thousand turns of two processes take a minute of a busy machine. */
                if (i % 50 == 0) {
                        sd_bus_message *reply = reply_to(bus, call);

                        ck_assert_int_eq(code_of(reply), 0);
                        sd_bus_message_unref(reply);
                } else {
                        send_only(bus, call);
                }
                send_only(bus, call_new(bus, "Unsubscribe", "u", 1));
        }
        sd_bus_message_unref(reply_to(bus, call_new(bus, "Unsubscribe", "u", 1)));
        sd_bus_close_unref(bus);
        ck_assert_int_lt(daemon_resident_kib(), before + (AMB_SANITIZED_ADDRESS ? 262144 : 1024));
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

/*
 * Half a message each, announced as the largest there can be: they wait, and nobody else does. sd-bus takes 128 MiB for each,
 * which cost nothing until they are filled; so nothing else may fill them (meson test sets MALLOC_PERTURB_).
 */
START_TEST(half_messages)
{
        static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n";
        static const unsigned char half[] = { 'l', 1, 0, 1, 0, 0, 0xff, 0x07, 1, 0, 0, 0, 8, 0, 0, 0, 1 };
        int fds[AMB_SANITIZED_ADDRESS ? 20 : 100];

        unsetenv("MALLOC_PERTURB_");
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

static int on_opened(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        ck_assert_int_eq(code_of(reply), 0);
        --*(int *)userdata;
        return 0;
}

/* Opens at once and lets go of them: the descriptors are the replies'. */
static void open_burst(sd_bus *bus, uint64_t entry, int count)
{
        int waiting = count;

        for (int i = 0; i < count; i++) {
                sd_bus_message *call = call_new(bus, "OpenService", "tu", entry, 0);

                ck_assert_int_ge(sd_bus_call_async(bus, NULL, call, on_opened, &waiting, PATIENCE), 0);
                sd_bus_message_unref(call);
        }
        while (waiting > 0) {
                int r = sd_bus_process(bus, NULL);

                ck_assert_int_ge(r, 0);
                if (r == 0)
                        ck_assert_int_gt(sd_bus_wait(bus, PATIENCE), 0);
        }
}

/* What comes and goes leaves nothing behind: connections, and whole drivers with their processes. */
START_TEST(nothing_grows)
{
        const char *rounds = getenv("AMBIDEXT_TEST_ROUNDS");
        AMB_FREE char *bundle = in_directory("Test.dext");
        int opens = rounds ? atoi(rounds) : 4000, loads = opens / 100;
        struct news news = { .count = 0 };
        uint64_t entry;
        int fds = 0;
        long resident = 0;
        sd_bus *bus;

        bus = start_and_find(true, &news, &entry);
        for (int i = 0; i < opens / 10; i++) {
                if (i == opens / 20) {
                        resident = daemon_resident_kib();
                        fds = daemon_fds();
                }
                open_burst(bus, entry, 10);
        }
        ck_assert_int_lt(daemon_resident_kib(), resident + (AMB_SANITIZED_ADDRESS ? 262144 : 512));
        ck_assert_int_lt(daemon_fds(), fds + 16);
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
        ck_assert_int_lt(daemon_resident_kib(), resident + (AMB_SANITIZED_ADDRESS ? 262144 : 512));
        ck_assert_int_lt(daemon_fds(), fds + 8);
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
        amb_fd_limit_raise();
        return run_daemon_suite("daemon-apps", arguments, odd_program_name, odd_entitlements, executable_has_gone, odd_policy_files,
                                opens_pile_up, subscription_flood, few_descriptors, half_messages, matching_flood, nothing_grows);
}
