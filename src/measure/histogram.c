/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/histogram.h"

static size_t bucket_of(uint64_t nanoseconds)
{
        if (nanoseconds < AMB_HISTOGRAM_STEPS)
                return (size_t)nanoseconds;
        int doubling = 63 - __builtin_clzll(nanoseconds) - __builtin_ctz(AMB_HISTOGRAM_STEPS);
        size_t bucket = (size_t)(doubling + 1) * AMB_HISTOGRAM_STEPS + (size_t)(nanoseconds >> doubling) - AMB_HISTOGRAM_STEPS;
        return bucket < AMB_HISTOGRAM_BUCKETS ? bucket : AMB_HISTOGRAM_BUCKETS - 1;
}

uint64_t amb_histogram_duration(size_t bucket)
{
        if (bucket < AMB_HISTOGRAM_STEPS)
                return bucket;
        size_t doubling = bucket / AMB_HISTOGRAM_STEPS - 1;
        return ((uint64_t)(bucket % AMB_HISTOGRAM_STEPS + AMB_HISTOGRAM_STEPS) << doubling) + ((1ull << doubling) >> 1);
}

void amb_histogram_add(struct amb_histogram *histogram, uint64_t nanoseconds)
{
        if (histogram->count == 0 || nanoseconds < histogram->least)
                histogram->least = nanoseconds;
        if (nanoseconds > histogram->most)
                histogram->most = nanoseconds;
        histogram->count++;
        histogram->sum += nanoseconds;
        histogram->buckets[bucket_of(nanoseconds)]++;
}

void amb_histogram_add_all(struct amb_histogram *histogram, const struct amb_histogram *other)
{
        if (other->count && (histogram->count == 0 || other->least < histogram->least))
                histogram->least = other->least;
        if (other->most > histogram->most)
                histogram->most = other->most;
        histogram->count += other->count;
        histogram->sum += other->sum;
        for (size_t i = 0; i < AMB_HISTOGRAM_BUCKETS; i++)
                histogram->buckets[i] += other->buckets[i];
}

uint64_t amb_histogram_at(const struct amb_histogram *histogram, double share)
{
        uint64_t wanted = (uint64_t)(share * (double)histogram->count), seen = 0;
        for (size_t i = 0; i < AMB_HISTOGRAM_BUCKETS; i++) {
                seen += histogram->buckets[i];
                if (seen > wanted || (seen && seen == histogram->count))
                        return amb_histogram_duration(i);
        }
        return 0;
}
