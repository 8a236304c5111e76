/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>

#include <DriverKit/IOService.h>
#include <DriverKit/IOTimerDispatchSource.h>

#include "driver/action.h"
#include "driver/connection.h"
#include "driver/pool.h"
#include "driver/queue.h"
#include "driver/service.h"

struct OSAction_ivars {
        pthread_mutex_t lock;
        struct amb_rest rest;
        _Atomic bool cancelled;
        unsigned int holders;                   /* sources that may invoke it */
        bool aborted;
        void *aborted_context;
        void (*aborted_handler)(void *context);
        uint64_t msgid;
        IOService *target;                      /* local: retained until cancelled or freed */
        void (*method)(void);
        void *memory;
        struct amb_connection *connection;      /* completion: a reference */
        uint32_t port;
        uint64_t reference[8];
};

/* --- handlers that wait for callbacks in progress --- */

void amb_rest_init(struct amb_rest *rest)
{
        amb_list_init(&rest->handlers);
        rest->running = 0;
}

struct amb_rest_handler *amb_rest_handler_new(void *context, void (*function)(void *), void (*after)(void *), void *object)
{
        struct amb_rest_handler *h = calloc(1, sizeof(*h));

        if (h)
                *h = (struct amb_rest_handler){ .context = context, .function = function, .after = after, .object = object };
        return h;
}

void amb_rest_take(struct amb_rest *rest, struct amb_link *ready)
{
        struct amb_rest_handler *h, *following;

        if (rest->running > 0)
                return;
        amb_list_for_safe(h, following, &rest->handlers, link) {
                amb_link_remove(&h->link);
                amb_list_append(ready, &h->link);
        }
}

static void rest_handler_run(void *context)
{
        struct amb_rest_handler h = *(struct amb_rest_handler *)context;

        free(context);
        if (h.function)
                h.function(h.context);
        if (h.after)
                h.after(h.object);
}

void amb_rest_run(struct amb_link *ready)
{
        struct amb_rest_handler *h, *following;

        amb_list_for_safe(h, following, ready, link) {
                amb_link_remove(&h->link);
                if (amb_pool_run(rest_handler_run, h) < 0)
                        rest_handler_run(h);    /* no memory: better on this thread than never */
        }
}

/* --- the object --- */

static bool action_init(OSObject *object)
{
        OSAction *self = (OSAction *)object;

        if (!OSObject_init(object))
                return false;
        self->ivars = calloc(1, sizeof(*self->ivars));
        if (!self->ivars)
                return false;
        pthread_mutex_init(&self->ivars->lock, NULL);
        amb_rest_init(&self->ivars->rest);
        return true;
}

static void action_free(OSObject *object)
{
        OSAction *self = (OSAction *)object;

        if (self->ivars) {
                OSObject_release(self->ivars->target);
                amb_connection_release(self->ivars->connection);
                free(self->ivars->memory);
                pthread_mutex_destroy(&self->ivars->lock);
                free(self->ivars);
        }
        OSObject_free(object);
}

