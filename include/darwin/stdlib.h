/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C library's <stdlib.h> with what Darwin's brings along: numbers, signals, waiting, byte order, versions, attributes. This
 * directory is on the include path of applications (pkg-config ambidext); each header here adds to the one of its name what
 * programs take for granted on Darwin. No guard: glibc includes its header in parts. Any thread. Contract: real-code 1.10.
 */
#pragma GCC system_header
#include_next <stdlib.h>
#if !defined(__need_malloc_and_calloc) && !defined(AMB_DARWIN_STDLIB)
#define AMB_DARWIN_STDLIB
#include <stdint.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <AvailabilityMacros.h>
#include <TargetConditionals.h>
#include <ambidext/cdefs.h>
#include <libkern/OSByteOrder.h>

#ifdef __cplusplus
extern "C" {
#endif
/* The program's name without its directory; lives as long as the process. */
static inline __attribute__((__unused__)) const char *getprogname(void)
{
        extern char *program_invocation_short_name;

        return program_invocation_short_name;
}
#ifdef __cplusplus
}
#endif
#endif
