/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registry1: looking, waiting, being told, loading. Each method is: read everything, one registry call, answer, settle.
 * Signatures are checked by sd-bus; what a value may hold is checked by control/value.c.
 */
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

int amb_methods_reply_code(sd_bus_message *call, IOReturn code)
{
        return sd_bus_reply_method_return(call, "i", code);
}

static int reply_ids(sd_bus_message *call, IOReturn code, const uint64_t *ids, size_t count)
{
        MESSAGE *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "i", code);
        if (r >= 0)
                r = amb_id_array_append(reply, ids, count);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* --- looking --- */

static int method_find_services(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        RELEASE OSDictionary *matching = NULL;
        AMB_FREE uint64_t *ids = NULL;
        size_t count = 0;
        IOReturn code;
        int r;

        r = amb_dictionary_read(call, &matching);
        if (r < 0)
                return r;
        code = amb_registry_find_services(peer->daemon->registry, matching, &ids, &count);
        return reply_ids(call, code, ids, code == kIOReturnSuccess ? count : 0);
}

static int append_children(sd_bus_message *reply, const struct amb_registry *registry, uint64_t entry)
{
        size_t count = amb_registry_children(registry, entry, NULL, 0);
        AMB_FREE uint64_t *ids = count ? calloc(count, sizeof(uint64_t)) : NULL;

        if (count && !ids)
                return -ENOMEM;
        amb_registry_children(registry, entry, ids, count);
        return amb_id_array_append(reply, ids, count);
}

static pid_t host_pid(struct amb_daemon *daemon, uint64_t number)
{
        const struct amb_process *host = number ? amb_process_find(daemon, number) : NULL;

        return host ? host->pid : 0;
}

/*
 * An entry's properties, or none when they could not travel or *left bytes are not enough: one entry that cannot be read must
 * not keep everybody from reading the others.
 */
static OSDictionary *readable_properties(struct amb_daemon *daemon, const struct amb_entry_view *view, size_t *left)
{
        RELEASE OSDictionary *properties = amb_registry_copy_properties(daemon->registry, view->id);
        size_t bytes = 0;

        if (properties && (amb_dictionary_measure(properties, &bytes) < 0 || bytes > *left))
                return NULL;
        *left -= bytes;
        return amb_steal(properties);
}

static int append_entry(sd_bus_message *reply, struct amb_daemon *daemon, const struct amb_entry_view *view)
{
        size_t left = SIZE_MAX;
        RELEASE OSDictionary *properties = readable_properties(daemon, view, &left);
        int r;

        r = sd_bus_message_append(reply, "issuu", kIOReturnSuccess, view->class, view->name, view->state, view->busy);
        if (r >= 0)
                r = amb_id_array_append(reply, &view->parent, view->parent ? 1 : 0);
        if (r >= 0)
                r = append_children(reply, daemon->registry, view->id);
        if (r >= 0)
                r = sd_bus_message_append(reply, "t", (uint64_t)host_pid(daemon, view->host));
        if (r >= 0)
                r = amb_dictionary_append(reply, properties);
        if (r >= 0)
                r = sd_bus_message_append_strv(reply, (char **)view->classes);
        return r;
}

static int method_get_entry(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        struct amb_entry_view view;
        MESSAGE *reply = NULL;
        uint64_t entry;
        int r;

        r = sd_bus_message_read(call, "t", &entry);
        if (r < 0)
                return r;
        if (!amb_registry_view(peer->daemon->registry, entry ? entry : AMB_ENTRY_ROOT, &view))
                return sd_bus_reply_method_return(call, "issuuatatta{sv}as", MACH_SEND_INVALID_DEST, "", "", 0, 0, 0, 0,
                                                  UINT64_C(0), 0, 0);
        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = append_entry(reply, peer->daemon, &view);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int append_row(sd_bus_message *reply, struct amb_daemon *daemon, const struct amb_entry_view *view, size_t *left)
{
        RELEASE OSDictionary *properties = readable_properties(daemon, view, left);
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "id", "t", view->id, "parent", "t",
                                          view->parent, "class",
                                          "s", view->class, "name", "s", view->name, "state", "u", view->state, "busy", "u",
                                          view->busy, "pid", "t", (uint64_t)host_pid(daemon, view->host));
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", "properties");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "a{sv}");
        if (r >= 0)
                r = amb_dictionary_append(reply, properties);
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(reply);
        return r;
}

