/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sleep and wake-up protocol of src/channel/wait.h on a machine with store buffers (TSO), and the death of the host.
 *
 * App and host play CALLS rounds: the app publishes a request and waits for the reply, the host waits for the request and publishes the
 * reply. Both go to sleep at once (spinning only makes the window smaller). The 100 ms slices of the app are left out: nothing here may
 * depend on them. The host may be killed at any point; the daemon then rings the bell. What is checked: everybody reaches the end
 * (spin's "invalid end state" is a sleeper whom nobody will wake), and the app says "died" only of a dead host.
 *
 * A store goes into its process's buffer (first in, first out) and reaches memory when the flusher likes; exchanges and system calls
 * empty the buffer first. No process loads a word that may be in its own buffer, so forwarding is left out. A dead process's buffer
 * still drains.
 *
 * Mutants, each must fail:     -DNO_FENCE_WAKER        the reply is published by a plain store
 *                              -DNO_FENCE_CALLER       the request is
 *                              -DNO_FENCE_SLEEPER      the sleeper's 1 is a plain store
 *                              -DNO_LOOK               no second look between the 1 and the sleep
 *                              -DNO_BELL               nobody wakes the callers of a dead host
 *                              -DBELL_TRUSTS_WORD      the daemon wakes only if the word says so: the host died between its exchange
 *                                                      and its system call
 *                              -DLOOK_TOO_EARLY        the app looks for the reply before it looks at `gone`
 */
#define CALLS 2

#define APP 0
#define HOST 1
#define DAEMON 2

/* words of the shared memory */
#define REQUEST 0
#define REPLY 1
#define APP_ASLEEP 2
#define HOST_ASLEEP 3
#define GONE 4

byte memory[5];
chan buffer[3] = [2] of { byte, byte };
bool queued[2];                 /* asleep in the kernel */
bool killed, host_dead, answered, died;

#define fence(me) empty(buffer[me])

inline store(me, word, value) { buffer[me]!word, value }
inline exchange(me, word, value, old) { atomic { fence(me) -> old = memory[word]; memory[word] = value } }

inline futex_wait(me, word)
{
        atomic {
                fence(me);
                if
                :: memory[word] == 1 -> queued[me] = true
                :: else
                fi
        }
        !queued[me]
}

inline wake(me, whom, word)
{
        if
        :: memory[word] != 0 ->
                exchange(me, word, 0, old);
                if
                :: old != 0 -> queued[whom] = false
                :: else
                fi
        :: else
        fi
}

inline wake_always(me, whom, word)
{
        exchange(me, word, 0, old);
        queued[whom] = false
}

proctype flusher(byte whose)
{
        byte word, value;
end:    do
        :: atomic { buffer[whose]?word, value -> memory[word] = value }
        od
}

/* asleep = 1; what follows is the look. */
inline announce(me, word)
{
#ifdef NO_FENCE_SLEEPER
        store(me, word, 1);
#else
        exchange(me, word, 1, old);
#endif
}

proctype app()
{
        byte round = 1, old, reply, gone;

        do
        :: round > CALLS -> break
        :: else ->
#ifdef NO_FENCE_CALLER
                store(APP, REQUEST, round);
#else
                exchange(APP, REQUEST, round, old);
#endif
                wake(APP, HOST, HOST_ASLEEP);
                do
                :: announce(APP, APP_ASLEEP);
#ifdef NO_LOOK
                        futex_wait(APP, APP_ASLEEP);
#endif
#ifdef LOOK_TOO_EARLY
                        reply = memory[REPLY];
                        gone = memory[GONE];
#else
                        gone = memory[GONE];
                        reply = memory[REPLY];
#endif
                        if
                        :: reply == round -> break
                        :: reply != round && gone ->
                                died = true;
                                assert(host_dead);
                                /* what the host had published before it died counts */
                                assert(!(answered && memory[REPLY] == round));
                                goto over
                        :: else
                        fi;
                        futex_wait(APP, APP_ASLEEP)
                od;
                store(APP, APP_ASLEEP, 0);
                round++
        od;
over:   skip
}

proctype host()
{
        byte round = 1, old;

        {
                do
                :: round > CALLS -> break
                :: else ->
                        do
                        :: announce(HOST, HOST_ASLEEP);
#ifdef NO_LOOK
                                futex_wait(HOST, HOST_ASLEEP);
#endif
                                if
                                :: memory[REQUEST] == round -> break
                                :: else
                                fi;
                                futex_wait(HOST, HOST_ASLEEP)
                        od;
                        store(HOST, HOST_ASLEEP, 0);
#ifdef NO_FENCE_WAKER
                        store(HOST, REPLY, round);
#else
                        exchange(HOST, REPLY, round, old);
#endif
                        answered = (round == CALLS);
                        wake(HOST, APP, APP_ASLEEP);
                        round++
                od
        } unless { killed };
        host_dead = true
}

proctype daemon()
{
        byte old;

        if
        :: true -> killed = true
        :: true                         /* the host lives, and ends after its rounds */
        fi;
        host_dead && fence(HOST);       /* the kernel says so: nothing of a dead process is still under way */
        exchange(DAEMON, GONE, 1, old);
#ifdef BELL_TRUSTS_WORD
        wake(DAEMON, APP, APP_ASLEEP)
#else
#ifndef NO_BELL
        wake_always(DAEMON, APP, APP_ASLEEP)
#endif
#endif
}

init
{
        atomic {
                run flusher(APP);
                run flusher(HOST);
                run flusher(DAEMON);
                run app();
                run host();
                run daemon()
        }
}
