/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The name of this process as a task, the only one that calls with a task argument accept. A constant, any thread; it is never
 * given back. bootstrap_port is 0: there is no bootstrap server here, and IOMainPort() asks none. Contract: call-path 2.1,
 * real-code 3 'Mach functions and macros'.
 */
#include <mach/mach_types.h>
#include <mach/vm_page_size.h>

#ifdef __cplusplus
extern "C" {
#endif
extern const mach_port_t mach_task_self_;
#define mach_task_self() mach_task_self_
#define current_task() mach_task_self()
extern mach_port_t bootstrap_port;
#ifdef __cplusplus
}
#endif
