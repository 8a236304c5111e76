/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The echo driver's selectors and memory types, for its clients. Memory type 0 is a page that both sides may write, 1 one that
 * only the driver writes; each user client has its own. 2 and 3 are the same, but all user clients share them. The others do not
 * exist.
 */
enum {
        kEchoNop = 0,           /* up to 16 scalars in, the same ones out */
        kEchoStruct = 1,        /* structure in, the same bytes out, inline or out of line each way, and variable output */
        kEchoAsync = 2,         /* async; scalars: how many times, then up to 15 values: completes that often with the values */
        kEchoCode = 3,          /* scalar in: the code that the call returns */
        kEchoBlock = 4,         /* blocks until some connection calls kEchoUnblock */
        kEchoUnblock = 5,       /* lets all those go on; scalar out: how many */
        kEchoEnd = 6,           /* scalar in 0: the process exits; 1: it crashes */
        kEchoLater = 7,         /* async; scalar in: milliseconds; completes that much later with the time in nanoseconds */
        kEchoStatistics = 8,    /* scalars out: user clients that exist, that were ever started, that were stopped */
        kEchoBlocked = 9,       /* scalar out: calls that are in kEchoBlock */
        kEchoMemory = 10,       /* memory type (2 or 3), index of a 64-bit word, a value to store or none; out: what was there */
        /*
         * Memory of clients that the driver keeps, in kEchoSlots slots that belong to all clients together. Keep takes the
         * structure output (of more than 4096 bytes) if there is one, else the address and length named, with these options of a
         * memory descriptor. Exchange maps it at the first time. In each whole 4096 bytes of it the first half is the client's, the
         * second the driver's: it counts those whose first or last word of the client's half is below `least`, and stores `value`
         * to the first and last word of its own half.
         */
        /* scalars: slot, options, address, length (of a structure output: slot); what the slot had is let go */
        kEchoKeep = 11,
        kEchoExchange = 12,     /* scalars: slot, least, value; out: how often 4096 bytes, how many were below */
        kEchoDrop = 13,         /* scalar: slot */
        kEchoSlots = 8,
        /* structure in, out of line: maps it and reads all of it; scalars out: the sum of its words, nanoseconds in the driver */
        kEchoRead = 14,
        /* structure out, out of line; scalar in: a word that it becomes full of; scalar out: nanoseconds in the driver */
        kEchoFill = 15,
        /* scalars in: a word, bytes: the same with memory of the driver's own, which it keeps; scalar out: nanoseconds */
        kEchoFillOwn = 16,
};
