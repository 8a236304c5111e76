/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel's hot round trips against a bare ping-pong on shared memory, in alternating rounds of about a millisecond in one pair
 * of processes: the CPUs of a virtual machine move apart and together within seconds, so only the ratio of neighbouring rounds
 * means anything. Prints medians over the rounds; then calls per second of 8 threads and completions per second.
 *
 *      bench-channel [ROUNDS]
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "channel/channel.h"
#include "channel/layout.h"
#include "channel/wait.h"

enum { BATCHES = 100, BATCH = 20, CALLS = BATCHES * BATCH, MOST_ROUNDS = 2000 };
enum { THREADS = 8, THREAD_CALLS = 50000, COMPLETIONS = 1000000 };

struct pong {
        uint32_t ping AMB_LINE;
        uint64_t in_words[2];
        uint32_t pong AMB_LINE;
        uint64_t out_words[2];
        uint8_t in[4096] AMB_LINE;
        uint8_t out[4096] AMB_LINE;
};

/* --- the host's process --- */

static void pong_serve(struct pong *pong, uint32_t first, bool bytes)
{
        static uint8_t copy[4096];

        for (uint32_t i = first; i < first + CALLS; ++i) {
                while (amb_load_acquire(&pong->ping) != i + 1)
                        ;
                if (bytes) {
                        memcpy(copy, pong->in, sizeof(copy));
                        memcpy(pong->out, copy, sizeof(copy));
                } else {
                        amb_store(&pong->out_words[0], amb_load(&pong->in_words[1]));
                        amb_store(&pong->out_words[1], amb_load(&pong->in_words[0]));
                }
                amb_store_release(&pong->pong, i + 1);
        }
}

static void channel_serve(struct amb_channel *channel, uint32_t calls)
{
        static uint8_t bytes[AMB_CHANNEL_BYTES];
        struct amb_request request;

        for (uint32_t i = 0; i < calls; ++i) {
                struct amb_result result = { 0 };

                if (amb_channel_receive(channel, &request, bytes) != 0)
                        _exit(1);
                result.scalars = request.scalars;
                result.scalar_count = request.scalar_capacity;
                result.bytes = bytes;
                result.size = request.capacity;
                result.flags = request.capacity ? AMB_REPLY_BYTES : 0;
                amb_channel_reply(channel, &request, &result);
        }
}

static void host_run(struct amb_channel *channel, struct pong *pong, unsigned rounds)
{
        struct amb_completion completion = { .port = 1, .count = 2 };
        struct amb_channel_counters counters;

        for (unsigned i = 0; i < rounds; ++i) {
                pong_serve(pong, 2 * i * CALLS, false);
                channel_serve(channel, CALLS);
                pong_serve(pong, (2 * i + 1) * CALLS, true);
                channel_serve(channel, CALLS);
        }
        channel_serve(channel, THREADS * THREAD_CALLS);
        channel_serve(channel, 1);
        for (uint32_t i = 0; i < COMPLETIONS; ++i) {
                completion.args[0] = i;
                while (amb_channel_complete(channel, &completion) == AMB_CHANNEL_DROPPED)
                        ;
        }
        channel_serve(channel, 1);
        amb_channel_counters(channel, &counters);
        fprintf(stderr, "host: %lu sleeps, %lu wakes, %lu completions had to wait for room\n", counters.sleeps, counters.wakes,
                counters.overflowed);
}

/* --- the app's process --- */

static int compare(const void *left, const void *right)
{
        double difference = *(const double *)left - *(const double *)right;

        return difference < 0 ? -1 : difference > 0;
}

static double median(double *values, size_t count)
{
        qsort(values, count, sizeof(*values), compare);
        return values[count / 2];
}

static double pong_round(struct pong *pong, uint32_t first, bool bytes)
{
        static uint8_t mine[4096];
        double batches[BATCHES];
        uint32_t number = first;

        for (unsigned i = 0; i < BATCHES; ++i) {
                uint64_t start = amb_time_now();

                for (unsigned k = 0; k < BATCH; ++k) {
                        if (bytes)
                                memcpy(pong->in, mine, sizeof(mine));
                        else
                                amb_store(&pong->in_words[0], number), amb_store(&pong->in_words[1], k);
                        amb_store_release(&pong->ping, ++number);
                        while (amb_load_acquire(&pong->pong) != number)
                                ;
                        if (bytes)
                                memcpy(mine, pong->out, sizeof(mine));
                }
                batches[i] = (double)(amb_time_now() - start) / BATCH;
        }
        return median(batches, BATCHES);
}

