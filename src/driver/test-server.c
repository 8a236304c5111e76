/* SPDX-License-Identifier: Apache-2.0 */
/* What the server watches of its connections; the test is the control thread, and the applications. No daemon. */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "control/bus.h"
#include "driver/server.h"
#include "driver/test-app.h"

static struct amb_server server = {
        .name = "test",
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .ended = PTHREAD_COND_INITIALIZER,
        .control = PTHREAD_MUTEX_INITIALIZER,
};

static void server_begin(void)
{
        ck_assert_int_ge(sd_event_new(&server.event), 0);
        server.sides = epoll_create1(EPOLL_CLOEXEC);
        ck_assert_int_ge(server.sides, 0);
        amb_list_init(&server.posts);
        amb_list_init(&server.connections);
        amb_list_init(&server.refused);
        amb_list_init(&server.awake);
        amb_list_init(&server.leaving);
        amb_list_init(&server.after_loading);
        amb_list_init(&server.terminations);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(server.apps); i++)
                amb_list_init(&server.apps[i]);
}

static void server_end(void)
{
        sd_event_unref(server.event);
        close(server.sides);
}

static pid_t process_begin(int *ret_pidfd)
{
        pid_t pid = fork();

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);       /* a test that fails leaves no process */
                for (;;)
                        pause();
        }
        ck_assert_int_gt(pid, 0);
        *ret_pidfd = pidfd_open(pid, 0);
        ck_assert_int_ge(*ret_pidfd, 0);
        return pid;
}

struct end {
        struct amb_connection *connection;
        int side;                       /* the application's, which never closes */
};

static struct end connect_process(int pidfd)
{
        struct amb_connection_options options = { .id = 1, .process = fcntl(pidfd, F_DUPFD_CLOEXEC, 0), .ended = on_ended };
        Client *client = (Client *)amb_object_new(OSTypeID(Client));
        struct end end;
        int pair[2];

        ck_assert_int_eq(amb_channel_create(&options.channel), 0);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        options.side = pair[1];
        end.side = pair[0];
        ck_assert_int_eq(amb_connection_new(&options, &end.connection), 0);
        ck_assert_int_eq(amb_server_watch(&server, end.connection), 0);
        amb_connection_start(end.connection, &client->client);
        OSObject_release(client);
        return end;
}

static void disconnect(struct end *end)
{
        amb_server_connection_ended(&server, end->connection);
        close(end->side);
}

/* Whose process has ended while it was opened ends, too, also where another connection of that process has told of it before. */
START_TEST(opened_after_death)
{
        enum { TWENTY_SECONDS = 20000000 };
        int pidfd;
        pid_t pid;

        server_begin();
        pid = process_begin(&pidfd);
        struct end first = connect_process(pidfd);
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        ck_assert_int_gt(sd_event_run(server.event, TWENTY_SECONDS), 0);
        signal_wait(&connection_ended, 1);
        struct end second = connect_process(pidfd);
        ck_assert_int_gt(sd_event_run(server.event, TWENTY_SECONDS), 0);
        signal_wait(&connection_ended, 2);
        ck_assert_int_eq(signal_count(&stopped), 2);
        disconnect(&first);
        disconnect(&second);
        ck_assert(!amb_server_has_connections(&server));
        close(pidfd);
        server_end();
}
END_TEST

int main(void)
{
        return run_suite("driver-server", opened_after_death);
}
