/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/notify-source.h"

#include "base/block.h"
#include "driver/service.h"
#include "driver/source.h"
#include "driver/table.h"
#include "object/alive.h"
#include "object/value.h"

/* Something that waits to be taken. */
struct notice {
        struct amb_link link;
        IOService *service;             /* retained */
};

/* A service that the source has heard of, until its end. */
struct known {
        struct amb_link link;
        const IOService *service;       /* only compared */
        bool told;                      /* a Matched has been taken */
};

struct IOServiceNotificationDispatchSource_ivars {
        IOServiceNotificationDispatchSource *source;
        struct amb_link link;           /* notices.lock */
        OSDictionary *matching;         /* constant */
        /* the source's lock */
        struct amb_link pending[2];     /* struct notice, by type */
        struct amb_link known;
};

static struct {
        pthread_mutex_t lock;
        struct amb_link sources;
        size_t count;
} notices = { .lock = PTHREAD_MUTEX_INITIALIZER, .sources = AMB_LIST_INIT(notices.sources) };

static struct IODispatchSource_ivars *base(IOServiceNotificationDispatchSource *self)
{
        return self->source.ivars;
}

/* --- one source --- */

static struct known *find_known(struct IOServiceNotificationDispatchSource_ivars *n, const IOService *service)
{
        struct known *known;

        amb_list_for(known, &n->known, link)
                if (known->service == service)
                        return known;
        return NULL;
}

/* Under the source's lock. *ret_first: nothing of the type waited before. False: no memory. */
static bool put(struct IOServiceNotificationDispatchSource_ivars *n, uint64_t type, IOService *service, bool *ret_first)
{
        struct notice *notice;

        *ret_first = false;
        amb_list_for(notice, &n->pending[type], link)
                if (notice->service == service)
                        return true;
        notice = calloc(1, sizeof(*notice));
        if (!notice)
                return false;
        OSObject_retain(service);
        notice->service = service;
        *ret_first = amb_list_empty(&n->pending[type]);
        amb_list_append(&n->pending[type], &notice->link);
        return true;
}

/* A service that has registered, for one source. */
static void matched(IOServiceNotificationDispatchSource *self, IOService *service)
{
        struct IOServiceNotificationDispatchSource_ivars *n = self->ivars;
        struct known *known;
        bool first = false, done = true;

        if (!amb_notify_matches(service, n->matching))
                return;
        pthread_mutex_lock(&base(self)->lock);
        if (!atomic_load(&service->ivars->ended)) {
                known = find_known(n, service);
                if (!known && (known = calloc(1, sizeof(*known)))) {
                        known->service = service;
                        amb_list_append(&n->known, &known->link);
                }
                done = known && put(n, kIOServiceNotificationTypeMatched, service, &first);
        }
        pthread_mutex_unlock(&base(self)->lock);
        if (!done)
                amb_log(AMB_LOG_ERROR, "no memory to tell of a new service");
        if (first)
                amb_source_notify(&self->source);
}

/* A service has ended, for one source. */
static void ended(IOServiceNotificationDispatchSource *self, IOService *service)
{
        struct IOServiceNotificationDispatchSource_ivars *n = self->ivars;
        struct notice *notice, *gone = NULL;
        struct known *known;
        bool first = false, done = true;

        pthread_mutex_lock(&base(self)->lock);
        known = find_known(n, service);
        if (known) {
                amb_link_remove(&known->link);
                amb_list_for(notice, &n->pending[kIOServiceNotificationTypeMatched], link) {
                        if (notice->service == service) {
                                gone = notice;
                                amb_link_remove(&notice->link);
                                break;
                        }
                }
                if (known->told)
                        done = put(n, kIOServiceNotificationTypeTerminated, service, &first);
        }
        pthread_mutex_unlock(&base(self)->lock);
        free(known);
        if (gone)
                OSObject_release(gone->service);
        free(gone);
        if (!done)
                amb_log(AMB_LOG_ERROR, "no memory to tell of a service's end");
        if (first)
                amb_source_notify(&self->source);
}

/* --- all sources --- */

