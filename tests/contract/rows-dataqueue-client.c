/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 15.7, Q28 to Q40: the client's IODataQueue, alone, and in the memory of a driver that streams into it. */
#include <pthread.h>

#include <IOKit/IODataQueueClient.h>
#include <ambidext/dataqueue.h>

#include "rows-async.h"

/* --- the driver's half: a queue in a buffer of the driver's, written as drivers that know this layout do --- */

#define STREAM_TYPE 20029
#define STREAM_RING 4093u               /* entries stand at any byte */
#define STREAM_ENTRIES 100000u
#define STREAM_GO 120029                /* async: its completion says that there is data again; also starts */
#define STREAM_ON 220029                /* there is room again */
#define HOSTILE_WRITE 20035             /* in: a word's offset and value */

static __attribute__((unused)) struct {
        IOBufferMemoryDescriptor *buffer;
        IODataQueueMemory *memory;
        IODispatchQueue *queue;         /* the writer's */
        struct ContractUserClient *client;
        OSAction *completion;
        uint32_t written;
} streamer;

/* What is in entry i: as many bytes as this, each of them i, modulo 256. */
static __attribute__((unused)) uint32_t stream_size(uint32_t i)
{
        return i * 2654435761u % (i % 50 == 0 ? 1500 : 40);
}

enum stream_put { PUT, PUT_INTO_EMPTY, NO_ROOM };

static __attribute__((unused)) enum stream_put stream_put(IODataQueueMemory *q, uint32_t ring, uint8_t byte, uint32_t size)
{
        uint8_t *bytes = (uint8_t *)q + DATA_QUEUE_MEMORY_HEADER_SIZE;
        uint32_t tail = __atomic_load_n(&q->tail, __ATOMIC_RELAXED), head = __atomic_load_n(&q->head, __ATOMIC_ACQUIRE);
        uint32_t needed = DATA_QUEUE_ENTRY_HEADER_SIZE + size, at = tail;
        if (head > ring || tail > ring)
                return NO_ROOM;
        if (tail >= head && needed > ring - tail) {
                if (head <= needed)
                        return NO_ROOM;
                if (ring - tail >= DATA_QUEUE_ENTRY_HEADER_SIZE)
                        memcpy(bytes + tail, &size, sizeof(size));
                at = 0;
        } else if (tail < head && head - tail <= needed) {
                return NO_ROOM;
        }
        memcpy(bytes + at, &size, sizeof(size));
        memset(bytes + at + DATA_QUEUE_ENTRY_HEADER_SIZE, byte, size);
        __atomic_store_n(&q->tail, at + needed, __ATOMIC_RELEASE);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        return tail == head || __atomic_load_n(&q->head, __ATOMIC_RELAXED) == tail ? PUT_INTO_EMPTY : PUT;
}

/* On the writer's queue: until everything is written, or there is no room. */
static __attribute__((unused)) void stream_write(void *context)
{
        while (streamer.written < STREAM_ENTRIES) {
                enum stream_put put = stream_put(streamer.memory, STREAM_RING, (uint8_t)streamer.written,
                                                 stream_size(streamer.written));
                if (put == NO_ROOM)
                        return;
                streamer.written++;
                if (put == PUT_INTO_EMPTY)
                        IOUserClient_AsyncCompletion(&streamer.client->client, streamer.completion, kIOReturnSuccess, NULL, 0);
        }
}

DRIVER_START(20029)
{
        IOAddressSegment range;
        D_EXPECT(!IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, DATA_QUEUE_MEMORY_HEADER_SIZE + STREAM_RING +
                                                  DATA_QUEUE_MEMORY_APPENDIX_SIZE, 0, &streamer.buffer));
        D_EXPECT(!IOBufferMemoryDescriptor_GetAddressRange(streamer.buffer, &range));
        D_EXPECT(!IODispatchQueue_Create("stream", 0, 0, &streamer.queue));
        streamer.memory = (IODataQueueMemory *)(uintptr_t)range.address;
        streamer.memory->queueSize = STREAM_RING;
        streamer.client = self;
        return kIOReturnSuccess;
}

