/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that writes anything anywhere at any time: the other side stays within its bounds, says BROKEN, and ends when told to. */
#include <fcntl.h>
#include <sched.h>
#include "base/sanitizer.h"
#include "base/test-suite.h"
#include "channel/test-pair.h"
#include "channel/private.h"

/* Races are run for a while; a sanitizer sees in fewer turns what there is to see. */
#define TURNS(count) (AMB_SANITIZED_ADDRESS ? (count) / 4 : (count))

static const uint32_t boundary[] = {
        0, 1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 255, 256, 0x1000, 0x1100, 0x0FFF, 4095, 4097, 0xFFFF, 0x10000, 0x1000000,
        0x02000000, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFEFFF, 0xFFFFFFFE, 0xFFFFFFFF,
};

static uint64_t random_next(uint64_t *state)
{
        return mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}

/* --- the checks themselves, with every value; and wrong ones, to show that the oracle can fail --- */

static bool room_check_sum(uint32_t published, uint32_t taken, uint32_t size, uint32_t *ret_room)
{
        *ret_room = taken + size - published;   /* the bug of CVE-2014-4389: the sum wraps */
        return published <= taken + size;
}

/* How many of all (published, taken) near 0 and near the wrap lead to a write over what has not been taken. */
static uint64_t room_errors(bool (*check_room)(uint32_t, uint32_t, uint32_t, uint32_t *))
{
        const uint32_t size = AMB_LAYOUT_COMPLETIONS;
        uint64_t errors = 0;
        uint32_t room = 0;

        for (uint64_t published = UINT32_MAX - 300u; published < UINT64_C(1) * UINT32_MAX + 300; ++published)
                for (uint32_t taken = UINT32_MAX - 2000; taken != 2000; ++taken) {
                        uint32_t used = (uint32_t)published - taken;
                        bool accepted = check_room((uint32_t)published, taken, size, &room);

                        errors += accepted != (used <= size) || (accepted && room != size - used);
                }
        return errors;
}

static bool room_check_right(uint32_t published, uint32_t taken, uint32_t size, uint32_t *ret_room)
{
        return amb_room_check(published, taken, size, ret_room);
}

START_TEST(room_exhaustive)
{
        ck_assert_uint_eq(room_errors(room_check_right), 0);
        ck_assert_uint_gt(room_errors(room_check_sum), 0);
}
END_TEST

static const char *request_check_off_by_one(const struct amb_request *request)
{
        return request->slot > AMB_CHANNEL_SLOTS || request->scalar_count > 16 || request->scalar_capacity > 16 ||
               request->flags > 7 || !request->tag ? "" : NULL;
}

static uint64_t request_errors(const char *(*check_request)(const struct amb_request *))
{
        struct amb_request request = { .tag = 1 };
        uint64_t errors = 0;

        for (uint32_t shape = 0; shape < 1u << 24; ++shape) {
                bool accepted, fine;

                request.slot = shape & 0xFF;
                request.scalar_count = shape >> 8 & 0xFF;
                request.scalar_capacity = request.scalar_count ^ (shape & 0x10);
                request.flags = shape >> 16;
                fine = (shape & 0xC0) == 0 && request.scalar_count <= 16 && request.scalar_capacity <= 16 &&
                       (shape >> 16 & ~7u) == 0;
                accepted = !check_request(&request);
                errors += accepted != fine;
        }
        return errors;
}

START_TEST(request_exhaustive)
{
        ck_assert_uint_eq(request_errors(amb_request_check), 0);
        ck_assert_uint_gt(request_errors(request_check_off_by_one), 0);
}
END_TEST

static void range_is_sane(const struct amb_request *request)
{
        ck_assert_uint_lt(request->slot, AMB_CHANNEL_SLOTS);
        ck_assert_uint_ne(request->tag, 0);
        ck_assert_uint_le(request->scalar_count, 16);
        ck_assert_uint_le(request->scalar_capacity, 16);
        ck_assert_uint_le(request->size, 4096);
        ck_assert(request->capacity <= 4096 || request->capacity == AMB_CHANNEL_VARIABLE);
        ck_assert_uint_le(request->flags, 7);
        ck_assert_uint_lt(AMB_CHANNEL_PORT_INDEX(request->port), AMB_CHANNEL_PORTS);
        for (uint32_t i = request->scalar_count; i < 16; ++i)
                ck_assert_uint_eq(request->scalars[i], 0);
}

/* --- a hostile app: the test writes the memory itself --- */

