/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subscriptions: matching notifications (6.4), interests (6.5), waits for quiet (6.8). Each hangs on its owner and on what it
 * watches.
 */
#include "registry/internal.h"

static const char *const types[AMB_NOTIFY_COUNT] = {
        [AMB_NOTIFY_PUBLISH] = "IOServicePublish",
        [AMB_NOTIFY_FIRST_PUBLISH] = "IOServiceFirstPublish",
        [AMB_NOTIFY_MATCHED] = "IOServiceMatched",
        [AMB_NOTIFY_FIRST_MATCH] = "IOServiceFirstMatch",
        [AMB_NOTIFY_TERMINATE] = "IOServiceTerminate",
        [AMB_NOTIFY_WILL_TERMINATE] = "IOServiceWillTerminate",
};

/* The state bit that makes a service belong to the initial set; 0: that set is empty. */
static const uint32_t initial[AMB_NOTIFY_COUNT] = {
        [AMB_NOTIFY_PUBLISH] = AMB_STATE_REGISTERED,
        [AMB_NOTIFY_FIRST_PUBLISH] = AMB_STATE_FIRST_PUBLISH,
        [AMB_NOTIFY_MATCHED] = AMB_STATE_MATCHED,
        [AMB_NOTIFY_FIRST_MATCH] = AMB_STATE_FIRST_MATCH,
};

/* --- owners --- */

static struct amb_owner *owner_find(const struct amb_registry *registry, uint64_t id)
{
        struct amb_owner *owner;

        amb_list_for(owner, &registry->owners, link)
                if (owner->id == id)
                        return owner;
        return NULL;
}

static struct amb_subscription *subscription_find(const struct amb_owner *owner, uint32_t number)
{
        struct amb_subscription *subscription;

        if (owner)
                amb_list_for(subscription, &owner->subscriptions, owned)
                        if (subscription->number == number)
                                return subscription;
        return NULL;
}

static void subscription_free(struct amb_subscription *subscription)
{
        struct amb_owner *owner = subscription->owner;

        amb_link_remove(&subscription->link);
        amb_link_remove(&subscription->owned);
        OSObject_release(subscription->matching);
        free(subscription);
        if (--owner->count)
                return;
        amb_link_remove(&owner->link);
        free(owner);
}

/* May this owner have one more, of this number? */
static IOReturn may_subscribe(const struct amb_registry *registry, uint64_t owner_id, uint32_t number)
{
        const struct amb_owner *owner = owner_find(registry, owner_id);

        if (!owner_id || subscription_find(owner, number))
                return kIOReturnBadArgument;
        if (owner && owner->count >= registry->limits.subscriptions_per_owner)
                return kIOReturnNoResources;
        return kIOReturnSuccess;
}

static struct amb_subscription *subscription_new(struct amb_registry *registry, uint64_t owner_id, uint32_t number,
                                                 enum amb_notification type)
{
        struct amb_subscription *subscription = amb_must(calloc(1, sizeof(*subscription)));
        struct amb_owner *owner = owner_find(registry, owner_id);

        if (!owner) {
                owner = amb_must(calloc(1, sizeof(*owner)));
                owner->id = owner_id;
                amb_list_init(&owner->subscriptions);
                amb_list_append(&registry->owners, &owner->link);
        }
        owner->count++;
        subscription->owner = owner;
        subscription->number = number;
        subscription->type = type;
        amb_list_append(&owner->subscriptions, &subscription->owned);
        return subscription;
}

void amb_registry_unsubscribe(struct amb_registry *registry, uint64_t owner, uint32_t number)
{
        struct amb_subscription *subscription = subscription_find(owner_find(registry, owner), number);

        if (subscription)
                subscription_free(subscription);
}

void amb_registry_owner_gone(struct amb_registry *registry, uint64_t id)
{
        struct amb_owner *owner = owner_find(registry, id);

        for (uint32_t count = owner ? owner->count : 0; count; count--)
                subscription_free(amb_list_first(&owner->subscriptions, struct amb_subscription, owned));
        if (id)
                amb_queue_forget_owner(registry, id);
}

void amb_notify_free(struct amb_registry *registry)
{
        while (!amb_list_empty(&registry->owners))
                amb_registry_owner_gone(registry, amb_list_first(&registry->owners, struct amb_owner, link)->id);
}

/* --- matching notifications --- */

IOReturn amb_registry_subscribe(struct amb_registry *registry, uint64_t owner, uint32_t number, const char *type,
                                const OSDictionary *matching, uint64_t **ret_entries, size_t *ret_count)
{
        enum amb_notification which = 0;
        struct amb_found found = { 0 };

        while (which < AMB_NOTIFY_COUNT && strcmp(types[which], type))
                which++;
        if (which == AMB_NOTIFY_COUNT)
                return kIOReturnUnsupported;
        if (!amb_object_cast(matching, &gOSDictionaryMetaClass) || !amb_value_fits((const OSObject *)matching))
                return kIOReturnBadArgument;
        IOReturn code = may_subscribe(registry, owner, number);
        if (code)
                return code;
        struct amb_subscription *subscription = subscription_new(registry, owner, number, which);
        subscription->matching = amb_must(OSDictionaryCreateCopy(matching));
        amb_list_append(&registry->subscriptions[which], &subscription->link);
        for (const struct amb_entry *entry = registry->root; entry; entry = amb_entry_after(registry, entry, registry->root)) {
                if ((entry->state & initial[which]) && amb_match(registry, entry, matching, NULL))
                        amb_found_add(&found, entry->id);
        }
        *ret_entries = found.entries;
        *ret_count = found.count;
        return kIOReturnSuccess;
}

