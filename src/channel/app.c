/* SPDX-License-Identifier: Apache-2.0 */
/* The app's half of a call: take a slot, publish, wait, copy the answer out. */
#include <poll.h>
#include "base/cancel.h"
#include "base/place.h"
#include "channel/private.h"

#define DEATH_LOOK_NS 100000000u                /* how often a sleeping caller looks at the host's pidfd */

enum { CALL_FLAGS = AMB_CALL_ASYNC | AMB_CALL_RANGE_IN | AMB_CALL_RANGE_OUT };
enum { REPLY_FLAGS = AMB_REPLY_BYTES | AMB_REPLY_LARGE | AMB_REPLY_IN_RETAINED | AMB_REPLY_OUT_RETAINED | AMB_REPLY_TERMINATED };

/* More than scalars. */
static bool call_rest_valid(const struct amb_call *call)
{
        if (call->size > AMB_CHANNEL_BYTES || (call->flags & ~(unsigned)CALL_FLAGS))
                return false;
        if (call->capacity > AMB_CHANNEL_BYTES && (call->capacity != AMB_CHANNEL_VARIABLE || (call->flags & AMB_CALL_ASYNC)))
                return false;
        if ((call->flags & AMB_CALL_RANGE_IN) && call->size)
                return false;
        if ((call->flags & AMB_CALL_RANGE_OUT) && call->capacity)
                return false;
        return !(call->flags & AMB_CALL_ASYNC) || AMB_CHANNEL_PORT_INDEX(call->port) < AMB_CHANNEL_PORTS;
}

static inline bool call_valid(const struct amb_call *call)
{
        if (call->scalar_count > AMB_CHANNEL_SCALARS || call->scalar_capacity > AMB_CHANNEL_SCALARS)
                return false;
        return amb_likely((call->flags | call->size | call->capacity) == 0) || call_rest_valid(call);
}

/* Nothing is sent any more, and why; 0: it is. */
AMB_COLD static int call_refused(struct amb_channel *channel)
{
        if (amb_channel_over(channel))
                return AMB_CHANNEL_CLOSED;
        return amb_load(&channel->memory->header.terminated) ? AMB_CHANNEL_TERMINATED : 0;
}

/* After the slot has been taken: who ends the channel later finds it in use. */
static inline bool call_allowed(const struct amb_channel *channel)
{
        const struct amb_layout_header *header = &channel->memory->header;

        return amb_likely((amb_load_ordered(&channel->ended) | amb_load_ordered(&header->host_gone) |
                           amb_load_ordered(&header->closed) | amb_load(&header->terminated)) == 0);
}

/* --- slots --- */

