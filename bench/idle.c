/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call after a millisecond in which nothing happened, the caller asleep meanwhile or busy with something else. The two sides
 * of the futex ping-pong are kept on one processor, where a wake-up costs least; everything else runs where the scheduler puts
 * it.
 */
#include "bench/fuse.h"
#include "bench/sections.h"

enum { IDLE_NS = 1000000, CALLS = 6 };

enum variant { ASLEEP, BUSY, VARIANTS };
static void (*const idle[VARIANTS])(uint64_t nanoseconds) = { [ASLEEP] = bench_sleep, [BUSY] = bench_burn };
static const char *const names[VARIANTS] = { [ASLEEP] = "asleep 1 ms", [BUSY] = "busy 1 ms" };

struct subject {
        const char *name;
        void (*once)(void *context);
        void *context;
        int processor;                          /* where the caller stays, or AMB_PROCESSOR_ANY */
        struct bench_row *rows[VARIANTS];
};

/* The first one is not counted: what we did not talk to while others had their turn has been idle for longer. */
static void idle_turn(struct bench *bench, struct subject *subject, enum variant variant)
{
        amb_thread_stay_on(0, subject->processor);
        for (int i = 0; i <= CALLS; i++) {
                idle[variant](IDLE_NS);
                uint64_t begin = amb_time_now();
                subject->once(subject->context);
                if (i > 0)
                        bench_add(subject->rows[variant], bench_since(bench, begin));
        }
        amb_thread_stay_on(0, AMB_PROCESSOR_ANY);
}

static void fuse_turn(struct bench_fuse *fuse, struct bench_row *row, enum variant variant)
{
        uint64_t durations[CALLS + 1];
        bench_fuse_calls(fuse, variant == BUSY, IDLE_NS, AMB_ARRAY_LENGTH(durations), durations);
        for (int i = 1; i <= CALLS; i++)
                bench_add(row, durations[i]);
}

static void bar(struct bench *bench, const char *name, struct bench_row *const ours[VARIANTS],
                struct bench_row *const baselines[VARIANTS])
{
        const struct bench_pair pairs[VARIANTS] = { { ours[ASLEEP], baselines[ASLEEP] }, { ours[BUSY], baselines[BUSY] } };
        bench_bar_worst(bench, name, pairs, VARIANTS, BENCH_P50);
}

static void rows_make(struct bench *bench, const char *name, struct bench_row *rows[VARIANTS],
                      struct bench_row *const baselines[VARIANTS])
{
        for (int variant = 0; variant < VARIANTS; variant++) {
                AMB_FREE char *text = amb_format("%s, %s", name, names[variant]);
                rows[variant] = bench_row(bench, text, baselines ? baselines[variant] : NULL);
        }
}

void bench_idle(struct bench *bench)
{
        enum { FUTEX, SOCKET, OURS, SUBJECTS };
        io_connect_t connection;
        struct amb_partner *futex = bench_partner(AMB_PARTNER_FUTEX, bench->one);
        struct amb_partner *stream = bench_partner(AMB_PARTNER_SOCKET, AMB_PROCESSOR_ANY);
        struct subject subjects[SUBJECTS] = {
                [FUTEX] = { "futex, one core", bench_partner_once, futex, bench->one },
                [SOCKET] = { "unix socket", bench_partner_once, stream, AMB_PROCESSOR_ANY },
                [OURS] = { "call", bench_call, &connection, AMB_PROCESSOR_ANY },
        };
        const char *why;
        struct bench_row *fuse_rows[VARIANTS] = { NULL };
        struct bench_fuse *fuse = bench_fuse_create(&why);
        connection = bench_open(bench, kBenchDirect);
        for (int i = 0; i < SUBJECTS; i++)
                rows_make(bench, subjects[i].name, subjects[i].rows, i == FUTEX ? NULL : subjects[FUTEX].rows);
        if (fuse)
                rows_make(bench, "FUSE ioctl", fuse_rows, subjects[FUTEX].rows);
        bench_rounds(bench, 8);
        while (bench_round(bench))
                for (int variant = 0; variant < VARIANTS; variant++) {
                        for (int i = 0; i < SUBJECTS; i++)
                                idle_turn(bench, &subjects[i], variant);
                        if (fuse)
                                fuse_turn(fuse, fuse_rows[variant], variant);
                }
        bar(bench, "idle_call", subjects[OURS].rows, subjects[FUTEX].rows);
        bar(bench, "idle_vs_socket", subjects[OURS].rows, subjects[SOCKET].rows);
        if (fuse)
                bar(bench, "idle_vs_fuse", subjects[OURS].rows, fuse_rows);
        else
                bench_skip(bench, "idle_vs_fuse", "%s", why);
}
