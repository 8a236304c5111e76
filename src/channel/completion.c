/* SPDX-License-Identifier: Apache-2.0 */
/* Completions: the host's end with its overflow, and the app's. All under this side's own lock. */
#include <poll.h>
#include "channel/private.h"

#define APP_LOOK_NS 500000000u                  /* how often a thread that waits for room looks at the app's pidfd */

enum { SHAPE_WIDE = 1u << 8 };

/* --- host --- */

static bool completion_room(struct amb_channel *channel)
{
        uint32_t room;

        if (channel->completion_position - channel->completion_taken < AMB_LAYOUT_COMPLETIONS)
                return true;
        channel->completion_taken = amb_load_ordered(&channel->memory->header.completions_taken);
        if (!amb_room_check(channel->completion_position, channel->completion_taken, AMB_LAYOUT_COMPLETIONS, &room)) {
                /* Stay full: nothing is published any more. */
                channel->completion_taken = channel->completion_position - AMB_LAYOUT_COMPLETIONS;
                amb_channel_break(channel, "completions: the app took what was not there");
                return false;
        }
        return room > 0;
}

static void completion_publish(struct amb_channel *channel, const struct amb_completion *completion)
{
        struct amb_layout_completion *to = &channel->memory->completions[channel->completion_position % AMB_LAYOUT_COMPLETIONS];
        uint64_t *armed = &channel->memory->header.armed;
        uint64_t bit = UINT64_C(1) << AMB_CHANNEL_PORT_INDEX(completion->port);
        uint64_t wide = 0;

        for (unsigned i = 3; i < AMB_CHANNEL_REFERENCES; ++i)
                wide |= completion->reference[i];
        for (unsigned i = 3; wide && i < AMB_CHANNEL_REFERENCES; ++i)
                amb_store(&to->more_reference[i - 3], completion->reference[i]);
        for (unsigned i = AMB_LAYOUT_COMPLETION_ARGS; i < completion->count; ++i)
                amb_store(&to->more_args[i - AMB_LAYOUT_COMPLETION_ARGS], completion->args[i]);
        amb_store(&to->port, completion->port);
        amb_store(&to->status, (uint32_t)completion->status);
        amb_store(&to->shape, completion->count | (wide ? SHAPE_WIDE : 0));
        amb_store(&to->reference[0], completion->reference[1]);
        amb_store(&to->reference[1], completion->reference[2]);
        for (unsigned i = 0; i < completion->count && i < AMB_LAYOUT_COMPLETION_ARGS; ++i)
                amb_store(&to->args[i], completion->args[i]);
        channel->completion_position++;
        amb_store(&channel->completion_count, channel->completion_count + 1);
        amb_exchange(&to->sequence, channel->completion_position);
        if (!(amb_load_ordered(armed) & bit))
                return;
        if (!(__atomic_fetch_and(armed, ~bit, __ATOMIC_SEQ_CST) & bit) || !channel->wake)
                return;
        __atomic_fetch_add(&channel->wakes, 1, __ATOMIC_RELAXED);
        channel->wake(channel->userdata, AMB_CHANNEL_PORT_INDEX(completion->port));
}

static int overflow_keep(struct amb_channel *channel, const struct amb_completion *completion)
{
        struct amb_overflow *overflow = &channel->overflow;

        if (amb_overflow_push(overflow, completion))
                return 0;
        overflow->dropped++;
        if (!channel->dropped_logged)
                amb_log(AMB_LOG_WARNING, "channel: an application leaves %u completions unread (%u KiB): further ones are dropped",
                        overflow->count, overflow->blocks * (AMB_OVERFLOW_BLOCK_BYTES / 1024));
        channel->dropped_logged = true;
        return AMB_CHANNEL_DROPPED;
}

/* Nothing is kept any more, whatever was. */
static void overflow_empty(struct amb_channel *channel)
{
        amb_overflow_clear(&channel->overflow);
        amb_store(&channel->kept, 0);
        amb_store(&channel->memory->header.overflow, 0);
        if (channel->flushing)
                amb_futex_wake(&channel->memory->header.flusher_asleep);
}

