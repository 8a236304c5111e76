#include <algorithm>
#include <cstdio>
#include <memory>
#include <string_view>

#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOUserClient.h>

#include "Core/Engine.hpp"
#include "MixerDriver.h"
#include "MixerUserClient.h"

// In memory of IONewZero: no constructor runs, and everything in here is all right with zeros, or is made in init.
struct MixerDriver_IVars {
    OSSharedPtr<IODispatchQueue> queue;
    OSSharedPtr<OSArray> channels;
    std::unique_ptr<mixer::Engine> engine;
    MixerStatistics statistics;
};

namespace {

template <typename... Arguments>
void log(const char *format, Arguments... arguments)
{
    char line[128];
    std::snprintf(line, sizeof(line), format, arguments...);
    os_log(OS_LOG_DEFAULT, "mixer: %{public}s", line);
}

} // namespace

bool MixerDriver::init()
{
    if (!super::init()) {
        return false;
    }
    ivars = IONewZero(MixerDriver_IVars, 1);
    if (ivars == nullptr) {
        return false;
    }
    ivars->engine = std::make_unique<mixer::Engine>();
    ivars->engine->listen([this](const mixer::Change &change) {
        ivars->statistics.changes++;
        log("channel %u at %u", change.channel, change.gain);
    });
    ivars->channels.reset(OSArray::withCapacity(mixer::kChannels), OSNoRetain);
    return bool(ivars->channels);
}

void MixerDriver::free()
{
    if (ivars != nullptr) {
        ivars->channels.reset();
        ivars->queue.reset();
        ivars->engine.reset();
    }
    IOSafeDeleteNULL(ivars, MixerDriver_IVars, 1);
    super::free();
}

kern_return_t MixerDriver::Start_Impl(IOService *provider)
{
    if (auto ret = super::Start(provider, SUPERDISPATCH); ret != kIOReturnSuccess) {
        return ret;
    }
    if (auto ret = CopyDispatchQueue(kIOServiceDefaultQueueName, ivars->queue.attach()); ret != kIOReturnSuccess) {
        return ret;
    }
    for (uint32_t i = 0; i < mixer::kChannels; i++) {
        char name[8];
        std::snprintf(name, sizeof(name), "ch %u", i);
        auto channel = MixerChannel::make(i, name);
        if (!channel || !ivars->channels->setObject(channel.get())) {
            return kIOReturnNoMemory;
        }
    }
    return RegisterService();
}

kern_return_t MixerDriver::Stop_Impl(IOService *provider)
{
    log("%llu blocks", (unsigned long long)ivars->statistics.blocks);
    ivars->queue.reset();
    return super::Stop(provider, SUPERDISPATCH);
}

kern_return_t MixerDriver::NewUserClient_Impl(uint32_t type, IOUserClient **userClient)
{
    if (type > 1) {
        return super::NewUserClient(type, userClient, SUPERDISPATCH);
    }
    OSSharedPtr<IOService> service;
    if (auto ret = Create(this, "UserClientProperties", service.attach()); ret != kIOReturnSuccess) {
        return ret;
    }
    auto client = OSDynamicPtrCast<MixerUserClient>(std::move(service));
    if (!client) {
        return kIOReturnInternalError;
    }
    *userClient = client.detach();
    return kIOReturnSuccess;
}

kern_return_t IMPL(MixerDriver, SetGain)
{
    const auto old = ivars->engine->set({ channel, gain });
    if (!old) {
        return kIOReturnBadArgument;
    }
    *before = *old;
    return kIOReturnSuccess;
}

kern_return_t IMPL(MixerDriver, Execute)
{
    const auto done = ivars->engine->execute(std::string_view(command));
    *changes = done.value_or(0);
    return done ? kIOReturnSuccess : kIOReturnBadArgument;
}

bool MixerDriver::mix(std::span<const int16_t> samples, std::vector<int16_t> &mixed)
{
    __block uint64_t clipped = 0;
    __block std::vector<int16_t> result;

    if (samples.size() % mixer::kChannels != 0) {
        return false;
    }
    ivars->queue->DispatchSync(^{
        result = ivars->engine->mix(samples, clipped);
    });
    mixed = std::move(result);
    ivars->statistics.blocks++;
    ivars->statistics.clipped += clipped;
    return true;
}

std::vector<mixer::ChannelInfo> MixerDriver::list(bool loudestFirst)
{
    __block std::vector<mixer::ChannelInfo> infos;

    ivars->queue->DispatchSync(^{
        const auto &gain = ivars->engine->levels().gain;
        ivars->channels->iterateObjects(^bool(OSObject *object) {
            auto channel = OSRequiredCast(MixerChannel, object);
            mixer::ChannelInfo info{ channel->id(), gain[channel->id()], {} };
            strlcpy(info.name, channel->name(), sizeof(info.name));
            infos.push_back(info);
            return false;
        });
    });
    std::stable_sort(infos.begin(), infos.end(), [=](const auto &one, const auto &other) {
        return loudestFirst ? one.gain > other.gain : one.gain < other.gain;
    });
    return std::move(infos);
}

OSSharedPtr<MixerChannel> MixerDriver::channelAt(uint32_t index)
{
    return OSSharedPtr(OSDynamicCast(MixerChannel, ivars->channels->getObject(index)), OSRetain);
}

OSSharedPtr<OSArray> MixerDriver::channels()
{
    return ivars->channels;
}

const MixerStatistics &MixerDriver::statistics() const
{
    return ivars->statistics;
}
