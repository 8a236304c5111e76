/*
 * The driver NAME. A class is a structure that begins with its base's, a constant table of the methods that it overrides, and
 * OSDefineMetaClass. Class_Method(self, ...) calls that class's own implementation: this is how the base's is called.
 *
 * Methods of one object run on its queue, one at a time: what only they touch needs no lock.
 */
#include <DriverKit/DriverKit.h>

#include "NAMEShared.h"

/* The service: one, started by the registry when its provider is there (Info.plist). */
typedef struct NAME {
        IOService service;
} NAME;

/* One for each application that has opened the service. */
typedef struct NAMEUserClient {
        IOUserClient client;
        OSAction *completion;           /* the application's, while we count down */
        uint64_t left;
} NAMEUserClient;

/* --- the methods that applications call --- */

static kern_return_t add(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        arguments->scalarOutput[0] = arguments->scalarInput[0] + arguments->scalarInput[1];
        return kIOReturnSuccess;
}

static kern_return_t summarize(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        const struct NAMENumbers *in = OSDataGetBytesPtr(arguments->structureInput, 0, sizeof(*in));
        struct NAMESummary out = { 0, UINT64_MAX, 0 };

        /* The table has compared the sizes. What is inside comes from the application: look before you use it. */
        if (in->count == 0 || in->count > kNAMENumbersMost)
                return kIOReturnBadArgument;
        for (uint32_t i = 0; i < in->count; i++) {
                out.sum += in->values[i];
                out.least = in->values[i] < out.least ? in->values[i] : out.least;
                out.most = in->values[i] > out.most ? in->values[i] : out.most;
        }
        arguments->structureOutput = OSDataCreate(&out, sizeof(out));   /* the caller releases it */
        return arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

/* On the client's queue, after the call has returned. */
static void send_next(void *context)
{
        NAMEUserClient *self = context;

        while (self->left-- > 0)
                IOUserClient_AsyncCompletion(&self->client, self->completion, kIOReturnSuccess, &self->left, 1);
        OSSafeReleaseNULL(self->completion);
}

static kern_return_t count_down(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        NAMEUserClient *self = (NAMEUserClient *)target;
        IODispatchQueue *queue = NULL;
        kern_return_t code;

        if (arguments->scalarInput[0] == 0 || arguments->scalarInput[0] > kNAMECountMost)
                return kIOReturnBadArgument;
        if (self->completion)
                return kIOReturnBusy;
        code = IOService_CopyDispatchQueue(&self->client.service, kIOServiceDefaultQueueName, &queue);
        if (code != kIOReturnSuccess)
                return code;
        self->left = arguments->scalarInput[0];
        self->completion = arguments->completion;
        OSObjectRetain(self->completion);               /* otherwise it is gone when the call returns */
        /* What reaches a queue first runs first: before Stop, so the client is still there. */
        IODispatchQueue_DispatchAsync_f(queue, self, send_next);
        OSObjectRelease(queue);
        return kIOReturnSuccess;
}

/* Each call is compared with its line before the function runs: completion?, scalars in, bytes in, scalars out, bytes out. */
static const IOUserClientMethodDispatch methods[kNAMESelectors] = {
        [kNAMEAdd] = { add, 0, 2, 0, 1, 0 },
        [kNAMESummarize] = { summarize, 0, 0, sizeof(struct NAMENumbers), 0, sizeof(struct NAMESummary) },
        [kNAMECountDown] = { count_down, 1, 1, 0, 0, 0 },
};

/* --- the user client --- */

static kern_return_t client_external_method(IOUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
                                            const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        if (selector >= kNAMESelectors)
                return kIOReturnBadArgument;
        return IOUserClient_ExternalMethod(self, selector, arguments, &methods[selector], (OSObject *)self, NULL);
}

static const struct amb_method client_methods[] = {
        AMB_OVERRIDE(IOUserClient, ExternalMethod, client_external_method),
        AMB_METHODS_END,
};
OSDefineMetaClass(NAMEUserClient, IOUserClient, client_methods);

/* --- the service --- */

static kern_return_t service_start(IOService *self, IOService *provider)
{
        kern_return_t code = IOService_Start(self, provider);

        /* From the registration on applications can find it. */
        return code == kIOReturnSuccess ? IOService_RegisterService(self) : code;
}

static kern_return_t service_new_user_client(IOService *self, uint32_t type, IOUserClient **client)
{
        return IOService_Create(self, self, "UserClientProperties", (IOService **)client);
}

static const struct amb_method service_methods[] = {
        AMB_OVERRIDE(IOService, Start, service_start),
        AMB_OVERRIDE(IOService, NewUserClient, service_new_user_client),
        AMB_METHODS_END,
};
OSDefineMetaClass(NAME, IOService, service_methods);
