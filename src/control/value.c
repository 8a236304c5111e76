/* SPDX-License-Identifier: Apache-2.0 */
#include "control/value.h"

#include "base/base.h"
#include "object/value.h"

/* What one reading or appending may still consume. */
struct budget {
        size_t nodes;
        size_t bytes;
        unsigned depth;
        int refusal;            /* what to return when it is used up: -EBADMSG for the peer's message, -E2BIG for our own */
};

#define BUDGET_READ { AMB_VALUE_NODES, AMB_VALUE_BYTES, AMB_VALUE_DEPTH, -EBADMSG }
#define BUDGET_APPEND { AMB_VALUE_NODES, AMB_VALUE_BYTES, AMB_VALUE_DEPTH, -E2BIG }

/*
 * Of an array of dictionaries: what is left of all of them together for the next one, which may have no more than one
 * dictionary may. The whole is larger, because a report has a row for every connection.
 */
static struct budget budget_row(const struct budget *all)
{
        return (struct budget){
                .nodes = all->nodes < AMB_VALUE_NODES ? all->nodes : AMB_VALUE_NODES,
                .bytes = all->bytes < AMB_VALUE_BYTES ? all->bytes : AMB_VALUE_BYTES,
                .depth = AMB_VALUE_DEPTH,
                .refusal = all->refusal,
        };
}

static void budget_row_end(struct budget *all, const struct budget *before, const struct budget *after)
{
        all->nodes -= before->nodes - after->nodes;
        all->bytes -= before->bytes - after->bytes;
}

#define BUDGET_ROWS(broken) { AMB_VALUE_ROWS_NODES, AMB_VALUE_ROWS_BYTES, AMB_VALUE_DEPTH, broken }

static int budget_node(struct budget *budget, size_t bytes)
{
        if (budget->nodes == 0 || bytes > budget->bytes)
                return budget->refusal;
        budget->nodes--;
        budget->bytes -= bytes;
        return 0;
}

static int budget_enter(struct budget *budget)
{
        if (budget->depth == 0)
                return budget->refusal;
        budget->depth--;
        return 0;
}

static void release_cleanup(void *pointer)
{
        OSObject_release(*(void **)pointer);
}
#define RELEASE AMB_CLEANUP(release_cleanup)

/* --- append --- */

static int append_value(sd_bus_message *m, const OSObject *value, struct budget *budget);

static int append_string(sd_bus_message *m, const char *string, struct budget *budget)
{
        int r = budget_node(budget, strlen(string));

        if (r < 0)
                return r;
        r = sd_bus_message_append_basic(m, SD_BUS_TYPE_STRING, string);
        return r < 0 ? r : 0;
}

static int append_dictionary(sd_bus_message *m, const OSDictionary *dictionary, struct budget *budget)
{
        size_t count = dictionary ? OSDictionaryGetCount(dictionary) : 0;
        int r = amb_dictionary_keyed(dictionary) ? -EINVAL : budget_enter(budget);

        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, SD_BUS_TYPE_ARRAY, "{sv}");
        for (size_t i = 0; r >= 0 && i < count; i++) {
                r = sd_bus_message_open_container(m, SD_BUS_TYPE_DICT_ENTRY, "sv");
                if (r >= 0)
                        r = append_string(m, OSDictionaryGetKeyAt(dictionary, i), budget);
                if (r >= 0)
                        r = append_value(m, OSDictionaryGetValueAt(dictionary, i), budget);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        budget->depth++;
        return r < 0 ? r : 0;
}

static int append_array(sd_bus_message *m, const OSArray *array, struct budget *budget)
{
        size_t count = OSArrayGetCount(array);
        int r = budget_enter(budget);

        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, SD_BUS_TYPE_ARRAY, "v");
        for (size_t i = 0; r >= 0 && i < count; i++)
                r = append_value(m, OSArrayGetValue(array, i), budget);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        budget->depth++;
        return r < 0 ? r : 0;
}

