/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/report.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

static const char *const bar_signs[] = { [BENCH_AT_MOST] = "<=", [BENCH_BELOW] = "<", [BENCH_AT_LEAST] = ">=" };
static const char *const bar_words[] = { [BENCH_AT_MOST] = "at most", [BENCH_BELOW] = "below", [BENCH_AT_LEAST] = "at least" };

/* --- the table --- */

static void print_duration(FILE *out, uint64_t nanoseconds)
{
        if (nanoseconds < 10000)
                fprintf(out, "  %7" PRIu64 " ns", nanoseconds);
        else
                fprintf(out, "  %7.1f us", (double)nanoseconds / 1000);
}

static const struct bench_row *baseline_of(const struct bench_results *results, const struct bench_row *row)
{
        return row->baseline < 0 ? NULL : &results->rows[row->baseline];
}

static void print_row(FILE *out, const struct bench_results *results, const struct bench_row *row)
{
        const struct bench_row *baseline = baseline_of(results, row);
        unsigned rounds = 0;
        double ratio = baseline ? bench_rows_ratio(row, baseline, BENCH_P50, &rounds) : 0;
        fprintf(out, "  %-40s", row->name);
        print_duration(out, (uint64_t)(bench_row_median(row) + 0.5));
        print_duration(out, amb_histogram_at(&row->total, 0.99));
        print_duration(out, row->total.least);
        if (rounds)
                fprintf(out, "  %7.2f of %s\n", ratio, baseline->name);
        else
                fputs("        -\n", out);
}

void bench_print_rows(FILE *out, const struct bench_results *results, unsigned from, unsigned to)
{
        if (from < to)
                fprintf(out, "  %-40s  %10s  %10s  %10s  %7s\n", "", "median", "p99", "min", "ratio");
        for (unsigned i = from; i < to; i++)
                print_row(out, results, &results->rows[i]);
}

void bench_print_figures(FILE *out, const struct bench_results *results, unsigned from)
{
        for (unsigned i = from; i < results->figure_count; i++)
                fprintf(out, "  %-40s  %10.4g %s\n", results->figures[i].name, results->figures[i].value, results->figures[i].unit);
}

void bench_print_points(FILE *out, const struct bench_results *results, unsigned from)
{
        if (from < results->point_count)
                fprintf(out, "  %-28s  %10s  %10s  %10s\n", "", "offered", "median", "p99");
        for (unsigned i = from; i < results->point_count; i++) {
                const struct bench_point *point = &results->points[i];
                fprintf(out, "  %-28s  %8.0f/s", point->series, point->offered);
                print_duration(out, (uint64_t)point->p50);
                print_duration(out, (uint64_t)point->p99);
                fputc('\n', out);
        }
}

/* --- the bars --- */

unsigned bench_print_bars(FILE *out, const struct bench_results *results)
{
        unsigned missed = 0;
        for (unsigned i = 0; i < results->bar_count; i++) {
                const struct bench_value *value = &results->bars[i];
                const struct bench_bar_row *bar = bench_bar_find(value->name);
                bool ok = bench_bar_ok(bar, value->value);
                missed += !ok;
                fprintf(out, "  %-18s %9.4g %2s %-6g %-6s %s\n", value->name, value->value, bar_signs[bar->kind], bar->bar,
                        ok ? "ok" : "MISSED", bar->what);
        }
        for (unsigned i = 0; i < results->skip_count; i++)
                fprintf(out, "  %-18s skipped: %s\n", results->skips[i].name, results->skips[i].why);
        for (unsigned i = 0; i < results->bar_count; i++) {
                const struct bench_value *value = &results->bars[i];
                const struct bench_bar_row *bar = bench_bar_find(value->name);
                if (!bench_bar_ok(bar, value->value))
                        fprintf(out, "Missed: %s is %.4g and should be %s %g.\n", bar->name, value->value, bar_words[bar->kind],
                                bar->bar);
        }
        return missed;
}

/* --- JSON: every list is "key": [one, to a line] --- */

static void json_string(FILE *out, const char *text)
{
        fputc('"', out);
        for (; *text; text++)
                if (*text == '"' || *text == '\\')
                        fprintf(out, "\\%c", *text);
                else
                        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
        fputc('"', out);
}

static void json_member(FILE *out, const char *key, const char *text)
{
        fprintf(out, "\"%s\": ", key);
        json_string(out, text);
}

static void json_next(FILE *out, bool first)
{
        fputs(first ? "\n  " : ",\n  ", out);
}

static void json_bars(FILE *out, const struct bench_results *results)
{
        fputs(" \"bars\": [", out);
        for (unsigned i = 0; i < results->bar_count; i++) {
                const struct bench_value *value = &results->bars[i];
                const struct bench_bar_row *bar = bench_bar_find(value->name);
                json_next(out, i == 0);
                fputc('{', out);
                json_member(out, "name", value->name);
                fprintf(out, ", \"value\": %.6g, \"bar\": %g, ", value->value, bar->bar);
                json_member(out, "sign", bar_signs[bar->kind]);
                fprintf(out, ", \"ok\": %s, \"rounds\": %u, ", bench_bar_ok(bar, value->value) ? "true" : "false", value->rounds);
                json_member(out, "what", bar->what);
                fputc('}', out);
        }
        fputs("]", out);
}

