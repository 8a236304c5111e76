/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <time.h>

#include "driver/pool.h"

#define IDLE_SECONDS 5
#define IDLE_MOST 32

static struct {
        pthread_mutex_t lock;
        pthread_cond_t work;
        struct amb_link waiting;
        unsigned int threads, idle, queued;
} pool = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .work = PTHREAD_COND_INITIALIZER,
        .waiting = AMB_LIST_INIT(pool.waiting),
};

/* Waits for work, with the lock held; NULL: nothing came for a while, or enough others wait. */
static struct amb_work *take(void)
{
        struct timespec until;
        struct amb_work *work;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += IDLE_SECONDS;
        pool.idle++;
        while (amb_list_empty(&pool.waiting) && pool.idle <= IDLE_MOST)
                if (pthread_cond_timedwait(&pool.work, &pool.lock, &until) == ETIMEDOUT)
                        break;
        pool.idle--;
        work = amb_list_first(&pool.waiting, struct amb_work, link);
        if (work) {
                amb_link_remove(&work->link);
                pool.queued--;
        }
        return work;
}

/* Counted already. With something to do before it looks at the list, or NULL. */
static void *worker(void *first)
{
        struct amb_work *work = first;

        if (work)
                work->run(work);
        pthread_mutex_lock(&pool.lock);
        while ((work = take())) {
                pthread_mutex_unlock(&pool.lock);
                work->run(work);
                pthread_mutex_lock(&pool.lock);
        }
        pool.threads--;
        pthread_mutex_unlock(&pool.lock);
        return NULL;
}

void amb_pool_submit(struct amb_work *work)
{
        bool start;

        pthread_mutex_lock(&pool.lock);
        amb_list_append(&pool.waiting, &work->link);
        /* An idle thread that has been promised to earlier work is not idle for this one. */
        start = ++pool.queued > pool.idle && pool.threads < AMB_POOL_THREADS_MOST;
        if (start)
                pool.threads++;
        pthread_mutex_unlock(&pool.lock);
        /* Not under the lock, which whoever wakes up wants first. */
        pthread_cond_signal(&pool.work);

        if (start && amb_thread_start(worker, NULL, AMB_THREAD_STACK) < 0) {
                pthread_mutex_lock(&pool.lock);
                if (--pool.threads == 0) {
                        amb_log(AMB_LOG_ERROR, "cannot start a thread, and no other is left to do the work");
                        abort();
                }
                pthread_mutex_unlock(&pool.lock);
        }
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

int amb_pool_run(void (*function)(void *context), void *context)
{
        struct call *call = calloc(1, sizeof(*call));

        if (!call)
                return amb_trace(-ENOMEM);
        call->work.run = call_run;
        call->function = function;
        call->context = context;
        amb_pool_submit(&call->work);
        return 0;
}

static void call_run_apart(struct amb_work *work)
{
        pthread_mutex_lock(&pool.lock);
        pool.threads--;
        pthread_mutex_unlock(&pool.lock);
        call_run(work);
        pthread_mutex_lock(&pool.lock);
        pool.threads++;
        pthread_mutex_unlock(&pool.lock);
}

int amb_pool_run_apart(void (*function)(void *context), void *context)
{
        struct call *call = calloc(1, sizeof(*call));
        bool idle;
        int r;

        if (!call)
                return amb_trace(-ENOMEM);
        call->work.run = call_run_apart;
        call->function = function;
        call->context = context;
        pthread_mutex_lock(&pool.lock);
        idle = pool.queued < pool.idle;
        if (idle) {
                amb_list_append(&pool.waiting, &call->work.link);
                pool.queued++;
        } else {
                pool.threads++;
        }
        pthread_mutex_unlock(&pool.lock);
        if (idle) {
                pthread_cond_signal(&pool.work);
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
