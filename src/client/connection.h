/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One open connection: the app's end of a channel, a side socket, and the host's pidfd.
 *
 * What it promises
 *      A hot call takes no lock, allocates nothing and makes no system call: pin the handle, amb_channel_call(), unpin. Closing
 *      is done by one thread (amb_handle_shut) after the last call has left. After the host's end, calls give the contract's
 *      codes and never wait. Completions still arrive after the close, until the host says that none will come or the port is
 *      destroyed.
 *
 * Who owns what
 *      The handle's slot holds one reference; every notification port that the connection has used holds another, because the
 *      channel must stay for its completions. `call` functions run pinned; everything reached from a port runs under that
 *      port's reference. Locks, outermost first: a port's links, `drain`, a port's queue. The loans' lock and `side_lock`
 *      (inside `map_lock`) are innermost.
 *
 * What the host may do wrong: answer nonsense on the side socket. Then one line is logged and the connection is treated as
 * dead.
 */
#include <pthread.h>

#include "channel/channel.h"
#include "channel/side.h"
#include "client/handle.h"
#include "client/loan.h"
#include "client/remote.h"

struct amb_port;

/*
 * A port under the name that the host knows it by: the seat's index, and a number that is another one for each port that has sat
 * here, so that no late completion meets a wrong port.
 */
struct amb_port_seat {
        _Atomic uint64_t key;           /* name << 32 | the port's handle; 0: free; read without a lock by every async call */
        struct amb_port *port;          /* under `drain`; NULL: free */
        uint32_t name;                  /* the same; of the present or last port */
        _Atomic uint32_t dropped;       /* the name of a destroyed port that the host has not been told of; 0: none */
};

struct amb_mapping;

struct amb_connection {
        struct amb_target target;
        struct amb_channel *channel;
        int side, host;
        _Atomic bool ever_mapped;       /* calls after the end then give kIOReturnBadArgument (call-path 5.1) */
        _Atomic bool gone;              /* the host has ended, or was cut off */

        pthread_mutex_t side_lock;      /* one request at a time */
        uint32_t serial;

        pthread_mutex_t seat_lock;      /* taking a seat */
        pthread_mutex_t drain;          /* moving completions to the ports' queues, in order */
        struct amb_port_seat seats[AMB_SIDE_PORTS_MAX];

        struct amb_loans loans;
        pthread_mutex_t map_lock;       /* held while a mapping is made: the host's extents are put in place one by one */
        struct amb_mapping *mappings;
};

/*
 * Takes over the descriptors, also on failure. A connection without a handle, one reference; amb_handle_new() makes it usable.
 */
int amb_connection_new(const struct amb_opened *opened, struct amb_connection **ret);
/* The same with a handle, IO_OBJECT_NULL on failure. */
kern_return_t amb_connection_open(const struct amb_opened *opened, mach_port_t *connect);

/*
 * Asks over the side socket and waits for the answer. kind, id, flags and size of `request` are meant; fd -1: none.
 * 0: an answer (its code is data); *ret_fd is the descriptor that came with it or -1 (ret_fd NULL: closed).
 * AMB_SIDE_GONE: no answer will come. Any thread.
 */
int amb_connection_ask(struct amb_connection *connection, const struct amb_side_message *request, int fd,
                       struct amb_side_message *ret_answer, int *ret_fd);
/* The same without a serial, for what gets no answer. */
int amb_connection_say(struct amb_connection *connection, const struct amb_side_message *message, int fd);

/*
 * Asks for the memory of a type (AMB_SIDE_MAP). Every extent that comes behind the answer is passed to `take`, in order, under
 * side_lock, with its descriptor, which is take's to close. Returns as amb_connection_ask; AMB_SIDE_GONE also if not all came.
 */
typedef void (*amb_extent_take)(void *context, const struct amb_side_message *answer, const struct amb_side_message *extent,
                                int fd);
int amb_connection_ask_memory(struct amb_connection *connection, uint32_t type, struct amb_side_message *ret_answer,
                              amb_extent_take take, void *context);

/* Looks, without waiting, whether the host has gone. */
bool amb_connection_gone(struct amb_connection *connection);

/* What a use of this connection gives after its end. A handle without mappings is dead from now on. */
kern_return_t amb_connection_ended(struct amb_connection *connection);
/* The same for a user client that is terminated: the host is there, and hears of the close. */
kern_return_t amb_connection_terminated(struct amb_connection *connection);
/* The same for a handle that could not be pinned. */
kern_return_t amb_connection_refusal(mach_port_t handle);

/* The port's name on this connection, without a lock; false: it has none yet. */
bool amb_connection_seat_find(struct amb_connection *connection, mach_port_t wake_port, uint32_t *ret_name);
/* The same, or a new seat. kIOReturnNoResources: all are taken. */
kern_return_t amb_connection_seat(struct amb_connection *connection, mach_port_t wake_port, struct amb_port *port,
                                  uint32_t *ret_name);
/* Tells the host of destroyed ports; never waits: if somebody is asking just now, that thread does it. */
void amb_connection_drop_ports(struct amb_connection *connection);

void amb_mappings_free(struct amb_connection *connection);
