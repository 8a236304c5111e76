/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mman.h>

#include "channel/channel.h"
#include "client/exchange.h"
#include "client/loan-private.h"

#define SNAPSHOT_EXCHANGE (1u << 20)    /* from this size on an input that comes again is worth an exchange */
#define SNAPSHOT_MOST (256u << 20)      /* of bigger ones the host is not made to hold a copy */
#define WINDOW_PLACES 16                /* small inputs at a time that need not be asked for */
#define WINDOW_INPUT (64u << 10)        /* bytes; a copy more of so few is cheaper than a question */

struct ticket *amb_ticket_find(struct amb_loans *loans, uint32_t id)
{
        struct ticket *ticket;

        amb_list_for(ticket, &loans->tickets, link)
                if (ticket->id == id)
                        return ticket;
        return NULL;
}

/* What may become other memory of the app's does not stay a file that a host has. */
static void brief_take_back(const struct amb_shared *shared)
{
        for (uint32_t i = 0; i < shared->export_count; i++)
                if (shared->exports[i]->brief && shared->exports[i]->users == 0)
                        amb_given_forget(shared->exports[i]);
}

void amb_ticket_free(struct amb_loans *loans, struct ticket *ticket)
{
        struct amb_shared before = ticket->shared;

        if (ticket->is_shared) {
                if (!amb_list_empty(&ticket->shared.copied))
                        atomic_fetch_sub(&loans->borders, 1);
                amb_share_end(&ticket->shared);
                brief_take_back(&before);
        }
        if (ticket->in_window)
                loans->window_taken &= ~(1u << ticket->place);
        amb_link_remove(&ticket->link);
        free(ticket);
}

void amb_ticket_settle(struct amb_loans *loans, struct ticket *ticket)
{
        if (!ticket->in_call && (!ticket->kept || ticket->returned))
                amb_ticket_free(loans, ticket);
}

/* --- the window: small inputs --- */

static size_t window_stride(void)
{
        return WINDOW_INPUT + (size_t)sysconf(_SC_PAGESIZE);
}

static int window_make(struct amb_loans *loans)
{
        return loans->window ? 0 : amb_export_window(WINDOW_PLACES * window_stride(), &loans->window, &loans->window_at);
}

/* Copies the input to a place of its own; false: it is too big, there is no place, or no input. */
static bool window_put(struct amb_loans *loans, struct ticket *ticket)
{
        const struct amb_loan_segment *segment = &ticket->segments[0];
        uint64_t inside = segment->address % (uint64_t)sysconf(_SC_PAGESIZE), offset;
        uint32_t available = ~loans->window_taken & ((1u << WINDOW_PLACES) - 1);

        if (ticket->count != 1 || segment->length > WINDOW_INPUT || (ticket->options & AMB_LOAN_SHARED))
                return false;
        if (!ticket->in_window && (available == 0 || window_make(loans) < 0))
                return false;
        /* A host that has no room for one file more gets a closed snapshot. */
        if (!amb_given_has(loans, loans->window) && loans->given_count >= AMB_LOAN_FILES_MAX)
                return false;
        if (!ticket->in_window)
                ticket->place = (uint32_t)__builtin_ctz(available);
        offset = ticket->place * window_stride() + inside;
        if (amb_exchange_read(loans->window_at + offset, segment->address, segment->length) < 0)
                return false;
        loans->window_taken |= 1u << ticket->place;
        ticket->in_window = true;
        ticket->shared.extents[0] = (struct amb_extent){ loans->window, -1, offset, segment->length, loans->window->end, 0 };
        ticket->shared.count = 1;
        return true;
}

void amb_loans_window_end(struct amb_loans *loans)
{
        if (!loans->window)
                return;
        munmap(loans->window_at, WINDOW_PLACES * window_stride());
        amb_export_end(amb_steal(loans->window));
}

/* --- its memory --- */

