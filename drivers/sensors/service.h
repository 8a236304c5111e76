/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The Sensors service: owns the readings and the ring; its user clients (client.c) ask it.
 *
 * The service's timer runs on the service's queue, each user client's calls and timer on that client's own: the lock inside
 * guards the readings, and every function here may be called from any queue between Start and the end of Stop of the client.
 */
#include <DriverKit/DriverKit.h>

#include "sensors.h"

struct Sensors {
        IOService service;
        struct sensors_state *state;
};
extern const OSMetaClass gSensorsMetaClass;

#define SENSORS_SAMPLE_NS 50000000ull           /* between two samples of the ring */
#define SENSORS_FRESH_NS 4000000ull             /* a reading younger than this is given out again */

/* Runs look(context, all) with readings that are at most SENSORS_FRESH_NS old, under the lock: look copies what it needs. */
void sensors_look(struct Sensors *self, void (*look)(void *context, const struct sensors_all *all), void *context);

/* The ring, with one reference for the caller. */
IOMemoryDescriptor *sensors_copy_ring(struct Sensors *self);

/* CLOCK_MONOTONIC in nanoseconds, the clock of kIOTimerClockUptimeRaw. */
uint64_t sensors_now(void);
