/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of IODispatchQueue: a lock whose ownership is handed over in order of arrival.
 *
 * Whoever runs on the queue owns it: a thread that entered synchronously, or the pool's thread that drains asynchronous items.
 * Entering and leaving a queue that nobody else wants is one compare-and-swap each: the hot path of a call. Otherwise the items
 * wait in one list, synchronous waiters and asynchronous functions alike, and the leaving owner hands the queue to the first one.
 *
 * Reentrant queues: concurrent functions own the queue together, as many of them as follow each other in the list. A sleeper is in
 * a list of its own and joins the other at its wake-up or its time; so it has the queue again in its turn, also when the queue has
 * been cancelled meanwhile. Wake-ups come from an owner, so none is lost between the sleeper's decision and its sleep.
 */
#include <DriverKit/IODispatchQueue.h>

#include "base/base.h"

enum amb_queue_hold {
        AMB_QUEUE_ALONE,
        AMB_QUEUE_SHARED,               /* a concurrent function */
        AMB_QUEUE_NESTED,               /* entered by somebody further out: not to be left here */
};

/* What a thread runs on, innermost first; lives on the stack of whoever entered. */
struct amb_queue_frame {
        IODispatchQueue *queue;
        struct amb_queue_frame *outer;
        enum amb_queue_hold hold;
        /* May be set after the entry: what runs on the queue is about to give it up in a sleep. Not with a lock held. */
        void (*asleep)(struct amb_queue_frame *frame);
};

/*
 * Waits for its turn. False: the queue has been cancelled; do not run, do not leave. The caller keeps a reference until it has
 * left.
 */
bool amb_queue_enter(IODispatchQueue *queue, struct amb_queue_frame *frame);
void amb_queue_leave(struct amb_queue_frame *frame);

/*
 * The same for a call of an object's method by another object, which must not wait for ever: two objects that call each other at
 * the same time, each on its queue, would. Whoever closes such a circle of calls does not wait, but runs at once: the queue's owner
 * stands still until the caller has left, so nothing runs side by side, as if the owner had made the call itself. Circles through
 * DispatchSync are the driver's.
 */
bool amb_queue_enter_call(IODispatchQueue *queue, struct amb_queue_frame *frame);

/*
 * Enters and leaves without waiting. False: it cannot, because the queue belongs to somebody or has been cancelled. Otherwise
 * nobody was on it, and whoever enters from now on sees what the caller has done before.
 */
bool amb_queue_pass(IODispatchQueue *queue);

/*
 * As DispatchAsync_f; dropped(context) (may be NULL) runs instead of function when the queue is cancelled. -ENOMEM: neither will
 * run.
 */
int amb_queue_async(IODispatchQueue *queue, void *context, IODispatchFunction function, IODispatchFunction dropped);
/* The same as DispatchConcurrent_f. */
int amb_queue_concurrent(IODispatchQueue *queue, void *context, IODispatchFunction function, IODispatchFunction dropped);
