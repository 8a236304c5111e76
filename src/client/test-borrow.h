/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A host's side of loans for tests: asks for tickets, keeps files by their ids, maps what the extents name end to end. One question
 * at a time; aborts where the application's library breaks the protocol.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "channel/loan.h"

#define BORROWER_FILES 8192

struct borrower_file {
        uint32_t id;
        int fd;
        uint64_t size;
};

struct borrower {
        int socket;
        pthread_mutex_t lock;
        pthread_cond_t arrived;         /* the socket, or the end */
        bool over;
        uint32_t serial, borrows, new_files, drops;
        struct borrower_file *files;
        uint32_t file_count;
        /* Every file that ever came is kept open here, as a host that wants to see more than it should would do. */
        bool hoards;
        int *hoard;
        uint32_t hoard_count;
};

/* What a ticket has become. */
struct borrowed {
        int32_t code;
        uint32_t ticket, count, options;
        struct amb_loan_message extents[AMB_LOAN_EXTENTS_MAX];
        uint64_t length;                /* described bytes */
        char *memory;                   /* these, mapped end to end */
        void *base;
        size_t size;
};

AMB_UNUSED static void borrower_init(struct borrower *b)
{
        *b = (struct borrower){ .socket = -1 };
        pthread_mutex_init(&b->lock, NULL);
        pthread_cond_init(&b->arrived, NULL);
        b->files = calloc(BORROWER_FILES, sizeof(*b->files));
        b->hoard = calloc(BORROWER_FILES, sizeof(*b->hoard));
        if (!b->files || !b->hoard)
                abort();
}

AMB_UNUSED static void borrower_end(struct borrower *b)
{
        for (uint32_t i = 0; i < b->file_count; i++)
                close(b->files[i].fd);
        for (uint32_t i = 0; i < b->hoard_count; i++)
                close(b->hoard[i]);
        b->socket = amb_fd_close(b->socket);
        free(b->files);
        free(b->hoard);
        b->files = NULL;
        b->hoard = NULL;
        b->file_count = b->hoard_count = 0;
        pthread_cond_destroy(&b->arrived);
        pthread_mutex_destroy(&b->lock);
}

/* The application has made its socket, or (-1) never will. */
AMB_UNUSED static void borrower_start(struct borrower *b, int socket)
{
        pthread_mutex_lock(&b->lock);
        if (socket >= 0 && b->socket >= 0)
                abort();
        if (socket >= 0)
                b->socket = socket;
        else
                b->over = true;
        pthread_cond_broadcast(&b->arrived);
        pthread_mutex_unlock(&b->lock);
}

/* A call may be here before the socket, if another thread is just sending it. */
AMB_UNUSED static bool borrower_await(struct borrower *b)
{
        bool there;

        pthread_mutex_lock(&b->lock);
        while (b->socket < 0 && !b->over)
                pthread_cond_wait(&b->arrived, &b->lock);
        there = b->socket >= 0;
        pthread_mutex_unlock(&b->lock);
        return there;
}

static struct borrower_file *borrower_file(struct borrower *b, uint32_t id)
{
        for (uint32_t i = 0; i < b->file_count; i++)
                if (b->files[i].id == id)
                        return &b->files[i];
        return NULL;
}

static void borrower_drop(struct borrower *b, uint32_t id)
{
        struct borrower_file *file = borrower_file(b, id);

        if (!file)
                abort();
        close(file->fd);
        *file = b->files[--b->file_count];
        b->drops++;
}

/* False: the application has closed the socket. */
static bool borrower_receive(struct borrower *b, struct amb_loan_message *ret, int *ret_fd)
{
        struct pollfd ready = { .fd = b->socket, .events = POLLIN };
        int r;

        while ((r = amb_loan_receive(b->socket, ret, ret_fd)) == AMB_PACKET_NOTHING)
                poll(&ready, 1, -1);
        if (r == AMB_PACKET_BROKEN)
                abort();
        return r == 0;
}

/* The file of an extent; *ret_close: it is the extent's alone. */
static int borrower_take(struct borrower *b, const struct amb_loan_message *m, int fd, bool *ret_close)
{
        struct borrower_file *file = m->ticket ? borrower_file(b, m->ticket) : NULL;

        *ret_close = m->ticket == 0;
        if ((fd < 0) != (file != NULL) || (m->ticket == 0) != !!(m->options & AMB_LOAN_ONCE))
                abort();
        if (fd >= 0 && !amb_loan_file_check(fd, m->size, m->options))
                abort();
        if (fd >= 0 && b->hoards && b->hoard_count < BORROWER_FILES)
                b->hoard[b->hoard_count++] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (file)
                return file->fd;
        if (m->ticket) {
                if (b->file_count == AMB_LOAN_FILES_MAX)
                        abort();
                b->files[b->file_count++] = (struct borrower_file){ m->ticket, fd, m->size };
                b->new_files++;
        }
        return fd;
}

