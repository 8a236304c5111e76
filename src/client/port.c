/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/epoll.h>

#include <ambidext/port.h>

#include "base/cancel.h"
#include "channel/wait.h"
#include "client/connection.h"
#include "client/dispatch.h"
#include "client/port.h"
#include "client/runloop.h"

#define PART 64                         /* completions that are moved to a queue at once */
#define TURN 4096                       /* messages of one dispatch: what else there is to do has its turn */
#define SPARES_MOST PART
#define LOOK_NS 20000u                  /* less than what a wake-up costs the driver alone */
#define LOOK_MISSES 6u
#define LOOKS 16u                       /* between two looks at the clock */

static void list_clear(struct amb_link *list)
{
        struct amb_message *message, *next;

        amb_list_for_safe(message, next, list, link) {
                amb_link_remove(&message->link);
                amb_message_free(message);
        }
}

static void port_free(struct amb_target *target)
{
        struct amb_port *port = amb_container_of(target, struct amb_port, target);

        list_clear(&port->queue);
        list_clear(&port->spares);
        amb_fd_close(port->epoll);
        amb_fd_close(port->wake_read);
        amb_fd_close(port->wake_write);
        pthread_mutex_destroy(&port->queue_lock);
        pthread_mutex_destroy(&port->links_lock);
        pthread_mutex_destroy(&port->bus_lock);
        free(amb_container_of(port, struct IONotificationPort, port));
}

/* The child has the parent's epoll and sockets: it must not take the parent's wake-ups. */
static void port_forked(struct amb_target *target)
{
        struct amb_port *port = amb_container_of(target, struct amb_port, target);

        atomic_store(&port->destroyed, true);
        close(port->epoll);
        close(port->wake_read);
        close(port->wake_write);
        port->epoll = port->wake_read = port->wake_write = -1;
        amb_port_bus_forked(port);
}

static const struct amb_target_class port_class = {
        .kind = AMB_HANDLE_PORT,
        .forked = port_forked,
        .free = port_free,
};

static int port_open(struct amb_port *port)
{
        struct epoll_event event = { .events = EPOLLIN };
        int r;

        port->epoll = epoll_create1(EPOLL_CLOEXEC);
        if (port->epoll < 0)
                return amb_trace(amb_errno());
        r = amb_side_port_create(&port->wake_read, &port->wake_write);
        if (r < 0)
                return r;
        if (epoll_ctl(port->epoll, EPOLL_CTL_ADD, port->wake_read, &event) < 0)
                return amb_trace(amb_errno());
        return 0;
}

int amb_port_new(struct amb_port **ret)
{
        struct IONotificationPort *reference;
        struct amb_port *port;
        mach_port_t handle;
        int r;

        reference = calloc(1, sizeof(*reference));
        if (!reference)
                return -ENOMEM;
        port = &reference->port;
        amb_target_init(&port->target, &port_class);
        port->epoll = port->wake_read = port->wake_write = -1;
        amb_list_init(&port->queue);
        amb_list_init(&port->spares);
        atomic_init(&port->queue_limit, AMB_PORT_LIMIT);
        amb_list_init(&port->links);
        pthread_mutex_init(&port->queue_lock, NULL);
        pthread_mutex_init(&port->links_lock, NULL);
        pthread_mutex_init(&port->bus_lock, NULL);
        amb_port_bus_init(port);
        /* One reference is the caller's, the other one the handle's. */
        r = port_open(port);
        if (r == 0)
                r = amb_handle_new(amb_target_ref(&port->target), &handle);
        if (r < 0) {
                port_free(&port->target);
                return r;
        }
        *ret = port;
        return 0;
}

IONotificationPortRef IONotificationPortCreate(mach_port_t main_port)
{
        struct amb_port *port;

        (void)main_port;
        return amb_port_new(&port) == 0 ? amb_container_of(port, struct IONotificationPort, port) : NULL;
}

mach_port_t IONotificationPortGetMachPort(IONotificationPortRef reference)
{
        return reference ? reference->port.target.handle : MACH_PORT_NULL;
}

int amb_port_get_fd(IONotificationPortRef reference)
{
        return reference->port.epoll;
}

int amb_port_wake_fd(struct amb_port *port)
{
        return port->wake_write;
}

