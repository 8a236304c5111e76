/* SPDX-License-Identifier: Apache-2.0 */
/* The registry's own life, and the entries that the kernel would make: root, resources, nubs. */
#include "registry/internal.h"

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
        return value ? value : otherwise;
}

/* A service that is registered and matched from birth. */
static struct amb_entry *born(struct amb_registry *registry, uint64_t id, const char *class)
{
        struct amb_entry *entry = amb_entry_new(registry, id, amb_class_find(registry, class), class);

        entry->state = AMB_STATE_REGISTERED | AMB_STATE_MATCHED | AMB_STATE_FIRST_PUBLISH | AMB_STATE_FIRST_MATCH;
        amb_must_true(OSDictionarySetBooleanValue(entry->properties, "IOKit", true));
        amb_entry_attach(registry, entry, registry->root);
        return entry;
}

struct amb_registry *amb_registry_new(uint64_t first_id, const struct amb_registry_limits *limits)
{
        struct amb_registry *registry = amb_must(calloc(1, sizeof(*registry)));
        struct amb_registry_limits wanted = limits ? *limits : (struct amb_registry_limits){ 0 };

        registry->limits = (struct amb_registry_limits){
                .connections_per_uid = or_default(wanted.connections_per_uid, 16384),
                .children = or_default(wanted.children, 16384),
                .subscriptions_per_owner = or_default(wanted.subscriptions_per_owner, 1024),
                .entries_per_host = or_default(wanted.entries_per_host, 32768),
                .weight_per_host = or_default(wanted.weight_per_host, 64u << 20),
                .remembered = or_default(wanted.remembered, 256),
                .rematches = or_default(wanted.rematches, 1000),
        };
        struct amb_link *lists[] = { &registry->bundles, &registry->personalities, &registry->hosts,      &registry->owners,
                                     &registry->uids,    &registry->work,          &registry->remembered, &registry->actions };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(lists); i++)
                amb_list_init(lists[i]);
        for (size_t i = 0; i < AMB_NOTIFY_COUNT; i++)
                amb_list_init(&registry->subscriptions[i]);
        amb_classes_init(registry);
        registry->root = amb_entry_new(registry, AMB_ENTRY_ROOT, amb_class_find(registry, "IORegistryEntry"), "Root");
        amb_entry_attach(registry, registry->root, NULL);
        registry->resources = born(registry, AMB_ENTRY_RESOURCES, "IOResources");
        registry->user_resources = born(registry, AMB_ENTRY_USER_RESOURCES, "IOUserResources");
        registry->first_id = registry->next_id = first_id > AMB_ENTRY_FIRST ? first_id : AMB_ENTRY_FIRST;
        return registry;
}

static void table_free(struct amb_registry *registry)
{
        for (size_t i = 0; i < registry->table_size; i++)
                while (registry->table[i])
                        amb_entry_free(registry, registry->table[i]);
        free(registry->table);
}

struct amb_registry *amb_registry_free(struct amb_registry *registry)
{
        struct amb_host *host, *next_host;
        struct amb_uid *uid, *next_uid;

        if (!registry)
                return NULL;
        amb_queue_free(registry);
        amb_notify_free(registry);
        for (size_t i = 0; i < registry->table_size; i++)
                for (struct amb_entry *entry = registry->table[i]; entry; entry = entry->bucket) {
                        struct amb_group *group, *next_group;

                        amb_list_for_safe(group, next_group, &entry->groups, link)
                                amb_group_free(group);
                        /* All go, in no order: nobody reaches into a neighbour any more. */
                        entry->sibling = entry->hosted = entry->work = entry->remembered = (struct amb_link){ 0 };
                }
        table_free(registry);
        amb_list_for_safe(host, next_host, &registry->hosts, link)
                amb_host_free(host);
        amb_list_for_safe(uid, next_uid, &registry->uids, link)
                free(uid);
        amb_catalogue_free(registry);
        amb_classes_free(registry);
        free(registry);
        return NULL;
}

static void hold_busy(struct amb_registry *registry, int delta)
{
        registry->user_resources->adjusted += (uint32_t)delta;
        amb_entry_busy(registry, registry->user_resources, delta);
}

void amb_registry_set_matching(struct amb_registry *registry, bool on, uint64_t now)
{
        bool was = registry->matching;

        registry->matching = on;
        /* Held back, nothing is quiet; let go, first the passes take over being busy. */
        if (!on && !registry->held)
                hold_busy(registry, 1);
        if (on && !was)
                amb_pass_everything(registry, NULL, now);
        amb_work(registry, now);
        if (on && registry->held)
                hold_busy(registry, -1);
        registry->held = !on;
}

IOReturn amb_registry_add_nub(struct amb_registry *registry, uint64_t parent_id, const char *class, const char *name,
                              const OSDictionary *properties, uint64_t now, uint64_t *ret_entry)
{
        struct amb_entry *parent = amb_entry_in_tree(registry, parent_id);
        const struct amb_class *found = class ? amb_class_find(registry, class) : NULL;

        if (!parent || parent->host || parent == registry->resources || parent == registry->user_resources || !found ||
            !amb_class_conforms(found, "IOService") || (properties && !amb_value_fits((const OSObject *)properties)))
                return kIOReturnBadArgument;
        if (!amb_active(parent))
                return kIOReturnNotAttached;
        if (!amb_entry_has_room(registry, parent))
                return kIOReturnNoResources;
        struct amb_entry *entry = amb_entry_new(registry, 0, found, name ? name : class);
        if (properties)
                amb_must_true(OSDictionaryMerge(entry->properties, properties));
        amb_entry_attach(registry, entry, parent);
        uint64_t id = entry->id;
        amb_pass_request(registry, entry, false);
        amb_work(registry, now);
        *ret_entry = id;
        return kIOReturnSuccess;
}

IOReturn amb_registry_remove_nub(struct amb_registry *registry, uint64_t id, uint64_t now)
{
        struct amb_entry *entry = amb_entry_in_tree(registry, id);

        if (!entry || entry->id < AMB_ENTRY_FIRST || entry->host || entry->start != AMB_START_NONE ||
            amb_class_conforms(entry->class, "IOUserServer"))
                return kIOReturnBadArgument;
        amb_terminate(registry, entry);
        amb_work(registry, now);
        return kIOReturnSuccess;
}

IOReturn amb_registry_publish_resource(struct amb_registry *registry, const char *key, const OSObject *value, uint64_t now)
{
        if (!key || !*key || !value || !amb_value_fits(value))
                return kIOReturnBadArgument;
        amb_must_true(OSDictionarySetValue(registry->resources->properties, key, (void *)value));
        amb_must_true(OSDictionarySetValue(registry->user_resources->properties, key, (void *)value));
        amb_start_resources_changed(registry, now);
        amb_pass_request(registry, registry->resources, false);
        amb_pass_request(registry, registry->user_resources, false);
        amb_work(registry, now);
        return kIOReturnSuccess;
}