struct victim {
        int fd;
        struct amb_layout *memory;
        struct amb_channel *host;
        uint32_t position;
        uint64_t broken;
        /* room for 4096 bytes and a canary behind */
        uint8_t bytes[AMB_CHANNEL_BYTES + 64];
};

static void victim_make(struct victim *victim)
{
        victim->position = 0;
        ck_assert_int_eq(amb_channel_create(&victim->fd), 0);
        victim->memory = layout_map(victim->fd);
        ck_assert_int_eq(amb_channel_attach(victim->fd, AMB_CHANNEL_HOST, NULL, &victim->host), 0);
        memset(victim->bytes, 0xC5, sizeof(victim->bytes));
}

static void victim_free(struct victim *victim)
{
        for (unsigned i = 0; i < 64; ++i)
                ck_assert_uint_eq(victim->bytes[AMB_CHANNEL_BYTES + i], 0xC5);
        amb_channel_free(victim->host);
        munmap(victim->memory, sizeof(struct amb_layout));
        amb_fd_close(victim->fd);
}

/* The host starts anew on the same memory, as if the connection had been opened again. */
static void victim_again(struct victim *victim)
{
        amb_channel_free(victim->host);
        for (unsigned i = 0; i < AMB_LAYOUT_RING; ++i)
                amb_store(&victim->memory->ring[i].sequence, 0);
        victim->position = 0;
        ck_assert_int_eq(amb_channel_attach_mapping(victim->memory, AMB_CHANNEL_HOST, NULL, &victim->host), 0);
}

/* The entry is as the app left it: publish, let the host take it, answer it. False: BROKEN. */
static bool victim_step(struct victim *victim)
{
        struct amb_layout_request *entry = &victim->memory->ring[victim->position % AMB_LAYOUT_RING];
        uint64_t zeros[16] = { 0 };
        struct amb_request request;
        struct amb_result result = { .scalars = zeros, .bytes = victim->bytes };
        int r;

        amb_exchange(&entry->sequence, ++victim->position);
        r = amb_channel_receive(victim->host, &request, victim->bytes);
        if (r == AMB_CHANNEL_BROKEN) {
                ck_assert_str_ne(amb_channel_reason(victim->host), "");
                ck_assert_int_eq(amb_channel_receive(victim->host, &request, victim->bytes), AMB_CHANNEL_CLOSED);
                victim->broken++;
                victim_again(victim);
                return false;
        }
        ck_assert_int_eq(r, 0);
        range_is_sane(&request);
        result.scalar_count = request.scalar_capacity;
        result.size = request.capacity < 4096 ? request.capacity : 4096;
        result.flags = AMB_REPLY_BYTES;
        ck_assert_int_eq(amb_channel_reply(victim->host, &request, &result), 0);
        return true;
}

static void entry_good(struct victim *victim, uint32_t tag)
{
        struct amb_layout_request *entry = &victim->memory->ring[victim->position % AMB_LAYOUT_RING];

        amb_store(&entry->selector, 3);
        amb_store(&entry->tag, tag);
        amb_store(&entry->shape, 5 | 2 << 8 | 2 << 16);
        amb_store(&entry->size, 100);
        amb_store(&entry->capacity, 100);
}

START_TEST(request_boundaries)
{
        struct victim victim = { 0 };
        uint32_t *words;

        victim_make(&victim);
        for (unsigned word = 1; word < sizeof(struct amb_layout_request) / 4; ++word)
                for (unsigned i = 0; i < AMB_ARRAY_LENGTH(boundary); ++i) {
                        entry_good(&victim, 1);
                        words = (uint32_t *)&victim.memory->ring[victim.position % AMB_LAYOUT_RING];
                        amb_store(&words[word], boundary[i]);
                        victim_step(&victim);
                        entry_good(&victim, 1);
                        ck_assert(victim_step(&victim));
                }
        ck_assert_uint_gt(victim.broken, 20);
        /* The port lies in the slot. */
        for (unsigned i = 0; i < AMB_ARRAY_LENGTH(boundary); ++i) {
                entry_good(&victim, 1);
                amb_store(&victim.memory->ring[victim.position % AMB_LAYOUT_RING].shape, 5 | AMB_CALL_ASYNC << 24);
                amb_store(&victim.memory->slots[5].port, boundary[i]);
                ck_assert_int_eq(victim_step(&victim), AMB_CHANNEL_PORT_INDEX(boundary[i]) < AMB_CHANNEL_PORTS);
        }
        victim_free(&victim);
}
END_TEST

