/* SPDX-License-Identifier: Apache-2.0 */
/* The channel does what its header says: values, limits, order, ends. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "base/test-suite.h"
#include "channel/test-pair.h"

/* One call on a thread of its own. */
struct job {
        struct amb_channel *app;
        struct amb_call call;
        struct amb_reply reply;
        int r;
        pthread_t thread;
        uint32_t done;
};

static void *job_run(void *data)
{
        struct job *job = data;

        job->r = amb_channel_call(job->app, &job->call, &job->reply);
        amb_exchange(&job->done, 1);
        return NULL;
}

static void job_start(struct job *job, struct amb_channel *app)
{
        job->app = app;
        ck_assert_int_eq(pthread_create(&job->thread, NULL, job_run, job), 0);
}

static int job_end(struct job *job)
{
        pthread_join(job->thread, NULL);
        return job->r;
}

static void wait_for_sleeps(struct amb_channel *channel, uint64_t sleeps)
{
        struct amb_channel_counters counters;

        do {
                sched_yield();
                amb_channel_counters(channel, &counters);
        } while (counters.sleeps < sleeps);
}

START_TEST(values)
{
        struct pair pair;

        pair_make(&pair, NULL, NULL);
        pair_serve(&pair);
        for (uint32_t in = 0; in <= 16; ++in)
                for (uint32_t out = 0; out <= 16; ++out)
                        ask(pair.app, in * 17 + out, in, out, 0, 0, in * 100 + out);
        for (uint32_t size = 0; size <= 4096; size += size < 70 || size > 4030 ? 1 : 61)
                ask(pair.app, size, size % 17, size % 5, size, 4096 - size, size);
        ask(pair.app, 0xE00002C2, 3, 3, 17, 17, 1);
        ask(pair.app, 0xFFFFFFFF, 0, 0, 0, 4096, 2);
        ck_assert_int_eq(pair_serve_end(&pair), AMB_CHANNEL_CLOSED);
        pair_free(&pair);
}
END_TEST

START_TEST(fields)
{
        struct job job = { .call = {
                .selector = 7, .flags = AMB_CALL_ASYNC | AMB_CALL_RANGE_IN | AMB_CALL_RANGE_OUT, .port = 63,
                .range_in = { 1, 2, 3, 4 }, .range_out = { 0xFFFFFFFF, UINT64_MAX, UINT64_MAX - 1, 5 },
                .reference = { 10, 11, 12, 13, 14, 15, 16, 17 },
        } };
        struct amb_result result = { .flags = AMB_REPLY_IN_RETAINED | AMB_REPLY_OUT_RETAINED };
        struct amb_request request;
        uint8_t bytes[AMB_CHANNEL_BYTES];
        struct pair pair;

        pair_make(&pair, NULL, NULL);
        job_start(&job, pair.app);
        ck_assert_int_eq(amb_channel_receive(pair.host, &request, bytes), 0);
        ck_assert_uint_eq(request.selector, 7);
        ck_assert_uint_eq(request.flags, job.call.flags);
        ck_assert_uint_eq(request.port, 63);
        ck_assert_uint_eq(request.range_in.id, 1);
        ck_assert_uint_eq(request.range_in.offset, 2);
        ck_assert_uint_eq(request.range_in.length, 3);
        ck_assert_uint_eq(request.range_out.id, 0xFFFFFFFF);
        ck_assert_uint_eq(request.range_out.offset, UINT64_MAX);
        ck_assert_uint_eq(request.range_out.length, UINT64_MAX - 1);
        ck_assert_mem_eq(request.reference, job.call.reference, sizeof(request.reference));
        ck_assert_int_eq(amb_channel_reply(pair.host, &request, &result), 0);
        ck_assert_int_eq(amb_channel_reply(pair.host, &request, &result), -EALREADY);
        ck_assert_int_eq(job_end(&job), 0);
        ck_assert_uint_eq(job.reply.flags, AMB_REPLY_IN_RETAINED | AMB_REPLY_OUT_RETAINED);

        /* Variable output; and nothing of the last call is left in a plain one. */
        job.call = (struct amb_call){ .selector = UINT32_MAX, .capacity = AMB_CHANNEL_VARIABLE };
        job_start(&job, pair.app);
        ck_assert_int_eq(amb_channel_receive(pair.host, &request, bytes), 0);
        ck_assert_uint_eq(request.selector, UINT32_MAX);
        ck_assert_uint_eq(request.capacity, AMB_CHANNEL_VARIABLE);
        ck_assert_uint_eq(request.flags | request.port, 0);
        for (unsigned i = request.scalar_count; i < AMB_CHANNEL_SCALARS; ++i)
                ck_assert_uint_eq(request.scalars[i], 0);
        result = (struct amb_result){ .flags = AMB_REPLY_LARGE | AMB_REPLY_BYTES, .out_region = 99, .length = UINT64_C(1) << 40 };
        ck_assert_int_eq(amb_channel_reply(pair.host, &request, &result), 0);
        ck_assert_int_eq(job_end(&job), 0);
        ck_assert_uint_eq(job.reply.out_region, 99);
        ck_assert_uint_eq(job.reply.length, UINT64_C(1) << 40);
        pair_free(&pair);
}
END_TEST

