/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The handlers of Cancel and SetEnableWithCompletion: they run on the pool as soon as no callback is in progress.
 */
#include "base/base.h"

/* Handlers that wait until something has come to rest. Guarded by the lock of what they wait for. */
struct amb_rest {
        struct amb_link handlers;
        unsigned int running;           /* callbacks in progress */
};
struct amb_rest_handler {
        struct amb_link link;
        void *context;
        void (*function)(void *context);
        void (*after)(void *object);    /* runs after function, with object; may be NULL */
        void *object;
};
void amb_rest_init(struct amb_rest *rest);
/* NULL: no memory. after(object) belongs to the runtime and runs also when function is NULL. */
struct amb_rest_handler *amb_rest_handler_new(void *context, void (*function)(void *), void (*after)(void *), void *object);
/* Under the lock: the handlers that can run now, moved to `ready` (initialised). amb_rest_run submits them, without the lock. */
void amb_rest_take(struct amb_rest *rest, struct amb_link *ready);
void amb_rest_run(struct amb_link *ready);
