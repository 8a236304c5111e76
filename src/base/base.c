/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

int amb_fd_close(int fd)
{
        int saved = errno;
        if (fd >= 0)
                close(fd); /* EINTR: Linux has closed it all the same */
        errno = saved;
        return -1;
}

int amb_trace_at(int error, const char *file, int line, const char *function)
{
        static int tracing = -1; /* a benign race: every thread computes the same */
        int t = __atomic_load_n(&tracing, __ATOMIC_RELAXED);
        if (t < 0) {
                t = secure_getenv("AMBIDEXT_TRACE") != NULL;
                __atomic_store_n(&tracing, t, __ATOMIC_RELAXED);
        }
        if (t && error < 0)
                fprintf(stderr, "trace: %s:%d %s: %s\n", file, line, function, strerror(-error));
        return error;
}

static const char *log_name = "ambidext";
static enum amb_log_level log_most = AMB_LOG_INFO;

void amb_log_open(const char *name, enum amb_log_level most)
{
        log_name = name;
        log_most = most;
}

void amb_log(enum amb_log_level level, const char *format, ...)
{
        if (level > log_most)
                return;
        int saved = errno;
        char text[2048];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        /* One line per call, whatever a peer's name contains. */
        for (char *c = text; *c; c++) {
                if ((unsigned char)*c < ' ' || *c == 0x7f)
                        *c = ' ';
                /* Control characters that UTF-8 writes with two bytes: terminals obey them like ESC [. */
                if ((unsigned char)c[0] == 0xc2 && (unsigned char)c[1] >= 0x80 && (unsigned char)c[1] < 0xa0)
                        c[0] = c[1] = ' ';
        }
        char line[2200];
        int n = secure_getenv("JOURNAL_STREAM") ? snprintf(line, sizeof(line), "<%d>%s: %s\n", (int)level, log_name, text)
                                                : snprintf(line, sizeof(line), "%s: %s\n", log_name, text);
        if (n > 0) {
                ssize_t written = write(STDERR_FILENO, line, (size_t)n); /* one write: lines of several threads stay whole */
                (void)written;
        }
        errno = saved;
}

uint64_t amb_time_now(void)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void amb_fd_limit_raise(void)
{
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
}

int amb_file_read(int directory_fd, const char *path, size_t most, char **ret_bytes, size_t *ret_length)
{
        AMB_FD fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return amb_errno();
        AMB_FREE char *bytes = malloc(most + 1);
        if (!bytes)
                return -ENOMEM;
        size_t length = 0;
        for (;;) {
                /* One byte more than allowed tells "too long" from "just fits". */
                ssize_t n = read(fd, bytes + length, most + 1 - length);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return amb_errno();
                if (n == 0)
                        break;
                length += (size_t)n;
                if (length > most)
                        return -EFBIG;
        }
        bytes[length] = 0;
        *ret_bytes = amb_steal(bytes);
        *ret_length = length;
        return 0;
}

int amb_file_write(int fd, const char *bytes, size_t length)
{
        while (length > 0) {
                ssize_t n = write(fd, bytes, length);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return amb_errno();
                bytes += n;
                length -= (size_t)n;
        }
        return 0;
}

char *amb_format(const char *format, ...)
{
        char *text = NULL;
        va_list arguments;
        va_start(arguments, format);
        int n = vasprintf(&text, format, arguments);
        va_end(arguments);
        return n < 0 ? NULL : text;
}
