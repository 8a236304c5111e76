/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Another name for <mach/mach_types.h>; nothing of its own. Contract: real-code 3 'Headers included by client programs'. */
#include <mach/mach_types.h>
