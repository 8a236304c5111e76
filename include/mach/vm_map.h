/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Taking pages and giving them back. Contract: call-path 2.6 (variable size), real-code 3 'Mach functions and macros'. */
#include <mach/mach_init.h>
#include <mach/vm_page_size.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int vm_prot_t;
typedef unsigned int vm_inherit_t;
#define VM_PROT_NONE ((vm_prot_t)0x00)
#define VM_PROT_READ ((vm_prot_t)0x01)
#define VM_PROT_WRITE ((vm_prot_t)0x02)
#define VM_PROT_EXECUTE ((vm_prot_t)0x04)
#define VM_PROT_DEFAULT (VM_PROT_READ | VM_PROT_WRITE)
#define VM_PROT_ALL (VM_PROT_READ | VM_PROT_WRITE | VM_PROT_EXECUTE)

#define VM_FLAGS_FIXED 0x0000
#define VM_FLAGS_ANYWHERE 0x0001
#define VM_FLAGS_OVERWRITE 0x4000

/*
 * Zeroed pages for `size` bytes, at *address (rounded down; KERN_NO_SPACE if anything is there, unless VM_FLAGS_OVERWRITE) or
 * with VM_FLAGS_ANYWHERE wherever there is room: their address comes back in *address, 0 when size is 0. Other flags are
 * ignored. Errors: KERN_INVALID_TASK, KERN_NO_SPACE. Any thread.
 */
kern_return_t vm_allocate(task_t task, vm_address_t *address, vm_size_t size, int flags);
/*
 * Unmaps the pages that hold [address, address + size), both bytes: the counterpart of a variable-size output.
 * size 0: nothing. Errors: KERN_INVALID_TASK, KERN_INVALID_ADDRESS (not page aligned, or wraps). Any thread.
 */
kern_return_t vm_deallocate(task_t task, vm_address_t address, vm_size_t size);
/*
 * What may be done with the pages that hold the range from now on. maximum: FALSE; Linux has no limit of that kind,
 * KERN_INVALID_ARGUMENT. Errors besides: KERN_INVALID_TASK, KERN_PROTECTION_FAILURE, KERN_INVALID_ADDRESS. Any thread.
 */
kern_return_t vm_protect(task_t task, vm_address_t address, vm_size_t size, boolean_t maximum, vm_prot_t protection);
#ifdef __cplusplus
}
#endif
