/* SPDX-License-Identifier: Apache-2.0 */
/* Callers that wait their turn: who is let go when, and that no slot is lost (turn.h). */
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include "base/test-suite.h"
#include "channel/private.h"
#include "channel/test-pair.h"

static struct pair pair;

/* So many slots are taken, by callers that are not there; as many as make a crowd. False: there is no crowd on this machine. */
static bool crowd_make(void)
{
        unsigned room = amb_wait_cpus() - 1;

        if (room == 0 || room > 60)
                return false;
        pair_make(&pair, NULL, NULL);
        __atomic_fetch_and(&pair.app->free_slots, ~((UINT64_C(1) << room) - 1), __ATOMIC_SEQ_CST);
        return true;
}

static void crowd_free(void)
{
        ck_assert_uint_eq(pair.app->turn.count, 0);
        pair_free(&pair);
}

struct taker {
        pthread_t thread;
        bool has_slot;
        unsigned slot;
        uint32_t done;
};

static void *take(void *data)
{
        struct taker *taker = data;

        taker->has_slot = amb_turn_take(pair.app, &taker->slot);
        amb_exchange(&taker->done, 1);
        return NULL;
}

/* In the list when this returns, or so late that it has left it again by its clock. */
static void taker_start(struct taker *taker)
{
        uint32_t before = amb_load(&pair.app->turn.count);

        taker->done = 0;
        ck_assert_int_eq(pthread_create(&taker->thread, NULL, take, taker), 0);
        while (amb_load_ordered(&pair.app->turn.count) == before && !amb_load_ordered(&taker->done))
                sched_yield();
}

START_TEST(nobody_waits_alone)
{
        unsigned slot;

        pair_make(&pair, NULL, NULL);
        ck_assert(!amb_turn_take(pair.app, &slot));
        ck_assert_uint_eq(pair.app->turn.misses, 0);
        pair_free(&pair);
        if (!crowd_make())
                return;
        /* All the others sleep. */
        pair.app->turn.asleep = UINT64_MAX;
        ck_assert(!amb_turn_take(pair.app, &slot));
        ck_assert_uint_eq(pair.app->turn.misses, 0);
        crowd_free();
}
END_TEST

START_TEST(waits_in_vain_are_learnt)
{
        unsigned slot;
        uint64_t begin;

        if (!crowd_make())
                return;
        for (uint32_t misses = 1; misses <= 3; ++misses) {
                begin = amb_time_now();
                ck_assert(!amb_turn_take(pair.app, &slot));
                ck_assert_uint_ge(amb_time_now() - begin, AMB_TURN_LOOK);
                ck_assert_uint_eq(pair.app->turn.misses, misses);
                for (uint32_t left = (1u << misses) - 1; left > 0; --left) {
                        ck_assert_uint_eq(pair.app->turn.skip, left);
                        ck_assert(!amb_turn_take(pair.app, &slot));
                }
                ck_assert_uint_eq(pair.app->turn.misses, misses);
        }
        crowd_free();
}
END_TEST

/* The waiters' own clocks run on: a machine that is very busy may let them go before us. Then once more. */
START_TEST(slots_are_handed_over)
{
        struct taker takers[2];
        unsigned handed = 0;

        if (!crowd_make())
                return;
        for (unsigned tries = 0; handed < 20 && tries < 10000; ++tries) {
                bool first;

                pair.app->turn.misses = pair.app->turn.skip = 0;
                taker_start(&takers[0]);
                taker_start(&takers[1]);
                pair.app->turn.calls = AMB_TURN_CALLS - 1;
                amb_store(&pair.app->turn.since, amb_time_now() - AMB_TURN_SLICE);
                first = amb_turn_hand(&pair.app->turn, 7);
                pthread_join(takers[0].thread, NULL);
                pthread_join(takers[1].thread, NULL);
                ck_assert_uint_eq((unsigned)takers[0].has_slot + takers[1].has_slot, first);
                for (unsigned i = 0; i < 2; ++i)
                        if (takers[i].has_slot)
                                ck_assert_uint_eq(takers[i].slot, 7);
                handed += first && takers[0].has_slot;
        }
        ck_assert_uint_eq(handed, 20);
        /* Too soon, and too few calls. */
        pair.app->turn.count = 1;
        pair.app->turn.calls = AMB_TURN_CALLS - 1;
        amb_store(&pair.app->turn.since, amb_time_now());
        ck_assert(!amb_turn_hand(&pair.app->turn, 7));
        amb_store(&pair.app->turn.since, 0);
        ck_assert(!amb_turn_hand(&pair.app->turn, 7));
        pair.app->turn.count = 0;
        crowd_free();
}
END_TEST

