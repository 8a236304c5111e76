/* SPDX-License-Identifier: Apache-2.0 */
#include <DriverKit/IOUserClient.h>
#include <os/log.h>

#include "GamepadClient.h"
#include "GamepadRoot.h"

kern_return_t GamepadRoot::Start_Impl(IOService* provider)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess) return ret;
    return RegisterService();
}

kern_return_t GamepadRoot::NewUserClient_Impl(uint32_t type, IOUserClient** userClient)
{
    IOService* client = nullptr;

    kern_return_t ret = Create(this, "UserClientProperties", &client);
    if (ret != kIOReturnSuccess) {
        os_log(OS_LOG_DEFAULT, "GamepadRoot - no user client: 0x%08x\n", ret);
        return ret;
    }
    if (type != 0) OSRequiredCast(GamepadClient, client)->beginWithPad(type == 2);
    *userClient = OSRequiredCast(IOUserClient, client);
    return kIOReturnSuccess;
}
