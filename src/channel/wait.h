/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How a thread waits for the other process: the policy, and the one protocol by which nobody sleeps through a wake-up.
 *
 * Spinning. Where it pays at all is said by pace.h (host) and by the CPU that the host says it is on (app): never on the peer's
 * own CPU. Then:
 *      1. AMB_SPIN_TRIES looks with a pause between them, no clock: about two microseconds. A hot peer answers here.
 *      2. Looks with a clock, for at most the budget: twice the longest of the recent gaps that ended here, at least
 * AMB_SPIN_LEAST, at most
 *         AMB_SPIN_MOST (50 us: what one wake-up costs both sides together). It goes down by an eighth with each wait that ends in
 * step 1, and is
 *         doubled by a spin in vain. Such a spin is a miss; after n misses running the next 2^n - 1 waits (at most 63) leave this
 * step out: a peer
 *         that takes milliseconds costs 50 us every 64th time, one that has become hot again is found in step 1 or at the next
 * attempt.
 *         An app that has just woken its host on another CPU waits AMB_SPIN_WOKEN instead: that is how long it takes to come.
 *         No more threads of a side spin here at once than there are CPUs less one, or one.
 *      3. Sleep.
 *
 * Protocol (model/wait.pml). `asleep` is a futex word, 1 while somebody means to sleep.
 *      sleeper: asleep = 1 (exchange); look at everything that ends the wait; futex_wait(asleep, 1)
 *      waker:   publish (exchange); if asleep != 0 and exchange(asleep, 0) != 0: futex_wake(asleep)
 *      The exchanges are sequentially consistent: either the sleeper's look sees what was published, or the waker's look sees the
 * 1.
 *      The word is a hint: who wakes looks again, whatever the peer wrote there.
 */
#include <stdbool.h>
#include <stdint.h>
#include "channel/layout.h"

#define AMB_SPIN_TRIES 128u
#define AMB_SPIN_LEAST 5000u                    /* ns */
#define AMB_SPIN_MOST 50000u                    /* ns */
/* ns; a wake-up on another CPU: 28 to 65 us here, and as much again when the host is busy */
#define AMB_SPIN_WOKEN 150000u
#define AMB_SPIN_MISSES 6u

/* What one side of a channel has learnt. Relaxed atomics: threads may race, it is only a hint. Zeros are a good start. */
struct amb_spin {
        uint32_t budget;                        /* ns; 0: nothing learnt, AMB_SPIN_MOST */
        uint32_t misses;                        /* running */
        uint32_t skip;                          /* waits that leave step 2 out from now on */
        uint32_t spinners;                      /* threads in step 2 */
};

static inline void amb_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("isb" ::: "memory");
#endif
}

/* CPUs that this process may use, counted once. */
unsigned amb_wait_cpus(void);

/*
 * Steps 1 and 2: true as soon as *word == value (acquire). `stop`, private, ends step 2 early. `woken`: the peer was asleep
 * until now.
 */
bool amb_spin(struct amb_spin *spin, const uint32_t *word, uint32_t value, const uint32_t *stop, bool woken);

/* Sleeps while *word is 1; nanoseconds 0: without end. Returns on a wake-up, a signal, another value or the end of the time. */
void amb_futex_wait(uint32_t *word, uint64_t nanoseconds);

/* The system call alone: the word is as the caller wants it. */
void amb_futex_wake_all(uint32_t *word);

/*
 * For who ends things: the same without a look at the word. A waker may have been killed between its exchange and its system
 * call; then the word is 0 and the sleeper sleeps.
 */
void amb_futex_wake_always(uint32_t *word);

/* The waker's second half; true when somebody was woken by a system call. */
bool amb_futex_wake_slow(uint32_t *word);
static inline bool amb_futex_wake(uint32_t *word)
{
        return __builtin_expect(amb_load_ordered(word) != 0, 0) && amb_futex_wake_slow(word);
}
