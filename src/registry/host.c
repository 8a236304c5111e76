/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts: from LAUNCH to the end of the process. The record is freed when the process has ended and its last entry has left. */
#include "registry/internal.h"

#include <inttypes.h>

struct amb_host *amb_host_find(const struct amb_registry *registry, uint64_t id)
{
        struct amb_host *host;

        amb_list_for(host, &registry->hosts, link)
                if (host->id == id && id && host->state != AMB_HOST_DEAD)
                        return host;
        return NULL;
}

/* An entry in the tree that this host runs; id 0 is none of them. */
struct amb_entry *amb_host_entry(const struct amb_registry *registry, uint64_t host, uint64_t id)
{
        struct amb_entry *entry = amb_entry_in_tree(registry, id);

        return entry && entry->host && entry->host == amb_host_find(registry, host) ? entry : NULL;
}

struct amb_host *amb_host_new(struct amb_registry *registry, const char *server_name, struct amb_bundle *bundle, uint64_t tag)
{
        struct amb_host *host = amb_must(calloc(1, sizeof(*host)));

        host->tag = tag;
        host->server_name = amb_must_copy(server_name);
        host->bundle = amb_bundle_ref(bundle);
        host->loaded = amb_must(OSArrayCreate());
        amb_list_init(&host->entries);
        amb_list_append(&registry->hosts, &host->link);
        return host;
}

void amb_host_free(struct amb_host *host)
{
        amb_link_remove(&host->link);
        amb_bundle_unref(host->bundle);
        OSObject_release(host->loaded);
        free(host->server_name);
        free(host);
}

/* IOAssociatedServices of the host's object, row 147. */
static void tell_services(struct amb_host *host)
{
        OSArray *ids = amb_must(OSArrayCreate());
        const struct amb_entry *entry;

        amb_list_for(entry, &host->entries, hosted) {
                if (entry->user_client)
                        continue;
                OSNumber *id = amb_must(OSNumberCreateWithUInt64Value(entry->id));
                amb_must_true(OSArrayAppendValue(ids, id));
                OSObject_release(id);
        }
        amb_must_true(OSDictionarySetValue(host->object->properties, "IOAssociatedServices", ids));
        OSObject_release(ids);
}

void amb_host_add(struct amb_host *host, struct amb_entry *entry)
{
        entry->host = host;
        host->weight += entry->weight;
        host->entry_count++;
        amb_list_append(&host->entries, &entry->hosted);
        if (host->object && !entry->user_client)
                tell_services(host);
}

/* What an entry's host gives us to keep: from now on `weight`. false: the host would have too much, nothing has changed. */
bool amb_host_weigh(const struct amb_registry *registry, struct amb_host *host, struct amb_entry *entry, size_t weight)
{
        size_t others = host->weight - (entry->host == host ? entry->weight : 0);

        if (weight > registry->limits.weight_per_host || others > registry->limits.weight_per_host - weight)
                return false;
        if (entry->host == host)
                host->weight = others + weight;
        entry->weight = weight;
        return true;
}

void amb_host_remove(struct amb_registry *registry, struct amb_entry *entry)
{
        struct amb_host *host = entry->host;

        if (!host)
                return;
        entry->host = NULL;
        host->weight -= entry->weight;
        host->entry_count--;
        amb_link_remove(&entry->hosted);
        if (host->object && !entry->user_client)
                tell_services(host);
        if (host->entry_count)
                return;
        if (host->state == AMB_HOST_LAUNCHING)
                amb_queue(registry, AMB_ACTION_CANCEL_LAUNCH)->tag = host->tag;
        if (host->state == AMB_HOST_LAUNCHING || (host->state == AMB_HOST_DEAD && !host->object)) {
                amb_host_free(host);
        } else if (host->state == AMB_HOST_ALIVE) {
                struct amb_action *action = amb_queue(registry, AMB_ACTION_EXIT_HOST);

                action->host = host->id;
                action->text = amb_must_copy("no services left");
                host->state = AMB_HOST_EXITING;
        }
}

/* The process is there: give it its object in the tree, and Start to those that wait. */
void amb_host_alive(struct amb_registry *registry, struct amb_host *host, uint64_t id, uint64_t now)
{
        AMB_FREE char *name = amb_must(amb_format("IOUserServer(%s-0x%" PRIx64 ")", host->server_name, host->tag));
        struct amb_entry *entry, *object = amb_entry_new(registry, 0, amb_class_find(registry, "IOUserServer"), name);

        host->state = AMB_HOST_ALIVE;
        host->id = id;
        host->object = object;
        amb_must_true(OSDictionarySetStringValue(object->properties, "IOUserServerName", host->server_name));
        amb_must_true(OSDictionarySetUInt64Value(object->properties, "IOUserServerTag", host->tag));
        tell_services(host);
        amb_entry_attach(registry, object, registry->root);
        amb_pass_request(registry, object, false);
        amb_list_for(entry, &host->entries, hosted)
                if (entry->start == AMB_START_LAUNCH && amb_active(entry))
                        amb_host_call_start(registry, entry);
}

static bool has_loaded(struct amb_host *host, const char *path)
{
        for (size_t i = 0; i < OSArrayGetCount(host->loaded); i++)
                if (!strcmp(OSArrayGetStringValue(host->loaded, i), path))
                        return true;
        amb_must_true(OSArrayAppendStringValue(host->loaded, path));
        return false;
}

