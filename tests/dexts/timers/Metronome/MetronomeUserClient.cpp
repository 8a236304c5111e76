//
//  MetronomeUserClient.cpp
//

#include <os/log.h>
#include <time.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOTimerDispatchSource.h>
#include <DriverKit/OSAction.h>

#include "Metronome.h"
#include "MetronomeUserClient.h"

struct MetronomeUserClient_IVars
{
    Metronome*              metronome;

    IODispatchQueue*        defaultQueue;
    IOTimerDispatchSource*  beatTimer;
    OSAction*               beatAction;
    IOTimerDispatchSource*  restTimer;
    OSAction*               restAction;

    OSAction*               beatCallback;
    OSAction*               restCallback;
    uint64_t                interval;
    uint64_t                beats;
    uint64_t                rests;

    // counts what Stop still waits for
    int                     cancels;
};

bool
MetronomeUserClient::init(void)
{
    bool result = super::init();
    if (result != true) {
        return false;
    }
    ivars = IONewZero(MetronomeUserClient_IVars, 1);
    return (ivars != nullptr);
}

void
MetronomeUserClient::free(void)
{
    if (ivars) {
        OSSafeReleaseNULL(ivars->beatCallback);
        OSSafeReleaseNULL(ivars->restCallback);
        OSSafeReleaseNULL(ivars->beatAction);
        OSSafeReleaseNULL(ivars->restAction);
        OSSafeReleaseNULL(ivars->beatTimer);
        OSSafeReleaseNULL(ivars->restTimer);
        OSSafeReleaseNULL(ivars->defaultQueue);
    }
    IOSafeDeleteNULL(ivars, MetronomeUserClient_IVars, 1);
    os_log(OS_LOG_DEFAULT, "MetronomeUserClient: free");
    super::free();
}

kern_return_t
MetronomeUserClient::createTimers(void)
{
    kern_return_t ret;

    ret = CopyDispatchQueue(kIOServiceDefaultQueueName, &ivars->defaultQueue);
    if (ret != kIOReturnSuccess) return ret;

    ret = IOTimerDispatchSource::Create(ivars->defaultQueue, &ivars->beatTimer);
    if (ret != kIOReturnSuccess) return ret;
    ret = CreateActionBeatOccurred(sizeof(MetronomeBeat), &ivars->beatAction);
    if (ret != kIOReturnSuccess) return ret;
    ret = ivars->beatTimer->SetHandler(ivars->beatAction);
    if (ret != kIOReturnSuccess) return ret;

    ret = IOTimerDispatchSource::Create(ivars->defaultQueue, &ivars->restTimer);
    if (ret != kIOReturnSuccess) return ret;
    ret = CreateActionRestOccurred(0, &ivars->restAction);
    if (ret != kIOReturnSuccess) return ret;
    if (ivars->restAction->GetReference() != nullptr) return kIOReturnInternalError;
    return ivars->restTimer->SetHandler(ivars->restAction);
}

kern_return_t
IMPL(MetronomeUserClient, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    ivars->metronome = OSDynamicCast(Metronome, provider);
    if (ivars->metronome == nullptr) {
        return kIOReturnBadArgument;
    }
    return createTimers();
}

kern_return_t
MetronomeUserClient::Stop_Impl(IOService* provider)
{
    os_log(OS_LOG_DEFAULT, "MetronomeUserClient: Stop");

    ivars->cancels = 4;

    void (^cancelled)(void) = ^(void) {
        // all four come on the default queue or one after the other from the runtime; the count is guarded by the queue
        ivars->defaultQueue->DispatchAsync(^{
            if (--ivars->cancels > 0) {
                return;
            }
            os_log(OS_LOG_DEFAULT, "MetronomeUserClient: cancelled, %llu beats, %llu rests",
                   (unsigned long long)ivars->beats, (unsigned long long)ivars->rests);
            Stop(provider, SUPERDISPATCH);
            OSSafeReleaseNULL(ivars->beatCallback);
            OSSafeReleaseNULL(ivars->restCallback);
            release();
        });
    };

    retain();
    ivars->beatTimer->Cancel(cancelled);
    ivars->restTimer->Cancel(cancelled);
    ivars->beatAction->Cancel(cancelled);
    ivars->restAction->Cancel(cancelled);
    return kIOReturnSuccess;
}