START_TEST(limits)
{
        const struct amb_call bad[] = {
                { .scalar_count = 17 }, { .scalar_capacity = 17 }, { .size = 4097 }, { .capacity = 4097 },
                { .capacity = 0xFFFFFFFE }, { .flags = AMB_CALL_ASYNC, .capacity = AMB_CHANNEL_VARIABLE },
                { .flags = AMB_CALL_ASYNC, .port = 64 }, { .flags = 8 }, { .flags = AMB_CALL_RANGE_IN, .size = 1 },
                { .flags = AMB_CALL_RANGE_OUT, .capacity = 1 },
        };
        const struct amb_result unfit[] = {
                { .scalar_count = 3 }, { .size = 9, .flags = AMB_REPLY_BYTES }, { .size = 1 }, { .flags = 32 },
                { .flags = AMB_REPLY_TERMINATED | AMB_REPLY_BYTES }, { .flags = AMB_REPLY_TERMINATED, .status = 1 },
                { .flags = AMB_REPLY_LARGE }, { .size = UINT32_MAX, .flags = AMB_REPLY_BYTES },
        };
        struct job job = { .call = { .scalar_capacity = 2, .capacity = 8 } };
        struct amb_completion completion = { .port = 64 };
        struct amb_channel_counters counters;
        struct amb_request request;
        struct amb_reply reply;
        uint8_t bytes[AMB_CHANNEL_BYTES];
        struct pair pair;

        pair_make(&pair, NULL, NULL);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(bad); ++i)
                ck_assert_int_eq(amb_channel_call(pair.app, &bad[i], &reply), -EINVAL);
        amb_channel_counters(pair.app, &counters);
        ck_assert_uint_eq(counters.calls, 0);
        job_start(&job, pair.app);
        ck_assert_int_eq(amb_channel_receive(pair.host, &request, bytes), 0);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(unfit); ++i)
                ck_assert_int_eq(amb_channel_reply(pair.host, &request, &unfit[i]), -EINVAL);
        ck_assert_int_eq(amb_channel_reply(pair.host, &request, &(struct amb_result){ .status = -5, .scalar_count = 99 }), 0);
        ck_assert_int_eq(job_end(&job), 0);
        ck_assert_int_eq(job.reply.status, -5);
        ck_assert_uint_eq(job.reply.scalar_count, 0);
        ck_assert_int_eq(amb_channel_complete(pair.host, &completion), -EINVAL);
        completion = (struct amb_completion){ .count = 17 };
        ck_assert_int_eq(amb_channel_complete(pair.host, &completion), -EINVAL);
        pair_free(&pair);
}
END_TEST

