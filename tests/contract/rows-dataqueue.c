/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory-and-queues 15.6, Q1 to Q27: IODataQueueDispatchSource. Both sides of the queue are this process, which is all that
 * the rows need: what a hostile peer in another one could write into the shared memory is written there by the row.
 */
#include <pthread.h>
#include <time.h>

#include "contract.h"

/* --- who is called --- */

#define LISTENER_CALLED_ID 0x6c697374656e0001ull

struct Listener {
        IOService service;
        void (*called)(struct Listener *self);
        void *context;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        uint64_t calls;
};

static void listener_called(struct Listener *self, OSAction *action)
{
        if (self->called)
                self->called(self);
        pthread_mutex_lock(&self->lock);
        self->calls++;
        pthread_cond_broadcast(&self->changed);
        pthread_mutex_unlock(&self->lock);
}

static const struct amb_method listener_methods[] = {
        AMB_METHOD(LISTENER_CALLED_ID, listener_called),
        AMB_METHODS_END,
};
static const OSMetaClass gListenerMetaClass = { "Listener", &gIOServiceMetaClass, sizeof(struct Listener), listener_methods, NULL };

static struct Listener *listener_new(void)
{
        struct Listener *listener = (struct Listener *)amb_object_new(OSTypeID(Listener));
        ck_assert_ptr_nonnull(listener);
        pthread_mutex_init(&listener->lock, NULL);
        pthread_cond_init(&listener->changed, NULL);
        return listener;
}

static OSAction *listen_to(struct Listener *listener, uint64_t kind)
{
        OSAction *action = NULL;
        ck_code(OSAction_Create((OSObject *)listener, LISTENER_CALLED_ID, kind, 0, &action), kIOReturnSuccess);
        return action;
}

static struct Listener *listen_available(IODataQueueDispatchSource *q)
{
        struct Listener *listener = listener_new();
        OSAction *action = listen_to(listener, IODataQueueDispatchSource_DataAvailable_ID);
        ck_code(IODataQueueDispatchSource_SetDataAvailableHandler(q, action), kIOReturnSuccess);
        OSObject_release(action);
        return listener;
}

static struct Listener *listen_serviced(IODataQueueDispatchSource *q)
{
        struct Listener *listener = listener_new();
        OSAction *action = listen_to(listener, IODataQueueDispatchSource_DataServiced_ID);
        ck_code(IODataQueueDispatchSource_SetDataServicedHandler(q, action), kIOReturnSuccess);
        OSObject_release(action);
        return listener;
}

static void nothing(void *context)
{
}

/* How often it has been called by everything that has been sent so far: what is called runs on its queue, in order. */
static uint64_t calls_of(struct Listener *listener)
{
        IODispatchQueue *queue = NULL;
        uint64_t calls;
        ck_code(IOService_CopyDispatchQueue(&listener->service, kIOServiceDefaultQueueName, &queue), kIOReturnSuccess);
        IODispatchQueue_DispatchSync_f(queue, NULL, nothing);
        OSObject_release(queue);
        pthread_mutex_lock(&listener->lock);
        calls = listener->calls;
        pthread_mutex_unlock(&listener->lock);
        return calls;
}

/* --- a queue and what is in its memory --- */

#define HEAD 128u

static IODataQueueDispatchSource *queue_new(uint64_t size)
{
        IODataQueueDispatchSource *q = NULL;
        ck_code(IODataQueueDispatchSource_Create(size, NULL, &q), kIOReturnSuccess);
        return q;
}

static uint8_t *memory_of(IODataQueueDispatchSource *q, uint64_t *length)
{
        IOMemoryDescriptor *memory = NULL;
        IOAddressSegment range;
        ck_code(IODataQueueDispatchSource_CopyMemory(q, &memory), kIOReturnSuccess);
        ck_code(IOBufferMemoryDescriptor_GetAddressRange(OSRequiredCast(IOBufferMemoryDescriptor, memory), &range),
                kIOReturnSuccess);
        OSObject_release(memory);
        if (length)
                *length = range.length;
        return (uint8_t *)(uintptr_t)range.address;
}

