/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues, sources, timers and the log as C++ sources of dexts use them: each method reaches its C function with its arguments, and
 * blocks run with what they have captured. What the functions promise is shown by the tests of the C API. Compiled by clang++
 * -fblocks, once for each -std= (test-queues.sh).
 */
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOEventLink.h>
#if __cplusplus >= 201703L
#include <DriverKit/OSSharedPtr.h>
#endif
#include <DriverKit/IOWorkGroup.h>
#include <ambidext/interrupt.h>
#include <os/log.h>

#include "Queues.h"
#include "seen.h"

#define OK(call) CHECK((call) == kIOReturnSuccess)

static IODispatchQueue * makeQueue(const char * name, uint64_t options)
{
    IODispatchQueue * queue = nullptr;

    OK(IODispatchQueue::Create(name, options, 0, &queue));
    CHECK(queue && OSDynamicCast(IODispatchQueue, queue) && strcmp(queue->GetName(), name) == 0);
    return queue;
}

/* --- queues --- */

static void addOne(void * context)
{
    static_cast<Events *>(context)->add();
}

static void checkBlocks()
{
    IODispatchQueue * queue = makeQueue("blocks", 0);
    static Events done = EVENTS_NONE;
    __block uint64_t sum = 0;
    OSString * captured = OSString::withCString("captured");

    CHECK(!queue->OnQueue());
    for (uint64_t i = 1; i <= 10; i++) {
        queue->DispatchAsync(^{
            sum += i;
            CHECK(queue->OnQueue() && captured->getLength() == 8);
            done.add();
        });
    }
    done.wait(10);
    /* Behind them on the queue, and what it says comes back. */
    __block kern_return_t ret = kIOReturnError;
    queue->DispatchSync(^{
        ret = sum == 55 && queue->OnQueue() ? kIOReturnSuccess : kIOReturnError;
        queue->DispatchSync(^{
            sum += 1000;
        });
    });
    CHECK(ret == kIOReturnSuccess && sum == 1055);
    kern_return_t code = queue->RunAction(^kern_return_t(void) {
        return queue->OnQueue() ? kIOReturnOverrun : kIOReturnError;
    });
    CHECK(code == kIOReturnOverrun);
    queue->DispatchAsync_f(&done, addOne);
    queue->DispatchConcurrent_f(&done, addOne);
    queue->DispatchSync_f(&done, addOne);
    CHECK(done.now() == 13);
    captured->release();
    queue->release();
}

/* What has been dispatched is dropped, with what it has captured; the handler comes once. */
static void checkCancel()
{
    IODispatchQueue * queue = makeQueue("cancelled", 0);
    static Events started = EVENTS_NONE, go = EVENTS_NONE, over = EVENTS_NONE;
    __block int dropped = 0;

    queue->DispatchAsync(^{
        started.add();
        go.wait(1);
    });
    started.wait(1);
    queue->DispatchAsync(^{
        dropped++;
    });
    OK(queue->Cancel(^{
        over.add();
    }));
    CHECK(over.now() == 0);
    go.add();
    over.wait(1);
    queue->DispatchSync(^{
        dropped++;
    });
    CHECK(queue->RunAction(^kern_return_t(void) { return kIOReturnSuccess; }) == kIOReturnAborted);
    CHECK(dropped == 0);
    OK(queue->Cancel(nullptr));
    queue->release();
}

static void checkReentrant()
{
    IODispatchQueue * queue = makeQueue("reentrant", kIODispatchQueueReentrant);
    static Events together = EVENTS_NONE, over = EVENTS_NONE, asleep = EVENTS_NONE, woken = EVENTS_NONE;
    static int event;

    for (int i = 0; i < 3; i++) {
        queue->DispatchConcurrent(^{
            together.add();
            together.wait(3);
            over.add();
        });
    }
    over.wait(3);
    for (int i = 0; i < 3; i++) {
        queue->DispatchAsync(^{
            asleep.add();
            OK(queue->SleepWithDeadline(&event, kIOTimerClockMachAbsoluteTime, UINT64_MAX));
            CHECK(queue->OnQueue());
            woken.add();
        });
    }
    asleep.wait(3);
    queue->DispatchSync(^{
        OK(queue->Wakeup(&event));
    });
    woken.wait(1);
    queue->DispatchSync(^{
        CHECK(woken.now() == 1);
        OK(queue->WakeupWithOptions(&event, kIODispatchQueueWakeupAll));
    });
    woken.wait(3);
    queue->DispatchSync(^{
        CHECK(queue->SleepWithTimeout(&event, 1) == kIOReturnTimeout);
        CHECK(queue->Sleep(&event, 1) == kIOReturnTimeout);
        CHECK(queue->SleepWithDeadline(&event, kIOTimerClockUptimeRaw, 1) == kIOReturnTimeout);
    });
    CHECK(queue->Wakeup(&event) == kIOReturnNotPermitted);
    queue->release();
}

