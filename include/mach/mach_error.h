/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* mach_error_string() and the composition of codes. */
#include <mach/kern_return.h>
