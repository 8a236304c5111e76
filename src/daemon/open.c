/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening: the registry decides, the host makes the user client, the app gets its ends. Channel and side socket are made here,
 * so that neither app nor host has to trust memory that the other one made. What stays is the bell.
 */
#include <sys/socket.h>

#include "control/bus.h"
#include "control/protocol.h"
#include "control/value.h"
#include "daemon/daemon.h"

static void release_cleanup(void *pointer)
{
        OSObject_release(*(void **)pointer);
}
#define RELEASE AMB_CLEANUP(release_cleanup)
#define MESSAGE AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message

static struct amb_link *bucket(struct amb_daemon *daemon, uint64_t id)
{
        return &daemon->connections[id % AMB_ARRAY_LENGTH(daemon->connections)];
}

static struct amb_connection *connection_find(struct amb_daemon *daemon, uint64_t id)
{
        struct amb_connection *connection;

        amb_list_for(connection, bucket(daemon, id), link)
                if (connection->id == id)
                        return connection;
        return NULL;
}

/* The app has its answer, or has gone. */
static void connection_settle(struct amb_connection *connection)
{
        if (connection->peer && connection->peer->account)
                connection->peer->account->calls--;
        amb_link_remove(&connection->peer_link);
        connection->peer = NULL;
        connection->call = sd_bus_message_unref(connection->call);
}

/* The driver has answered, or never will. */
static void connection_answered(struct amb_connection *connection)
{
        if (connection->account)
                connection->account->opens--;
        connection->account = NULL;
}

static struct amb_connection *connection_free(struct amb_connection *connection)
{
        if (!connection)
                return NULL;
        connection_settle(connection);
        connection_answered(connection);
        amb_link_remove(&connection->link);
        amb_fd_close(connection->channel_fd);
        amb_fd_close(connection->side_fd);
        amb_bell_unmap(connection->bell);
        free(connection);
        return NULL;
}
AMB_DEFINE_CLEANUP(struct amb_connection, connection_free)

static int reply_refusal(sd_bus_message *call, IOReturn code)
{
        return sd_bus_reply_method_return(call, "itba{sh}", code, UINT64_C(0), 0, 0);
}

static struct amb_connection *connection_new(struct amb_peer *peer, sd_bus_message *call)
{
        struct amb_connection *connection = calloc(1, sizeof(*connection));

        if (!connection)
                return NULL;
        connection->channel_fd = connection->side_fd = -1;
        connection->peer = peer;
        connection->call = sd_bus_message_ref(call);
        connection->account = peer->account;
        amb_list_append(&peer->opens, &connection->peer_link);
        if (peer->account) {
                peer->account->calls++;
                peer->account->opens++;
        }
        return connection;
}

static IOReturn decide(struct amb_peer *peer, uint64_t entry, uint32_t type, uint64_t *ret_connection)
{
        AMB_FREE char *executable = NULL;
        RELEASE OSDictionary *entitlements = amb_grants_of(peer, &executable);
        const char *name = executable ? strrchr(executable, '/') : NULL;
        const struct amb_opener opener = {
                .uid = peer->uid,
                .pid = peer->pid,
                .name = name ? name + 1 : "unknown",
                .entitlements = entitlements,
        };
        struct amb_open open = { .why = NULL };
        IOReturn code;

        if (!entitlements)
                return kIOReturnNoMemory;
        code = amb_registry_open(peer->daemon->registry, entry, &opener, type, &open);
        if (code == kIOReturnSuccess)
                *ret_connection = open.connection;
        else if (code == kIOReturnNotPermitted)
                amb_grants_log_refusal(peer, entry, executable);
        free(open.why);
        return code;
}

