/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection's host side: the test is the application (channel and side socket) and the control thread; no daemon. Rows of call-path 6.3,
 * 6.4, 6.7 and 6.9 that the host decides, and an application that breaks the rules.
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

/* --- how often memory is allocated; the sanitizers have allocators of their own --- */

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)
#if !defined(__has_feature)
#define COUNTED 1
#elif !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define COUNTED 1
#endif
#endif

static _Atomic uint64_t allocations;

#ifdef COUNTED
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);

void *malloc(size_t size)
{
        allocations++;
        return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
        allocations++;
        return __libc_calloc(count, size);
}
#endif

/* --- the driver --- */

enum { ADD, STRUCT, COMPLETE, FAIL, TOO_LONG, KEEP, BLOCK, NOT_DATA, RAISE, RETAIN_IN, MAP_IN, DEFAULTS, HOT };

typedef struct Client {
        IOUserClient client;
        IODispatchQueue *queue;
        OSAction *kept;
        IOMemoryDescriptor *retained;
        IOBufferMemoryDescriptor *memory;
} Client;

static struct signal entered = SIGNAL_INIT, go = SIGNAL_INIT, stopped = SIGNAL_INIT, freed = SIGNAL_INIT, connection_ended = SIGNAL_INIT;
static struct signal kept = SIGNAL_INIT;        /* for the thread sanitizer, which does not see the channel's order */
static _Atomic bool on_queue;                   /* the channel orders it, out of the thread sanitizer's sight */
static bool stop_in_call;
static _Atomic bool in_call;

static kern_return_t structure(IOUserClientMethodArguments *a)
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

