/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sys/epoll.h>

#include "base/thread.h"
#include "driver/poll.h"
#include "driver/pool.h"
#include "object/alive.h"

#define EVENTS_AT_ONCE 16

static struct {
        pthread_mutex_t lock;
        bool running;
        int fd;
        uint64_t number;
        struct amb_link members;
} polls = { .lock = PTHREAD_MUTEX_INITIALIZER, .members = AMB_LIST_INIT(polls.members) };

/* The member's object, retained, and what to call; NULL: it has gone meanwhile. */
static OSObject *find(uint64_t number, void (**ret_ready)(OSObject *object))
{
        struct amb_poll *member;
        OSObject *object = NULL;

        pthread_mutex_lock(&polls.lock);
        amb_list_for(member, &polls.members, link) {
                if (member->number == number) {
                        if (amb_object_retain_alive(member->object))
                                object = member->object;
                        *ret_ready = member->ready;
                        break;
                }
        }
        pthread_mutex_unlock(&polls.lock);
        return object;
}

static void *polls_run(void *context)
{
        struct epoll_event events[EVENTS_AT_ONCE];

        for (;;) {
                int n = epoll_wait(polls.fd, events, EVENTS_AT_ONCE, -1);

                for (int i = 0; i < n; i++) {
                        void (*ready)(OSObject *object) = NULL;
                        OSObject *object = find(events[i].data.u64, &ready);

                        if (object)
                                ready(object);
                        OSObject_release(object);
                }
        }
        return NULL;
}

/* Under the lock. */
static int polls_start(void)
{
        AMB_FD fd = epoll_create1(EPOLL_CLOEXEC);
        int r;

        if (fd < 0)
                return amb_trace(amb_errno());
        polls.fd = fd;
        r = amb_thread_start(polls_run, NULL, AMB_THREAD_STACK);
        if (r < 0)
                return r;
        amb_fd_steal(&fd);
        polls.running = true;
        return 0;
}

/* One-shot: what has been reported is off until the next watch; but off without a report is out, or a hang-up would be reported. */
static int control(struct amb_poll *poll, int operation, uint32_t wanted)
{
        struct epoll_event event = { .events = wanted | EPOLLONESHOT, .data.u64 = poll->number };

        return epoll_ctl(polls.fd, operation, poll->fd, &event) < 0 ? amb_errno() : 0;
}

int amb_poll_add(struct amb_poll *poll, int fd, OSObject *object, void (*ready)(OSObject *object))
{
        int r = 0;

        pthread_mutex_lock(&polls.lock);
        if (!polls.running)
                r = polls_start();
        if (r == 0) {
                *poll = (struct amb_poll){ .number = ++polls.number, .fd = fd, .object = object, .ready = ready };
                amb_list_append(&polls.members, &poll->link);
        }
        pthread_mutex_unlock(&polls.lock);
        return r;
}

static int watch(struct amb_poll *poll, uint32_t wanted)
{
        int r = 0;

        pthread_mutex_lock(&polls.lock);
        if (amb_link_linked(&poll->link)) {
                r = control(poll, poll->in ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, wanted);
                poll->in |= r == 0;
        }
        pthread_mutex_unlock(&polls.lock);
        return r < 0 ? amb_trace(r) : 0;
}

int amb_poll_watch(struct amb_poll *poll)
{
        return watch(poll, EPOLLIN);
}

int amb_poll_watch_room(struct amb_poll *poll)
{
        return watch(poll, EPOLLOUT);
}

/* Under the lock. */
static void leave(struct amb_poll *poll)
{
        if (poll->in)
                control(poll, EPOLL_CTL_DEL, 0);
        poll->in = false;
}

void amb_poll_unwatch(struct amb_poll *poll)
{
        pthread_mutex_lock(&polls.lock);
        leave(poll);
        pthread_mutex_unlock(&polls.lock);
}

void amb_poll_remove(struct amb_poll *poll)
{
        pthread_mutex_lock(&polls.lock);
        if (amb_link_linked(&poll->link)) {
                leave(poll);
                amb_link_remove(&poll->link);
        }
        pthread_mutex_unlock(&polls.lock);
}
