/* SPDX-License-Identifier: Apache-2.0 */
#include <DriverKit/IOServiceStateNotificationDispatchSource.h>

#include "driver/service.h"
#include "driver/source.h"
#include "driver/state-source.h"
#include "object/alive.h"
#include "object/value.h"

struct amb_state_item {
        struct amb_state_item *next;
        OSString *name;
        OSDictionary *value;            /* NULL: none yet; never changed, only replaced */
};

struct IOServiceStateNotificationDispatchSource_ivars {
        IOServiceStateNotificationDispatchSource *source;
        struct amb_link link;
        IOService *service;
        OSArray *names;                 /* constant */
        bool armed;
};

static struct {
        pthread_mutex_t lock;
        struct amb_link sources;
        size_t count;
} states = { .lock = PTHREAD_MUTEX_INITIALIZER, .sources = AMB_LIST_INIT(states.sources) };

/* --- items --- */

void amb_state_items_free(struct amb_state_item *first)
{
        while (first) {
                struct amb_state_item *next = first->next;

                OSObject_release(first->name);
                OSObject_release(first->value);
                free(first);
                first = next;
        }
}

/* Under the lock; NULL: none. */
static struct amb_state_item *find(IOService *service, const OSString *name)
{
        struct amb_state_item *item = service->ivars->state_items;

        while (item && !OSObjectIsEqual(item->name, name))
                item = item->next;
        return item;
}

/* Under the lock: the item, made if need be; NULL: no memory. */
static struct amb_state_item *obtain(IOService *service, OSString *name)
{
        struct amb_state_item *item = find(service, name);

        if (!item && (item = calloc(1, sizeof(*item)))) {
                OSObject_retain(name);
                item->name = name;
                item->next = service->ivars->state_items;
                service->ivars->state_items = item;
        }
        return item;
}

AMB_EXPORT kern_return_t IOService_StateNotificationItemCreate(IOService *self, OSString *itemName, OSDictionary *schema)
{
        struct amb_state_item *item;

        if (!OSDynamicCast(OSString, itemName) || (schema && !OSDynamicCast(OSDictionary, schema)))
                return kIOReturnBadArgument;
        if (self->ivars->foreign)
                return kIOReturnUnsupported;
        pthread_mutex_lock(&states.lock);
        item = obtain(self, itemName);
        pthread_mutex_unlock(&states.lock);
        return item ? kIOReturnSuccess : kIOReturnNoMemory;
}

static bool waits_for(const struct IOServiceStateNotificationDispatchSource_ivars *n, IOService *service, const OSString *name)
{
        if (!n->armed || n->service != service)
                return false;
        for (size_t i = 0; i < OSArrayGetCount(n->names); i++)
                if (OSObjectIsEqual(OSArrayGetValue(n->names, i), name))
                        return true;
        return false;
}

/* Under the lock: the sources that are told of the change, retained, into an array with room for all; they are armed no more. */
static size_t take_waiting(IOService *service, const OSString *name, IOServiceStateNotificationDispatchSource **sources)
{
        struct IOServiceStateNotificationDispatchSource_ivars *n;
        size_t count = 0;

        amb_list_for(n, &states.sources, link) {
                if (waits_for(n, service, name) && amb_object_retain_alive(n->source)) {
                        n->armed = false;
                        sources[count++] = n->source;
                }
        }
        return count;
}

AMB_EXPORT kern_return_t IOService_StateNotificationItemSet(IOService *self, OSString *itemName, OSDictionary *value)
{
        IOServiceStateNotificationDispatchSource **sources;
        struct amb_state_item *item = NULL;
        OSDictionary *old;
        size_t count = 0;

        if (!OSDynamicCast(OSString, itemName) || !OSDynamicCast(OSDictionary, value))
                return kIOReturnBadArgument;
        if (self->ivars->foreign)
                return kIOReturnUnsupported;
        old = (OSDictionary *)amb_value_copy((OSObject *)value);
        if (!old)
                return kIOReturnNoMemory;
        pthread_mutex_lock(&states.lock);
        sources = calloc(states.count + 1, sizeof(*sources));
        item = sources ? obtain(self, itemName) : NULL;
        if (item) {
                OSDictionary *copy = old;

                old = item->value;
                item->value = copy;
                count = take_waiting(self, itemName, sources);
        }
        pthread_mutex_unlock(&states.lock);
        for (size_t i = 0; i < count; i++) {
                amb_source_notify(&sources[i]->source);
                OSObject_release(sources[i]);
        }
        free(sources);
        OSObject_release(old);
        return item ? kIOReturnSuccess : kIOReturnNoMemory;
}

AMB_EXPORT kern_return_t IOService_StateNotificationItemCopy(IOService *self, OSString *itemName, OSDictionary **value)
{
        OSDictionary *found, *copy = NULL;
        struct amb_state_item *item;

        if (!OSDynamicCast(OSString, itemName) || !value)
                return kIOReturnBadArgument;
        pthread_mutex_lock(&states.lock);
        item = find(self, itemName);
        found = item ? item->value : NULL;
        OSObject_retain(found);
        pthread_mutex_unlock(&states.lock);
        if (!found)
                return kIOReturnNotFound;
        copy = (OSDictionary *)amb_value_copy((OSObject *)found);
        OSObject_release(found);
        if (!copy)
                return kIOReturnNoMemory;
        *value = copy;
        return kIOReturnSuccess;
}

