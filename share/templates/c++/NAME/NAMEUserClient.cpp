#include <DriverKit/IODispatchQueue.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/OSData.h>

#include "NAMEShared.h"
#include "NAMEUserClient.h"

// Methods of one object run on its queue, one at a time: what only they touch needs no lock.
struct NAMEUserClient_IVars {
        OSAction * completion;          // the application's, while we count down
        uint64_t left;
};

// Each call is compared with its line before the function runs.
static const IOUserClientMethodDispatch methods[kNAMESelectors] = {
        [kNAMEAdd] = {
                .function = NAMEUserClient::Add,
                .checkCompletionExists = false,
                .checkScalarInputCount = 2,
                .checkStructureInputSize = 0,
                .checkScalarOutputCount = 1,
                .checkStructureOutputSize = 0,
        },
        [kNAMESummarize] = {
                .function = NAMEUserClient::Summarize,
                .checkCompletionExists = false,
                .checkScalarInputCount = 0,
                .checkStructureInputSize = sizeof(NAMENumbers),
                .checkScalarOutputCount = 0,
                .checkStructureOutputSize = sizeof(NAMESummary),
        },
        [kNAMECountDown] = {
                .function = NAMEUserClient::CountDown,
                .checkCompletionExists = true,
                .checkScalarInputCount = 1,
                .checkStructureInputSize = 0,
                .checkScalarOutputCount = 0,
                .checkStructureOutputSize = 0,
        },
};

bool
NAMEUserClient::init()
{
        if (!super::init()) {
                return false;
        }
        ivars = IONewZero(NAMEUserClient_IVars, 1);
        return ivars != nullptr;
}

void
NAMEUserClient::free()
{
        if (ivars) {
                OSSafeReleaseNULL(ivars->completion);
        }
        IOSafeDeleteNULL(ivars, NAMEUserClient_IVars, 1);
        super::free();
}

kern_return_t
NAMEUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments * arguments,
                               const IOUserClientMethodDispatch * dispatch, OSObject * target, void * reference)
{
        if (selector >= kNAMESelectors) {
                return kIOReturnBadArgument;
        }
        return super::ExternalMethod(selector, arguments, &methods[selector], this, reference);
}

kern_return_t
NAMEUserClient::Add(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
        arguments->scalarOutput[0] = arguments->scalarInput[0] + arguments->scalarInput[1];
        return kIOReturnSuccess;
}

kern_return_t
NAMEUserClient::Summarize(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
        const NAMENumbers * in = static_cast<const NAMENumbers *>(arguments->structureInput->getBytesNoCopy());
        NAMESummary out = { 0, UINT64_MAX, 0 };

        // The table has compared the sizes. What is inside comes from the application: look before you use it.
        if (in->count == 0 || in->count > kNAMENumbersMost) {
                return kIOReturnBadArgument;
        }
        for (uint32_t i = 0; i < in->count; i++) {
                out.sum += in->values[i];
                out.least = in->values[i] < out.least ? in->values[i] : out.least;
                out.most = in->values[i] > out.most ? in->values[i] : out.most;
        }
        arguments->structureOutput = OSData::withBytes(&out, sizeof(out));      // the caller releases it
        return arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
NAMEUserClient::CountDown(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
        return static_cast<NAMEUserClient *>(target)->StartCounting(arguments->scalarInput[0], arguments->completion);
}

kern_return_t
NAMEUserClient::StartCounting(uint64_t from, OSAction * completion)
{
        IODispatchQueue * queue = nullptr;
        kern_return_t ret;

        if (from == 0 || from > kNAMECountMost) {
                return kIOReturnBadArgument;
        }
        if (ivars->completion) {
                return kIOReturnBusy;
        }
        ret = CopyDispatchQueue(kIOServiceDefaultQueueName, &queue);
        if (ret != kIOReturnSuccess) {
                return ret;
        }
        ivars->left = from;
        ivars->completion = completion;
        completion->retain();           // otherwise it is gone when the call returns
        // Runs when the call has returned. What reaches a queue first runs first: before Stop, so the client is still there.
        queue->DispatchAsync(^{
                while (ivars->left-- > 0) {
                        IOUserClientAsyncArgumentsArray values = { ivars->left };
                        AsyncCompletion(ivars->completion, kIOReturnSuccess, values, 1);
                }
                OSSafeReleaseNULL(ivars->completion);
        });
        queue->release();
        return kIOReturnSuccess;
}
