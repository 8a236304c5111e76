/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The same codes as on the client side: constants. Contract: call-path 1.7 to 1.12. */
#include <IOKit/IOReturn.h>
