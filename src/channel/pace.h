/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where a host's thread waits for calls, and whether it spins there: the policy alone, without a clock and without a system
 * call. The thread that receives feeds it (host.c) and owns it; nothing in here is shared.
 *
 * The places, and what a burst of n calls costs there after 1 ms of idleness (two CPUs of a virtual machine, microseconds,
 * medians; bare futexes with the receiving thread placed by hand; the section `burst` of `make bench` shows what the policy
 * makes of it):
 *
 *                          n = 1      4      8      16      64     256
 *      one CPU, pinned       5.3     19     37      71     280     1110
 *      NEAR                  5.1     19     36      71     280     1120      asleep on the caller's CPU, woken there: no other CPU
 * is woken
 *      FAR                    29     31     34      36      37       64      asleep on another CPU, then spinning there
 *      unplaced              5.1                                             p99 215 to 500 instead of 18: now and then another CPU
 * is woken
 *
 *      FREE    asleep where the thread likes to be: a driver whose calls take long, and a connection before its first call
 *
 * A burst is a run of calls with gaps of at most AMB_PACE_GAP_NS. A thread that is NEAR and has served AMB_PACE_SHORT calls of
 * a burst moves FAR: from there on the other CPU is cheaper. At the end of a burst a two-bit counter, as processors predict
 * branches with, learns whether the connection's bursts are long, and says where to sleep until the next one: so a program that
 * makes single calls never wakes a second CPU and never spins, one that makes long bursts has its driver start on the other
 * CPU, and a single exception changes neither. Another counter learns whether calls take longer than AMB_PACE_LONG_NS: then it
 * does not matter what a wake-up costs, and the thread is free to move. Calls are timed when there is reason to: NEAR from
 * wake-up to sleep, FAR only after an answer had to wake its caller.
 *
 * On the caller's CPU nobody spins: the other one runs only when we do not. A caller that is seen on the CPU of a FAR thread so
 * often that it cannot be chance ends the burst; the thread is NEAR until a new one has become long. A caller that changes CPUs
 * is followed at the second call from the new one.
 *
 * The peer may say any CPU at all: then our thread is woken on the wrong one, which costs the peer time.
 */
#include <stdbool.h>
#include <stdint.h>

#define AMB_PACE_GAP_NS 20000u                  /* what a wake-up on the same CPU costs both sides, a few times over */
#define AMB_PACE_SHORT 7u                       /* calls; above: the other CPU is cheaper, see the table */
#define AMB_PACE_LONG_NS 50000u                 /* about a wake-up on another CPU */
#define AMB_PACE_CONFINED 1024u                 /* calls until it is tried again to leave a CPU that could not be left */
#define AMB_PACE_SAME 16u                       /* calls running from our own CPU */

enum amb_pace_where { AMB_PACE_FREE, AMB_PACE_NEAR, AMB_PACE_FAR };

/* Zeros are the start. */
struct amb_pace {
        enum amb_pace_where where;
        uint32_t caller;                        /* the CPU that calls come from */
        uint32_t moved_to;                      /* where the last call came from, if not from there */
        uint32_t burst;                         /* calls of the present one */
        uint32_t burst_asleep;                  /* how many it had when the thread woke last */
        uint32_t same;                          /* calls running from the CPU that we spin on */
        uint32_t confined;                      /* not FAR for so many calls */
        bool called;                            /* ever */
        bool timing;                            /* see how long the call takes */
        uint8_t bursts_long;                    /* 0..3: two and more: yes */
        uint8_t calls_long;                     /* the same */
};

/* What is seldom, after amb_pace_call() has counted. */
void amb_pace_call_slow(struct amb_pace *pace, uint32_t caller, uint32_t own, bool late);

/*
 * A call was taken that came from CPU `caller`; we are on `own`. `late`: an answer has had to wake its caller since the last call.
 * `where` may change, and `timing`. The hot path: FAR, nobody has moved, and nobody sleeps.
 */
static inline void amb_pace_call(struct amb_pace *pace, uint32_t caller, uint32_t own, bool late)
{
        pace->burst++;
        if (__builtin_expect(pace->where != AMB_PACE_FAR || caller != pace->caller || caller == own || pace->same != 0 || late ||
                             pace->timing, 0))
                amb_pace_call_slow(pace, caller, own, late);
}

/* `timing` was set after the last call that was taken: it has taken so long. */
void amb_pace_served(struct amb_pace *pace, uint64_t ns);

/* No call came, who was FAR has spun in vain: the thread is about to sleep; `where` is where. `awake_ns`: since it woke last. */
void amb_pace_sleep(struct amb_pace *pace, uint64_t awake_ns);

/* It slept for so long, and there is something to do, or it only seemed so. */
void amb_pace_wake(struct amb_pace *pace, uint64_t slept_ns);

/* Whoever is FAR has no CPU but the caller's: NEAR, and so for a while. */
void amb_pace_confine(struct amb_pace *pace);
