/* SPDX-License-Identifier: Apache-2.0 */
/* An application's memory that a driver has for a while: arguments of calls, what it keeps, what the application does meanwhile. */
#include <fcntl.h>
#include <sys/stat.h>

#include "driver/borrow.h"
#include "driver/connection-private.h"
#include "driver/test-lender.h"
#include "driver/test-memory.h"

/* How long an application may keep a driver waiting does not grow with the length that it names. */
START_TEST(input_beyond_measure)
{
        struct lender lender;
        struct amb_connection *c = borrower(&lender);
        IOMemoryDescriptor *d;
        IOMemoryMap *m;

        amb_borrow_wait_ns = 100000000;
        pthread_mutex_lock(&lender.lock);       /* it does not answer */
        d = borrow(c, 1, 0, 1ull << 62, AMB_LOAN_OUT);
        ck_assert_int_eq(map(d, 0, 0, 0, 0, &m), kIOReturnError);
        pthread_mutex_unlock(&lender.lock);
        OSObject_release(d);
        borrower_end(c, &lender);
}
END_TEST

START_TEST(structure_input)
{
        struct lender lender;
        struct amb_connection *c = borrower(&lender);
        uint8_t *memory = lender_offer(&lender, 1, 0, 0x123, 5000);
        IOMemoryDescriptor *d;
        IOMemoryMap *m, *part;
        struct amb_memory_extent *extents;
        uint32_t count;

        memset(memory, 1, 0x123 + 5000);
        d = borrow(c, 1, 0x123, 5000, AMB_LOAN_OUT);
        ck_assert_uint_eq(length_of(d), 5000);
        ck_assert_int_eq(signal_count(&lender.asked), 0);
        memory[0x123] = 2;
        ck_assert_int_eq(map(d, 0, 0, 0, 0, &m), 0);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m) % P, 0x123);
        ck_assert_int_eq(at(m)[0], 2);
        /* a snapshot of the first mapping, with nothing of the page around it */
        memory[0x123] = 3;
        ck_assert_int_eq(at(m)[0], 2);
        ck_assert_int_eq(at(m)[-1], 0);
        ck_assert(faults(at(m), true));
        ck_assert_int_eq(map(d, kIOMemoryMapFixedAddress, free_space(4 * P) + 0x123, 0, 0, &part), 0);
        ck_assert_ptr_ne(at(part), at(m));
        ck_assert_mem_eq(at(part), at(m), 5000);
        ck_assert(faults(at(part), true));
        OSObject_release(part);
        OSObject_release(m);
        ck_assert_int_eq(map(d, 0, 0, 0, 10, &part), 0);
        ck_assert_int_eq(at(part)[0], 2);
        OSObject_release(part);
        signal_wait(&lender.asked, 1);
        ck_assert_int_eq(amb_memory_share(d, false, &extents, &count), AMB_MEMORY_REFUSED);
        OSObject_release(d);
        ck_assert_int_eq(signal_count(&lender.asked), 1);
        borrower_end(c, &lender);
        ck_assert_int_eq(signal_count(&lender.returned), 0);
}
END_TEST

/* A snapshot is the same whether the file has holes or not, and where it had been something else before. */
START_TEST(structure_input_with_holes)
{
        static const uint8_t zeros[4096];
        struct lender lender;
        struct amb_connection *c = borrower(&lender);
        uint8_t *memory = lender_offer(&lender, 1, AMB_LOAN_WRITABLE, 16, 4 * 4096 - 32);
        IOMemoryDescriptor *d;
        IOMemoryMap *m;

        for (int round = 0; round < 3; round++) {
                if (round == 1)
                        memset(memory, 9, 4 * 4096);
                else if (round == 2)
                        ck_assert_int_eq(fallocate(lender.offers[0].fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192), 0);
                memory[3 * 4096] = 5;
                d = borrow(c, 1, 16, 4 * 4096 - 32, AMB_LOAN_OUT);
                ck_assert_int_eq(map(d, 0, 0, 0, 0, &m), 0);
                ck_assert_mem_eq(at(m), memory + 16, 4 * 4096 - 32);
                ck_assert_mem_eq(at(m) - 16, zeros, 16);
                ck_assert_mem_eq(at(m) + 4 * 4096 - 32, zeros, 16);
                OSObject_release(m);
                OSObject_release(d);
        }
        borrower_end(c, &lender);
}
END_TEST

START_TEST(structure_output)
{
        struct lender lender;
        struct amb_connection *c = borrower(&lender);
        uint8_t *memory = lender_offer(&lender, 7, AMB_LOAN_WRITABLE, 1, 5000);
        IOMemoryDescriptor *d;
        IOMemoryMap *m;

        for (int round = 1; round <= 3; round++) {
                d = borrow(c, 7, 1, 5000, AMB_LOAN_IN | AMB_LOAN_SHARED);
                ck_assert_int_eq(map(d, 0, 0, 0, 0, &m), 0);
                ck_assert_uint_eq(IOMemoryMap_GetAddress(m) % P, 1);
                at(m)[4999] = (uint8_t)round;
                ck_assert_int_eq(memory[1 + 4999], round);
                memory[1] = (uint8_t)(100 + round);
                ck_assert_int_eq(at(m)[0], 100 + round);
                OSObject_release(m);
                ck_assert_int_eq(map(d, kIOMemoryMapReadOnly, 0, 0, 0, &m), 0);
                ck_assert(faults(at(m), true));
                OSObject_release(m);
                OSObject_release(d);
        }
        ck_assert_int_eq(signal_count(&lender.returned), 0);
        borrower_end(c, &lender);
}
END_TEST

