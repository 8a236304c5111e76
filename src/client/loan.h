/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Lends the app's own memory to the hosts of its connections: structure arguments of more than 4096 bytes, and what a driver
 * names itself (CreateMemoryDescriptorFromClient). The protocol is channel/loan.h, what happens to the memory share.h.
 *
 * One thread of the library serves all hosts. It is started by the first call on a connection whose driver can name memory by
 * itself (the channel says so), or by the first one with a large argument; other programs never have it. Tickets, exports and
 * sockets are under one lock, held while a range is exchanged; a call with a large argument takes it twice, other calls never,
 * unless copied parts are about.
 *
 * What the host may do wrong: ask for tickets that do not exist or have been given back (refused), for memory that the app does
 * not have (an error), speak nonsense or not read (cut off from the loans, one line in the log; calls go on). A driver that
 * names memory by itself is believed, as on the original: which driver may is the registry's decision (entitlement
 * org.ambidext.client-memory, or developer mode), and kept here.
 */
#include <stdatomic.h>

#include "base/base.h"
#include "channel/channel.h"

struct amb_connection;

struct amb_loans {                      /* of a connection */
        struct amb_link link;           /* of all that have a socket */
        struct amb_link promise;        /* linked: of all that get one before the next call */
        int socket;
        uint64_t key;
        bool ended, named;
        uint32_t next_ticket, given_count;
        struct amb_link tickets, given;
        _Atomic uint32_t borders;       /* what is to be done at the borders of calls: tickets with copied parts, a promise */
        struct amb_export *window;      /* a file with places for small inputs */
        uint8_t *window_at;
        uint32_t window_taken;          /* a bit for each place */
};
/* named: the driver may name memory by itself. */
void amb_loans_init(struct amb_loans *loans, bool named);
/* The host has gone or the connection is closed: nobody asks any more, memory is private again. Any number of times. */
void amb_loans_end(struct amb_loans *loans);
/* In a forked child. */
void amb_loans_forked(struct amb_loans *loans);

/* Sees to it that the host can ask. 0, or -errno: it cannot, and mappings of the app's memory will fail. */
int amb_loans_need(struct amb_connection *connection);

/*
 * The same, before the next call or question on any connection to which this has been promised: a driver cannot name the app's
 * memory before it has been told of it. Most connections that are closed without a call get no socket at all.
 */
void amb_loans_promise(struct amb_connection *connection);

/*
 * [address, address + length), the argument of a call that is about to be sent; options: what the driver sees. The range as the
 * call is to name it. -ENOMEM. Ends with the call, or, retained, when the host gives it back.
 */
int amb_loan_begin(struct amb_connection *connection, const void *address, size_t length, uint32_t options, struct amb_range *ret);
void amb_loan_end(struct amb_connection *connection, uint32_t ticket, bool retained);

/* A border of a call or another question: promises are kept, copied parts brought up to date, both ways. Cheap without either. */
void amb_loans_sync_slow(struct amb_loans *loans);
static inline void amb_loans_sync(struct amb_loans *loans)
{
        if (__builtin_expect(atomic_load_explicit(&loans->borders, memory_order_relaxed) != 0, 0))
                amb_loans_sync_slow(loans);
}
