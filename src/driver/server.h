/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of IOUserServer: the control thread and what runs on it.
 *
 *      server.c        the object, the thread, what other threads hand to it, the end
 *      uplink.c        what services ask of the daemon (uplink.h)
 *      hosting.c       what the daemon asks of us (Host1): driver code runs on the pool, answers go out on the control thread
 *      adopt.c         the daemon is gone: watch the socket's directory, connect again, report everything
 *
 * sd-event, sd-bus and what is marked `control` below belong to whoever holds the control lock: the control thread, which waits
 * for the world's events without it, or a thread that has come back from driver code with something for the daemon
 * (amb_server_run): it says that itself, instead of waking the control thread for it. Nobody runs driver code with the lock, or
 * waits for anything. There is one server in a process; it is never freed, because threads may be anywhere in it: the process
 * ends with it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include <DriverKit/IOUserServer.h>

#include "base/base.h"
#include "driver/connection.h"

/* Something to do with the control lock. Its memory belongs to run from then on. */
struct amb_post {
        struct amb_link link;
        void (*run)(struct amb_post *post);
};

struct amb_server {
        IOUserServer *object;
        sd_event *event;
        sd_bus *bus;                    /* NULL: no daemon */
        _Atomic uint32_t daemons;       /* that there have been */
        bool adopting;                  /* a report is on its way; cleared by its answer */
        bool report_again;              /* the daemon waits for a Start to return */
        char *name, *bundle_id, *token;
        bool embedded;                  /* not launched: this program offers itself as the host of bundle_path */
        char *bundle_path;
        uint64_t tag;

        pthread_mutex_t lock;
        pthread_cond_t ended;
        struct amb_link posts;          /* under the lock */
        int post_fd;                    /* wakes the control thread */
        bool end;
        int status;

        pthread_mutex_t control;        /* taken before all other locks, and only by amb_server_run and the control thread */
        struct amb_link connections;    /* control: struct amb_watch */
        struct amb_link refused;        /* control: the same, of terminated user clients */
        int sides;                      /* epoll: the connections' side sockets */
        struct amb_link awake;          /* control: the same, of connections that have a thread; the one awakened first, first */
        unsigned int awake_count;
        struct amb_link leaving;        /* control: those that have been asked to let it go */
        struct amb_link apps[256];      /* control: struct amb_app */
        unsigned int loading;           /* control: bundles being loaded, and who waits for them */
        struct amb_link after_loading;
        struct amb_link terminations;   /* control: asked for while no daemon was there */

        /* adopt.c */
        char *path, *directory;
        sd_event_source *directory_source, *retry;
        unsigned int tries;
};

/* The process's one, or NULL. */
struct amb_server *amb_server(void);

/* Any thread, also from driver code: runs it on the control thread, soon. */
void amb_server_post(struct amb_server *server, struct amb_post *post);
/*
 * From a thread of the runtime's own that has no driver code below it, or with the control lock: runs it now, after what has
 * been posted before, unless somebody has the lock, who does it then.
 */
void amb_server_run(struct amb_server *server, struct amb_post *post);
void amb_server_end(struct amb_server *server, int status);

/* --- with the control lock --- */
/* Watches an open connection until it has ended; takes the reference. -errno: not taken. */
int amb_server_watch(struct amb_server *server, struct amb_connection *connection);
/* Stop has been delivered: the references go, the daemon is told. */
void amb_server_connection_ended(struct amb_server *server, struct amb_connection *connection);
/* Its app has knocked. */
void amb_server_connection_awake(void *server, struct amb_connection *connection);
/* The entry is being terminated: no more calls reach it if it is a user client, or the user clients below it. */
void amb_server_refuse(struct amb_server *server, uint64_t entry);
bool amb_server_has_connections(const struct amb_server *server);
/* A bus that has been made: our methods on it, into the event loop, its end noticed. Consumed, also on failure. */
int amb_server_take_bus(struct amb_server *server, sd_bus *bus);

extern const sd_bus_vtable amb_hosting_vtable[];

/* The daemon's connection has ended. */
void amb_adopt_begin(struct amb_server *server);
/* A Start has returned: a report that waited for it goes out again. */
void amb_adopt_started(struct amb_server *server);
/* Nothing is left and no daemon is there: end. */
void amb_adopt_idle(struct amb_server *server);

/* Sends the terminations that were asked for while no daemon was there. */
void amb_uplink_replay(struct amb_server *server);
