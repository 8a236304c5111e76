/* SPDX-License-Identifier: Apache-2.0 */
/*
 * os_log() and its relatives for programs and drivers alike: lines of amb_log(). Any thread; logs live as long as the process.
 * Contract: lifecycle-registry 4.10.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include <os/log.h>

#include "base/base.h"

#define EXPORT __attribute__((visibility("default")))

struct os_log_s {
        struct amb_link link;
        char *name;
};

static pthread_mutex_t logs_lock = PTHREAD_MUTEX_INITIALIZER;
static struct amb_link logs = AMB_LIST_INIT(logs);

EXPORT os_log_t os_log_create(const char *subsystem, const char *category)
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

EXPORT bool os_log_type_enabled(os_log_t log, os_log_type_t type)
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

EXPORT void os_log_with_type(os_log_t log, os_log_type_t type, const char *format, ...)
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
        if (n < 0) {
                line = NULL;
                return;
        }
        /* Many end their formats with a new line, which the log adds by itself. */
        while (n > 0 && line[n - 1] == '\n')
                line[--n] = '\0';
        amb_log(level_of(type), "%s%s%s", log ? log->name : "", log ? ": " : "", line);
}
