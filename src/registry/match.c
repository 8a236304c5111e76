/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matching rules of lifecycle-registry 5.1 for drivers, look-ups and notifications: what concerns the service alone is
 * in object/match.h, its place in the registry here. IOParentMatch inside IOParentMatch multiplies work, so a whole evaluation has
 * one budget; one that needs more does not match.
 */
#include "registry/internal.h"

#include "object/match.h"

struct evaluation {
        const struct amb_registry *registry;
        const struct amb_entry *entry;
        uint32_t *budget;
        OSObject **ret_name;
};

static bool conforms(const void *entry, const char *class_name)
{
        return amb_class_conforms(((const struct amb_entry *)entry)->class, class_name);
}

static const OSObject *property(const void *entry, const char *key)
{
        return amb_entry_property(entry, key);
}

static struct amb_match_service service_of(const struct amb_entry *entry)
{
        return (struct amb_match_service){ entry, entry->name, entry->id, conforms, property };
}

/* Active clients with a category: drivers, and what is being started. */
static uint64_t matched_services(const struct amb_entry *entry)
{
        const struct amb_entry *child;
        uint64_t count = 0;

        amb_list_for(child, &entry->children, sibling)
                count += amb_active(child) && !child->user_client && amb_entry_category(child);
        return count;
}

/* Who it is in the tree. */
static bool placed(const struct evaluation *evaluation, const OSDictionary *table)
{
        const struct amb_entry *entry = evaluation->entry;
        const OSNumber *services = amb_object_cast(OSDictionaryGetValue(table, "IOMatchedServiceCountMatch"), &gOSNumberMetaClass);
        const char *path = OSDictionaryGetStringValue(table, "IOPathMatch");

        if (path && amb_registry_from_path(evaluation->registry, path) != entry->id)
                return false;
        return !services || OSNumberGetUInt64Value(services) == matched_services(entry);
}

static bool evaluate(const struct evaluation *evaluation, const OSDictionary *table);

static bool some_parent(const struct evaluation *evaluation, const OSDictionary *table)
{
        for (const struct amb_entry *above = evaluation->entry->parent; above; above = above->parent) {
                struct evaluation nested = { evaluation->registry, above, evaluation->budget, NULL };

                if (above != evaluation->registry->root && evaluate(&nested, table))
                        return true;
        }
        return false;
}

static bool evaluate(const struct evaluation *evaluation, const OSDictionary *table)
{
        const struct amb_entry *entry = evaluation->entry;
        struct amb_match_service service = service_of(entry);
        const OSObject *resources = OSDictionaryGetValue(table, "IOResourceMatch");
        const OSDictionary *parent = OSDictionaryGetDictionaryValue(table, "IOParentMatch");

        if (!amb_match_spend(evaluation->budget))
                return false;
        if (!amb_match_service(&service, table, evaluation->budget, evaluation->ret_name) || !placed(evaluation, table))
                return false;
        /* A criterion on the two resource services only; elsewhere it is a wait before the driver's launch. */
        if (resources && (entry == evaluation->registry->resources || entry == evaluation->registry->user_resources) &&
            !amb_match_all_keys(&service, resources, evaluation->budget))
                return false;
        return !parent || some_parent(evaluation, parent);
}

bool amb_match(const struct amb_registry *registry, const struct amb_entry *entry, const OSDictionary *table, OSObject **ret_name)
{
        uint32_t budget = AMB_MATCH_BUDGET;
        struct evaluation evaluation = { registry, entry, &budget, ret_name };

        /* The root is no service. */
        return entry != registry->root && evaluate(&evaluation, table);
}

/* 4.2 step 2: is what a driver waits for published on IOResources? An array counts as published. */
bool amb_match_resource(const struct amb_registry *registry, const OSObject *requirement)
{
        const OSDictionary *dictionary = amb_object_cast(requirement, &gOSDictionaryMetaClass);
        const OSString *key = amb_object_cast(requirement, &gOSStringMetaClass);

        if (key)
                return OSDictionaryGetValue(registry->resources->properties, OSStringGetStringPtr(key));
        return !dictionary || amb_match(registry, registry->resources, dictionary, NULL);
}
