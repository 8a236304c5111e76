/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Completions that found no room in the ring: a queue of packed records in the host's own memory, in blocks that come and go whole.
 *
 * It is charged by bytes, because a completion takes 32 to 200 of them: a channel may fill AMB_CHANNEL_OVERFLOW_BYTES, enough for
 * AMB_CHANNEL_OVERFLOW_LEAST of the largest. What all channels of the process use beyond their first AMB_OVERFLOW_OWN_BLOCKS each
 * is limited together, so that apps that do not read cannot take a host's memory, nor the room of one that reads slowly.
 *
 * Under the channel's completion lock; the common charge is atomic.
 */
#include "channel/channel.h"

#define AMB_OVERFLOW_BLOCK_BYTES 65536u
#define AMB_OVERFLOW_BLOCKS_MOST (AMB_CHANNEL_OVERFLOW_BYTES / AMB_OVERFLOW_BLOCK_BYTES)
#define AMB_OVERFLOW_OWN_BLOCKS 16u             /* 1 MiB that no other channel can take away */
#define AMB_OVERFLOW_SHARED_BLOCKS_MOST 4096u   /* 256 MiB */

struct amb_overflow_block;
struct amb_overflow {
        struct amb_overflow_block *first, *last;
        uint32_t read;                          /* bytes of the first block that have been taken */
        uint32_t blocks;
        uint32_t count;                         /* completions in it */
        uint64_t total, dropped;
};

/* False: no room, or no memory. */
bool amb_overflow_push(struct amb_overflow *overflow, const struct amb_completion *completion);
/* The oldest stays until it is popped; count must not be 0. */
void amb_overflow_peek(struct amb_overflow *overflow, struct amb_completion *ret);
void amb_overflow_pop(struct amb_overflow *overflow);
/* Forgets those for one port; their bytes come back as the queue moves on. */
void amb_overflow_forget(struct amb_overflow *overflow, uint32_t port);
void amb_overflow_clear(struct amb_overflow *overflow);
