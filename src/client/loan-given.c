/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/channel.h"
#include "client/loan-private.h"

/* A file that a host has. */
struct given {
        struct amb_link link;
        struct amb_export *export;
};

struct amb_link amb_lenders = AMB_LIST_INIT(amb_lenders);

static struct given *given_find(struct amb_loans *loans, const struct amb_export *export)
{
        struct given *given;

        amb_list_for(given, &loans->given, link)
                if (given->export == export)
                        return given;
        return NULL;
}

static void given_free(struct amb_loans *loans, struct given *given)
{
        given->export->holders--;
        loans->given_count--;
        amb_link_remove(&given->link);
        free(given);
}

static void send_drop(struct amb_loans *loans, const struct amb_export *export)
{
        struct amb_loan_message drop = { .kind = AMB_LOAN_DROP, .ticket = export->id };

        /* A host that does not read will be cut off at its next request. */
        if (loans->socket >= 0)
                (void)amb_loan_send(loans->socket, &drop, -1);
}

void amb_given_forget(struct amb_export *export)
{
        struct amb_loans *loans;
        struct given *given;

        amb_list_for(loans, &amb_lenders, link) {
                given = given_find(loans, export);
                if (!given)
                        continue;
                send_drop(loans, export);
                given_free(loans, given);
        }
        amb_export_end(export);
}

static bool is_window(const struct amb_export *export)
{
        struct amb_loans *loans;

        amb_list_for(loans, &amb_lenders, link)
                if (loans->window == export)
                        return true;
        return false;
}

/* What the app has unmapped, or mapped something else over, holds memory for nothing. */
static void sweep(void *userdata)
{
        struct amb_export *e, *next;

        (void)userdata;
        for (e = amb_export_next(NULL); e; e = next) {
                next = amb_export_next(e);
                if (e->users == 0 && (e->own ? e->holders == 0 && !is_window(e) : !amb_export_mapped(e)))
                        amb_given_forget(e);
        }
}

/* The host is to have this file too: makes room if it has too many. */
static int give(struct amb_loans *loans, struct amb_export *export)
{
        struct given *given, *other, *oldest = NULL;

        if (loans->given_count >= AMB_LOAN_FILES_MAX) {
                amb_list_for(other, &loans->given, link)
                        if (other->export->users == 0 && other->export != loans->window &&
                            (!oldest || other->export->used < oldest->export->used))
                                oldest = other;
                if (!oldest)
                        return -ENOSPC;
                export->users++;
                amb_given_forget(oldest->export);
                export->users--;
        }
        given = calloc(1, sizeof(*given));
        if (!given)
                return -ENOMEM;
        given->export = export;
        export->holders++;
        loans->given_count++;
        amb_list_append(&loans->given, &given->link);
        return 0;
}

static bool has(void *userdata, const struct amb_export *export)
{
        return given_find(userdata, export) != NULL;
}

static void forget(void *userdata, struct amb_export *export)
{
        (void)userdata;
        amb_given_forget(export);
}

struct amb_share_client amb_given_client(struct amb_loans *loans)
{
        return (struct amb_share_client){ has, sweep, forget, loans };
}

bool amb_given_has(struct amb_loans *loans, const struct amb_export *export)
{
        return given_find(loans, export) != NULL;
}

void amb_given_end(struct amb_loans *loans)
{
        struct given *given, *next;

        amb_list_for_safe(given, next, &loans->given, link)
                given_free(loans, given);
}

void amb_given_orphans_end(void)
{
        struct amb_export *e, *next;

        for (e = amb_export_next(NULL); e; e = next) {
                next = amb_export_next(e);
                if (e->users == 0 && (e->holders == 0 || e->brief) && !is_window(e))
                        amb_given_forget(e);
        }
}

int amb_given_add(struct amb_loans *loans, const struct amb_shared *shared, bool *ret_new)
{
        int r = 0;

        for (uint32_t i = 0; i < shared->count && r == 0; i++) {
                struct amb_export *export = shared->extents[i].export;

                ret_new[i] = export && !given_find(loans, export);
                if (!ret_new[i])
                        continue;
                r = give(loans, export);
                if (r < 0)
                        ret_new[i] = false;
        }
        for (uint32_t i = 0; i < shared->count && r < 0; i++)
                if (ret_new[i])
                        given_free(loans, given_find(loans, shared->extents[i].export));
        return r;
}
