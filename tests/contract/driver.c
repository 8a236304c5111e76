/* SPDX-License-Identifier: Apache-2.0 */
/* The contract driver: a service and a user client that do what the rows say. See contract.h. */
#include "contract.h"

static struct contract_hook *hooks;

void contract_hook_add(struct contract_hook *hook)
{
        hook->next = hooks;
        hooks = hook;
}

static struct contract_hook *hook_find(int kind, uint64_t number)
{
        for (struct contract_hook *hook = hooks; hook; hook = hook->next)
                if ((int)hook->kind == kind && hook->number == number)
                        return hook;
        return NULL;
}

/* Counts the call; NULL: the rows say nothing about it. */
static struct contract_hook *hook_call(int kind, uint64_t number)
{
        struct contract_hook *hook = hook_find(kind, number);
        if (hook)
                __atomic_fetch_add(&hook->calls, 1, __ATOMIC_SEQ_CST);
        return hook;
}

static kern_return_t calls(IOUserClientMethodArguments *arguments)
{
        if (arguments->scalarInputCount != 2 || arguments->scalarOutputCount != 1)
                return kIOReturnBadArgument;
        struct contract_hook *hook = hook_find((int)arguments->scalarInput[0], arguments->scalarInput[1]);
        if (!hook)
                return kIOReturnNotFound;
        arguments->scalarOutput[0] = __atomic_load_n(&hook->calls, __ATOMIC_SEQ_CST);
        return kIOReturnSuccess;
}

/* --- user client --- */

static kern_return_t client_external_method(IOUserClient *client, uint64_t selector, IOUserClientMethodArguments *arguments,
                                            const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        struct ContractUserClient *self = (struct ContractUserClient *)client;
        if (selector == kContractCalls)
                return calls(arguments);
        struct contract_hook *hook = hook_call(CONTRACT_METHOD, selector);
        return hook ? hook->method(self, selector, arguments, dispatch, target, reference) : kIOReturnUnsupported;
}

static kern_return_t client_start(IOService *service, IOService *provider)
{
        struct ContractUserClient *self = (struct ContractUserClient *)service;
        kern_return_t code = IOService_Start(service, provider);
        struct contract_hook *hook = code ? NULL : hook_call(CONTRACT_START, self->type);
        return hook ? hook->life(self, provider) : code;
}

static kern_return_t client_stop(IOService *service, IOService *provider)
{
        struct ContractUserClient *self = (struct ContractUserClient *)service;
        struct contract_hook *hook = hook_call(CONTRACT_STOP, self->type);
        return hook ? hook->life(self, provider) : IOService_Stop(service, provider);
}

static kern_return_t client_memory(IOUserClient *client, uint64_t type, uint64_t *options, IOMemoryDescriptor **memory)
{
        struct contract_hook *hook = hook_call(CONTRACT_MEMORY, type);
        return hook ? hook->memory((struct ContractUserClient *)client, options, memory) : kIOReturnUnsupported;
}

static void client_free(OSObject *object)
{
        struct ContractUserClient *self = (struct ContractUserClient *)object;
        struct contract_hook *hook = hook_call(CONTRACT_FREE, self->type);
        if (hook)
                hook->life(self, NULL);
        OSSafeReleaseNULL(self->mine);
        IOUserClient_free(object);
}

static const struct amb_method client_methods[] = {
        AMB_OVERRIDE(OSObject, free, client_free),
        AMB_OVERRIDE(IOService, Start, client_start),
        AMB_OVERRIDE(IOService, Stop, client_stop),
        AMB_OVERRIDE(IOUserClient, ExternalMethod, client_external_method),
        AMB_OVERRIDE(IOUserClient, CopyClientMemoryForType, client_memory),
        AMB_METHODS_END,
};
OSDefineMetaClass(ContractUserClient, IOUserClient, client_methods);

/* --- service --- */

struct ContractService {
        IOService service;
};

kern_return_t contract_new_client(IOService *self, uint32_t type, IOUserClient **client)
{
        IOService *made;
        kern_return_t code = IOService_Create(self, self, "UserClientProperties", &made);
        if (code != kIOReturnSuccess)
                return code;
        ((struct ContractUserClient *)made)->type = type;
        *client = (IOUserClient *)made;
        return kIOReturnSuccess;
}

static kern_return_t service_new_user_client(IOService *self, uint32_t type, IOUserClient **client)
{
        struct contract_hook *hook = hook_call(CONTRACT_OPEN, type);
        return hook ? hook->open(self, type, client) : contract_new_client(self, type, client);
}

static kern_return_t service_start(IOService *self, IOService *provider)
{
        kern_return_t code = IOService_Start(self, provider);
        if (code == kIOReturnSuccess)
                code = IOService_SetName(self, "contract");
        return code == kIOReturnSuccess ? IOService_RegisterService(self) : code;
}

static kern_return_t service_stop(IOService *self, IOService *provider)
{
        for (struct contract_hook *hook = hooks; hook; hook = hook->next)
                if (hook->kind == CONTRACT_SERVICE_STOP)
                        hook->life(NULL, self);
        return IOService_Stop(self, provider);
}

/* A method on a queue of its own (CONTRACT_SERVICE_QUEUE); nobody calls it. */
#define ContractService_Aside_ID 0x436f6e7472000001ull
static void service_aside(struct ContractService *self)
{
}

static const struct amb_method service_methods[] = {
        AMB_METHOD_ON(CONTRACT_SERVICE_QUEUE, ContractService_Aside_ID, service_aside),
        AMB_OVERRIDE(IOService, Start, service_start),
        AMB_OVERRIDE(IOService, Stop, service_stop),
        AMB_OVERRIDE(IOService, NewUserClient, service_new_user_client),
        AMB_METHODS_END,
};
OSDefineMetaClass(ContractService, IOService, service_methods);
