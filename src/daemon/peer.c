/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bus connection and who is at its other end: what the kernel captured at connect(), never what comes in a message. The
 * connection ends with the process that opened it (pidfd), also when a child of that process still holds the socket.
 */
#include <sys/socket.h>
#include <sys/syscall.h>

#include "control/bus.h"
#include "control/protocol.h"
#include "daemon/daemon.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#define LABEL_MOST 4096

static struct amb_peer *peer_free(struct amb_peer *peer)
{
        if (!peer)
                return NULL;
        sd_event_source_disable_unref(peer->pidfd_source);
        sd_event_source_disable_unref(peer->authentication_timer);
        amb_link_remove(&peer->link);
        if (peer->bus)
                sd_bus_close_unref(peer->bus);
        amb_fd_close(peer->pidfd);
        free(peer->groups);
        free(peer->label);
        free(peer);
        return NULL;
}
AMB_DEFINE_CLEANUP(struct amb_peer, peer_free)

void amb_peers_reap(struct amb_daemon *daemon)
{
        while (!amb_list_empty(&daemon->doomed))
                peer_free(amb_list_first(&daemon->doomed, struct amb_peer, link));
}

void amb_peer_drop(struct amb_peer *peer, const char *why)
{
        struct amb_daemon *daemon = peer->daemon;
        struct amb_process *host = peer->host;

        if (peer->doomed)
                return;
        peer->doomed = true;
        if (why && (!peer->account || amb_account_may_log(peer->account)))
                amb_log(AMB_LOG_WARNING, "cut off %s %d of user %u: %s", host ? "host" : "process",
                        host ? host->pid : peer->pid,
                        peer->uid, why);
        amb_link_remove(&peer->link);
        amb_list_append(&daemon->doomed, &peer->link);
        sd_event_source_set_enabled(daemon->reaper, SD_EVENT_ONESHOT);
        sd_bus_detach_event(peer->bus);
        amb_methods_waits_free(peer);
        amb_open_peer_gone(peer);
        amb_embed_peer_gone(peer);
        if (peer->account)
                peer->account->peers--;
        peer->host = NULL;
        if (host)
                amb_process_cut_off(host);
        amb_registry_owner_gone(daemon->registry, peer->owner);
        amb_registry_owner_gone(daemon->registry, peer->owner + 1);
}

struct amb_peer *amb_peer_find(struct amb_daemon *daemon, uint64_t owner)
{
        struct amb_peer *peer;

        amb_list_for(peer, &daemon->peers, link)
                if (peer->owner == (owner & ~1ull))
                        return peer;
        return NULL;
}

void amb_peer_send(struct amb_peer *peer, sd_bus_message *message)
{
        uint64_t queued;
        int r;

        r = sd_bus_send(peer->bus, message, NULL);
        if (r < 0)
                amb_peer_drop(peer, strerror(-r));
        else if (sd_bus_get_n_queued_write(peer->bus, &queued) >= 0 && queued > AMB_SIGNALS_QUEUED_MOST)
                amb_peer_drop(peer, "it does not read its notifications");
}

bool amb_peer_privileged(const struct amb_peer *peer)
{
        return peer->uid == 0 || peer->uid == geteuid();
}

/*
 * Sees every message first. Who asks on and on without reading the answers would make us keep them all. A host has calls of
 * ours to read besides, as many as apps open.
 */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        uint64_t queued, most = peer->host ? AMB_SIGNALS_QUEUED_MOST : AMB_ANSWERS_QUEUED_MOST;

        if (peer->doomed)
                return 1;
        if (!sd_bus_message_is_method_call(message, NULL, NULL))
                return 0;
        if (sd_bus_message_is_method_call(message, AMB_REGISTRY_INTERFACE, "Dump"))
                most = AMB_DUMPS_QUEUED_MOST;
        if (sd_bus_get_n_queued_write(peer->bus, &queued) >= 0 && queued > most) {
                amb_peer_drop(peer, "it does not read its answers");
                return 1;
        }
        /* Tools that take us for a message bus (`busctl --address=unix:path=...`) say this first and want a name. */
        if (sd_bus_message_is_method_call(message, "org.freedesktop.DBus", "Hello"))
                return sd_bus_reply_method_return(message, "s", ":1.0");
        return 0;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct amb_peer *peer = userdata;
        struct amb_daemon *daemon = peer->daemon;

        amb_peer_drop(peer, NULL);
        amb_daemon_settle(daemon);
        return 0;
}

static int on_process_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct amb_peer *peer = userdata;
        struct amb_daemon *daemon = peer->daemon;

        amb_peer_drop(peer, NULL);
        amb_daemon_settle(daemon);
        return 0;
}

static int on_authentication_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct amb_peer *peer = userdata;

        if (sd_bus_is_ready(peer->bus) <= 0)
                amb_peer_drop(peer, "it did not authenticate in time");
        return 0;
}

static int learn_groups(struct amb_peer *peer, int fd)
{
        socklen_t size = 64 * sizeof(gid_t);

        for (;;) {
                AMB_FREE gid_t *groups = malloc(size ? size : 1);

                if (!groups)
                        return -ENOMEM;
                if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0) {
                        peer->groups = amb_steal(groups);
                        peer->group_count = size / sizeof(gid_t);
                        return 0;
                }
                /* ERANGE: the kernel has put the size that it needs. */
                if (errno != ERANGE)
                        return amb_errno();
        }
}

