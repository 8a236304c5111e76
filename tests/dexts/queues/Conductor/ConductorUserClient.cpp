//
//  ConductorUserClient.cpp
//  SPDX-License-Identifier: Apache-2.0
//

#include <string.h>
#include <time.h>

#include <os/log.h>
#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>
#include <mach/mach_time.h>

#include "Conductor.h"
#include "ConductorTypes.h"

struct ConductorUserClient_IVars {
    Conductor * conductor;
    IODispatchQueue * calls;            // calls of this client; may be given up while one sleeps
    IODispatchQueue * work;
    IODataQueueDispatchSource * stream;
    OSAction * arrived;
    OSAction * completion;              // of the stream
    uint64_t wanted;
    uint64_t entries;
    uint64_t sum;
    uint32_t waiting;
    bool sorted;
};

bool ConductorUserClient::init()
{
    if (!super::init()) {
        return false;
    }
    ivars = IONewZero(ConductorUserClient_IVars, 1);
    return ivars != NULL;
}

void ConductorUserClient::free()
{
    if (ivars) {
        OSSafeReleaseNULL(ivars->calls);
        OSSafeReleaseNULL(ivars->work);
        OSSafeReleaseNULL(ivars->stream);
        OSSafeReleaseNULL(ivars->arrived);
        OSSafeReleaseNULL(ivars->completion);
    }
    IOSafeDeleteNULL(ivars, ConductorUserClient_IVars, 1);
    super::free();
}

kern_return_t
IMPL(ConductorUserClient, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);

    if (ret != kIOReturnSuccess) {
        return ret;
    }
    ivars->conductor = OSDynamicCast(Conductor, provider);
    ret = IODispatchQueue::Create("ConductorCalls", kIODispatchQueueReentrant, 0, &ivars->calls);
    if (ret == kIOReturnSuccess) {
        ret = SetDispatchQueue(kIOUserClientQueueNameExternalMethod, ivars->calls);
    }
    if (ret == kIOReturnSuccess) {
        ret = IODispatchQueue::Create("ConductorWork", 0, 0, &ivars->work);
    }
    return ret;
}

/* Each thing that is cancelled counts; the last one ends the service. */
kern_return_t
IMPL(ConductorUserClient, Stop)
{
    __block uint32_t left = 2 + (ivars->stream ? 1 : 0) + (ivars->arrived ? 1 : 0);
    void (^done)(void) = ^{
        if (__atomic_sub_fetch(&left, 1, __ATOMIC_ACQ_REL) == 0) {
            Stop(provider, SUPERDISPATCH);
            release();
        }
    };

    retain();
    if (ivars->stream) {
        ivars->stream->Cancel(done);
    }
    if (ivars->arrived) {
        ivars->arrived->Cancel(done);
    }
    ivars->work->Cancel(done);
    ivars->calls->Cancel(done);
    return kIOReturnSuccess;
}

kern_return_t
ConductorUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments * arguments,
                                    const IOUserClientMethodDispatch * dispatch, OSObject * target, void * reference)
{
    static const IOUserClientMethodDispatch checks[kConductorSelectors] = {
        [kConductorSync]     = { NULL, 0, 1, 0, 2, 0 },
        [kConductorAsync]    = { NULL, 1, 1, 0, 0, 0 },
        [kConductorCount]    = { NULL, 0, 1, 0, 0, 0 },
        [kConductorCounters] = { NULL, 0, 0, 0, 4, 0 },
        [kConductorTime]     = { NULL, 0, 1, 0, 3, 0 },
        [kConductorWait]     = { NULL, 0, 1, 0, 1, 0 },
        [kConductorWake]     = { NULL, 0, 0, 0, 1, 0 },
        [kConductorNames]    = { NULL, 0, 0, 0, 1, 0 },
        [kConductorStream]   = { NULL, 1, 2, 0, 0, 0 },
        [kConductorCancel]   = { NULL, 1, 1, 0, 0, 0 },
    };
    kern_return_t ret = kIOReturnUnsupported;

    if (selector < kConductorSelectors) {
        ret = super::ExternalMethod(selector, arguments, &checks[selector], this, NULL);
    }
    if (ret != kIOReturnNoCompletion) {
        return ret;
    }
    switch (selector) {
        case kConductorSync:
            return doSync(arguments);
        case kConductorAsync:
            return doAsync(arguments);
        case kConductorCount:
            ivars->conductor->count(arguments->scalarInput[0]);
            return kIOReturnSuccess;
        case kConductorCounters:
            ivars->conductor->counters(arguments->scalarOutput);
            return kIOReturnSuccess;
        case kConductorTime:
            return doTime(arguments);
        case kConductorWait:
            return doWait(arguments);
        case kConductorWake:
            return doWake(arguments);
        case kConductorNames:
            return doNames(arguments);
        case kConductorStream:
            return doStream(arguments);
        default:
            return doCancel(arguments);
    }
}

