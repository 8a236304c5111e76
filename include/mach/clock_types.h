/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A time as seconds and nanoseconds, and how many of the one are in the other: of type uint64_t, as on Darwin, so that std::min and
 * its kind take them beside such. Types and constants. Contract: real-code 3 'Mach functions and macros'.
 */
#include <stdint.h>

/* A time span: seconds and nanoseconds (0 to 999999999). */
typedef struct mach_timespec {
        unsigned int tv_sec;
        int tv_nsec;
} mach_timespec_t;

#ifndef NSEC_PER_USEC
#define NSEC_PER_USEC UINT64_C(1000)
#endif
#ifndef USEC_PER_SEC
#define USEC_PER_SEC UINT64_C(1000000)
#endif
#ifndef NSEC_PER_SEC
#define NSEC_PER_SEC UINT64_C(1000000000)
#endif
#ifndef NSEC_PER_MSEC
#define NSEC_PER_MSEC UINT64_C(1000000)
#endif
