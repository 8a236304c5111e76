/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the registry's files share. Nobody outside src/registry includes this.
 *
 * Who owns what: the registry owns everything. Entries in the tree are found by their parent and by id; a user client whose open is
 * in progress is found by id only; a terminated entry that was announced stays readable, by id, in the list of remembered ones.
 * A host's record lives from LAUNCH to the end of its process. Bundles and personalities are counted, because drivers outlive their
 * bundle's removal.
 *
 * How changes spread: an event changes what it names at once (phase 1 of a termination is one walk over the subtree), then puts
 * every entry whose next step may have become possible on the work list. amb_work() takes entries off that list until it is empty:
 * one step each, no recursion, entries freed only there. Every event ends with amb_work().
 */
#include "registry/registry.h"

enum {
        AMB_DEPTH_MAX = 64,             /* of the tree: walks may recurse */
        AMB_NAME_MAX = 127,             /* bytes of a name */
        /*
         * Of what comes from outside: less than one reading of a message may have (control/value.h), keys counted as there, because
         * an entry travels with some keys of our own, two levels down in a list of entries.
         */
        AMB_VALUE_DEPTH_MAX = 28,
        AMB_VALUE_NODES_MAX = 16384 - 64,
        AMB_VALUE_BYTES_MAX = 4096 * 1024 - 16384,
        AMB_NODE_WEIGHT = 64,           /* bytes of memory that a value costs, about, besides its contents */
};

struct amb_size {
        size_t nodes, bytes;
};

#define AMB_RESTART_SHORT_LIFE 10000000000ull   /* a life shorter than this ... */
#define AMB_RESTART_FREE 3                      /* ... that many times in a row: from now on with delay */
#define AMB_RESTART_FIRST_DELAY 100000000ull
#define AMB_RESTART_LAST_DELAY 5000000000ull

struct amb_class {
        struct amb_link link;           /* registry.classes */
        char *name;
        const struct amb_class *super;
        const char **chain;             /* name, super's name, ..., NULL */
};

struct amb_bundle {
        struct amb_link link;           /* registry.bundles; unlinked when removed */
        uint32_t references;            /* 1 of the catalogue, 1 per entry, host and personality */
        bool removed;
        char *id, *path;
        OSDictionary *entitlements;
};

struct amb_personality {
        struct amb_link link;           /* registry.personalities, best score first, then oldest first */
        uint32_t references;
        bool removed;
        bool one_process;
        int32_t score;
        struct amb_bundle *bundle;
        OSDictionary *dictionary;       /* with defaults filled in; never changed */
        const struct amb_class *class;
        const char *provider_class, *user_class, *server_name, *category;       /* inside dictionary */
};

/* What a provider remembers of a driver that died on it. */
struct amb_restart {
        struct amb_link link;           /* entry.restarts */
        struct amb_personality *personality;
        uint32_t count;                 /* IORematchCount */
        uint32_t short_lives;           /* in a row */
        bool pending;                   /* the next pass is about it */
};

/* The candidates of one category on one provider, best first; one at a time is being started. */
struct amb_group {
        struct amb_link link;           /* entry.groups */
        struct amb_entry *provider, *current;
        struct amb_personality **candidates;
        size_t count, next;
};

enum amb_start {
        AMB_START_NONE,                 /* no driver: root, nub, host object, user client, created service */
        AMB_START_RESOURCES,            /* waits for a resource */
        AMB_START_LAUNCH,               /* waits for its host to check in */
        AMB_START_CALLED,               /* Start is on its way or running */
        AMB_START_DONE,                 /* returned 0 */
        AMB_START_FAILED,               /* did not; or never will */
};

enum amb_stop {
        AMB_STOP_NONE,
        AMB_STOP_CALLED,                /* with wait */
        AMB_STOP_RETURNED,              /* 0, but the base Stop has not been called yet */
        AMB_STOP_DONE,
};

enum amb_place {
        AMB_PLACE_PENDING,              /* a user client that is being opened and has no clients: not in the tree */
        AMB_PLACE_TREE,
        AMB_PLACE_REMEMBERED,
};

