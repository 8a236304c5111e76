/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 15.1, 15.2: buffers, and CreateMapping. Everything but M32 is the driver's library alone. */
#include <errno.h>
#include <fcntl.h>

#include "rows-memory.h"

/* --- buffers (15.1) --- */

KEPT_BARE(memory_and_queues_M001, "Create of 4096 bytes: one reference, length 4096, all bytes 0")
{
        IOBufferMemoryDescriptor *b = MARK;
        IOMemoryMap *m;

        ck_code(IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, 4096, 0, &b), 0);
        ck_assert_uint_eq(OSObject_getRetainCount(b), 1);
        ck_assert_uint_eq(length_of(b), 4096);
        m = mapped(b, 0, 0, 0);
        for (size_t i = 0; i < 4096; i++)
                ck_assert_uint_eq(at(m)[i], 0);
        OSObject_release(m);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M002, "capacity 100: length 100, and a mapping of length 100")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 100);
        IOMemoryMap *m = mapped(b, 0, 0, 0);

        ck_assert_uint_eq(length_of(b), 100);
        ck_assert_uint_eq(IOMemoryMap_GetLength(m), 100);
        memset(at(m), 1, 100);
        OSObject_release(m);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M003, "Create with any option bit above 1: BadArgument, nothing written")
{
        IOBufferMemoryDescriptor *b = MARK;

        for (int bit = 2; bit < 64; bit++)
                ck_code(IOBufferMemoryDescriptor_Create(1ull << bit, 4096, 0, &b), kIOReturnBadArgument);
        ck_assert_ptr_eq(b, MARK);
}

KEPT_BARE(memory_and_queues_M004, "capacity 0: NoMemory, nothing written")
{
        IOBufferMemoryDescriptor *b = MARK;

        ck_code(IOBufferMemoryDescriptor_Create(3, 0, 0, &b), kIOReturnNoMemory);
        ck_assert_ptr_eq(b, MARK);
}

KEPT_BARE(memory_and_queues_M005, "capacity 2^63 and more: NoMemory, nothing written, the process lives")
{
        static const uint64_t sizes[] = { 1ull << 63, (1ull << 63) - 1, UINT64_MAX, UINT64_MAX - 4095 };
        IOBufferMemoryDescriptor *b = MARK;

        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
                ck_code(IOBufferMemoryDescriptor_Create(3, sizes[i], 0, &b), kIOReturnNoMemory);
        ck_assert_ptr_eq(b, MARK);
}

KEPT_BARE(memory_and_queues_M006, "alignment 1: mappings start pages nevertheless")
{
        IOBufferMemoryDescriptor *b;
        IOAddressSegment range;
        IOMemoryMap *m;

        ck_code(IOBufferMemoryDescriptor_Create(3, 4096, 1, &b), 0);
        m = mapped(b, 0, 0, 0);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m) % P, 0);
        ck_code(IOBufferMemoryDescriptor_GetAddressRange(b, &range), 0);
        ck_assert_uint_eq(range.address % P, 0);
        OSObject_release(m);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M007, "Create with each of the four directions")
{
        for (uint64_t options = 0; options < 4; options++)
                OSObject_release(buffer_of(options, 4096));
}

