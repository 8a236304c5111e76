/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Sums and products that say whether they were too large for where they go: true, and *result holds what fits of it, else false. Of
 * integers of any type, also different ones; expressions of their arguments. What is asked for must be looked at. Contract:
 * iig-language 6.2.
 */
#include <stdbool.h>

static inline bool __attribute__((__warn_unused_result__)) amb_overflow_look(bool overflow)
{
        return __builtin_expect(overflow, 0);
}

#define os_add_overflow(a, b, result) amb_overflow_look(__builtin_add_overflow((a), (b), (result)))
#define os_sub_overflow(a, b, result) amb_overflow_look(__builtin_sub_overflow((a), (b), (result)))
#define os_mul_overflow(a, b, result) amb_overflow_look(__builtin_mul_overflow((a), (b), (result)))
#define os_convert_overflow(a, result) os_add_overflow((a), 0, (result))
#define os_inc_overflow(result) (__extension__({                                                                         \
        __typeof__(result) amb_inc_result = (result);                                                                   \
        os_add_overflow(*amb_inc_result, 1, amb_inc_result); }))
#define os_dec_overflow(result) (__extension__({                                                                         \
        __typeof__(result) amb_dec_result = (result);                                                                   \
        os_sub_overflow(*amb_dec_result, 1, amb_dec_result); }))

/* Two steps; true when either was too large. The first is done in the type of the result. */
#define amb_overflow_two(one, other, a, b, c, result) (__extension__({                                                   \
        __typeof__(*(result)) amb_two_first;                                                                            \
        bool amb_two_over = one((a), (b), &amb_two_first);                                                              \
        bool amb_two_again = other(amb_two_first, (c), (result));                                                       \
        amb_overflow_look(amb_two_over || amb_two_again); }))
#define os_add3_overflow(a, b, c, result) amb_overflow_two(__builtin_add_overflow, __builtin_add_overflow, a, b, c, result)
#define os_sub3_overflow(a, b, c, result) amb_overflow_two(__builtin_sub_overflow, __builtin_sub_overflow, a, b, c, result)
#define os_add_and_sub_overflow(a, b, c, result) amb_overflow_two(__builtin_add_overflow, __builtin_sub_overflow, a, b, c, result)
#define os_mul3_overflow(a, b, c, result) amb_overflow_two(__builtin_mul_overflow, __builtin_mul_overflow, a, b, c, result)
/* a * b + c, and (a + b) * c. */
#define os_mul_and_add_overflow(a, b, c, result) amb_overflow_two(__builtin_mul_overflow, __builtin_add_overflow, a, b, c, result)
#define os_add_and_mul_overflow(a, b, c, result) amb_overflow_two(__builtin_add_overflow, __builtin_mul_overflow, a, b, c, result)
