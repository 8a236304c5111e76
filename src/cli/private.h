/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A private registry: a temporary directory, an ambidextd of our own in it, and everything taken down again. What `run` and
 * `bench` are made of.
 *
 * It is made, used and freed by one thread, the process's only one. From cli_private_create() on SIGINT, SIGTERM, SIGHUP and
 * SIGCHLD are blocked and come from a signalfd, so that nothing ends the process before the daemon is down and the directory
 * gone; children must undo that (cli_private_child). The process becomes a subreaper: driver hosts whose daemon died are ours to
 * wait for.
 *
 * The daemon has a session of its own, so that the terminal's Ctrl-C does not reach it, and the read end of a pipe whose write
 * end only we hold: it ends when we do, however that happens.
 */
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include "cli/cli.h"

struct cli_private_options {
        char **bundles;         /* paths, absolute; NULL at the end */
        char **policies;        /* likewise */
        bool no_sandbox;
};

struct cli_private {
        struct cli_private_options options;     /* the strings are the caller's */
        char *directory, *socket, *program;
        char *bundle_ids[64];                   /* of the bundles, as the daemon named them */
        pid_t daemon;                           /* 0: none runs */
        int daemon_fd;                          /* pidfd: readable when it has ended */
        int lifetime_fd;                        /* write end */
        int signal_fd;
        int caught;                             /* the signal that asked us to end, or 0 */
        sigset_t mask_before;
        uint64_t restarts[4];                   /* when the daemon was last started again */
        bool found;                             /* a sanitizer has found something in a driver; known once the daemon has ended */
};

/*
 * Starts the daemon, loads the bundles, waits until they are quiet; sets $AMBIDEXT_REGISTRY. On failure it has said why and
 * everything is undone.
 */
int cli_private_create(struct cli_private **ret_private, const struct cli_private_options *options);
/* Ends the daemon and its hosts, removes the directory. Bounded: what does not end is killed. */
void cli_private_end(struct cli_private *private);
/* The same, if it has not been done yet. NULL is allowed. */
struct cli_private *cli_private_free(struct cli_private *private);

/* In a forked child, before exec: signals as they were. */
void cli_private_child(const struct cli_private *private);
/* The daemon has ended: says so and starts it again, unless that has happened too often. */
void cli_private_daemon_again(struct cli_private *private);
/* Takes a signal that has arrived; false: none. */
bool cli_private_signal(struct cli_private *private, struct signalfd_siginfo *ret_signal);
/* Reaps children that are neither the daemon nor `but`. */
void cli_private_reap(struct cli_private *private, pid_t but);
