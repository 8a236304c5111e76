/* SPDX-License-Identifier: Apache-2.0 */
/* As found: clients that take codes apart and a connection type from headers of families that they do not use. */
#include <IOKit/hidsystem/IOHIDShared.h>
#include <IOKit/usb/USB.h>

int describe(IOReturn ret);
int describe(IOReturn ret)
{
    int system = err_get_system(ret), sub = err_get_sub(ret), code = err_get_code(ret);

    switch (ret) {
    case kIOReturnSuccess: return kIOHIDServerConnectType;
    case kIOReturnNotResponding:
    case kIOReturnNoDevice: return 1;
    case kIOUSBTransactionTimeout: return 2;
    default: return system + sub + code;
    }
}
