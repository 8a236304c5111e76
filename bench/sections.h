/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One function for each section; hot.c has bench_hot(), and so on. */
#include "bench/bench.h"
#include "bench/driver/bench-driver.h"

void bench_hot(struct bench *bench);
void bench_idle(struct bench *bench);
void bench_burst(struct bench *bench);
void bench_one_core(struct bench *bench);       /* pinned.c */
void bench_loaded(struct bench *bench);         /* pinned.c */
void bench_cpu(struct bench *bench);
void bench_load(struct bench *bench);
void bench_instructions(struct bench *bench);
void bench_rate(struct bench *bench);
void bench_connections(struct bench *bench);
void bench_several(struct bench *bench);
void bench_sizes(struct bench *bench);
void bench_hops(struct bench *bench);
void bench_start(struct bench *bench);
void bench_cxx(struct bench *bench);
