/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 10.3 to 10.5 and 14: services that come and go, items of a service's state, event links, properties. */
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "contract.h"

/* --- the driver's half --- */

#define ROW_UNUSED __attribute__((unused))

/* Who is called when something is ready; on a queue of its own. */
struct NoticeTarget {
        IOService service;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned int calls;
};

#define READY 0x726561647900001ull

static ROW_UNUSED void target_ready(struct NoticeTarget *self, OSAction *action)
{
        pthread_mutex_lock(&self->lock);
        self->calls++;
        pthread_cond_broadcast(&self->changed);
        pthread_mutex_unlock(&self->lock);
}

static ROW_UNUSED bool target_init(OSObject *object)
{
        struct NoticeTarget *self = (struct NoticeTarget *)object;

        if (!IOService_init(object))
                return false;
        pthread_mutex_init(&self->lock, NULL);
        pthread_cond_init(&self->changed, NULL);
        return true;
}

static const struct amb_method target_methods[] = {
        AMB_OVERRIDE(OSObject, init, target_init),
        AMB_METHOD(READY, target_ready),
        AMB_METHODS_END,
};
static ROW_UNUSED const OSMetaClass gNoticeTargetMetaClass = {
        "NoticeTarget", &gIOServiceMetaClass, sizeof(struct NoticeTarget), target_methods, NULL,
};

#ifdef CONTRACT_DRIVER
/* What comes and goes: a service below the contract driver's, which registers in its Start. */
struct ContractChild {
        IOService service;
};

static kern_return_t child_start(IOService *self, IOService *provider)
{
        kern_return_t code = IOService_Start(self, provider);

        return code == kIOReturnSuccess ? IOService_RegisterService(self) : code;
}

static const struct amb_method child_methods[] = {
        AMB_OVERRIDE(IOService, Start, child_start),
        AMB_METHODS_END,
};
OSDefineMetaClass(ContractChild, IOService, child_methods);
#endif

/* A source of notifications, and whom it calls. */
struct watch {
        struct NoticeTarget *target;
        OSAction *action;
        IODispatchQueue *queue;
        IOServiceNotificationDispatchSource *source;
        IOServiceStateNotificationDispatchSource *states;
};

static ROW_UNUSED void watch_end(struct watch *w)
{
        OSSafeReleaseNULL(w->source);
        OSSafeReleaseNULL(w->states);
        OSSafeReleaseNULL(w->action);
        OSSafeReleaseNULL(w->target);
        OSSafeReleaseNULL(w->queue);
}

static ROW_UNUSED kern_return_t watch_make(struct watch *w, uint64_t msgid)
{
        w->target = (struct NoticeTarget *)amb_object_new(OSTypeID(NoticeTarget));
        D_EXPECT(w->target);
        D_EXPECT(IODispatchQueue_Create("notices", 0, 0, &w->queue) == kIOReturnSuccess);
        D_EXPECT(OSAction_Create(&w->target->service.object, READY, msgid, 0, &w->action) == kIOReturnSuccess);
        return kIOReturnSuccess;
}

/* {key: value}, or {outer: {key: value}}. */
static ROW_UNUSED OSDictionary *dictionary(const char *outer, const char *key, const char *value)
{
        OSDictionary *inner = OSDictionaryCreate(), *result = inner;

        if (!inner || !OSDictionarySetStringValue(inner, key, value))
                abort();
        if (outer) {
                result = OSDictionaryCreate();
                if (!result || !OSDictionarySetValue(result, outer, inner))
                        abort();
                OSObject_release(inner);
        }
        return result;
}

/* A source for services; its handler is not set yet. */
static ROW_UNUSED kern_return_t services_make(struct watch *w, OSDictionary *matching)
{
        kern_return_t code = watch_make(w, IOServiceNotificationDispatchSource_ServiceNotificationReady_ID);

        if (code == kIOReturnSuccess)
                code = IOServiceNotificationDispatchSource_Create(matching, 0, w->queue, &w->source);
        OSObject_release(matching);
        return code;
}

static ROW_UNUSED kern_return_t children_make(struct watch *w)
{
        kern_return_t code = services_make(w, dictionary("IOPropertyMatch", "IOUserClass", "ContractChild"));

        return code == kIOReturnSuccess ? IOServiceNotificationDispatchSource_SetHandler(w->source, w->action) : code;
}