static void addOne(void * context)
{
    ++*(uint64_t *)context;
}

kern_return_t ConductorUserClient::doSync(IOUserClientMethodArguments * arguments)
{
    IODispatchQueue * work = ivars->work;
    IODispatchQueue * calls = ivars->calls;
    __block uint64_t sum = 0;
    __block uint64_t held = 0;
    uint64_t plain = 0;

    for (uint64_t i = 1; i <= arguments->scalarInput[0]; i++) {
        work->DispatchSync(^{
            sum += i;
        });
    }
    held |= !work->OnQueue() ? 1 << 0 : 0;
    held |= calls->OnQueue() ? 1 << 1 : 0;
    work->DispatchSync(^{
        held |= work->OnQueue() && calls->OnQueue() ? 1 << 2 : 0;
        work->DispatchSync(^{       // on it already: at once
            held |= 1 << 3;
        });
    });
    held |= work->RunAction(^kern_return_t {
        return kIOReturnNotReady;
    }) == kIOReturnNotReady ? 1 << 4 : 0;
    held |= strcmp(work->GetName(), "ConductorWork") == 0 ? 1 << 5 : 0;
    work->DispatchSync_f(&plain, addOne);
    held |= plain == 1 ? 1 << 6 : 0;
    held |= work->Sleep(this, 1) == kIOReturnUnsupported ? 1 << 7 : 0;
    arguments->scalarOutput[0] = sum;
    arguments->scalarOutput[1] = held;
    return kIOReturnSuccess;
}

kern_return_t ConductorUserClient::doAsync(IOUserClientMethodArguments * arguments)
{
    OSAction * completion = arguments->completion;
    __block uint64_t last = 0;
    __block bool sorted = true;
    uint64_t n = arguments->scalarInput[0];

    completion->retain();
    for (uint64_t i = 1; i <= n; i++) {
        ivars->work->DispatchAsync(^{
            sorted = sorted && last == i - 1;
            last = i;
        });
    }
    ivars->work->DispatchAsync(^{
        IOUserClientAsyncArgumentsArray values = { sorted, last, n };
        AsyncCompletion(completion, kIOReturnSuccess, values, 3);
        completion->release();
    });
    return kIOReturnSuccess;
}

kern_return_t ConductorUserClient::doTime(IOUserClientMethodArguments * arguments)
{
    mach_timebase_info_data_t base = { 0, 0 };
    uint64_t ticks = mach_absolute_time();
    uint64_t uptime = clock_gettime_nsec_np(CLOCK_UPTIME_RAW);
    uint64_t monotonic = clock_gettime_nsec_np(CLOCK_MONOTONIC_RAW);

    if (mach_timebase_info(&base) != kIOReturnSuccess || base.denom == 0) {
        return kIOReturnError;
    }
    IOSleep(arguments->scalarInput[0]);
    IODelay(100);
    arguments->scalarOutput[0] = (mach_absolute_time() - ticks) * base.numer / base.denom;
    arguments->scalarOutput[1] = clock_gettime_nsec_np(CLOCK_UPTIME_RAW) - uptime;
    arguments->scalarOutput[2] = clock_gettime_nsec_np(CLOCK_MONOTONIC_RAW) - monotonic;
    return kIOReturnSuccess;
}

kern_return_t ConductorUserClient::doWait(IOUserClientMethodArguments * arguments)
{
    ivars->waiting++;
    arguments->scalarOutput[0] = (uint32_t)ivars->calls->SleepWithTimeout(&ivars->waiting, arguments->scalarInput[0] * kMillisecondScale);
    ivars->waiting--;
    return kIOReturnSuccess;
}

kern_return_t ConductorUserClient::doWake(IOUserClientMethodArguments * arguments)
{
    arguments->scalarOutput[0] = ivars->waiting;
    return ivars->calls->WakeupWithOptions(&ivars->waiting, kIODispatchQueueWakeupAll);
}

