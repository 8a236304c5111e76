/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The turnstile among an app's threads that call over one channel: who comes while another one is hot waits its turn.
 *
 * Why
 *      A hot call is over in a fraction of a microsecond, a switch between threads takes several, and a host that has to wake a
 *      caller on another CPU pays 20. More callers than there are CPUs beside the host's cannot all be hot: those that spin take
 *      the CPU from each other or from the host, those that sleep are woken one call at a time. So they take turns, of many calls
 *      each.
 *
 * What it promises
 *      Nobody waits while nobody is hot: with one caller, on one CPU, or when the others sleep for their answers. No cost then:
 *      who calls alone sees in the word that it takes its slot from that it is alone. Waiters are served in order. The first
 *      one's wait ends when a hot caller finds, after a call, that it has made it wait for AMB_TURN_SLICE, and hands its own slot
 *      over; at once, when the hot caller goes to sleep or calls are over; after AMB_TURN_LIMIT by its own clock, if the hot
 *      caller does not come back. All this is only about who begins when: a call that has begun depends on nobody, and without a
 *      wake-up everything goes on a little later.
 *      A wait in which the others make fewer than AMB_TURN_PAYS calls was in vain (the
 *      driver takes its time; or there were two calls, and that was all). As with spins, n misses running keep the next 2^n - 1
 *      from waiting: these publish their calls at once and sleep for the answers.
 *
 * Protocol (model/turn.pml). A waiter's word is a futex on its stack, in a list under `lock`.
 *      waiter:                         lock { append, word = WAITS }; look whether others are hot and calls go on; futex_wait;
 *                                      lock { word still WAITS: remove }
 *      who goes to sleep or ends:      say so where the waiter looks; lock { take the first out, word = GO }; futex_wake
 *      who hands over:                 lock { take the first out, word = HANDED + slot }; futex_wake
 *
 *      Either the waiter's look sees what was said, or who said it finds the waiter in the list. Who is taken out of the list has
 *      been served; what it was given stands in its word, whatever has woken it, so a slot that is handed over is never lost. The
 *      wake-up comes after the lock and may find the waiter's stack gone or used for something else: a wake-up too many, which
 *      every futex has to stand.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/base.h"

#define AMB_TURN_LOOK 50000u                    /* ns: a first wait, to see whether the other one goes on calling */
#define AMB_TURN_SLICE 200000u                  /* ns that a hot caller keeps the first in the queue waiting */
#define AMB_TURN_LIMIT 600000u                  /* ns after which that one does not wait any longer */
#define AMB_TURN_PAYS 16u                       /* calls */
#define AMB_TURN_MISSES 6u
#define AMB_TURN_CALLS 32u                      /* between two looks of a hot caller at the clock */

struct amb_channel;

struct amb_turn {
        pthread_mutex_t lock;
        struct amb_link waiters;                /* under the lock, as what follows up to here */
        uint64_t since;                         /* how long the first one has been that */
        uint32_t count;                         /* of waiters; read without the lock after every call */
        uint32_t calls;                         /* of hot callers while somebody waits; a hint */
        uint64_t asleep;                        /* bit set: the slot's caller sleeps for its answer */
        uint32_t misses, skip;                  /* as in struct amb_spin */
};

void amb_turn_init(struct amb_turn *turn);
void amb_turn_destroy(struct amb_turn *turn);

/*
 * App: before a call, when somebody else is in one: waits for its turn if it pays. True: *ret_slot is taken for the caller.
 * False: it has its turn, or does without, and takes a slot as usual. Either way, look whether calls are over. Does not let
 * cancellation in.
 */
bool amb_turn_take(struct amb_channel *channel, unsigned *ret_slot);

/* App: a call is over. True: its slot has been handed over. */
bool amb_turn_hand_slow(struct amb_turn *turn, unsigned slot);
static inline bool amb_turn_hand(struct amb_turn *turn, unsigned slot)
{
        return __builtin_expect(__atomic_load_n(&turn->count, __ATOMIC_RELAXED) != 0, 0) && amb_turn_hand_slow(turn, slot);
}

/* App: the caller in this slot goes to sleep for its answer, and has come back. */
void amb_turn_sleeps(struct amb_channel *channel, unsigned slot);
void amb_turn_woke(struct amb_channel *channel, unsigned slot);

/* App: calls are over, as the caller has said where the waiters look: lets them all go. */
void amb_turn_end(struct amb_turn *turn);
