/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <sys/socket.h>

#include <IOKit/IOKitLib.h>

#include "base/cancel.h"
#include "base/pidfd.h"
#include "client/await.h"
#include "client/connection.h"
#include "client/port.h"

static void connection_free(struct amb_target *target)
{
        struct amb_connection *connection = amb_container_of(target, struct amb_connection, target);

        amb_loans_end(&connection->loans);
        amb_channel_free(connection->channel);
        amb_fd_close(connection->side);
        amb_pidfd_unshare(connection->host);
        amb_mappings_free(connection);
        pthread_mutex_destroy(&connection->side_lock);
        pthread_mutex_destroy(&connection->seat_lock);
        pthread_mutex_destroy(&connection->drain);
        pthread_mutex_destroy(&connection->map_lock);
        free(connection);
}

/* The channel's mapping has not been inherited; the descriptors have. */
static void connection_forked(struct amb_target *target)
{
        struct amb_connection *connection = amb_container_of(target, struct amb_connection, target);

        if (connection->side >= 0)
                close(connection->side);
        connection->side = -1;
        connection->host = amb_pidfd_unshare(connection->host);
        amb_loans_forked(&connection->loans);
        atomic_store(&connection->gone, true);
}

/* The door is shut while calls are inside, which the host lets go on: tells it. */
static void connection_tell(struct amb_connection *connection)
{
        struct amb_side_message request = { .kind = AMB_SIDE_CLOSE }, answer;

        if (!atomic_load(&connection->gone))
                (void)amb_connection_ask(connection, &request, -1, &answer, NULL);
}

/*
 * The door is shut, and nobody is inside: lets go of everything that completions do not need. The end of the side socket is what
 * tells the host; its answer would say that no call is in progress, which we know. A process that has been made without our fork
 * handlers may have a copy of the socket.
 */
static void connection_left(struct amb_target *target)
{
        struct amb_connection *connection = amb_container_of(target, struct amb_connection, target);

        pthread_mutex_lock(&connection->side_lock);
        if (connection->side >= 0)
                shutdown(connection->side, SHUT_RDWR);
        connection->side = amb_fd_close(connection->side);
        pthread_mutex_unlock(&connection->side_lock);
        amb_loans_end(&connection->loans);
        amb_ports_sweep(connection);
}

static void connection_abandoned(struct amb_target *target)
{
        struct amb_connection *connection = amb_container_of(target, struct amb_connection, target);

        if (amb_handle_shut(target->handle) == 0)
                connection_left(target);
        amb_mappings_free(connection);
}

static const struct amb_target_class connection_class = {
        .kind = AMB_HANDLE_CONNECTION,
        .abandoned = connection_abandoned,
        .left = connection_left,
        .forked = connection_forked,
        .free = connection_free,
};

static void connection_knock(void *userdata);

int amb_connection_new(const struct amb_opened *opened, struct amb_connection **ret)
{
        struct amb_channel_options options = { .knock = connection_knock };
        struct amb_connection *connection;
        AMB_FD channel = opened->channel;
        int r;

        connection = calloc(1, sizeof(*connection));
        if (!connection) {
                amb_fd_close(opened->side);
                amb_fd_close(opened->host);
                return -ENOMEM;
        }
        amb_target_init(&connection->target, &connection_class);
        connection->side = opened->side;
        connection->host = options.peer_pidfd = amb_pidfd_share(opened->host);
        amb_loans_init(&connection->loans, opened->names_memory);
        pthread_mutex_init(&connection->side_lock, NULL);
        pthread_mutex_init(&connection->seat_lock, NULL);
        pthread_mutex_init(&connection->drain, NULL);
        pthread_mutex_init(&connection->map_lock, NULL);
        options.userdata = connection;
        r = amb_channel_attach(channel, AMB_CHANNEL_APP, &options, &connection->channel);
        if (r) {
                amb_target_unref(&connection->target);
                return r > 0 ? amb_trace(-EBADMSG) : amb_trace(r);
        }
        *ret = connection;
        return 0;
}

/* --- the side socket --- */

/* Waits until the socket is ready for `events`, or the host has died. */
static bool side_wait(struct amb_connection *connection, short events)
{
        struct pollfd fds[] = { { connection->side, events, 0 }, { connection->host, POLLIN, 0 } };
        int n;

        do
                n = amb_await(fds, AMB_ARRAY_LENGTH(fds));
        while (n < 0 && errno == EINTR);
        return n > 0 && fds[0].revents;
}

