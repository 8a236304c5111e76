//
//  Watcher.cpp
//  SPDX-License-Identifier: Apache-2.0
//

#include <os/log.h>

#include <DriverKit/IOLib.h>
#include <DriverKit/IOServiceNotificationDispatchSource.h>
#include <DriverKit/IOTimerDispatchSource.h>
#include <DriverKit/OSCollections.h>

#include "Watcher.h"

struct Watcher_IVars
{
    IOServiceNotificationDispatchSource * news;
    OSAction * newsAction;
    IOTimerDispatchSource * timer;
    OSAction * tickAction;
    OSArray * chicks;
    // Who is told, and through which client.
    OSAction * listener;
    IOUserClient * listening;
    OSAction * sleeper;
    IOUserClient * sleeping;
    uint64_t ticks;
    uint64_t ticksWhileOff;
    _Atomic bool switchedOn;
    uint32_t flags;
};

bool Watcher::init()
{
    if (!super::init())
        return false;
    ivars = IONewZero(Watcher_IVars, 1);
    if (!ivars)
        return false;
    ivars->chicks = OSArray::withCapacity(4);
    return ivars->chicks != nullptr;
}

void Watcher::free()
{
    if (ivars) {
        OSSafeReleaseNULL(ivars->news);
        OSSafeReleaseNULL(ivars->newsAction);
        OSSafeReleaseNULL(ivars->timer);
        OSSafeReleaseNULL(ivars->tickAction);
        OSSafeReleaseNULL(ivars->chicks);
    }
    IOSafeDeleteNULL(ivars, Watcher_IVars, 1);
    super::free();
}

// IONameMatch finds services by name; a chick's is that of its class.
static OSDictionary * matchingChicks()
{
    OSDictionary * matching = OSDictionary::withCapacity(1);

    if (matching)
        OSDictionarySetStringValue(matching, "IONameMatch", "Chick");
    return matching;
}

kern_return_t IMPL(Watcher, Start)
{
    IODispatchQueue * queue = nullptr;
    OSDictionary * matching = matchingChicks();
    kern_return_t ret = Start(provider, SUPERDISPATCH);

    if (ret == kIOReturnSuccess)
        ret = CopyDispatchQueue(kIOServiceDefaultQueueName, &queue);
    if (ret == kIOReturnSuccess)
        ret = IOServiceNotificationDispatchSource::Create(matching, 0, queue, &ivars->news);
    if (ret == kIOReturnSuccess)
        ret = CreateActionChickNews(0, &ivars->newsAction);
    if (ret == kIOReturnSuccess)
        ret = ivars->news->SetHandler(ivars->newsAction);
    if (ret == kIOReturnSuccess)
        ret = IOTimerDispatchSource::Create(queue, &ivars->timer);
    if (ret == kIOReturnSuccess)
        ret = CreateActionTick(0, &ivars->tickAction);
    if (ret == kIOReturnSuccess)
        ret = ivars->timer->SetHandler(ivars->tickAction);
    OSSafeReleaseNULL(matching);
    OSSafeReleaseNULL(queue);
    if (ret == kIOReturnSuccess)
        ret = RegisterService();
    else
        IOLog("Watcher: Start: 0x%08x\n", ret);
    return ret;
}

kern_return_t IMPL(Watcher, Stop)
{
    __block uint32_t left = 2;
    void (^cancelled)(void) = ^{
        if (__atomic_sub_fetch(&left, 1, __ATOMIC_ACQ_REL) > 0)
            return;
        OSSafeReleaseNULL(ivars->news);         // this kind of source is not cancelled
        OSSafeReleaseNULL(ivars->listener);
        OSSafeReleaseNULL(ivars->listening);
        OSSafeReleaseNULL(ivars->tickAction);   // nobody has cancelled it, and it keeps its target
        Stop(provider, SUPERDISPATCH);
        release();
    };

    if (!ivars->timer || !ivars->newsAction)
        return Stop(provider, SUPERDISPATCH);
    retain();
    ivars->timer->Cancel(cancelled);
    ivars->newsAction->Cancel(cancelled);
    return kIOReturnSuccess;
}

kern_return_t IMPL(Watcher, NewUserClient)
{
    IOService * client = nullptr;
    kern_return_t ret = Create(this, "UserClientProperties", &client);

    if (ret == kIOReturnSuccess)
        *userClient = OSDynamicCast(IOUserClient, client);
    return ret;
}

