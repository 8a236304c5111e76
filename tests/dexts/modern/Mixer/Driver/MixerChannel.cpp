#include <atomic>
#include <new>

#include <DriverKit/IOLib.h>
#include <DriverKit/OSString.h>

#include "MixerChannel.h"

struct MixerChannel_IVars {
    uint32_t id = 0;
    OSSharedPtr<OSString> name;
};

namespace {
std::atomic<uint32_t> gLiving{ 0 };
}

bool MixerChannel::init()
{
    if (!super::init()) {
        return false;
    }
    ivars = new (std::nothrow) MixerChannel_IVars;
    gLiving.fetch_add(1, std::memory_order_relaxed);
    return ivars != nullptr;
}

void MixerChannel::free()
{
    gLiving.fetch_sub(1, std::memory_order_relaxed);
    delete ivars;
    ivars = nullptr;
    super::free();
}

OSSharedPtr<MixerChannel> MixerChannel::make(uint32_t id, const char *name)
{
    auto channel = OSSharedPtr(OSTypeAlloc(MixerChannel), OSNoRetain);
    if (!channel || !channel->init()) {
        return nullptr;
    }
    channel->ivars->id = id;
    channel->ivars->name = OSSharedPtr(OSString::withCString(name), OSNoRetain);
    return channel->ivars->name ? channel : nullptr;
}

uint32_t MixerChannel::living()
{
    return gLiving;
}

bool MixerChannel::isEqualTo(const OSMetaClassBase *other) const
{
    const auto *channel = OSDynamicCast(MixerChannel, const_cast<OSMetaClassBase *>(other));
    return channel != nullptr && channel->ivars->id == ivars->id;
}

uint32_t MixerChannel::id() const
{
    return ivars->id;
}

const char *MixerChannel::name() const
{
    return ivars->name->getCStringNoCopy();
}