/* Until the handler has been called so often, 20 s at most. */
static ROW_UNUSED bool ready_wait(struct watch *w, unsigned int calls)
{
        struct timespec until;
        int r = 0;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 20;
        pthread_mutex_lock(&w->target->lock);
        while (w->target->calls < calls && r == 0)
                r = pthread_cond_timedwait(&w->target->changed, &w->target->lock, &until);
        pthread_mutex_unlock(&w->target->lock);
        return r == 0;
}

static ROW_UNUSED void nothing(void *context)
{
}

/* Calls so far, with all that were on their way. */
static ROW_UNUSED unsigned int ready_calls(struct watch *w)
{
        IODispatchQueue *queue = NULL;

        if (IOService_CopyDispatchQueue(&w->target->service, kIOServiceDefaultQueueName, &queue) != kIOReturnSuccess)
                return (unsigned int)-1;
        IODispatchQueue_DispatchSync_f(queue, NULL, nothing);
        OSObject_release(queue);
        return w->target->calls;
}

/* What DeliverNotifications delivers, in order. */
struct deliveries {
        unsigned int count;
        uint64_t types[4], options[4];
        IOService *services[4];         /* only compared */
};

static ROW_UNUSED void take(void *context, uint64_t type, IOService *service, uint64_t options)
{
        struct deliveries *d = context;

        if (d->count < 4) {
                d->types[d->count] = type;
                d->services[d->count] = service;
                d->options[d->count] = options;
        }
        d->count++;
}

static ROW_UNUSED struct deliveries deliver(struct watch *w)
{
        struct deliveries d = { 0 };

        if (IOServiceNotificationDispatchSource_DeliverNotifications_f(w->source, &d, take) != kIOReturnSuccess)
                d.count = 99;
        return d;
}

/* A row's scenario on a watch of its own, with the contract driver's service. */
static ROW_UNUSED kern_return_t with_watch(struct ContractUserClient *self,
                                           kern_return_t (*scenario)(struct watch *w, IOService *service))
{
        struct watch w = { NULL };
        kern_return_t code = scenario(&w, IOService_GetProvider(&self->client.service));

        watch_end(&w);
        return code;
}

/* The app's half of rows that happen in the driver alone. */
static ROW_UNUSED void check(uint32_t selector)
{
        ck_code(IOConnectCallScalarMethod(contract_open(0), selector, NULL, 0, NULL, NULL), kIOReturnSuccess);
}

/* --- N1 to N5: services --- */

static ROW_UNUSED kern_return_t was_there(struct watch *w, IOService *service)
{
        struct deliveries d;

        D_EXPECT(services_make(w, dictionary(NULL, "IONameMatch", "contract")) == kIOReturnSuccess);
        D_EXPECT(IOServiceNotificationDispatchSource_SetHandler(w->source, NULL) == kIOReturnBadArgument);
        D_EXPECT(IOServiceNotificationDispatchSource_SetHandler(w->source, w->action) == kIOReturnSuccess);
        D_EXPECT(ready_wait(w, 1));
        d = deliver(w);
        D_EXPECT(d.count == 1 && d.types[0] == kIOServiceNotificationTypeMatched && d.services[0] == service && d.options[0] == 0);
        D_EXPECT(deliver(w).count == 0);
        return kIOReturnSuccess;
}
DRIVER(34001) { return with_watch(self, was_there); }
KEPT(memory_and_queues_N001, "a service that was there before the source: ready at SetHandler, Matched")
{
        check(34001);
}

static ROW_UNUSED kern_return_t come_and_gone(struct watch *w, IOService *service)
{
        IOService *first = NULL, *second = NULL;
        struct deliveries d;

        D_EXPECT(children_make(w) == kIOReturnSuccess);
        D_EXPECT(IOService_Create(service, service, "ChildProperties", &first) == kIOReturnSuccess);
        D_EXPECT(ready_wait(w, 1));
        d = deliver(w);
        D_EXPECT(d.count == 1 && d.types[0] == kIOServiceNotificationTypeMatched && d.services[0] == first);
        D_EXPECT(IOService_Create(service, service, "ChildProperties", &second) == kIOReturnSuccess);
        D_EXPECT(ready_wait(w, 2));
        D_EXPECT(IOService_Terminate(first, 0) == kIOReturnSuccess);
        D_EXPECT(ready_wait(w, 3));
        d = deliver(w);
        D_EXPECT(d.count == 2);
        D_EXPECT(d.types[0] == kIOServiceNotificationTypeTerminated && d.services[0] == first);
        D_EXPECT(d.types[1] == kIOServiceNotificationTypeMatched && d.services[1] == second);
        OSObject_release(first);
        OSObject_release(second);
        return kIOReturnSuccess;
}
DRIVER(34002) { return with_watch(self, come_and_gone); }
KEPT(memory_and_queues_N002, "what has ended is told before what has come")
{
        check(34002);
}

