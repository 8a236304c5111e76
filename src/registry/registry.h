/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The registry: services, drivers, matching, opening, notifications - as a pure state machine.
 *
 * It holds no fd, starts no process, reads no clock and knows no bus. Events are function calls; what has to be done about them
 * comes out of amb_registry_next_action(). Everything is decided here and everything is done by the caller:
 *
 *      event (a call below)  ->  state changes at once  ->  actions queue up  ->  the daemon drains and performs them
 *
 * Drain the queue after every event; the order of actions is the order in which they must take effect towards one peer (messages to
 * one host and signals to one owner must not overtake each other). An event must not be fed from inside another one.
 *
 * Names in this file:
 *      entry    a node of the tree, named by a 64-bit id that is never reused. 0 is no entry.
 *      host     a process that runs drivers, named by a number that the daemon chooses at check-in: not 0, never reused.
 *      tag      the id of the entry for which a host was launched; it names a launch from LAUNCH to check-in.
 *      owner    an app's bus connection, named by a number that the daemon chooses: not 0, never reused.
 *      now      nanoseconds of any clock that never goes back (amb_time_now()).
 *
 * Threads: one at a time. Memory: strings and dictionaries given in are copied or retained; nothing of the caller's is changed.
 * Results that are pointers stay valid until the next event or the next amb_registry_next_action(), unless "copy" is said.
 * When memory runs out, the process ends (abort): a half-done transition would be worse, connections live on without the daemon,
 * and what peers can make us hold is limited. What peers say is checked: an event about an entry that is not theirs is refused.
 *
 * Contract: lifecycle-registry 0.4, 1 to 5, 6.2, 6.4, 6.5, 6.9. Where we differ, and why:
 *      - entitlements are decided before any driver code runs (3.3 asks the driver first);
 *      - drivers of different categories of one provider start side by side: one that hangs does not hold up the others;
 *      - a driver that keeps crashing is started again with a growing delay (amb_registry_host_lost);
 *      - several drivers of one provider may be due for a restart at the same time, each with its own count.
 */
#include <sys/types.h>

#include <DriverKit/IOReturn.h>
#include <DriverKit/OSCollections.h>

#include "base/base.h"

struct amb_registry;

/* Ids that are the same in every registry, so that a host can name its provider to a daemon that did not launch it. */
#define AMB_ENTRY_ROOT 0x100000100ull
#define AMB_ENTRY_RESOURCES 0x100000101ull
#define AMB_ENTRY_USER_RESOURCES 0x100000102ull
#define AMB_ENTRY_FIRST 0x100000200ull                  /* all others are at least this */

/* The public state word, lifecycle-registry 0.4. */
#define AMB_STATE_INACTIVE 0x1u
#define AMB_STATE_REGISTERED 0x2u
#define AMB_STATE_MATCHED 0x4u
#define AMB_STATE_FIRST_PUBLISH 0x8u
#define AMB_STATE_FIRST_MATCH 0x10u

/* Messages of interest notifications, 0.2. */
#define AMB_MESSAGE_TERMINATED 0xE0000010u              /* argument: 0 */
#define AMB_MESSAGE_BUSY 0xE0000120u                    /* argument: 1 became busy, 0 became quiet */

/* What peers may make the registry hold. A zero field means its default. */
struct amb_registry_limits {
        uint32_t connections_per_uid;           /* 16384 */
        uint32_t children;                      /* of one entry: 16384 */
        uint32_t subscriptions_per_owner;       /* matching + interest + waits for quiet: 1024 */
        uint32_t entries_per_host;              /* services and user clients: 32768 */
        uint32_t weight_per_host;               /* bytes, about, of the properties that a host gave us: 64 MiB */
        uint32_t remembered;                    /* terminated entries that stay readable by id: 256 */
        uint32_t rematches;                     /* restarts of one driver on one provider: 1000; UINT32_MAX: never restart */
};

/*
 * --- actions: what the daemon has to do ---
 * Fields that an action does not name are zero.
 */
