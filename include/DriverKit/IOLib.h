/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Log, memory, locks, time: what DriverKit drivers use beside the C library. Any thread. Contract: memory-and-queues 13.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <DriverKit/IOTypes.h>
#include <mach/mach_time.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * --- log: one line to the host's standard error ---
 * format: printf's; a newline at its end makes no second one. The number of characters, or negative: no memory, bad format.
 */
int IOLog(const char *format, ...) __attribute__((format(printf, 1, 2)));
int IOLogv(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

/*
 * --- memory ---
 * length: bytes; NULL: none left, or (IONew) count * size is too large. IOMalloc's is not zeroed, IOMallocZero's is. The caller
 * gives it back with IOFree and the length that was asked for; a NULL address does nothing. IONew and IODelete count elements,
 * and run no constructors.
 */
void *IOMalloc(size_t length);
void *IOMallocZero(size_t length);
void IOFree(void *address, size_t length);
static inline void *amb_malloc_array(size_t count, size_t size, bool zero)
{
        size_t length;

        if (__builtin_mul_overflow(count, size, &length))
                return NULL;
        return zero ? IOMallocZero(length) : IOMalloc(length);
}
#define IONew(type, count) ((type *)amb_malloc_array((count), sizeof(type), false))
#define IONewZero(type, count) ((type *)amb_malloc_array((count), sizeof(type), true))
#define IODelete(pointer, type, count) IOFree((pointer), sizeof(type) * (count))
#define IOSafeDeleteNULL(pointer, type, count)                                                                          \
        do {                                                                                                            \
                if (pointer) {                                                                                          \
                        IODelete(pointer, type, count);                                                                 \
                        (pointer) = NULL;                                                                               \
                }                                                                                                       \
        } while (0)

/*
 * --- time ---
 * At least that long; signals do not shorten it. Blocks the thread, and with it its queue.
 */
void IOSleep(uint64_t milliseconds);
void IODelay(uint64_t microseconds);
#ifndef NSEC_PER_SEC
#define NSEC_PER_SEC 1000000000ull
#endif
#define kNanosecondScale 1ull
#define kMicrosecondScale 1000ull
#define kMillisecondScale 1000000ull
#define kSecondScale 1000000000ull

/*
 * --- locks ---
 * Alloc: one lock, free; NULL: no memory. Free: nobody may hold it; NULL does nothing. FreeZero also sets the variable to NULL.
 * The other calls take a lock that is not NULL, and wait without limit; a lock is given back by the thread that took it.
 *
 * IOLock: not recursive: a thread that locks it twice waits for ever. IOLockAssert ends the process when the calling thread
 * does not hold it (kIOLockAssertOwned), or does (kIOLockAssertNotOwned).
 */
typedef struct IOLock IOLock;
#define kIOLockAssertOwned 1
#define kIOLockAssertNotOwned 2
IOLock *IOLockAlloc(void);
void IOLockFree(IOLock *lock);
void IOLockLock(IOLock *lock);
void IOLockUnlock(IOLock *lock);
bool IOLockTryLock(IOLock *lock);               /* never waits; true: locked */
void IOLockAssert(IOLock *lock, int type);
#define IOLockFreeZero(lock)                                                                                            \
        do {                                                                                                            \
                IOLockFree(lock);                                                                                       \
                (lock) = NULL;                                                                                          \
        } while (0);

/*
 * Recursive: its owner may lock it again, and unlocks it as often. TryLock never waits; true: locked. HaveLock: does the
 * calling thread hold it?
 */
typedef struct IORecursiveLock IORecursiveLock;
IORecursiveLock *IORecursiveLockAlloc(void);
void IORecursiveLockFree(IORecursiveLock *lock);
void IORecursiveLockLock(IORecursiveLock *lock);
void IORecursiveLockUnlock(IORecursiveLock *lock);
bool IORecursiveLockTryLock(IORecursiveLock *lock);
bool IORecursiveLockHaveLock(IORecursiveLock *lock);
#define IORecursiveLockFreeZero(lock)                                                                                   \
        do {                                                                                                            \
                IORecursiveLockFree(lock);                                                                              \
                (lock) = NULL;                                                                                          \
        } while (0);

/* Many readers or one writer; not recursive. Unlock gives back what the calling thread has, of either kind. */
typedef struct IORWLock IORWLock;
IORWLock *IORWLockAlloc(void);
void IORWLockFree(IORWLock *lock);
void IORWLockRead(IORWLock *lock);
void IORWLockWrite(IORWLock *lock);
void IORWLockUnlock(IORWLock *lock);
#define IORWLockFreeZero(lock)                                                                                          \
        do {                                                                                                            \
                IORWLockFree(lock);                                                                                     \
                (lock) = NULL;                                                                                          \
        } while (0);

#ifdef __cplusplus
}
#endif
