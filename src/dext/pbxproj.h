/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Property lists in the old style of NeXT and OpenStep: { key = value; }, ( value, value, ), "text", text, <00ff>. Xcode writes
 * project.pbxproj that way; libplist 2.2 does not read it.
 *
 * Promises: any bytes may be given; a list that is refused is refused with the line; nesting is limited, so the stack is bounded;
 * time and memory grow with the length of the text. The nodes live in the arena (text.h). No I/O.
 */
#include "dext/node.h"

enum { DEXT_PBXPROJ_DEPTH = 64, DEXT_PBXPROJ_BYTES = 64 << 20 };

/* The list, or NULL and *ret_why: "line 12: ...", a sentence without full stop. `bytes` need not be terminated and are not kept. */
struct dext_node *dext_pbxproj_parse(const char *bytes, size_t length, const char **ret_why);
