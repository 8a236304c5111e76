/* An app's connection. */
#include <os/log.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/OSData.h>
#include <DriverKit/IOUserClient.h>

#include "Thermostat.h"

bool ThermostatUserClient::init()
{
    if (!super::init())
        return false;
    ivars = IONewZero(ThermostatUserClient_IVars, 1);
    return ivars != nullptr;
}

void ThermostatUserClient::free()
{
    IOSafeDeleteNULL(ivars, ThermostatUserClient_IVars, 1);
    super::free();
}

kern_return_t IMPL(ThermostatUserClient, Start)
{
    kern_return_t ret = super::Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess)
        return ret;
    // Of the three classes of the file only one may be here.
    if (OSDynamicCast(ThermostatProbe, provider) || OSDynamicCast(ThermostatUserClient, provider))
        return kIOReturnInternalError;
    ivars->thermostat = OSDynamicCast(Thermostat, provider);
    return ivars->thermostat ? kIOReturnSuccess : kIOReturnBadArgument;
}

kern_return_t IMPL(ThermostatUserClient, Stop)
{
    ivars->thermostat = nullptr;
    return super::Stop(provider, SUPERDISPATCH);
}

kern_return_t ThermostatUserClient::sSet(OSObject *target, void *, IOUserClientMethodArguments *arguments)
{
    ThermostatUserClient *self = OSDynamicCast(ThermostatUserClient, target);
    ThermostatSetting setting;
    uint32_t revision = 0;

    // What the app does not say stays as the structure begins.
    if (setting.target != 2000 || setting.mode != kModeOff || setting.steps[2] != 3 || setting.steps[3] != 0)
        return kIOReturnInternalError;
    setting.target = (int32_t)arguments->scalarInput[0];
    setting.mode = (ThermostatMode)arguments->scalarInput[1];
    kern_return_t ret = self->ivars->thermostat->Apply(setting, &revision);
    if (ret == kIOReturnSuccess)
        arguments->scalarOutput[0] = revision;
    return ret;
}

kern_return_t ThermostatUserClient::sRead(OSObject *target, void *, IOUserClientMethodArguments *arguments)
{
    ThermostatUserClient *self = OSDynamicCast(ThermostatUserClient, target);
    ThermostatProbe *probe = self->ivars->thermostat->probeAt((uint32_t)arguments->scalarInput[0]);
    if (!probe)
        return kIOReturnNotFound;
    arguments->scalarOutput[0] = (uint64_t)(int64_t)probe->sample(arguments->scalarInput[1]);
    arguments->scalarOutput[1] = (uint64_t)(int64_t)probe->mean();
    return kIOReturnSuccess;
}

kern_return_t ThermostatUserClient::sExchange(OSObject *target, void *, IOUserClientMethodArguments *arguments)
{
    ThermostatUserClient_IVars *ivars = OSDynamicCast(ThermostatUserClient, target)->ivars;
    const ThermostatPlan *plan = reinterpret_cast<const ThermostatPlan *>(arguments->structureInput->getBytesNoCopy());

    if (plan->steps > kThermostatPlanSteps || (plan->flags & ~(kFlagLocked | kFlagHoliday)))
        return kIOReturnBadArgument;
    arguments->structureOutput = OSData::withBytes(&ivars->plan, sizeof(ivars->plan));
    if (!arguments->structureOutput)
        return kIOReturnNoMemory;
    ivars->plan = *plan;
    return kIOReturnSuccess;
}

kern_return_t ThermostatUserClient::sCount(OSObject *target, void *, IOUserClientMethodArguments *arguments)
{
    Thermostat *thermostat = OSDynamicCast(ThermostatUserClient, target)->ivars->thermostat;
    arguments->scalarOutput[0] = thermostat->probeCount();
    arguments->scalarOutput[1] = ThermostatProbe::living();
    arguments->scalarOutput[2] = thermostat->setting().mode;
    arguments->scalarOutput[3] = thermostat->ivars->unit;
    return kIOReturnSuccess;
}

kern_return_t ThermostatUserClient::sAddProbe(OSObject *target, void *, IOUserClientMethodArguments *arguments)
{
    uint32_t index = 99;
    kern_return_t ret = OSDynamicCast(ThermostatUserClient, target)
                            ->ivars->thermostat->AddProbe((uint32_t)arguments->scalarInput[0], &index);
    if (ret != kIOReturnSuccess && index != 99)
        return kIOReturnInternalError;      // it failed: the variable stays
    arguments->scalarOutput[0] = index;
    return ret;
}

kern_return_t ThermostatUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
                                                   const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
    static const IOUserClientMethodDispatch methods[kThermostatSelectors] = {
        { sSet, false, 2, 0, 1, 0 },
        { sRead, false, 2, 0, 2, 0 },
        { sExchange, false, 0, sizeof(ThermostatPlan), 0, sizeof(ThermostatPlan) },
        { sCount, false, 0, 0, 4, 0 },
        { sAddProbe, false, 1, 0, 1, 0 },
    };
    if (selector >= kThermostatSelectors)
        return super::ExternalMethod(selector, arguments, nullptr, nullptr, nullptr);
    return super::ExternalMethod(selector, arguments, &methods[selector], this, reference);
}
