/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A service of the test program itself, whose methods actions call: what the rows about actions and timers share. Each row has its
 * own process. A row waits for what must come; the time-out of the test is its patience.
 */
#include <sched.h>
#include <time.h>

#include "contract.h"
#include "driver/test.h"

#define Probe_Tick_ID 0x70726f6265000001ull
#define Probe_Tock_ID 0x70726f6265000002ull
#define Probe_Plain_ID 0x70726f6265000003ull

struct Probe {
        IOService service;
        struct signal ticks, tocks, plains;
        OSAction *action;               /* of the last call, not retained */
        uint64_t time;
        bool on_default;
        uint64_t again;                 /* ns after a tick, until there have been `wanted` */
        int wanted;
        IOTimerDispatchSource *timer;
        struct signal *freed;
};

static inline void probe_note(struct Probe *self, OSAction *action, uint64_t time)
{
        IODispatchQueue *queue = NULL;
        IOService_CopyDispatchQueue(&self->service, kIOServiceDefaultQueueName, &queue);
        self->on_default = IODispatchQueue_OnQueue(queue);
        OSObjectRelease(queue);
        self->action = action;
        self->time = time;
}

static inline void probe_tick(struct Probe *self, OSAction *action, uint64_t time)
{
        probe_note(self, action, time);
        if (self->again && signal_count(&self->ticks) + 1 < self->wanted)
                IOTimerDispatchSource_WakeAtTime(self->timer, kIOTimerClockUptimeRaw, time + self->again, 0);
        signal_add(&self->ticks);
}

static inline void probe_tock(struct Probe *self, OSAction *action, uint64_t time)
{
        probe_note(self, action, time);
        signal_add(&self->tocks);
}

static inline void probe_plain(struct Probe *self, OSAction *action, uint64_t time)
{
        probe_note(self, action, time);
        signal_add(&self->plains);
}

static inline void probe_free(OSObject *object)
{
        struct signal *freed = ((struct Probe *)object)->freed;
        IOService_free(object);
        if (freed)
                signal_add(freed);
}

static const struct amb_method probe_methods[] = {
        AMB_OVERRIDE(OSObject, free, probe_free),
        AMB_ACTION_METHOD(Probe, Tick, probe_tick),
        AMB_ACTION_METHOD(Probe, Tock, probe_tock),
        AMB_METHOD(Probe_Plain_ID, probe_plain),
        AMB_METHODS_END,
};
static __attribute__((unused)) const OSMetaClass gProbeMetaClass = {
        "Probe", &gIOServiceMetaClass, sizeof(struct Probe), probe_methods, NULL,
};
OSDefineAction(Probe, Tick, IOTimerDispatchSource_TimerOccurred_ID);
OSDefineAction(Probe, Tock, IOTimerDispatchSource_TimerOccurred_ID);

static inline struct Probe *probe_new(void)
{
        struct Probe *probe = (struct Probe *)amb_object_new(OSTypeID(Probe));
        struct signal none = SIGNAL_INIT;
        ck_assert_ptr_nonnull(probe);
        probe->ticks = probe->tocks = probe->plains = none;
        return probe;
}

/* An action that calls probe_tick, and a timer that invokes it. */
static inline OSAction *probe_action(struct Probe *probe)
{
        OSAction *action = NULL;
        ck_code(Probe_CreateActionTick(probe, 0, &action), kIOReturnSuccess);
        return action;
}

static inline void probe_timer(struct Probe *probe, OSAction *action)
{
        IODispatchQueue *queue = NULL;
        ck_code(IOService_CopyDispatchQueue(&probe->service, kIOServiceDefaultQueueName, &queue), kIOReturnSuccess);
        ck_code(IOTimerDispatchSource_Create(queue, &probe->timer), kIOReturnSuccess);
        ck_code(IOTimerDispatchSource_SetHandler(probe->timer, action), kIOReturnSuccess);
        OSObjectRelease(queue);
}

/* A probe that only ticks; see probe_pass. */
static inline struct Probe *probe_ticking(void)
{
        struct Probe *probe = probe_new();
        OSAction *action = probe_action(probe);
        probe_timer(probe, action);
        OSObjectRelease(action);
        return probe;
}

static inline void probe_wake(struct Probe *probe, uint64_t deadline)
{
        ck_code(IOTimerDispatchSource_WakeAtTime(probe->timer, kIOTimerClockUptimeRaw, deadline, 0), kIOReturnSuccess);
}

/* Returns when every timer of this clock that is due before `deadline` has been seen to, and what it put onto the queue has run. */
static inline void probe_pass(struct Probe *probe, struct Probe *other, uint64_t deadline)
{
        int before = signal_count(&other->ticks);
        IODispatchQueue *queue = NULL;
        struct signal behind = SIGNAL_INIT;
        probe_wake(other, deadline);
        signal_wait(&other->ticks, before + 1);
        ck_code(IOService_CopyDispatchQueue(&probe->service, kIOServiceDefaultQueueName, &queue), kIOReturnSuccess);
        IODispatchQueue_DispatchSync_f(queue, &behind, signal_add);
        OSObjectRelease(queue);
        ck_assert_int_eq(signal_count(&behind), 1);
}

/* Cancels the timer and lets go of it: afterwards nothing calls the probe any more. */
static inline void probe_quiet(struct Probe *probe)
{
        struct signal cancelled = SIGNAL_INIT;
        ck_code(IODispatchSource_Cancel_f(&probe->timer->source, &cancelled, signal_add), kIOReturnSuccess);
        signal_wait(&cancelled, 1);
        OSSafeReleaseNULL(probe->timer);
}

/* The row is done with it. */
static inline void probe_end(struct Probe *probe)
{
        if (probe->timer)
                probe_quiet(probe);
        OSObjectRelease(probe);
}
