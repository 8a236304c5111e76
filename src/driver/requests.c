/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the app asks over the side socket (channel/side.h).
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <mach/kern_return.h>

#include "driver/connection-private.h"
#include "driver/eventlink.h"
#include "driver/queue.h"
#include "driver/service.h"

static void answer_code(struct amb_connection *c, uint32_t serial, kern_return_t code)
{
        struct amb_side_message answer = { .kind = AMB_SIDE_ANSWER, .serial = serial, .code = code };

        amb_connection_answer(c, &answer, -1);
}

/* --- ports --- */

/* fd -1: the name is in force no longer. */
static void set_port(struct amb_connection *c, uint32_t name, int fd)
{
        struct amb_connection_port *port = &c->ports[AMB_CHANNEL_PORT_INDEX(name)], before = { -1, 0 };

        pthread_mutex_lock(&c->port_lock);
        if (fd >= 0 || port->name == name) {
                before = *port;
                *port = (struct amb_connection_port){ fd, name };
        }
        pthread_mutex_unlock(&c->port_lock);
        if (before.fd < 0)
                return;
        amb_fd_close(before.fd);
        if (fd < 0 || before.name != name)
                amb_channel_forget(c->channel, before.name);
}

/* --- variable outputs --- */

void amb_output_free(struct amb_output *output)
{
        if (output) {
                amb_fd_close(output->fd);
                free(output);
        }
}