static int side_send(struct amb_connection *connection, const struct amb_side_message *message, int fd)
{
        int r;

        while ((r = amb_side_send(connection->side, message, fd, false)) == AMB_SIDE_FULL)
                if (!side_wait(connection, POLLOUT))
                        return AMB_SIDE_GONE;
        return r ? AMB_SIDE_GONE : 0;
}

/* From a call, which is pinned: the socket stays. If the host is not there any more the call finds out. */
static void connection_knock(void *userdata)
{
        struct amb_side_message message = { .kind = AMB_SIDE_KNOCK };

        (void)side_send(userdata, &message, -1);
}

static int side_broken(void)
{
        amb_log(AMB_LOG_WARNING, "the driver's host broke the side protocol; connection given up");
        return AMB_SIDE_GONE;
}

static int side_receive(struct amb_connection *connection, uint32_t kind, uint32_t serial, struct amb_side_message *ret,
                        int *ret_fd)
{
        int r = AMB_SIDE_NOTHING;
        bool alive = true;

        /*
         * An answer takes its time: waits first. What comes behind it is there already. A host that is dead may still have
         * answered.
         */
        if (kind != AMB_SIDE_ANSWER)
                r = amb_side_receive(connection->side, false, ret, ret_fd);
        while (r == AMB_SIDE_NOTHING && alive) {
                alive = side_wait(connection, POLLIN);
                r = amb_side_receive(connection->side, false, ret, ret_fd);
        }
        if (r == 0 && (ret->kind != kind || ret->serial != serial)) {
                amb_fd_close(*ret_fd);
                r = AMB_SIDE_BROKEN;
        }
        if (r == AMB_SIDE_BROKEN)
                return side_broken();
        return r ? AMB_SIDE_GONE : 0;
}

/* Under side_lock. */
static int side_ask(struct amb_connection *connection, const struct amb_side_message *request, int fd,
                    struct amb_side_message *ret_answer, int *ret_fd)
{
        struct amb_side_message message = *request;
        int r;

        if (connection->side < 0 || atomic_load(&connection->gone))
                return AMB_SIDE_GONE;
        connection->serial = connection->serial == UINT32_MAX ? 1 : connection->serial + 1;
        message.serial = connection->serial;
        r = side_send(connection, &message, fd);
        return r ? r : side_receive(connection, AMB_SIDE_ANSWER, message.serial, ret_answer, ret_fd);
}

int amb_connection_say(struct amb_connection *connection, const struct amb_side_message *message, int fd)
{
        AMB_NO_CANCEL;
        int r = AMB_SIDE_GONE;

        pthread_mutex_lock(&connection->side_lock);
        if (connection->side >= 0 && !atomic_load(&connection->gone)) {
                r = side_send(connection, message, fd);
                if (r)
                        atomic_store(&connection->gone, true);
        }
        pthread_mutex_unlock(&connection->side_lock);
        amb_connection_drop_ports(connection);
        return r;
}

int amb_connection_ask(struct amb_connection *connection, const struct amb_side_message *request, int fd,
                       struct amb_side_message *ret_answer, int *ret_fd)
{
        AMB_NO_CANCEL;
        int r, received = -1;

        amb_loans_sync(&connection->loans);
        pthread_mutex_lock(&connection->side_lock);
        r = side_ask(connection, request, fd, ret_answer, &received);
        if (r)
                atomic_store(&connection->gone, true);
        pthread_mutex_unlock(&connection->side_lock);
        amb_connection_drop_ports(connection);
        if (r == 0 && ret_fd)
                *ret_fd = received;
        else if (r == 0)
                amb_fd_close(received);
        return r;
}

/* Under side_lock: what comes behind an answer that says how many extents are left; *left: fewer now. */
static int side_extents(struct amb_connection *connection, const struct amb_side_message *answer,
                        const struct amb_side_message *behind, uint32_t *left, amb_extent_take take, void *context)
{
        uint32_t now = *left < AMB_SIDE_EXTENTS_AT_ONCE ? *left : AMB_SIDE_EXTENTS_AT_ONCE;
        struct amb_side_message extent;
        int fd;

        if (behind->code || behind->id != *left)
                return side_broken();
        for (uint32_t i = 0; i < now; i++) {
                if (side_receive(connection, AMB_SIDE_EXTENT, behind->serial, &extent, &fd))
                        return AMB_SIDE_GONE;
                take(context, answer, &extent, fd);
        }
        *left -= now;
        return 0;
}

