/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call: from the channel's request to the argument block, to the driver, and back. Contract: call-path 3.2 to 3.7, 2.6.
 */
#include <mach/kern_return.h>

#include "driver/action.h"
#include "driver/connection-private.h"
#include "driver/queue.h"
#include "driver/service.h"
#include "object/value.h"

#define VARIABLE_MOST ((16u << 20) - 1)         /* bytes; call-path 2.6 */

/* --- the argument block --- */

/*
 * A range that the request names: a descriptor for it. 0; a code for the app; or the peer is cut off and the code does not matter.
 */
static kern_return_t make_descriptor(struct amb_connection *c, const struct amb_range *range, uint64_t options,
                                     IOMemoryDescriptor **ret_memory)
{
        int r;

        if (range->length <= AMB_CHANNEL_BYTES)
                return kIOReturnIPCError;
        if (range->id == 0 || (range->id & AMB_LOAN_HOST_TICKET) || (range->file == 0 && range->offset >= IOVMPageSize))
                r = AMB_BORROW_REFUSED;
        else
                r = amb_borrow_argument(c, range, options, ret_memory);
        if (r == AMB_BORROW_REFUSED)
                amb_connection_cut_off(c, "a call names memory that it does not have");
        return r == 0 ? kIOReturnSuccess : r < 0 ? kIOReturnNoMemory : kIOReturnIPCError;
}

static kern_return_t make_structure_input(struct amb_receiver *me, IOUserClientMethodArguments *a)
{
        const struct amb_request *q = &me->request;
        uint8_t *bytes;

        if (q->flags & AMB_CALL_RANGE_IN)
                return make_descriptor(me->connection, &q->range_in, AMB_LOAN_OUT, &a->structureInputDescriptor);
        if (q->size == 0)
                return kIOReturnSuccess;
        /* The last call's object, unless the driver has kept it; the only copy there is of what the app has sent. */
        bytes = amb_data_refill(me->input, q->size);
        if (!bytes) {
                OSObject_release(me->input);
                me->input = OSData_withCapacity(q->size);
                bytes = amb_data_refill(me->input, q->size);
        }
        if (!bytes)
                return kIOReturnNoMemory;
        amb_channel_bytes(me->connection->channel, q, bytes);
        a->structureInput = me->input;
        return kIOReturnSuccess;
}

static kern_return_t make_structure_output(struct amb_receiver *me, IOUserClientMethodArguments *a)
{
        const struct amb_request *q = &me->request;

        if (!(q->flags & AMB_CALL_RANGE_OUT)) {
                a->structureOutputMaximumSize = q->capacity;
                return kIOReturnSuccess;
        }
        if (q->range_out.length > UINT32_MAX)
                /* 0xffffffff is the most there is (call-path 2.6); the library does not ask for more */
                return kIOReturnIPCError;
        a->structureOutputMaximumSize = q->range_out.length;
        return make_descriptor(me->connection, &q->range_out, AMB_LOAN_IN | AMB_LOAN_SHARED, &a->structureOutputDescriptor);
}

static kern_return_t make_completion(struct amb_receiver *me, IOUserClientMethodArguments *a)
{
        const struct amb_request *q = &me->request;

        if (!(q->flags & AMB_CALL_ASYNC))
                return kIOReturnSuccess;
        if (AMB_CHANNEL_PORT_INDEX(q->port) >= AMB_SIDE_PORTS_MAX) {
                amb_connection_cut_off(me->connection, "a call names a port that does not exist");
                return kIOReturnIPCError;
        }
        return amb_action_new_completion(me->connection, q->port, q->reference, &a->completion) < 0 ? kIOReturnNoMemory
                                                                                                    : kIOReturnSuccess;
}

/* More than scalars. */
AMB_APART static kern_return_t make_rest(struct amb_receiver *me, IOUserClientMethodArguments *a)
{
        kern_return_t code = make_structure_input(me, a);

        if (code == kIOReturnSuccess)
                code = make_structure_output(me, a);
        if (code == kIOReturnSuccess)
                code = make_completion(me, a);
        return code;
}

/*
 * After the answer, when nobody waits. In pieces that are a few stores each; as one they would be a loop that takes long to start.
 */