int amb_connection_keep_output(struct amb_connection *c, const void *bytes, uint64_t length, uint32_t *ret_id)
{
        AMB_FD fd = memfd_create("ambidext-output", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct amb_output *output, *oldest = NULL;

        if (fd < 0 || fchmod(fd, 0600) < 0)
                return amb_trace(amb_errno());
        for (uint64_t done = 0; done < length;) {
                ssize_t n = write(fd, (const uint8_t *)bytes + done, length - done);

                if (n < 0)
                        return amb_trace(amb_errno());
                done += (uint64_t)n;
        }
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return amb_trace(amb_errno());
        output = calloc(1, sizeof(*output));
        if (!output)
                return amb_trace(-ENOMEM);
        output->length = length;
        output->fd = amb_fd_steal(&fd);
        pthread_mutex_lock(&c->lock);
        output->id = *ret_id = ++c->output_id;
        amb_list_append(&c->outputs, &output->link);
        /* At most one per call in progress is due; an app that never fetches loses the oldest. */
        if (++c->output_count > AMB_SIDE_OUTPUTS_MAX) {
                oldest = amb_list_first(&c->outputs, struct amb_output, link);
                amb_link_remove(&oldest->link);
                c->output_count--;
        }
        pthread_mutex_unlock(&c->lock);
        amb_output_free(oldest);
        return 0;
}

static void fetch(struct amb_connection *c, const struct amb_side_message *m)
{
        struct amb_side_message answer = { .kind = AMB_SIDE_ANSWER, .serial = m->serial };
        struct amb_output *output, *found = NULL;

        pthread_mutex_lock(&c->lock);
        amb_list_for(output, &c->outputs, link) {
                if (output->id == m->id) {
                        found = output;
                        amb_link_remove(&found->link);
                        c->output_count--;
                        break;
                }
        }
        pthread_mutex_unlock(&c->lock);
        if (found)
                answer.size = found->length;
        else
                answer.code = kIOReturnBadArgument;
        amb_connection_answer(c, &answer, found ? found->fd : -1);
        amb_output_free(found);
}

/* --- mappings --- */

/* A MAP or UNMAP on its way: after the call in progress, before later ones. */
struct mapping {
        struct amb_link link;           /* while it waits for calls that sleep */
        struct amb_connection *connection;
        IOUserClient *client;
        struct amb_side_message request;
};

static void mapping_end(struct mapping *mapping)
{
        struct amb_connection *c = mapping->connection;

        pthread_mutex_lock(&c->lock);
        if (atomic_fetch_sub(&c->maps, 1) == 1)
                pthread_cond_broadcast(&c->maps_done);
        pthread_mutex_unlock(&c->lock);
        OSObject_release(mapping->client);
        amb_connection_release(c);
        free(mapping);
}

static void answer_terminated(struct amb_connection *c, uint32_t serial)
{
        struct amb_side_message answer = { .kind = AMB_SIDE_ANSWER, .serial = serial, .flags = AMB_SIDE_TERMINATED };

        amb_connection_answer(c, &answer, -1);
}

static void mapping_refuse(struct mapping *mapping)
{
        answer_terminated(mapping->connection, mapping->request.serial);
        mapping_end(mapping);
}

static void mapping_dropped(void *context)
{
        struct mapping *mapping = context;

        if (atomic_load(&mapping->connection->refusing)) {
                mapping_refuse(mapping);
                return;
        }
        answer_code(mapping->connection, mapping->request.serial, kIOReturnNotReady);
        mapping_end(mapping);
}

/* What the driver has given is fit to be mapped: fills the answer; *ret is the caller's to free. */
static kern_return_t share(struct mapping *mapping, IOMemoryDescriptor *memory, struct amb_side_message *answer,
                           struct amb_memory_extent **ret, uint32_t *ret_count)
{
        bool read_only = answer->flags & AMB_SIDE_READ_ONLY;
        int r;

        IOMemoryDescriptor_GetLength(memory, &answer->size);
        if (answer->size == 0)
                return kIOReturnBadArgument;
        r = amb_memory_share(memory, read_only, ret, ret_count);
        if (r == AMB_MEMORY_REFUSED)
                amb_log(AMB_LOG_WARNING,
                        "%s: memory type %u cannot be given %s: not all of it is in buffers, not all borders in it are pages', "
                        "it was given the other way before, or has too many pieces",
                        OSObject_GetClassName(mapping->client), mapping->request.id, read_only ? "read-only" : "writable");
        return r == 0 ? kIOReturnSuccess : kIOReturnBadArgument;
}

/* On the default queue. */
static void mapping_ask(void *context)
{
        struct mapping *mapping = context;
        struct amb_side_message answer = { .kind = AMB_SIDE_ANSWER, .serial = mapping->request.serial };
        struct amb_memory_extent *extents = NULL;
        IOMemoryDescriptor *given = NULL, *memory;
        uint64_t options = 0;
        uint32_t count = 0;

        if (atomic_load(&mapping->connection->refusing)) {
                mapping_refuse(mapping);
                return;
        }
        answer.code = amb_invoke(mapping->client, IOUserClient, CopyClientMemoryForType, mapping->request.id, &options, &given);
        if (answer.code != kIOReturnSuccess)
                given = NULL;
        memory = amb_object_cast(given, OSTypeID(IOMemoryDescriptor));
        if (memory) {
                answer.identity = amb_memory_identity(memory);
                answer.flags = options & kIOUserClientMemoryReadOnly ? AMB_SIDE_READ_ONLY : 0;
        }
        if (answer.code == kIOReturnSuccess && mapping->request.kind == AMB_SIDE_MAP)
                answer.code = memory ? share(mapping, memory, &answer, &extents, &count) : kIOReturnBadArgument;
        if (answer.code != kIOReturnSuccess) {
                answer.identity = answer.size = 0;
                answer.flags = 0;
        }
        /* The reference is given back before the app knows: it may ask the driver for their number, on any connection. */
        if (extents) {
                amb_connection_offer(mapping->connection, &answer, memory, extents, count);
        } else {
                OSObject_release(given);
                amb_connection_answer(mapping->connection, &answer, -1);
        }
        mapping_end(mapping);
}

static void mapping_go_on(struct mapping *mapping)
{
        IODispatchQueue *queue = amb_service_queue(&mapping->client->service);

        if (amb_queue_async(queue, mapping, mapping_ask, mapping_dropped) < 0)
                mapping_dropped(mapping);
        OSObject_release(queue);
}

void amb_connection_go_on_mapping(struct amb_link *mappings)
{
        struct mapping *mapping, *following;

        amb_list_for_safe(mapping, following, mappings, link) {
                amb_link_remove(&mapping->link);
                mapping_go_on(mapping);
        }
}

/* On the method queue, or past it: no call is in progress but those that sleep, and `maps` keeps the next one from starting. */
static void mapping_alone(void *context)
{
        struct mapping *mapping = context;
        struct amb_connection *c = mapping->connection;
        bool wait;

        pthread_mutex_lock(&c->lock);
        wait = c->locking && c->sleepers > 0;
        if (wait)
                amb_list_append(&c->maps_waiting, &mapping->link);
        pthread_mutex_unlock(&c->lock);
        if (!wait)
                mapping_go_on(mapping);
}

static void map(struct amb_connection *c, const struct amb_side_message *m)
{
        struct mapping *mapping = calloc(1, sizeof(*mapping));
        IODispatchQueue *queue;
        uint32_t changes;

        pthread_mutex_lock(&c->lock);
        if (mapping && c->client) {
                *mapping = (struct mapping){ .connection = amb_connection_retain(c), .client = c->client, .request = *m };
                OSObject_retain(mapping->client);
                atomic_fetch_add(&c->maps, 1);
        } else {
                free(mapping);
                mapping = NULL;
        }
        pthread_mutex_unlock(&c->lock);
        if (!mapping) {
                if (atomic_load(&c->refusing))
                        answer_terminated(c, m->serial);
                else
                        answer_code(c, m->serial, kIOReturnNotReady);
                return;
        }
        queue = amb_service_method_queue(&mapping->client->service, &changes);
        if (amb_queue_pass(queue))
                mapping_alone(mapping);
        else if (amb_queue_async(queue, mapping, mapping_alone, mapping_dropped) < 0)
                mapping_dropped(mapping);
        OSObject_release(queue);
}

/* --- traps --- */

/* Consumes fd. What has a name is known without asking the driver. */
static const char *trap(struct amb_connection *c, const struct amb_side_message *m, int fd)
{
        AMB_FD memory = fd;
        char name[AMB_SIDE_NAME_MAX];
        kern_return_t code = kIOReturnNotFound;
        IOUserClient *client;

        if (!amb_side_memory_check(memory, m->size, 0) || pread(memory, name, m->size, 0) != (ssize_t)m->size)
                return "a name that is no sealed memory of its length";
        pthread_mutex_lock(&c->lock);
        client = c->client;
        OSObject_retain(client);
        pthread_mutex_unlock(&c->lock);
        if (client && amb_named_exists(client, m->id == AMB_SIDE_TRAP_EVENT_LINK ? AMB_NAMED_EVENT_LINK : AMB_NAMED_WORK_GROUP,
                                       name, m->size))
                code = kIOReturnSuccess;
        OSObject_release(client);
        answer_code(c, m->serial, code);
        return NULL;
}

/* --- all requests --- */

/* Consumes fd. NULL: fine; otherwise what the peer did wrong. */
static const char *serve(struct amb_connection *c, const struct amb_side_message *m, int fd)
{
        switch (m->kind) {
        case AMB_SIDE_PORT:
                if (!amb_side_port_check(fd)) {
                        amb_fd_close(fd);
                        return "a port that is no socket";
                }
                set_port(c, m->id, fd);
                break;
        case AMB_SIDE_PORT_DROP:
                set_port(c, m->id, -1);
                if (m->serial == 0)
                        return NULL;
                break;
        case AMB_SIDE_LOANS:
                if (!amb_loan_socket_check(fd)) {
                        amb_fd_close(fd);
                        return "loans over what is no socket for them";
                }
                if (!amb_borrows_start(&c->borrows, fd))
                        return "a second socket for its loans";
                if (m->serial == 0)
                        return NULL;
                break;
        case AMB_SIDE_FETCH:
                fetch(c, m);
                return NULL;
        case AMB_SIDE_MAP:
        case AMB_SIDE_UNMAP:
                map(c, m);
                return NULL;
        case AMB_SIDE_TRAP:
                return trap(c, m, fd);
        case AMB_SIDE_MAP_MORE:
                amb_connection_offer_more(c, m->serial);
                return NULL;
        case AMB_SIDE_KNOCK:
                amb_connection_rouse(c, true);
                if (c->options.awake)
                        c->options.awake(c->options.userdata, c);
                return NULL;
        case AMB_SIDE_CLOSE:
                /*
                 * Without the default locking: nobody waits for calls. Those in progress get their answers until the end of file.
                 */
                amb_connection_stop_ahead(c);
                amb_connection_refuse(c);
                break;
        }
        answer_code(c, m->serial, kIOReturnSuccess);
        return NULL;
}

/*
 * CLOSE, under the default locking. An app that has nothing in progress need not wait until the receiver has woken up to say so;
 * otherwise that one answers, at the end of the calls.
 */
static void close_locked(struct amb_connection *c, const struct amb_side_message *m)
{
        bool idle = amb_channel_idle(c->channel);

        pthread_mutex_lock(&c->lock);
        idle = idle && c->sleepers == 0 && atomic_load(&c->maps) == 0;
        if (!idle)
                c->close_serial = m->serial;
        pthread_mutex_unlock(&c->lock);
        if (idle)
                answer_code(c, m->serial, kIOReturnSuccess);
        amb_connection_app_gone(c);
}

/*
 * Some of what is there: an app that says as fast as we listen what gets no answer must not keep us from the others. The rest is
 * still there when we are asked again.
 */
#define SERVED_AT_ONCE 32

bool amb_connection_serve_side(struct amb_connection *c)
{
        struct amb_side_message message;
        const char *wrong = NULL;
        int r, fd;

        for (unsigned served = 0; served < SERVED_AT_ONCE; served++) {
                r = amb_side_receive(c->side, false, &message, &fd);
                if (r == AMB_SIDE_NOTHING)
                        return true;
                if (r == AMB_SIDE_END) {
                        c->deserted = true;
                        amb_connection_app_gone(c);
                        return false;
                }
                if (r != 0) {
                        wrong = "a broken message on the side socket";
                        break;
                }
                if (!amb_side_request_valid(&message, fd >= 0)) {
                        amb_fd_close(fd);
                        wrong = "a request that makes no sense";
                        break;
                }
                pthread_mutex_lock(&c->lock);
                if (message.serial != 0 && ++c->pending > AMB_SIDE_PENDING_MAX)
                        wrong = "too many requests at a time";
                pthread_mutex_unlock(&c->lock);
                if (message.kind == AMB_SIDE_CLOSE && c->locking) {
                        close_locked(c, &message);
                        return false;
                }
                if (!wrong)
                        wrong = serve(c, &message, fd);
                else
                        amb_fd_close(fd);
                if (wrong)
                        break;
                if (atomic_load(&c->over))
                        return false;
        }
        if (!wrong)
                return true;
        amb_connection_cut_off(c, wrong);
        return false;
}
