/* SPDX-License-Identifier: Apache-2.0 */
/* The sections, in the order in which they run. Each lies in the file of its name. */
#include "bench/sections.h"

const struct bench_section bench_sections[] = {
        { "hot", "calls without a pause: scalars and 4096 bytes", 6, bench_hot },
        { 0 },
};
