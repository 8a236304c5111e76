/* SPDX-License-Identifier: Apache-2.0 */
/* The host's half of a call: take a private copy, check it, answer it. */
#include "base/place.h"
#include "channel/private.h"

enum { CALL_FLAGS = AMB_CALL_ASYNC | AMB_CALL_RANGE_IN | AMB_CALL_RANGE_OUT };
enum { REPLY_FLAGS = AMB_REPLY_BYTES | AMB_REPLY_LARGE | AMB_REPLY_IN_RETAINED | AMB_REPLY_OUT_RETAINED | AMB_REPLY_TERMINATED };

/* More than scalars. */
static const char *request_rest_check(const struct amb_request *request)
{
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

static inline const char *request_check(const struct amb_request *request)
{
        if (request->slot >= AMB_CHANNEL_SLOTS)
                return "request: no such slot";
        if (request->tag == 0)
                return "request: tag 0";
        if (request->scalar_count > AMB_CHANNEL_SCALARS || request->scalar_capacity > AMB_CHANNEL_SCALARS)
                return "request: too many scalars";
        return amb_likely((request->flags | request->size | request->capacity) == 0) ? NULL : request_rest_check(request);
}

const char *amb_request_check(const struct amb_request *request)
{
        return request_check(request);
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

/* Every word of the entry is read exactly once. */
static inline const char *request_take(struct amb_channel *channel, const struct amb_layout_request *from, struct amb_request *ret,
                                void *bytes)
{
        struct amb_layout *memory = channel->memory;
        uint32_t shape = amb_load(&from->shape), size;
        const char *wrong;
        unsigned first;

        ret->selector = amb_load(&from->selector);
        ret->tag = amb_load(&from->tag);
        size = amb_load(&from->size);
        ret->size = size & 0xFFFF;
        ret->cpu = size >> 16;
        ret->capacity = amb_load(&from->capacity);
        ret->slot = shape & 0xFF;
        ret->scalar_count = shape >> 8 & 0xFF;
        ret->scalar_capacity = shape >> 16 & 0xFF;
        ret->flags = shape >> 24;
        ret->port = 0;
        wrong = request_check(ret);
        if (amb_unlikely(wrong != NULL))
                return wrong;
        /* A slot in use twice would let the app make us hold any number of calls. */
        if (amb_unlikely(amb_load_acquire(&channel->flight[ret->slot]) != 0))
                return "request: slot is in use";
        /* In two halves, which are a few stores each; as one they would be a loop that the processor takes long to start. */
        memset(ret->scalars, 0, sizeof(ret->scalars) / 2);
        memset(ret->scalars + AMB_CHANNEL_SCALARS / 2, 0, sizeof(ret->scalars) / 2);
        first = ret->scalar_count < AMB_LAYOUT_REQUEST_SCALARS ? ret->scalar_count : AMB_LAYOUT_REQUEST_SCALARS;
        scalars_read(ret->scalars, from->scalars, first);
        if (amb_unlikely(ret->scalar_count > first || ret->flags)) {
                wrong = request_read_rest(ret, &memory->slots[ret->slot]);
                if (wrong)
                        return wrong;
        }
        if (ret->size && bytes)
                memcpy(bytes, memory->bytes[ret->slot].in, ret->size);
        amb_store(&channel->flight[ret->slot], ret->tag);
        return NULL;
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
                __atomic_fetch_add(&channel->sleeps, 1, __ATOMIC_RELAXED);
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

/* A request has been taken: where was its caller, and where are we? */
static void request_pace(struct amb_channel *channel, const struct amb_request *request)
{
        uint64_t wakes = amb_load(&channel->wakes);
        uint32_t cpu = amb_place_cpu();

        amb_pace_call(&channel->pace, request->cpu, cpu, wakes != channel->wakes_seen);
        channel->wakes_seen = wakes;
        if (channel->pace.where != AMB_PACE_FAR)
                return;
        if (__builtin_expect(cpu == channel->pace.caller, 0))
                request_leave(channel, cpu);
        else
                say_cpu(channel, cpu + 1);
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

int amb_channel_receive(struct amb_channel *channel, struct amb_request *ret, void *bytes)
{
        struct amb_layout_request *from = &channel->memory->ring[channel->position % AMB_LAYOUT_RING];
        uint32_t expected = channel->position + 1;
        const char *wrong;

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
                        break;
                request_sleep(channel, from, expected);
        }
        wrong = request_take(channel, from, ret, bytes);
        if (wrong) {
                amb_channel_break(channel, wrong);
                amb_exchange(&channel->ended, 1);
                return amb_channel_broken(channel);
        }
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
                return result->flags == AMB_REPLY_TERMINATED && result->status == 0 && result->scalar_count == 0 && result->size == 0;
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

/* Success and scalars alone, on the line that travels anyway; it fits. */
static inline bool result_plain(const struct amb_request *request, const struct amb_result *result)
{
        return ((uint32_t)result->status | result->flags | result->size) == 0 && result->scalar_count <= AMB_LAYOUT_REPLY_SCALARS &&
               result->scalar_count <= request->scalar_capacity;
}

AMB_WAITING static void caller_wake(struct amb_channel *channel, unsigned slot)
{
        if (amb_futex_wake_slow(&channel->memory->header.caller_asleep[slot]))
                __atomic_fetch_add(&channel->wakes, 1, __ATOMIC_RELAXED);
}

int amb_channel_reply(struct amb_channel *channel, const struct amb_request *request, const struct amb_result *result)
{
        struct amb_layout *memory = channel->memory;
        unsigned slot = request->slot;
        uint32_t tag = request->tag;
        bool plain = result_plain(request, result);

        if (amb_unlikely(!plain && !result_fits(request, result)))
                return -EINVAL;
        if (amb_unlikely(slot >= AMB_CHANNEL_SLOTS || tag == 0 || amb_load(&channel->flight[slot]) != tag))
                return -EALREADY;
        if (amb_likely(plain)) {
                scalars_write(memory->slots[slot].scalars, result->scalars, result->scalar_count);
                shape_write(&memory->slots[slot], 0, result->scalar_count, 0);
        } else
                result_write(memory, slot, result);
        /* Before the tag: with it the app may use the slot again. */
        amb_store_release(&channel->flight[slot], 0);
        amb_exchange(&memory->slots[slot].tag, tag);
        if (amb_unlikely(amb_load_ordered(&memory->header.caller_asleep[slot]) != 0))
                caller_wake(channel, slot);
        return 0;
}
