/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What services ask of the registry daemon. Implemented by the server (server.c), which owns the only connection. From any
 * thread but the control thread, without the control lock. Without a server (tests, programs that make services by themselves)
 * every call succeeds and does nothing; while the daemon is away, changes succeed too: the next daemon is told the whole state.
 */
#include <DriverKit/IOService.h>

/* without a daemon: kIOReturnOffline */
kern_return_t amb_uplink_create(uint64_t parent, OSDictionary *properties, uint64_t *ret_entry);
kern_return_t amb_uplink_set_properties(uint64_t entry, OSDictionary *changes, OSArray *removed);
kern_return_t amb_uplink_set_name(uint64_t entry, const char *name);
kern_return_t amb_uplink_terminate(uint64_t entry);
/* Returns when the registry has it: who hears of the service afterwards finds it there. */
void amb_uplink_register(uint64_t entry);
/* Does not wait. */
void amb_uplink_did_stop(uint64_t entry);

/* From now on services are made without a registry, with numbers from 2 on. */
void amb_uplink_alone(void);

/* Which daemon it is, counted from 1; 0: there was none yet. */
uint32_t amb_uplink_daemon(void);
/* The name of this host for the registry ("IOUserServerName"); NULL without a server. Constant once set. */
const char *amb_uplink_server_name(void);