static uint32_t word_at(IODataQueueDispatchSource *q, uint32_t offset)
{
        uint32_t word;
        memcpy(&word, memory_of(q, NULL) + offset, sizeof(word));
        return word;
}
#define ck_word(q, offset, expected) ck_assert_uint_eq(word_at(q, offset), expected)

static void set_word(IODataQueueDispatchSource *q, uint32_t offset, uint32_t value)
{
        memcpy(memory_of(q, NULL) + offset, &value, sizeof(value));
}

/* head and tail, then the byte that says "found full". */
#define ck_state(q, head, tail, full)                                                                                   \
        do {                                                                                                            \
                ck_word(q, 0, head);                                                                                    \
                ck_word(q, 4, tail);                                                                                    \
                ck_assert_uint_eq(memory_of(q, NULL)[8], full);                                                         \
        } while (0)

static struct {
        int runs;
        size_t size;
        uint8_t bytes[256];
} last;

static void fill(void *context, void *data, size_t size)
{
        memset(data, (int)(intptr_t)context, size);
        last.runs++;
        last.size = size;
}

static void look(void *context, const void *data, size_t size)
{
        last.runs++;
        last.size = size;
        ck_assert_uint_le(size, sizeof(last.bytes));
        memcpy(last.bytes, data, size);
}

static kern_return_t enqueue(IODataQueueDispatchSource *q, uint32_t size, char byte)
{
        int runs = last.runs;
        kern_return_t code = IODataQueueDispatchSource_Enqueue_f(q, size, (void *)(intptr_t)byte, fill);
        ck_assert_int_eq(last.runs, runs + (code == kIOReturnSuccess));
        ck_assert(code || last.size == size);
        return code;
}

static kern_return_t dequeue(IODataQueueDispatchSource *q)
{
        int runs = last.runs;
        kern_return_t code = IODataQueueDispatchSource_Dequeue_f(q, NULL, look);
        ck_assert_int_eq(last.runs, runs + (code == kIOReturnSuccess));
        return code;
}

static kern_return_t peek(IODataQueueDispatchSource *q)
{
        int runs = last.runs;
        kern_return_t code = IODataQueueDispatchSource_Peek_f(q, NULL, look);
        ck_assert_int_eq(last.runs, runs + (code == kIOReturnSuccess));
        return code;
}

static void ck_last(char byte, size_t size)
{
        ck_assert_uint_eq(last.size, size);
        for (size_t i = 0; i < size; i++)
                ck_assert_int_eq(last.bytes[i], byte);
}

/* --- the rows --- */

KEPT_BARE(memory_and_queues_Q001, "a queue of a size that is not a multiple of 4: kIOReturnBadArgument")
{
        IODataQueueDispatchSource *q = (void *)1;
        ck_code(IODataQueueDispatchSource_Create(10, NULL, &q), kIOReturnBadArgument);
        ck_code(IODataQueueDispatchSource_Create(3, NULL, &q), kIOReturnBadArgument);
        ck_assert_ptr_eq(q, (void *)1);
}

KEPT_BARE(memory_and_queues_Q002, "a queue of more than 0xFFFFFFFF - 128 bytes: kIOReturnBadArgument")
{
        IODataQueueDispatchSource *q = (void *)1;
        ck_code(IODataQueueDispatchSource_Create(0xffffff84, NULL, &q), kIOReturnBadArgument);
        ck_code(IODataQueueDispatchSource_Create(0x100000000, NULL, &q), kIOReturnBadArgument);
        ck_code(IODataQueueDispatchSource_Create(UINT64_MAX - 3, NULL, &q), kIOReturnBadArgument);
        ck_assert_ptr_eq(q, (void *)1);
}

