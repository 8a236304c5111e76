/* SPDX-License-Identifier: Apache-2.0 */
/* IODMACommand (memory-and-queues 2.9): what is prepared is the memory itself, an application's too; and what is refused. */
#include <DriverKit/IODMACommand.h>

#include "driver/test-lender.h"
#include "driver/test-memory.h"

static IODMACommand *command(uint64_t bits)
{
        const IODMACommandSpecification specification = { kIODMACommandSpecificationNoOptions, bits, { 0 } };
        IODMACommand *made = NULL;

        ck_assert_int_eq(IODMACommand_Create(NULL, kIODMACommandCreateNoOptions, &specification, &made), 0);
        ck_assert_uint_eq(OSObject_getRetainCount(made), 1);
        return made;
}

/* All of the memory, in one segment: where it is. */
static uint8_t *prepare(IODMACommand *c, void *memory, uint64_t want_flags, uint64_t want_length)
{
        IOAddressSegment segments[32] = { 0 };
        uint64_t flags = 77;
        uint32_t count = 32;

        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, kIODMACommandPrepareForDMANoOptions, memory, 0, 0, &flags, &count,
                                                    segments), 0);
        ck_assert_uint_eq(flags, want_flags);
        ck_assert_uint_eq(count, 1);
        ck_assert_uint_eq(segments[0].length, want_length);
        return (uint8_t *)(uintptr_t)segments[0].address;
}

START_TEST(create_refuses)
{
        IODMACommandSpecification specification = { 0, 255, { 0 } };
        IODMACommand *c = MARK;

        ck_assert_uint_eq(sizeof(specification), 144);
        ck_assert_int_eq(IODMACommand_Create(NULL, 1, &specification, &c), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_Create(NULL, 0, NULL, &c), kIOReturnBadArgument);
        specification.maxAddressBits = 256;
        ck_assert_int_eq(IODMACommand_Create(NULL, 0, &specification, &c), kIOReturnBadArgument);
        ck_assert_ptr_eq(c, MARK);
        OSObject_release(command(255));
}
END_TEST

START_TEST(buffers)
{
        IOBufferMemoryDescriptor *b = buffer_of(kIOMemoryDirectionInOut, 3 * P);
        IODMACommand *c = command(64);
        IOAddressSegment segment = { 0 };
        uint64_t flags = 0;
        uint32_t count = 1;
        uint8_t *at = own_view(b);

        ck_assert_ptr_eq(prepare(c, b, kIOMemoryDirectionInOut, 3 * P), at);
        ck_assert_int_eq(IODMACommand_CompleteDMA(c, 0), 0);
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, &b->descriptor, P, 5, &flags, &count, &segment), 0);
        ck_assert(segment.address == (uintptr_t)at + P && segment.length == 5 && count == 1);
        /* The same one again: what was prepared of it has ended. */
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, &b->descriptor, P, 0, &flags, &count, &segment), 0);
        ck_assert(segment.address == (uintptr_t)at + P && segment.length == 2 * P);
        ck_assert_int_eq(IODMACommand_CompleteDMA(c, 0), 0);
        ck_assert_int_eq(IODMACommand_CompleteDMA(c, 0), kIOReturnNotReady);
        OSObject_release(b);
        b = buffer_of(kIOMemoryDirectionOut, 100);
        at = prepare(c, b, kIOMemoryDirectionOut, 100);
        /* It keeps the memory, until it is complete or the command is freed. */
        OSObject_release(b);
        at[99] = 1;
        ck_assert(!gone(at));
        OSObject_release(c);
        ck_assert(gone(at));
}
END_TEST

