/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work is handed to one idle thread by name, the one that has been idle for the shortest time: one system call and one wake-up for
 * each piece, no lock that several who wake up want, and a processor's cache that still knows the thread.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/sanitizer.h"
#include "driver/pool.h"

#define IDLE_SECONDS 5
#define IDLE_MOST 32

/* What this thread, which is one of the pool's, does after its present work; NULL: it is none. */
static _Thread_local struct amb_link *afterwards;

/* A thread without work, on its own stack. */
struct idle {
        struct amb_link link;           /* linked: nobody has chosen it yet */
        struct amb_work *work;          /* set by who takes it off the list, under the lock */
        _Atomic uint32_t chosen;        /* futex */
};

static struct {
        pthread_mutex_t lock;
        struct amb_link waiting;        /* work for which there was no thread */
        struct amb_link idle;           /* the last one first */
        unsigned int threads, idle_count;
        unsigned int apart;             /* threads that will come back */
} pool = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .waiting = AMB_LIST_INIT(pool.waiting),
        .idle = AMB_LIST_INIT(pool.idle),
};

/* With the lock held, which it gives up: sleeps until somebody hands over work; NULL: nobody has for a while. */
static struct amb_work *sleep_and_unlock(void)
{
        const struct timespec patience = { .tv_sec = IDLE_SECONDS }, *limit = &patience;
        struct idle me = { 0 };

        /* "Append" to the first one puts it in front. */
        amb_list_append(pool.idle.next, &me.link);
        pool.idle_count++;
        pthread_mutex_unlock(&pool.lock);
        while (!atomic_load_explicit(&me.chosen, memory_order_acquire)) {
                bool over = syscall(SYS_futex, &me.chosen, FUTEX_WAIT_PRIVATE, 0, limit, NULL, 0) < 0 && errno == ETIMEDOUT;

                if (!over)
                        continue;
                pthread_mutex_lock(&pool.lock);
                over = amb_link_linked(&me.link);
                if (over) {
                        amb_link_remove(&me.link);
                        pool.idle_count--;
                }
                pthread_mutex_unlock(&pool.lock);
                if (over)
                        return NULL;
                limit = NULL;           /* chosen at the last moment; it is just being said */
        }
        amb_race_after(me.work);
        return me.work;
}

/* Work for a thread that has none; NULL: it may end. */
static struct amb_work *take(void)
{
        struct amb_work *work;

        pthread_mutex_lock(&pool.lock);
        work = amb_list_first(&pool.waiting, struct amb_work, link);
        if (work) {
                amb_link_remove(&work->link);
                pthread_mutex_unlock(&pool.lock);
                return work;
        }
        if (pool.idle_count >= IDLE_MOST) {
                pthread_mutex_unlock(&pool.lock);
                return NULL;
        }
        return sleep_and_unlock();
}

/* Counted already; with something to do. */
static void *worker(void *first)
{
        struct amb_link mine = AMB_LIST_INIT(mine);
        struct amb_work *work = first;

        afterwards = &mine;
        while (work) {
                work->run(work);
                work = amb_list_first(&mine, struct amb_work, link);
                if (work)
                        amb_link_remove(&work->link);
                else
                        work = take();
        }
        pthread_mutex_lock(&pool.lock);
        pool.threads--;
        pthread_mutex_unlock(&pool.lock);
        return NULL;
}

/* With the lock held: an idle thread to hand the work to, off the list; NULL: there is none. */
static struct idle *choose(struct amb_work *work)
{
        struct idle *idle = amb_list_first(&pool.idle, struct idle, link);

        if (!idle)
                return NULL;
        amb_link_remove(&idle->link);
        pool.idle_count--;
        idle->work = work;
        amb_race_before(work);
        return idle;
}

/* Without the lock. From the store on `idle` may be gone with its thread's stack; waking nobody at an address does no harm. */
static void tell(struct idle *idle)
{
        atomic_store_explicit(&idle->chosen, 1, memory_order_release);
        syscall(SYS_futex, &idle->chosen, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Hands the work over, or says that a thread is to be started for it, which is counted, or, there being enough, lets it wait. */
static bool submit(struct amb_work *work, bool may_start)
{
        struct idle *idle;
        bool start = false;

        pthread_mutex_lock(&pool.lock);
        idle = choose(work);
        if (!idle) {
                start = may_start && pool.threads < AMB_POOL_THREADS_MOST;
                if (start)
                        pool.threads++;
                else
                        amb_list_append(&pool.waiting, &work->link);
        }
        pthread_mutex_unlock(&pool.lock);
        if (idle)
                tell(idle);
        return start;
}

void amb_pool_submit(struct amb_work *work)
{
        bool others;

        if (!submit(work, true) || amb_thread_start(worker, work, AMB_THREAD_STACK) == 0)
                return;
        pthread_mutex_lock(&pool.lock);
        others = --pool.threads > 0 || pool.apart > 0;
        pthread_mutex_unlock(&pool.lock);
        if (!others) {
                amb_log(AMB_LOG_ERROR, "cannot start a thread, and no other is left to do the work");
                abort();
        }
        /* Then it waits for one that is busy now. */
        (void)submit(work, false);
}

void amb_pool_submit_after(struct amb_work *work)
{
        if (afterwards)
                amb_list_append(afterwards, &work->link);
        else
                amb_pool_submit(work);
}

struct call {
        struct amb_work work;
        void (*function)(void *context);
        void *context;
};

static void call_run(struct amb_work *work)
{
        struct call call = *amb_container_of(work, struct call, work);

        free(amb_container_of(work, struct call, work));
        call.function(call.context);
}

/* NULL: no memory. */
static struct call *call_new(void (*run)(struct amb_work *work), void (*function)(void *context), void *context)
{
        struct call *call = calloc(1, sizeof(*call));

        if (call) {
                call->work.run = run;
                call->function = function;
                call->context = context;
        }
        return call;
}

int amb_pool_run(void (*function)(void *context), void *context)
{
        struct call *call = call_new(call_run, function, context);

        if (!call)
                return amb_trace(-ENOMEM);
        amb_pool_submit(&call->work);
        return 0;
}

int amb_pool_run_after(void (*function)(void *context), void *context)
{
        struct call *call = call_new(call_run, function, context);

        if (!call)
                return amb_trace(-ENOMEM);
        amb_pool_submit_after(&call->work);
        return 0;
}

static void call_run_apart(struct amb_work *work)
{
        pthread_mutex_lock(&pool.lock);
        pool.threads--;
        pool.apart++;
        pthread_mutex_unlock(&pool.lock);
        call_run(work);
        pthread_mutex_lock(&pool.lock);
        pool.apart--;
        pool.threads++;
        pthread_mutex_unlock(&pool.lock);
}

int amb_pool_run_apart(void (*function)(void *context), void *context)
{
        struct call *call = call_new(call_run_apart, function, context);
        struct idle *idle;
        int r;

        if (!call)
                return amb_trace(-ENOMEM);
        pthread_mutex_lock(&pool.lock);
        idle = choose(&call->work);
        if (!idle)
                pool.threads++;
        pthread_mutex_unlock(&pool.lock);
        if (idle) {
                tell(idle);
                return 0;
        }
        r = amb_thread_start(worker, &call->work, AMB_THREAD_STACK);
        if (r < 0) {
                pthread_mutex_lock(&pool.lock);
                pool.threads--;
                pthread_mutex_unlock(&pool.lock);
                free(call);
        }
        return r;
}