void amb_host_call_start(struct amb_registry *registry, struct amb_entry *entry)
{
        const struct amb_entry *provider = entry->parent;
        struct amb_host *host = entry->host;

        if (!has_loaded(host, entry->bundle->path)) {
                struct amb_action *load = amb_queue(registry, AMB_ACTION_LOAD_MODULE);

                load->host = host->id;
                load->path = amb_must_copy(entry->bundle->path);
        }
        struct amb_action *action = amb_queue(registry, AMB_ACTION_START);
        action->host = host->id;
        action->entry = entry->id;
        action->provider = provider->id;
        action->provider_class = amb_must_copy(provider->class->name);
        action->provider_name = amb_must_copy(provider->name);
        action->provider_properties = amb_entry_merged(provider);
        action->user_class = amb_must_copy(entry->personality->user_class);
        action->properties = amb_entry_merged(entry);
        action->classes = entry->class->chain;
        entry->start = AMB_START_CALLED;
}

static struct amb_host *launching(const struct amb_registry *registry, uint64_t tag)
{
        struct amb_host *host;

        amb_list_for(host, &registry->hosts, link)
                if (host->state == AMB_HOST_LAUNCHING && host->tag == tag)
                        return host;
        return NULL;
}

IOReturn amb_registry_host_checked_in(struct amb_registry *registry, uint64_t id, uint64_t tag, const char *server_name,
                                      const char *bundle_id, uint64_t now)
{
        struct amb_host *host = launching(registry, tag);

        if (!host || !id || amb_host_find(registry, id) || strcmp(host->server_name, server_name) ||
            strcmp(host->bundle->id, bundle_id))
                return kIOReturnBadArgument;
        amb_host_alive(registry, host, id, now);
        amb_work(registry, now);
        return kIOReturnSuccess;
}

/* Entries whose Start will never return leave without a word; the next candidates get their turn. */
static void never_started(struct amb_registry *registry, struct amb_entry *entry)
{
        entry->start = AMB_START_FAILED;
        amb_terminate(registry, entry);
        amb_work_add(registry, entry);
}

void amb_registry_launch_failed(struct amb_registry *registry, uint64_t tag, uint64_t now)
{
        struct amb_host *host = launching(registry, tag);
        struct amb_entry *entry;

        if (!host)
                return;
        host->state = AMB_HOST_DEAD;
        amb_list_for(entry, &host->entries, hosted) {
                amb_queue_log(registry, AMB_LOG_WARNING, "%s-0x%" PRIx64 " is not started: its process did not check in",
                              entry->name, entry->id);
                never_started(registry, entry);
        }
        amb_work(registry, now);
}

/* 4.5: books a restart of a driver that had started. */
static void book_restart(struct amb_registry *registry, struct amb_entry *entry, uint64_t now)
{
        struct amb_entry *provider = entry->parent;
        struct amb_restart *restart;

        amb_list_for(restart, &provider->restarts, link)
                if (restart->personality == entry->personality)
                        break;
        if (&restart->link == &provider->restarts) {
                restart = amb_must(calloc(1, sizeof(*restart)));
                restart->personality = amb_personality_ref(entry->personality);
                amb_list_append(&provider->restarts, &restart->link);
        } else {
                restart->count++;
        }
        if (now - entry->started_at < AMB_RESTART_SHORT_LIFE)
                restart->short_lives++;
        else
                restart->short_lives = 0;
        restart->pending = true;
        entry->rematch = true;
        amb_must_true(OSDictionarySetValue(provider->properties, "IORematchPersonality", entry->personality->dictionary));
        amb_must_true(OSDictionarySetUInt64Value(provider->properties, "IORematchCount", restart->count));
}

static void entry_host_lost(struct amb_registry *registry, struct amb_host *host, struct amb_entry *entry, uint64_t now)
{
        if (entry->start == AMB_START_LAUNCH || entry->start == AMB_START_CALLED)
                never_started(registry, entry);
        if (!amb_active(entry) || entry->user_client)
                return;
        if (entry->start == AMB_START_DONE && entry->personality && amb_active(entry->parent) && entry->parent->host != host &&
            !entry->personality->removed)
                book_restart(registry, entry, now);
        amb_terminate(registry, entry);
}

void amb_registry_host_lost(struct amb_registry *registry, uint64_t id, bool crashed, uint64_t now)
{
        struct amb_host *host = amb_host_find(registry, id);
        struct amb_entry *entry, *following;

        if (!host)
                return;
        bool expected = host->state == AMB_HOST_EXITING || registry->shutdown;
        /* How it crashed, the daemon has said; that it ended in good order is no less of a surprise. */
        if (!expected && !crashed)
                amb_queue_log(registry, AMB_LOG_NOTICE, "the process of %s ended while services were running", host->server_name);
        host->state = AMB_HOST_DEAD;
        /* Providers before their clients, or else a driver on a driver of the same process would be restarted too. */
        amb_list_for(entry, &host->entries, hosted) {
                entry->host_dead = true;
                if (entry->place == AMB_PLACE_TREE)
                        entry_host_lost(registry, host, entry, now);
        }
        amb_list_for_safe(entry, following, &host->entries, hosted) {
                if (entry->service)
                        amb_open_fail(registry, entry, MIG_SERVER_DIED, "the driver's process ended during the open");
                else
                        amb_work_add(registry, entry);
        }
        amb_terminate(registry, host->object);
        host->object = NULL;
        /* From here on it is freed when its last entry leaves. */
        if (!host->entry_count)
                amb_host_free(host);
        amb_work(registry, now);
}