DRIVER_MEMORY(20029)
{
        D_EXPECT(streamer.buffer);
        OSObject_retain(streamer.buffer);
        *memory = &streamer.buffer->descriptor;
        return kIOReturnSuccess;
}

DRIVER(120029)
{
        D_EXPECT(arguments->completion && !streamer.completion);
        OSObject_retain(arguments->completion);
        streamer.completion = arguments->completion;
        IODispatchQueue_DispatchAsync_f(streamer.queue, NULL, stream_write);
        return kIOReturnSuccess;
}

DRIVER(220029)
{
        IODispatchQueue_DispatchAsync_f(streamer.queue, NULL, stream_write);
        return kIOReturnSuccess;
}

DRIVER(20035)
{
        uint32_t word;
        D_EXPECT(arguments->scalarInputCount == 2 && streamer.memory);
        word = (uint32_t)arguments->scalarInput[1];
        memcpy((uint8_t *)streamer.memory + arguments->scalarInput[0], &word, sizeof(word));
        return kIOReturnSuccess;
}

static __attribute__((unused)) void stream_written(void *context)
{
}

DRIVER_STOP(20029)
{
        /* Nothing comes behind this: the connection's calls have ended. */
        IODispatchQueue_DispatchSync_f(streamer.queue, NULL, stream_written);
        OSSafeReleaseNULL(streamer.completion);
        OSSafeReleaseNULL(streamer.queue);
        OSSafeReleaseNULL(streamer.buffer);
        return IOService_Stop(&self->client.service, provider);
}

/* --- the app's half --- */

/* With an appendix, in memory of exactly its size. */
static IODataQueueMemory *queue_new(uint32_t size)
{
        IODataQueueMemory *q = calloc(1, DATA_QUEUE_MEMORY_HEADER_SIZE + size + DATA_QUEUE_MEMORY_APPENDIX_SIZE);
        ck_assert_ptr_nonnull(q);
        q->queueSize = size;
        return q;
}

static IODataQueueMemory *map_queue(io_connect_t c)
{
        mach_vm_address_t address = 0;
        mach_vm_size_t size = 0;
        ck_code(IOConnectMapMemory64(c, STREAM_TYPE, mach_task_self(), &address, &size, kIOMapAnywhere), KERN_SUCCESS);
        ck_assert_uint_eq(size, DATA_QUEUE_MEMORY_HEADER_SIZE + STREAM_RING + DATA_QUEUE_MEMORY_APPENDIX_SIZE);
        return (IODataQueueMemory *)(uintptr_t)address;
}

KEPT_BARE(memory_and_queues_Q028, "no queue: no data, no entry, kIOReturnBadArgument of the others")
{
        uint32_t n = 4;
        char bytes[4];
        ck_assert(!IODataQueueDataAvailable(NULL));
        ck_assert_ptr_null(IODataQueuePeek(NULL));
        ck_code(IODataQueueDequeue(NULL, bytes, &n), kIOReturnBadArgument);
        ck_code(IODataQueueWaitForAvailableData(NULL, 1), kIOReturnBadArgument);
        ck_code(IODataQueueSetNotificationPort(NULL, 1), kIOReturnBadArgument);
        /* Not checked by the original. */
        ck_code(IODataQueueEnqueue(NULL, bytes, n), kIOReturnBadArgument);
        IODataQueueMemory *q = queue_new(64);
        ck_code(IODataQueueWaitForAvailableData(q, MACH_PORT_NULL), kIOReturnBadArgument);
        free(q);
}

