/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Giving memory back. Contract: call-path 2.6 (variable size), real-code 3 'Mach functions and macros'. */
#include <mach/mach_init.h>

#ifdef __cplusplus
extern "C" {
#endif
/*
 * Unmaps the pages that hold [address, address + size), both bytes: the counterpart of a variable-size output.
 * size 0: nothing. Errors: KERN_INVALID_TASK, KERN_INVALID_ADDRESS (not page aligned, or wraps). Any thread.
 */
kern_return_t vm_deallocate(task_t task, vm_address_t address, vm_size_t size);
#ifdef __cplusplus
}
#endif