/* A slot, or -1: none is free. */
static int slot_try(struct amb_channel *channel)
{
        uint64_t available = __atomic_load_n(&channel->free_slots, __ATOMIC_SEQ_CST);

        while (amb_likely(available != 0)) {
                if (__atomic_compare_exchange_n(&channel->free_slots, &available, available & (available - 1), true,
                                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
                        return __builtin_ctzll(available);
        }
        return -1;
}

/*
 * A slot, or -1: an end. Only callers that hold slots watch the host; when they give up they end the channel and free their slots.
 * A thread that is cancelled goes when its call has returned: not here, where pthread_cond_wait() would let it go, nor in poll().
 */
AMB_COLD static int slot_wait(struct amb_channel *channel)
{
        AMB_NO_CANCEL;
        int slot;

        pthread_mutex_lock(&channel->slot_lock);
        __atomic_fetch_add(&channel->slot_waiters, 1, __ATOMIC_SEQ_CST);
        while ((slot = slot_try(channel)) < 0 && !amb_load_ordered(&channel->ended))
                pthread_cond_wait(&channel->slot_freed, &channel->slot_lock);
        __atomic_fetch_sub(&channel->slot_waiters, 1, __ATOMIC_SEQ_CST);
        pthread_mutex_unlock(&channel->slot_lock);
        return slot;
}

AMB_COLD static void slot_waiter_wake(struct amb_channel *channel)
{
        pthread_mutex_lock(&channel->slot_lock);
        pthread_cond_signal(&channel->slot_freed);
        pthread_mutex_unlock(&channel->slot_lock);
}

static inline void slot_free(struct amb_channel *channel, unsigned slot)
{
        __atomic_fetch_or(&channel->free_slots, UINT64_C(1) << slot, __ATOMIC_SEQ_CST);
        if (amb_unlikely(amb_load_ordered(&channel->slot_waiters) != 0))
                slot_waiter_wake(channel);
}

/* Somebody else is in a call: we may have to wait our turn. */
AMB_COLD static int slot_take_among(struct amb_channel *channel)
{
        unsigned handed;
        int slot;

        if (amb_turn_take(channel, &handed))
                return (int)handed;
        slot = slot_try(channel);
        return slot < 0 && !call_refused(channel) ? slot_wait(channel) : slot;
}

/* A slot, or -1: an end. */
static inline int slot_take(struct amb_channel *channel)
{
        uint64_t all = UINT64_MAX;

        if (amb_likely(__atomic_compare_exchange_n(&channel->free_slots, &all, UINT64_MAX - 1, false, __ATOMIC_SEQ_CST,
                                                   __ATOMIC_SEQ_CST)))
                return 0;
        return slot_take_among(channel);
}

/* --- publishing --- */

static inline void scalars_write(uint64_t *to, const uint64_t *from, unsigned count)
{
        for (unsigned i = 0; i < count; ++i)
                amb_store(&to[i], from[i]);
}

/* Faults here, if at all: a line is less than a page. */
static inline void scalars_touch(const uint64_t *from, unsigned count)
{
        if (count > 0) {
                (void)*(const volatile uint64_t *)&from[0];
                (void)*(const volatile uint64_t *)&from[count - 1];
        }
}

static void range_write(struct amb_layout_range *to, const struct amb_range *from)
{
        amb_store(&to->id, from->id);
        amb_store(&to->file, from->file);
        amb_store(&to->offset, from->offset);
        amb_store(&to->length, from->length);
}

AMB_APART static void call_write_rest(struct amb_layout_slot *to, const struct amb_call *call)
{
        if (call->scalar_count > AMB_LAYOUT_REQUEST_SCALARS)
                scalars_write(to->in_scalars, call->scalars + AMB_LAYOUT_REQUEST_SCALARS,
                              call->scalar_count - AMB_LAYOUT_REQUEST_SCALARS);
        if (call->flags & AMB_CALL_ASYNC) {
                amb_store(&to->port, call->port);
                for (unsigned i = 0; i < AMB_CHANNEL_REFERENCES; ++i)
                        amb_store(&to->reference[i], call->reference[i]);
        }
        if (call->flags & AMB_CALL_RANGE_IN)
                range_write(&to->range_in, &call->range_in);
        if (call->flags & AMB_CALL_RANGE_OUT)
                range_write(&to->range_out, &call->range_out);
}

/* True: it was asleep, or rests, and has been told. */
AMB_WAITING static bool host_wake(struct amb_channel *channel)
{
        uint32_t *asleep = &channel->memory->header.host_asleep, was = amb_exchange(asleep, 0);

        if (was == 0)
                return false;                   /* another waker was first */
        __atomic_fetch_add(&channel->wakes, 1, __ATOMIC_RELAXED);
        if (was == AMB_HOST_RESTS && channel->knock) {
                AMB_NO_CANCEL;

                channel->knock(channel->userdata);
        } else {
                amb_futex_wake_all(asleep);
        }
        return true;
}

/* Publishes the line at `position`. True: the host was asleep. */
static inline bool line_publish(struct amb_channel *channel, struct amb_layout_request *to, uint32_t position)
{
        amb_exchange(&to->sequence, position + 1);
        return amb_unlikely(amb_load_ordered(&channel->memory->header.host_asleep) != 0) && host_wake(channel);
}

static inline void line_write(struct amb_layout_request *to, uint32_t selector, uint32_t tag, uint32_t shape, uint32_t size,
                              uint32_t capacity)
{
        amb_store(&to->selector, selector);
        amb_store(&to->tag, tag);
        amb_store(&to->shape, shape);
        amb_store(&to->size, size);
        amb_store(&to->capacity, capacity);
}

static bool call_publish(struct amb_channel *channel, unsigned slot, uint32_t tag, uint32_t cpu, const struct amb_call *call)
{
        struct amb_layout *memory = channel->memory;
        struct amb_layout_request *to;
        unsigned first = call->scalar_count < AMB_LAYOUT_REQUEST_SCALARS ? call->scalar_count : AMB_LAYOUT_REQUEST_SCALARS;
        uint32_t position;

        /* All that can fault in the caller's memory comes before the place in the ring is taken. */
        if (call->size)
                memcpy(memory->bytes[slot].in, call->bytes, call->size);
        if (call->scalar_count > AMB_LAYOUT_REQUEST_SCALARS || call->flags)
                call_write_rest(&memory->slots[slot], call);
        scalars_touch(call->scalars, first);
        position = __atomic_fetch_add(&channel->next_position, 1, __ATOMIC_SEQ_CST);
        to = &memory->ring[position % AMB_LAYOUT_RING];
        line_write(to, call->selector, tag, slot | call->scalar_count << 8 | call->scalar_capacity << 16 | call->flags << 24,
                   call->size | cpu << 16, call->capacity);
        scalars_write(to->scalars, call->scalars, first);
        return line_publish(channel, to, position);
}

/* --- waiting --- */

static bool host_dead(const struct amb_channel *channel)
{
        AMB_NO_CANCEL;
        struct pollfd look = { .fd = channel->peer_pidfd, .events = POLLIN };

        if (channel->peer_pidfd < 0)
                return false;
        return poll(&look, 1, 0) > 0;           /* also POLLNVAL: without an eye on the host we do not wait for it */
}

/* 0: the tag is there. PEER_DIED: it will not come. */
static int reply_sleep_out(struct amb_channel *channel, const struct amb_layout_slot *from, uint32_t *asleep, uint32_t tag)
{
        uint64_t looked = 0, now;
        bool over;

        for (;;) {
                amb_exchange(asleep, 1);
                over = amb_channel_over(channel);
                /* After the look at `over`: what was answered before the end counts. */
                if (amb_load_ordered(&from->tag) == tag)
                        break;
                if (over)
                        return AMB_CHANNEL_PEER_DIED;
                __atomic_fetch_add(&channel->sleeps, 1, __ATOMIC_RELAXED);
                amb_futex_wait(asleep, DEATH_LOOK_NS);
                /* As it nearly always ends: then no look at the clock, which is a hundredth of a call between two on one CPU. */
                if (amb_load_acquire(&from->tag) == tag)
                        break;
                /* By the clock: signals may cut every sleep short. */
                now = amb_time_now();
                if (now - looked < DEATH_LOOK_NS)
                        continue;
                looked = now;
                if (host_dead(channel))
                        amb_channel_end(channel, true);
        }
        amb_store(asleep, 0);
        return 0;
}

static int reply_sleep(struct amb_channel *channel, unsigned slot, uint32_t tag)
{
        int r;

        amb_turn_sleeps(channel, slot);
        r = reply_sleep_out(channel, &channel->memory->slots[slot], &channel->memory->header.caller_asleep[slot], tag);
        amb_turn_woke(channel, slot);
        return r;
}

/* On the host's own CPU it can only run when we do not. */
AMB_WAITING static int reply_wait(struct amb_channel *channel, unsigned slot, uint32_t tag, uint32_t cpu, bool woken)
{
        const struct amb_layout_slot *from = &channel->memory->slots[slot];
        uint32_t host = amb_load(&channel->memory->header.host_cpu);

        woken |= host == AMB_HOST_MOVING;
        if (host != AMB_HOST_SOMEWHERE && host != cpu + 1 && amb_spin(&channel->spin, &from->tag, tag, &channel->ended, woken))
                return 0;
        return reply_sleep(channel, slot, tag);
}

/* --- the answer --- */

static const char *reply_check(const struct amb_reply *reply, const struct amb_call *call)
{
        uint32_t most = call->capacity < AMB_CHANNEL_BYTES ? call->capacity : AMB_CHANNEL_BYTES;

        if (reply->scalar_count > call->scalar_capacity)
                return "reply: more scalars than there is room";
        if (reply->flags & ~(unsigned)REPLY_FLAGS)
                return "reply: unknown flags";
        if (reply->size > most || (reply->size && !(reply->flags & AMB_REPLY_BYTES)))
                return "reply: more bytes than there is room";
        if ((reply->flags & AMB_REPLY_TERMINATED) && (reply->flags != AMB_REPLY_TERMINATED || reply->status || reply->scalar_count))
                return "reply: terminated, and yet results";
        if ((reply->flags & AMB_REPLY_LARGE) && call->capacity != AMB_CHANNEL_VARIABLE)
                return "reply: variable output that was not asked for";
        return NULL;
}

static inline void scalars_read(uint64_t *to, const uint64_t *from, unsigned count)
{
        for (unsigned i = 0; i < count; ++i)
                to[i] = amb_load(&from[i]);
}

AMB_COLD static int reply_wrong(struct amb_channel *channel, const char *wrong)
{
        amb_channel_break(channel, wrong);
        amb_channel_end(channel, true);
        return amb_channel_broken(channel) == AMB_CHANNEL_BROKEN ? AMB_CHANNEL_BROKEN : AMB_CHANNEL_PEER_DIED;
}

/* `reply` is what the slot's first words say; it has been copied, and has been checked. */
static int reply_take(const struct amb_layout *memory, unsigned slot, const struct amb_call *call, struct amb_reply *reply)
{
        const struct amb_layout_slot *from = &memory->slots[slot];
        unsigned first = reply->scalar_count < AMB_LAYOUT_REPLY_SCALARS ? reply->scalar_count : AMB_LAYOUT_REPLY_SCALARS;

        if (reply->flags & AMB_REPLY_TERMINATED)
                return AMB_CHANNEL_TERMINATED;
        if (reply->status != 0) {
                reply->scalar_count = reply->size = 0;
                return 0;
        }
        scalars_read(call->scalars_out, from->scalars, first);
        if (reply->scalar_count > first)
                scalars_read(call->scalars_out + first, from->more_scalars, reply->scalar_count - first);
        if (reply->size)
                memcpy(call->bytes_out, memory->bytes[slot].out, reply->size);
        if (reply->flags & AMB_REPLY_LARGE) {
                reply->out_region = amb_load(&from->out_region);
                reply->length = amb_load(&from->length);
        }
        return 0;
}

static int reply_read(struct amb_channel *channel, unsigned slot, const struct amb_call *call, uint32_t status, uint32_t shape,
                                uint32_t size, struct amb_reply *ret)
{
        struct amb_reply reply = { .status = (int32_t)status, .flags = shape >> 8, .scalar_count = shape & 0xFF, .size = size };
        const char *wrong;
        int r;

        wrong = reply_check(&reply, call);
        if (amb_unlikely(wrong != NULL))
                return reply_wrong(channel, wrong);
        r = reply_take(channel->memory, slot, call, &reply);
        if (r == 0)
                *ret = reply;
        return r;
}

static inline uint32_t tag_next(struct amb_channel *channel, unsigned slot)
{
        uint32_t tag = channel->tags[slot] + 1;

        tag = tag ? tag : 1;
        channel->tags[slot] = tag;
        return tag;
}

/* The slot is the next one's in turn, or free. */
static inline void call_end(struct amb_channel *channel, int slot)
{
        if (!amb_turn_hand(&channel->turn, (unsigned)slot))
                slot_free(channel, (unsigned)slot);
}

/* There is no slot, or it may not be used: why, negative; or it may, after all. */
AMB_COLD static int call_begin_checked(struct amb_channel *channel, int slot)
{
        int no = call_refused(channel);

        if (slot < 0)
                return no ? -no : -AMB_CHANNEL_CLOSED;
        if (no == 0)
                return slot;
        call_end(channel, slot);
        return -no;
}

/* A slot for a call, or the channel's "no", negative. */
static inline int call_begin(struct amb_channel *channel)
{
        int slot;

        if (amb_channel_foreign(channel))
                return -AMB_CHANNEL_CLOSED;
        slot = slot_take(channel);
        return amb_likely(slot >= 0 && call_allowed(channel)) ? slot : call_begin_checked(channel, slot);
}

/* --- scalars alone, all of them on the two lines that travel anyway --- */

static inline bool call_plain(uint32_t scalar_count, uint32_t scalar_capacity)
{
        return scalar_count <= AMB_LAYOUT_REQUEST_SCALARS && scalar_capacity <= AMB_LAYOUT_REPLY_SCALARS;
}

/* An answer that is not success and scalars: checked one by one. */
AMB_APART static struct amb_answer answer_read(struct amb_channel *channel, unsigned slot, uint64_t *scalars_out,
                                               uint32_t scalar_capacity, uint32_t status, uint32_t shape, uint32_t size)
{
        const struct amb_call call = { .scalars_out = scalars_out, .scalar_capacity = scalar_capacity };
        struct amb_reply reply = { 0 };
        int no = reply_read(channel, slot, &call, status, shape, size, &reply);

        return (struct amb_answer){ .no = no, .status = reply.status, .scalar_count = reply.scalar_count, .flags = reply.flags };
}

static inline struct amb_answer answer_read_plain(struct amb_channel *channel, unsigned slot, uint64_t *scalars_out,
                                                  uint32_t scalar_capacity)
{
        const struct amb_layout_slot *from = &channel->memory->slots[slot];
        uint32_t status = amb_load(&from->status), shape = amb_load(&from->shape), size = amb_load(&from->size);

        /* No flags, and not too many scalars. */
        if (amb_unlikely(shape > scalar_capacity || (status | size) != 0))
                return answer_read(channel, slot, scalars_out, scalar_capacity, status, shape, size);
        scalars_read(scalars_out, from->scalars, shape);
        return (struct amb_answer){ .scalar_count = shape };
}

AMB_APART static struct amb_answer call_not_plain(struct amb_channel *channel, uint32_t selector, const uint64_t *scalars,
                                                  uint32_t scalar_count, uint64_t *scalars_out, uint32_t scalar_capacity)
{
        const struct amb_call call = { .selector = selector, .scalars = scalars, .scalar_count = scalar_count,
                                       .scalars_out = scalars_out, .scalar_capacity = scalar_capacity };
        struct amb_reply reply = { 0 };
        int no = amb_channel_call(channel, &call, &reply);

        return (struct amb_answer){ .no = no, .status = reply.status, .scalar_count = reply.scalar_count, .flags = reply.flags };
}

struct amb_answer amb_channel_call_scalars(struct amb_channel *channel, uint32_t selector, const uint64_t *scalars,
                                           uint32_t scalar_count, uint64_t *scalars_out, uint32_t scalar_capacity)
{
        struct amb_answer answer = { 0 };
        struct amb_layout_request *to;
        uint32_t tag, cpu, position;
        bool woken;
        int slot;

        if (amb_unlikely(!call_plain(scalar_count, scalar_capacity)))
                return call_not_plain(channel, selector, scalars, scalar_count, scalars_out, scalar_capacity);
        slot = call_begin(channel);
        if (amb_unlikely(slot < 0))
                return (struct amb_answer){ .no = -slot };
        tag = tag_next(channel, (unsigned)slot);
        cpu = amb_place_cpu();
        scalars_touch(scalars, scalar_count);
        position = __atomic_fetch_add(&channel->next_position, 1, __ATOMIC_SEQ_CST);
        to = &channel->memory->ring[position % AMB_LAYOUT_RING];
        line_write(to, selector, tag, (unsigned)slot | scalar_count << 8 | scalar_capacity << 16, cpu << 16, 0);
        scalars_write(to->scalars, scalars, scalar_count);
        woken = line_publish(channel, to, position);
        answer.no = reply_wait(channel, (unsigned)slot, tag, cpu, woken);
        if (amb_likely(answer.no == 0))
                answer = answer_read_plain(channel, (unsigned)slot, scalars_out, scalar_capacity);
        call_end(channel, slot);
        return answer;
}

/* --- everything --- */

static int call_scalars(struct amb_channel *channel, const struct amb_call *call, struct amb_reply *ret)
{
        struct amb_answer answer = amb_channel_call_scalars(channel, call->selector, call->scalars, call->scalar_count,
                                                            call->scalars_out, call->scalar_capacity);

        if (answer.no == 0)
                *ret = (struct amb_reply){ .status = answer.status, .flags = answer.flags, .scalar_count = answer.scalar_count };
        return answer.no;
}

int amb_channel_call(struct amb_channel *channel, const struct amb_call *call, struct amb_reply *ret)
{
        const struct amb_layout_slot *from;
        uint32_t tag, cpu;
        int slot, r;

        if (!call_valid(call))
                return -EINVAL;
        if ((call->flags | call->size | call->capacity) == 0 && call_plain(call->scalar_count, call->scalar_capacity))
                return call_scalars(channel, call, ret);
        slot = call_begin(channel);
        if (slot < 0)
                return -slot;
        tag = tag_next(channel, (unsigned)slot);
        cpu = amb_place_cpu();
        from = &channel->memory->slots[slot];
        r = reply_wait(channel, (unsigned)slot, tag, cpu, call_publish(channel, (unsigned)slot, tag, cpu, call));
        if (r == 0)
                r = reply_read(channel, (unsigned)slot, call, amb_load(&from->status), amb_load(&from->shape),
                               amb_load(&from->size), ret);
        call_end(channel, slot);
        return r;
}
