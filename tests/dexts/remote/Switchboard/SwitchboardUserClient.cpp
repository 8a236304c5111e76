/*
    SwitchboardUserClient.cpp
*/

#include <string.h>

#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/OSCollections.h>

#include "Switchboard.h"
#include "SwitchboardTypes.h"
#include "SwitchboardUserClient.h"

/* In the checks: out with the line at which it was not so. */
#define ENSURE(condition) do { if (!(condition)) return __LINE__; } while (0)

struct SwitchboardUserClient_IVars
{
    Switchboard             *board;
    Trunk                   *trunk;
    OSAction                *rang;
    OSAction                *completion;
    IOTimerDispatchSource   *timer;
    OSAction                *elapsed;
    OSAction                *laterCompletion;
};

bool SwitchboardUserClient::init()
{
    if (!super::init())
        return false;
    ivars = IONewZero(SwitchboardUserClient_IVars, 1);
    return ivars != nullptr;
}

void SwitchboardUserClient::free()
{
    if (ivars)
    {
        OSSafeReleaseNULL(ivars->rang);
        OSSafeReleaseNULL(ivars->completion);
        OSSafeReleaseNULL(ivars->timer);
        OSSafeReleaseNULL(ivars->elapsed);
        OSSafeReleaseNULL(ivars->laterCompletion);
        OSSafeReleaseNULL(ivars->trunk);
    }
    IOSafeDeleteNULL(ivars, SwitchboardUserClient_IVars, 1);
    super::free();
}

kern_return_t IMPL(SwitchboardUserClient, Start)
{
    kern_return_t ret = Start(provider, SUPERDISPATCH);
    if (ret != kIOReturnSuccess)
        return ret;
    ivars->board = OSRequiredCast(Switchboard, provider);
    return ivars->board->CopyTrunk(&ivars->trunk);
}

kern_return_t IMPL(SwitchboardUserClient, Stop)
{
    /* Actions that have been cancelled have let go of their target. */
    if (ivars->rang)
        ivars->rang->Cancel(nullptr);
    if (ivars->timer)
        ivars->timer->Cancel(nullptr);
    if (ivars->elapsed)
        ivars->elapsed->Cancel(nullptr);
    return Stop(provider, SUPERDISPATCH);
}

kern_return_t SwitchboardUserClient::checkValues()
{
    ENSURE(ivars->trunk->getReady());
    ENSURE(ivars->trunk->getLineCount() == 0xf0000003u);
    ENSURE(ivars->trunk->toDecibels(58) == -42);
    return 0;
}

kern_return_t SwitchboardUserClient::checkArrays()
{
    const uint32_t values[kTrunkLines + 1] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    uint32_t lines[kTrunkLines + 1] = { 7, 7, 7, 7 }, count = kTrunkLines;
    uint64_t sum = 99;

    ENSURE(ivars->trunk->Sum(values, kTrunkLines, &sum) == kIOReturnSuccess && sum == 36);
    ENSURE(ivars->trunk->Sum(values, kTrunkLines + 1, &sum) == kIOReturnOverrun && sum == 36);
    ENSURE(ivars->trunk->Sum(values, 0, &sum) == kIOReturnUnderrun && sum == 36);    /* it failed: nothing is delivered */
    ENSURE(ivars->trunk->ListLines(lines, &count) == kIOReturnSuccess && count == 3);
    ENSURE(lines[0] == 10 && lines[1] == 20 && lines[2] == 30 && lines[3] == 7);
    count = 2;
    lines[0] = 5;
    ENSURE(ivars->trunk->ListLines(lines, &count) == kIOReturnNoSpace && count == 2 && lines[0] == 5);
    count = kTrunkLines + 1;
    ENSURE(ivars->trunk->ListLines(lines, &count) == kIOReturnOverrun);
    return 0;
}

kern_return_t SwitchboardUserClient::checkStrings()
{
    OSString *label = nullptr;

    ENSURE(ivars->trunk->SetLabel("short") == kIOReturnSuccess);
    ENSURE(ivars->trunk->CopyLabel(&label) == kIOReturnSuccess && label);
    const bool same = label->isEqualTo("short");
    OSSafeReleaseNULL(label);
    ENSURE(same);
    ENSURE(ivars->trunk->SetLabel("a label that is too long for sixteen") == kIOReturnSuccess);
    ENSURE(ivars->trunk->CopyLabel(&label) == kIOReturnSuccess && label);
    const size_t length = label->getLength();
    OSSafeReleaseNULL(label);
    ENSURE(length == 15);
    return 0;
}

