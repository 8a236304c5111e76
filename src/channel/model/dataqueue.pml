/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who wakes the reader of a data queue (src/channel/dataqueue.h), on a machine with store buffers (TSO).
 *
 * The writer publishes ENTRIES entries and posts a wake-up whenever amb_dataqueue_publish says so; the reader takes out what it sees and
 * sleeps for a wake-up when it sees nothing. head and tail count entries here; a full ring is left out, because it wakes the reader once
 * more. What is checked: the reader gets them all (spin's "invalid end state" is a reader that sleeps beside an entry).
 *
 * A store goes into its process's buffer (first in, first out) and reaches memory when the flusher likes; a system call empties the
 * buffer first. No process loads a word that may be in its own buffer, so forwarding is left out.
 *
 * Mutants, each must fail:     -DNO_FENCE_WRITER       between the new tail and the second look at head
 *                              -DNO_FENCE_READER       between the head that empties the queue and the next look at tail
 *                              -DNO_LOOK               head as it was found before the entry was written decides
 */
#define ENTRIES 3

#define WRITER 0
#define READER 1

#define HEAD 0
#define TAIL 1

byte memory[2];
chan buffer[2] = [ENTRIES] of { byte, byte };
byte posted;

#define fence(me) empty(buffer[me])

active proctype flusher()
{
        byte word, value;

end:    do
        :: atomic { buffer[WRITER]?word, value -> memory[word] = value }
        :: atomic { buffer[READER]?word, value -> memory[word] = value }
        od
}

active proctype writer()
{
        byte tail, head;
        bool wake;

        do
        :: tail == ENTRIES -> break
        :: else ->
                head = memory[HEAD];
                buffer[WRITER]!TAIL, tail + 1;
                wake = (head == tail);
#ifndef NO_LOOK
                if
                :: !wake ->
#ifndef NO_FENCE_WRITER
                        fence(WRITER);
#endif
                        wake = (memory[HEAD] == tail)
                :: else
                fi;
#endif
                if
                :: wake -> atomic { fence(WRITER) -> posted++ }
                :: else
                fi;
                tail++
        od
}

active proctype reader()
{
        byte tail, head;

        do
        :: head == ENTRIES -> break
        :: else ->
                tail = memory[TAIL];
                if
                :: tail == head -> atomic { posted > 0 -> posted-- }
                :: else ->
                        head++;
                        buffer[READER]!HEAD, head;
#ifndef NO_FENCE_READER
                        if
                        :: head == tail -> fence(READER)
                        :: else
                        fi
#endif
                fi
        od
}
