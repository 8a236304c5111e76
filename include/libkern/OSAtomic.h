/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Darwin's old atomic calls, over the compiler's. All of them order everything around them, also those without Barrier in their
 * name. Increments and additions return the new value, bit operations too, the ...Orig ones the old. Any thread.
 * Contract: real-code 3 'Headers included by client programs'.
 */
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AMB_ATOMIC_ADD(bits)                                                                                            \
        static inline int##bits##_t OSAtomicAdd##bits(int##bits##_t amount, volatile int##bits##_t *value)              \
        {                                                                                                               \
                return __atomic_add_fetch(value, amount, __ATOMIC_SEQ_CST);                                             \
        }                                                                                                               \
        static inline int##bits##_t OSAtomicAdd##bits##Barrier(int##bits##_t amount, volatile int##bits##_t *value)     \
        {                                                                                                               \
                return __atomic_add_fetch(value, amount, __ATOMIC_SEQ_CST);                                             \
        }                                                                                                               \
        static inline int##bits##_t OSAtomicIncrement##bits(volatile int##bits##_t *value)                              \
        {                                                                                                               \
                return OSAtomicAdd##bits(1, value);                                                                     \
        }                                                                                                               \
        static inline int##bits##_t OSAtomicIncrement##bits##Barrier(volatile int##bits##_t *value)                     \
        {                                                                                                               \
                return OSAtomicAdd##bits(1, value);                                                                     \
        }                                                                                                               \
        static inline int##bits##_t OSAtomicDecrement##bits(volatile int##bits##_t *value)                              \
        {                                                                                                               \
                return OSAtomicAdd##bits(-1, value);                                                                    \
        }                                                                                                               \
        static inline int##bits##_t OSAtomicDecrement##bits##Barrier(volatile int##bits##_t *value)                     \
        {                                                                                                               \
                return OSAtomicAdd##bits(-1, value);                                                                    \
        }
AMB_ATOMIC_ADD(32)
AMB_ATOMIC_ADD(64)
#undef AMB_ATOMIC_ADD

/* True: *value was `before` and is `after` now. */
#define AMB_ATOMIC_SWAP(name, type)                                                                                     \
        static inline bool OSAtomicCompareAndSwap##name(type before, type after, type volatile *value)                  \
        {                                                                                                               \
                return __atomic_compare_exchange_n(value, &before, after, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);   \
        }                                                                                                               \
        static inline bool OSAtomicCompareAndSwap##name##Barrier(type before, type after, type volatile *value)         \
        {                                                                                                               \
                return OSAtomicCompareAndSwap##name(before, after, value);                                              \
        }
AMB_ATOMIC_SWAP(32, int32_t)
AMB_ATOMIC_SWAP(64, int64_t)
AMB_ATOMIC_SWAP(Int, int)
AMB_ATOMIC_SWAP(Long, long)
AMB_ATOMIC_SWAP(Ptr, void *)
#undef AMB_ATOMIC_SWAP

#define AMB_ATOMIC_BITS(name, operation)                                                                                \
        static inline int32_t OSAtomic##name##32(uint32_t mask, volatile uint32_t *value)                               \
        {                                                                                                               \
                return (int32_t)__atomic_##operation##_fetch(value, mask, __ATOMIC_SEQ_CST);                            \
        }                                                                                                               \
        static inline int32_t OSAtomic##name##32Barrier(uint32_t mask, volatile uint32_t *value)                        \
        {                                                                                                               \
                return OSAtomic##name##32(mask, value);                                                                 \
        }                                                                                                               \
        static inline int32_t OSAtomic##name##32Orig(uint32_t mask, volatile uint32_t *value)                           \
        {                                                                                                               \
                return (int32_t)__atomic_fetch_##operation(value, mask, __ATOMIC_SEQ_CST);                              \
        }
AMB_ATOMIC_BITS(Or, or)
AMB_ATOMIC_BITS(And, and)
AMB_ATOMIC_BITS(Xor, xor)
#undef AMB_ATOMIC_BITS

static inline void OSMemoryBarrier(void)
{
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* A lock for a few instructions: who waits for it gives its processor up after a while. 0: free; static OS_SPINLOCK_INIT. */
typedef int32_t OSSpinLock;
#define OS_SPINLOCK_INIT 0

static inline bool OSSpinLockTry(volatile OSSpinLock *lock)
{
        return OSAtomicCompareAndSwap32(0, 1, lock);
}

static inline void OSSpinLockLock(volatile OSSpinLock *lock)
{
        for (unsigned int tries = 0; !OSSpinLockTry(lock); tries++)
                if (tries > 100)
                        sched_yield();
}

static inline void OSSpinLockUnlock(volatile OSSpinLock *lock)
{
        __atomic_store_n(lock, 0, __ATOMIC_SEQ_CST);
}

#ifdef __cplusplus
}
#endif
