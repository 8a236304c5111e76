/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is exchanged again and again while threads of the program use it: no store is lost, no page is torn, nothing is left
 * behind.
 * AMBIDEXT_TEST_ROUNDS: how often; 10,000 where somebody means it.
 */
#include <sched.h>
#include <signal.h>

#include "client/exchange.h"
#include "client/test-loan.h"

#define BUFFER (1u << 20)

static struct lender lender;

static int rounds(int otherwise)
{
        const char *wanted = getenv("AMBIDEXT_TEST_ROUNDS");

        return wanted && atoi(wanted) > 0 ? atoi(wanted) : otherwise;
}

/* A thread that stores all the time: one counter in each page, upwards; and remembers what it has stored. */
struct writer {
        pthread_t thread;
        char *at;
        size_t length;
        _Atomic bool stop;
        _Atomic uint64_t laps;
        uint64_t wrong;
};

static uint64_t *slot(const struct writer *w, size_t page)
{
        return (uint64_t *)(((uintptr_t)w->at + page * 4096 + 64) & ~(uintptr_t)63);
}

/* Each slot holds what was stored there in the lap before, or a store is lost. */
static void *writer_run(void *context)
{
        struct writer *w = context;
        size_t slots = w->length / 4096 - 1;

        for (uint64_t lap = 1; !w->stop; lap++) {
                for (size_t i = 0; i < slots; i++) {
                        uint64_t found = __atomic_load_n(slot(w, i), __ATOMIC_RELAXED);

                        if (found != (lap - 1) * 0x100000001ull)
                                w->wrong++;
                        __atomic_store_n(slot(w, i), lap * 0x100000001ull, __ATOMIC_RELAXED);
                }
                w->laps = lap;
        }
        return NULL;
}

static void writer_start(struct writer *w, void *at, size_t length)
{
        *w = (struct writer){ .at = at, .length = length };
        memset(at, 0, length);
        ck_assert_int_eq(pthread_create(&w->thread, NULL, writer_run, w), 0);
        while (w->laps == 0)
                sched_yield();
}

static void writer_end(struct writer *w)
{
        w->stop = true;
        pthread_join(w->thread, NULL);
        ck_assert_uint_eq(w->wrong, 0);
        for (size_t i = 0; i < w->length / 4096 - 1; i++)
                ck_assert_uint_eq(*slot(w, i), w->laps * 0x100000001ull);
}

/* The host sees the writer's counters, whole ones, and none that goes backwards; its own stores do not get lost either. */
static void host_looks(const struct writer *w, char *seen, uint64_t *last)
{
        /* Part-pages at the ends are kept alike at borders only. */
        size_t page = 1 + (size_t)rand() % (w->length / 4096 - 3);
        char *theirs = seen + ((char *)slot(w, page) - w->at);
        uint64_t value = __atomic_load_n((uint64_t *)theirs, __ATOMIC_RELAXED);

        ck_assert_uint_eq(value >> 32, value & UINT32_MAX);
        ck_assert_uint_ge((value >> 32) + 1, *last);
        *last = value >> 32;
        __atomic_store_n((uint64_t *)(theirs + 8), value ^ 0x5555, __ATOMIC_RELAXED);
        ck_assert_uint_eq(__atomic_load_n(slot(w, page) + 1, __ATOMIC_RELAXED), value ^ 0x5555);
}

/* Shared and private again in each round: a connection that ends gives everything back. */
static void exchange_rounds(char *at, size_t length, int count)
{
        struct writer writer;
        uintptr_t start = ((uintptr_t)at + 4095) & ~(uintptr_t)4095, end = ((uintptr_t)at + length) & ~(uintptr_t)4095;

        writer_start(&writer, at, length);
        for (int i = 0; i < count; i++) {
                AMB_FD fd = memfd_create("test", MFD_CLOEXEC);

                ck_assert_int_eq(ftruncate(fd, (off_t)(end - start)), 0);
                ck_assert_int_eq(amb_exchange_share(start, end - start, true, fd, 0), 0);
                if (i % 64 == 0)
                        ck_assert(!is_private((void *)start));
                ck_assert_int_eq(amb_exchange_return(start, end - start, true, fd, 0), 0);
                if (i % 64 == 0)
                        ck_assert(is_private((void *)start));
        }
        writer_end(&writer);
}

START_TEST(exchange_mapped)
{
        char *at = pages(BUFFER / page_bytes());
        int mappings, descriptors;

        ck_assert(amb_exchange_possible());
        exchange_rounds(at, BUFFER, 3);
        mappings = count_mappings();
        descriptors = process_descriptors(getpid());
        exchange_rounds(at, BUFFER, rounds(150));
        ck_assert_int_le(count_mappings(), mappings + 2);      /* stacks of threads */
        ck_assert_int_eq(process_descriptors(getpid()), descriptors);
        munmap(at, BUFFER);
}
END_TEST

