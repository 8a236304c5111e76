/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOServiceAddMatchingNotification and IOServiceAddInterestNotification: subscriptions on a port's bus, seen as an iterator and
 * as a plain handle. Contract: lifecycle-registry 6.4, 6.5.
 */
#include <IOKit/IOKitLib.h>
#include <IOKit/IOMessage.h>

#include "client/iterator.h"
#include "client/port.h"
#include "client/remote.h"

#define WAITING_MOST 1024               /* services in one undrained notification; more are dropped (row 214) */
#define KNOWN_MOST 16384                /* ids remembered so that a new daemon's list tells nothing twice */

static const struct {
        const char *name;
        uint32_t type;
} notifications[] = {
        { kIOPublishNotification, kIOServicePublishNotificationType },
        { kIOFirstPublishNotification, kIOServicePublishNotificationType },
        { kIOMatchedNotification, kIOServiceMatchedNotificationType },
        { kIOFirstMatchNotification, kIOServiceMatchedNotificationType },
        { kIOTerminatedNotification, kIOServiceTerminatedNotificationType },
        { kIOWillTerminateNotification, kIOServiceTerminatedNotificationType },
};

struct matching {
        struct amb_iterator iterator;
        struct amb_subscription subscription;
        const char *notification;               /* of the table above */
        uint32_t type;
        OSDictionary *dictionary;
        IOServiceMatchingCallback callback;
        void *refcon;
        kern_return_t code;                     /* what the daemon said last */

        pthread_mutex_t lock;
        uint64_t waiting[WAITING_MOST];         /* taken from the end */
        size_t waiting_count;
        bool armed;
        uint64_t *known;
        size_t known_count;
};

static struct matching *matching_of(struct amb_iterator *iterator)
{
        return amb_container_of(iterator, struct matching, iterator);
}

static uint64_t matching_next(struct amb_iterator *iterator)
{
        struct matching *matching = matching_of(iterator);
        uint64_t id = 0;

        pthread_mutex_lock(&matching->lock);
        if (matching->waiting_count > 0)
                id = matching->waiting[--matching->waiting_count];
        else
                matching->armed = true;
        pthread_mutex_unlock(&matching->lock);
        return id;
}

static void matching_reset(struct amb_iterator *iterator)
{
        (void)iterator;
}

static bool matching_valid(struct amb_iterator *iterator)
{
        (void)iterator;
        return true;
}

/* Under the lock. */
static bool known_have(const struct matching *matching, uint64_t id)
{
        for (size_t i = 0; i < matching->known_count; i++)
                if (matching->known[i] == id)
                        return true;
        return false;
}

static void known_add(struct matching *matching, uint64_t id)
{
        uint64_t *known;

        if (matching->type == kIOServiceTerminatedNotificationType || known_have(matching, id))
                return;
        if (matching->known_count == KNOWN_MOST) {
                /* The oldest id is the least likely to be alive. */
                memmove(matching->known, matching->known + 1, (KNOWN_MOST - 1) * sizeof(*known));
                matching->known_count--;
        }
        known = realloc(matching->known, (matching->known_count + 1) * sizeof(*known));
        if (!known)
                return;
        matching->known = known;
        known[matching->known_count++] = id;
}

/* Under the lock: one more waits; the message that is due now, or NULL. */
static struct amb_message *matching_push(struct matching *matching, uint64_t id)
{
        bool tell = matching->armed && matching->waiting_count == 0;

        if (matching->waiting_count == WAITING_MOST)
                return NULL;
        matching->waiting[matching->waiting_count++] = id;
        known_add(matching, id);
        if (!tell)
                return NULL;
        matching->armed = false;
        return amb_message_of_matching(matching->type, matching->iterator.target.handle, matching->callback, matching->refcon);
}

static void matching_notified(struct amb_subscription *subscription, uint64_t entry)
{
        struct matching *matching = amb_container_of(subscription, struct matching, subscription);
        struct amb_message *message;

        pthread_mutex_lock(&matching->lock);
        message = matching_push(matching, entry);
        pthread_mutex_unlock(&matching->lock);
        amb_port_queue(subscription->port, message, true);
}

