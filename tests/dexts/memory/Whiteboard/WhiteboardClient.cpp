//
//  WhiteboardClient.cpp
//
//  SPDX-License-Identifier: Apache-2.0
//

#include <string.h>
#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IOMemoryDescriptor.h>
#include <DriverKit/IOMemoryMap.h>
#include <DriverKit/OSData.h>

#include "WhiteboardClient.h"
#include "WhiteboardShared.h"

#define Log(fmt, ...) os_log(OS_LOG_DEFAULT, "WhiteboardClient::%s - " fmt, __FUNCTION__, ##__VA_ARGS__)

struct WhiteboardClient_IVars {
    Whiteboard               *provider;
    IOMemoryDescriptor       *memory[kWhiteboardTypes];     // what clients map, the same object each time
    IOBufferMemoryDescriptor *tail;                         // the end of the joined one
    uint8_t                  *address[kWhiteboardTypes];
};

static const IOUserClientMethodDispatch sMethods[kWhiteboardSelectors] = {
    [kWhiteboardPeek] = {
        .function = (IOUserClientMethodFunction) &WhiteboardClient::StaticPeek,
        .checkCompletionExists = false,
        .checkScalarInputCount = 2,
        .checkStructureInputSize = 0,
        .checkScalarOutputCount = 1,
        .checkStructureOutputSize = 0,
    },
    [kWhiteboardPoke] = {
        .function = (IOUserClientMethodFunction) &WhiteboardClient::StaticPoke,
        .checkCompletionExists = false,
        .checkScalarInputCount = 3,
        .checkStructureInputSize = 0,
        .checkScalarOutputCount = 0,
        .checkStructureOutputSize = 0,
    },
    [kWhiteboardResize] = {
        .function = (IOUserClientMethodFunction) &WhiteboardClient::StaticResize,
        .checkCompletionExists = false,
        .checkScalarInputCount = 1,
        .checkStructureInputSize = 0,
        .checkScalarOutputCount = 1,
        .checkStructureOutputSize = 0,
    },
    [kWhiteboardInspect] = {
        .function = (IOUserClientMethodFunction) &WhiteboardClient::StaticInspect,
        .checkCompletionExists = false,
        .checkScalarInputCount = 0,
        .checkStructureInputSize = 0,
        .checkScalarOutputCount = 0,
        .checkStructureOutputSize = sizeof(WhiteboardFacts),
    },
    [kWhiteboardRefuse] = {
        .function = (IOUserClientMethodFunction) &WhiteboardClient::StaticRefuse,
        .checkCompletionExists = false,
        .checkScalarInputCount = 0,
        .checkStructureInputSize = 0,
        .checkScalarOutputCount = kRefuses,
        .checkStructureOutputSize = 0,
    },
};

bool
WhiteboardClient::init(void)
{
    if (!super::init()) return false;
    ivars = IONewZero(WhiteboardClient_IVars, 1);
    return ivars != NULL;
}

void
WhiteboardClient::free(void)
{
    if (ivars) {
        for (int i = 0; i < kWhiteboardTypes; i++)
            OSSafeReleaseNULL(ivars->memory[i]);
        OSSafeReleaseNULL(ivars->tail);
    }
    IOSafeDeleteNULL(ivars, WhiteboardClient_IVars, 1);
    super::free();
}

kern_return_t
WhiteboardClient::Start_Impl(IOService *provider)
{
    kern_return_t ret = super::Start(provider, SUPERDISPATCH);

    if (ret != kIOReturnSuccess)
        return ret;
    ivars->provider = OSDynamicCast(Whiteboard, provider);
    if (!ivars->provider)
        return kIOReturnBadArgument;
    ret = makeBuffers();
    if (ret != kIOReturnSuccess)
        Log("no buffers: 0x%x", ret);
    return ret;
}

kern_return_t
WhiteboardClient::Stop_Impl(IOService *provider)
{
    return super::Stop(provider, SUPERDISPATCH);
}

/* Of a buffer: the driver's own view. Of others: Map, whose mapping the descriptor keeps. */
static uint8_t * viewOf(IOMemoryDescriptor *memory)
{
    uint64_t address = 0, length = 0;

    if (IOBufferMemoryDescriptor *buffer = OSDynamicCast(IOBufferMemoryDescriptor, memory)) {
        IOAddressSegment range = { 0, 0 };
        return buffer->GetAddressRange(&range) == kIOReturnSuccess ? reinterpret_cast<uint8_t *>(range.address) : nullptr;
    }
    return memory->Map(0, 0, 0, 0, &address, &length) == kIOReturnSuccess ? reinterpret_cast<uint8_t *>(address) : nullptr;
}

