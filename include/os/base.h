/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Attributes by Darwin's <os/...> names. Macros only. Contract: iig-language 6.2 (IOLib.h brings the helpers of os/). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ambidext/cdefs.h>

#ifdef __cplusplus
#define __OS_EXTERN extern "C"
#else
#define __OS_EXTERN extern
#endif
#define OS_EXTERN __OS_EXTERN
#ifndef OS_EXPORT
#define OS_EXPORT __OS_EXTERN __attribute__((__visibility__("default")))
#endif
#ifndef OS_INLINE
#define OS_INLINE static inline
#endif
#define OS_ALWAYS_INLINE __attribute__((__always_inline__))
#define OS_NOINLINE __attribute__((__noinline__))
#define OS_NORETURN __attribute__((__noreturn__))
#define OS_NOTHROW __attribute__((__nothrow__))
#define OS_NONNULL1 __attribute__((__nonnull__(1)))
#define OS_NONNULL2 __attribute__((__nonnull__(2)))
#define OS_NONNULL3 __attribute__((__nonnull__(3)))
#define OS_NONNULL_ALL __attribute__((__nonnull__))
#define OS_PURE __attribute__((__pure__))
#define OS_CONST __attribute__((__const__))
#define OS_USED __attribute__((__used__))
#define OS_UNUSED __attribute__((__unused__))
#define OS_MALLOC __attribute__((__malloc__))
#define OS_WARN_RESULT __attribute__((__warn_unused_result__))
#define OS_WARN_RESULT_NEEDS_RELEASE __attribute__((__warn_unused_result__))
#define OS_FORMAT_PRINTF(format, arguments) __attribute__((__format__(__printf__, format, arguments)))
#define OS_OVERLOADABLE
#define OS_SWIFT_NAME(name)
#define OS_REFINED_FOR_SWIFT
#define OS_ENUM(name, type, ...) __enum_decl(name##_t, type, { __VA_ARGS__ })
#define OS_OPTIONS(name, type, ...) __options_decl(name##_t, type, { __VA_ARGS__ })

#ifndef os_likely
#define os_likely(condition) __builtin_expect(!!(condition), 1)
#define os_unlikely(condition) __builtin_expect(!!(condition), 0)
#endif
#define OS_EXPECT(value, expected) __builtin_expect((value), (expected))
#define os_fastpath(value) ((__typeof__(value))__builtin_expect((long)(value), ~0l))
#define os_slowpath(value) ((__typeof__(value))__builtin_expect((long)(value), 0l))
#define OS_STRINGIFY_INNER(text) #text
#define OS_STRINGIFY(text) OS_STRINGIFY_INNER(text)
#define OS_CONCAT_INNER(one, other) one##other
#define OS_CONCAT(one, other) OS_CONCAT_INNER(one, other)
