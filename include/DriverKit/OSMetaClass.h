/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Classes, casts and the macros around them are in OSObject.h. Contract: memory-and-queues 11.1, 11.2. */
#include <DriverKit/OSObject.h>
