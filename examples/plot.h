/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A curve in a terminal, drawn with braille dots: two values per character across, four steps per line up.
 * One thread; nothing is allocated.
 */
#include <stddef.h>
#include <stdint.h>

#define PLOT_COLUMNS 60
#define PLOT_LINES 5
#define PLOT_VALUES (2 * PLOT_COLUMNS)

struct plot {
        uint64_t values[PLOT_VALUES];           /* 0..1000, a circle */
        size_t next, count;
};

void plot_add(struct plot *plot, uint64_t value);
/* Line 0 is the top one; the newest value is at the right. text: room for PLOT_LINE_SIZE bytes, UTF-8. */
#define PLOT_LINE_SIZE (3 * PLOT_COLUMNS + 1)
void plot_line(const struct plot *plot, size_t line, char *text);

/* A bar of `width` characters for a value of 0..1000, in eighths of a character. text: room for 3 * width + 1 bytes. */
void plot_bar(uint64_t value, size_t width, char *text);
