/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* boolean_t, TRUE and FALSE. */
#include <mach/mach_types.h>
