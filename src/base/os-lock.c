/* SPDX-License-Identifier: Apache-2.0 */
/*
 * os_unfair_lock: a word that holds the owner's thread id, with the top bit set while somebody may sleep on it. A forked child that
 * takes its parent's lock deadlocks, as with any other lock.
 */
#include <linux/futex.h>
#include <os/lock.h>
#include <sys/syscall.h>

#include "base/base.h"

#define EXPORT __attribute__((visibility("default")))
#define WAITED_FOR 0x80000000u

static uint32_t self_id(void)
{
        return (uint32_t)gettid();
}

static void futex(uint32_t *word, int operation, uint32_t value)
{
        syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void fail(const char *what)
{
        amb_log(AMB_LOG_ERROR, "os_unfair_lock: %s", what);
        abort();
}

static uint32_t owner_of(const os_unfair_lock *lock)
{
        return __atomic_load_n(&lock->_os_unfair_lock_opaque, __ATOMIC_RELAXED) & ~WAITED_FOR;
}

static bool take(os_unfair_lock_t lock, uint32_t *seen, uint32_t with)
{
        *seen = 0;
        return __atomic_compare_exchange_n(&lock->_os_unfair_lock_opaque, seen, with, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

EXPORT bool os_unfair_lock_trylock(os_unfair_lock_t lock)
{
        uint32_t seen;

        return take(lock, &seen, self_id());
}

/* Who has slept cannot know whether others sleep still: it takes the lock with the bit set. */
EXPORT void os_unfair_lock_lock(os_unfair_lock_t lock)
{
        uint32_t seen, self = self_id(), *word = &lock->_os_unfair_lock_opaque;

        if (take(lock, &seen, self))
                return;
        if ((seen & ~WAITED_FOR) == self)
                fail("taken by the thread that holds it");
        while (!take(lock, &seen, self | WAITED_FOR)) {
                if (!(seen & WAITED_FOR) &&
                    !__atomic_compare_exchange_n(word, &seen, seen | WAITED_FOR, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                        continue;
                futex(word, FUTEX_WAIT, seen | WAITED_FOR);
        }
}

EXPORT void os_unfair_lock_unlock(os_unfair_lock_t lock)
{
        uint32_t before = __atomic_exchange_n(&lock->_os_unfair_lock_opaque, 0, __ATOMIC_RELEASE);

        if ((before & ~WAITED_FOR) != self_id())
                fail("given back by a thread that does not hold it");
        if (before & WAITED_FOR)
                futex(&lock->_os_unfair_lock_opaque, FUTEX_WAKE, 1);
}

EXPORT void os_unfair_lock_assert_owner(const os_unfair_lock *lock)
{
        if (owner_of(lock) != self_id())
                fail("not held by the thread that must hold it");
}

EXPORT void os_unfair_lock_assert_not_owner(const os_unfair_lock *lock)
{
        if (owner_of(lock) == self_id())
                fail("held by the thread that must not hold it");
}