/* Requests arrive in the order of the calls; answers may go in any order; a call beyond the slots waits for one and for no more. */
START_TEST(more_calls_than_slots)
{
        enum { CALLS = AMB_CHANNEL_SLOTS + 6 };
        static struct job jobs[CALLS];
        static struct amb_request requests[CALLS];
        struct amb_channel_counters counters;
        uint8_t bytes[AMB_CHANNEL_BYTES];
        uint64_t number;
        struct pair pair;

        pair_make(&pair, NULL, NULL);
        for (unsigned i = 0; i < AMB_CHANNEL_SLOTS; ++i) {
                jobs[i].call = (struct amb_call){ .selector = i };
                job_start(&jobs[i], pair.app);
                ck_assert_int_eq(amb_channel_receive(pair.host, &requests[i], bytes), 0);
                ck_assert_uint_eq(requests[i].selector, i);
        }
        for (unsigned i = AMB_CHANNEL_SLOTS; i < CALLS; ++i) {
                jobs[i].call = (struct amb_call){ .selector = i };
                job_start(&jobs[i], pair.app);
        }
        wait_for_sleeps(pair.app, AMB_CHANNEL_SLOTS);
        amb_channel_counters(pair.app, &counters);
        ck_assert_uint_eq(counters.calls, AMB_CHANNEL_SLOTS);
        for (unsigned i = 0; i < CALLS - AMB_CHANNEL_SLOTS; ++i) {
                number = 40 - i;                /* backwards */
                ck_assert_int_eq(amb_channel_reply(pair.host, &requests[number], &(struct amb_result){ 0 }), 0);
                ck_assert_int_eq(job_end(&jobs[number]), 0);
                ck_assert_int_eq(amb_channel_receive(pair.host, &requests[AMB_CHANNEL_SLOTS + i], bytes), 0);
        }
        amb_channel_counters(pair.host, &counters);
        ck_assert_uint_eq(counters.calls, CALLS);
        amb_channel_close(pair.host);
        for (unsigned i = 0; i < CALLS; ++i)
                if (i <= 40 - (CALLS - AMB_CHANNEL_SLOTS) || i > 40)
                        ck_assert_int_eq(job_end(&jobs[i]), AMB_CHANNEL_PEER_DIED);
        pair_free(&pair);
}
END_TEST

/* --- completions --- */

static struct amb_completion completion_make(uint64_t number)
{
        struct amb_completion completion = { .port = number % 64, .status = (int32_t)mix(number), .count = number % 17 };

        for (unsigned i = 1; i < AMB_CHANNEL_REFERENCES; ++i)
                completion.reference[i] = i < 3 || number % 3 == 0 ? mix(number + i) : 0;
        for (unsigned i = 0; i < completion.count; ++i)
                completion.args[i] = number + i;
        return completion;
}

static void completion_expect(struct amb_channel *app, uint64_t number)
{
        struct amb_completion expected = completion_make(number), found;

        ck_assert_int_eq(amb_channel_completion_next(app, &found), 0);
        ck_assert_uint_eq(found.port, expected.port);
        ck_assert_int_eq(found.status, expected.status);
        ck_assert_uint_eq(found.count, expected.count);
        ck_assert_mem_eq(found.reference, expected.reference, sizeof(found.reference));
        ck_assert_mem_eq(found.args, expected.args, sizeof(found.args));
}

