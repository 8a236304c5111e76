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
