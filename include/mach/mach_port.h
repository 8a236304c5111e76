/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Giving handles back, and ports of a program's own. Contract: call-path 4.6, real-code 3 'Mach functions and macros'. */
#include <mach/mach_init.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef natural_t mach_port_right_t;
typedef integer_t mach_port_delta_t;
#define MACH_PORT_RIGHT_SEND ((mach_port_right_t)0)
#define MACH_PORT_RIGHT_RECEIVE ((mach_port_right_t)1)

/*
 * Receive ports: names that IOConnectCallAsyncMethod() takes as wake port and mach_msg() reads. Errors of all:
 * KERN_INVALID_TASK (task is not mach_task_self()), KERN_INVALID_NAME (no such handle). Any thread.
 *
 * mach_port_allocate: *name becomes a port that is empty, to be ended by one of the last two; on failure it stays. right
 *      MACH_PORT_RIGHT_RECEIVE; another: KERN_INVALID_VALUE; KERN_RESOURCE_SHORTAGE: no memory or no descriptor.
 * mach_port_insert_right: one send right more for a receive port under its own name. Others send to it without: it only counts.
 *      poly: MACH_MSG_TYPE_MAKE_SEND, else KERN_INVALID_VALUE. KERN_INVALID_RIGHT: no receive port; KERN_INVALID_CAPABILITY:
 *      other name and port.
 * mach_port_mod_refs: MACH_PORT_RIGHT_RECEIVE by -1 ends the port: what waits in it is lost, the name is unknown.
 *      MACH_PORT_RIGHT_SEND by any number within what was inserted. KERN_INVALID_RIGHT: no receive port; KERN_INVALID_VALUE:
 *      another number or right.
 * mach_port_destroy: ends a port with all that was inserted; of every other handle all references are dropped.
 */
kern_return_t mach_port_allocate(task_t task, mach_port_right_t right, mach_port_name_t *name);
kern_return_t mach_port_insert_right(task_t task, mach_port_name_t name, mach_port_t port, natural_t poly);
kern_return_t mach_port_mod_refs(task_t task, mach_port_name_t name, mach_port_right_t right, mach_port_delta_t delta);
kern_return_t mach_port_destroy(task_t task, mach_port_name_t name);
/*
 * Gives back one reference of a handle: what IOObjectRelease does, for names that came from IOMainPort, and for any other.
 * 0 and the names of task and host are accepted and change nothing. Of a receive port one inserted send right; KERN_INVALID_RIGHT:
 * it has none.
 * Errors: KERN_INVALID_TASK (task is not mach_task_self()), KERN_INVALID_NAME (no such handle). Any thread.
 */
kern_return_t mach_port_deallocate(task_t task, mach_port_name_t name);
#ifdef __cplusplus
}
#endif