/* Under the lock: all sources, retained; the caller frees the array. NULL: there are none, or no memory, which is said. */
static IOServiceNotificationDispatchSource **copy_sources(size_t *ret_count)
{
        struct IOServiceNotificationDispatchSource_ivars *n;
        IOServiceNotificationDispatchSource **sources;

        *ret_count = 0;
        if (notices.count == 0)
                return NULL;
        sources = calloc(notices.count, sizeof(*sources));
        if (!sources) {
                amb_log(AMB_LOG_ERROR, "no memory to tell of a service");
                return NULL;
        }
        amb_list_for(n, &notices.sources, link)
                if (amb_object_retain_alive(n->source))
                        sources[(*ret_count)++] = n->source;
        return sources;
}

static void tell(IOServiceNotificationDispatchSource **sources, size_t count, IOService *service,
                 void (*what)(IOServiceNotificationDispatchSource *source, IOService *service))
{
        for (size_t i = 0; i < count; i++) {
                what(sources[i], service);
                OSObject_release(sources[i]);
        }
        free(sources);
}

void amb_notify_published(IOService *service)
{
        IOServiceNotificationDispatchSource **sources = NULL;
        size_t count = 0;

        pthread_mutex_lock(&notices.lock);
        if (!atomic_load(&service->ivars->ended)) {
                service->ivars->announced = true;
                sources = copy_sources(&count);
        }
        pthread_mutex_unlock(&notices.lock);
        tell(sources, count, service, matched);
}

void amb_notify_ended(IOService *service)
{
        IOServiceNotificationDispatchSource **sources = NULL;
        size_t count = 0;

        pthread_mutex_lock(&notices.lock);
        if (!atomic_exchange(&service->ivars->ended, true) && service->ivars->announced)
                sources = copy_sources(&count);
        pthread_mutex_unlock(&notices.lock);
        tell(sources, count, service, ended);
}

/* --- the object --- */

static bool notify_init(OSObject *object)
{
        IOServiceNotificationDispatchSource *self = (IOServiceNotificationDispatchSource *)object;

        if (!amb_source_init(object))
                return false;
        self->ivars = calloc(1, sizeof(*self->ivars));
        if (!self->ivars)
                return false;
        self->ivars->source = self;
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(self->ivars->pending); i++)
                amb_list_init(&self->ivars->pending[i]);
        amb_list_init(&self->ivars->known);
        base(self)->cancel_refused = kIOReturnUnsupported;
        return true;
}

static void free_notices(struct amb_link *list)
{
        struct notice *notice, *following;

        amb_list_for_safe(notice, following, list, link) {
                OSObject_release(notice->service);
                free(notice);
        }
}

static void notify_free(OSObject *object)
{
        IOServiceNotificationDispatchSource *self = (IOServiceNotificationDispatchSource *)object;
        struct IOServiceNotificationDispatchSource_ivars *n = self->ivars;
        struct known *known, *following;

        if (n) {
                pthread_mutex_lock(&notices.lock);
                if (amb_link_linked(&n->link)) {
                        amb_link_remove(&n->link);
                        notices.count--;
                }
                pthread_mutex_unlock(&notices.lock);
                for (size_t i = 0; i < AMB_ARRAY_LENGTH(n->pending); i++)
                        free_notices(&n->pending[i]);
                amb_list_for_safe(known, following, &n->known, link)
                        free(known);
                OSObject_release(n->matching);
                free(n);
        }
        amb_source_free(object);
}

