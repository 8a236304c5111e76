/* SPDX-License-Identifier: Apache-2.0 */
#include "dext/node.h"

#include "dext/text.h"

struct dext_node *dext_node_new(enum dext_kind kind, unsigned int line)
{
        struct dext_node *node = dext_allocate(sizeof(*node));
        node->kind = kind;
        node->line = line;
        return node;
}

const struct dext_node *dext_node_get(const struct dext_node *dictionary, const char *key)
{
        const struct dext_node *found = NULL;
        if (!dictionary || dictionary->kind != DEXT_DICTIONARY)
                return NULL;
        for (const struct dext_node *node = dictionary->first; node; node = node->next)
                if (strcmp(node->key, key) == 0)
                        found = node;
        return found;
}

const char *dext_node_text(const struct dext_node *dictionary, const char *key, const char *fallback)
{
        const struct dext_node *node = dext_node_get(dictionary, key);
        return node && node->kind == DEXT_STRING ? node->text : fallback;
}

void dext_node_list(struct dext_list *list, const struct dext_node *dictionary, const char *key)
{
        const struct dext_node *node = dext_node_get(dictionary, key);
        if (node && node->kind == DEXT_STRING)
                dext_list_add(list, node->text);
        if (!node || node->kind != DEXT_ARRAY)
                return;
        for (node = node->first; node; node = node->next)
                if (node->kind == DEXT_STRING)
                        dext_list_add(list, node->text);
}

const char *dext_node_words(const struct dext_node *node)
{
        struct dext_text text = { 0 };
        if (node->kind == DEXT_STRING)
                return node->text;
        for (const struct dext_node *item = node->kind == DEXT_ARRAY ? node->first : NULL; item; item = item->next)
                if (item->kind == DEXT_STRING)
                        dext_text_add(&text, "%s%s", text.length ? " " : "", item->text);
        return text.length ? text.data : "";
}
