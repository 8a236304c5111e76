/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a driver in C++ costs its callers: the same methods in two drivers, one in C (bench/driver), one written as DriverKit's are
 * (bench/cxx), called in turns. How many more instructions that are, tests/system/count-instructions says exactly.
 */
#include "bench/sections.h"

enum { TURN_NS = 2000000 };

void bench_cxx(struct bench *bench)
{
        io_connect_t c = bench_open(bench, kBenchDirect), cxx = bench_open_service("benchcxx");
        struct bench_row *plain = bench_row(bench, "scalar call, driver in C", NULL);
        struct bench_row *scalar = bench_row(bench, "scalar call, driver in C++", plain);
        struct bench_row *plain_page = bench_row(bench, "4096 bytes in and out, driver in C", NULL);
        struct bench_row *page = bench_row(bench, "4096 bytes in and out, driver in C++", plain_page);
        uint64_t turn = bench_amount(bench, TURN_NS, 100000);

        bench_rounds(bench, 5);
        while (bench_round(bench)) {
                /* Who comes after the other changes: a host's processors and caches are what the one before has left. */
                for (unsigned i = 0; i < 2; i++) {
                        bool first = (bench->round + i) % 2;
                        bench_turn(bench, first ? plain : scalar, bench_call, first ? &c : &cxx, turn);
                }
                bench_turn(bench, plain_page, bench_call_page, &c, turn / 2);
                bench_turn(bench, page, bench_call_page, &cxx, turn / 2);
        }
        bench_bar_rows(bench, "cxx", scalar, plain, BENCH_P50);
}
