/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 15.3: sub and multi descriptors. */
#include "rows-memory.h"

/* --- helpers --- */

static inline kern_return_t sub(uint64_t options, uint64_t offset, uint64_t length, void *of, IOMemoryDescriptor **ret)
{
        return IOMemoryDescriptor_CreateSubMemoryDescriptor(options, offset, length, of, ret);
}

/* The same; it must succeed. */
static inline IOMemoryDescriptor *part_of(void *of, uint64_t options, uint64_t offset, uint64_t length)
{
        IOMemoryDescriptor *part = NULL;

        ck_code(sub(options, offset, length, of, &part), 0);
        ck_assert_uint_eq(length_of(part), length);
        return part;
}

/* A buffer whose every byte is `fill`. */
static __attribute__((unused)) IOMemoryDescriptor *filled(uint64_t capacity, uint8_t fill)
{
        IOBufferMemoryDescriptor *b = NULL;
        IOAddressSegment range;

        if (IOBufferMemoryDescriptor_Create(3, capacity, 0, &b) || IOBufferMemoryDescriptor_GetAddressRange(b, &range))
                return NULL;
        memset((void *)(uintptr_t)range.address, fill, capacity);
        return &b->descriptor;
}

static inline kern_return_t join(uint32_t count, void *with, IOMemoryDescriptor **ret)
{
        return IOMemoryDescriptor_CreateWithMemoryDescriptors(3, count, with, ret);
}

/* What must fail with `code` and leave the out-parameter alone. */
static inline void sub_refused(uint64_t capacity, uint64_t options, uint64_t offset, uint64_t length, kern_return_t code)
{
        IOBufferMemoryDescriptor *b = buffer_of(3, capacity);
        IOMemoryDescriptor *part = MARK;

        ck_code(sub(options, offset, length, b, &part), code);
        ck_assert_ptr_eq(part, MARK);
        ck_assert_uint_eq(OSObject_getRetainCount(b), 1);
        OSObject_release(b);
}

/* --- CreateSubMemoryDescriptor --- */

KEPT_BARE(memory_and_queues_M039, "a part of NULL: BadArgument, nothing written")
{
        IOMemoryDescriptor *part = MARK;

        ck_code(sub(3, 0, 1, NULL, &part), kIOReturnBadArgument);
        ck_assert_ptr_eq(part, MARK);
}

KEPT_BARE(memory_and_queues_M040, "a part that goes one byte too far: BadArgument")
{
        sub_refused(P, 3, 1, P, kIOReturnBadArgument);
        sub_refused(P, 3, P + 1, 0, kIOReturnBadArgument);
}

KEPT_BARE(memory_and_queues_M041, "a part that is the whole: its length; and a part of length 0 is legal, but cannot be mapped")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        IOMemoryDescriptor *whole = part_of(b, 3, 0, P), *nothing = part_of(b, 3, P, 0);
        IOMemoryMap *m = MARK;

        ck_code(map(nothing, 0, 0, 0, 0, &m), kIOReturnError);
        ck_assert_ptr_eq(m, MARK);
        OSObject_release(nothing);
        OSObject_release(whole);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M042, "offset and length that overflow: BadArgument")
{
        sub_refused(P, 3, UINT64_MAX, 2, kIOReturnBadArgument);
        sub_refused(P, 3, 1, UINT64_MAX, kIOReturnBadArgument);
}

KEPT_BARE(memory_and_queues_M043, "a part with other option bits than a direction: BadArgument")
{
        for (int bit = 2; bit < 64; bit++)
                sub_refused(P, 1ull << bit, 0, P, kIOReturnBadArgument);
}

