/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the registry's tests share: values from XML, a registry with its actions collected, the steps that every scenario takes. */
#include <stdio.h>

#include "base/test-suite.h"
#include "object/plist.h"
#include "registry/registry.h"

#define SECOND 1000000000ull
#define ACCESS "com.apple.developer.driverkit.userclient-access"

/* The property value that an XML fragment says; the caller owns it. */
static inline AMB_UNUSED void *value_of(const char *xml)
{
        AMB_FREE char *text = amb_format("<plist version=\"1.0\">%s</plist>", xml);
        OSObject *value = NULL;
        char *why = NULL;

        ck_assert_msg(amb_plist_parse(text, strlen(text), &value, &why) == 0, "%s: %s", why, text);
        return value;
}

/* --- actions, kept until the next drain --- */
struct seen {
        enum amb_action_type type;
        bool wait;
        uint32_t subscription, message, open_type;
        IOReturn code;
        uint64_t host, entry, provider, connection, owner, tag, argument, not_before;
        char text[400], path[64], server_name[64], user_class[64], creator[64];
        OSDictionary *properties, *entitlements;
};

static struct seen seen[4096] AMB_UNUSED;
static size_t seen_count AMB_UNUSED;

static inline void forget(void)
{
        for (size_t i = 0; i < seen_count; i++) {
                OSObject_release(seen[i].properties);
                OSObject_release(seen[i].entitlements);
        }
        seen_count = 0;
}

static inline void see(const struct amb_action *action)
{
        ck_assert_uint_lt(seen_count, AMB_ARRAY_LENGTH(seen));
        struct seen *one = &seen[seen_count++];

        *one = (struct seen){ action->type, action->wait, action->subscription, action->message, action->open_type, action->code,
                              action->host, action->entry, action->provider, action->connection, action->owner, action->tag,
                              action->argument, action->not_before };
        snprintf(one->text, sizeof(one->text), "%s", action->text ? action->text : "");
        snprintf(one->path, sizeof(one->path), "%s", action->path ? action->path : "");
        snprintf(one->server_name, sizeof(one->server_name), "%s", action->server_name ? action->server_name : "");
        snprintf(one->user_class, sizeof(one->user_class), "%s", action->user_class ? action->user_class : "");
        snprintf(one->creator, sizeof(one->creator), "%s", action->creator ? action->creator : "");
        one->properties = action->properties;
        one->entitlements = action->entitlements;
        OSObject_retain(one->properties);
        OSObject_retain(one->entitlements);
}

/* Takes all actions; the state must be sound. */
static inline AMB_UNUSED size_t drain(struct amb_registry *registry)
{
        const char *broken = amb_registry_check(registry);
        struct amb_action action;

        ck_assert_msg(!broken, "%s", broken);
        forget();
        while (amb_registry_next_action(registry, &action))
                see(&action);
        return seen_count;
}

/* The n-th action of a type since the last drain, or NULL. */
static inline AMB_UNUSED const struct seen *nth(enum amb_action_type type, size_t n)
{
        for (size_t i = 0; i < seen_count; i++)
                if (seen[i].type == type && !n--)
                        return &seen[i];
        return NULL;
}

static inline AMB_UNUSED size_t count_of(enum amb_action_type type)
{
        size_t count = 0;

        while (nth(type, count))
                count++;
        return count;
}

/* Where in the order of actions; fails the test when it is not there. */
static inline AMB_UNUSED size_t where(enum amb_action_type type, uint64_t entry, uint32_t subscription)
{
        for (size_t i = 0; i < seen_count; i++)
                if (seen[i].type == type && seen[i].entry == entry && (!subscription || seen[i].subscription == subscription))
                        return i;
        ck_abort_msg("no action %s for 0x%llx", amb_action_name(type), (unsigned long long)entry);
}

/* --- scenarios --- */
#define PERSONALITY(class, extra)                                                                                       \
        "<dict><key>IOClass</key><string>IOUserService</string><key>IOProviderClass</key><string>IOUserResources</string>" \
        "<key>IOUserClass</key><string>" class "</string>" extra "</dict>"
#define CATEGORY(name) "<key>IOMatchCategory</key><string>" name "</string>"
#define INFO(id, personalities)                                                                                         \
        "<dict><key>CFBundleIdentifier</key><string>" id "</string><key>IOKitPersonalities</key><dict>" personalities     \
        "</dict></dict>"
#define DRIVERKIT "<key>com.apple.developer.driverkit</key><true/>"

static inline AMB_UNUSED IOReturn add_bundle_with(struct amb_registry *registry, const char *info, const char *entitlements,
                                                  char **ret_why)
{
        OSObject *plist = value_of(info), *held = entitlements ? value_of(entitlements) : NULL;
        IOReturn code = amb_registry_add_bundle(registry, "/drivers/x.dext", plist, held, 0, ret_why);

        OSObject_release(plist);
        OSObject_release(held);
        return code;
}

static inline AMB_UNUSED void add_bundle(struct amb_registry *registry, const char *info)
{
        char *why = NULL;
        IOReturn code = add_bundle_with(registry, info, "<dict>" DRIVERKIT "</dict>", &why);

        ck_assert_msg(code == kIOReturnSuccess && !why, "0x%x: %s", (unsigned)code, why);
}

static inline AMB_UNUSED struct amb_registry *new_registry(const struct amb_registry_limits *limits)
{
        struct amb_registry *registry = amb_registry_new(0, limits);

        amb_registry_set_matching(registry, true, 0);
        drain(registry);
        return registry;
}

