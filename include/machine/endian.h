/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* LITTLE_ENDIAN, BYTE_ORDER and their kind. Macros only. */
#include <endian.h>
