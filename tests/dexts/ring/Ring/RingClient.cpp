// SPDX-License-Identifier: Apache-2.0
#include <os/log.h>
#include <string.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>

#include "RingClient.h"

struct RingClient_IVars {
    RingDevice * device;
    IODispatchQueue * events;
    OSAction * action;
    OSAction * completion;
};

bool RingClient::init()
{
    return super::init() && (ivars = IONewZero(RingClient_IVars, 1)) != nullptr;
}

void RingClient::free()
{
    if (ivars) {
        OSSafeReleaseNULL(ivars->events);
        OSSafeReleaseNULL(ivars->action);
        OSSafeReleaseNULL(ivars->completion);
    }
    IOSafeDeleteNULL(ivars, RingClient_IVars, 1);
    super::free();
}

kern_return_t IMPL(RingClient, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);

    if (ret == kIOReturnSuccess)
        ret = IODispatchQueue::Create("RingEvents", 0, 0, &ivars->events);
    if (ret == kIOReturnSuccess)
        ret = SetDispatchQueue("RingEvents", ivars->events);
    if (ret == kIOReturnSuccess)
        ivars->device = OSDynamicCast(RingDevice, provider);
    return ret;
}

kern_return_t IMPL(RingClient, Stop)
{
    if (ivars->action) {
        ivars->device->SetRxHandler(nullptr);
        retain();
        return ivars->action->Cancel(^{
            Stop(provider, SUPERDISPATCH);
            release();
        });
    }
    return Stop(provider, SUPERDISPATCH);
}

RingDevice * RingClient::device(void) const { return ivars->device; }

void RingClient::tell(uint32_t events, uint64_t how)
{
    IOUserClientAsyncArgumentsArray values = { events, how };

    if (ivars->completion)
        AsyncCompletion(ivars->completion, kIOReturnSuccess, values, 2);
}

void IMPL(RingClient, GotRx)
{
    tell(events, ivars->events->OnQueue() ? 1 : 0);
}

void IMPL(RingClient, PlainRx)
{
    tell(events, ivars->events->OnQueue() ? 3 : 2);
}

IOReturn RingClient::listen(OSAction * completion, bool plain)
{
    IOReturn ret;

    OSSafeReleaseNULL(ivars->action);
    completion->retain();
    ivars->events->DispatchSync(^{      // where tell() looks at it, if it does not run here
        OSSafeReleaseNULL(ivars->completion);
        ivars->completion = completion;
    });
    if (plain)
        ret = OSAction::Create(this, RingClient_PlainRx_ID, RingDevice_RxReady_ID, 0, &ivars->action);
    else
        ret = CreateActionGotRx(0, &ivars->action);
    return ret == kIOReturnSuccess ? device()->SetRxHandler(ivars->action) : ret;
}

uint64_t RingClient::check()
{
    RingDevice * ring = device();
    RingBase * next = nullptr;
    RingState state;
    RingSlot slot = { 99, 99 };
    uint8_t bytes[65] = { 1, 2, 3 }, back[65];
    uint32_t taken = 77, count = 64, version = 0;
    uint64_t bits = 0, written = 0, read = 0;
    int bit = 0;
    auto add = [&](bool held) { bits |= (uint64_t)held << bit++; };

    add(ring->isOpen() && ring->Baud() != 0);
    add(ring->Reset() == kIOReturnSuccess && ring->used() == 0);
    add(ring->capacity() == 128 && ring->RingBase::capacity() == 256);
    add(strcmp(ring->label(), "device") == 0 && strcmp(ring->RingBase::label(), "base") == 0);
    add(ring->next() == ring && ring->CopyNext(&next) == kIOReturnSuccess && next == ring);
    add(ring->Write(bytes, 65, &taken) == kIOReturnOverrun && taken == 77 && ring->used() == 0);
    add(ring->Write(bytes, 3, &taken) == kIOReturnSuccess && taken == 3);
    add(ring->state(state) && state.used == 3 && state.capacity == 128 && state.mode == kRingBusy);
    add(ring->Read(back, &count) == kIOReturnSuccess && count == 3 && memcmp(back, bytes, 3) == 0);
    add(next->push(bytes, 3, true) == 3 && next->pull(back, 2, &slot) == 2 && slot.count == 2 && ring->pull(back, 9) == 1);
    add(ring->statistics(written, read) == 0 && written == read && written >= 6);
    add(RingDevice::Version(&version) == kIOReturnSuccess && version == 0x52696e67);
    count = 65;
    add(ring->Read(back, &count) == kIOReturnOverrun && count == 65);
    RingConfig config;
    config.parity = 9;
    add(config.baud == kRingDefaultBaud && ring->Configure(config, "") == -1);
    char text[32];
    add(ring->note(text, sizeof(text), "%s of %u", ring->label(), ring->capacity()) == 13 && strcmp(text, "device of 128") == 0);
    OSSafeReleaseNULL(next);
    return bits;
}

kern_return_t RingClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments * arguments,
                                         const IOUserClientMethodDispatch * dispatch, OSObject * target, void * reference)
{
    const uint64_t * in = arguments->scalarInput;
    uint64_t * out = arguments->scalarOutput;
    kern_return_t ret = kIOReturnSuccess;

    switch (selector) {
    case kRingWrite: {
        uint32_t taken = 0;
        if (!arguments->structureInput || arguments->scalarOutputCount < 1)
            return kIOReturnBadArgument;
        ret = device()->Write((const uint8_t *)arguments->structureInput->getBytesNoCopy(),
                              (uint32_t)arguments->structureInput->getLength(), &taken);
        out[0] = taken;
        return ret;
    }
    case kRingRead: {
        uint8_t bytes[kRingMost];
        uint32_t count = kRingMost;
        if (arguments->structureOutputMaximumSize < kRingMost)
            count = (uint32_t)arguments->structureOutputMaximumSize;
        ret = device()->Read(bytes, &count);
        arguments->structureOutput = OSData::withBytes(bytes, count);
        return ret;
    }
    case kRingState: {
        RingState state;
        if (arguments->scalarOutputCount < 5)
            return kIOReturnBadArgument;
        device()->state(state);
        out[0] = state.used;
        out[1] = state.capacity;
        out[2] = device()->Baud();
        device()->statistics(out[3], out[4]);
        return kIOReturnSuccess;
    }
    case kRingConfigure: {
        if (!arguments->structureInput || arguments->structureInput->getLength() != sizeof(RingConfigure))
            return kIOReturnBadArgument;
        auto wanted = static_cast<const RingConfigure *>(arguments->structureInput->getBytesNoCopy());
        out[0] = (uint32_t)device()->Configure({ wanted->baud, wanted->parity }, wanted->name);
        return kIOReturnSuccess;
    }
    case kRingListen:
        return arguments->completion && arguments->scalarInputCount == 1 ? listen(arguments->completion, in[0] != 0) : kIOReturnBadArgument;
    case kRingSend:
        device()->Send((uint32_t)in[0]);
        return kIOReturnSuccess;
    case kRingCheck:
        out[0] = check();
        return kIOReturnSuccess;
    case kRingReset:
        return device()->Reset();
    default:
        return super::ExternalMethod(selector, arguments, dispatch, target, reference);
    }
}
