/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/eventfd.h>
#include <poll.h>
#include <time.h>

#include "base/thread.h"
#include "client/dispatch.h"

#define WORKERS_MOST 64
#define IDLE_SECONDS 5

struct dispatch_queue_s {
        struct amb_dispatch_object object;
        bool owned;                             /* serial: a function of it is ready or runs */
        struct amb_link items;                  /* serial, main: those that wait for their turn */
        char *label;
};

struct dispatch_semaphore_s {
        struct amb_dispatch_object object;
        pthread_mutex_t lock;
        pthread_cond_t given;
        intptr_t value;
        uint32_t waiters;
};

struct item {
        struct amb_link link;
        dispatch_queue_t queue;                 /* a reference */
        void *context;
        dispatch_function_t function;           /* NULL: a thread in dispatch_sync_f waits to become the queue's owner */
        bool granted;
};

pthread_mutex_t amb_dispatch_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work, turn;               /* turn: a sync item has been granted */
static struct amb_link ready = AMB_LIST_INIT(ready);
static unsigned int ready_count, idle, workers;
static int main_wake = -1;
static bool main_runs;                          /* the main thread's own */

static struct dispatch_queue_s global_queue = {
        .object = { .kind = AMB_DISPATCH_CONCURRENT }, .items = AMB_LIST_INIT(global_queue.items),
};
static struct dispatch_queue_s main_queue = { .object = { .kind = AMB_DISPATCH_MAIN }, .items = AMB_LIST_INIT(main_queue.items) };

static const char concurrent_marker;
const dispatch_queue_attr_t amb_dispatch_queue_concurrent = (dispatch_queue_attr_t)&concurrent_marker;

/* --- objects --- */

static struct amb_dispatch_object *object_of(dispatch_object_t object)
{
        return (struct amb_dispatch_object *)object.queue;
}

static void queue_ref(dispatch_queue_t queue)
{
        if (queue->object.references)
                queue->object.references++;
}

static void queue_unref(dispatch_queue_t queue)
{
        if (!queue->object.references || --queue->object.references > 0)
                return;
        free(queue->label);
        free(queue);
}

void dispatch_retain(dispatch_object_t object)
{
        if (object_of(object)->references)
                object_of(object)->references++;
}

void dispatch_release(dispatch_object_t object)
{
        dispatch_semaphore_t semaphore = object.semaphore;

        if (object_of(object)->kind <= AMB_DISPATCH_MAIN) {
                queue_unref(object.queue);
                return;
        }
        if (--object_of(object)->references > 0)
                return;
        if (object_of(object)->kind == AMB_DISPATCH_SOURCE) {
                amb_dispatch_event_released(object.source);
                return;
        }
        pthread_cond_destroy(&semaphore->given);
        pthread_mutex_destroy(&semaphore->lock);
        free(semaphore);
}

void dispatch_set_context(dispatch_object_t object, void *context)
{
        object_of(object)->context = context;
}

void *dispatch_get_context(dispatch_object_t object)
{
        return object_of(object)->context;
}

static dispatch_queue_t queue_new(enum amb_dispatch_kind kind, const char *label)
{
        dispatch_queue_t queue;

        queue = calloc(1, sizeof(*queue));
        if (!queue)
                return NULL;
        queue->object = (struct amb_dispatch_object){ .kind = kind, .references = 1 };
        amb_list_init(&queue->items);
        queue->label = strdup(label ? label : "");
        if (!queue->label) {
                free(queue);
                return NULL;
        }
        return queue;
}

dispatch_queue_t dispatch_queue_create(const char *label, dispatch_queue_attr_t attribute)
{
        return queue_new(attribute ? AMB_DISPATCH_CONCURRENT : AMB_DISPATCH_SERIAL, label);
}

/* How important a queue is makes no difference here. */
dispatch_queue_attr_t dispatch_queue_attr_make_with_qos_class(dispatch_queue_attr_t attribute, dispatch_qos_class_t class,
                                                              int relative)
{
        (void)class;
        (void)relative;
        return attribute;
}

dispatch_queue_t amb_dispatch_serial_of(dispatch_queue_t queue)
{
        if (queue->object.kind == AMB_DISPATCH_CONCURRENT)
                return queue_new(AMB_DISPATCH_SERIAL, queue->label);
        queue_ref(queue);
        return queue;
}

