/* SPDX-License-Identifier: Apache-2.0 */
#include "host/sanitizer.h"

#include <fcntl.h>

#include "base/base.h"
#include "base/sanitizer.h"
#include "control/protocol.h"

extern void __lsan_do_leak_check(void) __attribute__((weak, visibility("default")));

#if AMB_SANITIZED
/* The project's own sanitized build: the run-time library is the program's, and asks the environment alone. */
void amb_host_sanitizer_begin(const char *name)
{
}
/* There leaks are looked for by default, at exits that a host does not take: so only where the environment says it. */
void amb_host_sanitizer_end(void)
{
        const char *options = getenv("ASAN_OPTIONS");

        if (__lsan_do_leak_check && options && strstr(options, "detect_leaks=1"))
                __lsan_do_leak_check();
}
#else

#define HOOK __attribute__((visibility("default"), used))
HOOK const char *__asan_default_options(void);
HOOK const char *__tsan_default_options(void);
HOOK const char *__ubsan_default_options(void);
HOOK const char *__tsan_default_suppressions(void);
HOOK void __sanitizer_report_error_summary(const char *line);

const char *amb_symbolizer_option(const char *options, const char *variable);   /* share/fuzz/symbolizer.c */

/* SIGBUS is the driver library's: files that applications cut short. Stack traces with lines also where only binutils are there. */
#define COMMON "handle_sigbus=0:allow_addr2line=1"

/*
 * Leaks are not looked for unless the user wants it (ASAN_OPTIONS=detect_leaks=1): that needs ptrace, which containers forbid, and then
 * LeakSanitizer ends the process with a failure of its own.
 */
const char *__asan_default_options(void)
{
        return amb_symbolizer_option(COMMON ":detect_leaks=0:detect_stack_use_after_return=1:strict_string_checks=1",
                                     "ASAN_SYMBOLIZER_PATH");
}

/* The first finding ends the process, as with AddressSanitizer: a test that goes on after a race passes. */
const char *__tsan_default_options(void)
{
        return COMMON ":halt_on_error=1";
}

const char *__ubsan_default_options(void)
{
        return amb_symbolizer_option("print_stacktrace=1:print_summary=1:halt_on_error=1", "UBSAN_SYMBOLIZER_PATH");
}

/*
 * Calls by libraries that are not instrumented, and order things by atomics that nobody sees. Not the driver library: calls from such a
 * one are not seen at all, its mutexes neither; it says itself what it orders (base/sanitizer.h).
 */
const char *__tsan_default_suppressions(void)
{
        return "called_from_lib:libsystemd.so\n"
               "called_from_lib:libplist-2.0.so\n";
}

static int words_fd = -1;

/*
 * "SUMMARY: AddressSanitizer: heap-buffer-overflow driver.c:12 in method". The library is about to end the process, or holds its own
 * locks: system calls only. The last one stays; the daemon reads it when we have ended.
 */
void __sanitizer_report_error_summary(const char *line)
{
        size_t length = strlen(line);

        (void)!write(STDERR_FILENO, line, length);
        (void)!write(STDERR_FILENO, "\n", 1);
        if (words_fd < 0 || ftruncate(words_fd, 0) < 0)
                return;
        (void)!pwrite(words_fd, line, length, 0);
}

void amb_host_sanitizer_begin(const char *name)
{
        const char *fd = getenv(AMB_HOST_WORDS_VARIABLE), *runtime = getenv("LD_PRELOAD");

        if (fd) {
                words_fd = atoi(fd);
                fcntl(words_fd, F_SETFD, FD_CLOEXEC);
        }
        amb_log(AMB_LOG_NOTICE, "%s runs with %s, and so without a sandbox and without limits of its memory", name,
                runtime ? runtime : "a sanitizer");
        /* Not for the program that looks up line numbers for reports. */
        unsetenv("LD_PRELOAD");
        if (!amb_sanitizer_preloaded())
                amb_log(AMB_LOG_ERROR, "%s: the library was not loaded; is it a sanitizer's, and for this machine?", name);
}

void amb_host_sanitizer_end(void)
{
        if (__lsan_do_leak_check)
                __lsan_do_leak_check();
}
#endif
