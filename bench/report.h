/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What has been measured, for people (a table) and programs (JSON). */
#include <stdio.h>

#include "bench/results.h"

/* Rows from `from` on, and before `to`. */
void bench_print_rows(FILE *out, const struct bench_results *results, unsigned from, unsigned to);
/* Figures from `from` on. */
void bench_print_figures(FILE *out, const struct bench_results *results, unsigned from);
/* The plot's points from `from` on. */
void bench_print_points(FILE *out, const struct bench_results *results, unsigned from);
/* Every bar; returns how many were missed, each said in words. */
unsigned bench_print_bars(FILE *out, const struct bench_results *results);
/* Everything. 0 or -errno. */
int bench_write_json(const char *path, const struct bench_results *results);
