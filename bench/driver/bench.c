/* SPDX-License-Identifier: Apache-2.0 */
/* bench: a driver that does as little as a driver can. Its selectors: bench-driver.h. */
#include <DriverKit/DriverKit.h>

#include "bench-driver.h"

typedef struct bench {
        IOService service;
} bench;

typedef struct BenchUserClient {
        IOUserClient client;
        uint32_t type;
        IODispatchQueue *queue;         /* kBenchQueue alone */
} BenchUserClient;

/* --- selectors --- */

static kern_return_t bench_scalar(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        arguments->scalarOutput[0] = arguments->scalarInput[1];
        arguments->scalarOutput[1] = arguments->scalarInput[0];
        return kIOReturnSuccess;
}

static kern_return_t bench_struct(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        OSObject_retain(arguments->structureInput);
        arguments->structureOutput = arguments->structureInput;
        return kIOReturnSuccess;
}

static kern_return_t bench_made(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        arguments->structureOutput = OSDataCreate(OSDataGetBytesPtr(arguments->structureInput, 0, kBenchPage), kBenchPage);
        return arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

static kern_return_t bench_stream(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        for (uint64_t i = 0; i < arguments->scalarInput[0]; i++)
                IOUserClient_AsyncCompletion((IOUserClient *)target, arguments->completion, kIOReturnSuccess, &i, 1);
        return kIOReturnSuccess;
}

static const IOUserClientMethodDispatch bench_table[kBenchSelectors] = {
        /* function, completion?, scalars in, bytes in, scalars out, bytes out */
        [kBenchScalar] = { bench_scalar, 0, 2, 0, 2, 0 },
        [kBenchStruct] = { bench_struct, 0, 0, kBenchPage, 0, kBenchPage },
        [kBenchMade] = { bench_made, 0, 0, kBenchPage, 0, kBenchPage },
        [kBenchStream] = { bench_stream, 1, 1, 0, 0, 0 },
};

static kern_return_t bench_external_method(IOUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
                                           const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        if (selector < kBenchSelectors)
                dispatch = &bench_table[selector];
        return IOUserClient_ExternalMethod(self, selector, arguments, dispatch, (OSObject *)self, NULL);
}

/* --- the user client --- */

static kern_return_t bench_client_start(IOService *service, IOService *provider)
{
        BenchUserClient *self = (BenchUserClient *)service;
        kern_return_t code = IOService_Start(service, provider);

        if (code == kIOReturnSuccess && self->type == kBenchQueue) {
                code = IODispatchQueue_Create("bench calls", 0, 0, &self->queue);
                if (code == kIOReturnSuccess)
                        code = IOService_SetDispatchQueue(service, kIOUserClientQueueNameExternalMethod, self->queue);
        }
        return code;
}

static void bench_client_free(OSObject *object)
{
        OSSafeReleaseNULL(((BenchUserClient *)object)->queue);
        IOUserClient_free(object);
}

static const struct amb_method bench_client_methods[] = {
        AMB_OVERRIDE(OSObject, free, bench_client_free),
        AMB_OVERRIDE(IOService, Start, bench_client_start),
        AMB_OVERRIDE(IOUserClient, ExternalMethod, bench_external_method),
        AMB_METHODS_END,
};
OSDefineMetaClass(BenchUserClient, IOUserClient, bench_client_methods);

/* --- the service --- */

static kern_return_t bench_start(IOService *self, IOService *provider)
{
        kern_return_t code = IOService_Start(self, provider);

        return code == kIOReturnSuccess ? IOService_RegisterService(self) : code;
}

static kern_return_t bench_new_user_client(IOService *self, uint32_t type, IOUserClient **client)
{
        IOService *made;
        kern_return_t code = kIOReturnUnsupported;

        if (type <= kBenchQueue)
                code = IOService_Create(self, self, "UserClientProperties", &made);
        if (code == kIOReturnSuccess) {
                ((BenchUserClient *)made)->type = type;         /* it is started when we have returned */
                *client = (IOUserClient *)made;
        }
        return code;
}

static const struct amb_method bench_methods[] = {
        AMB_OVERRIDE(IOService, Start, bench_start),
        AMB_OVERRIDE(IOService, NewUserClient, bench_new_user_client),
        AMB_METHODS_END,
};
OSDefineMetaClass(bench, IOService, bench_methods);
