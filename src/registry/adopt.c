/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adoption: a host that another daemon launched tells what it runs. Everything is checked before anything changes.
 *
 * A row whose driver's Start has not returned is refused (kIOReturnNotReady): the answer went to the daemon that is gone; the host
 * reports again when it has returned. Registered services are registered anew, so that subscribers and other drivers hear of them.
 */
#include "registry/internal.h"

#include <inttypes.h>

/*
 * Ids are given out in the order of time (registry.h), so what a former daemon gave out is below our first one, or, when somebody
 * has set the clock back, not far above. Were any id believed, one host could use up the ids of all.
 */
#define ID_AHEAD (1ull << 47)

struct row {
        uint64_t id, parent;
        const struct amb_class *class;
        const char *name;
        const OSDictionary *properties, *runtime;
        bool user_client, driver, active, registered;
        size_t weight;
        uint32_t depth;
};

static const struct row *row_find(const struct row *rows, size_t count, uint64_t id)
{
        for (size_t i = 0; i < count; i++)
                if (rows[i].id == id)
                        return &rows[i];
        return NULL;
}

/* Shape only. */
static bool row_parse(const struct amb_registry *registry, const OSObject *value, struct row *row)
{
        const OSDictionary *dictionary = amb_object_cast(value, &gOSDictionaryMetaClass);

        size_t weight;

        if (!dictionary || !amb_values_fit(value, NULL, &weight))
                return false;
        const char *class = OSDictionaryGetStringValue(dictionary, "class");
        uint32_t state = (uint32_t)OSDictionaryGetUInt64Value(dictionary, "state");
        *row = (struct row){
                .id = OSDictionaryGetUInt64Value(dictionary, "id"),
                .parent = OSDictionaryGetUInt64Value(dictionary, "parent"),
                .class = class ? amb_class_find(registry, class) : NULL,
                .name = OSDictionaryGetStringValue(dictionary, "name"),
                .properties = OSDictionaryGetDictionaryValue(dictionary, "properties"),
                .runtime = OSDictionaryGetDictionaryValue(dictionary, "runtime"),
                .weight = weight,
                .active = !(state & AMB_STATE_INACTIVE),
                .registered = state & AMB_STATE_REGISTERED,
        };
        if (!row->class || !row->name || !*row->name || !row->properties || row->id < AMB_ENTRY_FIRST ||
            row->id >= registry->first_id + ID_AHEAD)
                return false;
        row->user_client = amb_class_conforms(row->class, "IOUserUserClient");
        row->driver = OSDictionaryGetDictionaryValue(row->properties, "IOMatchedPersonality");
        return amb_class_conforms(row->class, "IOService") && !amb_class_conforms(row->class, "IOUserServer") &&
               !amb_class_conforms(row->class, "IOResources") && !amb_class_conforms(row->class, "IOUserResources") &&
               !amb_entry_find(registry, row->id);
}

/* The driver that has this row's category on its provider already; NULL: none. */
static struct amb_entry *rival(const struct amb_registry *registry, const struct row *row)
{
        struct amb_entry *child, *parent = row->driver ? amb_entry_in_tree(registry, row->parent) : NULL;
        const char *category = OSDictionaryGetStringValue(row->properties, "IOMatchCategory");

        if (parent && category && row->active)
                amb_list_for(child, &parent->children, sibling)
                        if (amb_active(child) && !child->user_client && amb_entry_category(child) &&
                            !strcmp(amb_entry_category(child), category))
                                return child;
        return NULL;
}

/* Where the row would hang. */
static IOReturn row_place(const struct amb_registry *registry, const struct row *rows, size_t index, struct row *row)
{
        const struct row *own = row_find(rows, index, row->parent);
        const struct amb_entry *parent = own ? NULL : amb_entry_in_tree(registry, row->parent);

        if (row->driver && row->user_client)
                return kIOReturnBadArgument;
        if (own ? own->user_client || (row->active && !own->active)
                : !row->parent || !parent || !amb_active(parent) || parent == registry->root || parent == registry->resources ||
                          parent->user_client || !row->driver || amb_class_conforms(parent->class, "IOUserServer"))
                return kIOReturnNotAttached;
        row->depth = (own ? own->depth : parent->depth) + 1;
        if (row->depth >= AMB_DEPTH_MAX || (parent && !amb_entry_has_room(registry, parent)))
                return kIOReturnNoResources;
        const struct amb_entry *other = rival(registry, row);
        return other && (other->start == AMB_START_DONE || other->start == AMB_START_CALLED) ? kIOReturnExclusiveAccess :
                                                                                              kIOReturnSuccess;
}

