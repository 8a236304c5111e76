/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * mach_error_string() and the composition of codes, any thread. Contract: call-path 1.7, real-code 3 'Mach functions and
 * macros'.
 */
#include <mach/kern_return.h>
