/* SPDX-License-Identifier: Apache-2.0 */
#include "dext/yml.h"

#include <yaml.h>

#include "dext/text.h"

/* &name: what *name repeats. */
struct anchor {
        struct anchor *next;
        const char *name;
        const struct dext_node *node;
};

struct reader {
        yaml_parser_t parser;
        yaml_event_t event;             /* the one that is looked at; deleted by the next */
        struct anchor *anchors;
        size_t count;                   /* of nodes */
        const char *why;                /* set once: what is wrong */
};

static struct dext_node *read_value(struct reader *reader, unsigned int depth);

static void *refuse(struct reader *reader, size_t line, const char *what)
{
        if (!reader->why)
                reader->why = dext_format("line %zu: %s", line + 1, what);
        return NULL;
}

static size_t line_of(const struct reader *reader)
{
        return reader->event.start_mark.line;
}

/* Looks at the next event; false: there is none, and why is said. */
static bool next(struct reader *reader)
{
        yaml_event_delete(&reader->event);
        if (yaml_parser_parse(&reader->parser, &reader->event))
                return true;
        refuse(reader, reader->parser.problem_mark.line, reader->parser.problem ? reader->parser.problem : "it cannot be read");
        return false;
}

static struct dext_node *node_new(struct reader *reader, enum dext_kind kind)
{
        if (reader->count++ == DEXT_YML_NODES)
                return refuse(reader, line_of(reader), "too many values");
        return dext_node_new(kind, (unsigned int)line_of(reader) + 1);
}

/* --- anchors --- */

static void remember(struct reader *reader, const yaml_char_t *name, const struct dext_node *node)
{
        if (!name || !node)
                return;
        struct anchor *anchor = dext_allocate(sizeof(*anchor));
        *anchor = (struct anchor){ reader->anchors, dext_copy((const char *)name, strlen((const char *)name)), node };
        reader->anchors = anchor;
}

/* Nodes are links of one list each. */
static struct dext_node *copy(struct reader *reader, const struct dext_node *from, unsigned int depth)
{
        if (depth > DEXT_YML_DEPTH)
                return refuse(reader, line_of(reader), "too many values inside one another");
        struct dext_node *node = node_new(reader, from->kind), **place = node ? &node->first : NULL;
        if (!node)
                return NULL;
        node->text = from->text;
        node->plain = from->plain;
        for (const struct dext_node *inner = from->first; inner; inner = inner->next, place = &(*place)->next) {
                *place = copy(reader, inner, depth + 1);
                if (!*place)
                        return NULL;
                (*place)->key = inner->key;
        }
        return node;
}

static struct dext_node *read_alias(struct reader *reader, unsigned int depth)
{
        const char *name = (const char *)reader->event.data.alias.anchor;
        for (const struct anchor *anchor = reader->anchors; anchor; anchor = anchor->next)
                if (strcmp(anchor->name, name) == 0)
                        return copy(reader, anchor->node, depth);
        return refuse(reader, line_of(reader), dext_format("nothing before this is called &%.60s", name));
}

/* --- values --- */

static const char *scalar_text(struct reader *reader)
{
        const char *text = (const char *)reader->event.data.scalar.value;
        size_t length = reader->event.data.scalar.length;
        if (memchr(text, '\0', length))
                return refuse(reader, line_of(reader), "a NUL byte");
        return dext_copy(text, length);
}

static struct dext_node *read_scalar(struct reader *reader)
{
        struct dext_node *node = node_new(reader, DEXT_STRING);
        if (!node)
                return NULL;
        node->plain = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        node->text = scalar_text(reader);
        return node->text ? node : NULL;
}

static struct dext_node *read_sequence(struct reader *reader, unsigned int depth)
{
        struct dext_node *array = node_new(reader, DEXT_ARRAY), **place = array ? &array->first : NULL;
        while (array) {
                if (!next(reader))
                        return NULL;
                if (reader->event.type == YAML_SEQUENCE_END_EVENT)
                        return array;
                *place = read_value(reader, depth + 1);
                if (!*place)
                        return NULL;
                place = &(*place)->next;
        }
        return NULL;
}