START_TEST(completions_overflow)
{
        const uint64_t most = AMB_CHANNEL_OVERFLOW_BYTES / 32 + AMB_LAYOUT_COMPLETIONS;
        struct amb_channel_counters counters;
        struct amb_completion completion;
        struct pair pair;
        uint64_t sent = 0, taken = 0;

        pair_make(&pair, NULL, NULL);
        ck_assert_int_eq(amb_channel_completion_next(pair.app, &completion), AMB_CHANNEL_EMPTY);
        for (;; ++sent) {
                int r;

                completion = completion_make(sent);
                completion.reference[0] = 5;    /* always arrives as 0 */
                r = amb_channel_complete(pair.host, &completion);
                if (r == AMB_CHANNEL_DROPPED)
                        break;
                ck_assert_int_eq(r, 0);
                ck_assert_uint_lt(sent, most);
        }
        ck_assert_uint_ge(sent, AMB_CHANNEL_OVERFLOW_LEAST);
        amb_channel_counters(pair.host, &counters);
        ck_assert_uint_eq(counters.overflowed, sent - AMB_LAYOUT_COMPLETIONS);
        ck_assert_uint_eq(counters.dropped, 1);
        /* Room again, once a block has been emptied: new ones go behind those that wait. */
        while (taken < 4096) {
                completion_expect(pair.app, taken++);
                amb_channel_flush(pair.host);
        }
        for (unsigned i = 0; i < 10; ++i, ++sent) {
                completion = completion_make(sent);
                ck_assert_int_eq(amb_channel_complete(pair.host, &completion), 0);
        }
        while (taken < sent) {
                completion_expect(pair.app, taken++);
                amb_channel_flush(pair.host);
        }
        ck_assert_int_eq(amb_channel_completion_next(pair.app, &completion), AMB_CHANNEL_EMPTY);
        amb_channel_close(pair.host);
        ck_assert_int_eq(amb_channel_complete(pair.host, &completion), AMB_CHANNEL_CLOSED);
        ck_assert_int_eq(amb_channel_completion_next(pair.app, &completion), AMB_CHANNEL_NO_MORE);
        ck_assert(!amb_channel_completion_arm(pair.app, 0));
        pair_free(&pair);
}
END_TEST

static void write_wake(void *userdata, uint32_t port)
{
        (void)port;
        ck_assert_int_eq(eventfd_write(*(int *)userdata, 1), 0);
}

/* The thread in receive moves what was kept as soon as the app has drained, although nobody calls and the reader sleeps. */
START_TEST(completions_drained_kick)
{
        enum { ROUNDS = 50, COUNT = 1000 };
        int port = eventfd(0, EFD_CLOEXEC);
        struct amb_channel_options options = { .peer_pidfd = -1, .wake = write_wake, .userdata = &port };
        struct amb_completion completion;
        struct pair pair;
        uint64_t taken = 0;
        eventfd_t events;
        int r;

        pair_make(&pair, NULL, &options);
        pair_serve(&pair);
        for (unsigned round = 1; round <= ROUNDS; ++round) {
                for (uint64_t i = 0; i < COUNT; ++i) {
                        completion = (struct amb_completion){ .port = 3, .count = 1, .args = { taken + i } };
                        ck_assert_int_eq(amb_channel_complete(pair.host, &completion), 0);
                }
                while (taken < (uint64_t)round * COUNT) {
                        r = amb_channel_completion_next(pair.app, &completion);
                        if (r == 0)
                                ck_assert_uint_eq(completion.args[0], taken++);
                        else if (amb_channel_completion_arm(pair.app, 3))
                                ck_assert_int_eq(eventfd_read(port, &events), 0);
                }
        }
        ck_assert_int_eq(pair_serve_end(&pair), AMB_CHANNEL_CLOSED);
        pair_free(&pair);
        close(port);
}
END_TEST