KEPT_BARE(memory_and_queues_M044, "a part at page 1 stays when the buffer's reference goes, shows page 1, and ends where it ends")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 3 * P);
        IOMemoryDescriptor *part = part_of(b, 3, P, P), *inner = part_of(part, 3, 8, 16);
        IOMemoryMap *m = MARK, *other;

        memset(own_view(b), 1, P);
        memset(own_view(b) + P, 2, P);
        memset(own_view(b) + 2 * P, 3, P);
        OSObject_release(b);
        /* memory-and-queues 2.7: not beyond its own length, although the buffer has more */
        ck_code(map(part, 0, 0, 0, P + 1, &m), kIOReturnError);
        ck_code(map(part, 0, 0, P, 1, &m), kIOReturnError);
        ck_assert_ptr_eq(m, MARK);
        m = mapped(part, 0, 0, 0);
        ck_assert_uint_eq(IOMemoryMap_GetOffset(m), 0);
        ck_assert_uint_eq(at(m)[0], 2);
        ck_assert_uint_eq(at(m)[P - 1], 2);
        ck_assert(faults(at(m) + P, false));
        /* a part of the part, and through it the same bytes */
        OSObject_release(part);
        other = mapped(inner, 0, 0, 0);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(other) % P, 8);
        at(other)[15] = 44;
        ck_assert_uint_eq(at(m)[8 + 15], 44);
        OSObject_release(inner);
        OSObject_release(m);
        ck_assert_uint_eq(at(other)[15], 44);
        OSObject_release(other);
}

KEPT_BARE(memory_and_queues_M045, "a part has no owner: of direction Out it maps read-only, by CreateMapping and by Map")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        IOMemoryDescriptor *out = part_of(b, kIOMemoryDirectionOut, 0, P), *in_out = part_of(b, kIOMemoryDirectionInOut, 0, P);
        uint64_t address = 0, length = 0;
        IOMemoryMap *m;

        m = mapped(out, 0, 0, 0);
        ck_assert(readable(at(m)));
        ck_assert(faults(at(m), true));
        OSObject_release(m);
        ck_code(IOMemoryDescriptor_Map(out, 0, 0, 0, 0, &address, &length), 0);
        ck_assert(faults((uint8_t *)(uintptr_t)address, true));
        ck_assert_uint_eq(OSObject_getRetainCount(out), 1);
        m = mapped(in_out, 0, 0, 0);
        ck_assert(writable(at(m)));
        OSObject_release(m);
        ck_assert(!gone((uint8_t *)(uintptr_t)address));
        OSObject_release(out);
        ck_assert(gone((uint8_t *)(uintptr_t)address));
        OSObject_release(in_out);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M046, "what counts is the buffer's present length: no part goes beyond it; one that exists stays")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 4096);
        IOMemoryDescriptor *before = part_of(b, 3, 0, 4096), *part = MARK;
        IOMemoryMap *m;

        IOBufferMemoryDescriptor_SetLength(b, 100);
        ck_code(sub(3, 50, 51, b, &part), kIOReturnBadArgument);
        ck_assert_ptr_eq(part, MARK);
        OSObject_release(part_of(b, 3, 50, 50));
        ck_assert_uint_eq(length_of(before), 4096);
        m = mapped(before, 0, 0, 0);
        ck_assert(writable(at(m) + 4095));
        OSObject_release(m);
        OSObject_release(before);
        OSObject_release(b);
}

/* --- CreateWithMemoryDescriptors --- */

