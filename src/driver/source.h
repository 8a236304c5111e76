/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of IODispatchSource, and of timers.
 *
 * One thread of the process waits for all timers: a timerfd per clock, a sorted list per clock under one lock. It calls
 * amb_source_fire, which puts the callback on the queue of the action's method. A callback that has been replaced, disabled or
 * cancelled in the meantime is stopped at the last moment, on that queue. Lock order: timers, then source.
 *
 * Deadlines are absolute: those of the wall clock move with it when it is set, as the kernel's timers do, and what is due is
 * decided by the clock after every wake-up.
 */
#include <DriverKit/IOTimerDispatchSource.h>
#include <pthread.h>

#include "driver/action.h"

struct IODispatchSource_ivars {
        pthread_mutex_t lock;
        struct amb_rest rest;
        bool disabled, cancelled;
        bool due;                       /* happened while disabled */
        uint64_t due_time;
        uint64_t generation;            /* of the arming; a callback of an earlier one is not wanted */
        OSAction *action;
        /* Set by a subclass's init, or NULL and 0. The functions are called without a lock held. */
        void (*disarm)(IODispatchSource *source);       /* it has been cancelled */
        void (*switched)(IODispatchSource *source);     /* it has been switched on or off */
        kern_return_t cancel_refused;                   /* what Cancel returns instead of cancelling */
        kern_return_t change_refused;                   /* what SetEnable returns after Cancel, if it would change anything */
        /* the timers' list; guarded by the timers' lock */
        struct amb_link link;           /* linked: armed; the list holds no reference */
        IODispatchSource *source;       /* what these belong to */
        unsigned int clock;
        uint64_t deadline, latest;      /* latest: with the leeway */
};

bool amb_source_init(OSObject *object);
void amb_source_free(OSObject *object);

/* The event has happened: calls the handler, or remembers it while disabled. */
void amb_source_fire(IODispatchSource *source, uint64_t generation, uint64_t time);

/* Calls the handler without arguments, of a source that cannot be switched off. Not with a lock held. */
void amb_source_notify(IODispatchSource *source);

/* SetHandler of every kind of source: NULL, or an action of this msgid, else kIOReturnBadArgument; kIOReturnNotReady: cancelled. */
kern_return_t amb_source_set_action(IODispatchSource *source, OSAction *action, uint64_t msgid);