enum amb_action_type {
        AMB_ACTION_NONE,
        /*
         * Start a host process at `not_before` (0 or past: now). It must present `tag`. Answer with amb_registry_host_checked_in(),
         * or with amb_registry_launch_failed() when it could not be started, died before, or has not checked in within 120 s.
         *      tag, path (the bundle's), bundle_id, server_name, not_before
         */
        AMB_ACTION_LAUNCH,
        /* Nobody needs this launch any more: kill the process or don't start it. No answer; a late check-in is refused.   tag */
        AMB_ACTION_CANCEL_LAUNCH,
        /* Host1.LoadModule. No answer: when it fails, log it; the Start that follows fails too.   host, path */
        AMB_ACTION_LOAD_MODULE,
        /*
         * Host1.Start. Answer: amb_registry_start_done().
         *      host, entry, provider, provider_class, provider_name, provider_properties (merged), user_class, properties (merged),
         *      classes (the entry's kernel class and its superclasses, NULL-terminated)
         */
        AMB_ACTION_START,
        /*
         * Host1.NewUserClient. Answer: amb_registry_open_done(); if the host dies before, amb_registry_host_lost() is enough.
         *      host, entry (the service), connection, open_type, creator, entitlements (frozen, for the driver's eyes)
         */
        AMB_ACTION_NEW_USER_CLIENT,
        /* The answer for the app whose amb_registry_open() gave `connection`: exactly one for each.   connection, entry (the service),
         * code, text (when code is not 0: a sentence for the log, or NULL) */
        AMB_ACTION_OPEN_RESULT,
        /* Host1.Stop. With `wait` answer amb_registry_stop_done(); without, send it and forget it.   host, entry, wait */
        AMB_ACTION_STOP,
        /* Host1.Exit, then see that the process goes; amb_registry_host_lost() follows as after any end.   host, text (reason) */
        AMB_ACTION_EXIT_HOST,
        /* Registry1.Notified.   owner, subscription, entry */
        AMB_ACTION_NOTIFY,
        /* Registry1.Interest.   owner, subscription, entry, message, argument */
        AMB_ACTION_INTEREST,
        /* The wait of amb_registry_wait_quiet() is over, and forgotten.   owner, subscription, entry */
        AMB_ACTION_QUIET,
        /* A line for the log.   level, text */
        AMB_ACTION_LOG,
};

struct amb_action {
        enum amb_action_type type;
        bool wait;
        uint32_t subscription;
        uint32_t open_type;
        uint32_t message;
        IOReturn code;
        enum amb_log_level level;
        uint64_t host, entry, provider, connection, owner, tag;
        uint64_t argument;
        uint64_t not_before;
        const char *path, *bundle_id, *server_name;
        const char *user_class, *provider_class, *provider_name;
        const char *creator;
        const char *text;
        const char *const *classes;
        OSDictionary *properties, *provider_properties;
        OSDictionary *entitlements;
};

const char *amb_action_name(enum amb_action_type type);

/* Takes the oldest action; false: none. What ret_action points to lives until the next call of this function (also the one that
 * returns false) or the registry's end; events in between do not touch it. */
bool amb_registry_next_action(struct amb_registry *registry, struct amb_action *ret_action);

/*
 * --- life ---
 * first_id: ids of new entries start here (raised to AMB_ENTRY_FIRST). A restarted daemon must give more than any id of its
 * predecessor: seconds since 1970 << 20 does it. limits NULL: all defaults.
 * The tree is born with Root, IOResources and IOUserResources (both registered and matched, with the resource "IOKit"). Matching
 * is off until amb_registry_set_matching(true): that is the time in which hosts of a former daemon may report.
 */
struct amb_registry *amb_registry_new(uint64_t first_id, const struct amb_registry_limits *limits);
struct amb_registry *amb_registry_free(struct amb_registry *registry);
AMB_DEFINE_CLEANUP(struct amb_registry, amb_registry_free)

/*
 * Holds matching back or lets it go; turned on, everything registered is matched. A new registry does not match yet; one that was
 * told to hold it back is not quiet until it is let go.
 */
void amb_registry_set_matching(struct amb_registry *registry, bool on, uint64_t now);

/* No more launches and opens; every driver service gets a one-way Stop; EXIT_HOST comes out for each host as it becomes empty. */
void amb_registry_shutdown(struct amb_registry *registry, uint64_t now);

/*
 * --- kernel-side objects: providers ---
 * A class that providers or personalities may name as IOProviderClass or IOClass. IORegistryEntry, IOService, IOUserService,
 * IOUserClient, IOUserUserClient, IOUserServer, IOResources, IOUserResources, IOHIDDevice, AppleUserHIDDevice exist.
 * kIOReturnBadArgument: super unknown, or the name is taken with another super.
 */
