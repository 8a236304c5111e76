#include <os/log.h>

#include <DriverKit/IOLib.h>
#include <DriverKit/IOUserClient.h>
#include <DriverKit/IOUserServer.h>
#include <DriverKit/OSAction.h>

#include "Courier.h"
#include "CourierShared.h"

struct Courier_IVars {
    IOLock * lock;
    OSAction * left[kCourierSlots];
};

bool
Courier::init()
{
    if (!super::init())
        return false;

    ivars = IONewZero(Courier_IVars, 1);
    if (!ivars)
        return false;

    ivars->lock = IOLockAlloc();
    return ivars->lock != NULL;
}

void
Courier::free()
{
    if (ivars) {
        for (int i = 0; i < kCourierSlots; i++)
            OSSafeReleaseNULL(ivars->left[i]);
        if (ivars->lock) {
            IOLockFreeZero(ivars->lock);
        }
        IOSafeDeleteNULL(ivars, Courier_IVars, 1);
    }
    super::free();
}

kern_return_t
Courier::Start_Impl(IOService * provider)
{
    kern_return_t ret;

    ret = super::Start(provider, SUPERDISPATCH);
    if (ret == kIOReturnSuccess)
        ret = RegisterService();
    return ret;
}

kern_return_t
Courier::Stop_Impl(IOService * provider)
{
    for (uint32_t i = 0; i < kCourierSlots; i++) {
        OSAction * action = collect(i);
        OSSafeReleaseNULL(action);
    }
    return super::Stop(provider, SUPERDISPATCH);
}

kern_return_t
Courier::NewUserClient_Impl(uint32_t type, IOUserClient ** userClient)
{
    IOService * service = NULL;
    kern_return_t ret;

    ret = Create(this /* provider */, "UserClientProperties", &service);
    if (ret != kIOReturnSuccess) {
        os_log(OS_LOG_DEFAULT, "courier: no user client of type %u: 0x%08x", type, ret);
        return ret;
    }
    *userClient = (IOUserClient *)service;
    return kIOReturnSuccess;
}

kern_return_t
Courier::leave(uint32_t slot, OSAction * action)
{
    kern_return_t ret = kIOReturnSuccess;

    if (slot >= kCourierSlots)
        return kIOReturnBadArgument;
    IOLockLock(ivars->lock);
    if (ivars->left[slot]) {
        ret = kIOReturnExclusiveAccess;
    } else {
        action->retain();
        ivars->left[slot] = action;
    }
    IOLockUnlock(ivars->lock);
    return ret;
}

OSAction *
Courier::collect(uint32_t slot)
{
    OSAction * action = NULL;

    if (slot >= kCourierSlots)
        return NULL;
    IOLockLock(ivars->lock);
    action = ivars->left[slot];
    ivars->left[slot] = NULL;
    IOLockUnlock(ivars->lock);
    return action;
}
