/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The turnstile of src/channel/turn.h: callers that wait before they call, and how they are let go.
 *
 * CALLERS threads make CALLS calls each; one may be hot at a time. A call is answered at once, or its caller goes to sleep until
 * another call has been made: that is what a waiter that nobody lets go would hang. Who has made a call hands its slot over or
 * not, as it likes. The channel may end at any point. The waiters' timers are there only for hot callers that go away and keep
 * their slots: a timer goes off only after somebody has freed a slot since the waiter came, and not when calls are over. What is
 * checked: everybody reaches the end (spin's "invalid end state" is a waiter whom nobody lets go), no slot has two owners, none
 * is lost.
 *
 * All that is shared is written under the lock or by sequentially consistent operations, so there are no store buffers here, and
 * what is done under the lock is one step.
 *
 * Mutants, each must fail:     -DNO_LOOK               a waiter does not look between its place in the list and its sleep
 *                              -DSAY_LATE              who goes to sleep lets the first one go before it says that it sleeps
 *                              -DTRUST_THE_CLOCK       a waiter whose time is over takes no slot, whatever its word says
 *                              -DNO_LOCK               a waiter leaves the list without the lock, after it has looked at its word
 *                              -DEND_ONE               who ends the channel lets one go, not all
 */
#define CALLERS 3               /* the arrays of flags are written out */
#define CALLS 1
#define NONE CALLERS

#define WAITS 0
#define GO 1
#define HANDED 2                /* + slot */

bool ended;
bool used[CALLERS], sleeps[CALLERS];    /* of slots */
byte word[CALLERS];                     /* of callers */
bool queued[CALLERS];                   /* in the kernel */
byte list[CALLERS];                     /* callers, the first one first */
byte count, asleep, over;
bool freed[CALLERS] = true;                    /* a slot, not handed over, since this waiter came */
bool moved[CALLERS] = true;                    /* a call was made since this caller went to sleep */

#define hot(slot) (used[slot] && !sleeps[slot])
#define crowded (hot(0) || hot(1) || hot(2))

inline list_remove(whom)
{
        at = 0;
        do
        :: at < count && list[at] != whom -> at++
        :: at >= count -> break
        :: at < count && list[at] == whom ->
                count--;
                do
                :: at < count -> list[at] = list[at + 1]; at++
                :: else -> break
                od;
                break
        od;
        at = 0
}

/* `served` is whom, or NONE. */
inline serve(what)
{
        d_step {
                served = NONE;
                if
                :: count > 0 ->
                        served = list[0];
                        list_remove(served);
                        word[served] = what;
                        queued[served] = false
                :: else
                fi
        }
}

proctype caller(byte me)
{
        byte round = 0, slot = NONE, at, served;
        bool by_time;

        do
        :: round == CALLS || ended -> break
        :: else ->
                if
                :: crowded ->
                        d_step { word[me] = WAITS; list[count] = me; count++; freed[me] = false };
                        if
#ifdef NO_LOOK
                        :: true ->
#else
                        :: crowded && !ended ->
#endif
                                atomic {
                                        if
                                        :: word[me] == WAITS -> queued[me] = true
                                        :: else
                                        fi
                                }
                                if
                                :: !queued[me]
                                :: atomic { freed[me] && !ended -> queued[me] = false; by_time = true }
                                fi
                        :: else
                        fi;
#ifdef NO_LOCK
                        if
                        :: word[me] == WAITS -> d_step { list_remove(me) }
                        :: word[me] >= HANDED -> slot = word[me] - HANDED
                        :: else
                        fi
#else
                        d_step {
                                if
                                :: word[me] == WAITS -> list_remove(me)
                                :: else
                                fi
                        };
                        if
#ifdef TRUST_THE_CLOCK
                        :: word[me] >= HANDED && !by_time -> slot = word[me] - HANDED
#else
                        :: word[me] >= HANDED -> slot = word[me] - HANDED
#endif
                        :: else
                        fi
#endif
                :: else
                fi;
                if
                :: slot == NONE ->
                        d_step { slot = 0; do :: slot < CALLERS && used[slot] -> slot++ :: else -> break od; used[slot] = true }
                :: else
                fi;
                /* the call */
                d_step { assert(slot < CALLERS && used[slot] && !sleeps[slot]); moved[0] = true; moved[1] = true; moved[2] = true };
                if
                :: true
                :: over + asleep < CALLERS - 1 ->
#ifdef SAY_LATE
                        serve(GO);
                        d_step { sleeps[slot] = true; asleep++; moved[me] = false };
#else
                        d_step { sleeps[slot] = true; asleep++; moved[me] = false };
                        if
                        :: count > 0 -> serve(GO)
                        :: else
                        fi;
#endif
                        (moved[me] || over + asleep >= CALLERS || ended);
                        d_step { sleeps[slot] = false; asleep--; moved[me] = true }
                fi;
                d_step { by_time = false; freed[me] = true; word[me] = GO };
                served = NONE;
                if
                :: count > 0 -> serve(HANDED + slot)
                :: true
                fi;
                if
                :: served == NONE -> d_step { used[slot] = false; freed[0] = true; freed[1] = true; freed[2] = true }
                :: else
                fi;
                round++;
                slot = NONE
        od;
        over++
}

proctype ender()
{
        byte at, served;

        if
        :: true
        :: ended = true;
                do
                :: serve(GO);
                        if
                        :: served == NONE -> break
#ifdef END_ONE
                        :: else -> break
#else
                        :: else
#endif
                        fi
                od
        fi;
        over == CALLERS;
        at = 0;
        do
        :: at < CALLERS -> assert(!used[at]); at++
        :: else -> break
        od
}

init
{
        byte i = 0;

        atomic {
                do
                :: i < CALLERS -> run caller(i); i++
                :: else -> break
                od;
                run ender()
        }
}
