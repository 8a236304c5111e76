/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* mach_host_self(): like mach_task_self_, not a handle that the table gives out (index 0). */
#define AMB_HOST_SELF ((host_t)0x107)
