/* SPDX-License-Identifier: Apache-2.0 */
#include <DriverKit/IOKitKeys.h>
#include <DriverKit/IOUserClient.h>

#include "driver/bundle.h"
#include "driver/interrupt.h"
#include "driver/notify-source.h"
#include "driver/queue.h"
#include "driver/service.h"
#include "driver/state-source.h"
#include "driver/table.h"
#include "driver/uplink.h"
#include "driver/userclient.h"

/* --- the object --- */

AMB_EXPORT bool IOService_init(OSObject *object)
{
        IOService *self = (IOService *)object;
        struct IOService_ivars *s;

        if (!OSObject_init(object))
                return false;
        s = self->ivars = calloc(1, sizeof(*s));
        if (!s)
                return false;
        pthread_mutex_init(&s->lock, NULL);
        amb_list_init(&s->link);
        s->service = self;
        s->runtime = OSDictionaryCreate();
        return s->runtime && IOService_CreateDefaultDispatchQueue(self, &s->queue) == kIOReturnSuccess;
}

AMB_EXPORT void IOService_free(OSObject *object)
{
        IOService *self = (IOService *)object;
        struct IOService_ivars *s = self->ivars;
        struct amb_named_queue *named;

        if (s) {
                OSObject_release(s->provider);
                OSObject_release(s->properties);
                OSObject_release(s->runtime);
                OSObject_release(s->queue);
                OSObject_release(s->method_queue);
                while ((named = s->named)) {
                        s->named = named->next;
                        OSObject_release(named->queue);
                        free(named);
                }
                amb_interrupts_free(s->interrupts);
                amb_state_items_free(s->state_items);
                free(s->name);
                pthread_mutex_destroy(&s->lock);
                free(s);
        }
        OSObject_free(object);
}

static bool service_is_remote(const OSObject *object)
{
        return ((const IOService *)object)->ivars->foreign;
}

