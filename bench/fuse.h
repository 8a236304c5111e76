/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A FUSE file system with one file that answers one ioctl, 16 bytes in and out, and a process that calls it: the usual way to put
 * something like a driver into a process. Both, and the mount, live in a mount namespace of their own and end with the process
 * that made them. To be made while there is one thread.
 */
#include <stdbool.h>
#include <stdint.h>

struct bench_fuse;
/* NULL: there is none, and why: not built with libfuse3, no /dev/fuse, not allowed. */
struct bench_fuse *bench_fuse_create(const char **ret_why);
/* So many calls, each after so long asleep or busy; how long each took. Ends the section if it fails. */
void bench_fuse_calls(struct bench_fuse *fuse, bool busy, uint64_t idle_ns, unsigned count, uint64_t *ret_durations);
