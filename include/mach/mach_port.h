/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <mach/mach_init.h>

#ifdef __cplusplus
extern "C" {
#endif
/*
 * Gives back one reference of a handle: what IOObjectRelease does, for names that came from IOMainPort, and for any other.
 * 0 and the task's own name are accepted and change nothing.
 * Errors: KERN_INVALID_TASK (task is not mach_task_self()), KERN_INVALID_NAME (no such handle). Any thread.
 */
kern_return_t mach_port_deallocate(task_t task, mach_port_name_t name);
#ifdef __cplusplus
}
#endif
