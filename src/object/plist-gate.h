/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The gates before libplist: each reads a whole list, refuses whatever is not of the plain form that any parser understands in
 * one way only, and counts. What passes has at most AMB_PLIST_MAX_DEPTH containers inside one another, at most
 * AMB_PLIST_MAX_NODES values and keys, no shared reference that would grow beyond AMB_PLIST_MAX_CONTENT, no cycle, and only
 * value types that exist here. Neither gate recurses. Private to src/object.
 *
 * 0: passes; *ret_entries is the number of dictionary entries in it, which the caller compares with what libplist returned, so
 * that a difference of opinion is found. Positive: an AMB_PLIST_ code, *ret_why may be set. -ENOMEM.
 */
#include <stddef.h>

#include "base/base.h"
#include "object/plist.h"

int amb_plist_gate_xml(const char *bytes, size_t length, size_t *ret_entries, char **ret_why);
int amb_plist_gate_binary(const char *bytes, size_t length, size_t *ret_entries, char **ret_why);
