/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of queues, sources and actions that take a block, made of those that take a function and a context.
 *
 * Here, where the compiler knows no blocks, they are pointers. What runs later is a copy, released after the block has run, or
 * when it never will; what runs before the call returns is not copied. NULL is no block: the `_f` form's NULL handler.
 */
#include <DriverKit/IODataQueueDispatchSource.h>

#include "base/block.h"
#include "driver/action.h"
#include "driver/queue.h"

kern_return_t OSAction_Cancel(OSAction *self, void *block);
kern_return_t OSAction_SetAbortedHandler(OSAction *self, void *block);

static void dispatch(IODispatchQueue *queue, void *block,
                     int (*how)(IODispatchQueue *, void *, IODispatchFunction, IODispatchFunction))
{
        void *copy = _Block_copy(block);

        if (copy && how(queue, copy, amb_block_run_and_drop, amb_block_drop) == 0)
                return;
        amb_log(AMB_LOG_ERROR, "queue %s: no memory to dispatch", IODispatchQueue_GetName(queue));
        if (copy)
                _Block_release(copy);
}

AMB_EXPORT void IODispatchQueue_DispatchAsync(IODispatchQueue *self, void *block)
{
        dispatch(self, block, amb_queue_async);
}

AMB_EXPORT void IODispatchQueue_DispatchConcurrent(IODispatchQueue *self, void *block)
{
        dispatch(self, block, amb_queue_concurrent);
}

AMB_EXPORT void IODispatchQueue_DispatchSync(IODispatchQueue *self, void *block)
{
        IODispatchQueue_DispatchSync_f(self, block, amb_block_run);
}

AMB_EXPORT kern_return_t IODispatchQueue_RunAction(IODispatchQueue *self, void *block)
{
        return IODispatchQueue_RunAction_f(self, block, amb_block_run_for_code);
}

/* Handlers: *ret_copy and *ret_function for the `_f` form. False: no memory. */
static bool prepare(void *block, void **ret_copy, IODispatchFunction *ret_function)
{
        *ret_copy = block ? _Block_copy(block) : NULL;
        *ret_function = block ? amb_block_run_and_drop : NULL;
        return !block || *ret_copy;
}

/* Who reports an error has not taken the handler. */
static kern_return_t taken(kern_return_t code, void *copy)
{
        if (code != kIOReturnSuccess && copy)
                _Block_release(copy);
        return code;
}

AMB_EXPORT kern_return_t IODispatchQueue_Cancel(IODispatchQueue *self, void *block)
{
        IODispatchFunction function;
        void *copy;

        if (!prepare(block, &copy, &function))
                return kIOReturnNoMemory;
        return taken(IODispatchQueue_Cancel_f(self, copy, function), copy);
}

AMB_EXPORT kern_return_t IODispatchSource_Cancel(IODispatchSource *self, void *block)
{
        IODispatchFunction function;
        void *copy;

        if (!prepare(block, &copy, &function))
                return kIOReturnNoMemory;
        return taken(IODispatchSource_Cancel_f(self, copy, function), copy);
}

AMB_EXPORT kern_return_t IODispatchSource_SetEnableWithCompletion(IODispatchSource *self, bool enable, void *block)
{
        IODispatchFunction function;
        void *copy;

        if (!prepare(block, &copy, &function))
                return kIOReturnNoMemory;
        return taken(IODispatchSource_SetEnableWithCompletion_f(self, enable, copy, function), copy);
}

AMB_EXPORT kern_return_t OSAction_Cancel(OSAction *self, void *block)
{
        IODispatchFunction function;
        void *copy;

        if (!prepare(block, &copy, &function))
                return kIOReturnNoMemory;
        return taken(OSAction_Cancel_f(self, copy, function), copy);
}

AMB_EXPORT kern_return_t OSAction_SetAbortedHandler(OSAction *self, void *block)
{
        IODispatchFunction function;
        void *copy;

        if (!prepare(block, &copy, &function))
                return kIOReturnNoMemory;
        amb_action_set_aborted(self, copy, function, copy ? amb_block_drop : NULL);
        return kIOReturnSuccess;
}

/* --- data queues: the block runs before the call returns --- */

static void enqueue(void *block, void *data, size_t size)
{
        ((void (*)(void *, void *, size_t))((struct amb_block *)block)->invoke)(block, data, size);
}

static void dequeue(void *block, const void *data, size_t size)
{
        ((void (*)(void *, const void *, size_t))((struct amb_block *)block)->invoke)(block, data, size);
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_Peek(IODataQueueDispatchSource *self, void *block)
{
        return IODataQueueDispatchSource_Peek_f(self, block, dequeue);
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_Dequeue(IODataQueueDispatchSource *self, void *block)
{
        return IODataQueueDispatchSource_Dequeue_f(self, block, dequeue);
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_DequeueWithCoalesce(IODataQueueDispatchSource *self, bool *sendDataServiced,
                                                                       void *block)
{
        return IODataQueueDispatchSource_DequeueWithCoalesce_f(self, sendDataServiced, block, dequeue);
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_Enqueue(IODataQueueDispatchSource *self, uint32_t size, void *block)
{
        return IODataQueueDispatchSource_Enqueue_f(self, size, block, enqueue);
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_EnqueueWithCoalesce(IODataQueueDispatchSource *self, uint32_t size,
                                                                       bool *sendDataAvailable, void *block)
{
        return IODataQueueDispatchSource_EnqueueWithCoalesce_f(self, size, sendDataAvailable, block, enqueue);
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_Cancel(IODataQueueDispatchSource *self, void *block)
{
        return IODataQueueDispatchSource_Cancel_f(self, block, block ? amb_block_run : NULL);
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_SetEnableWithCompletion(IODataQueueDispatchSource *self, bool enable,
                                                                           void *block)
{
        return IODataQueueDispatchSource_SetEnableWithCompletion_f(self, enable, block, block ? amb_block_run : NULL);
}
