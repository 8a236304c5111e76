#include <os/log.h>

#include <DriverKit/IOLib.h>
#include <DriverKit/IOUserClient.h>

#include "NAME.h"

kern_return_t
IMPL(NAME, Start)
{
        kern_return_t ret = Start(provider, SUPERDISPATCH);

        if (ret != kIOReturnSuccess) {
                os_log(OS_LOG_DEFAULT, "NAME: the base class does not start: 0x%08x", ret);
                return ret;
        }
        // From here on applications can find it.
        return RegisterService();
}

kern_return_t
IMPL(NAME, NewUserClient)
{
        IOService * client = nullptr;
        // Makes an object of the class that UserClientProperties in Info.plist names, and starts it with us as its provider.
        kern_return_t ret = Create(this, "UserClientProperties", &client);

        if (ret != kIOReturnSuccess) {
                os_log(OS_LOG_DEFAULT, "NAME: no user client: 0x%08x", ret);
                return ret;
        }
        *userClient = OSDynamicCast(IOUserClient, client);
        if (!*userClient) {
                client->release();
                return kIOReturnError;
        }
        return kIOReturnSuccess;
}