static void overflow_move(struct amb_channel *channel)
{
        struct amb_overflow *overflow = &channel->overflow;
        struct amb_completion completion;

        while (overflow->count && completion_room(channel)) {
                amb_overflow_peek(overflow, &completion);
                completion_publish(channel, &completion);
                amb_overflow_pop(overflow);
        }
        amb_store(&channel->kept, overflow->count);
        if (!overflow->count)
                overflow_empty(channel);
}

/* Will what is published be read? */
static bool completion_reader_gone(struct amb_channel *channel)
{
        return amb_load(&channel->gone) || amb_load(&channel->broken) || amb_load(&channel->peer_gone) ||
               amb_load_ordered(&channel->memory->header.detached);
}

bool amb_completion_can_move(struct amb_channel *channel)
{
        bool can = false;

        if (!amb_load(&channel->kept))
                return false;
        pthread_mutex_lock(&channel->completion_lock);
        if (channel->overflow.count)
                can = completion_room(channel);
        pthread_mutex_unlock(&channel->completion_lock);
        return can;
}

/* One place says BROKEN: receive. */
static void completion_report(struct amb_channel *channel)
{
        if (__builtin_expect(amb_load(&channel->broken) == 1, 0))
                amb_channel_rouse(channel);
}

void amb_channel_flush(struct amb_channel *channel)
{
        if (!amb_load(&channel->kept))
                return;
        pthread_mutex_lock(&channel->completion_lock);
        if (channel->overflow.count && !amb_load(&channel->gone))
                overflow_move(channel);
        pthread_mutex_unlock(&channel->completion_lock);
        completion_report(channel);
}

static int complete_locked(struct amb_channel *channel, const struct amb_completion *completion)
{
        int r;

        if (amb_load(&channel->gone) || amb_load(&channel->broken))
                return AMB_CHANNEL_CLOSED;
        if (channel->overflow.count)
                overflow_move(channel);
        if (!channel->overflow.count && completion_room(channel)) {
                completion_publish(channel, completion);
                return 0;
        }
        if (completion_reader_gone(channel))
                return AMB_CHANNEL_CLOSED;
        r = overflow_keep(channel, completion);
        if (r != 0)
                return r;
        amb_store(&channel->kept, channel->overflow.count);
        if (!channel->flushing && channel->kept_start)
                channel->flushing = channel->kept_start(channel->userdata);
        /* Say so, then look again: the app may have drained and gone to sleep before it could see the word. */
        if (!amb_load(&channel->memory->header.overflow) || channel->overflow.count == 1) {
                amb_exchange(&channel->memory->header.overflow, 1);
                if (completion_room(channel))
                        overflow_move(channel);
        }
        return 0;
}

int amb_channel_complete(struct amb_channel *channel, const struct amb_completion *completion)
{
        int r;

        if (AMB_CHANNEL_PORT_INDEX(completion->port) >= AMB_CHANNEL_PORTS || completion->count > AMB_CHANNEL_SCALARS)
                return -EINVAL;
        pthread_mutex_lock(&channel->completion_lock);
        r = complete_locked(channel, completion);
        pthread_mutex_unlock(&channel->completion_lock);
        completion_report(channel);
        return r;
}

/* False: nothing is left to do, and the next one that is kept starts another thread. */
static bool flush_step(struct amb_channel *channel)
{
        bool more;

        pthread_mutex_lock(&channel->completion_lock);
        if (completion_reader_gone(channel))
                overflow_empty(channel);
        else if (channel->overflow.count)
                overflow_move(channel);
        more = channel->flushing = channel->overflow.count > 0;
        pthread_mutex_unlock(&channel->completion_lock);
        completion_report(channel);
        return more;
}

/* Looked at after the flag was set, under the lock: whoever changes it afterwards sees the flag. */
static bool flush_must_wait(struct amb_channel *channel)
{
        bool wait;

        pthread_mutex_lock(&channel->completion_lock);
        wait = channel->overflow.count && !completion_room(channel) && !completion_reader_gone(channel);
        pthread_mutex_unlock(&channel->completion_lock);
        return wait;
}

