// SPDX-License-Identifier: Apache-2.0
#include <os/log.h>

#include <DriverKit/IOLib.h>
#include <DriverKit/IOUserClient.h>
#include <DriverKit/IOUserServer.h>

#include "Lamp.h"
#include "LampBulb.hpp"

#if !LAMP_FEATURES || !defined(LAMP_NAME) || !LAMP_FROM_FILE || defined(LAMP_MAC)
#error The project's macros have not arrived
#endif

struct Lamp_IVars {
    LampBulb bulb;
};

bool Lamp::init()
{
    if (!super::init())
        return false;
    ivars = IONewZero(Lamp_IVars, 1);
    return ivars != nullptr;
}

void Lamp::free()
{
    IOSafeDeleteNULL(ivars, Lamp_IVars, 1);
    super::free();
}

kern_return_t IMPL(Lamp, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess)
        return ret;
    uint64_t features = LAMP_FEATURES;
    os_log(OS_LOG_DEFAULT, "%{public}s has %llu features", LAMP_NAME, features);
    return RegisterService();
}

kern_return_t IMPL(Lamp, NewUserClient)
{
    IOService *client = nullptr;
    kern_return_t ret = Create(this, "UserClientProperties", &client);
    if (ret == kIOReturnSuccess)
        *userClient = OSDynamicCast(IOUserClient, client);
    return ret;
}

uint64_t Lamp::Switch(uint64_t on)
{
    return ivars->bulb.set(on != 0) * LAMP_FEATURES;
}