KEPT_BARE(memory_and_queues_Q003, "a fresh queue: no data available, Dequeue and Peek are kIOReturnUnderrun and run nothing")
{
        IODataQueueDispatchSource *q = queue_new(64), *bare = (IODataQueueDispatchSource *)amb_object_new(
                OSTypeID(IODataQueueDispatchSource));
        IOMemoryDescriptor *memory = (void *)1;
        uint64_t length = 0;
        uint8_t *bytes = memory_of(q, &length);
        ck_assert(!IODataQueueDispatchSource_IsDataAvailable(q));
        ck_code(dequeue(q), kIOReturnUnderrun);
        ck_code(peek(q), kIOReturnUnderrun);
        ck_assert_uint_eq(length, HEAD + 64);
        for (uint64_t i = 0; i < length; i++)
                ck_assert_uint_eq(bytes[i], 0);
        OSObject_release(q);
        /* One that Create has not made has no queue. */
        ck_assert(!IODataQueueDispatchSource_IsDataAvailable(bare));
        ck_code(dequeue(bare), kIOReturnNoMemory);
        ck_code(peek(bare), kIOReturnNoMemory);
        ck_code(enqueue(bare, 1, 'a'), kIOReturnNoMemory);
        ck_code(IODataQueueDispatchSource_CopyMemory(bare, &memory), kIOReturnNotReady);
        ck_assert_ptr_eq(memory, (void *)1);
        OSObject_release(bare);
}

KEPT_BARE(memory_and_queues_Q004, "Enqueue of 5 bytes: head 0, tail 12, the entry's size word is 5, the function gets 5")
{
        IODataQueueDispatchSource *q = queue_new(64);
        ck_code(enqueue(q, 5, 'a'), kIOReturnSuccess);
        ck_state(q, 0, 12, 0);
        ck_word(q, HEAD, 5);
        ck_assert_mem_eq(memory_of(q, NULL) + HEAD + 4, "aaaaa\0\0\0", 8);
        ck_assert(IODataQueueDispatchSource_IsDataAvailable(q));
        OSObject_release(q);
}

KEPT_BARE(memory_and_queues_Q005, "Dequeue of that entry: the function gets 5 bytes, head is 12")
{
        IODataQueueDispatchSource *q = queue_new(64);
        ck_code(enqueue(q, 5, 'a'), kIOReturnSuccess);
        ck_code(peek(q), kIOReturnSuccess);
        ck_last('a', 5);
        ck_state(q, 0, 12, 0);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_last('a', 5);
        ck_state(q, 12, 12, 0);
        ck_code(dequeue(q), kIOReturnUnderrun);
        OSObject_release(q);
}

static IODataQueueDispatchSource *filled(void)
{
        IODataQueueDispatchSource *q = queue_new(16);
        ck_code(enqueue(q, 12, 'a'), kIOReturnSuccess);
        ck_state(q, 0, 16, 0);
        return q;
}

KEPT_BARE(memory_and_queues_Q006, "an entry may fill the ring to its end: tail is the ring's size")
{
        IODataQueueDispatchSource *q = filled();
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_last('a', 12);
        OSObject_release(q);
}

KEPT_BARE(memory_and_queues_Q007, "Enqueue into a full queue: kIOReturnOverrun, the flag in shared memory is 1, nothing runs")
{
        IODataQueueDispatchSource *q = filled();
        ck_code(enqueue(q, 0, 'b'), kIOReturnOverrun);
        ck_state(q, 0, 16, 1);
        OSObject_release(q);
}

KEPT_BARE(memory_and_queues_Q008, "head and tail at the ring's end: the next entry is at its start, nothing is written beyond")
{
        IODataQueueDispatchSource *q = filled();
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_state(q, 16, 16, 0);
        ck_code(enqueue(q, 4, 'b'), kIOReturnSuccess);
        ck_state(q, 16, 8, 0);
        ck_word(q, HEAD, 4);
        ck_word(q, HEAD + 16, 0);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_last('b', 4);
        ck_state(q, 8, 8, 0);
        OSObject_release(q);
}