static ROW_UNUSED kern_return_t nothing_there(struct watch *w, IOService *service)
{
        uint64_t type = 5, options = 5;
        IOService *found = service;

        D_EXPECT(children_make(w) == kIOReturnSuccess);
        D_EXPECT(IOServiceNotificationDispatchSource_CopyNextNotification(w->source, &type, &found, &options) == kIOReturnSuccess);
        D_EXPECT(type == 0xffffffff && !found);
        return kIOReturnSuccess;
}
DRIVER(34003) { return with_watch(self, nothing_there); }
KEPT(memory_and_queues_N003, "nothing waits: type None, no service, success")
{
        check(34003);
}

static ROW_UNUSED kern_return_t not_cancelled(struct watch *w, IOService *service)
{
        IOService *child = NULL;

        D_EXPECT(children_make(w) == kIOReturnSuccess);
        D_EXPECT(IODispatchSource_Cancel_f(&w->source->source, NULL, NULL) == kIOReturnUnsupported);
        /* Nor does the flag hold anything back. */
        D_EXPECT(IODispatchSource_SetEnable(&w->source->source, false) == kIOReturnSuccess);
        D_EXPECT(IOService_Create(service, service, "ChildProperties", &child) == kIOReturnSuccess);
        D_EXPECT(ready_wait(w, 1));
        OSObject_release(child);
        return kIOReturnSuccess;
}
DRIVER(34004) { return with_watch(self, not_cancelled); }
KEPT(memory_and_queues_N004, "Cancel: Unsupported, and the source goes on")
{
        check(34004);
}

/* Three sources: for the other host's service, for a provider that is the registry's, and for a child of our own. */
static ROW_UNUSED struct watch others[3];

DRIVER(34005)
{
        D_EXPECT(services_make(&others[0], dictionary("IOPropertyMatch", "IOUserClass", "echo")) == kIOReturnSuccess);
        D_EXPECT(services_make(&others[1], dictionary(NULL, "IONameMatch", "IOUserResources")) == kIOReturnSuccess);
        D_EXPECT(children_make(&others[2]) == kIOReturnSuccess);
        return kIOReturnSuccess;
}
DRIVER(134005)
{
        IOService *service = IOService_GetProvider(&self->client.service), *child = NULL;
        unsigned int foreign;

        D_EXPECT(IOService_Create(service, service, "ChildProperties", &child) == kIOReturnSuccess);
        D_EXPECT(ready_wait(&others[2], 1) && deliver(&others[2]).services[0] == child);
        foreign = deliver(&others[0]).count + deliver(&others[1]).count;
        OSObject_release(child);
        for (size_t i = 0; i < 3; i++)
                watch_end(&others[i]);
        D_EXPECT(foreign == 0);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_N005, "services of other hosts are never reported")
{
        io_connect_t connection = contract_open(0);
        mach_timespec_t limit = { 20, 0 };
        io_service_t echo;
        char bundle[4096];

        ck_code(IOConnectCallScalarMethod(connection, 34005, NULL, 0, NULL, NULL), kIOReturnSuccess);
        snprintf(bundle, sizeof(bundle), "%s/drivers/echo.dext", getenv("AMBIDEXT_BUILD"));
        ck_code(amb_registry_load_bundle(bundle, NULL, NULL), kIOReturnSuccess);
        ck_code(IOKitWaitQuiet(kIOMainPortDefault, &limit), kIOReturnSuccess);
        echo = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("echo"));
        ck_assert_uint_ne(echo, 0);
        ck_code(IOConnectCallScalarMethod(connection, 134005, NULL, 0, NULL, NULL), kIOReturnSuccess);
        IOObjectRelease(echo);
}

/* --- N6, N7: state --- */

static ROW_UNUSED OSString *string(const char *text)
{
        return OSStringCreate(text, (size_t)-1);
}

