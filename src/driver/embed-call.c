/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User clients without an application's end (ambidext/embed.h): the calling thread makes the block of arguments as a connection's
 * thread does (calls.c), enters the method's queue and runs ExternalMethod. Between that and the driver nothing is left out;
 * between the application and that, everything.
 */
#include <ambidext/embed.h>
#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IOUserClient.h>

#include "channel/channel.h"
#include "driver/opening.h"
#include "driver/queue.h"
#include "driver/service.h"
#include "driver/uplink.h"

AMB_EXPORT kern_return_t amb_embed_client(IOService *service, uint32_t type, IOUserClient **client)
{
        struct amb_opening opening = { .type = type };
        kern_return_t code = amb_uplink_create(amb_service_entry(service), NULL, &opening.entry);

        *client = NULL;
        if (code == kIOReturnSuccess)
                code = amb_opening_ask(service, &opening, client);
        if (code == kIOReturnSuccess)
                code = amb_opening_start(&(*client)->service, service);
        if (code != kIOReturnSuccess) {
                OSObject_release(*client);
                *client = NULL;
        }
        return code;
}

AMB_EXPORT void amb_embed_end(IOUserClient *client)
{
        if (client)
                amb_service_close(&client->service);
        OSObject_release(client);
}

/* What the application's memory would be: a buffer of as many bytes. */
static kern_return_t make_buffer(const void *bytes, size_t size, IOMemoryDescriptor **ret_memory)
{
        IOBufferMemoryDescriptor *buffer = NULL;
        IOAddressSegment range;
        kern_return_t code = IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, size, 0, &buffer);

        if (code == kIOReturnSuccess)
                code = IOBufferMemoryDescriptor_SetLength(buffer, size);
        if (code == kIOReturnSuccess)
                code = IOBufferMemoryDescriptor_GetAddressRange(buffer, &range);
        if (code != kIOReturnSuccess) {
                OSObject_release(buffer);
                return code;
        }
        if (bytes)
                memcpy((void *)(uintptr_t)range.address, bytes, size);
        *ret_memory = &buffer->descriptor;
        return kIOReturnSuccess;
}

/* Above what travels inline, structures are descriptors (call-path 2.4). */
static kern_return_t make_structures(const struct amb_embed_call *call, IOUserClientMethodArguments *a)
{
        kern_return_t code = kIOReturnSuccess;

        if (call->size > AMB_CHANNEL_BYTES)
                code = make_buffer(call->bytes, call->size, &a->structureInputDescriptor);
        else if (call->size > 0 && !(a->structureInput = OSDataCreate(call->bytes, call->size)))
                code = kIOReturnNoMemory;
        a->structureOutputMaximumSize = call->size_out;
        if (code == kIOReturnSuccess && call->size_out > AMB_CHANNEL_BYTES)
                code = make_buffer(NULL, call->size_out, &a->structureOutputDescriptor);
        if (code == kIOReturnSuccess && call->completes && !(a->completion = (OSAction *)amb_object_new(OSTypeID(OSAction))))
                code = kIOReturnNoMemory;
        return code;
}

static kern_return_t run(IOUserClient *client, IOUserClientMethodArguments *a)
{
        uint32_t ignored;
        IODispatchQueue *queue = amb_service_method_queue(&client->service, &ignored);
        kern_return_t code = kIOReturnNotReady;
        struct amb_queue_frame frame;

        if (amb_queue_enter(queue, &frame)) {
                code = amb_invoke(client, IOUserClient, ExternalMethod, a->selector, a, NULL, NULL, NULL);
                amb_queue_leave(&frame);
        }
        OSObject_release(queue);
        return code;
}

/* As an application sees it: what does not fit, or is none, is an error (call-path 3.7). */
static kern_return_t take_structure(const OSData *output, struct amb_embed_call *call)
{
        size_t size;

        if (!output)
                return kIOReturnSuccess;
        if (!amb_object_cast((const OSObject *)output, OSTypeID(OSData)))
                return kIOReturnBadArgument;
        size = OSDataGetLength(output);
        if (size > call->size_out || call->size_out > AMB_CHANNEL_BYTES)
                return kIOReturnBadArgument;
        if (size > 0)
                memcpy(call->bytes_out, OSDataGetBytesPtr((OSData *)output, 0, size), size);
        call->size_out = size;
        return kIOReturnSuccess;
}

/* What the driver has written into the application's memory. */
static void take_buffer(IOMemoryDescriptor *memory, struct amb_embed_call *call)
{
        IOAddressSegment range;

        if (memory && IOBufferMemoryDescriptor_GetAddressRange((IOBufferMemoryDescriptor *)memory, &range) == kIOReturnSuccess)
                memcpy(call->bytes_out, (const void *)(uintptr_t)range.address, call->size_out);
}

AMB_EXPORT kern_return_t amb_embed_call(IOUserClient *client, struct amb_embed_call *call)
{
        uint64_t in[AMB_CHANNEL_SCALARS] = { 0 }, out[AMB_CHANNEL_SCALARS] = { 0 };
        uint32_t in_count = call->scalar_count, out_count = call->scalar_out_count;
        IOUserClientMethodArguments a = {
                .version = kIOUserClientMethodArgumentsCurrentVersion, .selector = call->selector,
                .scalarInput = in, .scalarInputCount = in_count, .scalarOutput = out,
                .scalarOutputCount = out_count < AMB_CHANNEL_SCALARS ? out_count : AMB_CHANNEL_SCALARS,
        }, made;
        kern_return_t code;

        if (in_count > AMB_CHANNEL_SCALARS)
                return kIOReturnBadArgument;
        if (in_count > 0)
                memcpy(in, call->scalars, in_count * sizeof(*in));
        out_count = a.scalarOutputCount;
        code = make_structures(call, &a);
        made = a;       /* what is ours to release, whatever the driver writes into the block */
        if (code == kIOReturnSuccess)
                code = run(client, &a);
        if (code == kIOReturnSuccess)
                code = take_structure(a.structureOutput, call);
        if (code == kIOReturnSuccess)
                take_buffer(made.structureOutputDescriptor, call);
        call->scalar_out_count = a.scalarOutputCount < out_count ? a.scalarOutputCount : out_count;
        if (code == kIOReturnSuccess && call->scalar_out_count > 0)
                memcpy(call->scalars_out, out, call->scalar_out_count * sizeof(*out));
        OSObject_release(a.structureOutput);
        OSObject_release(made.structureInput);
        OSObject_release(made.structureInputDescriptor);
        OSObject_release(made.structureOutputDescriptor);
        OSObject_release(made.completion);
        return code;
}
