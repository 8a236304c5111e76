/* SPDX-License-Identifier: Apache-2.0 */
/* What may be read: views, the tree in order, properties, paths, searches. Nothing here changes anything. */
#include "registry/entitlements.h"
#include "registry/internal.h"

#include <stdio.h>

/* An entry that a reader may see: in the tree, or remembered. 0 is the root. */
static const struct amb_entry *readable(const struct amb_registry *registry, uint64_t id)
{
        const struct amb_entry *entry = amb_entry_find(registry, id ? id : AMB_ENTRY_ROOT);

        return entry && entry->place != AMB_PLACE_PENDING ? entry : NULL;
}

/* Who runs it; of a host's own object: that host. */
static uint64_t host_of(const struct amb_registry *registry, const struct amb_entry *entry)
{
        const struct amb_host *host;

        if (entry->host)
                return entry->host->id;
        if (amb_class_conforms(entry->class, "IOUserServer"))
                amb_list_for(host, &registry->hosts, link)
                        if (host->object == entry)
                                return host->id;
        return 0;
}

bool amb_registry_view(const struct amb_registry *registry, uint64_t id, struct amb_entry_view *ret_view)
{
        const struct amb_entry *entry = readable(registry, id);

        if (!entry)
                return false;
        *ret_view = (struct amb_entry_view){
                .id = entry->id,
                .parent = entry->parent ? entry->parent->id : 0,
                .host = host_of(registry, entry),
                .class = entry->class->name,
                .name = entry->name,
                .classes = entry->class->chain,
                .bundle_id = OSDictionaryGetStringValue(entry->properties, "CFBundleIdentifier"),
                .state = entry->state,
                .busy = entry->busy,
                .children = entry->child_count,
                .user_client = entry->user_client,
                .detached = entry->place == AMB_PLACE_REMEMBERED,
        };
        return true;
}

uint64_t amb_registry_next(const struct amb_registry *registry, uint64_t id)
{
        if (!id)
                return registry->root->id;
        const struct amb_entry *entry = amb_entry_in_tree(registry, id);
        if (entry)
                entry = amb_entry_after(registry, entry, registry->root);
        return entry ? entry->id : 0;
}

uint64_t amb_registry_generation(const struct amb_registry *registry)
{
        return registry->generation;
}

size_t amb_registry_children(const struct amb_registry *registry, uint64_t id, uint64_t *ids, size_t capacity)
{
        const struct amb_entry *child, *entry = amb_entry_in_tree(registry, id);
        size_t count = 0;

        if (!entry)
                return 0;
        amb_list_for(child, &entry->children, sibling) {
                if (count < capacity)
                        ids[count] = child->id;
                count++;
        }
        return count;
}

OSDictionary *amb_registry_copy_properties(const struct amb_registry *registry, uint64_t id)
{
        const struct amb_entry *entry = readable(registry, id);

        return entry ? amb_entry_merged(entry) : NULL;
}

bool amb_registry_names_memory(const struct amb_registry *registry, uint64_t connection)
{
        const struct amb_entry *entry = readable(registry, connection);
        const struct amb_bundle *bundle = entry && entry->host ? entry->host->bundle : NULL;

        if (!entry || !entry->host)
                return false;
        return !bundle || amb_entitlements_true(bundle->entitlements, AMB_ENTITLEMENT_CLIENT_MEMORY);
}

OSObject *amb_registry_copy_property(const struct amb_registry *registry, uint64_t id, const char *key)
{
        const struct amb_entry *entry = readable(registry, id);

        if (!entry)
                return NULL;
        if (!strcmp(key, "IORegistryEntryPropertyKeys")) {
                OSArray *keys = amb_must(OSArrayCreate());

                for (size_t i = 0; i < OSDictionaryGetCount(entry->properties); i++)
                        amb_must_true(OSArrayAppendStringValue(keys, OSDictionaryGetKeyAt(entry->properties, i)));
                return (OSObject *)keys;
        }
        OSObject *value = OSDictionaryGetValue(entry->properties, key);
        if (!value && entry->runtime)
                value = OSDictionaryGetValue(entry->runtime, key);
        OSObject_retain(value);
        return value;
}

char *amb_registry_copy_path(const struct amb_registry *registry, uint64_t id)
{
        const struct amb_entry *path[AMB_DEPTH_MAX], *entry = amb_entry_in_tree(registry, id);
        size_t depth = 0;

        if (!entry)
                return NULL;
        for (; entry->parent; entry = entry->parent)
                path[depth++] = entry;
        char *text = amb_must_copy(depth ? "IOService:" : "IOService:/");
        while (depth--) {
                char *longer = amb_must(amb_format("%s/%s", text, path[depth]->name));

                free(text);
                text = longer;
        }
        return text;
}

uint64_t amb_registry_from_path(const struct amb_registry *registry, const char *path)
{
        static const char plane[] = "IOService:";
        const struct amb_entry *child, *entry = registry->root;

        if (!path || strncmp(path, plane, sizeof(plane) - 1))
                return 0;
        path += sizeof(plane) - 1;
        if (!strcmp(path, "/"))
                return entry->id;
        while (*path) {
                if (*path++ != '/')
                        return 0;
                size_t length = 0;
                const struct amb_entry *hit = NULL;
                /* A name may contain '/': the child whose whole name fits wins, the longest of them. */
                amb_list_for(child, &entry->children, sibling) {
                        size_t name = strlen(child->name);

                        if (name > length && !strncmp(path, child->name, name) && (!path[name] || path[name] == '/')) {
                                hit = child;
                                length = name;
                        }
                }
                if (!hit)
                        return 0;
                entry = hit;
                path += length;
        }
        return entry == registry->root ? 0 : entry->id;
}

bool amb_registry_matches(const struct amb_registry *registry, uint64_t id, const OSDictionary *matching)
{
        const struct amb_entry *entry = readable(registry, id);

        return entry && amb_object_cast(matching, &gOSDictionaryMetaClass) && amb_value_fits((const OSObject *)matching) &&
               amb_match(registry, entry, matching, NULL);
}

IOReturn amb_registry_find_services(const struct amb_registry *registry, const OSDictionary *matching, uint64_t **ret_entries,
                                    size_t *ret_count)
{
        struct amb_found found = { 0 };

        if (!amb_object_cast(matching, &gOSDictionaryMetaClass) || !amb_value_fits((const OSObject *)matching))
                return kIOReturnBadArgument;
        for (const struct amb_entry *entry = registry->root; entry; entry = amb_entry_after(registry, entry, registry->root)) {
                if ((entry->state & AMB_STATE_MATCHED) && amb_active(entry) && amb_match(registry, entry, matching, NULL))
                        amb_found_add(&found, entry->id);
        }
        *ret_entries = found.entries;
        *ret_count = found.count;
        return kIOReturnSuccess;
}
