/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of an entry (1.5, 1.6), and the work list that drives everything.
 *
 * Phase 1 happens at once, top-down over the victim's subtree: inactive, busy, IOServiceTerminate.
 * Then each entry goes its own way, one step whenever something that it waits for has happened:
 *
 *      waits    for its own Start to return (a user client's: its open), for opens of it to finish, for its pass to end, for its
 *               provider's Stop to return
 *      stops    Stop with answer when its provider is alive, one-way Stop otherwise; never to a dead host, never to a driver whose
 *               Start did not succeed, never twice
 *      told     IOServiceWillTerminate; from now on its clients may stop
 *      leaves   when it has stopped and has no clients: the general-interest message, then detached; so leaves go first
 */
#include "registry/internal.h"

void amb_work_add(struct amb_registry *registry, struct amb_entry *entry)
{
        if (!amb_link_linked(&entry->work))
                amb_list_append(&registry->work, &entry->work);
}

void amb_terminate(struct amb_registry *registry, struct amb_entry *victim)
{
        if (!amb_active(victim))
                return;
        for (struct amb_entry *entry = victim; entry; entry = amb_entry_after(registry, entry, victim)) {
                if (!amb_active(entry))
                        continue;
                entry->state = AMB_STATE_INACTIVE;
                amb_entry_busy(registry, entry, 1);
                /* Nobody has ever heard of a driver that has not started. */
                if (entry->start == AMB_START_NONE || entry->start == AMB_START_DONE)
                        amb_notify(registry, AMB_NOTIFY_TERMINATE, entry);
                amb_work_add(registry, entry);
        }
}

static void call_stop(struct amb_registry *registry, struct amb_entry *entry)
{
        struct amb_action *action;

        if (!entry->host || entry->host_dead || entry->start == AMB_START_FAILED) {
                entry->stop = AMB_STOP_DONE;
                return;
        }
        action = amb_queue(registry, AMB_ACTION_STOP);
        action->host = entry->host->id;
        action->entry = entry->id;
        action->wait = amb_active(entry->parent) && !registry->shutdown;
        entry->stop = action->wait ? AMB_STOP_CALLED : AMB_STOP_DONE;
}

static void stop_step(struct amb_registry *registry, struct amb_entry *entry)
{
        struct amb_entry *child;

        if (entry->stop == AMB_STOP_NONE) {
                if (entry->start == AMB_START_RESOURCES || entry->start == AMB_START_LAUNCH)
                        entry->start = AMB_START_FAILED;
                if (entry->start == AMB_START_CALLED || entry->service || entry->opens || entry->pass)
                        return;
                /* One that failed gets no Stop, and its provider's pass waits for it: it does not wait for its provider. */
                if (entry->start != AMB_START_FAILED && !amb_active(entry->parent) && entry->parent->stop < AMB_STOP_RETURNED)
                        return;
                call_stop(registry, entry);
        } else if (entry->host_dead) {
                entry->stop = AMB_STOP_DONE;
        }
        if (entry->stop < AMB_STOP_RETURNED || entry->will_announced)
                return;
        entry->will_announced = true;
        if (entry->start != AMB_START_FAILED)
                amb_notify(registry, AMB_NOTIFY_WILL_TERMINATE, entry);
        amb_list_for(child, &entry->children, sibling)
                amb_work_add(registry, child);
}

static void detach(struct amb_registry *registry, struct amb_entry *entry)
{
        struct amb_entry *provider = entry->parent;
        bool was_busy = entry->busy;

        amb_notify_interest(registry, entry, AMB_MESSAGE_TERMINATED, 0);
        amb_entry_unlink(registry, entry);
        entry->busy = entry->own_busy = entry->adjusted = 0;
        amb_notify_entry_gone(registry, entry);
        amb_group_lost(registry, entry);
        amb_open_release(registry, entry);
        amb_host_remove(registry, entry);
        /* First the provider's new pass, then its quiet: who waits for quiet waits for the restart too. */
        if (entry->rematch)
                amb_pass_request(registry, provider, true);
        if (was_busy)
                amb_entry_busy_child(registry, provider, -1);
        if (!amb_active(provider))
                amb_work_add(registry, provider);
        if (entry->announced)
                amb_entry_remember(registry, entry);
        else
                amb_entry_free(registry, entry);
}

void amb_work(struct amb_registry *registry, uint64_t now)
{
        struct amb_entry *entry;

        while ((entry = amb_list_first(&registry->work, struct amb_entry, work))) {
                amb_link_remove(&entry->work);
                amb_pass_step(registry, entry, now);
                if (amb_active(entry))
                        continue;
                stop_step(registry, entry);
                if (entry->stop == AMB_STOP_DONE && entry->will_announced && !entry->child_count && !entry->opens && !entry->pass)
                        detach(registry, entry);
        }
}

/* --- what hosts say about it --- */

IOReturn amb_registry_terminate(struct amb_registry *registry, uint64_t host, uint64_t id, uint64_t options, uint64_t now)
{
        struct amb_entry *entry = amb_host_entry(registry, host, id);

        if (options)
                return kIOReturnUnsupported;
        if (!entry)
                return kIOReturnNotPermitted;
        amb_terminate(registry, entry);
        amb_work(registry, now);
        return kIOReturnSuccess;
}

IOReturn amb_registry_stop_done(struct amb_registry *registry, uint64_t host, uint64_t id, IOReturn code, uint64_t now)
{
        struct amb_entry *entry = amb_host_entry(registry, host, id);

        if (!entry || entry->stop != AMB_STOP_CALLED)
                return kIOReturnBadArgument;
        entry->stop = code || entry->did_stop ? AMB_STOP_DONE : AMB_STOP_RETURNED;
        amb_work_add(registry, entry);
        amb_work(registry, now);
        return kIOReturnSuccess;
}

IOReturn amb_registry_did_stop(struct amb_registry *registry, uint64_t host, uint64_t id, uint64_t now)
{
        struct amb_entry *entry = amb_host_entry(registry, host, id);

        if (!entry)
                return kIOReturnNotPermitted;
        /* Only what is said after Stop was sent counts; a spontaneous base Stop stops nothing. */
        if (entry->stop == AMB_STOP_NONE)
                return kIOReturnSuccess;
        entry->did_stop = true;
        if (entry->stop == AMB_STOP_RETURNED)
                entry->stop = AMB_STOP_DONE;
        amb_work_add(registry, entry);
        amb_work(registry, now);
        return kIOReturnSuccess;
}

void amb_registry_shutdown(struct amb_registry *registry, uint64_t now)
{
        registry->shutdown = true;
        for (struct amb_entry *entry = registry->root; entry; entry = amb_entry_after(registry, entry, registry->root))
                if (entry->personality || entry->start != AMB_START_NONE || entry->host)
                        amb_terminate(registry, entry);
        amb_work(registry, now);
}
