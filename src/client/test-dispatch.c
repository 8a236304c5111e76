/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch queues by themselves: order, turns, hand-over, sources, time. For the thread sanitizer, too. */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <CoreFoundation/CoreFoundation.h>

#include "base/sanitizer.h"
#include "base/test-suite.h"
#include "client/dispatch.h"

#define PATIENCE dispatch_time(DISPATCH_TIME_NOW, 20 * NSEC_PER_SEC)

static dispatch_semaphore_t done;
static int order[4000], count;          /* written on one serial queue at a time */
static _Atomic int running, most;

static void setup(void)
{
        done = dispatch_semaphore_create(0);
}

static void wait_done(int times)
{
        while (times-- > 0)
                ck_assert_int_eq(dispatch_semaphore_wait(done, PATIENCE), 0);
}

static void append(void *context)
{
        ck_assert_int_eq(++running, 1);
        order[count++] = (int)(intptr_t)context;
        running--;
}

static void signal_done(void *context)
{
        dispatch_semaphore_signal(done);
}

START_TEST(test_order)
{
        dispatch_queue_t queue = dispatch_queue_create("order", DISPATCH_QUEUE_SERIAL);

        ck_assert_str_eq(dispatch_queue_get_label(queue), "order");
        for (intptr_t i = 0; i < 2000; i++)
                dispatch_async_f(queue, (void *)i, append);
        dispatch_async_f(queue, NULL, signal_done);
        dispatch_release(queue);                /* what waits holds it */
        wait_done(1);
        ck_assert_int_eq(count, 2000);
        for (int i = 0; i < 2000; i++)
                ck_assert_int_eq(order[i], i);
}
END_TEST

static dispatch_queue_t shared;

static void *sync_many(void *context)
{
        for (intptr_t i = 0; i < 500; i++)
                if (i % 3)
                        dispatch_sync_f(shared, (void *)i, append);
                else
                        dispatch_async_f(shared, (void *)i, append);
        return NULL;
}

/* Owners change between callers and workers; never two at once. */
START_TEST(test_sync)
{
        pthread_t threads[4];

        shared = dispatch_queue_create(NULL, NULL);
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, sync_many, NULL), 0);
        for (int i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        dispatch_sync_f(shared, (void *)7, append);
        ck_assert_int_eq(count, 2001);
        dispatch_release(shared);
}
END_TEST

static pthread_t sync_thread;
static void note_thread(void *context)
{
        sync_thread = pthread_self();
}

START_TEST(test_sync_runs_here)
{
        dispatch_queue_t queue = dispatch_queue_create(NULL, NULL);

        dispatch_sync_f(queue, NULL, note_thread);
        ck_assert(pthread_equal(sync_thread, pthread_self()));
        dispatch_async_f(queue, (void *)1, append);
        dispatch_sync_f(queue, NULL, note_thread);
        ck_assert_int_eq(count, 1);
        ck_assert(pthread_equal(sync_thread, pthread_self()));
        dispatch_sync_f(dispatch_get_global_queue(0, 0), NULL, note_thread);
        ck_assert(pthread_equal(sync_thread, pthread_self()));
        dispatch_release(queue);
}
END_TEST

static dispatch_semaphore_t meet;

/* Ends only when all of them run at once. */
static void meet_all(void *context)
{
        int now = ++running, before = most;

        while (before < now && !atomic_compare_exchange_weak(&most, &before, now))
                ;
        if (now == 16)
                for (int i = 0; i < 16; i++)
                        dispatch_semaphore_signal(meet);
        ck_assert_int_eq(dispatch_semaphore_wait(meet, PATIENCE), 0);
        dispatch_semaphore_signal(done);
}

START_TEST(test_concurrent)
{
        dispatch_queue_t queue = dispatch_queue_create(NULL, DISPATCH_QUEUE_CONCURRENT);

        meet = dispatch_semaphore_create(0);
        for (int i = 0; i < 8; i++) {
                dispatch_async_f(queue, NULL, meet_all);
                dispatch_async_f(dispatch_get_global_queue(DISPATCH_QUEUE_PRIORITY_LOW, 0), NULL, meet_all);
        }
        wait_done(16);
        ck_assert_int_eq(most, 16);
        ck_assert_ptr_null(dispatch_get_global_queue(0, 1));
        dispatch_release(queue);
        dispatch_release(meet);
}
END_TEST

/* --- sources --- */

static int source_fd;
static struct amb_dispatch_source *source;
static int performed, cancelled;

static enum amb_dispatch_more source_perform(void *context, struct amb_dispatch_source *self)
{
        uint64_t n;

        ck_assert_int_eq(++running, 1);
        /* One that asked to be called again is called, although there is nothing to read. */
        if (read(source_fd, &n, sizeof(n)) < 0) {
                ck_assert_ptr_eq(context, (void *)3);
                n = 1;
        }
        performed += (int)n;
        running--;
        if (context == (void *)2) {
                amb_dispatch_source_cancel(source);
                ck_assert(amb_dispatch_source_cancelled(self));
                ck_assert_int_eq(cancelled, 0);
        }
        dispatch_semaphore_signal(done);
        return context == (void *)3 && performed % 3 != 0 ? AMB_DISPATCH_MORE : AMB_DISPATCH_WAIT;
}