/* A big input that comes again: its pages become a file once, and the host copies from it. Others are copied here. */
static int snapshot(struct amb_loans *loans, struct ticket *ticket, const struct amb_share_client *client)
{
        uint64_t length = 0;
        int r = AMB_SHARE_INEXACT;

        if (window_put(loans, ticket))
                return 0;
        for (uint32_t i = 0; i < ticket->count; i++)
                length += ticket->segments[i].length;
        if (length >= SNAPSHOT_EXCHANGE && length <= SNAPSHOT_MOST && amb_share_seen(ticket->segments, ticket->count))
                r = amb_share(ticket->segments, ticket->count, false, ticket->stack, true, client, &ticket->shared);
        return r == 0 ? 0 : amb_share_sealed(ticket->segments, ticket->count, &ticket->shared);
}

int amb_ticket_lend(struct amb_loans *loans, struct ticket *ticket)
{
        struct amb_share_client client = amb_given_client(loans);
        int r;

        if (ticket->is_shared)
                return 0;
        amb_shared_init(&ticket->shared);
        if (!amb_loan_segments_congruent(ticket->segments, ticket->count, (uint64_t)sysconf(_SC_PAGESIZE)))
                return -EINVAL;
        if (ticket->options & AMB_LOAN_SHARED)
                r = amb_share(ticket->segments, ticket->count, ticket->options & AMB_LOAN_IN, ticket->stack, false, &client,
                              &ticket->shared);
        else
                r = snapshot(loans, ticket, &client);
        if (r != 0)
                return r < 0 ? r : -EFAULT;
        ticket->is_shared = true;
        if (!amb_list_empty(&ticket->shared.copied))
                atomic_fetch_add(&loans->borders, 1);
        return 0;
}

void amb_ticket_unlend(struct amb_loans *loans, struct ticket *ticket)
{
        if (!amb_list_empty(&ticket->shared.copied))
                atomic_fetch_sub(&loans->borders, 1);
        amb_share_end(&ticket->shared);
        ticket->is_shared = false;
}

uint32_t amb_tickets_count(struct amb_loans *loans)
{
        struct ticket *ticket;
        uint32_t count = 0;

        amb_list_for(ticket, &loans->tickets, link)
                count++;
        return count;
}

struct ticket *amb_ticket_of_host(struct amb_loans *loans, const struct amb_loan_message *m)
{
        struct ticket *ticket = amb_ticket_find(loans, m->ticket);
        uint64_t length;

        if (ticket)
                return ticket;
        if (!loans->named || m->count == 0 || m->count > AMB_LOAN_SEGMENTS || amb_tickets_count(loans) >= TICKETS_MAX ||
            !amb_loan_segments_check(m->segments, m->count, &length))
                return NULL;
        ticket = calloc(1, sizeof(*ticket));
        if (!ticket)
                return NULL;
        ticket->id = m->ticket;
        ticket->options = m->options;
        ticket->kept = true;
        memcpy(ticket->segments, m->segments, m->count * sizeof(m->segments[0]));
        ticket->count = amb_loan_segments_merge(ticket->segments, m->count);
        amb_list_append(&loans->tickets, &ticket->link);
        return ticket;
}

void amb_ticket_for_device(struct amb_loans *loans, struct ticket *ticket, uint32_t options)
{
        if (!(options & AMB_LOAN_SHARED) || (ticket->options & AMB_LOAN_SHARED))
                return;
        ticket->options |= AMB_LOAN_SHARED | (loans->named ? options & AMB_LOAN_IN : 0);
        if ((ticket->options & AMB_LOAN_IN) && amb_ticket_lend(loans, ticket) < 0)
                ticket->options &= ~(uint32_t)AMB_LOAN_IN;
}

void amb_ticket_lend_ahead(struct amb_loans *loans, struct ticket *ticket, struct amb_range *range)
{
        struct amb_share_client client = amb_given_client(loans);

        amb_shared_init(&ticket->shared);
        if (ticket->options & AMB_LOAN_SHARED)
                ticket->is_shared = amb_share_again(ticket->segments, ticket->options & AMB_LOAN_IN, &client, &ticket->shared);
        else if (loans->window && amb_given_has(loans, loans->window))
                ticket->is_shared = window_put(loans, ticket);
        if (!ticket->is_shared)
                return;
        if (!amb_list_empty(&ticket->shared.copied))
                atomic_fetch_add(&loans->borders, 1);
        range->file = ticket->shared.extents[0].export->id;
        range->offset = ticket->shared.extents[0].offset;
}
