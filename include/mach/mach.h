/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The few Mach names that IOKit clients use; the parts say which thread may call. Contract: real-code 3 'Mach functions and
 * macros', 'Headers included by client programs'.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <mach/mach_error.h>
#include <mach/mach_host.h>
#include <mach/mach_init.h>
#include <mach/mach_port.h>
#include <mach/mach_types.h>
#include <mach/message.h>
#include <mach/thread_switch.h>
#include <mach/vm_map.h>
