//
//  NullDriverUserClient.cpp
//

#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOMemoryMap.h>
#include <DriverKit/IOUserClient.h>
#include <DriverKit/OSData.h>

#include "NullDriver.h"
#include "NullDriverUserClient.h"
#include "NullDriverTypes.h"

#define Log(fmt, ...) os_log(OS_LOG_DEFAULT, "NullDriverUserClient - " fmt "\n", ##__VA_ARGS__)

struct NullDriverUserClient_IVars {
    NullDriver* driver = nullptr;
    OSAction* callback = nullptr;
    uint64_t calls;
};

// Selector 5 has no line, and those that the driver handles by itself have lines without function.
static const IOUserClientMethodDispatch externalMethodChecks[kNullMethodCount] = {
    [kNullScalar] =
    {
        .function = (IOUserClientMethodFunction) &NullDriverUserClient::StaticHandleScalar,
        .checkCompletionExists = false,
        .checkScalarInputCount = 3,
        .checkStructureInputSize = 0,
        .checkScalarOutputCount = 2,
        .checkStructureOutputSize = 0,
    },
    [kNullScalarUnchecked] =
    {
        .function = (IOUserClientMethodFunction) &NullDriverUserClient::StaticHandleScalar,
        .checkCompletionExists = -1U,
        .checkScalarInputCount = -1U,
        .checkStructureInputSize = -1U,
        .checkScalarOutputCount = -1U,
        .checkStructureOutputSize = -1U,
    },
    [kNullStruct] =
    {
        .function = (IOUserClientMethodFunction) &NullDriverUserClient::StaticHandleStruct,
        .checkCompletionExists = false,
        .checkScalarInputCount = 0,
        .checkStructureInputSize = sizeof(NullSample),
        .checkScalarOutputCount = 0,
        .checkStructureOutputSize = sizeof(NullSample),
    },
    [kNullLargeStruct] = {
        .function = nullptr,
        .checkCompletionExists = false,
        .checkScalarInputCount = 0,
        .checkStructureInputSize = kIOUserClientVariableStructureSize,
        .checkScalarOutputCount = 0,
        .checkStructureOutputSize = kIOUserClientVariableStructureSize,
    },
    [kNullOwn] = { .function = NULL, .checkCompletionExists = false, .checkScalarInputCount = 1, .checkScalarOutputCount = 1 },
    [kNullRegister] =
    {
        .function = (IOUserClientMethodFunction) &NullDriverUserClient::StaticRegisterAsync,
        .checkCompletionExists = true,
        .checkScalarInputCount = 0,
        .checkStructureInputSize = 0,
        .checkScalarOutputCount = 0,
        .checkStructureOutputSize = 0,
    },
    [kNullAsyncStruct] =
    {
        .function = (IOUserClientMethodFunction) &NullDriverUserClient::StaticHandleAsyncStruct,
        .checkCompletionExists = true,
        .checkScalarInputCount = 0,
        .checkStructureInputSize = sizeof(NullPayload),
        .checkScalarOutputCount = 0,
        .checkStructureOutputSize = sizeof(NullPayload),
    },
    [kNullEither] = { &NullDriverUserClient::StaticHandleEither, -1U, 0, 0, 1, 0 },
    [kNullUnregister] = { nullptr, 0, 0, 0, 0, 0 },
};

bool
NullDriverUserClient::init()
{
    if (!super::init()) {
        return false;
    }

    ivars = IONewZero(NullDriverUserClient_IVars, 1);
    if (!ivars) {
        return false;
    }
    return true;
}

kern_return_t
IMPL(NullDriverUserClient, Start)
{
    kern_return_t ret = kIOReturnSuccess;

    Log("Start()");

    ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess) {
        Log("Start() - super::Start failed with error: 0x%08x.", ret);
        goto Exit;
    }

    ivars->driver = OSDynamicCast(NullDriver, provider);
    if (ivars->driver == nullptr) {
        ret = kIOReturnError;
    }

Exit:
    return ret;
}

