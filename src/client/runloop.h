/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Run loops: poll() over the sources of a thread, and a list of timers.
 *
 * A loop belongs to its thread and ends with it. It holds its sources and timers by reference; a source or timer knows the loop
 * it is in without one. One lock, `amb_run_loop_lock` inside runloop.c, covers all memberships of all loops, because a source
 * may be invalidated by any thread; it is never held during a callback. Each pass works on its own list of referenced sources,
 * so callbacks may add, remove, invalidate and run loops inside loops.
 */
#include <CoreFoundation/CFRunLoop.h>

/* A source that is ready when `fd` (borrowed, until invalidate) is readable. One reference; NULL: no memory. */
CFRunLoopSourceRef amb_run_loop_source_of_fd(int fd, void (*perform)(void *info), void *info);

/* Has the calling thread's loop been told to stop, and not returned yet? Creates none. */
bool amb_run_loop_stopped(void);
