/* SPDX-License-Identifier: Apache-2.0 */
/* A terminated user client, and completions that are kept while no thread of the host's is in receive. */
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "base/test-suite.h"
#include "channel/test-pair.h"

enum { KEPT = 5000 };

struct flusher {
        struct pair *pair;
        pthread_t thread;
        int pidfd;
        _Atomic unsigned started, ended;
};

static void *flush(void *data)
{
        struct flusher *flusher = data;

        amb_channel_flush_all(flusher->pair->host, flusher->pidfd);
        flusher->ended++;
        return NULL;
}

static bool start(void *data)
{
        struct flusher *flusher = data;

        if (flusher->started > 0)
                pthread_join(flusher->thread, NULL);
        flusher->started++;
        return pthread_create(&flusher->thread, NULL, flush, flusher) == 0;
}

static void flusher_make(struct flusher *flusher, struct pair *pair)
{
        struct amb_channel_options options = { .peer_pidfd = -1, .kept = start, .userdata = flusher };

        *flusher = (struct flusher){ .pair = pair, .pidfd = -1 };
        pair_make_one_mapping(pair, &options);
}

static void complete(struct pair *pair, uint64_t from, uint64_t count, uint32_t port)
{
        struct amb_completion completion = { .port = port, .count = 1 };

        for (uint64_t i = from; i < from + count; ++i) {
                completion.args[0] = i;
                ck_assert_int_eq(amb_channel_complete(pair->host, &completion), 0);
        }
}

/* Reads as an application does: what is there, then the ring's next look. */
static void take(struct pair *pair, uint64_t from, uint64_t count)
{
        struct amb_completion completion;
        uint64_t taken = from;
        int r;

        while (taken < from + count) {
                r = amb_channel_completion_next(pair->app, &completion);
                if (r == AMB_CHANNEL_EMPTY) {
                        sched_yield();
                        continue;
                }
                ck_assert_int_eq(r, 0);
                ck_assert_uint_eq(completion.args[0], taken++);
        }
}

/* No thread is in receive: 0, none ever was; 1, its time is over; 2, it is busy with a call. */
START_TEST(kept_without_receive)
{
        struct amb_completion completion;
        struct amb_request request;
        uint8_t bytes[AMB_CHANNEL_BYTES];
        struct flusher flusher;
        struct pair pair;

        flusher_make(&flusher, &pair);
        if (_i == 1) {
                amb_channel_shutdown(pair.host);
                ck_assert_int_eq(amb_channel_receive(pair.host, &request, bytes), AMB_CHANNEL_CLOSED);
        } else if (_i == 2) {
                amb_channel_terminate(pair.host);
                ck_assert_int_eq(amb_channel_receive(pair.host, &request, bytes), AMB_CHANNEL_TERMINATED);
        }
        for (unsigned round = 0; round < 20; ++round) {
                complete(&pair, round * KEPT, KEPT, 1);
                take(&pair, round * KEPT, KEPT);
        }
        ck_assert_int_eq(amb_channel_completion_next(pair.app, &completion), AMB_CHANNEL_EMPTY);
        ck_assert_uint_gt(flusher.started, 0);
        pthread_join(flusher.thread, NULL);
        ck_assert_uint_eq(flusher.ended, flusher.started);
        pair_free(&pair);
}
END_TEST

/*
 * Nobody will read what is kept: it is let go, and its thread ends. 0: the app detached. 1: it died. 2: its port is gone. 3: close.
 */
START_TEST(kept_for_nobody)
{
        struct amb_completion completion = { .port = 1 };
        struct flusher flusher;
        struct pair pair;
        pid_t child = 0;

        flusher_make(&flusher, &pair);
        if (_i == 1) {
                child = fork();
                ck_assert_int_ge(child, 0);
                if (child == 0)
                        for (;;)
                                pause();
                flusher.pidfd = (int)syscall(SYS_pidfd_open, child, 0);
                ck_assert_int_ge(flusher.pidfd, 0);
        }
        complete(&pair, 0, KEPT, 1);
        switch (_i) {
        case 0:
                pair.app = amb_channel_free(pair.app);
                break;
        case 1:
                ck_assert_int_eq(kill(child, SIGKILL), 0);
                ck_assert_int_eq(waitpid(child, NULL, 0), child);
                break;
        case 2:
                amb_channel_forget(pair.host, 2);
                ck_assert_uint_eq(flusher.ended, 0);
                amb_channel_forget(pair.host, 1);
                break;
        case 3:
                amb_channel_close(pair.host);
                break;
        }
        pthread_join(flusher.thread, NULL);
        ck_assert_uint_eq(flusher.started, 1);
        if (_i != 2)
                ck_assert_int_eq(amb_channel_complete(pair.host, &completion), AMB_CHANNEL_CLOSED);
        pair_free(&pair);
        amb_fd_close(flusher.pidfd);
}
END_TEST

