/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A pause of the calling thread. Contract: real-code 3 'Headers included by client programs'. */
#include <mach/mach_types.h>
#include <mach/message.h>

#define SWITCH_OPTION_NONE 0
#define SWITCH_OPTION_DEPRESS 1
#define SWITCH_OPTION_WAIT 2
#define THREAD_NULL ((mach_port_t)0)

#ifdef __cplusplus
extern "C" {
#endif
/*
 * Lets others run: NONE and DEPRESS once, WAIT for `milliseconds` (a signal ends it early). thread is ignored: nobody can be
 * chosen. Always 0, but KERN_INVALID_ARGUMENT for another option. Any thread.
 */
kern_return_t thread_switch(mach_port_t thread, int option, mach_msg_timeout_t milliseconds);
#ifdef __cplusplus
}
#endif