int amb_method_open_service(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        AMB_CLEANUP(connection_freep) struct amb_connection *connection = NULL;
        struct amb_peer *peer = userdata;
        struct amb_daemon *daemon = peer->daemon;
        uint64_t entry, id = 0;
        uint32_t type;
        IOReturn code;
        int r;

        r = sd_bus_message_read(call, "tu", &entry, &type);
        if (r < 0)
                return r;
        /* Drivers do not open drivers: they are matched on each other (lifecycle-registry 3.6). */
        if (peer->host)
                return reply_refusal(call, kIOReturnUnsupported);
        if (!amb_account_may_open(daemon, peer->account))
                return reply_refusal(call, kIOReturnNoResources);
        connection = connection_new(peer, call);
        if (!connection)
                return reply_refusal(call, kIOReturnNoMemory);
        code = decide(peer, entry, type, &id);
        if (code != kIOReturnSuccess) {
                r = reply_refusal(call, code);
        } else {
                connection->id = id;
                amb_list_append(bucket(daemon, id), &connection->link);
                amb_steal(connection);
                r = 1;
        }
        amb_daemon_settle(daemon);
        return r;
}

/* --- the host's part --- */

static void opened(struct amb_daemon *daemon, uint64_t host_number, uint64_t id, IOReturn code, sd_bus_message *reply)
{
        struct amb_process *host = amb_process_find(daemon, host_number);
        RELEASE OSDictionary *properties = NULL;
        const char *user_class = NULL;

        if (reply && code == kIOReturnSuccess &&
            (sd_bus_message_read(reply, "s", &user_class) <= 0 || amb_dictionary_read(reply, &properties) < 0)) {
                /* It believes that there is a user client now, and cannot say which. */
                if (host && host->peer)
                        amb_peer_drop(host->peer, "malformed answer to NewUserClient");
                return;
        }
        amb_registry_open_done(daemon->registry, host_number, id, code, user_class, properties, amb_time_now());
        amb_daemon_settle(daemon);
}

static int ends_make(struct amb_ends *ret)
{
        AMB_FD channel = -1;
        struct amb_bell *bell;
        int side[2], r;

        r = amb_channel_create(&channel);
        if (r < 0)
                return r;
        r = amb_bell_map(channel, &bell);
        if (r != 0)
                return r < 0 ? r : -EIO;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, side) < 0) {
                r = amb_errno();
                amb_bell_unmap(bell);
                return r;
        }
        *ret = (struct amb_ends){ amb_fd_steal(&channel), side[0], side[1], bell };
        return 0;
}

static void ends_free(struct amb_ends *ends)
{
        if (!ends->bell)
                return;
        amb_fd_close(ends->channel);
        amb_fd_close(ends->side);
        amb_fd_close(ends->host_side);
        amb_bell_unmap(ends->bell);
        *ends = (struct amb_ends){ .bell = NULL };
}

static int take_ends(struct amb_daemon *daemon, struct amb_connection *connection, int *ret_host_side)
{
        struct amb_ends ends = daemon->spare_ends;
        int r = ends.bell ? 0 : ends_make(&ends);

        daemon->spare_ends = (struct amb_ends){ .bell = NULL };
        if (r < 0)
                return r;
        connection->bell = ends.bell;
        connection->channel_fd = ends.channel;
        connection->side_fd = ends.side;
        *ret_host_side = ends.host_side;
        return 0;
}

static int ask(struct amb_daemon *daemon, const struct amb_action *action, struct amb_connection *connection)
{
        struct amb_process *host = amb_process_find(daemon, action->host);
        AMB_FD host_side = -1;
        MESSAGE *message = NULL;
        int r;

        if (!host)
                return -ENOTCONN;
        r = take_ends(daemon, connection, &host_side);
        if (r >= 0)
                r = amb_process_new_call(host, "NewUserClient", &message);
        if (r >= 0)
                r = sd_bus_message_append(message, "ttus", action->entry, action->connection, action->open_type,
                                          action->creator);
        if (r >= 0)
                r = amb_dictionary_append(message, action->entitlements);
        if (r >= 0)
                r = sd_bus_message_append(message, "hhh", connection->channel_fd, host_side, connection->peer->pidfd);
        if (r >= 0)
                r = amb_process_call(host, message, action->connection, opened);
        return r;
}

