/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of a data queue, between two threads and between two processes. For the thread sanitizer, too. */
#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "base/sanitizer.h"
#include "base/test-suite.h"
#include "channel/dataqueue.h"

#define RING 4096u
#define ENTRIES 1000000u

/* Memory that both sides have: the queue, and what they wake each other with. */
struct shared {
        uint8_t queue[AMB_DATAQUEUE_PADDED_HEADER + RING];
        sem_t available, serviced;
};

struct side {
        struct shared *shared;
        bool padded;
        uint32_t size, entries;
        uint64_t wakes;
};

static void queue_of(const struct side *side, struct amb_dataqueue *queue)
{
        if (side->padded)
                amb_dataqueue_padded(queue, side->shared->queue, side->size);
        else
                amb_dataqueue_packed(queue, side->shared->queue, side->size);
}

/* Both sides draw the same numbers. */
static uint32_t next_random(uint64_t *state)
{
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        return (uint32_t)(*state >> 33);
}

static uint32_t next_size(const struct side *side, uint64_t *state)
{
        uint32_t random = next_random(state);

        /* Mostly small, now and then nearly a whole ring. */
        return random % 64 == 0 ? random % (side->size - AMB_DATAQUEUE_ENTRY_HEADER) : random % 100;
}

/* A lost wake-up is a sleep without end; here it is a failure. */
static bool wait_for(sem_t *semaphore)
{
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 20;
        while (sem_timedwait(semaphore, &until) < 0)
                if (errno != EINTR)
                        return false;
        return true;
}

static uint32_t largest_now(const struct side *side, uint32_t size)
{
        /* What fits into an empty ring wherever head and tail are: half of it. */
        uint32_t most = side->size / 2 - 2 * AMB_DATAQUEUE_ENTRY_HEADER;

        return size < most ? size : most;
}

static void *write_all(void *context)
{
        struct side *side = context;
        struct amb_dataqueue queue;
        uint64_t random = 42;

        queue_of(side, &queue);
        for (uint32_t i = 0; i < side->entries; i++) {
                uint32_t size = largest_now(side, next_size(side, &random));
                struct amb_dataqueue_place place;
                int r;

                while ((r = amb_dataqueue_reserve(&queue, size, &place)) == AMB_DATAQUEUE_FULL) {
                        sem_post(&side->shared->available);
                        if (queue.full ? !wait_for(&side->shared->serviced) : (sched_yield(), false))
                                return "the writer was not woken";
                }
                if (r)
                        return "the queue is broken for the writer";
                memset(place.data, (int)(i & 0xff), size);
                if (size >= sizeof(i))
                        memcpy(place.data, &i, sizeof(i));
                if (amb_dataqueue_publish(&queue, &place))
                        sem_post(&side->shared->available);
        }
        return NULL;
}

static bool entry_right(const struct amb_dataqueue_entry *entry, uint32_t i, uint32_t size)
{
        size_t at = 0;

        if (entry->size != size)
                return false;
        if (size >= sizeof(i)) {
                if (memcmp(entry->data, &i, sizeof(i)))
                        return false;
                at = sizeof(i);
        }
        for (; at < size; at++)
                if (entry->data[at] != (i & 0xff))
                        return false;
        return true;
}

static void service(struct side *side, const struct amb_dataqueue *queue)
{
        if (amb_dataqueue_was_full(queue)) {
                amb_dataqueue_full_clear(queue);
                sem_post(&side->shared->serviced);
        }
}

static void *read_all(void *context)
{
        struct side *side = context;
        struct amb_dataqueue queue;
        uint64_t random = 42;

        queue_of(side, &queue);
        for (uint32_t i = 0; i < side->entries;) {
                struct amb_dataqueue_entry entry;
                int r = amb_dataqueue_front(&queue, &entry);

                if (r == AMB_DATAQUEUE_EMPTY) {
                        service(side, &queue);
                        side->wakes++;
                        if (!wait_for(&side->shared->available))
                                return "the reader was not woken";
                        continue;
                }
                if (r)
                        return "the queue is broken for the reader";
                if (!entry_right(&entry, i, largest_now(side, next_size(side, &random))))
                        return "another entry";
                i++;
                amb_dataqueue_consume(&queue, &entry);
                service(side, &queue);
        }
        return NULL;
}

static struct shared *shared_new(void)
{
        struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        ck_assert(shared != MAP_FAILED);
        ck_assert_int_eq(sem_init(&shared->available, 1, 0), 0);
        ck_assert_int_eq(sem_init(&shared->serviced, 1, 0), 0);
        return shared;
}

static void two_threads(bool padded, uint32_t size, uint32_t entries)
{
        struct side writer = { shared_new(), padded, size, entries, 0 }, reader = writer;
        pthread_t thread;
        void *wrong;

        ck_assert_int_eq(pthread_create(&thread, NULL, write_all, &writer), 0);
        wrong = read_all(&reader);
        ck_assert_msg(!wrong, "%s", (char *)wrong);
        pthread_join(thread, &wrong);
        ck_assert_msg(!wrong, "%s", (char *)wrong);
        ck_assert_uint_gt(reader.wakes, 0);
        munmap(writer.shared, sizeof(*writer.shared));
}