static IOReturn rows_check(const struct amb_registry *registry, const OSArray *array, struct row *rows, size_t count,
                           char **ret_why)
{
        for (size_t i = 0; i < count; i++) {
                const OSDictionary *given = amb_object_cast(OSArrayGetValue(array, i), &gOSDictionaryMetaClass);
                IOReturn code = kIOReturnBadArgument;

                if (row_parse(registry, (const OSObject *)given, &rows[i]) && !row_find(rows, i, rows[i].id))
                        code = row_place(registry, rows, i, &rows[i]);
                if (!code && rows[i].driver && OSDictionaryGetValue(given, "started") != (OSObject *)kOSBooleanTrue)
                        code = kIOReturnNotReady;
                if (!code)
                        continue;
                *ret_why = amb_must(amb_format(
                        "row %zu of the report (0x%" PRIx64 "): %s", i, rows[i].id,
                        code == kIOReturnBadArgument    ? "malformed, or its id is taken" :
                        code == kIOReturnNotAttached    ? "its parent is not there" :
                        code == kIOReturnNoResources    ? "too many entries" :
                        code == kIOReturnExclusiveAccess ? "another driver has its category on this provider" :
                                                          "its Start has not returned"));
                return code;
        }
        return kIOReturnSuccess;
}

static struct amb_personality *personality_of(const struct amb_registry *registry, const struct amb_bundle *bundle,
                                              const struct row *row)
{
        const OSDictionary *wanted = OSDictionaryGetDictionaryValue(row->properties, "IOMatchedPersonality");
        struct amb_personality *personality;

        amb_list_for(personality, &registry->personalities, link)
                if (personality->bundle == bundle && OSObjectIsEqual(personality->dictionary, wanted))
                        return personality;
        return NULL;
}

static void row_adopt(struct amb_registry *registry, struct amb_host *host, const char *bundle_id, const struct row *row,
                      uint64_t now)
{
        struct amb_entry *other = rival(registry, row), *parent = amb_entry_in_tree(registry, row->parent);
        struct amb_entry *entry = amb_entry_new(registry, row->id, row->class, row->name);

        if (other) {
                if (other->group)
                        other->group->next = other->group->count;
                amb_terminate(registry, other);
        }
        amb_must_true(OSDictionaryMerge(entry->properties, row->properties));
        amb_must_true(OSDictionarySetStringValue(entry->properties, "CFBundleIdentifier", bundle_id));
        amb_must_true(OSDictionarySetStringValue(entry->properties, "IOUserServerName", host->server_name));
        if (!row->driver)
                OSDictionaryRemoveValue(entry->properties, "IOMatchCategory");
        if (row->runtime)
                entry->runtime = amb_must(OSDictionaryCreateCopy(row->runtime));
        entry->weight = row->weight;
        entry->user_client = row->user_client;
        entry->bundle = amb_bundle_ref(host->bundle);
        if (row->driver) {
                entry->personality = amb_personality_ref(personality_of(registry, host->bundle, row));
                entry->start = AMB_START_DONE;
                entry->started_at = now;
        }
        amb_entry_attach(registry, entry, parent);
        amb_host_add(host, entry);
        if (!row->active)
                amb_terminate(registry, entry);
        else if (row->registered)
                amb_pass_request(registry, entry, false);
}

IOReturn amb_registry_adopt(struct amb_registry *registry, uint64_t id, const char *server_name, uint64_t tag,
                            const char *bundle_id, const OSArray *array, uint64_t now, char **ret_why)
{
        size_t count = OSArrayGetCount(array);

        *ret_why = NULL;
        if (!id || amb_host_find(registry, id) || !*server_name || !*bundle_id || !count || registry->shutdown) {
                *ret_why = amb_must_copy("the report has no entries or no names, or this host has reported already");
                return kIOReturnBadArgument;
        }
        if (count > registry->limits.entries_per_host) {
                *ret_why = amb_must(amb_format("the report has %zu entries; %u are allowed", count, registry->limits.entries_per_host));
                return kIOReturnNoResources;
        }
        AMB_FREE struct row *rows = amb_must(calloc(count, sizeof(*rows)));
        IOReturn code = rows_check(registry, array, rows, count, ret_why);
        if (code)
                return code;
        /* Twice what it may give us bit by bit: a report repeats what we knew ourselves. */
        uint64_t weight = 0;
        for (size_t i = 0; i < count; i++)
                weight += rows[i].weight;
        if (weight / 2 > registry->limits.weight_per_host) {
                *ret_why = amb_must_copy("its properties are too large");
                return kIOReturnNoResources;
        }
        struct amb_bundle *bundle = amb_bundle_find(registry, bundle_id);
        struct amb_host *host = amb_host_new(registry, server_name, bundle, tag);
        if (bundle)
                amb_must_true(OSArrayAppendStringValue(host->loaded, bundle->path));
        host->state = AMB_HOST_ALIVE;
        host->id = id;
        for (size_t i = 0; i < count; i++)
                row_adopt(registry, host, bundle_id, &rows[i], now);
        amb_host_alive(registry, host, id, now);
        amb_work(registry, now);
        return kIOReturnSuccess;
}
