/* SPDX-License-Identifier: Apache-2.0 */
/* Entries: classes, the tree, the table of ids, busy counts. What may be read of them from outside is in view.c. */
#include "object/value.h"
#include "registry/internal.h"

/* --- classes --- */

const struct amb_class *amb_class_find(const struct amb_registry *registry, const char *name)
{
        const struct amb_class *class;

        amb_list_for(class, &registry->classes, link)
                if (!strcmp(class->name, name))
                        return class;
        return NULL;
}

bool amb_class_conforms(const struct amb_class *class, const char *name)
{
        for (; class; class = class->super)
                if (!strcmp(class->name, name))
                        return true;
        return false;
}

static void class_add(struct amb_registry *registry, const char *name, const struct amb_class *super)
{
        struct amb_class *class = amb_must(calloc(1, sizeof(*class)));
        size_t length = 2;

        for (const struct amb_class *above = super; above; above = above->super)
                length++;
        class->name = amb_must_copy(name);
        class->super = super;
        class->chain = amb_must(calloc(length, sizeof(*class->chain)));
        length = 0;
        for (const struct amb_class *above = class; above; above = above->super)
                class->chain[length++] = above->name;
        amb_list_append(&registry->classes, &class->link);
}

void amb_classes_init(struct amb_registry *registry)
{
        static const char *const born[][2] = {
                { "OSObject", NULL },
                { "IORegistryEntry", "OSObject" },
                { "IOService", "IORegistryEntry" },
                { "IOResources", "IOService" },
                { "IOUserResources", "IOService" },
                { "IOUserService", "IOService" },
                { "IOUserClient", "IOService" },
                { "IOUserUserClient", "IOUserClient" },
                { "IOUserServer", "IOUserClient" },
                { "IOHIDDevice", "IOService" },
                { "AppleUserHIDDevice", "IOHIDDevice" },
        };

        amb_list_init(&registry->classes);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(born); i++)
                class_add(registry, born[i][0], born[i][1] ? amb_class_find(registry, born[i][1]) : NULL);
}

void amb_classes_free(struct amb_registry *registry)
{
        struct amb_class *class, *following;

        amb_list_for_safe(class, following, &registry->classes, link) {
                amb_link_remove(&class->link);
                free(class->chain);
                free(class->name);
                free(class);
        }
}

IOReturn amb_registry_add_class(struct amb_registry *registry, const char *name, const char *super)
{
        const struct amb_class *there = amb_class_find(registry, name), *above = amb_class_find(registry, super);

        if (!above || !*name || strlen(name) > AMB_NAME_MAX)
                return kIOReturnBadArgument;
        if (there)
                return there->super == above ? kIOReturnSuccess : kIOReturnBadArgument;
        class_add(registry, name, above);
        return kIOReturnSuccess;
}

/* --- the table of ids --- */

static size_t slot_of(const struct amb_registry *registry, uint64_t id)
{
        return (size_t)(id * 0x9E3779B97F4A7C15ull >> 32) & (registry->table_size - 1);
}

static void table_put(struct amb_registry *registry, struct amb_entry *entry)
{
        size_t slot = slot_of(registry, entry->id);

        entry->bucket = registry->table[slot];
        registry->table[slot] = entry;
}

static void table_add(struct amb_registry *registry, struct amb_entry *entry)
{
        if (registry->table_count == registry->table_size) {
                struct amb_entry **old = registry->table;
                size_t old_size = registry->table_size;

                registry->table_size = old_size ? old_size * 2 : 64;
                registry->table = amb_must(calloc(registry->table_size, sizeof(struct amb_entry *)));
                for (size_t i = 0; i < old_size; i++)
                        for (struct amb_entry *next, *moved = old[i]; moved; moved = next) {
                                next = moved->bucket;
                                table_put(registry, moved);
                        }
                free(old);
        }
        table_put(registry, entry);
        registry->table_count++;
}

static void table_remove(struct amb_registry *registry, struct amb_entry *entry)
{
        struct amb_entry **place = &registry->table[slot_of(registry, entry->id)];

        while (*place != entry)
                place = &(*place)->bucket;
        *place = entry->bucket;
        registry->table_count--;
}

struct amb_entry *amb_entry_find(const struct amb_registry *registry, uint64_t id)
{
        struct amb_entry *entry = registry->table[slot_of(registry, id)];

        while (entry && entry->id != id)
                entry = entry->bucket;
        return entry;
}

struct amb_entry *amb_entry_in_tree(const struct amb_registry *registry, uint64_t id)
{
        struct amb_entry *entry = amb_entry_find(registry, id ? id : AMB_ENTRY_ROOT);

        return entry && entry->place == AMB_PLACE_TREE ? entry : NULL;
}

/* --- life --- */

/*
 * What a driver or an app calls itself goes into logs, terminals and messages: control characters (also those that UTF-8 writes
 * with two bytes) and what is no UTF-8 become '_', and as many whole characters are kept as go into 127 bytes.
 */
