/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors and points in time that bring work to queues: one thread in epoll for all of them. */
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "base/thread.h"
#include "client/dispatch.h"

struct amb_dispatch_source {
        struct amb_link link;
        uint64_t number;                        /* never used again: an event may come late */
        dispatch_queue_t queue;                 /* serial; a reference */
        int fd;
        uint32_t events;
        void *context;
        enum amb_dispatch_more (*perform)(void *context, struct amb_dispatch_source *self);
        void (*cancelled)(void *context);
        _Atomic bool over;
};

struct later {
        struct amb_link link;
        uint64_t when;
        dispatch_queue_t queue;                 /* a reference */
        void *context;
        dispatch_function_t function;
};

static struct amb_link sources = AMB_LIST_INIT(sources), laters = AMB_LIST_INIT(laters);
static uint64_t numbers;                        /* 0 is the monitor's own descriptor */
static int epoll = -1, wake = -1;
static bool monitor_runs;

/* --- the monitor; under the lock --- */

static void source_perform(void *context);

/* Under the lock. */
static void source_arm(struct amb_dispatch_source *source)
{
        struct epoll_event event = { .events = source->events | EPOLLONESHOT, .data.u64 = source->number };

        epoll_ctl(epoll, EPOLL_CTL_MOD, source->fd, &event);
}

/* Waits for the descriptor, or for its turn on the queue. False: it has more to do, and there is no memory to wait for a turn. */
static bool source_wait(struct amb_dispatch_source *source, enum amb_dispatch_more more)
{
        bool waits = true;

        if (more == AMB_DISPATCH_REST)
                return true;
        pthread_mutex_lock(&amb_dispatch_lock);
        if (atomic_load(&source->over))
                ;
        else if (more == AMB_DISPATCH_MORE)
                waits = amb_dispatch_submit(source->queue, source, source_perform);
        else
                source_arm(source);
        pthread_mutex_unlock(&amb_dispatch_lock);
        return waits;
}

/* On the queue; the queue holds the source until source_end has run there. */
static void source_perform(void *context)
{
        struct amb_dispatch_source *source = context;
        enum amb_dispatch_more more;

        if (atomic_load(&source->over))
                return;
        do
                more = source->perform(source->context, source);
        while (!source_wait(source, more));
}

static void source_ready(uint64_t number)
{
        struct amb_dispatch_source *source;

        amb_list_for(source, &sources, link) {
                if (source->number != number)
                        continue;
                /* Without memory now, perhaps there is some the next time round. */
                if (!amb_dispatch_submit(source->queue, source, source_perform))
                        source_arm(source);
                return;
        }
}

/* Submits what is due; milliseconds until the next, or -1. */
static int laters_run(void)
{
        uint64_t now = amb_time_now(), left;
        struct later *later, *next;

        amb_list_for_safe(later, next, &laters, link) {
                if (later->when > now) {
                        left = (later->when - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
                        return left > INT32_MAX ? INT32_MAX : (int)left;
                }
                if (!amb_dispatch_submit(later->queue, later->context, later->function))
                        return 1;
                amb_link_remove(&later->link);
                dispatch_release((dispatch_object_t){ later->queue });
                free(later);
        }
        return -1;
}

static void *monitor_run(void *context)
{
        struct epoll_event events[16];
        uint64_t count;
        int n, wait;

        (void)context;
        for (;;) {
                pthread_mutex_lock(&amb_dispatch_lock);
                wait = laters_run();
                pthread_mutex_unlock(&amb_dispatch_lock);
                n = epoll_wait(epoll, events, AMB_ARRAY_LENGTH(events), wait);
                pthread_mutex_lock(&amb_dispatch_lock);
                for (int i = 0; i < n; i++)
                        if (events[i].data.u64 == 0)
                                (void)!read(wake, &count, sizeof(count));
                        else
                                source_ready(events[i].data.u64);
                pthread_mutex_unlock(&amb_dispatch_lock);
        }
        return NULL;
}

static bool monitor_start(void)
{
        struct epoll_event event = { .events = EPOLLIN };

        if (monitor_runs)
                return true;
        if (epoll < 0)
                epoll = epoll_create1(EPOLL_CLOEXEC);
        if (wake < 0)
                wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (epoll < 0 || wake < 0 || (epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event) < 0 && errno != EEXIST))
                return false;
        monitor_runs = amb_thread_start(monitor_run, NULL, 0) == 0;
        return monitor_runs;
}

