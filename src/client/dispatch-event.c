/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <dispatch/dispatch.h>'s sources: handlers over a source of dispatch-source.c, which waits for a descriptor: a timer's, a port's,
 * or a copy of the program's, so that the same one may be waited for twice; for files, which never block, one that is always ready.
 *
 * An event holds itself from its creation until its cancel handler has run, and is freed when its last reference is gone besides.
 * One lock each, for handlers and for rest; never held while a handler runs. A handler that runs is a copy, if it is a block.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

#include <mach/port.h>

#include "base/block.h"
#include "client/dispatch.h"
#include "client/port.h"

void dispatch_source_set_event_handler(dispatch_source_t event, void *block);
void dispatch_source_set_cancel_handler(dispatch_source_t event, void *block);

#define NS_PER_MS 1000000u

struct amb_dispatch_source_type {
        uint32_t events;
        /* The descriptor to wait for, this source's own; -1: none. */
        int (*open)(dispatch_source_t event);
        /* Has something happened? Sets data. NULL: there is always something. */
        bool (*look)(dispatch_source_t event);
        /* After the handler; may be NULL. */
        void (*settle)(dispatch_source_t event);
};

struct handler {
        dispatch_function_t function;
        void *block;                            /* in the place of the function: a copy */
};

struct dispatch_source_s {
        struct amb_dispatch_object object;
        dispatch_source_type_t type;
        uintptr_t handle, mask;
        int fd;
        struct amb_port *port;                  /* MACH_RECV: a reference, until the end */
        struct amb_dispatch_source *source;     /* until it is cancelled there */
        _Atomic uintptr_t data;
        _Atomic bool cancelled;

        pthread_mutex_t lock;
        struct handler on_event, on_cancel;
        unsigned int rests;                     /* suspends without a resume; 1 at first */
        bool waits;                             /* dispatch-source.c waits for the descriptor, or is about to */
        bool released, ended;
};

/* --- kinds --- */

/* epoll refuses what never blocks: files, /dev/null. */
static bool never_blocks(int fd)
{
        AMB_FD epoll = epoll_create1(EPOLL_CLOEXEC);

        return epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){ 0 }) < 0 && errno == EPERM;
}

/* What never blocks is always ready, as is what stands for it: a counter that nobody reads. */
static int copy_open(dispatch_source_t event)
{
        int fd = event->handle > INT_MAX ? -1 : fcntl((int)event->handle, F_DUPFD_CLOEXEC, 0);

        if (fd >= 0 && never_blocks(fd)) {
                amb_fd_close(fd);
                fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        }
        return fd;
}

static bool read_look(dispatch_source_t event)
{
        int bytes;

        event->data = ioctl(event->fd, FIONREAD, &bytes) == 0 ? (uintptr_t)bytes : 1;
        return true;
}

static int timer_open(dispatch_source_t event)
{
        (void)event;
        return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
}

static bool timer_look(dispatch_source_t event)
{
        uint64_t times;

        if (read(event->fd, &times, sizeof(times)) != sizeof(times))
                return false;                   /* set anew meanwhile */
        event->data = times;
        return true;
}

static int port_open(dispatch_source_t event)
{
        if (event->handle > UINT32_MAX || amb_handle_get((mach_port_t)event->handle, AMB_HANDLE_PORT, &event->port))
                return -1;
        return fcntl(event->port->epoll, F_DUPFD_CLOEXEC, 0);
}

/* The descriptor also says when there is something to look at that becomes no message. */
static bool port_look(dispatch_source_t event)
{
        struct amb_message *none;
        size_t size;
        bool some;

        amb_port_gather(event->port);
        some = amb_port_take(event->port, 0, &none, &size) == AMB_PORT_TOO_LARGE;
        if (!some)
                amb_port_settle(event->port);
        event->data = 1;
        return some;
}

static void port_settle(dispatch_source_t event)
{
        amb_port_settle(event->port);
}

const struct amb_dispatch_source_type amb_dispatch_source_read = { .events = EPOLLIN, .open = copy_open, .look = read_look };
const struct amb_dispatch_source_type amb_dispatch_source_write = { .events = EPOLLOUT, .open = copy_open };
const struct amb_dispatch_source_type amb_dispatch_source_timer = { .events = EPOLLIN, .open = timer_open, .look = timer_look };
const struct amb_dispatch_source_type amb_dispatch_source_mach_recv = {
        .events = EPOLLIN, .open = port_open, .look = port_look, .settle = port_settle,
};

