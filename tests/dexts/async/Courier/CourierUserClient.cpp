#include <os/log.h>
#include <string.h>

#include <DriverKit/IODispatchQueue.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/OSAction.h>
#include <DriverKit/OSData.h>

#include "Courier.h"
#include "CourierUserClient.h"
#include "CourierShared.h"

#define LOG(format, ...) os_log(OS_LOG_DEFAULT, "CourierUserClient[%p]: " format, this, ##__VA_ARGS__)

struct CourierUserClient_IVars {
    Courier * courier;
    IODispatchQueue * queue;
    OSAction * kept[kCourierSlots];
    OSAction * returned;        // our own
    OSAction * sender;          // the application's, while something is to come back
};

bool
CourierUserClient::init()
{
    if (!super::init())
        return false;
    ivars = IONewZero(CourierUserClient_IVars, 1);
    if (!ivars)
        return false;
    return true;
}

void
CourierUserClient::free()
{
    if (ivars) {
        for (auto & action : ivars->kept)
            OSSafeReleaseNULL(action);
        OSSafeReleaseNULL(ivars->returned);
        OSSafeReleaseNULL(ivars->sender);
        OSSafeReleaseNULL(ivars->queue);
    }
    IOSafeDeleteNULL(ivars, CourierUserClient_IVars, 1);
    super::free();
}

kern_return_t
CourierUserClient::Start_Impl(IOService * provider)
{
    kern_return_t ret;

    ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess)
        return ret;

    ivars->courier = OSDynamicCast(Courier, provider);
    if (!ivars->courier)
        return kIOReturnError;

    ret = IODispatchQueue::Create("CourierOut", 0, 0, &ivars->queue);
    if (ret != kIOReturnSuccess) {
        LOG("no queue: 0x%08x", ret);
        return ret;
    }
    return CreateActionReturned(0, &ivars->returned);
}

kern_return_t
CourierUserClient::Stop_Impl(IOService * provider)
{
    // What is on its way still goes.
    ivars->queue->DispatchSync(^{
        for (int i = 0; i < kCourierSlots; i++)
            OSSafeReleaseNULL(ivars->kept[i]);
    });
    ivars->returned->Cancel(NULL);      // it has us as its target
    return Stop(provider, SUPERDISPATCH);
}

kern_return_t
CourierUserClient::burst(IOUserClientMethodArguments * args)
{
    const uint64_t values = args->scalarInput[0], completions = args->scalarInput[1];
    const IOReturn status = (IOReturn)args->scalarInput[2];
    uint64_t data[kIOUserClientAsyncArgumentsCountMax + 1];     // one more than can go

    if (values > sizeof(data) / sizeof(data[0]))
        return kIOReturnBadArgument;
    for (uint64_t completion = 0; completion < completions; completion++) {
        for (uint64_t i = 0; i < values; i++)
            data[i] = 1000 * completion + i;
        AsyncCompletion(args->completion, status, values ? data : NULL, (uint32_t)values);
    }
    return kIOReturnSuccess;
}

kern_return_t
CourierUserClient::keep(IOUserClientMethodArguments * args)
{
    const uint64_t slot = args->scalarInput[0];

    if (slot >= kCourierSlots || ivars->kept[slot])
        return kIOReturnBadArgument;
    ivars->kept[slot] = args->completion;
    ivars->kept[slot]->retain();
    return args->scalarInputCount > 1 ? (kern_return_t)args->scalarInput[1] : kIOReturnSuccess;
}

kern_return_t
CourierUserClient::deliver(IOUserClientMethodArguments * args)
{
    const uint64_t slot = args->scalarInput[0];
    const uint32_t values = (uint32_t)args->scalarInput[1];
    const IOReturn status = (IOReturn)args->scalarInput[2];
    OSAction * action;

    if (slot >= kCourierSlots || !ivars->kept[slot])
        return kIOReturnNotFound;
    action = ivars->kept[slot];
    // The argument block is gone when the block runs; numbers and pointers are copied into it, and the two objects stay.
    action->retain();
    retain();
    ivars->queue->DispatchAsync(^{
        IOUserClientAsyncArgumentsArray data = { 0 };

        for (uint32_t i = 0; i < kIOUserClientAsyncArgumentsCountMax; i++)
            data[i] = slot + i;
        AsyncCompletion(action, status, data, values);
        action->release();
        release();
    });
    return kIOReturnSuccess;
}

kern_return_t
CourierUserClient::drop(IOUserClientMethodArguments * args)
{
    const uint64_t slot = args->scalarInput[0];

    if (slot >= kCourierSlots || !ivars->kept[slot])
        return kIOReturnNotFound;
    OSSafeReleaseNULL(ivars->kept[slot]);
    return kIOReturnSuccess;
}

