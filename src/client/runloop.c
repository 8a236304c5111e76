/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>

#include <CoreFoundation/CoreFoundation.h>
#include <DriverKit/OSObject.h>

#include "base/base.h"
#include "client/dispatch.h"
#include "client/runloop.h"

#define EPOCH_2001 978307200.0
#define NEVER UINT64_MAX

/* What a loop can hold: a source or a timer. */
struct item {
        OSObject object;
        struct __CFRunLoop *_Atomic loop;       /* the one it is in, or NULL */
        _Atomic bool valid;
        void *info;
        void (*release)(const void *info);      /* or NULL */
};

struct __CFRunLoopSource {
        struct item item;
        int fd;                         /* what is polled: the owner's, or our eventfd */
        bool signalled_by_us;           /* fd is an eventfd that CFRunLoopSourceSignal writes */
        void (*perform)(void *info);
};

struct __CFRunLoopTimer {
        struct item item;
        uint64_t next, interval;        /* nanoseconds, CLOCK_MONOTONIC; next NEVER: not due */
        CFRunLoopTimerCallBack callback;
};

/* An item is in a loop once per mode. */
struct membership {
        struct amb_link link;
        struct item *item;              /* a reference */
        CFStringRef mode;               /* a reference */
};

struct __CFRunLoop {
        OSObject object;
        int wake;
        _Atomic bool stopped, waiting;
        bool ended;                     /* its thread has; under the lock */
        CFStringRef mode;               /* that it runs in, or NULL; its thread's, and under the lock */
        struct amb_link memberships;
};

static pthread_mutex_t amb_run_loop_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t loop_key;
static CFRunLoopRef main_loop;          /* a reference, once somebody has asked for it; under the lock */

static void membership_end(struct membership *membership)
{
        amb_link_remove(&membership->link);
        OSObject_release(membership->item);
        CFRelease(membership->mode);
        free(membership);
}

static void loop_free(OSObject *object)
{
        CFRunLoopRef loop = (CFRunLoopRef)object;

        amb_fd_close(loop->wake);
        OSObject_free(object);
}

static void item_free(OSObject *object)
{
        struct item *item = (struct item *)object;

        if (item->release)
                item->release(item->info);
        OSObject_free(object);
}

static void source_free(OSObject *object)
{
        CFRunLoopSourceRef source = (CFRunLoopSourceRef)object;

        if (source->signalled_by_us)
                amb_fd_close(source->fd);
        item_free(object);
}

static const struct amb_method loop_methods[] = { AMB_OVERRIDE(OSObject, free, loop_free), AMB_METHODS_END };
static const struct amb_method source_methods[] = { AMB_OVERRIDE(OSObject, free, source_free), AMB_METHODS_END };
static const struct amb_method timer_methods[] = { AMB_OVERRIDE(OSObject, free, item_free), AMB_METHODS_END };
static const OSMetaClass loop_class = { "CFRunLoop", &gOSObjectMetaClass, sizeof(struct __CFRunLoop), loop_methods, NULL };
static const OSMetaClass source_class = { "CFRunLoopSource", &gOSObjectMetaClass, sizeof(struct __CFRunLoopSource),
                                          source_methods, NULL };
static const OSMetaClass timer_class = { "CFRunLoopTimer", &gOSObjectMetaClass, sizeof(struct __CFRunLoopTimer), timer_methods,
                                         NULL };

CFTypeID CFRunLoopGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&loop_class;
}

CFTypeID CFRunLoopSourceGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&source_class;
}

CFTypeID CFRunLoopTimerGetTypeID(void)
{
        return (CFTypeID)(uintptr_t)&timer_class;
}

/* --- a thread's loop --- */