/* --- links to connections --- */

int amb_port_join(struct amb_port *port, struct amb_connection *connection, uint32_t name)
{
        struct amb_port_seat *seat = &connection->seats[AMB_CHANNEL_PORT_INDEX(name)];
        struct amb_port_link *link;

        link = calloc(1, sizeof(*link));
        if (!link)
                return -ENOMEM;
        pthread_mutex_lock(&port->links_lock);
        if (atomic_load(&port->destroyed)) {
                pthread_mutex_unlock(&port->links_lock);
                free(link);
                return -ESHUTDOWN;
        }
        link->connection = amb_target_ref(connection);
        link->name = name;
        pthread_mutex_lock(&connection->drain);
        seat->port = amb_target_ref(port);
        seat->name = name;
        pthread_mutex_unlock(&connection->drain);
        amb_list_append(&port->links, &link->link);
        atomic_store_explicit(&seat->key, (uint64_t)name << 32 | port->target.handle, memory_order_release);
        pthread_mutex_unlock(&port->links_lock);
        /* Armed from here on; a completion that comes at once makes the port readable. */
        if (!amb_channel_completion_arm(connection->channel, AMB_CHANNEL_PORT_INDEX(name)))
                amb_side_port_wake(port->wake_write);
        return 0;
}

/* Under links_lock. Late completions find another name in the seat, or nobody. */
static void link_cut(struct amb_port_link *link)
{
        struct amb_connection *connection = link->connection;
        struct amb_port_seat *seat = &connection->seats[AMB_CHANNEL_PORT_INDEX(link->name)];
        struct amb_port *port;

        atomic_store(&seat->key, 0);
        atomic_store(&seat->dropped, link->name);
        pthread_mutex_lock(&connection->drain);
        port = seat->port;
        seat->port = NULL;
        pthread_mutex_unlock(&connection->drain);
        amb_connection_drop_ports(connection);
        amb_link_remove(&link->link);
        free(link);
        amb_target_unref(port);
        amb_target_unref(connection);
}

/* The message of a completion, made of one that was delivered if there is one. Under queue_lock. */
static struct amb_message *queue_message(struct amb_port *port, const struct amb_completion *completion)
{
        struct amb_message *message = amb_list_first(&port->spares, struct amb_message, link);

        if (!message)
                return amb_message_of_completion(completion);
        amb_link_remove(&message->link);
        port->spare_count--;
        amb_message_refill(message, completion);
        return message;
}

static void queue_completions(struct amb_port *port, const struct amb_completion *completions, uint32_t count)
{
        pthread_mutex_lock(&port->queue_lock);
        for (uint32_t i = 0; i < count && !atomic_load(&port->destroyed); i++) {
                struct amb_message *message = queue_message(port, &completions[i]);

                if (!message)
                        continue;
                message->header.msgh_local_port = port->target.handle;
                amb_list_append(&port->queue, &message->link);
        }
        pthread_mutex_unlock(&port->queue_lock);
}

/* To the queues of the ports they are for; the ports other than `self` are woken. Under the connection's `drain`. */
static void completions_deliver(struct amb_connection *connection, struct amb_port *self, const struct amb_completion *completions,
                                uint32_t count)
{
        uint32_t end;

        for (uint32_t i = 0; i < count; i = end) {
                uint32_t name = completions[i].port, index = AMB_CHANNEL_PORT_INDEX(name);
                struct amb_port_seat *seat = index < AMB_SIDE_PORTS_MAX ? &connection->seats[index] : NULL;
                struct amb_port *port = seat && seat->name == name ? seat->port : NULL;

                for (end = i + 1; end < count && completions[end].port == name; end++)
                        ;
                if (!port)
                        continue;
                queue_completions(port, &completions[i], end - i);
                if (port != self)
                        amb_side_port_wake(port->wake_write);
        }
}

