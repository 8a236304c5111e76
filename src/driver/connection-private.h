/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Shared by connection.c (birth, what ends it, completions), receiver.c (its threads), calls.c (one call), requests.c (the side
 * socket) and offer.c (memory on its way to the app).
 */
#include <pthread.h>
#include <stdatomic.h>

#include "channel/channel.h"
#include "channel/side.h"
#include "driver/borrow.h"
#include "driver/connection.h"
#include "driver/memory.h"
#include "driver/pool.h"
#include "driver/queue.h"

typedef kern_return_t (*amb_external_method)(IOUserClient *, uint64_t, IOUserClientMethodArguments *,
                                             const IOUserClientMethodDispatch *, OSObject *, void *);

/* A variable output above 4096 bytes that waits to be fetched. */
struct amb_output {
        struct amb_link link;
        uint32_t id;
        uint64_t length;
        int fd;
};

/* Memory that the app maps and whose extents it has not all got yet. */
struct amb_offer {
        IOMemoryDescriptor *memory;             /* retained */
        struct amb_memory_extent *extents;      /* NULL: none */
        uint32_t count, next;
};

/*
 * A thread that takes calls off the channel, and the call that it is in. One of a connection's has the role of the receiver; as a
 * rule there is no other. A call that gives its queue up in a sleep hands the role on, so that the next call finds somebody.
 */
struct amb_receiver {
        struct amb_connection *connection;
        bool receiving;                         /* has the role; its own thread's, under the lock while it waits for the role */
        IODispatchQueue *queue;                 /* where the last call ran */
        uint32_t queue_changes;
        struct amb_queue_frame frame;
        struct amb_request request;
        /* The driver may write anything into these; zeros between calls, but for the named arguments. */
        IOUserClientMethodArguments arguments;
        uint64_t scalars[AMB_CHANNEL_SCALARS];
        OSData *input;                          /* inline structures: one object for all calls */
};

struct amb_connection {
        _Atomic uint32_t references;
        struct amb_connection_options options;
        struct amb_channel *channel;
        IOUserClient *client;                   /* from start until the end of the calls, or until it is terminated */
        int process;                            /* the app's pidfd; -1: unknown */
        amb_external_method method;
        bool locking, single;                   /* call-path 3.9; constant since start */
        _Atomic bool refusing;                  /* terminated: answer for the driver */
        _Atomic bool over;                      /* the app has closed, died or been cut off */
        _Atomic bool dropped_told;

        pthread_mutex_t lock;                   /* all below */
        pthread_cond_t role;                    /* has changed hands, or is over */
        struct amb_receiver *spare;             /* waits for the role */
        /* nobody has the role; counted among `threads`, and holds a reference, as if somebody had */
        bool resting;
        bool roused;                            /* somebody is wanted, but there was one then */
        struct amb_work coming;                 /* to take the role after a rest */
        bool role_over;                         /* no call will be received any more */
        bool letting_go;                        /* terminated; the client is released after the calls that sleep */
        bool stop_begun;                        /* ahead of the end of the calls: without the default locking */
        void *watch;                            /* the control thread's */
        uint32_t threads;                       /* receivers, and one that delivers Stop ahead: the last one ends the connection */
        uint32_t sleepers;                      /* calls in progress that have handed the role on */
        struct amb_link maps_waiting;           /* for the end of those calls */
        pthread_cond_t maps_done;
        _Atomic uint32_t maps;                  /* mappings in progress: calls wait; read without the lock */
        int side;                               /* -1: finished */
        bool deserted;                          /* control: the app has closed its end of it */
        uint32_t close_serial;                  /* not 0: the app waits for the end of the calls */
        uint32_t pending;                       /* requests without an answer */
        struct amb_link outputs;
        uint32_t output_count, output_id;
        struct amb_offer offer;

        struct amb_borrows borrows;

        pthread_mutex_t port_lock;              /* innermost: taken inside the channel's completion lock */
        struct amb_connection_port {
                int fd;                         /* -1: none */
                uint32_t name;
        } ports[AMB_SIDE_PORTS_MAX];
};

/* Says why, once, and ends the connection as if the app had closed it. */
void amb_connection_cut_off(struct amb_connection *connection, const char *why);
/* Answers a request; a peer that does not read is cut off. */
void amb_connection_answer(struct amb_connection *connection, const struct amb_side_message *answer, int fd);
/* What to do about the result of an amb_side_send to the app. Not with the lock held. */
void amb_connection_sent(struct amb_connection *connection, int result);
/* Answers a MAP with memory. Consumes a reference, which is kept until the app has got all of it, and the extents' array. */
void amb_connection_offer(struct amb_connection *connection, struct amb_side_message *answer, IOMemoryDescriptor *memory,
                          struct amb_memory_extent *extents, uint32_t count);
void amb_connection_offer_more(struct amb_connection *connection, uint32_t serial);
void amb_connection_offer_end(struct amb_connection *connection);
/* One call, start to end, on the receiver's thread. */
void amb_connection_call(struct amb_receiver *receiver);
/* The call that the receiver is in is about to give up its queue (struct amb_queue_frame). */
void amb_receiver_asleep(struct amb_queue_frame *frame);
/* Somebody is to receive. `apart`: for a call, which may take for ever. Any thread, with the channel's locks or none. */
void amb_connection_rouse(struct amb_connection *connection, bool apart);
/* The driver's Stop, now, whatever calls are in progress; once. Any thread. */
void amb_connection_stop_ahead(struct amb_connection *connection);
/* Of mappings that have waited for the end of calls: the list is the callee's. Not with the lock held. */
void amb_connection_go_on_mapping(struct amb_link *mappings);
/* Keeps a variable output for FETCH. -errno. */
int amb_connection_keep_output(struct amb_connection *connection, const void *bytes, uint64_t length, uint32_t *ret_id);
void amb_output_free(struct amb_output *output);
