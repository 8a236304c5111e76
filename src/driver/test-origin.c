/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors whose memory is asked for when it is mapped for the first time: an origin's (driver/memory.h). */
#include "driver/memory.h"
#include "driver/test-memory.h"
#include "driver/test.h"

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
        struct amb_memory_extent *extents;
        IOMemoryMap *m = MARK;
        uint32_t count;

        /* the second extent does not start a page: everything that crosses its start is refused, the rest is not */
        ck_assert_int_eq(map(d, 0, 0, 0, 0, &m), kIOReturnError);
        ck_assert_int_eq(map(d, 0, 0, 0, P + 1, &m), kIOReturnError);
        ck_assert_ptr_eq(m, MARK);
        ck_assert_int_eq(map(d, 0, 0, P, 16, &m), 0);
        ck_assert_uint_eq(IOMemoryMap_GetAddress(m) % P, 8);
        OSObject_release(m);
        ck_assert_int_eq(amb_memory_share(d, true, &extents, &count), AMB_MEMORY_REFUSED);
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
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
        struct elsewhere e;
        IOMemoryDescriptor *d = elsewhere_new(&e, kIOMemoryDirectionOut, 0, 0), *joined, *part;
        IOMemoryDescriptor *with[] = { &b->descriptor, d };
        struct amb_memory_extent *extents;
        uint32_t count;
        IOMemoryMap *m = MARK;

        joined = joined_of(with, 2);
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
        ck_assert(writable(here + 2 * P + 1));
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
        IOBufferMemoryDescriptor *b = buffer_of(3, P);
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

int main(void)
{
        return run_suite("origin", origin_extents, origin_refusals, origin_joined, origin_present, origin_threads);
}