KEPT(memory_and_queues_Q029, "empty: kIOReturnUnderrun, the size stays; so ends each turn of an app that a driver streams to")
{
        io_connect_t c = contract_open(STREAM_TYPE);
        IODataQueueMemory *q = map_queue(c);
        mach_port_t port = new_port();
        static uint8_t bytes[2000];
        uint32_t n = 77, turns = 0;
        ck_code(IODataQueueDequeue(q, bytes, &n), kIOReturnUnderrun);
        ck_assert_uint_eq(n, 77);
        ck_code(call(c, STREAM_GO, port, 0, 0), kIOReturnSuccess);
        for (uint32_t i = 0; i < STREAM_ENTRIES;) {
                IOReturn code;
                n = sizeof(bytes);
                code = IODataQueueDequeue(q, bytes, &n);
                if (code == kIOReturnUnderrun) {
                        struct message message;
                        ck_assert_uint_eq(n, sizeof(bytes));
                        turns++;
                        /* It may have waited for room; what it writes into the empty queue wakes us. */
                        ck_code(IOConnectCallScalarMethod(c, STREAM_ON, NULL, 0, NULL, NULL), kIOReturnSuccess);
                        ck_code(receive(port, &message, PATIENCE), MACH_MSG_SUCCESS);
                        continue;
                }
                ck_code(code, kIOReturnSuccess);
                ck_assert_uint_eq(n, stream_size(i));
                for (uint32_t at = 0; at < n; at++)
                        ck_assert_uint_eq(bytes[at], i & 0xff);
                i++;
        }
        ck_assert(!IODataQueueDataAvailable(q));
        ck_assert_uint_gt(turns, 0);
        ck_code(IOServiceClose(c), kIOReturnSuccess);
}

KEPT_BARE(memory_and_queues_Q030, "an entry larger than the buffer: kIOReturnNoSpace, it stays, and so does the size")
{
        IODataQueueMemory *q = queue_new(64);
        char bytes[10] = "";
        uint32_t n = 4;
        ck_code(IODataQueueEnqueue(q, "123456789", 10), kIOReturnSuccess);
        ck_code(IODataQueueDequeue(q, bytes, &n), kIOReturnNoSpace);
        ck_assert_uint_eq(n, 4);
        ck_assert_uint_eq(q->head, 0);
        ck_assert_int_eq(bytes[0], 0);
        ck_assert_uint_eq(IODataQueuePeek(q)->size, 10);
        n = sizeof(bytes);
        ck_code(IODataQueueDequeue(q, bytes, &n), kIOReturnSuccess);
        ck_assert_uint_eq(n, 10);
        ck_assert_str_eq(bytes, "123456789");
        ck_assert_ptr_null(IODataQueuePeek(q));
        free(q);
}

KEPT_BARE(memory_and_queues_Q031, "Dequeue without a buffer throws the entry away")
{
        IODataQueueMemory *q = queue_new(64);
        ck_code(IODataQueueEnqueue(q, "123456789", 10), kIOReturnSuccess);
        ck_code(IODataQueueDequeue(q, NULL, NULL), kIOReturnSuccess);
        ck_assert(!IODataQueueDataAvailable(q));
        ck_assert_uint_eq(q->head, 14);
        free(q);
}

KEPT_BARE(memory_and_queues_Q032, "Dequeue with a buffer and without a size: kIOReturnBadArgument")
{
        IODataQueueMemory *q = queue_new(64);
        char bytes[10];
        ck_code(IODataQueueDequeue(q, bytes, NULL), kIOReturnBadArgument);
        ck_code(IODataQueueEnqueue(q, "123456789", 10), kIOReturnSuccess);
        ck_code(IODataQueueDequeue(q, bytes, NULL), kIOReturnBadArgument);
        ck_assert(IODataQueueDataAvailable(q));
        free(q);
}

