/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mman.h>

#include <DriverKit/IOTypes.h>

#include "driver/vanish.h"
#include "driver/view.h"

#define PAGE_START(position) ((position) & ~(uint64_t)(IOVMPageSize - 1))

/* Bytes of all pieces, and of the first one's page before it, in whole pages. */
static int measure(const struct amb_view_request *request, uint64_t *ret_size)
{
        uint64_t size = request->pieces[0].offset % IOVMPageSize;

        for (uint32_t i = 0; i < request->count; i++) {
                const struct amb_view_piece *piece = &request->pieces[i];

                if (i > 0 && (size % IOVMPageSize || piece->offset % IOVMPageSize))
                        return -EINVAL;
                if (__builtin_add_overflow(size, piece->length, &size))
                        return -ENOMEM;
        }
        if (__builtin_add_overflow(size, IOVMPageSize - 1, &size) || size > PTRDIFF_MAX)
                return -ENOMEM;
        *ret_size = PAGE_START(size);
        return 0;
}

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

/* Reserves exactly that address space, if nothing is there. */
static int reserve_at(struct amb_view *view, uint64_t size, uint64_t address, uint8_t **ret_middle)
{
        uint8_t *wanted = (uint8_t *)(uintptr_t)address, *got;

        got = mmap(wanted, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
        if (got == MAP_FAILED)
                return -errno;
        if (got != wanted) {
                munmap(got, size);
                return -EEXIST;
        }
        view->base = got;
        view->size = size;
        *ret_middle = got;
        return 0;
}

/* Puts one piece over reserved address space; `before`: bytes of its first page that come along. */
static int place(const struct amb_view_piece *piece, bool writable, uint8_t *address, uint64_t before)
{
        uint64_t size = PAGE_START(before + piece->length + IOVMPageSize - 1);
        void *got;

        /* Size 0 makes a second mapping of shared pages, with the rights of the first, whatever the file is sealed against. */
        if (piece->twin)
                got = mremap((void *)(piece->twin - before), 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, address);
        else
                got = mmap(address, size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED | MAP_FIXED, piece->fd,
                           (off_t)(piece->offset - before));
        return got == MAP_FAILED ? -errno : 0;
}

int amb_view_map(struct amb_view *view, const struct amb_view_request *request)
{
        uint64_t before = request->pieces[0].offset % IOVMPageSize, size = 0, done = 0;
        struct amb_view made = { 0 };
        uint8_t *middle = NULL;
        int r;

        r = measure(request, &size);
        if (r < 0)
                return r;
        if (request->address && request->address % IOVMPageSize != before)
                return -EINVAL;
        r = request->address ? reserve_at(&made, size, request->address - before, &middle) :
                               reserve(&made, size, request->guard, request->alignment, &middle);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < request->count; i++) {
                r = place(&request->pieces[i], request->writable, middle + done, i == 0 ? before : 0);
                if (r < 0) {
                        amb_view_unmap(&made);
                        return r;
                }
                done += (i == 0 ? before : 0) + request->pieces[i].length;
        }
        for (uint32_t i = 0; i < request->count && !made.watched; i++) {
                if (!request->pieces[i].may_vanish)
                        continue;
                if (!amb_vanish_watch(middle, size)) {
                        amb_view_unmap(&made);
                        return amb_trace(-ENOSPC);
                }
                made.watched = middle;
        }
        made.at = middle + before;
        *view = made;
        return 0;
}

void amb_view_unmap(struct amb_view *view)
{
        if (view->watched)
                amb_vanish_forget(view->watched);
        if (view->base)
                munmap(view->base, view->size);
        *view = (struct amb_view){ 0 };
}

int amb_view_protect(struct amb_view *view, uint64_t length)
{
        uintptr_t start = (uintptr_t)view->at & ~(uintptr_t)(IOVMPageSize - 1);

        return mprotect((void *)start, (uintptr_t)view->at + length - start, PROT_READ) < 0 ? -errno : 0;
}