void amb_notify(struct amb_registry *registry, enum amb_notification type, struct amb_entry *entry)
{
        const struct amb_subscription *subscription;

        amb_list_for(subscription, &registry->subscriptions[type], link) {
                if (!amb_match(registry, entry, subscription->matching, NULL))
                        continue;
                struct amb_action *action = amb_queue(registry, AMB_ACTION_NOTIFY);
                action->owner = subscription->owner->id;
                action->subscription = subscription->number;
                action->entry = entry->id;
                if (type == AMB_NOTIFY_TERMINATE || type == AMB_NOTIFY_WILL_TERMINATE)
                        entry->announced = true;
        }
}

/* --- interests --- */

IOReturn amb_registry_subscribe_interest(struct amb_registry *registry, uint64_t owner, uint32_t number, uint64_t id,
                                         const char *interest)
{
        static const struct {
                const char *name;
                enum amb_notification type;
        } interests[] = {
                { "IOGeneralInterest", AMB_NOTIFY_GENERAL_INTEREST },
                { "IOBusyInterest", AMB_NOTIFY_BUSY_INTEREST },
                /* Nobody sends these yet it is no mistake to ask for them (6.5). */
                { "IOAppPowerStateInterest", AMB_NOTIFY_OTHER_INTEREST },
                { "IOPriorityPowerStateInterest", AMB_NOTIFY_OTHER_INTEREST },
                { "IOConsoleSecurityInterest", AMB_NOTIFY_OTHER_INTEREST },
        };
        struct amb_entry *entry = id ? amb_entry_find(registry, id) : NULL;
        size_t which = 0;

        if (!entry || entry->place == AMB_PLACE_PENDING)
                return MACH_SEND_INVALID_DEST;
        if (entry == registry->root)
                return kIOReturnBadArgument;
        while (which < AMB_ARRAY_LENGTH(interests) && strcmp(interests[which].name, interest))
                which++;
        if (which == AMB_ARRAY_LENGTH(interests) || !amb_active(entry))
                return kIOReturnUnsupported;
        IOReturn code = may_subscribe(registry, owner, number);
        if (code)
                return code;
        struct amb_subscription *subscription = subscription_new(registry, owner, number, interests[which].type);
        subscription->entry = entry;
        amb_list_append(&entry->interests, &subscription->link);
        return kIOReturnSuccess;
}

void amb_notify_interest(struct amb_registry *registry, struct amb_entry *entry, uint32_t message, uint64_t argument)
{
        enum amb_notification type = message == AMB_MESSAGE_BUSY ? AMB_NOTIFY_BUSY_INTEREST : AMB_NOTIFY_GENERAL_INTEREST;
        const struct amb_subscription *subscription;

        amb_list_for(subscription, &entry->interests, link) {
                if (subscription->type != type)
                        continue;
                struct amb_action *action = amb_queue(registry, AMB_ACTION_INTEREST);
                action->owner = subscription->owner->id;
                action->subscription = subscription->number;
                action->entry = entry->id;
                action->message = message;
                action->argument = argument;
                if (message == AMB_MESSAGE_TERMINATED)
                        entry->announced = true;
        }
}

/* --- quiet --- */

IOReturn amb_registry_wait_quiet(struct amb_registry *registry, uint64_t owner, uint32_t number, uint64_t id, bool *ret_quiet)
{
        struct amb_entry *entry = amb_entry_find(registry, id ? id : AMB_ENTRY_ROOT);

        if (!entry || entry->place == AMB_PLACE_PENDING)
                return MACH_SEND_INVALID_DEST;
        IOReturn code = may_subscribe(registry, owner, number);
        if (code)
                return code;
        *ret_quiet = !entry->busy;
        if (!entry->busy)
                return kIOReturnSuccess;
        struct amb_subscription *subscription = subscription_new(registry, owner, number, AMB_NOTIFY_QUIET);
        subscription->entry = entry;
        amb_list_append(&entry->interests, &subscription->link);
        return kIOReturnSuccess;
}

void amb_notify_quiet(struct amb_registry *registry, struct amb_entry *entry)
{
        struct amb_subscription *subscription, *following;

        amb_list_for_safe(subscription, following, &entry->interests, link) {
                if (subscription->type != AMB_NOTIFY_QUIET)
                        continue;
                struct amb_action *action = amb_queue(registry, AMB_ACTION_QUIET);
                action->owner = subscription->owner->id;
                action->subscription = subscription->number;
                action->entry = entry->id;
                subscription_free(subscription);
        }
}

/* A detached entry is quiet, and nothing will be told of it any more. */
void amb_notify_entry_gone(struct amb_registry *registry, struct amb_entry *entry)
{
        amb_notify_quiet(registry, entry);
        while (!amb_list_empty(&entry->interests))
                subscription_free(amb_list_first(&entry->interests, struct amb_subscription, link));
}
