/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matching passes (5.5, 5.3): who is a candidate for a provider, which one is started, when the pass is over.
 *
 * A pass is work on the provider's entry. Candidates of one category form a group and are tried one after the other; groups run
 * side by side. A request during a pass looks for candidates at once (another driver's slow Start holds up nobody) and has one more
 * pass follow, for the notifications.
 */
#include "registry/entitlements.h"
#include "registry/internal.h"

void amb_restart_free(struct amb_restart *restart)
{
        amb_link_remove(&restart->link);
        amb_personality_unref(restart->personality);
        free(restart);
}

void amb_group_free(struct amb_group *group)
{
        amb_link_remove(&group->link);
        for (size_t i = 0; i < group->count; i++)
                amb_personality_unref(group->candidates[i]);
        free(group->candidates);
        free(group);
}

void amb_pass_request(struct amb_registry *registry, struct amb_entry *provider, bool rematch)
{
        if (!amb_active(provider) || provider == registry->root)
                return;
        if (rematch)
                provider->scan_rematch = true;
        else
                provider->scan = true;
        provider->again = true;
        if (!provider->pass) {
                provider->pass = true;
                amb_entry_busy(registry, provider, 1);
        }
        amb_work_add(registry, provider);
}

static bool may_match(const struct amb_registry *registry, const struct amb_entry *provider,
                      const struct amb_personality *personality)
{
        if (provider == registry->resources || !amb_class_conforms(provider->class, personality->provider_class) ||
            amb_class_conforms(provider->class, "IOUserServer"))
                return false;
        /* A driver that matches what it publishes itself would never come to an end. */
        for (const struct amb_entry *above = provider; above; above = above->parent)
                if (above->personality == personality)
                        return false;
        return amb_match(registry, provider, personality->dictionary, NULL);
}

/* All registered services that some personality (of the bundle, if one is given) could drive. */
void amb_pass_everything(struct amb_registry *registry, const struct amb_bundle *bundle, uint64_t now)
{
        const struct amb_personality *personality;

        for (struct amb_entry *entry = registry->root; entry; entry = amb_entry_after(registry, entry, registry->root)) {
                if (!(entry->state & AMB_STATE_REGISTERED))
                        continue;
                amb_list_for(personality, &registry->personalities, link)
                        if ((!bundle || personality->bundle == bundle) && may_match(registry, entry, personality)) {
                                amb_pass_request(registry, entry, false);
                                break;
                        }
        }
}

/* --- who is a candidate --- */

static bool category_taken(const struct amb_entry *provider, const char *category)
{
        const struct amb_entry *child;
        const struct amb_group *group;

        amb_list_for(group, &provider->groups, link)
                if (!strcmp(group->candidates[0]->category, category))
                        return true;
        amb_list_for(child, &provider->children, sibling) {
                const char *taken = child->user_client ? NULL : amb_entry_category(child);

                if (taken && (amb_active(child) || child->rematch) && !strcmp(taken, category))
                        return true;
        }
        return false;
}

/* 4.5: after a crash only the dead driver's personality may match, or, when it has crashed too often, all but that one. */
static bool restart_allows(const struct amb_registry *registry, const struct amb_entry *provider,
                           const struct amb_personality *candidate, bool rematch)
{
        const struct amb_restart *restart;
        bool allowed = !rematch;

        if (rematch && registry->limits.rematches == UINT32_MAX)
                return false;
        amb_list_for(restart, &provider->restarts, link) {
                if (!restart->pending)
                        continue;
                bool same = restart->personality == candidate;
                bool given_up = restart->count > registry->limits.rematches;
                if (same && given_up)
                        return false;
                if (same || given_up)
                        allowed = true;
                if (restart->personality->removed && !strcmp(restart->personality->category, candidate->category))
                        allowed = true;
        }
        return allowed;
}

static void restarts_consumed(struct amb_entry *provider)
{
        struct amb_restart *restart, *following;

        OSDictionaryRemoveValue(provider->properties, "IORematchPersonality");
        amb_list_for_safe(restart, following, &provider->restarts, link) {
                restart->pending = false;
                if (restart->personality->removed)
                        amb_restart_free(restart);
        }
}

static void candidate_add(struct amb_entry *provider, struct amb_link *found, struct amb_personality *personality)
{
        struct amb_group *group;

        amb_list_for(group, found, link)
                if (!strcmp(group->candidates[0]->category, personality->category))
                        break;
        if (&group->link == found) {
                group = amb_must(calloc(1, sizeof(*group)));
                group->provider = provider;
                amb_list_append(found, &group->link);
        }
        group->candidates = amb_must(realloc(group->candidates, (group->count + 1) * sizeof(*group->candidates)));
        group->candidates[group->count++] = amb_personality_ref(personality);
}

static void look_for_candidates(struct amb_registry *registry, struct amb_entry *provider)
{
        struct amb_link found = AMB_LIST_INIT(found);
        struct amb_personality *personality;
        bool rematch = !provider->scan;
        uint64_t count = 0;

        /* Held back: set_matching(true) asks again for everybody. */
        if (!registry->matching || registry->shutdown)
                return;
        provider->scan = provider->scan_rematch = false;
        amb_list_for(personality, &registry->personalities, link) {
                if (!may_match(registry, provider, personality))
                        continue;
                count++;
                if (!category_taken(provider, personality->category) && restart_allows(registry, provider, personality, rematch))
                        candidate_add(provider, &found, personality);
        }
        while (!amb_list_empty(&found)) {
                struct amb_group *group = amb_list_first(&found, struct amb_group, link);

                amb_link_remove(&group->link);
                amb_list_append(&provider->groups, &group->link);
        }
        restarts_consumed(provider);
        if (count)
                amb_must_true(OSDictionarySetUInt64Value(provider->properties, "IODEXTMatchCount", count));
        else
                OSDictionaryRemoveValue(provider->properties, "IODEXTMatchCount");
}

/* --- launching --- */

/* 4.2 step 7: the server name starts with the bundle id's first two components and the dot after them. */
static bool may_share(const struct amb_personality *personality)
{
        const char *id = personality->bundle->id, *dot = strchr(id, '.');

        dot = dot ? strchr(dot + 1, '.') : NULL;
        return dot && !strncmp(id, personality->server_name, (size_t)(dot + 1 - id));
}

static struct amb_host *shared_host(const struct amb_registry *registry, const char *server_name)
{
        struct amb_host *host, *alive = NULL;

        amb_list_for(host, &registry->hosts, link) {
                if (strcmp(host->server_name, server_name))
                        continue;
                if (host->state == AMB_HOST_LAUNCHING)
                        return host;
                if (host->state == AMB_HOST_ALIVE && !alive)
                        alive = host;
        }
        return alive;
}

/* 3.2: what provider and personality require, against what the host holds. */
static bool entitled(struct amb_registry *registry, const struct amb_entry *entry, const OSDictionary *held)
{
        const OSObject *of_provider = OSDictionaryGetValue(entry->parent->properties, "IOServiceDEXTEntitlements");
        const OSObject *of_driver = OSDictionaryGetValue(entry->personality->dictionary, "IOServiceDEXTEntitlements");
        const char *who = NULL;

        if (amb_entitlements_check(held, of_provider) != AMB_VERDICT_ALLOW)
                who = entry->parent->name;
        else if (amb_entitlements_check(held, of_driver) != AMB_VERDICT_ALLOW)
                who = entry->name;
        if (who)
                amb_queue_log(registry, AMB_LOG_WARNING,
                              "%s-0x%llx is not started: %s lacks an entitlement that IOServiceDEXTEntitlements of %s asks for",
                              entry->name, (unsigned long long)entry->id, entry->bundle->id, who);
        return !who;
}

static uint64_t restart_delay(const struct amb_entry *provider, const struct amb_personality *personality)
{
        const struct amb_restart *restart;
        uint64_t delay = AMB_RESTART_FIRST_DELAY;

        amb_list_for(restart, &provider->restarts, link) {
                if (restart->personality != personality || restart->short_lives < AMB_RESTART_FREE)
                        continue;
                for (uint32_t i = AMB_RESTART_FREE; i < restart->short_lives && delay < AMB_RESTART_LAST_DELAY; i++)
                        delay *= 2;
                return delay < AMB_RESTART_LAST_DELAY ? delay : AMB_RESTART_LAST_DELAY;
        }
        return 0;
}

static void launch(struct amb_registry *registry, struct amb_entry *entry, uint64_t now)
{
        const struct amb_personality *personality = entry->personality;
        uint64_t delay = restart_delay(entry->parent, personality);
        struct amb_host *host = amb_host_new(registry, personality->server_name, entry->bundle, entry->id);
        struct amb_action *action = amb_queue(registry, AMB_ACTION_LAUNCH);

        action->tag = entry->id;
        action->path = amb_must_copy(entry->bundle->path);
        action->bundle_id = amb_must_copy(entry->bundle->id);
        action->server_name = amb_must_copy(personality->server_name);
        action->not_before = delay ? now + delay : 0;
        if (delay)
                amb_queue_log(registry, AMB_LOG_NOTICE, "%s-0x%llx keeps crashing: started again in %llu ms", entry->name,
                              (unsigned long long)entry->id, (unsigned long long)(delay / 1000000));
        amb_host_add(host, entry);
}

/* Finds or launches a host for an entry that waits for nothing else. false: it will not be started. */
static bool find_host(struct amb_registry *registry, struct amb_entry *entry, uint64_t now)
{
        const struct amb_personality *personality = entry->personality;
        const char *of_provider = OSDictionaryGetStringValue(entry->parent->properties, "IOUserServerName");
        bool share = personality->one_process && may_share(personality);
        struct amb_host *host = share ? shared_host(registry, personality->server_name) : NULL;

        if (personality->one_process && !share)
                amb_queue_log(registry, AMB_LOG_NOTICE,
                              "%s-0x%llx gets its own process: the server name %s is not of %s's organisation", entry->name,
                              (unsigned long long)entry->id, personality->server_name, entry->bundle->id);
        if (!host && share && of_provider && !strcmp(of_provider, personality->server_name)) {
                amb_queue_log(registry, AMB_LOG_WARNING, "%s-0x%llx is not started: its provider's process is gone", entry->name,
                              (unsigned long long)entry->id);
                return false;
        }
        if (!entitled(registry, entry, host ? (host->bundle ? host->bundle->entitlements : NULL) : entry->bundle->entitlements))
                return false;
        if (host && host->entry_count >= registry->limits.entries_per_host)
                return false;
        entry->start = AMB_START_LAUNCH;
        if (!host) {
                launch(registry, entry, now);
                return true;
        }
        amb_host_add(host, entry);
        if (host->state == AMB_HOST_ALIVE)
                amb_host_call_start(registry, entry);
        return true;
}

/* 1.1, 5.3: the proxy. NULL: this candidate does not match any more, or there is no room. */
static struct amb_entry *proxy_new(struct amb_registry *registry, struct amb_entry *provider, struct amb_personality *personality)
{
        OSObject *name = NULL;

        if (!amb_match(registry, provider, personality->dictionary, &name))
                return NULL;
        if (!amb_entry_has_room(registry, provider)) {
                amb_queue_log(registry, AMB_LOG_WARNING,
                              "%s is not started: %s-0x%llx has too many clients or is too deep in the tree",
                              personality->user_class, provider->name, (unsigned long long)provider->id);
                return NULL;
        }
        struct amb_entry *entry = amb_entry_new(registry, 0, personality->class, personality->user_class);
        OSNumber *score = amb_must(OSNumberCreate((uint32_t)personality->score, 32));
        amb_must_true(OSDictionaryMerge(entry->properties, personality->dictionary));
        amb_must_true(OSDictionarySetValue(entry->properties, "IOProbeScore", score));
        amb_must_true(OSDictionarySetValue(entry->properties, "IOMatchedPersonality", personality->dictionary));
        if (name)
                amb_must_true(OSDictionarySetValue(entry->properties, "IONameMatched", name));
        OSObject_release(score);
        entry->personality = amb_personality_ref(personality);
        entry->bundle = amb_bundle_ref(personality->bundle);
        amb_entry_attach(registry, entry, provider);
        return entry;
}

static void try_launch(struct amb_registry *registry, struct amb_entry *entry, uint64_t now)
{
        const OSObject *wanted = OSDictionaryGetValue(entry->personality->dictionary, "IOResourceMatch");

        /* 4.2 step 2; on the resource service it was a criterion. */
        if (wanted && entry->parent != registry->user_resources && !amb_match_resource(registry, wanted)) {
                entry->start = AMB_START_RESOURCES;
                return;
        }
        if (find_host(registry, entry, now))
                return;
        entry->start = AMB_START_FAILED;
        amb_terminate(registry, entry);
}

void amb_start_resources_changed(struct amb_registry *registry, uint64_t now)
{
        for (struct amb_entry *entry = registry->root; entry; entry = amb_entry_after(registry, entry, registry->root))
                if (entry->start == AMB_START_RESOURCES && amb_active(entry))
                        try_launch(registry, entry, now);
}

/* --- the pass --- */

void amb_group_lost(struct amb_registry *registry, struct amb_entry *entry)
{
        struct amb_group *group = entry->group;

        if (!group)
                return;
        entry->group = NULL;
        group->current = NULL;
        amb_work_add(registry, group->provider);
}

void amb_group_started(struct amb_registry *registry, struct amb_entry *entry)
{
        struct amb_group *group = entry->group;

        amb_group_lost(registry, entry);
        if (group)
                group->next = group->count;
}

/* Starts the next candidate of each group that has none; drops groups that have no more. */
static void groups_advance(struct amb_registry *registry, struct amb_entry *provider, uint64_t now)
{
        struct amb_group *group, *following;

        amb_list_for_safe(group, following, &provider->groups, link) {
                while (!group->current && group->next < group->count) {
                        struct amb_personality *personality = group->candidates[group->next++];

                        if (personality->removed || !amb_active(provider) || !registry->matching || registry->shutdown)
                                continue;
                        struct amb_entry *entry = proxy_new(registry, provider, personality);
                        if (!entry)
                                continue;
                        group->current = entry;
                        entry->group = group;
                        try_launch(registry, entry, now);
                }
                if (!group->current)
                        amb_group_free(group);
        }
}

static void pass_begin(struct amb_registry *registry, struct amb_entry *provider)
{
        bool first = !(provider->state & AMB_STATE_FIRST_PUBLISH);

        provider->begun = true;
        provider->again = false;
        provider->state |= AMB_STATE_FIRST_PUBLISH | AMB_STATE_REGISTERED;
        if (first)
                amb_notify(registry, AMB_NOTIFY_FIRST_PUBLISH, provider);
        amb_notify(registry, AMB_NOTIFY_PUBLISH, provider);
}

static void pass_end(struct amb_registry *registry, struct amb_entry *provider)
{
        bool first = !(provider->state & AMB_STATE_FIRST_MATCH);

        provider->begun = false;
        provider->state |= AMB_STATE_MATCHED;
        amb_notify(registry, AMB_NOTIFY_MATCHED, provider);
        provider->state |= AMB_STATE_FIRST_MATCH;
        if (first)
                amb_notify(registry, AMB_NOTIFY_FIRST_MATCH, provider);
}

static void pass_over(struct amb_registry *registry, struct amb_entry *provider)
{
        provider->pass = provider->begun = provider->again = false;
        amb_entry_busy(registry, provider, -1);
}

void amb_pass_step(struct amb_registry *registry, struct amb_entry *provider, uint64_t now)
{
        groups_advance(registry, provider, now);
        if (!amb_active(provider)) {
                if (provider->pass && amb_list_empty(&provider->groups))
                        pass_over(registry, provider);
                return;
        }
        while (provider->pass) {
                if (!provider->begun)
                        pass_begin(registry, provider);
                if (provider->scan || provider->scan_rematch) {
                        look_for_candidates(registry, provider);
                        groups_advance(registry, provider, now);
                }
                if (!amb_list_empty(&provider->groups))
                        return;
                pass_end(registry, provider);
                if (!provider->again)
                        pass_over(registry, provider);
        }
}
