/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C library's <stdio.h>; what Darwin's declares without being asked for it: asprintf and vasprintf; and attributes. Any thread.
 * Contract: real-code 1.10.
 */
#pragma GCC system_header
#include_next <stdio.h>
#ifndef AMB_DARWIN_STDIO
#define AMB_DARWIN_STDIO
#include <stdarg.h>
#include <sys/types.h>

#include <ambidext/cdefs.h>
#ifndef __USE_GNU
#ifdef __cplusplus
extern "C" {
#endif
extern int asprintf(char **text, const char *format, ...) __printflike(2, 3);
extern int vasprintf(char **text, const char *format, va_list arguments) __printflike(2, 0);
#ifdef __cplusplus
}
#endif
#endif
#endif