/* What its members held is released without the lock: that may run code of the program's. */
static void loop_end(void *pointer)
{
        struct amb_link gone = AMB_LIST_INIT(gone);
        CFRunLoopRef loop = pointer;
        struct membership *membership, *next;

        pthread_mutex_lock(&amb_run_loop_lock);
        loop->ended = true;
        amb_list_for_safe(membership, next, &loop->memberships, link) {
                membership->item->loop = NULL;
                amb_link_remove(&membership->link);
                amb_list_append(&gone, &membership->link);
        }
        pthread_mutex_unlock(&amb_run_loop_lock);
        amb_list_for_safe(membership, next, &gone, link)
                membership_end(membership);
        OSObject_release(loop);
}

static void lock_all(void)
{
        pthread_mutex_lock(&amb_run_loop_lock);
}

static void unlock_all(void)
{
        pthread_mutex_unlock(&amb_run_loop_lock);
}

__attribute__((constructor)) static void loop_start(void)
{
        pthread_key_create(&loop_key, loop_end);
        pthread_atfork(lock_all, unlock_all, unlock_all);
}

static CFRunLoopRef loop_new(void)
{
        CFRunLoopRef loop = (CFRunLoopRef)amb_object_new(&loop_class);

        if (!loop)
                return NULL;
        amb_list_init(&loop->memberships);
        loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (loop->wake >= 0)
                return loop;
        OSObject_release(loop);
        return NULL;
}

/* Other threads may ask before the main thread does: whoever comes first makes it. */
CFRunLoopRef CFRunLoopGetMain(void)
{
        CFRunLoopRef loop;

        pthread_mutex_lock(&amb_run_loop_lock);
        if (!main_loop)
                main_loop = loop_new();
        loop = main_loop;
        pthread_mutex_unlock(&amb_run_loop_lock);
        return loop;
}

CFRunLoopRef CFRunLoopGetCurrent(void)
{
        CFRunLoopRef loop = pthread_getspecific(loop_key);

        if (loop)
                return loop;
        if (gettid() == getpid()) {
                loop = CFRunLoopGetMain();
                if (loop)
                        OSObject_retain(loop);
        } else {
                loop = loop_new();
        }
        if (loop && pthread_setspecific(loop_key, loop) != 0) {
                OSObject_release(loop);
                return NULL;
        }
        return loop;
}

void CFRunLoopWakeUp(CFRunLoopRef loop)
{
        uint64_t one = 1;

        (void)!write(loop->wake, &one, sizeof(one));
}

void CFRunLoopStop(CFRunLoopRef loop)
{
        atomic_store(&loop->stopped, true);
        CFRunLoopWakeUp(loop);
}

bool amb_run_loop_stopped(void)
{
        CFRunLoopRef loop = pthread_getspecific(loop_key);

        return loop && atomic_load(&loop->stopped);
}

/* --- membership --- */

/* Under the lock. */
static struct membership *membership_find(CFRunLoopRef loop, const void *item, CFStringRef mode)
{
        struct membership *membership;

        amb_list_for(membership, &loop->memberships, link)
                if (membership->item == item && CFEqual(membership->mode, mode))
                        return membership;
        return NULL;
}

/* The program's own reference of what it gave as info. */
static void item_context(struct item *item, const void *(*retain)(const void *info), void (*release)(const void *info))
{
        if (retain)
                item->info = (void *)(uintptr_t)retain(item->info);
        item->release = release;
}

static void item_add(CFRunLoopRef loop, struct item *item, CFStringRef mode)
{
        struct membership *membership;

        membership = calloc(1, sizeof(*membership));
        if (!membership)
                return;
        pthread_mutex_lock(&amb_run_loop_lock);
        if (!loop->ended && atomic_load(&item->valid) && (!item->loop || item->loop == loop) &&
            !membership_find(loop, item, mode)) {
                OSObject_retain(item);
                item->loop = loop;
                membership->item = item;
                membership->mode = CFRetain(mode);
                amb_list_append(&loop->memberships, &membership->link);
                membership = NULL;
        }
        pthread_mutex_unlock(&amb_run_loop_lock);
        free(membership);
        CFRunLoopWakeUp(loop);
}