kern_return_t
MetronomeUserClient::StartBeats(OSAction* completion, uint64_t count, uint64_t interval)
{
    MetronomeBeat* beat = static_cast<MetronomeBeat*>(ivars->beatAction->GetReference());

    if (beat == nullptr) {
        return kIOReturnInternalError;
    }
    if (count == 0) {
        return kIOReturnBadArgument;
    }
    if (beat->left != 0) {
        return kIOReturnBusy;
    }

    OSSafeReleaseNULL(ivars->beatCallback);
    ivars->beatCallback = completion;
    ivars->beatCallback->retain();
    ivars->interval = interval;

    beat->number = 0;
    beat->left = count;
    beat->due = clock_gettime_nsec_np(CLOCK_UPTIME_RAW) + interval;
    return ivars->beatTimer->WakeAtTime(kIOTimerClockUptimeRaw, beat->due, 0);
}

void
IMPL(MetronomeUserClient, BeatOccurred)
{
    MetronomeBeat* beat = static_cast<MetronomeBeat*>(action->GetReference());

    if (action != ivars->beatAction || beat->left == 0) {
        os_log_fault(OS_LOG_DEFAULT, "MetronomeUserClient: a beat that nobody has asked for");
        return;
    }

    ivars->beats++;
    beat->at = time;
    beat->left--;
    AsyncCompletion(ivars->beatCallback, beat->left ? kIOReturnSuccess : 1, (const uint64_t*)beat,
                    sizeof(*beat) / sizeof(uint64_t));
    if (beat->left > 0) {
        beat->number++;
        beat->due += ivars->interval;
        ivars->beatTimer->WakeAtTime(kIOTimerClockUptimeRaw, beat->due, 0);
    } else {
        OSSafeReleaseNULL(ivars->beatCallback);
    }
}

void
MetronomeUserClient::RestOccurred_Impl(OSAction* rest, uint64_t now)
{
    IOUserClientAsyncArgumentsArray data = { now };

    if (rest != ivars->restAction || ivars->restCallback == nullptr) {
        return;
    }
    ivars->rests++;
    AsyncCompletion(ivars->restCallback, kIOReturnSuccess, data, 1);
    OSSafeReleaseNULL(ivars->restCallback);
}

kern_return_t
MetronomeUserClient::StaticStartBeats(OSObject* target, void* reference, IOUserClientMethodArguments* arguments)
{
    MetronomeUserClient* me = OSDynamicCast(MetronomeUserClient, target);
    return me->StartBeats(arguments->completion, arguments->scalarInput[0], arguments->scalarInput[1]);
}

kern_return_t
MetronomeUserClient::StaticRest(OSObject* target, void* reference, IOUserClientMethodArguments* arguments)
{
    MetronomeUserClient_IVars* ivars = ((MetronomeUserClient*)target)->ivars;

    if (ivars->restCallback != nullptr) {
        return kIOReturnBusy;
    }
    arguments->completion->retain();
    ivars->restCallback = arguments->completion;
    return ivars->restTimer->WakeAtTime(kIOTimerClockMachAbsoluteTime, mach_absolute_time() + arguments->scalarInput[0], 0);
}

kern_return_t
MetronomeUserClient::StaticState(OSObject* target, void* reference, IOUserClientMethodArguments* arguments)
{
    MetronomeUserClient_IVars* ivars = ((MetronomeUserClient*)target)->ivars;

    arguments->scalarOutput[0] = ivars->metronome->pulses();
    arguments->scalarOutput[1] = ivars->beats;
    arguments->scalarOutput[2] = ivars->rests;
    return kIOReturnSuccess;
}

kern_return_t
MetronomeUserClient::StaticEnd(OSObject* target, void* reference, IOUserClientMethodArguments* arguments)
{
    os_log(OS_LOG_DEFAULT, "MetronomeUserClient: asks for the end");
    return ((MetronomeUserClient*)target)->ivars->metronome->Terminate(0);
}

kern_return_t
MetronomeUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments* arguments,
                                    const IOUserClientMethodDispatch* dispatch, OSObject* target, void* reference)
{
    static const IOUserClientMethodDispatch sMethods[kMetronomeSelectorCount] = {
        [kMetronomeSelectorBeats] = {
            .function = (IOUserClientMethodFunction)&StaticStartBeats,
            .checkCompletionExists = true,
            .checkScalarInputCount = 2,
        },
        [kMetronomeSelectorRest] = {
            .function = (IOUserClientMethodFunction)&StaticRest,
            .checkCompletionExists = true,
            .checkScalarInputCount = 1,
        },
        [kMetronomeSelectorState] = {
            .function = (IOUserClientMethodFunction)&StaticState,
            .checkScalarOutputCount = 3,
        },
        [kMetronomeSelectorEnd] = {
            .function = (IOUserClientMethodFunction)&StaticEnd,
        },
    };

    if (selector < kMetronomeSelectorCount) {
        dispatch = &sMethods[selector];
        target = this;
    }
    return super::ExternalMethod(selector, arguments, dispatch, target, reference);
}
