/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The registry daemon, asked over the control protocol.
 *
 * What it promises
 *      A pool of bus connections, one per question in progress, so that one blocked open delays nobody; at most 8 idle ones are
 *      kept. A question whose connection turns out to be dead is asked once more on a new one, unless it must not be done twice
 *      (OpenService) and has been sent. A child never uses its parent's connections.
 *
 * What comes back
 *      amb_remote_...: 0 and the outputs, or -errno: -ENOENT, -ECONNREFUSED and the like when there is no daemon. IOReturn
 *      codes that the daemon sends as data are outputs (ret_code); nothing else is written then, unless said.
 *
 * What the peer may do wrong: the daemon is trusted with what it says, not with its form: a reply that does not parse is
 * -EBADMSG.
 *
 * Which thread: any.
 */
#include <DriverKit/OSCollections.h>

#include "base/base.h"
#include "control/bus.h"

#define AMB_REMOTE_ROOT 0x100000100ull          /* lifecycle-registry 183 */

/* What a -errno of these functions means to a caller of IOKitLib who had a live handle. */
kern_return_t amb_remote_code(int error);

struct amb_ids {
        uint64_t *list;
        size_t count;
};
static inline void amb_ids_clear(struct amb_ids *ids)
{
        free(ids->list);
        *ids = (struct amb_ids){ 0 };
}
#define AMB_IDS AMB_CLEANUP(amb_ids_clear) struct amb_ids

int amb_remote_find(const OSDictionary *matching, kern_return_t *ret_code, struct amb_ids *ret_entries);

/* A snapshot of one entry. */
struct amb_snapshot {
        char *class, *name;
        uint32_t state, busy;
        struct amb_ids parents, children;
        uint64_t pid;
        OSDictionary *properties;
        OSArray *classes;               /* class names, the entry's own first */
};
void amb_snapshot_clear(struct amb_snapshot *snapshot);
#define AMB_SNAPSHOT AMB_CLEANUP(amb_snapshot_clear) struct amb_snapshot
int amb_remote_entry(uint64_t entry, kern_return_t *ret_code, struct amb_snapshot *ret);

/* The descriptors are -1 unless code is 0; then they are the caller's. */
struct amb_opened {
        uint64_t connection;
        int channel, side, host;
        bool names_memory;              /* the driver may name memory of ours by itself */
};
int amb_remote_open(uint64_t entry, uint32_t type, kern_return_t *ret_code, struct amb_opened *ret);

int amb_remote_wait_quiet(uint64_t entry, uint64_t nanoseconds, kern_return_t *ret_code);
/* ret_message and ret_bundle: malloc'ed, also with a code that is not 0. */
int amb_remote_load(const char *path, kern_return_t *ret_code, char **ret_message, char **ret_bundle);
int amb_remote_unload(const char *bundle, kern_return_t *ret_code, char **ret_message);
int amb_remote_dump(OSArray **ret_entries);

/* --- for the bus of a notification port, which is not of the pool --- */
int amb_remote_subscribe(sd_bus *bus, uint32_t subscription, const char *notification, const OSDictionary *matching,
                         kern_return_t *ret_code, struct amb_ids *ret_entries);
int amb_remote_subscribe_interest(sd_bus *bus, uint32_t subscription, uint64_t entry, const char *interest,
                                  kern_return_t *ret_code);
int amb_remote_unsubscribe(sd_bus *bus, uint32_t subscription);
