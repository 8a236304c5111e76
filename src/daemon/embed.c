/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that are hosts themselves: a unit test or an app with its driver in the same process calls Embed on a connection of its
 * own, with the path of a bundle. The bundle is loaded for this process alone; when the registry wants a host for it, the
 * connection becomes that host's instead of a process being launched, and the call is answered. The process is never killed from
 * here: to end it as a host is to close its connection. With the connection, or the process, the bundle goes too; nothing of it
 * outlives this daemon.
 *
 * Who may: the daemon's own user and root, if the program's entitlements hold com.apple.developer.driverkit = true
 * (lifecycle-registry 3.2, the same rule as for a bundle).
 */
#include "control/bus.h"
#include "control/protocol.h"
#include "daemon/daemon.h"
#include "object/match.h"

static bool holds_driverkit(struct amb_peer *peer)
{
        AMB_FREE char *executable = NULL;
        OSDictionary *grants = amb_grants_of(peer, &executable);
        OSObject *value = OSDictionaryGetValue(grants, AMB_ENTITLEMENT_DRIVERKIT);
        bool holds = value && amb_value_matches((const OSObject *)kOSBooleanTrue, value);

        OSObject_release(grants);
        return holds;
}

static void refuse(sd_bus_message *call, IOReturn code, const char *message)
{
        if (sd_bus_reply_method_return(call, "is", code, message) < 0)
                amb_log(AMB_LOG_WARNING, "cannot answer a program that wants to be a host");
}

/* The bundle is known to the registry, but not to a daemon after us: only this process can serve it. */
static IOReturn load(struct amb_peer *peer, const char *path, char **ret_message)
{
        struct amb_daemon *daemon = peer->daemon;
        AMB_FREE char *bundle_id = NULL;
        IOReturn code = amb_bundle_load(daemon, path, ret_message, &bundle_id);

        if (code != kIOReturnSuccess)
                return code;
        amb_takeover_note_bundle(daemon, amb_registry_bundle_path(daemon->registry, bundle_id), false);
        peer->embed_bundle = amb_steal(bundle_id);
        return kIOReturnSuccess;
}

int amb_method_embed(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        AMB_FREE char *message = NULL;
        const char *path;
        IOReturn code;
        int r;

        r = sd_bus_message_read(call, "s", &path);
        if (r < 0)
                return r;
        if (!amb_peer_privileged(peer) || !holds_driverkit(peer)) {
                refuse(call, kIOReturnNotPermitted, "a program that hosts a driver runs as the registry's user and holds "
                                                    AMB_ENTITLEMENT_DRIVERKIT " = true in PROGRAM.entitlements beside it");
                return 1;
        }
        if (peer->host || peer->embed_bundle) {
                refuse(call, kIOReturnExclusiveAccess, "this connection is a host's already");
                return 1;
        }
        code = load(peer, path, &message);
        if (code != kIOReturnSuccess)
                refuse(call, code, message ? message : "no memory");
        else
                peer->embed_call = sd_bus_message_ref(call);    /* answered when the registry wants the host */
        amb_daemon_settle(peer->daemon);
        return 1;
}

static struct amb_peer *embedder(struct amb_daemon *daemon, const char *bundle_id)
{
        struct amb_peer *peer;

        amb_list_for(peer, &daemon->peers, link)
                if (peer->embed_bundle && strcmp(peer->embed_bundle, bundle_id) == 0)
                        return peer;
        return NULL;
}

bool amb_embed_launch(struct amb_daemon *daemon, const struct amb_action *action)
{
        struct amb_peer *peer = embedder(daemon, action->bundle_id);
        IOReturn code = kIOReturnNoResources;

        if (!peer)
                return false;
        if (!peer->embed_call) {
                amb_log(AMB_LOG_WARNING, "DK: %s is hosted by process %d, which serves one instance: not starting another",
                        action->bundle_id, peer->pid);
                amb_registry_launch_failed(daemon->registry, action->tag, amb_time_now());
                return true;
        }
        if (amb_process_embed(peer, action) >= 0)
                code = amb_registry_host_checked_in(daemon->registry, peer->host->number, action->tag, action->server_name,
                                                    action->bundle_id, amb_time_now());
        if (sd_bus_reply_method_return(peer->embed_call, "is", code, "") < 0 || code != kIOReturnSuccess) {
                amb_registry_launch_failed(daemon->registry, action->tag, amb_time_now());
                amb_peer_drop(peer, "it cannot be a host");
        } else
                amb_log(AMB_LOG_INFO, "DK: process %d hosts %s itself", peer->pid, action->bundle_id);
        peer->embed_call = sd_bus_message_unref(peer->embed_call);
        return true;
}

void amb_embed_forget(struct amb_daemon *daemon, const char *bundle_id)
{
        if (amb_registry_remove_bundle(daemon->registry, bundle_id, amb_time_now()) == kIOReturnSuccess)
                amb_log(AMB_LOG_INFO, "DK: unloaded %s: the process that hosted it has gone", bundle_id);
}

void amb_embed_peer_gone(struct amb_peer *peer)
{
        peer->embed_call = sd_bus_message_unref(peer->embed_call);
        /* A host's end is process.c's. */
        if (peer->embed_bundle && !peer->host)
                amb_embed_forget(peer->daemon, peer->embed_bundle);
        free(amb_steal(peer->embed_bundle));
}
