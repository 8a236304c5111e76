/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The host's name, which some programs ask for the registry's door. Any thread.
 * Contract: real-code 3 'Mach functions and macros'.
 */
#include <mach/mach_init.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A constant; mach_port_deallocate() accepts it and does nothing. It is good for the calls below. */
host_t mach_host_self(void);
/* What IOMainPort() gives, with its reference. KERN_INVALID_HOST: host is not mach_host_self(). */
kern_return_t host_get_io_main(host_t host, mach_port_t *main_port);
kern_return_t host_get_io_master(host_t host, mach_port_t *main_port);

#ifdef __cplusplus
}
#endif