KEPT_BARE(memory_and_queues_Q033, "Enqueue of 5 bytes: head 0, tail 9; the next entry follows without a gap")
{
        IODataQueueMemory *q = queue_new(64);
        uint8_t *bytes = (uint8_t *)q;
        ck_code(IODataQueueEnqueue(q, "abcde", 5), kIOReturnSuccess);
        ck_assert_uint_eq(q->head, 0);
        ck_assert_uint_eq(q->tail, 9);
        ck_assert_mem_eq(bytes + 12, "\5\0\0\0abcde", 9);
        ck_code(IODataQueueEnqueue(q, "fg", 2), kIOReturnSuccess);
        ck_assert_uint_eq(q->tail, 15);
        ck_assert_mem_eq(bytes + 21, "\2\0\0\0fg", 6);
        /* Over the end: the size as it is sends the reader to the start. */
        ck_code(IODataQueueDequeue(q, NULL, NULL), kIOReturnSuccess);
        ck_code(IODataQueueDequeue(q, NULL, NULL), kIOReturnSuccess);
        static char filler[44];
        ck_code(IODataQueueEnqueue(q, filler, 41), kIOReturnSuccess);
        ck_assert_uint_eq(q->tail, 60);
        ck_code(IODataQueueEnqueue(q, "hijkl", 5), kIOReturnSuccess);
        ck_assert_uint_eq(q->tail, 9);
        ck_assert_mem_eq(bytes + 12 + 60, "\5\0\0\0", 4);
        ck_assert_mem_eq(bytes + 12, "\5\0\0\0hijkl", 9);
        ck_code(IODataQueueDequeue(q, NULL, NULL), kIOReturnSuccess);
        ck_assert_ptr_eq(IODataQueuePeek(q), bytes + 12);
        ck_code(IODataQueueDequeue(q, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(q->head, 9);
        ck_assert_uint_eq(sizeof(IODataQueueAppendix), 28);
        free(q);
}

KEPT_BARE(memory_and_queues_Q034, "Enqueue into a full ring, and of what no ring could take: kIOReturnOverrun")
{
        IODataQueueMemory *q = queue_new(16);
        ck_code(IODataQueueEnqueue(q, "0123456789ab", 12), kIOReturnSuccess);
        ck_assert_uint_eq(q->tail, 16);
        ck_code(IODataQueueEnqueue(q, NULL, 0), kIOReturnOverrun);
        ck_code(IODataQueueEnqueue(q, q, 0xfffffffc), kIOReturnOverrun);
        ck_assert_uint_eq(q->tail, 16);
        free(q);
}

KEPT(memory_and_queues_Q035, "head beyond the ring: Dequeue kIOReturnError, Peek no entry; a ring beyond the mapping is as broken")
{
        io_connect_t c = contract_open(STREAM_TYPE);
        IODataQueueMemory *q = map_queue(c);
        const uint32_t page = (uint32_t)IOVMPageSize, sizes[] = { 2 * page, 2 * page - 11, 0x7fffffff, 0xffffffff };
        uint64_t word[2] = { 4, 0 };
        static uint8_t bytes[64];
        uint32_t n = sizeof(bytes);
        /* The driver does it. */
        for (uint32_t beyond = STREAM_RING + 1; beyond > STREAM_RING; beyond = beyond * 2 + 1) {
                word[1] = beyond;
                ck_code(IOConnectCallScalarMethod(c, HOSTILE_WRITE, word, 2, NULL, NULL), kIOReturnSuccess);
                ck_assert(IODataQueueDataAvailable(q));
                ck_code(IODataQueueDequeue(q, bytes, &n), kIOReturnError);
                ck_code(IODataQueueDequeue(q, NULL, NULL), kIOReturnError);
                ck_assert_ptr_null(IODataQueuePeek(q));
                ck_code(IODataQueueEnqueue(q, bytes, 4), kIOReturnUnderrun);
                ck_assert_uint_eq(q->head, beyond);
                if (beyond == UINT32_MAX)
                        break;
        }
        /* The mapping has two pages, so the word of its size must not be believed. */
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                const uint64_t words[][2] = { { 0, sizes[i] }, { 4, sizes[i] - 4 }, { 8, 4 } };
                for (int w = 0; w < 3; w++)
                        ck_code(IOConnectCallScalarMethod(c, HOSTILE_WRITE, words[w], 2, NULL, NULL), kIOReturnSuccess);
                ck_code(IODataQueueDequeue(q, bytes, &n), kIOReturnError);
                ck_assert_ptr_null(IODataQueuePeek(q));
                ck_code(IODataQueueEnqueue(q, bytes, 4), kIOReturnUnderrun);
                ck_code(IODataQueueSetNotificationPort(q, 1), kIOReturnNoSpace);
        }
        ck_assert_uint_eq(n, sizeof(bytes));
        ck_code(IOServiceClose(c), kIOReturnSuccess);
}

KEPT_BARE(memory_and_queues_Q036, "tail beyond the ring: Enqueue kIOReturnUnderrun; also against a size known privately")
{
        IODataQueueMemory *q = queue_new(64);
        uint32_t n = 4;
        char bytes[4];
        q->tail = 65;
        ck_code(IODataQueueEnqueue(q, "abcd", 4), kIOReturnUnderrun);
        ck_assert_uint_eq(q->tail, 65);
        q->tail = 0;
        q->head = 65;
        ck_code(IODataQueueEnqueue(q, "abcd", 4), kIOReturnUnderrun);
        /* The shared word lies. */
        q->queueSize = 0xffffffff;
        ck_code(amb_data_queue_enqueue(q, 64, "abcd", 4, 0), kIOReturnUnderrun);
        ck_code(amb_data_queue_dequeue(q, 64, bytes, &n), kIOReturnError);
        ck_assert_ptr_null(amb_data_queue_peek(q, 64));
        q->head = 0;
        ck_code(amb_data_queue_enqueue(q, 64, "abcd", 4, 0), kIOReturnSuccess);
        ck_code(amb_data_queue_enqueue(q, 64, "abcd", 4, 4), kIOReturnBadArgument);
        ck_assert_uint_eq(amb_data_queue_peek(q, 64)->size, 4);
        ck_code(amb_data_queue_dequeue(q, 64, bytes, &n), kIOReturnSuccess);
        ck_assert_mem_eq(bytes, "abcd", 4);
        free(q);
}

/* A queue with a port, and nothing on it. */
static IODataQueueMemory *notified_queue(mach_port_t *port)
{
        IODataQueueMemory *q = queue_new(64);
        *port = IODataQueueAllocateNotificationPort();
        ck_assert_uint_ne(*port, MACH_PORT_NULL);
        ck_code(IODataQueueSetNotificationPort(q, *port), kIOReturnSuccess);
        /* In the appendix, behind the ring. */
        mach_port_t named;
        memcpy(&named, (uint8_t *)q + 12 + 64 + 4 + 8, sizeof(named));
        ck_assert_uint_eq(named, *port);
        return q;
}

static void ck_empty_message(mach_port_t port)
{
        struct message message;
        ck_code(receive(port, &message, NOW), MACH_MSG_SUCCESS);
        ck_assert_uint_eq(message.header.msgh_size, sizeof(mach_msg_header_t));
        ck_assert_uint_eq(message.header.msgh_local_port, port);
        /* It asks for no callback. */
        IODispatchCalloutFromMessage(NULL, &message.header, NULL);
}

KEPT_BARE(memory_and_queues_Q037, "two entries into an empty queue with a port: one message")
{
        mach_port_t port;
        IODataQueueMemory *q = notified_queue(&port);
        ck_code(IODataQueueEnqueue(q, "a", 1), kIOReturnSuccess);
        ck_code(IODataQueueEnqueue(q, "b", 1), kIOReturnSuccess);
        ck_empty_message(port);
        ck_nothing(port);
        /* Not asked for, and asked for always. */
        ck_code(amb_data_queue_enqueue(q, 64, "c", 1, AMB_DATA_QUEUE_FORCE), kIOReturnSuccess);
        ck_empty_message(port);
        while (IODataQueueDequeue(q, NULL, NULL) == kIOReturnSuccess)
                ;
        ck_code(amb_data_queue_enqueue(q, 64, "d", 1, AMB_DATA_QUEUE_SUPPRESS), kIOReturnSuccess);
        ck_nothing(port);
        /* A full queue: once more, so that the reader comes. */
        ck_code(IODataQueueEnqueue(q, q, 64), kIOReturnOverrun);
        ck_empty_message(port);
        free(q);
}

KEPT_BARE(memory_and_queues_Q038, "the port still holds a message: the entry is there, the result 0x10000004; gone: 0x10000003")
{
        mach_port_t port, other = new_port();
        IODataQueueMemory *q = notified_queue(&port);
        ck_code(IODataQueueEnqueue(q, "a", 1), kIOReturnSuccess);
        ck_code(IODataQueueDequeue(q, NULL, NULL), kIOReturnSuccess);
        ck_code(IODataQueueEnqueue(q, "b", 1), 0x10000004);
        ck_assert_uint_eq(IODataQueuePeek(q)->data[0], 'b');
        ck_empty_message(port);
        ck_nothing(port);
        /* What another process writes into the appendix reaches no port that this queue was not given. */
        ck_code(IODataQueueDequeue(q, NULL, NULL), kIOReturnSuccess);
        memcpy((uint8_t *)q + 12 + 64 + 4 + 8, &other, sizeof(other));
        ck_code(IODataQueueEnqueue(q, "c", 1), MACH_SEND_INVALID_DEST);
        ck_nothing(other);
        ck_nothing(port);
        /* Nobody can receive it any more. */
        ck_code(IODataQueueDequeue(q, NULL, NULL), kIOReturnSuccess);
        ck_code(IODataQueueSetNotificationPort(q, port), kIOReturnSuccess);
        ck_code(mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1), KERN_SUCCESS);
        ck_code(IODataQueueEnqueue(q, "d", 1), 0x10000003);
        ck_assert_uint_eq(IODataQueuePeek(q)->data[0], 'd');
        ck_code(IODataQueueWaitForAvailableData(q, port), MACH_RCV_INVALID_NAME);
        free(q);
}

