/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 15.1, 15.2, and what a shared buffer allows. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <DriverKit/DriverKit.h>

#include "channel/side.h"
#include "driver/borrow.h"
#include "driver/connection-private.h"
#include "driver/memory.h"
#include "driver/test-faults.h"
#include "driver/test-lender.h"

#define P IOVMPageSize
#define MARK ((void *)0x5a5a)

static IOBufferMemoryDescriptor *make(uint64_t options, uint64_t capacity)
{
        IOBufferMemoryDescriptor *buffer = NULL;

        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(options, capacity, 0, &buffer), 0);
        return buffer;
}

static uint64_t length_of(IOBufferMemoryDescriptor *buffer)
{
        uint64_t length = 0;

        ck_assert_int_eq(IOMemoryDescriptor_GetLength(&buffer->descriptor, &length), 0);
        return length;
}

static kern_return_t map(void *buffer, uint64_t options, uint64_t address, uint64_t offset, uint64_t length, IOMemoryMap **ret)
{
        return IOMemoryDescriptor_CreateMapping(buffer, options, address, offset, length, 0, ret);
}

static uint8_t *at(IOMemoryMap *m)
{
        return (uint8_t *)(uintptr_t)IOMemoryMap_GetAddress(m);
}

/* An address where nothing is. */
static uint64_t free_space(size_t size)
{
        void *space = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        munmap(space, size);
        return (uintptr_t)space;
}

START_TEST(create)
{
        IOBufferMemoryDescriptor *b = MARK;
        IOAddressSegment range, again;

        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(0x10, 4096, 0, &b), kIOReturnBadArgument);
        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(0, 0, 0, &b), kIOReturnNoMemory);
        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(0, 1ull << 63, 0, &b), kIOReturnNoMemory);
        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(0, UINT64_MAX, 0, &b), kIOReturnNoMemory);
        ck_assert_ptr_eq(b, MARK);
        for (uint64_t options = 0; options < 4; options++) {
                b = make(options, 100);
                ck_assert_uint_eq(length_of(b), 100);
                ck_assert_int_eq(IOBufferMemoryDescriptor_GetAddressRange(b, &range), 0);
                ck_assert_int_eq(IOBufferMemoryDescriptor_GetAddressRange(b, &again), 0);
                ck_assert_uint_eq(range.address, again.address);
                ck_assert_uint_eq(range.address % P, 0);
                ck_assert_uint_eq(range.length, 100);
                for (int i = 0; i < 100; i++)
                        ck_assert_int_eq(((uint8_t *)(uintptr_t)range.address)[i], 0);
                memset((void *)(uintptr_t)range.address, 1, 100);
                ck_assert_int_eq(IOBufferMemoryDescriptor_GetAddressRange(b, NULL), kIOReturnBadArgument);
                OSObject_release(b);
        }
        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(0, 10, 65536, &b), 0);
        IOBufferMemoryDescriptor_GetAddressRange(b, &range);
        ck_assert_uint_eq(range.address % 65536, 0);
        OSObject_release(b);
}
END_TEST