static void json_skipped(FILE *out, const struct bench_results *results)
{
        fputs(",\n \"skipped\": [", out);
        for (unsigned i = 0; i < results->skip_count; i++) {
                json_next(out, i == 0);
                fputc('{', out);
                json_member(out, "name", results->skips[i].name);
                fputs(", ", out);
                json_member(out, "why", results->skips[i].why);
                fputc('}', out);
        }
        fputs("]", out);
}

/* As HDR histograms are usually told: what so many per cent of the samples do not exceed; and the samples, [ns, how many] each. */
static void json_histogram(FILE *out, const struct amb_histogram *histogram)
{
        static const double shares[] = { 10, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100 };
        fputs(", \"percentiles\": {", out);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(shares); i++)
                fprintf(out, "%s\"%g\": %" PRIu64, i ? ", " : "", shares[i],
                        shares[i] < 100 ? amb_histogram_at(histogram, shares[i] / 100) : histogram->most);
        fputs("}, \"buckets\": [", out);
        bool first = true;
        for (size_t i = 0; i < AMB_HISTOGRAM_BUCKETS; i++)
                if (histogram->buckets[i]) {
                        fprintf(out, "%s[%" PRIu64 ",%" PRIu64 "]", first ? "" : ",", amb_histogram_duration(i),
                                histogram->buckets[i]);
                        first = false;
                }
        fputc(']', out);
}

static void json_row(FILE *out, const struct bench_results *results, const struct bench_row *row)
{
        const struct bench_row *baseline = baseline_of(results, row);
        unsigned rounds = 0;
        double ratio = baseline ? bench_rows_ratio(row, baseline, BENCH_P50, &rounds) : 0;
        fputc('{', out);
        json_member(out, "section", row->section);
        fputs(", ", out);
        json_member(out, "name", row->name);
        fprintf(out, ", \"samples\": %" PRIu64 ", \"median\": %.6g, \"p99\": %" PRIu64 ", \"min\": %" PRIu64 ", \"mean\": %" PRIu64,
                row->total.count, bench_row_median(row), amb_histogram_at(&row->total, 0.99), row->total.least,
                row->total.count ? row->total.sum / row->total.count : 0);
        if (baseline) {
                fputs(", ", out);
                json_member(out, "baseline", baseline->name);
        }
        if (rounds)
                fprintf(out, ", \"ratio\": %.6g, \"rounds\": %u", ratio, rounds);
        json_histogram(out, &row->total);
        fputc('}', out);
}

static void json_rows(FILE *out, const struct bench_results *results)
{
        fputs(",\n \"rows\": [", out);
        for (unsigned i = 0; i < results->row_count; i++) {
                json_next(out, i == 0);
                json_row(out, results, &results->rows[i]);
        }
        fputs("]", out);
}

static void json_figures(FILE *out, const struct bench_results *results)
{
        fputs(",\n \"figures\": [", out);
        for (unsigned i = 0; i < results->figure_count; i++) {
                json_next(out, i == 0);
                fputc('{', out);
                json_member(out, "name", results->figures[i].name);
                fprintf(out, ", \"value\": %.6g, ", results->figures[i].value);
                json_member(out, "unit", results->figures[i].unit);
                fputc('}', out);
        }
        fputs("]", out);
}

static void json_points(FILE *out, const struct bench_results *results)
{
        fputs(",\n \"load\": [", out);
        for (unsigned i = 0; i < results->point_count; i++) {
                const struct bench_point *point = &results->points[i];
                json_next(out, i == 0);
                fputc('{', out);
                json_member(out, "name", point->series);
                fprintf(out, ", \"offered\": %.6g, \"median\": %.6g, \"p99\": %.6g}", point->offered, point->p50, point->p99);
        }
        fputs("]", out);
}

/* The first line of /proc/cpuinfo that says what the processor is called; "" where there is none. */
static void processor_name(char name[64])
{
        char line[256];
        name[0] = 0;
        FILE *file = fopen("/proc/cpuinfo", "re");
        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, "model name : %63[^\n]", name) == 1)
                        break;
        if (file)
                fclose(file);
}

static void json_machine(FILE *out)
{
        struct utsname kernel = { .release = "" };
        cpu_set_t set;
        char processor[64];
        double load = -1;
        uname(&kernel);
        processor_name(processor);
        if (getloadavg(&load, 1) != 1)
                load = -1;
        fputs(",\n \"machine\": {", out);
        json_member(out, "processor", processor);
        fprintf(out, ", \"processors\": %d, ", sched_getaffinity(0, sizeof(set), &set) < 0 ? 0 : CPU_COUNT(&set));
        json_member(out, "kernel", kernel.release);
        fputs(", ", out);
        json_member(out, "architecture", kernel.machine);
        fprintf(out, ", \"load\": %.2f, \"time\": %lld}", load, (long long)time(NULL));
}

int bench_write_json(const char *path, const struct bench_results *results)
{
        FILE *out = fopen(path, "we");
        if (!out)
                return amb_errno();
        fputs("{\"unit\": \"ns\",\n", out);
        json_bars(out, results);
        json_skipped(out, results);
        json_figures(out, results);
        json_rows(out, results);
        json_points(out, results);
        json_machine(out);
        fputs("}\n", out);
        bool failed = ferror(out);
        return fclose(out) != 0 || failed ? amb_errno() : 0;
}
