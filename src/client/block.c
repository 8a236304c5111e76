/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dispatch functions that take a block, made of those that take a function and a context. The header declares them where the
 * compiler knows blocks; here a block is a pointer. What runs later is a copy, released after it has run; without memory for it the
 * process ends, as in the `_f` forms.
 */
#include <dispatch/dispatch.h>

#include "base/base.h"
#include "base/block.h"

void dispatch_async(dispatch_queue_t queue, void *block);
void dispatch_sync(dispatch_queue_t queue, void *block);
void dispatch_after(dispatch_time_t when, dispatch_queue_t queue, void *block);
void dispatch_once(dispatch_once_t *predicate, void *block);

static void *copy_of(void *block)
{
        void *copy = _Block_copy(block);

        if (copy)
                return copy;
        amb_log(AMB_LOG_ERROR, "no memory for a block");
        abort();
}

void dispatch_async(dispatch_queue_t queue, void *block)
{
        dispatch_async_f(queue, copy_of(block), amb_block_run_and_drop);
}

void dispatch_sync(dispatch_queue_t queue, void *block)
{
        dispatch_sync_f(queue, block, amb_block_run);
}

void dispatch_after(dispatch_time_t when, dispatch_queue_t queue, void *block)
{
        if (when != DISPATCH_TIME_FOREVER)
                dispatch_after_f(when, queue, copy_of(block), amb_block_run_and_drop);
}

void dispatch_once(dispatch_once_t *predicate, void *block)
{
        dispatch_once_f(predicate, block, amb_block_run);
}
