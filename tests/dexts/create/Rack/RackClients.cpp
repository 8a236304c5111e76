// RackClients.cpp
#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>

#include "Rack.h"
#include "RackClients.h"
#include "RackProtocol.h"
#include "RackSlot.h"

// --- control ---

struct RackUserClient_IVars {
    Rack *rack;
};

bool RackUserClient::init()
{
    if (!super::init()) {
        return false;
    }
    ivars = IONewZero(RackUserClient_IVars, 1);
    return ivars != nullptr;
}

void RackUserClient::free()
{
    IOSafeDeleteNULL(ivars, RackUserClient_IVars, 1);
    super::free();
}

kern_return_t IMPL(RackUserClient, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    if (ret == kIOReturnSuccess) {
        ivars->rack = OSDynamicCast(Rack, provider);
        ret = ivars->rack ? kIOReturnSuccess : kIOReturnNoDevice;
    }
    return ret;
}

kern_return_t IMPL(RackUserClient, Stop)
{
    ivars->rack->ControlClosed(this);
    return Stop(provider, SUPERDISPATCH);
}

kern_return_t RackUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
                                             const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
    Rack *rack = ivars->rack;
    kern_return_t ret = kIOReturnUnsupported;
    uint32_t number = 0, monitors = 0;

    switch (selector) {
        case kRackAddSlot:
            if (arguments->scalarOutputCount < 1) {
                return kIOReturnBadArgument;
            }
            ret = rack->AddSlot(&number);
            arguments->scalarOutput[0] = number;
            break;
        case kRackRemoveSlot:
            if (arguments->scalarInputCount < 1) {
                return kIOReturnBadArgument;
            }
            ret = rack->RemoveSlot((uint32_t)arguments->scalarInput[0]);
            break;
        case kRackSlots:
            if (arguments->scalarOutputCount < 3) {
                return kIOReturnBadArgument;
            }
            ret = rack->GetCounts(&number, &monitors);
            arguments->scalarOutput[0] = number;
            arguments->scalarOutput[1] = RackSlot::living();
            arguments->scalarOutput[2] = monitors;
            break;
        case kRackSetLabel: {
            char label[256] = {};
            OSData *data = arguments->structureInput;
            if (data == nullptr || data->getLength() >= sizeof(label)) {
                return kIOReturnBadArgument;
            }
            memcpy(label, data->getBytesNoCopy(), data->getLength());
            ret = rack->SetLabel(label);        // what is too long is cut off on the way
            break;
        }
        case kRackCheckProperties:
            ret = rack->CheckProperties();
            break;
        case kRackHangUp:
            ret = Terminate(0);
            break;
    }
    return ret;
}

// --- monitors ---

struct RackMonitorClient_IVars {
    Rack *rack;
};

bool RackMonitorClient::init()
{
    return super::init() && (ivars = IONewZero(RackMonitorClient_IVars, 1)) != nullptr;
}

void RackMonitorClient::free()
{
    IOSafeDeleteNULL(ivars, RackMonitorClient_IVars, 1);
    super::free();
}

kern_return_t IMPL(RackMonitorClient, Start)
{
    ivars->rack = OSDynamicCast(Rack, provider);
    return Start(provider, SUPERDISPATCH);
}

kern_return_t RackMonitorClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
                                                const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
    uint32_t slots = 0, monitors = 0;

    if (selector != kRackSlots) {
        return kIOReturnNotPermitted;       // it may look and not touch
    }
    if (arguments->scalarOutputCount < 3) {
        return kIOReturnBadArgument;
    }
    kern_return_t ret = ivars->rack->GetCounts(&slots, &monitors);
    arguments->scalarOutput[0] = slots;
    arguments->scalarOutput[1] = RackSlot::living();
    arguments->scalarOutput[2] = monitors;
    arguments->scalarOutputCount = 3;
    return ret;
}

// --- slots ---

struct RackSlotClient_IVars {
    RackSlot *slot;
};

bool RackSlotClient::init()
{
    return super::init() && (ivars = IONewZero(RackSlotClient_IVars, 1)) != nullptr;
}

void RackSlotClient::free()
{
    if (ivars != nullptr) {
        OSSafeReleaseNULL(ivars->slot);
    }
    IOSafeDeleteNULL(ivars, RackSlotClient_IVars, 1);
    super::free();
}

kern_return_t IMPL(RackSlotClient, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    RackSlot *slot = OSDynamicCast(RackSlot, GetProvider());
    if (ret == kIOReturnSuccess && slot != nullptr) {
        slot->retain();
        ivars->slot = slot;
    }
    return ivars->slot ? ret : kIOReturnNoDevice;
}

kern_return_t RackSlotClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
                                             const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
    kern_return_t ret;

    if (selector == kSlotNumber && arguments->scalarOutputCount == 2) {
        arguments->scalarOutput[0] = ivars->slot->number();
        arguments->scalarOutput[1] = ivars->slot->depth();
        return kIOReturnSuccess;
    }
    if (selector == kSlotStore && arguments->scalarInputCount == 1) {
        return ivars->slot->Store(arguments->scalarInput[0]);
    }
    if (selector == kSlotVendor) {
        OSString *vendor = nullptr;
        ret = ivars->slot->CopyVendor(&vendor);
        if (ret == kIOReturnSuccess) {
            arguments->structureOutput = OSData::withBytes(vendor->getCStringNoCopy(), vendor->getLength() + 1);
            OSSafeReleaseNULL(vendor);
        }
        return ret;
    }
    return super::ExternalMethod(selector, arguments, dispatch, target, reference);
}
