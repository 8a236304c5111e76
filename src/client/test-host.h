/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A driver's host for tests: the host's ends of channel and side socket, served by two threads, in this process or in a child.
 * What a call does is chosen by its selector.
 */
#include <semaphore.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "client/connection.h"
#include "client/share.h"
#include "client/test-borrow.h"

enum {
        HOST_ADD_ONE,           /* scalars in, each plus one, out */
        HOST_ECHO,              /* structure in = structure out, inline or not */
        HOST_SILENT,            /* success without any output */
        HOST_COMPLETE,          /* async: one completion with scalars[0] values 1, 2, 3..., status scalars[1] */
        HOST_BLOCK,             /* posts `entered`, waits for `released`, returns 77 */
        HOST_SPOIL,             /* writes "spoiled" to the output's memory, returns kIOReturnIOError */
        HOST_VARIABLE,          /* scalars[0] bytes of 'v' */
        HOST_STATUS,            /* returns scalars[0] */
        HOST_RETAIN,            /* as ECHO, and keeps both ranges until host_give_back() */
        /* scalars out: scalar count, capacity, size, structure capacity, flags, async port's reference[1] */
        HOST_SEEN,
        HOST_LATER,             /* remembers the completion; sent by host_complete_later() */
};

#define HOST_KEPT 64

struct host_extent;

struct host {
        struct amb_channel *channel;
        int side;
        pthread_t calls, requests;
        sem_t entered, released, closed;        /* closed: the side socket has ended */
        struct borrower borrower;
        struct borrowed in, out;        /* of the call that is served, mapped */
        struct borrowed kept[HOST_KEPT];
        uint32_t kept_count;
        /* Of what one thread sets and another uses: the channel orders them, which the thread sanitizer does not see. */
        pthread_mutex_t lock;
        int ports[AMB_SIDE_PORTS_MAX];
        struct amb_request later;
        _Atomic uint32_t port_drops;
        _Atomic bool terminated;        /* as a host does it: answers for the driver */
        int output_fd, memory_fd;
        const struct host_extent *extents;      /* of every memory type, instead of memory_fd */
        uint32_t extent_count, extents_left;
        uint64_t mapped_size;
        uint64_t output_size;
        bool map_fails;
        uint64_t identity;
};

static void host_wake(void *userdata, uint32_t port)
{
        struct host *host = userdata;

        pthread_mutex_lock(&host->lock);
        if (port < AMB_SIDE_PORTS_MAX && host->ports[port] >= 0)
                amb_side_port_wake(host->ports[port]);
        pthread_mutex_unlock(&host->lock);
}

/* Takes over fd. */
static void host_port_set(struct host *host, uint32_t name, int fd)
{
        int *port = &host->ports[AMB_CHANNEL_PORT_INDEX(name)];

        pthread_mutex_lock(&host->lock);
        amb_fd_close(*port);
        *port = fd;
        pthread_mutex_unlock(&host->lock);
}

struct host_extent {
        int fd;
        uint64_t offset, size;
};

static int host_sealed_memory(const void *bytes, size_t used, size_t size)
{
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0 || ftruncate(fd, (off_t)size) < 0 || (used && pwrite(fd, bytes, used, 0) != (ssize_t)used) ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                abort();
        return fd;
}

static void host_complete(struct host *host, const struct amb_request *request, uint32_t count, int32_t status)
{
        struct amb_completion completion = { .port = request->port, .status = status, .count = count };

        memcpy(completion.reference, request->reference, sizeof(completion.reference));
        for (uint32_t i = 0; i < count; i++)
                completion.args[i] = i + 1;
        if (amb_channel_complete(host->channel, &completion) != 0)
                abort();
}

AMB_UNUSED static void host_complete_later(struct host *host, uint32_t count, int32_t status)
{
        struct amb_request later;

        pthread_mutex_lock(&host->lock);
        later = host->later;
        pthread_mutex_unlock(&host->lock);
        host_complete(host, &later, count, status);
}

