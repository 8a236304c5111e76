/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Sanitizers, as our code has to know of them.
 *
 * AMB_SANITIZED: 1 where this very code is compiled with one; AMB_SANITIZED_ADDRESS (or memory), AMB_SANITIZED_THREAD: with which.
 *
 * A driver that was compiled with one runs in a host that was not: its run-time library is preloaded there (daemon/sanitizer.c). It
 * sees the calls of our code into the C library, mutexes included, but not our atomics. Where those order what driver code does on
 * one thread before what it does on another, ThreadSanitizer must be told, or it reports races that are none: amb_race_before()
 * where the first ends, amb_race_after() where the second begins, with the same address. Without ThreadSanitizer that is one look
 * at a pointer. amb_race_watched() is for paths that are too hot for a call that returns: where it is true they go another way,
 * which tells it, or by a mutex, which it sees.
 */
#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define AMB_SANITIZED_ADDRESS 1
#elif defined(__SANITIZE_THREAD__)
#define AMB_SANITIZED_THREAD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define AMB_SANITIZED_ADDRESS 1
#elif __has_feature(thread_sanitizer)
#define AMB_SANITIZED_THREAD 1
#endif
#endif
#ifndef AMB_SANITIZED_ADDRESS
#define AMB_SANITIZED_ADDRESS 0
#endif
#ifndef AMB_SANITIZED_THREAD
#define AMB_SANITIZED_THREAD 0
#endif
#define AMB_SANITIZED (AMB_SANITIZED_ADDRESS || AMB_SANITIZED_THREAD)

#if AMB_SANITIZED
/* It sees everything itself; told more, it would find less. */
static inline void amb_race_before(const void *address)
{
        (void)address;
}
static inline void amb_race_after(const void *address)
{
        (void)address;
}
static inline bool amb_race_watched(void)
{
        return false;
}
static inline bool amb_sanitizer_preloaded(void)
{
        return false;
}
#else
/* NULL where there is none; the names are the run-time library's own. */
extern void __tsan_release(void *address) __attribute__((weak, visibility("default")));
extern void __tsan_acquire(void *address) __attribute__((weak, visibility("default")));
extern void __sanitizer_print_stack_trace(void) __attribute__((weak, visibility("default")));

static inline void amb_race_before(const void *address)
{
        if (__builtin_expect(__tsan_release != NULL, 0))
                __tsan_release((void *)address);
}
static inline void amb_race_after(const void *address)
{
        if (__builtin_expect(__tsan_acquire != NULL, 0))
                __tsan_acquire((void *)address);
}
static inline bool amb_race_watched(void)
{
        return __tsan_acquire != NULL;
}
/* This process, which was not built with one, has a sanitizer's run-time library. */
static inline bool amb_sanitizer_preloaded(void)
{
        return __sanitizer_print_stack_trace != NULL;
}
#endif
