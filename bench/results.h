/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What has been measured: shared memory that each section's process writes, one section after the other, and the program reads
 * when that process has ended (frame.c writes, report.c and plot.c read). Of fixed size: what does not fit ends the section.
 */
#include <stdbool.h>

#include "measure/histogram.h"

enum { BENCH_NAME = 48, BENCH_WHY = 200, BENCH_ROWS = 192, BENCH_ROUNDS = 1024, BENCH_VALUES = 64, BENCH_POINTS = 512 };
enum { BENCH_BATCH = 8 };                               /* operations that are timed together */

/* In the order of the quantiles that are kept of every round. */
enum bench_quantile { BENCH_P50, BENCH_P99, BENCH_QUANTILES };

struct bench_row {
        char section[BENCH_NAME], name[BENCH_NAME];
        int baseline;                                   /* index of another row, or -1 */
        struct amb_histogram total, round;              /* round: the one in progress */
        struct amb_histogram batch_total, batch_round;  /* of batches; empty where an operation takes microseconds */
        unsigned round_count;                           /* rounds that have ended, also those without a sample of this row */
        float rounds[BENCH_ROUNDS][BENCH_QUANTILES];    /* nanoseconds; 0: no sample in that round */
};

/* Half of the samples of a round (from 0) do not exceed it; 0: there are none. */
static inline double bench_round_median(const struct bench_row *row, unsigned round)
{
        return (double)row->rounds[round][BENCH_P50];
}

struct bench_value {
        char name[BENCH_NAME], unit[16];                /* a figure's unit */
        double value;
        unsigned rounds;                                /* how many it is the median of */
};

struct bench_skip {
        char name[BENCH_NAME], why[BENCH_WHY];
};

/* One of the plot's: latency at so many calls offered each second. */
struct bench_point {
        char series[BENCH_NAME];
        double offered, p50, p99;
};

struct bench_results {
        unsigned row_count, bar_count, figure_count, skip_count, point_count;
        struct bench_row rows[BENCH_ROWS];
        struct bench_value bars[BENCH_VALUES], figures[BENCH_VALUES * 4];
        struct bench_skip skips[BENCH_VALUES];
        struct bench_point points[BENCH_POINTS];
};

/* What must be reached (bars.c). */
enum bench_bar_kind { BENCH_AT_MOST, BENCH_BELOW, BENCH_AT_LEAST };
struct bench_bar_row {
        const char *name, *section;
        enum bench_bar_kind kind;
        double bar;
        const char *what;
};
extern const struct bench_bar_row bench_bars[];         /* ends with a name of NULL */
bool bench_bar_ok(const struct bench_bar_row *bar, double value);
const struct bench_bar_row *bench_bar_find(const char *name);

/*
 * Nanoseconds that half of the operations do not exceed. Clocks of virtual machines may tick every 10 ns, a tenth of what is
 * measured here: where there are batches, the median batch counts.
 */
double bench_row_median(const struct bench_row *row);
/* The in-round ratios of two rows: their median, and how many rounds there were. 0: none. */
double bench_rows_ratio(const struct bench_row *row, const struct bench_row *baseline, enum bench_quantile quantile,
                        unsigned *ret_rounds);
/* Sorts `values`. */
double bench_median(double *values, unsigned count);
