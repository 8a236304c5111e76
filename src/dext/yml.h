/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * YAML, by libyaml: the language of XcodeGen's project.yml (and JSON, which is YAML too). The first document of a file.
 *
 * Promises: any bytes may be given; a text that is refused is refused with the line; depth and number of nodes are limited, also
 * of those that aliases (*name) repeat, so the stack is bounded and a small text stays small. Dictionaries are
 * lists: with ten times as many members to merge, a build would seem to hang. Keys are strings. "<<" adds the members of another
 * dictionary in front of the dictionary's own. No I/O.
 */
#include "dext/node.h"

enum { DEXT_YML_DEPTH = 64, DEXT_YML_NODES = 20000, DEXT_YML_BYTES = 8 << 20 };

/*
 * The value, or NULL and *ret_why: "line 12: ...", a sentence without full stop. `bytes` need not be terminated and are not
 * kept.
 */
struct dext_node *dext_yml_parse(const char *bytes, size_t length, const char **ret_why);