KEPT_BARE(memory_and_queues_Q039, "no port set: Enqueue into an empty queue is 0")
{
        mach_port_t port;
        IODataQueueMemory *q = queue_new(64);
        ck_code(IODataQueueEnqueue(q, "a", 1), kIOReturnSuccess);
        free(q);
        /* Taken away again. */
        q = notified_queue(&port);
        ck_code(IODataQueueSetNotificationPort(q, MACH_PORT_NULL), kIOReturnSuccess);
        ck_code(IODataQueueEnqueue(q, "a", 1), kIOReturnSuccess);
        ck_nothing(port);
        /* Another queue at the same place knows nothing of the port. */
        ck_code(IODataQueueSetNotificationPort(q, port), kIOReturnSuccess);
        memset(q, 0, DATA_QUEUE_MEMORY_HEADER_SIZE + 64 + DATA_QUEUE_MEMORY_APPENDIX_SIZE);
        q->queueSize = 64;
        ck_code(IODataQueueEnqueue(q, "a", 1), kIOReturnSuccess);
        ck_nothing(port);
        free(q);
}

/* Enqueues as soon as it can; the reader sleeps on the port. */
#define WOKEN_ENTRIES 20000u
static void *enqueue_many(void *context)
{
        IODataQueueMemory *q = context;
        for (uint32_t i = 0; i < WOKEN_ENTRIES;) {
                IOReturn code = IODataQueueEnqueue(q, &i, sizeof(i));
                if (code == kIOReturnSuccess || code == MACH_SEND_TIMED_OUT)
                        i++;
                else if (code != kIOReturnOverrun)
                        return "neither written nor full";
                else
                        sched_yield();
        }
        return NULL;
}