START_TEST(lengths)
{
        IOBufferMemoryDescriptor *b = make(3, 4096);
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

/* A map that is found where Map() had made one keeps the descriptor, as every map does: so the connection sees that it is still in use. */
START_TEST(found_map_retains)
{
        IOBufferMemoryDescriptor *b = make(3, 4096);
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
        IOBufferMemoryDescriptor *b = make(3, 3 * P);
        IOMemoryMap *m = MARK, *whole;
        IOAddressSegment range;

        ck_assert_int_eq(map(b, 0, 0, 0, 3 * P + 1, &m), kIOReturnError);
        ck_assert_int_eq(map(b, 0, 0, 3 * P, 1, &m), kIOReturnError);
        ck_assert_int_eq(map(b, 0, 0, P, 0, &m), kIOReturnError);
        ck_assert_int_eq(map(b, 0, 0, 8, UINT64_MAX, &m), kIOReturnError);
        ck_assert_int_eq(map(b, 0x300, 0, 0, 0, &m), kIOReturnBadArgument);
        ck_assert_int_eq(map(b, 0x1000, 0, 0, 0, &m), kIOReturnBadArgument);
        ck_assert_ptr_eq(m, MARK);
        IOBufferMemoryDescriptor_GetAddressRange(b, &range);
        ((uint8_t *)(uintptr_t)range.address)[P] = 77;
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
        IOBufferMemoryDescriptor *b = make(3, P);
        IOMemoryMap *m;
        uint8_t *address;

        ck_assert_int_eq(map(b, 0, 0, 0, 0, &m), 0);
        address = at(m);
        ck_assert(faults(address - 1, false));
        ck_assert(faults(address + P, false));
        ck_assert(!faults(address, true));
        OSObject_release(b);
        ck_assert(!faults(address, true));
        OSObject_release(m);
        ck_assert(faults(address, false));
}
END_TEST

START_TEST(fixed)
{
        IOBufferMemoryDescriptor *b = make(3, P);
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
        IOBufferMemoryDescriptor *b = make(kIOMemoryDirectionOut, P);
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
        OSObject_release(b);
        ck_assert(faults((uint8_t *)(uintptr_t)address, false));
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
        IOBufferMemoryDescriptor *b = make(3, P);
        IOMemoryMap *m;
        IOAddressSegment range;
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
        IOBufferMemoryDescriptor_GetAddressRange(b, &range);
        *(uint8_t *)(uintptr_t)range.address = 3;
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
        IOBufferMemoryDescriptor *b = make(kIOMemoryDirectionOut, 5000), *other = make(0, 1);
        uint8_t *seen;
        IOAddressSegment range;
        int fd = -1;

        ck_assert_int_eq(share(&b->descriptor, false, &fd), 0);
        ck_assert(amb_side_memory_check(fd, (5000 + P - 1) / P * P, 0));
        seen = mmap(NULL, 5000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ck_assert_ptr_ne(seen, MAP_FAILED);
        seen[4999] = 8;
        IOBufferMemoryDescriptor_GetAddressRange(b, &range);
        ck_assert_int_eq(((uint8_t *)(uintptr_t)range.address)[4999], 8);
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
        IOBufferMemoryDescriptor *b[] = { make(3, 2 * P), make(3, P), make(3, 100) };
        IOMemoryDescriptor *part, *joined, *uneven, *many, *with[32], *group[32];
        struct amb_memory_extent *extents;
        uint32_t count;
        uint8_t *seen;
        IOMemoryMap *m;
        int fd;

        ck_assert_int_eq(IOMemoryDescriptor_CreateSubMemoryDescriptor(3, 8, 2 * P - 8, &b[0]->descriptor, &part), 0);
        with[0] = part;
        with[1] = &b[1]->descriptor;
        with[2] = &b[2]->descriptor;
        with[3] = &b[1]->descriptor;
        ck_assert_int_eq(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, 3, with, &joined), 0);
        ck_assert_int_eq(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, 4, with, &uneven), 0);
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
        /* read-only: the driver still writes, through what it joins, too */
        b[0] = make(3, P);
        b[1] = make(3, P);
        for (int i = 0; i < 2; i++)
                with[i] = &b[i]->descriptor;
        ck_assert_int_eq(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, 2, with, &joined), 0);
        ck_assert_int_eq(amb_memory_share(joined, true, &extents, &count), 0);
        ck_assert(amb_side_memory_check(extents[1].fd, P, F_SEAL_FUTURE_WRITE));
        seen = mmap(NULL, P, PROT_READ, MAP_SHARED, extents[1].fd, 0);
        ck_assert_int_eq(map(joined, 0, 0, 0, 0, &m), 0);
        at(m)[P] = 77;
        ck_assert_int_eq(seen[0], 77);
        munmap(seen, P);
        free(extents);
        OSObject_release(m);
        /* 1024 pieces are the most that an application gets */
        for (int i = 0; i < 32; i++)
                with[i] = &b[0]->descriptor;
        ck_assert_int_eq(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, 32, with, &part), 0);
        for (int i = 0; i < 32; i++)
                group[i] = part;
        ck_assert_int_eq(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, 32, group, &many), 0);
        ck_assert_int_eq(amb_memory_share(many, true, &extents, &count), 0);
        ck_assert_uint_eq(count, 1024);
        free(extents);
        group[0] = many;
        group[1] = &b[1]->descriptor;
        ck_assert_int_eq(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, 2, group, &uneven), 0);
        ck_assert_int_eq(amb_memory_share(uneven, true, &extents, &count), AMB_MEMORY_REFUSED);
        OSObject_release(uneven);
        /* and 65536 the most that there are */
        for (int i = 0; i < 32; i++)
                group[i] = many;
        ck_assert_int_eq(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, 32, group, &uneven), 0);
        group[0] = group[1] = group[2] = uneven;
        OSObject_release(many);
        many = MARK;
        ck_assert_int_eq(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, 3, group, &many), kIOReturnNoMemory);
        ck_assert_ptr_eq(many, MARK);
        OSObject_release(uneven);
        OSObject_release(part);
        OSObject_release(joined);
        for (int i = 0; i < 2; i++) {
                ck_assert_uint_eq(OSObject_getRetainCount(b[i]), 1);
                OSObject_release(b[i]);
        }
}
END_TEST

