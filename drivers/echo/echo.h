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
};
