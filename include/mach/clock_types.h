/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A time as seconds and nanoseconds, and how many of the one are in the other. */
#include <mach/mach_types.h>

#ifndef NSEC_PER_USEC
#define NSEC_PER_USEC 1000ull
#endif
#ifndef USEC_PER_SEC
#define USEC_PER_SEC 1000000ull
#endif
#ifndef NSEC_PER_SEC
#define NSEC_PER_SEC 1000000000ull
#endif
#ifndef NSEC_PER_MSEC
#define NSEC_PER_MSEC 1000000ull
#endif
