/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Dispatch queues of the client library: <dispatch/dispatch.h>, and sources that serve a descriptor on a queue.
 *
 * What it promises
 *      A serial queue has at most one owner: a worker, or a thread in dispatch_sync_f, to which the ownership is handed over when
 * its
 *      turn comes. The owner runs the oldest function and then passes the queue on: so two functions of one queue never overlap and
 *      keep their order, whoever runs them. Workers take from one list of what is ready; a thread is started whenever more is ready
 *      than workers are idle (at most 64), and ends after 5 s without work.
 *      A source calls perform on its queue each time its descriptor is readable, one call at a time. After cancel no call begins,
 *      and `cancelled` runs on the queue once, after the last one. On a concurrent queue a source brings a serial one along.
 *
 * Who owns what
 *      Objects are counted; a function that waits or runs holds its queue. A source belongs to whoever made it until cancel, then
 * to
 *      its queue. The descriptor must stay open until `cancelled` has run.
 *
 * Which thread
 *      Any. One lock for everything, held for a few instructions, never during a function. One monitor thread sleeps in epoll for
 * all
 *      sources and for dispatch_after_f; it is started by the first of these and stays.
 *
 * fork(): the child has no thread of ours: it forgets workers, monitor and all that waits (and leaks it).
 */
#include <pthread.h>
#include <sys/epoll.h>

#include <dispatch/dispatch.h>

#include "base/base.h"

struct amb_dispatch_source;

/*
 * What perform says: it waits for the descriptor again; or it has more to do and is called again, behind what else waits on the
 * queue, whatever the descriptor says; or it rests, until amb_dispatch_source_start() is called again.
 */
enum amb_dispatch_more { AMB_DISPATCH_WAIT, AMB_DISPATCH_MORE, AMB_DISPATCH_REST };

/*
 * events: EPOLLIN or EPOLLOUT. NULL: no memory, no descriptor or no thread, or a descriptor that cannot be waited for. `self` is
 * for amb_dispatch_source_cancelled() inside a long perform.
 */
struct amb_dispatch_source *
amb_dispatch_source_new(dispatch_queue_t queue, int fd, uint32_t events, void *context,
                        enum amb_dispatch_more (*perform)(void *context, struct amb_dispatch_source *self),
                        void (*cancelled)(void *context));
/* After new, and after a rest: perform may run before it returns, and cancel the source. */
void amb_dispatch_source_start(struct amb_dispatch_source *source);
/* Once; NULL is fine. */
void amb_dispatch_source_cancel(struct amb_dispatch_source *source);
bool amb_dispatch_source_cancelled(const struct amb_dispatch_source *source);

/*
 * The main queue for the main thread's run loop: the descriptor that is readable when functions wait, -1 as long as nobody has
 * asked for the main queue, on another thread, and inside a function of the main queue: what comes behind that waits for its end,
 * whatever run loop it runs. And what to call then.
 */
int amb_dispatch_main_fd(void);
void amb_dispatch_main_run(void);

/* --- what dispatch_object_t points to --- */

enum amb_dispatch_kind {
        AMB_DISPATCH_SERIAL, AMB_DISPATCH_CONCURRENT, AMB_DISPATCH_MAIN,                /* queues */
        AMB_DISPATCH_SEMAPHORE, AMB_DISPATCH_SOURCE
};
struct amb_dispatch_object {
        enum amb_dispatch_kind kind;
        _Atomic uint32_t references;            /* 0: for ever */
        void *_Atomic context;                  /* the program's */
};
/* The last reference of a <dispatch/dispatch.h> source is gone. */
void amb_dispatch_event_released(dispatch_source_t source);

/* --- between dispatch.c and dispatch-source.c --- */

extern pthread_mutex_t amb_dispatch_lock;

/* Under the lock. false: no memory. */
bool amb_dispatch_submit(dispatch_queue_t queue, void *context, dispatch_function_t function);
/* A serial queue to submit to in place of `queue`: itself, if it is one. One reference; NULL: no memory. Without the lock. */
dispatch_queue_t amb_dispatch_serial_of(dispatch_queue_t queue);
/* In a forked child, with the lock held. */
void amb_dispatch_sources_forked(void);
