/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's host side: its end, a service's end, and an application that breaks the rules. Rows of call-path 6.4 and 6.9. */
#include "base/test-suite.h"
#include "driver/test-app.h"

/* A close and a death in the middle of a call: the call returns, then Stop. */
START_TEST(ends_mid_call)
{
        struct amb_side_message request = { .kind = AMB_SIDE_CLOSE, .serial = 1000 }, answer;
        struct amb_reply reply = { .status = 1 };
        pthread_t caller;
        int fd;

        open_connection(true);
        pthread_create(&caller, NULL, blocked_call, &reply);
        signal_wait(&entered, 1);
        if (_i == 0)
                ck_assert_int_eq(amb_side_send(app.side, &request, -1, true), 0);
        else
                amb_connection_app_gone(app.connection);
        ck_assert_int_eq(signal_count(&stopped), 0);
        signal_add(&go);
        pthread_join(caller, NULL);
        ck_assert_int_eq(reply.status, 0);
        if (_i == 0) {
                ck_assert_int_eq(amb_side_receive(app.side, true, &answer, &fd), 0);
                ck_assert_uint_eq(answer.serial, 1000);
        }
        ck_assert_int_eq(amb_side_receive(app.side, true, &answer, &fd), AMB_SIDE_END);
        expect_end();
}
END_TEST

/* Refused at once, also when idle; a mapping too. After Stop nothing of the driver's is left, although the app has not closed. */
START_TEST(refused_after_termination)
{
        struct amb_call c = { .selector = ADD };
        struct amb_side_message answer;
        struct amb_reply reply;

        open_connection(_i == 1);
        known_as(1);
        call(&c);
        ck_assert(!amb_connection_serves(app.connection, 7));
        ck_assert(amb_connection_serves(app.connection, 1));
        amb_connection_refuse(app.connection);
        ck_assert(amb_channel_terminated(app.channel));
        ck_assert_int_eq(amb_channel_call(app.channel, &c, &reply), AMB_CHANNEL_TERMINATED);
        answer = ask(AMB_SIDE_MAP, 0, 0, 0, -1, NULL);
        ck_assert(answer.code == 0 && answer.flags == AMB_SIDE_TERMINATED && answer.size == 0 && answer.identity == 0);
        answer = ask(AMB_SIDE_UNMAP, 0, 0, 0, -1, NULL);
        ck_assert(answer.code == 0 && answer.flags == AMB_SIDE_TERMINATED);
        stop_known(1);
        signal_wait(&freed, 1);
        close_connection();
}
END_TEST

START_TEST(terminated_in_call)
{
        struct amb_reply reply = { .status = 1 };
        pthread_t caller;

        open_connection(true);
        known_as(1);
        pthread_create(&caller, NULL, blocked_call, &reply);
        signal_wait(&entered, 1);
        amb_connection_refuse(app.connection);
        if (_i == 0)
                stop_in_call = false;
        signal_add(&go);
        pthread_join(caller, NULL);
        ck_assert_int_eq(reply.status, 0);
        if (_i == 0)
                stop_known(1);
        close_connection();
}
END_TEST

/* Each of these gets the application cut off, and nothing else. */
static void breach(int which)
{
        struct amb_side_message m = { .kind = AMB_SIDE_LOANS, .serial = 1 };
        struct amb_call c = { .selector = STRUCT, .flags = AMB_CALL_RANGE_IN, .range_in = { 5, 0, 5000 } };
        struct amb_reply reply;
        int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING), pipes[2], pair[2];

        ck_assert_int_eq(ftruncate(fd, 4096), 0);
        ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
        switch (which) {
        case 0:         /* the second of its kind */
                ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
                ck_assert_int_eq(ask(AMB_SIDE_LOANS, 0, 0, 0, pair[0], NULL).code, 0);
                dup2(pair[1], fd);
                break;
        case 1:         /* no socket */
                break;
        case 2:         /* a socket of another kind */
                ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
                dup2(pair[0], fd);
                break;
        case 3:         /* a port that is a pipe */
                m = (struct amb_side_message){ .kind = AMB_SIDE_PORT, .serial = 1 };
                dup2(pipes[1], fd);
                break;
        case 4:         /* a descriptor where none belongs */
                m = (struct amb_side_message){ .kind = AMB_SIDE_MAP, .serial = 1 };
                break;
        case 5:         /* unknown */
                m = (struct amb_side_message){ .kind = 63, .serial = 1 };
                fd = -1;
                break;
        case 6:         /* truncated */
                ck_assert_int_eq(send(app.side, &m, 10, 0), 10);
                return;
        case 7:         /* empty */
                send(app.side, &m, 0, 0);
                return;
        case 8:         /* calls that name memory as only the host does, nobody does, or outside its first page */
        case 9:
        case 10:
                c.range_in.id = which == 8 ? AMB_LOAN_HOST_TICKET | 1 : which == 9 ? 0 : 5;
                c.range_in.offset = which == 10 ? IOVMPageSize : 0;
                (void)amb_channel_call(app.channel, &c, &reply);
                return;
        case 11:        /* a trap's name that could shrink while it is read */
                m = (struct amb_side_message){ .kind = AMB_SIDE_TRAP, .serial = 1, .size = 4 };
                ck_assert_int_eq(ftruncate(fd, 4), 0);
                break;
        case 12:        /* one longer than any name */
                m = (struct amb_side_message){ .kind = AMB_SIDE_TRAP, .serial = 1, .size = AMB_SIDE_NAME_MAX + 1 };
                break;
        case 13:        /* one of another length than it says */
                fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
                m = (struct amb_side_message){ .kind = AMB_SIDE_TRAP, .serial = 1, .size = 4 };
                break;
        }
        ck_assert_int_eq(amb_side_send(app.side, &m, fd, true), 0);
}

