/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * All services and user clients of this process by number: what the daemon names in its calls and what it is told after it was
 * restarted. The table retains its members. One lock, innermost. Any thread.
 */
#include <DriverKit/IOService.h>

#include "base/base.h"

void amb_table_add(IOService *service);
void amb_table_remove(IOService *service);      /* fine when it is not in */
IOService *amb_table_find(uint64_t entry);      /* retained; NULL */
/* All members, in order of addition (parents first); the caller releases each and frees the array. -ENOMEM. */
int amb_table_copy(IOService ***ret_services, size_t *ret_count);