/* Moves up to `most` completions of a connection. False: there will never be another one. */
static bool connection_drain(struct amb_connection *connection, struct amb_port *self, uint32_t most)
{
        AMB_UNINITIALIZED struct amb_completion completions[16];
        uint32_t count;
        int r = 0;

        pthread_mutex_lock(&connection->drain);
        for (; most > 0; most -= count < most ? count : most) {
                r = amb_channel_completions_take(connection->channel, completions, AMB_ARRAY_LENGTH(completions), &count);
                if (r != 0)
                        break;
                amb_loans_sync(&connection->loans);
                completions_deliver(connection, self, completions, count);
        }
        pthread_mutex_unlock(&connection->drain);
        if (r == AMB_CHANNEL_BROKEN)
                amb_log(AMB_LOG_WARNING, "the driver's host broke the channel's protocol (%s); no more completions",
                        amb_channel_reason(connection->channel));
        return r == AMB_CHANNEL_EMPTY || r == 0;
}

/* Up to `most` of each. */
static void links_drain(struct amb_port *port, uint32_t most)
{
        struct amb_port_link *link, *next;

        pthread_mutex_lock(&port->links_lock);
        amb_list_for_safe(link, next, &port->links, link)
                if (!connection_drain(link->connection, port, most))
                        link_cut(link);
        pthread_mutex_unlock(&port->links_lock);
}

/* Has something come to one of the channels? */
static bool links_wait(struct amb_port *port, unsigned looks)
{
        struct amb_port_link *link;
        bool found = false;

        pthread_mutex_lock(&port->links_lock);
        for (unsigned i = 0; i < looks && !found; i++) {
                if (i > 0)
                        amb_pause();
                amb_list_for(link, &port->links, link)
                        found |= amb_channel_completion_waits(link->connection->channel);
        }
        pthread_mutex_unlock(&port->links_lock);
        return found;
}

/* Asks for the next wake-up; what has come in between wakes at once. */
static void links_arm(struct amb_port *port)
{
        struct amb_port_link *link;
        bool more = false;

        pthread_mutex_lock(&port->links_lock);
        amb_list_for(link, &port->links, link)
                if (!amb_channel_completion_arm(link->connection->channel, AMB_CHANNEL_PORT_INDEX(link->name)))
                        more = true;
        pthread_mutex_unlock(&port->links_lock);
        if (more)
                amb_side_port_wake(port->wake_write);
}

void amb_ports_sweep(struct amb_connection *connection)
{
        for (uint32_t i = 0; i < AMB_SIDE_PORTS_MAX; i++) {
                struct amb_port *port;

                pthread_mutex_lock(&connection->drain);
                port = connection->seats[i].port;
                if (port)
                        amb_target_ref(port);
                pthread_mutex_unlock(&connection->drain);
                if (!port)
                        continue;
                links_drain(port, UINT32_MAX);
                /* Drained for another thread's poll, perhaps. */
                amb_side_port_wake(port->wake_write);
                amb_target_unref(port);
        }
}

/* --- delivery --- */

void amb_port_queue(struct amb_port *port, struct amb_message *message, bool wake)
{
        if (!message)
                return;
        message->header.msgh_local_port = port->target.handle;
        pthread_mutex_lock(&port->queue_lock);
        if (atomic_load(&port->destroyed)) {
                pthread_mutex_unlock(&port->queue_lock);
                amb_message_free(message);
                return;
        }
        amb_list_append(&port->queue, &message->link);
        pthread_mutex_unlock(&port->queue_lock);
        if (wake)
                amb_side_port_wake(port->wake_write);
}

/* Under queue_lock. */
static bool queue_holds(const struct amb_port *port, uint32_t count)
{
        const struct amb_link *link = &port->queue;

        while (count > 0 && (link = link->next) != &port->queue)
                count--;
        return count == 0;
}

int amb_port_post(struct amb_port *port, struct amb_message *message)
{
        int r = 0;

        if (!message)
                return amb_trace(-ENOMEM);
        message->header.msgh_local_port = port->target.handle;
        pthread_mutex_lock(&port->queue_lock);
        if (atomic_load(&port->destroyed))
                r = AMB_PORT_GONE;
        else if (queue_holds(port, atomic_load(&port->queue_limit)))
                r = AMB_PORT_FULL;
        else
                amb_list_append(&port->queue, &message->link);
        pthread_mutex_unlock(&port->queue_lock);
        if (r)
                amb_message_free(message);
        else
                amb_side_port_wake(port->wake_write);
        return r;
}

