/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Between test-proof.c, which drives as the runtime does, and Counter.cpp, which is written as a dext is. What the C side cannot
 * say by the C API it has here as functions; each is a call as another C++ object of the driver would make it.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/test-check.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What has happened, counted by the C++ side; each wait ends when the count is reached. */
struct proof_counts {
        int starts, big_starts, stops, frees, ticks, tocks, plains, client_frees;
};
extern struct proof_counts proof_counts;
void proof_happened(int *count);
void proof_wait(const int *count, int wanted);

void cxx_counter_calls(void *counter);          /* every kind of argument, on an object of this process */
uint32_t cxx_add(void *counter, uint32_t amount);
uint64_t cxx_total(const void *counter);
void cxx_timers(void *counter);                 /* TYPE methods, two of one type, and one without TYPE */
void cxx_reached(void *counter, void *client);  /* a TARGET method of an own class */
void cxx_one_way(void *counter);                /* void: at once on the object's queue, later from elsewhere */
void cxx_shelf(void *shelf, uint32_t base);     /* a C class's methods, also overridden ones */
void cxx_release(void *object);

#ifdef __cplusplus
}
#endif
