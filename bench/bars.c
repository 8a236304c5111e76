/* SPDX-License-Identifier: Apache-2.0 */
/* The bars: one line each, with the section that measures it. */
#include <stdlib.h>
#include <string.h>

#include "bench/results.h"

const struct bench_bar_row bench_bars[] = {
        { "hot_scalar", "hot", BENCH_AT_MOST, 1.8, "scalar call, 2 in and 2 out, hot: p50 against the ping-pong's" },
        { "hot_vs_ioctl", "hot", BENCH_BELOW, 1, "the same against a trivial ioctl, while the ping-pong is below 0.2 us" },
        { "hot_p99", "hot", BENCH_AT_MOST, 3, "the same: p99 against the ping-pong's p99" },
        { "hot_4k", "hot", BENCH_AT_MOST, 1.5, "4096 bytes in and out, hot, against a ping-pong with the same copies" },
        { "idle_call", "idle", BENCH_AT_MOST, 1.3,
          "call after 1 ms, the worse of caller asleep and busy, against futexes on one core" },
        { "idle_vs_fuse", "idle", BENCH_BELOW, 1, "the same against an ioctl of a FUSE file system, all freely placed" },
        { "idle_vs_socket", "idle", BENCH_BELOW, 1, "the same against a unix stream socket, all freely placed" },
        { "burst", "burst", BENCH_AT_MOST, 1.3,
          "1 to 256 calls after 2 ms, worst ratio: to the better of futexes and spinning" },
        { "one_core", "one_core", BENCH_AT_MOST, 1.3, "both sides on one core, against futexes on one core" },
        { "loaded_p99", "loaded", BENCH_AT_MOST, 1.5,
          "busy loops on both cores: p99 against futexes', freely placed or on one core" },
        { "cpu_1khz", "cpu", BENCH_AT_MOST, 1.5, "a call each millisecond: processor time of both processes, against futexes'" },
        { "idle_wakeups", "connections", BENCH_AT_MOST, 0, "100 idle connections: wake-ups of host, daemon and app per second" },
        { "pipelined", "rate", BENCH_AT_LEAST, 8,
          "calls of 8 threads on one connection, against a unix socket with 32 in flight" },
        { "completions", "rate", BENCH_AT_LEAST, 10, "completions that a driver streams, against the same" },
        { "open_close", "rate", BENCH_AT_LEAST, 4000, "open and close, per second" },
        { "connections", "connections", BENCH_AT_MOST, 32, "10,000 connections to one host: resident KiB of each" },
        { "connections_call", "connections", BENCH_AT_MOST, 1.2, "a hot call on one of 10,000 connections, against the only one" },
        { "instructions", "instructions", BENCH_AT_MOST, 800,
          "instructions of one hot scalar call, app's library and host together" },
        { "cxx", "cxx", BENCH_AT_MOST, 1.1, "scalar call, hot: of a driver in C++ against the same in C" },
        { 0 },
};

const struct bench_bar_row *bench_bar_find(const char *name)
{
        for (const struct bench_bar_row *bar = bench_bars; bar->name; bar++)
                if (strcmp(bar->name, name) == 0)
                        return bar;
        return NULL;
}

bool bench_bar_ok(const struct bench_bar_row *bar, double value)
{
        switch (bar->kind) {
        case BENCH_AT_MOST: return value <= bar->bar;
        case BENCH_BELOW: return value < bar->bar;
        case BENCH_AT_LEAST: return value >= bar->bar;
        }
        return false;
}

static int compare(const void *left, const void *right)
{
        double difference = *(const double *)left - *(const double *)right;
        return (difference > 0) - (difference < 0);
}

double bench_median(double *values, unsigned count)
{
        if (count == 0)
                return 0;
        qsort(values, count, sizeof(*values), compare);
        return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

double bench_row_median(const struct bench_row *row)
{
        if (row->batch_total.count)
                return (double)amb_histogram_at(&row->batch_total, 0.5) / BENCH_BATCH;
        return (double)amb_histogram_at(&row->total, 0.5);
}

double bench_rows_ratio(const struct bench_row *row, const struct bench_row *baseline, enum bench_quantile quantile,
                        unsigned *ret_rounds)
{
        double values[BENCH_ROUNDS];
        unsigned count = 0;
        for (unsigned i = 0; i < row->round_count && i < baseline->round_count; i++)
                if (row->rounds[i][quantile] > 0 && baseline->rounds[i][quantile] > 0)
                        values[count++] = (double)row->rounds[i][quantile] / (double)baseline->rounds[i][quantile];
        *ret_rounds = count;
        return bench_median(values, count);
}