static double channel_round(struct amb_channel *channel, bool bytes)
{
        static uint8_t in[4096], out[4096];
        uint64_t scalars[2] = { 1, 2 }, scalars_out[2];
        struct amb_call call = { .selector = 1, .scalars = scalars, .scalars_out = scalars_out, .bytes = in, .bytes_out = out };
        struct amb_reply reply;
        double batches[BATCHES];

        if (bytes)
                call.size = call.capacity = 4096;
        else
                call.scalar_count = call.scalar_capacity = 2;
        for (unsigned i = 0; i < BATCHES; ++i) {
                uint64_t start = amb_time_now();

                for (unsigned k = 0; k < BATCH; ++k)
                        if (amb_channel_call(channel, &call, &reply) != 0)
                                exit(1);
                batches[i] = (double)(amb_time_now() - start) / BATCH;
        }
        return median(batches, BATCHES);
}

static void *caller(void *channel)
{
        uint64_t scalars[2] = { 1, 2 }, scalars_out[2];
        struct amb_call call = { .scalars = scalars, .scalars_out = scalars_out, .scalar_count = 2, .scalar_capacity = 2 };
        struct amb_reply reply;

        for (unsigned i = 0; i < THREAD_CALLS; ++i)
                if (amb_channel_call(channel, &call, &reply) != 0)
                        exit(1);
        return NULL;
}

static double pipelined(struct amb_channel *channel)
{
        pthread_t threads[THREADS];
        uint64_t start = amb_time_now();

        for (unsigned i = 0; i < THREADS; ++i)
                pthread_create(&threads[i], NULL, caller, channel);
        for (unsigned i = 0; i < THREADS; ++i)
                pthread_join(threads[i], NULL);
        return THREADS * THREAD_CALLS * 1e9 / (double)(amb_time_now() - start);
}

static double completions(struct amb_channel *channel)
{
        struct amb_completion completion;
        struct amb_reply reply;
        uint64_t start;

        if (amb_channel_call(channel, &(struct amb_call){ 0 }, &reply) != 0)
                exit(1);
        start = amb_time_now();
        for (uint32_t i = 0; i < COMPLETIONS;) {
                if (amb_channel_completion_next(channel, &completion) != 0)
                        continue;
                if (completion.args[0] != i++)
                        exit(1);
        }
        return COMPLETIONS * 1e9 / (double)(amb_time_now() - start);
}

int main(int argc, char **argv)
{
        unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 200;
        static double pings[2][MOST_ROUNDS], calls[2][MOST_ROUNDS], ratios[2][MOST_ROUNDS];
        struct amb_channel *channel;
        struct pong *pong;
        pid_t child;
        int fd;

        rounds = rounds < 1 ? 1 : rounds > MOST_ROUNDS ? MOST_ROUNDS : rounds;
        pong = mmap(NULL, sizeof(*pong), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (pong == MAP_FAILED || amb_channel_create(&fd) != 0)
                return 1;
        child = fork();
        if (child < 0)
                return 1;
        if (amb_channel_attach(fd, child ? AMB_CHANNEL_APP : AMB_CHANNEL_HOST, NULL, &channel) != 0)
                return 1;
        if (child == 0) {
                host_run(channel, pong, rounds);
                _exit(0);
        }
        for (unsigned i = 0; i < rounds; ++i) {
                for (unsigned k = 0; k < 2; ++k) {
                        pings[k][i] = pong_round(pong, (2 * i + k) * CALLS, k);
                        calls[k][i] = channel_round(channel, k);
                        ratios[k][i] = calls[k][i] / pings[k][i];
                }
        }
        for (unsigned k = 0; k < 2; ++k) {
                printf("%-8s ratio %.2f", k ? "4 KiB" : "scalar", median(ratios[k], rounds));
                printf("   ping-pong %.0f ns, channel %.0f ns\n", median(pings[k], rounds), median(calls[k], rounds));
        }
        printf("%u threads: %.0f calls/s\n", THREADS, pipelined(channel));
        printf("completions: %.0f /s\n", completions(channel));
        amb_channel_call(channel, &(struct amb_call){ 0 }, &(struct amb_reply){ 0 });
        waitpid(child, NULL, 0);
        amb_channel_free(channel);
        return 0;
}
