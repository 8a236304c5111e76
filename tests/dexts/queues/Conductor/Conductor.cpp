//
//  Conductor.cpp
//  SPDX-License-Identifier: Apache-2.0
//

#include <atomic>
#include <string.h>

#include <os/log.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IODataQueueDispatchSource.h>
#include <DriverKit/OSAction.h>

#include "Conductor.h"

struct Conductor_IVars {
    IOLock * lock;
    IORWLock * shared;
    IORecursiveLock * recursive;
    uint64_t locked;
    uint64_t written;
    uint64_t nested;
    std::atomic<uint64_t> * atomic;
};

/* What the reference area of a RoomAgain action holds. */
struct Feeding {
    IODataQueueDispatchSource * source;
    uint64_t left;
    uint64_t size;
    uint8_t next;
};

bool Conductor::init()
{
    if (!super::init()) {
        return false;
    }
    ivars = IONewZero(Conductor_IVars, 1);
    if (!ivars) {
        return false;
    }
    ivars->lock = IOLockAlloc();
    ivars->shared = IORWLockAlloc();
    ivars->recursive = IORecursiveLockAlloc();
    ivars->atomic = new std::atomic<uint64_t>(0);
    return ivars->lock && ivars->shared && ivars->recursive;
}

void Conductor::free()
{
    if (ivars) {
        if (ivars->lock)
            IOLockFreeZero(ivars->lock);
        if (ivars->shared)
            IORWLockFreeZero(ivars->shared);
        if (ivars->recursive)
            IORecursiveLockFreeZero(ivars->recursive);
        delete ivars->atomic;
    }
    IOSafeDeleteNULL(ivars, Conductor_IVars, 1);
    super::free();
}

kern_return_t
IMPL(Conductor, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    if (ret == kIOReturnSuccess) {
        ret = RegisterService();
    }
    return ret;
}

kern_return_t
IMPL(Conductor, Stop)
{
    return Stop(provider, SUPERDISPATCH);
}

kern_return_t
IMPL(Conductor, NewUserClient)
{
    IOService * client = NULL;
    kern_return_t ret = Create(this, "UserClientProperties", &client);
    if (ret == kIOReturnSuccess) {
        *userClient = OSDynamicCast(IOUserClient, client);
    }
    return ret;
}

void Conductor::count(uint64_t times)
{
    for (uint64_t i = 0; i < times; i++) {
        if (!IOLockTryLock(ivars->lock))
            IOLockLock(ivars->lock);
        IOLockAssert(ivars->lock, kIOLockAssertOwned);
        ivars->locked++;
        IOLockUnlock(ivars->lock);

        IORWLockWrite(ivars->shared);
        ivars->written++;
        IORWLockUnlock(ivars->shared);

        IORecursiveLockLock(ivars->recursive);
        IORecursiveLockLock(ivars->recursive);
        if (IORecursiveLockHaveLock(ivars->recursive))
            ivars->nested++;
        IORecursiveLockUnlock(ivars->recursive);
        IORecursiveLockUnlock(ivars->recursive);

        ivars->atomic->fetch_add(1, std::memory_order_relaxed);
    }
}

void Conductor::counters(uint64_t * values)
{
    IOLockLock(ivars->lock);
    values[0] = ivars->locked;
    IOLockUnlock(ivars->lock);
    IORWLockRead(ivars->shared);
    values[1] = ivars->written;
    IORWLockUnlock(ivars->shared);
    IORecursiveLockLock(ivars->recursive);
    values[2] = ivars->nested;
    IORecursiveLockUnlock(ivars->recursive);
    values[3] = ivars->atomic->load();
}

/* --- the writing end of the data queue --- */

kern_return_t
IMPL(Conductor, Feed)
{
    OSAction * action = NULL;
    kern_return_t ret = CreateActionRoomAgain(sizeof(Feeding), &action);

    if (ret != kIOReturnSuccess) {
        return ret;
    }
    Feeding * feeding = (Feeding *)action->GetReference();
    feeding->source = source;
    feeding->left = entries;
    feeding->size = size;
    ret = source->SetDataServicedHandler(action);
    if (ret == kIOReturnSuccess) {
        feedSome(action);
    }
    action->release();  // the source has it
    return ret;
}

void
IMPL(Conductor, RoomAgain)
{
    feedSome(action);
}

void Conductor::feedSome(OSAction * action)
{
    Feeding * feeding = (Feeding *)action->GetReference();

    while (feeding->left > 0) {
        uint8_t fill = feeding->next;
        IOReturn ret = feeding->source->Enqueue((uint32_t)feeding->size, ^(void * data, size_t size) {
            memset(data, fill, size);
        });
        if (ret == kIOReturnOverrun) {
            return;     // RoomAgain comes
        }
        if (ret != kIOReturnSuccess) {
            os_log(OS_LOG_DEFAULT, "Conductor: Enqueue: 0x%x", ret);
            return;
        }
        feeding->next++;
        feeding->left--;
    }
}
