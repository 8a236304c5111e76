/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where spinning cannot help: one core for both sides, and two cores that others keep busy.
 */
#include <sched.h>

#include "bench/sections.h"

enum { TURN_NS = 5000000, LOADED_TURN_NS = 60000000, PAUSE_NS = 200000, PAUSES = 100 };

/* The whole section, daemon and host too, may use one core only (sections.c). */
void bench_one_core(struct bench *bench)
{
        struct amb_partner *futex = bench_partner(AMB_PARTNER_FUTEX, AMB_PROCESSOR_ANY);
        struct amb_partner *socket = bench_partner(AMB_PARTNER_SOCKET, AMB_PROCESSOR_ANY);
        io_connect_t connection = bench_open(bench, kBenchDirect);
        uint64_t turn = bench_amount(bench, TURN_NS, 200000);
        struct bench_row *futex_row = bench_row(bench, "futex ping-pong", NULL);
        struct bench_row *socket_row = bench_row(bench, "unix socket", futex_row), *ours = bench_row(bench, "call", futex_row);
        bench_rounds(bench, 2);
        while (bench_round(bench)) {
                bench_turn(bench, futex_row, bench_partner_once, futex, turn);
                bench_turn(bench, ours, bench_call, &connection, turn);
                bench_turn(bench, socket_row, bench_partner_once, socket, turn);
        }
        bench_bar_rows(bench, "one_core", ours, futex_row, BENCH_P50);
}

/* One for each processor that we may use: who is placed freely shall find none that is idle. */
static unsigned burners_start(pid_t burners[CPU_SETSIZE])
{
        unsigned count = 0;
        cpu_set_t set;
        if (sched_getaffinity(0, sizeof(set), &set) < 0)
                bench_fail("sched_getaffinity: %s", strerror(errno));
        for (int i = 0; i < CPU_SETSIZE; i++)
                if (CPU_ISSET(i, &set))
                        burners[count++] = bench_burner(i);
        return count;
}

/* Who calls without a pause makes thousands of calls between two stalls; these see each of them. */
static void turn_with_pauses(struct bench *bench, struct bench_row *row, void (*once)(void *context), void *context)
{
        for (uint64_t i = 0; i < bench_amount(bench, PAUSES, 10); i++) {
                bench_sleep(PAUSE_NS);
                uint64_t begin = amb_time_now();
                once(context);
                bench_add(row, bench_since(bench, begin));
        }
}

void bench_loaded(struct bench *bench)
{
        struct amb_partner *futex = bench_partner(AMB_PARTNER_FUTEX, AMB_PROCESSOR_ANY);
        struct amb_partner *futex_one = bench_partner(AMB_PARTNER_FUTEX, bench->one);
        pid_t burners[CPU_SETSIZE];
        unsigned burner_count = burners_start(burners);
        io_connect_t connection = bench_open(bench, kBenchDirect);
        uint64_t turn = bench_amount(bench, LOADED_TURN_NS, 2000000);
        struct bench_row *row = bench_row(bench, "futex ping-pong, freely placed", NULL);
        struct bench_row *row_one = bench_row(bench, "futex ping-pong, one core", row), *ours = bench_row(bench, "call", row);
        io_connect_t connection_slow = bench_open(bench, kBenchDirect);         /* what calls come there is what it has learnt */
        struct bench_row *slow = bench_row(bench, "futex each 0.2 ms, freely placed", NULL);
        struct bench_row *slow_one = bench_row(bench, "futex each 0.2 ms, one core", slow);
        struct bench_row *ours_slow = bench_row(bench, "call each 0.2 ms", slow);
        bench_rounds(bench, 8);
        while (bench_round(bench)) {
                bench_turn(bench, row, bench_partner_once, futex, turn);
                bench_turn(bench, ours, bench_call, &connection, turn);
                turn_with_pauses(bench, slow, bench_partner_once, futex);
                turn_with_pauses(bench, ours_slow, bench_call, &connection_slow);
                amb_thread_stay_on(0, bench->one);
                turn_with_pauses(bench, slow_one, bench_partner_once, futex_one);
                bench_turn(bench, row_one, bench_partner_once, futex_one, turn);
                amb_thread_stay_on(0, AMB_PROCESSOR_ANY);
        }
        for (unsigned i = 0; i < burner_count; i++)
                amb_partner_kill(burners[i]);
        unsigned rounds;
        bench_figure(bench, "with pauses, p99 to futex, freely placed", bench_rows_ratio(ours_slow, slow, BENCH_P99, &rounds), "");
        bench_figure(bench, "with pauses, p99 to futex, one core", bench_rows_ratio(ours_slow, slow_one, BENCH_P99, &rounds), "");
        bench_bar_worst(bench, "loaded_p99", (struct bench_pair[]){ { ours, row }, { ours, row_one } }, 2, BENCH_P99);
}
