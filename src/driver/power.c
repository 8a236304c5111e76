/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power states. There is no power management here, so no service is ever asked to change its state: drivers that follow it are
 * built and run, in full power all the time.
 */
#include <DriverKit/IOService.h>

#include "driver/service.h"

/* An acknowledgement; of what nobody has asked for. */
AMB_EXPORT kern_return_t IOService_SetPowerState(IOService *self, uint32_t powerFlags)
{
        (void)self;
        (void)powerFlags;
        return kIOReturnNotReady;
}

AMB_EXPORT kern_return_t IOService_ChangePowerState(IOService *self, uint32_t powerFlags)
{
        (void)self;
        switch (powerFlags) {
        case kIOServicePowerCapabilityOff:
        case kIOServicePowerCapabilityOn:
        case kIOServicePowerCapabilityLow:
                return kIOReturnSuccess;
        default:
                return kIOReturnBadArgument;
        }
}

AMB_EXPORT kern_return_t IOService_JoinPMTree(IOService *self)
{
        return amb_service_entry(self) ? kIOReturnSuccess : kIOReturnNotReady;
}
