/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much goes through in a second: calls of eight threads on one connection, completions that a driver streams, opens and closes.
 * What the first two are compared with is a unix stream socket with 32 messages of 16 bytes in flight, each a write and a read of
 * its own on both sides. Everything is placed freely.
 */
#include <pthread.h>
#include <sys/socket.h>

#include <CoreFoundation/CoreFoundation.h>
#include <ambidext/port.h>
#include <dispatch/dispatch.h>
#include <poll.h>

#include "bench/sections.h"

enum { TURN_NS = 60000000, IN_FLIGHT = 32, MESSAGE = 16, THREADS = 8, STREAM = 100000, OPENS = 100, BEFORE_CLOCK = 16 };

/* --- the socket --- */

static _Noreturn void socket_serve(int fd)
{
        char bytes[MESSAGE];
        while (read(fd, bytes, MESSAGE) == MESSAGE && write(fd, bytes, MESSAGE) == MESSAGE)
                ;
        _exit(0);
}

/* Our end. The other one's process ends with us. */
static int socket_start(void)
{
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                bench_fail("socketpair: %s", strerror(errno));
        pid_t child = amb_partner_fork();
        if (child < 0)
                bench_fail("fork: %s", strerror(-child));
        if (child == 0) {
                close(pair[0]);
                socket_serve(pair[1]);
        }
        close(pair[1]);
        return pair[0];
}

static void socket_move(int fd, bool out)
{
        char bytes[MESSAGE] = { 0 };
        if ((out ? write(fd, bytes, MESSAGE) : read(fd, bytes, MESSAGE)) != MESSAGE)
                bench_fail("the socket's other side is gone");
}

/* Messages per second, there and back. */
static double socket_turn(int fd, uint64_t nanoseconds)
{
        uint64_t begin = amb_time_now(), end, count = 0;
        for (unsigned i = 0; i < IN_FLIGHT; i++)
                socket_move(fd, true);
        do {
                for (unsigned i = 0; i < BEFORE_CLOCK; i++) {
                        socket_move(fd, false);
                        socket_move(fd, true);
                }
                count += BEFORE_CLOCK;
                end = amb_time_now();
        } while (end - begin < nanoseconds);
        for (unsigned i = 0; i < IN_FLIGHT; i++)
                socket_move(fd, false);
        return (double)count * 1e9 / (double)(end - begin);
}

/* --- threads that call --- */

struct callers {
        io_connect_t connection;
        pthread_barrier_t ready;
        uint32_t stop, failed;
        uint64_t counts[THREADS][8];            /* [0]; a cache line each */
        unsigned started;
};

static void *callers_run(void *context)
{
        struct callers *callers = context;
        uint64_t in[2] = { 1, 2 }, out[2], count = 0;
        unsigned self = __atomic_fetch_add(&callers->started, 1, __ATOMIC_RELAXED);
        pthread_barrier_wait(&callers->ready);
        for (; !__atomic_load_n(&callers->stop, __ATOMIC_RELAXED); count++) {
                uint32_t room = 2;
                if (IOConnectCallScalarMethod(callers->connection, kBenchScalar, in, 2, out, &room) || out[0] != 2 || out[1] != 1)
                        __atomic_store_n(&callers->failed, 1, __ATOMIC_RELAXED);
        }
        callers->counts[self][0] = count;
        return NULL;
}