/* Whatever stands in the header page, an entry that is there is taken. */
START_TEST(header_boundaries)
{
        struct victim victim = { 0 };
        uint32_t *words;

        victim_make(&victim);
        words = (uint32_t *)&victim.memory->header;
        for (unsigned word = 0; word < AMB_LAYOUT_PAGE / 4; ++word)
                for (unsigned i = 0; i < AMB_ARRAY_LENGTH(boundary); i += 3) {
                        amb_store(&words[word], boundary[i]);
                        entry_good(&victim, 1);
                        ck_assert(victim_step(&victim));
                }
        victim_free(&victim);
}
END_TEST

START_TEST(slot_in_use_twice)
{
        struct victim victim = { 0 };
        struct amb_request request;

        victim_make(&victim);
        /* 64 unanswered requests, one per slot, are the app's right; the next one is not. */
        for (uint32_t i = 0; i <= AMB_CHANNEL_SLOTS; ++i) {
                victim.position = i;
                entry_good(&victim, i + 1);
                amb_store(&victim.memory->ring[i % AMB_LAYOUT_RING].shape, i % AMB_CHANNEL_SLOTS);
                amb_exchange(&victim.memory->ring[i % AMB_LAYOUT_RING].sequence, i + 1);
                ck_assert_int_eq(amb_channel_receive(victim.host, &request, victim.bytes),
                                 i < AMB_CHANNEL_SLOTS ? 0 : AMB_CHANNEL_BROKEN);
        }
        victim_free(&victim);
}
END_TEST

/* --- flippers --- */

struct flipper {
        struct amb_layout *memory;
        int fd;
        uint32_t stop;
        uint32_t position;                      /* of a hostile host in the ring; 0 again when the app starts anew */
        void (*flip)(struct flipper *flipper, uint64_t random);
        pthread_t thread;
};

static void *flipper_run(void *data)
{
        struct flipper *flipper = data;
        uint64_t state = 11;

        while (!amb_load(&flipper->stop))
                flipper->flip(flipper, random_next(&state));
        return NULL;
}

static void flipper_start(struct flipper *flipper, struct amb_layout *memory, int fd, void (*flip)(struct flipper *, uint64_t))
{
        *flipper = (struct flipper){ .memory = memory, .fd = fd, .flip = flip };
        ck_assert_int_eq(pthread_create(&flipper->thread, NULL, flipper_run, flipper), 0);
}

static void flipper_end(struct flipper *flipper)
{
        amb_exchange(&flipper->stop, 1);
        pthread_join(flipper->thread, NULL);
}

static void punch(int fd, size_t begin, size_t end)
{
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)begin, (off_t)(end - begin));
}

/* Every word of a ring entry but its sequence, between what is allowed and what is not. */
static void flip_requests(struct flipper *flipper, uint64_t random)
{
        uint32_t *words = (uint32_t *)&flipper->memory->ring[random % AMB_LAYOUT_RING];
        unsigned word = 2 + (random >> 8) % 4;
        uint32_t good[] = { 1, 5 | 2 << 8 | 2 << 16, 100, 100 };

        amb_store(&words[word], random & 1 << 20 ? good[word - 2] : boundary[(random >> 24) % AMB_ARRAY_LENGTH(boundary)]);
        amb_store(&flipper->memory->slots[random % AMB_CHANNEL_SLOTS].port, boundary[(random >> 32) % AMB_ARRAY_LENGTH(boundary)]);
        amb_store(&flipper->memory->bytes[5].in[random >> 40 & 4095], (uint8_t)random);
        /* Holes: zeros appear where something was, in slots and bytes. */
        if (random >> 48 == 0) {
                punch(flipper->fd, AMB_LAYOUT_PAGE, offsetof(struct amb_layout, ring));
                punch(flipper->fd, offsetof(struct amb_layout, completions), sizeof(struct amb_layout));
        }
}

START_TEST(requests_rewritten_while_read)
{
        struct victim victim = { 0 };
        struct flipper flipper;
        uint64_t taken = 0;

        victim_make(&victim);
        flipper_start(&flipper, victim.memory, victim.fd, flip_requests);
        for (unsigned i = 0; i < TURNS(100000u); ++i) {
                entry_good(&victim, 1);
                if (i % 4 == 0)
                        amb_store(&victim.memory->ring[victim.position % AMB_LAYOUT_RING].shape, 5 | 9 << 8 | 7 << 24);
                taken += victim_step(&victim);
        }
        flipper_end(&flipper);
        ck_assert_uint_gt(taken, 1000);
        ck_assert_uint_gt(victim.broken, 10);
        victim_free(&victim);
}
END_TEST

