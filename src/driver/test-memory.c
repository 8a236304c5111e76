/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 15.1, 15.2: buffers, what is mapped of them, and what an application gets of them. */
#include <fcntl.h>

#include "channel/side.h"
#include "driver/memory.h"
#include "driver/test-memory.h"

START_TEST(create)
{
        IOBufferMemoryDescriptor *b = MARK;
        IOAddressSegment range;

        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(0x10, 4096, 0, &b), kIOReturnBadArgument);
        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(0, 0, 0, &b), kIOReturnNoMemory);
        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(0, 1ull << 63, 0, &b), kIOReturnNoMemory);
        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(0, UINT64_MAX, 0, &b), kIOReturnNoMemory);
        ck_assert_ptr_eq(b, MARK);
        for (uint64_t options = 0; options < 4; options++) {
                b = buffer_of(options, 100);
                ck_assert_uint_eq(length_of(b), 100);
                ck_assert_int_eq(IOBufferMemoryDescriptor_GetAddressRange(b, &range), 0);
                ck_assert_uint_eq(range.address, (uintptr_t)own_view(b));
                ck_assert_uint_eq(range.address % P, 0);
                ck_assert_uint_eq(range.length, 100);
                for (int i = 0; i < 100; i++)
                        ck_assert_int_eq(own_view(b)[i], 0);
                memset(own_view(b), 1, 100);
                ck_assert_int_eq(IOBufferMemoryDescriptor_GetAddressRange(b, NULL), kIOReturnBadArgument);
                OSObject_release(b);
        }
        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(0, 10, 65536, &b), 0);
        ck_assert_uint_eq((uintptr_t)own_view(b) % 65536, 0);
        OSObject_release(b);
}
END_TEST

START_TEST(lengths)
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 4096);
        IOMemoryMap *m = MARK, *before;

        ck_assert_int_eq(IOBufferMemoryDescriptor_SetLength(b, 8192), 0);
        ck_assert_uint_eq(length_of(b), 4096);
        ck_assert_int_eq(map(b, 0, 0, 0, 0, &before), 0);
        ck_assert_int_eq(IOBufferMemoryDescriptor_SetLength(b, 0), 0);
        ck_assert_int_eq(map(b, 0, 0, 0, 0, &m), kIOReturnError);
        ck_assert_ptr_eq(m, MARK);
        ck_assert_int_eq(IOBufferMemoryDescriptor_SetLength(b, 10), 0);
        ck_assert_int_eq(map(b, 0, 0, 0, 0, &m), 0);
        ck_assert_uint_eq(IOMemoryMap_GetLength(m), 10);
        ck_assert_uint_eq(IOMemoryMap_GetLength(before), 4096);
        at(before)[4095] = 1;
        OSObject_release(m);
        OSObject_release(before);
        OSObject_release(b);
}
END_TEST

/*
 * A map that is found where Map() had made one keeps the descriptor, as every map does: so the connection sees that it is still
 * in use.
 */
START_TEST(found_map_retains)
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 4096);
        uint64_t address = 0, length = 0;
        IOMemoryMap *m, *part;

        ck_assert_int_eq(IOMemoryDescriptor_Map(&b->descriptor, 0, 0, 0, 0, &address, &length), 0);
        ck_assert_uint_eq(OSObject_getRetainCount(b), 1);
        ck_assert_int_eq(map(b, 0, 0, 0, 0, &m), 0);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m), address);
        ck_assert_uint_eq(OSObject_getRetainCount(b), 2);
        ck_assert_int_eq(map(b, 0, 0, 0, 0, &part), 0);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(part), address);
        OSObject_release(b);
        at(m)[4095] = 1;
        OSObject_release(m);
        at(part)[4095] = 1;
        OSObject_release(part);
}
END_TEST

