/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/dataqueue.h"

#include "base/sanitizer.h"
#include "channel/layout.h"

void amb_dataqueue_padded(struct amb_dataqueue *queue, void *memory, uint32_t size)
{
        uint32_t *words = memory;

        *queue = (struct amb_dataqueue){
                .head = &words[0],
                .tail = &words[1],
                .full = (uint8_t *)&words[2],
                .ring = (uint8_t *)memory + AMB_DATAQUEUE_PADDED_HEADER,
                .size = size,
                .rounding = 3,
        };
}

void amb_dataqueue_packed(struct amb_dataqueue *queue, void *memory, uint32_t size)
{
        uint32_t *words = memory;

        *queue = (struct amb_dataqueue){
                .head = &words[1],
                .tail = &words[2],
                .ring = (uint8_t *)memory + AMB_DATAQUEUE_PACKED_HEADER,
                .size = size,
        };
}

/* Bytes that an entry of `size` bytes takes; 64 bits, so that nothing overflows. */
static uint64_t footprint(const struct amb_dataqueue *queue, uint32_t size)
{
        return AMB_DATAQUEUE_ENTRY_HEADER + (((uint64_t)size + queue->rounding) & ~(uint64_t)queue->rounding);
}

static bool offsets_valid(const struct amb_dataqueue *queue, uint32_t head, uint32_t tail)
{
        return head <= queue->size && tail <= queue->size && ((head | tail) & queue->rounding) == 0;
}

int amb_dataqueue_reserve(const struct amb_dataqueue *queue, uint32_t size, struct amb_dataqueue_place *ret)
{
        uint64_t needed = footprint(queue, size);
        uint32_t tail = amb_load(queue->tail);
        /* Acquire: the reader has finished with the bytes before head. */
        uint32_t head = amb_load_acquire(queue->head), at;

        if (needed > UINT32_MAX)
                return AMB_DATAQUEUE_TOO_BIG;
        if (!offsets_valid(queue, head, tail))
                return AMB_DATAQUEUE_BROKEN;
        /* "More than", not "at least": a writer that has wrapped must not catch up with head, which would mean empty. */
        if (tail >= head && needed <= queue->size - tail) {
                at = tail;
        } else if (tail >= head && head > needed) {
                at = 0;
        } else if (tail < head && head - tail > needed) {
                at = tail;
        } else {
                if (queue->full)
                        amb_store_release(queue->full, 1);
                return AMB_DATAQUEUE_FULL;
        }
        *ret = (struct amb_dataqueue_place){
                .data = queue->ring + at + AMB_DATAQUEUE_ENTRY_HEADER,
                .size = size,
                .at = at,
                .next = at + (uint32_t)needed,
                .head = head,
                .tail = tail,
        };
        amb_race_after(queue->head);
        return 0;
}

bool amb_dataqueue_publish(const struct amb_dataqueue *queue, const struct amb_dataqueue_place *place)
{
        if (place->at != place->tail && queue->size - place->tail >= AMB_DATAQUEUE_ENTRY_HEADER)
                /* A size that does not fit where it stands sends the reader to the start. */
                amb_dataqueue_word_store(queue->ring + place->tail, (place->size + queue->rounding) & ~queue->rounding);
        amb_dataqueue_word_store(queue->ring + place->at, place->size);
        /* Release: entry and size are there before the reader sees the new tail. */
        amb_race_before(queue->tail);
        amb_store_release(queue->tail, place->next);
        if (place->tail == place->head)
                return true;
        /* Against the fence of consume: either we see the head that makes it empty, or its next look sees our tail. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        return amb_load(queue->head) == place->tail;
}

int amb_dataqueue_room(const struct amb_dataqueue *queue, uint32_t size, uint32_t count)
{
        uint64_t needed = footprint(queue, size), at_end, at_start;
        uint32_t tail = amb_load(queue->tail), head = amb_load_acquire(queue->head);

        if (needed > UINT32_MAX)
                return AMB_DATAQUEUE_TOO_BIG;
        if (!offsets_valid(queue, head, tail))
                return AMB_DATAQUEUE_BROKEN;
        if (tail < head)
                return (head - tail - 1) / needed < count ? AMB_DATAQUEUE_FULL : 0;
        at_end = (queue->size - tail) / needed;
        at_start = head / needed;
        return at_end < count && at_end + at_start <= count ? AMB_DATAQUEUE_FULL : 0;
}

/* Is there a whole entry in [at, limit)? */
static bool entry_at(const struct amb_dataqueue *queue, uint32_t at, uint32_t limit, struct amb_dataqueue_entry *ret)
{
        uint32_t size;

        /* Before the load: where no size word has room there is none. */
        if (limit - at < AMB_DATAQUEUE_ENTRY_HEADER)
                return false;
        size = amb_dataqueue_word_load(queue->ring + at);
        if (footprint(queue, size) > limit - at)
                return false;
        ret->data = queue->ring + at + AMB_DATAQUEUE_ENTRY_HEADER;
        ret->size = size;
        ret->next = at + (uint32_t)footprint(queue, size);
        return true;
}

int amb_dataqueue_front(const struct amb_dataqueue *queue, struct amb_dataqueue_entry *ret)
{
        uint32_t head = amb_load(queue->head);
        /* Acquire: what the writer stored before this tail. */
        uint32_t tail = amb_load_acquire(queue->tail);
        struct amb_dataqueue_entry entry;

        if (head == tail)
                return AMB_DATAQUEUE_EMPTY;
        if (!offsets_valid(queue, head, tail))
                return AMB_DATAQUEUE_BROKEN;
        if (!entry_at(queue, head, head < tail ? tail : queue->size, &entry) && (head < tail || !entry_at(queue, 0, tail, &entry)))
                return AMB_DATAQUEUE_BROKEN;
        amb_race_after(queue->tail);
        entry.last = entry.next == tail;
        *ret = entry;
        return 0;
}

void amb_dataqueue_consume(const struct amb_dataqueue *queue, const struct amb_dataqueue_entry *entry)
{
        /* Release: we are done with the bytes that the writer may now use. */
        amb_race_before(queue->head);
        amb_store_release(queue->head, entry->next);
        if (entry->last)
                __atomic_thread_fence(__ATOMIC_SEQ_CST);        /* against the one of publish */
}

bool amb_dataqueue_was_full(const struct amb_dataqueue *queue)
{
        return queue->full && amb_load_acquire(queue->full);
}

void amb_dataqueue_full_clear(const struct amb_dataqueue *queue)
{
        amb_store(queue->full, 0);
}

bool amb_dataqueue_holds_data(const struct amb_dataqueue *queue)
{
        return amb_load_acquire(queue->head) != amb_load_acquire(queue->tail);
}
