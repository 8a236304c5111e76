/* SPDX-License-Identifier: Apache-2.0 */
/* The host's half of a call: take a private copy, check it, answer it. */
#include "base/place.h"
#include "channel/private.h"

enum { CALL_FLAGS = AMB_CALL_ASYNC | AMB_CALL_RANGE_IN | AMB_CALL_RANGE_OUT };
enum { REPLY_FLAGS = AMB_REPLY_BYTES | AMB_REPLY_LARGE | AMB_REPLY_IN_RETAINED | AMB_REPLY_OUT_RETAINED | AMB_REPLY_TERMINATED };

#define SLOT_IN_USE "request: slot is in use"

const char *amb_request_check(const struct amb_request *request)
{
        if (request->slot >= AMB_CHANNEL_SLOTS)
                return "request: no such slot";
        if (request->tag == 0)
                return "request: tag 0";
        if (request->scalar_count > AMB_CHANNEL_SCALARS || request->scalar_capacity > AMB_CHANNEL_SCALARS)
                return "request: too many scalars";
        if (request->flags & ~(unsigned)CALL_FLAGS)
                return "request: unknown flags";
        if (request->size > AMB_CHANNEL_BYTES || (request->size && (request->flags & AMB_CALL_RANGE_IN)))
                return "request: too many bytes";
        if (request->capacity && (request->flags & AMB_CALL_RANGE_OUT))
                return "request: two places for the output";
        if (request->capacity > AMB_CHANNEL_BYTES &&
            (request->capacity != AMB_CHANNEL_VARIABLE || (request->flags & AMB_CALL_ASYNC)))
                return "request: too much room for output";
        return NULL;
}

static inline void scalars_read(uint64_t *to, const uint64_t *from, unsigned count)
{
        for (unsigned i = 0; i < count; ++i)
                to[i] = amb_load(&from[i]);
}

static void range_read(struct amb_range *to, const struct amb_layout_range *from)
{
        to->id = amb_load(&from->id);
        to->file = amb_load(&from->file);
        to->offset = amb_load(&from->offset);
        to->length = amb_load(&from->length);
}

/* What lies with the slot; `request` has been checked as far as it goes. */
AMB_APART static const char *request_read_rest(struct amb_request *request, const struct amb_layout_slot *from)
{
        if (request->scalar_count > AMB_LAYOUT_REQUEST_SCALARS)
                scalars_read(request->scalars + AMB_LAYOUT_REQUEST_SCALARS, from->in_scalars,
                             request->scalar_count - AMB_LAYOUT_REQUEST_SCALARS);
        if (request->flags & AMB_CALL_ASYNC) {
                request->port = amb_load(&from->port);
                for (unsigned i = 0; i < AMB_CHANNEL_REFERENCES; ++i)
                        request->reference[i] = amb_load(&from->reference[i]);
        }
        if (request->flags & AMB_CALL_RANGE_IN)
                range_read(&request->range_in, &from->range_in);
        if (request->flags & AMB_CALL_RANGE_OUT)
                range_read(&request->range_out, &from->range_out);
        return AMB_CHANNEL_PORT_INDEX(request->port) < AMB_CHANNEL_PORTS ? NULL : "request: no such port";
}

/* What is more than a few scalars: all checks, one by one. */
AMB_APART static const char *request_take_rest(struct amb_channel *channel, struct amb_request *request, void *bytes)
{
        struct amb_layout *memory = channel->memory;
        const char *wrong = amb_request_check(request);

        if (!wrong && amb_load_acquire(&channel->flight[request->slot]) != 0)
                wrong = SLOT_IN_USE;
        if (!wrong && (request->scalar_count > AMB_LAYOUT_REQUEST_SCALARS || request->flags))
                wrong = request_read_rest(request, &memory->slots[request->slot]);
        if (!wrong && request->size && bytes)
                memcpy(bytes, memory->bytes[request->slot].in, request->size);
        return wrong;
}

/*
 * A slot that there is, a tag, no flags, no more scalars than the line holds, no bytes: what amb_request_check() and the rest find
 * good.
 */
static inline bool request_plain(uint32_t tag, uint32_t shape, uint32_t size, uint32_t capacity)
{
        return (shape & 0xFF0000C0u) == 0 && (shape >> 8 & 0xFF) <= AMB_LAYOUT_REQUEST_SCALARS &&
               (shape >> 16) <= AMB_CHANNEL_SCALARS && tag != 0 && ((size & 0xFFFF) | capacity) == 0;
}