KEPT_BARE(memory_and_queues_Q009, "head 40, tail 56 of 64, 8 bytes more: a size word of 8 at 56, the entry at 0, tail 12")
{
        IODataQueueDispatchSource *q = queue_new(64);
        ck_code(enqueue(q, 36, 'a'), kIOReturnSuccess);
        ck_code(enqueue(q, 12, 'b'), kIOReturnSuccess);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_state(q, 40, 56, 0);
        ck_code(enqueue(q, 8, 'c'), kIOReturnSuccess);
        ck_state(q, 40, 12, 0);
        ck_word(q, HEAD + 56, 8);
        ck_word(q, HEAD, 8);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_last('b', 12);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_last('c', 8);
        ck_state(q, 12, 12, 0);
        OSObject_release(q);
}

KEPT_BARE(memory_and_queues_Q010, "head 12, tail 60 of 64, 8 bytes more: kIOReturnOverrun, for a wrapped tail may not reach head")
{
        IODataQueueDispatchSource *q = queue_new(64);
        ck_code(enqueue(q, 8, 'a'), kIOReturnSuccess);
        ck_code(enqueue(q, 44, 'b'), kIOReturnSuccess);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_state(q, 12, 60, 0);
        ck_code(enqueue(q, 8, 'c'), kIOReturnOverrun);
        ck_code(enqueue(q, 4, 'c'), kIOReturnSuccess);
        ck_word(q, 4, 8);
        OSObject_release(q);
}

KEPT_BARE(memory_and_queues_Q011, "wrapped, head 40, tail 28, 8 bytes more: kIOReturnOverrun, for the tail may not reach head")
{
        IODataQueueDispatchSource *q = queue_new(64);
        ck_code(enqueue(q, 36, 'a'), kIOReturnSuccess);
        ck_code(enqueue(q, 12, 'b'), kIOReturnSuccess);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_code(enqueue(q, 24, 'c'), kIOReturnSuccess);
        ck_state(q, 40, 28, 0);
        ck_code(enqueue(q, 8, 'd'), kIOReturnOverrun);
        ck_code(enqueue(q, 4, 'd'), kIOReturnSuccess);
        ck_state(q, 40, 36, 1);
        OSObject_release(q);
}

KEPT_BARE(memory_and_queues_Q012, "DataAvailable is called when the queue stops being empty, not for the entries after")
{
        IODataQueueDispatchSource *q = queue_new(64);
        struct Listener *listener = listen_available(q);
        ck_assert_uint_eq(calls_of(listener), 0);
        ck_code(enqueue(q, 4, 'a'), kIOReturnSuccess);
        ck_code(enqueue(q, 4, 'b'), kIOReturnSuccess);
        ck_assert_uint_eq(calls_of(listener), 1);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_code(enqueue(q, 4, 'c'), kIOReturnSuccess);
        ck_assert_uint_eq(calls_of(listener), 1);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_code(enqueue(q, 4, 'd'), kIOReturnSuccess);
        ck_assert_uint_eq(calls_of(listener), 2);
        OSObject_release(q);
        OSObject_release(listener);
}

KEPT_BARE(memory_and_queues_Q013, "a full queue: kIOReturnOverrun, and DataAvailable is called")
{
        IODataQueueDispatchSource *q = filled();
        struct Listener *listener = listen_available(q);
        ck_assert_uint_eq(calls_of(listener), 1);
        ck_code(enqueue(q, 4, 'b'), kIOReturnOverrun);
        ck_assert_uint_eq(calls_of(listener), 2);
        /* What no ring could take is not "full". */
        ck_code(enqueue(q, 0xffffffff, 'b'), kIOReturnOverrun);
        ck_assert_uint_eq(calls_of(listener), 2);
        OSObject_release(q);
        OSObject_release(listener);
}

