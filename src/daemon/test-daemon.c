/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon among honest apps and hosts, and at its beginning and end. Arguments: ambidextd, test-host. */
#include "daemon/test-tool.h"

/* --- looking --- */

START_TEST(dump_and_find)
{
        sd_bus *bus;
        sd_bus_message *reply;
        OSArray *rows = NULL;
        uint64_t *ids = NULL;
        size_t count;

        ck_assert_int_eq(daemon_start(NULL), -1);
        bus = bus_new();
        reply = reply_to(bus, call_new(bus, "Dump", ""));
        ck_assert_int_eq(amb_dictionary_array_read(reply, &rows), 0);
        ck_assert_uint_eq(OSArrayGetCount(rows), 3);
        ck_assert_str_eq(OSDictionaryGetStringValue((OSDictionary *)OSArrayGetValue(rows, 0), "name"), "Root");
        OSObject_release(rows);
        sd_bus_message_unref(reply);
        reply = reply_to(bus, call_new(bus, "FindServices", "a{sv}", 1, "IOProviderClass", "s", "IOUserResources"));
        ck_assert_int_eq(code_of(reply), 0);
        ck_assert_int_eq(amb_id_array_read(reply, &ids, &count), 0);
        ck_assert_uint_eq(count, 1);
        ck_assert_uint_eq(ids[0], AMB_ENTRY_USER_RESOURCES);
        free(ids);
        sd_bus_message_unref(reply);
        reply = reply_to(bus, call_new(bus, "GetEntry", "t", UINT64_C(12345)));
        ck_assert_int_eq(code_of(reply), MACH_SEND_INVALID_DEST);
        sd_bus_message_unref(reply);
        reply = reply_to(bus, call_new(bus, "WaitQuiet", "tt", UINT64_C(0), UINT64_C(0)));
        ck_assert_int_eq(code_of(reply), 0);
        sd_bus_message_unref(reply);
        sd_bus_close_unref(bus);
}
END_TEST

/* --- bundles --- */

static void load_fails(sd_bus *bus, const char *path, int expected, const char *part)
{
        sd_bus_message *reply = reply_to(bus, call_new(bus, "LoadBundle", "s", path));
        const char *message;

        ck_assert_int_eq(code_of(reply), expected);
        ck_assert_int_gt(sd_bus_message_read(reply, "s", &message), 0);
        ck_assert_msg(strstr(message, part) != NULL, "\"%s\" lacks \"%s\"", message, part);
        sd_bus_message_unref(reply);
}

#define EXECUTABLE(value) "<plist version=\"1.0\"><dict><key>CFBundleExecutable</key>" value "</dict></plist>"
enum { EM_FAKE_ALPHA = 0x9026 };       /* nobody's machine any more */