/* One goes for each that lies down; all go at the end. */
START_TEST(sleepers_and_the_end_let_go)
{
        struct taker takers[3];
        unsigned let_go = 0;

        if (!crowd_make())
                return;
        for (unsigned tries = 0; let_go < 20 && tries < 10000; ++tries) {
                uint32_t before, after;

                pair.app->turn.misses = pair.app->turn.skip = 0;
                for (unsigned i = 0; i < 3; ++i)
                        taker_start(&takers[i]);
                before = amb_load_ordered(&pair.app->turn.count);
                amb_turn_sleeps(pair.app, 0);
                after = amb_load_ordered(&pair.app->turn.count);
                let_go += before == 3 && after == 2;
                amb_turn_woke(pair.app, 0);
                amb_turn_end(&pair.app->turn);
                ck_assert_uint_eq(amb_load_ordered(&pair.app->turn.count), 0);
                for (unsigned i = 0; i < 3; ++i) {
                        pthread_join(takers[i].thread, NULL);
                        ck_assert(!takers[i].has_slot);
                }
        }
        ck_assert_uint_eq(let_go, 20);
        ck_assert_uint_eq(pair.app->turn.asleep, 0);
        crowd_free();
}
END_TEST

static uint64_t thread_time(pthread_t thread)
{
        struct timespec used;
        clockid_t clock;

        ck_assert_int_eq(pthread_getcpuclockid(thread, &clock), 0);
        ck_assert_int_eq(clock_gettime(clock, &used), 0);
        return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/* Whoever comes behind thousands of others may wait for more than a second, and sleeps meanwhile. */
START_TEST(the_last_of_many_sleeps)
{
        const uint32_t others = 10000;
        struct taker taker;
        uint64_t begin, used;

        if (!crowd_make())
                return;
        amb_store(&pair.app->turn.count, others);
        taker_start(&taker);
        begin = amb_time_now();
        while (amb_time_now() - begin < 200000000)
                sched_yield();
        used = thread_time(taker.thread);
        ck_assert_uint_eq(amb_load_ordered(&taker.done), 0);
        amb_turn_end(&pair.app->turn);
        pthread_join(taker.thread, NULL);
        ck_assert_uint_lt(used, 20000000);
        ck_assert_uint_eq(amb_load(&pair.app->turn.count), others);
        amb_store(&pair.app->turn.count, 0);
        crowd_free();
}
END_TEST

/* --- with a host --- */

enum { CALLERS = 8 };

struct caller {
        pthread_t thread;
        struct amb_channel *channel;
        uint64_t deadline, calls;
        int result;
};

static void *call_hot(void *data)
{
        struct caller *caller = data;
        struct amb_reply reply;

        do {
                uint64_t in[2] = { caller->calls, 7 }, out[2] = { 0 };
                struct amb_call call = { .scalars = in, .scalars_out = out, .scalar_count = 2, .scalar_capacity = 2 };

                caller->result = amb_channel_call(caller->channel, &call, &reply);
                if (caller->result == 0 && (out[0] != in[0] || out[1] != 7))
                        ck_abort_msg("an answer is another's");
                caller->calls++;
        } while (caller->result == 0 && amb_time_now() < caller->deadline);
        return NULL;
}

static void host_run(struct amb_channel *host, uint64_t most)
{
        static uint8_t bytes[AMB_CHANNEL_BYTES];
        struct amb_request request;

        for (uint64_t i = 0; i < most && amb_channel_receive(host, &request, bytes) == 0; ++i) {
                struct amb_result result = { .scalars = request.scalars, .scalar_count = request.scalar_capacity };

                amb_channel_reply(host, &request, &result);
        }
}

/* 0: everybody gets on, and nothing is left behind. 1: the host dies meanwhile: everybody comes back. */
START_TEST(hot_callers_take_turns)
{
        struct caller callers[CALLERS] = { 0 };
        struct amb_channel_options options = { .peer_pidfd = -1 };
        struct amb_channel *channel;
        struct amb_bell *bell;
        int fd, status;
        pid_t child;

        ck_assert_int_eq(amb_channel_create(&fd), 0);
        child = fork();
        ck_assert_int_ge(child, 0);
        ck_assert_int_eq(amb_channel_attach(fd, child ? AMB_CHANNEL_APP : AMB_CHANNEL_HOST, &options, &channel), 0);
        if (child == 0) {
                host_run(channel, _i == 1 ? 20000 : UINT64_MAX);
                _exit(0);
        }
        ck_assert_int_eq(amb_bell_map(fd, &bell), 0);
        for (unsigned i = 0; i < CALLERS; ++i) {
                callers[i] = (struct caller){ .channel = channel, .deadline = amb_time_now() + (_i ? 20000000000 : 500000000) };
                ck_assert_int_eq(pthread_create(&callers[i].thread, NULL, call_hot, &callers[i]), 0);
        }
        if (_i == 1) {
                ck_assert_int_eq(waitpid(child, &status, 0), child);
                amb_bell_ring_dead(bell);
        }
        for (unsigned i = 0; i < CALLERS; ++i) {
                pthread_join(callers[i].thread, NULL);
                ck_assert(_i ? callers[i].result == AMB_CHANNEL_PEER_DIED || callers[i].result == AMB_CHANNEL_CLOSED
                             : callers[i].result == 0);
                ck_assert_uint_ge(callers[i].calls, _i ? 1 : 20);
        }
        ck_assert_uint_eq(amb_load(&channel->free_slots), UINT64_MAX);
        ck_assert_uint_eq(channel->turn.asleep, 0);
        ck_assert_uint_eq(channel->turn.count, 0);
        if (_i == 0) {
                kill(child, SIGKILL);
                ck_assert_int_eq(waitpid(child, &status, 0), child);
        }
        amb_bell_unmap(bell);
        amb_channel_free(channel);
        amb_fd_close(fd);
}
END_TEST

static void *call_until_cancelled(void *data)
{
        struct caller *caller = data;

        for (caller->deadline = 0;; pthread_testcancel())
                call_hot(caller);
        return NULL;
}

static int call_in_child(struct amb_channel *channel)
{
        struct amb_call call = { 0 };
        struct amb_reply reply;
        int status;
        pid_t child = fork();

        ck_assert_int_ge(child, 0);
        if (child == 0)
                _exit(amb_channel_call(channel, &call, &reply));
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
        return WEXITSTATUS(status);
}

/* Threads are cancelled, and the process forks, wherever the callers are: no slot is lost, nobody is left in the list. */
START_TEST(callers_are_cancelled)
{
        struct caller callers[CALLERS] = { 0 };
        struct amb_channel_options options = { .peer_pidfd = -1 };
        struct amb_channel *channel;
        int fd, status;
        pid_t child;

        ck_assert_int_eq(amb_channel_create(&fd), 0);
        child = fork();
        ck_assert_int_ge(child, 0);
        ck_assert_int_eq(amb_channel_attach(fd, child ? AMB_CHANNEL_APP : AMB_CHANNEL_HOST, &options, &channel), 0);
        if (child == 0) {
                host_run(channel, UINT64_MAX);
                _exit(0);
        }
        for (unsigned round = 0; round < 300 + CALLERS; ++round) {
                struct caller *caller = &callers[round % CALLERS];
                uint32_t before = amb_load(&channel->next_position);

                if (round >= CALLERS) {
                        pthread_cancel(caller->thread);
                        pthread_join(caller->thread, NULL);
                }
                if (round >= 300)
                        continue;
                caller->channel = channel;
                ck_assert_int_eq(pthread_create(&caller->thread, NULL, call_until_cancelled, caller), 0);
                while (amb_load_ordered(&channel->next_position) - before < 100)
                        sched_yield();
                if (round % 10 == 0)
                        ck_assert_int_eq(call_in_child(channel), AMB_CHANNEL_CLOSED);
        }
        ck_assert_uint_eq(amb_load(&channel->free_slots), UINT64_MAX);
        ck_assert_uint_eq(channel->turn.asleep, 0);
        ck_assert_uint_eq(channel->turn.count, 0);
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        amb_channel_free(channel);
        amb_fd_close(fd);
}
END_TEST

int main(void)
{
        TCase *tcase = test_case("turn", nobody_waits_alone, waits_in_vain_are_learnt, slots_are_handed_over,
                                 sleepers_and_the_end_let_go, the_last_of_many_sleeps, callers_are_cancelled);

        tcase_add_loop_test(tcase, hot_callers_take_turns, 0, 2);
        return run_cases("channel-turn", tcase);
}