static int append_number(sd_bus_message *m, const OSNumber *number)
{
        uint64_t wide = OSNumberGetUInt64Value(number);

        switch (OSNumberGetBits(number)) {
        case 8:
                return sd_bus_message_append_basic(m, SD_BUS_TYPE_BYTE, &(uint8_t){ (uint8_t)wide });
        case 16:
                return sd_bus_message_append_basic(m, SD_BUS_TYPE_UINT16, &(uint16_t){ (uint16_t)wide });
        case 32:
                return sd_bus_message_append_basic(m, SD_BUS_TYPE_UINT32, &(uint32_t){ (uint32_t)wide });
        default:
                return sd_bus_message_append_basic(m, SD_BUS_TYPE_UINT64, &wide);
        }
}

static int append_data(sd_bus_message *m, const OSData *data, struct budget *budget)
{
        size_t length = OSDataGetLength(data);
        int r = budget_node(budget, length);

        if (r < 0)
                return r;
        return sd_bus_message_append_array(m, SD_BUS_TYPE_BYTE, length ? OSDataGetBytesPtr(data, 0, length) : NULL, length);
}

/* The signature of the variant that a value travels in; NULL: it is no property value. */
static const char *value_signature(const OSObject *value)
{
        if (OSDynamicCast(OSString, value))
                return "s";
        if (OSDynamicCast(OSBoolean, value))
                return "b";
        if (OSDynamicCast(OSData, value))
                return "ay";
        if (amb_value_members(value))
                return "av";
        if (OSDynamicCast(OSDictionary, value))
                return "a{sv}";
        if (!OSDynamicCast(OSNumber, value))
                return NULL;
        switch (OSNumberGetBits((const OSNumber *)value)) {
        case 8:
                return "y";
        case 16:
                return "q";
        case 32:
                return "u";
        default:
                return "t";
        }
}

static int append_contents(sd_bus_message *m, const OSObject *value, const char *signature, struct budget *budget)
{
        int r;

        switch (signature[0]) {
        case 's':
                return append_string(m, OSStringGetStringPtr((const OSString *)value), budget);
        case 'a':
                if (signature[1] == 'y')
                        return append_data(m, (const OSData *)value, budget);
                if (signature[1] == 'v')
                        return append_array(m, amb_value_members(value), budget);
                return append_dictionary(m, (const OSDictionary *)value, budget);
        default:
                r = budget_node(budget, 0);
                if (r < 0)
                        return r;
                if (signature[0] == 'b')
                        return sd_bus_message_append_basic(m, SD_BUS_TYPE_BOOLEAN,
                                                           &(int){ value == (const OSObject *)kOSBooleanTrue });
                return append_number(m, (const OSNumber *)value);
        }
}

static int append_value(sd_bus_message *m, const OSObject *value, struct budget *budget)
{
        const char *signature = value ? value_signature(value) : NULL;
        int r;

        if (!signature)
                return -EINVAL;
        r = sd_bus_message_open_container(m, SD_BUS_TYPE_VARIANT, signature);
        if (r < 0)
                return r;
        /* The containers themselves count too: a tree of empty arrays must end as well. */
        if (signature[0] == 'a' && signature[1] != 'y')
                r = budget_node(budget, 0);
        if (r >= 0)
                r = append_contents(m, value, signature, budget);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : 0;
}

int amb_value_append(sd_bus_message *message, const OSObject *value)
{
        struct budget budget = BUDGET_APPEND;

        return amb_trace(append_value(message, value, &budget));
}

int amb_dictionary_append(sd_bus_message *message, const OSDictionary *dictionary)
{
        struct budget budget = BUDGET_APPEND;

        return amb_trace(append_dictionary(message, dictionary, &budget));
}

int amb_dictionary_array_append(sd_bus_message *message, const OSArray *dictionaries)
{
        size_t count = dictionaries ? OSArrayGetCount(dictionaries) : 0;
        struct budget all = BUDGET_ROWS(-E2BIG);
        int r;

        r = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, "a{sv}");
        for (size_t i = 0; r >= 0 && i < count; i++) {
                const OSDictionary *dictionary = OSDynamicCast(OSDictionary, OSArrayGetValue(dictionaries, i));

                r = dictionary ? budget_node(&all, 0) : -EINVAL;
                struct budget before = budget_row(&all), after = before;
                if (r >= 0)
                        r = append_dictionary(message, dictionary, &after);
                budget_row_end(&all, &before, &after);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        return r < 0 ? amb_trace(r) : 0;
}