/* How long an application may keep a driver waiting does not grow with the length that it names. */
START_TEST(input_beyond_measure)
{
        struct lender lender;
        struct amb_connection *c = borrower(&lender);
        IOMemoryDescriptor *d;
        IOMemoryMap *m;

        amb_borrow_wait_ns = 100000000;
        pthread_mutex_lock(&lender.lock);       /* it does not answer */
        ck_assert_int_eq(amb_borrow_argument(c, &(struct amb_range){ .id = 1, .length = 1ull << 62 }, AMB_LOAN_OUT, &d), 0);
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
        uint64_t length;
        int fd;

        memset(memory, 1, 0x123 + 5000);
        ck_assert_int_eq(amb_borrow_argument(c, &(struct amb_range){ .id = 1, .offset = 0x123, .length = 5000 }, AMB_LOAN_OUT, &d), 0);
        IOMemoryDescriptor_GetLength(d, &length);
        ck_assert_uint_eq(length, 5000);
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
        ck_assert_int_eq(share(d, false, &fd), AMB_MEMORY_REFUSED);
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
                ck_assert_int_eq(amb_borrow_argument(c, &(struct amb_range){ .id = 1, .offset = 16, .length = 4 * 4096 - 32 }, AMB_LOAN_OUT, &d), 0);
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
                ck_assert_int_eq(amb_borrow_argument(c, &(struct amb_range){ .id = 7, .offset = 1, .length = 5000 }, AMB_LOAN_IN | AMB_LOAN_SHARED, &d), 0);
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

/* What a driver keeps is given back once, with the last reference; what the application does not have is an error that can be tried again. */
START_TEST(kept_and_refused)
{
        struct lender lender;
        struct amb_connection *c = borrower(&lender);
        struct amb_loan_segment named[2] = { { 0x1000, 0x1000 }, { 0x2000, 5 } };
        IOMemoryDescriptor *d, *argument;
        IOMemoryMap *m = MARK;
        uint8_t *memory;

        ck_assert_int_eq(amb_borrow_argument(c, &(struct amb_range){ .id = 3, .offset = 0, .length = 5000 }, AMB_LOAN_IN | AMB_LOAN_SHARED, &argument), 0);
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
        struct amb_range range = { .id = 1, .length = length };
        IOMemoryDescriptor *d = NULL;
        kern_return_t code;

        ck_assert_int_eq(amb_borrow_argument(c, &range, AMB_LOAN_IN | AMB_LOAN_SHARED, &d), 0);
        code = map(d, 0, 0, 0, 0, ret);
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

/* Memory of somebody else's: one page that ends a file, two pages of another one; each attempt to resolve it is counted. */
struct elsewhere {
        struct amb_memory_origin origin;
        struct amb_memory_extent extents[2];
        uint8_t *seen[2];
        uint8_t *at;
        bool writable;
        int result;
        _Atomic int asked, freed;
        struct signal *inside, *go_on;
};

static int elsewhere_resolve(struct amb_memory_origin *origin, struct amb_memory_backing *ret)
{
        struct elsewhere *e = amb_container_of(origin, struct elsewhere, origin);

        e->asked++;
        if (e->inside) {
                signal_add(e->inside);
                signal_wait(e->go_on, 1);
        }
        *ret = (struct amb_memory_backing){ e->extents, 2, e->at, e->writable };
        return e->result;
}

static void elsewhere_free(struct amb_memory_origin *origin)
{
        struct elsewhere *e = amb_container_of(origin, struct elsewhere, origin);

        e->freed++;
        for (int i = 0; i < 2; i++) {
                munmap(e->seen[i], 4 * P);
                close(e->extents[i].fd);
        }
}

static const struct amb_memory_origin_class elsewhere_class = { elsewhere_resolve, elsewhere_free };

/* Starts at byte `before` of a page; the second extent's place is where the first one's ends, plus `shift`. */
static IOMemoryDescriptor *elsewhere_new(struct elsewhere *e, uint64_t options, uint64_t before, uint64_t shift)
{
        const uint64_t offset[] = { P + before, P + shift }, length[] = { P - before, 2 * P };
        IOMemoryDescriptor *d = NULL;

        *e = (struct elsewhere){ .origin.class = &elsewhere_class, .writable = true };
        for (int i = 0; i < 2; i++) {
                int fd = memfd_create("elsewhere", MFD_CLOEXEC);

                ck_assert_int_eq(ftruncate(fd, (off_t)(4 * P)), 0);
                e->seen[i] = mmap(NULL, 4 * P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                e->extents[i] = (struct amb_memory_extent){ fd, offset[i], length[i] };
        }
        ck_assert_int_eq(amb_memory_new_origin(&e->origin, options, 3 * P - before, &d), 0);
        ck_assert_ptr_eq(amb_memory_origin(d), &e->origin);
        return d;
}

START_TEST(origin_extents)
{
        struct elsewhere e;
        IOMemoryDescriptor *d = elsewhere_new(&e, kIOMemoryDirectionInOut, 0x123, 0);
        IOMemoryMap *m = MARK;

        e.result = -EFAULT;
        ck_assert_int_eq(map(d, 0, 0, 0, 0, &m), kIOReturnError);
        ck_assert_ptr_eq(m, MARK);
        e.result = 0;
        ck_assert_int_eq(map(d, 0, 0, 0, 0, &m), 0);
        ck_assert_int_eq(e.asked, 2);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m) % P, 0x123);
        at(m)[0] = 1;
        at(m)[P - 0x123 - 1] = 2;
        at(m)[P - 0x123] = 3;
        at(m)[3 * P - 0x123 - 1] = 4;
        ck_assert_int_eq(e.seen[0][P + 0x123], 1);
        ck_assert_int_eq(e.seen[0][2 * P - 1], 2);
        ck_assert_int_eq(e.seen[1][P], 3);
        ck_assert_int_eq(e.seen[1][3 * P - 1], 4);
        ck_assert(faults(at(m) + 3 * P - 0x123, false));
        ck_assert(faults(at(m) - 0x124, false));
        OSObject_release(m);
        /* a range across the junction, and one behind it */
        ck_assert_int_eq(map(d, kIOMemoryMapReadOnly, 0, P - 0x123 - 1, 2, &m), 0);
        ck_assert_int_eq(at(m)[0], 2);
        ck_assert_int_eq(at(m)[1], 3);
        ck_assert(faults(at(m), true));
        OSObject_release(m);
        ck_assert_int_eq(map(d, 0, 0, 3 * P - 0x123 - 1, 1, &m), 0);
        ck_assert_int_eq(at(m)[0], 4);
        OSObject_release(d);
        ck_assert_int_eq(e.freed, 0);
        OSObject_release(m);
        ck_assert_int_eq(e.freed, 1);
        ck_assert_int_eq(e.asked, 2);
}
END_TEST

START_TEST(origin_refusals)
{
        struct elsewhere e;
        IOMemoryDescriptor *d = elsewhere_new(&e, kIOMemoryDirectionInOut, 0, 8);
        IOMemoryMap *m = MARK;
        int fd;

        /* the second extent does not start a page: everything that crosses its start is refused, the rest is not */
        ck_assert_int_eq(map(d, 0, 0, 0, 0, &m), kIOReturnError);
        ck_assert_int_eq(map(d, 0, 0, 0, P + 1, &m), kIOReturnError);
        ck_assert_ptr_eq(m, MARK);
        ck_assert_int_eq(map(d, 0, 0, P, 16, &m), 0);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m) % P, 8);
        OSObject_release(m);
        ck_assert_int_eq(share(d, true, &fd), AMB_MEMORY_REFUSED);
        OSObject_release(d);
        /* not writable at all, or read-only by direction */
        d = elsewhere_new(&e, kIOMemoryDirectionInOut, 0, 0);
        e.writable = false;
        ck_assert_int_eq(map(d, 0, 0, 0, 0, &m), kIOReturnError);
        ck_assert_int_eq(map(d, kIOMemoryMapReadOnly, 0, 0, 0, &m), 0);
        ck_assert(faults(at(m), true));
        OSObject_release(m);
        OSObject_release(d);
        d = elsewhere_new(&e, kIOMemoryDirectionOut, 0, 0);
        ck_assert_int_eq(map(d, 0, 0, 0, 0, &m), 0);
        ck_assert(faults(at(m), true));
        OSObject_release(m);
        OSObject_release(d);
        /* what an origin says must be as long as the descriptor */
        d = elsewhere_new(&e, kIOMemoryDirectionInOut, 0, 0);
        e.extents[1].length = P;
        ck_assert_int_eq(map(d, 0, 0, 0, P, &m), kIOReturnError);
        OSObject_release(d);
}
END_TEST

