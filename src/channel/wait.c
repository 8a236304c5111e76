/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include "channel/wait.h"

unsigned amb_wait_cpus(void)
{
        static unsigned counted;
        unsigned n = amb_load(&counted);

        if (n == 0) {
                cpu_set_t set;

                /* More CPUs than cpu_set_t holds (EINVAL): certainly more than one. */
                n = sched_getaffinity(0, sizeof(set), &set) < 0 ? 2 : (unsigned)CPU_COUNT(&set);
                n = n > 0 ? n : 1;
                amb_store(&counted, n);
        }
        return n;
}

static uint32_t spin_budget(const struct amb_spin *spin)
{
        uint32_t budget = amb_load(&spin->budget);

        return budget ? budget : AMB_SPIN_MOST;
}

/* Up at once, down by an eighth: one long gap among short ones is worth waiting for again. */
static void spin_learn_hit(struct amb_spin *spin, uint64_t gap)
{
        uint32_t budget = spin_budget(spin);
        uint64_t wanted = 2 * gap;

        if (wanted < budget)
                wanted = budget - (budget - wanted + 7) / 8;
        wanted = wanted < AMB_SPIN_LEAST ? AMB_SPIN_LEAST : wanted > AMB_SPIN_MOST ? AMB_SPIN_MOST : wanted;
        amb_store(&spin->budget, (uint32_t)wanted);
        amb_store(&spin->misses, 0);
        amb_store(&spin->skip, 0);
}

static void spin_learn_miss(struct amb_spin *spin)
{
        uint32_t misses = amb_load(&spin->misses), budget = spin_budget(spin);

        if (misses < AMB_SPIN_MISSES)
                amb_store(&spin->misses, ++misses);
        amb_store(&spin->skip, (1u << misses) - 1);
        amb_store(&spin->budget, budget < AMB_SPIN_MOST / 2 ? 2 * budget : AMB_SPIN_MOST);
}

/* Until `budget` has gone by; *ret_gap says how long it was. */
static bool spin_with_clock(uint64_t budget, const uint32_t *word, uint32_t value, const uint32_t *stop, uint64_t *ret_gap)
{
        uint64_t start = amb_time_now();

        do {
                for (unsigned i = 0; i < 16; ++i) {
                        if (amb_load_acquire(word) == value) {
                                *ret_gap = amb_time_now() - start;
                                return true;
                        }
                        amb_pause();
                }
                *ret_gap = amb_time_now() - start;
        } while (*ret_gap < budget && !amb_load(stop));
        return false;
}

static bool spin_long(struct amb_spin *spin, const uint32_t *word, uint32_t value, const uint32_t *stop, bool woken)
{
        uint32_t skip = amb_load(&spin->skip);
        uint64_t gap;

        /* What a peer costs that comes from its sleep says nothing about one that is awake. */
        if (woken)
                return spin_with_clock(AMB_SPIN_WOKEN, word, value, stop, &gap);
        if (skip > 0) {
                amb_store(&spin->skip, skip - 1);
                return false;
        }
        if (spin_with_clock(spin_budget(spin), word, value, stop, &gap)) {
                spin_learn_hit(spin, gap);
                return true;
        }
        spin_learn_miss(spin);
        return false;
}

bool amb_spin(struct amb_spin *spin, const uint32_t *word, uint32_t value, const uint32_t *stop, bool woken)
{
        bool found = false;
        unsigned cpus;

        for (unsigned i = 0; i < AMB_SPIN_TRIES; ++i) {
                if (amb_load_acquire(word) == value) {
                        if (amb_load(&spin->misses) != 0 || spin_budget(spin) > AMB_SPIN_LEAST)
                                spin_learn_hit(spin, 0);
                        return true;
                }
                amb_pause();
        }
        cpus = amb_wait_cpus();
        if (__atomic_fetch_add(&spin->spinners, 1, __ATOMIC_RELAXED) < (cpus > 2 ? cpus - 1 : 1))
                found = spin_long(spin, word, value, stop, woken);
        __atomic_fetch_sub(&spin->spinners, 1, __ATOMIC_RELAXED);
        return found;
}

void amb_futex_wait(uint32_t *word, uint64_t nanoseconds)
{
        struct timespec limit = {
                .tv_sec = (time_t)(nanoseconds / 1000000000),
                .tv_nsec = (long)(nanoseconds % 1000000000),
        };
        int saved = errno;

        /* Shared, not FUTEX_PRIVATE_FLAG: the word lies in memory of two processes. Every outcome means: look again. */
        syscall(SYS_futex, word, FUTEX_WAIT, 1, nanoseconds ? &limit : NULL, NULL, 0);
        errno = saved;
}

void amb_futex_wake_all(uint32_t *word)
{
        int saved = errno;

        syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
        errno = saved;
}

void amb_futex_wake_always(uint32_t *word)
{
        amb_exchange(word, 0);
        amb_futex_wake_all(word);
}

bool amb_futex_wake_slow(uint32_t *word)
{
        if (amb_exchange(word, 0) == 0)
                return false;           /* another waker was first */
        amb_futex_wake_all(word);
        return true;
}
