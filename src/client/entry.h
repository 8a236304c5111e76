/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files that look at registry entries share. Any thread. */
#include "client/handle.h"
#include "client/remote.h"

/*
 * The entry behind a handle, as it is now: its id (ret_id may be NULL) and a snapshot for the caller to clear.
 * MACH_SEND_INVALID_DEST makes the handle dead; other codes: amb_handle_get(), amb_remote_code().
 */
kern_return_t amb_entry_look(mach_port_t handle, uint64_t *ret_id, struct amb_snapshot *ret);