/* The members of a dictionary, or of an array's dictionaries, come in front: those of the dictionary itself win over them. */
static void merge(struct dext_node *dictionary, struct dext_node *value)
{
        if (value->kind == DEXT_ARRAY) {
                /* Of several the first wins, so it stands last. */
                for (struct dext_node *one = value->first; one; one = one->next)
                        if (one->kind == DEXT_DICTIONARY)
                                merge(dictionary, one);
                return;
        }
        struct dext_node **end = &value->first;
        while (*end)
                end = &(*end)->next;
        *end = dictionary->first;
        dictionary->first = value->first;
}

/* The members in their order, and then what "<<" names. */
static struct dext_node *read_mapping(struct reader *reader, unsigned int depth)
{
        struct dext_node *dictionary = node_new(reader, DEXT_DICTIONARY), *merged = NULL;
        struct dext_node **place = dictionary ? &dictionary->first : NULL, **more = &merged;
        while (dictionary) {
                if (!next(reader))
                        return NULL;
                if (reader->event.type == YAML_MAPPING_END_EVENT)
                        break;
                if (reader->event.type != YAML_SCALAR_EVENT)
                        return refuse(reader, line_of(reader), "a key must be a string");
                bool merges = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
                const char *key = scalar_text(reader);
                struct dext_node *value = key && next(reader) ? read_value(reader, depth + 1) : NULL;
                if (!value)
                        return NULL;
                value->key = key;
                merges = merges && strcmp(key, "<<") == 0 && value->kind != DEXT_STRING;
                *(merges ? more : place) = value;
                if (merges)
                        more = &value->next;
                else
                        place = &value->next;
        }
        for (struct dext_node *value = merged; value; ) {
                struct dext_node *following = value->next;
                merge(dictionary, value);
                value = following;
        }
        return dictionary;
}

/* Of the event that is looked at. */
static struct dext_node *read_value(struct reader *reader, unsigned int depth)
{
        const yaml_char_t *given = NULL;
        struct dext_node *node = NULL;

        if (depth > DEXT_YML_DEPTH)
                return refuse(reader, line_of(reader), "too many values inside one another");
        switch (reader->event.type) {
        case YAML_ALIAS_EVENT: return read_alias(reader, depth);
        case YAML_SCALAR_EVENT: given = reader->event.data.scalar.anchor; break;
        case YAML_SEQUENCE_START_EVENT: given = reader->event.data.sequence_start.anchor; break;
        case YAML_MAPPING_START_EVENT: given = reader->event.data.mapping_start.anchor; break;
        default: return refuse(reader, line_of(reader), "a value is expected here");
        }
        /* The event goes while its value is read. */
        const char *anchor = given ? dext_copy((const char *)given, strlen((const char *)given)) : NULL;
        if (reader->event.type == YAML_SCALAR_EVENT)
                node = read_scalar(reader);
        else if (reader->event.type == YAML_SEQUENCE_START_EVENT)
                node = read_sequence(reader, depth);
        else
                node = read_mapping(reader, depth);
        remember(reader, (const yaml_char_t *)anchor, node);
        return node;
}

static struct dext_node *read_document(struct reader *reader)
{
        do
                if (!next(reader))
                        return NULL;
        while (reader->event.type == YAML_STREAM_START_EVENT || reader->event.type == YAML_DOCUMENT_START_EVENT);
        if (reader->event.type == YAML_STREAM_END_EVENT)
                return refuse(reader, line_of(reader), "there is nothing in it");
        struct dext_node *node = read_value(reader, 0);
        /* What is wrong behind the value is wrong all the same. */
        return node && next(reader) ? node : NULL;
}

struct dext_node *dext_yml_parse(const char *bytes, size_t length, const char **ret_why)
{
        struct reader reader = { .count = 0 };
        struct dext_node *node = NULL;

        if (yaml_parser_initialize(&reader.parser)) {
                yaml_parser_set_input_string(&reader.parser, (const unsigned char *)bytes, length);
                node = read_document(&reader);
                yaml_event_delete(&reader.event);
                yaml_parser_delete(&reader.parser);
        } else
                reader.why = "line 1: no memory";
        if (!node)
                *ret_why = reader.why;
        return node;
}
