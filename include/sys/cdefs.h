/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C library's <sys/cdefs.h>, and Darwin's names for who asks for it by name. glibc's <features.h> includes it too, for every
 * header that there is: that alone brings nothing, because Linux's headers use some of the names for members. No guard: it may
 * come first from there and then from the program.
 */
#pragma GCC system_header           /* #include_next is no matter of the program's warnings */
#if defined(_FEATURES_H) && !defined(_SYS_CDEFS_H)
#include_next <sys/cdefs.h>
#else
#include_next <sys/cdefs.h>
#include <ambidext/cdefs.h>
#endif