int amb_string_array_append(sd_bus_message *message, const OSArray *strings)
{
        size_t count = strings ? OSArrayGetCount(strings) : 0;
        struct budget budget = BUDGET_APPEND;
        int r;

        r = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, "s");
        for (size_t i = 0; r >= 0 && i < count; i++) {
                const char *string = OSArrayGetStringValue(strings, i);

                r = string ? append_string(message, string, &budget) : -EINVAL;
        }
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        return r < 0 ? amb_trace(r) : 0;
}

int amb_id_array_append(sd_bus_message *message, const uint64_t *ids, size_t count)
{
        int r;

        if (count > AMB_VALUE_NODES)
                return amb_trace(-E2BIG);
        r = sd_bus_message_append_array(message, SD_BUS_TYPE_UINT64, ids, count * sizeof(uint64_t));
        return r < 0 ? amb_trace(r) : 0;
}

/* --- would it travel? --- */

static int measure(const OSObject *value, struct budget *budget);

static int measure_string(const char *string, struct budget *budget)
{
        size_t length = strlen(string);

        return amb_utf8_valid(string, length) ? budget_node(budget, length) : -EINVAL;
}

static int measure_dictionary(const OSDictionary *dictionary, struct budget *budget)
{
        int r = amb_dictionary_keyed(dictionary) ? -EINVAL : budget_enter(budget);

        for (size_t i = 0; r >= 0 && i < OSDictionaryGetCount(dictionary); i++) {
                r = measure_string(OSDictionaryGetKeyAt(dictionary, i), budget);
                if (r >= 0)
                        r = measure(OSDictionaryGetValueAt(dictionary, i), budget);
        }
        budget->depth++;
        return r;
}

static int measure_array(const OSArray *array, struct budget *budget)
{
        int r = budget_enter(budget);

        for (size_t i = 0; r >= 0 && i < OSArrayGetCount(array); i++)
                r = measure(OSArrayGetValue(array, i), budget);
        budget->depth++;
        return r;
}

static int measure(const OSObject *value, struct budget *budget)
{
        const OSDictionary *dictionary = OSDynamicCast(OSDictionary, value);
        const OSArray *array = amb_value_members(value);
        const OSString *string = OSDynamicCast(OSString, value);
        const OSData *data = OSDynamicCast(OSData, value);
        int r;

        if (!value || !value_signature(value))
                return -EINVAL;
        if (string)
                return measure_string(OSStringGetStringPtr(string), budget);
        r = budget_node(budget, data ? OSDataGetLength(data) : 0);
        if (r < 0 || !(dictionary || array))
                return r;
        return dictionary ? measure_dictionary(dictionary, budget) : measure_array(array, budget);
}

int amb_dictionary_measure(const OSDictionary *dictionary, size_t *ret_bytes)
{
        struct budget before = BUDGET_APPEND, after = before;
        int r = measure_dictionary(dictionary, &after);

        if (r < 0)
                return r;
        /* What surrounds a value on the wire: its length, its signature, what aligns it. */
        *ret_bytes = before.bytes - after.bytes + 16 * (before.nodes - after.nodes);
        return 0;
}

/* --- read --- */

static int read_value(sd_bus_message *m, struct budget *budget, OSObject **ret);

/* sd-bus has several words for "that is not what the message holds"; upwards it is one, and only memory is another. */
static int broken(int r)
{
        return r == -ENOMEM ? r : -EBADMSG;
}

static int enter(sd_bus_message *m, char type, const char *contents)
{
        int r = sd_bus_message_enter_container(m, type, contents);

        return r > 0 ? 0 : broken(r);
}

static int leave(sd_bus_message *m)
{
        int r = sd_bus_message_exit_container(m);

        return r >= 0 ? 0 : broken(r);
}

static int at_end(sd_bus_message *m)
{
        int r = sd_bus_message_at_end(m, false);

        return r >= 0 ? r : broken(r);
}

static int read_basic(sd_bus_message *m, char type, void *ret)
{
        int r = sd_bus_message_read_basic(m, type, ret);

        return r > 0 ? 0 : broken(r);
}

static int read_string(sd_bus_message *m, struct budget *budget, const char **ret)
{
        const char *string;
        int r;

        r = read_basic(m, SD_BUS_TYPE_STRING, &string);
        if (r < 0)
                return r;
        r = budget_node(budget, strlen(string));
        if (r < 0)
                return r;
        *ret = string;
        return 0;
}