START_TEST(ranges)
{
        IOBufferMemoryDescriptor *b = buffer_of(3, 3 * P);
        IOMemoryMap *m = MARK, *whole;

        ck_assert_int_eq(map(b, 0, 0, 0, 3 * P + 1, &m), kIOReturnError);
        ck_assert_int_eq(map(b, 0, 0, 3 * P, 1, &m), kIOReturnError);
        ck_assert_int_eq(map(b, 0, 0, P, 0, &m), kIOReturnError);
        ck_assert_int_eq(map(b, 0, 0, 8, UINT64_MAX, &m), kIOReturnError);
        ck_assert_int_eq(map(b, 0x300, 0, 0, 0, &m), kIOReturnBadArgument);
        ck_assert_int_eq(map(b, 0x1000, 0, 0, 0, &m), kIOReturnBadArgument);
        ck_assert_ptr_eq(m, MARK);
        own_view(b)[P] = 77;
        ck_assert_int_eq(map(b, 0, 0, P, P, &m), 0);
        ck_assert_uint_eq(IOMemoryMap_GetOffset(m), P);
        ck_assert_int_eq(at(m)[0], 77);
        OSObject_release(m);
        ck_assert_int_eq(map(b, 0, 0, 8, 16, &m), 0);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m) % P, 8);
        ck_assert_uint_eq(IOMemoryMap_GetLength(m), 16);
        OSObject_release(m);
        for (uint64_t cache = 0x80; cache <= 0x800; cache <<= 1) {
                ck_assert_int_eq(map(b, cache == 0x80 ? 0 : cache, 0, 0, 0, &m), 0);
                OSObject_release(m);
        }
        /* M26, M27, M28 */
        ck_assert_int_eq(map(b, 0, 0, 0, 0, &whole), 0);
        ck_assert_int_eq(map(b, 0, 0, 0, 0, &m), 0);
        ck_assert_ptr_eq(m, whole);
        OSObject_release(m);
        ck_assert_int_eq(map(b, kIOMemoryMapGuardedNone, 0, 0, 0, &m), 0);
        ck_assert_ptr_ne(m, whole);
        OSObject_release(m);
        ck_assert_int_eq(map(b, 0, 0, P, 10, &m), 0);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m), IOMemoryMap_GetAddress(whole) + P);
        OSObject_release(whole);
        ck_assert_int_eq(at(m)[0], 77);
        OSObject_release(b);
        ck_assert_int_eq(at(m)[0], 77);
        OSObject_release(m);
}
END_TEST

START_TEST(guards_and_end)
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        IOMemoryMap *m;
        uint8_t *address;

        ck_assert_int_eq(map(b, 0, 0, 0, 0, &m), 0);
        address = at(m);
        ck_assert(faults(address - 1, false));
        ck_assert(faults(address + P, false));
        ck_assert(writable(address));
        OSObject_release(b);
        ck_assert(!gone(address) && writable(address));
        OSObject_release(m);
        ck_assert(gone(address));
}
END_TEST

START_TEST(fixed)
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        uint8_t *space = mmap(NULL, 4 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        IOMemoryMap *m = MARK;

        space[0] = 9;
        ck_assert_int_eq(map(b, 1, (uintptr_t)space, 0, 0, &m), kIOReturnError);
        ck_assert_int_eq(map(b, 1, (uintptr_t)space + 1, 0, 0, &m), kIOReturnError);
        ck_assert_int_eq(map(b, 1, 0, 0, 0, &m), kIOReturnError);
        ck_assert_ptr_eq(m, MARK);
        ck_assert_int_eq(space[0], 9);
        munmap(space + P, P);
        ck_assert_int_eq(map(b, 1 | kIOMemoryMapGuardedLarge, (uintptr_t)space + P, 0, 0, &m), 0);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m), (uintptr_t)space + P);
        at(m)[0] = 1;
        OSObject_release(m);
        munmap(space, 4 * P);
        OSObject_release(b);
}
END_TEST

START_TEST(owner_writes)
{
        IOBufferMemoryDescriptor *b = buffer_of(kIOMemoryDirectionOut, P);
        uint64_t address, again, length;
        IOMemoryMap *m;

        ck_assert_int_eq(map(b, kIOMemoryMapReadOnly, 0, 0, 0, &m), 0);
        at(m)[0] = 5;
        ck_assert_int_eq(IOMemoryDescriptor_Map(&b->descriptor, 0, 0, 0, 0, &address, &length), 0);
        ck_assert_int_eq(IOMemoryDescriptor_Map(&b->descriptor, 0, 0, 0, 0, &again, &length), 0);
        ck_assert_uint_eq(address, again);
        ck_assert_uint_eq(length, P);
        ck_assert_int_eq(*(uint8_t *)(uintptr_t)address, 5);
        OSObject_release(m);
        ck_assert_uint_eq(OSObject_getRetainCount(b), 1);
        ck_assert(!gone((uint8_t *)(uintptr_t)address));
        OSObject_release(b);
        ck_assert(gone((uint8_t *)(uintptr_t)address));
}
END_TEST