KEPT_BARE(memory_and_queues_Q014, "after a full queue one Dequeue calls DataServiced and clears the flag")
{
        IODataQueueDispatchSource *q = filled();
        struct Listener *listener = listen_serviced(q);
        ck_code(enqueue(q, 4, 'b'), kIOReturnOverrun);
        ck_state(q, 0, 16, 1);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_assert_uint_eq(calls_of(listener), 1);
        ck_state(q, 16, 16, 0);
        /* At the end of the queue, too: the writer may have come just after the last entry went. */
        set_word(q, 8, 1);
        ck_code(dequeue(q), kIOReturnUnderrun);
        ck_assert_uint_eq(calls_of(listener), 2);
        ck_code(dequeue(q), kIOReturnUnderrun);
        ck_assert_uint_eq(calls_of(listener), 2);
        OSObject_release(q);
        OSObject_release(listener);
}

KEPT_BARE(memory_and_queues_Q015, "without a handler nobody is called by Dequeue and the flag stays")
{
        IODataQueueDispatchSource *q = filled();
        struct Listener *listener;
        bool serviced = false;
        ck_code(enqueue(q, 4, 'b'), kIOReturnOverrun);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_state(q, 16, 16, 1);
        ck_code(IODataQueueDispatchSource_DequeueWithCoalesce_f(q, &serviced, NULL, look), kIOReturnUnderrun);
        ck_assert(serviced);
        /* It is there for a handler that comes later. */
        listener = listen_serviced(q);
        IODataQueueDispatchSource_SendDataServiced(q);
        ck_assert_uint_eq(calls_of(listener), 1);
        ck_state(q, 16, 16, 0);
        OSObject_release(q);
        OSObject_release(listener);
}

KEPT_BARE(memory_and_queues_Q016, "SetDataAvailableHandler on a queue that holds data: called at once")
{
        IODataQueueDispatchSource *q = queue_new(64);
        struct Listener *listener, *serviced;
        OSAction *wrong;
        ck_code(enqueue(q, 4, 'a'), kIOReturnSuccess);
        listener = listen_available(q);
        ck_assert_uint_eq(calls_of(listener), 1);
        serviced = listen_serviced(q);
        ck_assert_uint_eq(calls_of(serviced), 0);
        wrong = listen_to(listener, IODataQueueDispatchSource_DataServiced_ID);
        ck_code(IODataQueueDispatchSource_SetDataAvailableHandler(q, wrong), kIOReturnBadArgument);
        ck_assert_uint_eq(calls_of(listener), 1);
        OSObject_release(wrong);
        OSObject_release(q);
        OSObject_release(listener);
        OSObject_release(serviced);
}

KEPT_BARE(memory_and_queues_Q017, "SetDataAvailableHandler(NULL): Enqueue calls nobody")
{
        IODataQueueDispatchSource *q = queue_new(64);
        struct Listener *listener = listen_available(q);
        ck_code(IODataQueueDispatchSource_SetDataAvailableHandler(q, NULL), kIOReturnSuccess);
        ck_code(enqueue(q, 4, 'a'), kIOReturnSuccess);
        IODataQueueDispatchSource_SendDataAvailable(q);
        ck_assert_uint_eq(calls_of(listener), 0);
        OSObject_release(q);
        OSObject_release(listener);
}

KEPT_BARE(memory_and_queues_Q018, "CopyDataAvailableHandler without a handler: kIOReturnNotReady, the result is untouched")
{
        IODataQueueDispatchSource *q = queue_new(64);
        OSAction *action = (void *)1;
        struct Listener *listener;
        ck_code(IODataQueueDispatchSource_CopyDataAvailableHandler(q, &action), kIOReturnNotReady);
        ck_code(IODataQueueDispatchSource_CopyDataServicedHandler(q, &action), kIOReturnNotReady);
        ck_assert_ptr_eq(action, (void *)1);
        listener = listen_available(q);
        ck_code(IODataQueueDispatchSource_CopyDataAvailableHandler(q, &action), kIOReturnSuccess);
        ck_code(IODataQueueDispatchSource_SetDataAvailableHandler(q, action), kIOReturnSuccess);
        OSObject_release(action);
        ck_code(enqueue(q, 4, 'a'), kIOReturnSuccess);
        ck_assert_uint_eq(calls_of(listener), 1);
        OSObject_release(q);
        OSObject_release(listener);
}

