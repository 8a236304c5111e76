/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One open connection, the host's side: calls come in over the channel, everything else over the side socket.
 *
 * What it promises
 *      Each call is answered once, with what call-path 3.5 to 3.7 and 2.6 say. A scalar call costs no allocation and no system call
 *      while it is hot. Stop is delivered exactly once, after the last call when the app closes or dies; at once if the user
 * client's properties
 *      switch the default locking off (call-path 3.9). A completion action works as long as the driver holds it and its port is
 * there, also
 *      after a termination and after the connection's end.
 *
 * Who owns what, which thread
 *      The connection is counted: the server, its own threads, every completion action and every mapping in progress hold it. One
 * thread takes
 *      calls and runs them on the user client's method queue; when a call gives up its (reentrant) queue in a sleep, another one
 * takes the next
 *      calls meanwhile, unless the properties want one call at a time. A connection begins at rest, without a thread; the app's
 * first call
 *      knocks, and amb_connection_rest lets the thread go again, when others need it more. The control thread watches side socket
 * and pidfd
 *      and calls serve_side, app_gone and refuse; it never waits for the driver. Mappings run on the driver's queues: first an item
 * on the method
 *      queue, which comes after the call in progress and stops later ones (`maps`), then the driver's method on the default queue.
 *
 * What the peer may do wrong: anything. The channel checks calls; sizes and places in regions are checked here against what the
 * side socket has established; descriptors are checked for kind, seals and size. Limits: side.h. A peer that breaks a rule is cut
 * off: one line in the log, then the same end as a close.
 */
#include <DriverKit/IOUserClient.h>

#include "base/base.h"

struct amb_connection;

struct amb_connection_options {
        uint64_t id;
        int channel, side;              /* consumed, also on failure */
        int process;                    /* the app's pidfd; consumed too; -1: its death is not seen (tests) */
        /*
         * On a thread of the connection's, once: Stop has been delivered. Then amb_connection_finish is due, on the control thread.
         */
        void (*ended)(void *userdata, struct amb_connection *connection);
        /*
         * The app has knocked: on the thread that serves the side socket. There is a thread now, until amb_connection_rest. May be
         * NULL.
         */
        void (*awake)(void *userdata, struct amb_connection *connection);
        void *userdata;
};
int amb_connection_new(const struct amb_connection_options *options, struct amb_connection **ret);
/* The user client (retained) is open: calls may come. Without it the connection is just released. */
void amb_connection_start(struct amb_connection *connection, IOUserClient *client);

struct amb_connection *amb_connection_retain(struct amb_connection *connection);
void amb_connection_release(struct amb_connection *connection);         /* NULL is fine */

uint64_t amb_connection_id(const struct amb_connection *connection);
/* Whatever the control thread wants to find with it. */
void amb_connection_set_watch(struct amb_connection *connection, void *watch);
void *amb_connection_watch(const struct amb_connection *connection);
int amb_connection_side(struct amb_connection *connection);             /* to be watched for input */
int amb_connection_process(struct amb_connection *connection);          /* the same */
/*
 * Handles some of what the side socket has. False: nothing more will come, stop watching, then leave it: closed if nobody is there.
 */
bool amb_connection_serve_side(struct amb_connection *connection);
void amb_connection_leave_side(struct amb_connection *connection);
/* The app has closed it or was cut off: no more calls. Completions still go to it. */
void amb_connection_app_gone(struct amb_connection *connection);
/* The app's process has ended: neither calls nor completions. */
void amb_connection_app_died(struct amb_connection *connection);
/*
 * The user client is terminated: the app's later uses are refused, calls in progress go on; after the last of them the connection
 * lets go of the user client, and is no more than the way of completions and of the app's close. Stop is the caller's.
 */
void amb_connection_refuse(struct amb_connection *connection);
/*
 * True: it rests, with no thread until the app knocks. False: its thread has been asked to go if it has nothing to do just now: ask
 * again later.
 */
bool amb_connection_rest(struct amb_connection *connection);
/* Is `entry` the connection's user client or one of that one's providers? */
bool amb_connection_serves(struct amb_connection *connection, uint64_t entry);
/* After `ended`: closes the side socket. */
void amb_connection_finish(struct amb_connection *connection);

/* IOUserClient_AsyncCompletion's work. */
void amb_connection_complete(struct amb_connection *connection, uint32_t port, const uint64_t reference[8], IOReturn status,
                             const uint64_t *values, uint32_t count);
