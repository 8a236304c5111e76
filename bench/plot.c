/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two logarithmic axes and a few lines of SVG, written by hand: what a plotting program would need as a script is longer than
 * this, and one package more.
 */
#include "bench/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

enum { WIDTH = 860, HEIGHT = 520, LEFT = 80, RIGHT = 200, TOP = 50, BOTTOM = 60, SERIES = 8 };

struct axis {
        int from, to;           /* decades */
        double start, length;   /* where in the picture; a negative length goes up */
};

static double place(const struct axis *axis, double value)
{
        return axis->start + axis->length * (log10(value) - axis->from) / (axis->to - axis->from);
}

static void axis_take(struct axis *axis, double value)
{
        int below = (int)floor(log10(value)), above = (int)ceil(log10(value));
        axis->from = below < axis->from ? below : axis->from;
        axis->to = above > axis->to ? above : axis->to;
}

/* At least a decade each. */
static void axes_fit(const struct bench_results *results, struct axis *x, struct axis *y)
{
        *x = (struct axis){ 3, 4, LEFT, WIDTH - LEFT - RIGHT };
        *y = (struct axis){ 3, 4, HEIGHT - BOTTOM, -(HEIGHT - TOP - BOTTOM) };
        for (unsigned i = 0; i < results->point_count; i++) {
                axis_take(x, results->points[i].offered);
                axis_take(y, results->points[i].p50);
                axis_take(y, results->points[i].p99);
        }
}

/* "100", "20 k", "1 M". */
static void rate_text(char text[32], double rate)
{
        static const char *const units[] = { "", " k", " M", " G" };
        size_t unit = 0;
        for (; rate >= 1000 && unit + 1 < AMB_ARRAY_LENGTH(units); unit++)
                rate /= 1000;
        snprintf(text, 32, "%.0f%s", rate, units[unit]);
}

/* Of nanoseconds: "100 ns", "10 us", "1 ms". */
static void time_text(char text[32], int decade)
{
        static const char *const units[] = { "ns", "us", "ms", "s" };
        snprintf(text, 32, "%.0f %s", pow(10, decade % 3), units[decade / 3 < 4 ? decade / 3 : 3]);
}

static void draw_axes(FILE *out, const struct axis *x, const struct axis *y)
{
        char text[32];
        for (int decade = x->from; decade <= x->to; decade++) {
                double at = place(x, pow(10, decade));
                rate_text(text, pow(10, decade));
                fprintf(out, "<path class='grid' d='M%.1f %d V%d'/><text x='%.1f' y='%d' text-anchor='middle'>%s</text>\n", at, TOP,
                        HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 20, text);
        }
        for (int decade = y->from; decade <= y->to; decade++) {
                double at = place(y, pow(10, decade));
                time_text(text, decade);
                fprintf(out, "<path class='grid' d='M%d %.1f H%d'/><text x='%d' y='%.1f' text-anchor='end'>%s</text>\n", LEFT, at,
                        WIDTH - RIGHT, LEFT - 8, at + 4, text);
        }
        fprintf(out, "<text x='%d' y='%d' text-anchor='middle'>calls offered per second</text>\n", (LEFT + WIDTH - RIGHT) / 2,
                HEIGHT - 15);
        fprintf(out, "<text x='%d' y='25' font-size='16'>Latency against load: median (line) and 99th percentile (dashes)</text>\n",
                LEFT);
}

static double quantile_of(const struct bench_point *point, enum bench_quantile quantile)
{
        return quantile == BENCH_P50 ? point->p50 : point->p99;
}

static const struct bench_point *draw_line(FILE *out, const struct bench_results *results, const char *series, const char *colour,
                                           enum bench_quantile quantile, const struct axis *x, const struct axis *y)
{
        const struct bench_point *last = NULL;
        fprintf(out, "<polyline fill='none' stroke='%s' stroke-width='2'%s points='", colour,
                quantile == BENCH_P99 ? " stroke-dasharray='5 4'" : "");
        for (unsigned i = 0; i < results->point_count; i++) {
                const struct bench_point *point = &results->points[i];
                if (strcmp(point->series, series) != 0)
                        continue;
                fprintf(out, "%.1f,%.1f ", place(x, point->offered), place(y, quantile_of(point, quantile)));
                last = point;
        }
        fputs("'/>\n", out);
        return last;
}

/* Each line and, in its colour, its name and where it ends: what it can keep up with. */
static void draw_series(FILE *out, const struct bench_results *results, unsigned number, const char *name, const struct axis *x,
                        const struct axis *y)
{
        static const char *const colours[] = { "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#666666" };
        const char *colour = colours[number % AMB_ARRAY_LENGTH(colours)];
        char rate[32];
        draw_line(out, results, name, colour, BENCH_P99, x, y);
        const struct bench_point *last = draw_line(out, results, name, colour, BENCH_P50, x, y);
        double at = place(x, last->offered), top = TOP + 20 + 44.0 * number;
        fprintf(out, "<circle cx='%.1f' cy='%.1f' r='4' fill='%s'/>\n", at, place(y, last->p50), colour);
        fprintf(out, "<path stroke='%s' stroke-width='2' d='M%d %.1f h24'/><text x='%d' y='%.1f'>%s</text>\n", colour,
                WIDTH - RIGHT + 15, top - 4, WIDTH - RIGHT + 45, top, name);
        rate_text(rate, last->offered);
        fprintf(out, "<text class='small' x='%d' y='%.1f'>keeps up with %s/s</text>\n", WIDTH - RIGHT + 45, top + 16, rate);
}

/* The names in the order in which they first appear. */
static unsigned series_find(const struct bench_results *results, const char *names[SERIES])
{
        unsigned count = 0;
        for (unsigned i = 0; i < results->point_count && count < SERIES; i++) {
                unsigned k = 0;
                while (k < count && strcmp(names[k], results->points[i].series) != 0)
                        k++;
                if (k == count)
                        names[count++] = results->points[i].series;
        }
        return count;
}

int bench_write_plot(const char *path, const struct bench_results *results)
{
        struct axis x, y;
        const char *names[SERIES];
        unsigned count = series_find(results, names);
        FILE *out = fopen(path, "we");
        if (!out)
                return amb_errno();
        axes_fit(results, &x, &y);
        fprintf(out, "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' viewBox='0 0 %d %d' font-family='sans-serif'"
                     " font-size='13' fill='#222'>\n", WIDTH, HEIGHT, WIDTH, HEIGHT);
        fputs("<style>.grid { stroke: #ddd } .small { font-size: 11px; fill: #666 }</style>\n"
              "<rect width='100%' height='100%' fill='white'/>\n", out);
        draw_axes(out, &x, &y);
        for (unsigned i = 0; i < count; i++)
                draw_series(out, results, i, names[i], &x, &y);
        fputs("</svg>\n", out);
        bool failed = ferror(out);
        return fclose(out) != 0 || failed ? amb_errno() : 0;
}