void amb_channel_flush_all(struct amb_channel *channel, int app_pidfd)
{
        uint32_t *asleep = &channel->memory->header.flusher_asleep;
        struct pollfd look = { .fd = app_pidfd, .events = POLLIN };
        uint64_t looked = amb_time_now(), now;

        while (flush_step(channel)) {
                amb_exchange(asleep, 1);
                if (flush_must_wait(channel))
                        amb_futex_wait(asleep, APP_LOOK_NS);
                amb_store(asleep, 0);
                now = amb_time_now();
                if (now - looked < APP_LOOK_NS)
                        continue;
                looked = now;
                if (app_pidfd >= 0 && poll(&look, 1, 0) > 0)
                        amb_channel_peer_gone(channel);
        }
}

void amb_channel_peer_gone(struct amb_channel *channel)
{
        pthread_mutex_lock(&channel->completion_lock);
        amb_exchange(&channel->peer_gone, 1);
        overflow_empty(channel);
        pthread_mutex_unlock(&channel->completion_lock);
}

void amb_channel_forget(struct amb_channel *channel, uint32_t port)
{
        pthread_mutex_lock(&channel->completion_lock);
        if (channel->overflow.count) {
                amb_overflow_forget(&channel->overflow, port);
                amb_store(&channel->kept, channel->overflow.count);
                if (!channel->overflow.count)
                        overflow_empty(channel);
        }
        pthread_mutex_unlock(&channel->completion_lock);
}

/* --- app --- */

