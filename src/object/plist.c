/* SPDX-License-Identifier: Apache-2.0 */
/* The door to libplist. What comes in has passed a gate (plist-gate.h); what goes out is ours. */
#include "object/plist.h"

#include <plist/plist.h>

#include "object/plist-gate.h"
#include "object/value.h"

static inline void plist_freep(plist_t *node)
{
        if (*node)
                plist_free(*node);
}

static int refuse(char **ret_why, int no, const char *why)
{
        free(*ret_why);
        *ret_why = strdup(why);
        return no;
}

/* --- from libplist --- */

struct conversion {
        size_t entries;         /* of dictionaries, so far */
        char **ret_why;
};

static int value_from_plist(struct conversion *c, plist_t node, unsigned depth, OSObject **ret);

static int array_from_plist(struct conversion *c, plist_t node, unsigned depth, OSArray *array)
{
        AMB_FREE void *iterator = NULL;
        plist_array_new_iter(node, &iterator);
        for (;;) {
                plist_t member = NULL;
                plist_array_next_item(node, iterator, &member);
                if (!member)
                        return 0;
                OSObject *value = NULL;
                int r = value_from_plist(c, member, depth + 1, &value);
                if (!r && !OSArrayAppendValue(array, value))
                        r = -ENOMEM;
                OSObject_release(value);
                if (r)
                        return r;
        }
}

static int entry_from_plist(struct conversion *c, const char *key, plist_t member, unsigned depth, OSDictionary *dictionary)
{
        /* The gate saw the keys of XML lists; those of binary lists are compared here, when they have been decoded. */
        if (OSDictionaryGetValue(dictionary, key)) {
                free(*c->ret_why);
                *c->ret_why = amb_format("the key \"%.100s\" occurs twice", key);
                return AMB_PLIST_MALFORMED;
        }
        OSObject *value = NULL;
        int r = value_from_plist(c, member, depth + 1, &value);
        if (!r && !OSDictionarySetValue(dictionary, key, value))
                r = -ENOMEM;
        OSObject_release(value);
        c->entries++;
        return r;
}

static int dictionary_from_plist(struct conversion *c, plist_t node, unsigned depth, OSDictionary *dictionary)
{
        AMB_FREE void *iterator = NULL;
        plist_dict_new_iter(node, &iterator);
        for (;;) {
                AMB_FREE char *key = NULL;
                plist_t member = NULL;
                plist_dict_next_item(node, iterator, &key, &member);
                if (!member)
                        return 0;
                int r = key ? entry_from_plist(c, key, member, depth, dictionary) : -ENOMEM;
                if (r)
                        return r;
        }
}

static int leaf_from_plist(struct conversion *c, plist_t node, OSObject **ret)
{
        OSObject *value = NULL;
        uint64_t length = 0, number = 0;
        uint8_t boolean = 0;
        const char *bytes;
        switch (plist_get_node_type(node)) {
        case PLIST_BOOLEAN:
                plist_get_bool_val(node, &boolean);
                value = (OSObject *)(boolean ? kOSBooleanTrue : kOSBooleanFalse);
                break;
        case PLIST_UINT:
                plist_get_uint_val(node, &number);
                value = (OSObject *)OSNumberCreateWithUInt64Value(number);
                break;
        case PLIST_STRING:
                bytes = plist_get_string_ptr(node, &length);
                value = (OSObject *)OSStringCreate(bytes, length);
                break;
        case PLIST_DATA:
                bytes = plist_get_data_ptr(node, &length);
                value = (OSObject *)OSDataCreate(bytes, bytes ? length : 0);
                break;
        default:
                return refuse(c->ret_why, AMB_PLIST_UNSUPPORTED, "a value of a type that has no place here");
        }
        if (!value)
                return -ENOMEM;
        *ret = value;
        return 0;
}

