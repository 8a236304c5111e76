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
        IOBufferMemoryDescriptor *memory;       /* default queue; made when first asked for */
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

/* Where the bytes of a descriptor are. The mapping is the caller's to release. */
static kern_return_t bench_map(IOMemoryDescriptor *descriptor, IOMemoryMap **map, uint64_t **words, size_t *count)
{
        kern_return_t code = IOMemoryDescriptor_CreateMapping(descriptor, 0, 0, 0, 0, 0, map);

        if (code == kIOReturnSuccess) {
                *words = (uint64_t *)(uintptr_t)IOMemoryMap_GetAddress(*map);
                *count = IOMemoryMap_GetLength(*map) / sizeof(**words);
        }
        return code;
}

static kern_return_t bench_take(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        IOMemoryMap *map = NULL;
        uint64_t *words = NULL, sum = 0;
        size_t count = 0;
        kern_return_t code = kIOReturnSuccess;

        if (arguments->structureInput) {
                count = OSDataGetLength(arguments->structureInput) / sizeof(*words);
                words = (uint64_t *)OSDataGetBytesPtr(arguments->structureInput, 0, count * sizeof(*words));
        } else if (arguments->structureInputDescriptor) {
                code = bench_map(arguments->structureInputDescriptor, &map, &words, &count);
        }
        for (size_t i = 0; i < count; i++)
                sum += words[i];
        arguments->scalarOutput[0] = sum;
        OSObject_release(map);
        return code;
}

static kern_return_t bench_give_inline(IOUserClientMethodArguments *arguments)
{
        uint64_t words[kBenchPage / sizeof(uint64_t)];
        size_t count = arguments->structureOutputMaximumSize / sizeof(*words);

        if (count > sizeof(words) / sizeof(*words))
                return kIOReturnBadArgument;
        for (size_t i = 0; i < count; i++)
                words[i] = arguments->scalarInput[0];
        arguments->structureOutput = OSDataCreate(words, count * sizeof(*words));
        return arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

static kern_return_t bench_give(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        IOMemoryMap *map;
        uint64_t *words;
        size_t count;

        if (!arguments->structureOutputDescriptor)
                return bench_give_inline(arguments);
        kern_return_t code = bench_map(arguments->structureOutputDescriptor, &map, &words, &count);
        if (code != kIOReturnSuccess)
                return code;
        for (size_t i = 0; i < count; i++)
                words[i] = arguments->scalarInput[0];
        OSObject_release(map);
        return kIOReturnSuccess;
}

static const IOUserClientMethodDispatch bench_table[kBenchSelectors] = {
        /* function, completion?, scalars in, bytes in, scalars out, bytes out */
        [kBenchScalar] = { bench_scalar, 0, 2, 0, 2, 0 },
        [kBenchStruct] = { bench_struct, 0, 0, kBenchPage, 0, kBenchPage },
        [kBenchMade] = { bench_made, 0, 0, kBenchPage, 0, kBenchPage },
        [kBenchStream] = { bench_stream, 1, 1, 0, 0, 0 },
        [kBenchTake] = { bench_take, 0, 0, kIOUserClientVariableStructureSize, 1, 0 },
        [kBenchGive] = { bench_give, 0, 1, 0, 0, kIOUserClientVariableStructureSize },
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
        OSSafeReleaseNULL(((BenchUserClient *)object)->memory);
        IOUserClient_free(object);
}

static kern_return_t bench_client_memory(IOUserClient *client, uint64_t type, uint64_t *options, IOMemoryDescriptor **memory)
{
        BenchUserClient *self = (BenchUserClient *)client;
        kern_return_t code = kIOReturnSuccess;

        if (type != kBenchMemory)
                return kIOReturnUnsupported;
        if (!self->memory)
                code = IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, kBenchPage, 0, &self->memory);
        if (code != kIOReturnSuccess)
                return code;
        OSObject_retain(self->memory);
        *memory = &self->memory->descriptor;
        return kIOReturnSuccess;
}

static const struct amb_method bench_client_methods[] = {
        AMB_OVERRIDE(OSObject, free, bench_client_free),
        AMB_OVERRIDE(IOService, Start, bench_client_start),
        AMB_OVERRIDE(IOUserClient, ExternalMethod, bench_external_method),
        AMB_OVERRIDE(IOUserClient, CopyClientMemoryForType, bench_client_memory),
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

/* The same under another name, which a process of its own serves. */
typedef struct alone {
        IOService service;
} alone;
OSDefineMetaClass(alone, IOService, bench_methods);