const char *dispatch_queue_get_label(dispatch_queue_t queue)
{
        return queue->label ? queue->label : "";
}

dispatch_queue_t dispatch_get_global_queue(intptr_t priority, uintptr_t flags)
{
        (void)priority;
        return flags ? NULL : &global_queue;
}

/* --- workers --- */

/* All below under the lock, unless they say otherwise. */

static struct item *first_of(struct amb_link *list)
{
        struct item *item = amb_list_first(list, struct item, link);

        if (item)
                amb_link_remove(&item->link);
        return item;
}

static void item_free(struct item *item)
{
        queue_unref(item->queue);
        free(item);
}

/*
 * The owner of a serial queue has run its function: the next one's turn. `worker`: the caller looks at the list of what is ready
 * next, so the first entry there needs nobody else.
 */
static void ready_add(struct item *item, bool worker);
static void queue_pass_on(dispatch_queue_t queue, bool worker)
{
        struct item *item = first_of(&queue->items);

        if (!item) {
                queue->owned = false;
        } else if (item->function) {
                ready_add(item, worker);
        } else {
                item->granted = true;
                pthread_cond_broadcast(&turn);
        }
}

/* False: nothing has come for a while. */
static bool worker_wait(void)
{
        struct timespec until;
        int r = 0;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += IDLE_SECONDS;
        idle++;
        while (amb_list_empty(&ready) && r == 0)
                r = pthread_cond_timedwait(&work, &amb_dispatch_lock, &until);
        idle--;
        return !amb_list_empty(&ready);
}

static void *worker_run(void *context)
{
        struct item *item;

        (void)context;
        pthread_mutex_lock(&amb_dispatch_lock);
        while (!amb_list_empty(&ready) || worker_wait()) {
                item = first_of(&ready);
                ready_count--;
                pthread_mutex_unlock(&amb_dispatch_lock);
                item->function(item->context);
                pthread_mutex_lock(&amb_dispatch_lock);
                if (item->queue->object.kind == AMB_DISPATCH_SERIAL)
                        queue_pass_on(item->queue, true);
                item_free(item);
        }
        workers--;
        pthread_mutex_unlock(&amb_dispatch_lock);
        return NULL;
}

static void ready_add(struct item *item, bool worker)
{
        amb_list_append(&ready, &item->link);
        ready_count++;
        if (worker && ready_count == 1)
                return;
        if (idle >= ready_count) {
                pthread_cond_signal(&work);
        } else if (workers < WORKERS_MOST) {
                workers++;
                if (amb_thread_start(worker_run, NULL, 0) == 0)
                        return;
                workers--;
                /* Those there are will come to it; without any, it is the next submission's turn to try. */
                if (workers == 0)
                        amb_log(AMB_LOG_ERROR, "no thread for a dispatch queue");
        }
        if (idle > 0)
                pthread_cond_signal(&work);
}

static void item_add(struct item *item)
{
        dispatch_queue_t queue = item->queue;
        uint64_t one = 1;

        if (queue->object.kind == AMB_DISPATCH_CONCURRENT) {
                ready_add(item, false);
        } else if (queue->object.kind == AMB_DISPATCH_MAIN) {
                amb_list_append(&queue->items, &item->link);
                (void)!write(main_wake, &one, sizeof(one));
        } else if (queue->owned) {
                amb_list_append(&queue->items, &item->link);
        } else {
                queue->owned = true;
                ready_add(item, false);
        }
}

bool amb_dispatch_submit(dispatch_queue_t queue, void *context, dispatch_function_t function)
{
        struct item *item;

        item = calloc(1, sizeof(*item));
        if (!item)
                return false;
        *item = (struct item){ .queue = queue, .context = context, .function = function };
        queue_ref(queue);
        item_add(item);
        return true;
}

/* --- submitting; without the lock --- */

void dispatch_async_f(dispatch_queue_t queue, void *context, dispatch_function_t function)
{
        bool done;

        pthread_mutex_lock(&amb_dispatch_lock);
        done = amb_dispatch_submit(queue, context, function);
        pthread_mutex_unlock(&amb_dispatch_lock);
        if (done)
                return;
        amb_log(AMB_LOG_ERROR, "no memory for a dispatch queue");
        abort();
}

struct sync {
        void *context;
        dispatch_function_t function;
        bool done;
};