static int value_from_plist(struct conversion *c, plist_t node, unsigned depth, OSObject **ret)
{
        plist_type type = plist_get_node_type(node);
        if (type != PLIST_ARRAY && type != PLIST_DICT)
                return leaf_from_plist(c, node, ret);
        if (depth >= AMB_PLIST_MAX_DEPTH)
                return refuse(c->ret_why, AMB_PLIST_TOO_BIG, "too many containers inside one another");
        OSObject *container = type == PLIST_ARRAY ? (OSObject *)OSArrayCreate() : (OSObject *)OSDictionaryCreate();
        if (!container)
                return -ENOMEM;
        int r = type == PLIST_ARRAY ? array_from_plist(c, node, depth, (OSArray *)container)
                                    : dictionary_from_plist(c, node, depth, (OSDictionary *)container);
        if (r) {
                OSObject_release(container);
                return r;
        }
        *ret = container;
        return 0;
}

static int plist_parse(const char *bytes, size_t length, OSObject **ret, char **ret_why)
{
        if (length > AMB_PLIST_MAX_BYTES)
                return refuse(ret_why, AMB_PLIST_TOO_BIG, "longer than 1 MiB");
        bool binary = length >= 6 && memcmp(bytes, "bplist", 6) == 0;
        if (!binary && length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
                bytes += 3; /* the byte order mark that some editors write */
                length -= 3;
        }
        size_t entries;
        int r = binary ? amb_plist_gate_binary(bytes, length, &entries, ret_why)
                       : amb_plist_gate_xml(bytes, length, &entries, ret_why);
        if (r)
                return r;
        AMB_CLEANUP(plist_freep) plist_t root = NULL;
        if (binary)
                plist_from_bin(bytes, (uint32_t)length, &root);
        else
                plist_from_xml(bytes, (uint32_t)length, &root);
        if (!root)
                return refuse(ret_why, AMB_PLIST_MALFORMED, "libplist does not accept it");
        struct conversion c = { .ret_why = ret_why };
        OSObject *value = NULL;
        r = value_from_plist(&c, root, 0, &value);
        if (r)
                return r;
        if (c.entries != entries) {
                OSObject_release(value);
                return refuse(ret_why, AMB_PLIST_MALFORMED, "libplist reads it in another way");
        }
        *ret = value;
        return 0;
}

int amb_plist_parse(const char *bytes, size_t length, OSObject **ret, char **ret_why)
{
        AMB_FREE char *why = NULL;
        int r = plist_parse(bytes, length, ret, &why);
        if (r > 0 && ret_why) {
                *ret_why = amb_steal(why);
                if (!*ret_why)
                        return amb_trace(-ENOMEM);
        }
        return amb_trace(r);
}

int amb_plist_read_file(int directory_fd, const char *path, OSObject **ret, char **ret_why)
{
        AMB_FREE char *bytes = NULL;
        size_t length = 0;
        int r = amb_file_read(directory_fd, path, AMB_PLIST_MAX_BYTES, &bytes, &length);
        if (r == -EFBIG) {
                char *why = strdup("longer than 1 MiB");
                if (!why)
                        return amb_trace(-ENOMEM);
                if (ret_why)
                        *ret_why = why;
                else
                        free(why);
                return AMB_PLIST_TOO_BIG;
        }
        if (r)
                return amb_trace(r);
        return amb_plist_parse(bytes, length, ret, ret_why);
}

/* --- to libplist --- */

struct writing {
        bool binary;
        size_t nodes;
};

static int plist_from_value(struct writing *w, const OSObject *value, unsigned depth, plist_t *ret);

/* libplist trusts its callers: bytes that are no UTF-8 confuse its UTF-16 writer, control characters make XML nobody reads. */
static bool string_writable(const struct writing *w, const OSString *string)
{
        const char *bytes = OSStringGetStringPtr(string);
        if (!amb_utf8_valid(bytes, string->length))
                return false;
        for (size_t i = 0; !w->binary && i < string->length; i++)
                if ((unsigned char)bytes[i] < ' ' && bytes[i] != '\t' && bytes[i] != '\n' && bytes[i] != '\r')
                        return false;
        return true;
}

