// KeeperUserClient.cpp
// SPDX-License-Identifier: Apache-2.0

#include <string.h>
#include <os/log.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IODMACommand.h>
#include <DriverKit/IODispatchQueue.h>
#include <DriverKit/IOMemoryMap.h>
#include <DriverKit/OSData.h>
#include <DriverKit/OSAction.h>

#include "Keeper.h"
#include "KeeperKeys.h"

struct KeeperUserClient_IVars
{
    IOMemoryDescriptor * input  = nullptr;
    IOMemoryDescriptor * output = nullptr;
    IOMemoryMap *        view   = nullptr;   // of the input, made when it was kept
    IODMACommand *       command = nullptr;
};

bool KeeperUserClient::init()
{
    if (!super::init())
        return false;
    ivars = IONewZero(KeeperUserClient_IVars, 1);
    return ivars != nullptr;
}

void KeeperUserClient::free()
{
    if (ivars != nullptr)
    {
        drop();
        OSSafeReleaseNULL(ivars->command);
        IOSafeDeleteNULL(ivars, KeeperUserClient_IVars, 1);
    }
    super::free();
}

kern_return_t KeeperUserClient::Start_Impl(IOService * provider)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    if (ret == kIOReturnSuccess)
    {
        IODMACommandSpecification specification = {
            .options = kIODMACommandSpecificationNoOptions,
            .maxAddressBits = 64,
        };
        ret = IODMACommand::Create(provider, kIODMACommandCreateNoOptions, &specification, &ivars->command);
    }
    return ret;
}

kern_return_t KeeperUserClient::Stop_Impl(IOService * provider)
{
    drop();
    return Stop(provider, SUPERDISPATCH);
}

void KeeperUserClient::drop()
{
    OSSafeReleaseNULL(ivars->view);
    OSSafeReleaseNULL(ivars->input);
    OSSafeReleaseNULL(ivars->output);
}

// No table: the class looks at everything by itself.
kern_return_t KeeperUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments * arguments,
                                               const IOUserClientMethodDispatch * dispatch, OSObject * target, void * reference)
{
    switch (selector)
    {
    case kKeeperSizes:   return handleSizes(arguments);
    case kKeeperHold:    return handleHold(arguments);
    case kKeeperFill:    return handleFill(arguments);
    case kKeeperSum:     return handleSum(arguments);
    case kKeeperDrop:    drop(); return kIOReturnSuccess;
    case kKeeperReach:   return handleReach(arguments);
    case kKeeperReverse: {
        // Here a table's entry does the checks, and the driver goes on by itself.
        const IOUserClientMethodDispatch any = { nullptr, 0, 0, kIOUserClientVariableStructureSize, 0, kIOUserClientVariableStructureSize };
        kern_return_t ret = super::ExternalMethod(selector, arguments, &any, this, nullptr);
        return ret == kIOReturnNoCompletion ? handleReverse(arguments) : ret;
    }
    case kKeeperTooMuch: {
        uint8_t bytes[64] = { 0 };
        if (arguments->structureOutputMaximumSize >= sizeof(bytes))
            return kIOReturnBadArgument;
        arguments->structureOutput = OSData::withBytes(bytes, arguments->structureOutputMaximumSize + 1);
        return kIOReturnSuccess;
    }
    case kKeeperLate:    return handleLate(arguments);
    default:             return super::ExternalMethod(selector, arguments, dispatch, target, reference);
    }
}

kern_return_t KeeperUserClient::handleSizes(IOUserClientMethodArguments * arguments)
{
    KeeperSizes sizes = {};

    if (arguments->structureInput != nullptr)
        sizes.inline_input = arguments->structureInput->getLength();
    if (arguments->structureInputDescriptor != nullptr)
        arguments->structureInputDescriptor->GetLength(&sizes.described_input);
    if (arguments->structureOutputDescriptor != nullptr)
        arguments->structureOutputDescriptor->GetLength(&sizes.described_output);
    sizes.maximum_output = arguments->structureOutputMaximumSize;
    sizes.completion = arguments->completion != nullptr;
    if (arguments->scalarOutputCount < sizeof(sizes) / sizeof(uint64_t))
        return kIOReturnBadArgument;
    memcpy(arguments->scalarOutput, &sizes, sizeof(sizes));
    arguments->scalarOutputCount = sizeof(sizes) / sizeof(uint64_t);
    return kIOReturnSuccess;
}

