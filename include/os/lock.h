/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A small lock: 4 bytes, no descriptor, nothing to free; waiters sleep. A thread that takes one that it holds, or gives back one
 * that it does not hold, ends the process. Any thread, not in signal handlers. In shared memory it is of no use.
 * Contract: real-code 3 'Headers included by client programs'.
 */
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct os_unfair_lock_s {
        uint32_t _os_unfair_lock_opaque;
} os_unfair_lock, *os_unfair_lock_t;
#ifdef __cplusplus
#define OS_UNFAIR_LOCK_INIT (os_unfair_lock{ 0 })
#else
#define OS_UNFAIR_LOCK_INIT ((os_unfair_lock){ 0 })
#endif

void os_unfair_lock_lock(os_unfair_lock_t lock);
bool os_unfair_lock_trylock(os_unfair_lock_t lock);             /* true: it is mine now. Never waits. */
void os_unfair_lock_unlock(os_unfair_lock_t lock);
/* These end the process, with a line to standard error, when it is not so. */
void os_unfair_lock_assert_owner(const os_unfair_lock *lock);
void os_unfair_lock_assert_not_owner(const os_unfair_lock *lock);

#ifdef __cplusplus
}
#endif
