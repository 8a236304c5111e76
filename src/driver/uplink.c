/* SPDX-License-Identifier: Apache-2.0 */
#include "control/bus.h"
#include "control/protocol.h"
#include "control/value.h"
#include "driver/uplink-private.h"
#include "driver/uplink.h"

enum operation { CHECK_IN, CREATE, REGISTER, SET_PROPERTIES, SET_NAME, TERMINATE, DID_STOP };

/* One question. The asking thread waits for `done`, or has given the memory away (no `wait`). */
struct ask {
        struct amb_post post;
        struct amb_server *server;
        enum operation operation;
        bool wait, done;
        uint64_t entry, number;
        OSDictionary *dictionary;
        OSArray *strings;
        const char *name;
        kern_return_t code;
        pthread_mutex_t lock;
        pthread_cond_t answered;
};

/* A termination that no daemon has heard of yet. */
struct termination {
        struct amb_link link;
        uint64_t entry;
};

static void ask_done(struct ask *ask, kern_return_t code)
{
        /* Before Terminate returns: no call that begins afterwards reaches the driver. */
        if (ask->operation == TERMINATE && code == kIOReturnSuccess)
                amb_server_refuse(ask->server, ask->entry);
        if (!ask->wait) {
                free(ask);
                return;
        }
        pthread_mutex_lock(&ask->lock);
        ask->code = code;
        ask->done = true;
        pthread_cond_signal(&ask->answered);
        pthread_mutex_unlock(&ask->lock);
}

static void remember_termination(struct amb_server *server, uint64_t entry)
{
        struct termination *t = calloc(1, sizeof(*t));

        if (!t)
                return;
        t->entry = entry;
        amb_list_append(&server->terminations, &t->link);
}

/* Nobody is there to answer. */
static void ask_alone(struct ask *ask)
{
        if (ask->operation == TERMINATE)
                remember_termination(ask->server, ask->entry);
        ask_done(ask, ask->operation == CREATE || ask->operation == CHECK_IN ? kIOReturnOffline : kIOReturnSuccess);
}

static int append_arguments(sd_bus_message *message, const struct ask *ask)
{
        const struct amb_server *s = ask->server;
        int r;

        switch (ask->operation) {
        case CHECK_IN:
                if (s->embedded)
                        return sd_bus_message_append(message, "s", s->bundle_path);
                return sd_bus_message_append(message, "stss", s->name, s->tag, s->token, s->bundle_id);
        case CREATE:
                r = sd_bus_message_append(message, "t", ask->entry);
                return r < 0 ? r : amb_dictionary_append(message, ask->dictionary);
        case SET_PROPERTIES:
                r = sd_bus_message_append(message, "t", ask->entry);
                if (r >= 0)
                        r = amb_dictionary_append(message, ask->dictionary);
                return r < 0 ? r : amb_string_array_append(message, ask->strings);
        case SET_NAME:
                return sd_bus_message_append(message, "ts", ask->entry, ask->name);
        case TERMINATE:
                return sd_bus_message_append(message, "tt", ask->entry, (uint64_t)0);
        case REGISTER:
        case DID_STOP:
                return sd_bus_message_append(message, "t", ask->entry);
        }
        return -EINVAL;
}

static const char *const members[] = {
        [CHECK_IN] = "CheckIn",
        [CREATE] = "CreateService",
        [REGISTER] = "RegisterService",
        [SET_PROPERTIES] = "SetProperties",
        [SET_NAME] = "SetName",
        [TERMINATE] = "Terminate",
        [DID_STOP] = "DidStop",
};

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        struct ask *ask = userdata;
        kern_return_t code = kIOReturnIPCError;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                /* The connection's end answers what is open, too. */
                if (ask->server->bus != sd_bus_message_get_bus(reply) || sd_bus_is_open(ask->server->bus) <= 0)
                        ask_alone(ask);
                else
                        ask_done(ask, kIOReturnIPCError);
                return 0;
        }
        r = sd_bus_message_read(reply, "i", &code);
        if (r > 0 && code == kIOReturnSuccess && ask->operation == CREATE)
                r = sd_bus_message_read(reply, "t", &ask->number);
        ask_done(ask, r > 0 ? code : kIOReturnIPCError);
        return 0;
}

static void ask_run(struct amb_post *post)
{
        struct ask *ask = amb_container_of(post, struct ask, post);
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        sd_bus *bus = ask->server->bus;
        int r;

        if (!bus) {
                ask_alone(ask);
                return;
        }
        r = amb_bus_new_call(bus, &message, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE,
                             ask->operation == CHECK_IN && ask->server->embedded ? "Embed" : members[ask->operation]);
        if (r >= 0)
                r = append_arguments(message, ask);
        if (r >= 0 && ask->wait) {
                r = amb_bus_call_async(bus, NULL, message, on_answer, ask);
                if (r >= 0)
                        return;
        }
        if (r >= 0) {
                r = sd_bus_message_set_expect_reply(message, false);
                if (r >= 0)
                        r = sd_bus_send(bus, message, NULL);
        }
        if (r == -E2BIG || r == -EINVAL)
                ask_done(ask, kIOReturnBadArgument);
        else if (r < 0)
                ask_alone(ask);
        else
                ask_done(ask, kIOReturnSuccess);
}