char *amb_name_clean(const char *name)
{
        char *clean = amb_must(malloc(AMB_NAME_MAX + 1));
        size_t length = strnlen(name, AMB_NAME_MAX + 4), used = 0;

        for (size_t at = 0, n; at < length; at += n) {
                const unsigned char *c = (const unsigned char *)name + at;

                n = amb_utf8_character(name + at, length - at);
                if (n == 0 || (n == 1 && (*c < ' ' || *c == 0x7f)) || (n == 2 && c[0] == 0xc2 && c[1] < 0xa0)) {
                        n = n ? n : 1;
                        if (used == AMB_NAME_MAX)
                                break;
                        clean[used++] = '_';
                        continue;
                }
                if (used + n > AMB_NAME_MAX)
                        break;
                memcpy(clean + used, c, n);
                used += n;
        }
        clean[used] = '\0';
        return clean;
}

/* id 0: the next free one. The caller has checked that a given id is free. */
struct amb_entry *amb_entry_new(struct amb_registry *registry, uint64_t id, const struct amb_class *class, const char *name)
{
        struct amb_entry *entry = amb_must(calloc(1, sizeof(*entry)));

        if (!id)
                id = registry->next_id;
        if (id >= registry->next_id)
                registry->next_id = id + 1;
        entry->id = id;
        entry->class = class;
        entry->name = amb_name_clean(name);
        entry->properties = amb_must(OSDictionaryCreate());
        entry->place = AMB_PLACE_PENDING;
        amb_list_init(&entry->children);
        amb_list_init(&entry->interests);
        amb_list_init(&entry->groups);
        amb_list_init(&entry->restarts);
        table_add(registry, entry);
        return entry;
}

void amb_entry_free(struct amb_registry *registry, struct amb_entry *entry)
{
        struct amb_restart *restart, *following;

        table_remove(registry, entry);
        amb_link_remove(&entry->work);
        amb_link_remove(&entry->remembered);
        amb_link_remove(&entry->sibling);
        amb_link_remove(&entry->hosted);
        amb_list_for_safe(restart, following, &entry->restarts, link)
                amb_restart_free(restart);
        OSObject_release(entry->properties);
        OSObject_release(entry->runtime);
        OSObject_release(entry->client);
        amb_bundle_unref(entry->bundle);
        amb_personality_unref(entry->personality);
        free(entry->name);
        free(entry);
}

bool amb_entry_has_room(const struct amb_registry *registry, const struct amb_entry *parent)
{
        return parent->depth + 1 < AMB_DEPTH_MAX && parent->child_count + parent->opens < registry->limits.children;
}

/* parent NULL: the root. The caller has checked that there is room. */
void amb_entry_attach(struct amb_registry *registry, struct amb_entry *entry, struct amb_entry *parent)
{
        entry->place = AMB_PLACE_TREE;
        entry->parent = parent;
        if (parent) {
                amb_list_append(&parent->children, &entry->sibling);
                parent->child_count++;
                entry->depth = parent->depth + 1;
        }
        registry->generation++;
}

void amb_entry_unlink(struct amb_registry *registry, struct amb_entry *entry)
{
        entry->parent->child_count--;
        amb_link_remove(&entry->sibling);
        entry->parent = NULL;
        registry->generation++;
}

void amb_entry_remember(struct amb_registry *registry, struct amb_entry *entry)
{
        entry->place = AMB_PLACE_REMEMBERED;
        amb_list_append(&registry->remembered, &entry->remembered);
        if (++registry->remembered_count > registry->limits.remembered) {
                struct amb_entry *oldest = amb_list_first(&registry->remembered, struct amb_entry, remembered);

                registry->remembered_count--;
                amb_entry_free(registry, oldest);
        }
}

/* 6.9: only crossings between quiet and busy go up to the provider, and are told. */
void amb_entry_busy_child(struct amb_registry *registry, struct amb_entry *entry, int delta)
{
        for (; entry; entry = entry->parent) {
                bool was = entry->busy;

                entry->busy += (uint32_t)delta;
                if (was == (bool)entry->busy)
                        return;
                delta = entry->busy ? 1 : -1;
                amb_notify_interest(registry, entry, AMB_MESSAGE_BUSY, entry->busy ? 1 : 0);
                if (!entry->busy)
                        amb_notify_quiet(registry, entry);
        }
}

void amb_entry_busy(struct amb_registry *registry, struct amb_entry *entry, int delta)
{
        entry->own_busy += (uint32_t)delta;
        amb_entry_busy_child(registry, entry, delta);
}

/* --- properties --- */

OSDictionary *amb_entry_merged(const struct amb_entry *entry)
{
        OSDictionary *merged = amb_must(OSDictionaryCreateCopy(entry->properties));

        if (entry->runtime)
                amb_must_true(OSDictionaryMerge(merged, entry->runtime));
        return merged;
}

OSObject *amb_entry_property(const struct amb_entry *entry, const char *key)
{
        OSObject *value = entry->runtime ? OSDictionaryGetValue(entry->runtime, key) : NULL;

        return value ? value : OSDictionaryGetValue(entry->properties, key);
}

const char *amb_entry_category(const struct amb_entry *entry)
{
        return OSDictionaryGetStringValue(entry->properties, "IOMatchCategory");
}

/* Pre-order below `top` (included); NULL at the end. */
struct amb_entry *amb_entry_after(const struct amb_registry *registry, const struct amb_entry *entry, const struct amb_entry *top)
{
        if (!amb_list_empty(&entry->children))
                return amb_list_first(&entry->children, struct amb_entry, sibling);
        while (entry != top) {
                if (entry->sibling.next != &entry->parent->children)
                        return amb_container_of(entry->sibling.next, struct amb_entry, sibling);
                entry = entry->parent;
        }
        return NULL;
}
