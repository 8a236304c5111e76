/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver for the fuzzer's own test: a store of numbers that is to be unlocked first, answers by completions, and shows its
 * memory. With -DPLANTED the check of an index is wrong by one, behind the lock.
 */
#include <stdlib.h>
#include <string.h>

#include <DriverKit/DriverKit.h>

enum { UNLOCK, STORE, SUM, LATER, SELECTORS };
enum { PLACES = 16, MEMORY = 4096 };

struct record {
        uint64_t index;
        uint64_t value;
};

typedef struct Store { IOService service; } Store;
typedef struct StoreUserClient {
        IOUserClient client;
        IOBufferMemoryDescriptor *memory;
        uint64_t *places;
        bool unlocked;
} StoreUserClient;

static kern_return_t unlock(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        StoreUserClient *self = (StoreUserClient *)target;

        self->unlocked = arguments->scalarInput[0] == 3;
        return self->unlocked ? kIOReturnSuccess : kIOReturnNotPermitted;
}

static kern_return_t store(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        StoreUserClient *self = (StoreUserClient *)target;
        const struct record *record = OSDataGetBytesPtr(arguments->structureInput, 0, sizeof(*record));

        if (!self->unlocked)
                return kIOReturnNotReady;
#ifdef PLANTED
        if (record->index > PLACES)
                return kIOReturnBadArgument;
#else
        if (record->index >= PLACES)
                return kIOReturnBadArgument;
#endif
        self->places[record->index] = record->value;
        return kIOReturnSuccess;
}

/* Of the bytes that come in, inline or, above 4096, as a descriptor. */
static kern_return_t sum(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        IOMemoryMap *map = NULL;
        const uint8_t *bytes = NULL;
        size_t length = 0;

        if (arguments->structureInput) {
                length = OSDataGetLength(arguments->structureInput);
                bytes = OSDataGetBytesPtr(arguments->structureInput, 0, length);
        } else if (arguments->structureInputDescriptor) {
                kern_return_t code = IOMemoryDescriptor_CreateMapping(arguments->structureInputDescriptor, 0, 0, 0, 0, 0, &map);
                if (code != kIOReturnSuccess)
                        return code;
                length = IOMemoryMap_GetLength(map);
                bytes = (const uint8_t *)(uintptr_t)IOMemoryMap_GetAddress(map);
        }
        arguments->scalarOutput[0] = 0;
        for (size_t i = 0; i < length; i++)
                arguments->scalarOutput[0] += bytes[i];
        OSObjectRelease(map);
        return kIOReturnSuccess;
}

struct later {
        IOUserClient *client;
        OSAction *completion;
        uint64_t value;
};

static void complete(void *context)
{
        struct later *later = context;

        IOUserClient_AsyncCompletion(later->client, later->completion, kIOReturnSuccess, &later->value, 1);
        OSObjectRelease(later->completion);
        OSObjectRelease(later->client);
        free(later);
}

static kern_return_t later(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        struct later *later = malloc(sizeof(*later));
        IODispatchQueue *queue = NULL;
        kern_return_t code = IOService_CopyDispatchQueue((IOService *)target, kIOServiceDefaultQueueName, &queue);

        if (code != kIOReturnSuccess) {
                free(later);
                return code;
        }
        *later = (struct later){ (IOUserClient *)target, arguments->completion, arguments->scalarInput[0] };
        OSObjectRetain(later->client);
        OSObjectRetain(later->completion);
        IODispatchQueue_DispatchAsync_f(queue, later, complete);
        OSObjectRelease(queue);
        return kIOReturnSuccess;
}

static const IOUserClientMethodDispatch methods[SELECTORS] = {
        [UNLOCK] = { unlock, 0, 1, 0, 0, 0 },
        [STORE] = { store, 0, 0, sizeof(struct record), 0, 0 },
        [SUM] = { sum, 0, 0, kIOUserClientVariableStructureSize, 1, 0 },
        [LATER] = { later, 1, 1, 0, 0, 0 },
};

static kern_return_t external_method(IOUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
                                     const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        if (selector >= SELECTORS)
                return kIOReturnBadArgument;
        return IOUserClient_ExternalMethod(self, selector, arguments, &methods[selector], (OSObject *)self, NULL);
}

static kern_return_t memory_for_type(IOUserClient *client, uint64_t type, uint64_t *options, IOMemoryDescriptor **memory)
{
        StoreUserClient *self = (StoreUserClient *)client;

        if (type > 1)
                return kIOReturnBadArgument;
        *options = type ? kIOUserClientMemoryReadOnly : 0;
        OSObjectRetain(self->memory);
        *memory = (IOMemoryDescriptor *)self->memory;
        return kIOReturnSuccess;
}

static bool client_init(OSObject *self)
{
        StoreUserClient *client = (StoreUserClient *)self;

        if (!IOUserClient_init(self))
                return false;
        client->places = calloc(PLACES, sizeof(*client->places));
        return client->places &&
               IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, MEMORY, 0, &client->memory) == kIOReturnSuccess;
}

static void client_free(OSObject *self)
{
        free(((StoreUserClient *)self)->places);
        OSObjectRelease(((StoreUserClient *)self)->memory);
        IOUserClient_free(self);
}

static const struct amb_method client_methods[] = { AMB_OVERRIDE(OSObject, init, client_init),
                                                    AMB_OVERRIDE(OSObject, free, client_free),
                                                    AMB_OVERRIDE(IOUserClient, ExternalMethod, external_method),
                                                    AMB_OVERRIDE(IOUserClient, CopyClientMemoryForType, memory_for_type),
                                                    AMB_METHODS_END };
OSDefineMetaClass(StoreUserClient, IOUserClient, client_methods);

static kern_return_t start(IOService *self, IOService *provider)
{
        kern_return_t code = IOService_Start(self, provider);

        return code == kIOReturnSuccess ? IOService_RegisterService(self) : code;
}

static kern_return_t new_user_client(IOService *self, uint32_t type, IOUserClient **client)
{
        return IOService_Create(self, self, "UserClientProperties", (IOService **)client);
}
static const struct amb_method service_methods[] = { AMB_OVERRIDE(IOService, Start, start),
                                                     AMB_OVERRIDE(IOService, NewUserClient, new_user_client), AMB_METHODS_END };
OSDefineMetaClass(Store, IOService, service_methods);