kern_return_t IMPL(Watcher, SetPowerState)
{
    ivars->flags = powerFlags;
    return SetPowerState(powerFlags, SUPERDISPATCH);
}

uint32_t Watcher::powerFlags() const
{
    return ivars->flags;
}

kern_return_t IMPL(Watcher, Listen)
{
    OSSafeReleaseNULL(ivars->listener);
    OSSafeReleaseNULL(ivars->listening);
    ivars->listener = completion;
    ivars->listening = client;
    completion->retain();
    client->retain();
    return kIOReturnSuccess;
}

kern_return_t IMPL(Watcher, Hatch)
{
    IOService * chick = nullptr;
    kern_return_t ret = Create(this, "ChickProperties", &chick);

    if (ret == kIOReturnSuccess) {
        ret = chick->GetRegistryEntryID(entryID);
        ivars->chicks->setObject(chick);
    }
    OSSafeReleaseNULL(chick);
    return ret;
}

kern_return_t IMPL(Watcher, Cull)
{
    for (uint32_t i = 0; i < ivars->chicks->getCount(); i++) {
        Chick * chick = OSDynamicCast(Chick, ivars->chicks->getObject(i));
        uint64_t id = 0;
        if (chick && chick->GetRegistryEntryID(&id) == kIOReturnSuccess && id == entryID)
            return chick->Terminate(0);
    }
    return kIOReturnNotFound;
}

void IMPL(Watcher, ChickNews)
{
    ivars->news->DeliverNotifications(^(uint64_t type, IOService * service, uint64_t options) {
        told(type, service);
    });
}

void Watcher::told(uint64_t type, IOService * service)
{
    IOUserClientAsyncArgumentsArray values = { type };

    if (service->GetRegistryEntryID(&values[1]) != kIOReturnSuccess)
        return;
    if (type == kIOServiceNotificationTypeTerminated) {
        uint32_t at = ivars->chicks->getNextIndexOfObject(service, 0);
        if (at != (uint32_t)-1)
            ivars->chicks->removeObject(at);
    }
    values[2] = ivars->chicks->getCount();
    if (ivars->listener)
        ivars->listening->AsyncCompletion(ivars->listener, kIOReturnSuccess, values, 3);
}

// --- the timer that sleeps ---

kern_return_t IMPL(Watcher, Nap)
{
    IODispatchQueue * queue = nullptr;
    kern_return_t ret = CopyDispatchQueue("Default", &queue);

    if (ret != kIOReturnSuccess)
        return ret;
    if (ivars->sleeper) {
        queue->release();
        return kIOReturnBusy;
    }
    ivars->sleeper = completion;
    ivars->sleeping = client;
    completion->retain();
    client->retain();
    ret = ivars->timer->SetEnable(false);
    if (ret == kIOReturnSuccess)
        ret = ivars->timer->WakeAtTime(kIOTimerClockMonotonicRaw, clock_gettime_nsec_np(CLOCK_MONOTONIC_RAW), 0);
    IOSleep(2);     // it would have ticked
    queue->DispatchAsync(^{
        ivars->ticksWhileOff = ivars->ticks;
        ivars->timer->SetEnableWithCompletion(true, ^{
            ivars->switchedOn = true;
        });
        ivars->timer->WakeAtTime(kIOTimerClockMachAbsoluteTime, mach_absolute_time(), 0);
    });
    queue->release();
    return ret;
}

void IMPL(Watcher, Tick)
{
    IOUserClientAsyncArgumentsArray values = { ivars->ticksWhileOff, ++ivars->ticks, ivars->switchedOn };

    if (!ivars->sleeper)
        return;
    if (!ivars->switchedOn) {       // it is on, and the block that says so has not had its turn
        ivars->timer->WakeAtTime(kIOTimerClockMachAbsoluteTime, mach_absolute_time(), 0);
        return;
    }
    ivars->sleeping->AsyncCompletion(ivars->sleeper, kIOReturnSuccess, values, 3);
    OSSafeReleaseNULL(ivars->sleeper);
    OSSafeReleaseNULL(ivars->sleeping);
}

// --- Chick ---

kern_return_t IMPL(Chick, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);

    return ret == kIOReturnSuccess ? RegisterService() : ret;
}