static kern_return_t external_method(IOUserClient *client, uint64_t selector, IOUserClientMethodArguments *a,
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
static kern_return_t join_pages(Client *self, IOMemoryDescriptor **memory)
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

static kern_return_t memory_for_type(IOUserClient *client, uint64_t type, uint64_t *options, IOMemoryDescriptor **memory)
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

static kern_return_t client_stop(IOService *service, IOService *provider)
{
        stop_in_call = in_call;
        signal_add(&stopped);
        return IOService_Stop(service, provider);
}

static void client_free(OSObject *object)
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

static void on_ended(void *userdata, struct amb_connection *connection)
{
        signal_add(&connection_ended);
}

static void *control_run(void *context)
{
        struct pollfd pollfd = { .fd = amb_connection_side(app.connection), .events = POLLIN };

        do
                poll(&pollfd, 1, -1);
        while (amb_connection_serve_side(app.connection));
        return NULL;
}

/* As the app's library does it. */
static void app_knock(void *userdata)
{
        struct amb_side_message message = { .kind = AMB_SIDE_KNOCK };

        (void)amb_side_send(app.side, &message, -1, true);
}

static void control_start(void)
{
        ck_assert_int_eq(pthread_create(&app.control, NULL, control_run, NULL), 0);
}

/* Nobody serves the side socket. */
static void open_unserved(bool own_queue)
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

static void open_connection(bool own_queue)
{
        open_unserved(own_queue);
        control_start();
}

static struct amb_side_message ask(uint32_t kind, uint32_t id, uint32_t flags, uint64_t size, int fd, int *ret_fd)
{
        struct amb_side_message request = { .kind = kind, .serial = ++app.serial, .id = id, .flags = flags, .size = size }, answer = { 0 };
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
static struct amb_side_message next_extent(int *ret_fd)
{
        struct amb_side_message extent = { 0 };

        ck_assert_int_eq(amb_side_receive(app.side, true, &extent, ret_fd), 0);
        ck_assert_uint_eq(extent.kind, AMB_SIDE_EXTENT);
        ck_assert_uint_eq(extent.serial, app.serial);
        ck_assert_int_ge(*ret_fd, 0);
        return extent;
}

/* Everything is over: Stop came once, the user client is gone. */
static void expect_end(void)
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

static void close_connection(void)
{
        ck_assert_int_eq(ask(AMB_SIDE_CLOSE, 0, 0, 0, -1, NULL).code, 0);
        expect_end();
}

static struct amb_reply call(struct amb_call *c)
{
        struct amb_reply reply = { 0 };

        ck_assert_int_eq(amb_channel_call(app.channel, c, &reply), 0);
        return reply;
}

static void lend(struct lender *lender)
{
        int host = lender_start(lender);

        ck_assert_int_eq(ask(AMB_SIDE_LOANS, 0, 0, 0, host, NULL).code, 0);
        close(host);
}

START_TEST(scalars)
{
        uint64_t in[3] = { 1, 2, 39 }, out[16] = { 0 };
        struct amb_call c = { .selector = ADD, .scalars = in, .scalar_count = 3, .scalars_out = out, .scalar_capacity = 2 };
        struct amb_reply r;

        open_connection(_i == 1);
        r = call(&c);
        ck_assert_int_eq(r.status, 0);
        ck_assert_uint_eq(r.scalar_count, 1);
        ck_assert_uint_eq(out[0], 42);
        ck_assert(on_queue == (_i == 1));
        c.selector = RAISE;
        out[0] = 5;
        r = call(&c);
        ck_assert_uint_eq(r.scalar_count, 2);
        ck_assert_uint_eq(out[0], 0);
        c.selector = FAIL;
        r = call(&c);
        ck_assert_int_eq(r.status, -305);
        c.selector = 0xffffffff;
        r = call(&c);
        ck_assert_int_eq(r.status, kIOReturnUnsupported);
        close_connection();
}
END_TEST

/* A scalar call allocates nothing, on neither side. (Those with a structure make the driver's data object.) */
START_TEST(hot_without_memory)
{
        uint64_t in[16] = { [0] = 3, [15] = 4 }, out[16];
        struct amb_call c = { .selector = HOT, .scalar_count = 16, .scalar_capacity = 1, .scalars = in, .scalars_out = out };
        struct amb_reply reply;
        AMB_UNUSED void *volatile memory;
        uint64_t before;
        int done = 0;

        open_connection(_i == 1);
        ck_assert_int_eq(amb_channel_call(app.channel, &c, &reply), 0);
        before = allocations;
        while (done < 10000 && amb_channel_call(app.channel, &c, &reply) == 0 && reply.status == 0 && out[0] == 7)
                done++;
        before = allocations - before;
        ck_assert_uint_eq(before, 0);
        ck_assert_int_eq(done, 10000);
#ifdef COUNTED
        before = allocations;           /* it does count */
        memory = malloc((size_t)done);
        free(memory);
        ck_assert_uint_gt(allocations, before);
#endif
        close_connection();
}
END_TEST

START_TEST(structures)
{
        uint8_t in[4096], out[4096];
        struct amb_call c = { .selector = STRUCT, .bytes = in, .size = 4096, .bytes_out = out, .capacity = 4096 };
        struct amb_reply r;

        memset(in, 7, sizeof(in));
        open_connection(false);
        r = call(&c);
        ck_assert_int_eq(r.status, 0);
        ck_assert_uint_eq(r.flags, AMB_REPLY_BYTES);
        ck_assert_uint_eq(r.size, 4096);
        ck_assert_mem_eq(in, out, 4096);
        c.capacity = 4095;
        ck_assert_int_eq(call(&c).status, kIOReturnBadArgument);
        c.capacity = 0;
        ck_assert_int_eq(call(&c).status, kIOReturnBadArgument);
        c.size = 0;
        r = call(&c);
        ck_assert_int_eq(r.status, 0);
        ck_assert_uint_eq(r.size, 0);
        c.selector = TOO_LONG;
        c.capacity = 16;
        ck_assert_int_eq(call(&c).status, kIOReturnBadArgument);
        c.selector = NOT_DATA;
        ck_assert_int_eq(call(&c).status, kIOReturnBadArgument);
        c.selector = DEFAULTS;
        r = call(&c);
        ck_assert_int_eq(r.status, 0);
        ck_assert_uint_eq(r.flags, 0);
        c.capacity = AMB_CHANNEL_VARIABLE;
        ck_assert_int_eq(call(&c).status, kIOReturnUnderrun);
        c.selector = STRUCT;
        c.size = 100;
        r = call(&c);
        ck_assert_uint_eq(r.size, 100);
        close_connection();
}
END_TEST

START_TEST(large)
{
        struct amb_call c = { .selector = STRUCT, .flags = AMB_CALL_RANGE_IN | AMB_CALL_RANGE_OUT, .range_in = { 1, 100, 5000 },
                              .range_out = { 2, 0, 5000 } };
        struct amb_side_message fetched;
        struct lender lender;
        uint8_t *in, *out, *got;
        struct amb_reply r;
        int fd;

        open_connection(false);
        lend(&lender);
        in = lender_offer(&lender, 1, 0, 100, 5000);
        out = lender_offer(&lender, 2, AMB_LOAN_WRITABLE, 0, 5000);
        memset(in + 100, 9, 5000);
        r = call(&c);
        ck_assert_int_eq(r.status, 0);
        ck_assert_uint_eq(r.flags, 0);
        ck_assert_int_eq(out[4999], 9);
        ck_assert_int_eq(out[5000], 0);
        c.range_in.length = 4096;
        ck_assert_int_eq(call(&c).status, kIOReturnIPCError);
        c = (struct amb_call){ .selector = STRUCT, .flags = AMB_CALL_RANGE_OUT, .range_out = { 2, 0, 0x100000000 } };
        ck_assert_int_eq(call(&c).status, kIOReturnIPCError);
        c = (struct amb_call){ .selector = STRUCT, .flags = AMB_CALL_RANGE_IN, .range_in = { 1, 100, 5000 }, .capacity = AMB_CHANNEL_VARIABLE };
        c.bytes_out = out;
        r = call(&c);
        ck_assert_int_eq(r.status, 0);
        ck_assert_uint_eq(r.flags, AMB_REPLY_LARGE);
        ck_assert_uint_eq(r.length, 5000);
        fetched = ask(AMB_SIDE_FETCH, r.out_region, 0, 0, -1, &fd);
        ck_assert_uint_eq(fetched.size, 5000);
        ck_assert(amb_side_memory_check(fd, 5000, 0));
        got = mmap(NULL, 5000, PROT_READ, MAP_SHARED, fd, 0);
        ck_assert_mem_eq(got, in + 100, 5000);
        close(fd);
        ck_assert_int_eq(ask(AMB_SIDE_FETCH, r.out_region, 0, 0, -1, NULL).code, kIOReturnBadArgument);
        c.selector = RETAIN_IN;
        c.capacity = 0;
        r = call(&c);
        ck_assert_uint_eq(r.flags, AMB_REPLY_IN_RETAINED);
        close_connection();
        signal_wait(&lender.returned, 1);
        lender_end(&lender);
}
END_TEST

START_TEST(completions)
{
        struct amb_call c = { .selector = COMPLETE, .flags = AMB_CALL_ASYNC, .port = 3, .reference = { 9, 1, 2, 3, 4, 5, 6, 7 } };
        struct amb_completion done;
        struct pollfd pollfd = { .events = POLLIN };
        int write_fd;

        open_connection(false);
        ck_assert_int_eq(amb_side_port_create(&pollfd.fd, &write_fd), 0);
        ck_assert_int_eq(ask(AMB_SIDE_PORT, 3, 0, 0, write_fd, NULL).code, 0);
        close(write_fd);
        ck_assert(amb_channel_completion_arm(app.channel, 3));
        ck_assert_int_eq(call(&c).status, 0);
        ck_assert_int_eq(poll(&pollfd, 1, -1), 1);
        amb_side_port_drain(pollfd.fd);
        for (uint32_t i = 0; i <= 16; i++) {
                ck_assert_int_eq(amb_channel_completion_next(app.channel, &done), 0);
                ck_assert_uint_eq(done.count, i);
                ck_assert_int_eq(done.status, (int)i);
                ck_assert_uint_eq(done.port, 3);
                ck_assert_uint_eq(done.reference[0], 0);
                ck_assert_uint_eq(done.reference[7], 7);
        }
        ck_assert_int_eq(amb_channel_completion_next(app.channel, &done), AMB_CHANNEL_EMPTY);
        /* A kept action works after the close. */
        c.selector = KEEP;
        ck_assert_int_eq(call(&c).status, 0);
        OSObject_retain(app.client);
        ck_assert_int_eq(ask(AMB_SIDE_CLOSE, 0, 0, 0, -1, NULL).code, 0);
        signal_wait(&connection_ended, 1);
        ck_assert(amb_channel_completion_arm(app.channel, 3));
        IOUserClient_AsyncCompletion(&app.client->client, app.client->kept, 77, NULL, 0);
        ck_assert_int_eq(poll(&pollfd, 1, -1), 1);
        ck_assert_int_eq(amb_channel_completion_next(app.channel, &done), 0);
        ck_assert_int_eq(done.status, 77);
        OSObject_release(app.client);
        close(pollfd.fd);
        expect_end();
}
END_TEST

/* Whatever an application does with a descriptor of read-only memory, the kernel does not let it write. */
static void expect_no_way_to_write(int fd)
{
        AMB_FREE char *path = amb_format("/proc/self/fd/%d", fd);
        AMB_FD anew = open(path, O_RDWR | O_CLOEXEC);
        int fds[] = { fd, anew };
        void *memory;

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(fds) && fds[i] >= 0; i++) {
                ck_assert_int_lt(pwrite(fds[i], "x", 1, 0), 0);
                ck_assert_int_lt(ftruncate(fds[i], 0), 0);
                ck_assert_int_lt(fallocate(fds[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
                ck_assert_int_lt(fcntl(fds[i], F_ADD_SEALS, F_SEAL_WRITE), 0);
                ck_assert_ptr_eq(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fds[i], 0), MAP_FAILED);
                memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fds[i], 0);
                ck_assert_ptr_ne(memory, MAP_FAILED);
                ck_assert_int_lt(mprotect(memory, 4096, PROT_READ | PROT_WRITE), 0);
                ck_assert_int_lt(madvise(memory, 4096, MADV_REMOVE), 0);
                munmap(memory, 4096);
        }
}

START_TEST(mappings)
{
        struct amb_side_message answer, again, extent;
        uint8_t *memory;
        int fd;

        open_connection(_i == 1);
        ck_assert_int_eq(ask(AMB_SIDE_MAP_MORE, 0, 0, 0, -1, NULL).code, kIOReturnBadArgument);
        ck_assert_int_eq(ask(AMB_SIDE_MAP, 9, 0, 0, -1, NULL).code, kIOReturnNoDevice);
        ck_assert_int_eq(ask(AMB_SIDE_MAP, 2, 0, 0, -1, NULL).code, kIOReturnBadArgument);
        answer = ask(AMB_SIDE_UNMAP, 2, 0, 0, -1, NULL);
        ck_assert(answer.code == 0 && answer.identity == 0);
        answer = ask(AMB_SIDE_MAP, 1, 0, 0, -1, NULL);
        ck_assert_int_eq(answer.code, 0);
        ck_assert_uint_eq(answer.size, 5000);
        ck_assert_uint_eq(answer.id, 1);
        ck_assert_uint_eq(answer.flags, AMB_SIDE_READ_ONLY);
        extent = next_extent(&fd);
        ck_assert_uint_eq(extent.size, 5000);
        ck_assert_uint_eq(extent.offset, 0);
        ck_assert(amb_side_memory_check(fd, 8192, F_SEAL_FUTURE_WRITE));
        memory = mmap(NULL, 5000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ck_assert_ptr_eq(memory, MAP_FAILED);
        expect_no_way_to_write(fd);
        close(fd);
        again = ask(AMB_SIDE_UNMAP, 1, 0, 0, -1, NULL);
        ck_assert_uint_eq(again.identity, answer.identity);
        /* the same buffer, writable now: refused */
        ck_assert_int_eq(ask(AMB_SIDE_MAP, 0, 0, 0, -1, NULL).code, kIOReturnBadArgument);
        close_connection();
}
END_TEST

/* The extents behind one answer are what join_pages has made. */
static void expect_pieces(uint32_t first, uint32_t count)
{
        for (uint32_t i = first; i < first + count; i++) {
                int fd;
                struct amb_side_message extent = next_extent(&fd);

                ck_assert_uint_eq(extent.offset, i == PIECES - 1 ? IOVMPageSize : 0);
                ck_assert_uint_eq(extent.size, i == PIECES - 1 ? 5000 - IOVMPageSize : IOVMPageSize);
                ck_assert(amb_side_memory_check(fd, 8192, 0));
                close(fd);
        }
}

/* Memory of many pieces comes in parts; what the app has not got yet is kept for it, once, and not beyond the end. */
START_TEST(mapping_in_pieces)
{
        struct amb_side_message answer;
        IOBufferMemoryDescriptor *buffer;

        open_connection(_i == 1);
        buffer = app.client->memory;
        OSObject_retain(buffer);
        answer = ask(AMB_SIDE_MAP, 3, 0, 0, -1, NULL);
        ck_assert_int_eq(answer.code, 0);
        ck_assert_uint_eq(answer.id, PIECES);
        ck_assert_uint_eq(answer.size, (PIECES - 1) * IOVMPageSize + 5000 - IOVMPageSize);
        expect_pieces(0, AMB_SIDE_EXTENTS_AT_ONCE);
        answer = ask(AMB_SIDE_MAP_MORE, 0, 0, 0, -1, NULL);
        ck_assert_uint_eq(answer.id, PIECES - AMB_SIDE_EXTENTS_AT_ONCE);
        expect_pieces(AMB_SIDE_EXTENTS_AT_ONCE, AMB_SIDE_EXTENTS_AT_ONCE);
        ck_assert_uint_eq(ask(AMB_SIDE_MAP_MORE, 0, 0, 0, -1, NULL).id, 6);
        expect_pieces(2 * AMB_SIDE_EXTENTS_AT_ONCE, 6);
        ck_assert_uint_eq(OSObject_getRetainCount(buffer), 2);
        ck_assert_int_eq(ask(AMB_SIDE_MAP_MORE, 0, 0, 0, -1, NULL).code, kIOReturnBadArgument);
        /* Another map forgets the one before; the end forgets the last. */
        for (int i = 0; i < 2; i++) {
                answer = ask(AMB_SIDE_MAP, 3, 0, 0, -1, NULL);
                expect_pieces(0, AMB_SIDE_EXTENTS_AT_ONCE);
                ck_assert_uint_eq(OSObject_getRetainCount(buffer), 2 + PIECES);
        }
        answer = ask(AMB_SIDE_MAP_MORE, 0, 0, 0, -1, NULL);
        ck_assert_uint_eq(answer.id, PIECES - AMB_SIDE_EXTENTS_AT_ONCE);
        expect_pieces(AMB_SIDE_EXTENTS_AT_ONCE, AMB_SIDE_EXTENTS_AT_ONCE);
        close_connection();
        ck_assert_uint_eq(OSObject_getRetainCount(buffer), 1);
        OSObject_release(buffer);
}
END_TEST

/* An app that asks and does not read fills nothing but its socket, and is cut off. */
START_TEST(mapping_not_read)
{
        struct amb_side_message request = { .kind = AMB_SIDE_MAP, .id = 3 };
        int bytes = 65536;

        open_connection(false);
        ck_assert_int_eq(setsockopt(amb_connection_side(app.connection), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
        while (request.serial++ < AMB_SIDE_PENDING_MAX / 2)
                ck_assert_int_eq(amb_side_send(app.side, &request, -1, true), 0);
        expect_end();
}
END_TEST

/* M78: a mapping waits for the call in progress, also on another queue. */
static void *blocked_call(void *context)
{
        struct amb_call c = { .selector = BLOCK };

        *(struct amb_reply *)context = call(&c);
        return NULL;
}

START_TEST(mapping_waits)
{
        struct amb_side_message request = { .kind = AMB_SIDE_MAP, .serial = 1000 }, answer;
        struct amb_reply reply = { .status = 1 };
        pthread_t caller;
        int fd;

        open_connection(_i == 1);
        pthread_create(&caller, NULL, blocked_call, &reply);
        signal_wait(&entered, 1);
        ck_assert_int_eq(amb_side_send(app.side, &request, -1, true), 0);
        /* Another request is answered: the control thread has gone past the mapping, which cannot have begun (memory_for_type checks). */
        ck_assert_int_eq(ask(AMB_SIDE_PORT_DROP, 0, 0, 0, -1, NULL).code, 0);
        signal_add(&go);
        ck_assert_int_eq(amb_side_receive(app.side, true, &answer, &fd), 0);
        ck_assert_uint_eq(answer.serial, 1000);
        ck_assert_int_eq(answer.code, 0);
        ck_assert_int_eq(fd, -1);
        app.serial = 1000;
        (void)next_extent(&fd);
        close(fd);
        pthread_join(caller, NULL);
        ck_assert_int_eq(reply.status, 0);
        close_connection();
}
END_TEST

/* A close and a death in the middle of a call: the call returns, then Stop. */
START_TEST(ends_mid_call)
{
        struct amb_side_message request = { .kind = AMB_SIDE_CLOSE, .serial = 1000 }, answer;
        struct amb_reply reply = { .status = 1 };
        pthread_t caller;
        int fd;

        open_connection(true);
        pthread_create(&caller, NULL, blocked_call, &reply);
        signal_wait(&entered, 1);
        if (_i == 0)
                ck_assert_int_eq(amb_side_send(app.side, &request, -1, true), 0);
        else
                amb_connection_app_gone(app.connection);
        ck_assert_int_eq(signal_count(&stopped), 0);
        signal_add(&go);
        pthread_join(caller, NULL);
        ck_assert_int_eq(reply.status, 0);
        if (_i == 0) {
                ck_assert_int_eq(amb_side_receive(app.side, true, &answer, &fd), 0);
                ck_assert_uint_eq(answer.serial, 1000);
        }
        ck_assert_int_eq(amb_side_receive(app.side, true, &answer, &fd), AMB_SIDE_END);
        expect_end();
}
END_TEST

/* What the registry does: it knows the user client by its number, and stops it. */
static void known_as(uint64_t entry)
{
        ck_assert_int_eq(amb_service_attach(&app.client->client.service, entry, NULL, NULL, "client"), 0);
        amb_table_add(&app.client->client.service);
}

static void stop_known(uint64_t entry)
{
        IOService *service = amb_table_find(entry);

        ck_assert_ptr_nonnull(service);
        amb_service_stop(service);
        OSObject_release(service);
}

/* Refused at once, also when idle; a mapping too. After Stop nothing of the driver's is left, although the app has not closed. */
START_TEST(refused_after_termination)
{
        struct amb_call c = { .selector = ADD };
        struct amb_side_message answer;
        struct amb_reply reply;

        open_connection(_i == 1);
        known_as(1);
        call(&c);
        ck_assert(!amb_connection_serves(app.connection, 7));
        ck_assert(amb_connection_serves(app.connection, 1));
        amb_connection_refuse(app.connection);
        ck_assert(amb_channel_terminated(app.channel));
        ck_assert_int_eq(amb_channel_call(app.channel, &c, &reply), AMB_CHANNEL_TERMINATED);
        answer = ask(AMB_SIDE_MAP, 0, 0, 0, -1, NULL);
        ck_assert(answer.code == 0 && answer.flags == AMB_SIDE_TERMINATED && answer.size == 0 && answer.identity == 0);
        answer = ask(AMB_SIDE_UNMAP, 0, 0, 0, -1, NULL);
        ck_assert(answer.code == 0 && answer.flags == AMB_SIDE_TERMINATED);
        stop_known(1);
        signal_wait(&freed, 1);
        close_connection();
}
END_TEST

/* No thread waits while the app is silent; calls, the end and a termination find somebody all the same. */
START_TEST(rests)
{
        uint64_t in = 42, out[16] = { 0 };
        struct amb_call c = { .selector = ADD, .scalars = &in, .scalar_count = 1, .scalars_out = out, .scalar_capacity = 2 };
        struct amb_reply r;

        open_connection(false);
        if (_i == 1)
                known_as(1);
        ck_assert(amb_connection_rest(app.connection));
        for (int i = 0; i < 50; i++) {
                ck_assert_int_eq(call(&c).status, 0);
                while (!amb_connection_rest(app.connection))
                        sched_yield();
        }
        if (_i == 1) {
                amb_connection_refuse(app.connection);
                ck_assert_int_eq(amb_channel_call(app.channel, &c, &r), AMB_CHANNEL_TERMINATED);
                while (!amb_connection_rest(app.connection))
                        sched_yield();
                stop_known(1);
                signal_wait(&freed, 1);
        }
        if (_i == 2) {
                shutdown(app.side, SHUT_RDWR);
                expect_end();
        } else {
                close_connection();
        }
}
END_TEST

/* A call in progress goes on, its answer arrives unchanged; then the driver's object is let go. The end of the app stops what was not. */
static uint32_t side_fill(uint32_t kind)
{
        struct amb_side_message message = { .kind = kind };
        uint32_t sent = 0;

        while (amb_side_send(app.side, &message, -1, false) == 0)
                sent++;
        return sent;
}

/* What needs no answer may come without end: it is served in pieces, so that others have their turn. */
START_TEST(silent_messages_in_pieces)
{
        uint64_t in[3] = { 1, 2, 39 }, out[1] = { 0 };
        struct amb_call c = { .selector = ADD, .scalars = in, .scalar_count = 3, .scalars_out = out, .scalar_capacity = 1 };
        struct pollfd pollfd = { .events = POLLIN };
        uint32_t sent, rounds = 0;

        open_unserved(false);
        pollfd.fd = amb_connection_side(app.connection);
        sent = side_fill(_i ? AMB_SIDE_KNOCK : AMB_SIDE_PORT_DROP);
        ck_assert_uint_gt(sent, 100);
        for (; poll(&pollfd, 1, 0) > 0; rounds++)
                ck_assert(amb_connection_serve_side(app.connection));
        ck_assert_uint_ge(rounds, sent / 50);
        ck_assert_uint_le(rounds, sent);
        control_start();
        ck_assert_int_eq(call(&c).status, 0);
        ck_assert_uint_eq(out[0], 42);
        close_connection();
}
END_TEST

START_TEST(terminated_in_call)
{
        struct amb_reply reply = { .status = 1 };
        pthread_t caller;

        open_connection(true);
        known_as(1);
        pthread_create(&caller, NULL, blocked_call, &reply);
        signal_wait(&entered, 1);
        amb_connection_refuse(app.connection);
        if (_i == 0)
                stop_in_call = false;
        signal_add(&go);
        pthread_join(caller, NULL);
        ck_assert_int_eq(reply.status, 0);
        if (_i == 0)
                stop_known(1);
        close_connection();
}
END_TEST

/* Reads `count` completions with the numbers from `from`, as an application does. */
static void take_completions(uint64_t from, uint64_t count)
{
        struct amb_completion done;
        int r;

        while (count > 0) {
                r = amb_channel_completion_next(app.channel, &done);
                if (r == AMB_CHANNEL_EMPTY) {
                        sched_yield();
                        continue;
                }
                ck_assert_int_eq(r, 0);
                ck_assert_uint_eq(done.args[0], from++);
                count--;
        }
}

static void give_port(uint32_t name, int *ret_read)
{
        int write_fd;

        ck_assert_int_eq(amb_side_port_create(ret_read, &write_fd), 0);
        ck_assert_int_eq(ask(AMB_SIDE_PORT, name, 0, 0, write_fd, NULL).code, 0);
        close(write_fd);
}

enum { MANY = 3000 };

static void complete_many(OSAction *action)
{
        for (uint64_t i = 0; i < MANY; i++)
                IOUserClient_AsyncCompletion(&app.client->client, action, 0, &i, 1);
}

/* More completions than the ring holds: 0, in an idle connection; 1, while its thread is inside a long call; 2, after the close. */
START_TEST(kept_completions_arrive)
{
        struct amb_call c = { .selector = KEEP, .flags = AMB_CALL_ASYNC, .port = 3 };
        struct amb_reply reply = { .status = 1 };
        OSAction *action;
        pthread_t caller;
        int port;

        open_connection(false);
        give_port(3, &port);
        ck_assert_int_eq(call(&c).status, 0);
        signal_wait(&kept, 1);
        action = amb_steal(app.client->kept);
        OSObject_retain(app.client);
        if (_i == 1) {
                pthread_create(&caller, NULL, blocked_call, &reply);
                signal_wait(&entered, 1);
        }
        complete_many(action);
        if (_i == 2) {
                ck_assert_int_eq(ask(AMB_SIDE_CLOSE, 0, 0, 0, -1, NULL).code, 0);
                signal_wait(&connection_ended, 1);
        }
        take_completions(0, MANY);
        if (_i == 2) {
                /* and all over again, when nothing of the connection is left but the action */
                amb_connection_finish(app.connection);
                complete_many(action);
                take_completions(0, MANY);
        }
        OSObject_release(app.client);
        OSObject_release(action);
        if (_i == 1) {
                signal_add(&go);
                pthread_join(caller, NULL);
        }
        if (_i == 2)
                expect_end();
        else
                close_connection();
        close(port);
}
END_TEST

/* An index is used again: the former owner's completions do not come under the new name, and nothing of its is kept. */
START_TEST(port_used_again)
{
        struct amb_call c = { .selector = KEEP, .flags = AMB_CALL_ASYNC, .port = 3 | 1 << 8 };
        struct amb_side_message drop = { .kind = AMB_SIDE_PORT_DROP, .id = 3 | 1 << 8 };
        struct amb_completion done;
        OSAction *first;
        int ports[2];

        open_connection(false);
        give_port(3 | 1 << 8, &ports[0]);
        ck_assert_int_eq(call(&c).status, 0);
        signal_wait(&kept, 1);
        first = amb_steal(app.client->kept);
        complete_many(first);
        ck_assert_int_eq(amb_side_send(app.side, &drop, -1, true), 0);
        give_port(3 | 2 << 8, &ports[1]);
        /* too late to do harm */
        ck_assert_int_eq(amb_side_send(app.side, &drop, -1, true), 0);
        c.port = 3 | 2 << 8;
        ck_assert_int_eq(call(&c).status, 0);
        complete_many(first);
        signal_wait(&kept, 2);
        IOUserClient_AsyncCompletion(&app.client->client, app.client->kept, 77, NULL, 0);
        for (unsigned i = 0; i < 64; i++) {
                ck_assert_int_eq(amb_channel_completion_next(app.channel, &done), 0);
                ck_assert_uint_eq(done.port, 3 | 1 << 8);
        }
        while (amb_channel_completion_next(app.channel, &done) == AMB_CHANNEL_EMPTY)
                sched_yield();
        ck_assert_uint_eq(done.port, 3 | 2 << 8);
        ck_assert_int_eq(done.status, 77);
        OSObject_release(first);
        close_connection();
        close(ports[0]);
        close(ports[1]);
}
END_TEST

/* Each of these gets the application cut off, and nothing else. */
static void breach(int which)
{
        struct amb_side_message m = { .kind = AMB_SIDE_LOANS, .serial = 1 };
        struct amb_call c = { .selector = STRUCT, .flags = AMB_CALL_RANGE_IN, .range_in = { 5, 0, 5000 } };
        struct amb_reply reply;
        int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING), pipes[2], pair[2];

        ck_assert_int_eq(ftruncate(fd, 4096), 0);
        ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
        switch (which) {
        case 0:         /* the second of its kind */
                ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
                ck_assert_int_eq(ask(AMB_SIDE_LOANS, 0, 0, 0, pair[0], NULL).code, 0);
                dup2(pair[1], fd);
                break;
        case 1:         /* no socket */
                break;
        case 2:         /* a socket of another kind */
                ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
                dup2(pair[0], fd);
                break;
        case 3:         /* a port that is a pipe */
                m = (struct amb_side_message){ .kind = AMB_SIDE_PORT, .serial = 1 };
                dup2(pipes[1], fd);
                break;
        case 4:         /* a descriptor where none belongs */
                m = (struct amb_side_message){ .kind = AMB_SIDE_MAP, .serial = 1 };
                break;
        case 5:         /* unknown */
                m = (struct amb_side_message){ .kind = 63, .serial = 1 };
                fd = -1;
                break;
        case 6:         /* truncated */
                ck_assert_int_eq(send(app.side, &m, 10, 0), 10);
                return;
        case 7:         /* empty */
                send(app.side, &m, 0, 0);
                return;
        case 8:         /* calls that name memory as only the host does, nobody does, or outside its first page */
        case 9:
        case 10:
                c.range_in.id = which == 8 ? AMB_LOAN_HOST_TICKET | 1 : which == 9 ? 0 : 5;
                c.range_in.offset = which == 10 ? IOVMPageSize : 0;
                (void)amb_channel_call(app.channel, &c, &reply);
                return;
        case 11:        /* a trap's name that could shrink while it is read */
                m = (struct amb_side_message){ .kind = AMB_SIDE_TRAP, .serial = 1, .size = 4 };
                ck_assert_int_eq(ftruncate(fd, 4), 0);
                break;
        case 12:        /* one longer than any name */
                m = (struct amb_side_message){ .kind = AMB_SIDE_TRAP, .serial = 1, .size = AMB_SIDE_NAME_MAX + 1 };
                break;
        case 13:        /* one of another length than it says */
                fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
                m = (struct amb_side_message){ .kind = AMB_SIDE_TRAP, .serial = 1, .size = 4 };
                break;
        }
        ck_assert_int_eq(amb_side_send(app.side, &m, fd, true), 0);
}

START_TEST(breaches)
{
        struct amb_side_message answer;
        int fd;

        open_connection(false);
        breach(_i);
        ck_assert_int_eq(amb_side_receive(app.side, true, &answer, &fd), AMB_SIDE_END);
        expect_end();
}
END_TEST

static void *call_until_over(void *context)
{
        uint64_t in[1] = { 1 }, out[1];
        struct amb_call c = { .selector = ADD, .scalars = in, .scalar_count = 1, .scalars_out = out, .scalar_capacity = 1 };
        struct amb_reply reply;
        int r;

        do {
                signal_add(&entered);
                r = amb_channel_call(app.channel, &c, &reply);
        } while (r == 0);
        ck_assert_msg(r == AMB_CHANNEL_PEER_DIED || r == AMB_CHANNEL_CLOSED, "%d", r);
        ck_assert_int_eq(amb_channel_call(app.channel, &c, &reply), AMB_CHANNEL_CLOSED);
        return NULL;
}

/*
 * An app that is cut off does not wait for answers that nobody gives any more, though the driver holds something of the connection's;
 * and what that is for still works.
 */
START_TEST(told_that_calls_are_over)
{
        struct amb_call c = { .selector = KEEP, .flags = AMB_CALL_ASYNC, .port = 3 };
        struct amb_completion done;
        pthread_t caller;
        int port;

        open_connection(false);
        give_port(3, &port);
        ck_assert_int_eq(call(&c).status, 0);
        OSObject_retain(app.client);
        pthread_create(&caller, NULL, call_until_over, NULL);
        signal_wait(&entered, 10);
        breach(6);
        pthread_join(caller, NULL);
        signal_wait(&connection_ended, 1);
        IOUserClient_AsyncCompletion(&app.client->client, app.client->kept, 77, NULL, 0);
        ck_assert_int_eq(amb_channel_completion_next(app.channel, &done), 0);
        ck_assert_int_eq(done.status, 77);
        ck_assert_int_eq(amb_channel_completion_next(app.channel, &done), AMB_CHANNEL_EMPTY);
        OSObject_release(app.client);
        close(port);
        expect_end();
}
END_TEST

static void *map_in(void *context)
{
        struct amb_call c = { .selector = MAP_IN, .flags = AMB_CALL_RANGE_IN, .range_in = { 1, 0, 5000 } };

        *(struct amb_reply *)context = call(&c);
        return NULL;
}

/* Nobody answers what is asked of the memory (0), there is no socket to ask over (1), or the application dies while it is asked (2). */
START_TEST(unanswered)
{
        struct amb_call c = { .selector = MAP_IN, .flags = AMB_CALL_RANGE_IN, .range_in = { 1, 0, 5000 } };
        struct amb_side_message answer;
        struct amb_reply reply = { 0 };
        struct amb_loan_message question;
        struct pollfd pollfd = { .events = POLLIN };
        pthread_t caller;
        int pair[2], fd;

        if (_i != 2)
                amb_borrow_wait_ns = 100000000;
        open_connection(true);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        if (_i != 1)
                ck_assert_int_eq(ask(AMB_SIDE_LOANS, 0, 0, 0, pair[1], NULL).code, 0);
        close(pair[1]);
        if (_i == 2) {
                pthread_create(&caller, NULL, map_in, &reply);
                pollfd.fd = pair[0];
                ck_assert_int_eq(poll(&pollfd, 1, -1), 1);
                ck_assert_int_eq(amb_loan_receive(pair[0], &question, &fd), 0);
                close(pair[0]);
                pthread_join(caller, NULL);
                ck_assert_int_eq(reply.status, kIOReturnError);
                close_connection();
                return;
        }
        if (_i == 1) {
                ck_assert_int_eq(call(&c).status, kIOReturnError);
                close_connection();
                close(pair[0]);
                return;
        }
        /* The reply of a call whose application is cut off may or may not get there. */
        if (amb_channel_call(app.channel, &c, &reply) == 0)
                ck_assert_int_eq(reply.status, kIOReturnError);
        ck_assert_int_eq(amb_side_receive(app.side, true, &answer, &fd), AMB_SIDE_END);
        expect_end();
        close(pair[0]);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("connection");
        TCase *tcase = tcase_create("connection");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_loop_test(tcase, scalars, 0, 2);
        tcase_add_loop_test(tcase, rests, 0, 3);
        tcase_add_loop_test(tcase, silent_messages_in_pieces, 0, 2);
        tcase_add_loop_test(tcase, hot_without_memory, 0, 2);
        tcase_add_test(tcase, structures);
        tcase_add_test(tcase, large);
        tcase_add_test(tcase, completions);
        tcase_add_loop_test(tcase, mappings, 0, 2);
        tcase_add_loop_test(tcase, mapping_in_pieces, 0, 2);
        tcase_add_test(tcase, mapping_not_read);
        tcase_add_loop_test(tcase, mapping_waits, 0, 2);
        tcase_add_loop_test(tcase, ends_mid_call, 0, 2);
        tcase_add_loop_test(tcase, refused_after_termination, 0, 2);
        tcase_add_loop_test(tcase, terminated_in_call, 0, 2);
        tcase_add_loop_test(tcase, kept_completions_arrive, 0, 3);
        tcase_add_test(tcase, port_used_again);
        tcase_add_loop_test(tcase, breaches, 0, 14);
        tcase_add_test(tcase, told_that_calls_are_over);
        tcase_add_loop_test(tcase, unanswered, 0, 3);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
