//
//  WatcherUserClient.cpp
//  SPDX-License-Identifier: Apache-2.0
//

#include <string.h>
#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>

#include "Watcher.h"
#include "WatcherKeys.h"

static Watcher * watcherOf(OSObject * target)
{
    return OSRequiredCast(Watcher, OSRequiredCast(WatcherUserClient, target)->GetProvider());
}

kern_return_t WatcherUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments * arguments,
                                                const IOUserClientMethodDispatch * dispatch, OSObject * target, void * reference)
{
    static const IOUserClientMethodDispatch table[kWatcherSelectors] = {
        [kWatcherListen] = { &WatcherUserClient::listen, true, 0, 0, 0, 0 },
        [kWatcherHatch]  = { &WatcherUserClient::hatch, false, 0, 0, 1, 0 },
        [kWatcherCull]   = { &WatcherUserClient::cull, false, 1, 0, 0, 0 },
        [kWatcherNap]    = { &WatcherUserClient::nap, true, 0, 0, 0, 0 },
        [kWatcherMemory] = { &WatcherUserClient::memory, false, 1, 0, 1, 0 },
        [kWatcherClient] = { &WatcherUserClient::client, false, 0, 0, 1, 0 },
        [kWatcherPower]  = { &WatcherUserClient::power, (uint32_t)-1, 0, 0, 3, 0 },
        [kWatcherWord]   = { &WatcherUserClient::word, (uint32_t)-1, 1, 0, 0, 0 },
    };

    if (selector >= kWatcherSelectors)
        return kIOReturnBadArgument;
    return super::ExternalMethod(selector, arguments, &table[selector], this, nullptr);
}

kern_return_t WatcherUserClient::listen(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
    return watcherOf(target)->Listen(arguments->completion, OSDynamicCast(IOUserClient, target));
}

kern_return_t WatcherUserClient::hatch(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
    return watcherOf(target)->Hatch(&arguments->scalarOutput[0]);
}

kern_return_t WatcherUserClient::cull(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
    return watcherOf(target)->Cull(arguments->scalarInput[0]);
}

kern_return_t WatcherUserClient::nap(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
    return watcherOf(target)->Nap(arguments->completion, OSDynamicCast(IOUserClient, target));
}

struct Entry {
    uint32_t key;
    uint64_t value;
};

kern_return_t WatcherUserClient::memory(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
    const size_t count = (size_t)arguments->scalarInput[0];
    const size_t bytes = count * sizeof(uint64_t);
    uint64_t held = 0, sum = 0;
    uint64_t * zeros = (uint64_t *)IOMallocZero(bytes);
    uint8_t * plain = (uint8_t *)IOMalloc(bytes);
    Entry * entries = IONew(Entry, count);
    Entry * none = IONew(Entry, SIZE_MAX / 2);

    if (!zeros || !plain || !entries) {
        IOFree(zeros, bytes);
        IOFree(plain, bytes);
        IODelete(entries, Entry, count);
        return kIOReturnNoResources;
    }
    for (size_t i = 0; i < count; i++) {
        sum += zeros[i];
        zeros[i] = i;
        entries[i] = { (uint32_t)i, i * i };
    }
    memcpy(plain, zeros, bytes);
    held |= sum == 0 ? 1 << 0 : 0;
    held |= memcmp(plain, zeros, bytes) == 0 ? 1 << 1 : 0;
    held |= entries[count - 1].value == (count - 1) * (count - 1) ? 1 << 2 : 0;
    held |= none == nullptr ? 1 << 3 : 0;
    IOFree(zeros, bytes);
    IOFree(plain, bytes);
    IODelete(entries, Entry, count);
    uint32_t number = 77;
    char text[8] = "before";
    held |= !IOParseBootArgNumber("ambidext-no-such-argument", &number, sizeof(number)) && number == 77 ? 1 << 4 : 0;
    held |= !IOParseBootArgString("ambidext-no-such-argument", text, sizeof(text)) && strcmp(text, "before") == 0 ? 1 << 5 : 0;
    arguments->scalarOutput[0] = held;
    return kIOReturnSuccess;
}

// What the runtime knows of the application, and of this object.
kern_return_t WatcherUserClient::client(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
    WatcherUserClient * self = OSDynamicCast(WatcherUserClient, target);
    OSDictionary * entitlements = nullptr;
    OSDictionary * properties = nullptr;
    OSString * name = nullptr;
    uint64_t held = 0, id = 0, above = 0;

    if (self->CopyClientEntitlements(&entitlements) == kIOReturnSuccess) {
        OSArray * access = OSDynamicCast(OSArray, entitlements->getObject("com.apple.developer.driverkit.userclient-access"));
        held |= access && access->getCount() == 1 ? 1 << 0 : 0;
        held |= access && OSDynamicCast(OSString, access->getObject(0))->isEqualTo("org.ambidext.test.watch") ? 1 << 1 : 0;
    }
    self->GetRegistryEntryID(&id);
    self->GetProvider()->GetRegistryEntryID(&above);
    held |= id != 0 && above != 0 && id != above ? 1 << 2 : 0;
    if (self->CopyProperties(&properties) == kIOReturnSuccess)
        held |= OSDynamicCast(OSString, properties->getObject("IOUserClass"))->isEqualTo("WatcherUserClient") ? 1 << 3 : 0;
    if (self->GetProvider()->CopyName(&name) == kIOReturnSuccess)
        held |= name->isEqualTo("Watcher") ? 1 << 4 : 0;
    OSSafeReleaseNULL(name);
    OSSafeReleaseNULL(properties);
    OSSafeReleaseNULL(entitlements);
    arguments->scalarOutput[0] = held;
    return kIOReturnSuccess;
}

kern_return_t WatcherUserClient::power(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
    Watcher * watcher = watcherOf(target);

    arguments->scalarOutput[0] = (uint32_t)watcher->SetPowerState(kIOServicePowerCapabilityLow);
    arguments->scalarOutput[1] = (uint32_t)watcher->ChangePowerState(kIOServicePowerCapabilityOn);
    arguments->scalarOutput[2] = watcher->powerFlags();
    return kIOReturnSuccess;
}

kern_return_t WatcherUserClient::word(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
    switch (arguments->scalarInput[0]) {
    case kWatcherAborted:
        return kIOReturnAborted;
    case kWatcherTimeout:
        return kIOReturnTimeout;
    case kWatcherNoResources:
        return kIOReturnNoResources;
    case kWatcherNotPermitted:
        return kIOReturnNotPermitted;
    default:
        return kIOReturnBadArgument;
    }
}
