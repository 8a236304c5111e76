/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the parts of the loans share: loan.c (what hosts ask, the thread, what calls need), loan-ticket.c (a range of memory and how
 * it is lent), loan-given.c (which host has which file), loan-fork.c. All of it is under one lock.
 */
#include <pthread.h>

#include "channel/loan.h"
#include "client/export.h"
#include "client/loan.h"
#include "client/share.h"

extern pthread_mutex_t amb_loans_lock;
extern struct amb_link amb_lenders;     /* struct amb_loans: all that have a socket */

/* --- tickets: loan-ticket.c --- */

#define TICKETS_MAX 4096                /* that one host may hold */

struct ticket {
        struct amb_link link;
        uint32_t id, options, count;
        bool in_call;                   /* the call has not ended */
        bool kept;                      /* the host has said that it keeps it, or has made it */
        bool returned;                  /* it has given it back */
        bool stack, is_shared;
        bool in_window;
        uint32_t place;
        struct amb_shared shared;
        struct amb_loan_segment segments[AMB_LOAN_SEGMENTS];
};

struct ticket *amb_ticket_find(struct amb_loans *loans, uint32_t id);
uint32_t amb_tickets_count(struct amb_loans *loans);
/* A ticket of the host's: the driver has named the memory. NULL: no. */
struct ticket *amb_ticket_of_host(struct amb_loans *loans, const struct amb_loan_message *m);
void amb_ticket_free(struct amb_loans *loans, struct ticket *ticket);
/* Frees it if neither the call nor the host has it any more. */
void amb_ticket_settle(struct amb_loans *loans, struct ticket *ticket);

/* Makes files of its memory, unless it has some. 0, or -errno: the app does not have it like that. */
int amb_ticket_lend(struct amb_loans *loans, struct ticket *ticket);
void amb_ticket_unlend(struct amb_loans *loans, struct ticket *ticket);
/* Lends it now if that costs next to nothing and the host has the file: then it need not ask. */
void amb_ticket_lend_ahead(struct amb_loans *loans, struct ticket *ticket, struct amb_range *range);
/*
 * Of an input a device gets the memory itself. It may write it too where the app can, if its driver may name any memory of the
 * app's: a host that may not has what the call said, to read.
 */
void amb_ticket_for_device(struct amb_loans *loans, struct ticket *ticket, uint32_t options);

void amb_loans_window_end(struct amb_loans *loans);

/* --- files and the hosts that have them: loan-given.c --- */

bool amb_given_has(struct amb_loans *loans, const struct amb_export *export);
/* The host is to have the files of all extents; the new ones are marked. On failure it has none of these. */
int amb_given_add(struct amb_loans *loans, const struct amb_shared *shared, bool *ret_new);
/* No host has it any more, and it ends. */
void amb_given_forget(struct amb_export *export);
/*
 * Files that nobody was given and nobody needs, of an answer that came to nothing; and those that were for a ticket, which has
 * been asked for again in vain.
 */
void amb_given_orphans_end(void);
/* The host has none any more. */
void amb_given_end(struct amb_loans *loans);
/* How memory is shared for this host: share.h. */
struct amb_share_client amb_given_client(struct amb_loans *loans);

/* --- a fork: loan-fork.c --- */

void amb_loans_fork_prepare(void);
void amb_loans_fork_parent(void);
void amb_loans_fork_child(void);
/* In the child: there is no thread. */
void amb_loans_unwatch(void);
