/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms find what went in; every kind of partner answers, rests, is pinned and noticed when it is gone. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/base.h"
#include "base/test-suite.h"
#include "measure/histogram.h"
#include "measure/partner.h"
#include "measure/processors.h"

START_TEST(histogram)
{
        struct amb_histogram *durations = calloc(1, sizeof(*durations));
        ck_assert_uint_eq(amb_histogram_at(durations, 0.5), 0);
        for (uint64_t i = 1; i <= 100000; i++)
                amb_histogram_add(durations, i);
        ck_assert_uint_eq(durations->count, 100000);
        ck_assert_uint_eq(durations->least, 1);
        ck_assert_uint_eq(durations->most, 100000);
        static const double shares[] = { 0.0005, 0.01, 0.5, 0.99, 0.999 };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(shares); i++) {
                double expected = shares[i] * 100000, found = (double)amb_histogram_at(durations, shares[i]);
                ck_assert_msg(found > expected * 0.98 - 1 && found < expected * 1.02 + 2, "%g: %g", shares[i], found);
        }
        amb_histogram_add(durations, UINT64_MAX);       /* counted, in the last bucket */
        ck_assert_uint_gt(amb_histogram_at(durations, 1), 30000000000ull);
        free(durations);
}
END_TEST

START_TEST(histogram_of_two)
{
        struct amb_histogram *one = calloc(1, sizeof(*one)), *other = calloc(1, sizeof(*other)), *both = calloc(1, sizeof(*both));
        amb_histogram_add_all(one, other);      /* nothing: still empty, and its least is the first one's that comes */
        for (uint64_t i = 1; i <= 1000; i++) {
                amb_histogram_add(i % 3 ? one : other, i * 7);
                amb_histogram_add(both, i * 7);
        }
        amb_histogram_add_all(one, other);
        ck_assert_mem_eq(one, both, sizeof(*one));
        free(one);
        free(other);
        free(both);
}
END_TEST

/* Buckets rise, so that a list of them is a picture. */
START_TEST(buckets)
{
        for (size_t i = 1; i < AMB_HISTOGRAM_BUCKETS; i++)
                ck_assert_uint_gt(amb_histogram_duration(i), amb_histogram_duration(i - 1));
}
END_TEST

static const enum amb_partner_kind kinds[] = { AMB_PARTNER_SPIN, AMB_PARTNER_SPIN_PAGE, AMB_PARTNER_FUTEX, AMB_PARTNER_SOCKET };

START_TEST(partner_answers)
{
        struct amb_partner *partner = NULL;
        ck_assert_int_eq(amb_partner_create(&partner, kinds[_i], AMB_PROCESSOR_ANY), 0);
        /* Some kernels count time by ticks: a thousand answers may be nothing to them, but not for ever (the test's time-out). */
        for (int round = 0; round < 5 || amb_process_time(amb_partner_pid(partner)) == 0; round++) {
                amb_partner_begin(partner);
                for (int i = 0; i < 200; i++)
                        ck_assert(amb_partner_once(partner));
                amb_partner_end(partner);
        }
        amb_partner_free(partner);
        amb_partner_free(NULL);
}
END_TEST

START_TEST(partner_that_is_gone)
{
        struct amb_partner *partner = NULL;
        ck_assert_int_eq(amb_partner_create(&partner, kinds[_i], AMB_PROCESSOR_ANY), 0);
        amb_partner_begin(partner);
        ck_assert(amb_partner_once(partner));
        kill(amb_partner_pid(partner), SIGKILL);
        /* what it answered before the signal came still counts */
        for (int i = 0; i < 1000000 && amb_partner_once(partner); i++)
                ;
        ck_assert(!amb_partner_once(partner));
        amb_partner_free(partner);
}
END_TEST