KEPT_BARE(memory_and_queues_Q040, "a stale message and no data: WaitForAvailableData returns 0 at once; a new one ends the wait")
{
        mach_port_t port;
        IODataQueueMemory *q = notified_queue(&port);
        pthread_t thread;
        void *wrong;
        ck_code(IODataQueueEnqueue(q, "a", 1), kIOReturnSuccess);
        ck_code(IODataQueueDequeue(q, NULL, NULL), kIOReturnSuccess);
        ck_code(IODataQueueWaitForAvailableData(q, port), kIOReturnSuccess);
        ck_assert(!IODataQueueDataAvailable(q));
        /* A reader that loops misses nothing. */
        ck_assert_int_eq(pthread_create(&thread, NULL, enqueue_many, q), 0);
        for (uint32_t i = 0; i < WOKEN_ENTRIES;) {
                uint32_t got = 0, n = sizeof(got);
                IOReturn code = IODataQueueDequeue(q, &got, &n);
                if (code == kIOReturnUnderrun) {
                        ck_code(IODataQueueWaitForAvailableData(q, port), kIOReturnSuccess);
                        continue;
                }
                ck_code(code, kIOReturnSuccess);
                ck_assert_uint_eq(got, i++);
        }
        pthread_join(thread, &wrong);
        ck_assert_msg(!wrong, "%s", (char *)wrong);
        free(q);
}
