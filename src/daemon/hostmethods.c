/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registry1: what only the connection of a checked-in or adopted host may call. That an entry is that host's is for the
 * registry to check; that the caller is a host at all is known from the connection.
 */
#include "control/bus.h"
#include "control/value.h"
#include "daemon/daemon.h"

static void release_cleanup(void *pointer)
{
        OSObject_release(*(void **)pointer);
}
#define RELEASE AMB_CLEANUP(release_cleanup)

/* The host that calls; NULL: it is none, *ret is what the method returns. */
static struct amb_process *caller(struct amb_peer *peer, sd_bus_error *error, int *ret)
{
        if (peer->host && peer->host->state == AMB_HOST_READY)
                return peer->host;
        *ret = sd_bus_error_set_const(error, SD_BUS_ERROR_ACCESS_DENIED,
                                      "only a driver host that has checked in may call this");
        return NULL;
}

int amb_method_check_in(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *server_name, *token, *bundle_id;
        struct amb_peer *peer = userdata;
        uint64_t tag;
        int r;

        r = sd_bus_message_read(call, "stss", &server_name, &tag, &token, &bundle_id);
        if (r < 0)
                return r;
        if (!peer->host)
                return sd_bus_error_set_const(error, SD_BUS_ERROR_ACCESS_DENIED,
                                              "only a host that ambidextd has launched checks in");
        r = amb_methods_reply_code(call, amb_process_check_in(peer->host, server_name, tag, token, bundle_id));
        amb_daemon_settle(peer->daemon);
        return r;
}

int amb_method_adopt(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *server_name, *token, *bundle_id;
        struct amb_peer *peer = userdata;
        RELEASE OSArray *rows = NULL;
        uint64_t tag;
        int r;

        r = sd_bus_message_read(call, "stss", &server_name, &tag, &token, &bundle_id);
        if (r >= 0)
                r = amb_dictionary_array_read(call, &rows);
        if (r < 0)
                return r;
        r = amb_methods_reply_code(call, amb_takeover_adopt(peer, server_name, tag, token, bundle_id, rows));
        amb_daemon_settle(peer->daemon);
        return r;
}

int amb_method_create_service(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        RELEASE OSDictionary *properties = NULL;
        uint64_t parent, entry = 0;
        struct amb_process *host;
        IOReturn code;
        int r;

        host = caller(peer, error, &r);
        if (!host)
                return r;
        r = sd_bus_message_read(call, "t", &parent);
        if (r >= 0)
                r = amb_dictionary_read(call, &properties);
        if (r < 0)
                return r;
        code = amb_registry_create_service(peer->daemon->registry, host->number, parent, properties, &entry);
        r = sd_bus_reply_method_return(call, "it", code, code == kIOReturnSuccess ? entry : 0);
        amb_daemon_settle(peer->daemon);
        return r;
}

int amb_method_register_service(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        struct amb_process *host;
        uint64_t entry;
        int r;

        host = caller(peer, error, &r);
        if (!host)
                return r;
        r = sd_bus_message_read(call, "t", &entry);
        if (r < 0)
                return r;
        r = amb_methods_reply_code(call, amb_registry_register_service(peer->daemon->registry, host->number, entry,
                                                                       amb_time_now()));
        amb_daemon_settle(peer->daemon);
        return r;
}

int amb_method_set_properties(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        RELEASE OSDictionary *changes = NULL;
        RELEASE OSArray *removed = NULL;
        struct amb_process *host;
        uint64_t entry;
        int r;

        host = caller(peer, error, &r);
        if (!host)
                return r;
        r = sd_bus_message_read(call, "t", &entry);
        if (r >= 0)
                r = amb_dictionary_read(call, &changes);
        if (r >= 0)
                r = amb_string_array_read(call, &removed);
        if (r < 0)
                return r;
        r = amb_methods_reply_code(call, amb_registry_set_properties(peer->daemon->registry, host->number, entry, changes,
                                                                     removed));
        amb_daemon_settle(peer->daemon);
        return r;
}

int amb_method_set_name(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        struct amb_process *host;
        const char *name;
        uint64_t entry;
        int r;

        host = caller(peer, error, &r);
        if (!host)
                return r;
        r = sd_bus_message_read(call, "ts", &entry, &name);
        if (r < 0)
                return r;
        r = amb_methods_reply_code(call, amb_registry_set_name(peer->daemon->registry, host->number, entry, name));
        amb_daemon_settle(peer->daemon);
        return r;
}

int amb_method_terminate(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        uint64_t entry, options;
        struct amb_process *host;
        int r;

        host = caller(peer, error, &r);
        if (!host)
                return r;
        r = sd_bus_message_read(call, "tt", &entry, &options);
        if (r < 0)
                return r;
        r = amb_methods_reply_code(call, amb_registry_terminate(peer->daemon->registry, host->number, entry, options,
                                                                amb_time_now()));
        amb_daemon_settle(peer->daemon);
        return r;
}

int amb_method_did_stop(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        struct amb_process *host;
        uint64_t entry;
        int r;

        host = caller(peer, error, &r);
        if (!host)
                return r;
        r = sd_bus_message_read(call, "t", &entry);
        if (r < 0)
                return r;
        amb_registry_did_stop(peer->daemon->registry, host->number, entry, amb_time_now());
        r = sd_bus_reply_method_return(call, "");
        amb_daemon_settle(peer->daemon);
        return r;
}

int amb_method_connection_closed(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        struct amb_process *host;
        uint64_t connection;
        int r;

        host = caller(peer, error, &r);
        if (!host)
                return r;
        r = sd_bus_message_read(call, "t", &connection);
        if (r < 0)
                return r;
        amb_open_closed(peer->daemon, host->number, connection);
        amb_registry_connection_closed(peer->daemon->registry, host->number, connection, amb_time_now());
        r = sd_bus_reply_method_return(call, "");
        amb_daemon_settle(peer->daemon);
        return r;
}