KEPT_BARE(memory_and_queues_Q019, "head beyond the ring: Dequeue and Peek kIOReturnError, Enqueue kIOReturnUnderrun")
{
        /* The ring ends where the last mapped page does: a touch beyond would be seen. */
        uint32_t ring = (uint32_t)IOVMPageSize - HEAD;
        IODataQueueDispatchSource *q = queue_new(ring);
        const uint32_t beyond[] = { ring + 4, ring + 1, 0x7fffffff, 0xfffffffc, 0xffffffff };
        for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
                set_word(q, 0, beyond[i]);
                set_word(q, 4, 0);
                ck_code(dequeue(q), kIOReturnError);
                ck_code(peek(q), kIOReturnError);
                ck_code(enqueue(q, 4, 'a'), kIOReturnUnderrun);
                ck_state(q, beyond[i], 0, 0);
                set_word(q, 0, 0);
                set_word(q, 4, beyond[i]);
                ck_code(dequeue(q), kIOReturnError);
                ck_code(peek(q), kIOReturnError);
                ck_code(enqueue(q, 4, 'a'), kIOReturnUnderrun);
                ck_state(q, 0, beyond[i], 0);
        }
        /* At the very end there is no room for a size word: it is not looked for. */
        set_word(q, 0, ring);
        set_word(q, 4, 12);
        set_word(q, HEAD, 8);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_state(q, 12, 12, 0);
        OSObject_release(q);
}

KEPT_BARE(memory_and_queues_Q020, "an entry that says 0xFFFFFFFF bytes: kIOReturnError, nothing runs")
{
        IODataQueueDispatchSource *q = queue_new((uint32_t)IOVMPageSize - HEAD);
        const uint32_t sizes[] = { 0xffffffff, 0xfffffffc, 0xfffffff9, 0x80000000, (uint32_t)IOVMPageSize, 13, 9 };
        ck_code(enqueue(q, 8, 'a'), kIOReturnSuccess);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                set_word(q, HEAD, sizes[i]);
                ck_code(dequeue(q), kIOReturnError);
                ck_code(peek(q), kIOReturnError);
                ck_state(q, 0, 12, 0);
        }
        set_word(q, HEAD, 7);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_last('a', 7);
        OSObject_release(q);
}

KEPT_BARE(memory_and_queues_Q021, "the entry at 0 is larger than the ring after the wrap: kIOReturnError")
{
        IODataQueueDispatchSource *q = queue_new(64);
        set_word(q, 0, 64);
        set_word(q, 4, 12);
        set_word(q, HEAD, 64);
        ck_code(dequeue(q), kIOReturnError);
        /* By way of a size word that sends the reader to the start. */
        set_word(q, 0, 56);
        set_word(q, HEAD + 56, 8);
        ck_code(dequeue(q), kIOReturnError);
        ck_code(peek(q), kIOReturnError);
        ck_state(q, 56, 12, 0);
        set_word(q, HEAD, 8);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_state(q, 12, 12, 0);
        OSObject_release(q);
}

KEPT_BARE(memory_and_queues_Q022, "EnqueueWithCoalesce never clears the caller's flag")
{
        IODataQueueDispatchSource *q = queue_new(64);
        struct Listener *listener = listen_available(q);
        bool available = false;
        ck_code(IODataQueueDispatchSource_EnqueueWithCoalesce_f(q, 4, &available, NULL, fill), kIOReturnSuccess);
        ck_assert(available);
        ck_code(IODataQueueDispatchSource_EnqueueWithCoalesce_f(q, 4, &available, NULL, fill), kIOReturnSuccess);
        ck_assert(available);
        available = false;
        ck_code(IODataQueueDispatchSource_EnqueueWithCoalesce_f(q, 4, &available, NULL, fill), kIOReturnSuccess);
        ck_assert(!available);
        ck_assert_uint_eq(calls_of(listener), 0);
        IODataQueueDispatchSource_SendDataAvailable(q);
        ck_assert_uint_eq(calls_of(listener), 1);
        OSObject_release(q);
        OSObject_release(listener);
}

