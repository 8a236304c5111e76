/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A FUSE file system with one file, "echo", whose ioctls give their argument back. One thread serves it: fuse_session_loop(). */
#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>
#include <sys/ioctl.h>

#define BENCH_FUSE_FILE "echo"
#define BENCH_FUSE_ECHO(size) _IOWR('A', 1, char[size])

/* Mounted on the directory; NULL: it cannot be. It stays as long as the process, or its mount namespace. */
struct fuse_session *bench_fuse_mount(const char *directory);