kern_return_t
IMPL(NullDriverUserClient, Stop)
{
    Log("Stop() after %llu calls", ivars->calls);

    OSSafeReleaseNULL(ivars->callback);
    return Stop(provider, SUPERDISPATCH);
}

void
NullDriverUserClient::free(void)
{
    Log("free()");

    if (ivars != nullptr) {
        OSSafeReleaseNULL(ivars->callback);
    }
    IOSafeDeleteNULL(ivars, NullDriverUserClient_IVars, 1);
    super::free();
}

kern_return_t
NullDriverUserClient::ExternalMethod(
    uint64_t selector,
    IOUserClientMethodArguments* arguments,
    const IOUserClientMethodDispatch* dispatch,
    OSObject* target,
    void* reference)
{
    kern_return_t ret = kIOReturnSuccess;

    ivars->calls++;

    if (selector >= kNullMethodCount) {
        Log("ExternalMethod() - selector %llu is out of range.", selector);
        return kIOReturnBadArgument;
    }

    dispatch = &externalMethodChecks[selector];
    if (!target) {
        target = this;
    }
    ret = super::ExternalMethod(selector, arguments, dispatch, target, reference);
    if (ret != kIOReturnNoCompletion) {
        return ret;
    }

    // The checks were fine, and there is no function: these are handled here.
    switch (selector) {
        case kNullLargeStruct:
            return HandleLargeStruct(arguments);
        case kNullOwn:
            arguments->scalarOutput[0] = ~arguments->scalarInput[0];
            return kIOReturnSuccess;
        case kNullUnregister:
            if (!ivars->callback)
                return kIOReturnNotFound;
            OSSafeReleaseNULL(ivars->callback);
            return kIOReturnSuccess;
        default:
            return kIOReturnUnsupported;
    }
}

kern_return_t
NullDriverUserClient::StaticHandleScalar(OSObject* target, void* reference, IOUserClientMethodArguments* arguments)
{
    if (target == nullptr) {
        return kIOReturnError;
    }
    return ((NullDriverUserClient*)target)->HandleScalar(arguments);
}

kern_return_t
NullDriverUserClient::HandleScalar(IOUserClientMethodArguments* arguments)
{
    if (arguments->scalarInputCount < 3 || arguments->scalarOutputCount < 2) {
        Log("HandleScalar() - %u in and %u out are too few.", arguments->scalarInputCount, arguments->scalarOutputCount);
        return kIOReturnBadArgument;
    }
    const uint64_t *in = arguments->scalarInput;
    arguments->scalarOutput[0] = in[0] + in[1] + in[2];
    arguments->scalarOutput[1] = in[0] * in[1] * in[2];
    arguments->scalarOutputCount = 2;
    return kIOReturnSuccess;
}

kern_return_t
NullDriverUserClient::StaticHandleStruct(OSObject* target, void* reference, IOUserClientMethodArguments* arguments)
{
    if (target == nullptr) {
        return kIOReturnError;
    }
    return ((NullDriverUserClient*)target)->HandleStruct(arguments);
}

