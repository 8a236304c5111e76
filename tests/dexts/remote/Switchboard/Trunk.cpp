/*
    Trunk.cpp
*/

#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/OSCollections.h>

#include "Trunk.h"

struct Trunk_IVars
{
    bool            ready;
    IODispatchQueue *wire;
    OSString        *label;
    OSArray         *listeners;
    OSArray         *subscribers;
    uint32_t        lines[kTrunkLines];
    uint32_t        lineCount;
    uint64_t        count;
};

bool Trunk::init()
{
    if (!super::init())
        return false;
    ivars = IONewZero(Trunk_IVars, 1);
    if (!ivars)
        return false;
    ivars->listeners = OSArray::withCapacity(2);
    ivars->subscribers = OSArray::withCapacity(2);
    return ivars->listeners && ivars->subscribers;
}

void Trunk::free()
{
    if (ivars)
    {
        OSSafeReleaseNULL(ivars->wire);
        OSSafeReleaseNULL(ivars->label);
        OSSafeReleaseNULL(ivars->listeners);
        OSSafeReleaseNULL(ivars->subscribers);
    }
    IOSafeDeleteNULL(ivars, Trunk_IVars, 1);
    super::free();
}

kern_return_t IMPL(Trunk, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess)
        return ret;

    /* On the own queue: its effect is here when it returns. */
    ivars->lineCount = kTrunkLines;
    Reset();
    if (ivars->lineCount != 3 || ivars->lines[2] != 30)
        return kIOReturnInternalError;

    ivars->ready = true;
    return kIOReturnSuccess;
}

kern_return_t IMPL(Trunk, Stop)
{
    /* Actions keep their targets. */
    ivars->subscribers->flushCollection();
    ivars->listeners->flushCollection();
    return Stop(provider, SUPERDISPATCH);
}

void IMPL(Trunk, Reset)
{
    ivars->lineCount = 3;
    for (uint32_t i = 0; i < ivars->lineCount; i++)
        ivars->lines[i] = 10 * (i + 1);
}

bool IMPL(Trunk, getReady)
{
    return ivars->ready;
}

uint32_t Trunk::getLineCount_Impl(void)
{
    return 0xf0000000u | ivars->lineCount;      /* all 32 bits come back */
}

int IMPL(Trunk, toDecibels)
{
    return percent - 100;
}

kern_return_t IMPL(Trunk, Sum)
{
    *sum = 0;
    if (valuesCount == 0)
        return kIOReturnUnderrun;
    for (uint32_t i = 0; i < valuesCount; i++)
        *sum += values[i];
    return kIOReturnSuccess;
}

kern_return_t IMPL(Trunk, ListLines)
{
    if (*linesCount < ivars->lineCount)
        return kIOReturnNoSpace;
    for (uint32_t i = 0; i < ivars->lineCount; i++)
        lines[i] = ivars->lines[i];
    *linesCount = ivars->lineCount;
    return kIOReturnSuccess;
}

kern_return_t Trunk::SetLabel_Impl(const char * label)
{
    OSString *string = OSString::withCString(label);
    if (!string)
        return kIOReturnNoMemory;
    OSSafeReleaseNULL(ivars->label);
    ivars->label = string;
    return kIOReturnSuccess;
}

kern_return_t IMPL(Trunk, CopyLabel)
{
    if (!ivars->label)
        return kIOReturnNotFound;
    ivars->label->retain();
    *label = ivars->label;
    return kIOReturnSuccess;
}

kern_return_t IMPL(Trunk, Dial)
{
    if (number.length == 0)
        return kIOReturnBadArgument;
    *answer = number;
    answer->country++;
    for (uint32_t i = 0; i < number.length && i < sizeof(number.digits); i++)
        answer->digits[i] = number.digits[number.length - 1 - i];
    return kIOReturnSuccess;
}

kern_return_t IMPL(Trunk, Echo)
{
    if (!data)
    {
        *echo = nullptr;        /* nothing in, nothing out */
        return kIOReturnSuccess;
    }
    *echo = OSData::withCapacity((uint32_t)data->getLength() * 2);
    if (!*echo)
        return kIOReturnNoMemory;
    (*echo)->appendBytes(data);
    (*echo)->appendBytes(data->getBytesNoCopy(), data->getLength());
    return kIOReturnSuccess;
}

kern_return_t IMPL(Trunk, Describe)
{
    OSDictionary *answer = OSDictionary::withCapacity(4);
    if (!answer)
        return kIOReturnNoMemory;
    if (words)
        answer->merge(words);
    OSDictionarySetUInt64Value(answer, "Lines", ivars->lineCount);
    OSDictionarySetStringValue(answer, "Kind", "trunk");
    *description = answer;
    return kIOReturnSuccess;
}

kern_return_t IMPL(Trunk, Attach)
{
    if (listener && !ivars->listeners->setObject(listener))
        return kIOReturnNoMemory;
    *listeners = ivars->listeners->getCount();
    return kIOReturnSuccess;
}

kern_return_t IMPL(Trunk, CopyListener)
{
    OSObject *found = ivars->listeners->getObject(index);
    if (!found)
        return kIOReturnNotFound;
    found->retain();
    *listener = found;
    return kIOReturnSuccess;
}

kern_return_t IMPL(Trunk, Subscribe)
{
    if (!action)
    {
        ivars->subscribers->flushCollection();
        return kIOReturnSuccess;
    }
    return ivars->subscribers->setObject(action) ? kIOReturnSuccess : kIOReturnNoMemory;
}

void IMPL(Trunk, CallArrived)
{
    /* The targets have it. */
}

kern_return_t IMPL(Trunk, Ring)
{
    const uint32_t count = ivars->subscribers->getCount();

    if (line >= ivars->lineCount)
        return kIOReturnNoDevice;
    for (uint32_t i = 0; i < count; i++)
    {
        OSAction *action = OSDynamicCast(OSAction, ivars->subscribers->getObject(i));
        CallArrived(action, line, number);
    }
    return count ? kIOReturnSuccess : kIOReturnNotResponding;
}

kern_return_t IMPL(Trunk, UseWire)
{
    IODispatchQueue *queue = nullptr;

    *onWire = false;
    if (CopyDispatchQueue(kTrunkWireQueue, &queue) == kIOReturnSuccess)
        *onWire = queue->OnQueue();
    OSSafeReleaseNULL(queue);
    return kIOReturnSuccess;
}

void IMPL(Trunk, Count)
{
    ivars->count += amount;
}

kern_return_t IMPL(Trunk, GetCount)
{
    *count = ivars->count;
    return kIOReturnSuccess;
}
