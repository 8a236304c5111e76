/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <mach/mach_init.h>

#ifdef __cplusplus
extern "C" {
#endif
/*
 * Unmaps the pages that hold [address, address + size): the counterpart of a variable-size output (call-path 2.6).
 * size 0: nothing. Errors: KERN_INVALID_TASK, KERN_INVALID_ADDRESS (not page aligned, or wraps). Any thread.
 */
kern_return_t vm_deallocate(task_t task, vm_address_t address, vm_size_t size);
#ifdef __cplusplus
}
#endif