#if __cplusplus >= 201703L
/* Objects in OSSharedPtr, also captured ones, which a block's copy holds. */
static void checkShared()
{
    OSSharedPtr<IODispatchQueue> queue;
    static Events done = EVENTS_NONE, go = EVENTS_NONE;

    OK(IODispatchQueue::Create("shared", 0, 0, queue.attach()));
    OSSharedPtr<OSString> text = OSSharedPtr(OSString::withCString("text"), OSNoRetain);
    OSString * plain = text.get();
    plain->retain();
    { /* the block itself goes at the end of this */
        queue->DispatchAsync(^{
            go.wait(1);
            CHECK(text->getLength() == 4 && text.get() == plain);
            done.add();
        });
    }
    text.reset();
    CHECK(plain->getRetainCount() == 2);
    go.add();
    done.wait(1);
    /* The copy goes after the block has run: before what comes later on the queue. */
    queue->DispatchSync(^{
        CHECK(plain->getRetainCount() == 1);
    });
    plain->release();
}
#endif

static unsigned logged;

static int countLines(const char * format, ...)
{
    logged += strchr(format, '%') ? 1 : 0;
    return 0;
}

static void checkLog()
{
    IODispatchQueue * queue = makeQueue("logged", 0);

    queue->DispatchSync(^{
        IODispatchQueue::Log("here", countLines);
    });
    CHECK(logged >= 2); /* the message, and this queue */
    queue->release();
}

/* --- sources --- */

static Queues * makeService()
{
    Queues * service = OSTypeAlloc(Queues);

    CHECK(service && service->init() && OSDynamicCast(Queues, service));
    return service;
}

/* Start arms a timer with an own queue; Stop's last counted block ends it. */
static void checkLife()
{
    Queues * service = makeService();

    OK(service->Start(nullptr));
    seen.ticks.wait(1);
    OK(service->Stop(nullptr));
    seen.stopped.wait(1);
    CHECK(seen.cancelled.now() == 3 && seen.ticks.now() == 1);
    service->release();
    seen.freed.wait(1);
}

static void checkTimer()
{
    Queues * service = makeService();
    IODispatchQueue * queue = nullptr;
    IOTimerDispatchSource * timer = nullptr;
    OSAction * action = nullptr, * wrong = nullptr;
    static Events switched = EVENTS_NONE, cancelled = EVENTS_NONE;

    OK(service->CopyDispatchQueue(kIOServiceDefaultQueueName, &queue));
    OK(service->CreateActionTock(0, &action));
    OK(service->CreateActionArrived(0, &wrong));
    OK(IOTimerDispatchSource::Create(queue, &timer));
    CHECK(timer->SetHandler(wrong) == kIOReturnBadArgument);
    OK(timer->SetHandler(action));
    CHECK(timer->WakeAtTime(0x77, 1, 0) == kIOReturnBadArgument);
    uint64_t deadline = clock_gettime_nsec_np(CLOCK_UPTIME_RAW) + 1000;
    OK(timer->WakeAtTime(kIOTimerClockUptimeRaw, deadline, 1));
    seen.tocks.wait(1);
    CHECK(seen.time >= deadline);
    /* Switched off and on: one is kept. */
    OK(timer->SetEnable(false));
    OK(timer->SetEnableWithCompletion(false, ^{
        switched.add();
    }));
    switched.wait(1);
    OK(timer->WakeAtTime(kIOTimerClockMonotonicRaw, 1, 0));
    OK(timer->SetEnableWithCompletion(true, ^{
        switched.add();
    }));
    seen.tocks.wait(2);
    switched.wait(2);
    /* By hand, as a source does it: to the action's target. */
    timer->TimerOccurred(action, 1234);
    seen.tocks.wait(3);
    CHECK(seen.time == 1234);
    OK(timer->Cancel(^{
        cancelled.add();
    }));
    cancelled.wait(1);
    CHECK(timer->SetEnable(true) == kIOReturnNotReady);
    OK(action->Cancel(nullptr));
    wrong->release();
    timer->release();
    action->release();
    queue->release();
    service->release();
    seen.freed.wait(2);
}

