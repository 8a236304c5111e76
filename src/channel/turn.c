/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include "channel/private.h"

enum { WAITS, GO, HANDED };                     /* HANDED + slot */

struct waiter {
        struct amb_link link;
        uint32_t word;                          /* futex */
};

void amb_turn_init(struct amb_turn *turn)
{
        memset(turn, 0, sizeof(*turn));
        pthread_mutex_init(&turn->lock, NULL);
        amb_list_init(&turn->waiters);
}

void amb_turn_destroy(struct amb_turn *turn)
{
        pthread_mutex_destroy(&turn->lock);
}

/* As many others are hot, or could be, as there is room for. */
static bool crowded(struct amb_channel *channel, unsigned room)
{
        uint64_t hot = ~amb_load_ordered(&channel->free_slots) & ~amb_load_ordered(&channel->turn.asleep);

        return (unsigned)__builtin_popcountll(hot) >= room;
}

/* --- the list --- */

/* Under the lock. */
static void waiter_leaves(struct amb_turn *turn, struct waiter *waiter)
{
        amb_link_remove(&waiter->link);
        amb_store(&turn->count, turn->count - 1);
        amb_store(&turn->since, amb_time_now());
}

/* Under the lock: the first one gets what it waits for. NULL: nobody waits. Else its futex, for waking it when the lock is free. */
static uint32_t *first_serve(struct amb_turn *turn, uint32_t what)
{
        struct waiter *waiter = amb_list_first(&turn->waiters, struct waiter, link);

        if (!waiter)
                return NULL;
        waiter_leaves(turn, waiter);
        amb_store_release(&waiter->word, what);
        return &waiter->word;
}

static void waiter_wake(uint32_t *word)
{
        int saved = errno;

        if (word)
                syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
        errno = saved;
}

static void waiter_sleep(struct waiter *waiter, uint64_t nanoseconds)
{
        /* Behind some thousands of others it is more than a second. */
        struct timespec limit = { .tv_sec = (time_t)(nanoseconds / 1000000000), .tv_nsec = (long)(nanoseconds % 1000000000) };
        int saved = errno;

        /* Every outcome means: look again. */
        syscall(SYS_futex, &waiter->word, FUTEX_WAIT_PRIVATE, WAITS, &limit, NULL, 0);
        errno = saved;
}

/* --- waiting --- */

/* Until it is served, nobody else is hot, or it is `until`. */
static void waiter_wait(struct amb_channel *channel, struct waiter *waiter, unsigned room, uint64_t until)
{
        uint64_t now = amb_time_now();

        while (amb_load_acquire(&waiter->word) == WAITS && now < until && crowded(channel, room) &&
               !amb_load_ordered(&channel->ended)) {
                waiter_sleep(waiter, until - now);
                now = amb_time_now();
        }
}

static void learn(struct amb_turn *turn, bool pays)
{
        uint32_t misses = pays ? 0 : amb_load(&turn->misses);

        if (!pays && misses < AMB_TURN_MISSES)
                misses++;
        amb_store(&turn->misses, misses);
        amb_store(&turn->skip, (1u << misses) - 1);
}

/* How many there were before it. */
static uint32_t waiter_enter(struct amb_turn *turn, struct waiter *waiter)
{
        uint32_t before;

        pthread_mutex_lock(&turn->lock);
        before = turn->count;
        if (before == 0)
                amb_store(&turn->since, amb_time_now());
        amb_list_append(&turn->waiters, &waiter->link);
        __atomic_store_n(&turn->count, before + 1, __ATOMIC_SEQ_CST);
        pthread_mutex_unlock(&turn->lock);
        return before;
}

static bool waiter_run(struct amb_channel *channel, unsigned room, unsigned *ret_slot)
{
        struct amb_turn *turn = &channel->turn;
        struct waiter waiter = { .word = WAITS };
        uint32_t start = amb_load(&channel->next_position), before = waiter_enter(turn, &waiter);
        uint64_t now = amb_time_now();
        bool pays = before > 0;

        /* Who finds others waiting knows that it is a crowd. */
        if (!pays) {
                waiter_wait(channel, &waiter, room, now + AMB_TURN_LOOK);
                pays = amb_load(&channel->next_position) - start >= AMB_TURN_PAYS;
        }
        if (pays)
                waiter_wait(channel, &waiter, room, now + (before + 1) * (uint64_t)AMB_TURN_LIMIT);
        pthread_mutex_lock(&turn->lock);
        if (waiter.word == WAITS)
                waiter_leaves(turn, &waiter);
        pthread_mutex_unlock(&turn->lock);
        learn(turn, amb_load(&channel->next_position) - start >= AMB_TURN_PAYS);
        if (waiter.word < HANDED)
                return false;
        *ret_slot = waiter.word - HANDED;
        return true;
}

bool amb_turn_take(struct amb_channel *channel, unsigned *ret_slot)
{
        struct amb_turn *turn = &channel->turn;
        unsigned room = amb_wait_cpus() - 1;
        uint32_t skip;

        if (room == 0 || !crowded(channel, room))
                return false;
        skip = amb_load(&turn->skip);
        if (skip > 0) {
                amb_store(&turn->skip, skip - 1);
                return false;
        }
        return waiter_run(channel, room, ret_slot);
}

/* --- letting others go --- */

bool amb_turn_hand_slow(struct amb_turn *turn, unsigned slot)
{
        uint32_t calls = amb_load(&turn->calls) + 1, *word;

        amb_store(&turn->calls, calls);
        if (calls % AMB_TURN_CALLS != 0 || amb_time_now() - amb_load(&turn->since) < AMB_TURN_SLICE)
                return false;
        pthread_mutex_lock(&turn->lock);
        word = first_serve(turn, HANDED + slot);
        pthread_mutex_unlock(&turn->lock);
        waiter_wake(word);
        return word != NULL;
}

void amb_turn_sleeps(struct amb_channel *channel, unsigned slot)
{
        struct amb_turn *turn = &channel->turn;
        uint32_t *word;

        __atomic_fetch_or(&turn->asleep, UINT64_C(1) << slot, __ATOMIC_SEQ_CST);
        if (amb_load_ordered(&turn->count) == 0)
                return;
        pthread_mutex_lock(&turn->lock);
        word = first_serve(turn, GO);
        pthread_mutex_unlock(&turn->lock);
        waiter_wake(word);
}

void amb_turn_woke(struct amb_channel *channel, unsigned slot)
{
        __atomic_fetch_and(&channel->turn.asleep, ~(UINT64_C(1) << slot), __ATOMIC_SEQ_CST);
}

void amb_turn_end(struct amb_turn *turn)
{
        uint32_t *word;

        do {
                pthread_mutex_lock(&turn->lock);
                word = first_serve(turn, GO);
                pthread_mutex_unlock(&turn->lock);
                waiter_wake(word);
        } while (word);
}
