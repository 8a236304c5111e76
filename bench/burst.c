/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bursts of calls after 2 ms of sleep, against the better of two plain ways for each size: futexes on one core (cheap to begin),
 * and a partner on the other core that is woken and then spins (cheap to go on). Ours come in blocks of one size, for who learns
 * from what came before; then in sizes that nobody can foresee, which is reported alone.
 */
#include "bench/sections.h"

enum { GAP_NS = 2000000, BLOCK = 30, BASELINE_BLOCK = 10, MIXED = 40, SIZES = 5 };
static const unsigned sizes[SIZES] = { 1, 4, 16, 64, 256 };

struct burst {
        struct amb_partner *futex, *spin;
        io_connect_t connection;
        struct bench_row *futex_rows[SIZES], *our_rows[SIZES], *spin_rows[SIZES];       /* the last: NULL on one processor */
        double ratios[SIZES][BENCH_ROUNDS];
        unsigned count;
};

static void partner_burst(struct bench *bench, struct amb_partner *partner, unsigned size, struct bench_row *row)
{
        bench_sleep(GAP_NS);
        uint64_t begin = amb_time_now();
        amb_partner_begin(partner);
        for (unsigned i = 0; i < size; i++)
                bench_partner_once(partner);
        amb_partner_end(partner);
        bench_add(row, bench_since(bench, begin));
}

static uint64_t our_burst(struct bench *bench, struct burst *burst, unsigned size)
{
        bench_sleep(GAP_NS);
        uint64_t begin = amb_time_now();
        for (unsigned i = 0; i < size; i++)
                bench_call(&burst->connection);
        return bench_since(bench, begin);
}

static void partner_block(struct bench *bench, struct amb_partner *partner, unsigned size, struct bench_row *row)
{
        amb_thread_stay_on(0, bench->one);
        for (uint64_t i = 0; i < bench_amount(bench, BASELINE_BLOCK, 2); i++)
                partner_burst(bench, partner, size, row);
        amb_thread_stay_on(0, AMB_PROCESSOR_ANY);
}

static void size_turn(struct bench *bench, struct burst *burst, int size)
{
        partner_block(bench, burst->futex, sizes[size], burst->futex_rows[size]);
        if (burst->spin_rows[size])
                partner_block(bench, burst->spin, sizes[size], burst->spin_rows[size]);
        for (uint64_t i = 0; i < bench_amount(bench, BLOCK, 2); i++)
                bench_add(burst->our_rows[size], our_burst(bench, burst, sizes[size]));
}

/* What the better of the two takes for a burst, in the round that has just ended. */
static double better(const struct burst *burst, int size, unsigned round)
{
        double futex = bench_round_median(burst->futex_rows[size], round);
        double spin = burst->spin_rows[size] ? bench_round_median(burst->spin_rows[size], round) : futex;
        return spin < futex ? spin : futex;
}

static void ratios_take(struct burst *burst, unsigned round)
{
        for (int size = 0; size < SIZES; size++)
                burst->ratios[size][burst->count] = bench_round_median(burst->our_rows[size], round) / better(burst, size, round);
        burst->count++;
}

/* Sizes in no order, each against what was better for it in the last round. */
static void mixed(struct bench *bench, struct burst *burst)
{
        static double ratios[MIXED * BENCH_ROUNDS];
        unsigned count = (unsigned)bench_amount(bench, 6 * MIXED, 10), last = burst->our_rows[0]->round_count - 1;
        uint64_t random = 88172645463325252u;
        for (unsigned i = 0; i < count; i++) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                int size = (int)(random % SIZES);
                ratios[i] = (double)our_burst(bench, burst, sizes[size]) / better(burst, size, last);
        }
        bench_figure(bench, "bursts of random sizes, median ratio", bench_median(ratios, count), "");
        bench_figure(bench, "bursts of random sizes, 90 % are below", ratios[count * 9 / 10], "");
}

static void rows_make(struct bench *bench, struct burst *burst)
{
        for (int size = 0; size < SIZES; size++) {
                AMB_FREE char *futex = amb_format("%u: futex, one core", sizes[size]);
                AMB_FREE char *spin = amb_format("%u: spinning", sizes[size]), *ours = amb_format("%u: calls", sizes[size]);
                burst->futex_rows[size] = bench_row(bench, futex, NULL);
                if (bench->several)
                        burst->spin_rows[size] = bench_row(bench, spin, burst->futex_rows[size]);
                burst->our_rows[size] = bench_row(bench, ours, burst->futex_rows[size]);
        }
}

void bench_burst(struct bench *bench)
{
        static struct burst burst;
        double worst = 0;
        burst.futex = bench_partner(AMB_PARTNER_FUTEX, bench->one);
        burst.spin = bench_partner(AMB_PARTNER_SPIN, bench->other);
        burst.connection = bench_open(bench, kBenchDirect);
        rows_make(bench, &burst);
        bench_rounds(bench, 9);
        for (unsigned first = bench->round; bench_round(bench);) {
                if (bench->round > first + 1)
                        ratios_take(&burst, bench->round - 2);
                for (int size = 0; size < SIZES; size++)
                        size_turn(bench, &burst, size);
        }
        ratios_take(&burst, bench->round - 1);
        for (int size = 0; size < SIZES; size++) {
                AMB_FREE char *name = amb_format("bursts of %u, ratio to the better", sizes[size]);
                double ratio = bench_median(burst.ratios[size], burst.count);
                bench_figure(bench, name, ratio, "");
                worst = ratio > worst ? ratio : worst;
        }
        bench_bar_median(bench, "burst", worst, burst.count);
        mixed(bench, &burst);
}
