/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host whose thread sleeps or has gone, and the app that wakes it or knocks (src/channel/host.c, request_rest), on a machine with store
 * buffers (TSO).
 *
 * The app publishes CALLS requests, each after the answer to the one before. The host's thread, whenever it finds nothing to do, sleeps for
 * a wake-up or, at most RESTS times, goes: then it comes back for a knock. A third thread, the host's own, wakes it at any time, as who
 * asks it to rest does. What is checked: all requests are answered (spin's "invalid end state" is a request that nobody looks at).
 *
 * The word is 1 with a sleeper, 2 with nobody: who takes the 2 away must knock. Stores go through buffers as in wait.pml; exchanges,
 * compare-and-exchange and system calls empty the own one first. The answer is not modelled: the app sees it when it is given.
 *
 * Mutants, each must fail:     -DNO_FENCE_REST         the 2 is a plain store
 *                              -DNO_LOOK_REST          no look between the 2 and the going
 *                              -DNO_FENCE_APP          the request is published by a plain store
 *                              -DNO_KNOCK              the app wakes whatever the word was
 *                              -DPROD_TAKES_ALL        the host's other thread stores 0 whatever the word is
 *                              -DWAKE_TAKES_TWICE      the app's wake-up stores 0 once more
 */
#define CALLS 3
#define RESTS 2

#define APP 0
#define HOST 1
#define OTHER 2

#define REQUEST 0
#define ASLEEP 1

byte memory[2];
chan buffer[3] = [2] of { byte, byte };
bool queued;                    /* the host's thread sleeps in the kernel */
byte knocks, answered;

#define fence(me) empty(buffer[me])

inline store(me, word, value) { buffer[me]!word, value }
inline exchange(me, word, value, old) { atomic { fence(me) -> old = memory[word]; memory[word] = value } }

proctype flusher(byte whose)
{
        byte word, value;
end:    do
        :: atomic { buffer[whose]?word, value -> memory[word] = value }
        od
}

proctype app()
{
        byte round = 1, old;

        do
        :: round > CALLS -> break
        :: else ->
#ifdef NO_FENCE_APP
                store(APP, REQUEST, round);
#else
                exchange(APP, REQUEST, round, old);
#endif
                if
                :: memory[ASLEEP] != 0 ->
                        exchange(APP, ASLEEP, 0, old);
#ifdef NO_KNOCK
                        queued = false
#else
                        if
                        :: old == 0
                        :: old == 1 ->
#ifdef WAKE_TAKES_TWICE
                                exchange(APP, ASLEEP, 0, old);
#endif
                                queued = false
                        :: old == 2 -> knocks++
                        fi
#endif
                :: else
                fi;
                answered == round;
                round++
        od
}

proctype host()
{
        byte round = 1, rests, old;

        do
        :: round > CALLS -> break
        :: else ->
                do
                :: memory[REQUEST] == round -> break
                :: memory[REQUEST] != round ->
                        exchange(HOST, ASLEEP, 1, old);
                        if
                        :: memory[REQUEST] == round
                        :: else ->
                                atomic {
                                        fence(HOST);
                                        if
                                        :: memory[ASLEEP] == 1 -> queued = true
                                        :: else
                                        fi
                                }
                                !queued
                        fi;
                        store(HOST, ASLEEP, 0)
                :: memory[REQUEST] != round && rests < RESTS ->
                        rests++;
#ifdef NO_FENCE_REST
                        store(HOST, ASLEEP, 2);
#else
                        exchange(HOST, ASLEEP, 2, old);
#endif
                        if
#ifndef NO_LOOK_REST
                        :: memory[REQUEST] == round
#endif
                        :: else -> atomic { knocks > 0 -> knocks-- }
                        fi;
                        exchange(HOST, ASLEEP, 0, old)
                od;
                answered = round;
                round++
        od
}

/* Of the host: "go", which the thread finds when it wakes. */
proctype other()
{
        byte old;

#ifdef PROD_TAKES_ALL
        exchange(OTHER, ASLEEP, 0, old);
#else
        atomic {
                fence(OTHER);
                if
                :: memory[ASLEEP] == 1 -> memory[ASLEEP] = 0
                :: else
                fi
        }
#endif
        queued = false
}

init
{
        atomic {
                run flusher(APP);
                run flusher(HOST);
                run flusher(OTHER);
                run app();
                run host();
                run other();
                run other()
        }
}