/* Under side_lock. */
static int side_ask_memory(struct amb_connection *connection, uint32_t type, struct amb_side_message *answer, amb_extent_take take,
                           void *context)
{
        struct amb_side_message request = { .kind = AMB_SIDE_MAP, .id = type }, behind;
        uint32_t left;
        int r, fd;

        r = side_ask(connection, &request, -1, answer, &fd);
        if (r)
                return r;
        amb_fd_close(fd);
        if (answer->code || (answer->flags & AMB_SIDE_TERMINATED))
                return 0;
        left = answer->id;
        if (left == 0 || left > AMB_SIDE_EXTENTS_MAX)
                return side_broken();
        r = side_extents(connection, answer, answer, &left, take, context);
        request = (struct amb_side_message){ .kind = AMB_SIDE_MAP_MORE };
        while (r == 0 && left > 0) {
                r = side_ask(connection, &request, -1, &behind, &fd);
                if (r)
                        return r;
                amb_fd_close(fd);
                r = side_extents(connection, answer, &behind, &left, take, context);
        }
        return r;
}

int amb_connection_ask_memory(struct amb_connection *connection, uint32_t type, struct amb_side_message *ret_answer,
                              amb_extent_take take, void *context)
{
        AMB_NO_CANCEL;
        int r;

        amb_loans_sync(&connection->loans);
        pthread_mutex_lock(&connection->side_lock);
        r = side_ask_memory(connection, type, ret_answer, take, context);
        if (r)
                atomic_store(&connection->gone, true);
        pthread_mutex_unlock(&connection->side_lock);
        amb_connection_drop_ports(connection);
        return r;
}

bool amb_connection_gone(struct amb_connection *connection)
{
        struct pollfd fds[] = { { -1, 0, 0 }, { connection->host, POLLIN, 0 } };

        if (atomic_load(&connection->gone))
                return true;
        /* While somebody waits for an answer there is nothing to see: what is readable may be that answer. */
        if (pthread_mutex_trylock(&connection->side_lock) != 0)
                return false;
        fds[0].fd = connection->side;
        if (poll(fds, AMB_ARRAY_LENGTH(fds), 0) > 0)
                atomic_store(&connection->gone, true);
        pthread_mutex_unlock(&connection->side_lock);
        return atomic_load(&connection->gone);
}

kern_return_t amb_connection_ended(struct amb_connection *connection)
{
        atomic_store(&connection->gone, true);
        return amb_connection_terminated(connection);
}

kern_return_t amb_connection_terminated(struct amb_connection *connection)
{
        if (atomic_load(&connection->ever_mapped))
                return kIOReturnBadArgument;
        amb_handle_kill(connection->target.handle);
        return MACH_SEND_INVALID_DEST;
}

kern_return_t amb_connection_refusal(mach_port_t handle)
{
        struct amb_connection *connection;
        kern_return_t code;

        code = amb_handle_get(handle, AMB_HANDLE_CONNECTION, &connection);
        if (code)
                return code;
        code = atomic_load(&connection->ever_mapped) ? kIOReturnBadArgument : MACH_SEND_INVALID_DEST;
        amb_target_unref(connection);
        return code;
}

/* --- ports --- */

bool amb_connection_seat_find(struct amb_connection *connection, mach_port_t wake_port, uint32_t *ret_name)
{
        uint64_t key;

        for (uint32_t i = 0; i < AMB_SIDE_PORTS_MAX; i++) {
                key = atomic_load_explicit(&connection->seats[i].key, memory_order_acquire);
                if ((mach_port_t)key != wake_port)
                        continue;
                *ret_name = (uint32_t)(key >> 32);
                return true;
        }
        return false;
}

/* Under seat_lock, where seats are taken; they become free at any time. */
static bool seat_free(struct amb_connection *connection, uint32_t *ret_index)
{
        bool found = false;

        pthread_mutex_lock(&connection->drain);
        for (uint32_t i = 0; i < AMB_SIDE_PORTS_MAX && !found; i++) {
                found = !connection->seats[i].port;
                *ret_index = i;
        }
        pthread_mutex_unlock(&connection->drain);
        return found;
}