/* For the first daemon everything there is is news; for the next one, what the last one has not told. */
static int matching_subscribe(struct amb_subscription *subscription)
{
        struct matching *matching = amb_container_of(subscription, struct matching, subscription);
        struct amb_message *message;
        AMB_IDS ids = { 0 };
        int r;

        r = amb_remote_subscribe(subscription->port->bus, subscription->number, matching->notification, matching->dictionary,
                                 &matching->code, &ids);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ids.count; i++) {
                message = NULL;
                pthread_mutex_lock(&matching->lock);
                if (!known_have(matching, ids.list[i]))
                        message = matching_push(matching, ids.list[i]);
                pthread_mutex_unlock(&matching->lock);
                amb_port_queue(subscription->port, message, true);
        }
        return 0;
}

static void matching_abandoned(struct amb_target *target)
{
        amb_subscription_remove(&amb_container_of(target, struct matching, iterator.target)->subscription);
}

static void matching_free(struct amb_target *target)
{
        struct matching *matching = amb_container_of(target, struct matching, iterator.target);

        amb_subscription_remove(&matching->subscription);
        OSObject_release(matching->dictionary);
        free(matching->known);
        pthread_mutex_destroy(&matching->lock);
        free(matching);
}

static const struct amb_target_class matching_class = {
        .kind = AMB_HANDLE_ITERATOR,
        .abandoned = matching_abandoned,
        .free = matching_free,
};

static struct matching *matching_new(size_t which, CFDictionaryRef dictionary, IOServiceMatchingCallback callback, void *refcon)
{
        struct matching *matching;

        matching = calloc(1, sizeof(*matching));
        if (!matching)
                return NULL;
        amb_target_init(&matching->iterator.target, &matching_class);
        matching->iterator.next = matching_next;
        matching->iterator.reset = matching_reset;
        matching->iterator.valid = matching_valid;
        matching->subscription.subscribe = matching_subscribe;
        matching->subscription.notified = matching_notified;
        matching->notification = notifications[which].name;
        matching->type = notifications[which].type;
        matching->callback = callback;
        matching->refcon = refcon;
        pthread_mutex_init(&matching->lock, NULL);
        /* A copy: the caller may change its own, and we send it again to the next daemon. */
        matching->dictionary = OSDictionaryCreateCopy((const OSDictionary *)dictionary);
        if (!matching->dictionary)
                return amb_target_unref(matching);
        return matching;
}

static kern_return_t matching_start(struct matching *matching, struct amb_port *port, io_iterator_t *ret)
{
        mach_port_t handle;

        if (amb_handle_new(&matching->iterator.target, &handle) < 0)
                return kIOReturnNoMemory;
        amb_target_ref(matching);
        if (amb_subscription_add(port, &matching->subscription) < 0)
                matching->code = kIOReturnBadArgument;
        if (matching->code) {
                amb_handle_release(handle, false);
                return matching->code;
        }
        *ret = handle;
        return KERN_SUCCESS;
}

kern_return_t IOServiceAddMatchingNotification(IONotificationPortRef port, const char *type, CFDictionaryRef dictionary,
                                               IOServiceMatchingCallback callback, void *refcon,
                                               io_iterator_t *notification)
{
        struct matching *matching;
        kern_return_t code;
        size_t which = 0;

        if (!dictionary)
                return kIOReturnBadArgument;
        while (which < AMB_ARRAY_LENGTH(notifications) && strcmp(notifications[which].name, type) != 0)
                which++;
        if (!port || which == AMB_ARRAY_LENGTH(notifications) || CFGetTypeID(dictionary) != CFDictionaryGetTypeID()) {
                CFRelease(dictionary);
                return which == AMB_ARRAY_LENGTH(notifications) ? kIOReturnUnsupported : kIOReturnBadArgument;
        }
        matching = matching_new(which, dictionary, callback, refcon);
        CFRelease(dictionary);
        if (!matching)
                return kIOReturnNoMemory;
        code = matching_start(matching, (struct amb_port *)port, notification);
        amb_target_unref(matching);
        return code;
}

/* --- interest --- */

struct interest {
        struct amb_target target;
        struct amb_subscription subscription;
        uint64_t entry;
        const char *name;
        IOServiceInterestCallback callback;
        void *refcon;
        kern_return_t code;
        bool started, ended;
};

