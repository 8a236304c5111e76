/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* natural_t, vm_address_t and their kind. */
#include <mach/mach_types.h>
