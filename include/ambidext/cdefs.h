/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What Darwin's <sys/cdefs.h> names and glibc's does not: attributes, as macros. C and C++, nothing but macros.
 *
 * Whoever includes <sys/cdefs.h> by name gets it, and every driver (<ambidext/dext.h>) and application (<IOKit/IOKitLib.h>).
 * Linux's own <linux/icmp.h>, <linux/sysctl.h> and <asm/stat.h> have members called __unused: include them before.
 * Contract: real-code 1.10.
 */
#include <features.h>

#ifndef __unused
#define __unused __attribute__((__unused__))
#endif
#ifndef __deprecated
#define __deprecated __attribute__((__deprecated__))
#define __deprecated_msg(message) __attribute__((__deprecated__(message)))
#endif
#ifndef __deprecated_enum_msg
#define __deprecated_enum_msg(message) __deprecated_msg(message)
#endif
#ifndef __printflike
#define __printflike(format, arguments) __attribute__((__format__(__printf__, format, arguments)))
#define __printf0like(format, arguments) __printflike(format, arguments)
#define __scanflike(format, arguments) __attribute__((__format__(__scanf__, format, arguments)))
#endif
#ifndef __dead2
#define __dead2 __attribute__((__noreturn__))
#define __pure2 __attribute__((__const__))
#endif
#ifndef __cold
#define __cold __attribute__((__cold__))
#endif
#ifndef __packed
#define __packed __attribute__((__packed__))
#endif
#ifndef __unavailable
#define __unavailable __attribute__((__unavailable__))
#endif
#ifndef __result_use_check
#define __result_use_check __attribute__((__warn_unused_result__))
#endif
#ifndef __exported
#define __exported __attribute__((__visibility__("default")))
#define __exported_push _Pragma("GCC visibility push(default)")
#define __exported_pop _Pragma("GCC visibility pop")
#endif
#ifndef __private_extern__
#define __private_extern__ __attribute__((__visibility__("hidden"))) extern
#endif
#ifndef __header_inline
#define __header_inline static inline
#define __header_always_inline static inline __attribute__((__always_inline__))
#endif
#ifndef __unreachable_ok_push
#define __unreachable_ok_push
#define __unreachable_ok_pop
#endif
#ifndef __probable
#define __probable(condition) __builtin_expect(!!(condition), 1)
#define __improbable(condition) __builtin_expect(!!(condition), 0)
#endif
#ifndef __swift_unavailable
#define __swift_unavailable(message)
#endif
#ifndef __CAST_AWAY_QUALIFIER
#define __CAST_AWAY_QUALIFIER(variable, qualifier, type) ((type)(uintptr_t)(variable))
#endif
#ifndef __IDSTRING
#define __IDSTRING(name, string) static const char name[] __attribute__((__unused__)) = string
#define __COPYRIGHT(string) __IDSTRING(copyright, string)
#define __RCSID(string) __IDSTRING(rcsid, string)
#endif

/* Enumerations of a type of their own, which C has not before C23. */
#ifndef __enum_decl
#if defined(__cplusplus) || defined(__clang__)
#define __enum_decl(name, type, ...) typedef enum : type __VA_ARGS__ name
#define __options_decl(name, type, ...) typedef enum : type __VA_ARGS__ name
#else
#define __enum_decl(name, type, ...) typedef type name; enum __VA_ARGS__
#define __options_decl(name, type, ...) typedef type name; enum __VA_ARGS__
#endif
#define __enum_closed_decl(name, type, ...) __enum_decl(name, type, __VA_ARGS__)
#define __options_closed_decl(name, type, ...) __options_decl(name, type, __VA_ARGS__)
#define __enum_closed
#define __enum_open
#define __enum_options
#endif

/* clang's words for pointers and for asking what it can do, for compilers that lack them. */
#ifndef __clang__
#ifndef _Nonnull
#define _Nonnull
#define _Nullable
#define _Null_unspecified
#endif
#ifndef __has_feature
#define __has_feature(name) 0
#endif
#ifndef __has_extension
#define __has_extension(name) 0
#endif
#endif