static ROW_UNUSED kern_return_t states_make(struct watch *w, IOService *service, OSString *item)
{
        OSArray *items = OSArrayCreate();
        kern_return_t code = watch_make(w, IOServiceStateNotificationDispatchSource_StateNotificationReady_ID);

        if (!items || !OSArrayAppendValue(items, item))
                code = kIOReturnNoMemory;
        if (code == kIOReturnSuccess)
                code = IOServiceStateNotificationDispatchSource_Create(service, items, w->queue, &w->states);
        OSObject_release(items);
        return code;
}

static ROW_UNUSED kern_return_t told_once(struct watch *w, IOService *service)
{
        OSString *item = string("org.ambidext.test.item"), *other = string("org.ambidext.test.other");
        OSDictionary *value = dictionary(NULL, "state", "new");

        D_EXPECT(states_make(w, service, item) == kIOReturnSuccess);
        D_EXPECT(IOServiceStateNotificationDispatchSource_SetHandler(w->states, w->action) == kIOReturnSuccess);
        D_EXPECT(ready_wait(w, 1));
        D_EXPECT(IOService_StateNotificationItemSet(service, item, value) == kIOReturnSuccess);
        D_EXPECT(ready_calls(w) == 1);
        for (unsigned int i = 2; i <= 3; i++) {
                D_EXPECT(IOServiceStateNotificationDispatchSource_StateNotificationBegin(w->states) == kIOReturnSuccess);
                D_EXPECT(IOService_StateNotificationItemSet(service, other, value) == kIOReturnSuccess);
                D_EXPECT(ready_calls(w) == i - 1);
                D_EXPECT(IOService_StateNotificationItemSet(service, item, value) == kIOReturnSuccess);
                D_EXPECT(ready_wait(w, i));
                D_EXPECT(IOService_StateNotificationItemSet(service, item, value) == kIOReturnSuccess);
                D_EXPECT(ready_calls(w) == i);
        }
        D_EXPECT(IODispatchSource_Cancel_f(&w->states->source, NULL, NULL) == kIOReturnUnsupported);
        OSObject_release(value);
        OSObject_release(item);
        OSObject_release(other);
        return kIOReturnSuccess;
}
DRIVER(34006) { return with_watch(self, told_once); }
KEPT(memory_and_queues_N006, "state: told at SetHandler, then once for each StateNotificationBegin, when an item changes")
{
        check(34006);
}

static ROW_UNUSED kern_return_t unknown_item(struct watch *w, IOService *service)
{
        OSString *item = string("org.ambidext.test.unknown");
        OSDictionary *value = dictionary(NULL, "state", "new"), *found = value;

        D_EXPECT(IOService_StateNotificationItemCopy(service, item, &found) == kIOReturnNotFound && found == value);
        D_EXPECT(IOService_StateNotificationItemCreate(service, item, NULL) == kIOReturnSuccess);
        D_EXPECT(IOService_StateNotificationItemCopy(service, item, &found) == kIOReturnNotFound && found == value);
        D_EXPECT(IOService_StateNotificationItemSet(service, item, value) == kIOReturnSuccess);
        D_EXPECT(IOService_StateNotificationItemCopy(service, item, &found) == kIOReturnSuccess);
        D_EXPECT(found != value && strcmp(OSDictionaryGetStringValue(found, "state"), "new") == 0);
        OSSafeReleaseNULL(found);
        OSObject_release(value);
        /* Sent, as by SetProperties: nothing inside is shared. */
        value = dictionary("inner", "state", "new");
        D_EXPECT(IOService_StateNotificationItemSet(service, item, value) == kIOReturnSuccess);
        D_EXPECT(OSDictionarySetStringValue(OSDictionaryGetDictionaryValue(value, "inner"), "state", "changed"));
        for (int i = 0; i < 2; i++) {
                D_EXPECT(IOService_StateNotificationItemCopy(service, item, &found) == kIOReturnSuccess);
                OSDictionary *inner = OSDictionaryGetDictionaryValue(found, "inner");
                D_EXPECT(strcmp(OSDictionaryGetStringValue(inner, "state"), "new") == 0);
                D_EXPECT(OSDictionarySetStringValue(inner, "state", "changed"));
                OSSafeReleaseNULL(found);
        }
        OSObject_release(value);
        OSObject_release(item);
        return kIOReturnSuccess;
}
DRIVER(34007) { return with_watch(self, unknown_item); }
KEPT(memory_and_queues_N007, "an item that is not there, or has no value: NotFound, the pointer stays as it was")
{
        check(34007);
}