kern_return_t
CourierUserClient::payload(IOUserClientMethodArguments * args)
{
    uint8_t bytes[64];
    IOUserClientAsyncArgumentsArray values = { 0 };

    memcpy(bytes, args->structureInput->getBytesNoCopy(), sizeof(bytes));
    for (auto & byte : bytes)
        byte++;
    memcpy(values, bytes, sizeof(bytes));
    AsyncCompletion(args->completion, kIOReturnSuccess, values, sizeof(bytes) / sizeof(values[0]));
    return kIOReturnSuccess;
}

kern_return_t
CourierUserClient::collect(IOUserClientMethodArguments * args)
{
    OSAction * action = ivars->courier->collect((uint32_t)args->scalarInput[0]);
    uint64_t value = args->scalarInput[1];

    if (!action)
        return kIOReturnNotFound;
    // Another connection's, which may be closed: any user client may send it.
    AsyncCompletion(action, kIOReturnSuccess, &value, 1);
    action->release();
    return kIOReturnSuccess;
}

kern_return_t
CourierUserClient::sendBack(IOUserClientMethodArguments * args)
{
    uint64_t values[kIOUserClientAsyncArgumentsCountMax];

    if (ivars->sender)
        return kIOReturnBusy;
    for (uint64_t i = 0; i < kIOUserClientAsyncArgumentsCountMax; i++)
        values[i] = i * i;
    ivars->sender = args->completion;
    ivars->sender->retain();
    AsyncCompletion(ivars->returned, (IOReturn)args->scalarInput[1], values, (uint32_t)args->scalarInput[0]);
    memset(values, 0xff, sizeof(values));       // they have been copied
    return kIOReturnSuccess;
}

void
CourierUserClient::Returned_Impl(OSAction * action, IOReturn status, const uint64_t * asyncData, uint32_t asyncDataCount)
{
    OSAction * sender = ivars->sender;

    if (action != ivars->returned || !sender)
        return;
    ivars->sender = NULL;
    AsyncCompletion(sender, status, asyncData, asyncDataCount);
    sender->release();
}

kern_return_t
CourierUserClient::storm(IOUserClientMethodArguments * args)
{
    __block uint64_t number = 0;
    const uint64_t completions = args->scalarInput[0];
    OSAction * action = args->completion;

    action->retain();
    retain();
    for (uint64_t i = 0; i < completions; i++) {
        ivars->queue->DispatchAsync(^{
            const bool last = ++number == completions;

            AsyncCompletion(action, last ? kCourierStormOver : kIOReturnSuccess, &number, 1);
            if (last) {
                action->release();
                release();
            }
        });
    }
    return kIOReturnSuccess;
}

kern_return_t
CourierUserClient::ExternalMethod(
    uint64_t selector,
    IOUserClientMethodArguments * arguments,
    const IOUserClientMethodDispatch * dispatch,
    OSObject * target,
    void * reference)
{
    // No function anywhere: the base only checks.
    static const IOUserClientMethodDispatch checks[kCourierMethods] = {
        [kCourierBurst]         = { NULL, true, 3, 0, 0, 0 },
        [kCourierKeep]          = { NULL, true, 1, 0, 0, 0 },
        [kCourierDeliver]       = { NULL, false, 3, 0, 0, 0 },
        [kCourierDrop]          = { NULL, false, 1, 0, 0, 0 },
        [kCourierPayload]       = { NULL, true, 0, 64, 0, 0 },
        [kCourierCode]          = { NULL, false, 1, 0, 0, 0 },
        [kCourierKeepAndFail]   = { NULL, true, 2, 0, 0, 0 },
        [kCourierLeave]         = { NULL, true, 1, 0, 0, 0 },
        [kCourierCollect]       = { NULL, false, 2, 0, 0, 0 },
        [kCourierStorm]         = { NULL, true, 1, 0, 0, 0 },
        [kCourierReturn]        = { NULL, true, 2, 0, 0, 0 },
    };
    kern_return_t ret;

    if (selector >= kCourierMethods)
        return kIOReturnUnsupported;
    ret = super::ExternalMethod(selector, arguments, &checks[selector], this, NULL);
    if (ret != kIOReturnNoCompletion)
        return ret;

    switch (selector) {
    case kCourierBurst:         return burst(arguments);
    case kCourierKeep:          return keep(arguments);
    case kCourierDeliver:       return deliver(arguments);
    case kCourierDrop:          return drop(arguments);
    case kCourierPayload:       return payload(arguments);
    case kCourierCode:          return (kern_return_t)arguments->scalarInput[0];
    case kCourierKeepAndFail:   return keep(arguments);
    case kCourierLeave:         return ivars->courier->leave((uint32_t)arguments->scalarInput[0], arguments->completion);
    case kCourierCollect:       return collect(arguments);
    case kCourierStorm:         return storm(arguments);
    case kCourierReturn:        return sendBack(arguments);
    default:                    return kIOReturnUnsupported;
    }
}
