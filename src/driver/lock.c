/* SPDX-License-Identifier: Apache-2.0 */
/* IOLib's locks: pthread's, and who has them. Also what runs once. */
#include <pthread.h>

#include <DriverKit/IOLib.h>

#include "base/base.h"
#include "base/block.h"

/* --- a mutex that knows its owner --- */

struct IOLock {
        pthread_mutex_t mutex;
        const void *owner;              /* the owning thread's own_thread; NULL: nobody */
};

/* Its address names a living thread, in one word: owner and "is owned" in two could be read from two different owners. */
static _Thread_local char own_thread;

AMB_EXPORT IOLock *IOLockAlloc(void)
{
        IOLock *lock = calloc(1, sizeof(*lock));

        if (lock)
                pthread_mutex_init(&lock->mutex, NULL);
        return lock;
}

AMB_EXPORT void IOLockFree(IOLock *lock)
{
        if (lock)
                pthread_mutex_destroy(&lock->mutex);
        free(lock);
}

/* Only the owner itself can find its own name here, so a relaxed look is enough. */
static bool is_mine(IOLock *lock)
{
        return __atomic_load_n(&lock->owner, __ATOMIC_RELAXED) == &own_thread;
}

AMB_EXPORT void IOLockLock(IOLock *lock)
{
        pthread_mutex_lock(&lock->mutex);
        __atomic_store_n(&lock->owner, &own_thread, __ATOMIC_RELAXED);
}

AMB_EXPORT void IOLockUnlock(IOLock *lock)
{
        __atomic_store_n(&lock->owner, NULL, __ATOMIC_RELAXED);
        pthread_mutex_unlock(&lock->mutex);
}

AMB_EXPORT bool IOLockTryLock(IOLock *lock)
{
        if (pthread_mutex_trylock(&lock->mutex) != 0)
                return false;
        __atomic_store_n(&lock->owner, &own_thread, __ATOMIC_RELAXED);
        return true;
}

AMB_EXPORT void IOLockAssert(IOLock *lock, int type)
{
        if (is_mine(lock) == (type == kIOLockAssertOwned))
                return;
        amb_log(AMB_LOG_ERROR, "IOLockAssert: the lock is %sheld by this thread", type == kIOLockAssertOwned ? "not " : "");
        abort();
}

struct IORecursiveLock {
        IOLock lock;
        unsigned int depth;             /* the owner's */
};

AMB_EXPORT IORecursiveLock *IORecursiveLockAlloc(void)
{
        IORecursiveLock *lock = calloc(1, sizeof(*lock));

        if (lock)
                pthread_mutex_init(&lock->lock.mutex, NULL);
        return lock;
}

AMB_EXPORT void IORecursiveLockFree(IORecursiveLock *lock)
{
        if (lock)
                pthread_mutex_destroy(&lock->lock.mutex);
        free(lock);
}

AMB_EXPORT void IORecursiveLockLock(IORecursiveLock *lock)
{
        if (!is_mine(&lock->lock))
                IOLockLock(&lock->lock);
        lock->depth++;
}

AMB_EXPORT void IORecursiveLockUnlock(IORecursiveLock *lock)
{
        if (--lock->depth == 0)
                IOLockUnlock(&lock->lock);
}

AMB_EXPORT bool IORecursiveLockTryLock(IORecursiveLock *lock)
{
        if (!is_mine(&lock->lock) && !IOLockTryLock(&lock->lock))
                return false;
        lock->depth++;
        return true;
}

AMB_EXPORT bool IORecursiveLockHaveLock(IORecursiveLock *lock)
{
        return is_mine(&lock->lock);
}

/* --- the same under another name --- */

struct IORecursiveConditionLock {
        IORecursiveLock lock;
};

AMB_EXPORT IORecursiveConditionLock *IORecursiveConditionLockAlloc(void)
{
        return (IORecursiveConditionLock *)IORecursiveLockAlloc();
}

AMB_EXPORT void IORecursiveConditionLockFree(IORecursiveConditionLock *lock)
{
        IORecursiveLockFree((IORecursiveLock *)lock);
}

AMB_EXPORT void IORecursiveConditionLockLock(IORecursiveConditionLock *lock)
{
        IORecursiveLockLock(&lock->lock);
}

AMB_EXPORT void IORecursiveConditionLockUnlock(IORecursiveConditionLock *lock)
{
        IORecursiveLockUnlock(&lock->lock);
}

AMB_EXPORT bool IORecursiveConditionLockTryLock(IORecursiveConditionLock *lock)
{
        return IORecursiveLockTryLock(&lock->lock);
}

AMB_EXPORT bool IORecursiveConditionLockHaveLock(IORecursiveConditionLock *lock)
{
        return IORecursiveLockHaveLock(&lock->lock);
}

/* --- readers and writers --- */

struct IORWLock {
        pthread_rwlock_t lock;
};

AMB_EXPORT IORWLock *IORWLockAlloc(void)
{
        IORWLock *lock = calloc(1, sizeof(*lock));

        if (lock)
                pthread_rwlock_init(&lock->lock, NULL);
        return lock;
}

AMB_EXPORT void IORWLockFree(IORWLock *lock)
{
        if (lock)
                pthread_rwlock_destroy(&lock->lock);
        free(lock);
}

AMB_EXPORT void IORWLockRead(IORWLock *lock)
{
        pthread_rwlock_rdlock(&lock->lock);
}

AMB_EXPORT void IORWLockWrite(IORWLock *lock)
{
        pthread_rwlock_wrlock(&lock->lock);
}

AMB_EXPORT void IORWLockUnlock(IORWLock *lock)
{
        pthread_rwlock_unlock(&lock->lock);
}

/* --- once --- */

enum { ONCE_NEVER, ONCE_RUNNING, ONCE_DONE };
static pthread_mutex_t once_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t once_done = PTHREAD_COND_INITIALIZER;

/* True: the caller runs it. False: it has been run. All flags wait in one place: that is rare, and short. */
static bool once_begin(struct IOCallOnceFlag *flag)
{
        bool first;

        pthread_mutex_lock(&once_lock);
        while (flag->state == ONCE_RUNNING)
                pthread_cond_wait(&once_done, &once_lock);
        first = flag->state == ONCE_NEVER;
        if (first)
                __atomic_store_n(&flag->state, ONCE_RUNNING, __ATOMIC_RELAXED);
        pthread_mutex_unlock(&once_lock);
        return first;
}

AMB_EXPORT void IOCallOnce_f(struct IOCallOnceFlag *flag, void *context, void (*function)(void *context))
{
        /* Acquire: who sees that it is done sees what it has done. */
        if (__atomic_load_n(&flag->state, __ATOMIC_ACQUIRE) == ONCE_DONE || !once_begin(flag))
                return;
        function(context);
        pthread_mutex_lock(&once_lock);
        __atomic_store_n(&flag->state, ONCE_DONE, __ATOMIC_RELEASE);
        pthread_cond_broadcast(&once_done);
        pthread_mutex_unlock(&once_lock);
}

AMB_EXPORT void IOCallOnce(struct IOCallOnceFlag *flag, IOCallOnceBlock block)
{
        IOCallOnce_f(flag, (void *)block, amb_block_run);
}
