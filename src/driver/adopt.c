/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life without the daemon. Its end is seen as the end of our bus. The directory of its socket is watched; whenever something
 * appears in it we try to connect (a few times with growing pauses, because a socket exists before it listens) and report
 * everything we host.
 */
#include <sys/inotify.h>

#include <DriverKit/IOKitKeys.h>
#include <DriverKit/IOUserClient.h>
#include <mach/mach_error.h>

#include "control/bus.h"
#include "control/protocol.h"
#include "control/value.h"
#include "driver/server.h"
#include "driver/service.h"
#include "driver/table.h"
#include "driver/uplink-private.h"

#define TRIES_MOST 10
#define FIRST_PAUSE_US 2000u
#define STATE_INACTIVE 0x1u
#define STATE_REGISTERED 0x2u

static void try_to_connect(struct amb_server *server);

/* --- the report --- */

static bool set_number(OSDictionary *row, const char *key, uint64_t value, size_t bits)
{
        OSNumber *number = OSNumberCreate(value, bits);
        bool set = number && OSDictionarySetValue(row, key, number);

        OSObject_release(number);
        return set;
}

/* One entry; false: no memory. */
static bool describe(IOService *service, OSDictionary *row)
{
        struct IOService_ivars *s = service->ivars;
        const char *class_name;
        bool client = OSDynamicCast(IOUserClient, service), done;
        uint32_t state;

        pthread_mutex_lock(&s->lock);
        class_name = s->properties ? OSDictionaryGetStringValue(s->properties, kIOClassKey) : NULL;
        if (!class_name)
                class_name = client ? "IOUserUserClient" : "IOUserService";
        state = (s->stopping ? STATE_INACTIVE : 0) | (s->registered ? STATE_REGISTERED : 0);
        done = set_number(row, "id", s->entry, 64) &&
               set_number(row, "parent", s->provider ? amb_service_entry(s->provider) : 0, 64) &&
               set_number(row, "state", state, 32) && OSDictionarySetStringValue(row, "name", s->name) &&
               OSDictionarySetStringValue(row, "class", class_name) && OSDictionarySetBooleanValue(row, "started", s->started) &&
               (!client || set_number(row, "connection", s->entry, 64)) && OSDictionarySetValue(row, "runtime", s->runtime);
        if (done && s->properties) {
                done = OSDictionarySetValue(row, "properties", s->properties);
        } else if (done) {
                OSDictionary *none = OSDictionaryCreate();

                done = none && OSDictionarySetValue(row, "properties", none);
                OSObject_release(none);
        }
        pthread_mutex_unlock(&s->lock);
        return done;
}

static OSArray *describe_all(void)
{
        OSArray *rows = OSArrayCreate();
        IOService **services;
        size_t count;
        bool done = rows != NULL;

        if (amb_table_copy(&services, &count) < 0) {
                OSObject_release(rows);
                return NULL;
        }
        for (size_t i = 0; i < count; i++) {
                OSDictionary *row = done ? OSDictionaryCreate() : NULL;

                done = row && describe(services[i], row) && OSArrayAppendValue(rows, row);
                OSObject_release(row);
                OSObject_release(services[i]);
        }
        free(services);
        if (!done) {
                OSObject_release(rows);
                rows = NULL;
        }
        return rows;
}

static int on_adopted(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        struct amb_server *server = userdata;
        kern_return_t code = kIOReturnIPCError;

        if (sd_bus_message_get_bus(reply) != server->bus)
                return 0;
        server->adopting = false;
        if (!sd_bus_message_is_method_error(reply, NULL))
                sd_bus_message_read(reply, "i", &code);
        else if (!sd_bus_is_open(server->bus))
                return 0;       /* gone again: its end is told separately */
        if (code == kIOReturnNotReady) {
                /* A Start is still running: its end sends the report again. */
                server->report_again = true;
                return 0;
        }
        if (code != kIOReturnSuccess) {
                amb_log(AMB_LOG_ERROR, "the registry does not take host %s over: %s (0x%08x): ending", server->name,
                        mach_error_string(code), (unsigned int)code);
                amb_server_end(server, EXIT_FAILURE);
                return 0;
        }
        server->directory_source = sd_event_source_disable_unref(server->directory_source);
        amb_uplink_replay(server);
        return 0;
}

