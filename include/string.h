/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C library's <string.h> with what Darwin's has besides: strlcpy and strlcat (which glibc has since 2.38), strnstr, the
 * patterns, and <strings.h>'s bcopy and bzero. Functions of their arguments; any thread. No guard of its own: glibc includes its
 * header in parts. Contract: memory-and-queues 13 (the C library subset), real-code 3 'Functions and macros' of drivers.
 */
#pragma GCC system_header           /* #include_next is no matter of the program's warnings */
#include_next <string.h>
#include <strings.h>
#include <ambidext/string.h>
