/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Death of the daemon, also at a bad moment: the next one takes over what lives. Arguments: ambidextd, test-host.
 */
#include "daemon/test-tool.h"

#include <sched.h>

START_TEST(daemon_dies)
{
        struct news news = { .count = 0 }, later = { .count = 0 };
        uint64_t connection, entry;
        pid_t pid;
        sd_bus *bus;

        bus = start_and_find(true, &news, &entry);
        pid = host_pid(bus, entry);
        daemon_signal(SIGKILL);
        sd_bus_close_unref(bus);
        ck_assert_int_eq(kill(pid, 0), 0);
        AMB_FREE char *policy = in_directory("policy");
        ck_assert_int_eq(daemon_start((char *[]){ "--policy", policy, NULL }), -1);
        bus = bus_new();
        ck_assert_uint_eq(find_driver(bus, &later), entry);
        ck_assert_int_eq(host_pid(bus, entry), pid);
        ck_assert_uint_eq(log_count("launched host"), 1);
        ck_assert_uint_eq(log_count("took over host"), 1);
        ck_assert_int_eq(open_service(bus, entry, 0, &connection), 0);
        ck_assert_uint_gt(connection, entry);
        close_ends();
        /* It is watched as one of its own. */
        kill(pid, SIGKILL);
        wait_news(bus, &later, 1);
        ck_assert_uint_gt(later.entry, entry);
        sd_bus_close_unref(bus);
}
END_TEST

/* Daemon and host die: the next daemon does not wait for that host. */
START_TEST(both_die)
{
        struct news news = { .count = 0 }, later = { .count = 0 };
        uint64_t entry;
        pid_t pid;
        sd_bus *bus;

        bus = start_and_find(false, &news, &entry);
        pid = host_pid(bus, entry);
        daemon_signal(SIGKILL);
        sd_bus_close_unref(bus);
        kill(pid, SIGKILL);
        wait_end(pid);
        ck_assert_int_eq(daemon_start(NULL), -1);
        bus = bus_new();
        ck_assert_uint_gt(find_driver(bus, &later), entry);
        sd_bus_close_unref(bus);
}
END_TEST

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

        bus = start_and_find(true, &news, &entry);
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

        bus = start_and_find(false, &news, &entry);
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

        bus = start_and_find(false, &news, &entry);
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

        bus = start_and_find(false, &news, &entry);
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

        bus = start_and_find(true, &news, &entry);
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

int main(int count, char **arguments)
{
        if (count != 3)
                return 2;
        amb_fd_limit_raise();
        return run_daemon_suite("daemon-takeover", arguments, daemon_dies, both_die, many_connections_are_taken_over,
                                not_quiet_before_all_have_reported, stopped_host_is_replaced, daemon_dies_again_and_again,
                                daemon_dies_during_a_launch, far_id_is_refused, rubbish_in_the_state, death_after_a_takeover);
}