KEPT_BARE(memory_and_queues_M008, "SetLength above the capacity: success without effect")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 4096);

        ck_code(IOBufferMemoryDescriptor_SetLength(b, 8192), 0);
        ck_assert_uint_eq(length_of(b), 4096);
        ck_code(IOBufferMemoryDescriptor_SetLength(b, 4097), 0);
        ck_assert_uint_eq(length_of(b), 4096);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M009, "SetLength(10): the length is 10")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 4096);

        ck_code(IOBufferMemoryDescriptor_SetLength(b, 10), 0);
        ck_assert_uint_eq(length_of(b), 10);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M010, "a mapping of a buffer whose length was set to 10 has length 10")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 4096);
        IOMemoryMap *m;

        IOBufferMemoryDescriptor_SetLength(b, 10);
        m = mapped(b, 0, 0, 0);
        ck_assert_uint_eq(IOMemoryMap_GetLength(m), 10);
        OSObject_release(m);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M011, "length 0 cannot be mapped: Error, nothing written")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 4096);
        IOMemoryMap *m = MARK;

        IOBufferMemoryDescriptor_SetLength(b, 0);
        ck_code(map(b, 0, 0, 0, 0, &m), kIOReturnError);
        ck_assert_ptr_eq(m, MARK);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M012, "the length may grow again up to the capacity, and all bytes are reached")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 4096);
        IOMemoryMap *m;

        IOBufferMemoryDescriptor_SetLength(b, 10);
        ck_code(IOBufferMemoryDescriptor_SetLength(b, 4096), 0);
        m = mapped(b, 0, 0, 0);
        ck_assert_uint_eq(IOMemoryMap_GetLength(m), 4096);
        at(m)[4095] = 7;
        ck_assert_uint_eq(at(m)[4095], 7);
        OSObject_release(m);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M013, "a map keeps its length when the buffer's is set, and stays usable")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 4096);
        IOMemoryMap *m = mapped(b, 0, 0, 0);

        ck_code(IOBufferMemoryDescriptor_SetLength(b, 1), 0);
        ck_assert_uint_eq(IOMemoryMap_GetLength(m), 4096);
        at(m)[4095] = 7;
        OSObject_release(m);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M014, "GetAddressRange: the same writable address each time, the current length; NULL: BadArgument")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 4096);
        IOAddressSegment one = { 0, 0 }, two = { 0, 0 };

        ck_code(IOBufferMemoryDescriptor_GetAddressRange(b, &one), 0);
        IOBufferMemoryDescriptor_SetLength(b, 99);
        ck_code(IOBufferMemoryDescriptor_GetAddressRange(b, &two), 0);
        ck_assert_uint_eq(one.address, two.address);
        ck_assert_uint_eq(one.length, 4096);
        ck_assert_uint_eq(two.length, 99);
        memset((void *)(uintptr_t)one.address, 1, 4096);
        ck_code(IOBufferMemoryDescriptor_GetAddressRange(b, NULL), kIOReturnBadArgument);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M015, "GetAddressRange and CreateMapping show the same bytes")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 4096);
        uint8_t *own = own_view(b);
        IOMemoryMap *m = mapped(b, 0, 0, 0);

        own[4095] = 9;
        ck_assert_uint_eq(at(m)[4095], 9);
        at(m)[0] = 8;
        ck_assert_uint_eq(own[0], 8);
        OSObject_release(m);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M016, "the memory stays while a map of it does, without the buffer's own references")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 4096);
        IOMemoryMap *m = mapped(b, 0, 0, 0);

        at(m)[17] = 17;
        OSObject_release(b);
        ck_assert_uint_eq(at(m)[17], 17);
        at(m)[18] = 18;
        ck_assert_uint_eq(at(m)[18], 18);
        OSObject_release(m);
}

KEPT_BARE(memory_and_queues_M017, "the last release of a map unmaps")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 4096);
        IOMemoryMap *m = mapped(b, 0, 0, 0);
        uint8_t *address = at(m);

        OSObject_retain(m);
        OSObject_release(m);
        ck_assert(!gone(address) && writable(address));
        OSObject_release(m);
        ck_assert(gone(address));
        OSObject_release(b);
}

/* --- CreateMapping (15.2) --- */

KEPT_BARE(memory_and_queues_M018, "a mapping of page 1 of 3: length, offset and bytes are that page's")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 3 * P);
        IOMemoryMap *m;

        own_view(b)[P] = 1;
        own_view(b)[2 * P - 1] = 2;
        m = mapped(b, 0, P, P);
        ck_assert_uint_eq(IOMemoryMap_GetLength(m), P);
        ck_assert_uint_eq(IOMemoryMap_GetOffset(m), P);
        ck_assert_uint_eq(at(m)[0], 1);
        ck_assert_uint_eq(at(m)[P - 1], 2);
        OSObject_release(m);
        OSObject_release(b);
}

