/* SPDX-License-Identifier: Apache-2.0 */
/* Tutorial 3, the driver: it counts down after the call has returned, one completion per number. The app is tutorial3.c. */
#include <DriverKit/DriverKit.h>

struct Countdown { IOService service; };
struct CountdownUserClient {
        IOUserClient client;
        OSAction *completion;                           /* the app's callback, until the countdown is over */
        uint64_t from;
};

/* Runs on the user client's queue when the call has returned, and before Stop: what reaches a queue first runs first. */
static void count_down(void *context)
{
        struct CountdownUserClient *self = context;

        for (uint64_t left = self->from + 1; left-- > 0;)
                IOUserClient_AsyncCompletion(&self->client, self->completion, kIOReturnSuccess, &left, 1);
        OSSafeReleaseNULL(self->completion);
}

static kern_return_t begin(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        struct CountdownUserClient *self = (struct CountdownUserClient *)target;
        IODispatchQueue *queue = NULL;
        kern_return_t r;

        if (self->completion)
                return kIOReturnBusy;
        if (arguments->scalarInput[0] > 100)
                return kIOReturnBadArgument;
        r = IOService_CopyDispatchQueue(&self->client.service, kIOServiceDefaultQueueName, &queue);
        if (r != kIOReturnSuccess)
                return r;
        self->from = arguments->scalarInput[0];
        self->completion = arguments->completion;
        OSObject_retain(self->completion);              /* without this it would be gone when the call returns */
        IODispatchQueue_DispatchAsync_f(queue, self, count_down);
        OSObject_release(queue);
        return kIOReturnSuccess;
}

/* The 1 behind the function: only calls that bring a completion get here. */
static const IOUserClientMethodDispatch methods[] = { { begin, 1, 1, 0, 0, 0 } };

static kern_return_t external_method(IOUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
                                     const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        if (selector < 1)
                dispatch = &methods[selector];
        return IOUserClient_ExternalMethod(self, selector, arguments, dispatch, (OSObject *)self, NULL);
}
static const struct amb_method client_methods[] = { AMB_OVERRIDE(IOUserClient, ExternalMethod, external_method),
                                                    AMB_METHODS_END };
OSDefineMetaClass(CountdownUserClient, IOUserClient, client_methods);

static kern_return_t start(IOService *self, IOService *provider)
{
        IOService_Start(self, provider);
        return IOService_RegisterService(self);
}

static kern_return_t new_user_client(IOService *self, uint32_t type, IOUserClient **client)
{
        return IOService_Create(self, self, "UserClientProperties", (IOService **)client);
}
static const struct amb_method service_methods[] = { AMB_OVERRIDE(IOService, Start, start),
                                                     AMB_OVERRIDE(IOService, NewUserClient, new_user_client), AMB_METHODS_END };
OSDefineMetaClass(Countdown, IOService, service_methods);
