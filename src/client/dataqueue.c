/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IODataQueue: the packed ring of channel/dataqueue.h, and the port that is told when it stops being empty.
 *
 * Which port that is, is kept here, by the queue's address; the appendix, which lies in shared memory, must name the same
 * one, or nothing is sent: it differs when the memory is another queue's by now, or when somebody else has written there.
 */
#include <pthread.h>

#include <ambidext/dataqueue.h>

#include "base/cancel.h"
#include "channel/dataqueue.h"
#include "channel/layout.h"
#include "client/mapped.h"
#include "client/port.h"

_Static_assert(offsetof(IODataQueueMemory, queue) == DATA_QUEUE_MEMORY_HEADER_SIZE &&
               AMB_DATAQUEUE_PACKED_HEADER == DATA_QUEUE_MEMORY_HEADER_SIZE &&
               AMB_DATAQUEUE_ENTRY_HEADER == DATA_QUEUE_ENTRY_HEADER_SIZE, "memory-and-queues 7.1");

/* A queue and its port. */
struct notified {
        struct amb_link link;
        const IODataQueueMemory *memory;
        mach_port_t port;
};
static struct amb_link all_notified = AMB_LIST_INIT(all_notified);
static pthread_mutex_t notified_lock = PTHREAD_MUTEX_INITIALIZER;

static void fork_prepare(void)
{
        pthread_mutex_lock(&notified_lock);
}

static void fork_done(void)
{
        pthread_mutex_unlock(&notified_lock);
}

__attribute__((constructor)) static void fork_register(void)
{
        pthread_atfork(fork_prepare, fork_done, fork_done);
}

/* --- where the ring is --- */

/* False: this much does not fit into the mapping that it lies in. */
static bool ring_of(IODataQueueMemory *memory, uint32_t size, struct amb_dataqueue *ret)
{
        size_t room = amb_mapped_room(memory);

        if (room < AMB_DATAQUEUE_PACKED_HEADER || size > room - AMB_DATAQUEUE_PACKED_HEADER)
                return false;
        amb_dataqueue_packed(ret, memory, size);
        return true;
}

static uint32_t shared_size(IODataQueueMemory *memory)
{
        return amb_load(&memory->queueSize);
}

/* NULL: outside of the mapping. */
static uint8_t *appendix_of(IODataQueueMemory *memory, uint32_t size)
{
        size_t room = amb_mapped_room(memory), most = AMB_DATAQUEUE_PACKED_HEADER + sizeof(IODataQueueAppendix);

        return room < most || size > room - most ? NULL : (uint8_t *)memory + AMB_DATAQUEUE_PACKED_HEADER + size;
}

/* --- notification --- */

/* Under the lock. */
static struct notified *notified_find(const IODataQueueMemory *memory)
{
        struct notified *n;

        amb_list_for(n, &all_notified, link)
                if (n->memory == memory)
                        return n;
        return NULL;
}

static mach_port_t notified_port(const IODataQueueMemory *memory)
{
        struct notified *n;
        mach_port_t port;

        pthread_mutex_lock(&notified_lock);
        n = notified_find(memory);
        port = n ? n->port : MACH_PORT_NULL;
        pthread_mutex_unlock(&notified_lock);
        return port;
}

static void notified_forget(const IODataQueueMemory *memory)
{
        struct notified *n;

        pthread_mutex_lock(&notified_lock);
        n = notified_find(memory);
        if (n)
                amb_link_remove(&n->link);
        pthread_mutex_unlock(&notified_lock);
        free(n);
}

/* Under the lock: queues whose ports have ended are not kept for ever. */
static void notified_prune(void)
{
        struct notified *n, *next;

        amb_list_for_safe(n, next, &all_notified, link) {
                if (amb_handle_user_references(n->port) > 0)
                        continue;
                amb_link_remove(&n->link);
                free(n);
        }
}

static bool notified_remember(const IODataQueueMemory *memory, mach_port_t port)
{
        struct notified *n;

        pthread_mutex_lock(&notified_lock);
        n = notified_find(memory);
        if (!n) {
                notified_prune();
                n = calloc(1, sizeof(*n));
                if (n)
                        amb_list_append(&all_notified, &n->link);
        }
        if (n) {
                n->memory = memory;
                n->port = port;
        }
        pthread_mutex_unlock(&notified_lock);
        return n != NULL;
}

/* The reader's port holds its message, or has ended: both are for the caller to know. */
static IOReturn notify(IODataQueueMemory *memory, uint32_t size)
{
        AMB_NO_CANCEL;
        AMB_CLEANUP(amb_target_unrefp) struct amb_port *port = NULL;
        mach_port_t name = notified_port(memory), named;
        const uint8_t *at;

        if (!name)
                return kIOReturnSuccess;
        at = appendix_of(memory, size);
        if (!at)
                return MACH_SEND_INVALID_DEST;
        named = amb_dataqueue_word_load(at + offsetof(IODataQueueAppendix, msgh.msgh_remote_port));
        if (!named)
                return kIOReturnSuccess;
        if (named != name || amb_handle_get(name, AMB_HANDLE_PORT, &port))
                return MACH_SEND_INVALID_DEST;
        switch (amb_port_post(port, amb_message_empty())) {
        case 0:
                return kIOReturnSuccess;
        case AMB_PORT_FULL:
                return MACH_SEND_TIMED_OUT;
        case AMB_PORT_GONE:
                return MACH_SEND_INVALID_DEST;
        default:
                return MACH_SEND_NO_BUFFER;
        }
}

