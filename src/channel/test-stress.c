/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many threads on one channel, with pauses of random length below the time of a wake-up: no lost wake-up, no lost or mixed-up
 * answer, no lost or reordered completion. Both roles live on one mapping, so that the thread sanitizer sees what they do to each
 * other (suite tsan).
 */
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include "base/test-suite.h"
#include "channel/private.h"
#include "channel/test-pair.h"

enum { CALLERS = 6, WORKERS = 2, READERS = 2, RUN_NS = 700000000 };

struct stress {
        struct pair pair;
        uint64_t deadline;
        uint32_t stop;                          /* callers are done */
        uint64_t moved;                         /* calls answered and completions taken */
        uint64_t calls, sent, taken;

        /* Requests that the receiving thread left to the workers. */
        pthread_mutex_t lock;
        pthread_cond_t filled;
        struct amb_request queue[AMB_CHANNEL_SLOTS];
        uint8_t bytes[AMB_CHANNEL_SLOTS][AMB_CHANNEL_BYTES];
        unsigned queued;
        bool closed;

        /* The app's readers sleep on this, as on an eventfd, until the host's wake callback. */
        pthread_mutex_t port_lock;
        pthread_cond_t port_woken;
        uint64_t port_wakes;
        uint32_t reading;

        /* The alarm. */
        pthread_mutex_t alarm_lock;
        pthread_cond_t alarm_end;
        bool alarm_over;
};

static uint64_t random_next(uint64_t *state)
{
        return mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}

static void pause_a_little(uint64_t *state)
{
        uint64_t word = random_next(state), end = word % 8 ? word >> 8 & 63 : word >> 8 & 4095;

        for (volatile uint64_t i = 0; i < end; ++i)
                ;
}

static void *call_many(void *data)
{
        struct stress *stress = data;
        uint64_t state = (uintptr_t)&state ^ amb_time_now(), word;

        while (amb_time_now() < stress->deadline) {
                word = random_next(&state);
                ask(stress->pair.app, (uint32_t)(word >> 32), word % 17, (word >> 5) % 17, word & 0x400 ? (word >> 12) % 4097 : 0,
                    word & 0x800 ? (word >> 20) % 4097 : 0, word);
                __atomic_fetch_add(&stress->moved, 1, __ATOMIC_RELAXED);
                __atomic_fetch_add(&stress->calls, 1, __ATOMIC_RELAXED);
                pause_a_little(&state);
        }
        return NULL;
}

/* One number after the other: the readers see a sequence without gaps. */
static void complete_next(struct stress *stress, uint64_t *state)
{
        struct amb_completion completion = { .port = 9, .count = 1 + random_next(state) % 16 };
        static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

        completion.reference[random_next(state) % 7 + 1] = 1;
        pthread_mutex_lock(&order);
        completion.args[0] = stress->sent++;
        ck_assert_int_eq(amb_channel_complete(stress->pair.host, &completion), 0);
        pthread_mutex_unlock(&order);
}

static void *work(void *data)
{
        struct stress *stress = data;
        uint64_t state = (uintptr_t)&state;
        struct amb_request request;
        uint8_t bytes[AMB_CHANNEL_BYTES];

        for (;;) {
                pthread_mutex_lock(&stress->lock);
                while (!stress->queued && !stress->closed)
                        pthread_cond_wait(&stress->filled, &stress->lock);
                if (!stress->queued) {
                        pthread_mutex_unlock(&stress->lock);
                        return NULL;
                }
                request = stress->queue[--stress->queued];
                memcpy(bytes, stress->bytes[stress->queued], sizeof(bytes));
                pthread_mutex_unlock(&stress->lock);
                pause_a_little(&state);
                complete_next(stress, &state);
                answer(stress->pair.host, &request, bytes);
        }
}

static void *receive_many(void *data)
{
        struct stress *stress = data;
        uint64_t state = 5;
        struct amb_request request;
        uint8_t bytes[AMB_CHANNEL_BYTES];
        int r;

        while ((r = amb_channel_receive(stress->pair.host, &request, bytes)) == 0) {
                if (random_next(&state) % 2) {
                        pause_a_little(&state);
                        if (random_next(&state) % 16 == 0)
                                for (unsigned i = 0; i < 80; ++i)       /* more than the ring holds */
                                        complete_next(stress, &state);
                        answer(stress->pair.host, &request, bytes);
                        continue;
                }
                pthread_mutex_lock(&stress->lock);
                stress->queue[stress->queued] = request;
                memcpy(stress->bytes[stress->queued++], bytes, sizeof(bytes));
                pthread_cond_signal(&stress->filled);
                pthread_mutex_unlock(&stress->lock);
        }
        pthread_mutex_lock(&stress->lock);
        stress->closed = true;
        pthread_cond_broadcast(&stress->filled);
        pthread_mutex_unlock(&stress->lock);
        stress->pair.server_result = r;
        return NULL;
}

