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

/* A range that the request names: a descriptor for it. 0; a code for the app; or the peer is cut off and the code does not matter. */
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

        if (q->flags & AMB_CALL_RANGE_IN)
                return make_descriptor(me->connection, &q->range_in, AMB_LOAN_OUT, &a->structureInputDescriptor);
        if (q->size == 0)
                return kIOReturnSuccess;
        /* The last call's object, unless the driver has kept it. */
        if (!amb_data_refill(me->input, me->bytes, q->size)) {
                OSObject_release(me->input);
                me->input = OSDataCreate(me->bytes, q->size);
        }
        a->structureInput = me->input;
        return a->structureInput ? kIOReturnSuccess : kIOReturnNoMemory;
}

static kern_return_t make_structure_output(struct amb_receiver *me, IOUserClientMethodArguments *a)
{
        const struct amb_request *q = &me->request;

        if (!(q->flags & AMB_CALL_RANGE_OUT)) {
                a->structureOutputMaximumSize = q->capacity;
                return kIOReturnSuccess;
        }
        if (q->range_out.length > UINT32_MAX)
                return kIOReturnIPCError;       /* 0xffffffff is the most there is (call-path 2.6); the library does not ask for more */
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
        return amb_action_new_completion(me->connection, q->port, q->reference, &a->completion) < 0 ? kIOReturnNoMemory : kIOReturnSuccess;
}

static kern_return_t make_arguments(struct amb_receiver *me, IOUserClientMethodArguments *a)
{
        const struct amb_request *q = &me->request;
        kern_return_t code;

        *a = (IOUserClientMethodArguments){
                .version = kIOUserClientMethodArgumentsCurrentVersion,
                .selector = q->selector,
                .scalarInput = q->scalars,
                .scalarInputCount = q->scalar_count,
                .scalarOutput = me->scalars,
                .scalarOutputCount = q->scalar_capacity,
        };
        memset(me->scalars, 0, sizeof(me->scalars));
        if (!(q->flags | q->size | q->capacity))
                return kIOReturnSuccess;        /* scalars only: the hot path */
        code = make_structure_input(me, a);
        if (code == kIOReturnSuccess)
                code = make_structure_output(me, a);
        if (code == kIOReturnSuccess)
                code = make_completion(me, a);
        return code;
}

/* --- the driver --- */

/* The queue may have been replaced since the last call. */
static void look_queue_up(struct amb_receiver *me)
{
        IOService *service = &me->connection->client->service;

        if (me->queue && atomic_load_explicit(&service->ivars->queue_changes, memory_order_relaxed) == me->queue_changes)
                return;
        OSObject_release(me->queue);
        me->queue = amb_service_method_queue(service, &me->queue_changes);
}

/* Enters the method queue when no mapping is in progress. False: cancelled. */
static bool enter(struct amb_receiver *me)
{
        struct amb_connection *c = me->connection;

        for (;;) {
                if (!amb_queue_enter(me->queue, &me->frame))
                        return false;
                /* A mapping counts itself before it passes through this queue, so here we see it or it waits for us. */
                if (atomic_load_explicit(&c->maps, memory_order_relaxed) == 0)
                        return true;
                amb_queue_leave(&me->frame);
                pthread_mutex_lock(&c->lock);
                while (atomic_load_explicit(&c->maps, memory_order_relaxed) > 0)
                        pthread_cond_wait(&c->maps_done, &c->lock);
                pthread_mutex_unlock(&c->lock);
        }
}

static kern_return_t run_driver(struct amb_receiver *me, IOUserClientMethodArguments *a)
{
        struct amb_connection *c = me->connection;
        kern_return_t code;

        look_queue_up(me);
        if (!enter(me))
                return kIOReturnNotReady;
        me->frame.asleep = c->single ? NULL : amb_receiver_asleep;
        code = c->method(c->client, a->selector, a, NULL, NULL, NULL);
        amb_queue_leave(&me->frame);
        return code;
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

static void reply(struct amb_receiver *me, kern_return_t code, const IOUserClientMethodArguments *a)
{
        struct amb_result r = { .status = code, .scalars = me->scalars };
        int result;

        if (code == kIOReturnSuccess) {
                if (a->structureOutput || me->request.capacity == AMB_CHANNEL_VARIABLE)
                        r.status = structure_result(me, a, &r);
                r.scalar_count = a->scalarOutputCount;
                if (r.scalar_count > me->request.scalar_capacity)
                        r.scalar_count = me->request.scalar_capacity;
        }
        if (r.status != kIOReturnSuccess)
                r = (struct amb_result){ .status = r.status };
        r.flags |= kept(a->structureInputDescriptor, AMB_REPLY_IN_RETAINED) | kept(a->structureOutputDescriptor, AMB_REPLY_OUT_RETAINED);
        result = amb_channel_reply(me->connection->channel, &me->request, &r);
        if (result < 0)
                amb_log(AMB_LOG_ERROR, "connection 0x%llx: an answer could not be sent: %s", (unsigned long long)me->connection->options.id,
                        strerror(-result));
}

void amb_connection_call(struct amb_receiver *me)
{
        struct amb_connection *c = me->connection;
        IOUserClientMethodArguments a;
        /* What we made is ours to release, whatever the driver writes into the block. */
        OSAction *completion;
        IOMemoryDescriptor *in, *out;
        kern_return_t code;

        if (atomic_load_explicit(&c->refusing, memory_order_relaxed)) {
                struct amb_result gone = { .flags = AMB_REPLY_TERMINATED };

                (void)amb_channel_reply(c->channel, &me->request, &gone);
                return;
        }
        code = make_arguments(me, &a);
        completion = a.completion;
        in = a.structureInputDescriptor;
        out = a.structureOutputDescriptor;
        if (code == kIOReturnSuccess)
                code = run_driver(me, &a);
        a.structureInputDescriptor = in;
        a.structureOutputDescriptor = out;
        reply(me, code, &a);
        if (!completion && !in && !out && !a.structureOutput)
                return;
        OSObject_release(completion);
        OSObject_release(in);
        OSObject_release(out);
        OSObject_release(a.structureOutput);
}
