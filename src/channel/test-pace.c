/* SPDX-License-Identifier: Apache-2.0 */
/* The waiting policy as a table of what happens to it, and the placement of threads. */
#include <check.h>
#include <pthread.h>
#include <stdint.h>
#include "base/place.h"
#include "base/test-suite.h"
#include "channel/pace.h"

enum { SHORT_NS = 5000, PAUSE_NS = 2000000, LONG_CALL_NS = 200000, CPU = 3, OTHER = 5 };

/*
 * A burst of calls from `cpu` after a pause, to a thread that sleeps; it runs on the caller's CPU where it is NEAR. Where is it at
 * the end?
 */
static enum amb_pace_where burst(struct amb_pace *pace, unsigned calls, uint32_t cpu)
{
        uint64_t slept = PAUSE_NS;

        for (unsigned i = 0; i < calls; ++i) {
                if (pace->where != AMB_PACE_FAR || i == 0) {
                        amb_pace_wake(pace, slept);
                        slept = SHORT_NS;
                }
                amb_pace_call(pace, cpu, pace->where == AMB_PACE_FAR ? OTHER : cpu, false);
                if (pace->where != AMB_PACE_FAR)
                        amb_pace_sleep(pace, SHORT_NS);
        }
        if (pace->where == AMB_PACE_FAR)
                amb_pace_sleep(pace, SHORT_NS);
        return pace->where;
}

START_TEST(before_the_first_call)
{
        struct amb_pace pace = { 0 };

        for (int i = 0; i < 10; ++i) {
                amb_pace_sleep(&pace, PAUSE_NS);
                ck_assert_int_eq(pace.where, AMB_PACE_FREE);
                amb_pace_wake(&pace, PAUSE_NS);
        }
        ck_assert_int_eq(burst(&pace, 1, CPU), AMB_PACE_NEAR);
        ck_assert_uint_eq(pace.caller, CPU);
}
END_TEST

START_TEST(single_calls_stay_near)
{
        struct amb_pace pace = { 0 };

        for (int i = 0; i < 1000; ++i)
                ck_assert_int_eq(burst(&pace, 1 + i % AMB_PACE_SHORT, CPU), AMB_PACE_NEAR);
}
END_TEST

START_TEST(a_long_burst_moves_away)
{
        struct amb_pace pace = { 0 };

        amb_pace_wake(&pace, PAUSE_NS);
        for (unsigned i = 1; i <= 2 * AMB_PACE_SHORT; ++i) {
                amb_pace_call(&pace, CPU, pace.where == AMB_PACE_FAR ? OTHER : CPU, false);
                ck_assert_int_eq(pace.where, i > AMB_PACE_SHORT ? AMB_PACE_FAR : i == 1 ? AMB_PACE_FREE : AMB_PACE_NEAR);
                if (pace.where != AMB_PACE_FAR) {
                        amb_pace_sleep(&pace, SHORT_NS);
                        amb_pace_wake(&pace, SHORT_NS);
                }
        }
}
END_TEST

/* Two long bursts teach it, one exception does not; and back. */
START_TEST(bursts_are_learnt)
{
        struct amb_pace pace = { 0 };

        ck_assert_int_eq(burst(&pace, 64, CPU), AMB_PACE_NEAR);
        ck_assert_int_eq(burst(&pace, 64, CPU), AMB_PACE_FAR);
        ck_assert_int_eq(burst(&pace, 64, CPU), AMB_PACE_FAR);
        ck_assert_int_eq(burst(&pace, 1, CPU), AMB_PACE_FAR);
        ck_assert_int_eq(burst(&pace, 64, CPU), AMB_PACE_FAR);
        ck_assert_int_eq(burst(&pace, 1, CPU), AMB_PACE_FAR);
        ck_assert_int_eq(burst(&pace, 1, CPU), AMB_PACE_NEAR);
        /* NEAR, a burst's end is seen when the next one begins. */
        ck_assert_int_eq(burst(&pace, 1, CPU), AMB_PACE_NEAR);
        ck_assert_int_eq(burst(&pace, 1, CPU), AMB_PACE_NEAR);
        ck_assert_int_eq(burst(&pace, 64, CPU), AMB_PACE_NEAR);
        ck_assert_int_eq(burst(&pace, 1, CPU), AMB_PACE_NEAR);
}
END_TEST

/* A pause that is no pause: calls every AMB_PACE_GAP_NS are one burst, slower ones are many. */
START_TEST(gaps)
{
        for (int slow = 0; slow <= 1; ++slow) {
                struct amb_pace pace = { 0 };

                for (int i = 0; i < 100 && pace.where != AMB_PACE_FAR; ++i) {
                        amb_pace_wake(&pace, AMB_PACE_GAP_NS + (uint64_t)slow);
                        amb_pace_call(&pace, CPU, CPU, false);
                        if (pace.where != AMB_PACE_FAR)
                                amb_pace_sleep(&pace, SHORT_NS);
                }
                ck_assert_int_eq(pace.where, slow ? AMB_PACE_NEAR : AMB_PACE_FAR);
        }
}
END_TEST

