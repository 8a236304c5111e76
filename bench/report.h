/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What has been measured, for people (a table) and programs (JSON). */
#include <stdio.h>

#include "bench/results.h"

/* The rows and figures that came since `from` did. */
void bench_print_rows(FILE *out, const struct bench_results *results, unsigned row_from, unsigned figure_from);
/* Every bar; returns how many were missed, each said in words. */
unsigned bench_print_bars(FILE *out, const struct bench_results *results);
/* Everything. 0 or -errno. */
int bench_write_json(const char *path, const struct bench_results *results);