/* Parts of it, also joined with a buffer: asked for when it is mapped, and only if the range has any of it; never given away. */
START_TEST(origin_joined)
{
        IOBufferMemoryDescriptor *b = make(3, P);
        struct elsewhere e;
        IOMemoryDescriptor *d = elsewhere_new(&e, kIOMemoryDirectionOut, 0, 0), *joined, *part;
        IOMemoryDescriptor *with[] = { &b->descriptor, d };
        struct amb_memory_extent *extents;
        uint32_t count;
        IOMemoryMap *m = MARK;

        ck_assert_int_eq(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, 2, with, &joined), 0);
        ck_assert_int_eq(IOMemoryDescriptor_CreateSubMemoryDescriptor(3, P - 8, P + 16, joined, &part), 0);
        ck_assert_int_eq(map(joined, 0, 0, 0, P, &m), 0);
        OSObject_release(m);
        ck_assert_int_eq(e.asked, 0);
        /* what is only read stays so, whatever a part of it says */
        m = MARK;
        ck_assert_int_eq(map(joined, 0, 0, 0, 0, &m), kIOReturnError);
        ck_assert_ptr_eq(m, MARK);
        OSObject_release(d);
        OSObject_release(joined);
        memset(e.seen[0] + P, 5, P);
        ck_assert_int_eq(map(part, kIOMemoryMapReadOnly, 0, 0, 0, &m), 0);
        ck_assert_int_eq(e.asked, 1);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m) % P, P - 8);
        ck_assert_int_eq(at(m)[7], 0);
        ck_assert_int_eq(at(m)[8], 5);
        ck_assert_int_eq(at(m)[P + 7], 5);
        ck_assert_int_eq(at(m)[P + 8], 0);
        ck_assert(faults(at(m), true));
        OSObject_release(m);
        ck_assert_int_eq(amb_memory_share(part, true, &extents, &count), AMB_MEMORY_REFUSED);
        ck_assert_int_eq(e.freed, 0);
        OSObject_release(part);
        ck_assert_int_eq(e.freed, 1);
        OSObject_release(b);
}
END_TEST

