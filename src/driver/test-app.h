/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the tests of a connection share: the test is the application (channel and side socket) and the control thread; no daemon.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <DriverKit/DriverKit.h>

#include "channel/channel.h"
#include "channel/side.h"
#include "driver/borrow.h"
#include "driver/connection.h"
#include "driver/service.h"
#include "driver/table.h"
#include "driver/test-lender.h"

/* --- the driver --- */

enum { ADD, STRUCT, COMPLETE, FAIL, TOO_LONG, KEEP, BLOCK, NOT_DATA, RAISE, RETAIN_IN, MAP_IN, DEFAULTS, HOT };

typedef struct Client {
        IOUserClient client;
        IODispatchQueue *queue;
        OSAction *kept;
        IOMemoryDescriptor *retained;
        IOBufferMemoryDescriptor *memory;
} Client;

static struct signal entered = SIGNAL_INIT, go = SIGNAL_INIT, stopped = SIGNAL_INIT, freed = SIGNAL_INIT,
                     connection_ended = SIGNAL_INIT;
static struct signal kept = SIGNAL_INIT;        /* for the thread sanitizer, which does not see the channel's order */
static _Atomic bool on_queue;                   /* the channel orders it, out of the thread sanitizer's sight */
static bool stop_in_call;
static _Atomic bool in_call;

static inline kern_return_t structure(IOUserClientMethodArguments *a)
{
        IOMemoryMap *in = NULL, *out = NULL;
        const void *bytes = NULL;
        uint64_t length = 0;

        if (a->structureInput) {
                length = OSDataGetLength(a->structureInput);
                bytes = OSDataGetBytesPtr(a->structureInput, 0, length);
        } else if (a->structureInputDescriptor) {
                ck_assert_int_eq(IOMemoryDescriptor_CreateMapping(a->structureInputDescriptor, 0, 0, 0, 0, 0, &in), 0);
                bytes = (void *)(uintptr_t)IOMemoryMap_GetAddress(in);
                length = IOMemoryMap_GetLength(in);
        }
        if (a->structureOutputDescriptor) {
                ck_assert_int_eq(IOMemoryDescriptor_CreateMapping(a->structureOutputDescriptor, 0, 0, 0, 0, 0, &out), 0);
                memcpy((void *)(uintptr_t)IOMemoryMap_GetAddress(out), bytes, length);
        } else {
                a->structureOutput = OSDataCreate(bytes, length);
        }
        OSObject_release(in);
        OSObject_release(out);
        return kIOReturnSuccess;
}

static inline kern_return_t external_method(IOUserClient *client, uint64_t selector, IOUserClientMethodArguments *a,
                                     const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        Client *self = (Client *)client;
        kern_return_t code = kIOReturnSuccess;
        IOMemoryMap *map = NULL;

        if (selector == HOT) {          /* before the first assertion: Check allocates for each */
                a->scalarOutput[0] = a->scalarInput[0] + a->scalarInput[15];
                return kIOReturnSuccess;
        }
        ck_assert_uint_eq(a->version, 2);
        ck_assert_uint_eq(a->selector, selector);
        ck_assert(!dispatch && !target && !reference && a->scalarInput && a->scalarOutput && !a->structureOutput);
        in_call = true;
        on_queue = self->queue ? IODispatchQueue_OnQueue(self->queue) : false;
        switch (selector) {
        case ADD:
                for (uint32_t i = 0; i < a->scalarInputCount; i++)
                        a->scalarOutput[0] += a->scalarInput[i];
                a->scalarOutputCount = 1;
                break;
        case STRUCT:
                code = structure(a);
                break;
        case COMPLETE:
                ck_assert_ptr_nonnull(a->completion);
                ck_assert_ptr_null(OSAction_GetReference(a->completion));
                for (uint32_t i = 0; i <= 17; i++)
                        IOUserClient_AsyncCompletion(client, a->completion, (IOReturn)i, (uint64_t[17]){ 100, i }, i);
                break;
        case FAIL:
                a->scalarOutput[0] = 1;
                a->structureOutput = OSDataCreate("x", 1);
                code = -305;
                break;
        case TOO_LONG:
                a->structureOutput = OSDataCreate(NULL, a->structureOutputMaximumSize + 1);
                break;
        case KEEP:
                OSObject_retain(a->completion);
                self->kept = a->completion;
                signal_add(&kept);
                break;
        case BLOCK:
                signal_add(&entered);
                signal_wait(&go, 1);
                break;
        case NOT_DATA:
                a->structureOutput = (OSData *)OSStringCreate("no data", (size_t)-1);
                break;
        case RAISE:
                a->scalarOutputCount = 1000;
                break;
        case RETAIN_IN:
                self->retained = a->structureInputDescriptor;
                OSObject_retain(self->retained);
                break;
        case MAP_IN:
                code = IOMemoryDescriptor_CreateMapping(a->structureInputDescriptor, 0, 0, 0, 0, 0, &map);
                break;
        case DEFAULTS:
                break;
        default:
                code = IOUserClient_ExternalMethod(client, selector, a, NULL, NULL, NULL);
        }
        in_call = false;
        return code;
}

