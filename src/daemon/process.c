/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver's process from launch to end. Its end is learned from its pidfd, and is one event for the registry: launch_failed
 * before the check-in, host_lost after it. What the host said last is heard before: an exit that was asked for must not look
 * like a crash.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "control/bus.h"
#include "control/protocol.h"
#include "daemon/daemon.h"

#define LAST_WORDS_MOST 4096                    /* messages of a dead host that are still heard */

/* --- calls to it --- */

struct call {
        struct amb_daemon *daemon;
        uint64_t host, subject;
        amb_process_answer_t answer;
};

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const struct call *call = userdata;
        IOReturn code = kIOReturnIPCError;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                /* The connection has ended: the registry hears of the process, not of the call. */
                if (sd_bus_is_open(sd_bus_message_get_bus(reply)) <= 0)
                        return 0;
                amb_log(AMB_LOG_WARNING, "a host refused a call: %s", sd_bus_message_get_error(reply)->name);
                call->answer(call->daemon, call->host, call->subject, kIOReturnIPCError, NULL);
                return 0;
        }
        if (sd_bus_message_read(reply, "i", &code) <= 0)
                code = kIOReturnIPCError;
        call->answer(call->daemon, call->host, call->subject, code, reply);
        return 0;
}

int amb_process_new_call(struct amb_process *host, const char *member, sd_bus_message **ret_message)
{
        if (!host->peer)
                return -ENOTCONN;
        return amb_bus_new_call(host->peer->bus, ret_message, AMB_HOST_PATH, AMB_HOST_INTERFACE, member);
}

int amb_process_call(struct amb_process *host, sd_bus_message *message, uint64_t subject, amb_process_answer_t answer)
{
        sd_bus_slot *slot = NULL;
        struct call *call;
        int r;

        if (!host->peer)
                return -ENOTCONN;
        if (!answer) {
                r = sd_bus_message_set_expect_reply(message, false);
                if (r >= 0)
                        r = sd_bus_send(host->peer->bus, message, NULL);
                return r < 0 ? amb_trace(r) : 0;
        }
        call = malloc(sizeof(*call));
        if (!call)
                return amb_trace(-ENOMEM);
        *call = (struct call){ host->daemon, host->number, subject, answer };
        r = amb_bus_call_async(host->peer->bus, &slot, message, on_answer, call);
        if (r < 0) {
                free(call);
                return amb_trace(r);
        }
        /* Lives until the answer or the bus's end, and takes the context along. */
        sd_bus_slot_set_destroy_callback(slot, free);
        sd_bus_slot_set_floating(slot, true);
        sd_bus_slot_unref(slot);
        return 0;
}

/* --- its life --- */

struct amb_process *amb_process_free(struct amb_process *host)
{
        if (!host)
                return NULL;
        amb_link_remove(&host->link);
        sd_event_source_disable_unref(host->pidfd_source);
        sd_event_source_disable_unref(host->timer);
        if (host->peer) {
                host->peer->host = NULL;
                amb_peer_drop(host->peer, NULL);
        }
        amb_fd_close(host->pidfd);
        free(host->path);
        free(host->bundle_id);
        free(host->server_name);
        free(host->sanitizer);
        amb_fd_close(host->words_fd);
        free(host);
        return NULL;
}
AMB_DEFINE_CLEANUP(struct amb_process, amb_process_free)

struct amb_process *amb_process_find(struct amb_daemon *daemon, uint64_t number)
{
        struct amb_process *host;

        amb_list_for(host, &daemon->hosts, link)
                if (host->state == AMB_HOST_READY && host->number == number)
                        return host;
        return NULL;
}

void amb_process_kill(struct amb_process *host)
{
        if (host->embedded && host->peer)
                amb_peer_drop(host->peer, "it goes on hosting a driver that it was told to give up");
        else if (host->pidfd >= 0 && !host->embedded)
                syscall(SYS_pidfd_send_signal, host->pidfd, SIGKILL, NULL, 0);
}

static struct amb_process *host_new(struct amb_daemon *daemon, uint64_t tag, const char *path, const char *bundle_id,
                                 const char *server_name)
{
        AMB_CLEANUP(amb_process_freep) struct amb_process *host = calloc(1, sizeof(*host));

        if (!host)
                return NULL;
        host->daemon = daemon;
        host->pidfd = host->words_fd = -1;
        host->tag = tag;
        host->path = strdup(path);
        host->bundle_id = strdup(bundle_id);
        host->server_name = strdup(server_name);
        if (!host->path || !host->bundle_id || !host->server_name)
                return NULL;
        amb_list_append(&daemon->hosts, &host->link);
        return amb_steal(host);
}