START_TEST(misuse)
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P), *other = buffer_of(3, P);
        IODMACommand *c = command(0);
        IOAddressSegment segments[32] = { { 7, 7 } };
        IOMemoryDescriptor *d = &b->descriptor, *found = MARK;
        uint64_t flags = 7, offset = 7, length = 7;
        uint32_t count = 33;

        ck_assert_int_eq(IODMACommand_CompleteDMA(c, 0), kIOReturnNotReady);
        ck_assert_int_eq(IODMACommand_CompleteDMA(c, 1), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_GetPreparation(c, &offset, &length, &found), kIOReturnNotReady);
        ck_assert(offset == 7 && length == 7 && found == MARK);
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, d, 0, 0, &flags, &count, segments), kIOReturnOverrun);
        count = 0;
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, d, 0, 0, &flags, &count, segments), kIOReturnBadArgument);
        count = 32;
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 1, d, 0, 0, &flags, &count, segments), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, NULL, 0, 0, &flags, &count, segments), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, (void *)c, 0, 0, &flags, &count, segments), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, d, 0, 0, NULL, &count, segments), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, d, 0, 0, &flags, NULL, segments), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, d, 0, 0, &flags, &count, NULL), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, d, 0, P + 1, &flags, &count, segments), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, d, P, 0, &flags, &count, segments), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, d, UINT64_MAX, 2, &flags, &count, segments), kIOReturnBadArgument);
        ck_assert(flags == 7 && count == 32 && segments[0].address == 7);
        ck_assert_int_eq(IODMACommand_CompleteDMA(c, 0), kIOReturnNotReady);

        prepare(c, b, 3, P);
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, &other->descriptor, 0, 0, &flags, &count, segments), kIOReturnBusy);
        ck_assert_int_eq(IODMACommand_CompleteDMA(c, 2), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_GetPreparation(c, &offset, &length, &found), 0);
        ck_assert(offset == 0 && length == P && found == d);
        ck_assert_uint_eq(OSObject_getRetainCount(b), 3);
        OSObject_release(found);
        ck_assert_int_eq(IODMACommand_GetPreparation(c, NULL, NULL, NULL), 0);
        ck_assert_int_eq(IODMACommand_CompleteDMA(c, 0), 0);
        ck_assert_uint_eq(OSObject_getRetainCount(b), 1);
        prepare(c, other, 3, P);
        OSObject_release(c);
        ck_assert_uint_eq(OSObject_getRetainCount(other), 1);
        OSObject_release(b);
        OSObject_release(other);
}
END_TEST

/* What meets at borders of pages is one segment, what does not is one for each; and there may be room for fewer. */
START_TEST(joined)
{
        IOBufferMemoryDescriptor *b[2] = { buffer_of(3, P), buffer_of(3, 100) }, *odd = buffer_of(3, 100);
        IODMACommand *c = command(64);
        IOAddressSegment segments[32] = { 0 };
        IOMemoryDescriptor *whole, *pieces;
        uint64_t flags;
        uint32_t count = 1;
        uint8_t *at;

        IOMemoryDescriptor *parts[] = { &b[0]->descriptor, &b[1]->descriptor };
        IOMemoryDescriptor *odds[] = { &odd->descriptor, &b[1]->descriptor, &odd->descriptor };

        whole = joined_of(parts, 2);
        at = prepare(c, whole, 3, P + 100);
        at[P] = 5;
        ck_assert_int_eq(own_view(b[1])[0], 5);
        ck_assert_int_eq(IODMACommand_CompleteDMA(c, 0), 0);

        pieces = joined_of(odds, 3);
        count = 32;
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, pieces, 50, 200, &flags, &count, segments), 0);
        ck_assert_uint_eq(count, 3);
        ck_assert(segments[0].address == (uintptr_t)own_view(odd) + 50 && segments[0].length == 50);
        ck_assert(segments[1].address == (uintptr_t)own_view(b[1]) && segments[1].length == 100);
        ck_assert(segments[2].address == (uintptr_t)own_view(odd) && segments[2].length == 50);
        count = 2;
        memset(segments, 0, sizeof(segments));
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, pieces, 0, 0, &flags, &count, segments), 0);
        ck_assert_uint_eq(count, 2);
        ck_assert_uint_eq(segments[0].length + segments[1].length, 200);
        ck_assert_uint_eq(segments[2].address, 0);
        OSObject_release(c);
        OSObject_release(whole);
        OSObject_release(pieces);
        OSObject_release(odd);
        OSObject_release(b[0]);
        OSObject_release(b[1]);
}
END_TEST

static uint8_t *view_of(IOMemoryDescriptor *d, IOMemoryMap **ret)
{
        ck_assert_int_eq(map(d, 0, 0, 0, 0, ret), 0);
        return at(*ret);
}

/*
 * A structure input is a snapshot where it is mapped, and the application's memory where it is prepared, whichever comes first;
 * also after the call, when the driver keeps it (real-code 1.1).
 */