/* One port of two is destroyed: the other one's completions are all there, in order. */
START_TEST(forgets_one_port)
{
        struct amb_completion completion;
        struct pair pair;
        uint64_t next = 0;

        pair_make(&pair, NULL, NULL);
        for (uint64_t i = 0; i < 1000; ++i) {
                complete(&pair, i, 1, 1 | 7 << 8);
                complete(&pair, i, 1, 1 | 8 << 8);
        }
        amb_channel_forget(pair.host, 1 | 7 << 8);
        while (next < 1000) {
                amb_channel_flush(pair.host);
                while (amb_channel_completion_next(pair.app, &completion) == 0) {
                        if (completion.port == (1 | 7 << 8)) {
                                ck_assert_uint_lt(completion.args[0], AMB_LAYOUT_COMPLETIONS);  /* was in the ring already */
                                continue;
                        }
                        ck_assert_uint_eq(completion.port, 1 | 8 << 8);
                        ck_assert_uint_eq(completion.args[0], next++);
                }
        }
        pair_free(&pair);
}
END_TEST

struct waiting {
        struct pair *pair;
        struct amb_reply reply;
        int result;
};

static void *call_once(void *data)
{
        struct waiting *waiting = data;
        struct amb_call call = { .selector = 1 };

        waiting->result = amb_channel_call(waiting->pair->app, &call, &waiting->reply);
        return NULL;
}

/*
 * A call in progress gets the driver's answer, one that is on its way TERMINATED, and so does every later one. A driver may say
 * 0x10000003.
 */
START_TEST(terminated)
{
        struct amb_result answer = { .status = 0x10000003 }, gone = { .flags = AMB_REPLY_TERMINATED };
        struct amb_request first, second;
        struct waiting one, two;
        uint8_t bytes[AMB_CHANNEL_BYTES];
        pthread_t threads[2];
        struct pair pair;

        pair_make_one_mapping(&pair, NULL);
        one = two = (struct waiting){ .pair = &pair };
        ck_assert_int_eq(pthread_create(&threads[0], NULL, call_once, &one), 0);
        ck_assert_int_eq(amb_channel_receive(pair.host, &first, bytes), 0);
        ck_assert_int_eq(pthread_create(&threads[1], NULL, call_once, &two), 0);
        ck_assert_int_eq(amb_channel_receive(pair.host, &second, bytes), 0);
        ck_assert(!amb_channel_terminated(pair.app));
        amb_channel_terminate(pair.host);
        amb_channel_terminate(pair.host);
        ck_assert(amb_channel_terminated(pair.app));
        ck_assert_int_eq(amb_channel_reply(pair.host, &second, &gone), 0);
        ck_assert_int_eq(amb_channel_reply(pair.host, &first, &answer), 0);
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
        ck_assert_int_eq(one.result, 0);
        ck_assert_int_eq(one.reply.status, 0x10000003);
        ck_assert_int_eq(two.result, AMB_CHANNEL_TERMINATED);
        call_once(&one);
        ck_assert_int_eq(one.result, AMB_CHANNEL_TERMINATED);
        ck_assert_int_eq(amb_channel_receive(pair.host, &first, bytes), AMB_CHANNEL_TERMINATED);
        complete(&pair, 0, 3, 1);
        take(&pair, 0, 3);
        amb_channel_shutdown(pair.host);
        ck_assert_int_eq(amb_channel_receive(pair.host, &first, bytes), AMB_CHANNEL_CLOSED);
        pair_free(&pair);
}
END_TEST

static void *receive_ends(void *data)
{
        struct pair *pair = data;
        struct amb_request request;
        uint8_t bytes[AMB_CHANNEL_BYTES];
        unsigned said = 0;
        int r;

        while ((r = amb_channel_receive(pair->host, &request, bytes)) != AMB_CHANNEL_CLOSED) {
                said += r == AMB_CHANNEL_TERMINATED;
                if (r == 0)
                        answer(pair->host, &request, bytes);
        }
        pair->server_result = (int)said;
        return NULL;
}

/* An idle thread hears of it, once, whenever it lies down. */
START_TEST(terminated_while_it_waits)
{
        struct pair pair;

        for (unsigned round = 0; round < 300; ++round) {
                pair_make_one_mapping(&pair, NULL);
                ck_assert_int_eq(pthread_create(&pair.server, NULL, receive_ends, &pair), 0);
                if (round % 3 == 1)
                        sched_yield();
                else if (round % 3 == 2)
                        poll(NULL, 0, 1);
                amb_channel_terminate(pair.host);
                amb_channel_shutdown(pair.host);
                pthread_join(pair.server, NULL);
                ck_assert_int_le(pair.server_result, 1);
                pair_free(&pair);
        }
}
END_TEST

int main(void)
{
        TCase *tests = test_case("channel-ends", forgets_one_port, terminated, terminated_while_it_waits);

        tcase_add_loop_test(tests, kept_without_receive, 0, 3);
        tcase_add_loop_test(tests, kept_for_nobody, 0, 4);
        return run_cases("channel-ends", tests);
}
