/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What stands in front of every source of a driver: `ambidext build` compiles with -include ambidext/dext.h. It is what sources
 * written for Darwin take for granted without including anything: that a driver is what is compiled (TARGET_OS_DRIVERKIT),
 * numbers and their network order, bool, memory and strings (strlcpy too), Mach's types, its and POSIX's clocks, Darwin's
 * attributes, versions; and __builtin_available, which is always true: what these headers declare is there. C and C++, also when
 * iig reads an interface.
 *
 * Contract: iig-language 6.2, 6.3, 12; real-code 1.10.
 */
#ifndef TARGET_OS_DRIVERKIT
#define TARGET_OS_DRIVERKIT 1
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#include <Availability.h>
#include <TargetConditionals.h>
#include <ambidext/cdefs.h>
#include <mach/mach_time.h>
#include <mach/mach_types.h>

#ifndef __ENVIRONMENT_DRIVERKIT_VERSION_MIN_REQUIRED__
#define __ENVIRONMENT_DRIVERKIT_VERSION_MIN_REQUIRED__ __DRIVERKIT_VERSION_MIN_REQUIRED
#endif

/* Darwin's <sys/types.h> has them; glibc's <netinet/in.h>, which declares them alike, brings the whole of sockets along. */
#ifndef _NETINET_IN_H
#ifdef __cplusplus
extern "C" {
#endif
extern uint16_t htons(uint16_t number) __THROW __attribute__((__const__));
extern uint16_t ntohs(uint16_t number) __THROW __attribute__((__const__));
extern uint32_t htonl(uint32_t number) __THROW __attribute__((__const__));
extern uint32_t ntohl(uint32_t number) __THROW __attribute__((__const__));
#ifdef __cplusplus
}
#endif
#endif

/* Not every clang knows the platform's name. */
#define __builtin_available(...) 1
