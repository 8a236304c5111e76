/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <time.h>

#include <ambidext/interrupt.h>

#include "driver/interrupt.h"
#include "driver/poll.h"
#include "driver/service.h"
#include "driver/source.h"

/* An interrupt of a provider. */
struct amb_interrupt {
        struct amb_interrupt *next;
        uint32_t index;
        uint64_t type;
        int fd, unmask_fd;
        bool taken;                     /* by a source; the provider's lock */
        bool total_known;               /* the poll thread's: of descriptors that give a running total */
        uint32_t total;
};

struct IOInterruptDispatchSource_ivars {
        IOService *provider;
        struct amb_interrupt *interrupt;
        struct amb_poll poll;
        clockid_t clock;
        /* the source's lock */
        uint64_t pending, time;
        bool queued;                    /* a call of the handler is on its way */
        bool masked;                    /* level: seen, and the handler has not run since */
        bool broken;                    /* the descriptor gives nothing any more */
        bool left;                      /* the interrupt is free for another source */
};

/* --- the provider's --- */

static void interrupt_free(struct amb_interrupt *interrupt)
{
        amb_fd_close(interrupt->fd);
        amb_fd_close(interrupt->unmask_fd);
        free(interrupt);
}
AMB_DEFINE_CLEANUP(struct amb_interrupt, interrupt_free)

void amb_interrupts_free(struct amb_interrupt *first)
{
        while (first) {
                struct amb_interrupt *next = first->next;

                interrupt_free(first);
                first = next;
        }
}

/* Under the provider's lock. */
static struct amb_interrupt *find(IOService *provider, uint32_t index)
{
        struct amb_interrupt *interrupt = provider->ivars->interrupts;

        while (interrupt && interrupt->index != index)
                interrupt = interrupt->next;
        return interrupt;
}

/* Regular files and the like are always readable: nothing to wait for, and epoll says so. */
static bool can_be_waited_for(int fd)
{
        AMB_FD poll_fd = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event event = { .events = EPOLLIN };

        return poll_fd < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) == 0 || errno != EPERM;
}

