/* SPDX-License-Identifier: Apache-2.0 */
/* Sources that tell of services: what matches, what is told once, and services that come and go while sources do. */
#include <DriverKit/DriverKit.h>

#include "driver/service.h"
#include "driver/table.h"
#include "driver/test.h"

#define READY 0x7265616400000001ull
#define ROUNDS 300

typedef struct Listener {
        IOService service;
        struct signal calls;
} Listener;

static void listener_ready(Listener *self, OSAction *action)
{
        signal_add(&self->calls);
}

static const struct amb_method listener_methods[] = {
        AMB_METHOD(READY, listener_ready),
        AMB_METHODS_END,
};
OSDefineMetaClass(Listener, IOService, listener_methods);

static IODispatchQueue *queue;
static Listener *listener;
static OSAction *action;

static void setup_listener(void)
{
        struct signal none = SIGNAL_INIT;

        ck_assert_int_eq(IODispatchQueue_Create("q", 0, 0, &queue), 0);
        listener = (Listener *)amb_object_new(OSTypeID(Listener));
        listener->calls = none;
        ck_assert_int_eq(OSAction_Create(&listener->service.object, READY,
                                         IOServiceNotificationDispatchSource_ServiceNotificationReady_ID, 0, &action), 0);
}

static void drop_listener(void)
{
        OSObject_release(action);
        OSObject_release(listener);
        OSObject_release(queue);
}

/* A service as the host makes it, started and registered. */
static IOService *service_new(uint64_t entry, IOService *provider, const char *name)
{
        OSDictionary *properties = OSDictionaryCreate();
        IOService *service = (IOService *)amb_object_new(OSTypeID(IOService));

        OSDictionarySetStringValue(properties, "kind", name);
        if (strcmp(name, "keyboard") == 0)
                OSDictionarySetStringValue(properties, "IOClass", "AppleUserHIDDevice");
        ck_assert_int_eq(amb_service_attach(service, entry, provider, properties, name), 0);
        OSObject_release(properties);
        amb_table_add(service);
        ck_assert_int_eq(IOService_RegisterService(service), 0);
        ck_assert_int_eq(amb_service_start(service, provider), 0);
        return service;
}

static void service_end(IOService *service)
{
        amb_service_stop(service);
        OSObject_release(service);
}

static OSDictionary *dictionary(const char *key, const char *value)
{
        OSDictionary *d = OSDictionaryCreate();

        ck_assert(OSDictionarySetStringValue(d, key, value));
        return d;
}

static OSDictionary *nested(const char *key, OSDictionary *inner)
{
        OSDictionary *d = OSDictionaryCreate();

        ck_assert(OSDictionarySetValue(d, key, inner));
        OSObject_release(inner);
        return d;
}

static IOServiceNotificationDispatchSource *source_new(OSDictionary *matching)
{
        IOServiceNotificationDispatchSource *source;

        ck_assert_int_eq(IOServiceNotificationDispatchSource_Create(matching, 0, queue, &source), 0);
        OSObject_release(matching);
        return source;
}

/* The next one's type; its service must be this. */
static uint64_t next(IOServiceNotificationDispatchSource *source, IOService *expected)
{
        uint64_t type, options;
        IOService *service;

        ck_assert_int_eq(IOServiceNotificationDispatchSource_CopyNextNotification(source, &type, &service, &options), 0);
        ck_assert_ptr_eq(service, expected);
        OSObject_release(service);
        return type;
}

START_TEST(criteria)
{
        IOService *parent, *child, *keyboard;
        IOServiceNotificationDispatchSource *source;
        OSNumber *number = OSNumberCreate(12, 64);
        OSDictionary *by_number = OSDictionaryCreate(), *by_path = dictionary("IOPathMatch", "IOService:/child");
        const struct {
                OSDictionary *matching;
                bool parent, child, keyboard;
        } cases[] = {
                { OSDictionaryCreate(), true, true, true },
                { dictionary("IONameMatch", "child"), false, true },
                { dictionary("IOProviderClass", "IOUserService"), true, true, false },
                { dictionary("IOProviderClass", "IOService"), true, true, true },
                { dictionary("IOProviderClass", "IOUserClient"), false, false, false },
                { dictionary("IOProviderClass", "IOHIDDevice"), false, false, true },
                { dictionary("IOProviderClass", "AppleUserHIDDevice"), false, false, true },
                { nested("IOPropertyMatch", dictionary("kind", "parent")), true, false },
                { dictionary("IOPropertyExistsMatch", "kind"), true, true, true },
                { dictionary("IOPropertyExistsMatch", "color"), false, false },
                { nested("IOParentMatch", dictionary("IONameMatch", "parent")), false, true },
                { by_number, false, true },
                { by_path, false, false },
        };

        setup_listener();
        ck_assert(OSDictionarySetValue(by_number, "IORegistryEntryID", number));
        OSObject_release(number);
        parent = service_new(11, NULL, "parent");
        child = service_new(12, parent, "child");
        keyboard = service_new(13, NULL, "keyboard");
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(cases); i++) {
                source = source_new(cases[i].matching);
                if (cases[i].parent)
                        ck_assert_msg(next(source, parent) == kIOServiceNotificationTypeMatched, "case %zu", i);
                if (cases[i].child)
                        ck_assert_msg(next(source, child) == kIOServiceNotificationTypeMatched, "case %zu", i);
                if (cases[i].keyboard)
                        ck_assert_msg(next(source, keyboard) == kIOServiceNotificationTypeMatched, "case %zu", i);
                ck_assert_msg(next(source, NULL) == kIOServiceNotificationTypeNone, "case %zu", i);
                OSObject_release(source);
        }
        service_end(keyboard);
        service_end(child);
        service_end(parent);
        drop_listener();
}
END_TEST

