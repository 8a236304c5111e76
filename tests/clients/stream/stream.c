/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver for the client that reads a data queue: samples in a ring of the client's layout, an asynchronous call that says when
 * there are some, a name and properties of its own, and one connection at a time for type 7.
 *
 * The ring belongs to the user client; ExternalMethod runs on its default queue, so that one call writes at a time.
 */
#include <DriverKit/DriverKit.h>
#include <IOKit/IODataQueueShared.h>

enum { kStreamListen = 0, kStreamWrite = 1, kStreamSwap = 2 };
#define RING 1000u              /* entries stand at any byte, and wrap */
#define EXCLUSIVE 7

struct sample {
        uint64_t sequence;
        uint32_t value;
};

typedef struct Stream {
        IOService service;
} Stream;

typedef struct StreamUserClient {
        IOUserClient client;
        IOBufferMemoryDescriptor *buffer;
        IODataQueueMemory *queue;       /* in the buffer */
        OSAction *listener;             /* what kStreamListen brought, or NULL */
        uint64_t written;
} StreamUserClient;

/* --- the ring's writing end; the reader may write what it likes into it: head and tail are checked --- */

enum put { PUT, PUT_INTO_EMPTY, NO_ROOM };

static enum put ring_put(IODataQueueMemory *queue, const void *data, uint32_t size)
{
        uint8_t *ring = (uint8_t *)queue + DATA_QUEUE_MEMORY_HEADER_SIZE;
        uint32_t tail = queue->tail, head = __atomic_load_n(&queue->head, __ATOMIC_ACQUIRE), at = tail;
        uint32_t needed = DATA_QUEUE_ENTRY_HEADER_SIZE + size;

        if (head > RING || tail > RING)
                return NO_ROOM;
        if (tail >= head && needed > RING - tail) {
                if (head <= needed)
                        return NO_ROOM;
                if (RING - tail >= DATA_QUEUE_ENTRY_HEADER_SIZE)
                        memcpy(ring + tail, &size, sizeof(size));
                at = 0;
        } else if (tail < head && head - tail <= needed) {
                return NO_ROOM;
        }
        memcpy(ring + at, &size, sizeof(size));
        memcpy(ring + at + DATA_QUEUE_ENTRY_HEADER_SIZE, data, size);
        __atomic_store_n(&queue->tail, at + needed, __ATOMIC_SEQ_CST);
        return tail == __atomic_load_n(&queue->head, __ATOMIC_SEQ_CST) ? PUT_INTO_EMPTY : PUT;
}

/* --- selectors --- */

static kern_return_t stream_listen(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        StreamUserClient *self = (StreamUserClient *)target;

        OSObject_release(self->listener);
        self->listener = arguments->completion;
        OSObject_retain(self->listener);
        return kIOReturnSuccess;
}

/* In: how many; out: how many there was room for. */
static kern_return_t stream_write(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        StreamUserClient *self = (StreamUserClient *)target;
        uint64_t i, wake = 0;

        if (!self->queue)
                return kIOReturnNotReady;
        for (i = 0; i < arguments->scalarInput[0]; i++) {
                struct sample sample = { self->written, (uint32_t)(self->written * 3) };
                enum put put = ring_put(self->queue, &sample, 12 + (uint32_t)(self->written % 5));

                if (put == NO_ROOM)
                        break;
                wake |= put == PUT_INTO_EMPTY;
                self->written++;
        }
        arguments->scalarOutput[0] = i;
        if (wake && self->listener)
                IOUserClient_AsyncCompletion(&self->client, self->listener, kIOReturnSuccess, &i, 1);
        return kIOReturnSuccess;
}