START_TEST(breaches)
{
        struct amb_side_message answer;
        int fd;

        open_connection(false);
        breach(_i);
        ck_assert_int_eq(amb_side_receive(app.side, true, &answer, &fd), AMB_SIDE_END);
        expect_end();
}
END_TEST

static void *call_until_over(void *context)
{
        uint64_t in[1] = { 1 }, out[1];
        struct amb_call c = { .selector = ADD, .scalars = in, .scalar_count = 1, .scalars_out = out, .scalar_capacity = 1 };
        struct amb_reply reply;
        int r;

        do {
                signal_add(&entered);
                r = amb_channel_call(app.channel, &c, &reply);
        } while (r == 0);
        ck_assert_msg(r == AMB_CHANNEL_PEER_DIED || r == AMB_CHANNEL_CLOSED, "%d", r);
        ck_assert_int_eq(amb_channel_call(app.channel, &c, &reply), AMB_CHANNEL_CLOSED);
        return NULL;
}

/*
 * An app that is cut off does not wait for answers that nobody gives any more, though the driver holds something of the
 * connection's; and what that is for still works.
 */
START_TEST(told_that_calls_are_over)
{
        struct amb_call c = { .selector = KEEP, .flags = AMB_CALL_ASYNC, .port = 3 };
        struct amb_completion done;
        pthread_t caller;
        int port;

        open_connection(false);
        give_port(3, &port);
        ck_assert_int_eq(call(&c).status, 0);
        OSObject_retain(app.client);
        pthread_create(&caller, NULL, call_until_over, NULL);
        signal_wait(&entered, 10);
        breach(6);
        pthread_join(caller, NULL);
        signal_wait(&connection_ended, 1);
        IOUserClient_AsyncCompletion(&app.client->client, app.client->kept, 77, NULL, 0);
        ck_assert_int_eq(amb_channel_completion_next(app.channel, &done), 0);
        ck_assert_int_eq(done.status, 77);
        ck_assert_int_eq(amb_channel_completion_next(app.channel, &done), AMB_CHANNEL_EMPTY);
        OSObject_release(app.client);
        close(port);
        expect_end();
}
END_TEST

static void *map_in(void *context)
{
        struct amb_call c = { .selector = MAP_IN, .flags = AMB_CALL_RANGE_IN, .range_in = { 1, 0, 5000 } };

        *(struct amb_reply *)context = call(&c);
        return NULL;
}

/*
 * Nobody answers what is asked of the memory (0), there is no socket to ask over (1), or the application dies while it is asked
 * (2).
 */
START_TEST(unanswered)
{
        struct amb_call c = { .selector = MAP_IN, .flags = AMB_CALL_RANGE_IN, .range_in = { 1, 0, 5000 } };
        struct amb_side_message answer;
        struct amb_reply reply = { 0 };
        struct amb_loan_message question;
        struct pollfd pollfd = { .events = POLLIN };
        pthread_t caller;
        int pair[2], fd;

        if (_i != 2)
                amb_borrow_wait_ns = 100000000;
        open_connection(true);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        if (_i != 1)
                ck_assert_int_eq(ask(AMB_SIDE_LOANS, 0, 0, 0, pair[1], NULL).code, 0);
        close(pair[1]);
        if (_i == 2) {
                pthread_create(&caller, NULL, map_in, &reply);
                pollfd.fd = pair[0];
                ck_assert_int_eq(poll(&pollfd, 1, -1), 1);
                ck_assert_int_eq(amb_loan_receive(pair[0], &question, &fd), 0);
                close(pair[0]);
                pthread_join(caller, NULL);
                ck_assert_int_eq(reply.status, kIOReturnError);
                close_connection();
                return;
        }
        if (_i == 1) {
                ck_assert_int_eq(call(&c).status, kIOReturnError);
                close_connection();
                close(pair[0]);
                return;
        }
        /* The reply of a call whose application is cut off may or may not get there. */
        if (amb_channel_call(app.channel, &c, &reply) == 0)
                ck_assert_int_eq(reply.status, kIOReturnError);
        ck_assert_int_eq(amb_side_receive(app.side, true, &answer, &fd), AMB_SIDE_END);
        expect_end();
        close(pair[0]);
}
END_TEST

int main(void)
{
        TCase *tcase = test_case("ending", told_that_calls_are_over);

        tcase_add_loop_test(tcase, ends_mid_call, 0, 2);
        tcase_add_loop_test(tcase, refused_after_termination, 0, 2);
        tcase_add_loop_test(tcase, terminated_in_call, 0, 2);
        tcase_add_loop_test(tcase, breaches, 0, 14);
        tcase_add_loop_test(tcase, unanswered, 0, 3);
        return run_cases("ending", tcase);
}
