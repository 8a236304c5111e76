/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Property lists in the old style of NeXT and OpenStep: { key = value; }, ( value, value, ), "text", text, <00ff>. Xcode writes
 * project.pbxproj that way; libplist 2.2 does not read it.
 *
 * Promises: any bytes may be given; a list that is refused is refused with the line; nesting is limited, so the stack is bounded;
 * time and memory grow with the length of the text. The nodes live in the arena (text.h). No I/O.
 */
#include <stddef.h>

enum dext_kind { DEXT_STRING, DEXT_DICTIONARY, DEXT_ARRAY };

struct dext_node {
        enum dext_kind kind;
        unsigned int line;              /* from 1 on */
        const char *text;               /* of a string; data is its digits */
        const char *key;                /* in a dictionary; else NULL */
        struct dext_node *first;        /* of a dictionary or an array, in the order of the text */
        struct dext_node *next;
};

enum { DEXT_PBXPROJ_DEPTH = 64, DEXT_PBXPROJ_BYTES = 64 << 20 };

/* The list, or NULL and *ret_why: "line 12: ...", a sentence without full stop. `bytes` need not be terminated and are not kept. */
struct dext_node *dext_pbxproj_parse(const char *bytes, size_t length, const char **ret_why);

/* A member of a dictionary (the last of that key counts), or NULL; NULL also if it is no dictionary, or NULL. */
const struct dext_node *dext_node_get(const struct dext_node *dictionary, const char *key);
/* A member that is a string, or `fallback`. */
const char *dext_node_text(const struct dext_node *dictionary, const char *key, const char *fallback);
/* A member that is an array of strings, or one string, as a list; its other elements are left out. */
struct dext_list;
void dext_node_list(struct dext_list *list, const struct dext_node *dictionary, const char *key);
