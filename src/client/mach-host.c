/* SPDX-License-Identifier: Apache-2.0 */
/* What programs take of Mach besides ports: the host's name, pages of memory, a pause. Contract: real-code 3 'Mach functions'. */
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include <IOKit/IOKitLib.h>
#include <mach/mach.h>
#include <mach/mach_host.h>
#include <mach/mach_vm.h>
#include <mach/thread_switch.h>

#include "base/base.h"
#include "client/mach-host.h"

mach_port_t bootstrap_port = MACH_PORT_NULL;
vm_size_t vm_page_size, vm_page_mask;
int vm_page_shift;

__attribute__((constructor(101))) static void page_size_fill(void)
{
        vm_page_size = (vm_size_t)sysconf(_SC_PAGESIZE);
        vm_page_mask = vm_page_size - 1;
        vm_page_shift = __builtin_ctzl(vm_page_size);
}

void mach_error(const char *text, mach_error_t error)
{
        fprintf(stderr, "%s %s (0x%x)\n", text, mach_error_string(error), (unsigned)error);
}

/* --- the host --- */

host_t mach_host_self(void)
{
        return AMB_HOST_SELF;
}

kern_return_t host_get_io_main(host_t host, mach_port_t *main_port)
{
        return host == AMB_HOST_SELF ? IOMainPort(MACH_PORT_NULL, main_port) : KERN_INVALID_HOST;
}

kern_return_t host_get_io_master(host_t host, mach_port_t *main_port)
{
        return host_get_io_main(host, main_port);
}

/* --- memory --- */

static int protection_of(vm_prot_t protection)
{
        return (protection & VM_PROT_READ ? PROT_READ : 0) | (protection & VM_PROT_WRITE ? PROT_WRITE : 0) |
               (protection & VM_PROT_EXECUTE ? PROT_EXEC : 0);
}

kern_return_t mach_vm_allocate(task_t task, mach_vm_address_t *address, mach_vm_size_t size, int flags)
{
        int how = MAP_PRIVATE | MAP_ANONYMOUS;
        void *wanted = NULL, *got;

        if (task != mach_task_self())
                return KERN_INVALID_TASK;
        if (size == 0) {
                *address = 0;
                return KERN_SUCCESS;
        }
        if (!(flags & VM_FLAGS_ANYWHERE)) {
                wanted = (void *)(uintptr_t)(*address & ~(mach_vm_address_t)vm_page_mask);
                how |= flags & VM_FLAGS_OVERWRITE ? MAP_FIXED : MAP_FIXED_NOREPLACE;
        }
        got = mmap(wanted, size, PROT_READ | PROT_WRITE, how, -1, 0);
        if (got == MAP_FAILED)
                return KERN_NO_SPACE;
        *address = (uintptr_t)got;
        return KERN_SUCCESS;
}

kern_return_t vm_allocate(task_t task, vm_address_t *address, vm_size_t size, int flags)
{
        mach_vm_address_t at = *address;
        kern_return_t code = mach_vm_allocate(task, &at, size, flags);

        if (code == KERN_SUCCESS)
                *address = at;
        return code;
}

kern_return_t mach_vm_deallocate(task_t task, mach_vm_address_t address, mach_vm_size_t size)
{
        return vm_deallocate(task, address, size);
}

kern_return_t mach_vm_protect(task_t task, mach_vm_address_t address, mach_vm_size_t size, boolean_t maximum,
                              vm_prot_t protection)
{
        mach_vm_address_t start = address & ~(mach_vm_address_t)vm_page_mask;

        if (task != mach_task_self())
                return KERN_INVALID_TASK;
        if (maximum)
                return KERN_INVALID_ARGUMENT;
        if (size == 0)
                return KERN_SUCCESS;
        if (mprotect((void *)(uintptr_t)start, address + size - start, protection_of(protection)) == 0)
                return KERN_SUCCESS;
        return errno == EACCES ? KERN_PROTECTION_FAILURE : KERN_INVALID_ADDRESS;
}

kern_return_t vm_protect(task_t task, vm_address_t address, vm_size_t size, boolean_t maximum, vm_prot_t protection)
{
        return mach_vm_protect(task, address, size, maximum, protection);
}

/* --- a pause --- */

kern_return_t thread_switch(mach_port_t thread, int option, mach_msg_timeout_t milliseconds)
{
        struct timespec span = { milliseconds / 1000, milliseconds % 1000 * 1000000l };

        (void)thread;
        switch (option) {
        case SWITCH_OPTION_NONE:
        case SWITCH_OPTION_DEPRESS:
                sched_yield();
                return KERN_SUCCESS;
        case SWITCH_OPTION_WAIT:
                nanosleep(&span, NULL);
                return KERN_SUCCESS;
        default:
                return KERN_INVALID_ARGUMENT;
        }
}