static int learn_label(struct amb_peer *peer, int fd)
{
        char label[LABEL_MOST + 1];
        socklen_t size = LABEL_MOST;

        /* No security module that labels sockets: no label, which only a grant without one can match. */
        if (getsockopt(fd, SOL_SOCKET, SO_PEERSEC, label, &size) < 0)
                return errno == ENOPROTOOPT ? 0 : amb_errno();
        label[size] = '\0';
        peer->label = strdup(label);
        return peer->label ? 0 : -ENOMEM;
}

static int learn_principal(struct amb_peer *peer, int fd)
{
        struct ucred credentials;
        socklen_t size = sizeof(credentials);
        int r;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
                return amb_errno();
        if (credentials.uid == (uid_t)-1)
                return -EPERM;
        peer->uid = credentials.uid;
        peer->gid = credentials.gid;
        peer->pid = credentials.pid;
        r = learn_groups(peer, fd);
        if (r < 0)
                return r;
        r = learn_label(peer, fd);
        if (r < 0)
                return r;
        size = sizeof(peer->pidfd);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &peer->pidfd, &size) == 0)
                return 0;
        peer->pidfd = -1;
        if (errno == EMFILE || errno == ENFILE)
                return amb_errno();
        /* Before Linux 6.5: by number. A wrong process can only make us learn of the end late; it decides nothing. */
        peer->pidfd = (int)syscall(SYS_pidfd_open, credentials.pid, 0);
        return peer->pidfd < 0 ? amb_errno() : 0;
}

static int attach(struct amb_peer *peer)
{
        struct amb_daemon *daemon = peer->daemon;
        int r;

        r = sd_bus_add_filter(peer->bus, NULL, on_message, peer);
        if (r >= 0)
                r = sd_bus_add_object_vtable(peer->bus, NULL, AMB_REGISTRY_PATH, AMB_REGISTRY_INTERFACE, amb_methods_vtable,
                                             peer);
        if (r >= 0)
                r = sd_bus_match_signal_async(peer->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                              "org.freedesktop.DBus.Local",
                                              "Disconnected", on_disconnected, NULL, peer);
        if (r >= 0)
                r = sd_bus_attach_event(peer->bus, daemon->event, SD_EVENT_PRIORITY_NORMAL);
        /* Otherwise our end would wait for one that has not even said who it is. */
        if (r >= 0)
                r = sd_bus_set_close_on_exit(peer->bus, false);
        if (r < 0)
                return r;
        daemon->numbers += 2;
        peer->owner = daemon->numbers & ~1ull;
        amb_list_append(&daemon->peers, &peer->link);
        return 0;
}

static struct amb_peer *peer_new(struct amb_daemon *daemon)
{
        struct amb_peer *peer = calloc(1, sizeof(*peer));

        if (!peer)
                return NULL;
        peer->daemon = daemon;
        peer->pidfd = -1;
        peer->uid = (uid_t)-1;
        amb_list_init(&peer->waits);
        amb_list_init(&peer->opens);
        return peer;
}

static int watch(struct amb_peer *peer)
{
        sd_event *event = peer->daemon->event;
        int r;

        r = sd_event_add_io(event, &peer->pidfd_source, peer->pidfd, EPOLLIN, on_process_end, peer);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &peer->authentication_timer, CLOCK_MONOTONIC,
                                               AMB_GRACE_SECONDS * 1000000ull, 0,
                                               on_authentication_timeout, peer);
        return r < 0 ? r : 0;
}

int amb_peer_accept(struct amb_daemon *daemon, int fd)
{
        AMB_CLEANUP(peer_freep) struct amb_peer *peer = peer_new(daemon);
        AMB_FD owned = fd;
        int r;

        if (!peer)
                return amb_trace(-ENOMEM);
        r = learn_principal(peer, owned);
        if (r < 0)
                return amb_trace(r);
        peer->account = amb_account_find(daemon, peer->uid);
        if (!peer->account)
                return amb_trace(-ENOMEM);
        if (!amb_account_may_connect(daemon, peer->account)) {
                if (amb_account_may_log(peer->account))
                        amb_log(AMB_LOG_WARNING, "user %u has %u connections, process %d gets no more", peer->uid,
                                peer->account->peers, peer->pid);
                return 0;
        }
        r = amb_bus_serve(amb_fd_steal(&owned), &peer->bus);
        if (r < 0)
                return amb_trace(r);
        r = watch(peer);
        if (r < 0)
                return amb_trace(r);
        r = attach(peer);
        if (r < 0)
                return amb_trace(r);
        peer->account->peers++;
        amb_steal(peer);
        return 0;
}

int amb_peer_new_host(struct amb_daemon *daemon, int fd, struct amb_process *host)
{
        AMB_CLEANUP(peer_freep) struct amb_peer *peer = peer_new(daemon);
        AMB_FD owned = fd;
        int r;

        if (!peer)
                return amb_trace(-ENOMEM);
        r = amb_bus_serve(amb_fd_steal(&owned), &peer->bus);
        if (r < 0)
                return amb_trace(r);
        r = attach(peer);
        if (r < 0)
                return amb_trace(r);
        peer->host = host;
        host->peer = amb_steal(peer);
        return 0;
}