/* Takes the item out of one mode, or of all (mode NULL). The caller holds a reference of it. */
static void item_remove(CFRunLoopRef loop, struct item *item, CFStringRef mode)
{
        struct membership *membership, *next;
        bool left = false;

        pthread_mutex_lock(&amb_run_loop_lock);
        if (loop && item->loop == loop) {
                amb_list_for_safe(membership, next, &loop->memberships, link) {
                        if (membership->item != item)
                                continue;
                        if (!mode || CFEqual(membership->mode, mode))
                                membership_end(membership);
                        else
                                left = true;
                }
                if (!left)
                        item->loop = NULL;
                CFRunLoopWakeUp(loop);
        }
        pthread_mutex_unlock(&amb_run_loop_lock);
}

/* The loop is looked up under the lock inside: a thread that ends takes its loop along. */
static void item_invalidate(struct item *item)
{
        struct membership *membership, *next;
        CFRunLoopRef loop;

        OSObject_retain(item);
        pthread_mutex_lock(&amb_run_loop_lock);
        atomic_store(&item->valid, false);
        loop = item->loop;
        if (loop) {
                amb_list_for_safe(membership, next, &loop->memberships, link)
                        if (membership->item == item)
                                membership_end(membership);
                item->loop = NULL;
                CFRunLoopWakeUp(loop);
        }
        pthread_mutex_unlock(&amb_run_loop_lock);
        OSObject_release(item);
}

void CFRunLoopAddSource(CFRunLoopRef loop, CFRunLoopSourceRef source, CFRunLoopMode mode)
{
        item_add(loop, &source->item, mode);
}

void CFRunLoopRemoveSource(CFRunLoopRef loop, CFRunLoopSourceRef source, CFRunLoopMode mode)
{
        item_remove(loop, &source->item, mode);
}

static bool item_is_in(CFRunLoopRef loop, const struct item *item, CFStringRef mode)
{
        bool found;

        pthread_mutex_lock(&amb_run_loop_lock);
        found = membership_find(loop, item, mode) != NULL;
        pthread_mutex_unlock(&amb_run_loop_lock);
        return found;
}

Boolean CFRunLoopContainsSource(CFRunLoopRef loop, CFRunLoopSourceRef source, CFRunLoopMode mode)
{
        return item_is_in(loop, &source->item, mode);
}

void CFRunLoopAddTimer(CFRunLoopRef loop, CFRunLoopTimerRef timer, CFRunLoopMode mode)
{
        item_add(loop, &timer->item, mode);
}

void CFRunLoopRemoveTimer(CFRunLoopRef loop, CFRunLoopTimerRef timer, CFRunLoopMode mode)
{
        item_remove(loop, &timer->item, mode);
}

Boolean CFRunLoopContainsTimer(CFRunLoopRef loop, CFRunLoopTimerRef timer, CFRunLoopMode mode)
{
        return item_is_in(loop, &timer->item, mode);
}

/* --- sources --- */

static CFRunLoopSourceRef source_new(int fd, bool signalled_by_us, void (*perform)(void *info), void *info)
{
        CFRunLoopSourceRef source;

        source = (CFRunLoopSourceRef)amb_object_new(&source_class);
        if (!source)
                return NULL;
        source->fd = fd;
        source->signalled_by_us = signalled_by_us;
        source->perform = perform;
        source->item.info = info;
        atomic_store(&source->item.valid, true);
        return source;
}

CFRunLoopSourceRef amb_run_loop_source_of_fd(int fd, void (*perform)(void *info), void *info)
{
        return source_new(fd, false, perform, info);
}

CFRunLoopSourceRef CFRunLoopSourceCreate(CFAllocatorRef allocator, CFIndex order, CFRunLoopSourceContext *context)
{
        CFRunLoopSourceRef source;
        AMB_FD fd = -1;

        (void)allocator;
        (void)order;
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
                return NULL;
        source = source_new(fd, true, context->perform, context->info);
        if (source) {
                item_context(&source->item, context->retain, context->release);
                fd = -1;
        }
        return source;
}