mach_port_t IODataQueueAllocateNotificationPort(void)
{
        AMB_NO_CANCEL;
        struct amb_port *port;
        mach_port_t name;

        if (amb_port_new(&port) < 0)
                return MACH_PORT_NULL;
        atomic_store(&port->queue_limit, 1);
        name = port->target.handle;
        /* The name is all that holds it. */
        amb_target_unref(port);
        return name;
}

IOReturn IODataQueueSetNotificationPort(IODataQueueMemory *memory, mach_port_t port)
{
        AMB_NO_CANCEL;
        const IODataQueueAppendix appendix = {
                .msgh = { .msgh_bits = MACH_MSG_TYPE_COPY_SEND, .msgh_size = sizeof(mach_msg_header_t), .msgh_remote_port = port },
        };
        uint8_t *at;

        if (!memory)
                return kIOReturnBadArgument;
        if (!port) {
                notified_forget(memory);
                return kIOReturnSuccess;
        }
        at = appendix_of(memory, shared_size(memory));
        if (!at)
                return kIOReturnNoSpace;
        if (!notified_remember(memory, port))
                return kIOReturnNoMemory;
        memcpy(at, &appendix, sizeof(appendix));
        return kIOReturnSuccess;
}

IOReturn IODataQueueWaitForAvailableData(IODataQueueMemory *memory, mach_port_t port)
{
        struct {
                mach_msg_header_t header;
                mach_msg_trailer_t trailer;
        } message;

        if (!memory || !port)
                return kIOReturnBadArgument;
        return mach_msg(&message.header, MACH_RCV_MSG, 0, sizeof(message), port, MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);
}

/* --- the reader --- */

Boolean IODataQueueDataAvailable(IODataQueueMemory *memory)
{
        return memory && amb_load_acquire(&memory->head) != amb_load_acquire(&memory->tail);
}

IODataQueueEntry *amb_data_queue_peek(IODataQueueMemory *memory, uint32_t size)
{
        struct amb_dataqueue_entry entry;
        struct amb_dataqueue ring;

        if (!memory || !ring_of(memory, size, &ring) || amb_dataqueue_front(&ring, &entry))
                return NULL;
        return (IODataQueueEntry *)(uintptr_t)(entry.data - offsetof(IODataQueueEntry, data));
}

IODataQueueEntry *IODataQueuePeek(IODataQueueMemory *memory)
{
        return memory ? amb_data_queue_peek(memory, shared_size(memory)) : NULL;
}

IOReturn amb_data_queue_dequeue(IODataQueueMemory *memory, uint32_t ring_size, void *data, uint32_t *size)
{
        struct amb_dataqueue_entry entry;
        struct amb_dataqueue ring;

        if (!memory || (data && !size))
                return kIOReturnBadArgument;
        if (!IODataQueueDataAvailable(memory))
                return kIOReturnUnderrun;
        if (!ring_of(memory, ring_size, &ring))
                return kIOReturnError;
        switch (amb_dataqueue_front(&ring, &entry)) {
        case 0:
                break;
        case AMB_DATAQUEUE_EMPTY:
                return kIOReturnUnderrun;
        default:
                return kIOReturnError;
        }
        if (data) {
                if (entry.size > *size)
                        return kIOReturnNoSpace;
                memcpy(data, entry.data, entry.size);
                *size = entry.size;
        }
        amb_dataqueue_consume(&ring, &entry);
        return kIOReturnSuccess;
}

IOReturn IODataQueueDequeue(IODataQueueMemory *memory, void *data, uint32_t *size)
{
        return amb_data_queue_dequeue(memory, memory ? shared_size(memory) : 0, data, size);
}

/* --- the writer --- */

IOReturn amb_data_queue_enqueue(IODataQueueMemory *memory, uint32_t ring_size, const void *data, uint32_t size, uint32_t options)
{
        struct amb_dataqueue_place place;
        struct amb_dataqueue ring;
        bool was_empty;

        if (!memory || (options & ~(AMB_DATA_QUEUE_FORCE | AMB_DATA_QUEUE_SUPPRESS)))
                return kIOReturnBadArgument;
        if (size > UINT32_MAX - AMB_DATAQUEUE_ENTRY_HEADER)
                return kIOReturnOverrun;
        if (!ring_of(memory, ring_size, &ring))
                return kIOReturnUnderrun;
        switch (amb_dataqueue_reserve(&ring, size, &place)) {
        case 0:
                break;
        case AMB_DATAQUEUE_FULL:
                if (!(options & AMB_DATA_QUEUE_SUPPRESS))
                        (void)notify(memory, ring_size);
                return kIOReturnOverrun;
        case AMB_DATAQUEUE_TOO_BIG:
                return kIOReturnOverrun;
        default:
                return kIOReturnUnderrun;
        }
        if (size > 0)
                memcpy(place.data, data, size);
        was_empty = amb_dataqueue_publish(&ring, &place);
        if ((options & AMB_DATA_QUEUE_FORCE) || (was_empty && !(options & AMB_DATA_QUEUE_SUPPRESS)))
                return notify(memory, ring_size);
        return kIOReturnSuccess;
}

IOReturn IODataQueueEnqueue(IODataQueueMemory *memory, void *data, uint32_t size)
{
        return amb_data_queue_enqueue(memory, memory ? shared_size(memory) : 0, data, size, 0);
}
