/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structures of many sizes, in and out. Up to 4096 bytes they lie in the connection's memory: against the smallest. Above that the
 * driver maps the application's own memory: against one memcpy of as much. The driver reads every byte that it gets and writes
 * every byte that it gives. The application changes the buffer before each call; "again" is a buffer that has been shared before,
 * "new" one that has not.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "bench/sections.h"

enum { WARM_NS = 5000000, TURN_NS = 2000000, SIZES = 8 };
static const size_t sizes[SIZES] = { 16, 256, 4096, 8 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20 };

/* What one size is measured with. */
struct transfer {
        io_connect_t connection;
        size_t words;
        uint64_t *from, *to, number;    /* number: of the last call */
        struct bench_row *in, *out, *copy, *in_new, *out_new;   /* the last three: NULL where there is nothing to share */
};

/* --- one of them --- */

static void copy_once(void *context)
{
        struct transfer *transfer = context;
        transfer->from[0] = ++transfer->number;
        memcpy(transfer->to, transfer->from, transfer->words * sizeof(uint64_t));
        __asm__ volatile("" : : "r"(transfer->to) : "memory");
}

/* All words but the first are 0. */
static void in_once(void *context)
{
        struct transfer *transfer = context;
        uint64_t sum;
        uint32_t count = 1;
        transfer->from[0] = ++transfer->number;
        bench_check(IOConnectCallMethod(transfer->connection, kBenchTake, NULL, 0, transfer->from,
                                        transfer->words * sizeof(uint64_t), &sum, &count, NULL, NULL), "calling kBenchTake");
        if (sum != transfer->number)
                bench_fail("kBenchTake did not get what it was given");
}

static void out_once(void *context)
{
        struct transfer *transfer = context;
        size_t size = transfer->words * sizeof(uint64_t);
        transfer->to[0] = 0;
        transfer->number++;
        bench_check(IOConnectCallMethod(transfer->connection, kBenchGive, &transfer->number, 1, NULL, 0, NULL, NULL, transfer->to,
                                        &size), "calling kBenchGive");
        if (size != transfer->words * sizeof(uint64_t) || transfer->to[0] != transfer->number ||
            transfer->to[transfer->words - 1] != transfer->number)
                bench_fail("kBenchGive did not give what was asked for");
}

/* --- turns --- */

static uint64_t *buffer_make(size_t words)
{
        uint64_t *buffer = mmap(NULL, words * sizeof(*buffer), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (buffer == MAP_FAILED)
                bench_fail("memory: %s", strerror(errno));
        memset(buffer, 0, words * sizeof(*buffer));
        return buffer;
}

static void buffer_free(uint64_t *buffer, size_t words)
{
        munmap(buffer, words * sizeof(*buffer));
}

/* What takes microseconds and more: no batches; the first one does not count. */
static void long_turn(struct bench *bench, struct bench_row *row, void (*once)(void *context), struct transfer *transfer)
{
        once(transfer);
        uint64_t first = amb_time_now(), begin;
        do {
                begin = amb_time_now();
                once(transfer);
                bench_add(row, bench_since(bench, begin));
        } while (begin - first < bench_amount(bench, TURN_NS, 1));
}

/* A buffer of its own for each; making it does not count. */
static void new_turn(struct bench *bench, struct bench_row *row, void (*once)(void *context), const struct transfer *transfer)
{
        uint64_t first = amb_time_now(), begin;
        do {
                struct transfer fresh = *transfer;
                fresh.from = fresh.to = buffer_make(fresh.words);
                begin = amb_time_now();
                once(&fresh);
                bench_add(row, bench_since(bench, begin));
                buffer_free(fresh.from, fresh.words);
        } while (begin - first < bench_amount(bench, TURN_NS, 1));
}

static void transfer_turn(struct bench *bench, struct transfer *transfer)
{
        if (!transfer->in_new) {
                bench_turn(bench, transfer->in, in_once, transfer, bench_amount(bench, TURN_NS, 1));
                bench_turn(bench, transfer->out, out_once, transfer, bench_amount(bench, TURN_NS, 1));
                return;
        }
        long_turn(bench, transfer->copy, copy_once, transfer);
        long_turn(bench, transfer->in, in_once, transfer);
        long_turn(bench, transfer->out, out_once, transfer);
        new_turn(bench, transfer->in_new, in_once, transfer);
        new_turn(bench, transfer->out_new, out_once, transfer);
}

static struct bench_row *row_make(struct bench *bench, size_t size, const char *what, const struct bench_row *baseline)
{
        static const char *const units[] = { "B", "KiB", "MiB" };
        char name[BENCH_NAME];
        int unit = size > kBenchPage ? size >= 1 << 20 ? 2 : 1 : 0;
        snprintf(name, sizeof(name), "%zu %s %s", size >> (10 * unit), units[unit], what);
        return bench_row(bench, name, baseline);
}

static void transfer_make(struct bench *bench, struct transfer *transfer, io_connect_t connection, size_t size,
                          const struct transfer *smallest)
{
        *transfer = (struct transfer){ .connection = connection, .words = size / sizeof(uint64_t) };
        transfer->from = buffer_make(transfer->words);
        transfer->to = buffer_make(transfer->words);
        if (size <= kBenchPage) {
                transfer->in = row_make(bench, size, "in", smallest ? smallest->in : NULL);
                transfer->out = row_make(bench, size, "out", smallest ? smallest->out : NULL);
                return;
        }
        transfer->copy = row_make(bench, size, "memcpy", NULL);
        transfer->in = row_make(bench, size, "in, again", transfer->copy);
        transfer->out = row_make(bench, size, "out, again", transfer->copy);
        transfer->in_new = row_make(bench, size, "in, new", transfer->copy);
        transfer->out_new = row_make(bench, size, "out, new", transfer->copy);
}

void bench_sizes(struct bench *bench)
{
        struct transfer transfers[SIZES];
        /* One each for small and large: neither is to learn from the other how long a call takes. */
        io_connect_t small = bench_open(bench, kBenchDirect), large = bench_open(bench, kBenchDirect);
        for (int i = 0; i < SIZES; i++)
                transfer_make(bench, &transfers[i], sizes[i] <= kBenchPage ? small : large, sizes[i], i ? &transfers[0] : NULL);
        bench_rounds(bench, 5);
        while (bench_round(bench)) {
                bench_warm(small, bench_amount(bench, WARM_NS, 1));
                for (int i = 0; i < SIZES; i++)
                        transfer_turn(bench, &transfers[i]);
        }
}
