/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors of Conductor. */
#ifndef CONDUCTOR_TYPES_H
#define CONDUCTOR_TYPES_H

typedef enum {
    kConductorSync = 0,     /* in: n; out: sum of 1 to n made by n blocks, what held (8) */
    kConductorAsync,        /* asynchronous; in: n; n blocks, then 1 if they ran in order, the last one, n */
    kConductorCount,        /* in: n; counts n times in each counter of the service */
    kConductorCounters,     /* out: the counters: lock, read-write lock, recursive lock, atomic */
    kConductorTime,         /* in: milliseconds; out: what passed, in ns, by three clocks */
    kConductorWait,         /* sleeps until woken; in: milliseconds; out: the code */
    kConductorWake,         /* wakes one; out: how many slept */
    kConductorNames,        /* out: what held (6) */
    kConductorStream,       /* asynchronous; in: entries, bytes of each; out of the completion: entries, sum of all bytes, 1 if in order */
    kConductorCancel,       /* asynchronous; completes when a queue with work on it has been cancelled: blocks that ran, 0 or 1, 0 */
    kConductorSelectors
} ConductorSelector;

#endif