struct amb_entry {
        struct amb_entry *bucket;       /* next in registry.table's slot */
        struct amb_link work;           /* registry.work */
        struct amb_link remembered;     /* registry.remembered */
        uint64_t id;
        const struct amb_class *class;
        char *name;
        enum amb_place place;
        uint32_t state;
        OSDictionary *properties;       /* the kernel's table */
        OSDictionary *runtime;          /* IOUserServiceProperties; NULL: none */
        size_t weight;                  /* of what its host gave us to keep */

        struct amb_entry *parent;
        struct amb_link children, sibling;
        uint32_t child_count, depth;

        uint32_t busy;                  /* own + one per busy child */
        uint32_t own_busy;
        uint32_t adjusted;              /* the part of own_busy that AdjustBusy put there */

        struct amb_link interests;      /* subscriptions */

        /* as a provider: the matching pass, 5.5 */
        bool pass;                      /* wanted or running: busy counts one for it */
        bool begun;                     /* running */
        bool again;                     /* one more is wanted when this one ends */
        bool scan, scan_rematch;        /* look for candidates: all; only for drivers that died */
        struct amb_link groups, restarts;

        /* hosted */
        struct amb_host *host;
        struct amb_link hosted;         /* host.entries */
        struct amb_bundle *bundle;
        struct amb_personality *personality;
        struct amb_group *group;        /* that is starting it */
        enum amb_start start;
        bool register_wanted;           /* RegisterService inside Start */
        uint64_t started_at;

        /* termination */
        enum amb_stop stop;
        bool host_dead, did_stop;
        bool will_announced;            /* IOServiceWillTerminate is out */
        bool rematch;                   /* register the provider again when this one detaches */
        bool announced;                 /* a subscriber was told of the end: stays readable */
        uint32_t opens;                 /* user clients of this service that are being opened */

        /* user client */
        bool user_client;
        struct amb_entry *service;      /* until the driver has answered */
        OSDictionary *client;           /* the app's entitlements, frozen */
        struct amb_uid *uid;
};

enum amb_host_state { AMB_HOST_LAUNCHING, AMB_HOST_ALIVE, AMB_HOST_EXITING, AMB_HOST_DEAD };

struct amb_host {
        struct amb_link link;           /* registry.hosts */
        enum amb_host_state state;
        uint64_t id, tag;
        char *server_name;
        struct amb_bundle *bundle;      /* NULL: adopted without one */
        OSArray *loaded;                /* paths of the bundles it was told to load */
        struct amb_link entries;
        uint32_t entry_count;
        size_t weight;                  /* of all entries */
        struct amb_entry *object;       /* its IOUserServer */
};

struct amb_uid {
        struct amb_link link;
        uid_t uid;
        uint32_t connections;
};

enum amb_notification {
        AMB_NOTIFY_PUBLISH,
        AMB_NOTIFY_FIRST_PUBLISH,
        AMB_NOTIFY_MATCHED,
        AMB_NOTIFY_FIRST_MATCH,
        AMB_NOTIFY_TERMINATE,
        AMB_NOTIFY_WILL_TERMINATE,
        AMB_NOTIFY_COUNT,
        /* not matching notifications: */
        AMB_NOTIFY_GENERAL_INTEREST,
        AMB_NOTIFY_BUSY_INTEREST,
        AMB_NOTIFY_OTHER_INTEREST,
        AMB_NOTIFY_QUIET,
};

struct amb_owner {
        struct amb_link link;
        uint64_t id;
        struct amb_link subscriptions;
        uint32_t count;
};

struct amb_subscription {
        struct amb_link link;           /* registry.subscriptions[type] or entry.interests */
        struct amb_link owned;          /* owner.subscriptions */
        struct amb_owner *owner;
        uint32_t number;
        enum amb_notification type;
        OSDictionary *matching;
        struct amb_entry *entry;
};

struct amb_queued {
        struct amb_link link;
        struct amb_action action;       /* strings are copies, dictionaries are retained */
};

