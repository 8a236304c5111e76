// RackSlot.cpp
#include <atomic>
#include <stdio.h>

#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOUserClient.h>
#include <DriverKit/OSCollections.h>

#include "RackSlot.h"

struct RackSlot_IVars {
    uint32_t number;
    uint64_t depth;
    bool started;
};

static std::atomic<uint32_t> sLiving;

bool RackSlot::init()
{
    if (!super::init()) {
        return false;
    }
    sLiving++;
    ivars = IONewZero(RackSlot_IVars, 1);
    return ivars != nullptr;
}

void RackSlot::free()
{
    IOSafeDeleteNULL(ivars, RackSlot_IVars, 1);
    sLiving--;
    super::free();
}

kern_return_t IMPL(RackSlot, Start)
{
    OSDictionary *properties = nullptr;
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    if (ivars->started) {
        return kIOReturnInternalError;
    }
    ivars->started = true;
    ret = CopyProperties(&properties);
    if (ret == kIOReturnSuccess) {
        ivars->depth = OSDictionaryGetUInt64Value(properties, "SlotDepth");
        OSSafeReleaseNULL(properties);
    }
    return ret;
}

kern_return_t IMPL(RackSlot, Stop)
{
    os_log(OS_LOG_DEFAULT, "[RackSlot] slot %u stops", ivars->number);
    return Stop(provider, SUPERDISPATCH);
}

kern_return_t IMPL(RackSlot, Publish)
{
    char name[32];

    ivars->number = number;
    snprintf(name, sizeof(name), "RackSlot-%u", number);
    kern_return_t ret = SetName(name);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    return RegisterService();
}

kern_return_t IMPL(RackSlot, NewUserClient)
{
    IOService *client = nullptr;
    kern_return_t ret = Create(this, "SlotClientProperties", &client);
    if (ret == kIOReturnSuccess) {
        *userClient = OSDynamicCast(IOUserClient, client);
    }
    return ret;
}

kern_return_t IMPL(RackSlot, Store)
{
    OSDictionary *properties = OSDictionaryCreate();
    if (properties == nullptr) {
        return kIOReturnNoMemory;
    }
    OSDictionarySetUInt64Value(properties, "SlotValue", value);
    OSDictionarySetStringValue(properties, "SlotState", "used");
    kern_return_t ret = SetProperties(properties);
    OSSafeReleaseNULL(properties);
    return ret;
}

kern_return_t IMPL(RackSlot, CopyVendor)
{
    OSContainer *found = nullptr;

    // It is the rack's: the slot itself does not have it.
    if (SearchProperty("RackVendor", "IOService", 0, &found) == kIOReturnSuccess) {
        OSSafeReleaseNULL(found);
        return kIOReturnInternalError;
    }
    kern_return_t ret = SearchProperty("RackVendor", "IOService", kIOServiceSearchPropertyParents, &found);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    *vendor = OSDynamicCast(OSString, found);
    if (*vendor == nullptr) {
        OSSafeReleaseNULL(found);
        return kIOReturnNotFound;
    }
    return kIOReturnSuccess;
}

uint32_t RackSlot::number()
{
    return ivars->number;
}

uint64_t RackSlot::depth()
{
    return ivars->depth;
}

uint32_t RackSlot::living()
{
    return sLiving;
}