/* What must fail with `code` and leave the out-parameter alone. */
static inline void refused(uint64_t capacity, uint64_t options, uint64_t offset, uint64_t length, kern_return_t code)
{
        IOBufferMemoryDescriptor *b = buffer_of(3, capacity);
        IOMemoryMap *m = MARK;

        ck_code(map(b, options, 0, offset, length, &m), code);
        ck_assert_ptr_eq(m, MARK);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M019, "one byte more than there is: Error, nothing written")
{
        refused(P, 0, 0, P + 1, kIOReturnError);
        refused(P, 0, 1, P, kIOReturnError);
        refused(P, 0, 1, UINT64_MAX, kIOReturnError);
}

KEPT_BARE(memory_and_queues_M020, "an offset at the end: Error, nothing written")
{
        refused(P, 0, P, 1, kIOReturnError);
        refused(P, 0, UINT64_MAX, 1, kIOReturnError);
}

KEPT_BARE(memory_and_queues_M021, "length 0 is the whole length and not what is left behind the offset: Error")
{
        refused(2 * P, 0, P, 0, kIOReturnError);
}

KEPT_BARE(memory_and_queues_M022, "offset 8, length 16: the address keeps the place in the page, the length is not rounded")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        IOMemoryMap *m;

        own_view(b)[8] = 3;
        m = mapped(b, 0, 8, 16);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m) % P, 8);
        ck_assert_uint_eq(IOMemoryMap_GetLength(m), 16);
        ck_assert_uint_eq(IOMemoryMap_GetOffset(m), 8);
        ck_assert_uint_eq(at(m)[0], 3);
        OSObject_release(m);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M023, "cache modes that there are none of: BadArgument, nothing written")
{
        refused(P, 0x300, 0, 0, kIOReturnBadArgument);
        refused(P, 0x1000, 0, 0, kIOReturnBadArgument);
        refused(P, 0xff00, 0, 0, kIOReturnBadArgument);
        /* ... before the range is looked at */
        refused(P, 0x1000, P, 1, kIOReturnBadArgument);
}