/* Calls per second; *ret_least: the least of a thread, of an equal share. */
static double callers_turn(io_connect_t connection, unsigned threads, uint64_t nanoseconds, double *ret_least)
{
        struct callers callers = { .connection = connection };
        pthread_t ids[THREADS];
        uint64_t sum = 0, least = UINT64_MAX;
        pthread_barrier_init(&callers.ready, NULL, threads + 1);
        for (unsigned i = 0; i < threads; i++)
                if (pthread_create(&ids[i], NULL, callers_run, &callers) != 0)
                        bench_fail("no thread");
        pthread_barrier_wait(&callers.ready);
        uint64_t begin = amb_time_now();
        bench_sleep(nanoseconds);
        __atomic_store_n(&callers.stop, 1, __ATOMIC_RELAXED);
        for (unsigned i = 0; i < threads; i++)
                pthread_join(ids[i], NULL);
        uint64_t took = amb_time_now() - begin;
        pthread_barrier_destroy(&callers.ready);
        if (callers.failed)
                bench_fail("a call of one of %u threads failed", threads);
        for (unsigned i = 0; i < threads; i++) {
                sum += callers.counts[i][0];
                least = callers.counts[i][0] < least ? callers.counts[i][0] : least;
        }
        *ret_least = 100.0 * (double)least * threads / (double)sum;
        return (double)sum * 1e9 / (double)took;
}

/* --- completions --- */

enum receiver { RUN_LOOP, QUEUE, POLL, RECEIVERS };

struct stream {
        io_connect_t connection;
        IONotificationPortRef ports[RECEIVERS];
        dispatch_semaphore_t over;
        enum receiver receiver;
        uint64_t count, next;
        kern_return_t code;
};

/* Each has its number: none may be missing, or come out of turn. */
static void stream_arrived(void *context, IOReturn result, void *number)
{
        struct stream *stream = context;
        if (result || (uint64_t)(uintptr_t)number != stream->next)
                bench_fail("completion %llu came instead of %llu", (unsigned long long)(uintptr_t)number,
                           (unsigned long long)stream->next);
        if (++stream->next == stream->count && stream->receiver == QUEUE)
                dispatch_semaphore_signal(stream->over);
        else if (stream->next == stream->count && stream->receiver == RUN_LOOP)
                CFRunLoopStop(CFRunLoopGetCurrent());
}

/* On a thread of its own: the driver streams until the call returns. */
static void *stream_ask(void *context)
{
        struct stream *stream = context;
        uint64_t reference[kIOAsyncCalloutCount] = {
                [kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)stream_arrived,
                [kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)stream,
        };
        uint32_t none = 0;
        stream->code = IOConnectCallAsyncScalarMethod(stream->connection, kBenchStream,
                                                      IONotificationPortGetMachPort(stream->ports[stream->receiver]), reference,
                                                      kIOAsyncCalloutCount, &stream->count, 1, NULL, &none);
        return NULL;
}

static void stream_receive(struct stream *stream)
{
        struct pollfd fd = { .fd = amb_port_get_fd(stream->ports[POLL]), .events = POLLIN };
        switch (stream->receiver) {
        case QUEUE:
                dispatch_semaphore_wait(stream->over, DISPATCH_TIME_FOREVER);
                break;
        case RUN_LOOP:
                while (stream->next < stream->count)
                        CFRunLoopRunInMode(kCFRunLoopDefaultMode, 10, false);
                break;
        default:
                while (stream->next < stream->count)
                        if (poll(&fd, 1, -1) > 0)
                                amb_port_dispatch(stream->ports[POLL]);
        }
}

/* Completions per second, from the call to the last one's callback. */
static double stream_turn(struct stream *stream, enum receiver receiver, uint64_t count)
{
        pthread_t asker;
        stream->receiver = receiver;
        stream->count = count;
        stream->next = 0;
        uint64_t begin = amb_time_now();
        if (pthread_create(&asker, NULL, stream_ask, stream) != 0)
                bench_fail("no thread");
        stream_receive(stream);
        uint64_t took = amb_time_now() - begin;
        pthread_join(asker, NULL);
        bench_check(stream->code, "calling kBenchStream");
        return (double)count * 1e9 / (double)took;
}

