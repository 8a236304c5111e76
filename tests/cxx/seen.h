/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the service Queues has noticed. */
#include <atomic>
#include <stdint.h>

#include "events.h"

struct Seen {
    Events ticks = EVENTS_NONE, tocks = EVENTS_NONE, interrupted = EVENTS_NONE, arrived = EVENTS_NONE, serviced = EVENTS_NONE;
    Events noticed = EVENTS_NONE, changed = EVENTS_NONE, cancelled = EVENTS_NONE, stopped = EVENTS_NONE, freed = EVENTS_NONE;
    /* Written on the service's queue, read after the event; descriptors may order that, which a thread sanitizer does not see. */
    std::atomic<uint64_t> interrupts{0}, time{0};
};
extern struct Seen seen;
