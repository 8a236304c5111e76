// Keeper.cpp
// SPDX-License-Identifier: Apache-2.0

#include <os/log.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOUserServer.h>

#include "Keeper.h"

#define DEBUG_LOG(message, ...) os_log(OS_LOG_DEFAULT, "Keeper: " message, ##__VA_ARGS__)
#define FailIf(condition, code, label)      \
    do {                                    \
        if (condition) {                    \
            ret = (code);                   \
            goto label;                     \
        }                                   \
    } while (0)

kern_return_t IMPL(Keeper, Start)
{
    kern_return_t ret = kIOReturnSuccess;

    ret = Start(provider, SUPERDISPATCH);
    FailIf(ret != kIOReturnSuccess, ret, Failure);
    ret = SetName("Keeper of things");
    FailIf(ret != kIOReturnSuccess, ret, Failure);
    RegisterService();
    return kIOReturnSuccess;

Failure:
    DEBUG_LOG("Start fails: 0x%{public}08x", ret);
    Stop(provider, SUPERDISPATCH);
    return ret;
}

kern_return_t IMPL(Keeper, Stop)
{
    return Stop(provider, SUPERDISPATCH);
}

kern_return_t Keeper::NewUserClient_Impl(uint32_t in_type, IOUserClient ** out_user_client)
{
    kern_return_t ret = kIOReturnSuccess;
    IOService * user_client_service = nullptr;

    FailIf(in_type != 0, kIOReturnUnsupported, Exit);
    ret = Create(this, "UserClientProperties", &user_client_service);
    FailIf(ret != kIOReturnSuccess, ret, Exit);
    *out_user_client = OSDynamicCast(IOUserClient, user_client_service);
    if (!*out_user_client) {
        OSSafeReleaseNULL(user_client_service);
        ret = kIOReturnNoMemory;
    }
Exit:
    return ret;
}
