//
//  NullDriver.cpp
//

#include <os/log.h>

#include <DriverKit/IOUserServer.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOUserClient.h>

#include "NullDriver.h"

#define Log(fmt, ...) os_log(OS_LOG_DEFAULT, "NullDriver - " fmt "\n", ##__VA_ARGS__)

struct NullDriver_IVars {
    uint64_t opened;
};

bool
NullDriver::init()
{
    bool result = false;

    Log("init()");

    result = super::init();
    if (result != true) {
        Log("init() - super::init failed.");
        goto Exit;
    }

    ivars = IONewZero(NullDriver_IVars, 1);
    if (ivars == nullptr) {
        Log("init() - Failed to allocate memory for ivars.");
        result = false;
        goto Exit;
    }

Exit:
    return result;
}

kern_return_t
IMPL(NullDriver, Start)
{
    kern_return_t ret = kIOReturnSuccess;

    Log("Start()");

    ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess) {
        Log("Start() - super::Start failed with error: 0x%08x.", ret);
        return ret;
    }

    ret = RegisterService();
    if (ret != kIOReturnSuccess) {
        Log("Start() - Failed to register service with error: 0x%08x.", ret);
    }
    return ret;
}

kern_return_t
IMPL(NullDriver, Stop)
{
    Log("Stop() after %llu clients", ivars->opened);
    return Stop(provider, SUPERDISPATCH);
}

void
NullDriver::free(void)
{
    Log("free()");

    IOSafeDeleteNULL(ivars, NullDriver_IVars, 1);

    super::free();
}

kern_return_t
IMPL(NullDriver, NewUserClient)
{
    kern_return_t ret = kIOReturnSuccess;
    IOService * client = nullptr;

    Log("NewUserClient()");

    if (type != 0) {
        return kIOReturnUnsupported;
    }

    ret = Create(this, "UserClientProperties", &client);
    if (ret != kIOReturnSuccess) {
        Log("NewUserClient() - Failed to create UserClientProperties with error: 0x%08x.", ret);
        goto Exit;
    }

    *userClient = OSDynamicCast(IOUserClient, client);
    if (*userClient == NULL) {
        Log("NewUserClient() - Failed to cast new client.");
        client->release();
        ret = kIOReturnError;
        goto Exit;
    }
    ivars->opened++;

Exit:
    return ret;
}
