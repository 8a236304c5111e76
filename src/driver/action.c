/* SPDX-License-Identifier: Apache-2.0 */
#include <DriverKit/IOService.h>
#include <DriverKit/IOTimerDispatchSource.h>

#include "driver/action-private.h"
#include "driver/connection.h"
#include "driver/queue.h"
#include "driver/service.h"

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
        pthread_cond_init(&self->ivars->wait.changed, NULL);
        amb_rest_init(&self->ivars->rest);
        return true;
}

static void action_free(OSObject *object)
{
        OSAction *self = (OSAction *)object;

        struct OSAction_ivars *a = self->ivars;

        if (a) {
                if (a->aborted_dropped)
                        a->aborted_dropped(a->aborted_context);
                OSObject_release(a->target);
                amb_connection_release(a->connection);
                free(a->memory);
                pthread_cond_destroy(&a->wait.changed);
                pthread_mutex_destroy(&a->lock);
                free(a);
        }
        OSObject_free(object);
}

static const struct amb_method action_methods[] = {
        AMB_OVERRIDE(OSObject, init, action_init),
        AMB_OVERRIDE(OSObject, free, action_free),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gOSActionMetaClass = { "OSAction", &gOSObjectMetaClass, sizeof(OSAction), action_methods,
                                                    AMB_SKIN_PLACE };

/* --- creation --- */

/* Classes of actions are known by their names alone; each is made when the first action of it is, and stays. */
struct action_class {
        OSMetaClass meta;
        struct action_class *next;
        char name[];
};
static struct {
        pthread_mutex_t lock;
        struct action_class *first;
} classes = { .lock = PTHREAD_MUTEX_INITIALIZER };

#define CLASS_NAME_MOST 127

static struct action_class *class_new(const char *name)
{
        size_t size = strlen(name) + 1;
        struct action_class *c = malloc(sizeof(*c) + size);

        if (!c)
                return NULL;
        memcpy(c->name, name, size);
        memcpy(&c->meta, &(OSMetaClass){ c->name, OSTypeID(OSAction), sizeof(OSAction), NULL, NULL }, sizeof(c->meta));
        c->next = classes.first;
        classes.first = c;
        return c;
}

/* NULL: no memory. */
static const OSMetaClass *class_of_name(const char *name)
{
        struct action_class *c;

        pthread_mutex_lock(&classes.lock);
        for (c = classes.first; c; c = c->next)
                if (strcmp(c->name, name) == 0)
                        break;
        if (!c)
                c = class_new(name);
        pthread_mutex_unlock(&classes.lock);
        return c ? &c->meta : NULL;
}

/* What the nearest class that says anything about the method's queue, or its action's class, says. */
static void find_traits(const OSMetaClass *meta, uint64_t id, const char **ret_queue, const char **ret_wants)
{
        for (; meta; meta = meta->super)
                for (const struct amb_method *m = meta->methods; m && m->function; m++)
                        if (m->id == id) {
                                if (!*ret_queue)
                                        *ret_queue = m->queue;
                                if (!*ret_wants)
                                        *ret_wants = m->action;
                        }
}

static kern_return_t create(const OSMetaClass *meta, OSObject *target, uint64_t targetmsgid, uint64_t msgid, size_t referenceSize,
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
        created = meta ? (OSAction *)amb_object_new(meta) : NULL;
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
        find_traits(OSObject_getMetaClass(target), targetmsgid, &created->ivars->queue, &created->ivars->wants);
        *action = created;
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t OSAction_Create(OSObject *target, uint64_t targetmsgid, uint64_t msgid, size_t referenceSize,
                                         OSAction **action)
{
        return create(OSTypeID(OSAction), target, targetmsgid, msgid, referenceSize, action);
}

AMB_EXPORT kern_return_t OSAction_CreateWithTypeName(OSObject *target, uint64_t targetmsgid, uint64_t msgid, size_t referenceSize,
                                                     OSString *typeName, OSAction **action)
{
        const char *name = typeName ? OSStringGetStringPtr(typeName) : "";

        if (*name == '\0' || strlen(name) > CLASS_NAME_MOST)
                return kIOReturnBadArgument;
        return create(class_of_name(name), target, targetmsgid, msgid, referenceSize, action);
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
        amb_action_wait_settle(self->ivars);
        amb_list_append(&self->ivars->rest.handlers, &h->link);
        amb_rest_take(&self->ivars->rest, &ready);
        pthread_mutex_unlock(&self->ivars->lock);
        amb_rest_run(&ready);
        return kIOReturnSuccess;
}

/* --- who may invoke it --- */

void amb_action_set_aborted(OSAction *action, void *context, void (*handler)(void *context), void (*dropped)(void *context))
{
        struct OSAction_ivars *a = action->ivars;
        void (*before)(void *context);
        void *before_context;

        pthread_mutex_lock(&a->lock);
        before = a->aborted_dropped;
        before_context = a->aborted_context;
        a->aborted_context = context;
        a->aborted_handler = handler;
        a->aborted_dropped = dropped;
        pthread_mutex_unlock(&a->lock);
        if (before)
                before(before_context);
}

AMB_EXPORT kern_return_t OSAction_SetAbortedHandler_f(OSAction *self, void *context, void (*handler)(void *context))
{
        amb_action_set_aborted(self, context, handler, NULL);
        return kIOReturnSuccess;
}

OSAction *amb_action_hold(OSAction *action)
{
        if (!action)
                return NULL;
        OSObject_retain(action);
        pthread_mutex_lock(&action->ivars->lock);
        action->ivars->holders++;
        action->ivars->abandoned = false;
        pthread_mutex_unlock(&action->ivars->lock);
        return action;
}

/* Under the lock: the handler's one turn. */
static void abort_action(struct OSAction_ivars *a, struct amb_link *ready)
{
        struct amb_rest_handler *h;

        if (a->aborted)
                return;
        a->aborted = true;
        if (!a->aborted_handler)
                return;
        h = amb_rest_handler_new(a->aborted_context, a->aborted_handler, NULL, NULL);
        if (!h) {
                amb_log(AMB_LOG_ERROR, "no memory for an action's aborted handler");
                return;
        }
        a->aborted_handler = a->aborted_dropped = NULL;
        amb_list_append(ready, &h->link);
}

void amb_action_let_go(OSAction *action)
{
        struct amb_link ready = AMB_LIST_INIT(ready);

        if (!action)
                return;
        pthread_mutex_lock(&action->ivars->lock);
        if (--action->ivars->holders == 0) {
                action->ivars->abandoned = true;
                amb_action_wait_settle(action->ivars);
                abort_action(action->ivars, &ready);
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
        struct OSAction_ivars *a = c->action->ivars;

        c->end(c->context, ran);
        pthread_mutex_lock(&a->lock);
        a->pending--;
        amb_action_wait_settle(a);
        pthread_mutex_unlock(&a->lock);
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

/* The check of the method's stub: the action is of the class made for that method. */
static bool is_of_class(const OSAction *action)
{
        const char *wants = action->ivars->wants;

        if (!wants || strcmp(OSObject_GetClassName(action), wants) == 0)
                return true;
        amb_log(AMB_LOG_WARNING, "an action of class %s is no %s: dropped (kIOReturnBadArgument)", OSObject_GetClassName(action),
                wants);
        return false;
}

static void callback_run(void *context)
{
        struct callback *c = context;
        struct OSAction_ivars *a = c->action->ivars;
        struct amb_link ready = AMB_LIST_INIT(ready);
        struct amb_action_arguments arguments = { 0 };
        bool run, right_class = is_of_class(c->action);

        pthread_mutex_lock(&a->lock);
        run = right_class && !atomic_load(&a->cancelled);
        a->rest.running += run;
        pthread_mutex_unlock(&a->lock);
        if (!run) {
                callback_finish(c, false);
                return;
        }
        run = c->begin(c->context, &arguments);
        if (run && arguments.call)
                arguments.call(c->context, a->method, &a->target->object);
        else if (run)
                call_method(a, c->action, &arguments);
        pthread_mutex_lock(&a->lock);
        a->rest.running--;
        if (run)
                amb_action_wait_handled(a);
        amb_action_wait_settle(a);
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
        if (action->ivars->target && !atomic_load(&action->ivars->cancelled)) {
                queue = amb_service_named_queue(action->ivars->target, action->ivars->queue);
                action->ivars->pending++;
        }
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
                pthread_mutex_lock(&action->ivars->lock);
                action->ivars->pending--;
                amb_action_wait_settle(action->ivars);
                pthread_mutex_unlock(&action->ivars->lock);
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
