/* SPDX-License-Identifier: Apache-2.0 */
/* The criteria of a matching dictionary that concern one service alone (match.h). */
#include "object/match.h"

#include "base/base.h"
#include "object/value.h"

struct evaluation {
        const struct amb_match_service *service;
        uint32_t *budget;
        OSObject **ret_name;
};

bool amb_match_spend(uint32_t *budget)
{
        return *budget && (*budget)--;
}

static const char *string_of(const OSObject *value)
{
        const OSString *string = amb_object_cast(value, &gOSStringMetaClass);

        return string ? OSStringGetStringPtr(string) : NULL;
}

static const OSObject *property(const struct evaluation *evaluation, const char *key)
{
        return evaluation->service->property(evaluation->service->context, key);
}

typedef bool (*string_test)(const struct evaluation *evaluation, const char *string, const OSObject *value);

static bool has_key(const struct evaluation *evaluation, const char *key, const OSObject *value)
{
        return property(evaluation, key);
}

static bool has_name(const struct evaluation *evaluation, const char *name, const OSObject *value)
{
        if (!evaluation->service->name || strcmp(evaluation->service->name, name))
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

                if (!amb_match_spend(evaluation->budget))
                        return false;
                bool passed = string && test(evaluation, string, member);
                if (passed != all)
                        return passed;
        }
        return all;
}

/* All keys of a dictionary equal the service's properties; an array of dictionaries: any of them. */
static bool properties_equal(const struct evaluation *evaluation, const OSObject *wanted)
{
        const OSDictionary *dictionary = amb_object_cast(wanted, &gOSDictionaryMetaClass);
        const OSArray *array = amb_object_cast(wanted, &gOSArrayMetaClass);

        if (dictionary) {
                for (size_t i = 0; i < OSDictionaryGetCount(dictionary); i++)
                        if (!amb_match_spend(evaluation->budget) ||
                            !amb_value_matches(OSDictionaryGetValueAt(dictionary, i),
                                               property(evaluation, OSDictionaryGetKeyAt(dictionary, i))))
                                return false;
                return true;
        }
        if (!array)
                return true;
        for (size_t i = 0; i < OSArrayGetCount(array); i++) {
                const OSObject *member = OSArrayGetValue(array, i);

                if (!amb_match_spend(evaluation->budget))
                        return false;
                if (amb_object_cast(member, &gOSDictionaryMetaClass) && properties_equal(evaluation, member))
                        return true;
        }
        return false;
}

static bool identity(const struct evaluation *evaluation, const OSDictionary *table)
{
        static const char *const bsd[] = { "BSD Name", "BSD Major", "BSD Minor", "BSD Unit" };
        const OSNumber *number = amb_object_cast(OSDictionaryGetValue(table, "IORegistryEntryID"), &gOSNumberMetaClass);

        if (number && OSNumberGetUInt64Value(number) != evaluation->service->entry)
                return false;
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(bsd); i++) {
                const OSObject *wanted = OSDictionaryGetValue(table, bsd[i]);

                if (wanted && !amb_value_matches(wanted, property(evaluation, bsd[i])))
                        return false;
        }
        return true;
}

bool amb_match_service(const struct amb_match_service *service, const OSDictionary *table, uint32_t *budget, OSObject **ret_name)
{
        struct evaluation evaluation = { service, budget, ret_name };
        const char *class = OSDictionaryGetStringValue(table, "IOProviderClass");
        const OSObject *names = OSDictionaryGetValue(table, "IONameMatch");
        const OSObject *wanted = OSDictionaryGetValue(table, "IOPropertyMatch");
        const OSObject *keys = OSDictionaryGetValue(table, "IOPropertyExistsMatch");

        if (class && !service->conforms(service->context, class))
                return false;
        if (names && !strings(&evaluation, names, has_name, false))
                return false;
        /* No service has a location, so none is at the one that is asked for. */
        if (OSDictionaryGetStringValue(table, "IOLocationMatch"))
                return false;
        if (wanted && !properties_equal(&evaluation, wanted))
                return false;
        if (keys && !strings(&evaluation, keys, has_key, false))
                return false;
        return identity(&evaluation, table);
}

bool amb_match_all_keys(const struct amb_match_service *service, const OSObject *keys, uint32_t *budget)
{
        struct evaluation evaluation = { service, budget, NULL };

        return strings(&evaluation, keys, has_key, true);
}