/* A view that is there is used when it is as good as a new one. */
START_TEST(origin_present)
{
        struct elsewhere e;
        IOMemoryDescriptor *d = elsewhere_new(&e, kIOMemoryDirectionInOut, 0, 0);
        uint8_t *here = mmap(NULL, 3 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uint64_t address, length;
        IOMemoryMap *m;

        e.at = here;
        ck_assert_int_eq(map(d, 0, 0, 2 * P + 1, 10, &m), 0);
        ck_assert_ptr_eq(at(m), here + 2 * P + 1);
        OSObject_release(m);
        ck_assert(!faults(here + 2 * P + 1, true));
        ck_assert_int_eq(IOMemoryDescriptor_Map(d, 0, 0, 0, 0, &address, &length), 0);
        ck_assert_uint_eq(address, (uintptr_t)here);
        ck_assert_int_eq(map(d, kIOMemoryMapReadOnly, 0, 0, 0, &m), 0);
        ck_assert_ptr_ne(at(m), here);
        OSObject_release(m);
        ck_assert_int_eq(map(d, kIOMemoryMapGuardedLarge, 0, 0, 0, &m), 0);
        ck_assert_ptr_ne(at(m), here);
        ck_assert(faults(at(m) + 3 * P + 65535, false));
        OSObject_release(m);
        OSObject_release(d);
        munmap(here, 3 * P);
}
END_TEST

static void *map_and_release(void *memory)
{
        IOMemoryMap *m;

        ck_assert_int_eq(map(memory, 0, 0, 0, 0, &m), 0);
        OSObject_release(m);
        return NULL;
}

/* Two threads map it first: one asks, the other waits; whoever maps something else meanwhile does not. */
START_TEST(origin_threads)
{
        struct signal inside = SIGNAL_INIT, go_on = SIGNAL_INIT;
        IOBufferMemoryDescriptor *b = make(3, P);
        struct elsewhere e;
        IOMemoryDescriptor *d = elsewhere_new(&e, kIOMemoryDirectionInOut, 0, 0);
        pthread_t threads[2];

        e.inside = &inside;
        e.go_on = &go_on;
        for (int i = 0; i < 2; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, map_and_release, d), 0);
        signal_wait(&inside, 1);
        map_and_release(b);
        signal_add(&go_on);
        for (int i = 0; i < 2; i++)
                pthread_join(threads[i], NULL);
        ck_assert_int_eq(e.asked, 1);
        OSObject_release(d);
        ck_assert_int_eq(e.freed, 1);
        OSObject_release(b);
}
END_TEST

