/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate for binary property lists: walks the list as a parser will, from the root, following every reference as often as it
 * occurs, with an explicit stack. See plist-gate.h.
 *
 * The format: "bplist00", objects, a table of the objects' offsets, a trailer of 32 bytes. An object is a marker byte (type,
 * size) and its contents; containers hold numbers of objects: an array its members, a dictionary its keys, then its values.
 */
#include "object/plist-gate.h"

enum { TRAILER = 32, HEADER = 8 };

enum type { SIMPLE = 0x0, INTEGER = 0x1, REAL = 0x2, DATE = 0x3, DATA = 0x4, ASCII = 0x5, UTF16 = 0x6, UID = 0x8, ARRAY = 0xa,
            SET = 0xc, DICTIONARY = 0xd };

struct object {
        enum type type;
        unsigned low;           /* the marker's low half */
        uint64_t count;         /* bytes, UTF-16 units, members or entries */
        size_t contents;        /* where they begin */
};

struct gate {
        const uint8_t *bytes;
        size_t table;           /* end of the objects, begin of the offsets */
        size_t offset_size, reference_size;
        uint64_t objects, root;
        size_t nodes, entries, content;
        unsigned depth;
        struct container {
                uint64_t number;                /* which object it is: a second time on the stack is a cycle */
                size_t references;              /* where they begin */
                uint64_t done, all, keys;       /* the first `keys` of `all` references must be strings */
        } stack[AMB_PLIST_MAX_DEPTH];
        char **ret_why;
};

static int refuse(struct gate *g, int no, const char *why)
{
        free(*g->ret_why);
        *g->ret_why = strdup(why);
        return no;
}

static int refuse_broken(struct gate *g)
{
        return refuse(g, AMB_PLIST_MALFORMED, "a broken binary property list");
}

static uint64_t read_big_endian(const uint8_t *from, size_t size)
{
        uint64_t value = 0;
        for (size_t i = 0; i < size; i++)
                value = value << 8 | from[i];
        return value;
}

static int read_trailer(struct gate *g, size_t length)
{
        if (length < HEADER + 1 + 1 + TRAILER || memcmp(g->bytes, "bplist00", HEADER))
                return refuse_broken(g);
        const uint8_t *trailer = g->bytes + length - TRAILER;
        size_t table_end = length - TRAILER;
        uint64_t table = read_big_endian(trailer + 24, 8);
        g->offset_size = trailer[6];
        g->reference_size = trailer[7];
        g->objects = read_big_endian(trailer + 8, 8);
        g->root = read_big_endian(trailer + 16, 8);
        if (g->offset_size < 1 || g->offset_size > 8 || g->reference_size < 1 || g->reference_size > 8 || table <= HEADER ||
            table >= table_end || g->root >= g->objects || g->objects > (table_end - table) / g->offset_size)
                return refuse_broken(g);
        g->table = (size_t)table;
        if (g->objects > AMB_PLIST_MAX_NODES)
                return refuse(g, AMB_PLIST_TOO_BIG, "too many values");
        return 0;
}

/* Reads the marker and the size behind it. The contents are not checked yet. */
static int read_object(struct gate *g, uint64_t number, struct object *ret)
{
        uint64_t offset = read_big_endian(g->bytes + g->table + number * g->offset_size, g->offset_size);
        if (offset < HEADER || offset >= g->table)
                return refuse_broken(g);
        size_t at = (size_t)offset;
        struct object object = { .type = g->bytes[at] >> 4, .low = g->bytes[at] & 0xf };
        at++;
        object.count = object.low;
        if (object.low == 0xf && object.type >= DATA) {
                size_t size = at < g->table && g->bytes[at] >> 4 == INTEGER ? (size_t)1 << (g->bytes[at] & 0xf) : 0;
                at++;
                if (size < 1 || size > 8 || size > g->table - at)
                        return refuse_broken(g);
                object.count = read_big_endian(g->bytes + at, size);
                at += size;
        }
        object.contents = at;
        *ret = object;
        return 0;
}

/* `units` of `size` bytes each lie between the contents' begin and the table. */
static bool fits(const struct gate *g, const struct object *object, uint64_t units, size_t size)
{
        return units <= (g->table - object->contents) / size;
}

static int check_integer(struct gate *g, const struct object *object)
{
        size_t size = (size_t)1 << object->low;
        if (size > 16 || !fits(g, object, 1, size))
                return refuse_broken(g);
        /* 16 bytes are how values above INT64_MAX are written. */
        if (size == 16 && read_big_endian(g->bytes + object->contents, 8) != 0)
                return refuse(g, AMB_PLIST_UNSUPPORTED, "an integer of more than 64 bits");
        return 0;
}

static int count_content(struct gate *g, size_t bytes, bool string)
{
        if (string && bytes > AMB_PLIST_MAX_STRING)
                return refuse(g, AMB_PLIST_TOO_BIG, "a string of more than 64 KiB");
        g->content += bytes;
        if (g->content > AMB_PLIST_MAX_CONTENT)
                return refuse(g, AMB_PLIST_TOO_BIG, "more than 4 MiB of strings and data when shared values are written out");
        return 0;
}