/* A call to a thread that sleeps between the calls, or is woken for several. */
static enum amb_pace_where woken(struct amb_pace *pace, uint64_t slept_ns, unsigned calls, uint64_t call_ns)
{
        amb_pace_wake(pace, slept_ns);
        for (unsigned i = 0; i < calls; ++i) {
                amb_pace_call(pace, CPU, CPU, true);
                if (pace->timing)
                        amb_pace_served(pace, call_ns);
        }
        if (pace->where != AMB_PACE_FAR)
                amb_pace_sleep(pace, calls * call_ns);
        return pace->where;
}

START_TEST(long_calls_are_free)
{
        struct amb_pace pace = { 0 };

        burst(&pace, 1, CPU);
        ck_assert_int_eq(woken(&pace, PAUSE_NS, 1, LONG_CALL_NS), AMB_PACE_NEAR);
        ck_assert_int_eq(woken(&pace, PAUSE_NS, 1, LONG_CALL_NS), AMB_PACE_FREE);
        /* Running, they are no burst to move for. */
        for (int i = 0; i < 100; ++i)
                ck_assert_int_eq(woken(&pace, SHORT_NS, 1, LONG_CALL_NS), AMB_PACE_FREE);
        /* Short ones are, though the thread does not come to sleep between them. */
        ck_assert_int_eq(woken(&pace, PAUSE_NS, 2 * AMB_PACE_SHORT, SHORT_NS), AMB_PACE_FAR);
}
END_TEST

/* Many short calls that a thread is woken for once are not a long one. */
START_TEST(many_short_calls)
{
        struct amb_pace pace = { 0 };

        burst(&pace, 1, CPU);
        for (int i = 0; i < 100; ++i)
                ck_assert_int_eq(woken(&pace, PAUSE_NS, AMB_PACE_SHORT, AMB_PACE_LONG_NS), AMB_PACE_NEAR);
}
END_TEST

/* FAR, a caller that had to be woken makes us look at the clock; the clock decides. */
START_TEST(late_answers)
{
        for (int slow = 0; slow <= 1; ++slow) {
                struct amb_pace pace = { 0 };
                int timed = 0;

                burst(&pace, 64, CPU);
                ck_assert_int_eq(burst(&pace, 64, CPU), AMB_PACE_FAR);
                amb_pace_call(&pace, CPU, OTHER, false);
                ck_assert(!pace.timing);
                for (int i = 0; i < 10 && pace.where == AMB_PACE_FAR; ++i) {
                        amb_pace_call(&pace, CPU, OTHER, true);
                        ck_assert(pace.timing);
                        amb_pace_served(&pace, slow ? LONG_CALL_NS : SHORT_NS);
                        timed++;
                }
                ck_assert_int_eq(pace.where, slow ? AMB_PACE_FREE : AMB_PACE_FAR);
                ck_assert_int_eq(timed, slow ? 2 : 10);
        }
}
END_TEST

START_TEST(the_caller_moves)
{
        struct amb_pace pace = { 0 };

        burst(&pace, 1, CPU);
        burst(&pace, 1, OTHER);
        ck_assert_uint_eq(pace.caller, CPU);
        burst(&pace, 1, CPU);
        burst(&pace, 1, OTHER);
        ck_assert_uint_eq(pace.caller, CPU);
        burst(&pace, 1, OTHER);
        ck_assert_uint_eq(pace.caller, OTHER);
}
END_TEST

/* To our CPU, for good: the burst is over. By chance: it is not. */
START_TEST(the_caller_moves_to_us)
{
        struct amb_pace pace = { 0 };

        burst(&pace, 64, CPU);
        ck_assert_int_eq(burst(&pace, 64, CPU), AMB_PACE_FAR);
        for (unsigned i = 0; i < 100; ++i)
                amb_pace_call(&pace, i % AMB_PACE_SAME == 0 ? CPU : OTHER, OTHER, false);
        ck_assert_int_eq(pace.where, AMB_PACE_FAR);
        for (unsigned i = 0; i < AMB_PACE_SAME; ++i)
                amb_pace_call(&pace, OTHER, OTHER, false);
        ck_assert_int_eq(pace.where, AMB_PACE_NEAR);
        ck_assert_uint_eq(pace.caller, OTHER);
        amb_pace_sleep(&pace, SHORT_NS);
        ck_assert_int_eq(pace.where, AMB_PACE_NEAR);
}
END_TEST

/* It has no other CPU: for a while it does not try. */
START_TEST(confined)
{
        struct amb_pace pace = { 0 };

        burst(&pace, 64, CPU);
        ck_assert_int_eq(burst(&pace, 64, CPU), AMB_PACE_FAR);
        amb_pace_confine(&pace);
        for (unsigned i = 0; i < AMB_PACE_CONFINED; i += 64)
                ck_assert_int_eq(burst(&pace, 64, CPU), AMB_PACE_NEAR + (i + 64 == AMB_PACE_CONFINED));
        burst(&pace, 64, CPU);
        ck_assert_int_eq(burst(&pace, 64, CPU), AMB_PACE_FAR);
}
END_TEST

