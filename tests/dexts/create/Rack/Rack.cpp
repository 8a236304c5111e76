// Rack.cpp
#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOUserClient.h>
#include <DriverKit/OSArray.h>
#include <DriverKit/OSBoolean.h>
#include <DriverKit/OSCollections.h>
#include <DriverKit/OSDictionary.h>
#include <DriverKit/OSNumber.h>
#include <DriverKit/OSString.h>

#include "Rack.h"
#include "RackClients.h"
#include "RackProtocol.h"
#include "RackSlot.h"

#define RACK_LOG(fmt, ...) os_log(OS_LOG_DEFAULT, "[Rack] %{public}s: " fmt, __FUNCTION__, ##__VA_ARGS__)

struct Rack_IVars {
    OSArray *slots;
    IOService *control;         // the one connection that may change things; not retained
    uint32_t monitors;
    uint32_t nextNumber;
};

bool Rack::init()
{
    auto answer = super::init();
    if (!answer) {
        return false;
    }
    ivars = IONewZero(Rack_IVars, 1);
    if (ivars == nullptr) {
        return false;
    }
    ivars->slots = OSArray::withCapacity(4);
    return ivars->slots != nullptr;
}

void Rack::free()
{
    if (ivars != nullptr) {
        OSSafeReleaseNULL(ivars->slots);
    }
    IOSafeDeleteNULL(ivars, Rack_IVars, 1);
    super::free();
}

kern_return_t IMPL(Rack, Start)
{
    uint32_t number = 0;
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    // Two to begin with.
    for (int i = 0; i < 2; i++) {
        ret = AddSlot(&number);
        if (ret != kIOReturnSuccess) {
            RACK_LOG("no slot %d: 0x%08x", i, ret);
            return ret;
        }
    }
    SetName("AcmeRack");
    return RegisterService();
}

kern_return_t IMPL(Rack, Stop)
{
    RACK_LOG("%u slots, %u monitors", ivars->slots->getCount(), ivars->monitors);
    ivars->slots->flushCollection();
    return Stop(provider, SUPERDISPATCH);
}

IOService *Rack::copyClient(const char *key, kern_return_t *result)
{
    IOService *client = nullptr;
    *result = Create(this, key, &client);
    if (*result != kIOReturnSuccess) {
        RACK_LOG("%{public}s: 0x%08x", key, *result);
    }
    return client;
}

kern_return_t IMPL(Rack, NewUserClient)
{
    kern_return_t ret = kIOReturnSuccess;
    IOService *client = nullptr;

    switch (type) {
        case kRackClientTypeControl:
            if (ivars->control != nullptr) {
                return kIOReturnExclusiveAccess;
            }
            client = copyClient("UserClientProperties", &ret);
            ivars->control = client;
            break;
        case kRackClientTypeMonitor:
            client = copyClient("MonitorProperties", &ret);
            if (client != nullptr) {
                ivars->monitors++;
            }
            break;
        case kRackClientTypeBroken:
            client = copyClient("NoSuchClassProperties", &ret);
            break;
        case kRackClientTypeMissing:
            client = copyClient("NoSuchProperties", &ret);
            break;
        default:
            ret = super::NewUserClient(type, userClient, SUPERDISPATCH);
            break;
    }
    if (ret == kIOReturnSuccess) {
        *userClient = OSDynamicCast(IOUserClient, client);
        if (*userClient == nullptr) {
            OSSafeReleaseNULL(client);
            ret = kIOReturnError;
        }
    }
    return ret;
}

void IMPL(Rack, ControlClosed)
{
    if (ivars->control == client) {
        ivars->control = nullptr;
    }
}

kern_return_t IMPL(Rack, AddSlot)
{
    IOService *service = nullptr;
    kern_return_t ret = Create(this, "SlotProperties", &service);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    RackSlot *slot = OSDynamicCast(RackSlot, service);
    if (slot == nullptr) {
        OSSafeReleaseNULL(service);
        return kIOReturnInternalError;
    }
    *number = ivars->nextNumber++;
    ret = slot->Publish(*number);
    if (ret == kIOReturnSuccess) {
        ivars->slots->setObject(slot);
    } else {
        slot->Terminate(0);
    }
    slot->release();        // the array has its own
    return ret;
}

kern_return_t IMPL(Rack, RemoveSlot)
{
    for (uint32_t i = 0; i < ivars->slots->getCount(); i++) {
        RackSlot *slot = OSRequiredCast(RackSlot, ivars->slots->getObject(i));
        if (slot->number() != number) {
            continue;
        }
        if (slot->Terminate(1) != kIOReturnUnsupported) {   // there are no options
            return kIOReturnInternalError;
        }
        kern_return_t ret = slot->Terminate(0);
        if (ret == kIOReturnSuccess) {
            ivars->slots->removeObject(i);
        }
        return ret;
    }
    return kIOReturnNotFound;
}

kern_return_t Rack::SetLabel_Impl(const char *label)
{
    kern_return_t ret = kIOReturnNoMemory;
    OSDictionary *properties = OSDictionary::withCapacity(4);
    OSString *string = OSString::withCString(label);
    OSNumber *length = OSNumber::withNumber(strlen(label), 32);

    if (properties && string && length) {
        properties->setObject("RackLabel", string);
        properties->setObject("RackLabelLength", length);
        properties->setObject("RackLabelled", label[0] ? kOSBooleanTrue : kOSBooleanFalse);
        OSDictionarySetUInt64Value(properties, "RackSlots", ivars->slots->getCount());
        ret = SetProperties(properties);
    }
    OSSafeReleaseNULL(length);
    OSSafeReleaseNULL(string);
    OSSafeReleaseNULL(properties);
    return ret;
}

// What the personality says, what was set since, and what is not there.
kern_return_t IMPL(Rack, CheckProperties)
{
    OSDictionary *properties = nullptr;
    OSContainer *found = nullptr;
    kern_return_t ret = CopyProperties(&properties);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    OSString *vendor = OSDynamicCast(OSString, properties->getObject("RackVendor"));
    OSString *label = OSDynamicCast(OSString, properties->getObject("RackLabel"));
    OSDictionary *slot = OSDynamicCast(OSDictionary, properties->getObject("SlotProperties"));
    if (!vendor || !vendor->isEqualTo("Acme Racks") || !label || !slot) {
        ret = kIOReturnNotFound;
    } else if (OSDictionaryGetUInt64Value(slot, "SlotDepth") != 42) {
        ret = kIOReturnBadMedia;
    }
    OSSafeReleaseNULL(properties);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    if (SearchProperty("RackLabelled", "IOService", 0, &found) != kIOReturnSuccess) {
        return kIOReturnNotReadable;
    }
    if (found != kOSBooleanTrue) {
        ret = kIOReturnBadMedia;
    }
    OSSafeReleaseNULL(found);
    if (SearchProperty("RackNothing", "IOService", kIOServiceSearchPropertyParents, &found) != kIOReturnNotFound || found) {
        ret = kIOReturnInternalError;
    }
    return ret;
}

kern_return_t IMPL(Rack, GetCounts)
{
    *slots = ivars->slots->getCount();
    *monitors = ivars->monitors;
    return kIOReturnSuccess;
}
