/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The driver that calls are measured with, bench.dext: what its selectors do. Its service is called "bench"; "alone" is the same in
 * a process of its own. */

/* What IOServiceOpen's type says. */
enum {
        kBenchDirect,           /* ExternalMethod on the default queue */
        kBenchQueue,            /* ExternalMethod on a queue of its own */
};

enum { kBenchPage = 4096 };
enum { kBenchMemory };          /* the type of the one memory that a user client has: a page */

enum {
        kBenchScalar,           /* 2 scalars in; the same, exchanged, out */
        kBenchStruct,           /* 4096 bytes in; the very same bytes out, so that there are as few copies as there can be */
        kBenchMade,             /* 4096 bytes in; as many out, of an OSData that the driver makes for them, as most drivers do */
        kBenchStream,           /* async; in: how many; so many completions, each with its number from 0, before the call returns */
        kBenchTake,             /* 8-byte words in, however many; 1 scalar out: their sum */
        kBenchGive,             /* 1 scalar in; 8-byte words out, as many as the caller has room for, each of them that scalar */
        kBenchSelectors,
};