kern_return_t KeeperUserClient::handleHold(IOUserClientMethodArguments * arguments)
{
    kern_return_t ret = kIOReturnSuccess;

    if (arguments->structureOutputDescriptor == nullptr)
        return kIOReturnBadArgument;
    drop();
    ivars->output = arguments->structureOutputDescriptor;
    ivars->output->retain();
    if (arguments->structureInputDescriptor != nullptr)
    {
        ivars->input = arguments->structureInputDescriptor;
        ivars->input->retain();
        ret = ivars->input->CreateMapping(kIOMemoryMapReadOnly, 0, 0, 0, 0, &ivars->view);
    }
    return ret;
}

kern_return_t KeeperUserClient::fillByMapping(uint8_t byte)
{
    IOMemoryMap * map = nullptr;
    kern_return_t ret = ivars->output->CreateMapping(0, 0, 0, 0, 0, &map);

    if (ret == kIOReturnSuccess)
        memset(reinterpret_cast<void *>(map->GetAddress()), byte, map->GetLength());
    OSSafeReleaseNULL(map);
    return ret;
}

// As a device would: by the addresses of the segments.
kern_return_t KeeperUserClient::fillByAddresses(uint8_t byte)
{
    uint64_t flags = 0, total = 0, length = 0, offset = 1, prepared = 0;
    uint32_t count = 32;
    IOAddressSegment segments[32] = {};
    IOMemoryDescriptor * memory = nullptr;
    kern_return_t ret = ivars->command->PrepareForDMA(kIODMACommandPrepareForDMANoOptions, ivars->output, 0, 0, &flags, &count, segments);

    if (ret != kIOReturnSuccess)
        return ret;
    for (uint32_t i = 0; i < count; ++i)
    {
        memset(reinterpret_cast<void *>(segments[i].address), byte, segments[i].length);
        total += segments[i].length;
    }
    ivars->output->GetLength(&length);
    ret = ivars->command->GetPreparation(&offset, &prepared, &memory);
    if (ret == kIOReturnSuccess && (total != length || prepared != length || offset != 0 || memory != ivars->output ||
                                    !(flags & kIOMemoryDirectionIn)))
        ret = kIOReturnInternalError;
    OSSafeReleaseNULL(memory);
    kern_return_t completed = ivars->command->CompleteDMA(kIODMACommandCompleteDMANoOptions);
    return ret != kIOReturnSuccess ? ret : completed;
}

// From a buffer of our own into what is prepared.
kern_return_t KeeperUserClient::fillByOperation(uint8_t byte)
{
    IOBufferMemoryDescriptor * source = nullptr;
    IOAddressSegment range = {}, segments[32];
    uint64_t flags = 0, length = 0;
    uint32_t count = 32;
    kern_return_t ret = ivars->output->GetLength(&length);

    if (ret == kIOReturnSuccess)
        ret = IOBufferMemoryDescriptor::Create(kIOMemoryDirectionInOut, length, 0, &source);
    if (ret == kIOReturnSuccess)
        ret = source->GetAddressRange(&range);
    if (ret == kIOReturnSuccess)
    {
        memset((void *)range.address, byte, range.length);
        ret = ivars->command->PrepareForDMA(0, ivars->output, 0, length, &flags, &count, segments);
    }
    if (ret == kIOReturnSuccess)
    {
        ret = ivars->command->PerformOperation(kIODMACommandPerformOperationOptionWrite, 0, length, 0, source);
        ivars->command->CompleteDMA(0);
    }
    OSSafeReleaseNULL(source);
    return ret;
}

kern_return_t KeeperUserClient::handleFill(IOUserClientMethodArguments * arguments)
{
    if (arguments->scalarInputCount != 2)
        return kIOReturnBadArgument;
    if (ivars->output == nullptr)
        return kIOReturnNotReady;
    uint8_t byte = static_cast<uint8_t>(arguments->scalarInput[0]);
    switch (arguments->scalarInput[1])
    {
    case 0:  return fillByMapping(byte);
    case 1:  return fillByAddresses(byte);
    case 2:  return fillByOperation(byte);
    default: return kIOReturnBadArgument;
    }
}