static const struct amb_method notify_methods[] = {
        AMB_OVERRIDE(OSObject, init, notify_init),
        AMB_OVERRIDE(OSObject, free, notify_free),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIOServiceNotificationDispatchSourceMetaClass = {
        "IOServiceNotificationDispatchSource", &gIODispatchSourceMetaClass, sizeof(IOServiceNotificationDispatchSource),
        notify_methods, AMB_SKIN_PLACE,
};

/*
 * From now on it is told; *ret_services: all of this process, retained, those that have been announced so far (*ret_announced)
 * first.
 * -ENOMEM.
 */
static int begin(IOServiceNotificationDispatchSource *self, IOService ***ret_services, size_t *ret_announced, size_t *ret_count)
{
        size_t count, announced = 0;
        IOService **services;
        int r;

        pthread_mutex_lock(&notices.lock);
        r = amb_table_copy(&services, &count);
        if (r == 0) {
                amb_list_append(&notices.sources, &self->ivars->link);
                notices.count++;
                for (size_t i = 0; i < count; i++) {
                        IOService *service = services[i];

                        if (service->ivars->announced) {
                                services[i] = services[announced];
                                services[announced++] = service;
                        }
                }
        }
        pthread_mutex_unlock(&notices.lock);
        if (r < 0)
                return r;
        *ret_services = services;
        *ret_announced = announced;
        *ret_count = count;
        return 0;
}

AMB_EXPORT kern_return_t IOServiceNotificationDispatchSource_Create(OSDictionary *matching, uint64_t options,
                                                                    IODispatchQueue *queue,
                                                                    IOServiceNotificationDispatchSource **source)
{
        IOServiceNotificationDispatchSource *created;
        IOService **services;
        size_t announced, count;

        if (!OSDynamicCast(OSDictionary, matching) || options != 0 || !queue || !source)
                return kIOReturnBadArgument;
        created = (IOServiceNotificationDispatchSource *)amb_object_new(OSTypeID(IOServiceNotificationDispatchSource));
        if (!created)
                return kIOReturnNoMemory;
        created->ivars->matching = (OSDictionary *)amb_value_copy((OSObject *)matching);
        if (!created->ivars->matching || begin(created, &services, &announced, &count) < 0) {
                OSObject_release(created);
                return kIOReturnNoMemory;
        }
        for (size_t i = 0; i < count; i++) {
                if (i < announced)
                        matched(created, services[i]);
                OSObject_release(services[i]);
        }
        free(services);
        *source = created;
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOServiceNotificationDispatchSource_SetHandler(IOServiceNotificationDispatchSource *self, OSAction *action)
{
        kern_return_t code = kIOReturnBadArgument;
        bool waits;

        if (action)
                code = amb_source_set_action(&self->source, action,
                                             IOServiceNotificationDispatchSource_ServiceNotificationReady_ID);
        if (code != kIOReturnSuccess)
                return code;
        pthread_mutex_lock(&base(self)->lock);
        waits = !amb_list_empty(&self->ivars->pending[0]) || !amb_list_empty(&self->ivars->pending[1]);
        pthread_mutex_unlock(&base(self)->lock);
        if (waits)
                amb_source_notify(&self->source);
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOServiceNotificationDispatchSource_CopyNextNotification(IOServiceNotificationDispatchSource *self,
                                                                                  uint64_t *type, IOService **service,
                                                                                  uint64_t *options)
{
        struct IOServiceNotificationDispatchSource_ivars *n = self->ivars;
        struct notice *notice = NULL;
        struct known *known;
        uint64_t i;

        if (!type || !service || !options)
                return kIOReturnBadArgument;
        pthread_mutex_lock(&base(self)->lock);
        for (i = 0; i < AMB_ARRAY_LENGTH(n->pending); i++) {
                notice = amb_list_first(&n->pending[i], struct notice, link);
                if (notice)
                        break;
        }
        if (notice) {
                amb_link_remove(&notice->link);
                known = i == kIOServiceNotificationTypeMatched ? find_known(n, notice->service) : NULL;
                if (known)
                        known->told = true;
        }
        pthread_mutex_unlock(&base(self)->lock);
        *type = notice ? i : kIOServiceNotificationTypeNone;
        *service = notice ? notice->service : NULL;
        *options = 0;
        free(notice);
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOServiceNotificationDispatchSource_DeliverNotifications_f(
        IOServiceNotificationDispatchSource *self, void *context,
        void (*function)(void *context, uint64_t type, IOService *service, uint64_t options))
{
        uint64_t type, options;
        IOService *service;

        for (;;) {
                IOServiceNotificationDispatchSource_CopyNextNotification(self, &type, &service, &options);
                if (type == kIOServiceNotificationTypeNone)
                        return kIOReturnSuccess;
                function(context, type, service, options);
                OSObject_release(service);
        }
}

/* A block is a pointer here (base/block.h). */
static void run_block(void *block, uint64_t type, IOService *service, uint64_t options)
{
        ((void (*)(void *, uint64_t, IOService *, uint64_t))((struct amb_block *)block)->invoke)(block, type, service, options);
}

AMB_EXPORT kern_return_t IOServiceNotificationDispatchSource_DeliverNotifications(IOServiceNotificationDispatchSource *self,
                                                                                  void *block)
{
        return IOServiceNotificationDispatchSource_DeliverNotifications_f(self, block, run_block);
}
