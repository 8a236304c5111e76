/* SPDX-License-Identifier: Apache-2.0 */
/* Two ends of a bus in one thread, pumped in turn: both serve, both call, descriptors travel, hostile messages are refused. */
#include "base/test-process.h"
#include "base/test-suite.h"
#include "control/bus.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/base.h"
#include "control/protocol.h"

/* Runs both ends until *done, or until nothing has moved for 5 s. */
static void pump(sd_bus *one, sd_bus *other, const bool *done)
{
        while (!*done) {
                int moved = sd_bus_process(one, NULL), moved_other = sd_bus_process(other, NULL);
                struct pollfd fds[2] = { { .fd = sd_bus_get_fd(one), .events = POLLIN },
                                         { .fd = sd_bus_get_fd(other), .events = POLLIN } };

                if (moved < 0 || moved_other < 0)
                        return;
                if (moved == 0 && moved_other == 0 && poll(fds, 2, 5000) == 0)
                        return;
        }
}

/* A descriptor may be sent only once the authentication is over: sd_bus_send would wait for it, here for ourselves. */
static void authenticate(sd_bus *server, sd_bus *client)
{
        while (sd_bus_is_ready(server) <= 0 || sd_bus_is_ready(client) <= 0) {
                ck_assert_int_ge(sd_bus_process(server, NULL), 0);
                ck_assert_int_ge(sd_bus_process(client, NULL), 0);
        }
}

static int echo(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        AMB_FD fd = -1;
        const char *text;
        int r;

        r = sd_bus_message_read(m, "s", &text);
        if (r < 0)
                return r;
        r = amb_bus_read_fd(m, &fd);
        if (r < 0)
                return r;
        ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        ck_assert_int_gt(fd, STDERR_FILENO);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "ss", text, (const char *)userdata);
        if (r >= 0)
                r = amb_bus_append_fds(reply, (struct amb_named_fd[]){ { "twin", fd } }, 1);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static const sd_bus_vtable echo_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Echo", "sh", "ssa{sh}", echo, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

struct answer {
        bool done;
        char server[32];
        int fd;
};

static int answered(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct answer *answer = userdata;
        struct amb_named_fd fds[] = { { "other", -1 }, { "twin", -1 } };
        const char *text, *server;

        ck_assert_msg(!sd_bus_message_is_method_error(m, NULL), "%s", sd_bus_message_get_error(m) ?
                      sd_bus_message_get_error(m)->message : "");
        ck_assert_int_gt(sd_bus_message_read(m, "ss", &text, &server), 0);
        ck_assert_str_eq(text, "hello");
        ck_assert_int_eq(amb_bus_read_fds(m, fds, AMB_ARRAY_LENGTH(fds)), 0);
        ck_assert_int_eq(fds[0].fd, -1);
        ck_assert_int_ge(fds[1].fd, 0);
        answer->fd = fds[1].fd;
        snprintf(answer->server, sizeof(answer->server), "%s", server);
        answer->done = true;
        return 0;
}

static void call_echo(sd_bus *from, sd_bus *to, const char *path, const char *expected)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        struct answer answer = { .fd = -1 };
        struct stat sent, got;
        AMB_FD fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        ck_assert_int_eq(amb_bus_new_call(from, &call, path, "org.ambidext.Test1", "Echo"), 0);
        ck_assert_int_ge(sd_bus_message_append(call, "sh", "hello", fd), 0);
        ck_assert_int_eq(amb_bus_call_async(from, NULL, call, answered, &answer), 0);
        pump(from, to, &answer.done);
        ck_assert(answer.done);
        ck_assert_str_eq(answer.server, expected);
        ck_assert_int_eq(fstat(fd, &sent) | fstat(answer.fd, &got), 0);
        ck_assert_uint_eq(sent.st_rdev, got.st_rdev);
        ck_assert(fcntl(answer.fd, F_GETFD) & FD_CLOEXEC);
        close(answer.fd);
}

