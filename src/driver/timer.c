/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "driver/clock.h"
#include "driver/pool.h"
#include "driver/source.h"
#include "object/alive.h"

enum { CLOCK_UPTIME, CLOCK_SINCE_BOOT, CLOCK_WALL, CLOCKS };

static const clockid_t clocks[CLOCKS] = {
        [CLOCK_UPTIME] = CLOCK_MONOTONIC,
        [CLOCK_SINCE_BOOT] = CLOCK_BOOTTIME,
        [CLOCK_WALL] = CLOCK_REALTIME,
};

static struct {
        pthread_mutex_t lock;
        bool running;
        int poll_fd;
        int fds[CLOCKS];
        struct amb_link armed[CLOCKS];          /* IODispatchSource_ivars, by deadline; not retained */
} timers = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Takes a source off the list: it has been cancelled, or is being freed. */
static void timer_disarm(IODispatchSource *source)
{
        pthread_mutex_lock(&timers.lock);
        if (amb_link_linked(&source->ivars->link))
                amb_link_remove(&source->ivars->link);
        pthread_mutex_unlock(&timers.lock);
}

static bool timer_init(OSObject *object)
{
        if (!amb_source_init(object))
                return false;
        ((IODispatchSource *)object)->ivars->disarm = timer_disarm;
        return true;
}

static void timer_free(OSObject *object)
{
        if (((IODispatchSource *)object)->ivars)
                timer_disarm((IODispatchSource *)object);
        amb_source_free(object);
}

static const struct amb_method timer_methods[] = {
        AMB_OVERRIDE(OSObject, init, timer_init),
        AMB_OVERRIDE(OSObject, free, timer_free),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIOTimerDispatchSourceMetaClass = {
        "IOTimerDispatchSource", &gIODispatchSourceMetaClass, sizeof(IOTimerDispatchSource), timer_methods, AMB_SKIN_PLACE,
};

/*
 * Under the lock, some timer armed: when to wake up. Alone a timer is as exact as the clock; while the next one's deadline lies
 * within the leeway of all before it, they wait for that one and are called together.
 */
static uint64_t wake_time(unsigned int clock)
{
        uint64_t at = 0, latest = UINT64_MAX;
        struct IODispatchSource_ivars *s;

        amb_list_for(s, &timers.armed[clock], link) {
                if (s->deadline > latest)
                        break;
                at = s->deadline;
                if (s->latest < latest)
                        latest = s->latest;
        }
        return at;
}

/* Under the lock: sets the clock's timerfd to the next time to wake up, or switches it off. */
static void program(unsigned int clock)
{
        struct itimerspec at = { 0 };

        if (!amb_list_empty(&timers.armed[clock])) {
                at.it_value = amb_clock_timespec(wake_time(clock));
                /* All zeros would switch it off; and far beyond any clock's end is the same as never. */
                if (at.it_value.tv_sec == 0 && at.it_value.tv_nsec == 0)
                        at.it_value.tv_nsec = 1;
        }
        timerfd_settime(timers.fds[clock], TFD_TIMER_ABSTIME, &at, NULL);
}

/* Under the lock. */
static void insert(struct IODispatchSource_ivars *s)
{
        struct IODispatchSource_ivars *other;
        struct amb_link *before = &timers.armed[s->clock];

        amb_list_for(other, &timers.armed[s->clock], link) {
                if (other->deadline > s->deadline) {
                        before = &other->link;
                        break;
                }
        }
        /* A list's head and a member are both links: "append" to a member puts the new one in front of it. */
        amb_list_append(before, &s->link);
}

/* The first timer that is due, off the list, with a reference for the caller. */
static IODispatchSource *take_due(unsigned int clock, uint64_t *ret_generation, uint64_t *ret_now)
{
        struct IODispatchSource_ivars *s;

        pthread_mutex_lock(&timers.lock);
        *ret_now = amb_clock_now(clocks[clock]);
        while ((s = amb_list_first(&timers.armed[clock], struct IODispatchSource_ivars, link)) && s->deadline <= *ret_now) {
                amb_link_remove(&s->link);
                if (amb_object_retain_alive(s->source))
                        break;
        }
        if (s && s->deadline <= *ret_now) {
                *ret_generation = s->generation;
        } else {
                s = NULL;
                program(clock);
        }
        pthread_mutex_unlock(&timers.lock);
        return s ? s->source : NULL;
}

static void *timers_run(void *context)
{
        struct epoll_event events[CLOCKS];

        for (;;) {
                int n = epoll_wait(timers.poll_fd, events, CLOCKS, -1);

                for (int i = 0; i < n; i++) {
                        unsigned int clock = events[i].data.u32;
                        uint64_t generation, now, expired;
                        IODispatchSource *source;

                        (void)!read(timers.fds[clock], &expired, sizeof(expired));
                        while ((source = take_due(clock, &generation, &now))) {
                                amb_source_fire(source, generation, now);
                                OSObject_release(source);
                        }
                }
        }
        return NULL;
}

/* Under the lock. */
static int timers_start(void)
{
        AMB_FD poll_fd = epoll_create1(EPOLL_CLOEXEC);
        int fds[CLOCKS] = { -1, -1, -1 }, r = 0;

        if (poll_fd < 0)
                return amb_trace(amb_errno());
        for (unsigned int i = 0; i < CLOCKS && r == 0; i++) {
                struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };

                fds[i] = timerfd_create(clocks[i], TFD_CLOEXEC | TFD_NONBLOCK);
                if (fds[i] < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, fds[i], &event) < 0)
                        r = amb_trace(amb_errno());
                amb_list_init(&timers.armed[i]);
        }
        if (r == 0) {
                memcpy(timers.fds, fds, sizeof(fds));
                timers.poll_fd = poll_fd;
                r = amb_thread_start(timers_run, NULL, AMB_THREAD_STACK);
        }
        if (r < 0) {
                for (unsigned int i = 0; i < CLOCKS; i++)
                        amb_fd_close(fds[i]);
                return r;
        }
        amb_fd_steal(&poll_fd);
        timers.running = true;
        return 0;
}

