/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * When does a property satisfy what a matching dictionary asks for? (lifecycle-registry 5.1, "Value comparison")
 *
 *      numbers         by their 64-bit value, whatever their width
 *      strings         by bytes, case-sensitive
 *      string / data   in either order: equal bytes, where the data may be one byte longer if that byte is NUL
 *      data            by length and bytes
 *      booleans        only with booleans
 *      arrays          as many members, each satisfied at its index
 *      sets            as many members; a set in any order, an ordered one each at its place
 *      dictionaries    the same keys, each satisfied
 *
 * Everything else is unequal; so is NULL, also with NULL. Containers nested deeper than 64 are unequal unless they
 * are the same object: no plist or peer gets that deep, and it keeps the stack bounded.
 *
 * Pure; the caller keeps both values alive and unchanged. Any thread.
 */
#include <stdbool.h>

#include <DriverKit/OSCollections.h>

bool amb_value_matches(const OSObject *wanted, const OSObject *property);

/* The rule for a string and data alone; neither is NULL. */
bool amb_string_is_data(const OSString *string, const OSData *data);

/*
 * A service as a matching dictionary sees it, filled in by whoever knows it. The functions get `context`; property's answer is
 * borrowed. name may be NULL.
 */
struct amb_match_service {
        const void *context;
        const char *name;
        uint64_t entry;
        bool (*conforms)(const void *context, const char *class_name);
        const OSObject *(*property)(const void *context, const char *key);
};

/*
 * The criteria of lifecycle-registry 5.1 that concern the service alone: IOProviderClass, IONameMatch (*ret_name: the value that
 * did it, borrowed from the table; ret_name may be NULL), IOLocationMatch, IOPropertyMatch, IOPropertyExistsMatch,
 * IORegistryEntryID, the BSD keys. A key that is unknown, or whose value has an unexpected type, is no criterion. Dictionaries come
 * from apps and bundles, so an evaluation has a budget of steps; one that needs more does not match.
 */
bool amb_match_service(const struct amb_match_service *service, const OSDictionary *table, uint32_t *budget, OSObject **ret_name);
/* Are all these properties there? A string, or a collection of strings; another type: no criterion. */
bool amb_match_all_keys(const struct amb_match_service *service, const OSObject *keys, uint32_t *budget);

enum { AMB_MATCH_BUDGET = 100000 };             /* of one whole evaluation */
bool amb_match_spend(uint32_t *budget);         /* one step; false: spent */