static int report(struct amb_server *server)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        OSArray *rows = describe_all();
        int r = rows ? 0 : -ENOMEM;

        if (r >= 0)
                r = amb_bus_new_call(server->bus, &message, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, "Adopt");
        if (r >= 0)
                r = sd_bus_message_append(message, "stss", server->name, server->tag, server->token, server->bundle_id);
        if (r >= 0)
                r = amb_dictionary_array_append(message, rows);
        if (r >= 0)
                r = amb_bus_call_async(server->bus, NULL, message, on_adopted, server);
        OSObject_release(rows);
        if (r < 0)
                return amb_trace(r);
        server->adopting = true;
        server->report_again = false;
        return 0;
}

void amb_adopt_started(struct amb_server *server)
{
        if (server->report_again && server->bus && report(server) < 0)
                amb_server_end(server, EXIT_FAILURE);
}

/* --- waiting for a daemon --- */

static bool nothing_left(const struct amb_server *server)
{
        IOService **services;
        size_t count;

        if (amb_server_has_connections(server) || amb_table_copy(&services, &count) < 0)
                return false;
        for (size_t i = 0; i < count; i++)
                OSObject_release(services[i]);
        free(services);
        return count == 0;
}

void amb_adopt_idle(struct amb_server *server)
{
        if (server->bus || !nothing_left(server))
                return;
        amb_log(AMB_LOG_INFO, "host %s ends: it hosts nothing, and no registry is there", server->name);
        amb_server_end(server, EXIT_SUCCESS);
}

static int on_retry(sd_event_source *source, uint64_t now, void *userdata)
{
        try_to_connect(userdata);
        return 0;
}

static void try_again_later(struct amb_server *server)
{
        server->retry = sd_event_source_disable_unref(server->retry);
        if (server->tries >= TRIES_MOST)
                return; /* the next change in the directory begins anew */
        sd_event_add_time_relative(server->event, &server->retry, CLOCK_MONOTONIC, FIRST_PAUSE_US << server->tries++, 1, on_retry,
                                   server);
}

static void try_to_connect(struct amb_server *server)
{
        AMB_FREE char *message = NULL;
        sd_bus *bus = NULL;

        if (server->bus)
                return;
        if (amb_bus_connect_path(server->path, &bus, &message) < 0 || amb_server_take_bus(server, bus) < 0) {
                try_again_later(server);
                return;
        }
        server->retry = sd_event_source_disable_unref(server->retry);
        if (report(server) < 0)
                amb_server_end(server, EXIT_FAILURE);
}

static int on_directory(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        struct amb_server *server = userdata;

        if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
                if (!server->bus) {
                        amb_log(AMB_LOG_INFO, "host %s ends: %s is gone", server->name, server->directory);
                        amb_server_end(server, EXIT_SUCCESS);
                }
                return 0;
        }
        server->tries = 0;
        try_to_connect(server);
        return 0;
}

void amb_adopt_begin(struct amb_server *server)
{
        sd_bus *bus = amb_steal(server->bus);
        int r = 0;

        sd_bus_close_unref(bus);
        if (server->embedded) {
                /* No launch, no token: another daemon could not know us. Open connections go on. */
                amb_log(AMB_LOG_WARNING, "the registry is gone: %s is hosted no more", server->name);
                amb_server_end(server, EXIT_FAILURE);
                return;
        }
        server->adopting = server->report_again = false;
        server->tries = 0;
        if (!server->directory_source)
                r = sd_event_add_inotify(server->event, &server->directory_source, server->directory,
                                         IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
                                         on_directory, server);
        if (r < 0) {
                amb_log(AMB_LOG_INFO, "host %s ends: the registry is gone, and %s cannot be watched: %s", server->name,
                        server->directory, strerror(-r));
                amb_server_end(server, EXIT_SUCCESS);
                return;
        }
        amb_log(AMB_LOG_NOTICE, "the registry is gone: host %s goes on and waits for another", server->name);
        amb_adopt_idle(server);
        /* Another one may be there already. */
        try_to_connect(server);
}
