/* A probe: an object of the driver's own, neither matched nor started. It reads what the time says. */
#include <DriverKit/IOLib.h>

#include "Thermostat.h"

static _Atomic uint32_t gLiving = 0;

bool ThermostatProbe::init()
{
    if (!super::init())
        return false;
    ivars = IONewZero(ThermostatProbe_IVars, 1);
    if (!ivars)
        return false;
    gLiving++;
    return true;
}

bool ThermostatProbe::init(uint32_t kind)
{
    if (!init())
        return false;
    ivars->kind = kind;
    return kind == kInside || kind == kOutside;
}

void ThermostatProbe::free()
{
    if (ivars)
        gLiving--;
    IOSafeDeleteNULL(ivars, ThermostatProbe_IVars, 1);
    super::free();
}

ThermostatProbe *ThermostatProbe::withKind(uint32_t kind)
{
    ThermostatProbe *probe = OSTypeAlloc(ThermostatProbe);
    if (probe && !probe->init(kind))
        OSSafeReleaseNULL(probe);
    return probe;
}

uint32_t ThermostatProbe::living()
{
    return gLiving;
}

int32_t ThermostatProbe::sample(uint64_t time)
{
    int32_t value = (int32_t)(time % 1000) + (ivars->kind == kInside ? 2000 : -500);
    ivars->history[ivars->at++ % kHistoryLength] = value;
    return value;
}

int32_t ThermostatProbe::mean() const
{
    const uint32_t count = THERMOSTAT_CLAMP(ivars->at, 1u, (uint32_t)kHistoryLength);
    int64_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += ivars->history[i];
    return (int32_t)(sum / (int64_t)count);
}