static int plist_from_array(struct writing *w, const OSArray *array, unsigned depth, plist_t node)
{
        for (size_t i = 0; i < array->count; i++) {
                plist_t member = NULL;
                int r = plist_from_value(w, array->members[i], depth + 1, &member);
                if (r)
                        return r;
                plist_array_append_item(node, member);
        }
        return 0;
}

static int plist_from_dictionary(struct writing *w, const OSDictionary *dictionary, unsigned depth, plist_t node)
{
        if (amb_dictionary_keyed(dictionary) != 0)
                return AMB_PLIST_UNSUPPORTED;
        for (size_t i = 0; i < dictionary->count; i++) {
                const OSString *key = dictionary->entries[i].key;
                if (!string_writable(w, key))
                        return AMB_PLIST_UNSUPPORTED;
                if (++w->nodes > AMB_PLIST_MAX_NODES)
                        return AMB_PLIST_TOO_BIG;
                plist_t member = NULL;
                int r = plist_from_value(w, dictionary->entries[i].value, depth + 1, &member);
                if (r)
                        return r;
                plist_dict_set_item(node, OSStringGetStringPtr(key), member);
        }
        return 0;
}

static int plist_from_value(struct writing *w, const OSObject *value, unsigned depth, plist_t *ret)
{
        enum amb_value_kind kind = amb_value_kind(value);
        AMB_CLEANUP(plist_freep) plist_t node = NULL;
        int r = 0;
        if (++w->nodes > AMB_PLIST_MAX_NODES)
                return AMB_PLIST_TOO_BIG;
        if (depth >= AMB_PLIST_MAX_DEPTH && (amb_value_members(value) || kind == AMB_VALUE_DICTIONARY))
                return AMB_PLIST_TOO_BIG;
        switch (kind) {
        case AMB_VALUE_STRING:
                if (!string_writable(w, (const OSString *)value))
                        return AMB_PLIST_UNSUPPORTED;
                node = plist_new_string(OSStringGetStringPtr((const OSString *)value));
                break;
        case AMB_VALUE_DATA:
                node = plist_new_data((const char *)((const OSData *)value)->bytes, ((const OSData *)value)->length);
                break;
        case AMB_VALUE_NUMBER:
                node = plist_new_uint(((const OSNumber *)value)->value);
                break;
        case AMB_VALUE_BOOLEAN:
                node = plist_new_bool(((const OSBoolean *)value)->value);
                break;
        case AMB_VALUE_ARRAY:
        case AMB_VALUE_SET:
        case AMB_VALUE_ORDERED_SET:
                node = plist_new_array();
                r = node ? plist_from_array(w, amb_value_members(value), depth, node) : 0;
                break;
        case AMB_VALUE_DICTIONARY:
                node = plist_new_dict();
                r = node ? plist_from_dictionary(w, (const OSDictionary *)value, depth, node) : 0;
                break;
        case AMB_VALUE_NONE:
                return AMB_PLIST_UNSUPPORTED;
        }
        if (r)
                return r;
        if (!node)
                return -ENOMEM;
        *ret = amb_steal(node);
        return 0;
}

int amb_plist_write(const OSObject *value, bool binary, char **ret_bytes, size_t *ret_length)
{
        struct writing w = { .binary = binary };
        AMB_CLEANUP(plist_freep) plist_t root = NULL;
        int r = plist_from_value(&w, value, 0, &root);
        if (r)
                return amb_trace(r);
        char *written = NULL;
        uint32_t length = 0;
        if (binary)
                plist_to_bin(root, &written, &length);
        else
                plist_to_xml(root, &written, &length);
        if (!written)
                return amb_trace(-ENOMEM);
        char *bytes = malloc((size_t)length + 1);
        if (bytes) {
                memcpy(bytes, written, length);
                bytes[length] = 0;
        }
        if (binary)
                plist_to_bin_free(written);
        else
                plist_to_xml_free(written);
        if (!bytes)
                return amb_trace(-ENOMEM);
        *ret_bytes = bytes;
        *ret_length = length;
        return 0;
}
