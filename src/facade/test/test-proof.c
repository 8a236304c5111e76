/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives the C++ classes of Counter.iig as the runtime does, by the C API, in one process. What is shown is listed in docs/IIG.md,
 * section 7.
 */
#include <string.h>

#include <DriverKit/DriverKit.h>

#include "proof.h"

extern const OSMetaClass gCounterMetaClass, gBigCounterMetaClass, gCounterClientMetaClass, gCxxShelfMetaClass;

/* --- the class that is written in C --- */

typedef struct Shelf {
        IOService service;
        uint32_t kept;
        uint32_t filler;
} Shelf;
#define Shelf_put_ID 0x5368656c66000001ull
#define Shelf_get_ID 0x5368656c66000002ull

uint32_t Shelf_put(Shelf *self, uint32_t what)
{
        self->kept = what;
        return what;
}
kern_return_t Shelf_get(Shelf *self, uint32_t *what)
{
        *what = self->kept;
        return kIOReturnSuccess;
}
uint32_t Shelf_twice(Shelf *self, uint32_t what)
{
        return 2 * what;
}

static const struct amb_method shelf_methods[] = {
        AMB_OVERRIDE(Shelf, put, Shelf_put),
        AMB_OVERRIDE(Shelf, get, Shelf_get),
        AMB_METHODS_END,
};
OSDefineMetaClass(Shelf, IOService, shelf_methods);

/* Overrides in C what C++ calls through Shelf's face. */
typedef struct HighShelf {
        Shelf shelf;
} HighShelf;

static uint32_t high_put(Shelf *self, uint32_t what)
{
        return Shelf_put(self, what) + 1000;
}
static kern_return_t high_get(Shelf *self, uint32_t *what)
{
        kern_return_t code = Shelf_get(self, what);
        *what += 50;
        return code;
}
static const struct amb_method high_methods[] = {
        AMB_OVERRIDE(Shelf, put, high_put),
        AMB_OVERRIDE(Shelf, get, high_get),
        AMB_METHODS_END,
};
OSDefineMetaClass(HighShelf, Shelf, high_methods);

/* --- */

static void start_on_queue(void *counter)
{
        CHECK(amb_invoke(counter, IOService, Start, NULL) == kIOReturnSuccess);
}

/* As the runtime starts a service: on its default queue. */
static void start(void *counter)
{
        IODispatchQueue *queue;

        CHECK(IOService_CopyDispatchQueue(counter, kIOServiceDefaultQueueName, &queue) == kIOReturnSuccess);
        IODispatchQueue_DispatchSync_f(queue, counter, start_on_queue);
        OSObject_release(queue);
}

static void check_counter(void)
{
        OSObject *counter = amb_object_new(&gCounterMetaClass);

        CHECK(counter && strcmp(OSObject_GetClassName(counter), "Counter") == 0 && OSDynamicCast(IOService, counter));
        start(counter);
        CHECK(proof_counts.starts == 1 && cxx_total(counter) == 3);
        CHECK(cxx_add(counter, 4) == 7);
        cxx_counter_calls(counter);
        cxx_one_way(counter);
        CHECK(amb_invoke(counter, IOService, Stop, NULL) == kIOReturnSuccess && proof_counts.stops == 1);
        OSObject_release(counter);
        proof_wait(&proof_counts.frees, 1);
}

/* The superclass's Start runs once, the overriding one first; C++ overrides C++. */
static void check_big(void)
{
        OSObject *big = amb_object_new(&gBigCounterMetaClass);
        int starts = proof_counts.starts;

        CHECK(big && amb_object_cast(big, &gCounterMetaClass));
        start(big);
        CHECK(proof_counts.big_starts == 1 && proof_counts.starts == starts + 1);
        CHECK(cxx_add(big, 2) == 2003 && cxx_total(big) == 1002003);
        OSObject_release(big);
        proof_wait(&proof_counts.frees, 2);
}

static void check_actions(void)
{
        OSObject *counter = amb_object_new(&gCounterMetaClass), *client = amb_object_new(&gCounterClientMetaClass);

        cxx_timers(counter);
        cxx_reached(counter, client);
        OSObject_release(client);
        proof_wait(&proof_counts.client_frees, 1);
        /* Its timer's action holds it. */
        cxx_release(counter);
}

/* A call as it comes from an application: through the C table into C++, the base's checks in C, back into a C++ function. */
static void check_external(void)
{
        OSObject *client = amb_object_new(&gCounterClientMetaClass);
        uint64_t in = 21, out = 0;
        IOUserClientMethodArguments arguments = { .version = 2, .scalarInput = &in, .scalarInputCount = 1, .scalarOutput = &out,
                                                  .scalarOutputCount = 1 };

        CHECK(amb_invoke(client, IOUserClient, ExternalMethod, 0, &arguments, NULL, NULL, NULL) == kIOReturnSuccess && out == 42);
        arguments.scalarInputCount = 2;
        CHECK(amb_invoke(client, IOUserClient, ExternalMethod, 0, &arguments, NULL, NULL, NULL) == kIOReturnBadArgument);
        CHECK(amb_invoke(client, IOUserClient, ExternalMethod, 9, &arguments, NULL, NULL, NULL) == kIOReturnBadArgument);
        /* Every user client has the queue that its calls can be put on. */
        IODispatchQueue *queue;
        CHECK(IODispatchQueue_Create("calls", 0, 0, &queue) == 0);
        CHECK(IOService_SetDispatchQueue((IOService *)client, kIOUserClientQueueNameExternalMethod, queue) == 0);
        OSObject_release(queue);
        OSObject_release(client);
        proof_wait(&proof_counts.client_frees, 2);
}

static void check_shelves(void)
{
        const OSMetaClass *classes[] = { OSTypeID(Shelf), OSTypeID(HighShelf), &gCxxShelfMetaClass };
        static const uint32_t base[] = { 0, 1000, 100 };

        for (int i = 0; i < 3; i++) {
                OSObject *shelf = amb_object_new(classes[i]);
                CHECK(shelf && OSDynamicCast(Shelf, shelf));
                cxx_shelf(shelf, base[i]);
                CHECK(amb_invoke(shelf, Shelf, put, 2) == base[i] + 2);
                OSObject_release(shelf);
        }
}

int main(void)
{
        check_counter();
        check_big();
        check_actions();
        check_external();
        check_shelves();
        return 0;
}