/* --- handlers --- */

static void handler_drop(struct handler handler)
{
        if (handler.block)
                _Block_release(handler.block);
}

static void handler_set(dispatch_source_t event, struct handler *handler, struct handler next)
{
        struct handler before;

        pthread_mutex_lock(&event->lock);
        if (event->ended) {
                before = next;
        } else {
                before = *handler;
                *handler = next;
        }
        pthread_mutex_unlock(&event->lock);
        handler_drop(before);
}

static struct handler handler_of_block(void *block)
{
        struct handler handler = { .block = _Block_copy(block) };

        if (block && !handler.block) {
                amb_log(AMB_LOG_ERROR, "no memory for a block");
                abort();
        }
        return handler;
}

/* Another thread may put another one in its place meanwhile. */
static void handler_run(dispatch_source_t event, const struct handler *handler)
{
        struct handler now;

        pthread_mutex_lock(&event->lock);
        now = handler->block ? handler_of_block(handler->block) : *handler;
        pthread_mutex_unlock(&event->lock);
        if (now.block)
                amb_block_run(now.block);
        else if (now.function)
                now.function(event->object.context);
        handler_drop(now);
}

void dispatch_source_set_event_handler_f(dispatch_source_t event, dispatch_function_t function)
{
        handler_set(event, &event->on_event, (struct handler){ .function = function });
}

void dispatch_source_set_cancel_handler_f(dispatch_source_t event, dispatch_function_t function)
{
        handler_set(event, &event->on_cancel, (struct handler){ .function = function });
}

void dispatch_source_set_event_handler(dispatch_source_t event, void *block)
{
        handler_set(event, &event->on_event, handler_of_block(block));
}

void dispatch_source_set_cancel_handler(dispatch_source_t event, void *block)
{
        handler_set(event, &event->on_cancel, handler_of_block(block));
}

/* --- life --- */

/* Without the lock; `ended` or never begun. */
static void event_free(dispatch_source_t event)
{
        pthread_mutex_destroy(&event->lock);
        free(event);
}

/* What was opened. */
static void event_close(dispatch_source_t event)
{
        int fd;

        pthread_mutex_lock(&event->lock);
        fd = event->fd;
        event->fd = -1;
        pthread_mutex_unlock(&event->lock);
        amb_fd_close(fd);
        amb_target_unref(amb_steal(event->port));
}

/* On the queue: something may have happened. */
static enum amb_dispatch_more event_perform(void *context, struct amb_dispatch_source *source)
{
        dispatch_source_t event = context;
        bool rests;

        (void)source;
        pthread_mutex_lock(&event->lock);
        rests = event->rests > 0;
        if (rests)
                event->waits = false;
        pthread_mutex_unlock(&event->lock);
        if (rests)
                return AMB_DISPATCH_REST;
        event->data = 1;
        if (atomic_load(&event->cancelled) || (event->type->look && !event->type->look(event)))
                return AMB_DISPATCH_WAIT;
        handler_run(event, &event->on_event);
        if (event->type->settle)
                event->type->settle(event);
        return AMB_DISPATCH_WAIT;
}

/* On the queue, behind the last event. */
static void event_end(void *context)
{
        dispatch_source_t event = context;
        struct handler on_event, on_cancel;
        bool last;

        event_close(event);
        handler_run(event, &event->on_cancel);
        pthread_mutex_lock(&event->lock);
        on_event = event->on_event;
        on_cancel = event->on_cancel;
        event->on_event = event->on_cancel = (struct handler){ 0 };
        event->ended = true;
        last = event->released;
        pthread_mutex_unlock(&event->lock);
        handler_drop(on_event);
        handler_drop(on_cancel);
        if (last)
                event_free(event);
}

