/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <mach/mach_types.h>
