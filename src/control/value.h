/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Property values on the wire: OSObject values <-> sd-bus messages.
 *
 *      string `s`   data `ay`   boolean `b`   number `y` `q` `u` `t` by width   array `av`   dictionary `a{sv}`
 *
 * The bus has no type for sets: both kinds are sent as arrays and arrive as such.
 *
 * Who may do what wrong: the peer everything. A message is read once, into new objects, and refused with -EBADMSG as soon as
 * it is not a value of the table above, is nested deeper than AMB_VALUE_DEPTH, or holds more than AMB_VALUE_NODES values or
 * AMB_VALUE_BYTES bytes of strings, data and keys in one reading. The same limits hold for what we append (-E2BIG), so that
 * what one side can send the other can read; a string that is not UTF-8 cannot travel (-EINVAL), neither can an object that is
 * no property value.
 *
 * Every function returns 0 or -errno. "read" hands one reference to the caller and leaves the message behind the value that it
 * read; after a failure the message is of no use any more. "append" retains nothing. Threads: those of the message.
 */
#include <systemd/sd-bus.h>

#include <DriverKit/OSCollections.h>

#define AMB_VALUE_DEPTH 32
#define AMB_VALUE_NODES 16384
#define AMB_VALUE_BYTES (4096u * 1024u)
#define AMB_VALUE_ROWS_NODES (1024u * 1024u)    /* of an array of dictionaries; each of them as above */
#define AMB_VALUE_ROWS_BYTES (64u * 1024u * 1024u)

/* One value, as `v`. NULL is not a value: -EINVAL. */
int amb_value_append(sd_bus_message *message, const OSObject *value);
int amb_value_read(sd_bus_message *message, OSObject **ret_value);

/* A dictionary, as `a{sv}`. NULL is sent as the empty one. A key that occurs twice in what we read: -EBADMSG. */
int amb_dictionary_append(sd_bus_message *message, const OSDictionary *dictionary);
int amb_dictionary_read(sd_bus_message *message, OSDictionary **ret_dictionary);

/* Would it travel? -E2BIG, -EINVAL as for append. *ret_bytes: what it takes on the wire, at most. */
int amb_dictionary_measure(const OSDictionary *dictionary, size_t *ret_bytes);

/* An array whose members are all dictionaries, as `aa{sv}`. NULL is sent as the empty one. */
int amb_dictionary_array_append(sd_bus_message *message, const OSArray *dictionaries);
int amb_dictionary_array_read(sd_bus_message *message, OSArray **ret_dictionaries);

/* An array whose members are all strings, as `as`: class chains, keys. NULL is sent as the empty one. */
int amb_string_array_append(sd_bus_message *message, const OSArray *strings);
int amb_string_array_read(sd_bus_message *message, OSArray **ret_strings);

/* Ids, as `at`. Read: an array from malloc (NULL when there are none) of at most AMB_VALUE_NODES. */
int amb_id_array_append(sd_bus_message *message, const uint64_t *ids, size_t count);
int amb_id_array_read(sd_bus_message *message, uint64_t **ret_ids, size_t *ret_count);