/* Several at once: as many as there are and are wanted; a bad one behind good ones takes none of them away. */
START_TEST(completions_taken_at_once)
{
        struct amb_completion completions[16], completion;
        struct pair pair;
        uint32_t count;

        pair_make(&pair, NULL, NULL);
        ck_assert(!amb_channel_completion_waits(pair.app));
        ck_assert_int_eq(amb_channel_completions_take(pair.app, completions, 16, &count), AMB_CHANNEL_EMPTY);
        ck_assert_uint_eq(count, 0);
        for (uint64_t i = 0; i < 40; ++i) {
                completion = completion_make(i);
                ck_assert_int_eq(amb_channel_complete(pair.host, &completion), 0);
        }
        pair.memory->completions[39].port = 0xFF;
        for (uint64_t i = 0; i < 39; i += count) {
                ck_assert(amb_channel_completion_waits(pair.app));
                ck_assert_int_eq(amb_channel_completions_take(pair.app, completions, 16, &count), 0);
                ck_assert_uint_eq(count, i < 32 ? 16 : 7);
                for (uint32_t k = 0; k < count; ++k) {
                        completion = completion_make(i + k);
                        ck_assert_mem_eq(completions[k].args, completion.args, sizeof(completion.args));
                        ck_assert_mem_eq(completions[k].reference, completion.reference, sizeof(completion.reference));
                        ck_assert_uint_eq(completions[k].port, completion.port);
                }
        }
        ck_assert_int_eq(amb_channel_completions_take(pair.app, completions, 16, &count), AMB_CHANNEL_BROKEN);
        ck_assert_uint_eq(count, 0);
        ck_assert_int_eq(amb_channel_completions_take(pair.app, completions, 16, &count), AMB_CHANNEL_NO_MORE);
        pair_free(&pair);
}
END_TEST

static void *complete_many(void *data)
{
        struct amb_completion completion = { .count = 1 };

        for (; completion.args[0] < 200000; ++completion.args[0])
                while (amb_channel_complete(data, &completion) == AMB_CHANNEL_DROPPED)
                        sched_yield();
        return NULL;
}

/* The ring is full or nearly so all the time: nothing overtakes what is kept. */
START_TEST(completions_order_under_pressure)
{
        struct amb_completion completion;
        pthread_t producer;
        struct pair pair;
        uint64_t taken = 0;

        pair_make(&pair, NULL, NULL);
        pair_serve(&pair);
        ck_assert_int_eq(pthread_create(&producer, NULL, complete_many, pair.host), 0);
        while (taken < 200000)
                if (amb_channel_completion_next(pair.app, &completion) == 0 && completion.args[0] != taken++)
                        ck_abort_msg("%lu instead of %lu", completion.args[0], taken - 1);
        pthread_join(producer, NULL);
        pair_serve_end(&pair);
        pair_free(&pair);
}
END_TEST

static void count_wake(void *userdata, uint32_t port)
{
        ((unsigned *)userdata)[port]++;
}

START_TEST(completions_wake_who_is_armed)
{
        unsigned woken[64] = { 0 };
        struct amb_channel_options options = { .peer_pidfd = -1, .wake = count_wake, .userdata = woken };
        struct amb_completion completion = { .port = 5 };
        struct pair pair;

        pair_make(&pair, NULL, &options);
        ck_assert_int_eq(amb_channel_complete(pair.host, &completion), 0);
        ck_assert_uint_eq(woken[5], 0);
        ck_assert(!amb_channel_completion_arm(pair.app, 5));            /* something is there */
        ck_assert_int_eq(amb_channel_completion_next(pair.app, &completion), 0);
        ck_assert(amb_channel_completion_arm(pair.app, 5));
        ck_assert(amb_channel_completion_arm(pair.app, 63));
        completion.port = 6;
        ck_assert_int_eq(amb_channel_complete(pair.host, &completion), 0);
        ck_assert_uint_eq(woken[5] + woken[6] + woken[63], 0);
        for (unsigned i = 0; i < 3; ++i) {
                completion.port = 63;
                ck_assert_int_eq(amb_channel_complete(pair.host, &completion), 0);
                ck_assert_uint_eq(woken[63], 1);
        }
        completion.port = 5;
        ck_assert_int_eq(amb_channel_complete(pair.host, &completion), 0);
        ck_assert_uint_eq(woken[5], 1);
        ck_assert(!amb_channel_completion_arm(pair.app, 64));
        pair_free(&pair);
}
END_TEST

/* --- ends --- */