void CFRunLoopSourceSignal(CFRunLoopSourceRef source)
{
        uint64_t one = 1;

        if (source->signalled_by_us)
                (void)!write(source->fd, &one, sizeof(one));
}

void CFRunLoopSourceInvalidate(CFRunLoopSourceRef source)
{
        item_invalidate(&source->item);
}

Boolean CFRunLoopSourceIsValid(CFRunLoopSourceRef source)
{
        return atomic_load(&source->item.valid);
}

/* --- timers --- */

CFAbsoluteTime CFAbsoluteTimeGetCurrent(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (double)now.tv_sec - EPOCH_2001 + (double)now.tv_nsec / 1e9;
}

/* Seconds from now as a point of CLOCK_MONOTONIC; what lies beyond two centuries never comes. */
static uint64_t deadline_after(CFTimeInterval seconds)
{
        if (isnan(seconds) || seconds <= 0)
                return amb_time_now();
        return seconds > 6e9 ? NEVER : amb_time_now() + (uint64_t)(seconds * 1e9);
}

CFRunLoopTimerRef CFRunLoopTimerCreate(CFAllocatorRef allocator, CFAbsoluteTime fire_date, CFTimeInterval interval,
                                       CFOptionFlags flags, CFIndex order, CFRunLoopTimerCallBack callback,
                                       CFRunLoopTimerContext *context)
{
        CFRunLoopTimerRef timer;

        (void)allocator;
        (void)flags;
        (void)order;
        timer = (CFRunLoopTimerRef)amb_object_new(&timer_class);
        if (!timer)
                return NULL;
        timer->next = deadline_after(fire_date - CFAbsoluteTimeGetCurrent());
        timer->interval = interval > 0 && interval <= 6e9 ? (uint64_t)(interval * 1e9) : 0;
        timer->callback = callback;
        timer->item.info = context ? context->info : NULL;
        if (context)
                item_context(&timer->item, context->retain, context->release);
        atomic_store(&timer->item.valid, true);
        return timer;
}

/* The way back from the clock that does not jump. */
CFAbsoluteTime CFRunLoopTimerGetNextFireDate(CFRunLoopTimerRef timer)
{
        uint64_t next;

        pthread_mutex_lock(&amb_run_loop_lock);
        next = timer->next;
        pthread_mutex_unlock(&amb_run_loop_lock);
        return next == NEVER ? 0 : CFAbsoluteTimeGetCurrent() + ((double)next - (double)amb_time_now()) / 1e9;
}

CFTimeInterval CFRunLoopTimerGetInterval(CFRunLoopTimerRef timer)
{
        return (double)timer->interval / 1e9;
}

Boolean CFRunLoopTimerDoesRepeat(CFRunLoopTimerRef timer)
{
        return timer->interval > 0;
}

void CFRunLoopTimerSetNextFireDate(CFRunLoopTimerRef timer, CFAbsoluteTime fire_date)
{
        uint64_t next = deadline_after(fire_date - CFAbsoluteTimeGetCurrent());

        pthread_mutex_lock(&amb_run_loop_lock);
        timer->next = next;
        if (timer->item.loop)
                CFRunLoopWakeUp(timer->item.loop);
        pthread_mutex_unlock(&amb_run_loop_lock);
}

void CFRunLoopTimerInvalidate(CFRunLoopTimerRef timer)
{
        item_invalidate(&timer->item);
}

Boolean CFRunLoopTimerIsValid(CFRunLoopTimerRef timer)
{
        return atomic_load(&timer->item.valid);
}

static void timer_fire(CFRunLoopTimerRef timer)
{
        uint64_t now = amb_time_now();

        pthread_mutex_lock(&amb_run_loop_lock);
        if (timer->interval > 0)
                timer->next += (now - timer->next) / timer->interval * timer->interval + timer->interval;
        else
                timer->next = NEVER;
        pthread_mutex_unlock(&amb_run_loop_lock);
        timer->callback(timer, timer->item.info);
        /* A callback may have given it another date. */
        if (timer->interval == 0 && timer->next == NEVER)
                CFRunLoopTimerInvalidate(timer);
}

