/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot: one call after the other, two processors. The ping-pong's sides stay on one processor each; app and host are left where the
 * scheduler and the library put them, as any program's are.
 */
#include <fcntl.h>
#include <sys/ioctl.h>

#include "bench/sections.h"

enum { TURN_NS = 3000000, NEAR_NS = 200 };

struct hot {
        struct amb_partner *spin, *page;
        io_connect_t connection;
        struct bench_row *pingpong, *ioctl, *scalar, *pingpong_page, *structure, *made;
};

static void ioctl_once(void *context)
{
        int waiting;
        if (ioctl(*(int *)context, FIONREAD, &waiting) < 0)
                bench_fail("ioctl: %s", strerror(errno));
}

static void made_once(void *connection)
{
        static unsigned char in[kBenchPage], out[kBenchPage];
        size_t size = sizeof(out);
        bench_check(IOConnectCallStructMethod(*(io_connect_t *)connection, kBenchMade, in, sizeof(in), out, &size),
                    "calling kBenchMade");
}

static void pingpong_turn(struct bench *bench, struct bench_row *row, struct amb_partner *partner, uint64_t nanoseconds)
{
        amb_thread_stay_on(0, bench->one);
        amb_partner_begin(partner);
        bench_turn(bench, row, bench_partner_once, partner, nanoseconds);
        amb_partner_end(partner);
        amb_thread_stay_on(0, AMB_PROCESSOR_ANY);
}

/* What the machine was like: everything else follows it. */
static void figures(struct bench *bench, const struct hot *hot)
{
        static double near[BENCH_ROUNDS], far[BENCH_ROUNDS];
        unsigned nears = 0, fars = 0;
        for (unsigned i = 0; i < hot->scalar->round_count; i++) {
                double plain = bench_round_median(hot->pingpong, i), ratio = bench_round_median(hot->scalar, i) / plain;
                if (plain < NEAR_NS)
                        near[nears++] = ratio;
                else
                        far[fars++] = ratio;
        }
        bench_figure(bench, "rounds with near processors", 100.0 * nears / (nears + fars), "%");
        if (nears)
                bench_figure(bench, "scalar call to ping-pong, near", bench_median(near, nears), "");
        if (fars)
                bench_figure(bench, "scalar call to ping-pong, far", bench_median(far, fars), "");
}

/* Against an ioctl only while the processors are near: with them far apart it is the machine that is measured. */
static void bar_ioctl(struct bench *bench, const struct hot *hot)
{
        static double ratios[BENCH_ROUNDS];
        unsigned count = 0;
        for (unsigned i = 0; i < hot->scalar->round_count; i++)
                if (bench_round_median(hot->pingpong, i) < NEAR_NS)
                        ratios[count++] = bench_round_median(hot->scalar, i) / bench_round_median(hot->ioctl, i);
        if (count)
                bench_bar_values(bench, "hot_vs_ioctl", ratios, count);
        else
                bench_skip(bench, "hot_vs_ioctl", "the ping-pong was below %d ns in no round: the processors are far apart",
                           NEAR_NS);
}

/* One side would spin until the other one's turn comes: nothing that a call could be compared with. */
static void skip_all(struct bench *bench)
{
        static const char *const bars[] = { "hot_scalar", "hot_vs_ioctl", "hot_p99", "hot_4k" };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(bars); i++)
                bench_skip(bench, bars[i], "there is one processor only");
}

void bench_hot(struct bench *bench)
{
        if (!bench->several) {
                skip_all(bench);
                return;
        }
        struct hot hot = {
                .spin = bench_partner(AMB_PARTNER_SPIN, bench->other),
                .page = bench_partner(AMB_PARTNER_SPIN_PAGE, bench->other),
        };
        int pipes[2];
        uint64_t turn = bench_amount(bench, TURN_NS, 100000);
        if (pipe2(pipes, O_CLOEXEC) < 0)
                bench_fail("pipe: %s", strerror(errno));
        hot.connection = bench_open(bench, kBenchDirect);
        hot.pingpong = bench_row(bench, "ping-pong, spinning", NULL);
        hot.ioctl = bench_row(bench, "ioctl (FIONREAD, a pipe)", hot.pingpong);
        hot.scalar = bench_row(bench, "call, 2 scalars in and out", hot.pingpong);
        hot.pingpong_page = bench_row(bench, "ping-pong, 4096 bytes", NULL);
        hot.structure = bench_row(bench, "call, 4096 bytes in and out", hot.pingpong_page);
        hot.made = bench_row(bench, "the same, output made by the driver", hot.pingpong_page);
        bench_rounds(bench, 5);
        while (bench_round(bench)) {
                pingpong_turn(bench, hot.pingpong, hot.spin, turn);
                bench_turn(bench, hot.scalar, bench_call, &hot.connection, turn);
                bench_turn(bench, hot.ioctl, ioctl_once, &pipes[0], turn / 2);
                pingpong_turn(bench, hot.pingpong_page, hot.page, turn);
                bench_turn(bench, hot.structure, bench_call_page, &hot.connection, turn);
                bench_turn(bench, hot.made, made_once, &hot.connection, turn / 2);
        }
        bench_bar_rows(bench, "hot_scalar", hot.scalar, hot.pingpong, BENCH_P50);
        bench_bar_rows(bench, "hot_p99", hot.scalar, hot.pingpong, BENCH_P99);
        bench_bar_rows(bench, "hot_4k", hot.structure, hot.pingpong_page, BENCH_P50);
        bar_ioctl(bench, &hot);
        figures(bench, &hot);
}
