/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Another name for what <mach/mach.h> brings; nothing of its own. Contract: real-code 3 'Headers included by client programs'. */
#include <mach/mach_host.h>
#include <mach/mach_port.h>
#include <mach/vm_map.h>