void amb_open_ask(struct amb_daemon *daemon, const struct amb_action *action)
{
        struct amb_connection *connection = connection_find(daemon, action->connection);
        IOReturn code = kIOReturnAborted;
        int r;

        if (connection && connection->peer) {
                connection->host = action->host;
                r = ask(daemon, action, connection);
                if (r >= 0)
                        return;
                amb_log(AMB_LOG_ERROR, "cannot prepare a connection: %s", strerror(-r));
                code = kIOReturnNoResources;
        }
        amb_registry_open_done(daemon->registry, action->host, action->connection, code, NULL, NULL, amb_time_now());
}

/* --- the app's part --- */

static int reply_connection(struct amb_daemon *daemon, struct amb_connection *connection)
{
        const struct amb_process *host = amb_process_find(daemon, connection->host);
        /* Decided here, where policy is; kept by the app's library, which a driver cannot get around. */
        int names_memory = daemon->options.developer || amb_registry_names_memory(daemon->registry, connection->id);
        MESSAGE *reply = NULL;
        int r;

        if (!host)
                return -ENOTCONN;
        const struct amb_named_fd fds[] = {
                { "channel", connection->channel_fd }, { "side", connection->side_fd }, { "host", host->pidfd },
        };
        r = sd_bus_message_new_method_return(connection->call, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "itb", kIOReturnSuccess, connection->id, names_memory);
        if (r >= 0)
                r = amb_bus_append_fds(reply, fds, AMB_ARRAY_LENGTH(fds));
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

void amb_open_finish(struct amb_daemon *daemon, const struct amb_action *action)
{
        struct amb_connection *connection = connection_find(daemon, action->connection);
        int r;

        if (!connection)
                return;
        if (action->code != kIOReturnSuccess) {
                if (connection->peer) {
                        amb_grants_log_failure(connection->peer, action->entry, action->code, action->text);
                        reply_refusal(connection->call, action->code);
                }
                connection_free(connection);
                return;
        }
        if (connection->peer) {
                r = reply_connection(daemon, connection);
                if (r < 0) {
                        amb_log(AMB_LOG_ERROR, "cannot hand over a connection: %s", strerror(-r));
                        reply_refusal(connection->call, kIOReturnNoResources);
                }
        }
        connection_settle(connection);
        connection_answered(connection);
        /* When the app has not got its end, the host sees the last copy go and closes the connection. */
        connection->channel_fd = amb_fd_close(connection->channel_fd);
        connection->side_fd = amb_fd_close(connection->side_fd);
        /* While the app looks at its answer. Without them the next one waits a little longer. */
        if (!daemon->spare_ends.bell)
                (void)ends_make(&daemon->spare_ends);
}

/* --- ends --- */

/* Its ends go at once, so that a driver which answers late sees that nobody is there. */
void amb_open_peer_gone(struct amb_peer *peer)
{
        while (!amb_list_empty(&peer->opens)) {
                struct amb_connection *connection = amb_list_first(&peer->opens, struct amb_connection, peer_link);

                connection_settle(connection);
                connection->channel_fd = amb_fd_close(connection->channel_fd);
                connection->side_fd = amb_fd_close(connection->side_fd);
        }
}

void amb_open_host_gone(struct amb_daemon *daemon, uint64_t host)
{
        struct amb_connection *connection, *following;

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(daemon->connections); i++) {
                amb_list_for_safe(connection, following, &daemon->connections[i], link) {
                        if (connection->host != host)
                                continue;
                        if (connection->bell)
                                amb_bell_ring_dead(connection->bell);
                        /* One that is still being opened gets its answer from the registry. */
                        if (!connection->peer && connection->channel_fd < 0)
                                connection_free(connection);
                }
        }
}

void amb_open_closed(struct amb_daemon *daemon, uint64_t host, uint64_t id)
{
        struct amb_connection *connection = connection_find(daemon, id);

        if (connection && connection->host == host && !connection->peer && connection->channel_fd < 0)
                connection_free(connection);
}

void amb_open_free_all(struct amb_daemon *daemon)
{
        ends_free(&daemon->spare_ends);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(daemon->connections); i++)
                while (!amb_list_empty(&daemon->connections[i]))
                        connection_free(amb_list_first(&daemon->connections[i], struct amb_connection, link));
}