/*
 * What a driver keeps is given back once, with the last reference; what the application does not have is an error that can be tried
 * again.
 */
START_TEST(kept_and_refused)
{
        struct lender lender;
        struct amb_connection *c = borrower(&lender);
        struct amb_loan_segment named[2] = { { 0x1000, 0x1000 }, { 0x2000, 5 } };
        IOMemoryDescriptor *d, *argument;
        IOMemoryMap *m = MARK;
        uint8_t *memory;

        argument = borrow(c, 3, 0, 5000, AMB_LOAN_IN | AMB_LOAN_SHARED);
        ck_assert_int_eq(map(argument, 0, 0, 0, 0, &m), kIOReturnError);
        ck_assert_ptr_eq(m, MARK);
        lender_offer(&lender, 3, AMB_LOAN_WRITABLE, 0, 5000);
        ck_assert_int_eq(map(argument, 0, 0, 0, 0, &m), 0);
        amb_borrow_keep(argument);
        OSObject_release(argument);
        ck_assert_int_eq(signal_count(&lender.returned), 0);
        OSObject_release(m);
        signal_wait(&lender.returned, 1);
        /* of the host's own tickets it says what they are: merged segments */
        ck_assert_int_eq(amb_borrow_named(c, named, 2, AMB_LOAN_SHARED, &d), 0);
        ck_assert_int_eq(map(d, 0, 0, 0, 0, &m), kIOReturnError);
        signal_wait(&lender.asked, 3);
        ck_assert(lender.last.ticket & AMB_LOAN_HOST_TICKET);
        ck_assert_uint_eq(lender.last.options, AMB_LOAN_IN | AMB_LOAN_OUT | AMB_LOAN_SHARED);
        ck_assert_uint_eq(lender.last.count, 1);
        ck_assert(lender.last.segments[0].address == 0x1000 && lender.last.segments[0].length == 0x1005);
        memory = lender_offer(&lender, lender.last.ticket, AMB_LOAN_WRITABLE, 0, 0x1005);
        ck_assert_int_eq(map(d, 0, 0, 0, 0, &m), 0);
        at(m)[0x1004] = 4;
        ck_assert_int_eq(memory[0x1004], 4);
        OSObject_release(m);
        OSObject_release(d);
        signal_wait(&lender.returned, 2);
        borrower_end(c, &lender);
        ck_assert_int_eq(signal_count(&lender.returned), 2);
}
END_TEST

/* Everybody's fstat here: what the application does to its file right after the host has looked at that. */
static void (*after_look)(int fd);

int fstat(int fd, struct stat *ret)
{
        int r = fstatat(fd, "", ret, AT_EMPTY_PATH);

        if (after_look)
                after_look(fd);
        return r;
}

static void cut_short(int fd)
{
        ck_assert_int_eq(ftruncate(fd, (off_t)P), 0);
}

/* The application's own file, of which it says that it has `length` bytes, all of them offered to ticket 1. */
static int offer_own_file(struct lender *l, uint64_t length)
{
        struct lender_offer *offer = &l->offers[0];

        *offer = (struct lender_offer){ .ticket = 1 };
        offer->fd = lender_file(length, 0, &offer->memory);
        offer->extent = (struct amb_loan_message){ .kind = AMB_LOAN_EXTENT, .ticket = 1, .length = length, .size = length,
                                                   .options = AMB_LOAN_WRITABLE | AMB_LOAN_OPEN };
        l->count = 1;
        return offer->fd;
}

static kern_return_t borrow_and_map(struct amb_connection *c, uint64_t length, IOMemoryMap **ret)
{
        IOMemoryDescriptor *d = borrow(c, 1, 0, length, AMB_LOAN_IN | AMB_LOAN_SHARED);
        kern_return_t code = map(d, 0, 0, 0, 0, ret);

        OSObject_release(d);
        return code;
}

/* A program may shorten its own file at any time, also between two looks of the host's: that is no breach. */
START_TEST(own_file_cut_short_meanwhile)
{
        struct lender lender;
        struct amb_connection *c = borrower(&lender);
        kern_return_t code;
        IOMemoryMap *m;

        offer_own_file(&lender, 4 * P);
        after_look = cut_short;
        code = borrow_and_map(c, 4 * P, &m);
        after_look = NULL;
        ck_assert(!c->over);
        ck_assert_int_eq(code, 0);
        at(m)[P - 1] = 1;
        at(m)[4 * P - 1] = 2;                   /* not there any more: zeros, in place of the end */
        ck_assert_int_eq(lender.offers[0].memory[P - 1], 1);
        OSObject_release(m);
        borrower_end(c, &lender);
}
END_TEST

/* What was too short is an error; it is mapped when it has its length again, though the host has known the file since. */
START_TEST(own_file_long_again)
{
        struct lender lender;
        struct amb_connection *c = borrower(&lender);
        int fd = offer_own_file(&lender, 4 * P);
        IOMemoryMap *m;

        for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(ftruncate(fd, i * (off_t)P), 0);
                ck_assert_int_ne(borrow_and_map(c, 4 * P, &m), 0);
        }
        ck_assert_int_eq(ftruncate(fd, 4 * P), 0);
        ck_assert_int_eq(borrow_and_map(c, 4 * P, &m), 0);
        at(m)[4 * P - 1] = 2;
        ck_assert_int_eq(lender.offers[0].memory[4 * P - 1], 2);
        ck_assert(!c->over);
        OSObject_release(m);
        borrower_end(c, &lender);
}
END_TEST

int main(void)
{
        return run_suite("borrow", input_beyond_measure, structure_input, structure_input_with_holes, structure_output,
                         kept_and_refused, own_file_cut_short_meanwhile, own_file_long_again);
}