/* --- one pass --- */

enum { FEW = 8 };

/*
 * The items of a mode, each with a reference, as they were when the pass began; fds[0] is the loop's own, the last the main
 * queue's. A few have room here.
 */
struct pass {
        struct item **items;
        struct pollfd *fds;
        struct item *few[FEW];
        struct pollfd few_fds[FEW + 2];
        size_t count;
        struct pollfd *main;            /* the main queue's, behind the items' */
        uint64_t first;                 /* when the first timer is due */
};

static void pass_end(struct pass *pass)
{
        for (size_t i = 0; i < pass->count; i++)
                OSObject_release(pass->items[i]);
        if (pass->items != pass->few) {
                free(pass->items);
                free(pass->fds);
        }
}

/* Room for so many. */
static bool pass_make(struct pass *pass, size_t most)
{
        bool few = most <= FEW;

        pass->count = 0;
        pass->first = NEVER;
        pass->items = few ? pass->few : malloc(most * sizeof(*pass->items));
        pass->fds = few ? pass->few_fds : malloc((most + 2) * sizeof(*pass->fds));
        return pass->items && pass->fds;
}

static bool membership_runs(const struct membership *membership, CFStringRef mode)
{
        return CFEqual(membership->mode, mode) || CFEqual(membership->mode, kCFRunLoopCommonModes);
}

static bool mode_is_common(CFStringRef mode)
{
        return CFEqual(mode, kCFRunLoopDefaultMode) || CFEqual(mode, kCFRunLoopCommonModes);
}

static CFRunLoopTimerRef as_timer(struct item *item)
{
        return amb_object_cast(item, &timer_class);
}

static CFRunLoopSourceRef as_source(struct item *item)
{
        return amb_object_cast(item, &source_class);
}

static void pass_take(struct pass *pass, struct item *item)
{
        CFRunLoopTimerRef timer = as_timer(item);
        size_t i = pass->count++;

        OSObject_retain(item);
        pass->items[i] = item;
        pass->fds[i + 1] = (struct pollfd){ timer ? -1 : as_source(item)->fd, POLLIN, 0 };
        if (timer && timer->next < pass->first)
                pass->first = timer->next;
}

static bool pass_begin(CFRunLoopRef loop, CFStringRef mode, struct pass *pass)
{
        struct membership *membership;
        size_t most = 0;
        bool made;

        pthread_mutex_lock(&amb_run_loop_lock);
        amb_list_for(membership, &loop->memberships, link)
                most++;
        made = pass_make(pass, most);
        if (made) {
                pass->fds[0] = (struct pollfd){ loop->wake, POLLIN, 0 };
                amb_list_for(membership, &loop->memberships, link)
                        if (membership_runs(membership, mode))
                                pass_take(pass, membership->item);
        }
        pthread_mutex_unlock(&amb_run_loop_lock);
        if (!made)
                return false;
        pass->main = &pass->fds[pass->count + 1];
        *pass->main = (struct pollfd){ mode_is_common(mode) ? amb_dispatch_main_fd() : -1, POLLIN, 0 };
        return pass->count > 0 || pass->main->fd >= 0;
}

/* Waits for a source, a timer, a wake-up, or `deadline`. */
static void pass_wait(CFRunLoopRef loop, struct pass *pass, uint64_t deadline)
{
        uint64_t until = pass->first < deadline ? pass->first : deadline, now = amb_time_now(), left, count;
        struct timespec span;

        left = until > now ? until - now : 0;
        span = (struct timespec){ (time_t)(left / 1000000000u), (long)(left % 1000000000u) };
        atomic_store(&loop->waiting, true);
        if (ppoll(pass->fds, pass->count + 2, until == NEVER ? NULL : &span, NULL) < 0)
                for (size_t i = 0; i <= pass->count + 1; i++)
                        pass->fds[i].revents = 0;
        atomic_store(&loop->waiting, false);
        if (pass->fds[0].revents)
                (void)!read(loop->wake, &count, sizeof(count));
}

