/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Log, memory, locks, time, and the rest of what DriverKit drivers use beside the C library. Any thread. Contract:
 * memory-and-queues 13.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <DriverKit/IOTypes.h>
#include <DriverKit/OSObject.h>
#include <ambidext/cdefs.h>
#include <libkern/OSByteOrder.h>
#include <mach/mach_time.h>
#include <os/log.h>
#include <os/overflow.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * --- log: one line to the host's standard error ---
 * format: printf's; a newline at its end makes no second one. The number of characters, or negative: no memory, bad format.
 */
int IOLog(const char *format, ...) __attribute__((format(printf, 1, 2)));
int IOLogv(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));
/* A line with the title and the size, then one for each 16 bytes: offset, hexadecimal, text. */
void IOLogBuffer(const char *title, const void *buffer, size_t size);
/* The line, then one for each caller of this function: module, function where its name is known, offset. */
int OSReportWithBacktrace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * --- memory ---
 * length: bytes; NULL: none left, or (IONew) count * size is too large. IOMalloc's is not zeroed, IOMallocZero's is. The caller
 * gives it back with IOFree and the length that was asked for; a NULL address does nothing. IONew and IODelete count elements,
 * and run no constructors and destructors; IOMallocType gives one, zeroed.
 */
void *IOMalloc(size_t length);
void *IOMallocZero(size_t length);
void IOFree(void *address, size_t length);
/* type: what the memory is for; makes no difference here. */
typedef uint64_t malloc_type_id_t;
void *IOMallocTyped(size_t length, malloc_type_id_t type);
static inline void *amb_malloc_array(size_t count, size_t size, bool zero)
{
        size_t length;

        if (__builtin_mul_overflow(count, size, &length))
                return NULL;
        return zero ? IOMallocZero(length) : IOMalloc(length);
}
#define IONew(type, count) ((type *)amb_malloc_array((count), sizeof(type), false))
#define IONewZero(type, count) ((type *)amb_malloc_array((count), sizeof(type), true))
#define IOMallocType(type) IONewZero(type, 1)
#define IOFreeType(pointer, type) IODelete(pointer, type, 1)
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
/* NSEC_PER_SEC and its relatives: <mach/clock_types.h>. */
#define kNanosecondScale UINT64_C(1)
#define kMicrosecondScale UINT64_C(1000)
#define kMillisecondScale UINT64_C(1000000)
#define kSecondScale UINT64_C(1000000000)

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
typedef int IOLockAssertState;
IOLock *IOLockAlloc(void);
void IOLockFree(IOLock *lock);
void IOLockLock(IOLock *lock);
void IOLockUnlock(IOLock *lock);
bool IOLockTryLock(IOLock *lock);               /* never waits; true: locked */
void IOLockAssert(IOLock *lock, IOLockAssertState type);
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

/*
 * Recursive, a kind of lock of its own with the same calls. How to wait for a condition under it is not public on macOS, and not
 * here: IODispatchQueue_Sleep and Wakeup do that.
 */
typedef struct IORecursiveConditionLock IORecursiveConditionLock;
IORecursiveConditionLock *IORecursiveConditionLockAlloc(void);
void IORecursiveConditionLockFree(IORecursiveConditionLock *lock);
void IORecursiveConditionLockLock(IORecursiveConditionLock *lock);
void IORecursiveConditionLockUnlock(IORecursiveConditionLock *lock);
bool IORecursiveConditionLockTryLock(IORecursiveConditionLock *lock);
bool IORecursiveConditionLockHaveLock(IORecursiveConditionLock *lock);
#define IORecursiveConditionLockFreeZero(lock)                                                                          \
        do {                                                                                                            \
                IORecursiveConditionLockFree(lock);                                                                     \
                (lock) = NULL;                                                                                          \
        } while (0);

/*
 * --- once, and for each thread ---
 * The first call for a flag, which must be zeroed memory that stays, runs the function or block; every other one returns when
 * it has run. Calling for the same flag from inside waits for ever.
 */
struct IOCallOnceFlag {
        uint32_t state;
};
void IOCallOnce_f(struct IOCallOnceFlag *flag, void *context, void (*function)(void *context));
AMB_BLOCK_TYPE(IOCallOnceBlock, void, void);
void IOCallOnce(struct IOCallOnceFlag *flag, IOCallOnceBlock block);

/*
 * A key under which each thread keeps a pointer of its own, NULL at first; what it points to is the driver's.
 * Create, Set: 0; kIOReturnBadArgument (key NULL, or none that was created); kIOReturnNoResources (some 1000 keys exist);
 * kIOReturnNoMemory. Get: NULL for such a key. Nobody may use a key that is being deleted.
 */
kern_return_t IOThreadLocalStorageKeyCreate(uint64_t *key);
kern_return_t IOThreadLocalStorageKeyDelete(uint64_t key);
kern_return_t IOThreadLocalStorageSet(uint64_t key, const void *value);
void *IOThreadLocalStorageGet(uint64_t key);

/*
 * --- boot arguments ---
 * Words "name=value", or "name" alone, with blanks between them: those of the environment's AMBIDEXT_BOOT_ARGS, or, if that
 * is not set, the kernel's (/proc/cmdline). Of a name that occurs twice the last one counts. False, and nothing is written: it
 * is not there, the size is wrong, or the value is no number.
 *
 * Number: of size bytes, 1, 2, 4 or 8; decimal, 0x.., 0.. (octal), a sign allowed, cut to its size; a name alone counts as 1.
 * String: as much as fits into size bytes with a NUL at the end; a name alone is empty.
 */
bool IOParseBootArgNumber(const char *name, void *value, int size);
bool IOParseBootArgString(const char *name, char *value, int size);

/* --- numbers of 16 bits before the point and 16 behind it --- */
static inline IOFixed IOFixedMultiply(IOFixed a, IOFixed b)
{
        return (IOFixed)(((int64_t)a * b) >> 16);
}
/* b must not be 0. */
static inline IOFixed IOFixedDivide(IOFixed a, IOFixed b)
{
        return (IOFixed)(((int64_t)a * 65536) / b);
}

/* --- the rest --- */
/* A full memory barrier. */
static inline void OSSynchronizeIO(void)
{
        __sync_synchronize();
}

/*
 * Functions with names that others may use too; these are the including file's own. strlcpy and strlcat are <string.h>'s.
 *
 * crc32: the sum of zip and Ethernet, of the bytes behind those that gave `crc`; 0 to begin with.
 * panic: logs a line and ends the process. read_random: never fails, never waits once the machine has booted.
 */
uint32_t amb_crc32(uint32_t crc, const void *bytes, size_t length);
void amb_panic(const char *format, va_list arguments) __attribute__((noreturn, format(printf, 1, 0)));
void amb_random(void *bytes, size_t length);

#ifndef ZLIB_H
static inline uint32_t crc32(uint32_t crc, const void *bytes, size_t length)
{
        return amb_crc32(crc, bytes, length);
}
#endif

__attribute__((noreturn, unused, format(printf, 1, 2))) static void panic(const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        amb_panic(format, arguments);
}

static inline void read_random(void *bytes, unsigned int length)
{
        amb_random(bytes, length);
}

#ifdef __cplusplus
}
#endif