void amb_process_give_up(struct amb_process *host)
{
        if (!host->given_up)
                amb_log(AMB_LOG_WARNING,
                        "DK: %s: host %d does not end within %d s, killing it: does one of the driver's methods not "
                        "return?",
                        host->bundle_id, host->pid, AMB_GRACE_SECONDS);
        host->given_up = true;
        amb_process_kill(host);
}

static int on_timer_kill(sd_event_source *source, uint64_t usec, void *userdata)
{
        amb_process_give_up(userdata);
        return 0;
}

static int set_timer(struct amb_process *host, uint64_t usec, sd_event_time_handler_t handler)
{
        host->timer = sd_event_source_disable_unref(host->timer);
        return sd_event_add_time_relative(host->daemon->event, &host->timer, CLOCK_MONOTONIC, usec, 0, handler, host);
}

static void kill_later(struct amb_process *host)
{
        if (set_timer(host, AMB_GRACE_SECONDS * 1000000ull, on_timer_kill) < 0)
                amb_process_kill(host);
}

static int on_embedded_end(sd_event_source *source, uint64_t usec, void *userdata);

void amb_process_cut_off(struct amb_process *host)
{
        host->peer = NULL;
        /* Without its connection an embedded host is none; from the loop, because we may be inside one of its calls. */
        if (!host->embedded || set_timer(host, 0, on_embedded_end) < 0)
                kill_later(host);
}

void amb_process_exit(struct amb_process *host, const char *reason)
{
        AMB_CLEANUP(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        amb_log(AMB_LOG_INFO, "DK: %s: telling host %d to exit: %s", host->bundle_id, host->pid, reason);
        r = amb_process_new_call(host, "Exit", &message);
        if (r >= 0)
                r = sd_bus_message_append(message, "s", reason);
        if (r >= 0)
                r = amb_process_call(host, message, 0, NULL);
        if (r < 0)
                amb_process_kill(host);
        else
                kill_later(host);
}

static bool is_fault(int signal)
{
        return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE;
}

/* How it ended, for people; true: not by exit(0). What is not our child leaves no status to us. */
static bool host_end(const struct amb_process *host, char *text, size_t size)
{
        siginfo_t info = { .si_pid = 0 };

        if (!host->child || waitid((idtype_t)P_PIDFD, (id_t)host->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0) {
                snprintf(text, size, "ended");
                return true;
        }
        if (info.si_code == CLD_EXITED)
                snprintf(text, size, "exited with status %d", info.si_status);
        else
                snprintf(text, size, "was ended by signal %d (%s)%s", info.si_status, strsignal(info.si_status),
                         is_fault(info.si_status)
                                 ? ": built with `ambidext build --sanitize=address,undefined`, the driver says where"
                                 : "");
        return info.si_code != CLD_EXITED || info.si_status != 0;
}

/* In words what a sanitizer has found in it, if anything. */
static void say_end(struct amb_process *host, const char *end, bool crashed)
{
        AMB_FREE char *found = amb_sanitizer_words(host);

        if (found) {
                host->daemon->found = true;
                amb_log(AMB_LOG_ERROR, "DK: %s: the driver's process %d %s %s; its report is above", host->bundle_id, host->pid,
                        crashed ? "was ended by" : "has ended; found by", found);
                return;
        }
        amb_log(crashed && host->state != AMB_HOST_CANCELLED ? AMB_LOG_WARNING : AMB_LOG_INFO, "DK: %s: host %d %s%s",
                host->bundle_id, host->pid, end, host->state == AMB_HOST_LAUNCHED ? " before it checked in" : "");
}

static void hear_last_words(struct amb_process *host)
{
        for (int i = 0; i < LAST_WORDS_MOST && host->peer && sd_bus_process(host->peer->bus, NULL) > 0; i++)
                ;
}

static void host_gone(struct amb_process *host, const char *end, bool crashed)
{
        struct amb_daemon *daemon = host->daemon;
        AMB_FREE char *embedded = host->embedded ? strdup(host->bundle_id) : NULL;
        uint64_t number, tag = host->tag;
        enum amb_process_state state;

        hear_last_words(host);
        if (embedded && host->peer)
                free(amb_steal(host->peer->embed_bundle));      /* we forget it below */
        state = host->state;
        number = host->number;
        say_end(host, end, crashed);
        amb_takeover_forget_host(daemon, tag);
        amb_process_free(host);
        /* Before the loss of the host: nobody else can serve this bundle, so nothing is to be launched for it. */
        if (embedded)
                amb_embed_forget(daemon, embedded);
        if (state == AMB_HOST_LAUNCHED)
                amb_registry_launch_failed(daemon->registry, tag, amb_time_now());
        if (state == AMB_HOST_READY) {
                amb_open_host_gone(daemon, number);
                amb_registry_host_lost(daemon->registry, number, crashed, amb_time_now());
        }
        amb_daemon_settle(daemon);
        amb_daemon_check_end(daemon);
}

static int on_host_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct amb_process *host = userdata;
        char end[256];
        bool crashed = host_end(host, end, sizeof(end));

        host_gone(host, end, crashed);
        return 0;
}

static int on_embedded_end(sd_event_source *source, uint64_t usec, void *userdata)
{
        host_gone(userdata, "hosts no more", false);
        return 0;
}

static int watch(struct amb_process *host)
{
        int r = sd_event_add_io(host->daemon->event, &host->pidfd_source, host->pidfd, EPOLLIN, on_host_end, host);

        return r < 0 ? amb_trace(r) : 0;
}

/* --- launch --- */

static int make_token(char token[static AMB_TOKEN_SIZE])
{
        sd_id128_t random;
        int r = sd_id128_randomize(&random);

        if (r < 0)
                return amb_trace(r);
        sd_id128_to_string(random, token);
        return 0;
}

bool amb_token_equal(const char *one, const char *other)
{
        unsigned char difference = 0;

        if (strlen(one) != AMB_TOKEN_SIZE - 1 || strlen(other) != AMB_TOKEN_SIZE - 1)
                return false;
        for (size_t i = 0; i < AMB_TOKEN_SIZE; i++)
                difference |= (unsigned char)(one[i] ^ other[i]);
        return difference == 0;
}

static int on_check_in_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct amb_process *host = userdata;
        struct amb_daemon *daemon = host->daemon;

        amb_log(AMB_LOG_ERROR, "DK: %s: host %d has not checked in for %d s, killing it", host->bundle_id, host->pid,
                AMB_CHECK_IN_SECONDS);
        host->state = AMB_HOST_CANCELLED;
        amb_process_kill(host);
        amb_registry_launch_failed(daemon->registry, host->tag, amb_time_now());
        amb_daemon_settle(daemon);
        return 0;
}

