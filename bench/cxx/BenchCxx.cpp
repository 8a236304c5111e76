/* SPDX-License-Identifier: Apache-2.0 */
/* benchcxx: kBenchScalar to kBenchStream and kBenchMemory of ../driver/bench-driver.h. */
#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOUserServer.h>

#include "BenchCxx.h"
#include "bench/driver/bench-driver.h"

struct BenchCxxUserClient_IVars {
    uint64_t calls;
    IOBufferMemoryDescriptor * memory;
};

kern_return_t IMPL(benchcxx, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    return ret == kIOReturnSuccess ? RegisterService() : ret;
}

kern_return_t IMPL(benchcxx, NewUserClient)
{
    IOService * client = nullptr;
    kern_return_t ret = type == kBenchDirect ? Create(this, "UserClientProperties", &client) : kIOReturnUnsupported;
    if (ret == kIOReturnSuccess) {
        *userClient = OSDynamicCast(IOUserClient, client);
    }
    return ret;
}

bool BenchCxxUserClient::init()
{
    if (!super::init()) {
        return false;
    }
    ivars = IONewZero(BenchCxxUserClient_IVars, 1);
    return ivars != nullptr;
}

void BenchCxxUserClient::free()
{
    if (ivars != nullptr) {
        OSSafeReleaseNULL(ivars->memory);
    }
    IOSafeDeleteNULL(ivars, BenchCxxUserClient_IVars, 1);
    super::free();
}

kern_return_t BenchCxxUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments * arguments,
                                                 const IOUserClientMethodDispatch * dispatch, OSObject * target, void * reference)
{
    static const IOUserClientMethodDispatch table[] = {
        /* kBenchScalar */ { &BenchCxxUserClient::StaticScalar, 0, 2, 0, 2, 0 },
        /* kBenchStruct */ { &BenchCxxUserClient::StaticStruct, 0, 0, kBenchPage, 0, kBenchPage },
        /* kBenchMade */ { &BenchCxxUserClient::StaticMade, 0, 0, kBenchPage, 0, kBenchPage },
        /* kBenchStream */ { &BenchCxxUserClient::StaticStream, 1, 1, 0, 0, 0 },
    };
    if (selector < sizeof(table) / sizeof(table[0])) {
        dispatch = &table[selector];
        target = this;
    }
    return super::ExternalMethod(selector, arguments, dispatch, target, reference);
}

kern_return_t IMPL(BenchCxxUserClient, CopyClientMemoryForType)
{
    kern_return_t ret = kIOReturnSuccess;
    if (type != kBenchMemory) {
        return kIOReturnUnsupported;
    }
    if (ivars->memory == nullptr) {
        ret = IOBufferMemoryDescriptor::Create(kIOMemoryDirectionInOut, kBenchPage, 0, &ivars->memory);
    }
    if (ret == kIOReturnSuccess) {
        ivars->memory->retain();
        *memory = ivars->memory;
    }
    return ret;
}

kern_return_t BenchCxxUserClient::StaticScalar(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
    BenchCxxUserClient * self = OSDynamicCast(BenchCxxUserClient, target);
    if (self == nullptr) {
        return kIOReturnError;
    }
    return self->Scalar(arguments);
}

kern_return_t BenchCxxUserClient::Scalar(IOUserClientMethodArguments * arguments)
{
    ivars->calls++;
    arguments->scalarOutput[0] = arguments->scalarInput[1];
    arguments->scalarOutput[1] = arguments->scalarInput[0];
    return kIOReturnSuccess;
}

kern_return_t BenchCxxUserClient::StaticStruct(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
    arguments->structureInput->retain();
    arguments->structureOutput = arguments->structureInput;
    return kIOReturnSuccess;
}

kern_return_t BenchCxxUserClient::StaticMade(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
    arguments->structureOutput = OSData::withBytes(arguments->structureInput->getBytesNoCopy(), kBenchPage);
    return arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t BenchCxxUserClient::StaticStream(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
    BenchCxxUserClient * self = OSDynamicCast(BenchCxxUserClient, target);
    return self != nullptr ? self->Stream(arguments) : kIOReturnError;
}

kern_return_t BenchCxxUserClient::Stream(IOUserClientMethodArguments * arguments)
{
    for (uint64_t i = 0; i < arguments->scalarInput[0]; i++) {
        AsyncCompletion(arguments->completion, kIOReturnSuccess, &i, 1);
    }
    return kIOReturnSuccess;
}
