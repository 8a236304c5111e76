/* The service. */
#include <os/log.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOUserServer.h>
#include <DriverKit/IOUserClient.h>

#include "Thermostat.h"

bool Thermostat::init()
{
    if (!super::init())
        return false;
    ivars = IONewZero(Thermostat_IVars, 1);
    if (ivars == nullptr)
        return false;
    ivars->setting = ThermostatSetting();
    ivars->unit = kUnitCelsius;
    return true;
}

void Thermostat::free()
{
    if (ivars) {
        for (uint32_t i = 0; i < ivars->zone.count; i++)
            OSSafeReleaseNULL(ivars->zone.probes[i]);
    }
    IOSafeDeleteNULL(ivars, Thermostat_IVars, 1);
    super::free();
}

kern_return_t IMPL(Thermostat, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess) {
        os_log_error(OS_LOG_DEFAULT, "[thermostat] super refuses: 0x%x", ret);
        return ret;
    }
    uint32_t index = 0;
    ret = AddProbe(ThermostatProbe::kInside, &index);
    if (ret != kIOReturnSuccess || index != 0)
        return kIOReturnNoMemory;
    ret = AddProbe(ThermostatProbe::kOutside, &index);
    if (ret != kIOReturnSuccess || index != 1)
        return kIOReturnNoMemory;
    os_log(OS_LOG_DEFAULT, "[thermostat] %{public}s with %u probes", "starts", probeCount());
    return RegisterService();
}

kern_return_t IMPL(Thermostat, NewUserClient)
{
    IOService *client = nullptr;
    kern_return_t ret = Create(this, "UserClientProperties", &client);
    if (ret != kIOReturnSuccess)
        return ret;
    *userClient = OSDynamicCast(IOUserClient, client);
    if (!*userClient) {
        client->release();
        return kIOReturnError;
    }
    return kIOReturnSuccess;
}

kern_return_t Thermostat::Apply_Impl(ThermostatSetting setting, uint32_t *revision)
{
    if (setting.mode != kModeOff && setting.mode != kModeHeat && setting.mode != kModeCool)
        return kIOReturnBadArgument;
    if (ivars->setting.locked)
        return kIOReturnNotPermitted;
    setting.target = THERMOSTAT_CLAMP(setting.target, kAbsoluteZero, 10000);
    ivars->setting = setting;
    *revision = ++ivars->revision;
    return kIOReturnSuccess;
}

kern_return_t IMPL(Thermostat, AddProbe)
{
    ThermostatZone &zone = ivars->zone;
    if (zone.count == kProbeMax)
        return kIOReturnNoSpace;
    ThermostatProbe *probe = ThermostatProbe::withKind(kind);
    if (!probe)
        return kIOReturnBadArgument;
    zone.probes[zone.count] = probe;
    *index = zone.count++;
    return kIOReturnSuccess;
}

ThermostatProbe *Thermostat::probeAt(uint32_t index)
{
    return index < ivars->zone.count ? ivars->zone.probes[index] : nullptr;
}

ThermostatSetting Thermostat::setting() const
{
    return ivars->setting;
}

uint32_t Thermostat::probeCount() const
{
    return ivars->zone.count;
}
