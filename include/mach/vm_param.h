/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Another name for what <mach/vm_map.h> has; nothing of its own. Contract: real-code 3 'Headers included by client programs'. */
#include <mach/vm_map.h>