static void sync_run(void *context)
{
        struct sync *sync = context;

        sync->function(sync->context);
        pthread_mutex_lock(&amb_dispatch_lock);
        sync->done = true;
        pthread_cond_broadcast(&turn);
        pthread_mutex_unlock(&amb_dispatch_lock);
}

static void sync_main(void *context, dispatch_function_t function)
{
        struct sync sync = { .context = context, .function = function };

        dispatch_async_f(&main_queue, &sync, sync_run);
        pthread_mutex_lock(&amb_dispatch_lock);
        while (!sync.done)
                pthread_cond_wait(&turn, &amb_dispatch_lock);
        pthread_mutex_unlock(&amb_dispatch_lock);
}

static void sync_serial(dispatch_queue_t queue, void *context, dispatch_function_t function)
{
        struct item item = { .queue = queue };

        pthread_mutex_lock(&amb_dispatch_lock);
        queue_ref(queue);
        if (queue->owned) {
                amb_list_append(&queue->items, &item.link);
                while (!item.granted)
                        pthread_cond_wait(&turn, &amb_dispatch_lock);
        }
        queue->owned = true;
        pthread_mutex_unlock(&amb_dispatch_lock);
        function(context);
        pthread_mutex_lock(&amb_dispatch_lock);
        queue_pass_on(queue, false);
        queue_unref(queue);
        pthread_mutex_unlock(&amb_dispatch_lock);
}

void dispatch_sync_f(dispatch_queue_t queue, void *context, dispatch_function_t function)
{
        switch (queue->object.kind) {
        case AMB_DISPATCH_MAIN:
                sync_main(context, function);
                break;
        case AMB_DISPATCH_SERIAL:
                sync_serial(queue, context, function);
                break;
        default:
                function(context);
        }
}

/* --- the main queue --- */

dispatch_queue_t dispatch_get_main_queue(void)
{
        pthread_mutex_lock(&amb_dispatch_lock);
        if (main_wake < 0)
                main_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        pthread_mutex_unlock(&amb_dispatch_lock);
        return &main_queue;
}

int amb_dispatch_main_fd(void)
{
        int fd = -1;

        if (gettid() != getpid() || main_runs)
                return -1;
        pthread_mutex_lock(&amb_dispatch_lock);
        fd = main_wake;
        pthread_mutex_unlock(&amb_dispatch_lock);
        return fd;
}

/* What is submitted meanwhile has made the descriptor readable again. */
void amb_dispatch_main_run(void)
{
        struct amb_link now = AMB_LIST_INIT(now);
        struct item *item;
        uint64_t count;

        main_runs = true;
        (void)!read(main_wake, &count, sizeof(count));
        pthread_mutex_lock(&amb_dispatch_lock);
        while ((item = first_of(&main_queue.items)))
                amb_list_append(&now, &item->link);
        while ((item = first_of(&now))) {
                pthread_mutex_unlock(&amb_dispatch_lock);
                item->function(item->context);
                pthread_mutex_lock(&amb_dispatch_lock);
                item_free(item);
        }
        pthread_mutex_unlock(&amb_dispatch_lock);
        main_runs = false;
}

void dispatch_main(void)
{
        struct pollfd fd = { .events = POLLIN };

        dispatch_get_main_queue();
        for (;;) {
                fd.fd = main_wake;
                if (poll(&fd, 1, -1) > 0)
                        amb_dispatch_main_run();
        }
}

/* --- once --- */

enum { ONCE_RUNS = 1, ONCE_DONE = ~0 };

void dispatch_once_f(dispatch_once_t *predicate, void *context, dispatch_function_t function)
{
        if (__atomic_load_n(predicate, __ATOMIC_ACQUIRE) == ONCE_DONE)
                return;
        pthread_mutex_lock(&amb_dispatch_lock);
        while (*predicate == ONCE_RUNS)
                pthread_cond_wait(&turn, &amb_dispatch_lock);
        if (*predicate == 0) {
                __atomic_store_n(predicate, ONCE_RUNS, __ATOMIC_RELAXED);
                pthread_mutex_unlock(&amb_dispatch_lock);
                function(context);
                pthread_mutex_lock(&amb_dispatch_lock);
                __atomic_store_n(predicate, ONCE_DONE, __ATOMIC_RELEASE);
                pthread_cond_broadcast(&turn);
        }
        pthread_mutex_unlock(&amb_dispatch_lock);
}

