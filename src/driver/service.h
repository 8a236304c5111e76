/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of IOService: what the runtime knows of a service, and the order of its life.
 *
 *      attach -> start (once) -> [registered] -> stop (once) -> stopped
 *
 * "Stopped" takes two things in any order: the driver's Stop has returned, and the base Stop has been called (or Stop returned an
 * error). Then the runtime lets go of the object and of its provider. Objects that stand for a service elsewhere (the daemon's,
 * another host's) are `foreign`: they have a number, a name and properties, and nothing can be done to them.
 *
 * `lock` guards the fields; it is never held while driver code runs or the registry is asked.
 */
#include <pthread.h>
#include <stdatomic.h>

#include <DriverKit/IOService.h>

#include "base/base.h"

struct amb_named_queue {
        struct amb_named_queue *next;
        const char *name;               /* the class's own string */
        IODispatchQueue *queue;
};

struct amb_interrupt;
struct amb_state_item;

struct IOService_ivars {
        pthread_mutex_t lock;
        uint64_t entry;
        uint64_t opening;               /* while NewUserClient runs: the number of the user client that it makes */
        OSDictionary *opening_entitlements;     /* and what its application may do; borrowed */
        bool foreign;
        bool start_begun, started;
        bool register_wanted, registered;
        bool stopping, stop_returned, did_stop;
        uint32_t closed_to;             /* the daemon that hears of the stop as the end of the connection, see amb_service_close */
        IOService *provider;            /* retained until stopped */
        OSDictionary *properties, *runtime;
        char *name;
        IODispatchQueue *queue, *method_queue;
        struct amb_named_queue *named;  /* the other queue names of the class, as far as they have been set */
        struct amb_interrupt *interrupts;       /* interrupt.h; members are added, and go with the service */
        bool announced;                 /* notify-source.h's; under its lock */
        _Atomic bool ended;
        struct amb_state_item *state_items;     /* state-source.h's; under its lock */
        _Atomic uint32_t queue_changes;
        IOService *service;             /* whose these are */
        struct amb_link link;           /* the table (table.h), which retains */
        struct amb_link same_bucket;    /* of it; `entry` does not change once it is in */
};

/* Number, provider, properties (retained, not changed any more) and name, once, before anybody else knows the object. -ENOMEM. */
int amb_service_attach(IOService *service, uint64_t entry, IOService *provider, OSDictionary *properties, const char *name);
/* An object for a service that is not of this process. */
int amb_service_new_foreign(uint64_t entry, const char *name, OSDictionary *properties, IOService **ret_service);

/*
 * One reference each. The method queue is ExternalMethod's: the default queue when none was set; *ret_changes tells later whether
 * it still is.
 */
IODispatchQueue *amb_service_queue(IOService *service);
/* The queue of this name, which the class declares; the default queue when it was never set, or for NULL. */
IODispatchQueue *amb_service_named_queue(IOService *service, const char *name);
IODispatchQueue *amb_service_method_queue(IOService *service, uint32_t *ret_changes);

/* Runs Start on the default queue unless it has run; a registration that was asked for meanwhile is sent. The driver's code. */
kern_return_t amb_service_start(IOService *service, IOService *provider);
/* Has its Start been called, by the runtime or by the driver? */
bool amb_service_has_begun(IOService *service);
/* Runs Stop on the default queue unless it has run or runs already. Blocks as long as the driver does. */
void amb_service_stop(IOService *service);
/*
 * The same for a user client whose connection has ended: the daemon is told of that afterwards, which says more than that the
 * base Stop has been called; only another daemon than the one of now is told that, too.
 */
void amb_service_close(IOService *service);
/*
 * What the registry sends one-way it does not wait for, the host does before it exits: begin when a Stop has been asked for, end
 * when it has returned, wait until there are none. A driver whose Stop never returns is ended by the daemon.
 */
void amb_service_stop_begin(void);
void amb_service_stop_end(void);
void amb_service_stops_wait(void);
/* The service will never be stopped by its driver (Start failed, NewUserClient failed): let go of it. */
void amb_service_discard(IOService *service);

uint64_t amb_service_entry(IOService *service);
/* Retained; NULL: none, or let go of. */
IOService *amb_service_copy_provider(IOService *service);
OSDictionary *amb_service_copy_personality(IOService *service);