static int method_dump(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        struct amb_daemon *daemon = peer->daemon;
        size_t left = AMB_VALUE_ROWS_BYTES / 2;
        struct amb_entry_view view;
        MESSAGE *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (uint64_t id = amb_registry_next(daemon->registry, 0); r >= 0 && id; id = amb_registry_next(daemon->registry, id))
                if (amb_registry_view(daemon->registry, id, &view))
                        r = append_row(reply, daemon, &view, &left);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* --- being told --- */

static int method_subscribe(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        RELEASE OSDictionary *matching = NULL;
        AMB_FREE uint64_t *ids = NULL;
        const char *notification;
        uint32_t subscription;
        size_t count = 0;
        IOReturn code;
        int r;

        r = sd_bus_message_read(call, "us", &subscription, &notification);
        if (r >= 0)
                r = amb_dictionary_read(call, &matching);
        if (r < 0)
                return r;
        code = amb_registry_subscribe(peer->daemon->registry, peer->owner, subscription, notification, matching, &ids, &count);
        r = reply_ids(call, code, ids, code == kIOReturnSuccess ? count : 0);
        amb_daemon_settle(peer->daemon);
        return r;
}

static int method_subscribe_interest(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        uint32_t subscription;
        const char *interest;
        uint64_t entry;
        int r;

        r = sd_bus_message_read(call, "uts", &subscription, &entry, &interest);
        if (r < 0)
                return r;
        r = amb_methods_reply_code(call, amb_registry_subscribe_interest(peer->daemon->registry, peer->owner, subscription,
                                                                         entry,
                                                                        interest));
        amb_daemon_settle(peer->daemon);
        return r;
}

static int method_unsubscribe(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        uint32_t subscription;
        int r;

        r = sd_bus_message_read(call, "u", &subscription);
        if (r < 0)
                return r;
        amb_registry_unsubscribe(peer->daemon->registry, peer->owner, subscription);
        return sd_bus_reply_method_return(call, "");
}

/* --- waiting --- */

/* A WaitQuiet that has not been answered; in the registry it is subscription `number` of the peer's second owner. */
struct wait {
        struct amb_link link;
        struct amb_peer *peer;
        uint32_t number;
        sd_bus_message *call;
        sd_event_source *timer;
};

static void wait_free(struct wait *wait)
{
        amb_link_remove(&wait->link);
        sd_event_source_disable_unref(wait->timer);
        sd_bus_message_unref(wait->call);
        if (wait->peer->account)
                wait->peer->account->calls--;
        free(wait);
}

void amb_methods_waits_free(struct amb_peer *peer)
{
        while (!amb_list_empty(&peer->waits))
                wait_free(amb_list_first(&peer->waits, struct wait, link));
}

static int on_wait_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct wait *wait = userdata;

        amb_registry_unsubscribe(wait->peer->daemon->registry, wait->peer->owner + 1, wait->number);
        amb_methods_reply_code(wait->call, kIOReturnTimeout);
        wait_free(wait);
        return 0;
}

void amb_methods_quiet(struct amb_daemon *daemon, uint64_t owner, uint32_t subscription)
{
        struct amb_peer *peer = amb_peer_find(daemon, owner);
        struct wait *wait, *following;

        if (!peer)
                return;
        amb_list_for_safe(wait, following, &peer->waits, link) {
                if (wait->number != subscription)
                        continue;
                amb_methods_reply_code(wait->call, kIOReturnSuccess);
                wait_free(wait);
        }
}

static int wait_begin(struct amb_peer *peer, sd_bus_message *call, uint32_t number, uint64_t nanoseconds)
{
        struct wait *wait = calloc(1, sizeof(*wait));

        if (!wait)
                return -ENOMEM;
        wait->peer = peer;
        wait->number = number;
        wait->call = sd_bus_message_ref(call);
        amb_list_append(&peer->waits, &wait->link);
        if (peer->account)
                peer->account->calls++;
        if (nanoseconds == UINT64_MAX)
                return 0;
        /* Rounded up: it must not be over before its time. */
        return sd_event_add_time_relative(peer->daemon->event, &wait->timer, CLOCK_MONOTONIC, nanoseconds / 1000 + 1, 1,
                                          on_wait_timeout, wait);
}

static int method_wait_quiet(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        uint64_t entry, nanoseconds;
        uint32_t number = ++peer->wait_numbers;
        bool quiet = true;
        IOReturn code;
        int r;

        r = sd_bus_message_read(call, "tt", &entry, &nanoseconds);
        if (r < 0)
                return r;
        if (peer->account && !amb_account_may_call(peer->account))
                return amb_methods_reply_code(call, kIOReturnNoResources);
        code = amb_registry_wait_quiet(peer->daemon->registry, peer->owner + 1, number, entry, &quiet);
        if (code != kIOReturnSuccess || quiet)
                return amb_methods_reply_code(call, code);
        if (nanoseconds > 0) {
                r = wait_begin(peer, call, number, nanoseconds);
                return r < 0 ? r : 1;
        }
        amb_registry_unsubscribe(peer->daemon->registry, peer->owner + 1, number);
        return amb_methods_reply_code(call, kIOReturnTimeout);
}

/* --- loading --- */

static const char needs_owner[] = "drivers are loaded and unloaded by root or by the user that runs ambidextd";

