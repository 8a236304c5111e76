// SPDX-License-Identifier: Apache-2.0
#include <os/log.h>
#include <string.h>

#include <DriverKit/IOLib.h>
#include <DriverKit/OSCollections.h>
#include <DriverKit/IOUserClient.h>

#include "RingBase.h"
#include "RingDevice.h"
#include "RingDevice.h"

// --- RingBase ---

bool RingBase::init(void)
{
    if (!super::init())
        return false;
    ivars = IONewZero(RingBase_IVars, 1);
    if (ivars == nullptr)
        return false;
    return init(RingConfig(), nullptr);
}

bool RingBase::init(RingConfig const & config, RingBase * before, uint32_t flags)
{
    ivars->config = config;
    ivars->before = before;
    ivars->flags = flags;
    return ivars->head == ivars->tail;
}

void RingBase::free(void)
{
    IOSafeDeleteNULL(ivars, RingBase_IVars, 1);
    super::free();
}

IOReturn RingBase::SetDispatchQueue(IODispatchQueue * queue)
{
    return super::SetDispatchQueue(kIOServiceDefaultQueueName, queue);
}

inline uint32_t RingBase::roundUp(uint32_t count)
{
    return (count + 3) & ~3u;
}

uint32_t RingBase::capacity(void) const { return (uint32_t)sizeof(ivars->bytes); }
uint32_t RingBase::used(void) const { return ivars->tail - ivars->head; }
RingBase * RingBase::next(void) { return nullptr; }
const char * RingBase::label(void) const { return "base"; }

uint32_t RingBase::push(uint8_t const * bytes, uint32_t count, bool all)
{
    uint32_t room = capacity() - used();

    if (count > room) {
        if (all)
            return 0;
        count = room;
    }
    for (uint32_t i = 0; i < count; i++)
        ivars->bytes[ivars->tail++ % sizeof(ivars->bytes)] = bytes[i];
    ivars->written += count;
    return count;
}

uint32_t RingBase::pull(uint8_t * bytes, uint32_t count, struct RingSlot * slot)
{
    if (count > used())
        count = used();
    if (slot != nullptr)
        *slot = { .first = ivars->head, .count = count };
    for (uint32_t i = 0; i < count; i++)
        bytes[i] = ivars->bytes[ivars->head++ % sizeof(ivars->bytes)];
    ivars->read += count;
    return count;
}

uint32_t RingBase::note(char * text, uint32_t size, const char * format, ...) const
{
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text, size, format, arguments);
    va_end(arguments);
    return (uint32_t)length;
}

bool RingBase::state(RingState & state) const
{
    state.used = used();
    state.capacity = roundUp(capacity());
    state.mode = used() > 0 ? kRingBusy : kRingIdle;
    return true;
}

uint64_t RingBase::statistics(uint64_t & written, uint64_t & read) const
{
    written = ivars->written;
    read = ivars->read;
    return written - read;
}

// --- RingDevice ---

struct RingDevice_IVars {
    OSAction * handler;
    char name[16];
    bool open;
};

bool RingDevice::init()
{
    return super::init() && (ivars = IONewZero(RingDevice_IVars, 1)) != nullptr;
}

void RingDevice::free()
{
    if (ivars)
        OSSafeReleaseNULL(ivars->handler);
    IOSafeDeleteNULL(ivars, RingDevice_IVars, 1);
    super::free();
}

kern_return_t IMPL(RingDevice, Start)
{
    OSDictionary * properties = nullptr;
    IODispatchQueue * queue = nullptr;
    kern_return_t ret = Start(theProvider, SUPERDISPATCH);

    if (ret == kIOReturnSuccess)
        ret = IODispatchQueue::Create("Ring", 0, 0, &queue);
    if (ret == kIOReturnSuccess)
        ret = SetDispatchQueue(queue);      // the class's own, with one argument
    OSSafeReleaseNULL(queue);
    if (ret == kIOReturnSuccess)
        ret = CopyProperties(&properties);
    if (ret != kIOReturnSuccess)
        return ret;
    RingConfig config;
    config.baud = (uint32_t)OSDictionaryGetUInt64Value(properties, "RingBaud");
    OSSafeReleaseNULL(properties);
    RING_LOG("%{public}s starts with %u baud", label(), config.baud);
    ivars->open = RingBase::init(config, nullptr);
    return ivars->open ? RegisterService() : kIOReturnNotReady;
}

kern_return_t RingDevice::Stop_Impl(IOService * theProvider)
{
    ivars->open = false;
    OSSafeReleaseNULL(ivars->handler);
    return Stop(theProvider, SUPERDISPATCH);
}

kern_return_t IMPL(RingDevice, NewUserClient)
{
    IOService * client = nullptr;
    kern_return_t ret = Create(this, "UserClientProperties", &client);

    if (ret == kIOReturnSuccess)
        *userClient = OSDynamicCast(IOUserClient, client);
    return ret;
}

uint32_t RingDevice::capacity() const { return super::capacity() / 2; }
const char * RingDevice::label() const { return "device"; }
RingBase * RingDevice::next() { return this; }

uint32_t RingDevice::push(uint8_t const * bytes, uint32_t count, bool all)
{
    uint32_t taken = super::push(bytes, count, all);

    if (taken > 0 && ivars->handler)
        RxReady(ivars->handler, kRingData | (used() == capacity() ? kRingFull : 0));
    return taken;
}

bool IMPL(RingDevice, isOpen) { return ivars->open; }
uint32_t RingDevice::Baud_Impl() { return RingBase::ivars->config.baud; }

int IMPL(RingDevice, Configure)
{
    if (config.parity > kParityEven)
        return -1;
    RingBase::ivars->config = config;
    strlcpy(ivars->name, name, sizeof(ivars->name));
    return (int)strlen(ivars->name);
}

kern_return_t IMPL(RingDevice, Write)
{
    *taken = push(bytes, bytesCount, false);
    return *taken > 0 || bytesCount == 0 ? kIOReturnSuccess : kIOReturnNoSpace;
}

kern_return_t RingDevice::Read_Impl(uint8_t * bytes, uint32_t * bytesCount)
{
    *bytesCount = pull(bytes, *bytesCount);
    return kIOReturnSuccess;
}

kern_return_t IMPL(RingDevice, SetRxHandler)
{
    OSSafeReleaseNULL(ivars->handler);
    ivars->handler = action;
    if (action)
        action->retain();
    return kIOReturnSuccess;
}

// Where an action of this type goes is its target's business; called without one it does nothing.
void IMPL(RingDevice, RxReady)
{
}

void IMPL(RingDevice, Send)
{
    if (ivars->handler)
        RxReady(ivars->handler, events);
}

kern_return_t IMPL(RingDevice, Reset)
{
    RingBase::ivars->head = RingBase::ivars->tail;
    return kIOReturnSuccess;
}

kern_return_t IMPL(RingDevice, CopyNext)
{
    *next = this->next();
    (*next)->retain();
    return kIOReturnSuccess;
}

kern_return_t IMPL(RingDevice, Version)
{
    *version = kRingTag;
    return kIOReturnSuccess;
}
