/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The ring of a data queue: entries of any size in memory that two processes share, one that writes and one that reads.
 *
 * What it promises
 *      Order, contents, and that nobody sleeps for ever beside an entry. Whatever the peer writes into the shared memory at
 *      whatever moment, no byte outside the ring is touched: the ring's size is the caller's own, head and tail are loaded
 *      once for each operation, an entry's size word once, and all three are checked before they are used. An entry must lie
 *      in the part of the ring that is in use, so a wrong size cannot make the reader overtake the writer. The entry's bytes
 *      stay where they are until they are consumed: a hostile writer can change them while they are looked at.
 *
 * Two forms (memory-and-queues 6.2, 7.1), one algorithm (6.4, 6.5)
 *      padded   IODataQueueDispatchSource: head, tail, a byte that says "the writer found it full", the ring at 128; entries
 *               take whole words; the size is not in the shared memory
 *      packed   the client's IODataQueue: size, head, tail, the ring at 12; entries follow each other without gaps
 *
 * Who owns what
 *      The struct is plain data; the memory is the caller's. tail is the writer's word, head the reader's.
 *
 * Which thread
 *      One writer and one reader at a time, no lock. Neither waits: how the other one is woken is the caller's business, who
 *      is told when (model/dataqueue.pml).
 */
#include "base/base.h"

enum {
        AMB_DATAQUEUE_PADDED_HEADER = 128,
        AMB_DATAQUEUE_PACKED_HEADER = 12,
        AMB_DATAQUEUE_ENTRY_HEADER = 4,
};

struct amb_dataqueue {
        uint32_t *head, *tail;
        uint8_t *full;                  /* NULL: the form has none */
        uint8_t *ring;
        uint32_t size;                  /* of the ring; never looked up in shared memory */
        uint32_t rounding;              /* 3 or 0 */
};

/* memory: aligned to 4, header and ring. size: bytes of the ring; padded: a multiple of 4. */
void amb_dataqueue_padded(struct amb_dataqueue *queue, void *memory, uint32_t size);
void amb_dataqueue_packed(struct amb_dataqueue *queue, void *memory, uint32_t size);

enum {
        AMB_DATAQUEUE_EMPTY = 1,
        AMB_DATAQUEUE_FULL,
        AMB_DATAQUEUE_TOO_BIG,          /* larger than any ring */
        AMB_DATAQUEUE_BROKEN,           /* head, tail or an entry is not what a peer that keeps to the rules leaves */
};

/* --- writer --- */

struct amb_dataqueue_place {
        uint8_t *data;                  /* where `size` bytes go */
        uint32_t size;
        uint32_t at, next;              /* offsets of the entry, and of what follows it */
        uint32_t head, tail;            /* as they were found */
};
/*
 * Finds room; nothing is visible to the reader until it is published, and a place that never is does no harm. FULL: `full`
 * is set, if the form has it, and the reader is to be woken (it answers `full`). TOO_BIG, BROKEN.
 */
int amb_dataqueue_reserve(const struct amb_dataqueue *queue, uint32_t size, struct amb_dataqueue_place *ret);
/* True: the queue was empty, the reader is to be woken. */
bool amb_dataqueue_publish(const struct amb_dataqueue *queue, const struct amb_dataqueue_place *place);
/* Would `count` entries of `size` bytes fit? 0, FULL (also, now and then, where the last one would just fit), TOO_BIG, BROKEN. */
int amb_dataqueue_room(const struct amb_dataqueue *queue, uint32_t size, uint32_t count);

/* --- reader --- */

struct amb_dataqueue_entry {
        const uint8_t *data;
        uint32_t size;                  /* as the writer gave it, not rounded */
        uint32_t next;                  /* offset of what follows */
        bool last;
};
/* The oldest entry, which stays. EMPTY, BROKEN. */
int amb_dataqueue_front(const struct amb_dataqueue *queue, struct amb_dataqueue_entry *ret);
void amb_dataqueue_consume(const struct amb_dataqueue *queue, const struct amb_dataqueue_entry *entry);
/* Has the writer found it full since the last clear? To be asked after an entry and at EMPTY; who clears it wakes the writer. */
bool amb_dataqueue_was_full(const struct amb_dataqueue *queue);
void amb_dataqueue_full_clear(const struct amb_dataqueue *queue);

/* A shared word at any byte, where words of a packed queue may stand; loaded or stored exactly once. */
struct amb_dataqueue_word {
        uint32_t value;
} __attribute__((packed));
static inline uint32_t amb_dataqueue_word_load(const uint8_t *at)
{
        return ((const volatile struct amb_dataqueue_word *)at)->value;
}
static inline void amb_dataqueue_word_store(uint8_t *at, uint32_t value)
{
        ((volatile struct amb_dataqueue_word *)at)->value = value;
}

/* Either side: head and tail differ. */
bool amb_dataqueue_holds_data(const struct amb_dataqueue *queue);