static int read_pair(sd_bus_message *m, struct budget *budget, OSDictionary *dictionary)
{
        RELEASE OSObject *value = NULL;
        const char *key;
        int r;

        r = enter(m, SD_BUS_TYPE_DICT_ENTRY, "sv");
        if (r < 0)
                return r;
        r = read_string(m, budget, &key);
        if (r < 0)
                return r;
        r = read_value(m, budget, &value);
        if (r < 0)
                return r;
        if (OSDictionaryGetValue(dictionary, key))
                return -EBADMSG;
        if (!OSDictionarySetValue(dictionary, key, value))
                return -ENOMEM;
        return leave(m);
}

static int read_dictionary(sd_bus_message *m, struct budget *budget, OSDictionary **ret)
{
        RELEASE OSDictionary *dictionary = OSDictionaryCreate();
        int r;

        if (!dictionary)
                return -ENOMEM;
        r = budget_enter(budget);
        if (r < 0)
                return r;
        r = enter(m, SD_BUS_TYPE_ARRAY, "{sv}");
        while (r >= 0 && (r = at_end(m)) == 0)
                r = read_pair(m, budget, dictionary);
        if (r < 0)
                return r;
        budget->depth++;
        r = leave(m);
        if (r < 0)
                return r;
        *ret = amb_steal(dictionary);
        return 0;
}

static int read_array(sd_bus_message *m, struct budget *budget, OSArray **ret)
{
        RELEASE OSArray *array = OSArrayCreate();
        int r;

        if (!array)
                return -ENOMEM;
        r = budget_enter(budget);
        if (r < 0)
                return r;
        r = enter(m, SD_BUS_TYPE_ARRAY, "v");
        while (r >= 0 && (r = at_end(m)) == 0) {
                RELEASE OSObject *value = NULL;

                r = read_value(m, budget, &value);
                if (r >= 0 && !OSArrayAppendValue(array, value))
                        r = -ENOMEM;
        }
        if (r < 0)
                return r;
        budget->depth++;
        r = leave(m);
        if (r < 0)
                return r;
        *ret = amb_steal(array);
        return 0;
}

static int read_data(sd_bus_message *m, struct budget *budget, OSData **ret)
{
        const void *bytes;
        size_t length;
        OSData *data;
        int r;

        r = sd_bus_message_read_array(m, SD_BUS_TYPE_BYTE, &bytes, &length);
        if (r < 0)
                return broken(r);
        r = budget_node(budget, length);
        if (r < 0)
                return r;
        data = OSDataCreate(bytes, length);
        if (!data)
                return -ENOMEM;
        *ret = data;
        return 0;
}

static int read_number(sd_bus_message *m, char type, OSObject **ret)
{
        union {
                uint8_t y;
                uint16_t q;
                uint32_t u;
                uint64_t t;
                int b;
        } number = { .t = 0 };
        int r = read_basic(m, type, &number);

        if (r < 0)
                return r;
        switch (type) {
        case SD_BUS_TYPE_BOOLEAN:
                *ret = (OSObject *)(number.b ? kOSBooleanTrue : kOSBooleanFalse);
                OSObject_retain(*ret);
                return 0;
        case SD_BUS_TYPE_BYTE:
                *ret = (OSObject *)OSNumberCreate(number.y, 8);
                break;
        case SD_BUS_TYPE_UINT16:
                *ret = (OSObject *)OSNumberCreate(number.q, 16);
                break;
        case SD_BUS_TYPE_UINT32:
                *ret = (OSObject *)OSNumberCreate(number.u, 32);
                break;
        default:
                *ret = (OSObject *)OSNumberCreate(number.t, 64);
        }
        return *ret ? 0 : -ENOMEM;
}

static int read_contents(sd_bus_message *m, const char *signature, struct budget *budget, OSObject **ret)
{
        const char *string;
        int r;

        if (strcmp(signature, "ay") == 0)
                return read_data(m, budget, (OSData **)ret);
        r = signature[0] == 's' ? 0 : budget_node(budget, 0);
        if (r < 0)
                return r;
        if (strcmp(signature, "av") == 0)
                return read_array(m, budget, (OSArray **)ret);
        if (strcmp(signature, "a{sv}") == 0)
                return read_dictionary(m, budget, (OSDictionary **)ret);
        if (signature[0] == '\0' || signature[1] != '\0' || !strchr("sbyqut", signature[0]))
                return -EBADMSG;
        if (signature[0] != 's')
                return read_number(m, signature[0], ret);
        r = read_string(m, budget, &string);
        if (r < 0)
                return r;
        *ret = (OSObject *)OSStringCreate(string, (size_t)-1);
        return *ret ? 0 : -ENOMEM;
}