/* The last number given where there is no registry, which is on purpose: embed.c. 0: there should be one. */
static _Atomic uint64_t alone;

void amb_uplink_alone(void)
{
        uint64_t nobody = 0;

        atomic_compare_exchange_strong(&alone, &nobody, 1);
}

static uint64_t lone_number(void)
{
        return atomic_load(&alone) ? atomic_fetch_add(&alone, 1) + 1 : 0;
}

static kern_return_t ask_and_wait(struct ask *ask)
{
        struct amb_server *server = amb_server();

        if (!server) {
                ask->number = ask->operation == CREATE ? lone_number() : 0;
                return ask->operation == CREATE && ask->number == 0 ? kIOReturnOffline : kIOReturnSuccess;
        }
        ask->server = server;
        ask->wait = true;
        ask->post.run = ask_run;
        pthread_mutex_init(&ask->lock, NULL);
        pthread_cond_init(&ask->answered, NULL);
        amb_server_post(server, &ask->post);
        pthread_mutex_lock(&ask->lock);
        while (!ask->done)
                pthread_cond_wait(&ask->answered, &ask->lock);
        pthread_mutex_unlock(&ask->lock);
        pthread_cond_destroy(&ask->answered);
        pthread_mutex_destroy(&ask->lock);
        return ask->code;
}

static void tell(enum operation operation, uint64_t entry)
{
        struct amb_server *server = amb_server();
        struct ask *ask = server ? calloc(1, sizeof(*ask)) : NULL;

        if (!ask) {
                if (server)
                        amb_log(AMB_LOG_ERROR, "no memory to tell the registry of entry 0x%llx", (unsigned long long)entry);
                return;
        }
        ask->server = server;
        ask->operation = operation;
        ask->entry = entry;
        ask->post.run = ask_run;
        amb_server_post(server, &ask->post);
}

kern_return_t amb_uplink_create(uint64_t parent, OSDictionary *properties, uint64_t *ret_entry)
{
        struct ask ask = { .operation = CREATE, .entry = parent, .dictionary = properties };
        kern_return_t code = ask_and_wait(&ask);

        if (code == kIOReturnSuccess)
                *ret_entry = ask.number;
        return code;
}

kern_return_t amb_uplink_set_properties(uint64_t entry, OSDictionary *changes, OSArray *removed)
{
        struct ask ask = { .operation = SET_PROPERTIES, .entry = entry, .dictionary = changes, .strings = removed };

        return entry ? ask_and_wait(&ask) : kIOReturnSuccess;
}

kern_return_t amb_uplink_set_name(uint64_t entry, const char *name)
{
        struct ask ask = { .operation = SET_NAME, .entry = entry, .name = name };

        return entry ? ask_and_wait(&ask) : kIOReturnSuccess;
}

kern_return_t amb_uplink_terminate(uint64_t entry)
{
        struct ask ask = { .operation = TERMINATE, .entry = entry };

        return entry ? ask_and_wait(&ask) : kIOReturnSuccess;
}

void amb_uplink_register(uint64_t entry)
{
        struct ask ask = { .operation = REGISTER, .entry = entry };

        if (entry)
                ask_and_wait(&ask);
}

void amb_uplink_did_stop(uint64_t entry)
{
        if (entry)
                tell(DID_STOP, entry);
}

AMB_EXPORT kern_return_t IOUserServer_RegisterService(IOUserServer *self)
{
        struct ask ask = { .operation = CHECK_IN };

        if (amb_server()->embedded && !amb_server()->bundle_path)
                return kIOReturnNotReady;
        return ask_and_wait(&ask);
}

/* --- with the control lock --- */

static void send_number(struct amb_server *server, const char *member, uint64_t number, const uint64_t *second)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        r = amb_bus_new_call(server->bus, &message, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, member);
        if (r >= 0)
                r = sd_bus_message_append(message, "t", number);
        if (r >= 0 && second)
                r = sd_bus_message_append(message, "t", *second);
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(message, false);
        if (r >= 0)
                r = sd_bus_send(server->bus, message, NULL);
        if (r < 0)
                amb_trace(r);   /* the connection has ended: what is reported to the next daemon says it */
}

void amb_uplink_send_closed(struct amb_server *server, uint64_t connection)
{
        if (server->bus)
                send_number(server, "ConnectionClosed", connection, NULL);
}

void amb_uplink_replay(struct amb_server *server)
{
        struct termination *t, *following;
        uint64_t options = 0;

        amb_list_for_safe(t, following, &server->terminations, link) {
                amb_link_remove(&t->link);
                send_number(server, "Terminate", t->entry, &options);
                free(t);
        }
}