KEPT_BARE(memory_and_queues_M047, "nothing to join, no array, or other option bits: BadArgument, nothing written")
{
        IOMemoryDescriptor *b = filled(P, 0), *m = MARK;

        ck_code(join(0, &b, &m), kIOReturnBadArgument);
        ck_code(join(1, NULL, &m), kIOReturnBadArgument);
        ck_code(IOMemoryDescriptor_CreateWithMemoryDescriptors(0x13, 1, &b, &m), kIOReturnBadArgument);
        ck_assert_ptr_eq(m, MARK);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M048, "a NULL among them, or something else: BadArgument, nothing written, nothing retained")
{
        IOMemoryDescriptor *b = filled(P, 0), *m = MARK;
        OSString *text = OSStringCreate("no memory", 9);
        void *with[] = { b, NULL }, *other[] = { b, text };

        ck_code(join(2, with, &m), kIOReturnBadArgument);
        ck_code(join(2, other, &m), kIOReturnBadArgument);
        ck_assert_ptr_eq(m, MARK);
        ck_assert_uint_eq(OSObject_getRetainCount(b), 1);
        OSObject_release(text);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M049, "33 descriptors: Overrun, nothing written; 32 are joined")
{
        IOMemoryDescriptor *with[33], *b = filled(P, 0), *m = MARK;

        for (int i = 0; i < 33; i++)
                with[i] = b;
        ck_code(join(33, with, &m), kIOReturnOverrun);
        /* before anything else is looked at */
        ck_code(join(33, NULL, &m), kIOReturnOverrun);
        ck_assert_ptr_eq(m, MARK);
        ck_code(join(32, with, &m), 0);
        ck_assert_uint_eq(length_of(m), 32 * P);
        OSObject_release(m);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M050, "two pages joined map as one range, in order; so do pieces of buffers whose borders are pages'")
{
        IOMemoryDescriptor *with[] = { filled(P, 1), filled(P, 2), NULL }, *two = NULL, *three = NULL;
        IOMemoryMap *m;

        ck_code(join(2, with, &two), 0);
        ck_assert_uint_eq(length_of(two), 2 * P);
        m = mapped(two, 0, 0, 0);
        ck_assert_uint_eq(IOMemoryMap_GetLength(m), 2 * P);
        ck_assert_uint_eq(at(m)[0], 1);
        ck_assert_uint_eq(at(m)[P - 1], 1);
        ck_assert_uint_eq(at(m)[P], 2);
        ck_assert_uint_eq(at(m)[2 * P - 1], 2);
        at(m)[P] = 50;
        ck_assert_uint_eq(own_view((IOBufferMemoryDescriptor *)with[1])[0], 50);
        ck_assert(faults(at(m) - 1, false));
        ck_assert(faults(at(m) + 2 * P, false));
        OSObject_release(m);
        /* across the border only, from inside a page to inside another */
        m = mapped(two, 0, P - 4, 8);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m) % P, P - 4);
        ck_assert_uint_eq(IOMemoryMap_GetOffset(m), P - 4);
        ck_assert_uint_eq(at(m)[3], 1);
        ck_assert_uint_eq(at(m)[4], 50);
        OSObject_release(m);
        with[2] = part_of(two, 3, 16, P - 16 + 100);
        ck_code(join(1, &with[2], &three), 0);
        m = mapped(three, 0, 0, 0);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m) % P, 16);
        ck_assert_uint_eq(at(m)[P - 16], 50);
        OSObject_release(m);
        OSObject_release(three);
        OSObject_release(two);
        for (int i = 0; i < 3; i++)
                OSObject_release(with[i]);
}

KEPT_BARE(memory_and_queues_M051, "100 and 100 bytes: joined, of length 200, but a mapping across the border is Error")
{
        IOMemoryDescriptor *with[] = { filled(100, 1), filled(100, 2) }, *two = NULL;
        IOMemoryMap *m = MARK;

        ck_code(join(2, with, &two), 0);
        ck_assert_uint_eq(length_of(two), 200);
        ck_code(map(two, 0, 0, 0, 0, &m), kIOReturnError);
        ck_code(map(two, 0, 0, 99, 2, &m), kIOReturnError);
        ck_assert_ptr_eq(m, MARK);
        m = mapped(two, 0, 100, 100);
        ck_assert_uint_eq(at(m)[0], 2);
        OSObject_release(m);
        OSObject_release(two);
        for (int i = 0; i < 2; i++)
                OSObject_release(with[i]);
}

KEPT_BARE(memory_and_queues_M052, "what is joined stays when the parts' references go, and goes with it")
{
        IOMemoryDescriptor *with[] = { filled(P, 1), filled(P, 2) }, *two = NULL;
        IOMemoryMap *m;

        OSObject_retain(with[1]);
        ck_code(join(2, with, &two), 0);
        for (int i = 0; i < 2; i++)
                OSObject_release(with[i]);
        m = mapped(two, 0, 0, 0);
        ck_assert_uint_eq(at(m)[0], 1);
        OSObject_release(two);
        ck_assert_uint_eq(at(m)[2 * P - 1], 2);
        ck_assert_uint_eq(OSObject_getRetainCount(with[1]), 2);
        OSObject_release(m);
        ck_assert_uint_eq(OSObject_getRetainCount(with[1]), 1);
        OSObject_release(with[1]);
}

