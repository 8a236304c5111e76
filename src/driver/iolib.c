/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sys/types.h>

#include <DriverKit/IOLib.h>
#include <DriverKit/OSObject.h>
#include <os/log.h>

#include "base/base.h"

/* --- log --- */

AMB_EXPORT int IOLogv(const char *format, va_list arguments)
{
        AMB_FREE char *line = NULL;
        int n = vasprintf(&line, format, arguments);

        if (n < 0) {
                line = NULL;
                return n;
        }
        amb_log(AMB_LOG_NOTICE, "%.*s", n > 0 && line[n - 1] == '\n' ? n - 1 : n, line);
        return n;
}

AMB_EXPORT int IOLog(const char *format, ...)
{
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = IOLogv(format, arguments);
        va_end(arguments);
        return n;
}

struct os_log_s {
        struct amb_link link;
        char *name;
};

static pthread_mutex_t logs_lock = PTHREAD_MUTEX_INITIALIZER;
static struct amb_link logs = AMB_LIST_INIT(logs);

AMB_EXPORT os_log_t os_log_create(const char *subsystem, const char *category)
{
        char *name = amb_format("%s:%s", subsystem ? subsystem : "", category ? category : "");
        struct os_log_s *log = NULL, *known;

        if (!name)
                return NULL;
        pthread_mutex_lock(&logs_lock);
        amb_list_for(known, &logs, link)
                if (strcmp(known->name, name) == 0)
                        log = known;
        if (!log && (log = calloc(1, sizeof(*log)))) {
                log->name = amb_steal(name);
                amb_list_append(&logs, &log->link);
        }
        pthread_mutex_unlock(&logs_lock);
        free(name);
        return log;
}

AMB_EXPORT bool os_log_type_enabled(os_log_t log, os_log_type_t type)
{
        return type != OS_LOG_TYPE_DEBUG || getenv("AMBIDEXT_DEBUG");
}

/* printf's format, without Apple's remarks in braces: "%{public}s" becomes "%s". */
static char *plain_format(const char *format)
{
        char *plain = malloc(strlen(format) + 1), *to = plain;

        if (!plain)
                return NULL;
        while (*format) {
                *to++ = *format;
                if (*format++ != '%')
                        continue;
                if (*format == '%') {
                        *to++ = *format++;
                } else if (*format == '{') {
                        const char *end = strchr(format, '}');

                        if (end)
                                format = end + 1;
                }
        }
        *to = '\0';
        return plain;
}

static enum amb_log_level level_of(os_log_type_t type)
{
        switch (type) {
        case OS_LOG_TYPE_FAULT:
        case OS_LOG_TYPE_ERROR:
                return AMB_LOG_ERROR;
        case OS_LOG_TYPE_INFO:
                return AMB_LOG_INFO;
        case OS_LOG_TYPE_DEBUG:
                return AMB_LOG_DEBUG;
        default:
                return AMB_LOG_NOTICE;
        }
}

AMB_EXPORT void os_log_with_type(os_log_t log, os_log_type_t type, const char *format, ...)
{
        AMB_FREE char *plain = NULL, *line = NULL;
        va_list arguments;
        int n;

        if (!os_log_type_enabled(log, type))
                return;
        plain = plain_format(format);
        if (!plain)
                return;
        va_start(arguments, format);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        n = vasprintf(&line, plain, arguments);
#pragma GCC diagnostic pop
        va_end(arguments);
        if (n < 0)
                line = NULL;
        else
                amb_log(level_of(type), "%s%s%s", log ? log->name : "", log ? ": " : "", line);
}

/* --- memory --- */

AMB_EXPORT void *IOMalloc(size_t length)
{
        return malloc(length);
}

AMB_EXPORT void *IOMallocZero(size_t length)
{
        return calloc(1, length);
}

AMB_EXPORT void IOFree(void *address, size_t length)
{
        free(address);
}

/* --- time --- */

static void sleep_for(uint64_t seconds, uint64_t nanoseconds)
{
        struct timespec left = { (time_t)seconds, (long)nanoseconds };

        while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
                continue;
}

AMB_EXPORT void IOSleep(uint64_t milliseconds)
{
        sleep_for(milliseconds / 1000, milliseconds % 1000 * 1000000);
}

AMB_EXPORT void IODelay(uint64_t microseconds)
{
        sleep_for(microseconds / 1000000, microseconds % 1000000 * 1000);
}

AMB_EXPORT uint64_t mach_absolute_time(void)
{
        return clock_gettime_nsec_np(CLOCK_MONOTONIC);
}

AMB_EXPORT uint64_t mach_continuous_time(void)
{
        return clock_gettime_nsec_np(CLOCK_BOOTTIME);
}

AMB_EXPORT kern_return_t mach_timebase_info(mach_timebase_info_t info)
{
        info->numer = info->denom = 1;
        return KERN_SUCCESS;
}

/* --- locks: a mutex that knows its owner --- */

struct IOLock {
        pthread_mutex_t mutex;
        pthread_t owner;
        bool owned;
};

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
        pthread_t owner = __atomic_load_n(&lock->owner, __ATOMIC_RELAXED);

        return __atomic_load_n(&lock->owned, __ATOMIC_RELAXED) && pthread_equal(owner, pthread_self());
}

static void set_owner(IOLock *lock, bool owned)
{
        if (owned)
                __atomic_store_n(&lock->owner, pthread_self(), __ATOMIC_RELAXED);
        __atomic_store_n(&lock->owned, owned, __ATOMIC_RELAXED);
}

AMB_EXPORT void IOLockLock(IOLock *lock)
{
        pthread_mutex_lock(&lock->mutex);
        set_owner(lock, true);
}

AMB_EXPORT void IOLockUnlock(IOLock *lock)
{
        set_owner(lock, false);
        pthread_mutex_unlock(&lock->mutex);
}

AMB_EXPORT bool IOLockTryLock(IOLock *lock)
{
        if (pthread_mutex_trylock(&lock->mutex) != 0)
                return false;
        set_owner(lock, true);
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