#define PIECES (2 * AMB_SIDE_EXTENTS_AT_ONCE + 6)

/* The buffer's first page again and again, and the rest of the buffer at last. */
static inline kern_return_t join_pages(Client *self, IOMemoryDescriptor **memory)
{
        IOMemoryDescriptor *buffer = &self->memory->descriptor, *page, *rest, *parts[32], *joined[PIECES / 32 + 1];
        uint32_t count = 0;

        ck_assert_int_eq(IOMemoryDescriptor_CreateSubMemoryDescriptor(3, 0, IOVMPageSize, buffer, &page), 0);
        ck_assert_int_eq(IOMemoryDescriptor_CreateSubMemoryDescriptor(3, IOVMPageSize, 5000 - IOVMPageSize, buffer, &rest), 0);
        for (uint32_t done = 0, now; done < PIECES; done += now) {
                now = PIECES - done < 32 ? PIECES - done : 32;
                for (uint32_t i = 0; i < now; i++)
                        parts[i] = done + i == PIECES - 1 ? rest : page;
                ck_assert_int_eq(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, now, parts, &joined[count++]), 0);
        }
        ck_assert_int_eq(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, count, joined, memory), 0);
        while (count > 0)
                OSObject_release(joined[--count]);
        OSObject_release(page);
        OSObject_release(rest);
        return kIOReturnSuccess;
}

static inline kern_return_t memory_for_type(IOUserClient *client, uint64_t type, uint64_t *options, IOMemoryDescriptor **memory)
{
        Client *self = (Client *)client;

        ck_assert_uint_eq(*options, 0);
        ck_assert(!in_call);
        if (type == 3)
                return join_pages(self, memory);
        if (type > 1)
                return type == 2 ? kIOReturnSuccess : kIOReturnNoDevice;
        *options |= type;
        OSObject_retain(self->memory);
        *memory = &self->memory->descriptor;
        return kIOReturnSuccess;
}

static inline kern_return_t client_stop(IOService *service, IOService *provider)
{
        stop_in_call = in_call;
        signal_add(&stopped);
        return IOService_Stop(service, provider);
}

static inline void client_free(OSObject *object)
{
        Client *self = (Client *)object;

        OSSafeReleaseNULL(self->queue);
        OSSafeReleaseNULL(self->kept);
        OSSafeReleaseNULL(self->retained);
        OSSafeReleaseNULL(self->memory);
        IOUserClient_free(object);
        signal_add(&freed);
}

static const struct amb_method client_methods[] = {
        AMB_OVERRIDE(OSObject, free, client_free),
        AMB_OVERRIDE(IOService, Stop, client_stop),
        AMB_OVERRIDE(IOUserClient, ExternalMethod, external_method),
        AMB_OVERRIDE(IOUserClient, CopyClientMemoryForType, memory_for_type),
        AMB_METHODS_END,
};
OSDefineMetaClass(Client, IOUserClient, client_methods);

/* --- the application and the control thread --- */

static struct {
        struct amb_connection *connection;
        struct amb_channel *channel;
        Client *client;
        int side;
        uint32_t serial;
        pthread_t control;
} app;

static inline void on_ended(void *userdata, struct amb_connection *connection)
{
        signal_add(&connection_ended);
}

static inline void *control_run(void *context)
{
        struct pollfd pollfd = { .fd = amb_connection_side(app.connection), .events = POLLIN };

        do
                poll(&pollfd, 1, -1);
        while (amb_connection_serve_side(app.connection));
        return NULL;
}

/* As the app's library does it. */
static inline void app_knock(void *userdata)
{
        struct amb_side_message message = { .kind = AMB_SIDE_KNOCK };

        (void)amb_side_send(app.side, &message, -1, true);
}

static inline void control_start(void)
{
        ck_assert_int_eq(pthread_create(&app.control, NULL, control_run, NULL), 0);
}

