/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a driver host may still do, whoever writes the driver: run threads, use its sockets and memory files, read the system's own
 * directories, its bundle and the registry's directory.
 *
 *      no_new_privs, no core dumps, not dumpable (nobody of the same user attaches or reads its memory through /proc)
 *      Landlock        read below AMB_SANDBOX_PATHS and the directories given; execute nothing, write nothing
 *      seccomp         an allow-list; everything else is EPERM (ptrace, io_uring, mount, bpf, keyrings, exec, fork ...)
 *
 * It holds for the calling thread and all that it starts: enter while there is only one. It is not undone. A kernel without
 * Landlock is told in one line, and the rest holds. sandbox.c is the only file that knows libseccomp.
 */
#include <stddef.h>

/* readable: absolute directories, `count` of them; those that do not exist are left out. 0, or -errno: do not go on. */
int amb_sandbox_enter(const char *const *readable, size_t count);
