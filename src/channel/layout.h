/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What lies where in a channel's memory, and who writes it. Only this module includes it.
 *
 *      page 0           header: wake-up words and states                      all that the daemon ever maps
 *      from there on    slots: 64 of 512 bytes, the first 7 in page 0: reply (host writes), rest of the request (app writes)
 *      page 9           request ring: 64 lines of 64 bytes                    app writes
 *      pages 10..13     completion ring: 64 entries of 256 bytes              host writes
 *      pages 14..141    structure bytes: per slot 4096 in (app writes), 4096 out (host writes)
 *
 * A hot scalar call moves one ring line to the host and one slot line back; every other word that it looks at (asleep, gone,
 * closed) changes only when somebody sleeps or dies and so stays in both caches. Slots are taken lowest first: a connection with
 * one caller keeps to pages 0 and 9 and one pair of structure pages, however long it lives.
 *
 * The ring has as many entries as there are slots, so it is never full: a call holds a slot from before it takes its place in the
 * ring until it has been answered, and entries are consumed in order. Proof: when position p is taken, the 65 positions p-64..p
 * have all held a slot; there are 64, so one of p-64..p-1 has been answered, so everything up to it, p-64 included, has been copied
 * out. No "consumed" index travels back, and nobody waits for room.
 *
 * Sequence numbers: ring and completion entries are published by writing position + 1 (mod 2^32) to `sequence`; the reader knows
 * its own position and compares. A slot's reply is published by writing the request's `tag` (never 0, never twice running the same
 * for a slot). These three stores are sequentially consistent exchanges: on every machine they are also the fence before the look
 * at the sleeper's word (wait.h).
 *
 * All access is by the functions at the end: relaxed atomic loads and stores, one per word. Structure bytes are copied with memcpy,
 * once.
 */
#include <stdint.h>
#include "channel/channel.h"

#define AMB_LAYOUT_PAGE 4096u
#define AMB_LAYOUT_RING AMB_CHANNEL_SLOTS       /* see the proof above: not a free choice */
#define AMB_LAYOUT_COMPLETIONS 64u
#define AMB_LAYOUT_REQUEST_SCALARS 5u           /* on the first line */
#define AMB_LAYOUT_REPLY_SCALARS 6u
#define AMB_LAYOUT_COMPLETION_ARGS 4u

#define AMB_HOST_RESTS 2u                       /* in host_asleep */

#define AMB_LINE __attribute__((aligned(64)))

enum { AMB_HOST_SOMEWHERE = 0 };                /* host_cpu: asleep, and it does not pay to spin for it */
#define AMB_HOST_MOVING UINT32_MAX              /* host_cpu: on its way to another CPU than the caller's */

struct amb_layout_header {
        /* Host and daemon write, seldom. */
        uint32_t host_gone AMB_LINE;            /* daemon: 1 */
        uint32_t closed;                        /* host: AMB_LAYOUT_CLOSED, or _CALLS_OVER before it */
        uint32_t overflow;                      /* host: 1 while it keeps completions that found no room */
        uint32_t terminated;                    /* host: 1: calls are refused */
        uint32_t unlocked;                      /* host: 1: a close does not wait for calls */
        uint32_t borrows;                       /* host: 1: the driver can ask for the app's memory by itself */
        /*
         * Futexes: the host's thread sets 1 before it sleeps; whoever has work for it sets 0 and wakes. AMB_HOST_RESTS: there is no
         * such thread; the app sets 0 and knocks.
         */
        uint32_t host_asleep AMB_LINE;
        uint32_t flusher_asleep;                /* the same of the thread that moves kept completions */
        uint32_t host_cpu;                      /* host: 1 + the CPU where it looks for calls, or one of AMB_HOST_*. A hint. */
        /* One bit per port: a reader set it before it sleeps on the port's eventfd; the host takes it away and wakes. */
        uint64_t armed AMB_LINE;
        /* App: how many completions it has taken. */
        uint32_t completions_taken AMB_LINE;
        uint32_t detached;                      /* app: 1: it will not take any more */
        /*
         * Futexes: slot's caller sets 1 before it sleeps; host or daemon sets 0 and wakes. In this page so that the daemon reaches
         * them.
         */
        uint32_t caller_asleep[AMB_CHANNEL_SLOTS] AMB_LINE;
};

/* Nothing comes any more; no call is answered any more, but completions come. */
enum { AMB_LAYOUT_CLOSED = 1, AMB_LAYOUT_CALLS_OVER };