KEPT_BARE(memory_and_queues_Q023, "CanEnqueueData of 8 bytes in an empty ring of 64: five fit, six are kIOReturnOverrun")
{
        IODataQueueDispatchSource *q = queue_new(64);
        ck_code(IODataQueueDispatchSource_CanEnqueueData(q, 8), kIOReturnSuccess);
        ck_code(IODataQueueDispatchSource_CanEnqueueDataCount(q, 8, 5), kIOReturnSuccess);
        ck_code(IODataQueueDispatchSource_CanEnqueueDataCount(q, 8, 6), kIOReturnOverrun);
        ck_code(IODataQueueDispatchSource_CanEnqueueData(q, 60), kIOReturnSuccess);
        ck_code(IODataQueueDispatchSource_CanEnqueueData(q, 61), kIOReturnOverrun);
        ck_code(IODataQueueDispatchSource_CanEnqueueData(q, 0xffffffff), kIOReturnOverrun);
        for (int i = 0; i < 5; i++)
                ck_code(enqueue(q, 8, 'a'), kIOReturnSuccess);
        ck_code(IODataQueueDispatchSource_CanEnqueueData(q, 8), kIOReturnOverrun);
        ck_code(enqueue(q, 8, 'a'), kIOReturnOverrun);
        /* Wrapped: head 24, tail 4, so 19 bytes. */
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_code(enqueue(q, 0, 'b'), kIOReturnSuccess);
        ck_code(enqueue(q, 0, 'b'), kIOReturnSuccess);
        ck_state(q, 24, 4, 1);
        ck_code(IODataQueueDispatchSource_CanEnqueueDataCount(q, 4, 2), kIOReturnSuccess);
        ck_code(IODataQueueDispatchSource_CanEnqueueDataCount(q, 4, 3), kIOReturnOverrun);
        OSObject_release(q);
}

KEPT_BARE(memory_and_queues_Q024, "CanEnqueueData, tail beyond the ring: kIOReturnError, where Enqueue says Underrun")
{
        IODataQueueDispatchSource *q = queue_new(64);
        set_word(q, 4, 68);
        ck_code(IODataQueueDispatchSource_CanEnqueueData(q, 4), kIOReturnError);
        ck_code(IODataQueueDispatchSource_CanEnqueueDataCount(q, 4, 1), kIOReturnError);
        ck_code(enqueue(q, 4, 'a'), kIOReturnUnderrun);
        OSObject_release(q);
}

static void count(void *context)
{
        (*(int *)context)++;
}

KEPT_BARE(memory_and_queues_Q025, "Cancel runs its handler on the caller before it returns, and lets go of the queue's handlers")
{
        IODataQueueDispatchSource *q = queue_new(64);
        struct Listener *listener = listen_available(q);
        int runs = 0;
        ck_code(IODataQueueDispatchSource_Cancel_f(q, &runs, count), kIOReturnSuccess);
        ck_assert_int_eq(runs, 1);
        ck_code(IODataQueueDispatchSource_Cancel_f(q, NULL, NULL), kIOReturnSuccess);
        ck_code(enqueue(q, 4, 'a'), kIOReturnSuccess);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_assert_uint_eq(calls_of(listener), 0);
        /* The other calls of every source, 6.8. */
        ck_code(IODataQueueDispatchSource_SetEnableWithCompletion_f(q, false, &runs, count), kIOReturnSuccess);
        ck_code(IODataQueueDispatchSource_SetEnable(q, false), kIOReturnSuccess);
        ck_assert_int_eq(runs, 1);
        ck_code(enqueue(q, 4, 'a'), kIOReturnSuccess);
        ck_code(dequeue(q), kIOReturnSuccess);
        ck_code(IODataQueueDispatchSource_CheckForWork(q, true), kIOReturnNotReady);
        OSObject_release(q);
        OSObject_release(listener);
}

