/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver with one mistake of each kind, behind a selector of its own; and with a method that only looks like one: what the
 * runtime orders (queues, reference counts, work that goes from thread to thread) is no race.
 */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include <DriverKit/DriverKit.h>

#include "faulty.h"

typedef struct Faulty {
        IOService service;
        IODispatchQueue *worker;
        uint64_t posted, counted;               /* on the worker queue */
        IOLock *lock;
        uint64_t locked;                        /* under the lock */
} Faulty;

typedef struct FaultyUserClient {
        IOUserClient client;
        Faulty *provider;
        uint64_t calls;                         /* on the client's queue */
} FaultyUserClient;

/* --- what is in order --- */

struct post {
        Faulty *faulty;
        OSNumber *number;                       /* made by one thread, released by another */
};

static void posted(void *context)
{
        struct post *post = context;

        post->faulty->posted += OSNumber_unsigned64BitValue(post->number);
        OSObjectRelease(post->number);
        OSObjectRelease(post->faulty);
        free(post);
}

static void count(void *context)
{
        FaultyUserClient *client = context;

        client->provider->counted++;
}

static kern_return_t healthy(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        FaultyUserClient *self = (FaultyUserClient *)target;
        struct post *post = malloc(sizeof(*post));

        self->calls++;
        *post = (struct post){ self->provider, OSNumberCreate(1, 64) };
        OSObjectRetain(post->faulty);
        IODispatchQueue_DispatchAsync_f(self->provider->worker, post, posted);
        IODispatchQueue_DispatchSync_f(self->provider->worker, self, count);
        IOLockLock(self->provider->lock);
        self->provider->locked++;
        IOLockUnlock(self->provider->lock);
        arguments->scalarOutput[0] = self->calls;
        return kIOReturnSuccess;
}

/* --- what is not --- */

static int unguarded;

static void *racer(void *context)
{
        for (int i = 0; i < 1000; i++)
                unguarded++;
        return context;
}

static kern_return_t race(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        pthread_t threads[2];

        for (int i = 0; i < 2; i++)
                pthread_create(&threads[i], NULL, racer, NULL);
        for (int i = 0; i < 2; i++)
                pthread_join(threads[i], NULL);
        arguments->scalarOutput[0] = (uint64_t)unguarded;
        return kIOReturnSuccess;
}

static kern_return_t fill(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        volatile uint8_t *bytes = malloc(16);

        for (uint64_t i = 0; i < arguments->scalarInput[0]; i++)
                bytes[i] = (uint8_t)i;
        arguments->scalarOutput[0] = bytes[0];
        free((void *)bytes);
        return kIOReturnSuccess;
}

static kern_return_t add(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        volatile int sum = INT_MAX;

        sum += (int)arguments->scalarInput[0];
        arguments->scalarOutput[0] = (uint64_t)sum;
        return kIOReturnSuccess;
}

static kern_return_t lose(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        void *volatile lost = malloc(arguments->scalarInput[0]);

        arguments->scalarOutput[0] = lost != NULL;
        lost = NULL;
        return kIOReturnSuccess;
}

/* --- the driver --- */

static const IOUserClientMethodDispatch methods[kFaultyCount] = {
        [kFaultyHealthy] = { healthy, 0, 1, 0, 1, 0 },
        [kFaultyFill] = { fill, 0, 1, 0, 1, 0 },
        [kFaultyRace] = { race, 0, 1, 0, 1, 0 },
        [kFaultyAdd] = { add, 0, 1, 0, 1, 0 },
        [kFaultyLose] = { lose, 0, 1, 0, 1, 0 },
};

static kern_return_t external_method(IOUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
                                     const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        if (selector < kFaultyCount)
                dispatch = &methods[selector];
        return IOUserClient_ExternalMethod(self, selector, arguments, dispatch, (OSObject *)self, NULL);
}

static kern_return_t client_start(IOService *self, IOService *provider)
{
        ((FaultyUserClient *)self)->provider = (Faulty *)provider;
        return IOService_Start(self, provider);
}
static const struct amb_method client_methods[] = { AMB_OVERRIDE(IOUserClient, ExternalMethod, external_method),
                                                    AMB_OVERRIDE(IOService, Start, client_start), AMB_METHODS_END };
OSDefineMetaClass(FaultyUserClient, IOUserClient, client_methods);

static kern_return_t start(IOService *self, IOService *provider)
{
        Faulty *faulty = (Faulty *)self;
        kern_return_t code = IOService_Start(self, provider);

        if (code == kIOReturnSuccess)
                code = IODispatchQueue_Create("worker", 0, 0, &faulty->worker);
        if (code != kIOReturnSuccess)
                return code;
        faulty->lock = IOLockAlloc();
        return IOService_RegisterService(self);
}

static void faulty_free(OSObject *self)
{
        OSObjectRelease(((Faulty *)self)->worker);
        IOLockFree(((Faulty *)self)->lock);
        IOService_free(self);
}

static kern_return_t new_user_client(IOService *self, uint32_t type, IOUserClient **client)
{
        return IOService_Create(self, self, "UserClientProperties", (IOService **)client);
}
static const struct amb_method service_methods[] = { AMB_OVERRIDE(IOService, Start, start),
                                                     AMB_OVERRIDE(IOService, NewUserClient, new_user_client),
                                                     AMB_OVERRIDE(OSObject, free, faulty_free), AMB_METHODS_END };
OSDefineMetaClass(Faulty, IOService, service_methods);
