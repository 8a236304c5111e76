/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Blocks (`^{ ... }`), as this library sees them: gcc cannot compile one, but what a compiler that can (clang -fblocks) makes of it
 * is laid down, and the blocks runtime copies and releases it. A copy lives until it is released; what the block has captured goes
 * then.
 *
 * Functions that take a block are made of their `_f` forms with the functions below, the block as context.
 */
#include <stdint.h>

struct amb_block {
        void *isa;
        int flags;
        int reserved;
        void (*invoke)(void);           /* its real type is the block's, with the block itself as first parameter */
};

/* Of the blocks runtime. _Block_copy: NULL for NULL and without memory. */
extern void *_Block_copy(const void *block);
extern void _Block_release(const void *block);

static inline void amb_block_run(void *block)
{
        ((void (*)(void *))((struct amb_block *)block)->invoke)(block);
}

static inline void amb_block_drop(void *block)
{
        _Block_release(block);
}

/* For a copy that is run once. */
static inline void amb_block_run_and_drop(void *block)
{
        amb_block_run(block);
        _Block_release(block);
}

/* As amb_block_run, of a block that returns a code. */
static inline int32_t amb_block_run_for_code(void *block)
{
        return ((int32_t (*)(void *))((struct amb_block *)block)->invoke)(block);
}