void amb_port_gather(struct amb_port *port)
{
        amb_side_port_drain(port->wake_read);
        links_drain(port, PART);
        amb_port_bus_dispatch(port);
}

int amb_port_take(struct amb_port *port, size_t most, struct amb_message **ret, size_t *ret_size)
{
        struct amb_message *message;
        int r = AMB_PORT_EMPTY;

        pthread_mutex_lock(&port->queue_lock);
        message = amb_list_first(&port->queue, struct amb_message, link);
        if (message && message->header.msgh_size > most) {
                *ret_size = message->header.msgh_size;
                r = AMB_PORT_TOO_LARGE;
        } else if (message) {
                amb_link_remove(&message->link);
                *ret = message;
                r = 0;
        }
        pthread_mutex_unlock(&port->queue_lock);
        return r;
}

void amb_port_settle(struct amb_port *port)
{
        bool more;

        pthread_mutex_lock(&port->queue_lock);
        more = !amb_list_empty(&port->queue);
        pthread_mutex_unlock(&port->queue_lock);
        if (atomic_load(&port->destroyed))
                return;
        if (more)
                amb_side_port_wake(port->wake_write);
        else
                links_arm(port);
}

/* --- dispatch --- */

/* The oldest message, or NULL; `done`, the one before it, is kept to be filled again. */
static struct amb_message *port_next(struct amb_port *port, struct amb_message *done)
{
        struct amb_message *message;

        pthread_mutex_lock(&port->queue_lock);
        if (done && done->room && port->spare_count < SPARES_MOST && !atomic_load(&port->destroyed)) {
                amb_list_append(&port->spares, &done->link);
                port->spare_count++;
                done = NULL;
        }
        message = amb_list_first(&port->queue, struct amb_message, link);
        if (message)
                amb_link_remove(&message->link);
        pthread_mutex_unlock(&port->queue_lock);
        amb_message_free(done);
        return message;
}

/* Who looks at messages while they are dispatched, how many at most, and whether it wants no more. */
struct taker {
        void (*take)(void *context, mach_msg_header_t *message);
        bool (*over)(const void *context);
        void *context;
        unsigned most;
};

static bool taker_over(const struct taker *taker, const struct amb_port *port)
{
        return atomic_load(&port->destroyed) || (taker->over && taker->over(taker->context));
}

/* Looks on for what else may come, where that has been worth it lately. */
static bool port_look_on(struct amb_port *port)
{
        uint64_t start;

        if (amb_wait_cpus() < 2)
                return false;
        if (port->look_skip > 0) {
                port->look_skip--;
                return false;
        }
        start = amb_time_now();
        do {
                if (links_wait(port, LOOKS)) {
                        port->look_misses = 0;
                        return true;
                }
        } while (amb_time_now() - start < LOOK_NS);
        if (port->look_misses < LOOK_MISSES)
                port->look_misses++;
        port->look_skip = (1u << port->look_misses) - 1;
        return false;
}

static void message_freep(struct amb_message **message)
{
        amb_message_free(*message);
}

/* Hands out what is in the queue; how many messages that were. */
static unsigned port_hand_out(struct amb_port *port, const struct taker *taker, unsigned most)
{
        AMB_CLEANUP(message_freep) struct amb_message *message = NULL;
        unsigned count = 0;

        for (; count < most && !taker_over(taker, port) && (message = port_next(port, message)); count++)
                taker->take(taker->context, &message->header);
        return count;
}

/* True: there may be more, and there is no need to wait for it. Otherwise the port has been settled. */
static bool port_serve(struct amb_port *port, const struct taker *taker)
{
        unsigned left = taker->most, count;

        amb_port_gather(port);
        for (;;) {
                count = port_hand_out(port, taker, left);
                if (taker_over(taker, port))
                        break;
                /* What is found for another port counts, too. */
                left -= count > 0 ? count : 1;
                if (left == 0)
                        return true;
                if (!links_wait(port, 1) && (count == 0 || !port_look_on(port)))
                        break;
                links_drain(port, PART);
        }
        amb_port_settle(port);
        return false;
}

/* Callbacks may not leave by longjmp: the message and a reference of the port would be lost. */
static void port_dispatch(struct amb_port *port, const struct taker *taker)
{
        if (atomic_load(&port->destroyed))
                return;
        amb_target_ref(port);
        if (port_serve(port, taker))
                amb_side_port_wake(port->wake_write);
        amb_target_unref(port);
}

