/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the start of `ambidext run`, which brings up a registry and a driver's process, to the first answered call of the program
 * that it runs (first-call.c); against the start of that program alone, in a registry whose driver is there already.
 */
#include <stdio.h>

#include "base/paths.h"
#include "bench/sections.h"

enum { TIMES = 3 };

static void start_once(struct bench_row *row, const char *const arguments[])
{
        char text[64], *end;
        uint64_t begin = amb_time_now();
        int status = bench_run(arguments, text, sizeof(text));
        uint64_t called = strtoull(text, &end, 10);
        if (status != 0 || end == text || called < begin)
                bench_fail("%s: no call was answered (status %d)", arguments[0], status);
        bench_add(row, called - begin);
}

void bench_start(struct bench *bench)
{
        AMB_FREE char *build = bench_build_directory(), *ambidext = amb_program_path("ambidext");
        AMB_FREE char *bundle = amb_format("%s/bench/bench.dext", build), *program = amb_format("%s/bench/first-call", build);
        if (!ambidext || !bundle || !program)
                bench_fail("there is no program ambidext in this build");
        const char *const alone[] = { program, NULL };
        const char *const sandboxed[] = { ambidext, "run", "--dext", bundle, "--", program, NULL };
        const char *const open[] = { ambidext, "run", "--dext", bundle, "--no-sandbox", "--", program, NULL };
        struct bench_row *plain = bench_row(bench, "program, to its first call", NULL);
        struct bench_row *whole = bench_row(bench, "ambidext run, to its program's first call", plain);
        bench_rounds(bench, 3);
        while (bench_round(bench))
                for (uint64_t i = 0; i < bench_amount(bench, TIMES, 1); i++) {
                        start_once(plain, alone);
                        start_once(whole, getenv("AMBIDEXT_TEST_NO_SANDBOX") ? open : sandboxed);
                }
}
