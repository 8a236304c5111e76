/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IODataQueueDispatchSource: a ring (channel/dataqueue.h) in a buffer of this process, and two handlers.
 *
 * The ring's geometry is set by Create and constant; the data calls use nothing else and take no lock. The handlers are
 * guarded by a lock that is taken only when one is set or called. Nobody caches a handler of somebody else's
 * (memory-and-queues 6.6): a replaced one is never called again.
 */
#include <pthread.h>

#include <DriverKit/IODataQueueDispatchSource.h>

#include "channel/dataqueue.h"
#include "driver/source.h"

enum which { AVAILABLE, SERVICED, HANDLERS };

static const uint64_t kinds[HANDLERS] = {
        [AVAILABLE] = IODataQueueDispatchSource_DataAvailable_ID,
        [SERVICED] = IODataQueueDispatchSource_DataServiced_ID,
};

struct IODataQueueDispatchSource_ivars {
        IOBufferMemoryDescriptor *memory;       /* NULL: there is no queue */
        struct amb_dataqueue queue;
        pthread_mutex_t lock;
        OSAction *handlers[HANDLERS];           /* held */
        bool enabled, cancelled;
};

static void let_go_of_handlers(IODispatchSource *source);

static bool dataqueue_init(OSObject *object)
{
        IODataQueueDispatchSource *self = (IODataQueueDispatchSource *)object;

        if (!amb_source_init(object))
                return false;
        self->ivars = calloc(1, sizeof(*self->ivars));
        if (!self->ivars)
                return false;
        pthread_mutex_init(&self->ivars->lock, NULL);
        self->ivars->enabled = true;
        self->source.ivars->disarm = let_go_of_handlers;
        return true;
}

static void dataqueue_free(OSObject *object)
{
        IODataQueueDispatchSource *self = (IODataQueueDispatchSource *)object;

        if (self->ivars) {
                for (int i = 0; i < HANDLERS; i++)
                        amb_action_let_go(self->ivars->handlers[i]);
                OSObject_release(self->ivars->memory);
                pthread_mutex_destroy(&self->ivars->lock);
                free(self->ivars);
        }
        amb_source_free(object);
}

