/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Latency against load, for the plot: one caller offers so many calls per second, evenly; all sides are placed freely. A call
 * that could not begin in time because the one before it was not over counts from when it should have begun. A series ends where
 * it cannot keep up.
 */
#include "bench/sections.h"

enum { TURNS = 3, TURN_NS = 140000000, LATE_NS = TURN_NS / 10, CALLS_LEAST = 30, SLEEP_NS = 100000 };

static const double rates[] = { 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6 };

struct series {
        const char *name;
        void (*once)(void *context);
        void *context;
        int late;                               /* turns that ended later than they should have: two, and it cannot keep up */
        bool over;
        struct amb_histogram histogram;
};

/* Waits until then: asleep if that is worth it, else looking at the clock. Returns when the call begins. */
static uint64_t wait_until(uint64_t when)
{
        uint64_t now = amb_time_now();
        if (now >= when)
                return when;
        if (when - now > SLEEP_NS)
                bench_sleep(when - now);
        while ((now = amb_time_now()) < when)
                ;
        return now;
}

static void turn(struct bench *bench, struct series *series, double rate)
{
        uint64_t time = bench_amount(bench, TURN_NS, 2000000), period = (uint64_t)(1e9 / rate);
        uint64_t calls = time / period > CALLS_LEAST ? time / period : CALLS_LEAST, first = amb_time_now() + period;
        series->once(series->context);
        for (uint64_t i = 0; i < calls; i++) {
                uint64_t begin = wait_until(first + i * period);
                series->once(series->context);
                amb_histogram_add(&series->histogram, bench_since(bench, begin));
                if (amb_time_now() > first + calls * period + LATE_NS)
                        break;
        }
        series->late += amb_time_now() > first + calls * period + LATE_NS;
}

/* False: they all have ended. */
static bool measure_rate(struct bench *bench, struct series *series, size_t count, double rate)
{
        bool any = false;
        for (int i = 0; i < TURNS; i++)
                for (size_t k = 0; k < count; k++)
                        if (!series[k].over)
                                turn(bench, &series[k], rate);
        for (size_t k = 0; k < count; k++) {
                struct amb_histogram *histogram = &series[k].histogram;
                series[k].over = series[k].over || series[k].late > 1;
                if (!series[k].over)
                        bench_point(bench, series[k].name, rate, (double)amb_histogram_at(histogram, 0.5),
                                    (double)amb_histogram_at(histogram, 0.99));
                any = any || !series[k].over;
                series[k].late = 0;
                memset(histogram, 0, sizeof(*histogram));
        }
        return any;
}

void bench_load(struct bench *bench)
{
        struct amb_partner *futex = bench_partner(AMB_PARTNER_FUTEX, AMB_PROCESSOR_ANY);
        struct amb_partner *stream = bench_partner(AMB_PARTNER_SOCKET, AMB_PROCESSOR_ANY);
        io_connect_t connection = bench_open(bench, kBenchDirect);
        static struct series series[3];
        series[0] = (struct series){ "call", bench_call, &connection };
        series[1] = (struct series){ "futex", bench_partner_once, futex };
        series[2] = (struct series){ "unix socket", bench_partner_once, stream };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(rates); i += bench->quick ? 5 : 1)
                if (!measure_rate(bench, series, AMB_ARRAY_LENGTH(series), rates[i]))
                        break;
}