static inline void clear(struct amb_receiver *me)
{
        for (unsigned i = 0; i < AMB_CHANNEL_SCALARS; i += 8)
                memset(me->scalars + i, 0, 8 * sizeof(uint64_t));
        for (unsigned i = 0; i < AMB_ARRAY_LENGTH(me->arguments.__reserved); i += 6)
                memset(me->arguments.__reserved + i, 0, 6 * sizeof(uint64_t));
}

static inline kern_return_t make_arguments(struct amb_receiver *me, IOUserClientMethodArguments *a)
{
        const struct amb_request *q = &me->request;

        a->version = kIOUserClientMethodArgumentsCurrentVersion;
        a->selector = q->selector;
        a->completion = NULL;
        a->scalarInput = q->scalars;
        a->scalarInputCount = q->scalar_count;
        a->structureInput = NULL;
        a->structureInputDescriptor = NULL;
        a->scalarOutput = me->scalars;
        a->scalarOutputCount = q->scalar_capacity;
        a->structureOutput = NULL;
        a->structureOutputDescriptor = NULL;
        a->structureOutputMaximumSize = 0;
        return amb_likely((q->flags | q->size | q->capacity) == 0) ? kIOReturnSuccess : make_rest(me, a);
}

/* --- the driver --- */

/* The queue may have been replaced since the last call. */
AMB_COLD static void look_queue_up(struct amb_receiver *me)
{
        OSObject_release(me->queue);
        me->queue = amb_service_method_queue(&me->connection->client->service, &me->queue_changes);
}

static inline bool queue_known(const struct amb_receiver *me)
{
        const IOService *service = &me->connection->client->service;

        return me->queue && atomic_load_explicit(&service->ivars->queue_changes, memory_order_relaxed) == me->queue_changes;
}

AMB_COLD static void wait_for_maps(struct amb_connection *c)
{
        pthread_mutex_lock(&c->lock);
        while (atomic_load_explicit(&c->maps, memory_order_relaxed) > 0)
                pthread_cond_wait(&c->maps_done, &c->lock);
        pthread_mutex_unlock(&c->lock);
}

/* Enters the method queue when no mapping is in progress. False: cancelled. */
static inline bool enter(struct amb_receiver *me)
{
        struct amb_connection *c = me->connection;

        if (amb_unlikely(!queue_known(me)))
                look_queue_up(me);
        for (;;) {
                if (amb_unlikely(!amb_queue_enter(me->queue, &me->frame)))
                        return false;
                /* A mapping counts itself before it passes through this queue, so here we see it or it waits for us. */
                if (amb_likely(atomic_load_explicit(&c->maps, memory_order_relaxed) == 0))
                        break;
                amb_queue_leave(&me->frame);
                wait_for_maps(c);
        }
        me->frame.asleep = c->single ? NULL : amb_receiver_asleep;
        return true;
}

/* --- the answer --- */

static kern_return_t variable_result(struct amb_receiver *me, OSData *output, size_t length, struct amb_result *r)
{
        if (length > VARIABLE_MOST)
                return kIOReturnMessageTooLarge;
        if (length <= AMB_CHANNEL_BYTES) {
                r->flags |= AMB_REPLY_BYTES;
                r->size = (uint32_t)length;
                return kIOReturnSuccess;
        }
        if (amb_connection_keep_output(me->connection, OSDataGetBytesPtr(output, 0, length), length, &r->out_region) < 0)
                return kIOReturnNoMemory;
        r->flags |= AMB_REPLY_LARGE;
        r->length = length;
        return kIOReturnSuccess;
}

/* The structure that the driver has returned, checked against what the app has room for. */
static kern_return_t structure_result(struct amb_receiver *me, const IOUserClientMethodArguments *a, struct amb_result *r)
{
        bool variable = me->request.capacity == AMB_CHANNEL_VARIABLE;
        OSData *output = (OSData *)amb_object_cast(a->structureOutput, OSTypeID(OSData));
        size_t length;

        if (!a->structureOutput)
                return variable ? kIOReturnUnderrun : kIOReturnSuccess;
        if (!output)
                return kIOReturnBadArgument;
        length = OSDataGetLength(output);
        r->bytes = OSDataGetBytesPtr(output, 0, length);
        if (variable)
                return variable_result(me, output, length, r);
        /* Out of line the capacity is 0, so anything but an empty object is too long. */
        if (length > me->request.capacity)
                return kIOReturnBadArgument;
        r->flags |= AMB_REPLY_BYTES;
        r->size = (uint32_t)length;
        return kIOReturnSuccess;
}