/* All extents end to end, as one view. */
static void borrower_map(struct borrowed *borrowed, const int *fds)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE), at = borrowed->extents[0].offset % page;

        borrowed->size = (at + borrowed->length + page - 1) & ~(page - 1);
        borrowed->base = mmap(NULL, borrowed->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (borrowed->base == MAP_FAILED)
                abort();
        borrowed->memory = (char *)borrowed->base + at;
        for (uint32_t i = 0; i < borrowed->count; i++) {
                const struct amb_loan_message *m = &borrowed->extents[i];
                size_t into = m->offset % page, start = at - into;

                /* Junctions are on page borders. */
                if (into != at % page || (i > 0 && into != 0))
                        abort();
                if (mmap((char *)borrowed->base + start, into + m->length,
                         PROT_READ | (m->options & AMB_LOAN_WRITABLE ? PROT_WRITE : 0), MAP_SHARED | MAP_FIXED, fds[i],
                         (off_t)(m->offset - into)) == MAP_FAILED)
                        abort();
                at += m->length;
        }
}

static void borrowed_unmap(struct borrowed *borrowed)
{
        if (borrowed->base)
                munmap(borrowed->base, borrowed->size);
        borrowed->base = borrowed->memory = NULL;
}

/* Reads one answer with its extents. False: cut off. */
static bool borrower_answer(struct borrower *b, uint32_t serial, struct borrowed *ret)
{
        bool answered = false, alone[AMB_LOAN_EXTENTS_MAX];
        uint32_t expected = 0;
        int fds[AMB_LOAN_EXTENTS_MAX];

        while (!answered || ret->count < expected) {
                struct amb_loan_message m;
                int fd;

                if (!borrower_receive(b, &m, &fd))
                        return false;
                if (m.kind == AMB_LOAN_DROP && fd < 0) {
                        borrower_drop(b, m.ticket);
                } else if (m.kind == AMB_LOAN_ANSWER && m.serial == serial && fd < 0 && !answered &&
                           m.count <= AMB_LOAN_EXTENTS_MAX) {
                        answered = true;
                        ret->code = m.code;
                        ret->options = m.options;
                        expected = m.code == 0 ? m.count : 0;
                } else if (m.kind == AMB_LOAN_EXTENT && m.serial == serial && answered) {
                        fds[ret->count] = borrower_take(b, &m, fd, &alone[ret->count]);
                        ret->extents[ret->count++] = m;
                        ret->length += m.length;
                } else {
                        abort();
                }
        }
        if (ret->count > 0)
                borrower_map(ret, fds);
        for (uint32_t i = 0; i < ret->count; i++)
                if (alone[i])
                        close(fds[i]);
        return true;
}

/* Asks; count 0: the application's own ticket. False: cut off. ret->code is the answer's; mapped if it is 0. */
AMB_UNUSED static bool borrower_borrow(struct borrower *b, uint32_t ticket, uint32_t options,
                                       const struct amb_loan_segment *segments, uint32_t count, struct borrowed *ret)
{
        struct amb_loan_message m = { .kind = AMB_LOAN_BORROW, .ticket = ticket, .options = options, .count = count };
        bool fine;

        *ret = (struct borrowed){ .ticket = ticket };
        if (count > 0)
                memcpy(m.segments, segments, count * sizeof(*segments));
        pthread_mutex_lock(&b->lock);
        m.serial = ++b->serial;
        b->borrows++;
        fine = amb_loan_send(b->socket, &m, -1) == 0 && borrower_answer(b, m.serial, ret);
        pthread_mutex_unlock(&b->lock);
        return fine;
}

/* Everything that was sent so far has been served when this returns; drops have been taken. A ticket that nobody has. */
AMB_UNUSED static bool borrower_barrier(struct borrower *b)
{
        struct borrowed none;

        return borrower_borrow(b, AMB_LOAN_HOST_TICKET - 1, 0, NULL, 0, &none) && none.code != 0;
}

/* Gives it back, and waits until the application knows. */
AMB_UNUSED static void borrower_return(struct borrower *b, struct borrowed *borrowed)
{
        struct amb_loan_message m = { .kind = AMB_LOAN_RETURN, .ticket = borrowed->ticket };

        borrowed_unmap(borrowed);
        if (amb_loan_send(b->socket, &m, -1) != 0 || !borrower_barrier(b))
                abort();
}