static bool ports_dropped(struct amb_connection *connection)
{
        for (uint32_t i = 0; i < AMB_SIDE_PORTS_MAX; i++)
                if (atomic_load(&connection->seats[i].dropped))
                        return true;
        return false;
}

/* Under side_lock. A full socket belongs to a host that does not run: it will be told by the next PORT, or by the close. */
static void drops_send(struct amb_connection *connection)
{
        struct amb_side_message message = { .kind = AMB_SIDE_PORT_DROP };

        for (uint32_t i = 0; i < AMB_SIDE_PORTS_MAX; i++) {
                message.id = atomic_exchange(&connection->seats[i].dropped, 0);
                if (message.id && connection->side >= 0 && !atomic_load(&connection->gone))
                        (void)amb_side_send(connection->side, &message, -1, false);
        }
}

void amb_connection_drop_ports(struct amb_connection *connection)
{
        /* Again after the unlock: who found the lock taken relies on its owner. */
        while (ports_dropped(connection) && pthread_mutex_trylock(&connection->side_lock) == 0) {
                drops_send(connection);
                pthread_mutex_unlock(&connection->side_lock);
        }
}

/* Under seat_lock: the host learns of the port before any call names it. */
static kern_return_t seat_take(struct amb_connection *connection, struct amb_port *port, uint32_t *ret_name)
{
        struct amb_side_message request = { .kind = AMB_SIDE_PORT }, answer;
        struct amb_port_seat *seat;
        uint32_t index = 0;

        if (!seat_free(connection, &index))
                return kIOReturnNoResources;
        seat = &connection->seats[index];
        /* Not 0; comes back after 2^24 ports. */
        request.id = seat->name + 0x100 < 0x100 ? 0x100 | index : ((seat->name & ~0xFFu) + 0x100) | index;
        if (amb_connection_ask(connection, &request, amb_port_wake_fd(port), &answer, NULL))
                return amb_connection_ended(connection);
        if (answer.code)
                return answer.code;
        if (amb_port_join(port, connection, request.id) < 0) {
                pthread_mutex_lock(&connection->drain);
                seat->name = request.id;
                pthread_mutex_unlock(&connection->drain);
                atomic_store(&seat->dropped, request.id);
                amb_connection_drop_ports(connection);
                return atomic_load(&port->destroyed) ? MACH_SEND_INVALID_RIGHT : kIOReturnNoMemory;
        }
        /* What the ring holds for destroyed ports must not keep the new one's completions out of it. */
        amb_ports_sweep(connection);
        *ret_name = request.id;
        return KERN_SUCCESS;
}

kern_return_t amb_connection_seat(struct amb_connection *connection, mach_port_t wake_port, struct amb_port *port,
                                  uint32_t *ret_name)
{
        AMB_NO_CANCEL;
        kern_return_t code = KERN_SUCCESS;

        pthread_mutex_lock(&connection->seat_lock);
        if (!amb_connection_seat_find(connection, wake_port, ret_name))
                code = seat_take(connection, port, ret_name);
        pthread_mutex_unlock(&connection->seat_lock);
        return code;
}

/* --- opening and closing --- */

kern_return_t amb_connection_open(const struct amb_opened *opened, io_connect_t *connect)
{
        struct amb_connection *connection;
        int r;

        r = amb_connection_new(opened, &connection);
        if (r == 0) {
                if (opened->names_memory && amb_channel_borrows(connection->channel))
                        amb_loans_promise(connection);
                r = amb_handle_new(&connection->target, connect);
                if (r < 0)
                        amb_target_unref(&connection->target);
        }
        if (r < 0)
                *connect = IO_OBJECT_NULL;
        return r == 0 ? KERN_SUCCESS : r == -EBADMSG ? kIOReturnIPCError : kIOReturnNoResources;
}

/* A driver may refuse with any code, also with the one that a dead entry gives: only the registry knows. */
static bool entry_gone(uint64_t id)
{
        AMB_SNAPSHOT snapshot = { 0 };
        kern_return_t code;

        return amb_remote_entry(id, &code, &snapshot) == 0 && code == MACH_SEND_INVALID_DEST;
}

