//
//  Dial.cpp
//  Dial
//
//  SPDX-License-Identifier: Apache-2.0
//

#include <Availability.h>
#include <os/log.h>
#include <time.h>

#include <DriverKit/IOUserServer.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOTimerDispatchSource.h>
#include <DriverKit/OSAction.h>

#include "Dial.h"
#include "DialUserClient.h"

#define super IOService

struct Dial_IVars
{
    int32_t                  position;
    boolean_t                stopping;      /* Mach's types come with DriverKit */
    IOTimerDispatchSource  * timer;
    OSAction               * action;
    DialUserClient         * listener;
};

bool
Dial::init()
{
    if (!super::init()) {
        return (false);
    }
    ivars = IONewZero(Dial_IVars, 1);
    return (ivars != NULL);
}

void
Dial::free()
{
    if (ivars != NULL) {
        OSSafeReleaseNULL(ivars->timer);
        OSSafeReleaseNULL(ivars->action);
        OSSafeReleaseNULL(ivars->listener);
    }
    IOSafeDeleteNULL(ivars, Dial_IVars, 1);
    super::free();
}

kern_return_t
IMPL(Dial, Start)
{
    kern_return_t      ret;
    IODispatchQueue  * queue = NULL;

    ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess) {
        goto fail;
    }
    ret = CopyDispatchQueue(kIOServiceDefaultQueueName, &queue);
    if (ret != kIOReturnSuccess) {
        goto fail;
    }
    ret = IOTimerDispatchSource::Create(queue, &ivars->timer);
    if (ret != kIOReturnSuccess) {
        goto fail;
    }
    // The method has no TYPE: the action is made by hand.
    ret = OSAction::Create(this, Dial_TimeIsUp_ID, IOTimerDispatchSource_TimerOccurred_ID, 0, &ivars->action);
    if (ret != kIOReturnSuccess) {
        goto fail;
    }
    ret = ivars->timer->SetHandler(ivars->action);
    if (ret != kIOReturnSuccess) {
        goto fail;
    }
    // On our own queue: it is done when the call returns.
    turn(3);
    if (getPosition() != 3) {
        ret = kIOReturnInternalError;
        goto fail;
    }
    OSSafeReleaseNULL(queue);
    os_log(OS_LOG_DEFAULT, "Dial: started");
    RegisterService();
    return (kIOReturnSuccess);

fail:
    OSSafeReleaseNULL(queue);
    Stop(provider, SUPERDISPATCH);
    return (ret);
}

kern_return_t
IMPL(Dial, Stop)
{
    __block _Atomic uint32_t cancelCount = 0;

    ivars->stopping = TRUE;
    if (ivars->timer != NULL) {
        ++cancelCount;
    }
    if (ivars->action != NULL) {
        ++cancelCount;
    }
    if (cancelCount == 0) {
        return (Stop(provider, SUPERDISPATCH));
    }

    void (^finalize)(void) = ^{
        if (--cancelCount == 0) {
            kern_return_t status = Stop(provider, SUPERDISPATCH);
            os_log(OS_LOG_DEFAULT, "Dial: stopped with 0x%08x", status);
            this->release();
        }
    };
    this->retain();
    if (ivars->timer != NULL) {
        ivars->timer->Cancel(finalize);
    }
    if (ivars->action != NULL) {
        ivars->action->Cancel(finalize);
    }
    return (kIOReturnSuccess);
}

kern_return_t
IMPL(Dial, NewUserClient)
{
    kern_return_t   ret;
    IOService     * client = NULL;

    ret = Create(this, "UserClientProperties", &client);
    if (ret != kIOReturnSuccess) {
        os_log(OS_LOG_DEFAULT, "Dial: no user client: 0x%08x", ret);
        return (ret);
    }
    *userClient = OSDynamicCast(IOUserClient, client);
    return ((*userClient != NULL) ? kIOReturnSuccess : kIOReturnError);
}

uint32_t
IMPL(Dial, getPosition)
{
    return ((uint32_t)ivars->position);
}

void
IMPL(Dial, turn)
{
    ivars->position += by;
}

kern_return_t
IMPL(Dial, turnLater)
{
    uint64_t deadline = clock_gettime_nsec_np(CLOCK_UPTIME_RAW) + milliseconds * NSEC_PER_MSEC;

    if (OSDynamicCast(DialUserClient, listener) == NULL) {
        return (kIOReturnBadArgument);
    }
    OSSafeReleaseNULL(ivars->listener);
    ivars->listener = OSRequiredCast(DialUserClient, listener);
    ivars->listener->retain();
    return (ivars->timer->WakeAtTime(kIOTimerClockUptimeRaw, deadline, 0));
}

void
IMPL(Dial, TimeIsUp)
{
    if (ivars->stopping) {
        return;
    }
    turn(100);
    if (ivars->listener != NULL) {
        ivars->listener->ringBell(getPosition());
    }
    OSSafeReleaseNULL(ivars->listener);
}