/* A range of the call, mapped; the call fails like a driver's mapping if the app does not have it. */
static int32_t host_range(struct host *host, const struct amb_range *range, struct borrowed *ret)
{
        if (!borrower_await(&host->borrower) || !borrower_borrow(&host->borrower, range->id, 0, NULL, 0, ret))
                return kIOReturnNotReady;
        if (ret->code == 0 && (ret->length != range->length ||
                               (size_t)(ret->memory - (char *)ret->base) != range->offset % (size_t)sysconf(_SC_PAGESIZE)))
                abort();
        return ret->code;
}

/* The ranges stay mapped only if the call retains them. */
static void host_range_end(struct host *host, struct borrowed *range, bool keep)
{
        if (keep && range->base) {
                if (host->kept_count == HOST_KEPT)
                        abort();
                host->kept[host->kept_count++] = *range;
        } else {
                borrowed_unmap(range);
        }
        *range = (struct borrowed){ 0 };
}

static void host_echo(struct host *host, const struct amb_request *request, char *bytes, struct amb_result *result)
{
        size_t size = request->flags & AMB_CALL_RANGE_IN ? host->in.length : request->size;
        char *input = request->flags & AMB_CALL_RANGE_IN ? host->in.memory : bytes;

        if (request->flags & AMB_CALL_RANGE_OUT) {
                memcpy(host->out.memory, input, size < host->out.length ? size : host->out.length);
        } else if (request->capacity) {
                result->flags |= AMB_REPLY_BYTES;
                result->bytes = input;
                result->size = size < request->capacity ? (uint32_t)size : request->capacity;
        }
}

static void host_variable(struct host *host, const struct amb_request *request, struct amb_result *result)
{
        static char text[1 << 20];
        size_t size = request->scalars[0];

        memset(text, 'v', size);
        if (size <= AMB_CHANNEL_BYTES) {
                result->flags = AMB_REPLY_BYTES;
                result->bytes = text;
                result->size = (uint32_t)size;
                return;
        }
        host->output_fd = host_sealed_memory(text, size, size);
        host->output_size = size;
        result->flags = AMB_REPLY_LARGE;
        result->out_region = 5;
        result->length = size;
}

static bool host_uses_ranges(uint32_t selector)
{
        return selector == HOST_ECHO || selector == HOST_RETAIN || selector == HOST_SPOIL;
}

static void host_call(struct host *host, const struct amb_request *request, char *bytes)
{
        uint64_t scalars[AMB_CHANNEL_SCALARS] = { 0 };
        struct amb_result result = { .scalars = scalars };
        bool keep = request->selector == HOST_RETAIN;

        if (host_uses_ranges(request->selector) && (request->flags & AMB_CALL_RANGE_IN))
                result.status = host_range(host, &request->range_in, &host->in);
        if (result.status == 0 && host_uses_ranges(request->selector) && (request->flags & AMB_CALL_RANGE_OUT))
                result.status = host_range(host, &request->range_out, &host->out);
        switch (result.status == 0 ? request->selector : HOST_SILENT) {
        case HOST_ADD_ONE:
                result.scalar_count = request->scalar_capacity < request->scalar_count ? request->scalar_capacity
                                                                                       : request->scalar_count;
                for (uint32_t i = 0; i < result.scalar_count; i++)
                        scalars[i] = request->scalars[i] + 1;
                break;
        case HOST_RETAIN:
                result.flags |= (request->flags & AMB_CALL_RANGE_IN ? AMB_REPLY_IN_RETAINED : 0) |
                                (request->flags & AMB_CALL_RANGE_OUT ? AMB_REPLY_OUT_RETAINED : 0);
                host_echo(host, request, bytes, &result);
                break;
        case HOST_ECHO:
                host_echo(host, request, bytes, &result);
                break;
        case HOST_COMPLETE:
                host_complete(host, request, (uint32_t)request->scalars[0], (int32_t)request->scalars[1]);
                break;
        case HOST_LATER:
                pthread_mutex_lock(&host->lock);
                host->later = *request;
                pthread_mutex_unlock(&host->lock);
                break;
        case HOST_BLOCK:
                sem_post(&host->entered);
                while (sem_wait(&host->released) < 0)
                        continue;
                result.status = 77;
                break;
        case HOST_SPOIL:
                memcpy(host->out.memory, "spoiled", 7);
                result.status = kIOReturnIOError;
                break;
        case HOST_VARIABLE:
                host_variable(host, request, &result);
                break;
        case HOST_STATUS:
                result.status = (int32_t)request->scalars[0];
                break;
        case HOST_SEEN:
                result.scalar_count = request->scalar_capacity;
                scalars[0] = request->scalar_count;
                scalars[1] = request->scalar_capacity;
                scalars[2] = request->size;
                scalars[3] = request->capacity;
                scalars[4] = request->flags;
                scalars[5] = request->reference[1];
                break;
        }
        /* Before the reply: the buffer is the caller's then. */
        if (result.bytes != host->in.memory || !result.bytes)
                host_range_end(host, &host->in, keep && result.status == 0);
        host_range_end(host, &host->out, keep && result.status == 0);
        if (amb_channel_reply(host->channel, request, &result) < 0)
                abort();
        host_range_end(host, &host->in, keep && result.status == 0);
}