static void flip_wake_words(struct flipper *flipper, uint64_t random)
{
        struct amb_layout_header *header = &flipper->memory->header;

        amb_store(&header->host_asleep, random & 1 ? 1 : (uint32_t)(random >> 8 & 3));
        amb_store(&header->armed, random);
        amb_store(&header->overflow, (uint32_t)random & 2);
}

/* The app can keep the host's thread from being woken by calls, but not from being ended. */
START_TEST(wake_words_rewritten)
{
        struct flipper flipper;
        struct pair pair;

        for (unsigned i = 0; i < 300; ++i) {
                struct amb_completion completion = { .port = i % 64 };

                pair_make(&pair, NULL, NULL);
                flipper_start(&flipper, pair.memory, pair.fd, flip_wake_words);
                pair_serve(&pair);
                for (unsigned k = 0; k < i % 100; ++k)
                        ck_assert_int_eq(amb_channel_complete(pair.host, &completion), 0);
                ck_assert_int_eq(pair_serve_end(&pair), AMB_CHANNEL_CLOSED);
                flipper_end(&flipper);
                pair_free(&pair);
        }
}
END_TEST

/* The app claims to have taken what was never there: receive says so, also when it sleeps, and completions stop. */
START_TEST(completions_taken_boundaries)
{
        struct amb_completion completion = { .port = 1 };
        struct pair pair;
        unsigned broken = 0;

        for (unsigned i = 0; i < AMB_ARRAY_LENGTH(boundary); ++i) {
                int r = 0;

                struct amb_channel_counters counters;

                pair_make(&pair, NULL, NULL);
                pair_serve(&pair);
                do
                        amb_channel_counters(pair.host, &counters);
                while (counters.sleeps == 0);
                for (unsigned k = 0; k < 200; ++k) {
                        amb_store(&pair.memory->header.completions_taken, boundary[i]);
                        r = amb_channel_complete(pair.host, &completion);
                        ck_assert(r == 0 || r == AMB_CHANNEL_CLOSED);
                }
                if (r == AMB_CHANNEL_CLOSED) {
                        pthread_join(pair.server, NULL);
                        ck_assert_int_eq(pair.server_result, AMB_CHANNEL_BROKEN);
                        ck_assert_str_ne(amb_channel_reason(pair.host), "");
                        broken++;
                } else {
                        pair_serve_end(&pair);
                }
                pair_free(&pair);
        }
        ck_assert_uint_gt(broken, 10);
}
END_TEST

/* --- a hostile host --- */

/* Answers every call at once with whatever stands in the slot: the flipper writes there. */
static void *host_answer_blindly(void *data)
{
        struct flipper *control = data;
        struct amb_layout *memory = control->memory;
        struct amb_layout_request *entry;
        uint32_t position, shape, tag;

        while (!amb_load(&control->stop)) {
                position = amb_load_acquire(&control->position);
                entry = &memory->ring[position % AMB_LAYOUT_RING];
                if (amb_load_acquire(&entry->sequence) != position + 1)
                        continue;
                shape = amb_load(&entry->shape);
                tag = amb_load(&entry->tag);
                amb_exchange(&control->position, position + 1);
                amb_exchange(&memory->slots[shape & 63].tag, tag);
                amb_futex_wake(&memory->header.caller_asleep[shape & 63]);
        }
        return NULL;
}

static void flip_replies(struct flipper *flipper, uint64_t random)
{
        struct amb_layout_slot *slot = &flipper->memory->slots[0];

        amb_store(&slot->shape, boundary[random % AMB_ARRAY_LENGTH(boundary)] & (random & 1 << 20 ? 0x1FF : UINT32_MAX));
        amb_store(&slot->size, boundary[(random >> 8) % AMB_ARRAY_LENGTH(boundary)]);
        amb_store(&slot->status, random & 1 << 21 ? 0 : (uint32_t)random);
        amb_store(&slot->length, random);
}

struct output {
        uint64_t scalars[17];
        uint8_t bytes[65];
};