IOReturn amb_registry_add_class(struct amb_registry *registry, const char *name, const char *super);

/* A registered service below `parent` (AMB_ENTRY_ROOT or another nub) that drivers match on. class: see add_class. name NULL: the
 * class. properties may be NULL. kIOReturnBadArgument, kIOReturnNotAttached (parent inactive), kIOReturnNoResources. */
IOReturn amb_registry_add_nub(struct amb_registry *registry, uint64_t parent, const char *class, const char *name,
                              const OSDictionary *properties, uint64_t now, uint64_t *ret_entry);
/* The device is gone: terminates the nub and all on it; Stops are one-way. kIOReturnBadArgument: not a nub. */
IOReturn amb_registry_remove_nub(struct amb_registry *registry, uint64_t entry, uint64_t now);
/* Makes a resource known on IOResources and IOUserResources and registers both again. */
IOReturn amb_registry_publish_resource(struct amb_registry *registry, const char *key, const OSObject *value, uint64_t now);

/*
 * --- the catalogue ---
 * Adds a driver bundle; registered services are matched with it. info: the parsed Info.plist, anything a file can hold.
 * entitlements: the bundle's, NULL if it has none.
 * *ret_why (malloc, or NULL) is written always: sentences for people, one per line, each naming the key, the personality, and
 * what is expected. With kIOReturnSuccess they tell of personalities that were left out; otherwise why nothing was added.
 *      kIOReturnBadArgument            no usable personality, no bundle id, not a dictionary, too deep or too big
 *      kIOReturnNotPermitted           the entitlements lack com.apple.developer.driverkit = true
 *      kIOReturnExclusiveAccess        a bundle of this id is there already
 */
IOReturn amb_registry_add_bundle(struct amb_registry *registry, const char *path, const OSObject *info,
                                 const OSObject *entitlements, uint64_t now, char **ret_why);
/* Takes the personalities away and terminates the bundle's services, with Stop. kIOReturnNotFound. */
IOReturn amb_registry_remove_bundle(struct amb_registry *registry, const char *bundle_id, uint64_t now);
/* The path of a bundle, NULL if there is none of this id. */
const char *amb_registry_bundle_path(const struct amb_registry *registry, const char *bundle_id);
/* Has the bundle this entitlement, with the value true? No, if there is no such bundle. */
bool amb_registry_bundle_holds(const struct amb_registry *registry, const char *bundle_id, const char *entitlement);

/*
 * --- hosts ---
 * A launched process has presented the tag (and, to the daemon, its token). kIOReturnBadArgument: nobody waits for this tag, or the
 * server name or bundle id is not the one of the launch: tell it to exit.
 */
IOReturn amb_registry_host_checked_in(struct amb_registry *registry, uint64_t host, uint64_t tag, const char *server_name,
                                      const char *bundle_id, uint64_t now);
/*
 * It will not check in. The next candidate is tried; there is no second attempt with this one until its provider is matched again.
 */
void amb_registry_launch_failed(struct amb_registry *registry, uint64_t tag, uint64_t now);
/* A checked-in (or adopted) host's process has ended, for whatever reason. Its services end without Stop; those that had started
 * are due for a restart: at once; but when the last three or more lives were each shorter than 10 s, after 100 ms, 200 ms, ...
 * up to 5 s. crashed: by a signal or a non-zero status, and the caller has logged it. Unknown hosts are ignored. */
void amb_registry_host_lost(struct amb_registry *registry, uint64_t host, bool crashed, uint64_t now);

/* Answers. host is who answers; an answer nobody waits for, or from the wrong host, is kIOReturnBadArgument and changes nothing. */
IOReturn amb_registry_start_done(struct amb_registry *registry, uint64_t host, uint64_t entry, IOReturn code, uint64_t now);
IOReturn amb_registry_stop_done(struct amb_registry *registry, uint64_t host, uint64_t entry, IOReturn code, uint64_t now);
/* user_class and properties (the dictionary that the driver gave to Create) only matter when code is 0. */
IOReturn amb_registry_open_done(struct amb_registry *registry, uint64_t host, uint64_t connection, IOReturn code,
                                const char *user_class, const OSDictionary *properties, uint64_t now);