kern_return_t SwitchboardUserClient::checkStructs()
{
    TrunkNumber number, answer;

    ENSURE(number.country == 49 && number.length == 0);
    answer.country = 1;
    ENSURE(ivars->trunk->Dial(number, &answer) == kIOReturnBadArgument && answer.country == 1);
    number.length = 3;
    number.digits[0] = 1;
    number.digits[2] = 3;
    ENSURE(ivars->trunk->Dial(number, &answer) == kIOReturnSuccess);
    ENSURE(answer.country == 50 && answer.digits[0] == 3 && answer.digits[2] == 1 && number.digits[0] == 1);
    return 0;
}

kern_return_t SwitchboardUserClient::checkObjects()
{
    OSData *data = OSData::withBytes("ab", 2), *echo = nullptr;
    ENSURE(data && ivars->trunk->Echo(data, &echo) == kIOReturnSuccess && echo && echo != data);
    const bool doubled = echo->getLength() == 4 && memcmp(echo->getBytesNoCopy(), "abab", 4) == 0;
    OSSafeReleaseNULL(echo);
    OSSafeReleaseNULL(data);
    ENSURE(doubled);
    ENSURE(ivars->trunk->Echo(nullptr, &echo) == kIOReturnSuccess && echo == nullptr);

    OSDictionary *words = OSDictionary::withCapacity(1), *description = nullptr;
    OSDictionarySetUInt64Value(words, "Mine", 5);
    ENSURE(ivars->trunk->Describe(words, &description) == kIOReturnSuccess && description);
    const uint64_t mine = OSDictionaryGetUInt64Value(description, "Mine"), lines = OSDictionaryGetUInt64Value(description, "Lines");
    OSString *kind = OSDynamicCast(OSString, description->getObject("Kind"));
    const bool trunk = kind && strcmp(kind->getCStringNoCopy(), "trunk") == 0;
    OSSafeReleaseNULL(description);
    OSSafeReleaseNULL(words);
    ENSURE(mine == 5 && lines == 3 && trunk);

    uint32_t before = 0, listeners = 0;
    OSObject *listener = nullptr;
    ENSURE(ivars->trunk->Attach(nullptr, &before) == kIOReturnSuccess);
    ENSURE(ivars->trunk->Attach(ivars->board, &listeners) == kIOReturnSuccess && listeners == before + 1);
    ENSURE(ivars->trunk->CopyListener(before, &listener) == kIOReturnSuccess && listener == ivars->board);
    OSSafeReleaseNULL(listener);
    ENSURE(ivars->trunk->CopyListener(listeners, &listener) == kIOReturnNotFound && listener == nullptr);
    return 0;
}

kern_return_t SwitchboardUserClient::checkQueues()
{
    IODispatchQueue *wire = nullptr;
    bool onWire = true;

    if (ivars->trunk->CopyDispatchQueue(kTrunkWireQueue, &wire) != kIOReturnSuccess)
    {
        /* Nobody has set it yet: the default queue serves. */
        ENSURE(ivars->trunk->UseWire(&onWire) == kIOReturnSuccess && !onWire);
        ENSURE(IODispatchQueue::Create("wire", 0, 0, &wire) == kIOReturnSuccess);
        const kern_return_t unknown = ivars->trunk->SetDispatchQueue("TrunkNothing", wire);
        const kern_return_t known = ivars->trunk->SetDispatchQueue(kTrunkWireQueue, wire);
        OSSafeReleaseNULL(wire);
        ENSURE(unknown == kIOReturnBadArgument && known == kIOReturnSuccess);
    }
    OSSafeReleaseNULL(wire);
    ENSURE(ivars->trunk->UseWire(&onWire) == kIOReturnSuccess && onWire);
    return 0;
}

/* One way, from another queue: later, and in order. */
kern_return_t SwitchboardUserClient::checkOneWay()
{
    uint64_t before = 0, after = 0;

    ENSURE(ivars->trunk->GetCount(&before) == kIOReturnSuccess);
    for (uint32_t i = 1; i <= 100; i++)
        ivars->trunk->Count(i);
    ENSURE(ivars->trunk->GetCount(&after) == kIOReturnSuccess && after == before + 5050);
    return 0;
}