static int method_load_bundle(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        AMB_FREE char *message = NULL, *bundle_id = NULL;
        const char *path;
        IOReturn code;
        int r;

        r = sd_bus_message_read(call, "s", &path);
        if (r < 0)
                return r;
        if (!amb_peer_privileged(peer))
                return sd_bus_reply_method_return(call, "iss", kIOReturnNotPrivileged, needs_owner, "");
        code = amb_bundle_load(peer->daemon, path, &message, &bundle_id);
        r = sd_bus_reply_method_return(call, "iss", code, message ? message : "", bundle_id ? bundle_id : "");
        amb_daemon_settle(peer->daemon);
        return r;
}

static int method_unload_bundle(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        AMB_FREE char *message = NULL;
        const char *bundle_id;
        IOReturn code;
        int r;

        r = sd_bus_message_read(call, "s", &bundle_id);
        if (r < 0)
                return r;
        if (!amb_peer_privileged(peer))
                return sd_bus_reply_method_return(call, "is", kIOReturnNotPrivileged, needs_owner);
        code = amb_bundle_unload(peer->daemon, bundle_id, &message);
        r = sd_bus_reply_method_return(call, "is", code, message ? message : "");
        amb_daemon_settle(peer->daemon);
        return r;
}

/* Everybody may call them: who may do what is decided by each method, not by the bus. */
#define FLAGS SD_BUS_VTABLE_UNPRIVILEGED
#define CODE SD_BUS_RESULT("i", code)

const sd_bus_vtable amb_methods_vtable[] = {
        SD_BUS_VTABLE_START(0),
        /* apps */
        SD_BUS_METHOD_WITH_ARGS("FindServices", SD_BUS_ARGS("a{sv}", matching), SD_BUS_RESULT("i", code, "at", entries),
                                method_find_services, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("GetEntry", SD_BUS_ARGS("t", entry),
                                SD_BUS_RESULT("i", code, "s", class, "s", name, "u", state, "u", busy, "at", parents, "at",
                                              children,
                                              "t", host_pid, "a{sv}", properties, "as", classes),
                                method_get_entry, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("OpenService", SD_BUS_ARGS("t", entry, "u", type),
                                SD_BUS_RESULT("i", code, "t", connection, "b", names_memory, "a{sh}", descriptors),
                                amb_method_open_service, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Subscribe", SD_BUS_ARGS("u", subscription, "s", notification, "a{sv}", matching),
                                SD_BUS_RESULT("i", code, "at", entries), method_subscribe, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("SubscribeInterest", SD_BUS_ARGS("u", subscription, "t", entry, "s", interest), CODE,
                                method_subscribe_interest, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Unsubscribe", SD_BUS_ARGS("u", subscription), SD_BUS_NO_RESULT, method_unsubscribe, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("WaitQuiet", SD_BUS_ARGS("t", entry, "t", nanoseconds), CODE, method_wait_quiet, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("LoadBundle", SD_BUS_ARGS("s", path),
                                SD_BUS_RESULT("i", code, "s", message, "s", bundle_id), method_load_bundle, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("UnloadBundle", SD_BUS_ARGS("s", bundle_id), SD_BUS_RESULT("i", code, "s", message),
                                method_unload_bundle, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Dump", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", entries), method_dump, FLAGS),
        SD_BUS_SIGNAL_WITH_ARGS("Notified", SD_BUS_ARGS("u", subscription, "t", entry), 0),
        SD_BUS_SIGNAL_WITH_ARGS("Interest", SD_BUS_ARGS("u", subscription, "t", entry, "u", message, "t", argument), 0),
        /* hosts */
        SD_BUS_METHOD_WITH_ARGS("CheckIn", SD_BUS_ARGS("s", server_name, "t", tag, "s", token, "s", bundle_id), CODE,
                                amb_method_check_in, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Embed", SD_BUS_ARGS("s", path), SD_BUS_RESULT("i", code, "s", message), amb_method_embed, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Adopt", SD_BUS_ARGS("s", server_name, "t", tag, "s", token, "s", bundle_id, "aa{sv}", entries),
                                CODE, amb_method_adopt, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("CreateService", SD_BUS_ARGS("t", parent, "a{sv}", properties),
                                SD_BUS_RESULT("i", code, "t", entry), amb_method_create_service, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("RegisterService", SD_BUS_ARGS("t", entry), CODE, amb_method_register_service, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("SetProperties", SD_BUS_ARGS("t", entry, "a{sv}", changes, "as", removed), CODE,
                                amb_method_set_properties, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("SetName", SD_BUS_ARGS("t", entry, "s", name), CODE, amb_method_set_name, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("Terminate", SD_BUS_ARGS("t", entry, "t", options), CODE, amb_method_terminate, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("DidStop", SD_BUS_ARGS("t", entry), SD_BUS_NO_RESULT, amb_method_did_stop, FLAGS),
        SD_BUS_METHOD_WITH_ARGS("ConnectionClosed", SD_BUS_ARGS("t", connection), SD_BUS_NO_RESULT,
                                amb_method_connection_closed,
                                FLAGS),
        SD_BUS_VTABLE_END,
};
