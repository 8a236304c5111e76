/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/source.h"

bool amb_source_init(OSObject *object)
{
        IODispatchSource *self = (IODispatchSource *)object;

        if (!OSObject_init(object))
                return false;
        self->ivars = calloc(1, sizeof(*self->ivars));
        if (!self->ivars)
                return false;
        pthread_mutex_init(&self->ivars->lock, NULL);
        amb_rest_init(&self->ivars->rest);
        amb_list_init(&self->ivars->link);
        self->ivars->source = self;
        return true;
}

void amb_source_free(OSObject *object)
{
        IODispatchSource *self = (IODispatchSource *)object;

        if (self->ivars) {
                amb_action_let_go(self->ivars->action);
                pthread_mutex_destroy(&self->ivars->lock);
                free(self->ivars);
        }
        OSObject_free(object);
}

static const struct amb_method source_methods[] = {
        AMB_OVERRIDE(OSObject, init, amb_source_init),
        AMB_OVERRIDE(OSObject, free, amb_source_free),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIODispatchSourceMetaClass = {
        "IODispatchSource", &gOSObjectMetaClass, sizeof(IODispatchSource), source_methods, AMB_SKIN_PLACE,
};

struct event {
        IODispatchSource *source;
        uint64_t generation, time;
};

/* On the target's queue: still wanted? */
static bool event_begin(void *context, struct amb_action_arguments *arguments)
{
        struct event *event = context;
        struct IODispatchSource_ivars *s = event->source->ivars;
        bool run = false;

        pthread_mutex_lock(&s->lock);
        if (!s->cancelled && s->generation == event->generation) {
                if (s->disabled) {
                        s->due = true;
                        s->due_time = event->time;
                } else {
                        s->rest.running++;
                        arguments->count = 1;
                        arguments->values[0] = event->time;
                        run = true;
                }
        }
        pthread_mutex_unlock(&s->lock);
        return run;
}

/* After a callback, with its reference. */
static void callback_end(IODispatchSource *source, bool ran)
{
        struct IODispatchSource_ivars *s = source->ivars;
        struct amb_link ready = AMB_LIST_INIT(ready);

        if (ran) {
                pthread_mutex_lock(&s->lock);
                s->rest.running--;
                amb_rest_take(&s->rest, &ready);
                pthread_mutex_unlock(&s->lock);
                amb_rest_run(&ready);
        }
        OSObject_release(source);
}

static void event_end(void *context, bool ran)
{
        struct event *event = context;

        callback_end(event->source, ran);
        free(event);
}

void amb_source_fire(IODispatchSource *source, uint64_t generation, uint64_t time)
{
        struct IODispatchSource_ivars *s = source->ivars;
        struct event *event = NULL;
        OSAction *action = NULL;

        pthread_mutex_lock(&s->lock);
        if (!s->cancelled && s->generation == generation && s->action) {
                action = s->action;
                OSObject_retain(action);
        }
        pthread_mutex_unlock(&s->lock);
        if (!action)
                return;
        event = calloc(1, sizeof(*event));
        if (event) {
                OSObject_retain(source);
                *event = (struct event){ .source = source, .generation = generation, .time = time };
                if (amb_action_submit(action, event, event_begin, event_end) < 0) {
                        OSObject_release(source);
                        free(amb_steal(event));
                }
        }
        if (!event)
                amb_log(AMB_LOG_ERROR, "no memory to call a source's handler: an event is lost");
        OSObject_release(action);
}

static bool notice_begin(void *context, struct amb_action_arguments *arguments)
{
        struct IODispatchSource_ivars *s = ((IODispatchSource *)context)->ivars;

        pthread_mutex_lock(&s->lock);
        s->rest.running++;
        pthread_mutex_unlock(&s->lock);
        return true;
}

static void notice_end(void *context, bool ran)
{
        callback_end(context, ran);
}

void amb_source_notify(IODispatchSource *source)
{
        OSAction *action;

        pthread_mutex_lock(&source->ivars->lock);
        action = source->ivars->action;
        OSObject_retain(action);
        pthread_mutex_unlock(&source->ivars->lock);
        if (!action)
                return;
        OSObject_retain(source);
        if (amb_action_submit(action, source, notice_begin, notice_end) < 0)
                OSObject_release(source);
        OSObject_release(action);
}

kern_return_t amb_source_set_action(IODispatchSource *source, OSAction *action, uint64_t msgid)
{
        struct IODispatchSource_ivars *s = source->ivars;
        OSAction *before;

        if (action && amb_action_msgid(action) != msgid)
                return kIOReturnBadArgument;
        pthread_mutex_lock(&s->lock);
        if (s->cancelled) {
                pthread_mutex_unlock(&s->lock);
                return kIOReturnNotReady;
        }
        before = s->action;
        s->action = amb_action_hold(action);
        pthread_mutex_unlock(&s->lock);
        amb_action_let_go(before);
        return kIOReturnSuccess;
}

/* After Cancel: the handler's reference and the action go. */
static void let_action_go(void *object)
{
        IODispatchSource *self = object;
        OSAction *action;

        pthread_mutex_lock(&self->ivars->lock);
        action = amb_steal(self->ivars->action);
        pthread_mutex_unlock(&self->ivars->lock);
        amb_action_let_go(action);
        OSObject_release(self);
}

AMB_EXPORT kern_return_t IODispatchSource_Cancel_f(IODispatchSource *self, void *context, IODispatchFunction handler)
{
        struct IODispatchSource_ivars *s = self->ivars;
        struct amb_link ready = AMB_LIST_INIT(ready);
        struct amb_rest_handler *h;

        if (s->cancel_refused)
                return s->cancel_refused;
        h = amb_rest_handler_new(context, handler, let_action_go, self);
        if (!h)
                return kIOReturnNoMemory;
        OSObject_retain(self);
        pthread_mutex_lock(&s->lock);
        s->cancelled = true;
        pthread_mutex_unlock(&s->lock);
        if (s->disarm)
                s->disarm(self);

        pthread_mutex_lock(&s->lock);
        amb_list_append(&s->rest.handlers, &h->link);
        amb_rest_take(&s->rest, &ready);
        pthread_mutex_unlock(&s->lock);
        amb_rest_run(&ready);
        return kIOReturnSuccess;
}

static void release_source(void *object)
{
        OSObject_release(object);
}

AMB_EXPORT kern_return_t IODispatchSource_SetEnableWithCompletion_f(IODispatchSource *self, bool enable, void *context,
                                                                    IODispatchFunction handler)
{
        struct IODispatchSource_ivars *s = self->ivars;
        struct amb_link ready = AMB_LIST_INIT(ready);
        struct amb_rest_handler *h = NULL;
        uint64_t generation, time;
        kern_return_t refused;
        bool fire, changed;

        if (handler && !(h = amb_rest_handler_new(context, handler, release_source, self)))
                return kIOReturnNoMemory;
        pthread_mutex_lock(&s->lock);
        refused = !s->cancelled ? kIOReturnSuccess : !s->change_refused ? kIOReturnNotReady :
                  s->disabled == !enable ? kIOReturnSuccess : s->change_refused;
        if (refused) {
                pthread_mutex_unlock(&s->lock);
                free(h);
                return refused;
        }
        changed = s->disabled != !enable;
        s->disabled = !enable;
        fire = enable && s->due;
        time = s->due_time;
        generation = s->generation;
        if (enable)
                s->due = false;
        if (h) {
                OSObject_retain(self);
                amb_list_append(&s->rest.handlers, &h->link);
                amb_rest_take(&s->rest, &ready);
        }
        pthread_mutex_unlock(&s->lock);
        if (changed && s->switched)
                s->switched(self);
        amb_rest_run(&ready);
        if (fire)
                amb_source_fire(self, generation, time);
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IODispatchSource_SetEnable(IODispatchSource *self, bool enable)
{
        return IODispatchSource_SetEnableWithCompletion_f(self, enable, NULL, NULL);
}