static void source_cancelled(void *context)
{
        cancelled++;
        close(source_fd);
        dispatch_semaphore_signal(done);
}

static void write_one(void)
{
        uint64_t one = 1;

        ck_assert_int_eq(write(source_fd, &one, sizeof(one)), sizeof(one));
}

static void source_make(dispatch_queue_t queue, void *context)
{
        source_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        source = amb_dispatch_source_new(queue, source_fd, EPOLLIN, context, source_perform, source_cancelled);
        ck_assert_ptr_nonnull(source);
        amb_dispatch_source_start(source);
}

START_TEST(test_source)
{
        dispatch_queue_t queue = _i ? dispatch_get_global_queue(0, 0) : dispatch_queue_create(NULL, NULL);

        source_make(queue, NULL);
        for (int i = 1; i <= 50; i++) {
                write_one();
                wait_done(1);
                ck_assert_int_eq(performed, i);
        }
        amb_dispatch_source_cancel(source);
        wait_done(1);
        ck_assert_int_eq(cancelled, 1);
        dispatch_release(queue);
}
END_TEST

START_TEST(test_source_cancels_itself)
{
        dispatch_queue_t queue = dispatch_queue_create(NULL, NULL);

        source_make(queue, (void *)2);
        write_one();
        wait_done(2);
        ck_assert_int_eq(performed, 1);
        ck_assert_int_eq(cancelled, 1);
        dispatch_release(queue);
}
END_TEST

/* What has more to do has its next turn behind what else waits on the queue. */
static int performed_between;
static void note_performed(void *context)
{
        performed_between = performed;
        dispatch_semaphore_signal(done);
}

static void write_and_submit(void *queue)
{
        write_one();
        /* Both wait behind us: the source, as soon as the monitor has seen the descriptor, and this. */
        dispatch_async_f(queue, NULL, note_performed);
}

START_TEST(test_source_again)
{
        dispatch_queue_t queue = dispatch_queue_create(NULL, NULL);

        source_make(queue, (void *)3);
        for (int i = 1; i <= 10; i++) {
                dispatch_async_f(queue, queue, write_and_submit);
                wait_done(4);
                ck_assert_int_eq(performed, 3 * i);
                /* It was there when the source was performed first. */
                ck_assert_int_le(performed_between, 3 * i - 2);
        }
        amb_dispatch_source_cancel(source);
        wait_done(1);
        ck_assert_int_eq(cancelled, 1);
        dispatch_release(queue);
}
END_TEST

/* --- time --- */

static uint64_t when;
static void note_time(void *context)
{
        when = amb_time_now();
        append(context);
        dispatch_semaphore_signal(done);
}

START_TEST(test_after)
{
        dispatch_queue_t queue = dispatch_queue_create(NULL, NULL);
        uint64_t start = amb_time_now();

        dispatch_after_f(dispatch_time(DISPATCH_TIME_NOW, 60 * NSEC_PER_MSEC), queue, (void *)2, note_time);
        dispatch_after_f(dispatch_time(DISPATCH_TIME_NOW, 20 * NSEC_PER_MSEC), queue, (void *)1, note_time);
        dispatch_after_f(DISPATCH_TIME_NOW, queue, (void *)0, note_time);
        dispatch_after_f(DISPATCH_TIME_FOREVER, queue, (void *)9, note_time);
        wait_done(3);
        ck_assert_uint_ge(when - start, 60 * NSEC_PER_MSEC);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(order[i], i);
        dispatch_release(queue);
}
END_TEST

START_TEST(test_time)
{
        uint64_t now = amb_time_now(), later = dispatch_time(DISPATCH_TIME_NOW, 5);

        ck_assert_uint_ge(later, now + 5);
        ck_assert_uint_eq(dispatch_time(1000, 5), 1005);
        ck_assert_uint_eq(dispatch_time(1000, -5), 995);
        ck_assert_uint_eq(dispatch_time(1000, -2000), 1);
        ck_assert_uint_eq(dispatch_time(DISPATCH_TIME_FOREVER, -5), DISPATCH_TIME_FOREVER);
        ck_assert_uint_eq(dispatch_time(DISPATCH_TIME_FOREVER - 3, INT64_MAX), DISPATCH_TIME_FOREVER);
}
END_TEST