struct amb_layout_request {
        uint32_t sequence;
        uint32_t selector;
        uint32_t tag;
        uint32_t shape;                         /* slot | scalar_count << 8 | scalar_capacity << 16 | flags << 24 */
        uint32_t size;                          /* | the caller's CPU, a hint, << 16 */
        uint32_t capacity;
        uint64_t scalars[AMB_LAYOUT_REQUEST_SCALARS];
};

struct amb_layout_range {
        uint32_t id, file;
        uint64_t offset, length;
};

struct amb_layout_slot {
        /* host */
        uint32_t tag;
        uint32_t status;
        uint32_t shape;                         /* scalar_count | flags << 8 */
        uint32_t size;
        uint64_t scalars[AMB_LAYOUT_REPLY_SCALARS];
        uint64_t more_scalars[AMB_CHANNEL_SCALARS - AMB_LAYOUT_REPLY_SCALARS] AMB_LINE;
        uint64_t length;
        uint32_t out_region;
        /* app: what did not fit into the ring's line */
        uint64_t in_scalars[AMB_CHANNEL_SCALARS - AMB_LAYOUT_REQUEST_SCALARS] AMB_LINE;
        uint32_t port;
        uint64_t reference[AMB_CHANNEL_REFERENCES] AMB_LINE;
        struct amb_layout_range range_in, range_out;
        uint8_t unused[80];
};

struct amb_layout_completion {
        uint32_t sequence;
        uint32_t port;
        uint32_t status;
        uint32_t shape;                         /* count | 1 << 8: references 3..7 are not all zero and lie below */
        uint64_t reference[2];                  /* [1], [2] */
        uint64_t args[AMB_LAYOUT_COMPLETION_ARGS];
        uint64_t more_reference[AMB_CHANNEL_REFERENCES - 3] AMB_LINE;
        uint64_t more_args[AMB_CHANNEL_SCALARS - AMB_LAYOUT_COMPLETION_ARGS];
        uint8_t unused[56];
};

struct amb_layout_bytes {
        uint8_t in[AMB_CHANNEL_BYTES];
        uint8_t out[AMB_CHANNEL_BYTES];
};

struct amb_layout {
        struct amb_layout_header header;
        struct amb_layout_slot slots[AMB_CHANNEL_SLOTS];
        uint8_t unused[AMB_LAYOUT_PAGE - sizeof(struct amb_layout_header)];
        struct amb_layout_request ring[AMB_LAYOUT_RING];
        struct amb_layout_completion completions[AMB_LAYOUT_COMPLETIONS];
        struct amb_layout_bytes bytes[AMB_CHANNEL_SLOTS];
};

_Static_assert(sizeof(struct amb_layout_header) == 512, "header");
_Static_assert(sizeof(struct amb_layout_request) == 64, "one line");
_Static_assert(sizeof(struct amb_layout_slot) == 512, "slot");
_Static_assert(offsetof(struct amb_layout_slot, more_scalars) == 64, "the reply's first line");
_Static_assert(sizeof(struct amb_layout_completion) == 256, "completion");
_Static_assert(offsetof(struct amb_layout_completion, more_reference) == 64, "a completion's first line");
_Static_assert(offsetof(struct amb_layout, slots) == sizeof(struct amb_layout_header), "behind the header");
_Static_assert(offsetof(struct amb_layout, ring) == 9 * AMB_LAYOUT_PAGE, "page 9");
_Static_assert(offsetof(struct amb_layout, completions) == 10 * AMB_LAYOUT_PAGE, "page 10");
_Static_assert(offsetof(struct amb_layout, bytes) == 14 * AMB_LAYOUT_PAGE, "page 14");
_Static_assert(sizeof(struct amb_layout) == 142 * AMB_LAYOUT_PAGE, "the whole");

#define amb_load(word) __atomic_load_n((word), __ATOMIC_RELAXED)
#define amb_load_acquire(word) __atomic_load_n((word), __ATOMIC_ACQUIRE)
#define amb_load_ordered(word) __atomic_load_n((word), __ATOMIC_SEQ_CST)
#define amb_store(word, value) __atomic_store_n((word), (value), __ATOMIC_RELAXED)
#define amb_store_release(word, value) __atomic_store_n((word), (value), __ATOMIC_RELEASE)
/* Publishes, and is the fence between publishing and looking at the sleeper's word. */
#define amb_exchange(word, value) __atomic_exchange_n((word), (value), __ATOMIC_SEQ_CST)