static int read_value(sd_bus_message *m, struct budget *budget, OSObject **ret)
{
        RELEASE OSObject *value = NULL;
        const char *signature;
        char type;
        int r;

        r = sd_bus_message_peek_type(m, &type, &signature);
        if (r <= 0 || type != SD_BUS_TYPE_VARIANT)
                return broken(r);
        /* The signature is sd-bus's memory and moves on with the message. */
        if (strlen(signature) > strlen("a{sv}"))
                return -EBADMSG;
        char contents[sizeof("a{sv}")];
        strcpy(contents, signature);

        r = enter(m, SD_BUS_TYPE_VARIANT, contents);
        if (r < 0)
                return r;
        r = read_contents(m, contents, budget, &value);
        if (r < 0)
                return r;
        r = leave(m);
        if (r < 0)
                return r;
        *ret = amb_steal(value);
        return 0;
}

int amb_value_read(sd_bus_message *message, OSObject **ret_value)
{
        struct budget budget = BUDGET_READ;

        return amb_trace(read_value(message, &budget, ret_value));
}

int amb_dictionary_read(sd_bus_message *message, OSDictionary **ret_dictionary)
{
        struct budget budget = BUDGET_READ;

        return amb_trace(read_dictionary(message, &budget, ret_dictionary));
}

int amb_dictionary_array_read(sd_bus_message *message, OSArray **ret_dictionaries)
{
        RELEASE OSArray *dictionaries = OSArrayCreate();
        struct budget all = BUDGET_ROWS(-EBADMSG);
        int r;

        if (!dictionaries)
                return amb_trace(-ENOMEM);
        r = enter(message, SD_BUS_TYPE_ARRAY, "a{sv}");
        while (r >= 0 && (r = at_end(message)) == 0) {
                RELEASE OSDictionary *dictionary = NULL;

                r = budget_node(&all, 0);
                struct budget before = budget_row(&all), after = before;
                if (r >= 0)
                        r = read_dictionary(message, &after, &dictionary);
                budget_row_end(&all, &before, &after);
                if (r >= 0 && !OSArrayAppendValue(dictionaries, dictionary))
                        r = -ENOMEM;
        }
        if (r >= 0)
                r = leave(message);
        if (r < 0)
                return amb_trace(r);
        *ret_dictionaries = amb_steal(dictionaries);
        return 0;
}

int amb_string_array_read(sd_bus_message *message, OSArray **ret_strings)
{
        RELEASE OSArray *strings = OSArrayCreate();
        struct budget budget = BUDGET_READ;
        const char *string;
        int r;

        if (!strings)
                return amb_trace(-ENOMEM);
        r = enter(message, SD_BUS_TYPE_ARRAY, "s");
        while (r >= 0 && (r = at_end(message)) == 0) {
                r = read_string(message, &budget, &string);
                if (r >= 0 && !OSArrayAppendStringValue(strings, string))
                        r = -ENOMEM;
        }
        if (r >= 0)
                r = leave(message);
        if (r < 0)
                return amb_trace(r);
        *ret_strings = amb_steal(strings);
        return 0;
}

int amb_id_array_read(sd_bus_message *message, uint64_t **ret_ids, size_t *ret_count)
{
        uint64_t *ids = NULL;
        const void *bytes;
        size_t length;
        int r;

        r = sd_bus_message_read_array(message, SD_BUS_TYPE_UINT64, &bytes, &length);
        if (r < 0)
                return amb_trace(broken(r));
        if (length > AMB_VALUE_NODES * sizeof(uint64_t))
                return amb_trace(-EBADMSG);
        if (length > 0) {
                ids = malloc(length);
                if (!ids)
                        return amb_trace(-ENOMEM);
                memcpy(ids, bytes, length);
        }
        *ret_ids = ids;
        *ret_count = length / sizeof(uint64_t);
        return 0;
}