/* Every word of the entry is read exactly once. */
static inline const char *request_take(struct amb_channel *channel, const struct amb_layout_request *from, struct amb_request *ret,
                                       void *bytes)
{
        uint32_t tag = amb_load(&from->tag), shape = amb_load(&from->shape), size = amb_load(&from->size);
        uint32_t capacity = amb_load(&from->capacity);
        uint32_t count = shape >> 8 & 0xFF, slot = shape & 0xFF;
        const char *wrong = NULL;

        ret->selector = amb_load(&from->selector);
        ret->flags = shape >> 24;
        ret->scalar_count = count;
        ret->scalar_capacity = shape >> 16 & 0xFF;
        ret->size = size & 0xFFFF;
        ret->capacity = capacity;
        ret->port = 0;
        ret->slot = slot;
        ret->tag = tag;
        ret->cpu = size >> 16;
        /* In two halves, which are a few stores each; as one they would be a loop that the processor takes long to start. */
        memset(ret->scalars, 0, sizeof(ret->scalars) / 2);
        memset(ret->scalars + AMB_CHANNEL_SCALARS / 2, 0, sizeof(ret->scalars) / 2);
        scalars_read(ret->scalars, from->scalars, count < AMB_LAYOUT_REQUEST_SCALARS ? count : AMB_LAYOUT_REQUEST_SCALARS);
        if (amb_unlikely(!request_plain(tag, shape, size, capacity)))
                wrong = request_take_rest(channel, ret, bytes);
        /* A slot in use twice would let the app make us hold any number of calls. */
        else if (amb_unlikely(amb_load_acquire(&channel->flight[slot]) != 0))
                wrong = SLOT_IN_USE;
        if (amb_likely(!wrong))
                amb_store(&channel->flight[slot], tag);
        return wrong;
}

/* --- waiting; policy: pace.h --- */

/* Tells the app where we are. */
static void say_cpu(struct amb_channel *channel, uint32_t cpu)
{
        if (__builtin_expect(channel->said_cpu == cpu, 1))
                return;
        channel->said_cpu = cpu;
        amb_store(&channel->memory->header.host_cpu, cpu);
}

/* Puts the thread where it is to sleep. */
static void go_to_bed(struct amb_channel *channel, uint64_t now)
{
        struct amb_pace *pace = &channel->pace;

        amb_pace_sleep(pace, now - channel->woken_at);
        if (pace->where == AMB_PACE_FREE) {
                amb_place_home();
                say_cpu(channel, AMB_HOST_SOMEWHERE);
                return;
        }
        if (pace->where == AMB_PACE_NEAR)
                amb_place_on(pace->caller);
        else
                amb_place_off(pace->caller);
        say_cpu(channel, amb_place_cpu() + 1);
}

/* Until a request is there, completions can move on, or it is over. No time limit: an idle host does not run. */
AMB_WAITING static void request_sleep(struct amb_channel *channel, const struct amb_layout_request *from, uint32_t expected)
{
        uint32_t *asleep = &channel->memory->header.host_asleep;
        uint64_t begin = amb_time_now();
        bool work;

        go_to_bed(channel, begin);
        amb_exchange(&channel->waiting, 1);
        amb_exchange(asleep, 1);
        work = amb_completion_can_move(channel);  /* first: it may find the channel broken */
        if (!work && !amb_load_ordered(&channel->ended) && !amb_load_ordered(&channel->broken) &&
            amb_load_ordered(&channel->terminated) != 1 && amb_load_ordered(&from->sequence) != expected) {
                amb_store(&channel->sleeps, channel->sleeps + 1);
                amb_futex_wait(asleep, 0);
        }
        amb_store(asleep, 0);
        amb_exchange(&channel->waiting, 0);
        channel->woken_at = amb_time_now();
        amb_pace_wake(&channel->pace, channel->woken_at - begin);
}

/* True: the request is there. */
AMB_WAITING static bool request_spin(struct amb_channel *channel, const struct amb_layout_request *from, uint32_t expected)
{
        uint32_t cpu;

        if (amb_load_acquire(&from->sequence) == expected)
                return true;
        if (channel->pace.where != AMB_PACE_FAR)
                return false;
        if (!amb_place_off(channel->pace.caller)) {
                amb_pace_confine(&channel->pace);
                return false;
        }
        cpu = amb_place_cpu();
        say_cpu(channel, cpu + 1);
        return cpu != channel->pace.caller && amb_spin(&channel->spin, &from->sequence, expected, &channel->ended, false);
}

/* We are to be FAR, and are on the caller's CPU: we leave it at the next wait, if there is another one for us. */
static __attribute__((cold, noinline)) void request_leave(struct amb_channel *channel, uint32_t cpu)
{
        if (amb_place_has_other(cpu))
                say_cpu(channel, AMB_HOST_MOVING);
        else
                amb_pace_confine(&channel->pace);
}

