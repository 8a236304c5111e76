/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What large structures cost, with a real host, in alternating rounds: the CPUs of a virtual machine move apart and together within
 * seconds, so only the ratio of neighbouring rounds means anything. Prints medians over the rounds and of the rounds' ratios.
 *
 *      bench-memory [ROUNDS]
 *
 *      input    the driver maps SIZE bytes of structure input and reads them once, against one memcpy and one read here
 *      output   the driver fills SIZE bytes of structure output in a buffer that was used before, against its own memory
 *      echo     structures in and out, of 4096 bytes (in the channel) and more (borrowed)
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/test-suite.h"
#include "drivers/echo/echo.h"
#include "world.h"

enum { ROUNDS_MOST = 1001, CALLS = 200 };

static uint64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double median(const double *values, int count)
{
        double sorted[ROUNDS_MOST];

        memcpy(sorted, values, (size_t)count * sizeof(*values));
        qsort(sorted, (size_t)count, sizeof(*sorted), compare);
        return sorted[count / 2];
}

static void must(kern_return_t code, const char *what)
{
        if (code) {
                fprintf(stderr, "bench-memory: %s: %s\n", what, mach_error_string(code));
                exit(EXIT_FAILURE);
        }
}

static uint64_t sum_of(const uint64_t *words, size_t size)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < size / sizeof(*words); i++)
                sum += words[i];
        return sum;
}

static void report(const char *what, const double *ours, const double *other, int times)
{
        double ratios[ROUNDS_MOST];

        for (int i = 0; i < times; i++)
                ratios[i] = ours[i] / other[i];
        printf("%-40s %10.1f us %10.1f us   ratio %.2f\n", what, median(ours, times) / 1000, median(other, times) / 1000,
               median(ratios, times));
}

static double input_once(io_connect_t c, uint64_t *from, size_t size)
{
        uint64_t out[2] = { 0 }, began = now_ns();
        uint32_t count = 2;

        must(IOConnectCallMethod(c, kEchoRead, NULL, 0, from, size, out, &count, NULL, NULL), "input");
        began = now_ns() - began;
        must(out[0] == sum_of(from, size) ? 0 : -1, "input: the sum");
        return (double)began;
}

static double copy_once(uint64_t *to, const uint64_t *from, size_t size)
{
        uint64_t began = now_ns();
        volatile uint64_t sum;

        memcpy(to, from, size);
        sum = sum_of(to, size);
        (void)sum;
        return (double)(now_ns() - began);
}

/* changed: some of it each time, as an app does; else new memory each time. */
static void input(io_connect_t c, size_t size, bool fresh, int times)
{
        double ours[ROUNDS_MOST], other[ROUNDS_MOST];
        uint64_t *from = aligned_alloc(4096, size), *to = aligned_alloc(4096, size), *from_once = from;

        memset(from, 3, size);
        memset(to, 0, size);
        for (int i = -2; i < times; i++) {
                double mine, its;

                from[(size_t)(i + 2) * 512 % (size / 8)] = (uint64_t)i;
                if (fresh) {
                        from_once = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                        memcpy(from_once, from, size);
                }
                mine = input_once(c, from_once, size);
                its = copy_once(to, from, size);
                if (fresh)
                        munmap(from_once, size);
                if (i >= 0) {
                        ours[i] = mine;
                        other[i] = its;
                }
        }
        report(fresh ? "64 MiB input, new each time" : "64 MiB input, again", ours, other, times);
        free(from);
        free(to);
}

static void output(io_connect_t c, size_t size, int times)
{
        double ours[ROUNDS_MOST], other[ROUNDS_MOST];
        uint64_t *to = aligned_alloc(4096, size);

        memset(to, 1, size);
        for (int i = -2; i < times; i++) {
                uint64_t in[2] = { (uint64_t)i + 100, size }, out = 0, began = now_ns(), own;
                uint32_t count = 1;
                size_t length = size;

                must(IOConnectCallMethod(c, kEchoFill, in, 1, NULL, 0, &out, &count, to, &length), "output");
                began = now_ns() - began;
                must(to[0] == in[0] && to[size / 8 - 1] == in[0] ? 0 : -1, "output: the words");
                own = now_ns();
                count = 1;
                must(IOConnectCallScalarMethod(c, kEchoFillOwn, in, 2, &out, &count), "own");
                own = now_ns() - own;
                if (i >= 0) {
                        ours[i] = (double)began;
                        other[i] = (double)own;
                }
        }
        report("64 MiB output", ours, other, times);
        free(to);
}

static double echoes(io_connect_t c, uint8_t *in, uint8_t *out, size_t size)
{
        uint64_t began = now_ns();

        for (int i = 0; i < CALLS; i++) {
                size_t length = size;

                in[0] = (uint8_t)i;
                must(IOConnectCallStructMethod(c, kEchoStruct, in, size, out, &length), "echo");
                must(out[0] == in[0] ? 0 : -1, "echo: the bytes");
        }
        return (double)(now_ns() - began) / CALLS;
}

static void echo(io_connect_t c, size_t size, size_t against, int times)
{
        double ours[ROUNDS_MOST], other[ROUNDS_MOST];
        uint8_t *in = malloc(size), *out = malloc(size);
        char what[64];

        memset(in, 1, size);
        memset(out, 2, size);
        for (int i = 0; i < times; i++) {
                ours[i] = echoes(c, in, out, size);
                other[i] = echoes(c, in, out, against);
        }
        snprintf(what, sizeof(what), "%zu KiB in and out, against %zu KiB", size >> 10, against >> 10);
        report(what, ours, other, times);
        free(in);
        free(out);
}

static int rounds = 11;

/* A test in form: the world asserts. */
START_TEST(bench)
{
        static const char *const bundles[] = { "drivers/echo.dext", NULL };
        struct world world;
        io_connect_t c;

        world_start(&world, bundles);
        c = world_open("echo");
        input(c, 64u << 20, false, rounds);
        input(c, 64u << 20, true, rounds);
        output(c, 64u << 20, rounds);
        echo(c, 8192, 4096, rounds);
        echo(c, 65536, 8192, rounds);
        IOServiceClose(c);
        world_stop(&world);
}
END_TEST

int main(int argc, char **argv)
{
        if (argc > 1)
                rounds = atoi(argv[1]);
        if (rounds < 1 || rounds > ROUNDS_MOST) {
                fprintf(stderr, "usage: AMBIDEXT_BUILD=BUILD bench-memory [ROUNDS, up to %d]\n", ROUNDS_MOST);
                return 2;
        }
        setenv("CK_FORK", "no", 1); /* and no time limit */
        return run_suite("bench-memory", bench);
}