static void interest_tell(struct interest *interest, uint32_t message_type, uint64_t argument)
{
        mach_port_t service = amb_handle_of_entry(interest->entry);
        struct amb_message *message;

        if (!service)
                return;
        message = amb_message_of_interest(service, interest->callback, interest->refcon, message_type, argument);
        if (!message)
                amb_handle_release(service, false);
        amb_port_queue(interest->subscription.port, message, true);
}

static void interest_message(struct amb_subscription *subscription, uint64_t entry, uint32_t message_type, uint64_t argument)
{
        struct interest *interest = amb_container_of(subscription, struct interest, subscription);

        if (entry != interest->entry || interest->ended)
                return;
        interest->ended = message_type == kIOMessageServiceIsTerminated;
        interest_tell(interest, message_type, argument);
}

/* A daemon that does not know the service any more has outlived it: that is the message the last one owed. */
static int interest_subscribe(struct amb_subscription *subscription)
{
        struct interest *interest = amb_container_of(subscription, struct interest, subscription);
        int r;

        r = amb_remote_subscribe_interest(subscription->port->bus, subscription->number, interest->entry, interest->name,
                                          &interest->code);
        if (r < 0)
                return r;
        if (interest->code && interest->started && !interest->ended && strcmp(interest->name, kIOGeneralInterest) == 0) {
                interest->ended = true;
                interest_tell(interest, kIOMessageServiceIsTerminated, 0);
        }
        return 0;
}

static void interest_abandoned(struct amb_target *target)
{
        amb_subscription_remove(&amb_container_of(target, struct interest, target)->subscription);
}

static void interest_free(struct amb_target *target)
{
        struct interest *interest = amb_container_of(target, struct interest, target);

        amb_subscription_remove(&interest->subscription);
        free(interest);
}

static const struct amb_target_class interest_class = {
        .kind = AMB_HANDLE_NOTIFICATION,
        .abandoned = interest_abandoned,
        .free = interest_free,
};

static struct interest *interest_new(uint64_t entry, const char *name, IOServiceInterestCallback callback, void *refcon)
{
        struct interest *interest;

        interest = calloc(1, sizeof(*interest));
        if (!interest)
                return NULL;
        amb_target_init(&interest->target, &interest_class);
        interest->subscription.subscribe = interest_subscribe;
        interest->subscription.interest = interest_message;
        interest->entry = entry;
        interest->name = name;
        interest->callback = callback;
        interest->refcon = refcon;
        return interest;
}

static kern_return_t interest_start(struct interest *interest, struct amb_port *port, io_object_t *ret)
{
        mach_port_t handle;

        if (amb_handle_new(&interest->target, &handle) < 0)
                return kIOReturnNoMemory;
        amb_target_ref(interest);
        if (amb_subscription_add(port, &interest->subscription) < 0)
                interest->code = kIOReturnBadArgument;
        interest->started = true;
        if (interest->code) {
                amb_handle_release(handle, false);
                return interest->code == MACH_SEND_INVALID_DEST ? kIOReturnUnsupported : interest->code;
        }
        *ret = handle;
        return KERN_SUCCESS;
}

kern_return_t IOServiceAddInterestNotification(IONotificationPortRef port, io_service_t service, const char *type,
                                               IOServiceInterestCallback callback, void *refcon, io_object_t *notification)
{
        static const char *const names[] = { kIOGeneralInterest, kIOBusyInterest };
        struct amb_known_entry *entry;
        struct interest *interest;
        kern_return_t code;
        size_t which = 0;

        code = amb_handle_get(service, AMB_HANDLE_ENTRY, &entry);
        if (code)
                return code;
        while (which < AMB_ARRAY_LENGTH(names) && strcmp(names[which], type) != 0)
                which++;
        if (!port || which == AMB_ARRAY_LENGTH(names)) {
                amb_target_unref(entry);
                return port ? kIOReturnUnsupported : kIOReturnBadArgument;
        }
        interest = interest_new(entry->id, names[which], callback, refcon);
        amb_target_unref(entry);
        if (!interest)
                return kIOReturnNoMemory;
        code = interest_start(interest, (struct amb_port *)port, notification);
        amb_target_unref(interest);
        return code;
}
