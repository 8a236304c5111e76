/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service of test-queues: its callbacks note what they were given and on which queue they ran, and its Stop cancels what it
 * has by counted blocks, the last of which goes on with the base's Stop.
 */
#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOUserServer.h>

#include "Queues.h"
#include "seen.h"

struct Queues_IVars {
    IODispatchQueue * tickQueue;
    OSAction * tickAction;
    IOTimerDispatchSource * timer;
};

struct Seen seen;

bool Queues::init()
{
    if (!super::init()) {
        return false;
    }
    ivars = IONewZero(Queues_IVars, 1);
    return ivars != nullptr;
}

void Queues::free()
{
    if (ivars) {
        OSSafeReleaseNULL(ivars->timer);
        OSSafeReleaseNULL(ivars->tickAction);
        OSSafeReleaseNULL(ivars->tickQueue);
    }
    IOSafeDeleteNULL(ivars, Queues_IVars, 1);
    seen.freed.add();
    super::free();
}

kern_return_t IMPL(Queues, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    ret = IODispatchQueue::Create("tick", 0, 0, &ivars->tickQueue);
    if (ret == kIOReturnSuccess) {
        ret = SetDispatchQueue(kQueuesTickQueue, ivars->tickQueue);
    }
    if (ret == kIOReturnSuccess) {
        ret = IOTimerDispatchSource::Create(ivars->tickQueue, &ivars->timer);
    }
    if (ret == kIOReturnSuccess) {
        ret = CreateActionTick(sizeof(uint64_t), &ivars->tickAction);
    }
    if (ret == kIOReturnSuccess) {
        ret = ivars->timer->SetHandler(ivars->tickAction);
    }
    if (ret == kIOReturnSuccess) {
        *static_cast<uint64_t *>(ivars->tickAction->GetReference()) = 0x7265666572656e63;
        ret = ivars->timer->WakeAtTime(kIOTimerClockMachAbsoluteTime, mach_absolute_time(), 0);
    }
    return ret;
}

kern_return_t Queues::Stop_Impl(IOService * provider)
{
    __block _Atomic(uint32_t) pending = 3;
    void (^done)(void) = ^{
        seen.cancelled.add();
        if (__c11_atomic_fetch_sub(&pending, 1U, __ATOMIC_ACQ_REL) == 1) {
            CHECK(Stop(provider, SUPERDISPATCH) == kIOReturnSuccess);
            seen.stopped.add();
            release();
        }
    };

    retain();
    ivars->timer->Cancel(done);
    ivars->tickAction->Cancel(done);
    ivars->tickQueue->Cancel(done);
    return kIOReturnSuccess;
}

kern_return_t Queues::CopyQueue(const char * name, IODispatchQueue ** queue)
{
    return CopyDispatchQueue(name, queue);
}

/* Is the caller on this queue of the service? */
static bool onQueue(Queues * self, const char * name)
{
    IODispatchQueue * queue = nullptr;
    bool on = self->CopyQueue(name, &queue) == kIOReturnSuccess && queue->OnQueue();

    OSSafeReleaseNULL(queue);
    return on;
}

void IMPL(Queues, Tick)
{
    CHECK(onQueue(this, kQueuesTickQueue) && !onQueue(this, kIOServiceDefaultQueueName));
    CHECK(action == ivars->tickAction && *static_cast<uint64_t *>(action->GetReference()) == 0x7265666572656e63);
    CHECK(time > 0 && time <= mach_absolute_time());
    seen.ticks.add();
}

void IMPL(Queues, Tock)
{
    CHECK(onQueue(this, kIOServiceDefaultQueueName) && OSDynamicCast(OSAction, action));
    seen.time = time;
    seen.tocks.add();
}

void Queues::Interrupted_Impl(OSAction * action, uint64_t count, uint64_t time)
{
    CHECK(onQueue(this, kIOServiceDefaultQueueName) && action);
    seen.interrupts += count;
    seen.time = time;
    seen.interrupted.add();
}

void IMPL(Queues, Arrived)
{
    CHECK(action && onQueue(this, kIOServiceDefaultQueueName));
    seen.arrived.add();
}

void IMPL(Queues, Serviced)
{
    CHECK(action && onQueue(this, kIOServiceDefaultQueueName));
    seen.serviced.add();
}

void IMPL(Queues, Noticed)
{
    CHECK(action && onQueue(this, kIOServiceDefaultQueueName));
    seen.noticed.add();
}

void IMPL(Queues, Changed)
{
    CHECK(action && onQueue(this, kIOServiceDefaultQueueName));
    seen.changed.add();
}