START_TEST(shutdown_of_the_host_while_it_waits)
{
        struct amb_channel_counters counters;
        struct pair pair;

        for (unsigned i = 0; i < 50; ++i) {
                pair_make(&pair, NULL, NULL);
                pair_serve(&pair);
                if (i % 2)
                        wait_for_sleeps(pair.host, 1);
                ck_assert_int_eq(pair_serve_end(&pair), AMB_CHANNEL_CLOSED);
                amb_channel_counters(pair.host, &counters);
                ck_assert_uint_le(counters.sleeps, 1);          /* an idle host is not woken */
                pair_free(&pair);
        }
}
END_TEST

START_TEST(shutdown_of_the_app_while_it_waits)
{
        struct amb_reply reply;
        struct job job = { 0 };
        struct pair pair;

        pair_make(&pair, NULL, NULL);
        job_start(&job, pair.app);
        wait_for_sleeps(pair.app, 1);
        amb_channel_shutdown(pair.app);
        ck_assert_int_eq(job_end(&job), AMB_CHANNEL_PEER_DIED);
        ck_assert_int_eq(amb_channel_call(pair.app, &job.call, &reply), AMB_CHANNEL_CLOSED);
        pair_free(&pair);
}
END_TEST

/* Nobody takes calls any more: who has sent one is told, and so is who waits for a slot; completions go on until the close. */
START_TEST(end_of_the_calls)
{
        enum { CALLS = AMB_CHANNEL_SLOTS + 1 };
        static struct job jobs[CALLS];
        struct amb_completion completion = { .count = 1, .args = { 7 } };
        struct pair pair;

        pair_make(&pair, NULL, NULL);
        for (unsigned i = 0; i < CALLS; ++i)
                job_start(&jobs[i], pair.app);
        wait_for_sleeps(pair.app, AMB_CHANNEL_SLOTS);
        amb_channel_shutdown(pair.host);
        amb_channel_end_calls(pair.host);
        for (unsigned i = 0; i < CALLS; ++i) {
                int r = job_end(&jobs[i]);

                ck_assert_msg(r == AMB_CHANNEL_PEER_DIED || r == AMB_CHANNEL_CLOSED, "%d", r);
        }
        job_start(&jobs[0], pair.app);
        ck_assert_int_eq(job_end(&jobs[0]), AMB_CHANNEL_CLOSED);
        ck_assert_int_eq(amb_channel_completion_next(pair.app, &completion), AMB_CHANNEL_EMPTY);
        ck_assert(amb_channel_completion_arm(pair.app, 0));
        ck_assert_int_eq(amb_channel_complete(pair.host, &completion), 0);
        ck_assert_int_eq(amb_channel_completion_next(pair.app, &completion), 0);
        ck_assert_uint_eq(completion.args[0], 7);
        amb_channel_close(pair.host);
        amb_channel_end_calls(pair.host);       /* takes nothing back */
        ck_assert_int_eq(amb_channel_completion_next(pair.app, &completion), AMB_CHANNEL_NO_MORE);
        pair_free(&pair);
}
END_TEST

/* What was answered before the end counts. */
START_TEST(close_after_the_answer)
{
        struct amb_request request;
        struct amb_completion completion = { .count = 1 };
        uint8_t bytes[AMB_CHANNEL_BYTES];
        struct job answered = { 0 }, unanswered = { 0 };
        struct amb_reply reply;
        struct pair pair;

        pair_make(&pair, NULL, NULL);
        job_start(&answered, pair.app);
        ck_assert_int_eq(amb_channel_receive(pair.host, &request, bytes), 0);
        wait_for_sleeps(pair.app, 1);
        job_start(&unanswered, pair.app);
        wait_for_sleeps(pair.app, 2);
        ck_assert_int_eq(amb_channel_complete(pair.host, &completion), 0);
        ck_assert_int_eq(amb_channel_reply(pair.host, &request, &(struct amb_result){ 0 }), 0);
        amb_channel_close(pair.host);
        ck_assert_int_eq(job_end(&answered), 0);
        ck_assert_int_eq(job_end(&unanswered), AMB_CHANNEL_PEER_DIED);
        ck_assert_int_eq(amb_channel_call(pair.app, &answered.call, &reply), AMB_CHANNEL_CLOSED);
        ck_assert_int_eq(amb_channel_completion_next(pair.app, &completion), 0);
        ck_assert_int_eq(amb_channel_completion_next(pair.app, &completion), AMB_CHANNEL_NO_MORE);
        pair_free(&pair);
}
END_TEST