KEPT_BARE(memory_and_queues_Q026, "an entry's header has 4 bytes")
{
        ck_assert_uint_eq(IODataQueueDispatchSource_GetDataQueueEntryHeaderSize(), 4);
}

/* --- Q27 --- */

#define STREAM_ENTRIES 1000000u

static struct stream {
        IODataQueueDispatchSource *queue;
        uint64_t reader_random;
        uint32_t read;
        bool wrong;
} stream;

static uint32_t next_size(uint64_t *state)
{
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        uint32_t random = (uint32_t)(*state >> 33);
        return random % 100 == 0 ? random % 3000 : random % 64;
}

static void stream_fill(void *context, void *data, size_t size)
{
        uint32_t i = *(uint32_t *)context;
        memset(data, (int)(i & 0xff), size);
        memcpy(data, &i, size < sizeof(i) ? size : sizeof(i));
}

static void stream_check(void *context, const void *data, size_t size)
{
        static uint8_t expected[3000];
        if (size != next_size(&stream.reader_random)) {
                stream.wrong = true;
                return;
        }
        stream_fill(&stream.read, expected, size);
        stream.wrong |= memcmp(data, expected, size) != 0;
        stream.read++;
}

/* DataAvailable: until it is empty. */
static void stream_drain(struct Listener *listener)
{
        kern_return_t code;
        while ((code = IODataQueueDispatchSource_Dequeue_f(stream.queue, NULL, stream_check)) == kIOReturnSuccess)
                ;
        if (code != kIOReturnUnderrun)
                stream.wrong = true;
}

/* Until it has been called more than `calls` times; false: nobody called in 20 s. */
static bool wait_called(struct Listener *listener, uint64_t calls)
{
        struct timespec until;
        int r = 0;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 20;
        pthread_mutex_lock(&listener->lock);
        while (listener->calls <= calls && r == 0)
                r = pthread_cond_timedwait(&listener->changed, &listener->lock, &until);
        pthread_mutex_unlock(&listener->lock);
        return r == 0;
}

static uint64_t calls_now(struct Listener *listener)
{
        pthread_mutex_lock(&listener->lock);
        uint64_t calls = listener->calls;
        pthread_mutex_unlock(&listener->lock);
        return calls;
}

KEPT_BARE(memory_and_queues_Q027, "writer and reader, 1000000 entries of random sizes: in order, whole, no wake-up lost")
{
        stream.queue = queue_new(64 << 10);
        stream.reader_random = 42;
        struct Listener *reader = listen_available(stream.queue), *writer = listen_serviced(stream.queue);
        uint64_t random = 42, calls;
        reader->called = stream_drain;
        for (uint32_t i = 0; i < STREAM_ENTRIES; i++) {
                uint32_t size = next_size(&random);
                kern_return_t code;
                while (calls = calls_now(writer),
                       code = IODataQueueDispatchSource_Enqueue_f(stream.queue, size, &i, stream_fill), code == kIOReturnOverrun)
                        ck_assert_msg(wait_called(writer, calls), "the writer waits for ever at entry %u", i);
                ck_code(code, kIOReturnSuccess);
        }
        while (calls = calls_of(reader), IODataQueueDispatchSource_IsDataAvailable(stream.queue))
                ck_assert_msg(wait_called(reader, calls), "the reader sleeps beside data");
        /* On the reader's queue nothing runs any more. */
        calls_of(reader);
        ck_assert(!stream.wrong);
        ck_assert_uint_eq(stream.read, STREAM_ENTRIES);
        ck_assert_uint_gt(calls_now(reader), 0);
        OSObject_release(stream.queue);
        OSObject_release(reader);
        OSObject_release(writer);
}