/* --- any descriptor made of any others, against a model: for every byte, which buffer and which byte of it --- */

#define BUFFERS 4
#define MODELS 40
#define BYTES_MOST (48 * P)

struct model {
        IOMemoryDescriptor *memory;
        uint64_t length;
        uint32_t *bytes;                /* number of the buffer << 24 | place in it */
        bool *begins;                   /* a piece begins here */
};

static struct model model_new(uint64_t length)
{
        return (struct model){ NULL, length, calloc(length + 1, sizeof(uint32_t)), calloc(length + 1, sizeof(bool)) };
}

static void model_add(struct model *to, uint64_t at, const struct model *from, uint64_t offset, uint64_t length)
{
        memcpy(to->bytes + at, from->bytes + offset, length * sizeof(uint32_t));
        memcpy(to->begins + at, from->begins + offset, length * sizeof(bool));
        to->begins[at] = true;
}

static struct model model_buffer(uint32_t number, uint64_t length)
{
        struct model made = model_new(length);
        IOBufferMemoryDescriptor *buffer = make(3, length);
        IOAddressSegment range;

        IOBufferMemoryDescriptor_GetAddressRange(buffer, &range);
        for (uint32_t i = 0; i < length; i++) {
                made.bytes[i] = number << 24 | i;
                ((uint8_t *)(uintptr_t)range.address)[i] = (uint8_t)(number * 50 + i / P * 7 + i % 251);
        }
        made.begins[0] = true;
        made.memory = &buffer->descriptor;
        return made;
}

static uint64_t up_to(uint64_t most)
{
        return (uint64_t)rand() % (most + 1);
}

/* Whole pages more often than chance would have it. */
static uint64_t place_up_to(uint64_t most)
{
        uint64_t place = up_to(most);

        return rand() % 4 ? place / P * P : place;
}

static struct model model_part(const struct model *of)
{
        uint64_t offset = place_up_to(of->length), length = rand() % 2 ? of->length - offset : place_up_to(of->length - offset);
        struct model made = model_new(length);

