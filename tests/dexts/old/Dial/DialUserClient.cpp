//
//  DialUserClient.cpp
//  Dial
//
//  SPDX-License-Identifier: Apache-2.0
//

#include <Availability.h>
#include <TargetConditionals.h>
#include <os/log.h>
#include <string.h>

#include <DriverKit/IOLib.h>
#include <DriverKit/IOMemoryMap.h>
#include <DriverKit/OSData.h>

#include "Dial.h"
#include "DialUserClient.h"
#include "DialShared.h"

#define super IOUserClient

#define LOG_PREFIX "DialUserClient: "

struct DialUserClient_IVars
{
    Dial      * dial;
    OSAction  * bell;
};

bool
DialUserClient::init()
{
    if (!super::init()) {
        return (false);
    }
    ivars = IONewZero(DialUserClient_IVars, 1);
    return (ivars != NULL);
}

void
DialUserClient::free()
{
    if (ivars != NULL) {
        OSSafeReleaseNULL(ivars->bell);
    }
    IOSafeDeleteNULL(ivars, DialUserClient_IVars, 1);
    super::free();
}

kern_return_t
IMPL(DialUserClient, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);

    if (ret == kIOReturnSuccess) {
        ivars->dial = OSDynamicCast(Dial, provider);
        ret = (ivars->dial != NULL) ? kIOReturnSuccess : kIOReturnBadArgument;
    }
    return (ret);
}

kern_return_t
IMPL(DialUserClient, Stop)
{
    OSSafeReleaseNULL(ivars->bell);
    return (Stop(provider, SUPERDISPATCH));
}

void
DialUserClient::ringBell(uint64_t position)
{
    DialPayload                     payload;
    IOUserClientAsyncArgumentsArray asyncData = { 0 };

    if (ivars->bell == NULL) {
        return;
    }
    bzero(&payload, sizeof(payload));
    payload.version = 1;
    payload.position = (uint32_t)position;
    strlcpy(payload.message, "time is up", sizeof(payload.message));
    memcpy(asyncData, &payload, sizeof(payload));
    AsyncCompletion(ivars->bell, kIOReturnSuccess, asyncData, sizeof(payload) / sizeof(uint64_t));
}

static void
addPosition(DialStruct * structs, size_t count, uint64_t position)
{
    for (size_t i = 0; i < count; i++) {
        structs[i].foo += position;
        structs[i].bar += position;
    }
}

static kern_return_t
largeStruct(IOUserClientMethodArguments * arguments, uint64_t position)
{
    IOMemoryMap      * input = NULL;
    IOMemoryMap      * output = NULL;
    kern_return_t      ret = kIOReturnBadArgument;

    if (arguments->structureInputDescriptor == NULL || arguments->structureOutputDescriptor == NULL) {
        return (ret);
    }
    ret = arguments->structureInputDescriptor->CreateMapping(0, 0, 0, 0, 0, &input);
    if (ret == kIOReturnSuccess) {
        ret = arguments->structureOutputDescriptor->CreateMapping(0, 0, 0, 0, 0, &output);
    }
    if (ret == kIOReturnSuccess && (input->GetLength() != sizeof(DialLargeStruct) || output->GetLength() != sizeof(DialLargeStruct))) {
        ret = kIOReturnBadArgument;
    }
    if (ret == kIOReturnSuccess) {
        bcopy((const void *)input->GetAddress(), (void *)output->GetAddress(), sizeof(DialLargeStruct));
        addPosition(((DialLargeStruct *)output->GetAddress())->many, 300, position);
    }
    OSSafeReleaseNULL(output);
    OSSafeReleaseNULL(input);
    return (ret);
}

kern_return_t
DialUserClient::ExternalMethod(
    uint64_t                             selector,
    IOUserClientMethodArguments        * arguments,
    const IOUserClientMethodDispatch   * dispatch,
    OSObject                           * target,
    void                               * reference)
{
    kern_return_t ret = kIOReturnSuccess;
    DialStruct    one;

    switch (selector) {
    case kDialScalar:
        if (arguments->scalarInputCount != 1 || arguments->scalarOutputCount != 1) {
            return (kIOReturnBadArgument);
        }
        ivars->dial->turn((int32_t)arguments->scalarInput[0]);
        arguments->scalarOutput[0] = ivars->dial->getPosition();
        break;

    case kDialStruct:
        if (arguments->structureInput == NULL || arguments->structureInput->getLength() != sizeof(one)) {
            return (kIOReturnBadArgument);
        }
        bcopy(arguments->structureInput->getBytesNoCopy(), &one, sizeof(one));
        addPosition(&one, 1, ivars->dial->getPosition());
        arguments->structureOutput = OSData::withBytes(&one, sizeof(one));
        break;

    case kDialLarge:
        ret = largeStruct(arguments, ivars->dial->getPosition());
        break;

    case kDialRegister:
        if (arguments->completion == NULL) {
            return (kIOReturnBadArgument);
        }
        OSSafeReleaseNULL(ivars->bell);
        ivars->bell = arguments->completion;
        ivars->bell->retain();
        break;

    case kDialLater:
        if (arguments->scalarInputCount != 1) {
            return (kIOReturnBadArgument);
        }
        ret = ivars->dial->turnLater(this, arguments->scalarInput[0]);
        break;

    case kDialError:
        if (arguments->scalarInputCount != 1) {
            return (kIOReturnBadArgument);
        }
        return ((kern_return_t)arguments->scalarInput[0]);

    default:
        os_log(OS_LOG_DEFAULT, LOG_PREFIX "no selector %llu", (unsigned long long)selector);
        ret = super::ExternalMethod(selector, arguments, dispatch, target, reference);
        break;
    }
    return (ret);
}
