/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cancel.h"
#include "base/thread.h"
#include "channel/side.h"
#include "client/connection.h"
#include "client/loan-private.h"

#define AT_ONCE 16                      /* messages of one host, before others get their turn */

pthread_mutex_t amb_loans_lock = PTHREAD_MUTEX_INITIALIZER;
static struct amb_link promises = AMB_LIST_INIT(promises);
static uint64_t keys;
static int watch = -1;                  /* epoll of the thread */

void amb_loans_init(struct amb_loans *loans, bool named)
{
        *loans = (struct amb_loans){ .socket = -1, .named = named };
        amb_list_init(&loans->tickets);
        amb_list_init(&loans->given);
}

/* --- what the host asks --- */

static int refuse(struct amb_loans *loans, uint32_t serial, int32_t code)
{
        struct amb_loan_message message = { .kind = AMB_LOAN_ANSWER, .serial = serial, .code = code };

        return amb_loan_send(loans->socket, &message, -1);
}

static int answer_send(struct amb_loans *loans, uint32_t serial, uint32_t options, const struct amb_shared *shared,
                       const bool *is_new)
{
        struct amb_loan_message message = { .kind = AMB_LOAN_ANSWER, .serial = serial, .options = options, .count = shared->count };
        int r = amb_loan_send(loans->socket, &message, -1);

        for (uint32_t i = 0; i < shared->count && r == 0; i++) {
                const struct amb_extent *extent = &shared->extents[i];
                struct amb_export *export = extent->export;

                message = (struct amb_loan_message){
                        .kind = AMB_LOAN_EXTENT, .serial = serial, .ticket = export ? export->id : 0, .options = extent->flags,
                        .offset = extent->offset, .length = extent->length, .size = extent->size,
                };
                r = amb_loan_send(loans->socket, &message, !export ? extent->fd : is_new[i] ? export->fd : -1);
        }
        return r;
}

/* Shares the ticket's memory and answers. *ret_lent false: the app does not have it like that, or the host has too many files. */
static int lend_and_answer(struct amb_loans *loans, struct ticket *ticket, uint32_t serial, bool *ret_lent)
{
        bool is_new[AMB_LOAN_EXTENTS_MAX];
        int r = amb_ticket_lend(loans, ticket);

        *ret_lent = r == 0;
        if (r == 0 && amb_given_add(loans, &ticket->shared, is_new) < 0) {
                amb_share_sent(&ticket->shared);
                amb_ticket_unlend(loans, ticket);
                *ret_lent = false;
        }
        if (!*ret_lent) {
                amb_given_orphans_end();
                return refuse(loans, serial, AMB_LOAN_UNSUITABLE);
        }
        r = answer_send(loans, serial, ticket->options, &ticket->shared, is_new);
        amb_share_sent(&ticket->shared);
        return r;
}

/* False: cut off. */
static bool borrow(struct amb_loans *loans, const struct amb_loan_message *m)
{
        struct ticket *ticket = m->ticket & AMB_LOAN_HOST_TICKET ? amb_ticket_of_host(loans, m) : amb_ticket_find(loans, m->ticket);
        bool lent;
        int r;

        if (!ticket)
                return refuse(loans, m->serial, loans->named || !(m->ticket & AMB_LOAN_HOST_TICKET) ? AMB_LOAN_UNSUITABLE :
                              AMB_LOAN_NOT_PERMITTED) == 0;
        /* A file for this ticket alone has been sent once; who asks again gets it made again. */
        if (ticket->is_shared)
                amb_ticket_unlend(loans, ticket);
        amb_ticket_for_device(loans, ticket, m->options);
        r = lend_and_answer(loans, ticket, m->serial, &lent);
        if (!lent) {
                if (ticket->id & AMB_LOAN_HOST_TICKET)
                        amb_ticket_free(loans, ticket);
                return r == 0;
        }
        /* A snapshot is a matter of the answer: the host has its copy, or makes it from what is a file anyway. */
        if (!(ticket->options & AMB_LOAN_SHARED) && amb_list_empty(&ticket->shared.copied) && ticket->shared.export_count == 0 &&
            !ticket->in_window)
                amb_ticket_unlend(loans, ticket);
        return r == 0;
}

static bool serve(struct amb_loans *loans, const struct amb_loan_message *m)
{
        struct ticket *ticket;

        switch (m->kind) {
        case AMB_LOAN_BORROW:
                return borrow(loans, m);
        case AMB_LOAN_RETURN:
                ticket = amb_ticket_find(loans, m->ticket);
                if (ticket) {
                        ticket->returned = true;
                        amb_ticket_settle(loans, ticket);
                }
                return true;
        default:
                return false;
        }
}