static const struct amb_method action_methods[] = {
        AMB_OVERRIDE(OSObject, init, action_init),
        AMB_OVERRIDE(OSObject, free, action_free),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gOSActionMetaClass = { "OSAction", &gOSObjectMetaClass, sizeof(OSAction), action_methods, NULL };

AMB_EXPORT kern_return_t OSAction_Create(OSObject *target, uint64_t targetmsgid, uint64_t msgid, size_t referenceSize,
                                         OSAction **action)
{
        IOService *service = OSDynamicCast(IOService, target);
        void (*method)(void);
        OSAction *created;

        if (!service || !action)
                return kIOReturnBadArgument;
        method = amb_class_method(OSObject_getMetaClass(target), targetmsgid);
        if (!method)
                return kIOReturnBadArgument;
        created = (OSAction *)amb_object_new(OSTypeID(OSAction));
        if (!created)
                return kIOReturnNoMemory;
        if (referenceSize > 0 && !(created->ivars->memory = calloc(1, referenceSize))) {
                OSObject_release(created);
                return kIOReturnNoMemory;
        }
        OSObject_retain(service);
        created->ivars->target = service;
        created->ivars->method = method;
        created->ivars->msgid = msgid;
        *action = created;
        return kIOReturnSuccess;
}

AMB_EXPORT void *OSAction_GetReference(OSAction *self)
{
        return self->ivars->memory;
}

/* After Cancel: nobody calls the target any more. The action's reference, which the handler held, goes too. */
static void let_target_go(void *object)
{
        OSAction *self = object;
        IOService *target;

        pthread_mutex_lock(&self->ivars->lock);
        target = amb_steal(self->ivars->target);
        pthread_mutex_unlock(&self->ivars->lock);
        OSObject_release(target);
        OSObject_release(self);
}

AMB_EXPORT kern_return_t OSAction_Cancel_f(OSAction *self, void *context, void (*handler)(void *context))
{
        struct amb_rest_handler *h = amb_rest_handler_new(context, handler, let_target_go, self);
        struct amb_link ready = AMB_LIST_INIT(ready);

        if (!h)
                return kIOReturnNoMemory;
        OSObject_retain(self);
        pthread_mutex_lock(&self->ivars->lock);
        atomic_store(&self->ivars->cancelled, true);
        amb_list_append(&self->ivars->rest.handlers, &h->link);
        amb_rest_take(&self->ivars->rest, &ready);
        pthread_mutex_unlock(&self->ivars->lock);
        amb_rest_run(&ready);
        return kIOReturnSuccess;
}

/* --- who may invoke it --- */

AMB_EXPORT kern_return_t OSAction_SetAbortedHandler_f(OSAction *self, void *context, void (*handler)(void *context))
{
        pthread_mutex_lock(&self->ivars->lock);
        self->ivars->aborted_context = context;
        self->ivars->aborted_handler = handler;
        pthread_mutex_unlock(&self->ivars->lock);
        return kIOReturnSuccess;
}

OSAction *amb_action_hold(OSAction *action)
{
        if (!action)
                return NULL;
        OSObject_retain(action);
        pthread_mutex_lock(&action->ivars->lock);
        action->ivars->holders++;
        pthread_mutex_unlock(&action->ivars->lock);
        return action;
}

void amb_action_let_go(OSAction *action)
{
        struct amb_link ready = AMB_LIST_INIT(ready);
        struct amb_rest_handler *h;

        if (!action)
                return;
        pthread_mutex_lock(&action->ivars->lock);
        if (--action->ivars->holders == 0 && !action->ivars->aborted) {
                action->ivars->aborted = true;
                h = action->ivars->aborted_handler ? amb_rest_handler_new(action->ivars->aborted_context,
                                                                          action->ivars->aborted_handler, NULL, NULL) : NULL;
                if (h)
                        amb_list_append(&ready, &h->link);
                else if (action->ivars->aborted_handler)
                        amb_log(AMB_LOG_ERROR, "no memory for an action's aborted handler");
        }
        pthread_mutex_unlock(&action->ivars->lock);
        amb_rest_run(&ready);
        OSObject_release(action);
}

uint64_t amb_action_msgid(const OSAction *action)
{
        return action->ivars->msgid;
}

bool amb_action_cancelled(const OSAction *action)
{
        return atomic_load(&action->ivars->cancelled);
}

/* --- a callback --- */

struct callback {
        OSAction *action;
        void *context;
        amb_action_begin begin;
        amb_action_end end;
};

static void callback_finish(struct callback *c, bool ran)
{
        c->end(c->context, ran);
        OSObject_release(c->action);
        free(c);
}

static void callback_dropped(void *context)
{
        callback_finish(context, false);
}

/* The method has as many parameters as its kind of callback has arguments. */
static void call_method(const struct OSAction_ivars *a, OSAction *action, const struct amb_action_arguments *arguments)
{
        const uint64_t *values = arguments->values;

        switch (arguments->count) {
        case 0:
                ((void (*)(void *, OSAction *))a->method)(a->target, action);
                break;
        case 1:
                ((void (*)(void *, OSAction *, uint64_t))a->method)(a->target, action, values[0]);
                break;
        default:
                ((void (*)(void *, OSAction *, uint64_t, uint64_t))a->method)(a->target, action, values[0], values[1]);
        }
}

static void callback_run(void *context)
{
        struct callback *c = context;
        struct OSAction_ivars *a = c->action->ivars;
        struct amb_link ready = AMB_LIST_INIT(ready);
        struct amb_action_arguments arguments = { 0 };
        bool run;

        pthread_mutex_lock(&a->lock);
        run = !atomic_load(&a->cancelled);
        a->rest.running += run;
        pthread_mutex_unlock(&a->lock);
        if (!run) {
                callback_finish(c, false);
                return;
        }
        run = c->begin(c->context, &arguments);
        if (run)
                call_method(a, c->action, &arguments);
        pthread_mutex_lock(&a->lock);
        a->rest.running--;
        amb_rest_take(&a->rest, &ready);
        pthread_mutex_unlock(&a->lock);
        amb_rest_run(&ready);
        callback_finish(c, run);
}

int amb_action_submit(OSAction *action, void *context, amb_action_begin begin, amb_action_end end)
{
        struct callback *c;
        IODispatchQueue *queue = NULL;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return amb_trace(-ENOMEM);
        pthread_mutex_lock(&action->ivars->lock);
        if (action->ivars->target && !atomic_load(&action->ivars->cancelled))
                queue = amb_service_queue(action->ivars->target);
        pthread_mutex_unlock(&action->ivars->lock);
        if (!queue) {
                free(c);
                return -ECANCELED;
        }
        OSObject_retain(action);
        *c = (struct callback){ .action = action, .context = context, .begin = begin, .end = end };
        r = amb_queue_async(queue, c, callback_run, callback_dropped);
        OSObject_release(queue);
        if (r < 0) {
                OSObject_release(action);
                free(c);
        }
        return r;
}

/* --- completions --- */

int amb_action_new_completion(struct amb_connection *connection, uint32_t port, const uint64_t reference[8], OSAction **ret_action)
{
        OSAction *action = (OSAction *)amb_object_new(OSTypeID(OSAction));

        if (!action)
                return amb_trace(-ENOMEM);
        action->ivars->connection = amb_connection_retain(connection);
        action->ivars->port = port;
        memcpy(action->ivars->reference, reference, sizeof(action->ivars->reference));
        *ret_action = action;
        return 0;
}

struct amb_connection *amb_action_completion(const OSAction *action, uint32_t *ret_port, const uint64_t **ret_reference)
{
        if (!action->ivars->connection || amb_action_cancelled(action))
                return NULL;
        *ret_port = action->ivars->port;
        *ret_reference = action->ivars->reference;
        return action->ivars->connection;
}