/* Requests of hosts, Registry1's "host -> daemon". Codes by lifecycle-registry 1.4, 1.7 to 1.9; unknown entry or another host's:
 * kIOReturnNotPermitted. */
IOReturn amb_registry_register_service(struct amb_registry *registry, uint64_t host, uint64_t entry, uint64_t now);
IOReturn amb_registry_set_name(struct amb_registry *registry, uint64_t host, uint64_t entry, const char *name);
/* Merges `changes` into the run-time properties and takes the keys `removed` (strings; may be NULL) out of them.
 * kIOReturnNoResources: they would grow beyond 16384 values or 32 levels. */
IOReturn amb_registry_set_properties(struct amb_registry *registry, uint64_t host, uint64_t entry, const OSDictionary *changes,
                                     const OSArray *removed);
IOReturn amb_registry_create_service(struct amb_registry *registry, uint64_t host, uint64_t parent, const OSDictionary *properties,
                                     uint64_t *ret_entry);
IOReturn amb_registry_terminate(struct amb_registry *registry, uint64_t host, uint64_t entry, uint64_t options, uint64_t now);
/* The driver has called the base Stop. Without a termination it means nothing. */
IOReturn amb_registry_did_stop(struct amb_registry *registry, uint64_t host, uint64_t entry, uint64_t now);
IOReturn amb_registry_adjust_busy(struct amb_registry *registry, uint64_t host, uint64_t entry, int32_t delta);
/* The app has closed or died and the host has stopped the user client: its entry leaves. Unknown connections are ignored. */
IOReturn amb_registry_connection_closed(struct amb_registry *registry, uint64_t host, uint64_t connection, uint64_t now);

/*
 * A host that another daemon launched. rows: the dictionaries of Registry1.Adopt, parents first, already checked by nobody.
 * All or nothing: the entries come back with the same ids, active ones registered and matched as they were; their categories are
 * taken; launches that wait for such a category are cancelled. Entries that were terminating (state has Inactive) go on doing so:
 * they get their Stop again. The bundle should be in the catalogue: an adopted driver holds the entitlements of the bundle of this
 * id, none if there is none. New ids go on above the highest adopted one. The user clients count for no uid's quota.
 *      kIOReturnBadArgument            a row is malformed, an id is taken or too low, a class is unknown, host known already
 *      kIOReturnNotAttached            a parent is unknown or inactive
 *      kIOReturnExclusiveAccess        a running driver has the category already
 *      kIOReturnNotReady               a driver's Start has not returned ("started" is not true): report again when it has
 *      kIOReturnNoResources            too many
 * On failure *ret_why (malloc) is a sentence; tell the host to exit.
 */
IOReturn amb_registry_adopt(struct amb_registry *registry, uint64_t host, const char *server_name, uint64_t tag,
                            const char *bundle_id, const OSArray *rows, uint64_t now, char **ret_why);

/*
 * --- apps: opening ---
 * uid, pid, name: as the kernel knew them when the app connected. pid and name are for people only.
 */
struct amb_opener {
        uid_t uid;                              /* (uid_t)-1: unknown, opens nothing */
        pid_t pid;
        const char *name;
        OSDictionary *entitlements;             /* what the daemon granted; NULL: none */
};
struct amb_open {
        uint64_t connection;                    /* the user client's entry id; only after kIOReturnSuccess */
        char *why;                              /* malloc; after a failure: a sentence that says what is missing. NULL otherwise */
};
/*
 * Decides, then asks the driver (action NEW_USER_CLIENT); the app's answer is the action OPEN_RESULT with the same connection. Any
 * other code than success is the app's answer at once and no driver code runs. ret_open is written always.
 *      MACH_SEND_INVALID_DEST          no such entry, or it is terminated
 *      kIOReturnBadArgument            not a service (Root)
 *      kIOReturnUnsupported            no driver behind it
 *      kIOReturnNotPermitted           the entitlements do not allow it
 *      kIOReturnNotReady               the driver's Start has not returned yet
 *      kIOReturnNoResources            too many connections
 */
IOReturn amb_registry_open(struct amb_registry *registry, uint64_t entry, const struct amb_opener *opener, uint32_t type,
                           struct amb_open *ret_open);

