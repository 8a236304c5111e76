/* SPDX-License-Identifier: Apache-2.0 */
/* As found: Mach's headers one by one, and what clients use of them. */
#include <mach/error.h>
#include <mach/kern_return.h>
#include <mach/mach.h>
#include <mach/mach_error.h>
#include <mach/mach_host.h>
#include <mach/mach_init.h>
#include <mach/mach_interface.h>
#include <mach/mach_port.h>
#include <mach/mach_time.h>
#include <mach/mach_types.h>
#include <mach/mach_vm.h>
#include <mach/message.h>
#include <mach/port.h>
#include <mach/thread_switch.h>
#include <mach/vm_map.h>
#include <stdio.h>

int use(mach_port_t port);
int use(mach_port_t port)
{
    struct {
        mach_msg_header_t header;
        unsigned char body[512];
        mach_msg_trailer_t trailer;
    } message;
    mach_vm_address_t address = 0;
    vm_address_t memory = 0;
    mach_timebase_info_data_t base;
    kern_return_t kr = mach_msg(&message.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof(message), port, 100, MACH_PORT_NULL);

    if (kr == MACH_RCV_TIMED_OUT || kr == KERN_ABORTED || kr == KERN_FAILURE)
        printf("%s\n", mach_error_string(kr));
    kr = vm_allocate(mach_task_self(), &memory, vm_page_size, VM_FLAGS_ANYWHERE);
    if (kr != KERN_SUCCESS)
        mach_error("vm_allocate:", kr);
    kr = mach_vm_allocate(mach_task_self(), &address, round_page(vm_page_size + 1), TRUE);
    mach_timebase_info(&base);
    thread_switch(THREAD_NULL, SWITCH_OPTION_WAIT, 1);
    return (int)(mach_absolute_time() * base.numer / base.denom) + err_get_code(unix_err(5)) + (int)bootstrap_port +
           (int)mach_host_self();
}