kern_return_t KeeperUserClient::handleSum(IOUserClientMethodArguments * arguments)
{
    if (ivars->view == nullptr || arguments->scalarOutputCount < 2)
        return kIOReturnNotReady;
    const uint8_t * bytes = reinterpret_cast<const uint8_t *>(ivars->view->GetAddress());
    arguments->scalarOutput[0] = ivars->view->GetLength();
    arguments->scalarOutput[1] = 0;
    for (uint64_t i = 0; i < ivars->view->GetLength(); i++)
        arguments->scalarOutput[1] += bytes[i];
    arguments->scalarOutputCount = 2;
    return kIOReturnSuccess;
}

static void turnAround(uint8_t * bytes, uint64_t length)
{
    for (uint64_t i = 0; i < length / 2; i++)
    {
        uint8_t byte = bytes[i];
        bytes[i] = bytes[length - 1 - i];
        bytes[length - 1 - i] = byte;
    }
}

// Addresses of the application's, inside a structure.
kern_return_t KeeperUserClient::handleReach(IOUserClientMethodArguments * arguments)
{
    IOMemoryDescriptor * memory = nullptr;
    IOMemoryMap * map = nullptr;
    const KeeperReach * reach;
    IOAddressSegment segments[32] = {};
    uint32_t count = 0;

    if (arguments->structureInput == nullptr || arguments->structureInput->getLength() != sizeof(KeeperReach))
        return kIOReturnBadArgument;
    reach = static_cast<const KeeperReach *>(arguments->structureInput->getBytesNoCopy());
    for (const auto & piece : reach->piece)
    {
        if (piece.length == 0)
            continue;
        segments[count].address = piece.address;
        segments[count++].length = piece.length;
    }
    uint64_t options = kIOMemoryDirectionInOut | (reach->share ? kIOMemoryDisableCopyOnWrite : 0);
    kern_return_t ret = CreateMemoryDescriptorFromClient(options, count, segments, &memory);
    if (ret == kIOReturnSuccess)
        ret = memory->CreateMapping(0, 0, 0, 0, 0, &map);
    if (ret == kIOReturnSuccess)
        turnAround(reinterpret_cast<uint8_t *>(map->GetAddress()), map->GetLength());
    OSSafeReleaseNULL(map);
    OSSafeReleaseNULL(memory);
    return ret;
}

kern_return_t KeeperUserClient::handleReverse(IOUserClientMethodArguments * arguments)
{
    uint8_t bytes[4096];
    OSData * input = arguments->structureInput;

    if (input == nullptr || input->getLength() > sizeof(bytes) || input->getLength() > arguments->structureOutputMaximumSize)
        return kIOReturnBadArgument;
    memcpy(bytes, input->getBytesNoCopy(), input->getLength());
    turnAround(bytes, input->getLength());
    arguments->structureOutput = OSData::withBytes(bytes, input->getLength());
    return arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

// The call returns first; then the output is filled, then the application hears of it.
kern_return_t KeeperUserClient::handleLate(IOUserClientMethodArguments * arguments)
{
    IODispatchQueue * queue = nullptr;
    OSAction * completion = arguments->completion;
    IOMemoryDescriptor * output = arguments->structureOutputDescriptor;
    const uint8_t byte = arguments->scalarInputCount > 0 ? (uint8_t)arguments->scalarInput[0] : 0;

    if (completion == nullptr || output == nullptr)
        return kIOReturnBadArgument;
    kern_return_t ret = CopyDispatchQueue(kIOServiceDefaultQueueName, &queue);
    if (ret != kIOReturnSuccess)
        return ret;
    completion->retain();
    output->retain();
    retain();
    queue->DispatchAsync(^{
        IOMemoryMap * map = nullptr;
        IOUserClientAsyncArgumentsArray values = { 0 };
        kern_return_t status = output->CreateMapping(0, 0, 0, 0, 0, &map);
        if (status == kIOReturnSuccess)
        {
            memset((void *)map->GetAddress(), byte, map->GetLength());
            values[0] = map->GetLength();
            map->release();
        }
        output->release();
        AsyncCompletion(completion, status, values, 1);
        completion->release();
        release();
    });
    queue->release();
    return kIOReturnSuccess;
}
