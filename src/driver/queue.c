/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include <DriverKit/IOTimerDispatchSource.h>

#include "base/sanitizer.h"
#include "driver/clock.h"
#include "driver/pool.h"
#include "driver/queue.h"

/*
 * state: bit 0, somebody owns the queue; bit 1, look at the list before you let go. Bit 1 is set only under the lock, so the fast
 * paths (0 -> 1 and 1 -> 0) fail as soon as anybody waits. While the list has members the queue is owned. Where ThreadSanitizer
 * watches the driver nobody takes the fast paths: it sees the lock, and what that orders.
 */
enum { OWNED = 1, WANTED = 2 };

struct IODispatchQueue_ivars {
        _Atomic uint32_t state;
        _Atomic bool cancelled;
        bool reentrant;
        pthread_mutex_t lock;
        struct amb_link waiting;        /* struct item: want the queue */
        struct amb_link sleeping;       /* struct item: have given it up until a wake-up or their time */
        uint32_t sharers;               /* concurrent functions that own the queue together; 0: one owner, or none */
        struct amb_work drain;          /* submitted while the queue is owned on behalf of `next` */
        struct item *next;
        IODispatchQueue *queue;
        IODispatchQueueName name;
};

struct item {
        struct amb_link link;
        IODispatchFunction function;    /* NULL: a thread waits in enter or in a sleep */
        IODispatchFunction dropped;
        void *context;
        bool always;                    /* a cancel handler, or a thread after its sleep: also on a cancelled queue */
        bool shared;                    /* owns the queue together with others that are shared */
        bool woken;                     /* a sleeper, by Wakeup */
        const void *event;              /* of a sleeper */
        IODispatchQueue *queue;         /* of a running shared function, with a reference */
        struct amb_work work;           /* the same */
        _Atomic uint32_t turn;          /* of a waiting thread: 0, or what to do */
};
enum { TURN_OWN = 1, TURN_CANCELLED = 2 };

/* In the block that a thread has from its start (a word, so it finds room there): each look is one instruction and no call. */
static _Thread_local struct amb_queue_frame *innermost __attribute__((tls_model("initial-exec")));

static void drain(struct amb_work *work);
static void share(struct amb_work *work);

static bool queue_init(OSObject *object)
{
        IODispatchQueue *self = (IODispatchQueue *)object;

        if (!OSObject_init(object))
                return false;
        self->ivars = calloc(1, sizeof(*self->ivars));
        if (!self->ivars)
                return false;
        pthread_mutex_init(&self->ivars->lock, NULL);
        amb_list_init(&self->ivars->waiting);
        amb_list_init(&self->ivars->sleeping);
        self->ivars->drain.run = drain;
        self->ivars->queue = self;
        return true;
}

static void queue_free(OSObject *object)
{
        IODispatchQueue *self = (IODispatchQueue *)object;

        if (self->ivars)
                pthread_mutex_destroy(&self->ivars->lock);
        free(self->ivars);
        OSObject_free(object);
}