static const struct amb_method dataqueue_methods[] = {
        AMB_OVERRIDE(OSObject, init, dataqueue_init),
        AMB_OVERRIDE(OSObject, free, dataqueue_free),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIODataQueueDispatchSourceMetaClass = {
        "IODataQueueDispatchSource",
        &gIODispatchSourceMetaClass,
        sizeof(IODataQueueDispatchSource),
        dataqueue_methods,
        AMB_SKIN_PLACE,
};

AMB_EXPORT kern_return_t IODataQueueDispatchSource_Create(uint64_t queueByteCount, IODispatchQueue *queue,
                                                          IODataQueueDispatchSource **source)
{
        IODataQueueDispatchSource *created;
        IOAddressSegment range;
        kern_return_t code;

        (void)queue;
        if ((queueByteCount & 3) || queueByteCount > UINT32_MAX - AMB_DATAQUEUE_PADDED_HEADER || !source)
                return kIOReturnBadArgument;
        created = (IODataQueueDispatchSource *)amb_object_new(OSTypeID(IODataQueueDispatchSource));
        if (!created)
                return kIOReturnNoMemory;
        code = IOBufferMemoryDescriptor_Create(kIOMemoryDirectionOutIn, AMB_DATAQUEUE_PADDED_HEADER + queueByteCount, 0,
                                               &created->ivars->memory);
        if (code == kIOReturnSuccess)
                code = IOBufferMemoryDescriptor_GetAddressRange(created->ivars->memory, &range);
        if (code != kIOReturnSuccess) {
                OSObject_release(created);
                return kIOReturnNoMemory;
        }
        amb_dataqueue_padded(&created->ivars->queue, (void *)(uintptr_t)range.address, (uint32_t)queueByteCount);
        *source = created;
        return kIOReturnSuccess;
}

AMB_EXPORT size_t IODataQueueDispatchSource_GetDataQueueEntryHeaderSize(void)
{
        return AMB_DATAQUEUE_ENTRY_HEADER;
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_CopyMemory(IODataQueueDispatchSource *self, IOMemoryDescriptor **memory)
{
        if (!self->ivars->memory)
                return kIOReturnNotReady;
        OSObject_retain(self->ivars->memory);
        *memory = &self->ivars->memory->descriptor;
        return kIOReturnSuccess;
}

/* --- handlers --- */

struct sending {
        IODataQueueDispatchSource *source;      /* a reference */
        enum which which;
        const OSAction *action;                 /* only compared */
};

/* On the target's queue: is it still the handler? */
static bool sending_begin(void *context, struct amb_action_arguments *arguments)
{
        struct sending *sending = context;
        struct IODataQueueDispatchSource_ivars *q = sending->source->ivars;
        bool wanted;

        pthread_mutex_lock(&q->lock);
        wanted = q->handlers[sending->which] == sending->action;
        pthread_mutex_unlock(&q->lock);
        return wanted;
}

static void sending_end(void *context, bool ran)
{
        struct sending *sending = context;

        OSObject_release(sending->source);
        free(sending);
}

/* The handler, retained; NULL: none. */
static OSAction *copy_handler(IODataQueueDispatchSource *self, enum which which)
{
        OSAction *action;

        pthread_mutex_lock(&self->ivars->lock);
        action = self->ivars->handlers[which];
        OSObject_retain(action);
        pthread_mutex_unlock(&self->ivars->lock);
        return action;
}

/* Takes over the caller's reference of the action. */
static void send(IODataQueueDispatchSource *self, enum which which, OSAction *action)
{
        struct sending *sending = malloc(sizeof(*sending));

        if (sending) {
                OSObject_retain(self);
                *sending = (struct sending){ .source = self, .which = which, .action = action };
                if (amb_action_submit(action, sending, sending_begin, sending_end) < 0)
                        sending_end(sending, false);
        } else {
                amb_log(AMB_LOG_ERROR, "no memory to call a data queue's handler");
        }
        OSObject_release(action);
}

static kern_return_t set_handler(IODataQueueDispatchSource *self, enum which which, OSAction *action)
{
        OSAction *before;

        if (action && amb_action_msgid(action) != kinds[which])
                return kIOReturnBadArgument;
        pthread_mutex_lock(&self->ivars->lock);
        if (action && self->ivars->cancelled) {
                pthread_mutex_unlock(&self->ivars->lock);
                return kIOReturnNotReady;
        }
        amb_action_hold(action);
        before = self->ivars->handlers[which];
        self->ivars->handlers[which] = action;
        pthread_mutex_unlock(&self->ivars->lock);
        amb_action_let_go(before);
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_SetDataAvailableHandler(IODataQueueDispatchSource *self, OSAction *action)
{
        kern_return_t code = set_handler(self, AVAILABLE, action);

        if (code == kIOReturnSuccess && IODataQueueDispatchSource_IsDataAvailable(self))
                IODataQueueDispatchSource_SendDataAvailable(self);
        return code;
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_SetDataServicedHandler(IODataQueueDispatchSource *self, OSAction *action)
{
        return set_handler(self, SERVICED, action);
}

static kern_return_t copy_out_handler(IODataQueueDispatchSource *self, enum which which, OSAction **ret)
{
        OSAction *action = copy_handler(self, which);

        if (!action)
                return kIOReturnNotReady;
        *ret = action;
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_CopyDataAvailableHandler(IODataQueueDispatchSource *self, OSAction **action)
{
        return copy_out_handler(self, AVAILABLE, action);
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_CopyDataServicedHandler(IODataQueueDispatchSource *self, OSAction **action)
{
        return copy_out_handler(self, SERVICED, action);
}

AMB_EXPORT void IODataQueueDispatchSource_SendDataAvailable(IODataQueueDispatchSource *self)
{
        OSAction *action = copy_handler(self, AVAILABLE);

        if (action)
                send(self, AVAILABLE, action);
}

AMB_EXPORT void IODataQueueDispatchSource_SendDataServiced(IODataQueueDispatchSource *self)
{
        OSAction *action = copy_handler(self, SERVICED);

        if (!action)
                return;
        /* Before the writer hears of it: what it finds full from then on sets the flag again. */
        if (self->ivars->memory)
                amb_dataqueue_full_clear(&self->ivars->queue);
        send(self, SERVICED, action);
}

/* --- what every source has --- */

/* A service that holds the source is held by its own action: a cancelled source must not keep it alive. */
static void let_go_of_handlers(IODispatchSource *source)
{
        struct IODataQueueDispatchSource_ivars *q = ((IODataQueueDispatchSource *)source)->ivars;

        pthread_mutex_lock(&q->lock);
        q->cancelled = true;
        pthread_mutex_unlock(&q->lock);
        set_handler((IODataQueueDispatchSource *)source, AVAILABLE, NULL);
        set_handler((IODataQueueDispatchSource *)source, SERVICED, NULL);
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_Cancel_f(IODataQueueDispatchSource *self, void *context,
                                                            IODispatchFunction handler)
{
        let_go_of_handlers(&self->source);
        if (handler)
                handler(context);
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_SetEnable(IODataQueueDispatchSource *self, bool enable)
{
        return IODataQueueDispatchSource_SetEnableWithCompletion_f(self, enable, NULL, NULL);
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_SetEnableWithCompletion_f(IODataQueueDispatchSource *self, bool enable,
                                                                             void *context, IODispatchFunction handler)
{
        (void)context;
        (void)handler;
        pthread_mutex_lock(&self->ivars->lock);
        self->ivars->enabled = enable;
        pthread_mutex_unlock(&self->ivars->lock);
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_CheckForWork(IODataQueueDispatchSource *self, bool synchronous)
{
        return kIOReturnNotReady;
}

/* --- the reader --- */

AMB_EXPORT bool IODataQueueDispatchSource_IsDataAvailable(IODataQueueDispatchSource *self)
{
        return self->ivars->memory && amb_dataqueue_holds_data(&self->ivars->queue);
}

static kern_return_t front(IODataQueueDispatchSource *self, struct amb_dataqueue_entry *ret)
{
        if (!self->ivars->memory)
                return kIOReturnNoMemory;
        switch (amb_dataqueue_front(&self->ivars->queue, ret)) {
        case 0:
                return kIOReturnSuccess;
        case AMB_DATAQUEUE_EMPTY:
                return kIOReturnUnderrun;
        default:
                return kIOReturnError;
        }
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_Peek_f(IODataQueueDispatchSource *self, void *context,
                                                          IODataQueueClientDequeueEntryFunction function)
{
        struct amb_dataqueue_entry entry;
        kern_return_t code = front(self, &entry);

        if (code == kIOReturnSuccess)
                function(context, entry.data, entry.size);
        return code;
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_DequeueWithCoalesce_f(IODataQueueDispatchSource *self, bool *sendDataServiced,
                                                                         void *context,
                                                                         IODataQueueClientDequeueEntryFunction function)
{
        struct amb_dataqueue_entry entry;
        kern_return_t code = front(self, &entry);

        if (code == kIOReturnSuccess) {
                function(context, entry.data, entry.size);
                amb_dataqueue_consume(&self->ivars->queue, &entry);
        }
        if ((code == kIOReturnSuccess || code == kIOReturnUnderrun) && amb_dataqueue_was_full(&self->ivars->queue))
                *sendDataServiced = true;
        return code;
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_Dequeue_f(IODataQueueDispatchSource *self, void *context,
                                                             IODataQueueClientDequeueEntryFunction function)
{
        bool serviced = false;
        kern_return_t code = IODataQueueDispatchSource_DequeueWithCoalesce_f(self, &serviced, context, function);

        if (serviced)
                IODataQueueDispatchSource_SendDataServiced(self);
        return code;
}

/* --- the writer --- */

AMB_EXPORT kern_return_t IODataQueueDispatchSource_EnqueueWithCoalesce_f(IODataQueueDispatchSource *self, uint32_t size,
                                                                         bool *sendDataAvailable, void *context,
                                                                         IODataQueueClientEnqueueEntryFunction function)
{
        struct amb_dataqueue_place place;

        if (!self->ivars->memory)
                return kIOReturnNoMemory;
        switch (amb_dataqueue_reserve(&self->ivars->queue, size, &place)) {
        case 0:
                function(context, place.data, size);
                if (amb_dataqueue_publish(&self->ivars->queue, &place))
                        *sendDataAvailable = true;
                return kIOReturnSuccess;
        case AMB_DATAQUEUE_FULL:
                /* The reader may have emptied it since, and sleep: it must come and see who waits for room. */
                *sendDataAvailable = true;
                return kIOReturnOverrun;
        case AMB_DATAQUEUE_TOO_BIG:
                return kIOReturnOverrun;
        default:
                return kIOReturnUnderrun;
        }
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_Enqueue_f(IODataQueueDispatchSource *self, uint32_t size, void *context,
                                                             IODataQueueClientEnqueueEntryFunction function)
{
        bool available = false;
        kern_return_t code = IODataQueueDispatchSource_EnqueueWithCoalesce_f(self, size, &available, context, function);

        if (available)
                IODataQueueDispatchSource_SendDataAvailable(self);
        return code;
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_CanEnqueueDataCount(IODataQueueDispatchSource *self, uint32_t size,
                                                                    uint32_t count)
{
        if (!self->ivars->memory)
                return kIOReturnNoMemory;
        switch (amb_dataqueue_room(&self->ivars->queue, size, count)) {
        case 0:
                return kIOReturnSuccess;
        case AMB_DATAQUEUE_BROKEN:
                return kIOReturnError;
        default:
                return kIOReturnOverrun;
        }
}

AMB_EXPORT kern_return_t IODataQueueDispatchSource_CanEnqueueData(IODataQueueDispatchSource *self, uint32_t size)
{
        return IODataQueueDispatchSource_CanEnqueueDataCount(self, size, 1);
}