static void check_structure_input(bool mapped_first)
{
        struct lender lender;
        struct amb_connection *c = borrower(&lender);
        uint8_t *memory = lender_offer(&lender, 1, 0, 0x123, 5000), *at, *copy;
        IODMACommand *dma = command(64);
        IOMemoryDescriptor *d, *part;
        IOMemoryMap *m;

        d = borrow(c, 1, 0x123, 5000, AMB_LOAN_OUT);
        memory[0x123] = 1;
        if (mapped_first) {
                copy = view_of(d, &m);
                ck_assert_uint_eq(lender.last.options, AMB_LOAN_OUT);
        }
        at = prepare(dma, d, kIOMemoryDirectionOut, 5000);
        ck_assert_uint_eq((uintptr_t)at % P, 0x123);
        ck_assert_uint_eq(lender.last.options, AMB_LOAN_IN | AMB_LOAN_OUT | AMB_LOAN_SHARED);
        if (!mapped_first)
                copy = view_of(d, &m);
        /* The map is made of what the device has: the application has not been asked to lend it another time. */
        signal_wait(&lender.asked, mapped_first ? 2 : 1);
        memory[0x123] = 2;
        memory[0x123 + 4999] = 3;
        ck_assert_int_eq(copy[0], 1);
        ck_assert(at[0] == 2 && at[4999] == 3);
        ck_assert(faults(at, true));
        amb_borrow_keep(d);
        OSObject_release(m);
        ck_assert_int_eq(IODMACommand_CompleteDMA(dma, 0), 0);
        /* A part of it as well; and the second time nobody is asked. */
        ck_assert_int_eq(IOMemoryDescriptor_CreateSubMemoryDescriptor(kIOMemoryDirectionOut, 4, 4096, d, &part), 0);
        at = prepare(dma, part, kIOMemoryDirectionOut, 4096);
        OSObject_release(part);
        OSObject_release(d);
        memory[0x123 + 4] = 4;
        ck_assert_int_eq(at[0], 4);
        ck_assert_int_eq(signal_count(&lender.returned), 0);
        ck_assert_int_eq(IODMACommand_CompleteDMA(dma, 0), 0);
        signal_wait(&lender.returned, 1);
        OSObject_release(dma);
        borrower_end(c, &lender);
        ck_assert_int_eq(signal_count(&lender.asked), mapped_first ? 2 : 1);
        ck_assert_int_eq(signal_count(&lender.returned), 1);
}

START_TEST(structure_input_mapped_first)
{
        check_structure_input(true);
}
END_TEST

START_TEST(structure_input_prepared_first)
{
        check_structure_input(false);
}
END_TEST

/* Existing drivers let devices write what their applications call an input: it is, if the application lends it so. */
START_TEST(structure_input_written)
{
        struct lender lender;
        struct amb_connection *c = borrower(&lender);
        uint8_t *memory = lender_offer(&lender, 1, AMB_LOAN_WRITABLE, 0x10, 5000), *at;
        IODMACommand *dma = command(64);
        IOMemoryDescriptor *d;
        IOMemoryMap *m;

        d = borrow(c, 1, 0x10, 5000, AMB_LOAN_OUT);
        at = prepare(dma, d, kIOMemoryDirectionOut, 5000);
        ck_assert_ptr_ne(view_of(d, &m), at);
        at[1] = 7;
        ck_assert_int_eq(memory[0x11], 7);
        ck_assert(faults(view_of(d, &m), true));
        ck_assert_int_eq(IODMACommand_PerformOperation(dma, kIODMACommandPerformOperationOptionZero, 1, 1, 0, NULL),
                         kIOReturnUnderrun);
        OSObject_release(m);
        OSObject_release(m);
        OSObject_release(dma);
        OSObject_release(d);
        borrower_end(c, &lender);
}
END_TEST

