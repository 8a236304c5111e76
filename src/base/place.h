/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where a thread runs: on which processor it is, and keeping it on one, or off one, for a while.
 *
 * "Home" are the processors that a thread may use by itself. A thread that is kept somewhere goes home by amb_place_home(),
 * which every owner of a placed thread calls before it gives the thread away; amb_thread_start() calls it, too, since a new
 * thread inherits its maker's processors. If somebody else (taskset, a test) has changed a placed thread's processors
 * meanwhile, theirs become its home. All functions concern the calling thread alone; no lock, no memory beyond a thread-local
 * variable. Failure is no error: the thread stays.
 */
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/rseq.h>

/*
 * The processor that the calling thread is on just now: by the time it is used, a hint. A load, where the C library has registered
 * rseq.
 */
static inline unsigned amb_place_cpu(void)
{
        const struct rseq *area = (const struct rseq *)((const char *)__builtin_thread_pointer() + __rseq_offset);
        int cpu = __rseq_size > 0 ? (int)__atomic_load_n(&area->cpu_id, __ATOMIC_RELAXED) : -1;

        if (__builtin_expect(cpu < 0, 0))
                cpu = sched_getcpu();
        return cpu < 0 ? 0 : (unsigned)cpu;
}

/* Stays on this processor alone. False: it may not run there, or has no other; it has gone home. */
bool amb_place_on(unsigned cpu);
/* Stays on any of its processors but this one. False: it has no other; it has gone home. */
bool amb_place_off(unsigned cpu);
/* Has it one besides this? Looks only. */
bool amb_place_has_other(unsigned cpu);
void amb_place_home(void);
