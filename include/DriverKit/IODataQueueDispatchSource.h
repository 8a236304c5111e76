/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A queue of entries of any size in memory that can be shared: one side writes, one side reads, neither waits and neither
 * copies more than once. The other side is told by an action: DataAvailable when the queue stops being empty, DataServiced when
 * a reader has made room for a writer that had found the queue full.
 *
 * The memory (CopyMemory) is 128 bytes of head and then the ring; its layout is memory-and-queues 6.2 and is not the one that
 * an application's IODataQueueDequeue() reads. What the other side writes there is never trusted: no call touches a byte
 * outside of the ring. But an entry is shown where it lies: a function that is handed `data` looks at every byte once, or
 * copies first.
 *
 * Threads: one reader (IsDataAvailable, Peek, Dequeue...) and one writer (CanEnqueueData..., Enqueue...) at a time, which take
 * no lock; all other calls from any thread.
 *
 * Spelling: a method that takes a block has two names, Method_f(self, ..., context, function) and Method(self, ..., block); in
 * both the function runs on the caller's thread before the call returns. Of the two CanEnqueueData of C++ the one with a count
 * is CanEnqueueDataCount. CopyMemory, CopyDataAvailableHandler and CopyDataServicedHandler, which are messages to the queue's
 * owner elsewhere, are plain calls here: a queue does not travel to another driver's process.
 *
 * Contract: memory-and-queues 6 (Q1 to Q27).
 */
#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IODispatchSource.h>
#include <DriverKit/OSAction.h>

/* The kinds of callback (msgid of OSAction_Create), both: void method(void *self, OSAction *action) */
#define IODataQueueDispatchSource_DataAvailable_ID 0x494f445153000001ull
#define IODataQueueDispatchSource_DataServiced_ID 0x494f445153000002ull

/* size: bytes of the entry, as it was enqueued. data is valid until the function returns. */
typedef void (*IODataQueueClientEnqueueEntryFunction)(void *context, void *data, size_t size);
typedef void (*IODataQueueClientDequeueEntryFunction)(void *context, const void *data, size_t size);
AMB_BLOCK_TYPE(IODataQueueClientEnqueueEntryBlock, void, void *data, size_t size);
AMB_BLOCK_TYPE(IODataQueueClientDequeueEntryBlock, void, const void *data, size_t size);

#if defined(__IIG)
#include <DriverKit/IODataQueueDispatchSource.iig>
#elif defined(__cplusplus)
#include <DriverKit/IODataQueueDispatchSource.iig.h>
#else
struct IODataQueueDispatchSource_ivars;
typedef struct IODataQueueDispatchSource {
        IODispatchSource source;
        struct IODataQueueDispatchSource_ivars *ivars;
} IODataQueueDispatchSource;

extern const OSMetaClass gIODataQueueDispatchSourceMetaClass;

/*
 * Makes a queue, empty, without handlers. queueByteCount: bytes of the ring, a multiple of 4, at most 0xFFFFFF7C; an entry takes
 * its size rounded up to a multiple of 4, and 4 bytes more. queue: not used (handlers run on the default queue of their action's
 * target), may be NULL. 0: *source has one reference. kIOReturnBadArgument: the count, or source is NULL; kIOReturnNoMemory.
 */
kern_return_t IODataQueueDispatchSource_Create(uint64_t queueByteCount, IODispatchQueue *queue,
                                               IODataQueueDispatchSource **source);

size_t IODataQueueDispatchSource_GetDataQueueEntryHeaderSize(void);     /* 4 */

/*
 * Set what is called; the action is retained until it is replaced, taken away by NULL, or the source is cancelled or freed.
 * DataAvailable: at once if the queue holds data, then whenever it stops being empty and when a writer finds it full; so the
 * method dequeues until kIOReturnUnderrun. DataServiced: after a Dequeue that followed a full queue. Callbacks of a handler that
 * has been replaced meanwhile are dropped. 0; kIOReturnBadArgument: an action of another kind; kIOReturnNotReady: cancelled.
 */
kern_return_t IODataQueueDispatchSource_SetDataAvailableHandler(IODataQueueDispatchSource *self, OSAction *action);
kern_return_t IODataQueueDispatchSource_SetDataServicedHandler(IODataQueueDispatchSource *self, OSAction *action);

/* What was set, with a reference for the caller. kIOReturnNotReady: nothing; *action is not written. */
kern_return_t IODataQueueDispatchSource_CopyDataAvailableHandler(IODataQueueDispatchSource *self, OSAction **action);
kern_return_t IODataQueueDispatchSource_CopyDataServicedHandler(IODataQueueDispatchSource *self, OSAction **action);

/* The shared memory, 128 bytes more than the ring, with a reference for the caller. kIOReturnNotReady: not made by Create. */
kern_return_t IODataQueueDispatchSource_CopyMemory(IODataQueueDispatchSource *self, IOMemoryDescriptor **memory);

/*
 * Cancel: lets go of both handlers and then runs handler(context) on the caller's thread, before it returns; handler may be
 * NULL. 0. A callback in progress is not waited for; the queue can still be used, without callbacks. SetEnable: remembered, 0; it
 * changes nothing, and SetEnableWithCompletion does not run its handler. CheckForWork: kIOReturnNotReady.
 */