START_TEST(threads_padded)
{
        two_threads(true, RING, ENTRIES);
}
END_TEST

START_TEST(threads_packed)
{
        two_threads(false, RING - 1, ENTRIES);
}
END_TEST

/* Nearly every entry wraps, fills the ring or empties it. */
START_TEST(threads_narrow)
{
        two_threads(true, 64, ENTRIES / 10);
        two_threads(false, 61, ENTRIES / 10);
}
END_TEST

START_TEST(two_processes)
{
        struct side writer = { shared_new(), _i, RING, ENTRIES / 4, 0 }, reader = writer;
        char *wrong;
        int status;
        pid_t child = fork();

        ck_assert_int_ge(child, 0);
        if (child == 0) {
                wrong = write_all(&writer);
                if (wrong)
                        fprintf(stderr, "%s\n", wrong);
                _exit(wrong != NULL);
        }
        wrong = read_all(&reader);
        ck_assert_msg(!wrong, "%s", wrong);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        munmap(writer.shared, sizeof(*writer.shared));
}
END_TEST

/* The reader finds it empty between the writer's look and its publishing: who publishes into an empty queue says so. */
START_TEST(emptied_meanwhile)
{
        struct side side = { shared_new(), _i, 64, 0, 0 };
        struct amb_dataqueue_place place;
        struct amb_dataqueue_entry entry;
        struct amb_dataqueue queue;

        queue_of(&side, &queue);
        for (int i = 0; i < 100; i++) {
                ck_assert_int_eq(amb_dataqueue_reserve(&queue, 3, &place), 0);
                ck_assert(amb_dataqueue_publish(&queue, &place));
                ck_assert_int_eq(amb_dataqueue_reserve(&queue, 5, &place), 0);
                ck_assert(!amb_dataqueue_publish(&queue, &place));
                ck_assert_int_eq(amb_dataqueue_reserve(&queue, 7, &place), 0);
                for (uint32_t n = 3; n <= 5; n += 2) {
                        ck_assert_int_eq(amb_dataqueue_front(&queue, &entry), 0);
                        ck_assert_uint_eq(entry.size, n);
                        amb_dataqueue_consume(&queue, &entry);
                }
                ck_assert_int_eq(amb_dataqueue_front(&queue, &entry), AMB_DATAQUEUE_EMPTY);
                ck_assert(amb_dataqueue_publish(&queue, &place));
                ck_assert_int_eq(amb_dataqueue_front(&queue, &entry), 0);
                ck_assert_uint_eq(entry.size, 7);
                amb_dataqueue_consume(&queue, &entry);
        }
        munmap(side.shared, sizeof(*side.shared));
}
END_TEST

/*
 * The same as a race: in each round the writer publishes a second entry just when the reader takes out the first one. Both look
 * once. If the writer does not say "wake it" and the reader sees nothing, it sleeps beside an entry. (The fences:
 * model/dataqueue.pml.)
 */
#define RACE_SECONDS 2                  /* as many rounds as a loaded machine has time for */
static _Atomic uint32_t race_second, race_over, race_rounds = UINT32_MAX;

/* Hot, so that both really meet; but the other one may have no processor just now. */
static void spin_until(_Atomic uint32_t *word, uint32_t value)
{
        for (unsigned int tries = 0; *word != value; tries++)
                if (tries > 2000)
                        sched_yield();
}

static void pause_for(uint32_t turns)
{
        while (turns-- > 0)
                __asm__ volatile("" ::: "memory");
}

static bool publish_one(const struct amb_dataqueue *queue, struct shared *shared)
{
        struct amb_dataqueue_place place;

        if (amb_dataqueue_reserve(queue, 0, &place))
                return false;
        if (amb_dataqueue_publish(queue, &place))
                sem_post(&shared->available);
        return true;
}

static void *race_write(void *context)
{
        struct side *side = context;
        struct amb_dataqueue queue;
        uint64_t random = 5;

        queue_of(side, &queue);
        for (uint32_t round = 1; round <= race_rounds; round++) {
                if (!publish_one(&queue, side->shared))
                        return "no room";
                spin_until(&race_second, round);
                pause_for(next_random(&random) % 64);
                if (!publish_one(&queue, side->shared))
                        return "no room";
                race_over = round;
                if (!wait_for(&side->shared->serviced))
                        return "the reader sleeps beside an entry";
        }
        return NULL;
}