/* Waiting for a callback, and for the end of them. Tock is known by its ids alone here, as two public drivers have it. */
static void checkAction()
{
    Queues * service = makeService();
    IODispatchQueue * queue = makeQueue("action", 0);
    IOTimerDispatchSource * timer = nullptr;
    OSAction * action = nullptr, * named = nullptr;
    OSString * name = OSString::withCString("OSAction_Queues_Tock");
    static Events aborted = EVENTS_NONE, cancelled = EVENTS_NONE;
    void * token = nullptr;
    unsigned before = seen.tocks.now();

    OK(OSAction::Create(service, Queues_Tock_ID, IOTimerDispatchSource_TimerOccurred_ID, 0, &action));
    CHECK(strcmp(action->GetClassName(), "OSAction") == 0 && !action->GetReference());
    OK(OSAction::CreateWithTypeName(service, Queues_Tock_ID, IOTimerDispatchSource_TimerOccurred_ID, 16, name, &named));
    CHECK(strcmp(named->GetClassName(), "OSAction_Queues_Tock") == 0 && named->GetReference());
    CHECK(OSAction::Create(service, 0x1234, IOTimerDispatchSource_TimerOccurred_ID, 0, &action) == kIOReturnBadArgument);
    OK(IOTimerDispatchSource::Create(queue, &timer));
    OK(timer->SetHandler(named));
    OK(named->SetAbortedHandler(^{
        aborted.add();
    }));
    OK(named->WillWait(&token));
    CHECK(named->Wait(token, kIOTimerClockUptimeRaw, 1) == kIOReturnTimeout);
    OK(timer->WakeAtTime(kIOTimerClockRealTime, 1, 0));
    OK(named->Wait(token, 0, 0));
    CHECK(seen.tocks.now() == before + 1);
    OK(named->EndWait(token));
    OK(timer->SetHandler(nullptr));
    aborted.wait(1);
    OK(named->Cancel(^{
        cancelled.add();
    }));
    OK(action->Cancel(^(void) {
        cancelled.add();
    }));
    cancelled.wait(2);
    timer->release();
    named->release();
    action->release();
    name->release();
    queue->release();
    service->release();
    seen.freed.wait(3);
}

static void interrupt(int fd, uint64_t count)
{
    CHECK(write(fd, &count, sizeof(count)) == sizeof(count));
}

static void checkInterrupt()
{
    Queues * service = makeService();
    IOService * provider = OSTypeAlloc(IOService);
    IODispatchQueue * queue = makeQueue("interrupts", 0);
    IOInterruptDispatchSource * source = nullptr, * none = nullptr;
    OSAction * action = nullptr;
    static Events cancelled = EVENTS_NONE;
    uint64_t type = 77, count = 77, time = 0;
    int fd = eventfd(0, EFD_CLOEXEC);

    CHECK(provider->init());
    OK(amb_service_attach_interrupt(provider, 3, fd, -1, kIOInterruptTypeLevel));
    OK(IOInterruptDispatchSource::GetInterruptType(provider, 3, &type));
    CHECK(type == kIOInterruptTypeLevel);
    CHECK(IOInterruptDispatchSource::Create(provider, 4, queue, &none) == kIOReturnNoInterrupt && !none);
    OK(IOInterruptDispatchSource::Create(provider, 3, queue, &source));
    OK(service->CreateActionInterrupted(0, &action));
    OK(source->SetHandler(action));
    interrupt(fd, 5);
    OK(source->SetEnable(true));
    seen.interrupted.wait(1);
    CHECK(seen.interrupts == 5 && seen.time > 0 && seen.time <= mach_absolute_time());
    OK(source->GetLastInterrupt(&count, &time));
    CHECK(count == 0 && time == seen.time);
    interrupt(fd, 2);
    seen.interrupted.wait(2);
    CHECK(seen.interrupts == 7);
    source->InterruptOccurred(action, 100, 4321);
    seen.interrupted.wait(3);
    CHECK(seen.interrupts == 107 && seen.time == 4321);
    OK(source->Cancel(^{
        cancelled.add();
    }));
    cancelled.wait(1);
    CHECK(source->SetEnable(false) == kIOReturnUnsupported);
    source->release();
    action->release();
    queue->release();
    provider->release();
    service->release();
    seen.freed.wait(4);
    close(fd);
}

