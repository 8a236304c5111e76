/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include <stdio.h>

#include <mach/mach_error.h>

#include "control/bus.h"
#include "control/protocol.h"
#include "control/value.h"

const char *amb_daemon_entry_name(struct amb_daemon *daemon, uint64_t entry, char *buffer)
{
        struct amb_entry_view view;

        if (amb_registry_view(daemon->registry, entry, &view))
                snprintf(buffer, AMB_ENTRY_NAME, "%.127s-0x%llx", view.name, (unsigned long long)entry);
        else
                snprintf(buffer, AMB_ENTRY_NAME, "0x%llx", (unsigned long long)entry);
        return buffer;
}

static void loaded(struct amb_daemon *daemon, uint64_t host, uint64_t subject, IOReturn code, sd_bus_message *reply)
{
        const struct amb_process *loading = amb_process_find(daemon, host);
        const char *message = NULL;

        if (code == kIOReturnSuccess || !loading)
                return;
        if (reply && sd_bus_message_read(reply, "s", &message) <= 0)
                message = NULL;
        amb_log(AMB_LOG_ERROR, "DK: %s: host %d could not load %s: %s (0x%08x)%s%s", loading->bundle_id, loading->pid,
                loading->path, mach_error_string(code), (unsigned)code, message && *message ? ": " : "", message ? message : "");
}

static void load_module(struct amb_daemon *daemon, const struct amb_action *action)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        struct amb_process *host = amb_process_find(daemon, action->host);
        int r;

        if (!host)
                return;
        r = amb_process_new_call(host, "LoadModule", &message);
        if (r >= 0)
                r = sd_bus_message_append(message, "s", action->path);
        if (r >= 0)
                r = amb_process_call(host, message, 0, loaded);
        if (r < 0)
                amb_log(AMB_LOG_ERROR, "DK: %s: cannot ask host %d to load: %s", host->bundle_id, host->pid, strerror(-r));
}

static void started(struct amb_daemon *daemon, uint64_t host, uint64_t subject, IOReturn code, sd_bus_message *reply)
{
        amb_registry_start_done(daemon->registry, host, subject, code, amb_time_now());
        amb_daemon_settle(daemon);
}

static int append_start(sd_bus_message *message, const struct amb_action *action)
{
        int r;

        r = sd_bus_message_append(message, "ttss", action->entry, action->provider, action->provider_class,
                                  action->provider_name);
        if (r >= 0)
                r = amb_dictionary_append(message, action->provider_properties);
        if (r >= 0)
                r = sd_bus_message_append(message, "s", action->user_class);
        if (r >= 0)
                r = amb_dictionary_append(message, action->properties);
        if (r >= 0)
                r = sd_bus_message_append_strv(message, (char **)action->classes);
        return r;
}

static void start(struct amb_daemon *daemon, const struct amb_action *action)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        struct amb_process *host = amb_process_find(daemon, action->host);
        char name[AMB_ENTRY_NAME];
        int r;

        if (!host)
                return;
        r = amb_process_new_call(host, "Start", &message);
        if (r >= 0)
                r = append_start(message, action);
        if (r >= 0)
                r = amb_process_call(host, message, action->entry, started);
        if (r >= 0)
                return;
        amb_log(AMB_LOG_ERROR, "DK: %s: cannot ask host %d to start it: %s", amb_daemon_entry_name(daemon, action->entry, name),
                host->pid, strerror(-r));
        amb_registry_start_done(daemon->registry, action->host, action->entry, kIOReturnIPCError, amb_time_now());
}

static void stopped(struct amb_daemon *daemon, uint64_t host, uint64_t subject, IOReturn code, sd_bus_message *reply)
{
        amb_registry_stop_done(daemon->registry, host, subject, code, amb_time_now());
        amb_daemon_settle(daemon);
}

static void stop(struct amb_daemon *daemon, const struct amb_action *action)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        struct amb_process *host = amb_process_find(daemon, action->host);
        int r;

        if (!host)
                return;
        r = amb_process_new_call(host, "Stop", &message);
        if (r >= 0)
                r = sd_bus_message_append(message, "tb", action->entry, action->wait);
        if (r >= 0)
                r = amb_process_call(host, message, action->entry, action->wait ? stopped : NULL);
        if (r < 0 && action->wait)
                amb_registry_stop_done(daemon->registry, action->host, action->entry, kIOReturnIPCError, amb_time_now());
}

static void signal_owner(struct amb_daemon *daemon, const struct amb_action *action)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        struct amb_peer *peer = amb_peer_find(daemon, action->owner);
        bool interest = action->type == AMB_ACTION_INTEREST;
        int r;

        if (!peer)
                return;
        r = sd_bus_message_new_signal(peer->bus, &message, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE,
                                      interest ? "Interest" : "Notified");
        if (r >= 0)
                r = sd_bus_message_append(message, "ut", action->subscription, action->entry);
        if (r >= 0 && interest)
                r = sd_bus_message_append(message, "ut", action->message, action->argument);
        if (r < 0)
                amb_peer_drop(peer, strerror(-r));
        else
                amb_peer_send(peer, message);
}

static void exit_host(struct amb_daemon *daemon, const struct amb_action *action)
{
        struct amb_process *host = amb_process_find(daemon, action->host);

        if (host)
                amb_process_exit(host, action->text ? action->text : "no longer needed");
}

static void perform(struct amb_daemon *daemon, const struct amb_action *action)
{
        switch (action->type) {
        case AMB_ACTION_NONE:
                return;
        case AMB_ACTION_LAUNCH:
                return amb_process_launch(daemon, action);
        case AMB_ACTION_CANCEL_LAUNCH:
                return amb_process_cancel(daemon, action->tag);
        case AMB_ACTION_LOAD_MODULE:
                return load_module(daemon, action);
        case AMB_ACTION_START:
                return start(daemon, action);
        case AMB_ACTION_NEW_USER_CLIENT:
                return amb_open_ask(daemon, action);
        case AMB_ACTION_OPEN_RESULT:
                return amb_open_finish(daemon, action);
        case AMB_ACTION_STOP:
                return stop(daemon, action);
        case AMB_ACTION_EXIT_HOST:
                return exit_host(daemon, action);
        case AMB_ACTION_NOTIFY:
        case AMB_ACTION_INTEREST:
                return signal_owner(daemon, action);
        case AMB_ACTION_QUIET:
                return amb_methods_quiet(daemon, action->owner, action->subscription);
        case AMB_ACTION_LOG:
                return amb_log(action->level, "DK: %s", action->text);
        }
}

void amb_daemon_settle(struct amb_daemon *daemon)
{
        struct amb_action action;

        /* Performing an action may feed the registry (a launch that fails): the outer loop drains that too. */
        if (daemon->settling)
                return;
        daemon->settling = true;
        while (amb_registry_next_action(daemon->registry, &action))
                perform(daemon, &action);
        daemon->settling = false;
}