/* No call is in progress: the host waits for the next one. */
static void app_again(int fd, struct flipper *host, struct amb_channel **app)
{
        struct amb_layout *memory = host->memory;

        *app = amb_channel_free(*app);
        for (unsigned i = AMB_LAYOUT_RING; i > 0; --i)
                amb_exchange(&memory->ring[i - 1].sequence, 0);
        for (unsigned i = 0; i < AMB_CHANNEL_SLOTS; ++i)
                amb_store(&memory->slots[i].tag, 0);
        amb_exchange(&host->position, 0);
        ck_assert_int_eq(amb_channel_attach(fd, AMB_CHANNEL_APP, NULL, app), 0);
}

START_TEST(replies_rewritten_while_read)
{
        struct output out;
        struct amb_call call = { .capacity = 64, .scalars_out = out.scalars, .bytes_out = out.bytes };
        struct flipper flipper, host = { 0 };
        struct amb_channel *app = NULL;
        struct amb_layout *memory;
        struct amb_reply reply;
        uint64_t good = 0, broken = 0;
        int fd, r;

        ck_assert_int_eq(amb_channel_create(&fd), 0);
        memory = layout_map(fd);
        host.memory = memory;
        app_again(fd, &host, &app);
        ck_assert_int_eq(pthread_create(&host.thread, NULL, host_answer_blindly, &host), 0);
        flipper_start(&flipper, memory, fd, flip_replies);
        /* On until both have been seen often: which of them is rare depends on who runs when. */
        for (unsigned i = 0; i < TURNS(20000u) || ((good <= 100 || broken <= 100) && i < 1000000); ++i) {
                memset(&out, 0x5A, sizeof(out));
                call.scalar_capacity = i % 17;
                r = amb_channel_call(app, &call, &reply);
                if (r == AMB_CHANNEL_BROKEN) {
                        ck_assert_str_ne(amb_channel_reason(app), "");
                        ck_assert_int_eq(amb_channel_call(app, &call, &reply), AMB_CHANNEL_CLOSED);
                        app_again(fd, &host, &app);
                        broken++;
                        continue;
                }
                if (r == AMB_CHANNEL_TERMINATED)        /* a host may say so at any time */
                        continue;
                ck_assert_int_eq(r, 0);
                ck_assert_uint_le(reply.scalar_count, call.scalar_capacity);
                ck_assert_uint_le(reply.size, 64);
                for (unsigned k = reply.scalar_count; k < 17; ++k)
                        ck_assert_uint_eq(out.scalars[k], UINT64_C(0x5A5A5A5A5A5A5A5A));
                for (unsigned k = reply.size; k < 65; ++k)
                        ck_assert_uint_eq(out.bytes[k], 0x5A);
                good++;
        }
        flipper_end(&flipper);
        flipper_end(&host);
        ck_assert_uint_gt(good, 100);
        ck_assert_uint_gt(broken, 100);
        amb_channel_free(app);
        munmap(memory, sizeof(*memory));
        amb_fd_close(fd);
}
END_TEST

START_TEST(completion_boundaries)
{
        struct amb_layout_completion *entry;
        struct amb_completion completion;
        struct pair pair;
        unsigned broken = 0;
        int r;

        for (unsigned word = 1; word < sizeof(*entry) / 4; ++word)
                for (unsigned i = 0; i < AMB_ARRAY_LENGTH(boundary); ++i) {
                        pair_make(&pair, NULL, NULL);
                        entry = &pair.memory->completions[0];
                        amb_store(&entry->shape, 16);
                        amb_store(&((uint32_t *)entry)[word], boundary[i]);
                        amb_exchange(&entry->sequence, 1);
                        r = amb_channel_completion_next(pair.app, &completion);
                        if (r == AMB_CHANNEL_BROKEN) {
                                ck_assert_int_eq(amb_channel_completion_next(pair.app, &completion), AMB_CHANNEL_NO_MORE);
                                ck_assert(!amb_channel_completion_arm(pair.app, 1));
                                broken++;
                        } else {
                                ck_assert_int_eq(r, 0);
                                ck_assert_uint_lt(AMB_CHANNEL_PORT_INDEX(completion.port), AMB_CHANNEL_PORTS);
                                ck_assert_uint_le(completion.count, 16);
                        }
                        pair_free(&pair);
                }
        ck_assert_uint_gt(broken, 20);
}
END_TEST

int main(void)
{
        return run_suite("channel-hostile", room_exhaustive, request_exhaustive, request_boundaries, header_boundaries,
                         slot_in_use_twice, requests_rewritten_while_read, wake_words_rewritten, completions_taken_boundaries,
                         replies_rewritten_while_read, completion_boundaries);
}
