/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A peer in the race: its two processes (runner.c), started, ordered to measure, and ended. Nothing here waits for ever: who does
 * not answer in time is ended and has a reason. One thread; the process must be a subreaper, so that what peers start is ours to
 * end. A signal that contender_stop_on() has named ends every wait, and the race.
 */
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "bench/peers/turn.h"

enum contender_state { CONTENDER_ABSENT, CONTENDER_READY, CONTENDER_OUT };

struct contender {
        const char *peer, *program;     /* the caller's */
        int ours, theirs;               /* likewise: processors of client and server, from the start, or AMB_PROCESSOR_ANY */
        enum contender_state state;
        char why[160];                  /* when it is out */
        char *directory;
        pid_t server, client;           /* 0: none */
        int control;
        struct turn_memory *memory;     /* what the last turn gave */
};

/* From now on SIGINT, SIGTERM and SIGHUP end waits; which came: contender_signal(), or 0. */
void contender_catch_signals(void);
int contender_signal(void);

/* Starts both processes, with a directory of that name below `place`. False: it is out, nothing of it is left. */
bool contender_start(struct contender *contender, const char *place);
/* Measures. False: it is out. */
bool contender_turn(struct contender *contender, const struct turn_order *order);
/* Ends the processes and removes the directory; any state. */
void contender_end(struct contender *contender);
/* What is still there of processes that peers have left behind. */
void contender_end_orphans(void);
