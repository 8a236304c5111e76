/* SPDX-License-Identifier: Apache-2.0 */
/* Log, memory, time and what else IOLib.h has; its locks are in lock.c. */
#include <ctype.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/types.h>
#include <unwind.h>

#include <DriverKit/IOLib.h>
#include <DriverKit/OSObject.h>

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

#define BUFFER_LINE 16

AMB_EXPORT void IOLogBuffer(const char *title, const void *buffer, size_t size)
{
        const uint8_t *bytes = buffer;

        IOLog("%s: %zu bytes", title ? title : "", size);
        for (size_t at = 0; at < size; at += BUFFER_LINE) {
                char numbers[3 * BUFFER_LINE + 1] = "", text[BUFFER_LINE + 1] = "";

                for (size_t i = 0; i < BUFFER_LINE && at + i < size; i++) {
                        snprintf(numbers + 3 * i, 4, " %02x", bytes[at + i]);
                        text[i] = isprint(bytes[at + i]) ? (char)bytes[at + i] : '.';
                }
                IOLog("%06zx%-48s  %s", at, numbers, text);
        }
}

#define CALLERS_MOST 64

struct callers {
        unsigned int number;
        uintptr_t self;
};

/* _Unwind_Backtrace itself: the C library's backtrace() loads a library, which a host's sandbox may refuse. */
static _Unwind_Reason_Code log_caller(struct _Unwind_Context *context, void *argument)
{
        struct callers *callers = argument;
        uintptr_t at = _Unwind_GetIP(context);
        Dl_info where = { 0 };

        if (!at || callers->number > CALLERS_MOST)
                return _URC_END_OF_STACK;
        if (callers->number++ == 0) /* OSReportWithBacktrace itself */
                return _URC_NO_REASON;
        if (!dladdr((void *)at, &where) || !where.dli_fname)
                IOLog("  %#zx", at);
        else if (where.dli_sname)
                IOLog("  %s %s+%#zx", where.dli_fname, where.dli_sname, at - (uintptr_t)where.dli_saddr);
        else
                IOLog("  %s+%#zx", where.dli_fname, at - (uintptr_t)where.dli_fbase);
        return _URC_NO_REASON;
}

AMB_EXPORT __attribute__((noinline)) int OSReportWithBacktrace(const char *format, ...)
{
        struct callers callers = { 0 };
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = IOLogv(format, arguments);
        va_end(arguments);
        _Unwind_Backtrace(log_caller, &callers);
        return n;
}

AMB_EXPORT void amb_panic(const char *format, va_list arguments)
{
        AMB_FREE char *line = NULL;

        if (vasprintf(&line, format, arguments) < 0)
                line = NULL;
        amb_log(AMB_LOG_ERROR, "panic: %s", line ? line : format);
        abort();
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

AMB_EXPORT void *IOMallocTyped(size_t length, malloc_type_id_t type)
{
        return malloc(length);
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

/* --- sums, chance --- */

/* The polynomial 0x04c11db7, lowest bit first, for four bits at a time. */
static const uint32_t crc_table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

AMB_EXPORT uint32_t amb_crc32(uint32_t crc, const void *bytes, size_t length)
{
        const uint8_t *byte = bytes;

        crc = ~crc;
        for (size_t i = 0; byte && i < length; i++) {
                crc = crc >> 4 ^ crc_table[(crc ^ byte[i]) & 15];
                crc = crc >> 4 ^ crc_table[(crc ^ byte[i] >> 4) & 15];
        }
        return ~crc;
}

AMB_EXPORT void amb_random(void *bytes, size_t length)
{
        uint8_t *at = bytes;

        while (length) {
                ssize_t n = getrandom(at, length, 0);

                if (n < 0 && errno != EINTR) {
                        amb_log(AMB_LOG_ERROR, "no random numbers: %s", strerror(errno));
                        abort();
                }
                at += n > 0 ? n : 0;
                length -= n > 0 ? (size_t)n : 0;
        }
}

/* --- thread-local storage: the value is a key of the C library plus one, so that 0 is none --- */

static bool is_key(uint64_t key)
{
        return key > 0 && key <= (uint64_t)PTHREAD_KEYS_MAX;
}

AMB_EXPORT kern_return_t IOThreadLocalStorageKeyCreate(uint64_t *key)
{
        pthread_key_t new;
        int r;

        if (!key)
                return kIOReturnBadArgument;
        r = pthread_key_create(&new, NULL);
        if (r != 0)
                return r == ENOMEM ? kIOReturnNoMemory : kIOReturnNoResources;
        *key = (uint64_t)new + 1;
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOThreadLocalStorageKeyDelete(uint64_t key)
{
        return is_key(key) && pthread_key_delete((pthread_key_t)(key - 1)) == 0 ? kIOReturnSuccess : kIOReturnBadArgument;
}

AMB_EXPORT kern_return_t IOThreadLocalStorageSet(uint64_t key, const void *value)
{
        int r = is_key(key) ? pthread_setspecific((pthread_key_t)(key - 1), value) : EINVAL;

        return r == 0 ? kIOReturnSuccess : r == ENOMEM ? kIOReturnNoMemory : kIOReturnBadArgument;
}

AMB_EXPORT void *IOThreadLocalStorageGet(uint64_t key)
{
        return is_key(key) ? pthread_getspecific((pthread_key_t)(key - 1)) : NULL;
}

/* --- boot arguments --- */

#define BOOT_ARGUMENTS_MOST 65536
#define BLANKS " \t\n"

static char *boot_arguments(void)
{
        const char *given = secure_getenv("AMBIDEXT_BOOT_ARGS");
        char *line = NULL;
        size_t length;

        if (given)
                return strdup(given);
        return amb_file_read(AT_FDCWD, "/proc/cmdline", BOOT_ARGUMENTS_MOST, &line, &length) < 0 ? NULL : line;
}

/* The last word with that name: its value, NULL if it is the name alone. False: there is none. */
static bool boot_argument(char *line, const char *name, const char **ret_value)
{
        size_t length = strlen(name);
        char *rest = NULL;
        bool found = false;

        for (char *word = strtok_r(line, BLANKS, &rest); word; word = strtok_r(NULL, BLANKS, &rest)) {
                if (!length || strncmp(word, name, length) != 0 || (word[length] && word[length] != '='))
                        continue;
                *ret_value = word[length] ? word + length + 1 : NULL;
                found = true;
        }
        return found;
}

AMB_EXPORT bool IOParseBootArgNumber(const char *name, void *value, int size)
{
        AMB_FREE char *line = boot_arguments();
        const char *text = NULL;
        char *end = NULL;
        uint64_t number = 1;

        if (!line || !name || !value || !boot_argument(line, name, &text))
                return false;
        errno = 0;
        if (text)
                number = strtoull(text, &end, 0);
        if (text && (errno || end == text || *end))
                return false;
        switch (size) {
        case 1:
                *(uint8_t *)value = (uint8_t)number;
                return true;
        case 2:
                memcpy(value, &(uint16_t){ (uint16_t)number }, 2);
                return true;
        case 4:
                memcpy(value, &(uint32_t){ (uint32_t)number }, 4);
                return true;
        case 8:
                memcpy(value, &number, 8);
                return true;
        default:
                return false;
        }
}

AMB_EXPORT bool IOParseBootArgString(const char *name, char *value, int size)
{
        AMB_FREE char *line = boot_arguments();
        const char *text = NULL;

        if (!line || !name || !value || size <= 0 || !boot_argument(line, name, &text))
                return false;
        snprintf(value, (size_t)size, "%s", text ? text : "");
        return true;
}
