/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of memory ask of the kernel: may this process touch it? */
#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

/* Does touching this byte end a process? */
static inline bool faults(volatile uint8_t *address, bool write)
{
        pid_t child = fork();
        int status;

        if (child == 0) {
                signal(SIGSEGV, SIG_DFL);
                signal(SIGBUS, SIG_DFL);
                if (write)
                        *address = 1;
                else
                        (void)*address;
                _exit(0);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}
