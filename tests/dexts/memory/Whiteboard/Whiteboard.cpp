//
//  Whiteboard.cpp
//
//  SPDX-License-Identifier: Apache-2.0
//

#include <os/log.h>

#include <DriverKit/IOUserServer.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOBufferMemoryDescriptor.h>

#include "Whiteboard.h"
#include "WhiteboardClient.h"
#include "WhiteboardShared.h"

struct Whiteboard_IVars
{
    IOBufferMemoryDescriptor * board;
};

bool Whiteboard::init()
{
    if (!super::init()) {
        return false;
    }
    ivars = IONewZero(Whiteboard_IVars, 1);
    if (nullptr == ivars) {
        return false;
    }
    return true;
}

void Whiteboard::free()
{
    if (ivars) {
        OSSafeReleaseNULL(ivars->board);
    }
    IOSafeDeleteNULL(ivars, Whiteboard_IVars, 1);
    super::free();
}

kern_return_t
IMPL(Whiteboard, Start)
{
    kern_return_t ret;

    ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess) {
        os_log(OS_LOG_DEFAULT, "Whiteboard: Start of super: 0x%08x", ret);
        return ret;
    }
    ret = IOBufferMemoryDescriptor::Create(kIOMemoryDirectionOutIn, kWhiteboardPages * kWhiteboardPage, IOVMPageSize, &ivars->board);
    if (ret != kIOReturnSuccess) {
        Stop(provider, SUPERDISPATCH);
        return ret;
    }
    return RegisterService();
}

kern_return_t
IMPL(Whiteboard, NewUserClient)
{
    IOService * client = nullptr;
    kern_return_t ret = Create(this, "UserClientProperties", &client);

    if (ret != kIOReturnSuccess) {
        return ret;
    }
    *userClient = OSDynamicCast(IOUserClient, client);
    if (!*userClient) {
        client->release();
        return kIOReturnError;
    }
    return kIOReturnSuccess;
}

IOBufferMemoryDescriptor * Whiteboard::copyBoard(void)
{
    ivars->board->retain();
    return ivars->board;
}

IOReturn Whiteboard::copyPage(uint64_t index, IOMemoryDescriptor ** page)
{
    return IOMemoryDescriptor::CreateSubMemoryDescriptor(kIOMemoryDirectionInOut, index * kWhiteboardPage, kWhiteboardPage, ivars->board,
                                                         page);
}
