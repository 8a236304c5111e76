/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOServiceOpen (2.1), with one difference: who may open is decided before the driver is asked, so that a refused app never makes
 * driver code run. A user client's entry exists from the decision on, and enters the tree with the driver's answer, or before, when
 * the driver makes a service below it while it is still starting it; until the answer the service does not go on to its Stop
 * ("terminate-defer").
 */
#include "registry/entitlements.h"
#include "registry/internal.h"

#include <inttypes.h>

/* --- quota --- */

static struct amb_uid *uid_find(struct amb_registry *registry, uid_t uid)
{
        struct amb_uid *found;

        amb_list_for(found, &registry->uids, link)
                if (found->uid == uid)
                        return found;
        found = amb_must(calloc(1, sizeof(*found)));
        found->uid = uid;
        amb_list_append(&registry->uids, &found->link);
        return found;
}

static void uid_drop_if_unused(struct amb_uid *uid)
{
        if (uid->connections)
                return;
        amb_link_remove(&uid->link);
        free(uid);
}

void amb_open_release(struct amb_registry *registry, struct amb_entry *user_client)
{
        struct amb_uid *uid = user_client->uid;

        if (!uid)
                return;
        user_client->uid = NULL;
        uid->connections--;
        uid_drop_if_unused(uid);
}

/* --- the decision --- */

struct decision {
        IOReturn code;
        char *why;
};

static struct decision refuse(IOReturn code, char *why)
{
        return (struct decision){ code, amb_must(why) };
}

static struct decision decide(struct amb_registry *registry, const struct amb_entry *service, const struct amb_opener *opener,
                              const char *who)
{
        const struct amb_host *host = service->host;
        const char *bundle_id = OSDictionaryGetStringValue(service->properties, "CFBundleIdentifier");

        if (service == registry->root)
                return refuse(kIOReturnBadArgument, amb_format("%s may not open Root: it is not a service", who));
        if (!host || service->user_client)
                return refuse(kIOReturnUnsupported,
                              amb_format("%s may not open %s: there is no driver behind it", who, service->name));
        const OSDictionary *held = host->bundle ? host->bundle->entitlements : NULL;
        if (opener->uid == (uid_t)-1 ||
            amb_entitlements_allow_open(opener->entitlements, held, bundle_id) != AMB_VERDICT_ALLOW)
                return refuse(
                        kIOReturnNotPermitted,
                        amb_format("%s may not open %s of driver %s: its entitlements lack %s with the element \"%s\"; a grant "
                                   "for User %u with that entitlement allows it",
                                   who, service->name, bundle_id ? bundle_id : "?", AMB_ENTITLEMENT_USERCLIENT_ACCESS,
                                   bundle_id ? bundle_id : "?", (unsigned)opener->uid));
        if (registry->shutdown || host->state != AMB_HOST_ALIVE || service->start == AMB_START_CALLED ||
            service->start == AMB_START_LAUNCH)
                return refuse(kIOReturnNotReady, amb_format("%s cannot open %s: the driver has not started", who, service->name));
        struct amb_uid *uid = uid_find(registry, opener->uid);
        bool too_many = uid->connections >= registry->limits.connections_per_uid || !amb_entry_has_room(registry, service) ||
                        host->entry_count >= registry->limits.entries_per_host;
        uid_drop_if_unused(uid);
        if (too_many)
                return refuse(kIOReturnNoResources,
                              amb_format("%s cannot open %s: too many connections of uid %u or of this driver", who, service->name,
                                         (unsigned)opener->uid));
        return (struct decision){ kIOReturnSuccess, NULL };
}

/* Whose it is; no driver says that itself. */
static void set_origin(OSDictionary *properties, const struct amb_entry *service)
{
        const char *bundle_id = OSDictionaryGetStringValue(service->properties, "CFBundleIdentifier");

        if (bundle_id)
                amb_must_true(OSDictionarySetStringValue(properties, "CFBundleIdentifier", bundle_id));
        amb_must_true(OSDictionarySetStringValue(properties, "IOUserServerName", service->host->server_name));
}

IOReturn amb_registry_open(struct amb_registry *registry, uint64_t id, const struct amb_opener *opener, uint32_t type,
                           struct amb_open *ret_open)
{
        struct amb_entry *service = id ? amb_entry_in_tree(registry, id) : NULL;
        AMB_FREE char *name = amb_name_clean(opener->name ? opener->name : "?");
        AMB_FREE char *who = amb_must(amb_format("%s (pid %d, uid %u)", name, (int)opener->pid, (unsigned)opener->uid));
        AMB_FREE char *creator = amb_must(amb_format("pid %d, %s", (int)opener->pid, name));

        *ret_open = (struct amb_open){ 0 };
        if (!service || !amb_active(service)) {
                ret_open->why = amb_must(amb_format("%s cannot open 0x%" PRIx64 ": there is no such service", who, id));
                return MACH_SEND_INVALID_DEST;
        }
        struct decision decision = decide(registry, service, opener, who);
        ret_open->why = decision.why;
        if (decision.code)
                return decision.code;

        struct amb_entry *client = amb_entry_new(registry, 0, amb_class_find(registry, "IOUserUserClient"), "IOUserUserClient");
        client->user_client = true;
        client->service = service;
        client->client = amb_entitlements_of_client(opener->entitlements, opener->uid, creator);
        client->uid = uid_find(registry, opener->uid);
        client->uid->connections++;
        client->bundle = amb_bundle_ref(service->bundle);
        amb_must_true(OSDictionarySetStringValue(client->properties, AMB_ENTITLEMENT_CREATOR, creator));
        set_origin(client->properties, service);
        amb_host_add(service->host, client);
        service->opens++;