/*
 * --- apps: looking ---
 * Registered ids in pre-order (a parent before its children, siblings in order of arrival): next(0) is the root, 0 the end.
 * generation changes whenever an entry comes or goes.
 */
struct amb_entry_view {
        uint64_t id, parent, host;              /* parent 0: root, or detached; host 0: none */
        const char *class, *name;
        const char *const *classes;             /* class first, then its superclasses; NULL-terminated */
        const char *bundle_id;                  /* NULL: none */
        uint32_t state, busy, children;
        bool user_client;
        bool detached;                          /* terminated and gone from the tree, remembered for its last readers */
};
bool amb_registry_view(const struct amb_registry *registry, uint64_t entry, struct amb_entry_view *ret_view);
uint64_t amb_registry_next(const struct amb_registry *registry, uint64_t entry);
uint64_t amb_registry_generation(const struct amb_registry *registry);
/* Writes at most `capacity` ids of children, in order; returns how many there are. 0 for unknown entries. */
size_t amb_registry_children(const struct amb_registry *registry, uint64_t entry, uint64_t *ids, size_t capacity);
/* All properties: the run-time ones win. One reference to the caller; NULL: no such entry. */
OSDictionary *amb_registry_copy_properties(const struct amb_registry *registry, uint64_t entry);
/* May the driver behind this connection name its application's memory by itself? One that a program hosts itself always may. */
bool amb_registry_names_memory(const struct amb_registry *registry, uint64_t connection);
/* One property: the personality's value wins over the run-time one (6.7). "IORegistryEntryPropertyKeys": the list of keys.
 * One reference to the caller; NULL: none. */
OSObject *amb_registry_copy_property(const struct amb_registry *registry, uint64_t entry, const char *key);
/* "IOService:/name/name" (malloc); NULL: no such entry, or detached. */
char *amb_registry_copy_path(const struct amb_registry *registry, uint64_t entry);
/* The entry at a path of this form; 0: none. */
uint64_t amb_registry_from_path(const struct amb_registry *registry, const char *path);
/* The matching rules of 5.1, on one entry. */
bool amb_registry_matches(const struct amb_registry *registry, uint64_t entry, const OSDictionary *matching);
/* All matched, active services that match; *ret_entries is malloc'ed (NULL when there are none). kIOReturnBadArgument: not a
 * dictionary, or too deep or big. */
IOReturn amb_registry_find_services(const struct amb_registry *registry, const OSDictionary *matching, uint64_t **ret_entries,
                                    size_t *ret_count);

/*
 * --- apps: notifications ---
 * A subscription is named by (owner, number); one that exists already: kIOReturnBadArgument; too many: kIOReturnNoResources.
 * type: IOServicePublish, IOServiceFirstPublish, IOServiceMatched, IOServiceFirstMatch, IOServiceTerminate, IOServiceWillTerminate;
 * another: kIOReturnUnsupported. What is there already is in ret_entries (malloc, NULL when none); later ones are NOTIFY actions.
 */
IOReturn amb_registry_subscribe(struct amb_registry *registry, uint64_t owner, uint32_t subscription, const char *type,
                                const OSDictionary *matching, uint64_t **ret_entries, size_t *ret_count);
/* interest: one of the five names of 0.3, else, or on an inactive entry: kIOReturnUnsupported. Root: kIOReturnBadArgument. */
IOReturn amb_registry_subscribe_interest(struct amb_registry *registry, uint64_t owner, uint32_t subscription, uint64_t entry,
                                         const char *interest);
/* *ret_quiet true: the entry is quiet now, nothing is kept. false: a QUIET action follows once; amb_registry_unsubscribe() cancels
 * (a time-out is the caller's). Entry 0: the root. */
IOReturn amb_registry_wait_quiet(struct amb_registry *registry, uint64_t owner, uint32_t subscription, uint64_t entry,
                                 bool *ret_quiet);
void amb_registry_unsubscribe(struct amb_registry *registry, uint64_t owner, uint32_t subscription);
/* Drops all of the owner's subscriptions; actions for it that are still queued are dropped too. */
void amb_registry_owner_gone(struct amb_registry *registry, uint64_t owner);

/*
 * --- tests ---
 * Verifies every invariant of the state; returns NULL or a sentence about the first that is broken (static storage).
 */
const char *amb_registry_check(const struct amb_registry *registry);