/* A copy; -1: none was given. */
static kern_return_t copy_descriptor(int fd, int *ret_copy)
{
        int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (fd >= 0 && copy < 0)
                return errno == EBADF ? kIOReturnBadArgument : kIOReturnNoResources;
        *ret_copy = copy;
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t amb_service_attach_interrupt(IOService *provider, uint32_t index, int fd, int unmask_fd, uint64_t type)
{
        AMB_CLEANUP(interrupt_freep) struct amb_interrupt *interrupt = NULL;
        kern_return_t code;
        bool known;

        if (!OSDynamicCast(IOService, provider) || index > kIOInterruptSourceIndexMask || type > kIOInterruptTypeLevel || fd < 0)
                return kIOReturnBadArgument;
        interrupt = calloc(1, sizeof(*interrupt));
        if (!interrupt)
                return kIOReturnNoMemory;
        interrupt->fd = interrupt->unmask_fd = -1;
        interrupt->index = index;
        interrupt->type = type;
        code = copy_descriptor(fd, &interrupt->fd);
        if (code == kIOReturnSuccess)
                code = copy_descriptor(unmask_fd, &interrupt->unmask_fd);
        if (code != kIOReturnSuccess)
                return code;
        if (!can_be_waited_for(interrupt->fd) || fcntl(interrupt->fd, F_SETFL, fcntl(interrupt->fd, F_GETFL) | O_NONBLOCK) < 0)
                return kIOReturnUnsupported;
        pthread_mutex_lock(&provider->ivars->lock);
        known = find(provider, index);
        if (!known) {
                interrupt->next = provider->ivars->interrupts;
                provider->ivars->interrupts = amb_steal(interrupt);
        }
        pthread_mutex_unlock(&provider->ivars->lock);
        return known ? kIOReturnExclusiveAccess : kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOInterruptDispatchSource_GetInterruptType(IOService *provider, uint32_t index, uint64_t *interruptType)
{
        struct amb_interrupt *interrupt;

        if (!interruptType)
                return kIOReturnBadArgument;
        *interruptType = 0;
        if (!OSDynamicCast(IOService, provider))
                return kIOReturnBadArgument;
        pthread_mutex_lock(&provider->ivars->lock);
        interrupt = find(provider, index & kIOInterruptSourceIndexMask);
        pthread_mutex_unlock(&provider->ivars->lock);
        if (!interrupt)
                return kIOReturnNoInterrupt;
        *interruptType = interrupt->type;
        return kIOReturnSuccess;
}

/* --- the descriptor --- */

/* How often it has happened; *ret_broken: it never will again. On the poll thread. */
static uint64_t take_count(struct amb_interrupt *interrupt, bool *ret_broken)
{
        uint64_t count = 0;
        uint32_t total;
        ssize_t n;

        n = read(interrupt->fd, &count, sizeof(count));
        if (n == (ssize_t)sizeof(count))
                return count;
        if (n < 0 && errno == EINVAL && (n = read(interrupt->fd, &total, sizeof(total))) == (ssize_t)sizeof(total)) {
                count = interrupt->total_known ? total - interrupt->total : 1;
                interrupt->total_known = true;
                interrupt->total = total;
                return count;
        }
        *ret_broken = n >= 0 || (errno != EAGAIN && errno != EINTR);
        return 0;
}

static void unmask(const struct amb_interrupt *interrupt)
{
        uint64_t one = 1;
        uint32_t short_one = 1;

        if (interrupt->unmask_fd < 0 || write(interrupt->unmask_fd, &one, sizeof(one)) >= 0)
                return;
        if (errno != EINVAL || write(interrupt->unmask_fd, &short_one, sizeof(short_one)) < 0)
                amb_log(AMB_LOG_ERROR, "interrupt %u cannot be unmasked: %s", interrupt->index, strerror(errno));
}

/* --- the source --- */

static struct IODispatchSource_ivars *base(IOInterruptDispatchSource *self)
{
        return self->source.ivars;
}

/* Under the source's lock: looks for interrupts exactly as long as they are wanted. */
static void watch(IOInterruptDispatchSource *self)
{
        struct IODispatchSource_ivars *s = base(self);

        if (s->cancelled || s->disabled || self->ivars->masked || self->ivars->broken)
                amb_poll_unwatch(&self->ivars->poll);
        else if (amb_poll_watch(&self->ivars->poll) < 0)
                amb_log(AMB_LOG_ERROR, "interrupt %u cannot be waited for", self->ivars->interrupt->index);
}

static void deliver(IOInterruptDispatchSource *self);

/* On the target's queue. */
static bool interrupt_begin(void *context, struct amb_action_arguments *arguments)
{
        IOInterruptDispatchSource *self = context;
        struct IOInterruptDispatchSource_ivars *i = self->ivars;
        struct IODispatchSource_ivars *s = base(self);
        bool run;

        pthread_mutex_lock(&s->lock);
        run = !s->cancelled && !s->disabled && i->pending > 0;
        if (run) {
                *arguments = (struct amb_action_arguments){ .count = 2, .values = { i->pending, i->time } };
                i->pending = 0;
                s->rest.running++;
        } else {
                i->queued = false;
        }
        pthread_mutex_unlock(&s->lock);
        return run;
}

static void interrupt_end(void *context, bool ran)
{
        IOInterruptDispatchSource *self = context;
        struct IODispatchSource_ivars *s = base(self);
        struct amb_link ready = AMB_LIST_INIT(ready);
        bool on;

        pthread_mutex_lock(&s->lock);
        self->ivars->queued = false;
        on = ran && !s->cancelled && !s->disabled;
        pthread_mutex_unlock(&s->lock);
        if (ran) {
                /* Before it is looked for again: a device that still asks is seen at once. */
                if (on)
                        unmask(self->ivars->interrupt);
                pthread_mutex_lock(&s->lock);
                s->rest.running--;
                amb_rest_take(&s->rest, &ready);
                self->ivars->masked = false;
                watch(self);
                pthread_mutex_unlock(&s->lock);
                amb_rest_run(&ready);
                deliver(self);
        }
        OSObject_release(self);
}

/* Calls the handler if there is something to tell and no call is on its way. */
static void deliver(IOInterruptDispatchSource *self)
{
        struct IODispatchSource_ivars *s = base(self);
        OSAction *action = NULL;

        pthread_mutex_lock(&s->lock);
        if (!s->cancelled && !s->disabled && s->action && self->ivars->pending > 0 && !self->ivars->queued) {
                self->ivars->queued = true;
                action = s->action;
                OSObject_retain(action);
        }
        pthread_mutex_unlock(&s->lock);
        if (!action)
                return;
        OSObject_retain(self);
        if (amb_action_submit(action, self, interrupt_begin, interrupt_end) < 0) {
                pthread_mutex_lock(&s->lock);
                self->ivars->queued = false;
                pthread_mutex_unlock(&s->lock);
                OSObject_release(self);
        }
        OSObject_release(action);
}

/* On the poll thread. */
static void interrupt_ready(OSObject *object)
{
        IOInterruptDispatchSource *self = (IOInterruptDispatchSource *)object;
        struct IOInterruptDispatchSource_ivars *i = self->ivars;
        struct IODispatchSource_ivars *s = base(self);
        struct timespec now;
        bool broken = false;
        uint64_t count;

        pthread_mutex_lock(&s->lock);
        /* Switched off meanwhile: what has happened waits in the descriptor. */
        if (!s->cancelled && !s->disabled && !i->masked && !i->broken) {
                count = take_count(i->interrupt, &broken);
                if (count > 0) {
                        clock_gettime(i->clock, &now);
                        i->time = (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
                        i->pending += count;
                        i->masked = i->interrupt->type == kIOInterruptTypeLevel;
                }
                i->broken = broken;
                watch(self);
        }
        pthread_mutex_unlock(&s->lock);
        if (broken)
                amb_log(AMB_LOG_ERROR, "interrupt %u: its descriptor has come to an end", i->interrupt->index);
        deliver(self);
}

static void interrupt_switched(IODispatchSource *source)
{
        IOInterruptDispatchSource *self = (IOInterruptDispatchSource *)source;
        bool on;

        pthread_mutex_lock(&source->ivars->lock);
        on = !source->ivars->disabled && !source->ivars->cancelled;
        pthread_mutex_unlock(&source->ivars->lock);
        if (on)
                unmask(self->ivars->interrupt);
        pthread_mutex_lock(&source->ivars->lock);
        watch(self);
        pthread_mutex_unlock(&source->ivars->lock);
        deliver(self);
}

/* It has been cancelled, or is being freed: once. */
static void interrupt_leave(IODispatchSource *source)
{
        struct IOInterruptDispatchSource_ivars *i = ((IOInterruptDispatchSource *)source)->ivars;
        bool mine;

        amb_poll_remove(&i->poll);
        pthread_mutex_lock(&source->ivars->lock);
        mine = i->provider && !i->left;
        i->left = true;
        pthread_mutex_unlock(&source->ivars->lock);
        if (!mine)
                return;
        pthread_mutex_lock(&i->provider->ivars->lock);
        i->interrupt->taken = false;
        pthread_mutex_unlock(&i->provider->ivars->lock);
}

static bool interrupt_init(OSObject *object)
{
        IOInterruptDispatchSource *self = (IOInterruptDispatchSource *)object;

        if (!amb_source_init(object))
                return false;
        self->ivars = calloc(1, sizeof(*self->ivars));
        if (!self->ivars)
                return false;
        base(self)->disabled = true;
        base(self)->disarm = interrupt_leave;
        base(self)->switched = interrupt_switched;
        base(self)->change_refused = kIOReturnUnsupported;
        return true;
}

static void interrupt_source_free(OSObject *object)
{
        IOInterruptDispatchSource *self = (IOInterruptDispatchSource *)object;

        if (self->ivars) {
                interrupt_leave(&self->source);
                OSObject_release(self->ivars->provider);
                free(self->ivars);
        }
        amb_source_free(object);
}

static const struct amb_method interrupt_methods[] = {
        AMB_OVERRIDE(OSObject, init, interrupt_init),
        AMB_OVERRIDE(OSObject, free, interrupt_source_free),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIOInterruptDispatchSourceMetaClass = {
        "IOInterruptDispatchSource",
        &gIODispatchSourceMetaClass,
        sizeof(IOInterruptDispatchSource),
        interrupt_methods,
        AMB_SKIN_PLACE,
};

/* The provider's interrupt becomes the source's. */
static kern_return_t take(IOInterruptDispatchSource *self, IOService *provider, uint32_t index)
{
        struct amb_interrupt *interrupt;
        bool taken = false;

        pthread_mutex_lock(&provider->ivars->lock);
        interrupt = find(provider, index);
        if (interrupt) {
                taken = interrupt->taken;
                interrupt->taken = true;
        }
        pthread_mutex_unlock(&provider->ivars->lock);
        if (!interrupt)
                return kIOReturnNoInterrupt;
        if (taken)
                return kIOReturnNoResources;
        OSObject_retain(provider);
        self->ivars->provider = provider;
        self->ivars->interrupt = interrupt;
        if (amb_poll_add(&self->ivars->poll, interrupt->fd, &self->source.object, interrupt_ready) < 0)
                return kIOReturnNoResources;
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOInterruptDispatchSource_Create(IOService *provider, uint32_t indexAndFlags, IODispatchQueue *queue,
                                                          IOInterruptDispatchSource **source)
{
        IOInterruptDispatchSource *created;
        kern_return_t code;

        if (!OSDynamicCast(IOService, provider) || !queue || !source ||
            indexAndFlags & ~(kIOInterruptSourceIndexMask | kIOInterruptSourceContinuousTime))
                return kIOReturnBadArgument;
        created = (IOInterruptDispatchSource *)amb_object_new(OSTypeID(IOInterruptDispatchSource));
        if (!created)
                return kIOReturnNoMemory;
        created->ivars->clock = indexAndFlags & kIOInterruptSourceContinuousTime ? CLOCK_BOOTTIME : CLOCK_MONOTONIC;
        code = take(created, provider, indexAndFlags & kIOInterruptSourceIndexMask);
        if (code != kIOReturnSuccess) {
                OSObject_release(created);
                return code;
        }
        *source = created;
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOInterruptDispatchSource_SetHandler(IOInterruptDispatchSource *self, OSAction *action)
{
        kern_return_t code = amb_source_set_action(&self->source, action, IOInterruptDispatchSource_InterruptOccurred_ID);

        if (code == kIOReturnSuccess)
                deliver(self);
        return code;
}

AMB_EXPORT kern_return_t IOInterruptDispatchSource_GetLastInterrupt(IOInterruptDispatchSource *self, uint64_t *count,
                                                                    uint64_t *time)
{
        pthread_mutex_lock(&base(self)->lock);
        if (count)
                *count = self->ivars->pending;
        if (time)
                *time = self->ivars->time;
        pthread_mutex_unlock(&base(self)->lock);
        return kIOReturnSuccess;
}