static void checkDataQueueHandlers(IODataQueueDispatchSource * queue, OSAction * arrived, OSAction * serviced)
{
    OSAction * copied = nullptr;

    CHECK(queue->CopyDataAvailableHandler(&copied) == kIOReturnNotReady);
    CHECK(queue->SetDataServicedHandler(arrived) == kIOReturnBadArgument);
    OK(queue->SetDataAvailableHandler(arrived));
    OK(queue->SetDataServicedHandler(serviced));
    OK(queue->CopyDataAvailableHandler(&copied));
    CHECK(copied == arrived);
    OSSafeReleaseNULL(copied);
    OK(queue->CopyDataServicedHandler(&copied));
    CHECK(copied == serviced);
    OSSafeReleaseNULL(copied);
}

static void checkDataQueueEntries(IODataQueueDispatchSource * queue, OSAction * arrived, OSAction * serviced)
{
    __block uint32_t runs = 0;
    bool send = false;
    IODataQueueClientDequeueEntryBlock look = ^(const void * data, size_t size) {
        CHECK(memcmp(data, "abcdefgh", size) == 0);
        runs += 1 + 10 * size;
    };

    CHECK(!queue->IsDataAvailable() && queue->CheckForWork(false) == kIOReturnNotReady);
    OK(queue->CanEnqueueData(5));
    OK(queue->CanEnqueueData(4, 3));
    CHECK(queue->CanEnqueueData(4, 5) == kIOReturnOverrun);
    OK(queue->Enqueue(5, ^(void * data, size_t size) {
        memcpy(data, "abcde", size);
    }));
    seen.arrived.wait(1);
    OK(queue->EnqueueWithCoalesce(3, &send, ^(void * data, size_t size) {
        memcpy(data, "abc", size);
    }));
    CHECK(!send && queue->IsDataAvailable());
    CHECK(queue->Enqueue(64, ^(void *, size_t) { runs = 99; }) == kIOReturnOverrun);
    seen.arrived.wait(2); /* a full queue says so, too */
    OK(queue->Peek(look));
    CHECK(runs == 51);
    OK(queue->Dequeue(look));
    CHECK(runs == 102);
    seen.serviced.wait(1);
    OK(queue->DequeueWithCoalesce(&send, look));
    CHECK(runs == 133 && !send);
    CHECK(queue->Dequeue(look) == kIOReturnUnderrun);
    queue->SendDataAvailable();
    seen.arrived.wait(3);
    queue->DataAvailable(arrived);
    seen.arrived.wait(4);
    queue->SendDataServiced();
    seen.serviced.wait(2);
    queue->DataServiced(serviced);
    seen.serviced.wait(3);
}

static void checkDataQueueEnd(IODataQueueDispatchSource * queue)
{
    __block uint32_t runs = 133;

    OK(queue->SetEnable(false));
    OK(queue->SetEnableWithCompletion(true, ^{
        runs = 0;
    }));
    CHECK(runs == 133);
    OK(queue->Cancel(^{
        runs++;
    }));
    CHECK(runs == 134);
    /* As one source among others. */
    IODispatchSource * source = queue;
    static Events cancelled = EVENTS_NONE;
    OK(source->Cancel(^{
        cancelled.add();
    }));
    cancelled.wait(1);
}

