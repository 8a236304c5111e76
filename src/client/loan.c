/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/thread.h"
#include "channel/channel.h"
#include "channel/side.h"
#include "client/cancel.h"
#include "client/connection.h"
#include "client/exchange.h"
#include "client/loan.h"
#include "client/share.h"

#define SNAPSHOT_EXCHANGE (1u << 20)    /* from this size on an input that comes again is worth an exchange */
#define SNAPSHOT_MOST (256u << 20)      /* of bigger ones the host is not made to hold a copy */
#define WINDOW_PLACES 16                /* small inputs at a time that need not be asked for */
#define WINDOW_INPUT (64u << 10)        /* bytes; a copy more of so few is cheaper than a question */
#define TICKETS_MAX 4096                /* that one host may hold */
#define AT_ONCE 16                      /* messages of one host, before others get their turn */

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

/* A file that a host has. */
struct given {
        struct amb_link link;
        struct amb_export *export;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct amb_link lenders = AMB_LIST_INIT(lenders);
static struct amb_link promises = AMB_LIST_INIT(promises);
static uint64_t keys;
static int watch = -1;                  /* epoll of the thread */

void amb_loans_init(struct amb_loans *loans, bool named)
{
        *loans = (struct amb_loans){ .socket = -1, .named = named };
        amb_list_init(&loans->tickets);
        amb_list_init(&loans->given);
}

/* --- exports and their holders --- */

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

static void forget(void *userdata, struct amb_export *export)
{
        struct amb_loans *loans;
        struct given *given;

        (void)userdata;
        amb_list_for(loans, &lenders, link) {
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

        amb_list_for(loans, &lenders, link)
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
                        forget(NULL, e);
        }
}

static bool has(void *userdata, const struct amb_export *export)
{
        return given_find(userdata, export) != NULL;
}

/* The host is to have this file too: makes room if it has too many. */
static int give(struct amb_loans *loans, struct amb_export *export)
{
        struct given *given, *other, *oldest = NULL;

        if (loans->given_count >= AMB_LOAN_FILES_MAX) {
                amb_list_for(other, &loans->given, link)
                        if (other->export->users == 0 && other->export != loans->window && (!oldest || other->export->used < oldest->export->used))
                                oldest = other;
                if (!oldest)
                        return -ENOSPC;
                export->users++;
                forget(NULL, oldest->export);
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

/* --- tickets --- */

static struct ticket *ticket_find(struct amb_loans *loans, uint32_t id)
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
                        forget(NULL, shared->exports[i]);
}

static void ticket_free(struct amb_loans *loans, struct ticket *ticket)
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

static void ticket_settle(struct amb_loans *loans, struct ticket *ticket)
{
        if (!ticket->in_call && (!ticket->kept || ticket->returned))
                ticket_free(loans, ticket);
}

/* --- what the host asks --- */

/*
 * Files that nobody was given and nobody needs, of an answer that came to nothing; and those that were for a ticket, which has
 * been asked for again in vain.
 */
static void orphans_end(void)
{
        struct amb_export *e, *next;

        for (e = amb_export_next(NULL); e; e = next) {
                next = amb_export_next(e);
                if (e->users == 0 && (e->holders == 0 || e->brief) && !is_window(e))
                        forget(NULL, e);
        }
}

/* The host is to have the files of all extents; the new ones are marked. On failure it has none of these. */
static int give_all(struct amb_loans *loans, const struct amb_shared *shared, bool *ret_new)
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
        if (!given_find(loans, loans->window) && loans->given_count >= AMB_LOAN_FILES_MAX)
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

static int lend(struct amb_loans *loans, struct ticket *ticket)
{
        struct amb_share_client client = { has, sweep, forget, loans };
        int r;

        if (ticket->is_shared)
                return 0;
        amb_shared_init(&ticket->shared);
        if (!amb_loan_segments_congruent(ticket->segments, ticket->count, (uint64_t)sysconf(_SC_PAGESIZE)))
                return -EINVAL;
        if (ticket->options & AMB_LOAN_SHARED)
                r = amb_share(ticket->segments, ticket->count, ticket->options & AMB_LOAN_IN, ticket->stack, false, &client, &ticket->shared);
        else
                r = snapshot(loans, ticket, &client);
        if (r != 0)
                return r < 0 ? r : -EFAULT;
        ticket->is_shared = true;
        if (!amb_list_empty(&ticket->shared.copied))
                atomic_fetch_add(&loans->borders, 1);
        return 0;
}

static void ticket_unlend(struct amb_loans *loans, struct ticket *ticket)
{
        if (!amb_list_empty(&ticket->shared.copied))
                atomic_fetch_sub(&loans->borders, 1);
        amb_share_end(&ticket->shared);
        ticket->is_shared = false;
}

static uint32_t tickets_count(struct amb_loans *loans)
{
        struct ticket *ticket;
        uint32_t count = 0;

        amb_list_for(ticket, &loans->tickets, link)
                count++;
        return count;
}

/* A ticket of the host's: the driver has named the memory. NULL: no. */
static struct ticket *ticket_of_host(struct amb_loans *loans, const struct amb_loan_message *m)
{
        struct ticket *ticket = ticket_find(loans, m->ticket);
        uint64_t length;

        if (ticket)
                return ticket;
        if (!loans->named || m->count == 0 || m->count > AMB_LOAN_SEGMENTS || tickets_count(loans) >= TICKETS_MAX || !amb_loan_segments_check(m->segments, m->count, &length))
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

/* Shares the ticket's memory and answers. *ret_lent false: the app does not have it like that, or the host has too many files. */
static int lend_and_answer(struct amb_loans *loans, struct ticket *ticket, uint32_t serial, bool *ret_lent)
{
        bool is_new[AMB_LOAN_EXTENTS_MAX];
        int r = lend(loans, ticket);

        *ret_lent = r == 0;
        if (r == 0 && give_all(loans, &ticket->shared, is_new) < 0) {
                amb_share_sent(&ticket->shared);
                ticket_unlend(loans, ticket);
                *ret_lent = false;
        }
        if (!*ret_lent) {
                orphans_end();
                return refuse(loans, serial, AMB_LOAN_UNSUITABLE);
        }
        r = answer_send(loans, serial, ticket->options, &ticket->shared, is_new);
        amb_share_sent(&ticket->shared);
        return r;
}

/*
 * Of an input a device gets the memory itself. It may write it too where the app can, if its driver may name any memory of the
 * app's: a host that may not has what the call said, to read.
 */
static void ticket_for_device(struct amb_loans *loans, struct ticket *ticket, uint32_t options)
{
        if (!(options & AMB_LOAN_SHARED) || (ticket->options & AMB_LOAN_SHARED))
                return;
        ticket->options |= AMB_LOAN_SHARED | (loans->named ? options & AMB_LOAN_IN : 0);
        if ((ticket->options & AMB_LOAN_IN) && lend(loans, ticket) < 0)
                ticket->options &= ~(uint32_t)AMB_LOAN_IN;
}

/* False: cut off. */
static bool borrow(struct amb_loans *loans, const struct amb_loan_message *m)
{
        struct ticket *ticket = m->ticket & AMB_LOAN_HOST_TICKET ? ticket_of_host(loans, m) : ticket_find(loans, m->ticket);
        bool lent;
        int r;

        if (!ticket)
                return refuse(loans, m->serial, loans->named || !(m->ticket & AMB_LOAN_HOST_TICKET) ? AMB_LOAN_UNSUITABLE :
                              AMB_LOAN_NOT_PERMITTED) == 0;
        /* A file for this ticket alone has been sent once; who asks again gets it made again. */
        if (ticket->is_shared)
                ticket_unlend(loans, ticket);
        ticket_for_device(loans, ticket, m->options);
        r = lend_and_answer(loans, ticket, m->serial, &lent);
        if (!lent) {
                if (ticket->id & AMB_LOAN_HOST_TICKET)
                        ticket_free(loans, ticket);
                return r == 0;
        }
        /* A snapshot is a matter of the answer: the host has its copy, or makes it from what is a file anyway. */
        if (!(ticket->options & AMB_LOAN_SHARED) && amb_list_empty(&ticket->shared.copied) && ticket->shared.export_count == 0 &&
            !ticket->in_window)
                ticket_unlend(loans, ticket);
        return r == 0;
}

static bool serve(struct amb_loans *loans, const struct amb_loan_message *m)
{
        struct ticket *ticket;

        switch (m->kind) {
        case AMB_LOAN_BORROW:
                return borrow(loans, m);
        case AMB_LOAN_RETURN:
                ticket = ticket_find(loans, m->ticket);
                if (ticket) {
                        ticket->returned = true;
                        ticket_settle(loans, ticket);
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
        struct ticket *ticket, *next_ticket;
        struct given *given, *next_given;

        amb_list_for_safe(ticket, next_ticket, &loans->tickets, link)
                ticket_free(loans, ticket);
        amb_list_for_safe(given, next_given, &loans->given, link)
                given_free(loans, given);
        orphans_end();
        if (loans->window) {
                munmap(loans->window_at, WINDOW_PLACES * window_stride());
                amb_export_end(amb_steal(loans->window));
        }
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

        pthread_mutex_lock(&lock);
        end_locked(loans);
        pthread_mutex_unlock(&lock);
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
                pthread_mutex_lock(&lock);
                amb_list_for(loans, &lenders, link) {
                        if (loans->key == event.data.u64) {
                                serve_some(loans);
                                break;
                        }
                }
                pthread_mutex_unlock(&lock);
        }
        return NULL;
}

/* --- fork --- */

/* Under the lock: what lies on this thread's stack must not be shared by two processes that both run on it. */
static void own_stack_take_back(void)
{
        uintptr_t here = (uintptr_t)__builtin_frame_address(0), low = 0, high = 0;
        struct amb_export *e, *next;
        pthread_attr_t attributes;
        size_t size = 0;
        void *base = NULL;
        bool any = false;

        for (e = amb_export_next(NULL); e; e = amb_export_next(e))
                any |= e->stack;
        if (!any || pthread_getattr_np(pthread_self(), &attributes) != 0)
                return;
        if (pthread_attr_getstack(&attributes, &base, &size) == 0) {
                low = (uintptr_t)base;
                high = low + size;
        }
        pthread_attr_destroy(&attributes);
        for (e = amb_export_next(NULL); e; e = next) {
                next = amb_export_next(e);
                if (e->stack && ((e->start >= low && e->start < high) || (e->start <= here && here < e->end)))
                        amb_export_private(e);
        }
}

/*
 * What is a file is the same memory in both processes until the child has made its copies: as long the parent waits, or what it
 * does next would be seen there. The child says when it is done, or ends.
 */
static int child_ready[2] = { -1, -1 };
static int fork_cancel;                 /* the state of the thread that forks */

static void fork_prepare(void)
{
        int cancel = amb_cancel_disable();
        struct amb_export *e;
        bool any = false;

        pthread_mutex_lock(&lock);
        fork_cancel = cancel;
        own_stack_take_back();
        for (e = amb_export_next(NULL); e; e = amb_export_next(e))
                any |= e->core < e->core_end;
        if (any && pipe2(child_ready, O_CLOEXEC) < 0)
                child_ready[0] = child_ready[1] = -1;
}

static void fork_parent(void)
{
        int cancel = fork_cancel;
        char done;

        /* No child, or a dead one: the end of the file. */
        child_ready[1] = amb_fd_close(child_ready[1]);
        while (child_ready[0] >= 0 && read(child_ready[0], &done, 1) < 0 && errno == EINTR)
                continue;
        child_ready[0] = amb_fd_close(child_ready[0]);
        pthread_mutex_unlock(&lock);
        amb_cancel_restore(&cancel);
}

static void fork_child(void)
{
        int cancel = fork_cancel;

        amb_exports_forked();
        if (child_ready[1] >= 0)
                (void)!write(child_ready[1], "", 1);
        child_ready[0] = amb_fd_close(child_ready[0]);
        child_ready[1] = amb_fd_close(child_ready[1]);
        amb_list_init(&lenders);
        watch = amb_fd_close(watch);
        pthread_mutex_unlock(&lock);
        amb_cancel_restore(&cancel);
}

/* Before there is anything to be forked with. */
__attribute__((constructor)) static void fork_watch(void)
{
        pthread_atfork(fork_prepare, fork_parent, fork_child);
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
        amb_list_append(&lenders, &loans->link);
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

        pthread_mutex_lock(&lock);
        r = socket_give(connection);
        pthread_mutex_unlock(&lock);
        return r;
}

void amb_loans_promise(struct amb_connection *connection)
{
        struct amb_loans *loans = &connection->loans;

        pthread_mutex_lock(&lock);
        amb_list_append(&promises, &loans->promise);
        atomic_fetch_add(&loans->borders, 1);
        pthread_mutex_unlock(&lock);
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
        pthread_attr_t attributes;
        size_t size = 0;
        void *base = NULL;

        if (high == 0 && pthread_getattr_np(pthread_self(), &attributes) == 0) {
                if (pthread_attr_getstack(&attributes, &base, &size) == 0) {
                        low = (uintptr_t)base;
                        high = low + size;
                }
                pthread_attr_destroy(&attributes);
        }
        return address >= low && address < high;
}

/* Under the lock: lends it now if that costs next to nothing and the host has the file: then it need not ask. */
static void lend_ahead(struct amb_loans *loans, struct ticket *ticket, struct amb_range *range)
{
        struct amb_share_client client = { has, sweep, forget, loans };

        amb_shared_init(&ticket->shared);
        if (ticket->options & AMB_LOAN_SHARED)
                ticket->is_shared = amb_share_again(ticket->segments, ticket->options & AMB_LOAN_IN, &client, &ticket->shared);
        else if (loans->window && given_find(loans, loans->window))
                ticket->is_shared = window_put(loans, ticket);
        if (!ticket->is_shared)
                return;
        if (!amb_list_empty(&ticket->shared.copied))
                atomic_fetch_add(&loans->borders, 1);
        range->file = ticket->shared.extents[0].export->id;
        range->offset = ticket->shared.extents[0].offset;
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
        pthread_mutex_lock(&lock);
        loans->next_ticket = loans->next_ticket % (AMB_LOAN_HOST_TICKET - 1) + 1;
        ret->id = ticket->id = loans->next_ticket;
        amb_list_append(&loans->tickets, &ticket->link);
        if (loans->socket >= 0)
                lend_ahead(loans, ticket, ret);
        pthread_mutex_unlock(&lock);
        return 0;
}

void amb_loan_end(struct amb_connection *connection, uint32_t id, bool retained)
{
        struct amb_loans *loans = &connection->loans;
        struct ticket *ticket;

        pthread_mutex_lock(&lock);
        ticket = ticket_find(loans, id);
        if (ticket) {
                if (ticket->is_shared)
                        amb_share_sync(&ticket->shared);
                ticket->in_call = false;
                ticket->kept = retained;
                ticket_settle(loans, ticket);
                if (retained && tickets_count(loans) > TICKETS_MAX) {
                        amb_log(AMB_LOG_WARNING, "the driver's host keeps the memory of more than %d calls; it gets no more", TICKETS_MAX);
                        end_locked(loans);
                }
        }
        pthread_mutex_unlock(&lock);
}

void amb_loans_sync_slow(struct amb_loans *loans)
{
        AMB_NO_CANCEL;
        struct ticket *ticket;

        pthread_mutex_lock(&lock);
        promises_keep();
        amb_list_for(ticket, &loans->tickets, link)
                if (ticket->is_shared)
                        amb_share_sync(&ticket->shared);
        pthread_mutex_unlock(&lock);
}