kern_return_t
NullDriverUserClient::HandleStruct(IOUserClientMethodArguments* arguments)
{
    NullSample output = {};

    if (arguments->structureInput == nullptr) {
        return kIOReturnBadArgument;
    }
    const NullSample* input = (const NullSample*)arguments->structureInput->getBytesNoCopy();

    output.foo = input->foo + 1;
    output.bar = input->bar + 10;
    arguments->structureOutput = OSData::withBytes(&output, sizeof(NullSample));
    return arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
NullDriverUserClient::HandleLargeStruct(IOUserClientMethodArguments* arguments)
{
    kern_return_t ret = kIOReturnSuccess;
    IOMemoryMap* inputMap = nullptr;
    IOMemoryMap* outputMap = nullptr;
    const uint8_t* input = nullptr;
    uint8_t* output = nullptr;
    uint64_t length = 0;

    if (arguments->structureInputDescriptor == nullptr || arguments->structureOutputDescriptor == nullptr) {
        Log("HandleLargeStruct() - a descriptor is missing; did the caller pass less than 4097 bytes?");
        ret = kIOReturnBadArgument;
        goto Exit;
    }

    ret = arguments->structureInputDescriptor->CreateMapping(0, 0, 0, 0, 0, &inputMap);
    if (ret != kIOReturnSuccess) {
        Log("HandleLargeStruct() - Failed to map the input with error: 0x%08x.", ret);
        goto Exit;
    }
    ret = arguments->structureOutputDescriptor->CreateMapping(0, 0, 0, 0, 0, &outputMap);
    if (ret != kIOReturnSuccess) {
        Log("HandleLargeStruct() - Failed to map the output with error: 0x%08x.", ret);
        goto Exit;
    }

    length = inputMap->GetLength();
    if (outputMap->GetLength() < length || arguments->structureOutputMaximumSize < length) {
        ret = kIOReturnNoSpace;
        goto Exit;
    }
    input = reinterpret_cast<const uint8_t*>(inputMap->GetAddress());
    output = reinterpret_cast<uint8_t*>(outputMap->GetAddress());
    for (uint64_t i = 0; i < length; i++) {
        output[i] = (uint8_t)~input[i];
    }

Exit:
    OSSafeReleaseNULL(inputMap);
    OSSafeReleaseNULL(outputMap);
    return ret;
}

kern_return_t
NullDriverUserClient::StaticHandleEither(OSObject* target, void* reference, IOUserClientMethodArguments* arguments)
{
    arguments->scalarOutput[0] = arguments->completion != nullptr;
    if (arguments->completion) {
        ((NullDriverUserClient*)target)->AsyncCompletion(arguments->completion, kIOReturnSuccess, nullptr, 0);
    }
    return kIOReturnSuccess;
}

kern_return_t
NullDriverUserClient::StaticRegisterAsync(OSObject* target, void* reference, IOUserClientMethodArguments* arguments)
{
    if (target == nullptr) {
        return kIOReturnError;
    }
    return ((NullDriverUserClient*)target)->RegisterAsync(reference, arguments);
}

kern_return_t
NullDriverUserClient::RegisterAsync(void* reference, IOUserClientMethodArguments* arguments)
{
    Log("RegisterAsync()");

    if (arguments->completion == nullptr) {
        return kIOReturnBadArgument;
    }
    // A second one takes the first one's place.
    OSSafeReleaseNULL(ivars->callback);
    ivars->callback = arguments->completion;
    ivars->callback->retain();
    return kIOReturnSuccess;
}

kern_return_t
NullDriverUserClient::StaticHandleAsyncStruct(OSObject* target, void* reference, IOUserClientMethodArguments* arguments)
{
    if (target == nullptr) {
        return kIOReturnError;
    }
    return ((NullDriverUserClient*)target)->HandleAsyncStruct(arguments);
}

kern_return_t
NullDriverUserClient::HandleAsyncStruct(IOUserClientMethodArguments* arguments)
{
    NullPayload payload = {};
    IOUserClientAsyncArgumentsArray values = {};

    if (ivars->callback == nullptr) {
        Log("HandleAsyncStruct() - nobody has registered.");
        return kIOReturnNotReady;
    }
    if (arguments->structureInput == nullptr) {
        return kIOReturnBadArgument;
    }
    memcpy(&payload, arguments->structureInput->getBytesNoCopy(), sizeof(payload));

    // What is asked comes back reversed at once; what was registered gets it as it is, eight values of 64 bit.
    memcpy(values, &payload, sizeof(payload));
    AsyncCompletion(ivars->callback, kIOReturnSuccess, values, kNullPayloadValues);
    AsyncCompletion(arguments->completion, kIOReturnSuccess, values, 1);

    for (size_t i = 0; i < 8; i++) {
        uint32_t word = payload.words[i];
        payload.words[i] = payload.words[15 - i];
        payload.words[15 - i] = word;
    }
    arguments->structureOutput = OSData::withBytes(&payload, sizeof(payload));
    return kIOReturnSuccess;
}