struct amb_registry {
        struct amb_registry_limits limits;
        uint64_t first_id, next_id;
        uint64_t generation;
        bool matching, shutdown;
        bool held;                      /* matching is held back, and the user resources are busy for it */
        uint64_t personality_order;

        struct amb_entry **table;       /* by id; a power of two slots */
        size_t table_size, table_count;

        struct amb_entry *root, *resources, *user_resources;
        struct amb_link classes, bundles, personalities, hosts, owners, uids;
        struct amb_link subscriptions[AMB_NOTIFY_COUNT];
        struct amb_link work, remembered, actions;
        uint32_t remembered_count;
        struct amb_queued *last;        /* what the last next_action gave out */
};

/* --- memory: see registry.h --- */
_Noreturn void amb_out_of_memory(void);
static inline void *amb_must(const void *pointer)
{
        if (!pointer)
                amb_out_of_memory();
        return (void *)pointer;
}
static inline void amb_must_true(bool done)
{
        if (!done)
                amb_out_of_memory();
}
static inline char *amb_must_copy(const char *string)
{
        return amb_must(strdup(string));
}
/* Ids of entries, as many as it takes. */
struct amb_found {
        uint64_t *entries;              /* the caller's */
        size_t count, room;
};
static inline void amb_found_add(struct amb_found *found, uint64_t entry)
{
        if (found->count == found->room) {
                found->room = found->room ? found->room * 2 : 16;
                found->entries = amb_must(realloc(found->entries, found->room * sizeof(*found->entries)));
        }
        found->entries[found->count++] = entry;
}
static inline bool amb_active(const struct amb_entry *entry)
{
        return !(entry->state & AMB_STATE_INACTIVE);
}

/* --- action.c --- */
struct amb_action *amb_queue(struct amb_registry *registry, enum amb_action_type type);
void amb_queue_log(struct amb_registry *registry, enum amb_log_level level, const char *format, ...) AMB_PRINTF(3, 4);
void amb_queue_free(struct amb_registry *registry);
void amb_queue_forget_owner(struct amb_registry *registry, uint64_t owner);

/* --- entry.c --- */
const struct amb_class *amb_class_find(const struct amb_registry *registry, const char *name);
bool amb_class_conforms(const struct amb_class *class, const char *name);
void amb_classes_init(struct amb_registry *registry);
void amb_classes_free(struct amb_registry *registry);
struct amb_entry *amb_entry_find(const struct amb_registry *registry, uint64_t id);             /* in any place */
struct amb_entry *amb_entry_in_tree(const struct amb_registry *registry, uint64_t id);
struct amb_entry *amb_entry_new(struct amb_registry *registry, uint64_t id, const struct amb_class *class, const char *name);
void amb_entry_attach(struct amb_registry *registry, struct amb_entry *entry, struct amb_entry *parent);
void amb_entry_unlink(struct amb_registry *registry, struct amb_entry *entry);                  /* from the tree */
void amb_entry_free(struct amb_registry *registry, struct amb_entry *entry);
void amb_entry_remember(struct amb_registry *registry, struct amb_entry *entry);
void amb_entry_busy(struct amb_registry *registry, struct amb_entry *entry, int delta);         /* own busy */
void amb_entry_busy_child(struct amb_registry *registry, struct amb_entry *entry, int delta);   /* of a child that crossed */
bool amb_entry_has_room(const struct amb_registry *registry, const struct amb_entry *parent);
OSDictionary *amb_entry_merged(const struct amb_entry *entry);                                  /* + 1 reference */
OSObject *amb_entry_property(const struct amb_entry *entry, const char *key);                   /* run-time wins */
struct amb_entry *amb_entry_after(const struct amb_registry *registry, const struct amb_entry *entry, const struct amb_entry *top);
char *amb_name_clean(const char *name);                                                         /* malloc; fit for people */
const char *amb_entry_category(const struct amb_entry *entry);                                  /* NULL: none */

