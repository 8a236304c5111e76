/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For rows about what happens while a call is in progress: a gate in the driver at which it waits until another call opens it, and
 * threads in the app of which one can tell that they wait. Both are private to each file of rows.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/test-process.h"
#include "contract.h"

/* --- the driver's half --- */

static struct {
        pthread_mutex_t lock;
        pthread_cond_t opened;
        bool open;
} gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };

static inline void gate_wait(void)
{
        pthread_mutex_lock(&gate.lock);
        while (!gate.open)
                pthread_cond_wait(&gate.opened, &gate.lock);
        pthread_mutex_unlock(&gate.lock);
}

static inline void gate_open(void)
{
        pthread_mutex_lock(&gate.lock);
        gate.open = true;
        pthread_cond_broadcast(&gate.opened);
        pthread_mutex_unlock(&gate.lock);
}

/* A method that answers with its number. */
#define DRIVER_ALIVE(number) \
        DRIVER(number) \
        { \
                D_EXPECT(arguments->scalarOutputCount == 1); \
                arguments->scalarOutput[0] = number; \
                return kIOReturnSuccess; \
        }

/* --- the app's half --- */

/* Is the connection alive? */
static inline kern_return_t ask_alive(io_connect_t connection, uint32_t number)
{
        uint64_t out = 77;
        uint32_t count = 1;
        kern_return_t code = IOConnectCallScalarMethod(connection, number, NULL, 0, &out, &count);
        ck_assert_uint_eq(count, 1);
        ck_assert_uint_eq(out, code ? 77 : number);
        return code;
}

/* One call (or close) on a thread of its own: two scalars out, and `room` bytes of structure. */
struct thread_call {
        pthread_t thread;
        bool close;
        io_connect_t connection;
        uint32_t selector;
        void *bytes;
        size_t room;
        uint64_t out[2];
        uint32_t count;
        kern_return_t code;
        uint64_t ended;                         /* mach_absolute_time() after it */
        _Atomic pid_t id;
        _Atomic bool done;
};

static inline void *thread_call_run(void *argument)
{
        struct thread_call *call = argument;
        call->count = 2;
        atomic_store(&call->id, gettid());
        call->code = call->close ? IOServiceClose(call->connection) :
                                   IOConnectCallMethod(call->connection, call->selector, NULL, 0, NULL, 0, call->out, &call->count,
                                                       call->bytes, &call->room);
        call->ended = mach_absolute_time();
        atomic_store(&call->done, true);
        return NULL;
}

static inline void thread_call_start(struct thread_call *call)
{
        ck_assert_int_eq(pthread_create(&call->thread, NULL, thread_call_run, call), 0);
}

/* Returns when the call is over. */
static inline void thread_call_join(struct thread_call *call)
{
        ck_assert_int_eq(pthread_join(call->thread, NULL), 0);
}

/* Does the kernel say that it sleeps? Nothing sleeps on the way into a call or a close. */
static inline bool thread_call_sleeps(struct thread_call *call)
{
        pid_t id = atomic_load(&call->id);
        return id != 0 && thread_sleeps(id);
}

/* Waits (20 s at most) until it has begun to wait for something; fails when it is over instead. */
static inline void thread_call_waits(struct thread_call *call)
{
        for (time_t end = time(NULL) + 20; !thread_call_sleeps(call); sched_yield())
                ck_assert_msg(!atomic_load(&call->done) && time(NULL) < end, "the call or close did not wait");
        ck_assert(!atomic_load(&call->done));
}
