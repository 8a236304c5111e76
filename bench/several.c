/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Latency against how many connections are called at once: by one thread that goes from one to the next, and by as many threads
 * with a connection each. Threads share the processors with each other and with the host: what they wait for, with more of them
 * than processors, is mostly their turn.
 */
#include <pthread.h>
#include <stdio.h>

#include "bench/sections.h"

enum { COUNTS = 7, MOST = 1 << (COUNTS - 1), WARM_NS = 5000000, TURN_NS = 5000000, THREADS_NS = 40000000 };

struct several {
        struct bench *bench;
        io_connect_t connections[MOST];
        struct bench_row *turns[COUNTS], *threads[COUNTS];
};

/* --- one thread --- */

struct wheel {
        io_connect_t *connections;
        unsigned count, next;
};

static void wheel_once(void *context)
{
        struct wheel *wheel = context;
        bench_call(&wheel->connections[wheel->next]);
        wheel->next = wheel->next + 1 == wheel->count ? 0 : wheel->next + 1;
}

/* --- many --- */

struct caller {
        pthread_t thread;
        struct bench *bench;
        io_connect_t *connection;
        pthread_barrier_t *ready;
        uint64_t nanoseconds;
        struct amb_histogram samples;
};

static void *caller_run(void *context)
{
        struct caller *caller = context;
        bench_call(caller->connection);
        pthread_barrier_wait(caller->ready);
        uint64_t first = amb_time_now(), begin;
        do {
                begin = amb_time_now();
                bench_call(caller->connection);
                amb_histogram_add(&caller->samples, bench_since(caller->bench, begin));
        } while (begin - first < caller->nanoseconds);
        return NULL;
}

static void threads_turn(struct several *several, unsigned count, struct bench_row *row)
{
        static struct caller callers[MOST];
        pthread_barrier_t ready;
        pthread_barrier_init(&ready, NULL, count);
        for (unsigned i = 0; i < count; i++) {
                callers[i] = (struct caller){
                        .bench = several->bench,
                        .connection = &several->connections[i],
                        .ready = &ready,
                        .nanoseconds = bench_amount(several->bench, THREADS_NS, 1000000),
                };
                int r = pthread_create(&callers[i].thread, NULL, caller_run, &callers[i]);
                if (r != 0)
                        bench_fail("a thread: %s", strerror(r));
        }
        for (unsigned i = 0; i < count; i++) {
                pthread_join(callers[i].thread, NULL);
                bench_add_all(row, &callers[i].samples);
        }
        pthread_barrier_destroy(&ready);
}

/* --- */

static void rows_make(struct bench *bench, const char *what, struct bench_row *rows[COUNTS])
{
        for (unsigned i = 0; i < COUNTS; i++) {
                char name[BENCH_NAME];
                snprintf(name, sizeof(name), "%s: %u", what, 1u << i);
                rows[i] = bench_row(bench, name, i ? rows[0] : NULL);
        }
}

void bench_several(struct bench *bench)
{
        static struct several several;
        several.bench = bench;
        for (unsigned i = 0; i < MOST; i++)
                several.connections[i] = bench_open(bench, kBenchDirect);
        rows_make(bench, "1 thread, connections in turn", several.turns);
        rows_make(bench, "threads with a connection each", several.threads);
        bench_rounds(bench, 4);
        while (bench_round(bench)) {
                bench_warm(several.connections[0], bench_amount(bench, WARM_NS, 1));
                for (unsigned i = 0; i < COUNTS; i++) {
                        struct wheel wheel = { several.connections, 1u << i, 0 };
                        bench_turn(bench, several.turns[i], wheel_once, &wheel, bench_amount(bench, TURN_NS, 100000));
                }
                for (unsigned i = 0; i < COUNTS; i++)
                        threads_turn(&several, 1u << i, several.threads[i]);
        }
}
