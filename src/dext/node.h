/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What project files are made of, in whichever language they are written (pbxproj.h, yml.h): strings, dictionaries and arrays of
 * them, in the order of the text. The nodes live in the arena (text.h). No I/O, no threads.
 */
#include <stdbool.h>
#include <stddef.h>

enum dext_kind { DEXT_STRING, DEXT_DICTIONARY, DEXT_ARRAY };

struct dext_node {
        enum dext_kind kind;
        unsigned int line;              /* from 1 on */
        bool plain;                     /* a string of YAML without quotes: "true" and "12" may mean what they look like */
        const char *text;               /* of a string; data is its digits */
        const char *key;                /* in a dictionary; else NULL */
        struct dext_node *first;        /* of a dictionary or an array, in the order of the text */
        struct dext_node *next;
};

struct dext_node *dext_node_new(enum dext_kind kind, unsigned int line);

/* A member of a dictionary (the last of that key counts), or NULL; NULL also if it is no dictionary, or NULL. */
const struct dext_node *dext_node_get(const struct dext_node *dictionary, const char *key);
/* A member that is a string, or `fallback`. */
const char *dext_node_text(const struct dext_node *dictionary, const char *key, const char *fallback);
/* A member that is an array of strings, or one string, as a list; its other elements are left out. */
struct dext_list;
void dext_node_list(struct dext_list *list, const struct dext_node *dictionary, const char *key);
/* A setting's value: a string, or an array's strings with blanks between them; "" for what is neither. */
const char *dext_node_words(const struct dext_node *node);
