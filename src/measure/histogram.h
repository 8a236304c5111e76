/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A histogram of durations, of fixed size, so that measuring does not allocate; all zeros is an empty one. It belongs to one thread
 * (or is shared memory that one process writes, and another reads when that has ended).
 *
 * Nanoseconds, in buckets of at most 1.6 % width: one for each up to HISTOGRAM_STEPS, then as many for each doubling; what is
 * longer than half a minute counts as that.
 */
#include <stddef.h>
#include <stdint.h>

enum { AMB_HISTOGRAM_STEPS = 64, AMB_HISTOGRAM_BUCKETS = 30 * AMB_HISTOGRAM_STEPS };
struct amb_histogram {
        uint64_t count, sum, least, most, buckets[AMB_HISTOGRAM_BUCKETS];
};
void amb_histogram_add(struct amb_histogram *histogram, uint64_t nanoseconds);
/* Every sample of another one. */
void amb_histogram_add_all(struct amb_histogram *histogram, const struct amb_histogram *other);
/* The duration that `share` (0 to 1) of the samples do not exceed, to within a bucket; 0 without samples. */
uint64_t amb_histogram_at(const struct amb_histogram *histogram, double share);
/* The duration that a bucket stands for: its middle. */
uint64_t amb_histogram_duration(size_t bucket);
