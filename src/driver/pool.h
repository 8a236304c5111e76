/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Threads that run what queues dispatch asynchronously.
 *
 * A piece of work is taken by an idle thread; when none is idle a new one is started (AMB_POOL_THREADS_MOST at most, beyond that
 * work waits for its turn), so a driver function that blocks never holds up another queue. A thread without work for some seconds
 * ends, or at once when enough others wait. Order between pieces of work is not promised: queues make their own. Any thread may
 * submit.
 */
#include "base/base.h"
#include "base/thread.h"

#define AMB_POOL_THREADS_MOST 512
/*
 * Of every thread that runs driver code; twice what DriverKit gives. A host's limit on memory counts the whole of it
 * (host/limits.h).
 */
#define AMB_THREAD_STACK (1ul << 20)

/* One piece of work; its memory is the caller's and is not touched any more once run has been called. */
struct amb_work {
        struct amb_link link;
        void (*run)(struct amb_work *work);
};

void amb_pool_submit(struct amb_work *work);
/*
 * For what nobody waits for: on a thread of the pool it runs on the same thread, when that has done what it does now, which may
 * take long; from elsewhere as amb_pool_submit.
 */
void amb_pool_submit_after(struct amb_work *work);

/* function(context) on a thread of the pool. -ENOMEM. */
int amb_pool_run(void (*function)(void *context), void *context);
int amb_pool_run_after(void (*function)(void *context), void *context);

/*
 * The same for what may take for ever: at once, on a thread that is not the pool's meanwhile, so that other work does not wait for
 * it. It is an idle one of the pool's or a new one, and comes to the pool afterwards. -ENOMEM, or another -errno: no thread.
 */
int amb_pool_run_apart(void (*function)(void *context), void *context);
