/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matching rules of lifecycle-registry 5.1: one evaluator for drivers, look-ups and notifications.
 *
 * A key that is unknown, or whose value has an unexpected type, is no criterion. Dictionaries come from apps and bundles, and
 * IOParentMatch inside IOParentMatch multiplies work, so an evaluation has a budget; one that needs more does not match.
 */
#include "registry/internal.h"

#include "object/match.h"

struct evaluation {
        const struct amb_registry *registry;
        const struct amb_entry *entry;
        uint32_t *budget;
        OSObject **ret_name;
};

enum { BUDGET = 100000 };

static bool spend(const struct evaluation *evaluation)
{
        return *evaluation->budget && (*evaluation->budget)--;
}

static const char *string_of(const OSObject *value)
{
        const OSString *string = amb_object_cast(value, &gOSStringMetaClass);

        return string ? OSStringGetStringPtr(string) : NULL;
}

typedef bool (*string_test)(const struct evaluation *evaluation, const char *string, const OSObject *value);

static bool has_key(const struct evaluation *evaluation, const char *key, const OSObject *value)
{
        return amb_entry_property(evaluation->entry, key);
}

static bool has_name(const struct evaluation *evaluation, const char *name, const OSObject *value)
{
        if (strcmp(evaluation->entry->name, name))
                return false;
        if (evaluation->ret_name)
                *evaluation->ret_name = (OSObject *)value;
        return true;
}

/* A string, or a collection of strings (of a dictionary: the keys), of which any or all pass. Another type: no criterion. */
static bool strings(const struct evaluation *evaluation, const OSObject *value, string_test test, bool all)
{
        const OSArray *array = amb_object_cast(value, &gOSArrayMetaClass);
        const OSDictionary *dictionary = amb_object_cast(value, &gOSDictionaryMetaClass);
        size_t count = array ? OSArrayGetCount(array) : dictionary ? OSDictionaryGetCount(dictionary) : 0;

        if (string_of(value))
                return test(evaluation, string_of(value), value);
        if (!array && !dictionary)
                return true;
        for (size_t i = 0; i < count; i++) {
                const OSObject *member = array ? OSArrayGetValue(array, i) : NULL;
                const char *string = array ? string_of(member) : OSDictionaryGetKeyAt(dictionary, i);

                if (!spend(evaluation))
                        return false;
                bool passed = string && test(evaluation, string, member);
                if (passed != all)
                        return passed;
        }
        return all;
}

/* All keys of a dictionary equal the entry's properties; an array of dictionaries: any of them. */
static bool properties_equal(const struct evaluation *evaluation, const OSObject *wanted)
{
        const OSDictionary *dictionary = amb_object_cast(wanted, &gOSDictionaryMetaClass);
        const OSArray *array = amb_object_cast(wanted, &gOSArrayMetaClass);

        if (dictionary) {
                for (size_t i = 0; i < OSDictionaryGetCount(dictionary); i++)
                        if (!spend(evaluation) ||
                            !amb_value_matches(OSDictionaryGetValueAt(dictionary, i),
                                               amb_entry_property(evaluation->entry, OSDictionaryGetKeyAt(dictionary, i))))
                                return false;
                return true;
        }
        if (!array)
                return true;
        for (size_t i = 0; i < OSArrayGetCount(array); i++) {
                const OSObject *member = OSArrayGetValue(array, i);

                if (!spend(evaluation))
                        return false;
                if (amb_object_cast(member, &gOSDictionaryMetaClass) && properties_equal(evaluation, member))
                        return true;
        }
        return false;
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

static bool identity(const struct evaluation *evaluation, const OSDictionary *table)
{
        static const char *const bsd[] = { "BSD Name", "BSD Major", "BSD Minor", "BSD Unit" };
        const struct amb_entry *entry = evaluation->entry;
        const OSNumber *number = amb_object_cast(OSDictionaryGetValue(table, "IORegistryEntryID"), &gOSNumberMetaClass);
        const OSNumber *services = amb_object_cast(OSDictionaryGetValue(table, "IOMatchedServiceCountMatch"), &gOSNumberMetaClass);
        const char *path = OSDictionaryGetStringValue(table, "IOPathMatch");

        if (path && amb_registry_from_path(evaluation->registry, path) != entry->id)
                return false;
        if (number && OSNumberGetUInt64Value(number) != entry->id)
                return false;
        if (services && OSNumberGetUInt64Value(services) != matched_services(entry))
                return false;
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(bsd); i++) {
                const OSObject *wanted = OSDictionaryGetValue(table, bsd[i]);

                if (wanted && !amb_value_matches(wanted, amb_entry_property(entry, bsd[i])))
                        return false;
        }
        return true;
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
        const char *class = OSDictionaryGetStringValue(table, "IOProviderClass");
        const OSObject *names = OSDictionaryGetValue(table, "IONameMatch");
        const OSObject *wanted = OSDictionaryGetValue(table, "IOPropertyMatch");
        const OSObject *keys = OSDictionaryGetValue(table, "IOPropertyExistsMatch");
        const OSObject *resources = OSDictionaryGetValue(table, "IOResourceMatch");
        const OSDictionary *parent = OSDictionaryGetDictionaryValue(table, "IOParentMatch");

        if (!spend(evaluation))
                return false;
        if (class && !amb_class_conforms(entry->class, class))
                return false;
        if (names && !strings(evaluation, names, has_name, false))
                return false;
        /* No entry has a location, so none is at the one that is asked for. */
        if (OSDictionaryGetStringValue(table, "IOLocationMatch"))
                return false;
        if (wanted && !properties_equal(evaluation, wanted))
                return false;
        if (keys && !strings(evaluation, keys, has_key, false))
                return false;
        if (!identity(evaluation, table))
                return false;
        /* A criterion on the two resource services only; elsewhere it is a wait before the driver's launch. */
        if (resources && (entry == evaluation->registry->resources || entry == evaluation->registry->user_resources) &&
            !strings(evaluation, resources, has_key, true))
                return false;
        return !parent || some_parent(evaluation, parent);
}

bool amb_match(const struct amb_registry *registry, const struct amb_entry *entry, const OSDictionary *table, OSObject **ret_name)
{
        uint32_t budget = BUDGET;
        struct evaluation evaluation = { registry, entry, &budget, ret_name };

        /* The root is no service. */
        return entry != registry->root && evaluate(&evaluation, table);
}

/* 4.2 step 2: is what a driver waits for published on IOResources? An array counts as published. */
bool amb_match_resource(const struct amb_registry *registry, const OSObject *requirement)
{
        const OSDictionary *dictionary = amb_object_cast(requirement, &gOSDictionaryMetaClass);

        if (string_of(requirement))
                return OSDictionaryGetValue(registry->resources->properties, string_of(requirement));
        return !dictionary || amb_match(registry, registry->resources, dictionary, NULL);
}
