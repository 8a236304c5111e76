/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How a code is composed: err_system(), err_sub(), err_get_...(), unix_err(): constants. Contract: call-path 1.7. */
#include <mach/kern_return.h>