kern_return_t IOServiceOpen(io_service_t service, task_port_t owning_task, uint32_t type, io_connect_t *connect)
{
        struct amb_known_entry *entry;
        struct amb_opened opened;
        kern_return_t code;
        bool gone;
        int r;

        code = amb_handle_get(service, AMB_HANDLE_ENTRY, &entry);
        if (code)
                return code;
        if (owning_task != mach_task_self() || entry->id == AMB_REMOTE_ROOT) {
                amb_target_unref(entry);
                return kIOReturnBadArgument;
        }
        r = amb_remote_open(entry->id, type, &code, &opened);
        gone = r == 0 && code == MACH_SEND_INVALID_DEST && entry_gone(entry->id);
        amb_target_unref(entry);
        if (r < 0)
                return amb_remote_code(r);
        if (gone) {
                amb_handle_kill(service);
                return code;
        }
        if (code) {
                *connect = IO_OBJECT_NULL;
                return code;
        }
        return amb_connection_open(&opened, connect);
}

static kern_return_t connection_close(mach_port_t handle)
{
        struct amb_connection *connection;
        kern_return_t code;
        int r;

        code = amb_handle_get(handle, AMB_HANDLE_CONNECTION, &connection);
        if (code)
                return code;
        /* Without the default locking nobody waits for calls in progress; the last of them does the rest. */
        r = amb_channel_unlocked(connection->channel) ? amb_handle_shut_now(handle) : amb_handle_shut(handle);
        if (r == 0 || r == AMB_HANDLE_INSIDE) {
                bool gone = amb_connection_gone(connection) || amb_channel_terminated(connection->channel);

                if (r == 0)
                        connection_left(&connection->target);
                else
                        connection_tell(connection);
                if (!atomic_load(&connection->ever_mapped)) {
                        amb_handle_kill(handle);
                        code = gone ? MACH_SEND_INVALID_DEST : KERN_SUCCESS;
                }
        }
        amb_target_unref(connection);
        return code;
}

kern_return_t IOServiceClose(io_connect_t connect)
{
        AMB_NO_CANCEL;
        kern_return_t code;

        code = amb_handle_hold(connect);
        if (code)
                return code;
        code = connection_close(connect);
        amb_handle_release(connect, false);
        amb_handle_let_go(connect);
        return code;
}

/* A connection whose host has gone unnoticed is found dead here, as its port would be. */
static void notice_death(mach_port_t handle)
{
        struct amb_connection *connection;

        if (amb_handle_get(handle, AMB_HANDLE_CONNECTION, &connection))
                return;
        if (amb_connection_gone(connection))
                amb_connection_ended(connection);
        else if (amb_channel_terminated(connection->channel))
                amb_connection_terminated(connection);
        amb_target_unref(connection);
}

kern_return_t IOConnectAddRef(io_connect_t connect)
{
        if (!connect)
                return KERN_SUCCESS;
        notice_death(connect);
        return amb_handle_retain(connect, true);
}

kern_return_t IOConnectRelease(io_connect_t connect)
{
        AMB_NO_CANCEL;

        if (!connect)
                return KERN_SUCCESS;
        notice_death(connect);
        return amb_handle_release(connect, true);
}

/* --- what DriverKit's user clients do not have --- */

static kern_return_t unsupported(io_connect_t connect)
{
        struct amb_connection *connection = amb_handle_pin(connect);
        kern_return_t code = kIOReturnUnsupported;

        if (!connection)
                return amb_connection_refusal(connect);
        if (amb_connection_gone(connection))
                code = amb_connection_ended(connection);
        else if (amb_channel_terminated(connection->channel))
                code = amb_connection_terminated(connection);
        amb_handle_unpin(connect);
        return code;
}

kern_return_t IOConnectGetService(io_connect_t connect, io_service_t *service)
{
        (void)service;
        return unsupported(connect);
}

kern_return_t IOConnectSetNotificationPort(io_connect_t connect, uint32_t type, mach_port_t port, uintptr_t reference)
{
        (void)type;
        (void)port;
        (void)reference;
        return unsupported(connect);
}

kern_return_t IOConnectAddClient(io_connect_t connect, io_connect_t client)
{
        kern_return_t code = unsupported(connect);

        if (code != kIOReturnUnsupported)
                return code;
        return unsupported(client) == kIOReturnUnsupported ? kIOReturnUnsupported : kIOReturnBadArgument;
}
