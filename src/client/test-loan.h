/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests of loans: a connection whose host can borrow, tickets without calls around them, and looks at what is mapped. */
#include <IOKit/IOKitLib.h>
#include <mach/mach.h>

#include <stdio.h>

#include "base/sanitizer.h"
#include "base/test-process.h"
#include "base/test-suite.h"
#include "client/test-host.h"
#include "client/vma.h"

#define OUTPUT (AMB_LOAN_IN | AMB_LOAN_SHARED)          /* of a structure output */
#define INPUT AMB_LOAN_OUT

struct lender {
        struct host host;
        io_connect_t handle;
        struct amb_connection *connection;
        struct borrower *borrower;
};

static size_t page_bytes(void)
{
        return (size_t)sysconf(_SC_PAGESIZE);
}

static void lender_open(struct lender *l)
{
        memset(l, 0, sizeof(*l));
        l->handle = host_open(&l->host);
        l->connection = amb_handle_pin(l->handle);
        amb_handle_unpin(l->handle);
        l->borrower = &l->host.borrower;
        ck_assert_int_eq(amb_loans_need(l->connection), 0);
        ck_assert(borrower_await(l->borrower));
}

static void lender_close(struct lender *l)
{
        ck_assert_int_eq(IOServiceClose(l->handle), 0);
        host_end(&l->host);
}

/* A call's argument that the driver maps: the ticket in *ret->ticket. */
static void lend(struct lender *l, const void *at, size_t length, uint32_t options, struct borrowed *ret)
{
        struct amb_range range;
        uint32_t ticket;

        ck_assert_int_eq(amb_loan_begin(l->connection, at, length, options, &range), 0);
        ticket = range.id;
        ck_assert(borrower_borrow(l->borrower, ticket, 0, NULL, 0, ret));
        if (ret->code == 0)
                ck_assert_uint_eq(ret->length, length);
        else
                ck_assert_int_eq(ret->code, AMB_LOAN_UNSUITABLE);
}

/* The call's end; the driver does not keep it. */
static void unlend(struct lender *l, struct borrowed *borrowed)
{
        borrowed_unmap(borrowed);
        amb_loan_end(l->connection, borrowed->ticket, false);
}

AMB_UNUSED static void *pages(size_t count)
{
        void *at = mmap(NULL, count * page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        ck_assert_ptr_ne(at, MAP_FAILED);
        return at;
}

AMB_UNUSED static bool is_private(const void *at)
{
        struct amb_vma vma;

        /* In the middle of an exchange the kernel may say for a moment that nothing is there. */
        return amb_vma_find((uintptr_t)at, &vma) == 0 && !vma.shared && vma.inode == 0;
}

/* Of this process, or, where a sanitizer maps memory of its own, of our files in it. */
AMB_UNUSED static int count_mappings(void)
{
        return process_mappings(getpid(), AMB_SANITIZED ? "memfd:" : NULL);
}

/* Does any file that the host ever got hold the bytes? */
AMB_UNUSED static bool hoard_has(struct borrower *b, const void *bytes, size_t length)
{
        bool found = false;

        pthread_mutex_lock(&b->lock);
        for (uint32_t i = 0; i < b->hoard_count && !found; i++) {
                struct stat st;
                char *file;

                ck_assert_int_eq(fstat(b->hoard[i], &st), 0);
                if (st.st_size == 0)
                        continue;
                file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, b->hoard[i], 0);
                ck_assert_ptr_ne(file, MAP_FAILED);
                found = memmem(file, (size_t)st.st_size, bytes, length) != NULL;
                munmap(file, (size_t)st.st_size);
        }
        pthread_mutex_unlock(&b->lock);
        return found;
}

/* A border, as a call or a completion is. */
AMB_UNUSED static void border(struct lender *l)
{
        amb_loans_sync(&l->connection->loans);
}

/* Who wants many rounds has the time for them. */
AMB_UNUSED static void set_time(TCase *tcase)
{
        tcase_set_timeout(tcase, getenv("AMBIDEXT_TEST_ROUNDS") ? 3600 : 160);
}