kern_return_t SwitchboardUserClient::subscribe(OSAction *completion)
{
    kern_return_t ret;

    if (ivars->rang)
        return kIOReturnBusy;
    ret = CreateActionLineRang(sizeof(uint64_t), &ivars->rang);
    if (ret != kIOReturnSuccess)
        return ret;
    completion->retain();
    ivars->completion = completion;
    return ivars->trunk->Subscribe(ivars->rang);
}

void SwitchboardUserClient::LineRang_Impl(OSAction *action, uint64_t line, TrunkNumber number)
{
    uint64_t *calls = (uint64_t *)action->GetReference();
    uint64_t values[5] = { line, number.country, number.length, 0, ++*calls };

    for (uint32_t i = 0; i < number.length && i < 8; i++)
        values[3] = 10 * values[3] + number.digits[i];
    AsyncCompletion(ivars->completion, kIOReturnSuccess, values, 5);
}

kern_return_t SwitchboardUserClient::ring(uint64_t line)
{
    TrunkNumber number;

    number.length = (uint32_t)line + 1;
    for (uint8_t i = 0; i < sizeof(number.digits); i++)
        number.digits[i] = i + 1;
    return ivars->trunk->Ring(line, number);
}

kern_return_t SwitchboardUserClient::later(OSAction *completion, uint64_t nanoseconds)
{
    IODispatchQueue *queue = nullptr;
    kern_return_t ret;

    if (ivars->timer)
        return kIOReturnBusy;
    ret = CopyDispatchQueue(kIOServiceDefaultQueueName, &queue);
    if (ret != kIOReturnSuccess)
        return ret;
    ret = IOTimerDispatchSource::Create(queue, &ivars->timer);
    OSSafeReleaseNULL(queue);
    if (ret != kIOReturnSuccess)
        return ret;
    ret = OSAction::Create(this, SwitchboardUserClient_Elapsed_ID, IOTimerDispatchSource_TimerOccurred_ID, 0, &ivars->elapsed);
    if (ret != kIOReturnSuccess)
        return ret;
    ret = ivars->timer->SetHandler(ivars->elapsed);
    if (ret != kIOReturnSuccess)
        return ret;
    completion->retain();
    ivars->laterCompletion = completion;
    return ivars->timer->WakeAtTime(kIOTimerClockMonotonicRaw, clock_gettime_nsec_np(CLOCK_MONOTONIC_RAW) + nanoseconds, 0);
}

void IMPL(SwitchboardUserClient, Elapsed)
{
    AsyncCompletion(ivars->laterCompletion, action == ivars->elapsed ? kIOReturnSuccess : kIOReturnError, &time, 1);
}

kern_return_t SwitchboardUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
                                                    const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
    static const IOUserClientMethodDispatch extra[] = {
        [kSwitchboardSubscribe - kSwitchboardChecks] = { nullptr, true, 0, 0, 0, 0 },
        [kSwitchboardRing - kSwitchboardChecks] = { nullptr, false, 1, 0, 0, 0 },
        [kSwitchboardHeard - kSwitchboardChecks] = { nullptr, false, 0, 0, 1, 0 },
        [kSwitchboardLater - kSwitchboardChecks] = { nullptr, true, 1, 0, 0, 0 },
    };

    switch (selector)
    {
        case kSwitchboardValues:    return checkValues();
        case kSwitchboardArrays:    return checkArrays();
        case kSwitchboardStrings:   return checkStrings();
        case kSwitchboardStructs:   return checkStructs();
        case kSwitchboardObjects:   return checkObjects();
        case kSwitchboardQueues:    return checkQueues();
        case kSwitchboardOneWay:    return checkOneWay();
    }
    if (selector >= kSwitchboardSelectors)
        return kIOReturnUnsupported;

    kern_return_t ret = super::ExternalMethod(selector, arguments, &extra[selector - kSwitchboardChecks], this, nullptr);
    if (ret != kIOReturnNoCompletion)
        return ret;
    switch (selector)
    {
        case kSwitchboardSubscribe: return subscribe(arguments->completion);
        case kSwitchboardRing:      return ring(arguments->scalarInput[0]);
        case kSwitchboardLater:     return later(arguments->completion, arguments->scalarInput[0]);
    }
    arguments->scalarOutput[0] = ivars->board->heard();
    return kIOReturnSuccess;
}