        struct amb_action *action = amb_queue(registry, AMB_ACTION_NEW_USER_CLIENT);
        action->host = service->host->id;
        action->entry = service->id;
        action->connection = client->id;
        action->open_type = type;
        action->creator = amb_must_copy(creator);
        action->entitlements = client->client;
        OSObject_retain(client->client);
        ret_open->connection = client->id;
        return kIOReturnSuccess;
}

/* --- the driver's answer --- */

static void result(struct amb_registry *registry, const struct amb_entry *client, IOReturn code, const char *text)
{
        struct amb_action *action = amb_queue(registry, AMB_ACTION_OPEN_RESULT);

        action->connection = client->id;
        action->entry = client->service->id;
        action->code = code;
        action->text = text ? amb_must_copy(text) : NULL;
}

static void finished(struct amb_registry *registry, struct amb_entry *client)
{
        client->service->opens--;
        amb_work_add(registry, client->service);
        client->service = NULL;
}

struct amb_entry *amb_open_client(const struct amb_registry *registry, uint64_t host, uint64_t id)
{
        struct amb_entry *client = amb_entry_find(registry, id);

        return client && client->service && client->host == amb_host_find(registry, host) ? client : NULL;
}

void amb_open_place(struct amb_registry *registry, struct amb_entry *client)
{
        if (client->place == AMB_PLACE_PENDING)
                amb_entry_attach(registry, client, client->service);
}

/*
 * There is no user client, and its host sends it no Stop. One outside the tree has never been seen by anybody; what was made below
 * one within goes first.
 */
void amb_open_fail(struct amb_registry *registry, struct amb_entry *client, IOReturn code, const char *text)
{
        result(registry, client, code, text);
        finished(registry, client);
        if (client->place == AMB_PLACE_TREE) {
                client->stop = AMB_STOP_DONE;
                amb_terminate(registry, client);
                amb_work_add(registry, client);
                return;
        }
        amb_open_release(registry, client);
        amb_host_remove(registry, client);
        amb_entry_free(registry, client);
}

static IOReturn judge(const struct amb_entry *service, const struct amb_entry *client, const OSDictionary *properties,
                      const char **ret_text)
{
        const char *class = OSDictionaryGetStringValue(properties, "IOClass");
        IOReturn code = amb_entitlements_check_user_client(client->client, properties);

        if (!amb_active(service) || !amb_active(client)) {
                *ret_text = "the service or the user client was terminated during the open";
                return kIOReturnOffline;
        }
        if (!class || strcmp(class, "IOUserUserClient")) {
                *ret_text = "the driver returned an object whose IOClass is not IOUserUserClient";
                return kIOReturnUnsupported;
        }
        if (code == kIOReturnNotPermitted)
                *ret_text = "the app lacks what IOServiceDEXTEntitlements of the user client asks for";
        else if (code)
                *ret_text = "the app lacks, with the value true, the entitlement that IOUserClientEntitlements of the user client names";
        return code;
}

IOReturn amb_registry_open_done(struct amb_registry *registry, uint64_t host, uint64_t connection, IOReturn code,
                                const char *user_class, const OSDictionary *properties, uint64_t now)
{
        struct amb_entry *client = amb_open_client(registry, host, connection);
        const char *text = NULL;

        if (!client)
                return kIOReturnBadArgument;
        struct amb_entry *service = client->service;
        size_t weight = 0;
        bool usable = user_class && *user_class && amb_object_cast(properties, &gOSDictionaryMetaClass) &&
                      amb_values_fit((const OSObject *)properties, (const OSObject *)client->properties, &weight);
        if (!code && usable && !amb_host_weigh(registry, client->host, client, weight))
                usable = false;
        if (code || !usable) {
                amb_open_fail(registry, client, code ? code : kIOReturnError,
                              code ? NULL : "the driver returned no usable user client");
                amb_work(registry, now);
                return kIOReturnSuccess;
        }
        code = judge(service, client, properties, &text);
        result(registry, client, code, text);
        amb_open_place(registry, client);
        finished(registry, client);

        OSDictionary *all = amb_must(OSDictionaryCreateCopy(properties));
        amb_must_true(OSDictionaryMerge(all, client->properties));
        OSDictionaryRemoveValue(all, "IOMatchCategory");
        set_origin(all, service);
        if (!OSDictionaryGetValue(all, "IOUserClientDefaultLocking") &&
            !OSDictionaryGetValue(all, "IOUserClientDefaultLockingSetProperties") &&
            !OSDictionaryGetValue(all, "IOUserClientDefaultLockingSingleThreadExternalMethod"))
                amb_must_true(OSDictionarySetBooleanValue(all, "IOUserClientDefaultLocking", true));
        OSObject_release(client->properties);
        client->properties = all;
        free(client->name);
        client->name = amb_name_clean(user_class);
        if (code)
                amb_terminate(registry, client);
        if (!amb_active(client))
                amb_work_add(registry, client);
        amb_work(registry, now);
        return kIOReturnSuccess;
}

IOReturn amb_registry_connection_closed(struct amb_registry *registry, uint64_t host, uint64_t connection, uint64_t now)
{
        struct amb_entry *client = amb_host_entry(registry, host, connection);

        if (!client || !client->user_client || client->service)
                return kIOReturnSuccess;
        /* The host has stopped it: nothing is left to be sent. */
        client->stop = AMB_STOP_DONE;
        amb_terminate(registry, client);
        amb_work_add(registry, client);
        amb_work(registry, now);
        return kIOReturnSuccess;
}
