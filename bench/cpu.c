/* SPDX-License-Identifier: Apache-2.0 */
/* What a call each millisecond costs in processor time, both processes together: who spins in vain shows here. */
#include "bench/sections.h"

enum { PERIOD_NS = 1000000, CALLS = 2000 };

struct subject {
        void (*once)(void *context);
        void *context;
        pid_t peer;
        struct bench_row *row;
};

/* Processor time, ours and the peer's, of CALLS calls. */
static double cost(struct bench *bench, const struct subject *subject)
{
        uint64_t calls = bench_amount(bench, CALLS, 20), next = amb_time_now();
        uint64_t before = amb_process_time(getpid()) + amb_process_time(subject->peer);
        for (uint64_t i = 0; i < calls; i++) {
                uint64_t now = amb_time_now();
                next += PERIOD_NS;
                if (next > now)
                        bench_sleep(next - now);
                uint64_t begin = amb_time_now();
                subject->once(subject->context);
                bench_add(subject->row, bench_since(bench, begin));
        }
        return (double)(amb_process_time(getpid()) + amb_process_time(subject->peer) - before) / (double)calls;
}

void bench_cpu(struct bench *bench)
{
        struct amb_partner *futex = bench_partner(AMB_PARTNER_FUTEX, AMB_PROCESSOR_ANY);
        io_connect_t connection = bench_open(bench, kBenchDirect);
        struct bench_row *row = bench_row(bench, "futex ping-pong each ms", NULL);
        struct subject plain = { bench_partner_once, futex, amb_partner_pid(futex), row };
        struct subject ours = { bench_call, &connection, bench_host(bench), bench_row(bench, "call each ms", row) };
        static double plain_costs[BENCH_ROUNDS], our_costs[BENCH_ROUNDS], ratios[BENCH_ROUNDS];
        unsigned count = 0;
        bench_rounds(bench, 0);                 /* the fewest that there may be: they are long */
        for (; bench_round(bench); count++) {
                plain_costs[count] = cost(bench, &plain);
                our_costs[count] = cost(bench, &ours);
                ratios[count] = our_costs[count] / plain_costs[count];
        }
        bench_figure(bench, "processor time of a futex round trip", bench_median(plain_costs, count) / 1000, "us");
        bench_figure(bench, "processor time of a call", bench_median(our_costs, count) / 1000, "us");
        bench_bar_values(bench, "cpu_1khz", ratios, count);
}