/* Whatever the peer says about CPUs, the state stays what it is. */
START_TEST(nonsense)
{
        struct amb_pace pace = { 0 };
        uint32_t number = 1;

        for (int i = 0; i < 100000; ++i) {
                number = number * 1664525 + 1013904223;
                switch (number >> 29) {
                case 0: amb_pace_wake(&pace, number % (2 * AMB_PACE_GAP_NS)); break;
                case 1: amb_pace_sleep(&pace, number % (2 * AMB_PACE_LONG_NS)); break;
                default: amb_pace_call(&pace, number >> 8 & 0xFFFF, number >> 6 & 3, number & 1); break;
                }
                ck_assert_uint_le(pace.bursts_long, 3);
                ck_assert_uint_le(pace.calls_long, 3);
                ck_assert_uint_lt(pace.same, AMB_PACE_SAME);
        }
}
END_TEST

/* --- place.h --- */

static cpu_set_t affinity(void)
{
        cpu_set_t set;

        ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
        return set;
}

static unsigned first_of(const cpu_set_t *set)
{
        unsigned cpu = 0;

        while (!CPU_ISSET(cpu, set))
                cpu++;
        return cpu;
}

START_TEST(there_and_home_again)
{
        cpu_set_t home = affinity(), now;
        unsigned cpu = first_of(&home);

        if (CPU_COUNT(&home) == 1)
                return;         /* the next test's case */
        ck_assert(amb_place_on(cpu));
        now = affinity();
        ck_assert(CPU_COUNT(&now) == 1 && CPU_ISSET(cpu, &now));
        ck_assert_uint_eq(amb_place_cpu(), cpu);
        ck_assert(amb_place_off(cpu));
        now = affinity();
        ck_assert(CPU_COUNT(&now) == CPU_COUNT(&home) - 1 && !CPU_ISSET(cpu, &now));
        ck_assert_uint_ne(amb_place_cpu(), cpu);
        amb_place_home();
        now = affinity();
        ck_assert(CPU_EQUAL(&now, &home));
        /* On a processor that it does not have. */
        ck_assert(amb_place_on(cpu));
        ck_assert(!amb_place_on(CPU_SETSIZE - 1));
        now = affinity();
        ck_assert(CPU_EQUAL(&now, &home));
        ck_assert(!amb_place_on(0xFFFF));
        ck_assert(amb_place_off(0xFFFF));
        amb_place_home();
}
END_TEST

START_TEST(one_processor)
{
        cpu_set_t home = affinity(), one, now;
        unsigned cpu = first_of(&home);

        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
        for (int i = 0; i < 200; ++i) {
                ck_assert(!amb_place_on(cpu));
                ck_assert(!amb_place_off(cpu));
                ck_assert(!amb_place_has_other(cpu));
                ck_assert(amb_place_has_other(cpu + 1));
        }
        now = affinity();
        ck_assert(CPU_EQUAL(&now, &one));
        /* It is given more. */
        ck_assert_int_eq(sched_setaffinity(0, sizeof(home), &home), 0);
        if (CPU_COUNT(&home) > 1) {
                bool placed = false;

                for (int i = 0; i < 200 && !placed; ++i)
                        placed = amb_place_off(cpu);
                ck_assert(placed);
        }
        amb_place_home();
}
END_TEST

START_TEST(somebody_else_places_it)
{
        cpu_set_t home = affinity(), one, now;
        unsigned cpu = first_of(&home);

        if (CPU_COUNT(&home) == 1)
                return;
        ck_assert(amb_place_on(cpu));
        one = home;
        CPU_CLR(cpu, &one);
        ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
        amb_place_home();
        now = affinity();
        ck_assert(CPU_EQUAL(&now, &one));
        ck_assert(!amb_place_on(cpu));
}
END_TEST

static void *ask(void *ret)
{
        *(cpu_set_t *)ret = affinity();
        return NULL;
}

/* Only the calling thread is moved. */
START_TEST(others_stay)
{
        cpu_set_t home = affinity(), other;
        pthread_t thread;

        amb_place_on(first_of(&home));
        amb_place_home();
        ck_assert_int_eq(pthread_create(&thread, NULL, ask, &other), 0);
        pthread_join(thread, NULL);
        ck_assert(CPU_EQUAL(&other, &home));
}
END_TEST

int main(void)
{
        return run_suite("channel-pace", before_the_first_call, single_calls_stay_near, a_long_burst_moves_away, bursts_are_learnt,
                         gaps, long_calls_are_free, many_short_calls, late_answers, the_caller_moves, the_caller_moves_to_us,
                         confined, nonsense, there_and_home_again, one_processor, somebody_else_places_it, others_stay);
}
