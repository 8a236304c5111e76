/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Policy: which app holds which entitlements, from policy files that the machine's owner wrote.
 *
 * The caller finds, opens and parses the files; a whole parsed property list comes in here. A file with any mistake is refused
 * whole: a grant that was misread is worse than none. What counts about an app is its principal, as the kernel captured it when
 * the app connected; Executable can only narrow a grant that also names who.
 *
 *      Version     integer 1
 *      Grants      array of { Subject = { all keys must match }, Entitlements = { } }
 *      Subject     who:      User (name or uid), Group (name or gid), Label, Listener (strings), Any (true)
 *                  narrows:  Executable (absolute path)
 *
 * An app holds the union of all grants that match: arrays are joined (an element once), booleans or-ed, other values must be
 * equal wherever the key appears, in all files. Threads: one at a time. SECURITY-NOTES 4.3.
 */
#include <sys/types.h>

#include <DriverKit/OSCollections.h>

#include "base/base.h"

struct amb_policy;

/* Turns names into numbers; false: no such name. Either may be NULL: then names are refused, numbers still do. */
struct amb_policy_resolver {
        bool (*user)(void *context, const char *name, uid_t *ret_uid);
        bool (*group)(void *context, const char *name, gid_t *ret_gid);
        void *context;
};

/* Who an app is. */
struct amb_principal {
        uid_t uid;                              /* (uid_t)-1: unknown; matches nothing, not even Any */
        gid_t gid;
        const gid_t *groups;
        size_t group_count;
        const char *label;                      /* NULL: none */
        const char *listener;                   /* name of the socket it came in by; NULL: the ordinary one */
        const char *executable;                 /* absolute path; NULL: unknown */
};

enum {
        AMB_POLICY_REFUSED = 1,
};

/* resolver (copied) may be NULL. Ends the process when memory runs out, as the registry does. */
struct amb_policy *amb_policy_new(const struct amb_policy_resolver *resolver);
struct amb_policy *amb_policy_free(struct amb_policy *policy);
AMB_DEFINE_CLEANUP(struct amb_policy, amb_policy_free)

/* Adds a file. source: its name, for messages. AMB_POLICY_REFUSED: nothing was added, and *ret_why (malloc) says where the mistake
 * is and what is expected; *ret_why is NULL on 0. */
int amb_policy_add(struct amb_policy *policy, const OSObject *plist, const char *source, char **ret_why);

/* The merged entitlements of a principal: one reference, never NULL, empty when nothing matches. */
OSDictionary *amb_policy_entitlements(const struct amb_policy *policy, const struct amb_principal *principal);

size_t amb_policy_count(const struct amb_policy *policy);       /* grants */