/* What the driver has named itself: the device may write it if the direction says so. It is given back once. */
START_TEST(named)
{
        struct lender lender;
        struct amb_connection *c = borrower(&lender);
        struct amb_loan_segment segment = { 0x10000, 2 * 4096 };
        IODMACommand *dma = command(64);
        IOAddressSegment none[1];
        IOMemoryDescriptor *d;
        uint64_t flags;
        uint32_t count = 1;
        uint8_t *memory, *at, *copy;
        IOMemoryMap *m;

        ck_assert_int_eq(amb_borrow_named(c, &segment, 1, AMB_LOAN_IN | AMB_LOAN_OUT, &d), 0);
        ck_assert_int_eq(IODMACommand_PrepareForDMA(dma, 0, d, 0, 0, &flags, &count, none), kIOReturnError);
        ck_assert_int_eq(IODMACommand_CompleteDMA(dma, 0), kIOReturnNotReady);
        ck_assert_uint_eq(OSObject_getRetainCount(d), 1);
        memory = lender_offer(&lender, lender.last.ticket, AMB_LOAN_WRITABLE, 0, 2 * 4096);
        at = prepare(dma, d, kIOMemoryDirectionInOut, 2 * 4096);
        at[5000] = 9;
        ck_assert_int_eq(memory[5000], 9);
        copy = view_of(d, &m);
        copy[5000] = 10;
        ck_assert(memory[5000] == 9 && at[5000] == 9);
        OSObject_release(d);
        OSObject_release(m);
        ck_assert_int_eq(signal_count(&lender.returned), 0);
        OSObject_release(dma);
        signal_wait(&lender.returned, 1);
        borrower_end(c, &lender);
        ck_assert_int_eq(signal_count(&lender.returned), 1);
}
END_TEST

START_TEST(operations)
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 100), *data = buffer_of(3, 50);
        IOMemoryDescriptor *parts[] = { &b->descriptor, &b->descriptor }, *twice, *closed;
        const uint64_t in = kIODMACommandPerformOperationOptionRead, out = kIODMACommandPerformOperationOptionWrite;
        const uint64_t zero = kIODMACommandPerformOperationOptionZero;
        IODMACommand *c = command(64);
        IOAddressSegment segments[32];
        uint64_t flags;
        uint32_t count = 32;

        ck_assert_int_eq(IODMACommand_PerformOperation(c, in, 0, 1, 0, &data->descriptor), kIOReturnNotReady);
        twice = joined_of(parts, 2);
        ck_assert_int_eq(IODMACommand_PrepareForDMA(c, 0, twice, 10, 0, &flags, &count, segments), 0);
        ck_assert_uint_eq(count, 2);
        ck_assert_int_eq(IODMACommand_PerformOperation(c, 0, 0, 1, 0, &data->descriptor), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PerformOperation(c, in | out, 0, 1, 0, &data->descriptor), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PerformOperation(c, in, 0, 51, 0, &data->descriptor), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PerformOperation(c, in, 0, 50, 1, &data->descriptor), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PerformOperation(c, zero, 180, 11, 0, NULL), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PerformOperation(c, zero, UINT64_MAX, 2, 0, NULL), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PerformOperation(c, out, 0, 1, 0, NULL), kIOReturnBadArgument);
        /* From behind the first piece's end on: bytes 95 to 99, then 0 to 44. */
        for (int i = 0; i < 100; i++)
                own_view(b)[i] = (uint8_t)i;
        ck_assert_int_eq(IODMACommand_PerformOperation(c, in, 85, 50, 0, &data->descriptor), 0);
        ck_assert(own_view(data)[0] == 95 && own_view(data)[4] == 99 && own_view(data)[5] == 0 && own_view(data)[49] == 44);
        ck_assert_int_eq(IODMACommand_PerformOperation(c, out, 0, 2, 49, &data->descriptor), kIOReturnBadArgument);
        ck_assert_int_eq(IODMACommand_PerformOperation(c, out, 0, 1, 49, &data->descriptor), 0);
        ck_assert_int_eq(own_view(b)[10], 44);
        ck_assert_int_eq(IODMACommand_PerformOperation(c, zero, 88, 4, 0, NULL), 0);
        ck_assert(own_view(b)[97] == 97 && own_view(b)[98] == 0 && own_view(b)[99] == 0 && own_view(b)[0] == 0 &&
                  own_view(b)[1] == 0 && own_view(b)[2] == 2);
        ck_assert_int_eq(IODMACommand_PerformOperation(c, out, 190, 0, 50, &data->descriptor), 0);
        /* Into what may be read only nothing is written. */
        ck_assert_int_eq(IOMemoryDescriptor_CreateSubMemoryDescriptor(kIOMemoryDirectionOut, 0, 50, &data->descriptor, &closed), 0);
        ck_assert_int_eq(IODMACommand_PerformOperation(c, in, 0, 1, 0, closed), kIOReturnUnderrun);
        ck_assert_int_eq(IODMACommand_PerformOperation(c, out, 0, 1, 1, closed), 0);
        OSObject_release(closed);
        OSObject_release(c);
        OSObject_release(twice);
        OSObject_release(data);
        OSObject_release(b);
}
END_TEST