START_TEST(bad_bundles)
{
        AMB_FREE char *bundle = in_directory("Test.dext"), *missing = in_directory("None.dext"),
                *executable = in_directory("Test.dext/Test"),
                      *plain = in_directory("plain");
        sd_bus *bus;

        ck_assert_int_eq(daemon_start(NULL), -1);
        bus = bus_new();
        load_fails(bus, "Test.dext", kIOReturnBadArgument, "absolute path");
        load_fails(bus, "", kIOReturnBadArgument, "absolute path");
        load_fails(bus, missing, kIOReturnNotFound, missing);
        mkdir(plain, 0755);
        load_fails(bus, plain, kIOReturnBadArgument, "ends in .dext");
        put("File.dext", "");
        AMB_FREE char *file = in_directory("File.dext");
        load_fails(bus, file, kIOReturnBadArgument, "directory");
        mkdir(bundle, 0755);
        load_fails(bus, bundle, kIOReturnNotFound, "Info.plist");
        put("Test.dext/Info.plist", "<plist><dict><key>a</key>");
        load_fails(bus, bundle, kIOReturnBadArgument, "property list");
        put("Test.dext/Info.plist", "<plist version=\"1.0\"><array/></plist>");
        load_fails(bus, bundle, kIOReturnBadArgument, "dictionary");
        put("Test.dext/Info.plist", "<plist version=\"1.0\"><dict/></plist>");
        load_fails(bus, bundle, kIOReturnNotFound, "Test.dext/Test");
        mkdir(executable, 0755);
        load_fails(bus, bundle, kIOReturnBadArgument, "regular file");
        rmdir(executable);
        put("Test.dext/Test", "x");
        load_fails(bus, bundle, kIOReturnUnsupported, "no ELF shared object");
        put_object("Test.dext/Test", EM_FAKE_ALPHA);
        load_fails(bus, bundle, kIOReturnUnsupported, "another machine");
        put_object("Test.dext/Test", 0);
        load_fails(bus, bundle, kIOReturnBadArgument, "CFBundleIdentifier");
        /* Info.plist may name the executable: that one is what is looked at. */
        put("Test.dext/Info.plist", EXECUTABLE("<string>Other</string>"));
        load_fails(bus, bundle, kIOReturnNotFound, "Test.dext/Other");
        put("Test.dext/Info.plist", EXECUTABLE("<string>../Test.dext/Test</string>"));
        load_fails(bus, bundle, kIOReturnBadArgument, "CFBundleExecutable");
        put("Test.dext/Info.plist", EXECUTABLE("<integer>1</integer>"));
        load_fails(bus, bundle, kIOReturnBadArgument, "CFBundleExecutable");
        put("Test.dext/Info.plist", test_info);
        put("Test.dext/Test.entitlements", "<plist version=\"1.0\"><dict/></plist>");
        load_fails(bus, bundle, kIOReturnNotPermitted, "com.apple.developer.driverkit");
        sd_bus_close_unref(bus);
        ck_assert_uint_eq(log_count("launched host"), 0);
}
END_TEST

/* Whoever connects and does not say who they are keeps nobody waiting, the daemon's own end least of all. */
START_TEST(silent_at_the_end)
{
        uint64_t begin;
        int fds[3];
        sd_bus *bus;

        ck_assert_int_eq(daemon_start(NULL), -1);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(fds); i++)
                fds[i] = raw_connect();
        ck_assert_int_eq(write(fds[1], "\0AUTH EXTERNAL 39393939\r\n", 26), 26);
        ck_assert_int_eq(write(fds[2], "\0AUTH", 6), 6);
        bus = bus_new();
        is_alive();
        begin = amb_time_now();
        daemon_signal(SIGTERM);
        ck_assert_uint_lt(amb_time_now() - begin, 10000000000ull);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(fds); i++)
                close(fds[i]);
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(bad_bundle_at_start)
{
        ck_assert_int_eq(daemon_start((char *[]){ "--dext", "/nowhere/No.dext", NULL }), 1);
        ck_assert_uint_eq(log_count("/nowhere/No.dext"), 1);
}
END_TEST

START_TEST(load_and_unload)
{
        AMB_FREE char *bundle = in_directory("Test.dext");
        struct news news = { .count = 0 };
        sd_bus_message *reply;
        const char *text;
        pid_t pid;
        sd_bus *bus;

        put_bundle(NULL);
        ck_assert_int_eq(daemon_start(NULL), -1);
        bus = bus_new();
        reply = reply_to(bus, call_new(bus, "LoadBundle", "s", bundle));
        ck_assert_int_eq(code_of(reply), 0);
        ck_assert_int_gt(sd_bus_message_read(reply, "ss", NULL, &text), 0);
        ck_assert_str_eq(text, "org.example.test");
        sd_bus_message_unref(reply);
        pid = host_pid(bus, find_driver(bus, &news));
        ck_assert_int_gt(pid, 1);
        load_fails(bus, bundle, kIOReturnExclusiveAccess, "org.example.test");
        reply = reply_to(bus, call_new(bus, "UnloadBundle", "s", "org.example.test"));
        ck_assert_int_eq(code_of(reply), 0);
        sd_bus_message_unref(reply);
        wait_end(pid);
        reply = reply_to(bus, call_new(bus, "UnloadBundle", "s", "org.example.test"));
        ck_assert_int_eq(code_of(reply), kIOReturnNotFound);
        sd_bus_message_unref(reply);
        sd_bus_close_unref(bus);
}
END_TEST

/* --- opening --- */