static const struct amb_method queue_methods[] = {
        AMB_OVERRIDE(OSObject, init, queue_init),
        AMB_OVERRIDE(OSObject, free, queue_free),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIODispatchQueueMetaClass = {
        "IODispatchQueue", &gOSObjectMetaClass, sizeof(IODispatchQueue), queue_methods, AMB_SKIN_PLACE,
};

AMB_EXPORT kern_return_t IODispatchQueue_Create(const char *name, uint64_t options, uint64_t priority, IODispatchQueue **queue)
{
        IODispatchQueue *created;

        if (!name || !queue)
                return kIOReturnBadArgument;
        if ((options & ~(uint64_t)(kIODispatchQueueReentrant | kIODispatchQueueMethodsNotSynchronized)) || priority != 0)
                return kIOReturnUnsupported;
        created = (IODispatchQueue *)amb_object_new(OSTypeID(IODispatchQueue));
        if (!created)
                return kIOReturnNoMemory;
        created->ivars->reentrant = options & kIODispatchQueueReentrant;
        memcpy(created->ivars->name, name, strnlen(name, sizeof(IODispatchQueueName) - 1));
        *queue = created;
        return kIOReturnSuccess;
}

AMB_EXPORT const char *IODispatchQueue_GetName(IODispatchQueue *self)
{
        return self->ivars->name;
}

static inline bool on_queue(const IODispatchQueue *queue)
{
        for (struct amb_queue_frame *f = innermost; f; f = f->outer)
                if (f->queue == queue)
                        return true;
        return false;
}

AMB_EXPORT bool IODispatchQueue_OnQueue(IODispatchQueue *self)
{
        return on_queue(self);
}

/* --- ownership --- */

/* Under the lock. True: nobody owned the queue, it is the caller's now. Otherwise the owner will look at the list. */
static bool own_or_want(struct IODispatchQueue_ivars *q)
{
        /* Acquire: what the last owner did happened before. */
        if (atomic_fetch_or_explicit(&q->state, WANTED, memory_order_acquire) & OWNED)
                return false;
        atomic_store_explicit(&q->state, OWNED, memory_order_relaxed);
        return true;
}

/* Under the lock: true: the queue, or a share of it, is the item's now. Otherwise it waits in the list. */
static bool acquire(struct IODispatchQueue_ivars *q, struct item *item)
{
        if (own_or_want(q)) {
                q->sharers = item->shared ? 1 : 0;
                return true;
        }
        /* Joins those who share it; but not past somebody who waits to have it alone. */
        if (item->shared && q->sharers > 0 && amb_list_empty(&q->waiting)) {
                q->sharers++;
                return true;
        }
        amb_list_append(&q->waiting, &item->link);
        return false;
}

/* Under the lock. A waiting thread may be gone with its item as soon as the lock is free. */
static void give_turn(struct item *item, uint32_t turn)
{
        atomic_store_explicit(&item->turn, turn, memory_order_release);
        syscall(SYS_futex, &item->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Waits until the item has been given its turn; returns it. */
static uint32_t await_turn(struct IODispatchQueue_ivars *q, struct item *item)
{
        uint32_t turn;

        while ((turn = atomic_load_explicit(&item->turn, memory_order_acquire)) == 0)
                syscall(SYS_futex, &item->turn, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
        /* The waker holds the lock while it touches the item, which dies with the caller's frame. */
        pthread_mutex_lock(&q->lock);
        pthread_mutex_unlock(&q->lock);
        return turn;
}

/* Under the lock: the function owns a share; it runs on a thread of its own. */
static void start_shared(struct IODispatchQueue_ivars *q, struct item *item)
{
        OSObject_retain(q->queue);
        item->queue = q->queue;
        item->work.run = share;
        amb_pool_submit(&item->work);
}

/*
 * Under the lock, by the last owner: hands the queue to the first in the list, or to the first ones if they share; returns a
 * function that is to be run alone, by a drainer.
 */
static struct item *hand_over(struct IODispatchQueue_ivars *q)
{
        struct item *item;

        while ((item = amb_list_first(&q->waiting, struct item, link)) && (item->shared || q->sharers == 0)) {
                bool shared = item->shared;

                amb_link_remove(&item->link);
                if (!shared && item->function)
                        return item;
                if (shared)
                        q->sharers++;
                if (item->function)
                        start_shared(q, item);
                else
                        give_turn(item, TURN_OWN);
                if (!shared)
                        return NULL;
        }
        /* Release: what this owner did happens before what the next one does. */
        if (!item && q->sharers == 0)
                atomic_store_explicit(&q->state, 0, memory_order_release);
        return NULL;
}

static inline void frame_push(struct amb_queue_frame *frame, IODispatchQueue *queue, enum amb_queue_hold hold)
{
        frame->queue = queue;
        frame->hold = hold;
        frame->asleep = NULL;
        frame->outer = innermost;
        innermost = frame;
}

/* Under the lock, which it gives up: lets go of the queue, or of a share. The caller still has a reference. */
static void leave_and_unlock(struct IODispatchQueue_ivars *q, bool shared)
{
        struct item *item = NULL;

        if (shared)
                q->sharers--;
        if (q->sharers == 0)
                item = hand_over(q);
        if (item) {
                OSObject_retain(q->queue);
                q->next = item;
        }
        pthread_mutex_unlock(&q->lock);
        if (item)
                amb_pool_submit(&q->drain);
}

AMB_APART static void leave_slowly(struct IODispatchQueue_ivars *q)
{
        pthread_mutex_lock(&q->lock);
        leave_and_unlock(q, false);
}

static inline void leave(struct IODispatchQueue_ivars *q)
{
        uint32_t alone = OWNED;

        if (amb_unlikely(amb_race_watched() || !atomic_compare_exchange_strong_explicit(&q->state, &alone, 0, memory_order_release,
                                                                                        memory_order_relaxed)))
                leave_slowly(q);
}

void amb_queue_leave(struct amb_queue_frame *frame)
{
        innermost = frame->outer;
        if (frame->hold == AMB_QUEUE_ALONE)
                leave(frame->queue->ivars);
}

AMB_APART static bool enter_slowly(struct IODispatchQueue_ivars *q)
{
        struct item item = { 0 };
        bool own;

        pthread_mutex_lock(&q->lock);
        if (atomic_load_explicit(&q->cancelled, memory_order_relaxed)) {
                pthread_mutex_unlock(&q->lock);
                return false;
        }
        own = acquire(q, &item);
        pthread_mutex_unlock(&q->lock);
        return own || await_turn(q, &item) == TURN_OWN;
}

static inline bool take(struct IODispatchQueue_ivars *q)
{
        uint32_t nobody = 0;

        return amb_likely(!amb_race_watched()) &&
               atomic_compare_exchange_strong_explicit(&q->state, &nobody, OWNED, memory_order_acquire, memory_order_relaxed);
}

AMB_COLD static bool refuse(struct IODispatchQueue_ivars *q)
{
        leave(q);
        return false;
}

/* The caller owns the queue: may it run? */
static inline bool begin(IODispatchQueue *queue, struct amb_queue_frame *frame)
{
        struct IODispatchQueue_ivars *q = queue->ivars;

        if (amb_unlikely(atomic_load_explicit(&q->cancelled, memory_order_relaxed)))
                return refuse(q);
        frame_push(frame, queue, AMB_QUEUE_ALONE);
        return true;
}

AMB_APART static bool enter_owned(IODispatchQueue *queue, struct amb_queue_frame *frame)
{
        return enter_slowly(queue->ivars) && begin(queue, frame);
}

/* What is not the usual case is called last, with the same arguments: so nothing has to be saved in the usual one. */
bool amb_queue_enter(IODispatchQueue *queue, struct amb_queue_frame *frame)
{
        if (on_queue(queue)) {
                frame_push(frame, queue, AMB_QUEUE_NESTED);
                return true;
        }
        return amb_likely(take(queue->ivars)) ? begin(queue, frame) : enter_owned(queue, frame);
}

/* --- calls between objects --- */

/* A thread that waits for a queue in a call, with what it runs on meanwhile. */
struct caller {
        struct amb_link link;
        const struct amb_queue_frame *frames;
        IODispatchQueue *wanted;
};

static pthread_mutex_t callers_lock = PTHREAD_MUTEX_INITIALIZER;
static struct amb_link callers = AMB_LIST_INIT(callers);

static bool is_on(const struct amb_queue_frame *frames, const IODispatchQueue *queue)
{
        for (const struct amb_queue_frame *f = frames; f; f = f->outer)
                if (f->queue == queue && f->hold != AMB_QUEUE_SHARED)
                        return true;
        return false;
}

/*
 * Under the lock. Does whoever is on the queue wait, by way of others or not, for a queue that the caller is on? Each waits for
 * one.
 */
static bool is_circle(const struct amb_queue_frame *own, const IODispatchQueue *wanted)
{
        struct caller *c;

        amb_list_for(c, &callers, link)
                if (is_on(c->frames, wanted))
                        return is_on(own, c->wanted) || is_circle(own, c->wanted);
        return false;
}

AMB_APART static bool enter_waiting(IODispatchQueue *queue, struct amb_queue_frame *frame)
{
        struct caller caller = { .frames = innermost, .wanted = queue };
        bool own;

        pthread_mutex_lock(&callers_lock);
        if (is_circle(caller.frames, queue)) {
                pthread_mutex_unlock(&callers_lock);
                frame_push(frame, queue, AMB_QUEUE_NESTED);
                return true;
        }
        amb_list_append(&callers, &caller.link);
        pthread_mutex_unlock(&callers_lock);
        own = enter_slowly(queue->ivars);
        pthread_mutex_lock(&callers_lock);
        amb_link_remove(&caller.link);
        pthread_mutex_unlock(&callers_lock);
        return own && begin(queue, frame);
}

bool amb_queue_enter_call(IODispatchQueue *queue, struct amb_queue_frame *frame)
{
        if (on_queue(queue)) {
                frame_push(frame, queue, AMB_QUEUE_NESTED);
                return true;
        }
        return take(queue->ivars) ? begin(queue, frame) : enter_waiting(queue, frame);
}

bool amb_queue_pass(IODispatchQueue *queue)
{
        struct IODispatchQueue_ivars *q = queue->ivars;
        bool cancelled;

        if (!take(q))
                return false;
        cancelled = atomic_load_explicit(&q->cancelled, memory_order_relaxed);
        leave(q);
        return !cancelled;
}

/* --- asynchronous items --- */

static void item_finish(struct item *item, bool run)
{
        IODispatchFunction function = run ? item->function : item->dropped;
        void *context = item->context;

        free(item);
        if (function)
                function(context);
}

/* A thread of the pool, owning the queue on behalf of next: runs items until a thread waits for the queue or none is left. */
static void drain(struct amb_work *work)
{
        struct IODispatchQueue_ivars *q = amb_container_of(work, struct IODispatchQueue_ivars, drain);
        IODispatchQueue *queue = q->queue;
        struct item *item = q->next;
        struct amb_queue_frame frame;

        frame_push(&frame, queue, AMB_QUEUE_ALONE);
        while (item) {
                item_finish(item, item->always || !atomic_load_explicit(&q->cancelled, memory_order_relaxed));
                pthread_mutex_lock(&q->lock);
                item = hand_over(q);
                pthread_mutex_unlock(&q->lock);
        }
        innermost = frame.outer;
        OSObject_release(queue);
}

/* A thread of the pool, with a share of the queue: runs one function. */
static void share(struct amb_work *work)
{
        struct item *item = amb_container_of(work, struct item, work);
        IODispatchQueue *queue = item->queue;
        struct IODispatchQueue_ivars *q = queue->ivars;
        struct amb_queue_frame frame;

        frame_push(&frame, queue, AMB_QUEUE_SHARED);
        item_finish(item, !atomic_load_explicit(&q->cancelled, memory_order_relaxed));
        innermost = frame.outer;
        pthread_mutex_lock(&q->lock);
        leave_and_unlock(q, true);
        OSObject_release(queue);
}

/* Consumes the item. */
static void submit(IODispatchQueue *queue, struct item *item)
{
        struct IODispatchQueue_ivars *q = queue->ivars;
        bool alone = false;

        pthread_mutex_lock(&q->lock);
        if (atomic_load_explicit(&q->cancelled, memory_order_relaxed) && !item->always) {
                pthread_mutex_unlock(&q->lock);
                item_finish(item, false);
                return;
        }
        if (acquire(q, item)) {
                alone = !item->shared;
                if (alone) {
                        /* The drainer's reference; items in the list are kept by whoever owns the queue. */
                        OSObject_retain(queue);
                        q->next = item;
                } else {
                        start_shared(q, item);
                }
        }
        pthread_mutex_unlock(&q->lock);
        if (alone)
                amb_pool_submit(&q->drain);
}

static int dispatch(IODispatchQueue *queue, void *context, IODispatchFunction function, IODispatchFunction dropped, bool shared)
{
        struct item *item = calloc(1, sizeof(*item));

        if (!item)
                return amb_trace(-ENOMEM);
        item->function = function;
        item->dropped = dropped;
        item->context = context;
        item->shared = shared;
        submit(queue, item);
        return 0;
}

int amb_queue_async(IODispatchQueue *queue, void *context, IODispatchFunction function, IODispatchFunction dropped)
{
        return dispatch(queue, context, function, dropped, false);
}

int amb_queue_concurrent(IODispatchQueue *queue, void *context, IODispatchFunction function, IODispatchFunction dropped)
{
        return dispatch(queue, context, function, dropped, queue->ivars->reentrant);
}

AMB_EXPORT void IODispatchQueue_DispatchAsync_f(IODispatchQueue *self, void *context, IODispatchFunction function)
{
        if (amb_queue_async(self, context, function, NULL) < 0)
                amb_log(AMB_LOG_ERROR, "queue %s: no memory to dispatch", self->ivars->name);
}

AMB_EXPORT void IODispatchQueue_DispatchConcurrent_f(IODispatchQueue *self, void *context, IODispatchFunction function)
{
        if (amb_queue_concurrent(self, context, function, NULL) < 0)
                amb_log(AMB_LOG_ERROR, "queue %s: no memory to dispatch", self->ivars->name);
}

AMB_EXPORT void IODispatchQueue_DispatchSync_f(IODispatchQueue *self, void *context, IODispatchFunction function)
{
        struct amb_queue_frame frame;

        if (!amb_queue_enter(self, &frame))
                return;
        function(context);
        amb_queue_leave(&frame);
}

AMB_EXPORT kern_return_t IODispatchQueue_RunAction_f(IODispatchQueue *self, void *context, kern_return_t (*function)(void *context))
{
        struct amb_queue_frame frame;
        kern_return_t result;

        if (!amb_queue_enter(self, &frame))
                return kIOReturnAborted;
        result = function(context);
        amb_queue_leave(&frame);
        return result;
}

AMB_EXPORT kern_return_t IODispatchQueue_Cancel_f(IODispatchQueue *self, void *context, IODispatchFunction handler)
{
        struct IODispatchQueue_ivars *q = self->ivars;
        struct amb_link doomed = AMB_LIST_INIT(doomed);
        struct item *item, *following, *last = NULL;

        if (handler && !(last = calloc(1, sizeof(*last))))
                return kIOReturnNoMemory;
        pthread_mutex_lock(&q->lock);
        atomic_store_explicit(&q->cancelled, true, memory_order_relaxed);
        amb_list_for_safe(item, following, &q->waiting, link) {
                if (item->always)
                        continue;
                amb_link_remove(&item->link);
                if (item->function) {
                        amb_list_append(&doomed, &item->link);
                } else {
                        give_turn(item, TURN_CANCELLED);
                }
        }
        pthread_mutex_unlock(&q->lock);

        amb_list_for_safe(item, following, &doomed, link) {
                amb_link_remove(&item->link);
                item_finish(item, false);
        }
        if (last) {
                last->function = handler;
                last->context = context;
                last->always = true;
                submit(self, last);
        }
        return kIOReturnSuccess;
}

/* --- sleep and wake-up --- */

/* How the calling thread holds the queue; NULL: not at all. */
static struct amb_queue_frame *frame_of(IODispatchQueue *queue)
{
        for (struct amb_queue_frame *f = innermost; f; f = f->outer)
                if (f->queue == queue && f->hold != AMB_QUEUE_NESTED)
                        return f;
        return NULL;
}

/* Until the sleeper has its turn or it is time (in nanoseconds, of a clock that a futex knows). True: it is time. */
static bool sleep_until(struct item *item, clockid_t clock, uint64_t deadline)
{
        struct timespec until = amb_clock_timespec(deadline);
        int operation = FUTEX_WAIT_BITSET_PRIVATE | (clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0);

        while (atomic_load_explicit(&item->turn, memory_order_acquire) == 0)
                if (syscall(SYS_futex, &item->turn, operation, 0, &until, NULL, FUTEX_BITSET_MATCH_ANY) < 0 && errno == ETIMEDOUT)
                        return true;
        return false;
}

/* Gives the queue up, sleeps, and has it again. The caller holds it as `frame` says. */
static kern_return_t queue_sleep(struct IODispatchQueue_ivars *q, struct amb_queue_frame *frame, const void *event, clockid_t clock,
                                 uint64_t deadline)
{
        struct item item = { .event = event, .always = true, .shared = frame->hold == AMB_QUEUE_SHARED };
        int error = errno;

        if (frame->asleep)
                frame->asleep(frame);
        pthread_mutex_lock(&q->lock);
        amb_list_append(&q->sleeping, &item.link);
        leave_and_unlock(q, item.shared);
        if (sleep_until(&item, clock, deadline)) {
                pthread_mutex_lock(&q->lock);
                /* A wake-up that came meanwhile has put it among those who wait for the queue already. */
                if (!item.woken) {
                        amb_link_remove(&item.link);
                        if (acquire(q, &item))
                                atomic_store_explicit(&item.turn, TURN_OWN, memory_order_relaxed);
                }
                pthread_mutex_unlock(&q->lock);
        }
        await_turn(q, &item);
        errno = error;
        return item.woken ? kIOReturnSuccess : kIOReturnTimeout;
}

AMB_EXPORT kern_return_t IODispatchQueue_SleepWithDeadline(IODispatchQueue *self, void *event, uint64_t options, uint64_t deadline)
{
        struct amb_queue_frame *frame = frame_of(self);
        clockid_t clock = amb_clock_of_option(options & ~(uint64_t)kIODispatchQueueSleepReuseEvent);

        if (!self->ivars->reentrant)
                return kIOReturnUnsupported;
        if (!frame)
                return kIOReturnNotPermitted;
        if (!event || clock < 0)
                return kIOReturnBadArgument;
        amb_clock_make_waitable(&clock, &deadline);
        return queue_sleep(self->ivars, frame, event, clock, deadline);
}

AMB_EXPORT kern_return_t IODispatchQueue_SleepWithTimeout(IODispatchQueue *self, void *event, uint64_t timeout)
{
        uint64_t deadline;

        if (__builtin_add_overflow(amb_clock_now(CLOCK_MONOTONIC), timeout, &deadline))
                deadline = UINT64_MAX;
        return IODispatchQueue_SleepWithDeadline(self, event, kIOTimerClockUptimeRaw, deadline);
}

AMB_EXPORT kern_return_t IODispatchQueue_Sleep(IODispatchQueue *self, void *event, uint64_t timeout)
{
        return IODispatchQueue_SleepWithTimeout(self, event, timeout);
}

AMB_EXPORT kern_return_t IODispatchQueue_WakeupWithOptions(IODispatchQueue *self, void *event, uint64_t options)
{
        struct IODispatchQueue_ivars *q = self->ivars;
        struct item *item, *following;

        if (!q->reentrant)
                return kIOReturnUnsupported;
        if (!frame_of(self))
                return kIOReturnNotPermitted;
        if (!event || (options & ~(uint64_t)kIODispatchQueueWakeupAll))
                return kIOReturnBadArgument;
        pthread_mutex_lock(&q->lock);
        amb_list_for_safe(item, following, &q->sleeping, link) {
                if (item->event != event)
                        continue;
                amb_link_remove(&item->link);
                item->woken = true;
                if (acquire(q, item))
                        give_turn(item, TURN_OWN);
                if (!(options & kIODispatchQueueWakeupAll))
                        break;
        }
        pthread_mutex_unlock(&q->lock);
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IODispatchQueue_Wakeup(IODispatchQueue *self, void *event)
{
        return IODispatchQueue_WakeupWithOptions(self, event, 0);
}

AMB_EXPORT void IODispatchQueue_Log(const char *message, int (*output)(const char *format, ...))
{
        static const char *const holds[] = {
                [AMB_QUEUE_ALONE] = "alone", [AMB_QUEUE_SHARED] = "with others", [AMB_QUEUE_NESTED] = "again",
        };

        if (!output)
                return;
        output("%s: on %s\n", message ? message : "", innermost ? "these queues, innermost first" : "no queue");
        for (struct amb_queue_frame *f = innermost; f; f = f->outer)
                output("        %s, %s%s\n", f->queue->ivars->name, holds[f->hold],
                       f->queue->ivars->reentrant ? ", reentrant" : "");
}