void amb_port_dispatch_messages(IONotificationPortRef reference, void (*take)(void *context, mach_msg_header_t *message),
                                void *context)
{
        port_dispatch(&reference->port, &(struct taker){ .take = take, .context = context, .most = TURN });
}

static void call_out(void *context, mach_msg_header_t *message)
{
        IODispatchCalloutFromMessage(NULL, message, context);
}

void amb_port_dispatch(IONotificationPortRef reference)
{
        amb_port_dispatch_messages(reference, call_out, NULL);
}

static bool loop_stopped(const void *context)
{
        (void)context;
        return amb_run_loop_stopped();
}

static void source_perform(void *info)
{
        IONotificationPortRef reference = info;

        port_dispatch(&reference->port, &(struct taker){ .take = call_out, .over = loop_stopped, .most = TURN });
}

CFRunLoopSourceRef IONotificationPortGetRunLoopSource(IONotificationPortRef reference)
{
        struct amb_port *port = &reference->port;

        if (!port->source)
                port->source = amb_run_loop_source_of_fd(port->epoll, source_perform, reference);
        return port->source;
}

/* --- a dispatch queue --- */

#define BATCH 256                       /* messages before others get their turn on the queue */

static bool queue_over(const void *source)
{
        return amb_dispatch_source_cancelled(source);
}

static enum amb_dispatch_more queue_serve(void *context, struct amb_dispatch_source *source)
{
        struct amb_port *port = context;
        bool more = !atomic_load(&port->destroyed) &&
                    port_serve(port, &(struct taker){ .take = call_out, .over = queue_over, .context = source, .most = BATCH });

        return more ? AMB_DISPATCH_MORE : AMB_DISPATCH_WAIT;
}

/* On the queue, after the last callback. */
static void queue_left(void *context)
{
        amb_target_unref(context);
}

void IONotificationPortSetDispatchQueue(IONotificationPortRef reference, dispatch_queue_t queue)
{
        AMB_NO_CANCEL;
        struct amb_port *port = &reference->port;

        amb_dispatch_source_cancel(amb_steal(port->queue_source));
        if (!queue || atomic_load(&port->destroyed))
                return;
        amb_target_ref(port);
        port->queue_source = amb_dispatch_source_new(queue, port->epoll, EPOLLIN, port, queue_serve, queue_left);
        if (!port->queue_source) {
                amb_log(AMB_LOG_ERROR, "no memory or no thread for a notification port's dispatch queue");
                amb_target_unref(port);
                return;
        }
        /* From here on a callback may destroy the port. */
        amb_dispatch_source_start(port->queue_source);
}

kern_return_t IONotificationPortSetImportanceReceiver(IONotificationPortRef reference)
{
        return reference ? KERN_SUCCESS : kIOReturnBadArgument;
}

/* --- the end --- */

void amb_port_close(struct amb_port *port)
{
        bool first;

        if (port->source) {
                CFRunLoopSourceInvalidate(port->source);
                CFRelease(port->source);
                port->source = NULL;
        }
        amb_dispatch_source_cancel(amb_steal(port->queue_source));
        pthread_mutex_lock(&port->queue_lock);
        first = !atomic_exchange(&port->destroyed, true);
        list_clear(&port->queue);
        pthread_mutex_unlock(&port->queue_lock);
        if (!first)
                return;
        amb_handle_kill(port->target.handle);
        amb_port_bus_close(port);
        pthread_mutex_lock(&port->links_lock);
        while (!amb_list_empty(&port->links))
                link_cut(amb_container_of(port->links.next, struct amb_port_link, link));
        pthread_mutex_unlock(&port->links_lock);
        /* Who waits in mach_msg() looks again. */
        amb_side_port_wake(port->wake_write);
        amb_handle_release(port->target.handle, false);
}

void IONotificationPortDestroy(IONotificationPortRef reference)
{
        AMB_NO_CANCEL;

        /* A parent's port in a forked child: its locks may be held for ever. */
        if (!reference || reference->port.epoll < 0)
                return;
        amb_port_close(&reference->port);
        amb_target_unref(&reference->port);
}
