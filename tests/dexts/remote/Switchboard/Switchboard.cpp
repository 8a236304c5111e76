/*
    Switchboard.cpp
*/

#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOUserClient.h>

#include "Switchboard.h"
#include "SwitchboardUserClient.h"

#define DEBUG_LOG(x...) os_log(OS_LOG_DEFAULT, "Switchboard: " x)

struct Switchboard_IVars
{
    Trunk           *trunk;
    OSAction        *rang;
    uint32_t        loaded;
    _Atomic uint64_t heard;
};

bool Switchboard::init()
{
    bool ok = super::init();
    if (ok)
    {
        ivars = IONewZero(Switchboard_IVars, 1);
        ok = ivars != NULL;
    }
    return ok;
}

void Switchboard::free()
{
    if (ivars)
    {
        OSSafeReleaseNULL(ivars->rang);
        OSSafeReleaseNULL(ivars->trunk);
        IOSafeDeleteNULL(ivars, Switchboard_IVars, 1);
    }
    super::free();
}

kern_return_t IMPL(Switchboard, Start)
{
    kern_return_t   ret;
    IOService       *service = NULL;

    ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess)
        return ret;

    loadLines();
    if (ivars->loaded != 3)
    {
        DEBUG_LOG("loadLines has no effect");
        return kIOReturnInternalError;
    }

    ret = Create(this, "TrunkProperties", &service);
    if (ret != kIOReturnSuccess)
    {
        DEBUG_LOG("no trunk: 0x%08x", ret);
        return ret;
    }
    ivars->trunk = OSDynamicCast(Trunk, service);
    if (!ivars->trunk)
    {
        OSSafeReleaseNULL(service);
        return kIOReturnInternalError;
    }

    ret = CreateActionTrunkRang(0, &ivars->rang);
    if (ret != kIOReturnSuccess)
        return ret;
    ret = ivars->trunk->Subscribe(ivars->rang);
    if (ret != kIOReturnSuccess)
        return ret;

    return RegisterService();
}

kern_return_t IMPL(Switchboard, Stop)
{
    DEBUG_LOG("%llu calls", (unsigned long long)ivars->heard);
    OSSafeReleaseNULL(ivars->rang);
    return Stop(provider, SUPERDISPATCH);
}

void Switchboard::loadLines_Impl(void)
{
    ivars->loaded = 3;
}

kern_return_t IMPL(Switchboard, NewUserClient)
{
    IOService *client = NULL;
    kern_return_t ret = Create(this, "UserClientProperties", &client);

    if (ret == kIOReturnSuccess)
        *userClient = OSDynamicCast(SwitchboardUserClient, client);
    return ret;
}

kern_return_t IMPL(Switchboard, CopyTrunk)
{
    if (!ivars->trunk)
        return kIOReturnNotReady;
    ivars->trunk->retain();
    *trunk = ivars->trunk;
    return kIOReturnSuccess;
}

void IMPL(Switchboard, TrunkRang)
{
    if (action == ivars->rang && number.length == line + 1)
        ivars->heard++;
}

uint64_t Switchboard::heard()
{
    return ivars->heard;
}
