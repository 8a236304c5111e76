#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include <os/log.h>
#include <time.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/OSCollections.h>
#include <DriverKit/OSSharedPtr.h>

#include "Core/Span.hpp"
#include "MixerUserClient.h"

struct Ticking {
    OSSharedPtr<OSAction> completion;
    uint64_t wanted = 0;
    uint64_t interval = 0;
};

struct MixerUserClient_IVars {
    OSSharedPtr<MixerDriver> driver;
    OSSharedPtr<IOTimerDispatchSource> timer;
    OSSharedPtr<OSAction> action;
    std::optional<Ticking> ticking;
    std::atomic<uint64_t> ticks{ 0 };
};

namespace {

using Arguments = IOUserClientMethodArguments;

// A method of the user client as a function of a dispatch table.
template <kern_return_t (MixerUserClient::*method)(Arguments &)>
kern_return_t call(OSObject *target, void *, Arguments *arguments)
{
    return (OSRequiredCast(MixerUserClient, target)->*method)(*arguments);
}

struct Entry {
    mixer::Command command;
    IOUserClientMethodDispatch dispatch;
};

constexpr uint32_t kAny = kIOUserClientVariableStructureSize;

constexpr std::array kEntries{
    Entry{ mixer::Command::gain, { &call<&MixerUserClient::gain>, false, 2, 0, 1, 0 } },
    Entry{ mixer::Command::mix, { &call<&MixerUserClient::mix>, false, 0, kAny, 0, kAny } },
    Entry{ mixer::Command::text, { &call<&MixerUserClient::text>, false, 0, kAny, 1, 0 } },
    Entry{ mixer::Command::list, { &call<&MixerUserClient::list>, false, 0, 0, 0, kAny } },
    Entry{ mixer::Command::statistics, { &call<&MixerUserClient::statistics>, false, 0, 0, 4, 0 } },
    Entry{ mixer::Command::ticks, { &call<&MixerUserClient::ticks>, true, 2, 0, 0, 0 } },
    Entry{ mixer::Command::lookup, { &call<&MixerUserClient::lookup>, false, 1, 0, 2, 0 } },
};

static_assert(static_cast<uint32_t>(mixer::Command::gain) == 'gain');

} // namespace

bool MixerUserClient::init()
{
    if (!super::init()) {
        return false;
    }
    ivars = new (std::nothrow) MixerUserClient_IVars{};
    return ivars != nullptr;
}

void MixerUserClient::free()
{
    delete std::exchange(ivars, nullptr);
    super::free();
}

kern_return_t IMPL(MixerUserClient, Start)
{
    if (auto ret = Start(provider, SUPERDISPATCH); ret != kIOReturnSuccess) {
        return ret;
    }
    ivars->driver = OSSharedPtr(OSDynamicCast(MixerDriver, provider), OSRetain);
    if (!ivars->driver) {
        return kIOReturnNoDevice;
    }

    OSSharedPtr<IODispatchQueue> queue;
    if (auto ret = CopyDispatchQueue(kIOServiceDefaultQueueName, queue.attach()); ret != kIOReturnSuccess) {
        return ret;
    }
    if (auto ret = IOTimerDispatchSource::Create(queue.get(), ivars->timer.attach()); ret != kIOReturnSuccess) {
        return ret;
    }
    if (auto ret = CreateActionTicked(0, ivars->action.attach()); ret != kIOReturnSuccess) {
        return ret;
    }
    return ivars->timer->SetHandler(ivars->action.get());
}

kern_return_t IMPL(MixerUserClient, Stop)
{
    // What is captured lives as long as the last copy of the block; the last of the two ends us.
    auto self = OSSharedPtr(this, OSRetain);
    auto above = OSSharedPtr(provider, OSRetain);
    auto remaining = std::make_shared<std::atomic<int>>(2);
    auto finished = ^{
        if (--*remaining == 0) {
            self->ivars->ticking.reset();
            self->Stop(above.get(), SUPERDISPATCH);
        }
    };

    ivars->timer->Cancel(finished);
    ivars->action->Cancel(finished);
    return kIOReturnSuccess;
}

kern_return_t MixerUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
                                              const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
    const auto entry = std::find_if(kEntries.begin(), kEntries.end(),
                                    [=](const Entry &each) { return static_cast<uint32_t>(each.command) == selector; });
    if (entry == kEntries.end()) {
        return kIOReturnUnsupported;
    }
    return super::ExternalMethod(selector, arguments, &entry->dispatch, this, reference);
}

