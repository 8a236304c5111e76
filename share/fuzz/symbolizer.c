/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who tells a sanitizer's report the functions and lines. The run-time library looks for one program alone (on Debian: the
 * llvm-symbolizer of its own version, which no compiler's package brings along) and otherwise prints addresses. Here: whatever
 * llvm-symbolizer there is, or binutils' addr2line.
 *
 * It is asked while the library prepares itself: nothing here may call what a sanitizer intercepts, nor be instrumented. Part of
 * ambidext-host, and of fuzzers (harness.c).
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __clang__
#define EARLY __attribute__((no_sanitize("address", "undefined", "thread", "coverage")))
#else
#define EARLY
#endif

const char *amb_symbolizer_option(const char *options, const char *variable);

static char text[5120];          /* options, and a path */

/* Copies up to the end of `from` or `stop`. Where it ended; 0: no room. */
EARLY static size_t put(size_t at, const char *from, const char *stop)
{
        while (from != stop && *from) {
                if (at + 1 >= sizeof(text))
                        return 0;
                text[at++] = *from++;
        }
        text[at] = '\0';
        return at;
}

/* Is there such a program in that directory? Then `text` has its path from `at` on. */
EARLY static bool is_there(size_t at, const char *directory, const char *end, const char *name)
{
        size_t begin = at;
        for (const char *c = directory; c != end; c++)
                if (*c <= ' ' || *c == ',' || *c == '"' || *c == '\'')          /* which would end the option */
                        return false;
        at = put(at, directory, end);
        at = at ? put(at, "/", NULL) : 0;
        at = at ? put(at, name, NULL) : 0;
        return at && directory != end && syscall(SYS_faccessat, AT_FDCWD, text + begin, X_OK) == 0;
}

EARLY static bool find(size_t at, const char *name)
{
        const char *path = getenv("PATH");
        if (!path)
                path = "/usr/local/bin:/usr/bin:/bin";
        for (;;) {
                const char *end = path;
                while (*end && *end != ':')
                        end++;
                if (is_there(at, path, end, name))
                        return true;
                if (!*end)
                        return false;
                path = end + 1;
        }
}

/* `options` for the library, with that program; as they are if there is none, or if the user names one in `variable`. */
EARLY const char *amb_symbolizer_option(const char *options, const char *variable)
{
        static const char *const names[] = { "llvm-symbolizer", "llvm-symbolizer-22", "llvm-symbolizer-21", "llvm-symbolizer-20",
                                             "llvm-symbolizer-19", "llvm-symbolizer-18", "llvm-symbolizer-17", "llvm-symbolizer-16",
                                             "llvm-symbolizer-15", "llvm-symbolizer-14", "llvm-symbolizer-13", "addr2line" };
        if (getenv(variable))
                return options;
        size_t at = put(0, options, NULL);
        at = at ? put(at, ":external_symbolizer_path=", NULL) : 0;
        for (size_t i = 0; at && i < sizeof(names) / sizeof(names[0]); i++)
                if (find(at, names[i]))
                        return text;
        return options;
}