static void stream_start(struct stream *stream, io_connect_t connection)
{
        *stream = (struct stream){ .connection = connection, .over = dispatch_semaphore_create(0) };
        for (int i = 0; i < RECEIVERS; i++)
                if (!(stream->ports[i] = IONotificationPortCreate(kIOMainPortDefault)))
                        bench_fail("no notification port");
        CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(stream->ports[RUN_LOOP]),
                           kCFRunLoopDefaultMode);
        IONotificationPortSetDispatchQueue(stream->ports[QUEUE], dispatch_queue_create("bench completions", NULL));
}

/* --- open and close --- */

static double open_turn(struct bench *bench, uint64_t count)
{
        uint64_t begin = amb_time_now();
        for (uint64_t i = 0; i < count; i++)
                bench_check(IOServiceClose(bench_open(bench, kBenchDirect)), "closing bench.dext");
        return (double)count * 1e9 / (double)(amb_time_now() - begin);
}

/* --- */

enum what { SOCKET, CALLS_1, CALLS, STREAM_LOOP, STREAM_QUEUE, STREAM_POLL, OPEN, SHARE, WHATS };

static double ratio(struct bench *bench, const char *bar, double values[][BENCH_ROUNDS], enum what what, unsigned count)
{
        double ratios[BENCH_ROUNDS];
        for (unsigned i = 0; i < count; i++)
                ratios[i] = values[what][i] / values[SOCKET][i];
        if (bar)
                bench_bar_values(bench, bar, ratios, count);
        return bench_median(ratios, count);
}

static void report(struct bench *bench, double values[][BENCH_ROUNDS], unsigned count)
{
        ratio(bench, "pipelined", values, CALLS, count);
        /* The run loop is what programs use that were written for macOS. */
        ratio(bench, "completions", values, STREAM_LOOP, count);
        bench_figure(bench, "completions, dispatch queue, to the socket", ratio(bench, NULL, values, STREAM_QUEUE, count), "");
        bench_figure(bench, "completions, poll(), to the socket", ratio(bench, NULL, values, STREAM_POLL, count), "");
        bench_figure(bench, "socket, 32 in flight", bench_median(values[SOCKET], count), "/s");
        bench_figure(bench, "calls of 1 thread", bench_median(values[CALLS_1], count), "/s");
        bench_figure(bench, "calls of 8 threads", bench_median(values[CALLS], count), "/s");
        bench_figure(bench, "the slowest thread's calls, of its share", bench_median(values[SHARE], count), "%");
        bench_figure(bench, "completions, run loop", bench_median(values[STREAM_LOOP], count), "/s");
        bench_figure(bench, "completions, dispatch queue", bench_median(values[STREAM_QUEUE], count), "/s");
        bench_figure(bench, "completions, poll()", bench_median(values[STREAM_POLL], count), "/s");
        bench_bar_values(bench, "open_close", values[OPEN], count);
}

void bench_rate(struct bench *bench)
{
        static double values[WHATS][BENCH_ROUNDS];
        uint64_t turn = bench_amount(bench, TURN_NS, 2000000), completions = bench_amount(bench, STREAM, 1000);
        struct stream stream;
        double share;
        int fd = socket_start();
        io_connect_t connection = bench_open(bench, kBenchDirect);
        unsigned i = 0;
        stream_start(&stream, bench_open(bench, kBenchDirect));
        for (bench_rounds(bench, 5); bench_round(bench); i++) {
                values[SOCKET][i] = socket_turn(fd, turn);
                values[CALLS_1][i] = callers_turn(connection, 1, turn, &share);
                values[CALLS][i] = callers_turn(connection, THREADS, turn, &values[SHARE][i]);
                values[STREAM_LOOP][i] = stream_turn(&stream, RUN_LOOP, completions);
                values[STREAM_QUEUE][i] = stream_turn(&stream, QUEUE, completions);
                values[STREAM_POLL][i] = stream_turn(&stream, POLL, completions);
                values[OPEN][i] = open_turn(bench, bench_amount(bench, OPENS, 5));
        }
        report(bench, values, i);
}
