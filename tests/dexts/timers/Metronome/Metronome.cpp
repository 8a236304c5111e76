//
//  Metronome.cpp
//

#include <os/log.h>
#include <time.h>
#include <mach/mach_time.h>

#include <DriverKit/IOUserServer.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IODispatchQueue.h>
#include <DriverKit/IOTimerDispatchSource.h>
#include <DriverKit/IOUserClient.h>
#include <DriverKit/OSAction.h>

#include "Metronome.h"

#define super IOService

struct Metronome_IVars
{
    IODispatchQueue*        queue;
    IOTimerDispatchSource*  timer;
    OSAction*               action;
    uint64_t                interval;
    _Atomic uint64_t        pulses;
    bool                    stopping;
};

static const uint64_t kPulseMilliseconds = 2;

bool
Metronome::init(void)
{
    if (!super::init())
    {
        return false;
    }
    ivars = IONewZero(Metronome_IVars, 1);
    if (nullptr == ivars)
    {
        return false;
    }
    return true;
}

void
Metronome::free(void)
{
    if (nullptr != ivars)
    {
        OSSafeReleaseNULL(ivars->action);
        OSSafeReleaseNULL(ivars->timer);
        OSSafeReleaseNULL(ivars->queue);
    }
    IOSafeDeleteNULL(ivars, Metronome_IVars, 1);
    super::free();
}

kern_return_t
IMPL(Metronome, Start)
{
    kern_return_t               error;
    struct mach_timebase_info   timebase;

    error = Start(provider, SUPERDISPATCH);
    if (kIOReturnSuccess != error)
    {
        return error;
    }

    mach_timebase_info(&timebase);
    ivars->interval = kPulseMilliseconds * NSEC_PER_MSEC * timebase.denom / timebase.numer;

    error = IODispatchQueue::Create("Metronome pulse", 0, 0, &ivars->queue);
    if (kIOReturnSuccess != error)
    {
        os_log(OS_LOG_DEFAULT, "Metronome: no queue: 0x%08x", error);
        goto fail;
    }

    error = IOTimerDispatchSource::Create(ivars->queue, &ivars->timer);
    if (kIOReturnSuccess != error)
    {
        os_log(OS_LOG_DEFAULT, "Metronome: no timer: 0x%08x", error);
        goto fail;
    }

    error = CreateActionPulseOccurred(sizeof(uint64_t), &ivars->action);
    if (kIOReturnSuccess != error)
    {
        os_log(OS_LOG_DEFAULT, "Metronome: no action: 0x%08x", error);
        goto fail;
    }

    error = ivars->timer->SetHandler(ivars->action);
    if (kIOReturnSuccess != error)
    {
        goto fail;
    }
    error = armPulse();
    if (kIOReturnSuccess != error)
    {
        goto fail;
    }
    return RegisterService();

fail:
    // Stop is not called for a service that has not started; the action keeps us alive otherwise.
    OSSafeReleaseNULL(ivars->action);
    return error;
}

kern_return_t
Metronome::armPulse(void)
{
    return ivars->timer->WakeAtTime(kIOTimerClockMachAbsoluteTime, mach_absolute_time() + ivars->interval, ivars->interval / 10);
}

void
IMPL(Metronome, PulseOccurred)
{
    uint64_t* last = (uint64_t*)action->GetReference();

    // Never early, and the clock goes forward.
    if (time < *last)
    {
        os_log_fault(OS_LOG_DEFAULT, "Metronome: the time goes backward");
        return;
    }
    *last = time + ivars->interval;
    ivars->pulses++;
    if (!ivars->stopping)
    {
        armPulse();
    }
}

uint64_t
Metronome::pulses(void)
{
    return ivars->pulses;
}

kern_return_t
IMPL(Metronome, Stop)
{
    __block _Atomic uint32_t    remaining = 0;

    os_log(OS_LOG_DEFAULT, "Metronome: Stop after %llu pulses", (unsigned long long)ivars->pulses);
    ivars->stopping = true;

    if (ivars->timer)
    {
        remaining++;
    }
    if (ivars->action)
    {
        remaining++;
    }
    if (ivars->queue)
    {
        remaining++;
    }
    if (0 == remaining)
    {
        return Stop(provider, SUPERDISPATCH);
    }

    // The last of them ends the service.
    void (^finished)(void) = ^{
        if (0 == --remaining)
        {
            os_log(OS_LOG_DEFAULT, "Metronome: all is cancelled");
            Stop(provider, SUPERDISPATCH);
            this->release();
            provider->release();
        }
    };

    provider->retain();
    this->retain();

    if (ivars->timer)
    {
        ivars->timer->Cancel(finished);
    }
    if (ivars->action)
    {
        ivars->action->Cancel(finished);
    }
    if (ivars->queue)
    {
        ivars->queue->Cancel(finished);
    }
    return kIOReturnSuccess;
}

kern_return_t
IMPL(Metronome, NewUserClient)
{
    IOService* service = nullptr;
    kern_return_t error = Create(this, "UserClientProperties", &service);

    if (kIOReturnSuccess == error)
    {
        *userClient = OSDynamicCast(IOUserClient, service);
    }
    return error;
}