/* --- the source --- */

static bool state_init(OSObject *object)
{
        IOServiceStateNotificationDispatchSource *self = (IOServiceStateNotificationDispatchSource *)object;

        if (!amb_source_init(object))
                return false;
        self->ivars = calloc(1, sizeof(*self->ivars));
        if (!self->ivars)
                return false;
        self->ivars->source = self;
        self->source.ivars->cancel_refused = kIOReturnUnsupported;
        return true;
}

static void state_free(OSObject *object)
{
        IOServiceStateNotificationDispatchSource *self = (IOServiceStateNotificationDispatchSource *)object;
        struct IOServiceStateNotificationDispatchSource_ivars *n = self->ivars;

        if (n) {
                pthread_mutex_lock(&states.lock);
                if (amb_link_linked(&n->link)) {
                        amb_link_remove(&n->link);
                        states.count--;
                }
                pthread_mutex_unlock(&states.lock);
                OSObject_release(n->service);
                OSObject_release(n->names);
                free(n);
        }
        amb_source_free(object);
}

static const struct amb_method state_methods[] = {
        AMB_OVERRIDE(OSObject, init, state_init),
        AMB_OVERRIDE(OSObject, free, state_free),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIOServiceStateNotificationDispatchSourceMetaClass = {
        "IOServiceStateNotificationDispatchSource", &gIODispatchSourceMetaClass, sizeof(IOServiceStateNotificationDispatchSource),
        state_methods, AMB_SKIN_PLACE,
};

/* The caller's array may change. False: no memory. */
static bool copy_names(IOServiceStateNotificationDispatchSource *self, OSArray *items)
{
        OSArray *names = self->ivars->names = OSArrayCreate();
        bool done = names != NULL;

        for (size_t i = 0; i < OSArrayGetCount(items) && done; i++)
                done = OSArrayAppendValue(names, OSArrayGetValue(items, i));
        return done;
}

/* On the list, armed, with all its items. */
static kern_return_t begin(IOServiceStateNotificationDispatchSource *self)
{
        struct IOServiceStateNotificationDispatchSource_ivars *n = self->ivars;
        bool done = true;

        pthread_mutex_lock(&states.lock);
        for (size_t i = 0; i < OSArrayGetCount(n->names) && done; i++)
                done = obtain(n->service, (OSString *)OSArrayGetValue(n->names, i));
        n->armed = true;
        amb_list_append(&states.sources, &n->link);
        states.count++;
        pthread_mutex_unlock(&states.lock);
        return done ? kIOReturnSuccess : kIOReturnNoMemory;
}

AMB_EXPORT kern_return_t IOServiceStateNotificationDispatchSource_Create(IOService *service, OSArray *items, IODispatchQueue *queue,
                                                                         IOServiceStateNotificationDispatchSource **source)
{
        IOServiceStateNotificationDispatchSource *created;
        kern_return_t code = kIOReturnNoMemory;

        if (!OSDynamicCast(IOService, service) || !OSDynamicCast(OSArray, items) || !queue || !source)
                return kIOReturnBadArgument;
        for (size_t i = 0; i < OSArrayGetCount(items); i++)
                if (!OSDynamicCast(OSString, OSArrayGetValue(items, i)))
                        return kIOReturnBadArgument;
        if (service->ivars->foreign)
                return kIOReturnUnsupported;
        created = (IOServiceStateNotificationDispatchSource *)amb_object_new(OSTypeID(IOServiceStateNotificationDispatchSource));
        if (!created)
                return kIOReturnNoMemory;
        OSObject_retain(service);
        created->ivars->service = service;
        if (copy_names(created, items))
                code = begin(created);
        if (code != kIOReturnSuccess) {
                OSObject_release(created);
                return code;
        }
        *source = created;
        return kIOReturnSuccess;
}

static void arm(IOServiceStateNotificationDispatchSource *self, bool armed)
{
        pthread_mutex_lock(&states.lock);
        self->ivars->armed = armed;
        pthread_mutex_unlock(&states.lock);
}

AMB_EXPORT kern_return_t IOServiceStateNotificationDispatchSource_SetHandler(IOServiceStateNotificationDispatchSource *self,
                                                                             OSAction *action)
{
        kern_return_t code = kIOReturnBadArgument;

        if (action)
                code = amb_source_set_action(&self->source, action,
                                             IOServiceStateNotificationDispatchSource_StateNotificationReady_ID);
        if (code != kIOReturnSuccess)
                return code;
        arm(self, false);
        amb_source_notify(&self->source);
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOServiceStateNotificationDispatchSource_StateNotificationBegin(
        IOServiceStateNotificationDispatchSource *self)
{
        arm(self, true);
        return kIOReturnSuccess;
}