/* Somebody besides us holds the descriptor: the app's memory stays lent. */
static uint32_t kept(IOMemoryDescriptor *memory, uint32_t flag)
{
        if (!memory || OSObject_getRetainCount(memory) == 1)
                return 0;
        amb_borrow_keep(memory);
        return flag;
}

AMB_COLD static void reply_failed(struct amb_receiver *me, int result)
{
        amb_log(AMB_LOG_ERROR, "connection 0x%llx: an answer could not be sent: %s", (unsigned long long)me->connection->options.id,
                strerror(-result));
}

AMB_APART static int reply_rest(struct amb_receiver *me, kern_return_t code, const IOUserClientMethodArguments *a,
                                uint32_t scalar_count)
{
        struct amb_result r = { .status = code, .scalars = me->scalars, .scalar_count = scalar_count };

        if (code == kIOReturnSuccess && (a->structureOutput || me->request.capacity == AMB_CHANNEL_VARIABLE))
                r.status = structure_result(me, a, &r);
        if (r.status != kIOReturnSuccess)
                r = (struct amb_result){ .status = r.status };
        r.flags |= kept(a->structureInputDescriptor, AMB_REPLY_IN_RETAINED) |
                   kept(a->structureOutputDescriptor, AMB_REPLY_OUT_RETAINED);
        return amb_channel_reply(me->connection->channel, &me->request, &r);
}

static inline void reply(struct amb_receiver *me, kern_return_t code, const IOUserClientMethodArguments *a)
{
        uint32_t count = a->scalarOutputCount < me->request.scalar_capacity ? a->scalarOutputCount : me->request.scalar_capacity;
        int result;

        if (amb_likely(code == kIOReturnSuccess && !a->structureOutput && !a->structureInputDescriptor &&
                       !a->structureOutputDescriptor && me->request.capacity != AMB_CHANNEL_VARIABLE))
                result = amb_channel_reply_scalars(me->connection->channel, &me->request, me->scalars, count);
        else
                result = reply_rest(me, code, a, count);
        if (amb_unlikely(result < 0))
                reply_failed(me, result);
}

AMB_COLD static void reply_terminated(struct amb_receiver *me)
{
        struct amb_result gone = { .flags = AMB_REPLY_TERMINATED };

        (void)amb_channel_reply(me->connection->channel, &me->request, &gone);
        amb_channel_rest_next(me->connection->channel);
}

AMB_APART static void release_all(const void *completion, const void *in, const void *out, const void *output)
{
        OSObject_release(completion);
        OSObject_release(in);
        OSObject_release(out);
        OSObject_release(output);
}

void amb_connection_call(struct amb_receiver *me)
{
        struct amb_connection *c = me->connection;
        IOUserClientMethodArguments *a = &me->arguments;
        /* What we made is ours to release, whatever the driver writes into the block. */
        OSAction *completion;
        IOMemoryDescriptor *in, *out;
        kern_return_t code;
        bool entered;

        if (amb_unlikely(atomic_load_explicit(&c->refusing, memory_order_relaxed))) {
                reply_terminated(me);
                return;
        }
        code = make_arguments(me, a);
        completion = a->completion;
        in = a->structureInputDescriptor;
        out = a->structureOutputDescriptor;
        entered = code == kIOReturnSuccess && enter(me);
        if (amb_likely(entered))
                code = c->method(c->client, a->selector, a, NULL, NULL, NULL);
        else if (code == kIOReturnSuccess)
                code = kIOReturnNotReady;
        a->structureInputDescriptor = in;
        a->structureOutputDescriptor = out;
        /*
         * Before the queue is left: Stop waits for it, and the host may end behind Stop. So a call that terminates its own service
         * has its answer (call-path 184).
         */
        reply(me, code, a);
        if (amb_likely(entered))
                amb_queue_leave(&me->frame);
        clear(me);
        if (completion || in || out || a->structureOutput)
                release_all(completion, in, out, a->structureOutput);
}