/* --- time and semaphores --- */

dispatch_time_t dispatch_time(dispatch_time_t when, int64_t delta)
{
        uint64_t from = when == DISPATCH_TIME_NOW ? amb_time_now() : when;

        if (when == DISPATCH_TIME_FOREVER)
                return when;
        if (delta < 0)
                return from > 0 - (uint64_t)delta ? from + (uint64_t)delta : 1;
        return (uint64_t)delta < DISPATCH_TIME_FOREVER - from ? from + (uint64_t)delta : DISPATCH_TIME_FOREVER;
}

dispatch_time_t dispatch_walltime(const struct timespec *when, int64_t delta)
{
        struct timespec now;
        int64_t ahead = 0;

        clock_gettime(CLOCK_REALTIME, &now);
        if (when && (__builtin_mul_overflow((int64_t)when->tv_sec - now.tv_sec, (int64_t)NSEC_PER_SEC, &ahead) ||
                     __builtin_add_overflow(ahead, (int64_t)when->tv_nsec - now.tv_nsec, &ahead)))
                ahead = when->tv_sec > now.tv_sec ? INT64_MAX : INT64_MIN;
        if (__builtin_add_overflow(ahead, delta, &ahead))
                ahead = delta > 0 ? INT64_MAX : INT64_MIN;
        return dispatch_time(amb_time_now(), ahead);
}

static void condition_init(pthread_cond_t *condition)
{
        pthread_condattr_t attributes;

        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(condition, &attributes);
        pthread_condattr_destroy(&attributes);
}

dispatch_semaphore_t dispatch_semaphore_create(intptr_t value)
{
        dispatch_semaphore_t semaphore;

        semaphore = value < 0 ? NULL : calloc(1, sizeof(*semaphore));
        if (!semaphore)
                return NULL;
        semaphore->object = (struct amb_dispatch_object){ .kind = AMB_DISPATCH_SEMAPHORE, .references = 1 };
        semaphore->value = value;
        pthread_mutex_init(&semaphore->lock, NULL);
        condition_init(&semaphore->given);
        return semaphore;
}

intptr_t dispatch_semaphore_wait(dispatch_semaphore_t semaphore, dispatch_time_t timeout)
{
        struct timespec until = { (time_t)(timeout / NSEC_PER_SEC), (long)(timeout % NSEC_PER_SEC) };
        bool taken;
        int r = 0;

        pthread_mutex_lock(&semaphore->lock);
        semaphore->waiters++;
        while (semaphore->value == 0 && r == 0 && timeout != DISPATCH_TIME_NOW)
                if (timeout == DISPATCH_TIME_FOREVER)
                        pthread_cond_wait(&semaphore->given, &semaphore->lock);
                else
                        r = pthread_cond_timedwait(&semaphore->given, &semaphore->lock, &until);
        semaphore->waiters--;
        taken = semaphore->value > 0;
        semaphore->value -= taken;
        pthread_mutex_unlock(&semaphore->lock);
        return taken ? 0 : 49;          /* KERN_OPERATION_TIMED_OUT */
}

intptr_t dispatch_semaphore_signal(dispatch_semaphore_t semaphore)
{
        bool wakes;

        pthread_mutex_lock(&semaphore->lock);
        semaphore->value++;
        wakes = semaphore->waiters > 0;
        pthread_cond_signal(&semaphore->given);
        pthread_mutex_unlock(&semaphore->lock);
        return wakes;
}

/* --- fork --- */

static void fork_prepare(void)
{
        pthread_mutex_lock(&amb_dispatch_lock);
}

static void fork_parent(void)
{
        pthread_mutex_unlock(&amb_dispatch_lock);
}

static void fork_child(void)
{
        amb_list_init(&ready);
        amb_list_init(&main_queue.items);
        ready_count = idle = workers = 0;
        main_runs = false;
        if (main_wake >= 0) {
                close(main_wake);
                main_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        }
        condition_init(&work);
        condition_init(&turn);
        amb_dispatch_sources_forked();
        pthread_mutex_unlock(&amb_dispatch_lock);
}

__attribute__((constructor)) static void dispatch_start(void)
{
        condition_init(&work);
        condition_init(&turn);
        pthread_atfork(fork_prepare, fork_parent, fork_child);
}