kern_return_t IODataQueueDispatchSource_Cancel_f(IODataQueueDispatchSource *self, void *context, IODispatchFunction handler);
kern_return_t IODataQueueDispatchSource_SetEnable(IODataQueueDispatchSource *self, bool enable);
kern_return_t IODataQueueDispatchSource_SetEnableWithCompletion_f(IODataQueueDispatchSource *self, bool enable, void *context,
                                                                  IODispatchFunction handler);
kern_return_t IODataQueueDispatchSource_CheckForWork(IODataQueueDispatchSource *self, bool synchronous);

/*
 * --- the reader ---
 * Codes: kIOReturnUnderrun: empty; kIOReturnError: the writer has broken the queue; kIOReturnNoMemory: not made by Create.
 * In all three the function does not run.
 */

bool IODataQueueDispatchSource_IsDataAvailable(IODataQueueDispatchSource *self);
/* Shows the oldest entry, which stays. */
kern_return_t IODataQueueDispatchSource_Peek_f(IODataQueueDispatchSource *self, void *context,
                                               IODataQueueClientDequeueEntryFunction function);
/*
 * Shows the oldest entry and takes it out; then, or when the queue is empty, calls DataServiced if the writer has found the
 * queue full.
 * WithCoalesce: stores true in *sendDataServiced instead, and never false; the caller sends once, by SendDataServiced().
 */
kern_return_t IODataQueueDispatchSource_Dequeue_f(IODataQueueDispatchSource *self, void *context,
                                                  IODataQueueClientDequeueEntryFunction function);
kern_return_t IODataQueueDispatchSource_DequeueWithCoalesce_f(IODataQueueDispatchSource *self, bool *sendDataServiced,
                                                              void *context, IODataQueueClientDequeueEntryFunction function);
/* Tells the writer, if it has a handler; nothing without. */
void IODataQueueDispatchSource_SendDataServiced(IODataQueueDispatchSource *self);

/*
 * --- the writer ---
 * Codes: kIOReturnOverrun: it does not fit; kIOReturnNoMemory: not made by Create.
 */

/*
 * Lets the function fill in an entry of `size` bytes and adds it; calls DataAvailable if the queue was empty. When it does not fit
 * (kIOReturnOverrun) and when the reader has broken the queue (kIOReturnUnderrun) the function does not run; a full queue calls
 * DataAvailable too.
 * WithCoalesce: stores true in *sendDataAvailable instead, and never false; the caller sends once, by SendDataAvailable().
 */
kern_return_t IODataQueueDispatchSource_Enqueue_f(IODataQueueDispatchSource *self, uint32_t size, void *context,
                                                  IODataQueueClientEnqueueEntryFunction function);
kern_return_t IODataQueueDispatchSource_EnqueueWithCoalesce_f(IODataQueueDispatchSource *self, uint32_t size,
                                                              bool *sendDataAvailable, void *context,
                                                              IODataQueueClientEnqueueEntryFunction function);
/*
 * Would one entry, or `count`, of `size` bytes fit now? 0; kIOReturnOverrun, in a few cases also where the last one would just
 * fit; kIOReturnError: the reader has broken the queue.
 */
kern_return_t IODataQueueDispatchSource_CanEnqueueData(IODataQueueDispatchSource *self, uint32_t size);
kern_return_t IODataQueueDispatchSource_CanEnqueueDataCount(IODataQueueDispatchSource *self, uint32_t size, uint32_t count);
/* Tells the reader, if it has a handler; nothing without. */
void IODataQueueDispatchSource_SendDataAvailable(IODataQueueDispatchSource *self);

/* --- the same with blocks, which run before the call returns and are not copied --- */
kern_return_t IODataQueueDispatchSource_Peek(IODataQueueDispatchSource *self, IODataQueueClientDequeueEntryBlock block);
kern_return_t IODataQueueDispatchSource_Dequeue(IODataQueueDispatchSource *self, IODataQueueClientDequeueEntryBlock block);
kern_return_t IODataQueueDispatchSource_DequeueWithCoalesce(IODataQueueDispatchSource *self, bool *sendDataServiced,
                                                            IODataQueueClientDequeueEntryBlock block);
kern_return_t IODataQueueDispatchSource_Enqueue(IODataQueueDispatchSource *self, uint32_t size,
                                                IODataQueueClientEnqueueEntryBlock block);
kern_return_t IODataQueueDispatchSource_EnqueueWithCoalesce(IODataQueueDispatchSource *self, uint32_t size, bool *sendDataAvailable,
                                                            IODataQueueClientEnqueueEntryBlock block);
kern_return_t IODataQueueDispatchSource_Cancel(IODataQueueDispatchSource *self, IODispatchSourceCancelHandler handler);
/* The block does not run, see above. */
kern_return_t IODataQueueDispatchSource_SetEnableWithCompletion(IODataQueueDispatchSource *self, bool enable,
                                                                IODispatchSourceCancelHandler handler);
#endif
