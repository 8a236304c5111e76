// SPDX-License-Identifier: Apache-2.0
#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>

#include <LampDriver/LampUserClient.h>      // by the target's name
#include <Lamp.h>
#include "LampProtocol.h"                   // in another folder of the project

struct LampUserClient_IVars {
    Lamp *lamp;
};

static const IOUserClientMethodDispatch methods[kLampMethods] = {
    [kLampSwitch] = { .function = LampUserClient::StaticSwitch, .checkScalarInputCount = 1, .checkScalarOutputCount = 1 },
};

bool LampUserClient::init()
{
    return super::init() && (ivars = IONewZero(LampUserClient_IVars, 1)) != nullptr;
}

void LampUserClient::free()
{
    IOSafeDeleteNULL(ivars, LampUserClient_IVars, 1);
    super::free();
}

kern_return_t IMPL(LampUserClient, Start)
{
    ivars->lamp = OSDynamicCast(Lamp, provider);
    return ivars->lamp ? Start(provider, SUPERDISPATCH) : kIOReturnBadArgument;
}

kern_return_t LampUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
                                             const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
    return selector < kLampMethods ? super::ExternalMethod(selector, arguments, &methods[selector], this, nullptr)
                                   : kIOReturnUnsupported;
}

kern_return_t LampUserClient::StaticSwitch(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
    LampUserClient *self = OSDynamicCast(LampUserClient, target);
    arguments->scalarOutput[0] = self->ivars->lamp->Switch(arguments->scalarInput[0]);
    return kIOReturnSuccess;
}
