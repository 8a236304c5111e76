/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mman.h>

#include <DriverKit/IOTypes.h>

#include "driver/view.h"

/* Reserves address space: [guard][middle][guard], the middle aligned. */
static int reserve(struct amb_view *view, uint64_t middle, uint64_t guard, uint64_t alignment, uint8_t **ret_middle)
{
        uint64_t size, extra = alignment > IOVMPageSize ? alignment : 0;
        uint8_t *base, *start;

        if (__builtin_add_overflow(middle, 2 * guard + extra, &size) || size > PTRDIFF_MAX)
                return -ENOMEM;
        base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED)
                return -errno;
        start = base + guard;
        if (extra)
                start = (uint8_t *)(((uintptr_t)start + alignment - 1) & ~(uintptr_t)(alignment - 1));
        view->base = base;
        view->size = size;
        *ret_middle = start;
        return 0;
}

/* Puts the memory over [address, address + size), which is reserved (or, with exactly, must be free). */
static int place(const struct amb_view_request *request, uint8_t *address, uint64_t size, uint64_t page_offset, bool exactly)
{
        int protection = PROT_READ | (request->writable ? PROT_WRITE : 0);
        int how = exactly ? MAP_FIXED_NOREPLACE : MAP_FIXED;
        void *got;

        if (request->twin && !exactly) {
                /* Size 0 makes a second mapping of shared pages, with the rights of the first, whatever the file is sealed against. */
                got = mremap((void *)(request->twin - page_offset), 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, address);
        } else if (request->twin) {
                /* mremap replaces what is there: find out first that nothing is. */
                got = mmap(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | how, -1, 0);
                if (got == address)
                        return place(request, address, size, page_offset, false);
        } else if (request->fd < 0) {
                /* A copy of an application's memory, most of which may never be touched. */
                got = mmap(address, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | how, -1, 0);
        } else {
                got = mmap(address, size, protection, MAP_SHARED | how, request->fd, (off_t)(request->offset - page_offset));
        }
        if (got == MAP_FAILED)
                return -errno;
        if (got != address) {
                munmap(got, size);
                return -EEXIST;
        }
        return 0;
}

int amb_view_map(struct amb_view *view, const struct amb_view_request *request)
{
        uint64_t page_offset = request->offset % IOVMPageSize, size;
        struct amb_view made = { 0 };
        uint8_t *middle = NULL;
        int r;

        if (__builtin_add_overflow(request->length, page_offset + IOVMPageSize - 1, &size))
                return -ENOMEM;
        size &= ~(IOVMPageSize - 1);
        if (request->address) {
                if (request->address % IOVMPageSize != page_offset)
                        return -EINVAL;
                middle = (uint8_t *)(uintptr_t)(request->address - page_offset);
                r = place(request, middle, size, page_offset, true);
                made.base = middle;
                made.size = size;
                if (r < 0)
                        return r;
        } else {
                r = reserve(&made, size, request->guard, request->alignment, &middle);
                if (r < 0)
                        return r;
                r = place(request, middle, size, page_offset, false);
                if (r < 0) {
                        amb_view_unmap(&made);
                        return r;
                }
        }
        made.at = middle + page_offset;
        *view = made;
        return 0;
}

void amb_view_unmap(struct amb_view *view)
{
        if (view->base)
                munmap(view->base, view->size);
        *view = (struct amb_view){ 0 };
}

int amb_view_protect(struct amb_view *view, uint64_t length)
{
        uintptr_t start = (uintptr_t)view->at & ~(uintptr_t)(IOVMPageSize - 1);

        return mprotect((void *)start, (uintptr_t)view->at + length - start, PROT_READ) < 0 ? -errno : 0;
}
