/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mman.h>
#include "channel/overflow.h"

#define FORGOTTEN 0xFF                          /* as a record's count */

struct record {
        uint32_t port;
        int32_t status;
        uint8_t count;
        uint8_t wide;                           /* references 3 to 7 are not all 0 */
        uint16_t filler;
        uint32_t size;                          /* of the record, with what follows */
        uint64_t values[];                      /* references 1 and 2, or 1 to 7; then count arguments */
};

struct amb_overflow_block {
        struct amb_overflow_block *next;
        uint32_t used;
        uint32_t filler;
        char bytes[AMB_OVERFLOW_BLOCK_BYTES - 16];
};

_Static_assert(sizeof(struct amb_overflow_block) == AMB_OVERFLOW_BLOCK_BYTES, "blocks are what is charged");
_Static_assert(AMB_OVERFLOW_BLOCKS_MOST * ((AMB_OVERFLOW_BLOCK_BYTES - 16) / (16 + 8 * (7 + AMB_CHANNEL_SCALARS))) >=
               AMB_CHANNEL_OVERFLOW_LEAST, "the promise of channel.h");

static uint32_t shared_blocks;

/* --- blocks --- */

static bool block_charge(const struct amb_overflow *overflow)
{
        if (overflow->blocks >= AMB_OVERFLOW_BLOCKS_MOST)
                return false;
        if (overflow->blocks < AMB_OVERFLOW_OWN_BLOCKS)
                return true;
        if (__atomic_add_fetch(&shared_blocks, 1, __ATOMIC_RELAXED) <= AMB_OVERFLOW_SHARED_BLOCKS_MOST)
                return true;
        __atomic_sub_fetch(&shared_blocks, 1, __ATOMIC_RELAXED);
        return false;
}

/* After overflow->blocks has been lowered. */
static void block_discharge(const struct amb_overflow *overflow)
{
        if (overflow->blocks >= AMB_OVERFLOW_OWN_BLOCKS)
                __atomic_sub_fetch(&shared_blocks, 1, __ATOMIC_RELAXED);
}

/* Mapped, not allocated: what a slow reader has cost goes back to the system once it has read. */
static bool block_add(struct amb_overflow *overflow)
{
        struct amb_overflow_block *block;

        if (!block_charge(overflow))
                return false;
        block = mmap(NULL, sizeof(*block), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) {
                block_discharge(overflow);
                return false;
        }
        if (overflow->last)
                overflow->last->next = block;
        else
                overflow->first = block;
        overflow->last = block;
        overflow->blocks++;
        return true;
}

static void block_drop_first(struct amb_overflow *overflow)
{
        struct amb_overflow_block *block = overflow->first;

        overflow->first = block->next;
        if (!overflow->first)
                overflow->last = NULL;
        overflow->read = 0;
        overflow->blocks--;
        block_discharge(overflow);
        munmap(block, sizeof(*block));
}

/* --- records --- */

static struct record *record_at(struct amb_overflow_block *block, uint32_t offset)
{
        return (struct record *)(block->bytes + offset);
}

bool amb_overflow_push(struct amb_overflow *overflow, const struct amb_completion *completion)
{
        uint32_t references, size;
        struct record *record;
        uint64_t wide = 0;

        for (unsigned i = 3; i < AMB_CHANNEL_REFERENCES; ++i)
                wide |= completion->reference[i];
        references = wide ? AMB_CHANNEL_REFERENCES - 1 : 2;
        size = (uint32_t)(sizeof(*record) + (references + completion->count) * sizeof(uint64_t));
        if ((!overflow->last || sizeof(overflow->last->bytes) - overflow->last->used < size) && !block_add(overflow))
                return false;
        record = record_at(overflow->last, overflow->last->used);
        *record = (struct record){ .port = completion->port, .status = completion->status, .count = (uint8_t)completion->count,
                                   .wide = wide != 0, .size = size };
        memcpy(record->values, completion->reference + 1, references * sizeof(uint64_t));
        memcpy(record->values + references, completion->args, completion->count * sizeof(uint64_t));
        overflow->last->used += size;
        overflow->count++;
        overflow->total++;
        return true;
}

/* The oldest that is not forgotten; there is one. */
static struct record *record_first(struct amb_overflow *overflow)
{
        for (;;) {
                struct record *record;

                if (overflow->read == overflow->first->used) {
                        block_drop_first(overflow);
                        continue;
                }
                record = record_at(overflow->first, overflow->read);
                if (record->count != FORGOTTEN)
                        return record;
                overflow->read += record->size;
        }
}

void amb_overflow_peek(struct amb_overflow *overflow, struct amb_completion *ret)
{
        const struct record *record = record_first(overflow);
        uint32_t references = record->wide ? AMB_CHANNEL_REFERENCES - 1 : 2;

        *ret = (struct amb_completion){ .port = record->port, .status = record->status, .count = record->count };
        memcpy(ret->reference + 1, record->values, references * sizeof(uint64_t));
        memcpy(ret->args, record->values + references, record->count * sizeof(uint64_t));
}

void amb_overflow_pop(struct amb_overflow *overflow)
{
        overflow->read += record_first(overflow)->size;
        if (--overflow->count == 0)
                amb_overflow_clear(overflow);
        else if (overflow->read == overflow->first->used)
                block_drop_first(overflow);
}

void amb_overflow_forget(struct amb_overflow *overflow, uint32_t port)
{
        uint32_t offset = overflow->read;

        for (struct amb_overflow_block *block = overflow->first; block; block = block->next, offset = 0)
                while (offset < block->used) {
                        struct record *record = record_at(block, offset);

                        if (record->port == port && record->count != FORGOTTEN) {
                                record->count = FORGOTTEN;
                                overflow->count--;
                        }
                        offset += record->size;
                }
        if (overflow->count == 0)
                amb_overflow_clear(overflow);
}

void amb_overflow_clear(struct amb_overflow *overflow)
{
        while (overflow->first)
                block_drop_first(overflow);
        overflow->count = 0;
}