/* Two minutes are long for somebody who waits and sees nothing. */
static int on_check_in_late(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct amb_process *host = userdata;

        amb_log(AMB_LOG_NOTICE, "DK: %s: host %d has not checked in for %d s, it has %d more; is its executable %s slow to load?",
                host->bundle_id, host->pid, AMB_GRACE_SECONDS, AMB_CHECK_IN_SECONDS - AMB_GRACE_SECONDS, host->path);
        if (set_timer(host, (AMB_CHECK_IN_SECONDS - AMB_GRACE_SECONDS) * 1000000ull, on_check_in_timeout) < 0)
                amb_process_kill(host);
        return 0;
}

static int host_run(struct amb_process *host)
{
        AMB_FD ours = -1, theirs = -1;
        int pair[2], r;

        r = amb_sanitizer_prepare(host);
        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return amb_trace(amb_errno());
        ours = pair[0];
        theirs = pair[1];
        r = amb_spawn(host->daemon, host, theirs, &host->pid, &host->pidfd);
        if (r < 0)
                return r;
        host->child = true;
        host->state = AMB_HOST_LAUNCHED;
        r = watch(host);
        if (r >= 0)
                r = amb_peer_new_host(host->daemon, amb_fd_steal(&ours), host);
        if (r >= 0)
                r = set_timer(host, AMB_GRACE_SECONDS * 1000000ull, on_check_in_late);
        if (r < 0)
                return amb_trace(r);
        amb_takeover_note_host(host);
        return 0;
}

/* What cannot even be started; a process that exists is ended and waited for by its pidfd. */
static void launch(struct amb_process *host)
{
        struct amb_daemon *daemon = host->daemon;
        char name[AMB_ENTRY_NAME];
        uint64_t tag = host->tag;
        int r;

        amb_daemon_entry_name(daemon, tag, name);
        r = host_run(host);
        if (r >= 0) {
                amb_log(AMB_LOG_INFO, "DK: %s: launched host %d for %s", name, host->pid, host->path);
                return;
        }
        amb_log(AMB_LOG_ERROR, "DK: %s: cannot launch %s: %s", name, daemon->options.host_program, strerror(-r));
        host->state = AMB_HOST_CANCELLED;
        amb_process_kill(host);
        if (!host->pidfd_source) {
                /* Nobody would hear of its end: wait for it here, it has been killed. */
                if (host->pidfd >= 0)
                        waitid((idtype_t)P_PIDFD, (id_t)host->pidfd, &(siginfo_t){ 0 }, WEXITED);
                amb_process_free(host);
        }
        amb_registry_launch_failed(daemon->registry, tag, amb_time_now());
}

