/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reads the machine: /proc and /sys below a root directory, into struct sensors_all. Knows nothing of drivers.
 *
 * Owner: one reader belongs to one thread at a time (it has a text buffer); it keeps the root directory open and nothing else.
 * What the machine may do wrong: a file that is missing, unreadable, or has lines of an unknown shape leaves its values as they
 * were (or the sensor unlisted); only a missing or empty /proc/stat is an error, because then nothing is known. Sensors come
 * and go between two readings.
 *
 * Errors: 0, or -errno.
 */
#include "sensors.h"

struct sensors_reader;

/* root: "/" or, for tests, a directory that holds proc/ and sys/. */
int sensors_reader_new(struct sensors_reader **ret_reader, const char *root);
struct sensors_reader *sensors_reader_free(struct sensors_reader *reader);      /* returns NULL; NULL is allowed */

/*
 * CPU times, memory, load, network counters: cheap, for every sample. Leaves `all`'s sensors as they are. -ENODATA: /proc/stat
 * says nothing that is understood; what `all` holds then is not to be used.
 */
int sensors_read_counters(struct sensors_reader *reader, struct sensors_all *all);

/* hwmon and thermal zones: some chips need milliseconds to answer; read them less often. Never fails: no chip, no sensor. */
void sensors_read_hardware(struct sensors_reader *reader, struct sensors_all *all);