static void race_read(struct side *side, uint32_t round, uint64_t *random)
{
        struct amb_dataqueue_entry entry;
        struct amb_dataqueue queue;

        queue_of(side, &queue);
        ck_assert(wait_for(&side->shared->available));
        ck_assert_int_eq(amb_dataqueue_front(&queue, &entry), 0);
        race_second = round;
        pause_for(next_random(random) % 64);
        amb_dataqueue_consume(&queue, &entry);
        if (amb_dataqueue_front(&queue, &entry) == AMB_DATAQUEUE_EMPTY) {
                side->wakes++;
                ck_assert_msg(wait_for(&side->shared->available), "round %u: a wake-up is lost", round);
                ck_assert_int_eq(amb_dataqueue_front(&queue, &entry), 0);
        }
        amb_dataqueue_consume(&queue, &entry);
        /* Both have seen it: a message too many. */
        spin_until(&race_over, round);
        while (sem_trywait(&side->shared->available) == 0)
                ;
        sem_post(&side->shared->serviced);
}

START_TEST(wake_race)
{
        struct side writer = { shared_new(), _i, RING, 0, 0 }, reader = writer;
        uint64_t random = 9, end = amb_time_now() + RACE_SECONDS * 1000000000ull;
        pthread_t thread;
        void *wrong;

        ck_assert_int_eq(pthread_create(&thread, NULL, race_write, &writer), 0);
        for (uint32_t round = 1; round <= race_rounds; round++) {
                /* Before the last answer to the writer, which looks after it. */
                if (amb_time_now() > end)
                        race_rounds = round;
                race_read(&reader, round, &random);
        }
        pthread_join(thread, &wrong);
        ck_assert_msg(!wrong, "%s", (char *)wrong);
        munmap(writer.shared, sizeof(*writer.shared));
}
END_TEST

#if !AMB_SANITIZED_THREAD               /* it reports races, and here they are the point */
/* A peer that scribbles over everything while we work: any answer is right, no access outside is (the ring ends with a page). */
static _Atomic bool scribble_on;
static void *scribble(void *context)
{
        const struct amb_dataqueue *queue = context;
        const uint32_t evil[] = { 0, 4, 64, 4088, 4092, 4095, 4096, 4097, 4100, 0x7fffffff, 0xfffffffc, 0xffffffff };
        uint64_t random = 7;

        while (scribble_on) {
                uint32_t what = next_random(&random), value = evil[next_random(&random) % AMB_ARRAY_LENGTH(evil)];

                if (what % 4 == 0)
                        __atomic_store_n(queue->head, value, __ATOMIC_RELAXED);
                else if (what % 4 == 1)
                        __atomic_store_n(queue->tail, value, __ATOMIC_RELAXED);
                else
                        __atomic_store_n((uint32_t *)(queue->ring + what / 4 % (RING / 4) * 4), value, __ATOMIC_RELAXED);
        }
        return NULL;
}

START_TEST(scribbler)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE), head = page, total = head + RING + page;
        uint8_t *memory = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uint64_t random = 3, ended[AMB_DATAQUEUE_BROKEN + 1] = { 0 };
        volatile uint8_t seen = 0;
        struct amb_dataqueue queue;
        pthread_t thread;

        ck_assert(memory != MAP_FAILED && RING % page == 0);
        ck_assert_int_eq(mprotect(memory + head + RING, page, PROT_NONE), 0);
        amb_dataqueue_padded(&queue, memory + head - AMB_DATAQUEUE_PADDED_HEADER, RING);
        scribble_on = true;
        ck_assert_int_eq(pthread_create(&thread, NULL, scribble, &queue), 0);
        for (int i = 0; i < 2000000; i++) {
                struct amb_dataqueue_entry entry;
                struct amb_dataqueue_place place;
                int r = amb_dataqueue_front(&queue, &entry);

                ended[r]++;
                if (r == 0) {
                        ck_assert(entry.data >= queue.ring && entry.size <= RING && entry.data + entry.size <= queue.ring + RING);
                        if (entry.size)
                                seen ^= entry.data[entry.size - 1];
                        amb_dataqueue_consume(&queue, &entry);
                }
                r = amb_dataqueue_reserve(&queue, next_random(&random) % RING, &place);
                if (r == 0) {
                        ck_assert(place.data >= queue.ring && place.data + place.size <= queue.ring + RING);
                        if (place.size)
                                place.data[place.size - 1] = seen;
                        amb_dataqueue_publish(&queue, &place);
                }
        }
        scribble_on = false;
        pthread_join(thread, NULL);
        ck_assert(ended[AMB_DATAQUEUE_BROKEN] > 0 && ended[0] > 0);
        munmap(memory, total);
}
END_TEST
#endif

int main(void)
{
        TCase *tests = test_case("dataqueue", threads_padded, threads_packed, threads_narrow);

        tcase_set_timeout(tests, 110);
        tcase_add_loop_test(tests, two_processes, 0, 2);
        tcase_add_loop_test(tests, emptied_meanwhile, 0, 2);
        tcase_add_loop_test(tests, wake_race, 0, 2);
#if !AMB_SANITIZED_THREAD
        tcase_add_test(tests, scribbler);
#endif
        return run_cases("dataqueue", tests);
}
