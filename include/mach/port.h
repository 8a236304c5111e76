/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Port names: see <mach/mach_types.h>. Contract: real-code 3 'Headers included by client programs'. Nothing of its own. */
#include <mach/mach_types.h>
