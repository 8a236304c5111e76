/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Pages of this process by 64-bit addresses; <mach/vm_map.h> has the same with the width of a pointer. Any thread.
 * Contract: real-code 3 'Mach functions and macros', 'Headers included by client programs'.
 */
#include <mach/vm_map.h>

#ifdef __cplusplus
extern "C" {
#endif
/* As vm_allocate, vm_deallocate, vm_protect. */
kern_return_t mach_vm_allocate(task_t task, mach_vm_address_t *address, mach_vm_size_t size, int flags);
kern_return_t mach_vm_deallocate(task_t task, mach_vm_address_t address, mach_vm_size_t size);
kern_return_t mach_vm_protect(task_t task, mach_vm_address_t address, mach_vm_size_t size, boolean_t maximum,
                              vm_prot_t protection);
#ifdef __cplusplus
}
#endif
