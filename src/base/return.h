/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdint.h>
#include <mach/kern_return.h>
/* The symbol of a return code, or NULL when none has this value. Any thread. mach_error_string() never returns NULL. */
const char *amb_return_name(int32_t code);