/* Memory type 10110: two times 32 pages, each full of its number. Made once: `mine` is released with the user client. */
DRIVER_MEMORY(10110)
{
        IOMemoryDescriptor *pages[32], *halves[2], *all;

        for (int h = 0; h < 2 && !self->mine; h++) {
                for (int i = 0; i < 32; i++)
                        if (!(pages[i] = filled(P, (uint8_t)(h * 32 + i))))
                                return kIOReturnNoMemory;
                D_EXPECT(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, 32, pages, &halves[h]) == 0);
                for (int i = 0; i < 32; i++)
                        OSObject_release(pages[i]);
        }
        if (!self->mine) {
                D_EXPECT(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, 2, halves, &all) == 0);
                OSObject_release(halves[0]);
                OSObject_release(halves[1]);
                self->mine = &all->object;
        }
        OSObject_retain(self->mine);
        *memory = (IOMemoryDescriptor *)self->mine;
        return kIOReturnSuccess;
}

/* Stores 1000 at byte 8 of the page that the scalar names; out: what is at byte 16 of it. */
DRIVER(10110)
{
        IOMemoryMap *m = NULL;
        uint64_t *page;

        D_EXPECT(self->mine && IOMemoryDescriptor_CreateMapping((IOMemoryDescriptor *)self->mine, 0, 0, 0, 0, 0, &m) == 0);
        page = (uint64_t *)(at(m) + arguments->scalarInput[0] * P);
        page[1] = 1000;
        arguments->scalarOutput[0] = page[2];
        OSObject_release(m);
        return kIOReturnSuccess;
}

KEPT(memory_and_queues_M110,
     "64 pages, joined of two times 32: one range in the application, in order, the same bytes as the driver's")
{
        io_connect_t c = contract_open(0);
        mach_vm_address_t address = 0, again = 0, place;
        mach_vm_size_t size = 0;
        uint64_t in, out;
        uint32_t count;

        ck_code(IOConnectMapMemory64(c, 10110, mach_task_self(), &address, &size, kIOMapAnywhere), 0);
        ck_assert_uint_eq(size, 64 * P);
        for (uint64_t i = 0; i < 64; i++) {
                uint8_t *page = (uint8_t *)address + i * P;

                ck_assert_uint_eq(page[0], i);
                ck_assert_uint_eq(page[P - 1], i);
                ((uint64_t *)page)[2] = 7000 + i;
                in = i;
                count = 1;
                ck_code(IOConnectCallScalarMethod(c, 10110, &in, 1, &out, &count), 0);
                ck_assert_uint_eq(out, 7000 + i);
                ck_assert_uint_eq(((uint64_t *)page)[1], 1000);
        }
        ck_code(IOConnectMapMemory64(c, 10110, mach_task_self(), &again, &size, kIOMapAnywhere), 0);
        ck_assert_uint_eq(again, address);
        place = free_space(64 * P);
        ck_code(IOConnectMapMemory64(c, 10110, mach_task_self(), &place, &size, 0), 0);
        ck_assert_uint_eq(((uint8_t *)place)[63 * P], 63);
        ck_assert(!gone((uint8_t *)address) && !gone((uint8_t *)address + 63 * P));
        for (int i = 0; i < 2; i++)
                ck_code(IOConnectUnmapMemory64(c, 10110, mach_task_self(), 0), 0);
        ck_code(IOConnectUnmapMemory64(c, 10110, mach_task_self(), 0), kIOReturnBadArgument);
        ck_assert(gone((uint8_t *)address) && gone((uint8_t *)address + 63 * P));
        ck_code(IOServiceClose(c), 0);
}

KEPT_BARE(memory_and_queues_M111, "one buffer alone is joined too, in the buffer class's spelling: the same bytes")
{
        IOMemoryDescriptor *b = filled(5000, 111), *one = NULL;
        IOMemoryMap *m;

        ck_code(IOBufferMemoryDescriptor_CreateWithMemoryDescriptors(3, 1, &b, &one), 0);
        ck_assert_ptr_ne(one, b);
        ck_assert_uint_eq(length_of(one), 5000);
        m = mapped(one, 0, 0, 0);
        ck_assert_uint_eq(at(m)[4999], 111);
        at(m)[4999] = 112;
        ck_assert_uint_eq(own_view((IOBufferMemoryDescriptor *)b)[4999], 112);
        OSObject_release(m);
        OSObject_release(one);
        OSObject_release(b);
}