AMB_EXPORT kern_return_t IOTimerDispatchSource_Create(IODispatchQueue *queue, IOTimerDispatchSource **timer)
{
        IOTimerDispatchSource *created;
        int r = 0;

        if (!queue || !timer)
                return kIOReturnBadArgument;
        pthread_mutex_lock(&timers.lock);
        if (!timers.running)
                r = timers_start();
        pthread_mutex_unlock(&timers.lock);
        if (r < 0)
                return kIOReturnNoResources;
        created = (IOTimerDispatchSource *)amb_object_new(OSTypeID(IOTimerDispatchSource));
        if (!created)
                return kIOReturnNoMemory;
        *timer = created;
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOTimerDispatchSource_SetHandler(IOTimerDispatchSource *self, OSAction *action)
{
        return amb_source_set_action(&self->source, action, IOTimerDispatchSource_TimerOccurred_ID);
}

/* The list of the clock that an option names; -1: no such clock. */
static int list_of_option(uint64_t options)
{
        clockid_t id = amb_clock_of_option(options);

        for (int i = 0; i < CLOCKS; i++)
                if (id >= 0 && clocks[i] == id)
                        return i;
        return -1;
}

AMB_EXPORT kern_return_t IOTimerDispatchSource_WakeAtTime(IOTimerDispatchSource *self, uint64_t options, uint64_t deadline,
                                                          uint64_t leeway)
{
        struct IODispatchSource_ivars *s = self->source.ivars;
        int clock = list_of_option(options);
        bool cancelled;

        if (clock < 0)
                return kIOReturnBadArgument;
        pthread_mutex_lock(&timers.lock);
        pthread_mutex_lock(&s->lock);
        cancelled = s->cancelled;
        if (!cancelled) {
                s->generation++;
                s->due = false;
        }
        pthread_mutex_unlock(&s->lock);
        if (!cancelled) {
                if (amb_link_linked(&s->link))
                        amb_link_remove(&s->link);
                s->deadline = deadline;
                if (__builtin_add_overflow(deadline, leeway, &s->latest))
                        s->latest = UINT64_MAX;
                s->clock = (unsigned int)clock;
                insert(s);
                program(s->clock);
        }
        pthread_mutex_unlock(&timers.lock);
        return cancelled ? kIOReturnNotReady : kIOReturnSuccess;
}
