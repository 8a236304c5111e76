/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions of a hot scalar call: tests/system/count-instructions counts them, under callgrind; here its number is read. */
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "bench/sections.h"

enum { NO_VALGRIND = 77 };

/* The directory that everything is built in: this program lies in BUILD/bench. */
static char *build_directory(void)
{
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        for (int level = 0; n > 0 && level < 2; level++) {
                char *slash = memrchr(self, '/', (size_t)n);
                n = slash ? slash - self : 0;
        }
        return n > 0 ? amb_format("%.*s", (int)n, self) : NULL;
}

/* Its exit status; what it wrote in `out`. */
static int run(const char *const arguments[], char *out, size_t size)
{
        int pipes[2], status;
        size_t length = 0;
        pid_t pid;
        posix_spawn_file_actions_t actions;
        if (pipe2(pipes, O_CLOEXEC) < 0 || posix_spawn_file_actions_init(&actions) != 0 ||
            posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO) != 0)
                bench_fail("preparing to count instructions: %s", strerror(errno));
        int r = posix_spawn(&pid, arguments[0], &actions, NULL, (char **)arguments, environ);
        if (r != 0)
                bench_fail("%s: %s", arguments[0], strerror(r));
        close(pipes[1]);
        for (ssize_t n; length + 1 < size && (n = read(pipes[0], out + length, size - 1 - length)) > 0;)
                length += (size_t)n;
        out[length] = 0;
        close(pipes[0]);
        posix_spawn_file_actions_destroy(&actions);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void bench_instructions(struct bench *bench)
{
        char number[64], *end;
        AMB_FREE char *build = build_directory();
        const char *const arguments[] = { BENCH_COUNT_INSTRUCTIONS, "--number", build, NULL };
        if (bench->quick) {
                bench_skip(bench, "instructions", "--quick leaves it out: counting takes its time");
                return;
        }
        int status = run(arguments, number, sizeof(number));
        double instructions = strtod(number, &end);
        if (status == NO_VALGRIND)
                bench_skip(bench, "instructions", "valgrind, nm or objdump is missing");
        else if (status != 0 || end == number)
                bench_fail("instructions could not be counted (status %d)", status);
        else
                bench_bar(bench, "instructions", instructions);
}