/* --- the end of a connection's loans --- */

/* Under the lock. */
static void promise_end(struct amb_loans *loans)
{
        if (!amb_link_linked(&loans->promise))
                return;
        amb_link_remove(&loans->promise);
        atomic_fetch_sub(&loans->borders, 1);
}

static void end_locked(struct amb_loans *loans)
{
        struct ticket *ticket, *next;

        amb_list_for_safe(ticket, next, &loans->tickets, link)
                amb_ticket_free(loans, ticket);
        amb_given_end(loans);
        amb_given_orphans_end();
        amb_loans_window_end(loans);
        promise_end(loans);
        amb_link_remove(&loans->link);
        /* By hand: a forked child may have the socket too, and the epoll would go on telling of it. */
        if (loans->socket >= 0)
                epoll_ctl(watch, EPOLL_CTL_DEL, loans->socket, NULL);
        loans->socket = amb_fd_close(loans->socket);
        loans->ended = true;
}

void amb_loans_end(struct amb_loans *loans)
{
        AMB_NO_CANCEL;

        pthread_mutex_lock(&amb_loans_lock);
        end_locked(loans);
        pthread_mutex_unlock(&amb_loans_lock);
}

void amb_loans_forked(struct amb_loans *loans)
{
        /* The lists belong to the parent's exports; a child's handle is dead. */
        amb_list_init(&loans->tickets);
        amb_list_init(&loans->given);
        amb_link_remove(&loans->link);
        amb_link_remove(&loans->promise);
        loans->socket = amb_fd_close(loans->socket);
        loans->window = NULL;           /* its memory has not come along, its export has been freed */
        loans->ended = true;
}

/* --- the thread --- */

/* Under the lock, which a host that talks all the time must not keep from others. */
static void serve_some(struct amb_loans *loans)
{
        struct amb_loan_message message;
        int fd = -1, r;
        bool fine;

        for (int i = 0; i < AT_ONCE && loans->socket >= 0; i++) {
                r = amb_loan_receive(loans->socket, &message, &fd);
                if (r == AMB_PACKET_NOTHING)
                        return;
                fine = r == 0 && fd < 0;

                if (r == 0)
                        fd = amb_fd_close(fd);
                if (fine)
                        fine = serve(loans, &message);
                if (!fine && r != AMB_PACKET_END)
                        amb_log(AMB_LOG_WARNING, "the driver's host broke the protocol of borrowed memory; it gets no more of it");
                if (!fine)
                        end_locked(loans);
        }
}

static void *thread_run(void *context)
{
        int epoll = watch;

        (void)context;
        for (;;) {
                struct epoll_event event;
                struct amb_loans *loans;

                if (epoll_wait(epoll, &event, 1, -1) != 1)
                        continue;
                pthread_mutex_lock(&amb_loans_lock);
                amb_list_for(loans, &amb_lenders, link) {
                        if (loans->key == event.data.u64) {
                                serve_some(loans);
                                break;
                        }
                }
                pthread_mutex_unlock(&amb_loans_lock);
        }
        return NULL;
}

/* Under the lock. */
static int thread_start(void)
{
        int r;

        if (watch >= 0)
                return 0;
        watch = epoll_create1(EPOLL_CLOEXEC);
        if (watch < 0)
                return amb_trace(amb_errno());
        r = amb_thread_start(thread_run, NULL, 0);
        if (r < 0)
                watch = amb_fd_close(watch);
        return r;
}

void amb_loans_unwatch(void)
{
        watch = amb_fd_close(watch);
}

/* Before there is anything to be forked with. */
__attribute__((constructor)) static void fork_watch(void)
{
        pthread_atfork(amb_loans_fork_prepare, amb_loans_fork_parent, amb_loans_fork_child);
}

/* --- for calls --- */


/* Under the lock. */
static int socket_open(struct amb_loans *loans, int *ret_host)
{
        const int room = (AMB_LOAN_FILES_MAX + AMB_LOAN_EXTENTS_MAX) * 1024;
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = ++keys };
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return amb_trace(amb_errno());
        /*
         * Room for a DROP of every file and an answer: a host reads only when it has asked. The kernel gives twice that, or
         * what it gives at most.
         */
        (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
        loans->key = event.data.u64;
        if (epoll_ctl(watch, EPOLL_CTL_ADD, pair[0], &event) < 0) {
                int r = amb_errno();

                amb_fd_close(pair[0]);
                amb_fd_close(pair[1]);
                return amb_trace(r);
        }
        loans->socket = pair[0];
        amb_list_append(&amb_lenders, &loans->link);
        *ret_host = pair[1];
        return 0;
}