/* --- N8 to N11: event links, work groups and traps --- */

DRIVER(34008)
{
        OSString *name = string("link");
        OSString *longest = string("0123456789012345678901234567890123456789012345678901234567890123");
        OSString *longer = string("01234567890123456789012345678901234567890123456789012345678901234");
        IOUserClient *client = &self->client, *other = (IOUserClient *)IOService_GetProvider(&client->service);
        IOEventLink *link = NULL;
        IOWorkGroup *group = NULL;

        D_EXPECT(IOEventLink_Create(NULL, client, &link) == kIOReturnBadArgument);
        D_EXPECT(IOEventLink_Create(longer, client, &link) == kIOReturnBadArgument);
        D_EXPECT(IOEventLink_Create(name, other, &link) == kIOReturnBadArgument);
        D_EXPECT(IOEventLink_Create(name, NULL, &link) == kIOReturnBadArgument);
        D_EXPECT(IOWorkGroup_Create(NULL, client, &group) == kIOReturnBadArgument);
        D_EXPECT(IOWorkGroup_Create(longer, client, &group) == kIOReturnBadArgument);
        D_EXPECT(IOWorkGroup_Create(name, other, &group) == kIOReturnBadArgument);
        D_EXPECT(!link && !group);
        D_EXPECT(IOEventLink_Create(longest, client, &link) == kIOReturnSuccess);
        D_EXPECT(IOEventLink_Invalidate(link, other) == kIOReturnBadArgument);
        D_EXPECT(IOEventLink_Invalidate(link, client) == kIOReturnSuccess);
        OSObject_release(link);
        OSObject_release(name);
        OSObject_release(longest);
        OSObject_release(longer);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_N008, "event links: no name, 65 bytes, or no user client: BadArgument")
{
        check(34008);
}

static ROW_UNUSED kern_return_t join(io_connect_t connection, uint32_t index, const char *name, size_t length, mach_port_t port)
{
        return IOConnectTrap3(connection, index, (uintptr_t)name, length, port);
}

KEPT(memory_and_queues_N009, "a trap's length that is not the name's: BadArgument")
{
        io_connect_t connection = contract_open(0);
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        mach_port_t name = IONotificationPortGetMachPort(port);

        ck_code(join(connection, 0, "x", 2, name), kIOReturnBadArgument);
        ck_code(join(connection, 0, "xyz", 2, name), kIOReturnBadArgument);
        ck_code(join(connection, 1, "x", 2, name), kIOReturnBadArgument);
        ck_code(join(connection, 0, NULL, 0, name), kIOReturnBadArgument);
        ck_code(join(connection, 0, "01234567890123456789012345678901234567890123456789012345678901234", 65, name),
                kIOReturnBadArgument);
        IONotificationPortDestroy(port);
}

static ROW_UNUSED IOEventLink *links[2];
static ROW_UNUSED IOWorkGroup *group;