/* Nobody serves the side socket. */
static inline void open_unserved(bool own_queue)
{
        struct amb_channel_options none = { .peer_pidfd = -1, .knock = app_knock };
        struct amb_connection_options options = { .id = 1, .process = -1, .ended = on_ended };
        int fd = -1, pair[2];

        ck_assert_int_eq(amb_channel_create(&fd), 0);
        ck_assert_int_eq(amb_channel_attach(fd, AMB_CHANNEL_APP, &none, &app.channel), 0);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        app.side = pair[0];
        options.channel = fd;
        options.side = pair[1];
        app.client = (Client *)amb_object_new(OSTypeID(Client));
        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, 5000, 0, &app.client->memory), 0);
        if (own_queue) {
                ck_assert_int_eq(IODispatchQueue_Create("calls", 0, 0, &app.client->queue), 0);
                IOService_SetDispatchQueue(&app.client->client.service, kIOUserClientQueueNameExternalMethod, app.client->queue);
        }
        ck_assert_int_eq(amb_connection_new(&options, &app.connection), 0);
        amb_connection_start(app.connection, &app.client->client);
        OSObject_release(app.client);
}

static inline void open_connection(bool own_queue)
{
        open_unserved(own_queue);
        control_start();
}

static inline struct amb_side_message ask(uint32_t kind, uint32_t id, uint32_t flags, uint64_t size, int fd, int *ret_fd)
{
        struct amb_side_message request = { .kind = kind, .serial = ++app.serial, .id = id, .flags = flags, .size = size },
                                answer = { 0 };
        int got = -1;

        ck_assert_int_eq(amb_side_send(app.side, &request, fd, true), 0);
        ck_assert_int_eq(amb_side_receive(app.side, true, &answer, &got), 0);
        ck_assert_uint_eq(answer.kind, AMB_SIDE_ANSWER);
        ck_assert_uint_eq(answer.serial, request.serial);
        if (ret_fd)
                *ret_fd = got;
        else
                ck_assert_int_eq(got, -1);
        return answer;
}

/* What comes behind the answer to the last request. */
static inline struct amb_side_message next_extent(int *ret_fd)
{
        struct amb_side_message extent = { 0 };

        ck_assert_int_eq(amb_side_receive(app.side, true, &extent, ret_fd), 0);
        ck_assert_uint_eq(extent.kind, AMB_SIDE_EXTENT);
        ck_assert_uint_eq(extent.serial, app.serial);
        ck_assert_int_ge(*ret_fd, 0);
        return extent;
}

/* Everything is over: Stop came once, the user client is gone. */
static inline void expect_end(void)
{
        signal_wait(&connection_ended, 1);
        signal_wait(&freed, 1);
        ck_assert_int_eq(signal_count(&stopped), 1);
        ck_assert(!stop_in_call);
        pthread_join(app.control, NULL);
        amb_connection_finish(app.connection);
        amb_connection_release(app.connection);
        amb_channel_free(app.channel);
        close(app.side);
}

static inline void close_connection(void)
{
        ck_assert_int_eq(ask(AMB_SIDE_CLOSE, 0, 0, 0, -1, NULL).code, 0);
        expect_end();
}

static inline struct amb_reply call(struct amb_call *c)
{
        struct amb_reply reply = { 0 };

        ck_assert_int_eq(amb_channel_call(app.channel, c, &reply), 0);
        return reply;
}

static inline void lend(struct lender *lender)
{
        int host = lender_start(lender);

        ck_assert_int_eq(ask(AMB_SIDE_LOANS, 0, 0, 0, host, NULL).code, 0);
        close(host);
}

/* M78: a mapping waits for the call in progress, also on another queue. */
static inline void *blocked_call(void *context)
{
        struct amb_call c = { .selector = BLOCK };

        *(struct amb_reply *)context = call(&c);
        return NULL;
}

/* What the registry does: it knows the user client by its number, and stops it. */
static inline void known_as(uint64_t entry)
{
        ck_assert_int_eq(amb_service_attach(&app.client->client.service, entry, NULL, NULL, "client"), 0);
        amb_table_add(&app.client->client.service);
}

static inline void stop_known(uint64_t entry)
{
        IOService *service = amb_table_find(entry);

        ck_assert_ptr_nonnull(service);
        amb_service_stop(service);
        OSObject_release(service);
}

static inline void give_port(uint32_t name, int *ret_read)
{
        int write_fd;

        ck_assert_int_eq(amb_side_port_create(ret_read, &write_fd), 0);
        ck_assert_int_eq(ask(AMB_SIDE_PORT, name, 0, 0, write_fd, NULL).code, 0);
        close(write_fd);
}
