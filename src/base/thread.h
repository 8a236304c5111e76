/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The one way in which our libraries start a thread: detached, and with every signal blocked, because signals are the program's,
 * except those that a thread brings upon itself (SIGSEGV, SIGBUS, ...): driver and app code runs on these threads and may handle
 * them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* stack: bytes, or 0 for the system's default. -errno: no thread. */
int amb_thread_start(void *(*function)(void *context), void *context, size_t stack);

/* The calling thread's stack: [low, high). False, and nothing is written: it is not known. */
bool amb_thread_stack(uintptr_t *ret_low, uintptr_t *ret_high);