static void port_wake(void *userdata, uint32_t port)
{
        struct stress *stress = userdata;

        ck_assert_uint_eq(port, 9);
        pthread_mutex_lock(&stress->port_lock);
        stress->port_wakes++;
        pthread_cond_broadcast(&stress->port_woken);
        pthread_mutex_unlock(&stress->port_lock);
}

static void *read_many(void *data)
{
        struct stress *stress = data;
        struct amb_completion completion;
        uint64_t seen, last = 0;
        int r;

        for (;;) {
                r = amb_channel_completion_next(stress->pair.app, &completion);
                if (r == AMB_CHANNEL_NO_MORE)
                        return NULL;
                if (r == 0) {
                        /* Two readers: each sees a rising part; together they count every one. */
                        ck_assert_uint_ge(completion.args[0] + 1, last + (last != 0));
                        last = completion.args[0] + 1;
                        __atomic_fetch_add(&stress->taken, 1, __ATOMIC_RELAXED);
                        __atomic_fetch_add(&stress->moved, 1, __ATOMIC_RELAXED);
                        continue;
                }
                ck_assert_int_eq(r, AMB_CHANNEL_EMPTY);
                pthread_mutex_lock(&stress->port_lock);
                seen = stress->port_wakes;
                pthread_mutex_unlock(&stress->port_lock);
                if (!amb_channel_completion_arm(stress->pair.app, 9))
                        continue;
                pthread_mutex_lock(&stress->port_lock);
                while (stress->port_wakes == seen)
                        pthread_cond_wait(&stress->port_woken, &stress->port_lock);
                pthread_mutex_unlock(&stress->port_lock);
        }
}

/* "Nobody moved for a second": the sign of a lost wake-up. */
static void *watch(void *data)
{
        struct stress *stress = data;
        uint64_t before = 0, now;
        struct timespec until;

        pthread_mutex_lock(&stress->alarm_lock);
        while (!stress->alarm_over) {
                clock_gettime(CLOCK_MONOTONIC, &until);
                until.tv_sec += 1;
                if (pthread_cond_clockwait(&stress->alarm_end, &stress->alarm_lock, CLOCK_MONOTONIC, &until) == 0)
                        continue;
                now = amb_load(&stress->moved);
                if (now == before && !stress->alarm_over) {
                        fprintf(stderr, "nobody moved for a second: %lu calls, %lu of %lu completions\n", amb_load(&stress->calls),
                                amb_load(&stress->taken), amb_load(&stress->sent));
                        abort();
                }
                before = now;
        }
        pthread_mutex_unlock(&stress->alarm_lock);
        return NULL;
}

/* Ends the readers only when all completions are there: a lost one is the alarm's business. */
static void finish(struct stress *stress)
{
        struct amb_channel_counters counters;

        do {
                sched_yield();
                amb_channel_counters(stress->pair.app, &counters);
        } while (counters.completions < stress->sent);
        amb_channel_shutdown(stress->pair.host);
}

/* The calling thread, and those that it makes, have one CPU from now on. */
static void one_cpu(void)
{
        cpu_set_t all, one;

        ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
        CPU_ZERO(&one);
        for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); ++i)
                if (CPU_ISSET(i, &all))
                        CPU_SET(i, &one);
        ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
}