static void both_ways(int server_fd, int client_fd)
{
        AMB_CLEANUP(amb_bus_closep) sd_bus *server = NULL, *client = NULL;

        ck_assert_int_eq(amb_bus_serve(server_fd, &server), 0);
        ck_assert_int_eq(amb_bus_join(client_fd, &client), 0);
        ck_assert_int_ge(sd_bus_add_object_vtable(server, NULL, AMB_REGISTRY_PATH, "org.ambidext.Test1", echo_vtable, "daemon"),
                         0);
        ck_assert_int_ge(sd_bus_add_object_vtable(client, NULL, AMB_HOST_PATH, "org.ambidext.Test1", echo_vtable, "host"), 0);
        authenticate(server, client);
        call_echo(server, client, AMB_HOST_PATH, "host");
        call_echo(client, server, AMB_REGISTRY_PATH, "daemon");
}

START_TEST(socketpair_both_ways)
{
        int before = process_descriptors(getpid());
        int pair[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        both_ways(pair[0], pair[1]);
        ck_assert_int_eq(process_descriptors(getpid()), before);
}
END_TEST

static int listen_at(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        ck_assert_int_eq(listen(fd, 4), 0);
        return fd;
}

START_TEST(listening_socket_both_ways)
{
        char directory[] = "/tmp/ambidext-test-XXXXXX";
        AMB_CLEANUP(amb_bus_closep) sd_bus *server = NULL, *client = NULL;
        AMB_FREE char *path = NULL;
        AMB_FD listener = -1;
        char *message = NULL;

        ck_assert_ptr_nonnull(mkdtemp(directory));
        path = amb_format("%s/registry", directory);
        listener = listen_at(path);
        setenv(AMB_REGISTRY_VARIABLE, path, 1);
        ck_assert_int_eq(amb_bus_connect_registry(&client, &message), 0);
        ck_assert_int_eq(amb_bus_serve(accept4(listener, NULL, NULL, SOCK_CLOEXEC), &server), 0);
        unlink(path);
        rmdir(directory);
        ck_assert_int_ge(sd_bus_add_object_vtable(server, NULL, AMB_REGISTRY_PATH, "org.ambidext.Test1", echo_vtable, "daemon"),
                         0);
        ck_assert_int_ge(sd_bus_add_object_vtable(client, NULL, AMB_HOST_PATH, "org.ambidext.Test1", echo_vtable, "host"), 0);
        authenticate(server, client);
        call_echo(server, client, AMB_HOST_PATH, "host");
        call_echo(client, server, AMB_REGISTRY_PATH, "daemon");
}
END_TEST

START_TEST(nobody_there)
{
        char directory[] = "/tmp/ambidext-test-XXXXXX", *message = NULL;
        AMB_FREE char *path = NULL;
        int before = process_descriptors(getpid());
        sd_bus *bus = NULL;

        ck_assert_ptr_nonnull(mkdtemp(directory));
        path = amb_format("%s/registry", directory);
        ck_assert_int_eq(amb_bus_connect_path(path, &bus, &message), -ENOENT);
        ck_assert_ptr_nonnull(strstr(message, path));
        ck_assert_ptr_nonnull(strstr(message, "start ambidextd"));
        free(message);
        close(listen_at(path));
        ck_assert_int_eq(amb_bus_connect_path(path, &bus, &message), -ECONNREFUSED);
        ck_assert_ptr_nonnull(strstr(message, path));
        free(message);
        unlink(path);
        rmdir(directory);
        ck_assert_int_eq(amb_bus_connect_path(path, &bus, NULL), -ENOENT);
        ck_assert_ptr_null(bus);
        ck_assert_int_eq(process_descriptors(getpid()), before);
}
END_TEST

START_TEST(path_too_long)
{
        char path[200], *message = NULL;
        sd_bus *bus = NULL;

        memset(path, 'a', sizeof(path) - 1);
        path[0] = '/';
        path[sizeof(path) - 1] = '\0';
        ck_assert_int_eq(amb_bus_connect_path(path, &bus, &message), -ENAMETOOLONG);
        ck_assert_ptr_nonnull(strstr(message, "107"));
        free(message);
}
END_TEST

/* Root alone can be someone else's server: a child that has dropped its uid listens, we are not root for it either. */
START_TEST(foreign_server)
{
        char directory[] = "/tmp/ambidext-test-XXXXXX", *message = NULL;
        AMB_FREE char *path = NULL;
        AMB_FD listener = -1;
        sd_bus *bus = NULL;
        int r;

        ck_assert_ptr_nonnull(mkdtemp(directory));
        path = amb_format("%s/registry", directory);
        if (geteuid() != 0) {
                rmdir(directory);
                return;
        }
        chmod(directory, 0777);
        ck_assert_int_eq(seteuid(65534), 0);
        listener = listen_at(path);
        ck_assert_int_eq(seteuid(0), 0);
        r = amb_bus_connect_path(path, &bus, &message);
        unlink(path);
        rmdir(directory);
        ck_assert_int_eq(r, -EPERM);
        ck_assert_ptr_nonnull(strstr(message, "not trusted"));
        free(message);
}
END_TEST

START_TEST(paths)
{
        char *path;

        setenv(AMB_REGISTRY_VARIABLE, "/a/b", 1);
        path = amb_registry_path();
        ck_assert_str_eq(path, "/a/b");
        free(path);
        unsetenv(AMB_REGISTRY_VARIABLE);
        setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
        path = amb_registry_path();
        ck_assert_str_eq(path, "/run/user/7/ambidext/registry");
        free(path);
        setenv("XDG_RUNTIME_DIR", "relative", 1);
        path = amb_registry_path();
        ck_assert_str_eq(path, "/run/ambidext/registry");
        free(path);
}
END_TEST

/* A call in progress ends when the other end goes away. */
START_TEST(peer_goes)
{
        AMB_CLEANUP(amb_bus_closep) sd_bus *client = NULL;
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int pair[2], r;

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        ck_assert_int_eq(amb_bus_join(pair[1], &client), 0);
        ck_assert_int_eq(amb_bus_new_call(client, &call, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, "Dump"), 0);
        close(pair[0]);
        r = amb_bus_call(client, call, NULL, NULL);
        ck_assert_msg(r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE, "%s", strerror(-r));
}
END_TEST

/* Messages that never were on a wire: sealed here, read here. */
static sd_bus_message *message_with(sd_bus *bus, const char *types, ...)
{
        sd_bus_message *m = NULL;
        va_list arguments;

        ck_assert_int_eq(amb_bus_new_call(bus, &m, AMB_HOST_PATH, AMB_HOST_INTERFACE, "Test"), 0);
        va_start(arguments, types);
        ck_assert_int_ge(sd_bus_message_appendv(m, types, arguments), 0);
        va_end(arguments);
        ck_assert_int_ge(sd_bus_message_seal(m, 1, 0), 0);
        ck_assert_int_ge(sd_bus_message_rewind(m, true), 0);
        return m;
}

START_TEST(hostile_descriptors)
{
        AMB_CLEANUP(amb_bus_closep) sd_bus *client = NULL, *server = NULL;
        struct amb_named_fd fds[] = { { "channel", -1 }, { "side", -1 } };
        sd_bus_message *m;
        int pair[2], fd = -1;
        int before;

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        ck_assert_int_eq(amb_bus_serve(pair[0], &server), 0);
        ck_assert_int_eq(amb_bus_join(pair[1], &client), 0);
        authenticate(server, client);
        before = process_descriptors(getpid());

        m = message_with(client, "a{sh}", 2, "channel", 0, "channel", 0);
        ck_assert_int_eq(amb_bus_read_fds(m, fds, 2), -EBADMSG);
        ck_assert_int_eq(fds[0].fd, -1);
        sd_bus_message_unref(m);

        m = message_with(client, "a{su}", 1, "channel", 0);
        ck_assert_int_eq(amb_bus_read_fds(m, fds, 2), -EBADMSG);
        sd_bus_message_unref(m);

        m = message_with(client, "u", 3);
        ck_assert_int_eq(amb_bus_read_fd(m, &fd), -EBADMSG);
        ck_assert_int_eq(fd, -1);
        sd_bus_message_unref(m);

        m = message_with(client, "a{sh}", 2, "unknown", 0, "side", 1);
        ck_assert_int_eq(amb_bus_read_fds(m, fds, 2), 0);
        ck_assert_int_eq(fds[0].fd, -1);
        ck_assert_int_gt(fds[1].fd, STDERR_FILENO);
        close(fds[1].fd);
        sd_bus_message_unref(m);
        ck_assert_int_eq(process_descriptors(getpid()), before);
}
END_TEST

int main(void)
{
        return run_suite("bus", socketpair_both_ways, listening_socket_both_ways, nobody_there, path_too_long, foreign_server,
                         paths, peer_goes, hostile_descriptors);
}
