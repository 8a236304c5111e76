/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "driver/pool.h"
#include "driver/queue.h"

/*
 * state: bit 0, somebody owns the queue; bit 1, look at the list before you let go. Bit 1 is set only under the lock, so the fast paths (0 -> 1
 * and 1 -> 0) fail as soon as anybody waits. While the list has members the queue is owned.
 */
enum { OWNED = 1, WANTED = 2 };

struct IODispatchQueue_ivars {
        _Atomic uint32_t state;
        _Atomic bool cancelled;
        pthread_mutex_t lock;
        struct amb_link waiting;        /* struct item */
        struct amb_work drain;          /* submitted while the queue is owned on behalf of `next` */
        struct item *next;
        IODispatchQueue *queue;
        IODispatchQueueName name;
};

struct item {
        struct amb_link link;
        IODispatchFunction function;    /* NULL: a thread waits in enter */
        IODispatchFunction dropped;
        void *context;
        bool always;                    /* a cancel handler: runs although the queue is cancelled */
        _Atomic uint32_t turn;          /* of a waiting thread: 0, or what to do */
};
enum { TURN_OWN = 1, TURN_CANCELLED = 2 };

static _Thread_local struct amb_queue_frame *innermost;

static void drain(struct amb_work *work);

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
        "IODispatchQueue", &gOSObjectMetaClass, sizeof(IODispatchQueue), queue_methods, NULL,
};

AMB_EXPORT kern_return_t IODispatchQueue_Create(const char *name, uint64_t options, uint64_t priority, IODispatchQueue **queue)
{
        IODispatchQueue *created;

        if (!name || !queue)
                return kIOReturnBadArgument;
        if (options != 0 || priority != 0)
                return kIOReturnUnsupported;
        created = (IODispatchQueue *)amb_object_new(OSTypeID(IODispatchQueue));
        if (!created)
                return kIOReturnNoMemory;
        memcpy(created->ivars->name, name, strnlen(name, sizeof(IODispatchQueueName) - 1));
        *queue = created;
        return kIOReturnSuccess;
}

AMB_EXPORT const char *IODispatchQueue_GetName(IODispatchQueue *self)
{
        return self->ivars->name;
}

AMB_EXPORT bool IODispatchQueue_OnQueue(IODispatchQueue *self)
{
        for (struct amb_queue_frame *f = innermost; f; f = f->outer)
                if (f->queue == self)
                        return true;
        return false;
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

/* Under the lock, by the owner: hands the queue to the first in the list; returns it if it is to be run here, by a drainer. */
static struct item *hand_over(struct IODispatchQueue_ivars *q)
{
        struct item *item = amb_list_first(&q->waiting, struct item, link);

        if (!item) {
                /* Release: what this owner did happens before what the next one does. */
                atomic_store_explicit(&q->state, 0, memory_order_release);
                return NULL;
        }
        amb_link_remove(&item->link);
        if (item->function)
                return item;
        atomic_store_explicit(&item->turn, TURN_OWN, memory_order_release);
        syscall(SYS_futex, &item->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        return NULL;
}

static void frame_push(struct amb_queue_frame *frame, IODispatchQueue *queue, bool nested)
{
        frame->queue = queue;
        frame->nested = nested;
        frame->outer = innermost;
        innermost = frame;
}

static void leave_slowly(IODispatchQueue *queue)
{
        struct IODispatchQueue_ivars *q = queue->ivars;
        struct item *item;

        pthread_mutex_lock(&q->lock);
        item = hand_over(q);
        if (item) {
                OSObject_retain(queue);
                q->next = item;
        }
        pthread_mutex_unlock(&q->lock);
        if (item)
                amb_pool_submit(&q->drain);
}

static void leave(IODispatchQueue *queue)
{
        uint32_t alone = OWNED;

        if (!atomic_compare_exchange_strong_explicit(&queue->ivars->state, &alone, 0, memory_order_release, memory_order_relaxed))
                leave_slowly(queue);
}

void amb_queue_leave(struct amb_queue_frame *frame)
{
        innermost = frame->outer;
        if (!frame->nested)
                leave(frame->queue);
}

static bool enter_slowly(struct IODispatchQueue_ivars *q)
{
        struct item item = { 0 };
        uint32_t turn;

        pthread_mutex_lock(&q->lock);
        if (atomic_load_explicit(&q->cancelled, memory_order_relaxed)) {
                pthread_mutex_unlock(&q->lock);
                return false;
        }
        if (own_or_want(q)) {
                pthread_mutex_unlock(&q->lock);
                return true;
        }
        amb_list_append(&q->waiting, &item.link);
        pthread_mutex_unlock(&q->lock);

        while ((turn = atomic_load_explicit(&item.turn, memory_order_acquire)) == 0)
                syscall(SYS_futex, &item.turn, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
        /* The waker holds the lock while it touches the item, which dies with this frame. */
        pthread_mutex_lock(&q->lock);
        pthread_mutex_unlock(&q->lock);
        return turn == TURN_OWN;
}

bool amb_queue_enter(IODispatchQueue *queue, struct amb_queue_frame *frame)
{
        struct IODispatchQueue_ivars *q = queue->ivars;
        uint32_t nobody = 0;

        if (innermost && IODispatchQueue_OnQueue(queue)) {
                frame_push(frame, queue, true);
                return true;
        }
        if (!atomic_compare_exchange_strong_explicit(&q->state, &nobody, OWNED, memory_order_acquire, memory_order_relaxed) &&
            !enter_slowly(q))
                return false;
        if (atomic_load_explicit(&q->cancelled, memory_order_relaxed)) {
                leave(queue);
                return false;
        }
        frame_push(frame, queue, false);
        return true;
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

        frame_push(&frame, queue, false);
        while (item) {
                item_finish(item, item->always || !atomic_load_explicit(&q->cancelled, memory_order_relaxed));
                pthread_mutex_lock(&q->lock);
                item = hand_over(q);
                pthread_mutex_unlock(&q->lock);
        }
        innermost = frame.outer;
        OSObject_release(queue);
}

/* Consumes the item. */
static void submit(IODispatchQueue *queue, struct item *item)
{
        struct IODispatchQueue_ivars *q = queue->ivars;
        bool own;

        pthread_mutex_lock(&q->lock);
        if (atomic_load_explicit(&q->cancelled, memory_order_relaxed) && !item->always) {
                pthread_mutex_unlock(&q->lock);
                item_finish(item, false);
                return;
        }
        own = own_or_want(q);
        if (own) {
                /* The drainer's reference; items in the list are kept by whoever owns the queue. */
                OSObject_retain(queue);
                q->next = item;
        } else {
                amb_list_append(&q->waiting, &item->link);
        }
        pthread_mutex_unlock(&q->lock);
        if (own)
                amb_pool_submit(&q->drain);
}

int amb_queue_async(IODispatchQueue *queue, void *context, IODispatchFunction function, IODispatchFunction dropped)
{
        struct item *item = calloc(1, sizeof(*item));

        if (!item)
                return amb_trace(-ENOMEM);
        item->function = function;
        item->dropped = dropped;
        item->context = context;
        submit(queue, item);
        return 0;
}

AMB_EXPORT void IODispatchQueue_DispatchAsync_f(IODispatchQueue *self, void *context, IODispatchFunction function)
{
        if (amb_queue_async(self, context, function, NULL) < 0)
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
                        atomic_store_explicit(&item->turn, TURN_CANCELLED, memory_order_release);
                        syscall(SYS_futex, &item->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
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