kern_return_t MixerUserClient::gain(IOUserClientMethodArguments &arguments)
{
    uint32_t before = 0;
    const auto ret = ivars->driver->SetGain(uint32_t(arguments.scalarInput[0]), uint32_t(arguments.scalarInput[1]), &before);
    arguments.scalarOutput[0] = before;
    return ret;
}

kern_return_t MixerUserClient::mix(IOUserClientMethodArguments &arguments)
{
    const auto samples = mixer::core::spanOf<int16_t>(arguments.structureInput);
    std::vector<int16_t> mixed;

    if (samples.empty() || !ivars->driver->mix(samples, mixed)) {
        return kIOReturnBadArgument;
    }
    arguments.structureOutput = mixer::core::dataOf(mixed);
    return arguments.structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t MixerUserClient::text(IOUserClientMethodArguments &arguments)
{
    const auto characters = mixer::core::spanOf<char>(arguments.structureInput);
    const std::string command(characters.begin(), characters.end());
    uint32_t changes = 0;

    const auto ret = ivars->driver->Execute(command.c_str(), &changes);
    arguments.scalarOutput[0] = changes;
    return ret;
}

kern_return_t MixerUserClient::list(IOUserClientMethodArguments &arguments)
{
    const auto infos = ivars->driver->list();
    const auto quietest = ivars->driver->list(false);
    const auto most = arguments.structureOutputMaximumSize / sizeof(mixer::ChannelInfo);

    if (quietest.size() != infos.size() || quietest.front().gain != infos.back().gain) {
        return kIOReturnInternalError;
    }
    arguments.structureOutput = mixer::core::dataOf(std::span(infos).first(std::min<size_t>(infos.size(), most)));
    return kIOReturnSuccess;
}

kern_return_t MixerUserClient::statistics(IOUserClientMethodArguments &arguments)
{
    const auto &statistics = ivars->driver->statistics();
    const std::array<uint64_t, 4> values{ statistics.blocks, statistics.clipped, MixerChannel::living(), ivars->ticks };

    std::copy(values.begin(), values.end(), arguments.scalarOutput);
    return kIOReturnSuccess;
}

kern_return_t MixerUserClient::ticks(IOUserClientMethodArguments &arguments)
{
    if (ivars->ticking) {
        return kIOReturnBusy;
    }
    const auto [wanted, interval] = std::pair(arguments.scalarInput[0], arguments.scalarInput[1]);
    ivars->ticking.emplace(Ticking{ OSSharedPtr(arguments.completion, OSRetain), wanted, interval });
    ivars->ticks = 0;
    return ivars->timer->WakeAtTime(kIOTimerClockUptimeRaw, clock_gettime_nsec_np(CLOCK_UPTIME_RAW) + ivars->ticking->interval, 0);
}

void IMPL(MixerUserClient, Ticked)
{
    if (!ivars->ticking) {
        return;
    }
    if (const uint64_t ticks = ++ivars->ticks; ticks < ivars->ticking->wanted) {
        ivars->timer->WakeAtTime(kIOTimerClockUptimeRaw, time + ivars->ticking->interval, 0);
    } else {
        const auto done = std::exchange(ivars->ticking, std::nullopt);
        AsyncCompletion(done->completion.get(), kIOReturnSuccess, &ticks, 1);
    }
}

// Arrays are equal when their members say so, which is the channel's own method; a member itself is found by its address.
kern_return_t MixerUserClient::lookup(IOUserClientMethodArguments &arguments)
{
    const auto first = uint32_t(arguments.scalarInput[0]);
    const auto channels = ivars->driver->channels();
    const auto others = OSSharedPtr(OSArray::withCapacity(mixer::kChannels), OSNoRetain);
    const auto set = OSSharedPtr(OSSet::withCapacity(mixer::kChannels), OSNoRetain);
    OSSharedPtr<MixerChannel> other;

    for (uint32_t i = 0; i < channels->getCount(); i++) {
        other = MixerChannel::make(first + i);
        if (!other || !others->setObject(other.get())) {
            return kIOReturnNoMemory;
        }
        set->setObject(ivars->driver->channelAt(i).operator->());
    }
    if (ivars->driver->channelAt(channels->getCount()) || set->containsObject(other.get())) {
        return kIOReturnInternalError;
    }
    const auto last = ivars->driver->channelAt(channels->getCount() - 1);
    arguments.scalarOutput[0] = channels->isEqualTo(others.get());
    arguments.scalarOutput[1] = set->containsObject(last.get()) && other->isEqualTo(last.get());
    return kIOReturnSuccess;
}