/*
 * Under the lock, which is taken before the side lock of a connection that is promised a socket: nobody waits for an answer with
 * that, because who asks keeps all promises first.
 */
static int socket_give(struct amb_connection *connection)
{
        AMB_NO_CANCEL;
        const struct amb_side_message message = { .kind = AMB_SIDE_LOANS };
        struct amb_loans *loans = &connection->loans;
        AMB_FD host = -1;
        int r;

        promise_end(loans);
        if (loans->socket >= 0)
                return 0;
        if (loans->ended)
                return -ENOTCONN;
        r = thread_start();
        if (r == 0)
                r = socket_open(loans, &host);
        /* A host that wants to ask before it has the socket waits for it. */
        if (r == 0 && amb_connection_say(connection, &message, host) != 0)
                r = -ENOTCONN;
        return r;
}

int amb_loans_need(struct amb_connection *connection)
{
        AMB_NO_CANCEL;
        int r;

        pthread_mutex_lock(&amb_loans_lock);
        r = socket_give(connection);
        pthread_mutex_unlock(&amb_loans_lock);
        return r;
}

void amb_loans_promise(struct amb_connection *connection)
{
        struct amb_loans *loans = &connection->loans;

        pthread_mutex_lock(&amb_loans_lock);
        amb_list_append(&promises, &loans->promise);
        atomic_fetch_add(&loans->borders, 1);
        pthread_mutex_unlock(&amb_loans_lock);
}

/* Under the lock. Whose socket cannot be made, has none: its driver's mappings will fail. */
static void promises_keep(void)
{
        struct amb_loans *loans;

        while ((loans = amb_list_first(&promises, struct amb_loans, promise)))
                (void)socket_give(amb_container_of(loans, struct amb_connection, loans));
}

/* Does the range lie on the calling thread's stack? */
static bool on_stack(uintptr_t address)
{
        static _Thread_local uintptr_t low, high;

        if (high == 0)
                (void)amb_thread_stack(&low, &high);
        return address >= low && address < high;
}

int amb_loan_begin(struct amb_connection *connection, const void *address, size_t length, uint32_t options, struct amb_range *ret)
{
        struct amb_loans *loans = &connection->loans;
        struct ticket *ticket = calloc(1, sizeof(*ticket));

        if (!ticket)
                return -ENOMEM;
        ticket->options = options;
        ticket->count = 1;
        ticket->segments[0] = (struct amb_loan_segment){ (uintptr_t)address, length };
        ticket->in_call = true;
        ticket->stack = on_stack((uintptr_t)address);
        *ret = (struct amb_range){ .offset = (uintptr_t)address % (uintptr_t)sysconf(_SC_PAGESIZE), .length = length };
        pthread_mutex_lock(&amb_loans_lock);
        loans->next_ticket = loans->next_ticket % (AMB_LOAN_HOST_TICKET - 1) + 1;
        ret->id = ticket->id = loans->next_ticket;
        amb_list_append(&loans->tickets, &ticket->link);
        if (loans->socket >= 0)
                amb_ticket_lend_ahead(loans, ticket, ret);
        pthread_mutex_unlock(&amb_loans_lock);
        return 0;
}

void amb_loan_end(struct amb_connection *connection, uint32_t id, bool retained)
{
        struct amb_loans *loans = &connection->loans;
        struct ticket *ticket;

        pthread_mutex_lock(&amb_loans_lock);
        ticket = amb_ticket_find(loans, id);
        if (ticket) {
                if (ticket->is_shared)
                        amb_share_sync(&ticket->shared);
                ticket->in_call = false;
                ticket->kept = retained;
                amb_ticket_settle(loans, ticket);
                if (retained && amb_tickets_count(loans) > TICKETS_MAX) {
                        amb_log(AMB_LOG_WARNING, "the driver's host keeps the memory of more than %d calls; it gets no more",
                                TICKETS_MAX);
                        end_locked(loans);
                }
        }
        pthread_mutex_unlock(&amb_loans_lock);
}

void amb_loans_sync_slow(struct amb_loans *loans)
{
        AMB_NO_CANCEL;
        struct ticket *ticket;

        pthread_mutex_lock(&amb_loans_lock);
        promises_keep();
        amb_list_for(ticket, &loans->tickets, link)
                if (ticket->is_shared)
                        amb_share_sync(&ticket->shared);
        pthread_mutex_unlock(&amb_loans_lock);
}