/* Does the test's own thread, which is in a round trip, sleep in the kernel? */
static bool first_thread_sleeps(void)
{
        char state = 0;
        FILE *file = fopen("/proc/self/stat", "re");
        ck_assert_ptr_nonnull(file);
        ck_assert_int_eq(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
        fclose(file);
        return state == 'S';
}

struct ending {
        struct amb_partner *partner;
        bool sleeps;                    /* who waits for such a partner */
};

static void *end_soon(void *context)
{
        struct ending *ending = context;
        kill(amb_partner_pid(ending->partner), SIGSTOP);        /* from now on nothing is answered */
        while (ending->sleeps && !first_thread_sleeps())
                sched_yield();
        kill(amb_partner_pid(ending->partner), SIGKILL);
        return NULL;
}

/* Who is asleep when a partner ends is woken, on whichever thread the signal arrives. */
START_TEST(partner_that_goes_meanwhile)
{
        struct amb_partner *partner = NULL, *other = NULL;
        struct ending ending = { .sleeps = kinds[_i] == AMB_PARTNER_FUTEX || kinds[_i] == AMB_PARTNER_SOCKET };
        pthread_t thread;
        ck_assert_int_eq(amb_partner_create(&other, AMB_PARTNER_FUTEX, AMB_PROCESSOR_ANY), 0);
        ck_assert_int_eq(amb_partner_create(&partner, kinds[_i], AMB_PROCESSOR_ANY), 0);
        amb_partner_begin(partner);
        ck_assert(amb_partner_once(partner));
        ending.partner = partner;
        ck_assert_int_eq(pthread_create(&thread, NULL, end_soon, &ending), 0);
        while (amb_partner_once(partner))
                ;
        ck_assert(!amb_partner_once(partner));
        pthread_join(thread, NULL);
        ck_assert(amb_partner_once(other));     /* nothing has happened to it */
        amb_partner_free(partner);
        amb_partner_free(other);
}
END_TEST

static int processors_of(pid_t process)
{
        cpu_set_t set;
        return sched_getaffinity(process, sizeof(set), &set) < 0 ? -1 : CPU_COUNT(&set);
}

START_TEST(staying)
{
        int one, other, all = processors_of(0);
        if (!amb_processors_two(&one, &other)) {
                ck_assert_int_eq(all, 1);
                return;
        }
        ck_assert_int_ne(one, other);
        amb_thread_stay_on(0, other);
        ck_assert_int_eq(processors_of(0), 1);
        ck_assert_int_eq(sched_getcpu(), other);
        amb_process_stay_on(getpid(), AMB_PROCESSOR_ANY);
        ck_assert_int_eq(processors_of(0), all);
}
END_TEST

/* Who was kept on one processor by others stays there: "any" is any of those. */
START_TEST(staying_where_others_say)
{
        struct amb_partner *partner = NULL;
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)sched_getcpu(), &set);
        ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
        ck_assert_int_eq(amb_partner_create(&partner, AMB_PARTNER_FUTEX, AMB_PROCESSOR_ANY), 0);
        ck_assert(amb_partner_once(partner));
        ck_assert_int_eq(processors_of(amb_partner_pid(partner)), 1);
        amb_thread_stay_on(0, AMB_PROCESSOR_ANY);
        ck_assert_int_eq(processors_of(0), 1);
        amb_partner_free(partner);
}
END_TEST

START_TEST(time_of_nobody)
{
        pid_t child = amb_partner_fork();
        if (child == 0)
                _exit(0);
        ck_assert_int_gt(child, 0);
        amb_partner_kill(child);
        ck_assert_uint_eq(amb_process_time(child), 0);
}
END_TEST

int main(void)
{
        TCase *tests = test_case("measure", histogram, histogram_of_two, buckets, staying, staying_where_others_say,
                                 time_of_nobody);

        tcase_add_loop_test(tests, partner_answers, 0, AMB_ARRAY_LENGTH(kinds));
        tcase_add_loop_test(tests, partner_that_is_gone, 0, AMB_ARRAY_LENGTH(kinds));
        tcase_add_loop_test(tests, partner_that_goes_meanwhile, 0, AMB_ARRAY_LENGTH(kinds));
        return run_cases("measure", tests);
}