/* Callers have slept, or calls took long: how long does this one take? */
AMB_WAITING static void request_time(struct amb_channel *channel)
{
        channel->taken_at = amb_time_now();
}

/* A request has been taken: where was its caller, and where are we? */
static void request_pace(struct amb_channel *channel, const struct amb_request *request)
{
        uint64_t wakes = amb_load(&channel->wakes);
        uint32_t cpu = amb_place_cpu();

        amb_pace_call(&channel->pace, request->cpu, cpu, wakes != channel->wakes_seen);
        channel->wakes_seen = wakes;
        if (amb_unlikely(channel->pace.timing))
                request_time(channel);
        if (channel->pace.where != AMB_PACE_FAR)
                return;
        if (__builtin_expect(cpu == channel->pace.caller, 0))
                request_leave(channel, cpu);
        else
                say_cpu(channel, cpu + 1);
}

/* The last call is over, or another thread goes on with it. */
AMB_WAITING static void request_served(struct amb_channel *channel)
{
        amb_pace_served(&channel->pace, amb_time_now() - channel->taken_at);
        channel->taken_at = 0;
}

/* Somebody has asked the thread to go, or it has come back. True: it may go; the app knocks when it wants something. */
static bool request_rest(struct amb_channel *channel, const struct amb_layout_request *from, uint32_t expected)
{
        uint32_t *asleep = &channel->memory->header.host_asleep;

        if (amb_load(&channel->rest) == AMB_REST_ASKED && !amb_load(&channel->kept)) {
                say_cpu(channel, AMB_HOST_SOMEWHERE);
                amb_exchange(&channel->rest, AMB_REST_RESTS);
                amb_exchange(asleep, AMB_HOST_RESTS);
                if (!amb_load_ordered(&channel->ended) && !amb_load_ordered(&channel->broken) &&
                    amb_load_ordered(&channel->terminated) != 1 && amb_load_ordered(&from->sequence) != expected)
                        return true;
        }
        amb_exchange(asleep, 0);
        amb_exchange(&channel->rest, AMB_REST_AWAKE);
        channel->woken_at = amb_time_now();
        return false;
}

/* 0: the request is there. */
AMB_WAITING static int request_await(struct amb_channel *channel, const struct amb_layout_request *from, uint32_t expected)
{
        for (;;) {
                if (__builtin_expect(amb_load(&channel->rest) != AMB_REST_AWAKE, 0) && request_rest(channel, from, expected))
                        return AMB_CHANNEL_RESTS;
                if (amb_load(&channel->broken))
                        return amb_channel_broken(channel);
                if (amb_load_ordered(&channel->ended))
                        return AMB_CHANNEL_CLOSED;
                if (__builtin_expect(amb_load(&channel->terminated) == 1, 0)) {
                        amb_exchange(&channel->terminated, 2);
                        return AMB_CHANNEL_TERMINATED;
                }
                if (amb_load(&channel->kept))
                        amb_channel_flush(channel);
                if (request_spin(channel, from, expected))
                        return 0;
                request_sleep(channel, from, expected);
        }
}

AMB_COLD static int request_wrong(struct amb_channel *channel, const char *wrong)
{
        amb_channel_break(channel, wrong);
        amb_exchange(&channel->ended, 1);
        return amb_channel_broken(channel);
}

int amb_channel_receive(struct amb_channel *channel, struct amb_request *ret, void *bytes)
{
        struct amb_layout_request *from = &channel->memory->ring[channel->position % AMB_LAYOUT_RING];
        uint32_t expected = channel->position + 1;
        const char *wrong;
        int r;

        if (amb_unlikely(channel->taken_at != 0))
                request_served(channel);
        r = request_await(channel, from, expected);
        if (amb_unlikely(r != 0))
                return r;
        wrong = request_take(channel, from, ret, bytes);
        if (amb_unlikely(wrong != NULL))
                return request_wrong(channel, wrong);
        amb_store(&channel->position, expected);
        request_pace(channel, ret);
        return 0;
}

bool amb_channel_idle(struct amb_channel *channel)
{
        uint32_t position = amb_load_ordered(&channel->position);

        if (amb_channel_foreign(channel) ||
            amb_load_ordered(&channel->memory->ring[position % AMB_LAYOUT_RING].sequence) == position + 1)
                return false;
        /* Last: who waits now, or has gone, has come back from whatever was taken before we read the position. */
        return amb_load_ordered(&channel->waiting) != 0 || amb_load_ordered(&channel->rest) == AMB_REST_RESTS;
}