static int on_delay_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct amb_process *host = userdata;
        struct amb_daemon *daemon = host->daemon;

        launch(host);
        amb_daemon_settle(daemon);
        return 0;
}

void amb_process_launch(struct amb_daemon *daemon, const struct amb_action *action)
{
        struct amb_process *host;
        uint64_t now = amb_time_now();
        int r;

        if (amb_embed_launch(daemon, action))
                return;
        host = host_new(daemon, action->tag, action->path, action->bundle_id, action->server_name);

        r = host ? make_token(host->token) : -ENOMEM;
        if (r >= 0 && action->not_before > now) {
                host->state = AMB_HOST_DELAYED;
                r = set_timer(host, (action->not_before - now) / 1000, on_delay_over);
                if (r >= 0)
                        return;
        }
        if (r < 0) {
                amb_log(AMB_LOG_ERROR, "DK: %s: cannot launch a host: %s", action->bundle_id, strerror(-r));
                amb_process_free(host);
                amb_registry_launch_failed(daemon->registry, action->tag, now);
                return;
        }
        launch(host);
}

void amb_process_cancel(struct amb_daemon *daemon, uint64_t tag)
{
        struct amb_process *host, *following;

        amb_list_for_safe(host, following, &daemon->hosts, link) {
                if (host->tag != tag || (host->state != AMB_HOST_DELAYED && host->state != AMB_HOST_LAUNCHED))
                        continue;
                if (host->state == AMB_HOST_DELAYED) {
                        amb_process_free(host);
                        continue;
                }
                host->state = AMB_HOST_CANCELLED;
                amb_process_kill(host);
        }
}

IOReturn amb_process_check_in(struct amb_process *host, const char *server_name, uint64_t tag, const char *token,
                              const char *bundle_id)
{
        struct amb_daemon *daemon = host->daemon;
        uint64_t number = ++daemon->numbers;
        IOReturn code;

        if (host->state != AMB_HOST_LAUNCHED)
                return kIOReturnNotPermitted;
        code = tag == host->tag && amb_token_equal(token, host->token) ?
                       amb_registry_host_checked_in(daemon->registry, number, tag, server_name, bundle_id, amb_time_now()) :
                       kIOReturnNotPermitted;
        if (code != kIOReturnSuccess) {
                amb_log(AMB_LOG_ERROR, "DK: %s: host %d checked in as %s of %s with a %s: refused", host->bundle_id, host->pid,
                        server_name,
                        bundle_id, code == kIOReturnNotPermitted ? "wrong tag or token" : "name that was not asked for");
                amb_process_exit(host, "check-in refused");
                return code;
        }
        host->number = number;
        host->state = AMB_HOST_READY;
        host->timer = sd_event_source_disable_unref(host->timer);
        return kIOReturnSuccess;
}

int amb_process_adopt(struct amb_peer *peer, uint64_t number, uint64_t tag, const char *token, const char *path,
                      const char *bundle_id,
                   const char *server_name, int pidfd)
{
        AMB_FD owned = pidfd;
        AMB_CLEANUP(amb_process_freep) struct amb_process *host = host_new(peer->daemon, tag, path, bundle_id, server_name);
        int r;

        if (!host)
                return amb_trace(-ENOMEM);
        host->pid = peer->pid;
        host->pidfd = amb_fd_steal(&owned);
        host->number = number;
        snprintf(host->token, sizeof(host->token), "%s", token);
        r = watch(host);
        if (r < 0)
                return r;
        /* From now on the host's own watch speaks for the process: the peer must not go before its last words are heard. */
        peer->pidfd_source = sd_event_source_disable_unref(peer->pidfd_source);
        host->state = AMB_HOST_READY;
        host->peer = peer;
        peer->host = amb_steal(host);
        return 0;
}

int amb_process_embed(struct amb_peer *peer, const struct amb_action *action)
{
        int pidfd = fcntl(peer->pidfd, F_DUPFD_CLOEXEC, 3), r;

        if (pidfd < 0)
                return amb_trace(amb_errno());
        r = amb_process_adopt(peer, ++peer->daemon->numbers, action->tag, "", action->path, action->bundle_id, action->server_name,
                              pidfd);
        if (r >= 0)
                peer->host->embedded = true;
        return r;
}