kern_return_t ConductorUserClient::doNames(IOUserClientMethodArguments * arguments)
{
    IODispatchQueue * standard = NULL, * calls = NULL, * none = NULL, * theirs = NULL;
    uint64_t held = 0;

    held |= CopyDispatchQueue(kIOServiceDefaultQueueName, &standard) == kIOReturnSuccess && !standard->OnQueue() ? 1 << 0 : 0;
    held |= CopyDispatchQueue("Default", &theirs) == kIOReturnSuccess && theirs == standard ? 1 << 1 : 0;
    held |= CopyDispatchQueue(kIOUserClientQueueNameExternalMethod, &calls) == kIOReturnSuccess && calls == ivars->calls ? 1 << 2 : 0;
    held |= calls && calls->OnQueue() ? 1 << 3 : 0;
    held |= CopyDispatchQueue("Nobody", &none) == kIOReturnNotFound && !none ? 1 << 4 : 0;
    held |= SetDispatchQueue("Nobody", ivars->work) == kIOReturnBadArgument ? 1 << 5 : 0;
    OSSafeReleaseNULL(theirs);
    OSSafeReleaseNULL(calls);
    OSSafeReleaseNULL(standard);
    arguments->scalarOutput[0] = held;
    return kIOReturnSuccess;
}

/* --- the reading end of the data queue --- */

kern_return_t ConductorUserClient::doStream(IOUserClientMethodArguments * arguments)
{
    IODispatchQueue * queue = NULL;
    kern_return_t ret;

    if (ivars->stream) {
        return kIOReturnBusy;
    }
    ret = CopyDispatchQueue(kIOServiceDefaultQueueName, &queue);
    if (ret == kIOReturnSuccess) {
        ret = IODataQueueDispatchSource::Create(256, queue, &ivars->stream);
    }
    if (ret == kIOReturnSuccess) {
        ret = CreateActionArrived(0, &ivars->arrived);
    }
    if (ret == kIOReturnSuccess) {
        ivars->completion = arguments->completion;
        ivars->completion->retain();
        ivars->wanted = arguments->scalarInput[0];
        ivars->sorted = true;
        ret = ivars->stream->SetDataAvailableHandler(ivars->arrived);
    }
    OSSafeReleaseNULL(queue);
    if (ret == kIOReturnSuccess) {
        ret = ivars->conductor->Feed(ivars->stream, arguments->scalarInput[0], arguments->scalarInput[1]);
    }
    return ret;
}

void
IMPL(ConductorUserClient, Arrived)
{
    while (ivars->stream->Dequeue(^(const void * data, size_t size) {
        const uint8_t * bytes = (const uint8_t *)data;
        for (size_t i = 0; i < size; i++) {
            ivars->sum += bytes[i];
            ivars->sorted = ivars->sorted && bytes[i] == (uint8_t)ivars->entries;
        }
        ivars->entries++;
    }) == kIOReturnSuccess) {
    }
    if (ivars->entries == ivars->wanted && ivars->completion) {
        IOUserClientAsyncArgumentsArray values = { ivars->entries, ivars->sum, ivars->sorted };
        AsyncCompletion(ivars->completion, kIOReturnSuccess, values, 3);
        OSSafeReleaseNULL(ivars->completion);
    }
}

/* Nothing runs after what runs when a queue is cancelled. */
kern_return_t ConductorUserClient::doCancel(IOUserClientMethodArguments * arguments)
{
    IODispatchQueue * queue = NULL;
    OSAction * completion = arguments->completion;
    kern_return_t ret = IODispatchQueue::Create("ConductorShort", 0, 0, &queue);
    __block uint64_t ran = 0;

    if (ret != kIOReturnSuccess) {
        return ret;
    }
    completion->retain();
    retain();
    queue->DispatchSync(^{
        for (uint64_t i = 0; i < arguments->scalarInput[0]; i++) {
            queue->DispatchAsync(^{
                ran++;
            });
        }
        queue->Cancel(^{
            IOUserClientAsyncArgumentsArray values = { ran, (uint64_t)queue->OnQueue(), 0 };
            AsyncCompletion(completion, kIOReturnSuccess, values, 3);
            completion->release();
            queue->release();
            release();
        });
    });
    return kIOReturnSuccess;
}