dispatch_source_t dispatch_source_create(dispatch_source_type_t type, uintptr_t handle, uintptr_t mask, dispatch_queue_t queue)
{
        dispatch_source_t event = calloc(1, sizeof(*event));

        if (!event)
                return NULL;
        event->object.kind = AMB_DISPATCH_SOURCE;
        event->object.references = 1;
        event->type = type;
        event->handle = handle;
        event->mask = mask;
        event->rests = 1;
        pthread_mutex_init(&event->lock, NULL);
        event->fd = type->open(event);
        if (event->fd >= 0)
                event->source = amb_dispatch_source_new(queue ? queue : dispatch_get_global_queue(0, 0), event->fd, type->events,
                                                        event, event_perform, event_end);
        if (event->source)
                return event;
        event_close(event);
        event_free(event);
        return NULL;
}

/* Cancels below, once: the source is nobody's else from then on. `event` may be gone afterwards. */
static void event_stop(dispatch_source_t event)
{
        struct amb_dispatch_source *source;

        pthread_mutex_lock(&event->lock);
        source = amb_steal(event->source);
        pthread_mutex_unlock(&event->lock);
        amb_dispatch_source_cancel(source);
}

void dispatch_source_cancel(dispatch_source_t event)
{
        bool rests;

        pthread_mutex_lock(&event->lock);
        atomic_store(&event->cancelled, true);
        rests = event->rests > 0;
        pthread_mutex_unlock(&event->lock);
        if (!rests)
                event_stop(event);
}

intptr_t dispatch_source_testcancel(dispatch_source_t event)
{
        return atomic_load(&event->cancelled);
}

void amb_dispatch_event_released(dispatch_source_t event)
{
        struct amb_dispatch_source *source;
        bool ended;

        pthread_mutex_lock(&event->lock);
        atomic_store(&event->cancelled, true);
        event->released = true;
        ended = event->ended;
        source = amb_steal(event->source);
        pthread_mutex_unlock(&event->lock);
        amb_dispatch_source_cancel(source);
        if (ended)
                event_free(event);
}

/* --- rest --- */

void dispatch_suspend(dispatch_source_t event)
{
        pthread_mutex_lock(&event->lock);
        event->rests++;
        pthread_mutex_unlock(&event->lock);
}

/* Starting below under the lock: whoever cancels takes the source away first. */
static void event_resume(dispatch_source_t event, bool first_alone)
{
        bool stop = false;

        pthread_mutex_lock(&event->lock);
        if (event->rests == 1 || (event->rests > 1 && !first_alone)) {
                event->rests--;
                stop = event->rests == 0 && atomic_load(&event->cancelled);
                if (event->rests == 0 && !stop && event->source && !event->waits) {
                        event->waits = true;
                        amb_dispatch_source_start(event->source);
                }
        }
        pthread_mutex_unlock(&event->lock);
        if (stop)
                event_stop(event);
}

void dispatch_resume(dispatch_source_t event)
{
        event_resume(event, false);
}

void dispatch_activate(dispatch_source_t event)
{
        event_resume(event, true);
}

/* --- the rest --- */

void dispatch_source_set_timer(dispatch_source_t event, dispatch_time_t start, uint64_t interval, uint64_t leeway)
{
        uint64_t first = start == DISPATCH_TIME_NOW ? amb_time_now() : start;
        struct itimerspec times = { 0 };

        (void)leeway;
        if (event->type != DISPATCH_SOURCE_TYPE_TIMER)
                return;
        if (start != DISPATCH_TIME_FOREVER)
                times.it_value = (struct timespec){ (time_t)(first / NSEC_PER_SEC), (long)(first % NSEC_PER_SEC) };
        if (interval < NS_PER_MS)
                interval = NS_PER_MS;
        if (interval != DISPATCH_TIME_FOREVER)
                times.it_interval = (struct timespec){ (time_t)(interval / NSEC_PER_SEC), (long)(interval % NSEC_PER_SEC) };
        pthread_mutex_lock(&event->lock);
        if (event->fd >= 0)
                timerfd_settime(event->fd, TFD_TIMER_ABSTIME, &times, NULL);
        pthread_mutex_unlock(&event->lock);
}

uintptr_t dispatch_source_get_data(dispatch_source_t event)
{
        return event->data;
}

uintptr_t dispatch_source_get_handle(dispatch_source_t event)
{
        return event->handle;
}

uintptr_t dispatch_source_get_mask(dispatch_source_t event)
{
        return event->mask;
}