kern_return_t
WhiteboardClient::makeBuffers()
{
    static const struct { int type; uint64_t options; uint64_t capacity; } wanted[] = {
        { kWhiteboardOwn, kIOMemoryDirectionInOut, 5000 },
        { kWhiteboardReadOnly, kIOMemoryDirectionInOut, kWhiteboardPage },
        { kWhiteboardOut, kIOMemoryDirectionOut, kWhiteboardPage },
    };
    kern_return_t ret = kIOReturnSuccess;

    ivars->memory[kWhiteboardBoard] = ivars->provider->copyBoard();
    for (auto & one : wanted) {
        IOBufferMemoryDescriptor *buffer = nullptr;
        ret = IOBufferMemoryDescriptor::Create(one.options, one.capacity, 0, &buffer);
        if (ret != kIOReturnSuccess)
            return ret;
        ivars->memory[one.type] = buffer;
    }
    ret = ivars->provider->copyPage(1, &ivars->memory[kWhiteboardSecondPage]);
    if (ret == kIOReturnSuccess)
        ret = IOBufferMemoryDescriptor::Create(kIOMemoryDirectionInOut, kWhiteboardPage, 0, &ivars->tail);
    if (ret != kIOReturnSuccess)
        return ret;
    IOMemoryDescriptor *const parts[32] = { ivars->memory[kWhiteboardBoard], ivars->tail };
    ret = IOMemoryDescriptor::CreateWithMemoryDescriptors(kIOMemoryDirectionInOut, 2, parts, &ivars->memory[kWhiteboardJoined]);
    for (int i = 0; i < kWhiteboardTypes && ret == kIOReturnSuccess; i++) {
        ivars->address[i] = viewOf(ivars->memory[i]);
        if (!ivars->address[i])
            ret = kIOReturnVMError;
    }
    return ret;
}

kern_return_t
WhiteboardClient::CopyClientMemoryForType_Impl(uint64_t type, uint64_t *options, IOMemoryDescriptor **memory)
{
    if (type >= kWhiteboardTypes)
        return kIOReturnNoDevice;
    if (type == kWhiteboardReadOnly)
        *options |= kIOUserClientMemoryReadOnly;
    ivars->memory[type]->retain();
    *memory = ivars->memory[type];
    return kIOReturnSuccess;
}

kern_return_t
WhiteboardClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments, const IOUserClientMethodDispatch *dispatch,
                                 OSObject *target, void *reference)
{
    if (selector < kWhiteboardSelectors && sMethods[selector].function) {
        dispatch = &sMethods[selector];
        if (!target)
            target = this;
    }
    return super::ExternalMethod(selector, arguments, dispatch, target, reference);
}

uint8_t *
WhiteboardClient::byteAt(uint64_t type, uint64_t offset)
{
    uint64_t length = 0;

    if (type >= kWhiteboardTypes || ivars->memory[type]->GetLength(&length) != kIOReturnSuccess || offset >= length)
        return nullptr;
    return ivars->address[type] + offset;
}

kern_return_t
WhiteboardClient::StaticPeek(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
    uint8_t *byte = ((WhiteboardClient *)target)->byteAt(arguments->scalarInput[0], arguments->scalarInput[1]);

    if (!byte)
        return kIOReturnBadArgument;
    arguments->scalarOutput[0] = *byte;
    return kIOReturnSuccess;
}

kern_return_t
WhiteboardClient::StaticPoke(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
    uint8_t *byte = ((WhiteboardClient *)target)->byteAt(arguments->scalarInput[0], arguments->scalarInput[1]);

    if (!byte)
        return kIOReturnBadArgument;
    *byte = (uint8_t)arguments->scalarInput[2];
    return kIOReturnSuccess;
}

kern_return_t
WhiteboardClient::StaticResize(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
    WhiteboardClient *self = OSDynamicCast(WhiteboardClient, target);
    IOBufferMemoryDescriptor *own = OSRequiredCast(IOBufferMemoryDescriptor, self->ivars->memory[kWhiteboardOwn]);
    kern_return_t ret = own->SetLength(arguments->scalarInput[0]);

    if (ret == kIOReturnSuccess)
        ret = own->GetLength(&arguments->scalarOutput[0]);
    return ret;
}

