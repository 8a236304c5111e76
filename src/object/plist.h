/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Property lists to property values and back; JSON text for tools.
 *
 * Promises: whatever the bytes are, a parse ends within a fraction of a second, in some megabytes of memory and a bounded
 * piece of stack; nothing of a refused list remains. The bytes may come from anybody. Two gates (plist-gate.h) check them for
 * form and for the limits below before libplist (whose parsers and destructors recurse, which expands shared references and
 * drops all but the last of several equal keys) sees anything.
 *
 * What a list may contain: string (UTF-8, no NUL), data, integer, boolean, array, dictionary. Integers become OSNumbers of 64
 * bits (negative ones in two's complement). <real>, <date> and UID values are refused by name: the contract's property values
 * have no such type. An XML list may have a DOCTYPE as Apple writes it, but no internal subset; of entities only the five
 * predefined ones and character references. A key that occurs twice in one dictionary refuses the list.
 *
 * Any thread; nothing is kept between calls. plist.c is the only file that knows libplist.
 */
#include <stdbool.h>
#include <stddef.h>

#include <DriverKit/OSCollections.h>

enum {
        AMB_PLIST_MAX_BYTES = 1 << 20,          /* of the whole list, as written */
        AMB_PLIST_MAX_DEPTH = 32,               /* containers inside one another, the outermost counted */
        /* Values and keys, shared ones counted as often as they are referred to. Chosen for libplist's hash, which has no
         * secret: as many keys that all collide cost it a tenth of a second. */
        AMB_PLIST_MAX_NODES = 8192,
        AMB_PLIST_MAX_STRING = 64 << 10,        /* bytes of one string or key, in UTF-8 */
        AMB_PLIST_MAX_CONTENT = 4 << 20,        /* bytes of all strings, keys and data, shared ones each time (binary) */
        AMB_PLIST_MAX_REFERENCES = 4096,        /* entity and character references (XML): libplist moves the rest at each */
};

/* Why a property list was refused. */
enum {
        AMB_PLIST_MALFORMED = 1,        /* not a property list, or a broken one */
        AMB_PLIST_TOO_BIG,              /* a limit above */
        AMB_PLIST_UNSUPPORTED,          /* well formed, but with something that has no place here: date, real, entity, ... */
};

/*
 * Parses an XML or binary property list. 0: *ret is a new reference. Positive: refused, see above; then, if ret_why is not
 * NULL, *ret_why is a sentence for people without full stop ("line 12: key \"IOClass\" occurs twice"), to be freed by the
 * caller. Negative: -ENOMEM. `bytes` need not be terminated and are not kept.
 */
int amb_plist_parse(const char *bytes, size_t length, OSObject **ret, char **ret_why);

/*
 * The same for a file, at most AMB_PLIST_MAX_BYTES long (longer: AMB_PLIST_TOO_BIG). Negative also: what openat and read say.
 * directory_fd may be AT_FDCWD.
 */
int amb_plist_read_file(int directory_fd, const char *path, OSObject **ret, char **ret_why);

/*
 * Writes a value as an XML or binary property list, a set as an array; *ret_bytes is malloc'ed, NUL-terminated beyond its
 * length.
 * Numbers above INT64_MAX are written as negative ones and read back as they were. AMB_PLIST_UNSUPPORTED: an object that is
 * no property value, a string that is not UTF-8 or, in XML, has control characters. AMB_PLIST_TOO_BIG: deeper than
 * AMB_PLIST_MAX_DEPTH or more than AMB_PLIST_MAX_NODES values (this also ends on containers that contain themselves).
 */
int amb_plist_write(const OSObject *value, bool binary, char **ret_bytes, size_t *ret_length);

/*
 * A value as compact JSON (RFC 8259) in one malloc'ed line, NULL without memory. Data becomes {"data":"BASE64"}, a set an
 * array; bytes of a string that are no UTF-8 become U+FFFD; what is no property value becomes {"class":"NAME"}, and so does a
 * container that is nested deeper than AMB_PLIST_MAX_DEPTH. A NULL value is null.
 */
char *amb_value_json(const OSObject *value);
