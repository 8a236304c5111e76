/* SPDX-License-Identifier: Apache-2.0 */
#include "plot.h"

#include <string.h>

void plot_add(struct plot *plot, uint64_t value)
{
        plot->values[plot->next] = value > 1000 ? 1000 : value;
        plot->next = (plot->next + 1) % PLOT_VALUES;
        if (plot->count < PLOT_VALUES)
                plot->count++;
}

/* How many dots high the value is that stands `back` places from the newest: 0 where there is none, else at least 1. */
static unsigned int dots(const struct plot *plot, size_t back)
{
        uint64_t value;

        if (back >= plot->count)
                return 0;
        value = plot->values[(plot->next + PLOT_VALUES - 1 - back) % PLOT_VALUES];
        return 1 + (unsigned int)(value * (PLOT_LINES * 4 - 1) / 1000);
}

/* U+2800 to U+28FF: a bit per dot. */
static char *braille_put(char *text, unsigned int bits)
{
        *text++ = (char)0xe2;
        *text++ = (char)(0xa0 | bits >> 6);
        *text++ = (char)(0x80 | (bits & 0x3f));
        return text;
}

void plot_line(const struct plot *plot, size_t line, char *text)
{
        /* The bits of the left and the right column, from the lowest dot up. */
        static const unsigned int left[4] = { 0x40, 0x04, 0x02, 0x01 }, right[4] = { 0x80, 0x20, 0x10, 0x08 };
        unsigned int floor = (unsigned int)(PLOT_LINES - 1 - line) * 4;

        for (size_t column = 0; column < PLOT_COLUMNS; column++) {
                size_t back = 2 * (PLOT_COLUMNS - 1 - column);
                unsigned int bits = 0;

                for (unsigned int i = 0; i < 4; i++) {
                        if (dots(plot, back + 1) > floor + i)
                                bits |= left[i];
                        if (dots(plot, back) > floor + i)
                                bits |= right[i];
                }
                text = braille_put(text, bits);
        }
        *text = '\0';
}

/* U+2588 is a full block, U+258F to U+2589 one to seven eighths of it from the left. */
void plot_bar(uint64_t value, size_t width, char *text)
{
        size_t eighths = (size_t)((value > 1000 ? 1000 : value) * width * 8 / 1000);

        for (size_t i = 0; i < width; i++) {
                size_t here = eighths > 8 * i ? eighths - 8 * i : 0;

                if (here == 0) {
                        *text++ = ' ';
                        continue;
                }
                memcpy(text, "\xe2\x96", 2);
                text[2] = (char)(0x90 - (here > 8 ? 8 : here));
                text += 3;
        }
        *text = '\0';
}