/* One file, of all of a buffer's pages. */
static int share(IOMemoryDescriptor *memory, bool read_only, int *ret_fd)
{
        struct amb_memory_extent *extents;
        uint32_t count;
        int r;

        r = amb_memory_share(memory, read_only, &extents, &count);
        if (r != 0)
                return r;
        ck_assert_uint_eq(count, 1);
        ck_assert_uint_eq(extents[0].offset, 0);
        *ret_fd = extents[0].fd;
        free(extents);
        return 0;
}

/* memory-and-queues 3.2, SECURITY B11: what the kernel keeps an application from doing. */
START_TEST(shared_read_only)
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        IOMemoryMap *m;
        char path[64];
        void *seen;
        int fd = -1, again;

        ck_assert_int_eq(share(&b->descriptor, true, &fd), 0);
        ck_assert(amb_side_memory_check(fd, P, F_SEAL_FUTURE_WRITE));
        ck_assert_ptr_eq(mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
        seen = mmap(NULL, P, PROT_READ, MAP_SHARED, fd, 0);
        ck_assert_ptr_ne(seen, MAP_FAILED);
        ck_assert_int_eq(mprotect(seen, P, PROT_READ | PROT_WRITE), -1);
        ck_assert_int_eq(write(fd, "x", 1), -1);
        ck_assert_int_eq(ftruncate(fd, 0), -1);
        ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)P), -1);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        again = open(path, O_RDWR | O_CLOEXEC);
        ck_assert_ptr_eq(mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
        close(again);
        /* The driver goes on writing, through new maps too. */
        *own_view(b) = 3;
        ck_assert_int_eq(*(uint8_t *)seen, 3);
        ck_assert_int_eq(map(b, 0, 0, 0, 0, &m), 0);
        at(m)[0] = 4;
        ck_assert_int_eq(*(uint8_t *)seen, 4);
        OSObject_release(m);
        ck_assert_int_eq(share(&b->descriptor, false, &fd), AMB_MEMORY_REFUSED);
        ck_assert_int_eq(share(&b->descriptor, true, &fd), 0);
        OSObject_release(b);
        ck_assert_int_eq(*(uint8_t *)seen, 4);
        munmap(seen, P);
}
END_TEST

