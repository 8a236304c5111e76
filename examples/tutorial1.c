/* SPDX-License-Identifier: Apache-2.0 */
/* Tutorial 1: a driver. It adds two numbers for any app that opens it. tutorial1.plist says when it is started. */
#include <DriverKit/DriverKit.h>

struct Adder { IOService service; };                    /* one, started by the registry */
struct AdderUserClient { IOUserClient client; };        /* one per app that has opened it */

static kern_return_t add(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        arguments->scalarOutput[0] = arguments->scalarInput[0] + arguments->scalarInput[1];
        return kIOReturnSuccess;
}

/* function, completion?, scalars in, struct in, scalars out, struct out: checked before the function runs */
static const IOUserClientMethodDispatch methods[] = { { add, 0, 2, 0, 1, 0 } };

static kern_return_t external_method(IOUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
                                     const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        if (selector < 1)
                dispatch = &methods[selector];
        return IOUserClient_ExternalMethod(self, selector, arguments, dispatch, (OSObject *)self, NULL);
}
static const struct amb_method client_methods[] = { AMB_OVERRIDE(IOUserClient, ExternalMethod, external_method),
                                                    AMB_METHODS_END };
OSDefineMetaClass(AdderUserClient, IOUserClient, client_methods);

static kern_return_t start(IOService *self, IOService *provider)
{
        IOService_Start(self, provider);
        return IOService_RegisterService(self);         /* from here on apps can find it */
}

static kern_return_t new_user_client(IOService *self, uint32_t type, IOUserClient **client)
{
        return IOService_Create(self, self, "UserClientProperties", (IOService **)client);
}
static const struct amb_method service_methods[] = { AMB_OVERRIDE(IOService, Start, start),
                                                     AMB_OVERRIDE(IOService, NewUserClient, new_user_client), AMB_METHODS_END };
OSDefineMetaClass(Adder, IOService, service_methods);