static void checkDataQueue()
{
    Queues * service = makeService();
    IODataQueueDispatchSource * queue = nullptr;
    IOMemoryDescriptor * memory = nullptr;
    OSAction * arrived = nullptr, * serviced = nullptr;

    OK(IODataQueueDispatchSource::Create(32, nullptr, &queue));
    CHECK(IODataQueueDispatchSource::GetDataQueueEntryHeaderSize() == 4);
    OK(service->CreateActionArrived(0, &arrived));
    OK(service->CreateActionServiced(0, &serviced));
    checkDataQueueHandlers(queue, arrived, serviced);
    OK(queue->CopyMemory(&memory));
    uint64_t length = 0;
    OK(memory->GetLength(&length));
    CHECK(length == 32 + 128);
    memory->release();

    checkDataQueueEntries(queue, arrived, serviced);
    checkDataQueueEnd(queue);
    queue->release();
    arrived->release();
    serviced->release();
    service->release();
    seen.freed.wait(5);
}

/* --- changes of services --- */

static void checkState()
{
    Queues * service = makeService();
    IODispatchQueue * queue = makeQueue("state", 0);
    OSArray * items = OSArray::withCapacity(1);
    OSString * name = OSString::withCString("speed");
    OSDictionary * value = OSDictionary::withCapacity(1);
    IOServiceStateNotificationDispatchSource * source = nullptr;
    OSAction * action = nullptr;

    CHECK(items->setObject(name));
    OSDictionarySetUInt64Value(value, "rpm", 3000);
    OK(service->StateNotificationItemCreate(name, nullptr));
    OK(IOServiceStateNotificationDispatchSource::Create(service, items, queue, &source));
    OK(service->CreateActionChanged(0, &action));
    OK(source->SetHandler(action));
    seen.changed.wait(1);
    OK(source->StateNotificationBegin());
    OK(service->StateNotificationItemSet(name, value));
    seen.changed.wait(2);
    OSDictionary * found = nullptr;
    OK(service->StateNotificationItemCopy(name, &found));
    CHECK(OSDictionaryGetUInt64Value(found, "rpm") == 3000);
    found->release();
    source->StateNotificationReady(action);
    seen.changed.wait(3);
    CHECK(source->Cancel(^{}) == kIOReturnUnsupported);
    source->release();
    action->release();
    value->release();
    name->release();
    items->release();
    queue->release();
    service->release();
    seen.freed.wait(6);
}

/* As the host starts a service; it is inside of the runtime. */
extern "C" kern_return_t amb_service_start(IOService * service, IOService * provider);

static void checkNotification()
{
    Queues * service = makeService();
    IODispatchQueue * queue = makeQueue("notices", 0);
    OSDictionary * matching = OSDictionary::withCapacity(1);
    IOServiceNotificationDispatchSource * source = nullptr;
    OSAction * action = nullptr;
    __block unsigned delivered = 0;
    uint64_t type = 0, options = 1;
    IOService * none = service;

    OK(IOServiceNotificationDispatchSource::Create(matching, 0, queue, &source));
    OK(service->CreateActionNoticed(0, &action));
    OK(source->SetHandler(action));
    OK(service->RegisterService());
    OK(amb_service_start(service, nullptr));
    seen.noticed.wait(1);
    OK(source->DeliverNotifications(^(uint64_t kind, IOService * which, uint64_t with) {
        CHECK(kind == kIOServiceNotificationTypeMatched && which == service && with == 0);
        delivered++;
    }));
    CHECK(delivered == 1);
    OK(source->CopyNextNotification(&type, &none, &options));
    CHECK(type == kIOServiceNotificationTypeNone && !none && options == 0);
    source->ServiceNotificationReady(action);
    seen.noticed.wait(2);
    CHECK(source->Cancel(^{}) == kIOReturnUnsupported);
    OK(source->SetEnable(false));
    OK(service->Stop(nullptr));
    seen.stopped.wait(2);
    source->release();
    action->release();
    matching->release();
    queue->release();
    service->release();
    seen.freed.wait(7);
}

/* --- links, groups --- */