void amb_dispatch_sources_forked(void)
{
        struct amb_dispatch_source *source, *next;

        if (epoll >= 0)
                close(epoll);
        if (wake >= 0)
                close(wake);
        epoll = wake = -1;
        monitor_runs = false;
        amb_list_for_safe(source, next, &sources, link)
                amb_link_remove(&source->link);
        amb_list_init(&laters);
}

/* --- sources; without the lock --- */

struct amb_dispatch_source *
amb_dispatch_source_new(dispatch_queue_t queue, int fd, uint32_t events, void *context,
                        enum amb_dispatch_more (*perform)(void *context, struct amb_dispatch_source *self),
                        void (*cancelled)(void *context))
{
        struct epoll_event event = { .events = EPOLLONESHOT };
        struct amb_dispatch_source *source;
        bool done;

        source = calloc(1, sizeof(*source));
        if (!source)
                return NULL;
        *source = (struct amb_dispatch_source){ .fd = fd, .events = events, .context = context, .perform = perform,
                                                .cancelled = cancelled };
        source->queue = amb_dispatch_serial_of(queue);
        if (!source->queue) {
                free(source);
                return NULL;
        }
        pthread_mutex_lock(&amb_dispatch_lock);
        event.data.u64 = source->number = ++numbers;
        done = monitor_start() && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
        if (done)
                amb_list_append(&sources, &source->link);
        pthread_mutex_unlock(&amb_dispatch_lock);
        if (done)
                return source;
        dispatch_release((dispatch_object_t){ source->queue });
        free(source);
        return NULL;
}

void amb_dispatch_source_start(struct amb_dispatch_source *source)
{
        pthread_mutex_lock(&amb_dispatch_lock);
        source_arm(source);
        pthread_mutex_unlock(&amb_dispatch_lock);
}

/* Behind every perform that was ever submitted. */
static void source_end(void *context)
{
        struct amb_dispatch_source *source = context;

        source->cancelled(source->context);
        dispatch_release((dispatch_object_t){ source->queue });
        free(source);
}

void amb_dispatch_source_cancel(struct amb_dispatch_source *source)
{
        if (!source)
                return;
        pthread_mutex_lock(&amb_dispatch_lock);
        atomic_store(&source->over, true);
        epoll_ctl(epoll, EPOLL_CTL_DEL, source->fd, NULL);
        amb_link_remove(&source->link);
        pthread_mutex_unlock(&amb_dispatch_lock);
        dispatch_async_f(source->queue, source, source_end);
}

bool amb_dispatch_source_cancelled(const struct amb_dispatch_source *source)
{
        return atomic_load(&source->over);
}

/* --- later --- */

void dispatch_after_f(dispatch_time_t when, dispatch_queue_t queue, void *context, dispatch_function_t function)
{
        struct later *later, *at;
        uint64_t one = 1;
        bool runs;

        if (when == DISPATCH_TIME_FOREVER)
                return;
        later = calloc(1, sizeof(*later));
        if (!later)
                abort();
        *later = (struct later){ .when = when, .queue = queue, .context = context, .function = function };
        dispatch_retain((dispatch_object_t){ queue });
        pthread_mutex_lock(&amb_dispatch_lock);
        amb_list_for(at, &laters, link)
                if (at->when > when)
                        break;
        amb_list_append(&at->link, &later->link);       /* before `at`; at the end, that is the list itself */
        runs = monitor_start();
        if (runs)
                (void)!write(wake, &one, sizeof(one));
        pthread_mutex_unlock(&amb_dispatch_lock);
        if (!runs)
                amb_log(AMB_LOG_ERROR, "no thread for dispatch_after_f: it comes with the next one");
}