/* An input cannot be written through the command either. */
START_TEST(operations_on_input)
{
        struct lender lender;
        struct amb_connection *c = borrower(&lender);
        uint8_t *memory = lender_offer(&lender, 1, 0, 0, 5000);
        IODMACommand *dma = command(64);
        IOMemoryDescriptor *d;

        memory[0] = 1;
        d = borrow(c, 1, 0, 5000, AMB_LOAN_OUT);
        prepare(dma, d, kIOMemoryDirectionOut, 5000);
        ck_assert_int_eq(IODMACommand_PerformOperation(dma, kIODMACommandPerformOperationOptionZero, 0, 1, 0, NULL),
                         kIOReturnUnderrun);
        ck_assert_int_eq(memory[0], 1);
        OSObject_release(dma);
        OSObject_release(d);
        borrower_end(c, &lender);
}
END_TEST

/* A device that has 32 lines for addresses gets such, of the same memory; one that has 16 cannot be served with a megabyte. */
START_TEST(address_bits)
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 1 << 20), *small = buffer_of(3, 100);
        IODMACommand *c = command(32), *narrow = command(16), *wide = command(64);
        IOMemoryDescriptor *part;
        IOAddressSegment segment;
        uint64_t flags;
        uint32_t count = 1;
        uint8_t *at;

        at = prepare(c, b, 3, 1 << 20);
        ck_assert_uint_eq(((uintptr_t)at + (1 << 20) - 1) >> 32, 0);
        at[12345] = 6;
        ck_assert_int_eq(own_view(b)[12345], 6);
        ck_assert_int_eq(IODMACommand_PrepareForDMA(narrow, 0, &b->descriptor, 0, 0, &flags, &count, &segment), kIOReturnNoSpace);
        ck_assert_ptr_eq(prepare(wide, small, 3, 100), own_view(small));
        OSObject_release(c);
        c = command(32);
        ck_assert_int_eq(IOMemoryDescriptor_CreateSubMemoryDescriptor(3, 5000, 5000, &b->descriptor, &part), 0);
        at = prepare(c, part, 3, 5000);
        ck_assert_uint_eq((uintptr_t)at >> 32, 0);
        ck_assert_uint_eq((uintptr_t)at % P, 5000 % P);
        ck_assert_int_eq(at[12345 - 5000 - 3000], own_view(b)[12345 - 3000]);
        OSObject_release(part);
        OSObject_release(c);
        /* Where the buffer is aligned its place below the limit is, too. */
        OSObject_release(b);
        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(3, 3 * P, 16 * P, &b), 0);
        c = command(32);
        ck_assert_uint_eq((uintptr_t)prepare(c, b, 3, 3 * P) % (16 * P), 0);
        OSObject_release(c);
        OSObject_release(narrow);
        OSObject_release(wide);
        OSObject_release(small);
        OSObject_release(b);
}
END_TEST

/* A ring of buffers for such a device: thousands of them are prepared at the same time, again and again, each somewhere else. */
START_TEST(many_below_a_limit)
{
        enum { MANY = 3000 };
        static IODMACommand *commands[MANY];
        static uint8_t *places[MANY];
        IOBufferMemoryDescriptor *b = buffer_of(3, 2 * P);

        for (int round = 0; round < 2; round++) {
                for (int i = 0; i < MANY; i++) {
                        commands[i] = command(32);
                        places[i] = prepare(commands[i], b, 3, 2 * P);
                        ck_assert_uint_eq((uintptr_t)(places[i] + 2 * P - 1) >> 32, 0);
                        places[i][i % P] = (uint8_t)i;
                        ck_assert_uint_eq(own_view(b)[i % P], (uint8_t)i);
                }
                for (int i = 0; i < MANY; i++)
                        OSObject_release(commands[i]);
        }
        OSObject_release(b);
}
END_TEST

int main(void)
{
        return run_suite("driver-dma", create_refuses, buffers, misuse, joined, structure_input_mapped_first,
                         structure_input_prepared_first, structure_input_written, named, operations, operations_on_input,
                         address_bits, many_below_a_limit);
}