/* The driver releases what it has retained. */
AMB_UNUSED static void host_give_back(struct host *host)
{
        while (host->kept_count > 0)
                borrower_return(&host->borrower, &host->kept[--host->kept_count]);
}

static void *host_serve_calls(void *context)
{
        struct host *host = context;
        struct amb_request request;
        static __thread char bytes[AMB_CHANNEL_BYTES];

        int r;

        while ((r = amb_channel_receive(host->channel, &request, bytes)) == 0 || r == AMB_CHANNEL_TERMINATED)
                if (r == 0)
                        host_call(host, &request, bytes);
        return NULL;
}

/* One request of the app; takes over fd. */
static int host_answer(struct host *host, const struct amb_side_message *request, int fd, struct amb_side_message *answer)
{
        switch (request->kind) {
        case AMB_SIDE_PORT:
                host_port_set(host, request->id, fd);
                return -1;
        case AMB_SIDE_PORT_DROP:
                host->port_drops++;
                return -1;
        case AMB_SIDE_LOANS:
                borrower_start(&host->borrower, fd);
                return -1;
        case AMB_SIDE_MAP:
        case AMB_SIDE_UNMAP:
                if (host->terminated) {
                        answer->flags = AMB_SIDE_TERMINATED;
                        return -1;
                }
                answer->code = host->map_fails ? kIOReturnNotReady : 0;
                answer->identity = host->identity;
                answer->flags = request->id == 1 ? AMB_SIDE_READ_ONLY : 0;
                if (request->kind == AMB_SIDE_UNMAP || answer->code)
                        return -1;
                answer->size = host->extents ? host->mapped_size : 5000;
                answer->id = host->extents_left = host->extents ? host->extent_count : 1;
                return -1;
        case AMB_SIDE_MAP_MORE:
                answer->id = host->extents_left;
                return -1;
        case AMB_SIDE_FETCH:
                answer->size = host->output_size;
                fd = host->output_fd;
                host->output_fd = -1;
                return fd;
        default:
                return -1;
        }
}

/* What comes behind the answer to MAP and MAP_MORE. */
static void host_send_extents(struct host *host, const struct amb_side_message *answer)
{
        struct host_extent memory = { host->memory_fd, 0, 5000 };
        const struct host_extent *extents = host->extents ? host->extents + host->extent_count : &memory + 1;

        for (int i = 0; i < AMB_SIDE_EXTENTS_AT_ONCE && host->extents_left > 0; i++) {
                const struct host_extent *extent = extents - host->extents_left--;
                struct amb_side_message message = {
                        .kind = AMB_SIDE_EXTENT, .serial = answer->serial, .size = extent->size, .offset = extent->offset,
                };

                amb_side_send(host->side, &message, extent->fd, true);
        }
}