/* Nobody rings, nobody closes: the caller learns of the death from the pidfd, also while signals cut its sleeps short. */
static void ignore(int number)
{
        (void)number;
}

START_TEST(host_death_by_pidfd)
{
        struct amb_channel_options options = { 0 };
        struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { 0 };
        struct job job = { 0 };
        sigset_t alarm;
        struct amb_reply reply;
        struct pair pair;
        pid_t child;
        int status;

        child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                for (;;)
                        pause();
        }
        options.peer_pidfd = (int)syscall(SYS_pidfd_open, child, 0);
        ck_assert_int_ge(options.peer_pidfd, 0);
        pair_make(&pair, &options, NULL);
        job_start(&job, pair.app);
        wait_for_sleeps(pair.app, 3);           /* looked, found it alive, slept on */
        if (_i) {
                /* To the caller's thread alone, and without restarting its sleep. */
                sigemptyset(&alarm);
                sigaddset(&alarm, SIGALRM);
                ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &alarm, NULL), 0);
                ck_assert_int_eq(sigaction(SIGALRM, &(struct sigaction){ .sa_handler = ignore }, NULL), 0);
                setitimer(ITIMER_REAL, &often, NULL);
        }
        kill(child, SIGKILL);
        ck_assert_int_eq(job_end(&job), AMB_CHANNEL_PEER_DIED);
        setitimer(ITIMER_REAL, &never, NULL);
        ck_assert_int_eq(amb_channel_call(pair.app, &job.call, &reply), AMB_CHANNEL_CLOSED);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        amb_fd_close(options.peer_pidfd);
        pair_free(&pair);
}
END_TEST

START_TEST(host_death_by_bell)
{
        static struct job jobs[AMB_CHANNEL_SLOTS + 3];
        struct amb_completion completion;
        struct amb_bell *bell;
        struct pair pair;
        uint64_t before;

        pair_make(&pair, NULL, NULL);
        ck_assert_int_eq(amb_bell_map(pair.fd, &bell), 0);
        for (unsigned i = 0; i < AMB_ARRAY_LENGTH(jobs); ++i)
                job_start(&jobs[i], pair.app);
        wait_for_sleeps(pair.app, AMB_CHANNEL_SLOTS);
        before = amb_time_now();
        amb_bell_ring_dead(bell);
        for (unsigned i = 0; i < AMB_ARRAY_LENGTH(jobs); ++i) {
                job_end(&jobs[i]);
                ck_assert(jobs[i].r == AMB_CHANNEL_PEER_DIED || jobs[i].r == AMB_CHANNEL_CLOSED);
        }
        ck_assert_uint_lt(amb_time_now() - before, UINT64_C(10000000000));
        ck_assert_int_eq(amb_channel_completion_next(pair.app, &completion), AMB_CHANNEL_NO_MORE);
        amb_bell_unmap(bell);
        pair_free(&pair);
}
END_TEST

