/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions of a hot scalar call: tests/system/count-instructions counts them, under callgrind; here its number is read. */
#include "bench/sections.h"

enum { NO_VALGRIND = 77 };

void bench_instructions(struct bench *bench)
{
        char number[64], *end;
        AMB_FREE char *build = bench_build_directory();
        const char *const arguments[] = { BENCH_COUNT_INSTRUCTIONS, "--number", build, NULL };
        if (bench->quick) {
                bench_skip(bench, "instructions", "--quick leaves it out: counting takes its time");
                return;
        }
        int status = bench_run(arguments, number, sizeof(number));
        double instructions = strtod(number, &end);
        if (status == NO_VALGRIND)
                bench_skip(bench, "instructions", "valgrind, nm or objdump is missing");
        else if (status != 0 || end == number)
                bench_fail("instructions could not be counted (status %d)", status);
        else
                bench_bar(bench, "instructions", instructions);
}
