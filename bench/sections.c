/* SPDX-License-Identifier: Apache-2.0 */
/* The sections, in the order in which they run. */
#include "bench/sections.h"

const struct bench_section bench_sections[] = {
        { "hot", "calls without a pause: scalars and 4096 bytes", 6, bench_hot },
        { "idle", "one call after a millisecond of nothing", 9, bench_idle },
        { "burst", "some calls after 2 milliseconds of nothing", 10, bench_burst },
        { "one_core", "calls without a pause, everything on one core", 2, bench_one_core, .one_core = true },
        { "loaded", "calls without a pause, both cores kept busy by others", 6, bench_loaded },
        { "cpu", "processor time of a call each millisecond", 21, bench_cpu },
        { "load", "latency against load, for the plot", 18, bench_load },
        { "instructions", "instructions of a hot call, counted under callgrind", 5, bench_instructions },
        { "rate", "calls of 8 threads, completions, opens and closes in a second", 6, bench_rate },
        { "connections", "10,000 connections to one driver, and 100 idle ones", 40, bench_connections },
        { "several", "1 to 64 connections that are called at once", 6, bench_several },
        { "sizes", "structures of 16 bytes to 64 MiB", 8, bench_sizes },
        { "hops", "a queue of the driver's own; completions", 5, bench_hops },
        { "cxx", "drivers in C and in C++", 6, bench_cxx, .also = "benchcxx.dext" },
        { "start", "from `ambidext run` to a program's first call", 4, bench_start },
        { 0 },
};