/* "link" is put up, replaced, and taken back; "group" is freed. */
DRIVER(34010)
{
        OSString *link = string("link"), *work = string("group");

        D_EXPECT(IOEventLink_Create(link, &self->client, &links[0]) == kIOReturnSuccess);
        D_EXPECT(IOEventLink_Create(link, &self->client, &links[1]) == kIOReturnSuccess);
        D_EXPECT(IOEventLink_Invalidate(links[0], &self->client) == kIOReturnBadArgument);
        D_EXPECT(IOWorkGroup_Create(work, &self->client, &group) == kIOReturnSuccess);
        OSObject_release(link);
        OSObject_release(work);
        return kIOReturnSuccess;
}
DRIVER(134010)
{
        D_EXPECT(IOEventLink_Invalidate(links[1], &self->client) == kIOReturnSuccess);
        OSObject_release(links[0]);
        OSObject_release(links[1]);
        OSObject_release(group);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_N010, "a trap for a name that the driver has not put up: NotFound")
{
        io_connect_t connection = contract_open(0), other = contract_open(0);
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        mach_port_t name = IONotificationPortGetMachPort(port);

        ck_code(join(connection, 0, "unknown", 7, name), kIOReturnNotFound);
        ck_code(join(connection, 1, "unknown", 7, name), kIOReturnNotFound);
        ck_code(IOConnectCallScalarMethod(connection, 34010, NULL, 0, NULL, NULL), kIOReturnSuccess);
        /* What is put up is found, by its kind and on its connection only. There are no ports with which it could be joined. */
        ck_code(join(connection, 0, "link", 4, name), kIOReturnUnsupported);
        ck_code(join(connection, 1, "group", 5, name), kIOReturnUnsupported);
        ck_code(join(connection, 0, "link", 4, MACH_PORT_NULL), kIOReturnBadArgument);
        ck_code(join(connection, 1, "link", 4, name), kIOReturnNotFound);
        ck_code(join(connection, 0, "lin", 3, name), kIOReturnNotFound);
        ck_code(join(other, 0, "link", 4, name), kIOReturnNotFound);
        ck_code(IOConnectCallScalarMethod(connection, 134010, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_code(join(connection, 0, "link", 4, name), kIOReturnNotFound);
        ck_code(join(connection, 1, "group", 5, name), kIOReturnNotFound);
        IONotificationPortDestroy(port);
}

KEPT(memory_and_queues_N011, "a trap of another index: success without effect; of no live connection: BadArgument")
{
        io_connect_t connection = contract_open(0);
        io_service_t service = contract_service();

        ck_code(IOConnectTrap0(connection, 5), kIOReturnSuccess);
        ck_code(IOConnectTrap6(connection, 2, 1, 2, 3, 4, 5, 6), kIOReturnSuccess);
        ck_code(IOConnectTrap0(connection, 0), kIOReturnBadArgument);
        ck_code(IOConnectTrap0(MACH_PORT_NULL, 5), kIOReturnBadArgument);
        ck_code(IOConnectTrap0(service, 5), kIOReturnBadArgument);
        ck_code(IOConnectAddRef(connection), kIOReturnSuccess);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
        ck_code(IOConnectTrap0(connection, 5), kIOReturnBadArgument);
        ck_code(join(connection, 0, "unknown", 7, service), kIOReturnBadArgument);
        IOObjectRelease(service);
}

/* --- R30: properties --- */

static ROW_UNUSED kern_return_t properties(struct watch *w, IOService *service)
{
        OSDictionary *set = OSDictionaryCreate(), *all = NULL;
        OSNumber *one = OSNumberCreate(1, 32);

        D_EXPECT(set && one && OSDictionarySetValue(set, "k", one));
        D_EXPECT(IOService_SetProperties(service, set) == kIOReturnSuccess);
        D_EXPECT(IOService_CopyProperties(service, &all) == kIOReturnSuccess);
        D_EXPECT(OSDictionaryGetUInt64Value(all, "k") == 1 && OSDictionaryGetStringValue(all, "IOUserClass"));
        D_EXPECT(!OSDictionaryGetValue(all, "IOUserServiceProperties"));
        OSObject_release(all);
        OSObject_release(set);
        OSObject_release(one);
        return kIOReturnSuccess;
}

/* The same from below: a user client's providers are searched for what their personalities say. */
static ROW_UNUSED kern_return_t searched(IOService *client)
{
        OSContainer *found = NULL;

        D_EXPECT(IOService_SearchProperty(IOService_GetProvider(client), "k", "IOService", 0, &found) == kIOReturnSuccess && found);
        OSSafeReleaseNULL(found);
        D_EXPECT(IOService_SearchProperty(client, "UserClientProperties", "IOService", 1, &found) == kIOReturnSuccess && found);
        OSObject_release(found);
        D_EXPECT(IOService_SearchProperty(client, "UserClientProperties", "IOService", 0, &found) == kIOReturnNotFound && !found);
        D_EXPECT(IOService_SearchProperty(client, "UserClientProperties", "IOPower", 1, &found) == kIOReturnNotFound && !found);
        D_EXPECT(IOService_SearchProperty(client, "k", "IOService", 1, &found) == kIOReturnNotFound && !found);
        D_EXPECT(IOService_SearchProperty(client, "k", "IOService", 2, &found) == kIOReturnSuccess && found);
        OSObject_release(found);
        D_EXPECT(IOService_SearchProperty(client, "nobody's", "IOService", 3, &found) == kIOReturnNotFound && !found);
        return kIOReturnSuccess;
}
DRIVER(35030)
{
        kern_return_t code = with_watch(self, properties);

        return code == kIOReturnSuccess ? searched(&self->client.service) : code;
}
KEPT(memory_and_queues_R030, "SetProperties, CopyProperties: the new property is at top level")
{
        check(35030);
}