KEPT_BARE(memory_and_queues_M024, "each of the five cache modes is accepted")
{
        static const uint64_t modes[] = { kIOMemoryMapCacheModeDefault, kIOMemoryMapCacheModeInhibit, kIOMemoryMapCacheModeCopyback,
                                          kIOMemoryMapCacheModeWriteThrough, kIOMemoryMapCacheModeRealTime };
        IOBufferMemoryDescriptor *b = buffer_of(3, P);

        for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
                OSObject_release(mapped(b, modes[i], 0, 0));
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M025, "CreateMapping's alignment has no effect")
{
        static const uint64_t alignments[] = { 1, 3, 1ull << 40 };
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        IOMemoryMap *m;

        for (size_t i = 0; i < sizeof(alignments) / sizeof(*alignments); i++) {
                ck_code(IOMemoryDescriptor_CreateMapping(&b->descriptor, 0, 0, 8, 16, alignments[i], &m), 0);
                ck_assert_uint_eq(IOMemoryMap_GetAddress(m) % P, 8);
                OSObject_release(m);
        }
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M026, "the same request again: the same map with one reference more")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        IOMemoryMap *one = mapped(b, 0, 0, 0), *two = mapped(b, 0, 0, 0);

        ck_assert_ptr_eq(one, two);
        ck_assert_uint_eq(OSObject_getRetainCount(one), 2);
        OSObject_release(two);
        ck_assert(writable(at(one)));
        OSObject_release(one);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M027, "a part of a mapped range: an address inside it, which stays when the whole map's reference goes")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 3 * P);
        IOMemoryMap *whole = mapped(b, 0, 0, 0), *part = mapped(b, 0, P + 3, 10);

        at(whole)[P + 3] = 5;
        ck_assert_uint_eq(IOMemoryMap_GetAddress(part), IOMemoryMap_GetAddress(whole) + P + 3);
        ck_assert_uint_eq(IOMemoryMap_GetOffset(part), P + 3);
        ck_assert_uint_eq(IOMemoryMap_GetLength(part), 10);
        OSObject_release(whole);
        ck_assert_uint_eq(at(part)[0], 5);
        at(part)[9] = 6;
        OSObject_release(part);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M028, "another kind of guard: another mapping")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        IOMemoryMap *one = mapped(b, kIOMemoryMapGuardedSmall, 0, 0), *two = mapped(b, kIOMemoryMapGuardedNone, 0, 0);

        ck_assert_ptr_ne(one, two);
        ck_assert_uint_ne(IOMemoryMap_GetAddress(one), IOMemoryMap_GetAddress(two));
        at(one)[0] = 1;
        ck_assert_uint_eq(at(two)[0], 1);
        OSObject_release(one);
        OSObject_release(two);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M029, "guard pages on both sides: touching them faults; 64 KiB of them when large")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        IOMemoryMap *m = mapped(b, kIOMemoryMapGuardedDefault, 0, 0);

        ck_assert(faults(at(m) - 1, false));
        ck_assert(faults(at(m) - P, false));
        ck_assert(faults(at(m) + P, false));
        ck_assert(faults(at(m) + 2 * P - 1, false));
        ck_assert(writable(at(m)));
        ck_assert(writable(at(m) + P - 1));
        OSObject_release(m);
        m = mapped(b, kIOMemoryMapGuardedLarge, 0, 0);
        ck_assert(faults(at(m) - 65536, false));
        ck_assert(faults(at(m) + P + 65535, false));
        OSObject_release(m);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M030, "a buffer of direction Out: its owner maps it writable, by CreateMapping and by Map")
{
        IOBufferMemoryDescriptor *b = buffer_of(kIOMemoryDirectionOut, P);
        uint64_t address = 0, length = 0;
        IOMemoryMap *m = mapped(b, 0, 0, 0);

        ck_assert(writable(at(m)));
        OSObject_release(m);
        ck_code(IOMemoryDescriptor_Map(&b->descriptor, 0, 0, 0, 0, &address, &length), 0);
        ck_assert(writable((uint8_t *)(uintptr_t)address));
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M031, "the owner of a buffer asks for read-only and gets a writable mapping")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        IOMemoryMap *m = mapped(b, kIOMemoryMapReadOnly, 0, 0);

        ck_assert(writable(at(m)));
        OSObject_release(m);
        OSObject_release(b);
}

/* A host can have no child process to fault in, so the kernel is asked to store: read(2) says EFAULT where it may not. */
DRIVER(10032)
{
        IOMemoryMap *m = NULL;
        int pair[2], error;
        ssize_t n;

        D_EXPECT(arguments->structureInputDescriptor && !arguments->structureInput);
        D_EXPECT(IOMemoryDescriptor_CreateMapping(arguments->structureInputDescriptor, 0, 0, 0, 0, 0, &m) == 0);
        D_EXPECT(at(m)[0] == 0x32 && at(m)[4999] == 0x32);
        D_EXPECT(pipe2(pair, O_CLOEXEC) == 0 && write(pair[1], "xy", 2) == 2);
        n = read(pair[0], &error, 1);
        D_EXPECT(n == 1);
        n = read(pair[0], at(m), 1);
        error = errno;
        close(pair[0]);
        close(pair[1]);
        OSObject_release(m);
        D_EXPECT(n == -1 && error == EFAULT);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_M032, "a structure input maps read-only: the kernel refuses a store")
{
        uint8_t bytes[5000];

        memset(bytes, 0x32, sizeof(bytes));
        ck_code(IOConnectCallStructMethod(contract_open(0), 10032, bytes, sizeof(bytes), NULL, NULL), 0);
}