void amb_channel_bytes(struct amb_channel *channel, const struct amb_request *request, void *bytes)
{
        memcpy(bytes, channel->memory->bytes[request->slot].in, request->size);
}

AMB_APART static bool result_fits(const struct amb_request *request, const struct amb_result *result)
{
        uint32_t most = request->capacity < AMB_CHANNEL_BYTES ? request->capacity : AMB_CHANNEL_BYTES;

        if (result->flags & ~(unsigned)REPLY_FLAGS)
                return false;
        if (result->flags & AMB_REPLY_TERMINATED)
                return result->flags == AMB_REPLY_TERMINATED && result->status == 0 && result->scalar_count == 0 &&
                       result->size == 0;
        if (result->status != 0)
                return true;
        if (result->scalar_count > request->scalar_capacity || result->size > most)
                return false;
        if (result->size && !(result->flags & AMB_REPLY_BYTES))
                return false;
        return !(result->flags & AMB_REPLY_LARGE) || request->capacity == AMB_CHANNEL_VARIABLE;
}

static inline void scalars_write(uint64_t *to, const uint64_t *from, unsigned count)
{
        for (unsigned i = 0; i < count; ++i)
                amb_store(&to[i], from[i]);
}

static inline void shape_write(struct amb_layout_slot *to, uint32_t status, uint32_t shape, uint32_t size)
{
        amb_store(&to->status, status);
        amb_store(&to->shape, shape);
        amb_store(&to->size, size);
}

AMB_APART static void result_write(struct amb_layout *memory, unsigned slot, const struct amb_result *result)
{
        const unsigned retained = AMB_REPLY_IN_RETAINED | AMB_REPLY_OUT_RETAINED;
        struct amb_layout_slot *to = &memory->slots[slot];
        unsigned first = result->scalar_count < AMB_LAYOUT_REPLY_SCALARS ? result->scalar_count : AMB_LAYOUT_REPLY_SCALARS;

        if (result->status != 0) {
                shape_write(to, (uint32_t)result->status, (result->flags & retained) << 8, 0);
                return;
        }
        scalars_write(to->scalars, result->scalars, first);
        if (result->scalar_count > first)
                scalars_write(to->more_scalars, result->scalars + first, result->scalar_count - first);
        if (result->size)
                memcpy(memory->bytes[slot].out, result->bytes, result->size);
        if (result->flags & AMB_REPLY_LARGE) {
                amb_store(&to->out_region, result->out_region);
                amb_store(&to->length, result->length);
        }
        shape_write(to, 0, result->scalar_count | result->flags << 8, result->size);
}

AMB_WAITING static void caller_wake(struct amb_channel *channel, unsigned slot)
{
        if (amb_futex_wake_slow(&channel->memory->header.caller_asleep[slot]))
                __atomic_fetch_add(&channel->wakes, 1, __ATOMIC_RELAXED);
}

/* After the answer has been written. */
static inline void answer_publish(struct amb_channel *channel, unsigned slot, uint32_t tag)
{
        struct amb_layout *memory = channel->memory;

        /* Before the tag: with it the app may use the slot again. */
        amb_store_release(&channel->flight[slot], 0);
        amb_exchange(&memory->slots[slot].tag, tag);
        if (amb_unlikely(amb_load_ordered(&memory->header.caller_asleep[slot]) != 0))
                caller_wake(channel, slot);
}

/* Has this request not been answered? */
static inline bool in_flight(struct amb_channel *channel, unsigned slot, uint32_t tag)
{
        return amb_likely(slot < AMB_CHANNEL_SLOTS && tag != 0 && amb_load(&channel->flight[slot]) == tag);
}

int amb_channel_reply_scalars(struct amb_channel *channel, const struct amb_request *request, const uint64_t *scalars,
                              uint32_t count)
{
        struct amb_layout_slot *to = &channel->memory->slots[request->slot];

        if (amb_unlikely(count > AMB_LAYOUT_REPLY_SCALARS || count > request->scalar_capacity))
                return amb_channel_reply(channel, request, &(struct amb_result){ .scalars = scalars, .scalar_count = count });
        if (!in_flight(channel, request->slot, request->tag))
                return -EALREADY;
        scalars_write(to->scalars, scalars, count);
        shape_write(to, 0, count, 0);
        answer_publish(channel, request->slot, request->tag);
        return 0;
}

int amb_channel_reply(struct amb_channel *channel, const struct amb_request *request, const struct amb_result *result)
{
        if (!result_fits(request, result))
                return -EINVAL;
        if (!in_flight(channel, request->slot, request->tag))
                return -EALREADY;
        result_write(channel->memory, request->slot, result);
        answer_publish(channel, request->slot, request->tag);
        return 0;
}