/* 0: wherever they like. 1: who calls and who reads completions on one CPU. 2: all on one CPU. */
START_TEST(stress)
{
        static struct stress stress = {
                .lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER,
                .port_lock = PTHREAD_MUTEX_INITIALIZER, .port_woken = PTHREAD_COND_INITIALIZER,
                .alarm_lock = PTHREAD_MUTEX_INITIALIZER, .alarm_end = PTHREAD_COND_INITIALIZER,
        };
        struct amb_channel_options options = { .peer_pidfd = -1, .wake = port_wake, .userdata = &stress };
        pthread_t callers[CALLERS], workers[WORKERS], readers[READERS], receiver, watcher;

        if (_i == 2)
                one_cpu();
        pair_make_one_mapping(&stress.pair, &options);
        stress.deadline = amb_time_now() + RUN_NS;
        pthread_create(&watcher, NULL, watch, &stress);
        pthread_create(&receiver, NULL, receive_many, &stress);
        for (unsigned i = 0; i < WORKERS; ++i)
                pthread_create(&workers[i], NULL, work, &stress);
        if (_i == 1)
                one_cpu();
        for (unsigned i = 0; i < READERS; ++i)
                pthread_create(&readers[i], NULL, read_many, &stress);
        for (unsigned i = 0; i < CALLERS; ++i)
                pthread_create(&callers[i], NULL, call_many, &stress);
        for (unsigned i = 0; i < CALLERS; ++i)
                pthread_join(callers[i], NULL);
        finish(&stress);
        pthread_join(receiver, NULL);
        for (unsigned i = 0; i < WORKERS; ++i)
                pthread_join(workers[i], NULL);
        amb_channel_close(stress.pair.host);
        port_wake(&stress, 9);
        for (unsigned i = 0; i < READERS; ++i)
                pthread_join(readers[i], NULL);
        pthread_mutex_lock(&stress.alarm_lock);
        stress.alarm_over = true;
        pthread_cond_signal(&stress.alarm_end);
        pthread_mutex_unlock(&stress.alarm_lock);
        pthread_join(watcher, NULL);
        ck_assert_int_eq(stress.pair.server_result, AMB_CHANNEL_CLOSED);
        ck_assert_uint_eq(stress.taken, stress.sent);
        ck_assert_uint_gt(stress.calls, 100);
        pair_free(&stress.pair);
}
END_TEST

/* The host's process of the next test: answers until the channel is shut down by the end of its parent's calls. */
static void answer_calls(struct amb_channel *host, unsigned calls)
{
        struct amb_request request;
        uint8_t bytes[AMB_CHANNEL_BYTES];
        uint64_t state = 3;

        while (calls-- > 0) {
                if (amb_channel_receive(host, &request, bytes) != 0)
                        _exit(1);
                for (volatile uint64_t end = random_next(&state) % 16384; end > 0; --end)
                        ;
                if (amb_channel_reply(host, &request, &(struct amb_result){ 0 }) != 0)
                        _exit(1);
        }
        _exit(0);
}

/*
 * One side goes to sleep after the shortest spin, at about the time when the next message comes. A lost wake-up would leave the
 * host asleep for ever (0), the app until its look at the pidfd (1). (That the fences are needed is the model's to show: on x86
 * their window is a store buffer's few nanoseconds, and this test has been seen to pass without them.)
 */
START_TEST(lying_down_just_then)
{
        enum { CALLS = 60000 };
        struct amb_reply reply;
        struct amb_channel *channel;
        uint64_t state = 7, before;
        unsigned late = 0;
        int fd, status;
        pid_t child;

        ck_assert_int_eq(amb_channel_create(&fd), 0);
        child = fork();
        ck_assert_int_ge(child, 0);
        ck_assert_int_eq(amb_channel_attach(fd, child ? AMB_CHANNEL_APP : AMB_CHANNEL_HOST, NULL, &channel), 0);
        if ((_i == 0) == (child == 0))
                channel->spin.spinners = 1u << 16;      /* step 2 is taken, by others that are not there */
        if (child == 0)
                answer_calls(channel, CALLS);
        for (unsigned i = 0; i < CALLS; ++i) {
                for (volatile uint64_t end = random_next(&state) % 16384; end > 0; --end)
                        ;
                before = amb_time_now();
                ck_assert_int_eq(amb_channel_call(channel, &(struct amb_call){ .selector = i }, &reply), 0);
                late += amb_time_now() - before > 90000000;
        }
        ck_assert_uint_lt(late, 16);   /* some, on a machine that is busy with others */
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        amb_channel_free(channel);
        amb_fd_close(fd);
}
END_TEST

int main(void)
{
        TCase *tcase = tcase_create("stress");

        tcase_set_timeout(tcase, 60);
        tcase_add_loop_test(tcase, stress, 0, 3);
        tcase_add_loop_test(tcase, lying_down_just_then, 0, 2);
        return run_cases("channel-stress", tcase);
}