static void *host_serve_requests(void *context)
{
        struct host *host = context;
        struct amb_side_message request;
        bool closed = false;
        int fd;

        while (!closed && amb_side_receive(host->side, true, &request, &fd) == 0) {
                struct amb_side_message answer = { .kind = AMB_SIDE_ANSWER, .serial = request.serial };
                int out;

                if (!amb_side_request_valid(&request, fd >= 0))
                        abort();
                out = host_answer(host, &request, fd, &answer);
                closed = request.kind == AMB_SIDE_CLOSE;
                if (request.serial != 0)
                        amb_side_send(host->side, &answer, out, true);
                /* As the answer said, though it may have been terminated since. */
                if ((request.kind == AMB_SIDE_MAP || request.kind == AMB_SIDE_MAP_MORE) && answer.code == 0 && answer.id > 0)
                        host_send_extents(host, &answer);
                /* Ours since it was taken: as soon as the app has the answer, its next call may set host->output_fd. */
                if (request.kind == AMB_SIDE_FETCH)
                        amb_fd_close(out);
        }
        borrower_start(&host->borrower, -1);
        sem_post(&host->closed);
        return NULL;
}

static void host_start(struct host *host, int channel, int side)
{
        struct amb_channel_options options = { .peer_pidfd = -1, .wake = host_wake, .userdata = host };

        host->side = side;
        host->output_fd = -1;
        host->identity = 11;
        pthread_mutex_init(&host->lock, NULL);
        for (size_t i = 0; i < AMB_SIDE_PORTS_MAX; i++)
                host->ports[i] = -1;
        borrower_init(&host->borrower);
        sem_init(&host->entered, 0, 0);
        sem_init(&host->released, 0, 0);
        sem_init(&host->closed, 0, 0);
        host->memory_fd = host_sealed_memory("shared", 6, 8192);
        if (amb_channel_attach(channel, AMB_CHANNEL_HOST, &options, &host->channel) != 0 ||
            pthread_create(&host->calls, NULL, host_serve_calls, host) != 0 ||
            pthread_create(&host->requests, NULL, host_serve_requests, host) != 0)
                abort();
}

/* The driver has terminated the user client. */
AMB_UNUSED static void host_terminate(struct host *host)
{
        host->terminated = true;
        amb_channel_terminate(host->channel);
}

/* Ends the threads and everything of the host. */
AMB_UNUSED static void host_end(struct host *host)
{
        amb_channel_shutdown(host->channel);
        shutdown(host->side, SHUT_RDWR);
        pthread_join(host->calls, NULL);
        pthread_join(host->requests, NULL);
        amb_channel_free(host->channel);
        close(host->side);
        amb_fd_close(host->memory_fd);
        amb_fd_close(host->output_fd);
        for (size_t i = 0; i < AMB_SIDE_PORTS_MAX; i++)
                amb_fd_close(host->ports[i]);
        pthread_mutex_destroy(&host->lock);
        while (host->kept_count > 0)
                borrowed_unmap(&host->kept[--host->kept_count]);
        borrower_end(&host->borrower);
}

static void host_descriptors(int *ret_channel, int pair[2])
{
        if (amb_channel_create(ret_channel) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                abort();
}

/* May the drivers of connections that are opened from now on name the application's memory? */
static bool host_names_memory = true;

static io_connect_t host_connect(int channel, int side, pid_t pid)
{
        struct amb_opened opened = { 1, channel, side, (int)syscall(SYS_pidfd_open, pid, 0), host_names_memory };
        struct amb_connection *connection;
        mach_port_t handle;

        if (opened.host < 0 || amb_connection_new(&opened, &connection) != 0 ||
            amb_handle_new(&connection->target, &handle) != 0)
                abort();
        return handle;
}

/* A connection whose host are two threads of this process. */
AMB_UNUSED static io_connect_t host_open(struct host *host)
{
        int channel, pair[2];

        /* A sanitizer's allocator is taken for glibc's: what stays a file is to be seen. */
        amb_share_known_malloc = 1;
        host_descriptors(&channel, pair);
        host_start(host, channel, pair[1]);
        return host_connect(channel, pair[0], getpid());
}

/* A connection whose host is a child; it ends only when it is killed. */
AMB_UNUSED static io_connect_t host_open_child(pid_t *ret_pid)
{
        static struct host host;
        int channel, pair[2];
        pid_t pid;

        host_descriptors(&channel, pair);
        pid = fork();
        if (pid < 0)
                abort();
        if (pid == 0) {
                close(pair[0]);
                host_start(&host, channel, pair[1]);
                for (;;)
                        pause();
        }
        close(pair[1]);
        *ret_pid = pid;
        return host_connect(channel, pair[0], pid);
}