static const struct amb_method service_methods[] = {
        AMB_OVERRIDE(OSObject, init, IOService_init),
        AMB_OVERRIDE(OSObject, free, IOService_free),
        AMB_OVERRIDE(OSObject, IsRemote, service_is_remote),
        AMB_OVERRIDE(IOService, Start, IOService_Start),
        AMB_OVERRIDE(IOService, Stop, IOService_Stop),
        AMB_OVERRIDE(IOService, NewUserClient, IOService_NewUserClient),
        AMB_OVERRIDE(IOService, SetPowerState, IOService_SetPowerState),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIOServiceMetaClass = {
        "IOService", &gOSObjectMetaClass, sizeof(IOService), service_methods, AMB_SKIN_PLACE,
};

int amb_service_attach(IOService *service, uint64_t entry, IOService *provider, OSDictionary *properties, const char *name)
{
        struct IOService_ivars *s = service->ivars;
        char *copy = strdup(name);

        if (!copy)
                return amb_trace(-ENOMEM);
        OSObject_retain(provider);
        OSObject_retain(properties);
        pthread_mutex_lock(&s->lock);
        s->entry = entry;
        s->provider = provider;
        s->properties = properties;
        free(s->name);
        s->name = copy;
        pthread_mutex_unlock(&s->lock);
        return 0;
}

int amb_service_new_foreign(uint64_t entry, const char *name, OSDictionary *properties, IOService **ret_service)
{
        IOService *service = (IOService *)amb_object_new(OSTypeID(IOService));
        int r;

        if (!service)
                return amb_trace(-ENOMEM);
        service->ivars->foreign = true;
        r = amb_service_attach(service, entry, NULL, properties, name);
        if (r < 0) {
                OSObject_release(service);
                return r;
        }
        *ret_service = service;
        return 0;
}

uint64_t amb_service_entry(IOService *service)
{
        uint64_t entry;

        pthread_mutex_lock(&service->ivars->lock);
        entry = service->ivars->entry;
        pthread_mutex_unlock(&service->ivars->lock);
        return entry;
}

IOService *amb_service_copy_provider(IOService *service)
{
        IOService *provider;

        pthread_mutex_lock(&service->ivars->lock);
        provider = service->ivars->provider;
        OSObject_retain(provider);
        pthread_mutex_unlock(&service->ivars->lock);
        return provider;
}

OSDictionary *amb_service_copy_personality(IOService *service)
{
        OSDictionary *properties;

        pthread_mutex_lock(&service->ivars->lock);
        properties = service->ivars->properties;
        OSObject_retain(properties);
        pthread_mutex_unlock(&service->ivars->lock);
        return properties;
}

/* --- life --- */

/* Under the lock: has everything happened that "stopped" takes? Then hands out the provider's reference, once. */
static bool stop_complete(struct IOService_ivars *s, IOService **ret_provider)
{
        if (!s->stopping || !s->stop_returned || !s->did_stop)
                return false;
        *ret_provider = amb_steal(s->provider);
        return true;
}

/* The base Stop has been called: who has to be told? */
static void tell_did_stop(struct IOService_ivars *s)
{
        uint32_t closed_to;
        uint64_t entry;

        pthread_mutex_lock(&s->lock);
        closed_to = s->closed_to;
        entry = s->entry;
        pthread_mutex_unlock(&s->lock);
        if (closed_to == 0 || closed_to != amb_uplink_daemon())
                amb_uplink_did_stop(entry);
}

AMB_EXPORT kern_return_t IOService_Start(IOService *self, IOService *provider)
{
        pthread_mutex_lock(&self->ivars->lock);
        self->ivars->start_begun = true;
        pthread_mutex_unlock(&self->ivars->lock);
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOService_Stop(IOService *self, IOService *provider)
{
        struct IOService_ivars *s = self->ivars;
        IOService *gone = NULL;
        bool told, complete;

        pthread_mutex_lock(&s->lock);
        /* A call that nobody asked for stops nothing. */
        told = s->stopping && !s->did_stop;
        s->did_stop |= told;
        complete = told && stop_complete(s, &gone);
        pthread_mutex_unlock(&s->lock);
        OSObject_release(gone);
        if (told && amb_object_cast(self, OSTypeID(IOUserClient)))
                amb_client_set_connection((IOUserClient *)self, NULL);
        if (told)
                tell_did_stop(s);
        if (complete)
                amb_table_remove(self);
        return kIOReturnSuccess;
}

kern_return_t amb_service_start(IOService *service, IOService *provider)
{
        struct IOService_ivars *s = service->ivars;
        kern_return_t code = kIOReturnSuccess;
        struct amb_queue_frame frame;
        IODispatchQueue *queue = amb_service_queue(service);
        bool begun, send;
        uint64_t entry;

        if (!amb_queue_enter(queue, &frame)) {
                OSObject_release(queue);
                return kIOReturnNotReady;
        }
        pthread_mutex_lock(&s->lock);
        begun = s->start_begun;
        s->start_begun = true;
        pthread_mutex_unlock(&s->lock);
        if (!begun)
                code = amb_invoke(service, IOService, Start, provider);
        pthread_mutex_lock(&s->lock);
        s->started |= code == kIOReturnSuccess;
        send = s->started && s->register_wanted;
        s->register_wanted = false;
        s->registered |= send;
        entry = s->entry;
        pthread_mutex_unlock(&s->lock);
        amb_queue_leave(&frame);
        OSObject_release(queue);
        if (send) {
                amb_uplink_register(entry);
                amb_notify_published(service);
        }
        return code;
}

bool amb_service_has_begun(IOService *service)
{
        bool begun;

        pthread_mutex_lock(&service->ivars->lock);
        begun = service->ivars->start_begun;
        pthread_mutex_unlock(&service->ivars->lock);
        return begun;
}

/* Stops that were asked for and have not returned. */
static struct {
        pthread_mutex_t lock;
        pthread_cond_t none;
        unsigned int count;
} stops = { .lock = PTHREAD_MUTEX_INITIALIZER, .none = PTHREAD_COND_INITIALIZER };

void amb_service_stop_begin(void)
{
        pthread_mutex_lock(&stops.lock);
        stops.count++;
        pthread_mutex_unlock(&stops.lock);
}

void amb_service_stop_end(void)
{
        pthread_mutex_lock(&stops.lock);
        if (--stops.count == 0)
                pthread_cond_broadcast(&stops.none);
        pthread_mutex_unlock(&stops.lock);
}

void amb_service_stops_wait(void)
{
        pthread_mutex_lock(&stops.lock);
        while (stops.count > 0)
                pthread_cond_wait(&stops.none, &stops.lock);
        pthread_mutex_unlock(&stops.lock);
}

void amb_service_stop(IOService *service)
{
        struct IOService_ivars *s = service->ivars;
        IOService *provider, *gone = NULL;
        IODispatchQueue *queue;
        struct amb_queue_frame frame;
        kern_return_t code;
        bool entered, complete, first;

        pthread_mutex_lock(&s->lock);
        first = !s->stopping;
        s->stopping = true;
        if (first)
                amb_service_stop_begin();
        provider = s->provider;
        OSObject_retain(provider);
        pthread_mutex_unlock(&s->lock);
        if (!first) {
                OSObject_release(provider);
                return;
        }
        OSObject_retain(service);
        amb_notify_ended(service);
        queue = amb_service_queue(service);
        /* A driver that has cancelled its own default queue is stopped all the same. */
        entered = amb_queue_enter(queue, &frame);
        code = amb_invoke(service, IOService, Stop, provider);
        if (entered)
                amb_queue_leave(&frame);
        OSObject_release(queue);

        pthread_mutex_lock(&s->lock);
        s->stop_returned = true;
        first = code != kIOReturnSuccess && !s->did_stop;
        s->did_stop |= first;
        complete = stop_complete(s, &gone);
        pthread_mutex_unlock(&s->lock);
        if (first)
                tell_did_stop(s);
        if (complete)
                amb_table_remove(service);
        OSObject_release(gone);
        OSObject_release(provider);
        OSObject_release(service);
        amb_service_stop_end();
}

void amb_service_close(IOService *service)
{
        struct IOService_ivars *s = service->ivars;

        pthread_mutex_lock(&s->lock);
        if (!s->stopping)
                s->closed_to = amb_uplink_daemon();
        pthread_mutex_unlock(&s->lock);
        amb_service_stop(service);
}

void amb_service_discard(IOService *service)
{
        struct IOService_ivars *s = service->ivars;
        IOService *gone;

        pthread_mutex_lock(&s->lock);
        s->stopping = s->stop_returned = s->did_stop = true;
        gone = amb_steal(s->provider);
        pthread_mutex_unlock(&s->lock);
        amb_notify_ended(service);
        OSObject_release(gone);
        amb_table_remove(service);
}

AMB_EXPORT kern_return_t IOService_NewUserClient(IOService *self, uint32_t type, IOUserClient **userClient)
{
        return kIOReturnError;
}

AMB_EXPORT kern_return_t IOService_RegisterService(IOService *self)
{
        struct IOService_ivars *s = self->ivars;
        bool send;
        uint64_t entry;

        pthread_mutex_lock(&s->lock);
        send = s->foreign || s->started;
        s->register_wanted |= !send;
        s->registered |= send;
        entry = s->entry;
        pthread_mutex_unlock(&s->lock);
        if (send)
                amb_uplink_register(entry);
        if (send && !s->foreign)
                amb_notify_published(self);
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOService_Terminate(IOService *self, uint64_t options)
{
        if (options != 0)
                return kIOReturnUnsupported;
        if (self->ivars->foreign)
                return kIOReturnNotPermitted;
        return amb_uplink_terminate(amb_service_entry(self));
}

/* --- queues --- */

IODispatchQueue *amb_service_queue(IOService *service)
{
        IODispatchQueue *queue;

        pthread_mutex_lock(&service->ivars->lock);
        queue = service->ivars->queue;
        OSObject_retain(queue);
        pthread_mutex_unlock(&service->ivars->lock);
        return queue;
}

IODispatchQueue *amb_service_method_queue(IOService *service, uint32_t *ret_changes)
{
        struct IOService_ivars *s = service->ivars;
        IODispatchQueue *queue;

        pthread_mutex_lock(&s->lock);
        queue = s->method_queue ? s->method_queue : s->queue;
        OSObject_retain(queue);
        *ret_changes = atomic_load(&s->queue_changes);
        pthread_mutex_unlock(&s->lock);
        return queue;
}

/* The class's own string if it, or a superclass, declares this name for one of its methods; else NULL. */
static const char *declared_name(IOService *self, const char *name)
{
        for (const OSMetaClass *meta = OSObject_getMetaClass(self); meta; meta = meta->super)
                for (const struct amb_method *m = meta->methods; m && m->function; m++)
                        if (m->queue && strcmp(m->queue, name) == 0)
                                return m->queue;
        return strcmp(name, kIOServiceDefaultQueueName) == 0 ? kIOServiceDefaultQueueName : NULL;
}

/* Under the lock: where a declared name's queue is kept; NULL: it was never set. */
static IODispatchQueue **queue_place(struct IOService_ivars *s, const char *name)
{
        if (strcmp(name, kIOServiceDefaultQueueName) == 0)
                return &s->queue;
        if (strcmp(name, kIOUserClientQueueNameExternalMethod) == 0)
                return &s->method_queue;
        for (struct amb_named_queue *n = s->named; n; n = n->next)
                if (strcmp(n->name, name) == 0)
                        return &n->queue;
        return NULL;
}

IODispatchQueue *amb_service_named_queue(IOService *service, const char *name)
{
        struct IOService_ivars *s = service->ivars;
        IODispatchQueue **place, *queue;

        pthread_mutex_lock(&s->lock);
        place = name ? queue_place(s, name) : NULL;
        queue = place && *place ? *place : s->queue;
        OSObject_retain(queue);
        pthread_mutex_unlock(&s->lock);
        return queue;
}

/* Under the lock: the same for a name that is about to be set; uses up *fresh if there is no place yet. */
static IODispatchQueue **queue_place_new(struct IOService_ivars *s, const char *name, struct amb_named_queue **fresh)
{
        IODispatchQueue **place = queue_place(s, name);
        struct amb_named_queue *n;

        if (place)
                return place;
        n = amb_steal(*fresh);
        n->name = name;
        n->next = s->named;
        s->named = n;
        return &n->queue;
}

AMB_EXPORT kern_return_t IOService_SetDispatchQueue(IOService *self, const char *name, IODispatchQueue *queue)
{
        struct IOService_ivars *s = self->ivars;
        IODispatchQueue **place, *before = NULL;
        struct amb_named_queue *fresh;
        const char *declared;
        bool usable;

        if (!name || !queue || !(declared = declared_name(self, name)))
                return kIOReturnBadArgument;
        fresh = calloc(1, sizeof(*fresh));
        if (!fresh)
                return kIOReturnNoMemory;
        pthread_mutex_lock(&s->lock);
        usable = !s->foreign && !s->did_stop;
        if (usable) {
                place = queue_place_new(s, declared, &fresh);
                before = *place;
                OSObject_retain(queue);
                *place = queue;
                atomic_fetch_add(&s->queue_changes, 1);
        }
        pthread_mutex_unlock(&s->lock);
        free(fresh);
        OSObject_release(before);
        return usable ? kIOReturnSuccess : kIOReturnError;
}

AMB_EXPORT kern_return_t IOService_CopyDispatchQueue(IOService *self, const char *name, IODispatchQueue **queue)
{
        struct IOService_ivars *s = self->ivars;
        IODispatchQueue **place, *found = NULL;
        IOService *provider = NULL;
        kern_return_t code = kIOReturnNotFound;
        const char *declared;

        if (!name || !queue)
                return kIOReturnBadArgument;
        declared = declared_name(self, name);
        pthread_mutex_lock(&s->lock);
        if (s->foreign || s->did_stop) {
                code = kIOReturnError;
        } else if (declared) {
                place = queue_place(s, declared);
                found = place ? *place : NULL;
                OSObject_retain(found);
        } else {
                provider = s->provider;
                OSObject_retain(provider);
        }
        pthread_mutex_unlock(&s->lock);
        if (found) {
                *queue = found;
                return kIOReturnSuccess;
        }
        if (provider) {
                /* A provider elsewhere has no queues here. */
                if (!provider->ivars->foreign)
                        code = IOService_CopyDispatchQueue(provider, name, queue);
                OSObject_release(provider);
        }
        return code;
}

AMB_EXPORT kern_return_t IOService_CreateDefaultDispatchQueue(IOService *self, IODispatchQueue **queue)
{
        AMB_FREE char *name = amb_format("%s-%s", OSObject_GetClassName(self), kIOServiceDefaultQueueName);

        return name ? IODispatchQueue_Create(name, 0, 0, queue) : kIOReturnNoMemory;
}