/* The second page of the board, mapped alone, twice. */
static kern_return_t inspectMaps(IOBufferMemoryDescriptor *board, const uint8_t *base, WhiteboardFacts *facts)
{
    IOMemoryMap *whole = nullptr, *page = nullptr, *again = nullptr;
    kern_return_t ret = board->CreateMapping(kIOMemoryMapGuardedSmall | kIOMemoryMapCacheModeDefault, 0, 0, 0, 0, &whole);

    if (ret == kIOReturnSuccess)
        ret = board->CreateMapping(0, 0, kWhiteboardPage, kWhiteboardPage, 0, &page);
    if (ret == kIOReturnSuccess)
        ret = board->CreateMapping(0, 0, kWhiteboardPage, kWhiteboardPage, 0, &again);
    if (ret == kIOReturnSuccess) {
        const uint8_t *shown = reinterpret_cast<const uint8_t *>(page->GetAddress());
        facts->mapLength = page->GetLength();
        facts->mapOffset = page->GetOffset();
        facts->mapShowsPage = memcmp(shown, base + kWhiteboardPage, kWhiteboardPage) == 0;
        facts->sameMap = page == again;
    }
    OSSafeReleaseNULL(again);
    OSSafeReleaseNULL(page);
    OSSafeReleaseNULL(whole);
    return ret;
}

kern_return_t
WhiteboardClient::StaticInspect(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
    auto *iv = ((WhiteboardClient *)target)->ivars;
    IOBufferMemoryDescriptor *board = OSDynamicCast(IOBufferMemoryDescriptor, iv->memory[kWhiteboardBoard]);
    IOBufferMemoryDescriptor *fresh = nullptr;
    IOAddressSegment range = {}, again = {};
    uint64_t address = 0, length = 0;
    WhiteboardFacts facts;

    bzero(&facts, sizeof(facts));
    board->GetLength(&facts.boardLength);
    board->GetAddressRange(&range);
    board->GetAddressRange(&again);
    facts.rangeLength = range.length;
    facts.rangeAgain = range.address != 0 && range.address == again.address;
    kern_return_t ret = inspectMaps(board, (const uint8_t *)range.address, &facts);
    if (ret != kIOReturnSuccess)
        return ret;
    iv->memory[kWhiteboardJoined]->Map(0, 0, 0, 0, &address, &length);
    facts.mapTwiceSame = iv->address[kWhiteboardJoined] == (uint8_t *)address;
    facts.joinedLength = length;
    facts.joinedShows = iv->address[kWhiteboardJoined][0] == *(const uint8_t *)range.address;
    iv->memory[kWhiteboardSecondPage]->GetLength(&facts.subLength);
    ret = IOBufferMemoryDescriptor::Create(kIOMemoryDirectionIn, 100, 64, &fresh);
    if (ret == kIOReturnSuccess) {
        static const uint8_t zeros[100] = { 0 };
        ret = fresh->GetAddressRange(&range);
        facts.emptyAtFirst = range.length == 100 && memcmp((void *)range.address, zeros, 100) == 0;
        fresh->release();
    }
    arguments->structureOutput = OSData::withBytes(&facts, sizeof(facts));
    return ret;
}

/* Each call must fail, and leave what it was given alone. */
kern_return_t
WhiteboardClient::StaticRefuse(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
    IOMemoryDescriptor *own = ((WhiteboardClient *)target)->ivars->memory[kWhiteboardOwn];
    IOBufferMemoryDescriptor *buffer = nullptr;
    IOMemoryDescriptor *memory = nullptr;
    IOMemoryDescriptor *none[32] = { nullptr };
    IOMemoryMap *map = nullptr;
    uint64_t *code = arguments->scalarOutput;

    code[kRefuseOptions] = (uint32_t)IOBufferMemoryDescriptor::Create(0x10, kWhiteboardPage, 0, &buffer);
    code[kRefuseNothing] = (uint32_t)IOBufferMemoryDescriptor::Create(kIOMemoryDirectionInOut, 0, 0, &buffer);
    code[kRefuseSubRange] = (uint32_t)IOMemoryDescriptor::CreateSubMemoryDescriptor(3, 4999, 2, own, &memory);
    code[kRefuseSubNone] = (uint32_t)IOMemoryDescriptor::CreateSubMemoryDescriptor(3, 0, 1, nullptr, &memory);
    code[kRefuseBeyond] = (uint32_t)own->CreateMapping(0, 0, 0, 5001, 0, &map);
    code[kRefuseCache] = (uint32_t)own->CreateMapping(kIOMemoryMapCacheModeInhibit | kIOMemoryMapCacheModeCopyback, 0, 0, 0, 0, &map);
    code[kRefuseJoinNone] = (uint32_t)IOMemoryDescriptor::CreateWithMemoryDescriptors(3, 2, none, &memory);
    return buffer || memory || map ? kIOReturnInternalError : kIOReturnSuccess;
}