START_TEST(refused_without_entitlement)
{
        struct news news = { .count = 0 };
        char process[32];
        uint64_t connection, entry;
        sd_bus *bus;

        bus = start_and_find(false, &news, &entry);
        ck_assert_int_eq(open_service(bus, entry, 0, &connection), kIOReturnNotPermitted);
        ck_assert_uint_eq(connection, 0);
        snprintf(process, sizeof(process), "process %d (", getpid());
        ck_assert_uint_eq(log_count("refused:"), 1);
        ck_assert_uint_eq(log_count(process), 1);
        ck_assert_uint_eq(log_count("userclient-access</key><array><string>org.example.test"), 1);
        ck_assert_int_eq(open_service(bus, AMB_ENTRY_USER_RESOURCES, 0, &connection), kIOReturnUnsupported);
        ck_assert_int_eq(open_service(bus, AMB_ENTRY_ROOT, 0, &connection), kIOReturnBadArgument);
        ck_assert_int_eq(open_service(bus, 7, 0, &connection), MACH_SEND_INVALID_DEST);
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(open_and_close)
{
        struct news news = { .count = 0 };
        uint64_t connection, entry;
        sd_bus *bus;

        bus = start_and_find(true, &news, &entry);
        ck_assert_int_eq(open_service(bus, entry, 99, &connection), kIOReturnExclusiveAccess);
        for (int i = 0; i < 3; i++) {
                sd_bus_message *reply;
                struct amb_channel *channel = NULL;
                struct amb_channel_options options = { .peer_pidfd = -1 };

                ck_assert_int_eq(open_service(bus, entry, 0, &connection), 0);
                ck_assert_int_eq(amb_channel_attach(ends[0].fd, AMB_CHANNEL_APP, &options, &channel), 0);
                amb_channel_free(channel);
                reply = reply_to(bus, call_new(bus, "SubscribeInterest", "uts", 2, connection, "IOGeneralInterest"));
                ck_assert_int_eq(code_of(reply), 0);
                sd_bus_message_unref(reply);
                close_ends();
                wait_news(bus, &news, (unsigned)i + 1);
                ck_assert_uint_eq(news.entry, connection);
                ck_assert_uint_eq(news.message, AMB_MESSAGE_TERMINATED);
                sd_bus_message_unref(reply_to(bus, call_new(bus, "Unsubscribe", "u", 2)));
        }
        sd_bus_close_unref(bus);
}
END_TEST

/* --- death --- */

START_TEST(host_dies)
{
        struct news news = { .count = 0 };
        struct amb_channel_options options = { .peer_pidfd = -1 };
        struct amb_channel *channel = NULL;
        struct amb_call call = { .selector = 0 };
        uint64_t connection, entry;
        struct amb_reply answer;
        pid_t pid;
        sd_bus *bus;

        bus = start_and_find(true, &news, &entry);
        pid = host_pid(bus, entry);
        ck_assert_int_eq(open_service(bus, entry, 0, &connection), 0);
        ck_assert_int_eq(amb_channel_attach(ends[0].fd, AMB_CHANNEL_APP, &options, &channel), 0);
        kill(pid, SIGKILL);
        /* Nobody answers it, and without a pidfd only the daemon's bell can end it. */
        ck_assert_int_ne(amb_channel_call(channel, &call, &answer), 0);
        amb_channel_free(channel);
        close_ends();
        wait_news(bus, &news, 1);
        ck_assert_uint_ne(news.entry, entry);
        ck_assert_int_ne(host_pid(bus, news.entry), pid);
        ck_assert_int_eq(open_service(bus, entry, 0, &connection), MACH_SEND_INVALID_DEST);
        /* This type ends the host while the open waits for it. */
        entry = news.entry;
        ck_assert_int_eq(open_service(bus, entry, 98, &connection), MIG_SERVER_DIED);
        wait_news(bus, &news, 2);
        ck_assert_int_eq(open_service(bus, news.entry, 0, &connection), 0);
        close_ends();
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(crash_in_start)
{
        sd_bus_message *reply;
        sd_bus *bus;

        start_with_driver(false, "crash");
        bus = bus_new();
        reply = reply_to(bus, call_new(bus, "WaitQuiet", "tt", UINT64_C(0), UINT64_MAX));
        ck_assert_int_eq(code_of(reply), 0);
        sd_bus_message_unref(reply);
        ck_assert_uint_eq(log_count("launched host"), 1);
        ck_assert_uint_eq(log_count("exited with status 3"), 1);
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(stubborn_host_is_killed)
{
        struct news news = { .count = 0 };
        pid_t pid;
        sd_bus *bus;

        start_with_driver(false, "stay");
        bus = bus_new();
        pid = host_pid(bus, find_driver(bus, &news));
        sd_bus_close_unref(bus);
        daemon_signal(SIGTERM);
        ck_assert(kill(pid, 0) < 0);
        ck_assert_uint_eq(log_count("does not end within 5 s, killing it: does one of the driver's methods not return?"), 1);
}
END_TEST

START_TEST(lifetime)
{
        struct news news = { .count = 0 };
        AMB_FREE char *bundle = in_directory("Test.dext");
        char number[16];
        int life[2], status;
        pid_t pid;
        sd_bus *bus;

        put_bundle(NULL);
        ck_assert_int_eq(pipe(life), 0);
        fcntl(life[1], F_SETFD, FD_CLOEXEC);
        if (life[0] == 3)
                life[0] = dup(life[0]);
        snprintf(number, sizeof(number), "%d", life[0]);
        ck_assert_int_eq(daemon_start((char *[]){ "--dext", bundle, "--lifetime-fd", number, NULL }), -1);
        bus = bus_new();
        pid = host_pid(bus, find_driver(bus, &news));
        close(life[1]);
        ck_assert_int_eq(waitpid(daemon_pid, &status, 0), daemon_pid);
        daemon_pid = 0;
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        ck_assert(kill(pid, 0) < 0);
        close(life[0]);
        sd_bus_close_unref(bus);
}
END_TEST

/* --- the socket --- */

START_TEST(second_daemon)
{
        pid_t first;
        struct stat status;

        ck_assert_int_eq(daemon_start(NULL), -1);
        ck_assert_int_eq(stat(socket_path, &status), 0);
        ck_assert_uint_eq(status.st_mode & 0777, 0600);
        first = daemon_pid;
        ck_assert_int_eq(daemon_start(NULL), 1);
        daemon_pid = first;
        ck_assert_uint_eq(log_count("another ambidextd serves"), 1);
        sd_bus_close_unref(bus_new());
}
END_TEST

START_TEST(stale_and_foreign_files)
{
        ck_assert_int_eq(daemon_start(NULL), -1);
        daemon_signal(SIGKILL);
        ck_assert_int_eq(access(socket_path, F_OK), 0);
        ck_assert_int_eq(daemon_start(NULL), -1);
        sd_bus_close_unref(bus_new());
        daemon_signal(SIGTERM);
        put("registry", "not a socket");
        ck_assert_int_eq(daemon_start(NULL), 1);
        ck_assert_uint_eq(log_count("it is something else"), 1);
        ck_assert_int_eq(unlink(socket_path), 0);
}
END_TEST

START_TEST(open_directory_is_refused)
{
        ck_assert_int_eq(chmod(directory, 0755), 0);
        ck_assert_int_eq(daemon_start(NULL), 1);
        ck_assert_uint_eq(log_count("mode 0700"), 1);
}
END_TEST

/* --- who is trusted --- */

START_TEST(production_trusts_root_alone)
{
        AMB_FREE char *bundle = in_directory("Test.dext"), *nothing = in_directory("nothing");
        struct stat status;
        sd_bus *bus;

        production = true;
        put_bundle(NULL);
        ck_assert_int_eq(daemon_start((char *[]){ "--no-sandbox", NULL }), 1);
        ck_assert_uint_eq(log_count("developer mode alone"), 1);
        ck_assert_int_eq(daemon_start((char *[]){ "--dext-path", nothing, NULL }), -1);
        ck_assert_int_eq(stat(socket_path, &status), 0);
        ck_assert_uint_eq(status.st_mode & 0777, 0666);
        bus = bus_new();
        /* Below /tmp, where anybody can put another in its place. */
        load_fails(bus, bundle, kIOReturnNotPermitted, "writable by root alone");
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(hosts_inherit_nothing)
{
        static const char *const allowed[] = { "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "AMBIDEXT_REGISTRY=", "AMBIDEXT_HOST_",
                                               "JOURNAL_STREAM=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS=",
                                               "LSAN_OPTIONS=" };
        static const char *const hostile[] = { "LD_LIBRARY_PATH", "GCONV_PATH", "TMPDIR", "BASH_ENV", "LC_ALL", "HOME", "IFS" };
        struct news news = { .count = 0 };
        AMB_FREE char *bytes = NULL;
        size_t length, i;
        sd_bus *bus;

        for (i = 0; i < AMB_ARRAY_LENGTH(hostile); i++)
                setenv(hostile[i], "/tmp/evil", 1);
        start_with_driver(false, NULL);
        bus = bus_new();
        AMB_FREE char *path = amb_format("/proc/%d/environ", host_pid(bus, find_driver(bus, &news)));
        ck_assert_int_eq(amb_file_read(AT_FDCWD, path, 1 << 16, &bytes, &length), 0);
        for (const char *variable = bytes; variable < bytes + length; variable += strlen(variable) + 1) {
                for (i = 0; i < AMB_ARRAY_LENGTH(allowed); i++)
                        if (strncmp(variable, allowed[i], strlen(allowed[i])) == 0)
                                break;
                ck_assert_msg(i < AMB_ARRAY_LENGTH(allowed), "%s", variable);
        }
        sd_bus_close_unref(bus);
}
END_TEST

/* --- bad peers --- */

START_TEST(garbage)
{
        static const char *const openings[] = { "GET / HTTP/1.0\r\n\r\n", "AUTH ANONYMOUS\r\nBEGIN\r\n", "",
                                                "AUTH EXTERNAL 39393939\r\nBEGIN\r\n" };
        char byte;

        ck_assert_int_eq(daemon_start(NULL), -1);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(openings); i++) {
                AMB_FD fd = raw_connect();

                ck_assert_int_eq(write(fd, "", 1), 1);
                ck_assert_int_ge(write(fd, openings[i], strlen(openings[i])), 0);
                shutdown(fd, SHUT_WR);
                while (read(fd, &byte, 1) > 0)
                        ;
        }
        /* Authenticated, then bytes that are no message. */
        AMB_FD fd = raw_connect();
        static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
        ck_assert_int_eq(write(fd, hello, sizeof(hello) - 1), sizeof(hello) - 1);
        for (int i = 0; i < 64; i++)
                if (write(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8) < 0)
                        break;
        shutdown(fd, SHUT_WR);
        while (read(fd, &byte, 1) > 0)
                ;
        is_alive();
}
END_TEST

START_TEST(calls_out_of_place)
{
        static const char *const members[] = { "RegisterService", "DidStop", "ConnectionClosed" };
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *call, *reply;
        OSArray *none = OSArrayCreate();
        sd_bus *bus;

        ck_assert_int_eq(daemon_start(NULL), -1);
        bus = bus_new();
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(members); i++) {
                call = call_new(bus, members[i], "t", UINT64_C(1));
                ck_assert_int_eq(sd_bus_call(bus, call, PATIENCE, &error, NULL), -EACCES);
                sd_bus_error_free(&error);
                sd_bus_message_unref(call);
        }
        call = call_new(bus, "CheckIn", "stss", "a", UINT64_C(1), "b", "c");
        ck_assert_int_eq(sd_bus_call(bus, call, PATIENCE, NULL, NULL), -EACCES);
        sd_bus_message_unref(call);
        call = call_new(bus, "Adopt", "stss", "a", UINT64_C(1), "00000000000000000000000000000000", "c");
        ck_assert_int_eq(amb_dictionary_array_append(call, none), 0);
        reply = reply_to(bus, call);
        ck_assert_int_eq(code_of(reply), kIOReturnNotPermitted);
        sd_bus_message_unref(reply);
        /* Wrong signature, then a right one with a value that is none. */
        call = call_new(bus, "GetEntry", "s", "x");
        ck_assert_int_lt(sd_bus_call(bus, call, PATIENCE, NULL, NULL), 0);
        sd_bus_message_unref(call);
        call = call_new(bus, "FindServices", "a{sv}", 1, "IOProviderClass", "d", 1.0);
        ck_assert_int_lt(sd_bus_call(bus, call, PATIENCE, NULL, NULL), 0);
        sd_bus_message_unref(call);
        OSObject_release(none);
        is_alive();
        sd_bus_close_unref(bus);
}
END_TEST

/* Asks without end and reads nothing. */
START_TEST(answers_are_not_read)
{
        struct pollfd cut = { .events = POLLRDHUP };
        uint64_t cookie;
        sd_bus *bus;
        int r = 0;

        ck_assert_int_eq(daemon_start(NULL), -1);
        bus = bus_new();
        sd_bus_message_unref(reply_to(bus, call_new(bus, "WaitQuiet", "tt", UINT64_C(0), UINT64_C(0))));
        cut.fd = sd_bus_get_fd(bus);
        for (int i = 0; i < 1000000 && r >= 0 && poll(&cut, 1, 0) == 0; i++) {
                sd_bus_message *call = call_new(bus, "Dump", "");

                /* With a cookie: otherwise sd-bus says that no answer is wanted. */
                r = sd_bus_send(bus, call, &cookie);
                sd_bus_message_unref(call);
                if (r >= 0)
                        r = sd_bus_flush(bus);
        }
        ck_assert_uint_eq(log_count("does not read its answers"), 1);
        is_alive();
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(many_connections)
{
        enum { MANY = 300 };
        static sd_bus *buses[MANY];
        int before;

        ck_assert_int_eq(daemon_start(NULL), -1);
        is_alive();
        is_alive();
        before = daemon_fds();
        for (int round = 0; round < 3; round++) {
                for (int i = 0; i < MANY; i++)
                        buses[i] = bus_new();
                for (int i = 0; i < MANY; i++)
                        sd_bus_message_unref(reply_to(buses[i], call_new(buses[i], "WaitQuiet", "tt", UINT64_C(0),
                                                                         UINT64_C(0))));
                for (int i = 0; i < MANY; i++)
                        sd_bus_close_unref(buses[i]);
        }
        /* The daemon hears of the ends in order: this one's answer comes after them. */
        for (int i = 0; i < 1000 && daemon_fds() > before; i++)
                is_alive();
        ck_assert_int_le(daemon_fds(), before + 2);
}
END_TEST

START_TEST(out_of_descriptors)
{
        enum { MANY = 100 };
        int fds[MANY], served = 0, r = -1;

        descriptors = 64;
        ck_assert_int_eq(daemon_start(NULL), -1);
        for (int i = 0; i < MANY; i++)
                fds[i] = raw_connect();
        /* They are taken in order: when the last one has been refused, all have been decided. */
        for (int i = MANY - 1; i >= 0; i--) {
                struct pollfd end = { .fd = fds[i], .events = POLLRDHUP };

                if (i == MANY - 1)
                        ck_assert_int_eq(poll(&end, 1, (int)(PATIENCE / 1000)), 1);
                served += poll(&end, 1, 0) == 0;
        }
        ck_assert_int_gt(served, 4);
        ck_assert_int_lt(served, 64);
        for (int i = 0; i < MANY; i++)
                close(fds[i]);
        /* It goes on as soon as it has heard that they are gone. */
        for (int i = 0; i < 1000 && r < 0; i++) {
                sd_bus *bus = bus_new();
                sd_bus_message *call = call_new(bus, "WaitQuiet", "tt", UINT64_C(0), UINT64_C(0));

                r = sd_bus_call(bus, call, PATIENCE, NULL, NULL);
                sd_bus_message_unref(call);
                sd_bus_close_unref(bus);
        }
        ck_assert_int_ge(r, 0);
}
END_TEST

int main(int count, char **arguments)
{
        if (count != 3)
                return 2;
        return run_daemon_suite("daemon", arguments, dump_and_find, bad_bundles, silent_at_the_end, bad_bundle_at_start,
                                load_and_unload, refused_without_entitlement, open_and_close, host_dies, crash_in_start,
                                stubborn_host_is_killed, lifetime, second_daemon, stale_and_foreign_files,
                                open_directory_is_refused, production_trusts_root_alone, hosts_inherit_nothing, garbage,
                                calls_out_of_place, answers_are_not_read, many_connections, out_of_descriptors);
}
