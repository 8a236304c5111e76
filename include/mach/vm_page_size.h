/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The size of a page, in bytes; constant from before main() on. Any thread. Contract: real-code 1.2. */
#include <mach/mach_types.h>

#ifdef __cplusplus
extern "C" {
#endif
extern vm_size_t vm_page_size;
extern vm_size_t vm_page_mask;                  /* the size less 1 */
extern int vm_page_shift;                       /* the size is 1 << shift */
#ifdef __cplusplus
}
#endif

#define trunc_page(address) ((address) & ~vm_page_mask)
#define round_page(address) trunc_page((address) + vm_page_mask)
#define mach_vm_trunc_page(address) ((mach_vm_address_t)(address) & ~(mach_vm_address_t)vm_page_mask)
#define mach_vm_round_page(address) mach_vm_trunc_page((mach_vm_address_t)(address) + vm_page_mask)