/* 24 bytes each way, and no other number: the table sees to it. */
static kern_return_t stream_swap(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        const uint64_t *in = OSDataGetBytesPtr(arguments->structureInput, 0, 24);
        uint64_t out[3] = { in[2], in[1], in[0] };

        arguments->structureOutput = OSDataCreate(out, sizeof(out));
        return arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

static const IOUserClientMethodDispatch stream_table[] = {
        [kStreamListen] = { stream_listen, 1, 0, 0, 0, 0 },
        [kStreamWrite] = { stream_write, 0, 1, 0, 1, 0 },
        [kStreamSwap] = { stream_swap, 0, 0, 24, 0, 24 },
};

static kern_return_t stream_external_method(IOUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
                                            const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        if (selector >= sizeof(stream_table) / sizeof(*stream_table))
                return kIOReturnUnsupported;
        return IOUserClient_ExternalMethod(self, selector, arguments, &stream_table[selector], &self->service.object, NULL);
}

/* --- the user client --- */

static kern_return_t stream_memory(IOUserClient *client, uint64_t type, uint64_t *options, IOMemoryDescriptor **memory)
{
        StreamUserClient *self = (StreamUserClient *)client;
        IOAddressSegment range;
        kern_return_t code;

        if (type != 0)
                return kIOReturnBadArgument;
        if (!self->buffer) {
                code = IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, DATA_QUEUE_MEMORY_HEADER_SIZE + RING +
                                                       DATA_QUEUE_MEMORY_APPENDIX_SIZE, 0, &self->buffer);
                if (code == kIOReturnSuccess)
                        code = IOBufferMemoryDescriptor_GetAddressRange(self->buffer, &range);
                if (code != kIOReturnSuccess)
                        return code;
                self->queue = (IODataQueueMemory *)(uintptr_t)range.address;
                self->queue->queueSize = RING;
        }
        OSObject_retain(self->buffer);
        *memory = &self->buffer->descriptor;
        return kIOReturnSuccess;
}

static kern_return_t stream_client_stop(IOService *service, IOService *provider)
{
        StreamUserClient *self = (StreamUserClient *)service;

        OSSafeReleaseNULL(self->listener);
        return IOService_Stop(service, provider);
}

static void stream_client_free(OSObject *object)
{
        StreamUserClient *self = (StreamUserClient *)object;

        OSSafeReleaseNULL(self->buffer);
        OSSafeReleaseNULL(self->listener);
        IOUserClient_free(object);
}

static const struct amb_method stream_client_methods[] = {
        AMB_OVERRIDE(OSObject, free, stream_client_free),
        AMB_OVERRIDE(IOService, Stop, stream_client_stop),
        AMB_OVERRIDE(IOUserClient, ExternalMethod, stream_external_method),
        AMB_OVERRIDE(IOUserClient, CopyClientMemoryForType, stream_memory),
        AMB_METHODS_END,
};
OSDefineMetaClass(StreamUserClient, IOUserClient, stream_client_methods);

/* --- the service --- */

static kern_return_t stream_start(IOService *self, IOService *provider)
{
        kern_return_t code = IOService_Start(self, provider);
        OSDictionary *properties = OSDictionaryCreate();

        if (code == kIOReturnSuccess && properties && OSDictionarySetUInt64Value(properties, "StreamRate", 48000) &&
            OSDictionarySetStringValue(properties, "StreamState", "idle"))
                code = IOService_SetProperties(self, properties);
        OSObject_release(properties);
        if (code == kIOReturnSuccess)
                code = IOService_SetName(self, "stream0");
        return code == kIOReturnSuccess ? IOService_RegisterService(self) : code;
}

static kern_return_t stream_new_user_client(IOService *self, uint32_t type, IOUserClient **userClient)
{
        IOService *made;
        kern_return_t code;

        if (type == EXCLUSIVE)
                return kIOReturnExclusiveAccess;
        code = IOService_Create(self, self, "UserClientProperties", &made);
        if (code == kIOReturnSuccess)
                *userClient = (IOUserClient *)made;
        return code;
}

static const struct amb_method stream_methods[] = {
        AMB_OVERRIDE(IOService, Start, stream_start),
        AMB_OVERRIDE(IOService, NewUserClient, stream_new_user_client),
        AMB_METHODS_END,
};
OSDefineMetaClass(Stream, IOService, stream_methods);
