/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A private world for a system test: a temporary directory, a real ambidextd with real hosts, this process as the app.
 *
 * world_start() makes the directory, starts the daemon in developer mode with the bundles named (relative to the build root),
 * waits until it is ready and points $AMBIDEXT_REGISTRY at it. world_stop() ends exactly what was started and fails the test if
 * anything is left. Everything here asserts (Check): a test that cannot be set up has failed.
 *
 * Entitlements: tests run with NAME.entitlements beside their executable; see tests/meson.build.
 * $AMBIDEXT_TEST_POLICY names a directory of policies for the daemon besides, for a program that runs under another one's name
 * (valgrind).
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <IOKit/IOKitLib.h>

#include "base/test-process.h"

struct world {
        char directory[64];
        char socket[96];
        char log[96];           /* the daemon's and the hosts' standard error */
        pid_t daemon;
        int lifetime;           /* write end: the daemon ends when it is closed */
};

void world_start(struct world *world, const char *const bundles[]);
void world_stop(struct world *world);
void world_daemon_kill(struct world *world);                    /* SIGKILL, and waits until it is gone */
void world_daemon_start(struct world *world, const char *const bundles[]);

/* The whole log so far; valid until the next call. */
const char *world_log(struct world *world);
/* Waits (bounded) until the log has `text`. */
void world_log_wait(struct world *world, const char *text);

/* Path of a file of the build tree; valid until the next call. */
const char *world_build_path(const char *relative);

/* The service called `name`, waiting (bounded) for its matching notification if it is not there yet. */
io_service_t world_service(const char *name);
uint64_t world_service_id(io_service_t service);
/* Waits (bounded) until a service called `name` with an id other than `old` is there. */
io_service_t world_service_again(const char *name, uint64_t old);
/* Opens; asserts success. */
io_connect_t world_open(const char *name);
/* The pid of the process that hosts the service. */
pid_t world_host_of(io_service_t service);
pid_t world_host_pid(const char *name);
/* Ends a process with SIGKILL and returns when the kernel says that it is gone. */
void world_kill(pid_t pid);

/* Calls `condition` until it is true, 20 seconds at most, waiting a little longer each time; asserts that it became true. */
void world_until(bool (*condition)(void *context), void *context, const char *what);
