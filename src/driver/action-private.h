/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Shared by action.c and action-wait.c. Everything but what is set at creation is guarded by `lock`. */
#include <pthread.h>
#include <stdatomic.h>

#include "driver/action.h"

/* WillWait to EndWait. */
struct amb_action_wait {
        pthread_cond_t changed;
        uint64_t token, last_token;     /* 0: nobody will wait */
        bool waiting;                   /* a thread is in Wait */
        bool done;
        kern_return_t result;           /* then */
};

struct OSAction_ivars {
        pthread_mutex_t lock;
        struct amb_rest rest;
        struct amb_action_wait wait;
        _Atomic bool cancelled;
        unsigned int holders;                   /* sources that may invoke it */
        unsigned int pending;                   /* callbacks submitted and not ended */
        bool abandoned;                         /* the last holder has let go, and there is no new one */
        bool aborted;                           /* the handler has had its turn */
        void *aborted_context;
        void (*aborted_handler)(void *context);
        void (*aborted_dropped)(void *context);
        uint64_t msgid;
        IOService *target;                      /* local: retained until cancelled or freed */
        void (*method)(void);
        const char *queue;                      /* the name of the method's queue, NULL: default */
        const char *wants;                      /* the class that the method takes, NULL: any */
        void *memory;
        struct amb_connection *connection;      /* completion: a reference */
        uint32_t port;
        uint64_t reference[8];
};

/* Under the lock: the method has run. */
void amb_action_wait_handled(struct OSAction_ivars *a);
/* Under the lock, when the action may have become one that nobody will invoke. */
void amb_action_wait_settle(struct OSAction_ivars *a);
