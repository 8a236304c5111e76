/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What calls are compared with: a child process that answers 16 bytes (or a page), by the plainest code there is for each way to
 * wait.
 *
 * A partner belongs to one thread, and is made while the process has no other: it is a fork. It ends with its parent, however that
 * happens, or by amb_partner_free(). AMB_PARTNER_FUTEX takes the process's SIGCHLD handler for itself.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum amb_partner_kind {
        AMB_PARTNER_SPIN,       /* two lines of shared memory; both sides spin */
        AMB_PARTNER_SPIN_PAGE,  /* the same with 4096 bytes, copied in and out of shared memory on both sides, as a call's are */
        AMB_PARTNER_FUTEX,      /* two lines of shared memory; both sides sleep on a futex at once */
        AMB_PARTNER_SOCKET,     /* a stream socket; both sides block */
};

struct amb_partner;
/* processor: where it stays, or AMB_PROCESSOR_ANY. -errno. */
int amb_partner_create(struct amb_partner **ret_partner, enum amb_partner_kind kind, int processor);
struct amb_partner *amb_partner_free(struct amb_partner *partner);             /* NULL is allowed */

/* A partner that spins does so only between these two, and is asleep otherwise; to others they mean nothing. */
void amb_partner_begin(struct amb_partner *partner);
void amb_partner_end(struct amb_partner *partner);
/* One round trip. False: the other process is gone. */
bool amb_partner_once(struct amb_partner *partner);
pid_t amb_partner_pid(const struct amb_partner *partner);

/* For partners of other kinds: forks; in the child, which ends when its parent does, returns 0. -errno. */
pid_t amb_partner_fork(void);
/* Ends a child and reaps it; 0 is allowed. */
void amb_partner_kill(pid_t child);