static void checkNames()
{
    IOUserClient * client = OSTypeAlloc(IOUserClient), * other = OSTypeAlloc(IOUserClient);
    OSString * name = OSString::withCString("link");
    IOEventLink * link = nullptr;
    IOWorkGroup * group = nullptr;
    uint64_t consumed = 0;

    CHECK(client->init() && other->init());
    OK(IOEventLink::Create(name, client, &link));
    CHECK(link->Signal() == kIOReturnUnsupported && link->Wait(&consumed) == kIOReturnUnsupported);
    CHECK(link->WaitUntil(kIOEventLinkClockMachAbsoluteTime, 1, &consumed) == kIOReturnUnsupported);
    CHECK(link->SignalAndWait(&consumed) == kIOReturnUnsupported && link->Cancel() == kIOReturnUnsupported);
    CHECK(link->SignalAndWaitUntil(kIOEventLinkClockMachAbsoluteTime, 1, &consumed) == kIOReturnUnsupported);
    CHECK(link->Activate() == kIOReturnUnsupported && link->Associate(kIOEventLinkAssociateOnWait) == kIOReturnUnsupported);
    CHECK(link->Disassociate() == kIOReturnUnsupported && link->Invalidate(other) == kIOReturnBadArgument);
    OK(link->Invalidate(client));
    OK(IOWorkGroup::Create(name, client, &group));
    CHECK(group->Join(nullptr) == kIOReturnUnsupported && group->Leave(nullptr) == kIOReturnUnsupported);
    CHECK(group->Invalidate(other) == kIOReturnBadArgument);
    OK(group->Invalidate(client));
    CHECK(IOWorkGroup::Create(nullptr, client, &group) == kIOReturnBadArgument);
    link->release();
    group->release();
    name->release();
    client->release();
    other->release();
}

/* --- the log --- */

/* What a dext has at the top of its file. */
#define Log(fmt, ...) os_log(OS_LOG_DEFAULT, "Queues::%s: " fmt "\n", __FUNCTION__, ##__VA_ARGS__)

static void logLines()
{
    uint64_t value = 0x1234567890ull;
    os_log_t log = os_log_create("org.ambidext.queues", "calls");

    Log("plain %d%%", 7);
    Log("started");
    os_log(OS_LOG_DEFAULT, "%{public}s is 0x%llx, %{private}d, %{public, signpost}u, %{public}-6s|", "value", value, -3, 4u, "left");
    os_log_error(log, "error %{errno}d", 2);
    os_log_info(log, "info %zu", sizeof(value));
    os_log_fault(log, "fault");
    os_log_debug(log, "nobody sees this");
    CHECK(log && log == os_log_create("org.ambidext.queues", "calls"));
    CHECK(os_log_type_enabled(log, OS_LOG_TYPE_ERROR) && os_log_info_enabled(log) && !os_log_debug_enabled(OS_LOG_DEFAULT));
}

static void checkSystemLog()
{
    static const char expected[] = "ambidext: Queues::logLines: plain 7%\n"
                                   "ambidext: Queues::logLines: started\n"
                                   "ambidext: value is 0x1234567890, -3, 4, left  |\n"
                                   "ambidext: org.ambidext.queues:calls: error 2\n"
                                   "ambidext: org.ambidext.queues:calls: info 8\n"
                                   "ambidext: org.ambidext.queues:calls: fault\n";
    char found[2 * sizeof(expected)] = "";
    FILE * file = tmpfile();
    int before = dup(STDERR_FILENO);

    CHECK(file && before >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    logLines();
    CHECK(dup2(before, STDERR_FILENO) >= 0 && close(before) == 0);
    rewind(file);
    fread(found, 1, sizeof(found) - 1, file);
    fclose(file);
    if (strcmp(found, expected) != 0)
        fprintf(stderr, "the log has\n%s", found);
    CHECK(strcmp(found, expected) == 0);
}

int main()
{
    checkSystemLog();
    checkBlocks();
    checkCancel();
    checkReentrant();
#if __cplusplus >= 201703L
    checkShared();
#endif
    checkLog();
    checkLife();
    checkTimer();
    checkAction();
    checkInterrupt();
    checkDataQueue();
    checkState();
    checkNotification();
    checkNames();
    return 0;
}