/* The n-th launch of the last drain checks in as `host`; returns the entry. START is then among the actions. */
static inline AMB_UNUSED uint64_t check_in(struct amb_registry *registry, size_t n, uint64_t host, const char *bundle_id, uint64_t now)
{
        const struct seen *launch = nth(AMB_ACTION_LAUNCH, n);

        ck_assert_ptr_nonnull(launch);
        uint64_t tag = launch->tag;
        char server[64];
        snprintf(server, sizeof(server), "%s", launch->server_name);
        ck_assert_int_eq(amb_registry_host_checked_in(registry, host, tag, server, bundle_id, now), kIOReturnSuccess);
        drain(registry);
        return tag;
}

/* The first launch of the last drain becomes a started and registered service of this host. */
static inline AMB_UNUSED uint64_t run_driver(struct amb_registry *registry, uint64_t host, const char *bundle_id, uint64_t now)
{
        uint64_t entry = check_in(registry, 0, host, bundle_id, now);

        ck_assert_uint_eq(nth(AMB_ACTION_START, 0)->entry, entry);
        ck_assert_int_eq(amb_registry_register_service(registry, host, entry, now), kIOReturnSuccess);
        ck_assert_int_eq(amb_registry_start_done(registry, host, entry, kIOReturnSuccess, now), kIOReturnSuccess);
        drain(registry);
        return entry;
}

static inline AMB_UNUSED uint32_t state_of(const struct amb_registry *registry, uint64_t entry)
{
        struct amb_entry_view view;

        return amb_registry_view(registry, entry, &view) ? view.state : UINT32_MAX;
}

static inline AMB_UNUSED uint32_t busy_of(const struct amb_registry *registry, uint64_t entry)
{
        struct amb_entry_view view;

        ck_assert(amb_registry_view(registry, entry, &view));
        return view.busy;
}

static inline AMB_UNUSED bool in_tree(const struct amb_registry *registry, uint64_t entry)
{
        struct amb_entry_view view;

        return amb_registry_view(registry, entry, &view) && !view.detached;
}

/* How many services a matching dictionary finds; the first of them. */
static inline AMB_UNUSED size_t find(const struct amb_registry *registry, const char *matching, uint64_t *ret_first)
{
        OSDictionary *dictionary = value_of(matching);
        AMB_FREE uint64_t *found = NULL;
        size_t count = 0;

        ck_assert_int_eq(amb_registry_find_services(registry, dictionary, &found, &count), kIOReturnSuccess);
        if (count && ret_first)
                *ret_first = found[0];
        OSObject_release(dictionary);
        return count;
}

static inline AMB_UNUSED void subscribe(struct amb_registry *registry, uint64_t owner, uint32_t subscription, const char *type,
                                        const char *matching)
{
        OSDictionary *dictionary = value_of(matching);
        AMB_FREE uint64_t *found = NULL;
        size_t count;

        ck_assert_int_eq(amb_registry_subscribe(registry, owner, subscription, type, dictionary, &found, &count), kIOReturnSuccess);
        OSObject_release(dictionary);
}

/* Opens as uid 1000 with these entitlements; returns the code, *ret_open is the caller's. */
static inline AMB_UNUSED IOReturn open_as(struct amb_registry *registry, uint64_t entry, uid_t uid, const char *entitlements,
                                          struct amb_open *ret_open)
{
        OSDictionary *held = entitlements ? value_of(entitlements) : NULL;
        struct amb_opener opener = { uid, 42, "app", held };
        IOReturn code = amb_registry_open(registry, entry, &opener, 7, ret_open);

        OSObject_release(held);
        return code;
}

/* The driver's answer to NewUserClient. */
static inline AMB_UNUSED void open_done(struct amb_registry *registry, uint64_t host, uint64_t connection, IOReturn code,
                                        const char *properties)
{
        OSDictionary *dictionary = properties ? value_of(properties) : NULL;

        ck_assert_int_eq(amb_registry_open_done(registry, host, connection, code, dictionary ? "Client" : NULL, dictionary, 0),
                         kIOReturnSuccess);
        OSObject_release(dictionary);
        drain(registry);
}
#define USER_CLIENT(extra) "<dict><key>IOClass</key><string>IOUserUserClient</string>" extra "</dict>"
#define ENTITLED(id) "<dict><key>" ACCESS "</key><array><string>" id "</string></array></dict>"

/* --- a registry that serves --- */

#define ID "com.example.driver.x"

/* A registry with one driver in service, in host 1. */
static inline AMB_UNUSED struct amb_registry *started(uint64_t *ret_entry)
{
        struct amb_registry *registry = new_registry(NULL);

        add_bundle(registry, INFO(ID, "<key>x</key>" PERSONALITY("Sensors", "")));
        drain(registry);
        *ret_entry = run_driver(registry, 1, ID, 0);
        return registry;
}

/* Opens and lets the driver agree; returns the connection. */
static inline AMB_UNUSED uint64_t opened(struct amb_registry *registry, uint64_t entry, uint64_t host)
{
        struct amb_open open;

        ck_assert_int_eq(open_as(registry, entry, 1000, ENTITLED(ID), &open), kIOReturnSuccess);
        drain(registry);
        ck_assert_uint_eq(nth(AMB_ACTION_NEW_USER_CLIENT, 0)->connection, open.connection);
        open_done(registry, host, open.connection, kIOReturnSuccess, USER_CLIENT(""));
        ck_assert_int_eq(nth(AMB_ACTION_OPEN_RESULT, 0)->code, kIOReturnSuccess);
        return open.connection;
}
