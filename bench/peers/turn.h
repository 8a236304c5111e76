/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What main.c and the clients that it starts (runner.c) say to each other. Memory that both map holds the result of a turn; a
 * SOCK_SEQPACKET pair carries orders and their end. The client says first, unasked, how connecting went.
 */
#include <stdint.h>

#include "measure/histogram.h"
#include "bench/peers/peer.h"

enum turn_kind {
        TURN_HOT,       /* one call after the other */
        TURN_ASLEEP,    /* one call after TURN_IDLE_NS of sleep, again and again */
        TURN_BUSY,      /* one call after TURN_IDLE_NS of work, again and again */
        TURN_FLOOD,     /* as many under way as the peer can do; counts answers instead of measuring each */
};
enum { TURN_IDLE_NS = 1000000, TURN_WARM_UP = 64 };

struct turn_order {
        uint32_t kind, size;
        uint64_t duration;      /* ns, and what a call takes */
};

struct turn_memory {
        struct peer_shared shared;
        struct amb_histogram histogram; /* of this turn */
        uint64_t done, elapsed;         /* of a flood: answers, ns */
};

/* What the client sends: 0 or -errno; ended beforehand: it died. */
typedef int32_t turn_outcome;