START_TEST(test_semaphore)
{
        dispatch_semaphore_t semaphore = dispatch_semaphore_create(1);
        uint64_t start = amb_time_now();

        ck_assert_ptr_null(dispatch_semaphore_create(-1));
        ck_assert_int_eq(dispatch_semaphore_wait(semaphore, DISPATCH_TIME_NOW), 0);
        ck_assert_int_ne(dispatch_semaphore_wait(semaphore, DISPATCH_TIME_NOW), 0);
        ck_assert_int_ne(dispatch_semaphore_wait(semaphore, dispatch_time(DISPATCH_TIME_NOW, 30 * NSEC_PER_MSEC)), 0);
        ck_assert_uint_ge(amb_time_now() - start, 30 * NSEC_PER_MSEC);
        ck_assert_int_eq(dispatch_semaphore_signal(semaphore), 0);
        ck_assert_int_eq(dispatch_semaphore_wait(semaphore, DISPATCH_TIME_FOREVER), 0);
        dispatch_retain(semaphore);
        dispatch_release(semaphore);
        dispatch_release(semaphore);
}
END_TEST

static dispatch_once_t once;
static void once_body(void *context)
{
        ++*(int *)context;
}
static void *once_thread(void *context)
{
        dispatch_once_f(&once, context, once_body);
        ck_assert_int_eq(*(int *)context, 1);
        return NULL;
}

START_TEST(test_once)
{
        pthread_t threads[8];
        int calls = 0;

        for (int i = 0; i < 8; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, once_thread, &calls), 0);
        for (int i = 0; i < 8; i++)
                pthread_join(threads[i], NULL);
        ck_assert_int_eq(calls, 1);
}
END_TEST

/* --- the main queue, fork --- */

static void stop_loop(void *context)
{
        order[count++] = (int)(intptr_t)context;
        ck_assert_int_eq(gettid(), getpid());
        CFRunLoopStop(CFRunLoopGetCurrent());
}

static void *sync_to_main(void *context)
{
        dispatch_sync_f(dispatch_get_main_queue(), (void *)2, append);
        dispatch_async_f(dispatch_get_main_queue(), (void *)3, stop_loop);
        return NULL;
}

START_TEST(test_main_queue)
{
        pthread_t thread;

        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0, true), kCFRunLoopRunFinished);
        dispatch_async_f(dispatch_get_main_queue(), (void *)1, append);
        ck_assert_int_eq(pthread_create(&thread, NULL, sync_to_main, NULL), 0);
        CFRunLoopRun();
        pthread_join(thread, NULL);
        ck_assert_int_eq(count, 3);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(order[i], i + 1);
}
END_TEST

static void run_inside(void *context)
{
        order[count++] = 1;
        dispatch_async_f(dispatch_get_main_queue(), (void *)3, stop_loop);
        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0.1, false), kCFRunLoopRunFinished);
        ck_assert_int_eq(count, 1);
}

/* A run loop inside of a function of the main queue begins no other: neither those of before nor new ones. */
START_TEST(test_main_queue_inside)
{
        dispatch_async_f(dispatch_get_main_queue(), NULL, run_inside);
        dispatch_async_f(dispatch_get_main_queue(), (void *)2, append);
        CFRunLoopRun();
        ck_assert_int_eq(count, 3);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(order[i], i + 1);
}
END_TEST

static void exit_from_main(void *context)
{
        _exit(gettid() == getpid() ? 7 : 1);
}

START_TEST(test_dispatch_main)
{
        int status;
        pid_t pid;

        pid = fork();
        if (pid == 0) {
                dispatch_async_f(dispatch_get_main_queue(), NULL, exit_from_main);
                dispatch_main();
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(WEXITSTATUS(status), 7);
}
END_TEST

/* The child's queues work again, with threads of its own. */
START_TEST(test_fork)
{
        dispatch_queue_t queue = dispatch_queue_create(NULL, NULL);
        int status;
        pid_t pid;

        dispatch_sync_f(queue, (void *)0, append);
        dispatch_async_f(queue, NULL, signal_done);
        source_make(queue, NULL);
        wait_done(1);
        pid = fork();
        if (pid == 0) {
                dispatch_queue_t other = dispatch_queue_create(NULL, NULL);

                dispatch_async_f(other, NULL, signal_done);
                wait_done(1);
                dispatch_after_f(dispatch_time(DISPATCH_TIME_NOW, 1), other, NULL, signal_done);
                wait_done(1);
                _exit(7);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(WEXITSTATUS(status), 7);
        write_one();
        wait_done(1);
        ck_assert_int_eq(performed, 1);
}
END_TEST

int main(void)
{
        TCase *tcase = test_case("dispatch", test_order, test_sync, test_sync_runs_here, test_concurrent,
                                 test_source_cancels_itself, test_source_again, test_after, test_time, test_semaphore, test_once,
                                 test_main_queue, test_main_queue_inside);
        TCase *forks = test_case("forks", test_dispatch_main);

        tcase_add_checked_fixture(tcase, setup, NULL);
        tcase_add_checked_fixture(forks, setup, NULL);
        tcase_add_loop_test(tcase, test_source, 0, 2);
        /* The thread sanitizer does not follow threads that are started in a fork of threads. */
        if (!AMB_SANITIZED_THREAD)
                tcase_add_test(forks, test_fork);
        return run_cases("client-dispatch", tcase, forks);
}