START_TEST(forked_child_is_cut_off)
{
        struct amb_completion completion;
        struct amb_reply reply;
        struct pair pair, own;
        int status;
        pid_t child;

        pair_make(&pair, NULL, NULL);
        pair_serve(&pair);
        ask(pair.app, 1, 2, 2, 100, 100, 1);
        child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                bool good = amb_channel_call(pair.app, &(struct amb_call){ 0 }, &reply) == AMB_CHANNEL_CLOSED;

                good &= amb_channel_completion_next(pair.app, &completion) == AMB_CHANNEL_NO_MORE;
                good &= !amb_channel_completion_arm(pair.app, 0);
                amb_channel_shutdown(pair.app);
                amb_channel_free(pair.app);
                /* A channel of its own works; the inherited ones stay dead. */
                pair_make(&own, NULL, NULL);
                pair_serve(&own);
                ask(own.app, 1, 2, 2, 100, 100, 1);
                pair_serve_end(&own);
                good &= amb_channel_call(pair.host, &(struct amb_call){ 0 }, &reply) == AMB_CHANNEL_CLOSED;
                pair_free(&own);
                _exit(good ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        ask(pair.app, 1, 2, 2, 100, 100, 1);
        pair_serve_end(&pair);
        pair_free(&pair);
}
END_TEST

/* --- the fd --- */

static int memfd_make(off_t size, int seals)
{
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(ftruncate(fd, size), 0);
        ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

static void refused(int fd)
{
        struct amb_channel *channel;
        struct amb_bell *bell;

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(amb_channel_attach(fd, AMB_CHANNEL_HOST, NULL, &channel), AMB_CHANNEL_REFUSED);
        ck_assert_int_eq(amb_channel_attach(fd, AMB_CHANNEL_APP, NULL, &channel), AMB_CHANNEL_REFUSED);
        ck_assert_int_eq(amb_bell_map(fd, &bell), AMB_CHANNEL_REFUSED);
        close(fd);
}

START_TEST(wrong_fds_are_refused)
{
        const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
        const off_t size = sizeof(struct amb_layout);
        char path[64];
        int good, pipes[2];

        refused(memfd_make(size, F_SEAL_SHRINK | F_SEAL_GROW));
        refused(memfd_make(size, F_SEAL_SHRINK | F_SEAL_SEAL));
        refused(memfd_make(size, F_SEAL_GROW | F_SEAL_SEAL));
        refused(memfd_make(size, all | F_SEAL_FUTURE_WRITE));
        refused(memfd_make(size, all | F_SEAL_WRITE));
        refused(memfd_make(size - 1, all));
        refused(memfd_make(size + 1, all));
        refused(memfd_make(0, all));
        refused(open("/dev/zero", O_RDWR | O_CLOEXEC));
        refused(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        refused(open("/", O_PATH | O_CLOEXEC));
        ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
        refused(pipes[0]);
        refused(pipes[1]);
        good = memfd_make(size, all);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", good);
        refused(open(path, O_RDONLY | O_CLOEXEC));
        close(good);
}
END_TEST

START_TEST(created_fd)
{
        struct stat st;
        int fd;

        ck_assert_int_eq(amb_channel_create(&fd), 0);
        ck_assert_int_eq(fstat(fd, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
        ck_assert_int_eq(st.st_blocks, 0);
        ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        ck_assert_int_eq(ftruncate(fd, 0), -1);
        ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
        close(fd);
}
END_TEST

/* A connection with one caller keeps to a handful of pages, however many calls it makes. */
START_TEST(footprint)
{
        struct stat st;
        struct pair pair;

        pair_make(&pair, NULL, NULL);
        pair_serve(&pair);
        for (unsigned i = 0; i < 300; ++i)
                ask(pair.app, i, i % 17, i % 17, 0, 0, i);
        ck_assert_int_eq(fstat(pair.fd, &st), 0);
        ck_assert_int_le(st.st_blocks * 512, 3 * 4096);
        pair_serve_end(&pair);
        pair_free(&pair);
}
END_TEST

int main(void)
{
        TCase *tcase = test_case("channel", values, fields, limits, more_calls_than_slots, completions_overflow,
                                 completions_taken_at_once, completions_drained_kick, completions_order_under_pressure,
                                 completions_wake_who_is_armed, shutdown_of_the_host_while_it_waits,
                                 shutdown_of_the_app_while_it_waits, end_of_the_calls, close_after_the_answer, host_death_by_bell,
                                 forked_child_is_cut_off, wrong_fds_are_refused, created_fd, footprint);

        tcase_add_loop_test(tcase, host_death_by_pidfd, 0, 2);
        return run_cases("channel", tcase);
}