/* Calls what is ready; an earlier callback may have invalidated or removed it. True: a source has run. */
static bool pass_call(CFRunLoopRef loop, struct pass *pass)
{
        uint64_t count;
        bool handled = false;

        for (size_t i = 0; i < pass->count && !atomic_load(&loop->stopped); i++) {
                struct item *item = pass->items[i];
                CFRunLoopTimerRef timer = as_timer(item);
                CFRunLoopSourceRef source = as_source(item);

                if (!atomic_load(&item->valid) || item->loop != loop)
                        continue;
                if (timer && timer->next <= amb_time_now()) {
                        timer_fire(timer);
                } else if (source && pass->fds[i + 1].revents) {
                        if (source->signalled_by_us)
                                (void)!read(source->fd, &count, sizeof(count));
                        handled = true;
                        if (source->perform)
                                source->perform(item->info);
                }
        }
        if (pass->main->revents && !atomic_load(&loop->stopped))
                amb_dispatch_main_run();
        return handled;
}

static CFRunLoopRunResult loop_run(CFRunLoopRef loop, CFStringRef mode, uint64_t deadline, bool until_handled)
{
        for (;;) {
                AMB_UNINITIALIZED AMB_CLEANUP(pass_end) struct pass pass;
                bool handled;

                if (!pass_begin(loop, mode, &pass))
                        return kCFRunLoopRunFinished;
                if (!atomic_load(&loop->stopped)) {
                        pass_wait(loop, &pass, deadline);
                        handled = pass_call(loop, &pass);
                        if (handled && until_handled && !atomic_load(&loop->stopped))
                                return kCFRunLoopRunHandledSource;
                }
                if (atomic_exchange(&loop->stopped, false))
                        return kCFRunLoopRunStopped;
                if (deadline != NEVER && amb_time_now() >= deadline)
                        return kCFRunLoopRunTimedOut;
        }
}

/* The mode before; runs may be inside runs. */
static CFStringRef loop_set_mode(CFRunLoopRef loop, CFStringRef mode)
{
        CFStringRef before;

        pthread_mutex_lock(&amb_run_loop_lock);
        before = loop->mode;
        loop->mode = mode;
        pthread_mutex_unlock(&amb_run_loop_lock);
        return before;
}

CFRunLoopRunResult CFRunLoopRunInMode(CFRunLoopMode mode, CFTimeInterval seconds, Boolean return_after_source_handled)
{
        CFRunLoopRef loop = CFRunLoopGetCurrent();
        uint64_t deadline = deadline_after(seconds);
        CFRunLoopRunResult result;
        CFStringRef before;

        if (!loop)
                return kCFRunLoopRunFinished;
        before = loop_set_mode(loop, mode);
        result = loop_run(loop, mode, deadline, return_after_source_handled);
        loop_set_mode(loop, before);
        return result;
}

CFRunLoopMode CFRunLoopCopyCurrentMode(CFRunLoopRef loop)
{
        CFStringRef mode;

        pthread_mutex_lock(&amb_run_loop_lock);
        mode = loop->mode ? CFRetain(loop->mode) : NULL;
        pthread_mutex_unlock(&amb_run_loop_lock);
        return mode;
}

Boolean CFRunLoopIsWaiting(CFRunLoopRef loop)
{
        return atomic_load(&loop->waiting);
}

void CFRunLoopRun(void)
{
        CFRunLoopRunResult result;

        do
                result = CFRunLoopRunInMode(kCFRunLoopDefaultMode, INFINITY, false);
        while (result != kCFRunLoopRunStopped && result != kCFRunLoopRunFinished);
}