        model_add(&made, 0, of, offset, length);
        ck_assert_int_eq(IOMemoryDescriptor_CreateSubMemoryDescriptor(3, offset, length, of->memory, &made.memory), 0);
        return made;
}

static struct model model_joined(const struct model *models, uint32_t count)
{
        const struct model *chosen[32];
        IOMemoryDescriptor *with[32];
        uint32_t number = 0, wanted = 1 + (uint32_t)up_to(5);
        uint64_t length = 0;
        struct model made;

        while (number < wanted) {
                const struct model *one = &models[up_to(count - 1)];

                if (number > 0 && length + one->length > BYTES_MOST)
                        break;
                length += one->length;
                with[number] = one->memory;
                chosen[number++] = one;
        }
        made = model_new(length);
        length = 0;
        for (uint32_t i = 0; i < number; i++) {
                model_add(&made, length, chosen[i], 0, chosen[i]->length);
                length += chosen[i]->length;
        }
        ck_assert_int_eq(IOMemoryDescriptor_CreateWithMemoryDescriptors(3, number, with, &made.memory), 0);
        return made;
}

static bool mappable(const struct model *model, uint64_t offset, uint64_t length)
{
        for (uint64_t i = offset + 1; i < offset + length; i++)
                if (model->begins[i] && ((model->bytes[i] & 0xffffff) % P || ((model->bytes[i - 1] & 0xffffff) + 1) % P))
                        return false;
        return length > 0;
}

static void model_check(const struct model *model)
{
        uint64_t offset = place_up_to(model->length), length = place_up_to(model->length - offset);
        IOMemoryMap *m = MARK;

        if (rand() % 2) {
                offset = 0;
                length = model->length;
        }
        if (!mappable(model, offset, length)) {
                /* length 0 means all of it */
                if (length > 0)
                        ck_assert_int_eq(map(model->memory, 0, 0, offset, length, &m), kIOReturnError);
                ck_assert_ptr_eq(m, MARK);
                return;
        }
        ck_assert_int_eq(map(model->memory, 0, 0, offset, length, &m), 0);
        ck_assert_uint_eq(IOMemoryMap_GetLength(m), length);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m) % P, (model->bytes[offset] & 0xffffff) % P);
        for (uint64_t i = 0; i < length; i++) {
                uint32_t byte = model->bytes[offset + i], place = byte & 0xffffff;

                if (at(m)[i] != (uint8_t)((byte >> 24) * 50 + place / P * 7 + place % 251))
                        ck_abort_msg("byte %llu of %llu", (unsigned long long)i, (unsigned long long)length);
        }
        OSObject_release(m);
}

static void any_descriptors_of(unsigned int seed)
{
        struct model models[MODELS];
        uint32_t count = 0;

        srand(seed);
        for (; count < BUFFERS; count++)
                models[count] = model_buffer(count + 1, rand() % 2 ? (1 + up_to(3)) * P : 1 + up_to(4 * P));
        for (; count < MODELS; count++) {
                models[count] = rand() % 2 ? model_part(&models[up_to(count - 1)]) : model_joined(models, count);
                model_check(&models[count]);
        }
        /* In any order, and what is left stays good. */
        for (; count > 0; count--) {
                uint32_t which = (uint32_t)up_to(count - 1);

                OSObject_release(models[which].memory);
                free(models[which].bytes);
                free(models[which].begins);
                models[which] = models[count - 1];
                if (count > 1)
                        model_check(&models[up_to(count - 2)]);
        }
}

START_TEST(any_descriptors)
{
        for (unsigned int seed = 1; seed <= 40; seed++)
                any_descriptors_of(seed);
}
END_TEST

int main(void)
{
        return run_suite("memory", create, lengths, found_map_retains, ranges, guards_and_end, fixed, owner_writes,
                         shared_read_only, shared_writable, shared_joined, input_beyond_measure, structure_input,
                         structure_input_with_holes, structure_output, kept_and_refused, own_file_cut_short_meanwhile,
                         own_file_long_again, origin_extents, origin_refusals, origin_joined, origin_present, origin_threads,
                         any_descriptors);
}
