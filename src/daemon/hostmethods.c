/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registry1: what only the connection of a checked-in or adopted host may call. That an entry is that host's is for the
 * registry to check; that the caller is a host at all is known from the connection (as_host).
 */
#include "control/bus.h"
#include "control/value.h"
#include "daemon/daemon.h"

static void release_cleanup(void *pointer)
{
        OSObject_release(*(void **)pointer);
}
#define RELEASE AMB_CLEANUP(release_cleanup)

/* One method of a host: reads `call`, makes one registry call in the name of `host`, answers. */
typedef int (*host_method_t)(sd_bus_message *call, struct amb_daemon *daemon, uint64_t host);

static int as_host(host_method_t method, sd_bus_message *call, struct amb_peer *peer, sd_bus_error *error)
{
        struct amb_daemon *daemon = peer->daemon;
        int r;

        if (!peer->host || peer->host->state != AMB_HOST_READY)
                return sd_bus_error_set_const(error, SD_BUS_ERROR_ACCESS_DENIED,
                                              "only a driver host that has checked in may call this");
        r = method(call, daemon, peer->host->number);
        amb_daemon_settle(daemon);
        return r;
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

static int create_service(sd_bus_message *call, struct amb_daemon *daemon, uint64_t host)
{
        RELEASE OSDictionary *properties = NULL;
        uint64_t parent, entry = 0;
        IOReturn code;
        int r;

        r = sd_bus_message_read(call, "t", &parent);
        if (r >= 0)
                r = amb_dictionary_read(call, &properties);
        if (r < 0)
                return r;
        code = amb_registry_create_service(daemon->registry, host, parent, properties, &entry);
        return sd_bus_reply_method_return(call, "it", code, code == kIOReturnSuccess ? entry : 0);
}

static int register_service(sd_bus_message *call, struct amb_daemon *daemon, uint64_t host)
{
        uint64_t entry;
        int r;

        r = sd_bus_message_read(call, "t", &entry);
        if (r < 0)
                return r;
        return amb_methods_reply_code(call, amb_registry_register_service(daemon->registry, host, entry, amb_time_now()));
}

static int set_properties(sd_bus_message *call, struct amb_daemon *daemon, uint64_t host)
{
        RELEASE OSDictionary *changes = NULL;
        RELEASE OSArray *removed = NULL;
        uint64_t entry;
        int r;

        r = sd_bus_message_read(call, "t", &entry);
        if (r >= 0)
                r = amb_dictionary_read(call, &changes);
        if (r >= 0)
                r = amb_string_array_read(call, &removed);
        if (r < 0)
                return r;
        return amb_methods_reply_code(call, amb_registry_set_properties(daemon->registry, host, entry, changes, removed));
}

static int set_name(sd_bus_message *call, struct amb_daemon *daemon, uint64_t host)
{
        const char *name;
        uint64_t entry;
        int r;

        r = sd_bus_message_read(call, "ts", &entry, &name);
        if (r < 0)
                return r;
        return amb_methods_reply_code(call, amb_registry_set_name(daemon->registry, host, entry, name));
}

static int terminate(sd_bus_message *call, struct amb_daemon *daemon, uint64_t host)
{
        uint64_t entry, options;
        int r;

        r = sd_bus_message_read(call, "tt", &entry, &options);
        if (r < 0)
                return r;
        return amb_methods_reply_code(call, amb_registry_terminate(daemon->registry, host, entry, options, amb_time_now()));
}

static int did_stop(sd_bus_message *call, struct amb_daemon *daemon, uint64_t host)
{
        uint64_t entry;
        int r;

        r = sd_bus_message_read(call, "t", &entry);
        if (r < 0)
                return r;
        amb_registry_did_stop(daemon->registry, host, entry, amb_time_now());
        return sd_bus_reply_method_return(call, "");
}

static int connection_closed(sd_bus_message *call, struct amb_daemon *daemon, uint64_t host)
{
        uint64_t connection;
        int r;

        r = sd_bus_message_read(call, "t", &connection);
        if (r < 0)
                return r;
        amb_open_closed(daemon, host, connection);
        amb_registry_connection_closed(daemon->registry, host, connection, amb_time_now());
        return sd_bus_reply_method_return(call, "");
}

/* The same as sd-bus wants them: amb_method_set_name and so on. */
#define HOST_METHOD(name)                                                                                               \
        int amb_method_##name(sd_bus_message *call, void *userdata, sd_bus_error *error)                                \
        {                                                                                                               \
                return as_host(name, call, userdata, error);                                                            \
        }
HOST_METHOD(create_service)
HOST_METHOD(register_service)
HOST_METHOD(set_properties)
HOST_METHOD(set_name)
HOST_METHOD(terminate)
HOST_METHOD(did_stop)
HOST_METHOD(connection_closed)
