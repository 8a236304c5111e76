// SPDX-License-Identifier: Apache-2.0
#ifndef RingTypes_h
#define RingTypes_h
#include <stdint.h>

#define RING_STATISTICS 1
#define RING_TRACE 0

enum {
    kRingWrite = 0,     // in: bytes; out: how many were taken
    kRingRead,          // out: bytes
    kRingState,         // out: used, capacity, baud, written, read
    kRingConfigure,     // in: struct RingConfigure; out: what Configure returned
    kRingListen,        // asynchronous; in: 0 typed, 1 plain: events of the ring
    kRingSend,          // in: events: to whoever listens
    kRingCheck,         // out: bits of what held (kRingChecks)
    kRingReset,
    kRingSelectors
};
#define kRingChecks 15

struct RingConfigure {
    uint32_t baud;
    uint8_t parity;
    char name[16];
};
#endif
