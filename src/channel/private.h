/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One side's private state. Nothing in here is ever taken from the shared memory. */
#include <pthread.h>
#include "channel/layout.h"
#include "channel/overflow.h"
#include "channel/pace.h"
#include "channel/turn.h"
#include "channel/wait.h"

struct amb_channel {
        /* Constant since attach. */
        struct amb_layout *memory;
        enum amb_channel_role role;
        int peer_pidfd;
        bool mapped_by_us;
        uint64_t process;                       /* token of the process that attached: differs in a forked child */
        void (*wake)(void *userdata, uint32_t port);
        bool (*kept_start)(void *userdata);
        void (*knock)(void *userdata);
        void (*roused)(void *userdata);
        void *userdata;

        uint32_t ended;                         /* app: calls are over; host: receive is over */
        uint32_t gone;                          /* app: host closed or dead; host: close was said */
        uint32_t broken;                        /* 0, 1: to be reported, 2: reported */
        uint32_t terminated;                    /* host: the same */
        uint32_t peer_gone;                     /* host: the app is dead */
        const char *reason;                     /* NULL while whole */
        uint64_t sleeps, wakes;

        /* App: calls. */
        uint64_t free_slots AMB_LINE;           /* bit set: free */
        uint32_t next_position AMB_LINE;        /* in the request ring: taken by fetch-and-add */
        struct amb_spin spin AMB_LINE;          /* app: for replies; host: for requests */
        uint32_t slot_waiters AMB_LINE;
        pthread_mutex_t slot_lock;
        pthread_cond_t slot_freed;
        struct amb_turn turn;
        uint32_t tags[AMB_CHANNEL_SLOTS];       /* app: last used; owned by who holds the slot */

        /* Host: calls. */
        uint32_t position AMB_LINE;             /* of the one thread in receive */
        uint32_t said_cpu;                      /* what we last wrote to host_cpu */
        uint64_t wakes_seen;                    /* `wakes` at the last call */
        uint64_t woken_at;                      /* when it woke last */
        uint64_t taken_at;                      /* when the last call was taken; 0: nobody wants to know */
        struct amb_pace pace;
        uint32_t waiting;                       /* that thread is between its last look at `ended` and the end of its sleep */
        uint32_t rest;                          /* enum amb_rest: whether there is to be such a thread */
        uint32_t kept;                          /* overflow.count, readable without the lock */
        uint32_t flight[AMB_CHANNEL_SLOTS];     /* tag of the unanswered request in this slot, or 0 */

        /* Completions; under the lock. */
        pthread_mutex_t completion_lock AMB_LINE;
        uint32_t completion_position;           /* app: next to take; host: next to publish */
        uint32_t completion_taken;              /* host: last read of the app's word */
        uint64_t completion_count;
        bool dropped_logged;
        bool flushing;                          /* host: a thread is, or will be, in amb_channel_flush_all() */
        struct amb_overflow overflow;
};

/* Host: of the thread that receives; others may put ASKED in the place of AWAKE. */
enum amb_rest {
        AMB_REST_AWAKE = 0,
        AMB_REST_ASKED,                         /* the thread is to go if there is nothing to do */
        AMB_REST_RESTS,                         /* it has gone */
};

/* Notes the first violation; any thread. */
void amb_channel_break(struct amb_channel *channel, const char *reason);
/* BROKEN the first time, CLOSED afterwards. */
int amb_channel_broken(struct amb_channel *channel);
/*
 * Are we a forked child of the process that attached? A page that a child finds empty tells it that it is one: no getpid() per
 * call, no pthread_atfork. A child that attaches to channels of its own gets the next token; those that it inherited keep the
 * parent's and stay dead.
 */
extern uint64_t *amb_channel_process;           /* there since the first attach */
static inline bool amb_channel_foreign(const struct amb_channel *channel)
{
        return amb_unlikely(amb_load(amb_channel_process) != channel->process);
}
/* App: no call will succeed any more; wakes who waits for a slot. `gone`: nor will completions come. */
void amb_channel_end(struct amb_channel *channel, bool gone);
/* App: has the host or the daemon said that it is over? Latches it. */
bool amb_channel_over(struct amb_channel *channel);
/*
 * Host: makes the thread in receive look again at `ended` and `broken`, whatever the app does; if there is none, calls for one. Not
 * with the completion lock held.
 */
void amb_channel_rouse(struct amb_channel *channel);

/* App: has the host or the daemon said that no completion comes any more? */
static inline bool amb_channel_said_gone(const struct amb_layout_header *header)
{
        uint32_t closed = amb_load_ordered(&header->closed);

        return (closed != 0 && closed != AMB_LAYOUT_CALLS_OVER) || amb_load_ordered(&header->host_gone);
}

/* Host: could the oldest kept completion go now? */
bool amb_completion_can_move(struct amb_channel *channel);

/* App: says that nobody takes completions any more. */
void amb_completion_detach(struct amb_channel *channel);

/* The checks of what the app wrote, apart so that they can be tried with every value. NULL or what is wrong. */
const char *amb_request_check(const struct amb_request *request);
static inline bool amb_room_check(uint32_t published, uint32_t taken, uint32_t size, uint32_t *ret_room)
{
        uint32_t used = published - taken;      /* wraps as the indices do */

        if (used > size)
                return false;
        *ret_room = size - used;
        return true;
}
