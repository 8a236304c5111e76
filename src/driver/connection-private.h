/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Shared by connection.c (life), calls.c (the channel) and requests.c (the side socket). */
#include <pthread.h>
#include <stdatomic.h>

#include "channel/channel.h"
#include "channel/side.h"
#include "driver/connection.h"
#include "driver/memory.h"

typedef kern_return_t (*amb_external_method)(IOUserClient *, uint64_t, IOUserClientMethodArguments *,
                                             const IOUserClientMethodDispatch *, OSObject *, void *);

/* A variable output above 4096 bytes that waits to be fetched. */
struct amb_output {
        struct amb_link link;
        uint32_t id;
        uint64_t length;
        int fd;
};

struct amb_connection {
        _Atomic uint32_t references;
        struct amb_connection_options options;
        struct amb_channel *channel;
        IOUserClient *client;                   /* from start until the end of the calls, or until it is terminated */
        int process;                            /* the app's pidfd; -1: unknown */
        bool running;                           /* the thread exists; control thread only */
        _Atomic bool refusing;                  /* terminated: answer for the driver */
        _Atomic bool over;                      /* the app has closed, died or been cut off */
        _Atomic bool dropped_told;

        /* the connection's thread only */
        amb_external_method method;
        IODispatchQueue *queue;
        uint32_t queue_changes;
        struct amb_request request;
        uint64_t scalars[AMB_CHANNEL_SCALARS];
        uint8_t bytes[AMB_CHANNEL_BYTES];

        pthread_mutex_t lock;                   /* all below */
        pthread_cond_t maps_done;
        _Atomic uint32_t maps;                  /* mappings in progress: calls wait; read without the lock */
        int side;                               /* -1: finished */
        uint32_t close_serial;                  /* not 0: the app waits for the end of the calls */
        uint32_t pending;                       /* requests without an answer */
        struct amb_link regions;
        uint32_t region_count;
        uint64_t region_bytes;
        struct amb_link outputs;
        uint32_t output_count, output_id;

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
/* One call, start to end, on the connection's thread. */
void amb_connection_call(struct amb_connection *connection);
/* Keeps a variable output for FETCH. -errno. */
int amb_connection_keep_output(struct amb_connection *connection, const void *bytes, uint64_t length, uint32_t *ret_id);
void amb_output_free(struct amb_output *output);
/* A region by id, retained; NULL. */
struct amb_region *amb_connection_region(struct amb_connection *connection, uint32_t id);