/* --- catalogue.c --- */
bool amb_value_fits(const OSObject *value);
/* Do both fit together? NULL weighs nothing. */
bool amb_values_fit(const OSObject *one, const OSObject *other, size_t *ret_weight);
struct amb_bundle *amb_bundle_find(const struct amb_registry *registry, const char *id);
struct amb_bundle *amb_bundle_ref(struct amb_bundle *bundle);
void amb_bundle_unref(struct amb_bundle *bundle);
struct amb_personality *amb_personality_ref(struct amb_personality *personality);
void amb_personality_unref(struct amb_personality *personality);
void amb_catalogue_free(struct amb_registry *registry);

/* --- match.c --- */
/* ret_name (may be NULL): the element of IONameMatch that hit, not retained. */
bool amb_match(const struct amb_registry *registry, const struct amb_entry *entry, const OSDictionary *table, OSObject **ret_name);
bool amb_match_resource(const struct amb_registry *registry, const OSObject *requirement);

/* --- start.c: passes, candidates, launches --- */
void amb_pass_request(struct amb_registry *registry, struct amb_entry *provider, bool rematch);
void amb_pass_step(struct amb_registry *registry, struct amb_entry *provider, uint64_t now);   /* work */
void amb_pass_everything(struct amb_registry *registry, const struct amb_bundle *bundle, uint64_t now);
void amb_group_started(struct amb_registry *registry, struct amb_entry *entry);                  /* its current one runs */
void amb_group_lost(struct amb_registry *registry, struct amb_entry *entry);                     /* its current one is gone */
void amb_group_free(struct amb_group *group);
void amb_start_resources_changed(struct amb_registry *registry, uint64_t now);
void amb_restart_free(struct amb_restart *restart);

/* --- host.c --- */
struct amb_host *amb_host_find(const struct amb_registry *registry, uint64_t id);
struct amb_entry *amb_host_entry(const struct amb_registry *registry, uint64_t host, uint64_t id);
struct amb_host *amb_host_new(struct amb_registry *registry, const char *server_name, struct amb_bundle *bundle, uint64_t tag);
void amb_host_add(struct amb_host *host, struct amb_entry *entry);
bool amb_host_weigh(const struct amb_registry *registry, struct amb_host *host, struct amb_entry *entry, size_t weight);
void amb_host_remove(struct amb_registry *registry, struct amb_entry *entry);   /* the last one: EXIT_HOST or CANCEL_LAUNCH */
void amb_host_alive(struct amb_registry *registry, struct amb_host *host, uint64_t id, uint64_t now);
void amb_host_call_start(struct amb_registry *registry, struct amb_entry *entry);
void amb_host_free(struct amb_host *host);

/* --- lifecycle.c --- */
void amb_terminate(struct amb_registry *registry, struct amb_entry *victim);    /* phase 1; the rest is work */
void amb_work_add(struct amb_registry *registry, struct amb_entry *entry);
void amb_work(struct amb_registry *registry, uint64_t now);

/* --- open.c --- */
void amb_open_fail(struct amb_registry *registry, struct amb_entry *user_client, IOReturn code, const char *text);
/* The user client of that id that this host is making right now; NULL: there is none. */
struct amb_entry *amb_open_client(const struct amb_registry *registry, uint64_t host, uint64_t id);
/* Into the tree, below the service that is opened, which is active; if it is not there already. */
void amb_open_place(struct amb_registry *registry, struct amb_entry *user_client);
void amb_open_release(struct amb_registry *registry, struct amb_entry *user_client);            /* its uid's quota */

/* --- notify.c --- */
void amb_notify(struct amb_registry *registry, enum amb_notification type, struct amb_entry *entry);
void amb_notify_interest(struct amb_registry *registry, struct amb_entry *entry, uint32_t message, uint64_t argument);
void amb_notify_quiet(struct amb_registry *registry, struct amb_entry *entry);
void amb_notify_entry_gone(struct amb_registry *registry, struct amb_entry *entry);
void amb_notify_free(struct amb_registry *registry);
