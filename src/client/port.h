/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Notification ports: one place where completions of many connections and notifications of the registry arrive.
 *
 * What it promises
 *      One epoll fd is readable whenever amb_port_dispatch() has something to do. Dispatch reads the port's bus, moves what the
 *      channels hold to the queue, a part at a time, calls out one message after the other, and asks the channels to be woken
 *      again. Before that it looks on for some microseconds if messages have come in a stream lately: while a reader looks, the
 *      driver need not wake it, and waking costs both sides more than hundreds of completions. Who looks in vain n times running
 *      leaves it out the next 2^n - 1 times (63 at most); a port to which nothing comes never looks. Messages of one connection
 *      keep their order. Destroying a port inside a callback ends the dispatch.
 *      The bus is connected for the first subscription and again whenever a daemon is there; what a subscription knew is not
 *      told twice.
 *
 * Who owns what
 *      The IONotificationPortRef is one reference; its handle's slot, every seat on a connection, every iterator and interest
 *      notification hold one each. `destroyed` is set once; after that nothing is queued or delivered.
 *
 * Which thread
 *      Queue and links: any, each under its lock. Bus and subscriptions: any, under `bus_lock`, which is recursive for nobody:
 *      no callback runs under a lock. amb_port_dispatch: one thread at a time, the caller's promise; on a dispatch queue, the
 *      queue's. mach_msg: any number.
 */
#include <pthread.h>

#include <IOKit/IOKitLib.h>

#include "client/handle.h"
#include "client/message.h"
#include "control/bus.h"

struct amb_connection;
struct amb_dispatch_source;
struct amb_subscription;

/* A connection that may still send completions to this port. */
struct amb_port_link {
        struct amb_link link;
        struct amb_connection *connection;      /* a reference */
        uint32_t name;                          /* the port's on that connection */
};

struct amb_port {
        struct amb_target target;
        int epoll, wake_read, wake_write;
        _Atomic bool destroyed;
        CFRunLoopSourceRef source;
        struct amb_dispatch_source *queue_source;
        _Atomic uint32_t send_rights;           /* mach_port_insert_right() and its like; only counted */

        pthread_mutex_t queue_lock;
        struct amb_link queue;
        struct amb_link spares;                 /* messages of completions that were delivered, to be filled again */
        uint32_t spare_count;
        _Atomic uint32_t queue_limit;           /* messages beside which nothing is posted */

        pthread_mutex_t links_lock;
        struct amb_link links;
        uint32_t look_misses, look_skip;        /* of who dispatches: looks in vain, running; dispatches without a look */

        pthread_mutex_t bus_lock;
        sd_bus *bus;
        sd_bus *inherited_bus;                  /* in a forked child: the parent's, never touched */
        int bus_fd;                             /* as it was registered with epoll */
        int watch, timer;                       /* while there is no daemon: inotify of where it will appear, and a timer; -1 */
        unsigned int attempts;
        uint32_t next_subscription;
        struct amb_link subscriptions;
};
struct IONotificationPort {
        struct amb_port port;
};

/* One reference for the caller, one for the handle. -ENOMEM, -EMFILE, ... */
int amb_port_new(struct amb_port **ret);
/* No message comes or goes any more, the handle is gone. Any number of times; the caller's reference stays. */
void amb_port_close(struct amb_port *port);

/*
 * A reader's round: gather moves what has arrived to the queue, take hands out the oldest message (the caller's from then on) if
 * it has at most `most` bytes, settle asks for the next wake-up or, if messages are left, makes the descriptor readable at once.
 * Any thread; several readers share the messages. AMB_PORT_EMPTY; AMB_PORT_TOO_LARGE: it stays, *ret_size are its bytes.
 */
enum { AMB_PORT_EMPTY = 1, AMB_PORT_TOO_LARGE = 2 };
void amb_port_gather(struct amb_port *port);
int amb_port_take(struct amb_port *port, size_t most, struct amb_message **ret, size_t *ret_size);
void amb_port_settle(struct amb_port *port);

/* The descriptor that wakes this port, to be copied to hosts. */
int amb_port_wake_fd(struct amb_port *port);

/*
 * Links a connection, whose host has just heard of this port as `name`, and fills the seat. -ENOMEM; -ESHUTDOWN: it is destroyed.
 */
int amb_port_join(struct amb_port *port, struct amb_connection *connection, uint32_t name);

/* A connection is closed: looks at its ports for links that have nothing more to say. */
void amb_ports_sweep(struct amb_connection *connection);

/* Appends; dropped when the port is destroyed. Takes over the message. `wake`: another thread may be polling. */
void amb_port_queue(struct amb_port *port, struct amb_message *message, bool wake);

/*
 * The same for what this process itself sends, within the port's limit; never waits, and takes over the message in any case. FULL:
 * the port holds as many messages as its limit. GONE: destroyed. -ENOMEM: message is NULL.
 */
enum { AMB_PORT_FULL = 1, AMB_PORT_GONE };
#define AMB_PORT_LIMIT 5u                       /* Mach's, unless a port is told otherwise */
int amb_port_post(struct amb_port *port, struct amb_message *message);

/* --- subscriptions (subscription.c) --- */

/* What the daemon tells is handed to these, with bus_lock held: they must not call out. */
struct amb_subscription {
        struct amb_link link;
        struct amb_port *port;                  /* a reference, until it is removed */
        uint32_t number;
        /* (Re)subscribes on port->bus. 0, or -errno: the bus is of no use. */
        int (*subscribe)(struct amb_subscription *subscription);
        void (*notified)(struct amb_subscription *subscription, uint64_t entry);
        void (*interest)(struct amb_subscription *subscription, uint64_t entry, uint32_t message_type, uint64_t argument);
};
/*
 * Links it and subscribes, if a daemon is there; if none is, it will be when one comes: errors of the bus are not errors here.
 * What the daemon answered is for `subscribe` to keep. -ESHUTDOWN: the port is destroyed, nothing was linked.
 */
int amb_subscription_add(struct amb_port *port, struct amb_subscription *subscription);
void amb_subscription_remove(struct amb_subscription *subscription);

/* For amb_port_dispatch and destroy. */
void amb_port_bus_init(struct amb_port *port);
void amb_port_bus_dispatch(struct amb_port *port);
void amb_port_bus_close(struct amb_port *port);
void amb_port_bus_forked(struct amb_port *port);
