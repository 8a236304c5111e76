/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the blocks runtime orders, for ThreadSanitizer. The runtime counts references, of blocks and of the variables that they
 * share (__block), by atomics that nobody instruments: when the last one goes, the memory is freed, and the sanitizer takes the
 * uses of it on other threads for races. In every driver that counts its cancel blocks down there is such a variable.
 *
 * So the driver library's functions stand before the runtime's, tell the sanitizer, where there is one (base/sanitizer.h says
 * when), and do as the runtime does. Any thread.
 */
#include <dlfcn.h>
#include <stdint.h>

#include "base/base.h"
#include "base/block.h"

#define EXPORT __attribute__((visibility("default")))

enum { FIELD_IS_BYREF = 8 };

struct byref {
        void *isa;
        struct byref *forwarding;       /* where the variable lies, itself or the copy */
};

void _Block_object_dispose(const void *object, int flags);
extern void __tsan_release(void *address) __attribute__((weak, visibility("default")));
extern void __tsan_acquire(void *address) __attribute__((weak, visibility("default")));

/* What has been done before with the object comes before what the last one to let go of it does. */
static void order(const void *object)
{
        if (__builtin_expect(!__tsan_release || !__tsan_acquire, 1) || !object)
                return;
        __tsan_release((void *)(uintptr_t)object);
        __tsan_acquire((void *)(uintptr_t)object);
}

/* The runtime's function. It comes later in the order of libraries; or earlier, and then nobody calls ours but this library. */
static void *find(_Atomic uintptr_t *known, const char *name)
{
        uintptr_t found = *known;

        if (!found) {
                void *symbol = dlsym(RTLD_NEXT, name);
                found = (uintptr_t)(symbol ? symbol : dlsym(RTLD_DEFAULT, name));
                *known = found;
        }
        return (void *)found;
}

EXPORT void _Block_release(const void *block)
{
        static _Atomic uintptr_t known;

        order(block);
        ((void (*)(const void *))find(&known, "_Block_release"))(block);
}

EXPORT void _Block_object_dispose(const void *object, int flags)
{
        static _Atomic uintptr_t known;

        order(object && flags & FIELD_IS_BYREF ? ((const struct byref *)object)->forwarding : object);
        ((void (*)(const void *, int))find(&known, "_Block_object_dispose"))(object, flags);
}
