/* SPDX-License-Identifier: Apache-2.0 */
/* A channel at rest: no thread of the host's waits, the app knocks, and nothing is lost while threads come and go. */
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include "base/test-suite.h"
#include "channel/test-pair.h"

enum { CALLS = 20000 };

static struct pair pair;
static sem_t knocks;
static _Atomic unsigned knocked, roused, rested;
static _Atomic bool over;

static void on_knock(void *userdata)
{
        ck_assert_ptr_eq(userdata, &pair);
        knocked++;
        sem_post(&knocks);
}

static void on_roused(void *userdata)
{
        ck_assert_ptr_eq(userdata, &pair);
        roused++;
        sem_post(&knocks);
}

/* As the driver library does it: at rest from the start. */
static void setup(void)
{
        struct amb_channel_options app = { .peer_pidfd = -1, .knock = on_knock, .userdata = &pair };
        struct amb_channel_options host = { .peer_pidfd = -1, .roused = on_roused, .userdata = &pair };

        knocked = roused = rested = 0;
        over = false;
        sem_init(&knocks, 0, 0);
        ck_assert_int_eq(amb_channel_create(&pair.fd), 0);
        pair.memory = layout_map(pair.fd);
        ck_assert_int_eq(amb_channel_attach_mapping(pair.memory, AMB_CHANNEL_APP, &app, &pair.app), 0);
        ck_assert_int_eq(amb_channel_attach_mapping(pair.memory, AMB_CHANNEL_HOST, &host, &pair.host), 0);
        amb_channel_rest(pair.host);
}

static void teardown(void)
{
        pair_free(&pair);
        sem_destroy(&knocks);
}

/* Comes for each knock, answers what there is, and goes when it may. */
static void *come(void *context)
{
        struct amb_request request;
        uint8_t bytes[AMB_CHANNEL_BYTES];
        int r;

        do {
                while (sem_wait(&knocks) < 0)
                        continue;
                while ((r = amb_channel_receive(pair.host, &request, bytes)) == 0 || r == AMB_CHANNEL_TERMINATED) {
                        struct amb_result none = { 0 };

                        if (r == 0)
                                ck_assert_int_eq(amb_channel_reply(pair.host, &request, &none), 0);
                        if (context)
                                amb_channel_rest_next(pair.host);
                }
                rested += r == AMB_CHANNEL_RESTS;
        } while (r == AMB_CHANNEL_RESTS);
        ck_assert_int_eq(r, AMB_CHANNEL_CLOSED);
        return NULL;
}

static int call(void)
{
        struct amb_call nothing = { .selector = 1 };
        struct amb_reply reply;

        return amb_channel_call(pair.app, &nothing, &reply);
}

/* Asked by another thread at any time: every call finds somebody. */
static void *prod(void *context)
{
        while (!over) {
                amb_channel_rest_ask(pair.host);
                sched_yield();
        }
        return NULL;
}

START_TEST(nothing_is_lost)
{
        pthread_t server, asker;

        pthread_create(&server, NULL, come, NULL);
        pthread_create(&asker, NULL, prod, NULL);
        for (int i = 0; i < CALLS; i++) {
                ck_assert_int_eq(call(), 0);
                /* Now and then a pause in which it does go: a thread that spins between calls is not asked. */
                if (i % (CALLS / 20) == 0)
                        while (rested < knocked)
                                sched_yield();
        }
        over = true;
        pthread_join(asker, NULL);
        ck_assert_uint_gt(rested, 0);
        ck_assert_uint_ge(knocked, 1);
        amb_channel_shutdown(pair.host);
        pthread_join(server, NULL);
}
END_TEST

/* One thread comes for each call and goes at once: a knock each, none in vain. */
START_TEST(comes_for_each)
{
        pthread_t server;

        pthread_create(&server, NULL, come, &pair);
        for (unsigned i = 1; i <= 100; i++) {
                ck_assert_int_eq(call(), 0);
                while (rested < i)
                        sched_yield();
                ck_assert(amb_channel_idle(pair.host));
                ck_assert_uint_eq(knocked, i);
        }
        ck_assert_uint_eq(roused, 0);
        amb_channel_shutdown(pair.host);
        pthread_join(server, NULL);
        ck_assert_uint_eq(roused, 1);
}
END_TEST

/*
 * A thread that waits goes when it is asked, and comes for the next call; one that is not asked stays, however long nothing comes.
 */
START_TEST(asked_while_it_waits)
{
        pthread_t server;

        pthread_create(&server, NULL, come, NULL);
        for (unsigned i = 1; i <= 100; i++) {
                ck_assert_int_eq(call(), 0);
                ck_assert_int_eq(call(), 0);
                ck_assert_uint_eq(knocked, i);
                while (rested < i) {
                        amb_channel_rest_ask(pair.host);
                        sched_yield();
                }
        }
        amb_channel_shutdown(pair.host);
        pthread_join(server, NULL);
}
END_TEST

/* Who ends or terminates it finds nobody there, and calls for somebody. */
START_TEST(called_back)
{
        struct amb_request request;
        uint8_t bytes[AMB_CHANNEL_BYTES];

        amb_channel_terminate(pair.host);
        ck_assert_uint_eq(roused, 1);
        ck_assert_int_eq(amb_channel_receive(pair.host, &request, bytes), AMB_CHANNEL_TERMINATED);
        amb_channel_rest_next(pair.host);
        ck_assert_int_eq(amb_channel_receive(pair.host, &request, bytes), AMB_CHANNEL_RESTS);
        ck_assert_int_eq(call(), AMB_CHANNEL_TERMINATED);
        amb_channel_shutdown(pair.host);
        ck_assert_uint_eq(roused, 2);
        ck_assert_int_eq(amb_channel_receive(pair.host, &request, bytes), AMB_CHANNEL_CLOSED);
        ck_assert_uint_eq(knocked, 0);
}
END_TEST

int main(void)
{
        TCase *tests = test_case("rest", nothing_is_lost, comes_for_each, asked_while_it_waits, called_back);

        tcase_add_checked_fixture(tests, setup, teardown);
        return run_cases("rest", tests);
}
