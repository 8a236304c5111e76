/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ambidextd: one thread around sd-event that does what the registry decides.
 *
 *      main.c          options, the loop, signals, the orderly end
 *      listener.c      the socket and its lock
 *      account.c       what one user may hold
 *      peer.c          one accepted bus connection; who it is
 *      methods.c       Registry1: what apps may call
 *      hostmethods.c   Registry1: what hosts may call
 *      process.c       one driver host, from launch to end
 *      spawn.c         fork and exec of a host
 *      sanitizer.c     hosts of drivers that were built with a sanitizer
 *      embed.c         programs that host a driver themselves
 *      open.c          channel, side socket, NewUserClient
 *      actions.c       performs what the registry asks for
 *      bundle.c        opens driver bundles
 *      grants.c        what an app is entitled to; the refusal line
 *      takeover.c      state on disk; hosts of a former daemon
 *
 * Rules: every event of the world becomes one registry call, then amb_daemon_settle() performs all actions. What a peer can
 * make us hold is limited (account.c, the registry's limits, the write queue in peer.c). A peer that misbehaves is cut off:
 * its struct is unlinked at once and freed from the loop (amb_peer_drop), because we may be inside one of its callbacks.
 * Whatever is lost is learned from pidfds. No decision rests on a pid or on something that a message says about its sender.
 */
#include <sys/types.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include <DriverKit/OSCollections.h>

#include "base/base.h"
#include "channel/channel.h"
#include "registry/entitlements.h"
#include "registry/policy.h"
#include "registry/registry.h"

#define AMB_SECOND 1000000000ull                /* in nanoseconds */
#define AMB_TOKEN_SIZE 33                       /* 128 random bits in hexadecimal, NUL */

#define AMB_CHECK_IN_SECONDS 120                /* lifecycle-registry 4.2, step 10 */
#define AMB_GRACE_SECONDS 5                     /* for authentication, for a host told to exit, for hosts of a former daemon */
#define AMB_SIGNALS_QUEUED_MOST 4096            /* messages that wait for a peer that does not read */
#define AMB_ANSWERS_QUEUED_MOST 64              /* ... when it asks for more */
#define AMB_DUMPS_QUEUED_MOST 4                 /* ... when it asks for the largest there is */

struct amb_options {
        const char *socket;
        const char *host_program;
        const char *dext_path;                  /* directories, colon-separated; NULL: none */
        char **dexts;
        size_t dext_count;
        char **policies;
        size_t policy_count;
        bool developer, no_sandbox;
        int ready_fd, lifetime_fd;
};

/* A connection's, before they are handed out. bell NULL: none. */
struct amb_ends {
        int channel, side, host_side;
        struct amb_bell *bell;
};

struct amb_daemon {
        struct amb_options options;
        sd_event *event;
        struct amb_registry *registry;
        struct amb_policy *policy;
        struct amb_link accounts, peers, doomed, hosts;
        struct amb_link connections[1024];      /* by id; hash chains */
        struct amb_ends spare_ends;             /* for the next one */
        sd_event_source *reaper;                /* frees the doomed */
        sd_event_source *end_timer;
        uint64_t numbers;                       /* last owner or host number given */
        size_t fds_most;                        /* accept no more beyond that many descriptors */
        int lock_fd, listen_fd, reserve_fd;
        sd_event_source *listener;
        char *directory, *lock_path, *socket_path;
        uid_t host_uid;
        gid_t host_gid;
        bool drop_privileges;
        bool stopping, settling;
        bool found;                             /* a sanitizer has found something in a driver */
        /* takeover.c */
        OSArray *bundle_paths;                  /* what is loaded, as written to the state */
        struct amb_link records;                /* hosts of a former daemon that have not reported yet */
        sd_event_source *takeover_timer;
};

/* What one user holds. Lives as long as the daemon. */
struct amb_account {
        struct amb_link link;
        uid_t uid;
        unsigned peers, calls;                  /* calls: answers that we owe */
        unsigned opens;                         /* that a driver has not answered, whether or not the app still waits */
        uint64_t log_time;                      /* rate of refusal lines */
        unsigned log_tokens, log_suppressed;
};

/* One bus connection: an app's, or a host's. */
struct amb_peer {
        struct amb_link link;                   /* daemon's peers, or doomed */
        struct amb_daemon *daemon;
        struct amb_account *account;            /* NULL on a host's socketpair */
        sd_bus *bus;
        uint64_t owner;                         /* for subscriptions; owner + 1 for waits */
        uid_t uid;
        gid_t gid;
        gid_t *groups;
        size_t group_count;
        char *label;
        pid_t pid;                              /* for people and for PROGRAM.entitlements of developer mode only */
        int pidfd;
        sd_event_source *pidfd_source, *authentication_timer;
        struct amb_process *host;                  /* not NULL: this is the connection of that host */
        struct amb_link waits, opens;           /* answers that we owe it */
        char *embed_bundle;                     /* embed.c: the bundle that this process serves */
        sd_bus_message *embed_call;             /* ... and what is answered when it is wanted */
        uint32_t wait_numbers;
        bool doomed;
};

enum amb_process_state {
        AMB_HOST_DELAYED,                       /* not_before has not come */
        AMB_HOST_LAUNCHED,                      /* the process runs, no check-in yet */
        AMB_HOST_READY,                         /* known to the registry by `number` */
        AMB_HOST_CANCELLED,                     /* the registry has forgotten it; the process is being ended */
};

struct amb_process {
        struct amb_link link;
        struct amb_daemon *daemon;
        enum amb_process_state state;
        uint64_t number, tag;
        char token[AMB_TOKEN_SIZE];
        char *path, *bundle_id, *server_name;
        pid_t pid;
        int pidfd;
        bool child;                             /* ours to wait for */
        bool embedded;                          /* a program that hosts its driver itself: never killed */
        bool given_up;                          /* said, and killed */
        struct amb_peer *peer;                  /* NULL: cut off */
        sd_event_source *pidfd_source, *timer;
        char *sanitizer;                        /* preloaded; NULL: none */
        int words_fd;                           /* where its report's last line will be; -1 */
};

/* A connection of an app to a driver: while it is being opened, and then as the bell that wakes its callers. */
struct amb_connection {
        struct amb_link link, peer_link;
        uint64_t id, host;
        struct amb_peer *peer;                  /* while the app waits for the answer */
        struct amb_account *account;            /* until the driver has answered */
        sd_bus_message *call;                   /* the app's OpenService */
        int channel_fd, side_fd;                /* the app's, until it has them */
        struct amb_bell *bell;
};

/* --- main.c --- */
#define AMB_STATUS_FOUND 3                      /* the daemon's exit status: an orderly end, but a sanitizer has found something */
void amb_daemon_stop(struct amb_daemon *daemon, const char *reason);
void amb_daemon_check_end(struct amb_daemon *daemon);           /* stopping, and the last host has gone: leave the loop */

/* --- actions.c --- */
void amb_daemon_settle(struct amb_daemon *daemon);              /* performs everything that the registry wants done */
/* "name-0xID" in `buffer` (160 bytes), which is returned. */
const char *amb_daemon_entry_name(struct amb_daemon *daemon, uint64_t entry, char *buffer);
#define AMB_ENTRY_NAME 160

/* --- account.c --- */
struct amb_account *amb_account_find(struct amb_daemon *daemon, uid_t uid);     /* NULL: no memory */
bool amb_account_may_connect(const struct amb_daemon *daemon, const struct amb_account *account);
bool amb_account_may_call(const struct amb_account *account);                  /* one more answer to owe */
bool amb_account_may_open(const struct amb_daemon *daemon, const struct amb_account *account);
bool amb_account_may_log(struct amb_account *account);
void amb_accounts_free(struct amb_daemon *daemon);

/* --- listener.c: -errno after a line on stderr --- */
int amb_listener_open(struct amb_daemon *daemon);
int amb_listener_start(struct amb_daemon *daemon);
void amb_listener_close(struct amb_daemon *daemon);             /* removes socket and lock */

/* --- peer.c --- */
int amb_peer_accept(struct amb_daemon *daemon, int fd);         /* consumes fd */
/* our end of a launch's socketpair; consumed */
int amb_peer_new_host(struct amb_daemon *daemon, int fd, struct amb_process *host);
void amb_peer_drop(struct amb_peer *peer, const char *why);     /* why NULL: it left by itself */
struct amb_peer *amb_peer_find(struct amb_daemon *daemon, uint64_t owner);
void amb_peer_send(struct amb_peer *peer, sd_bus_message *message);             /* a signal; cuts off who does not read */
bool amb_peer_privileged(const struct amb_peer *peer);          /* root or the daemon's own user */
void amb_peers_reap(struct amb_daemon *daemon);

/* --- methods.c, hostmethods.c --- */
extern const sd_bus_vtable amb_methods_vtable[];
int amb_methods_reply_code(sd_bus_message *call, IOReturn code);
int amb_method_check_in(sd_bus_message *call, void *userdata, sd_bus_error *error);
int amb_method_create_service(sd_bus_message *call, void *userdata, sd_bus_error *error);
int amb_method_register_service(sd_bus_message *call, void *userdata, sd_bus_error *error);
int amb_method_set_properties(sd_bus_message *call, void *userdata, sd_bus_error *error);
int amb_method_set_name(sd_bus_message *call, void *userdata, sd_bus_error *error);
int amb_method_terminate(sd_bus_message *call, void *userdata, sd_bus_error *error);
int amb_method_did_stop(sd_bus_message *call, void *userdata, sd_bus_error *error);
int amb_method_connection_closed(sd_bus_message *call, void *userdata, sd_bus_error *error);
int amb_method_adopt(sd_bus_message *call, void *userdata, sd_bus_error *error);
/* A wait for quiet is over (QUIET action). */
void amb_methods_quiet(struct amb_daemon *daemon, uint64_t owner, uint32_t subscription);
void amb_methods_waits_free(struct amb_peer *peer);

/* --- process.c --- */
void amb_process_launch(struct amb_daemon *daemon, const struct amb_action *action);
void amb_process_cancel(struct amb_daemon *daemon, uint64_t tag);
struct amb_process *amb_process_find(struct amb_daemon *daemon, uint64_t number);     /* READY ones */
IOReturn amb_process_check_in(struct amb_process *host, const char *server_name, uint64_t tag, const char *token,
                              const char *bundle_id);
/* A host of a former daemon: already known to the registry as `number`. pidfd is consumed. */
int amb_process_adopt(struct amb_peer *peer, uint64_t number, uint64_t tag, const char *token, const char *path,
                      const char *bundle_id,
                   const char *server_name, int pidfd);
/* The registry wants a host that `peer` has offered to be: its connection is the host's from now on. */
int amb_process_embed(struct amb_peer *peer, const struct amb_action *action);
void amb_process_exit(struct amb_process *host, const char *reason);  /* asks, then kills */
void amb_process_cut_off(struct amb_process *host);                   /* its bus has gone: it has the grace time to end */
void amb_process_kill(struct amb_process *host);
void amb_process_give_up(struct amb_process *host);             /* after its time to end: says so, once, and kills it */
struct amb_process *amb_process_free(struct amb_process *host);
/* A Host1 call; the answer, unless the host dies first, goes to `answer` with a code and, on a D-Bus reply, the message. */
typedef void (*amb_process_answer_t)(struct amb_daemon *daemon, uint64_t host, uint64_t subject, IOReturn code,
                                     sd_bus_message *reply);
int amb_process_new_call(struct amb_process *host, const char *member, sd_bus_message **ret_message);
int amb_process_call(struct amb_process *host, sd_bus_message *message, uint64_t subject, amb_process_answer_t answer);

bool amb_token_equal(const char *one, const char *other);       /* takes the same time wherever they differ */

/* --- spawn.c --- */
int amb_spawn(struct amb_daemon *daemon, const struct amb_process *host, int control_fd, pid_t *ret_pid, int *ret_pidfd);

/* --- sanitizer.c --- */
/* What a bundle's Info.plist wants preloaded, as long as `info` lives; NULL: nothing. Otherwise a code and what to tell people. */
IOReturn amb_sanitizer_check(const struct amb_daemon *daemon, const char *bundle, const OSObject *info, const char **ret_runtime,
                             char **ret_message);
int amb_sanitizer_prepare(struct amb_process *host);            /* before it is spawned */
char *amb_sanitizer_words(const struct amb_process *host);      /* "AddressSanitizer: ..." (malloc); NULL: nothing was found */

/* --- embed.c --- */
int amb_method_embed(sd_bus_message *call, void *userdata, sd_bus_error *error);
/* A LAUNCH for a bundle that somebody embeds: true, it is dealt with. */
bool amb_embed_launch(struct amb_daemon *daemon, const struct amb_action *action);
void amb_embed_forget(struct amb_daemon *daemon, const char *bundle_id);
void amb_embed_peer_gone(struct amb_peer *peer);

/* --- open.c --- */
int amb_method_open_service(sd_bus_message *call, void *userdata, sd_bus_error *error);
void amb_open_ask(struct amb_daemon *daemon, const struct amb_action *action);          /* NEW_USER_CLIENT */
void amb_open_finish(struct amb_daemon *daemon, const struct amb_action *action);       /* OPEN_RESULT */
void amb_open_peer_gone(struct amb_peer *peer);
void amb_open_host_gone(struct amb_daemon *daemon, uint64_t host);                      /* rings the bells */
void amb_open_closed(struct amb_daemon *daemon, uint64_t host, uint64_t connection);
void amb_open_free_all(struct amb_daemon *daemon);

/* --- bundle.c: *ret_message (malloc) is what to tell people; NULL on plain success --- */
IOReturn amb_bundle_load(struct amb_daemon *daemon, const char *path, char **ret_message, char **ret_bundle_id);
IOReturn amb_bundle_unload(struct amb_daemon *daemon, const char *bundle_id, char **ret_message);
/* Every NAME.dext in the directories of options.dext_path; mistakes are logged. */
void amb_bundle_load_path(struct amb_daemon *daemon);

/* --- grants.c --- */
/* the policy directories; bad files are logged and grant nothing */
int amb_grants_load(struct amb_daemon *daemon);
OSDictionary *amb_grants_of(struct amb_peer *peer, char **ret_executable);      /* one reference; executable malloc or NULL */
/* One line for an app that has no access to the bundle; it ends with the grant that would give it. */
void amb_grants_log_refusal(struct amb_peer *peer, uint64_t entry, const char *executable);
/* One line for an open that came to nothing in another way. why NULL: the code is the driver's own answer. */
void amb_grants_log_failure(struct amb_peer *peer, uint64_t entry, IOReturn code, const char *why);

/* --- takeover.c --- */
int amb_takeover_read(struct amb_daemon *daemon);               /* loads its bundles, finds its hosts */
int amb_takeover_begin(struct amb_daemon *daemon);              /* matching starts when all its hosts have reported */
IOReturn amb_takeover_adopt(struct amb_peer *peer, const char *server_name, uint64_t tag, const char *token,
                            const char *bundle_id,
                            const OSArray *rows);
void amb_takeover_note_host(const struct amb_process *host);       /* writes hosts/TAG */
void amb_takeover_forget_host(struct amb_daemon *daemon, uint64_t tag);
void amb_takeover_note_bundle(struct amb_daemon *daemon, const char *path, bool loaded);
void amb_takeover_end(struct amb_daemon *daemon);               /* removes the state */
void amb_takeover_free(struct amb_daemon *daemon);