START_TEST(exchange_allocated)
{
        char *at = malloc(BUFFER);

        exchange_rounds(at, BUFFER, rounds(150));
        free(at);
}
END_TEST

/* A handler that stores into the buffer, on the very thread that exchanges it: nobody else could wake that thread. */
static _Atomic uint64_t *struck;
static uint64_t strikes;

static void strike(int signal_number)
{
        (void)signal_number;
        for (size_t page = 0; page < 8 * BUFFER / 4096; page += 64)
                struck[page * 512]++;
        strikes++;
}

struct striker {
        pthread_t victim;
        _Atomic bool stop;
};

static void *striker_run(void *context)
{
        struct striker *striker = context;

        while (!striker->stop) {
                pthread_kill(striker->victim, SIGUSR1);
                usleep(200);
        }
        return NULL;
}

START_TEST(exchange_signals)
{
        const size_t size = 8 * BUFFER;
        char *at = pages(size / page_bytes());
        struct striker striker = { .victim = pthread_self() };
        struct sigaction action = { .sa_handler = strike };
        pthread_t thread;

        struck = (_Atomic uint64_t *)at;
        memset(at, 0, size);
        sigaction(SIGUSR1, &action, NULL);
        ck_assert_int_eq(pthread_create(&thread, NULL, striker_run, &striker), 0);
        for (int i = 0; i < 20; i++) {
                AMB_FD fd = memfd_create("test", MFD_CLOEXEC);

                ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
                ck_assert_int_eq(amb_exchange_share((uintptr_t)at, size, true, fd, 0), 0);
                ck_assert_int_eq(amb_exchange_return((uintptr_t)at, size, true, fd, 0), 0);
        }
        striker.stop = true;
        pthread_join(thread, NULL);
        for (size_t page = 0; page < size / 4096; page += 64)
                ck_assert_uint_eq(struck[page * 512], strikes);
        munmap(at, size);
}
END_TEST

/* The whole way: a ticket, a question, a driver that looks and stores, the end of the call; now and then a new connection. */
static void loan_rounds(char *at, int count)
{
        struct writer writer;
        uint64_t last = 0;
        int mappings = 0, descriptors = 0;

        writer_start(&writer, at, BUFFER);
        for (int i = 0; i < count; i++) {
                struct borrowed borrowed;

                lender_open(&lender);
                for (int use = 0; use < 2; use++) {
                        lend(&lender, at, BUFFER, OUTPUT, &borrowed);
                        ck_assert_int_eq(borrowed.code, 0);
                        host_looks(&writer, borrowed.memory, &last);
                        unlend(&lender, &borrowed);
                }
                lender_close(&lender);
                ck_assert(is_private(at + BUFFER / 2));
                if (i == count / 10) {
                        mappings = count_mappings();
                        descriptors = process_descriptors(getpid());
                }
        }
        ck_assert_int_le(count_mappings(), mappings + 4);
        ck_assert_int_eq(process_descriptors(getpid()), descriptors);
        writer_end(&writer);
}

START_TEST(loan_mapped)
{
        char *at = pages(BUFFER / page_bytes());

        loan_rounds(at, rounds(60));
        munmap(at, BUFFER);
}
END_TEST

START_TEST(loan_allocated)
{
        char *at = malloc(BUFFER);

        loan_rounds(at, rounds(60));
        free(at);
}
END_TEST

/* Two threads call with two buffers on one connection while a third one ends and begins others with the same buffers. */
struct caller {
        pthread_t thread;
        io_connect_t connection;
        char *in, *out;
        int count;
};

static void *caller_run(void *context)
{
        struct caller *caller = context;

        for (int i = 0; i < caller->count; i++) {
                size_t size = 100000;

                memset(caller->in, i, size);
                ck_assert_int_eq(IOConnectCallStructMethod(caller->connection, HOST_ECHO, caller->in, size, caller->out, &size), 0);
                ck_assert_mem_eq(caller->in, caller->out, size);
        }
        return NULL;
}

START_TEST(two_callers)
{
        static struct lender second;
        struct caller callers[2];
        int count = rounds(100);

        lender_open(&lender);
        lender_open(&second);
        for (int i = 0; i < 2; i++) {
                callers[i] = (struct caller){ .connection = i ? second.handle : lender.handle, .in = malloc(100000),
                                              .out = malloc(100000), .count = count };
                ck_assert_int_eq(pthread_create(&callers[i].thread, NULL, caller_run, &callers[i]), 0);
        }
        for (int i = 0; i < 2; i++) {
                pthread_join(callers[i].thread, NULL);
                free(callers[i].in);
                free(callers[i].out);
        }
        lender_close(&lender);
        lender_close(&second);
}
END_TEST

int main(void)
{
        TCase *tcase = test_case("client-loan-rounds", exchange_mapped, exchange_allocated, exchange_signals, loan_mapped,
                                 loan_allocated, two_callers);

        set_time(tcase);
        return run_cases("client-loan-rounds", tcase);
}
