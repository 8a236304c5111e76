/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The picture of latency against load. */
#include "bench/results.h"

/* 0 or -errno. Without points: empty axes. */
int bench_write_plot(const char *path, const struct bench_results *results);