START_TEST(shared_writable)
{
        IOBufferMemoryDescriptor *b = buffer_of(kIOMemoryDirectionOut, 5000), *other = buffer_of(0, 1);
        uint8_t *seen;
        int fd = -1;

        ck_assert_int_eq(share(&b->descriptor, false, &fd), 0);
        ck_assert(amb_side_memory_check(fd, (5000 + P - 1) / P * P, 0));
        seen = mmap(NULL, 5000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ck_assert_ptr_ne(seen, MAP_FAILED);
        seen[4999] = 8;
        ck_assert_int_eq(own_view(b)[4999], 8);
        ck_assert_int_eq(share(&b->descriptor, true, &fd), AMB_MEMORY_REFUSED);
        ck_assert_uint_ne(amb_memory_identity(&b->descriptor), amb_memory_identity(&other->descriptor));
        munmap(seen, 5000);
        OSObject_release(b);
        OSObject_release(other);
}
END_TEST

/* Parts of buffers: what goes out are the buffers' files, sealed one way; all of it or nothing. */
START_TEST(shared_joined)
{
        IOBufferMemoryDescriptor *b[] = { buffer_of(3, 2 * P), buffer_of(3, P), buffer_of(3, 100) };
        IOMemoryDescriptor *part, *joined, *uneven, *with[4];
        struct amb_memory_extent *extents;
        uint32_t count;
        int fd;

        ck_assert_int_eq(IOMemoryDescriptor_CreateSubMemoryDescriptor(3, 8, 2 * P - 8, &b[0]->descriptor, &part), 0);
        with[0] = part;
        with[1] = &b[1]->descriptor;
        with[2] = &b[2]->descriptor;
        with[3] = &b[1]->descriptor;
        joined = joined_of(with, 3);
        uneven = joined_of(with, 4);
        ck_assert_int_eq(amb_memory_share(uneven, true, &extents, &count), AMB_MEMORY_REFUSED);
        ck_assert_int_eq(share(&b[1]->descriptor, false, &fd), 0);
        /* the one is writable: nothing is sealed read-only */
        ck_assert_int_eq(amb_memory_share(joined, true, &extents, &count), AMB_MEMORY_REFUSED);
        ck_assert_int_eq(amb_memory_share(joined, false, &extents, &count), 0);
        ck_assert_uint_eq(count, 3);
        ck_assert_uint_eq(extents[0].offset, 8);
        ck_assert_uint_eq(extents[0].length, 2 * P - 8);
        ck_assert_int_eq(extents[1].fd, fd);
        ck_assert_uint_eq(extents[2].length, 100);
        for (int i = 0; i < 3; i++)
                ck_assert(amb_side_memory_check(extents[i].fd, 0, 0));
        free(extents);
        OSObject_release(joined);
        OSObject_release(uneven);
        OSObject_release(part);
        for (int i = 0; i < 3; i++)
                OSObject_release(b[i]);
}
END_TEST

/* Read-only: the driver still writes, through what it joins, too. */
START_TEST(shared_joined_read_only)
{
        IOBufferMemoryDescriptor *b[] = { buffer_of(3, P), buffer_of(3, P) };
        IOMemoryDescriptor *with[] = { &b[0]->descriptor, &b[1]->descriptor }, *joined;
        struct amb_memory_extent *extents;
        uint32_t count;
        uint8_t *seen;
        IOMemoryMap *m;

        joined = joined_of(with, 2);
        ck_assert_int_eq(amb_memory_share(joined, true, &extents, &count), 0);
        ck_assert(amb_side_memory_check(extents[1].fd, P, F_SEAL_FUTURE_WRITE));
        seen = mmap(NULL, P, PROT_READ, MAP_SHARED, extents[1].fd, 0);
        ck_assert_int_eq(map(joined, 0, 0, 0, 0, &m), 0);
        at(m)[P] = 77;
        ck_assert_int_eq(seen[0], 77);
        munmap(seen, P);
        free(extents);
        OSObject_release(m);
        OSObject_release(joined);
        for (int i = 0; i < 2; i++) {
                ck_assert_uint_eq(OSObject_getRetainCount(b[i]), 1);
                OSObject_release(b[i]);
        }
}
END_TEST

/* 32 times the same. */
static IOMemoryDescriptor *joined_of_one(IOMemoryDescriptor *one)
{
        IOMemoryDescriptor *with[32];

        for (int i = 0; i < 32; i++)
                with[i] = one;
        return joined_of(with, 32);
}

/* 1024 pieces are the most that an application gets, and 65536 the most that there are. */
START_TEST(shared_joined_most)
{
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        IOMemoryDescriptor *some = joined_of_one(&b->descriptor), *many = joined_of_one(some), *most = joined_of_one(many);
        IOMemoryDescriptor *one_more = joined_of((IOMemoryDescriptor *[]){ many, &b->descriptor }, 2), *too_many = MARK;
        struct amb_memory_extent *extents;
        uint32_t count;

        ck_assert_int_eq(amb_memory_share(many, true, &extents, &count), 0);
        ck_assert_uint_eq(count, 1024);
        free(extents);
        ck_assert_int_eq(amb_memory_share(one_more, true, &extents, &count), AMB_MEMORY_REFUSED);
        ck_assert_int_eq(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, 3, (IOMemoryDescriptor *[]){ most, most, most },
                                                                        &too_many), kIOReturnNoMemory);
        ck_assert_ptr_eq(too_many, MARK);
        OSObject_release(one_more);
        OSObject_release(most);
        OSObject_release(many);
        OSObject_release(some);
        ck_assert_uint_eq(OSObject_getRetainCount(b), 1);
        OSObject_release(b);
}
END_TEST

int main(void)
{
        return run_suite("memory", create, lengths, found_map_retains, ranges, guards_and_end, fixed, owner_writes,
                         shared_read_only, shared_writable, shared_joined, shared_joined_read_only, shared_joined_most);
}