/* The host keeps more: what was taken must be visible before the look, and the host's thread must run. */
static void completion_kick(struct amb_channel *channel)
{
        struct amb_layout_header *header = &channel->memory->header;
        uint32_t asleep = 1;

        amb_exchange(&header->completions_taken, channel->completion_position);
        if (!amb_load_ordered(&header->overflow))
                return;
        /* One that rests keeps nothing, or has a flusher for it. */
        if (amb_load_ordered(&header->host_asleep) == asleep &&
            __atomic_compare_exchange_n(&header->host_asleep, &asleep, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
                amb_futex_wake_all(&header->host_asleep);
                __atomic_fetch_add(&channel->wakes, 1, __ATOMIC_RELAXED);
        }
        if (amb_futex_wake(&header->flusher_asleep))
                __atomic_fetch_add(&channel->wakes, 1, __ATOMIC_RELAXED);
}

void amb_completion_detach(struct amb_channel *channel)
{
        struct amb_layout_header *header = &channel->memory->header;

        amb_exchange(&header->detached, 1);
        amb_futex_wake(&header->flusher_asleep);
}

static const struct amb_layout_completion *completion_oldest(struct amb_channel *channel)
{
        const struct amb_layout_completion *from;

        from = &channel->memory->completions[channel->completion_position % AMB_LAYOUT_COMPLETIONS];
        return amb_load_ordered(&from->sequence) == channel->completion_position + 1 ? from : NULL;
}

/* Every word is read exactly once. */
static bool completion_read(const struct amb_layout_completion *from, struct amb_completion *ret)
{
        uint32_t shape = amb_load(&from->shape);

        *ret = (struct amb_completion){
                .port = amb_load(&from->port),
                .status = (int32_t)amb_load(&from->status),
                .count = shape & 0xFF,
                .reference = { 0, amb_load(&from->reference[0]), amb_load(&from->reference[1]) },
        };
        if (AMB_CHANNEL_PORT_INDEX(ret->port) >= AMB_CHANNEL_PORTS || ret->count > AMB_CHANNEL_SCALARS ||
            (shape & ~(0xFFu | SHAPE_WIDE)))
                return false;
        for (unsigned i = 3; (shape & SHAPE_WIDE) && i < AMB_CHANNEL_REFERENCES; ++i)
                ret->reference[i] = amb_load(&from->more_reference[i - 3]);
        for (unsigned i = 0; i < ret->count; ++i)
                ret->args[i] = i < AMB_LAYOUT_COMPLETION_ARGS ? amb_load(&from->args[i])
                                                              : amb_load(&from->more_args[i - AMB_LAYOUT_COMPLETION_ARGS]);
        return true;
}

/*
 * Half a ring has been taken. A host that keeps some is to go on before the ring runs empty; one that has put something into
 * that half meanwhile does so by itself: the driver completes, and need not share its CPU with the flusher.
 */
static void completion_half(struct amb_channel *channel)
{
        uint32_t next = channel->completion_position + AMB_LAYOUT_COMPLETIONS / 2;

        if (!amb_load(&channel->memory->header.overflow))
                return;
        if (amb_load(&channel->memory->completions[next % AMB_LAYOUT_COMPLETIONS].sequence) != next + 1)
                completion_kick(channel);
}

/* Up to `most` that are there. Less than one: it is bad, and nothing was taken. */
static uint32_t completion_take_some(struct amb_channel *channel, struct amb_completion *ret, uint32_t most)
{
        struct amb_layout_header *header = &channel->memory->header;
        const struct amb_layout_completion *from;
        uint32_t count = 0;

        while (count < most && (from = completion_oldest(channel)) && completion_read(from, &ret[count])) {
                count++;
                amb_store(&channel->completion_position, channel->completion_position + 1);
                amb_store_release(&header->completions_taken, channel->completion_position);
                if (channel->completion_position % (AMB_LAYOUT_COMPLETIONS / 2) == 0)
                        completion_half(channel);
        }
        amb_store(&channel->completion_count, channel->completion_count + count);
        return count;
}

static int completion_take(struct amb_channel *channel, struct amb_completion *ret, uint32_t most, uint32_t *ret_count)
{
        struct amb_layout_header *header = &channel->memory->header;
        bool gone;

        if (amb_load(&channel->broken))
                return amb_channel_broken(channel) == AMB_CHANNEL_BROKEN ? AMB_CHANNEL_BROKEN : AMB_CHANNEL_NO_MORE;
        /* Before the look at the ring: what was published before the end counts. */
        gone = amb_channel_said_gone(header) || amb_load_ordered(&channel->gone);
        if (!completion_oldest(channel)) {
                if (gone)
                        return AMB_CHANNEL_NO_MORE;
                completion_kick(channel);
                return AMB_CHANNEL_EMPTY;
        }
        /* A bad one behind good ones is found by the next take. */
        *ret_count = completion_take_some(channel, ret, most);
        if (*ret_count > 0)
                return 0;
        amb_channel_break(channel, "completion: bad port or count");
        amb_channel_end(channel, true);
        return amb_channel_broken(channel);
}

int amb_channel_completions_take(struct amb_channel *channel, struct amb_completion *ret, uint32_t most, uint32_t *ret_count)
{
        int r;

        *ret_count = 0;
        if (amb_channel_foreign(channel))
                return AMB_CHANNEL_NO_MORE;
        pthread_mutex_lock(&channel->completion_lock);
        r = completion_take(channel, ret, most, ret_count);
        pthread_mutex_unlock(&channel->completion_lock);
        return r;
}

int amb_channel_completion_next(struct amb_channel *channel, struct amb_completion *ret)
{
        uint32_t count;

        return amb_channel_completions_take(channel, ret, 1, &count);
}

bool amb_channel_completion_waits(struct amb_channel *channel)
{
        uint32_t position = amb_load(&channel->completion_position);

        return !amb_channel_foreign(channel) &&
               amb_load_acquire(&channel->memory->completions[position % AMB_LAYOUT_COMPLETIONS].sequence) == position + 1;
}

bool amb_channel_completion_arm(struct amb_channel *channel, uint32_t port)
{
        struct amb_layout_header *header = &channel->memory->header;
        bool empty;

        if (amb_channel_foreign(channel) || port >= AMB_CHANNEL_PORTS)
                return false;
        pthread_mutex_lock(&channel->completion_lock);
        __atomic_fetch_or(&header->armed, UINT64_C(1) << port, __ATOMIC_SEQ_CST);
        empty = !completion_oldest(channel) && !amb_load(&channel->broken) && !amb_load(&channel->gone) &&
                !amb_channel_said_gone(header);
        if (empty)
                completion_kick(channel);
        pthread_mutex_unlock(&channel->completion_lock);
        return empty;
}
