/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The application's side of borrowed memory (channel/loan.h), for tests of the host's: a thread that answers with what the test has
 * put in.
 *
 * Each offer is a file for one ticket. A file with an id goes out with the first answer only, as the real library does.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "channel/loan.h"
#include "driver/borrow.h"
#include "driver/connection-private.h"
#include "driver/test.h"

#define LENDER_OFFERS 8

struct lender_offer {
        struct amb_loan_message extent;         /* ticket: the file's id */
        uint32_t ticket;
        int fd;
        bool sent;
        uint8_t *memory;
};

struct lender {
        int socket;
        pthread_t thread;
        pthread_mutex_t lock;
        struct lender_offer offers[LENDER_OFFERS];
        int count;
        struct amb_loan_message last;           /* the last BORROW */
        struct signal asked, returned;
};

/* The argument of a call that begins there, as the driver gets it. */
static inline IOMemoryDescriptor *borrow(struct amb_connection *c, uint32_t id, uint64_t offset, uint64_t length, uint32_t options)
{
        struct amb_range range = { .id = id, .offset = offset, .length = length };
        IOMemoryDescriptor *d = NULL;

        ck_assert_int_eq(amb_borrow_argument(c, &range, options, &d), 0);
        return d;
}

/* A file as the app's library makes it; writable: the host may store into it. */
static inline int lender_file(uint64_t size, int seals, uint8_t **ret_memory)
{
        int fd = memfd_create("lent", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
        if (ret_memory)
                *ret_memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

/* Bytes [offset, offset + length) of a new file, for the ticket; flags as in an EXTENT. The file's bytes. */
static inline uint8_t *lender_offer(struct lender *l, uint32_t ticket, uint32_t flags, uint64_t offset, uint64_t length)
{
        const uint64_t size = (offset + length + 4095) & ~4095ull;
        struct lender_offer offer = { .ticket = ticket };

        pthread_mutex_lock(&l->lock);
        ck_assert_int_lt(l->count, LENDER_OFFERS);
        offer.fd = lender_file(size, F_SEAL_SHRINK | F_SEAL_GROW, &offer.memory);
        ck_assert_int_eq(fcntl(offer.fd, F_ADD_SEALS, F_SEAL_SEAL | (flags & AMB_LOAN_WRITABLE ? 0 : F_SEAL_FUTURE_WRITE)), 0);
        offer.extent = (struct amb_loan_message){ .kind = AMB_LOAN_EXTENT,
                                                  .ticket = flags & AMB_LOAN_ONCE ? 0 : (uint32_t)l->count + 1,
                                                  .options = flags,
                                                  .offset = offset,
                                                  .length = length,
                                                  .size = size };
        l->offers[l->count++] = offer;
        pthread_mutex_unlock(&l->lock);
        return offer.memory;
}

static inline void lender_answer(struct lender *l, const struct amb_loan_message *borrow)
{
        struct amb_loan_message answer = { .kind = AMB_LOAN_ANSWER, .serial = borrow->serial, .code = AMB_LOAN_UNSUITABLE }, extent;
        struct lender_offer *offer = NULL;

        for (int i = 0; i < l->count; i++)
                if (l->offers[i].ticket == borrow->ticket)
                        offer = &l->offers[i];
        if (offer) {
                answer.code = 0;
                answer.count = 1;
                answer.options = offer->extent.options & AMB_LOAN_WRITABLE ? borrow->options
                                                                           : borrow->options & ~(uint32_t)AMB_LOAN_IN;
        }
        ck_assert_int_eq(amb_loan_send(l->socket, &answer, -1), 0);
        if (!offer)
                return;
        extent = offer->extent;
        extent.serial = borrow->serial;
        ck_assert_int_eq(amb_loan_send(l->socket, &extent, offer->sent ? -1 : offer->fd), 0);
        offer->sent = !(extent.options & AMB_LOAN_ONCE);
}

static inline void *lender_run(void *context)
{
        struct lender *l = context;
        struct pollfd pollfd = { .fd = l->socket, .events = POLLIN };
        struct amb_loan_message m;
        int fd = -1, r;

        for (;;) {
                r = amb_loan_receive(l->socket, &m, &fd);
                if (r == AMB_PACKET_NOTHING) {
                        poll(&pollfd, 1, -1);
                        continue;
                }
                if (r != 0)
                        return NULL;
                ck_assert_int_eq(fd, -1);
                pthread_mutex_lock(&l->lock);
                if (m.kind == AMB_LOAN_BORROW) {
                        l->last = m;
                        lender_answer(l, &m);
                }
                pthread_mutex_unlock(&l->lock);
                if (m.kind == AMB_LOAN_BORROW)
                        signal_add(&l->asked);
                else if (m.kind == AMB_LOAN_RETURN)
                        signal_add(&l->returned);
        }
}

/* The host's end, for LOANS; the thread ends when the last copy of it is closed. */
static inline int lender_start(struct lender *l)
{
        int pair[2];

        *l = (struct lender){ .lock = PTHREAD_MUTEX_INITIALIZER, .asked = SIGNAL_INIT, .returned = SIGNAL_INIT };
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        l->socket = pair[0];
        ck_assert_int_eq(pthread_create(&l->thread, NULL, lender_run, l), 0);
        return pair[1];
}

static inline void lender_end(struct lender *l)
{
        pthread_join(l->thread, NULL);
        for (int i = 0; i < l->count; i++) {
                munmap(l->offers[i].memory, l->offers[i].extent.size);
                close(l->offers[i].fd);
        }
        close(l->socket);
}

/* A connection that nobody calls, and an application that lends. */
static inline struct amb_connection *borrower(struct lender *lender)
{
        struct amb_connection_options options = { .id = 1, .process = -1 };
        struct amb_connection *c = NULL;
        int pair[2];

        ck_assert_int_eq(amb_channel_create(&options.channel), 0);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        close(pair[0]);
        options.side = pair[1];
        ck_assert_int_eq(amb_connection_new(&options, &c), 0);
        ck_assert(amb_borrows_start(&c->borrows, lender_start(lender)));
        return c;
}

static inline void borrower_end(struct amb_connection *c, struct lender *lender)
{
        amb_connection_release(c);
        lender_end(lender);
}