DIFFERS_BARE(memory_and_queues_M033, "a buffer of another driver, mapped read-only, is read-only",
             "memory descriptors do not travel between drivers; what a process did not make itself is an application's memory, "
             "or descriptors made of parts: those map read-only when asked to")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        IOMemoryDescriptor *part = NULL;
        IOMemoryMap *m;

        ck_code(IOMemoryDescriptor_CreateSubMemoryDescriptor(3, 0, P, &b->descriptor, &part), 0);
        m = mapped(part, kIOMemoryMapReadOnly, 0, 0);
        ck_assert(readable(at(m)));
        ck_assert(faults(at(m), true));
        OSObject_release(m);
        OSObject_release(part);
        OSObject_release(b);
}

/* --- fixed addresses --- */

KEPT_BARE(memory_and_queues_M034, "a fixed address that is free: exactly there")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        uint64_t space = free_space(4 * P);
        IOMemoryMap *m;

        ck_code(map(b, kIOMemoryMapFixedAddress, space + P, 0, 0, &m), 0);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m), space + P);
        own_view(b)[0] = 34;
        ck_assert_uint_eq(at(m)[0], 34);
        OSObject_release(m);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M035, "a fixed address where something is: Error, nothing written, and that is left as it was")
{
        uint8_t *space = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        IOBufferMemoryDescriptor *b = buffer_of(3, 2 * P);
        IOMemoryMap *m = MARK;

        memset(space, 0x35, 2 * P);
        munmap(space, P);
        /* free at first, then not */
        ck_code(map(b, kIOMemoryMapFixedAddress, (uintptr_t)space, 0, 0, &m), kIOReturnError);
        ck_code(map(b, kIOMemoryMapFixedAddress, (uintptr_t)space + P, 0, P, &m), kIOReturnError);
        ck_assert_ptr_eq(m, MARK);
        ck_assert_uint_eq(space[P], 0x35);
        ck_assert_uint_eq(space[2 * P - 1], 0x35);
        ck_assert(faults(space, false));
        munmap(space + P, P);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M036, "a fixed address at another place in the page than the memory: Error; at its place: there")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        uint64_t space = free_space(4 * P);
        IOMemoryMap *m = MARK;

        ck_code(map(b, kIOMemoryMapFixedAddress, space + 1, 0, 0, &m), kIOReturnError);
        ck_code(map(b, kIOMemoryMapFixedAddress, space, 8, 16, &m), kIOReturnError);
        ck_assert_ptr_eq(m, MARK);
        ck_code(map(b, kIOMemoryMapFixedAddress, space + 8, 8, 16, &m), 0);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m), space + 8);
        OSObject_release(m);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M037, "a fixed address with large guards: no guard page is needed")
{
        uint8_t *space = mmap(NULL, 3 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        IOMemoryMap *m;

        munmap(space + P, P);
        ck_code(map(b, kIOMemoryMapFixedAddress | kIOMemoryMapGuardedLarge, (uintptr_t)space + P, 0, 0, &m), 0);
        ck_assert_ptr_eq(at(m), space + P);
        ck_assert(writable(space));
        ck_assert(writable(space + 2 * P));
        OSObject_release(m);
        munmap(space, 3 * P);
        OSObject_release(b);
}

KEPT_BARE(memory_and_queues_M038, "Map twice: the same address, the whole length; it goes with the descriptor")
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 100);
        uint64_t one = 0, two = 1, length = 0;

        ck_code(IOMemoryDescriptor_Map(&b->descriptor, 0, 0, 0, 0, &one, &length), 0);
        ck_assert_uint_eq(length, 100);
        length = 0;
        ck_code(IOMemoryDescriptor_Map(&b->descriptor, 0, 0, 0, 0, &two, &length), 0);
        ck_assert_uint_eq(one, two);
        ck_assert_uint_eq(length, 100);
        ck_assert_uint_eq(OSObject_getRetainCount(b), 1);
        ck_assert(!gone((uint8_t *)(uintptr_t)one) && writable((uint8_t *)(uintptr_t)one));
        OSObject_release(b);
        ck_assert(gone((uint8_t *)(uintptr_t)one));
}