static int check_ascii(struct gate *g, const struct object *object)
{
        if (!fits(g, object, object->count, 1))
                return refuse_broken(g);
        int r = count_content(g, (size_t)object->count, true);
        for (size_t i = 0; !r && i < object->count; i++)
                if (g->bytes[object->contents + i] == 0 || g->bytes[object->contents + i] >= 0x80)
                        r = refuse(g, AMB_PLIST_MALFORMED, "a string with bytes that are not ASCII");
        return r;
}

static int check_utf16(struct gate *g, const struct object *object)
{
        if (!object->count || !fits(g, object, object->count, 2))
                return refuse_broken(g);
        if (object->count > AMB_PLIST_MAX_STRING)
                return count_content(g, (size_t)object->count, true);
        size_t bytes = 0;
        bool lead = false;
        for (size_t i = 0; i < object->count; i++) {
                uint64_t unit = read_big_endian(g->bytes + object->contents + 2 * i, 2);
                bool trail = unit >= 0xdc00 && unit <= 0xdfff;
                if (lead != trail || unit == 0)
                        return refuse(g, AMB_PLIST_MALFORMED, "a string that is not UTF-16");
                lead = unit >= 0xd800 && unit <= 0xdbff;
                bytes += unit < 0x80 ? 1 : unit < 0x800 ? 2 : trail ? 1 : 3;
        }
        if (lead)
                return refuse(g, AMB_PLIST_MALFORMED, "a string that is not UTF-16");
        return count_content(g, bytes, true);
}

static int enter_container(struct gate *g, uint64_t number, const struct object *object)
{
        uint64_t keys = object->type == DICTIONARY ? object->count : 0;
        if (!fits(g, object, object->count, g->reference_size * (keys ? 2 : 1)))
                return refuse_broken(g);
        for (unsigned i = 0; i < g->depth; i++)
                if (g->stack[i].number == number)
                        return refuse(g, AMB_PLIST_MALFORMED, "a container that contains itself");
        if (g->depth == AMB_PLIST_MAX_DEPTH)
                return refuse(g, AMB_PLIST_TOO_BIG, "too many containers inside one another");
        if (object->count > AMB_PLIST_MAX_NODES)
                return refuse(g, AMB_PLIST_TOO_BIG, "too many values");
        g->stack[g->depth++] = (struct container){ .number = number, .references = object->contents,
                                                   .all = object->count + keys, .keys = keys };
        g->entries += (size_t)keys;
        return 0;
}

static int check_value(struct gate *g, uint64_t number, const struct object *object)
{
        switch (object->type) {
        case SIMPLE:
                if (object->low == 0x8 || object->low == 0x9)
                        return 0;
                return refuse(g, object->low == 0 ? AMB_PLIST_UNSUPPORTED : AMB_PLIST_MALFORMED, "a null or unknown value");
        case INTEGER:
                return check_integer(g, object);
        case DATA:
                if (!fits(g, object, object->count, 1))
                        return refuse_broken(g);
                return count_content(g, (size_t)object->count, false);
        case ASCII:
                return check_ascii(g, object);
        case UTF16:
                return check_utf16(g, object);
        case ARRAY:
        case DICTIONARY:
                return enter_container(g, number, object);
        case REAL:
        case DATE:
        case UID:
        case SET:
                return refuse(g, AMB_PLIST_UNSUPPORTED, "real, date, UID and set values have no place here");
        }
        return refuse_broken(g);
}

static int visit(struct gate *g, uint64_t number, bool is_key)
{
        struct object object = {};
        if (number >= g->objects)
                return refuse_broken(g);
        if (++g->nodes > AMB_PLIST_MAX_NODES)
                return refuse(g, AMB_PLIST_TOO_BIG, "too many values when shared ones are written out");
        int r = read_object(g, number, &object);
        if (r)
                return r;
        if (is_key && object.type != ASCII && object.type != UTF16)
                return refuse(g, AMB_PLIST_MALFORMED, "a key that is not a string");
        return check_value(g, number, &object);
}

int amb_plist_gate_binary(const char *bytes, size_t length, size_t *ret_entries, char **ret_why)
{
        struct gate g = { .bytes = (const uint8_t *)bytes, .ret_why = ret_why };
        int r = read_trailer(&g, length);
        if (!r)
                r = visit(&g, g.root, false);
        while (!r && g.depth) {
                struct container *inside = &g.stack[g.depth - 1];
                if (inside->done == inside->all) {
                        g.depth--;
                        continue;
                }
                const uint8_t *reference = g.bytes + inside->references + inside->done * g.reference_size;
                bool is_key = inside->done++ < inside->keys;
                r = visit(&g, read_big_endian(reference, g.reference_size), is_key);
        }
        if (r)
                return r;
        *ret_entries = g.entries;
        return 0;
}