START_TEST(once)
{
        IOServiceNotificationDispatchSource *source;
        IOService *service, *second;

        setup_listener();
        source = source_new(OSDictionaryCreate());
        ck_assert_int_eq(IOServiceNotificationDispatchSource_SetHandler(source, action), 0);
        /* One that ends before anybody has looked is not told at all. */
        service = service_new(1, NULL, "short");
        signal_wait(&listener->calls, 1);
        service_end(service);
        ck_assert_uint_eq(next(source, NULL), kIOServiceNotificationTypeNone);
        /* Each registration is told, but one that waits already is not told twice; the handler hears of the first in the list. */
        service = service_new(2, NULL, "long");
        second = service_new(3, NULL, "second");
        IOService_RegisterService(service);
        ck_assert_uint_eq(next(source, service), kIOServiceNotificationTypeMatched);
        ck_assert_uint_eq(next(source, second), kIOServiceNotificationTypeMatched);
        ck_assert_uint_eq(next(source, NULL), kIOServiceNotificationTypeNone);
        signal_wait(&listener->calls, 2);
        IOService_RegisterService(service);
        signal_wait(&listener->calls, 3);
        /* Told once, and waiting once more: its end is told, the other is taken away. */
        OSObject_retain(service);
        service_end(service);
        signal_wait(&listener->calls, 4);
        ck_assert_uint_eq(next(source, service), kIOServiceNotificationTypeTerminated);
        ck_assert_uint_eq(next(source, NULL), kIOServiceNotificationTypeNone);
        OSObject_release(service);
        /* A driver that registers what has ended. */
        IOService_RegisterService(second);
        ck_assert_uint_eq(next(source, second), kIOServiceNotificationTypeMatched);
        amb_service_stop(second);
        IOService_RegisterService(second);
        ck_assert_uint_eq(next(source, second), kIOServiceNotificationTypeTerminated);
        ck_assert_uint_eq(next(source, NULL), kIOServiceNotificationTypeNone);
        signal_wait(&listener->calls, 6);
        OSObject_release(second);
        OSObject_release(source);
        drop_listener();
}
END_TEST

static void *come_and_go(void *context)
{
        for (uint64_t i = 0; i < ROUNDS; i++)
                service_end(service_new(1000 + i, NULL, "brief"));
        return NULL;
}

/* Whatever a source hears while services come and go: never an end without a beginning, and nothing is left at the end. */
START_TEST(together)
{
        pthread_t threads[2];

        setup_listener();
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(threads); i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
        for (int i = 0; i < ROUNDS; i++) {
                IOServiceNotificationDispatchSource *source = source_new(dictionary("IONameMatch", "brief"));
                uint64_t type, options;
                IOService *service;
                int balance = 0;

                ck_assert_int_eq(IOServiceNotificationDispatchSource_SetHandler(source, action), 0);
                for (int j = 0; j < 20; j++) {
                        IOServiceNotificationDispatchSource_CopyNextNotification(source, &type, &service, &options);
                        OSObject_release(service);
                        if (type != kIOServiceNotificationTypeNone)
                                balance += type == kIOServiceNotificationTypeMatched ? 1 : -1;
                        ck_assert_int_ge(balance, 0);
                }
                OSObject_release(source);
        }
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(threads); i++)
                pthread_join(threads[i], NULL);
        IOServiceNotificationDispatchSource *last = source_new(dictionary("IONameMatch", "brief"));
        ck_assert_uint_eq(next(last, NULL), kIOServiceNotificationTypeNone);
        OSObject_release(last);
        drop_listener();
}
END_TEST

int main(void)
{
        return run_suite("notify", criteria, once, together);
}
