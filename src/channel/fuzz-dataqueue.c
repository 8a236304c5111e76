/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a data queue whose shared memory a hostile peer writes to between any two operations. Nothing outside the
 * ring is touched, and what is handed out lies inside it. Without interference the queue is compared with a plain list.
 *      clang -fsanitize=fuzzer,address,undefined ... fuzz-dataqueue.c      (without fuzz-main.c)
 *
 * Input: form (bit 0), ring size (2 bytes, in words when padded), then operations of 3 bytes: what, and a number of 16 bits.
 */
#include <stdio.h>

#include "channel/dataqueue.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

enum operation { ENQUEUE, DEQUEUE, PEEK, ROOM, HEAD, TAIL, WORD, BYTE, OPERATIONS };

struct play {
        struct amb_dataqueue queue;
        uint8_t *memory;
        uint32_t header, size;
        bool hostile;                   /* somebody has interfered: contents are anybody's guess from now on */
        uint32_t lengths[4096];         /* what is in the queue */
        unsigned int first, count;
        uint8_t stamp;
};

static void insist(bool condition, const char *what)
{
        if (!condition) {
                fprintf(stderr, "fuzz-dataqueue: %s\n", what);
                abort();
        }
}

static bool inside(const struct play *play, const uint8_t *data, uint32_t size)
{
        return data >= play->queue.ring + AMB_DATAQUEUE_ENTRY_HEADER && size <= play->size &&
               data + size <= play->queue.ring + play->size;
}

static void enqueue(struct play *play, uint32_t size)
{
        struct amb_dataqueue_place place;
        bool promised = amb_dataqueue_room(&play->queue, size, 1) == 0, was_empty;
        int r = amb_dataqueue_reserve(&play->queue, size, &place);

        if (!play->hostile)
                insist(r == 0 || r == AMB_DATAQUEUE_FULL, "an honest queue is called broken");
        insist(!promised || play->hostile || r == 0, "promised room is not there");
        if (r)
                return;
        insist(inside(play, place.data, size), "room outside of the ring");
        memset(place.data, play->stamp, size);
        was_empty = amb_dataqueue_publish(&play->queue, &place);
        if (play->hostile)
                return;
        insist(was_empty == (play->count == 0), "the reader is woken at the wrong time");
        insist(play->count < AMB_ARRAY_LENGTH(play->lengths), "more entries than fit");
        play->lengths[(play->first + play->count++) % AMB_ARRAY_LENGTH(play->lengths)] = size | (uint32_t)play->stamp++ << 16;
}

static void dequeue(struct play *play, bool consume)
{
        struct amb_dataqueue_entry entry;
        int r = amb_dataqueue_front(&play->queue, &entry);
        uint32_t expected = play->lengths[play->first];

        insist(r == 0 || r == AMB_DATAQUEUE_EMPTY || r == AMB_DATAQUEUE_BROKEN, "an undocumented answer");
        if (r == 0) {
                insist(inside(play, entry.data, entry.size), "an entry outside of the ring");
                for (uint32_t i = 0; i < entry.size; i++)
                        insist(play->hostile || entry.data[i] == (uint8_t)(expected >> 16), "other contents");
        }
        if (!play->hostile) {
                insist(r == (play->count ? 0 : AMB_DATAQUEUE_EMPTY), "an honest queue is called broken, or empty");
                insist(r || entry.size == (expected & 0xffff), "another size");
                insist(r || entry.last == (play->count == 1), "another end");
        }
        if (r || !consume)
                return;
        amb_dataqueue_consume(&play->queue, &entry);
        play->first = (play->first + 1) % AMB_ARRAY_LENGTH(play->lengths);
        play->count--;
}

static void interfere(struct play *play, enum operation operation, uint16_t number)
{
        uint32_t offset = number % (play->header + play->size);

        play->hostile = true;
        if (operation == HEAD)
                *play->queue.head = number > 0xff00 ? (uint32_t)(int16_t)number : number;
        else if (operation == TAIL)
                *play->queue.tail = number > 0xff00 ? (uint32_t)(int16_t)number : number;
        else if (operation == WORD && offset + 4 <= play->header + play->size)
                memset(play->memory + offset, number & 1 ? 0xff : number >> 8, 4);
        else if (operation == BYTE)
                play->memory[offset] = (uint8_t)(number >> 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
        static struct play play;
        bool padded;

        if (length < 3)
                return 0;
        padded = bytes[0] & 1;
        play = (struct play){ .header = padded ? AMB_DATAQUEUE_PADDED_HEADER : AMB_DATAQUEUE_PACKED_HEADER };
        play.size = (uint32_t)(bytes[1] | bytes[2] << 8) % 4096;
        if (padded)
                play.size &= ~3u;
        /* Exactly its size, so that a sanitizer sees the first byte beyond. */
        play.memory = calloc(1, play.header + play.size);
        insist(play.memory != NULL, "no memory");
        if (padded)
                amb_dataqueue_padded(&play.queue, play.memory, play.size);
        else
                amb_dataqueue_packed(&play.queue, play.memory, play.size);
        for (size_t at = 3; at + 3 <= length; at += 3) {
                enum operation operation = bytes[at] % OPERATIONS;
                uint16_t number = (uint16_t)(bytes[at + 1] | bytes[at + 2] << 8);

                if (operation == ENQUEUE)
                        enqueue(&play, number);
                else if (operation == DEQUEUE || operation == PEEK)
                        dequeue(&play, operation == DEQUEUE);
                else if (operation == ROOM)
                        amb_dataqueue_room(&play.queue, bytes[at + 1] % 4 ? number : UINT32_MAX - number, bytes[at + 2]);
                else
                        interfere(&play, operation, number);
        }
        free(play.memory);
        return 0;
}
