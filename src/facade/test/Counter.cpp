/* SPDX-License-Identifier: Apache-2.0 */
/* The dext of the proof, in the two forms in which implementations are written; and calls as between objects of a driver. */
#include <pthread.h>

#include <DriverKit/IOLib.h>
#include <DriverKit/IOService.h>
#include <DriverKit/IOUserClient.h>

#include "Counter.h"
#include "proof.h"

struct Counter_IVars {
    uint64_t total;
    OSObject * poked;
    bool started;
    bool pokeOnQueue;
    OSAction * armed;
    IOTimerDispatchSource * timer;
    IOService * provider;
};

bool Counter::init()
{
    if (!super::init())
        return false;
    ivars = IONewZero(Counter_IVars, 1);
    return ivars != nullptr;
}

void Counter::free()
{
    CHECK(ivars);
    OSSafeReleaseNULL(ivars->poked);
    OSSafeReleaseNULL(ivars->timer);
    OSSafeReleaseNULL(ivars->armed);
    IOSafeDeleteNULL(ivars, Counter_IVars, 1);
    proof_happened(&proof_counts.frees);
    super::free();
}

kern_return_t IMPL(Counter, Start)
{
    kern_return_t ret = Start(above, SUPERDISPATCH);
    if (ret != kIOReturnSuccess)
        return ret;
    ivars->provider = above;
    ivars->started = true;
    proof_happened(&proof_counts.starts);
    /* On the own queue: done when the call returns. */
    Poke(this, 3);
    return ivars->total == 3 && ivars->pokeOnQueue ? kIOReturnSuccess : kIOReturnError;
}

kern_return_t Counter::Stop_Impl(IOService * above)
{
    proof_happened(&proof_counts.stops);
    return super::Stop(above, SUPERDISPATCH);
}

bool IMPL(Counter, getReady)
{
    return ivars->started;
}

uint32_t IMPL(Counter, Add)
{
    ivars->total += amount;
    return (uint32_t)ivars->total;
}

void IMPL(Counter, Poke)
{
    IODispatchQueue * queue = nullptr;
    CHECK(CopyDispatchQueue(kIOServiceDefaultQueueName, &queue) == kIOReturnSuccess);
    ivars->pokeOnQueue = queue->OnQueue();
    queue->release();
    if (who && who != this) {
        OSSafeReleaseNULL(ivars->poked);
        ivars->poked = who;
        who->retain();
    }
    ivars->total += amount;
}

kern_return_t Counter::Sum_Impl(CounterSample sample, const uint32_t * values, uint32_t valuesCount, const char * name, uint64_t * sum)
{
    *sum = sample.value + strlen(name);
    for (uint32_t i = 0; i < valuesCount; i++)
        *sum += values[i];
    return sample.index == 7 ? kIOReturnSuccess : kIOReturnBadArgument;
}

kern_return_t IMPL(Counter, Fill)
{
    CHECK(*valuesCount <= 4);
    for (uint32_t i = 0; i < 4; i++)
        values[i] = i + 1;
    *valuesCount = 2;
    return kIOReturnSuccess;
}

kern_return_t IMPL(Counter, CopyQueue)
{
    return CopyDispatchQueue(kIOServiceDefaultQueueName, queue);
}

kern_return_t IMPL(Counter, CopyWrong)
{
    retain();
    *queue = reinterpret_cast<IODispatchQueue *>(this);
    return kIOReturnSuccess;
}

kern_return_t IMPL(Counter, Apart)
{
    IODispatchQueue * queue = nullptr;
    *onQueue = CopyDispatchQueue(kCounterQueueName, &queue) == kIOReturnSuccess && queue->OnQueue();
    OSSafeReleaseNULL(queue);
    return kIOReturnSuccess;
}

kern_return_t IMPL(Counter, Version)
{
    *version = 42;
    return kIOReturnSuccess;
}

void IMPL(Counter, Reached)
{
    abort(); /* the action's target gets it */
}

void IMPL(Counter, Tick)
{
    CHECK(action && time > 0);
    CHECK(strcmp(action->GetClassName(), "OSAction_Counter_Tick") == 0);
    proof_happened(&proof_counts.ticks);
}

void IMPL(Counter, Tock)
{
    CHECK(strcmp(action->GetClassName(), "OSAction_Counter_Tock") == 0);
    proof_happened(&proof_counts.tocks);
}

void IMPL(Counter, Plain)
{
    CHECK(action && time > 0);
    proof_happened(&proof_counts.plains);
}

kern_return_t Counter::Arm(uint64_t kind)
{
    IODispatchQueue * queue = nullptr;
    kern_return_t ret;

    OSSafeReleaseNULL(ivars->timer);
    OSSafeReleaseNULL(ivars->armed);
    if (kind == 0)
        ret = CreateActionTick(8, &ivars->armed);
    else if (kind == 1)
        ret = CreateActionTock(0, &ivars->armed);
    else
        ret = OSAction::Create(this, Counter_Plain_ID, IOTimerDispatchSource_TimerOccurred_ID, 0, &ivars->armed);
    if (ret != kIOReturnSuccess || CopyDispatchQueue(kIOServiceDefaultQueueName, &queue) != kIOReturnSuccess)
        return kIOReturnError;
    CHECK(kind != 0 || ivars->armed->GetReference());
    ret = IOTimerDispatchSource::Create(queue, &ivars->timer);
    queue->release();
    if (ret == kIOReturnSuccess)
        ret = ivars->timer->SetHandler(ivars->armed);
    return ret == kIOReturnSuccess ? ivars->timer->WakeAtTime(kIOTimerClockUptimeRaw, 1, 0) : ret;
}

uint64_t Counter::total() const
{
    return ivars->total;
}

/* --- BigCounter --- */

kern_return_t IMPL(BigCounter, Start)
{
    proof_happened(&proof_counts.big_starts);
    return Start(provider, SUPERDISPATCH);
}

uint32_t BigCounter::Add_Impl(uint32_t amount)
{
    return Add(1000 * amount, SUPERDISPATCH);
}

uint64_t BigCounter::total() const
{
    return super::total() + 1000000;
}

/* --- CounterClient --- */

struct CounterClient_IVars {
    uint64_t reached;
    uint64_t calls;
};

bool CounterClient::init()
{
    return super::init() && (ivars = IONewZero(CounterClient_IVars, 1));
}

void CounterClient::free()
{
    IOSafeDeleteNULL(ivars, CounterClient_IVars, 1);
    proof_happened(&proof_counts.client_frees);
    super::free();
}

kern_return_t IMPL(CounterClient, Start)
{
    return Start(provider, SUPERDISPATCH);
}

kern_return_t CounterClient::StaticDouble(OSObject * target, void * reference, IOUserClientMethodArguments * arguments)
{
    CounterClient * self = OSDynamicCast(CounterClient, target);
    CHECK(self && !OSDynamicCast(Counter, target));
    self->ivars->calls++;
    arguments->scalarOutput[0] = 2 * arguments->scalarInput[0];
    return kIOReturnSuccess;
}

kern_return_t CounterClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments * arguments,
                                            const IOUserClientMethodDispatch * dispatch, OSObject * target, void * reference)
{
    static const IOUserClientMethodDispatch table[] = {
        [0] = { &CounterClient::StaticDouble, 0, 1, 0, 1, 0 },
    };
    if (selector >= sizeof(table) / sizeof(table[0]))
        return kIOReturnBadArgument;
    return super::ExternalMethod(selector, arguments, &table[selector], this, reference);
}

void IMPL(CounterClient, CounterReached)
{
    CHECK(who && action);
    ivars->reached += value;
    proof_happened(&proof_counts.ticks);
}

/* --- CxxShelf --- */

uint32_t CxxShelf::put(uint32_t what)
{
    return super::put(what) + 100;
}

kern_return_t IMPL(CxxShelf, get)
{
    kern_return_t ret = get(what, SUPERDISPATCH);
    *what += 50;
    return ret;
}

/* --- what test-proof.c calls --- */

struct proof_counts proof_counts;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

void proof_happened(int * count)
{
    pthread_mutex_lock(&lock);
    ++*count;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void proof_wait(const int * count, int wanted)
{
    pthread_mutex_lock(&lock);
    while (*count < wanted)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void check_arrays(Counter * counter)
{
    const uint32_t values[4] = { 1, 2, 3, 4 };
    uint32_t room[5] = { 9, 9, 9, 9, 9 }, count = 3;
    uint64_t sum = 1;
    CounterSample sample;

    sample.index = 7;
    sample.value = 100;
    CHECK(counter->Sum(sample, values, 4, "abcdefghijkl", &sum) == kIOReturnSuccess);
    CHECK(sum == 100 + 10 + 7); /* of the string seven bytes have arrived */
    CHECK(counter->Sum(sample, values, 5, "", &sum) == kIOReturnOverrun && sum == 117);
    sample.index = 8;
    CHECK(counter->Sum(sample, values, 1, nullptr, &sum) == kIOReturnBadArgument && sum == 117); /* failed: nothing delivered */
    sample.index = 7;
    CHECK(counter->Sum(sample, values, 0, nullptr, nullptr) == kIOReturnSuccess);
    CHECK(counter->Fill(room, &count) == kIOReturnSuccess && count == 2);
    CHECK(room[0] == 1 && room[1] == 2 && room[2] == 9);
    room[1] = 9;
    count = 1; /* and the method says two */
    CHECK(counter->Fill(room, &count) == kIOReturnSuccess && room[0] == 1 && room[1] == 9);
    count = 5;
    CHECK(counter->Fill(room, &count) == kIOReturnOverrun && count == 5);
}

static void check_objects(Counter * counter)
{
    IODispatchQueue * queue = nullptr;

    CHECK(counter->CopyQueue(&queue) == kIOReturnSuccess && queue && !queue->OnQueue());
    CHECK(OSDynamicCast(IODispatchQueue, queue) == queue && !OSDynamicCast(IOService, queue));
    CHECK(counter->CopyQueue(nullptr) == kIOReturnSuccess); /* nobody wants it: given back */
    uint32_t count = counter->getRetainCount();
    IODispatchQueue * wrong = nullptr;
    CHECK(counter->CopyWrong(&wrong) == kIOReturnBadArgument && !wrong && counter->getRetainCount() == count);
    counter->Poke(reinterpret_cast<OSObject *>(queue), 0);
    CHECK(counter->Start(reinterpret_cast<IOService *>(queue)) == kIOReturnBadArgument);
    /* It has been started. */
    int starts = proof_counts.starts;
    CHECK(counter->Start(nullptr) == kIOReturnSuccess && proof_counts.starts == starts);
    /* Virtual calls on objects of C classes. */
    CHECK(queue->isEqualTo(queue) && !queue->isEqualTo(counter) && !queue->IsRemote());
    queue->release();
}

static void check_queue_name(Counter * counter)
{
    IODispatchQueue * apart = nullptr;
    bool on = true;
    uint32_t version = 0;

    CHECK(counter->Apart(&on) == kIOReturnSuccess && !on);
    CHECK(IODispatchQueue::Create("apart", 0, 0, &apart) == kIOReturnSuccess);
    CHECK(counter->SetDispatchQueue("CounterNobody", apart) == kIOReturnBadArgument);
    CHECK(counter->SetDispatchQueue(kCounterQueueName, apart) == kIOReturnSuccess);
    CHECK(counter->Apart(&on) == kIOReturnSuccess && on);
    apart->release();
    CHECK(Counter::Version(&version) == kIOReturnSuccess && version == 42);
}

/* A message that no class of the object knows. */
static void check_unknown(Counter * counter)
{
    auto body = [](void (*)(void), OSMetaClassBase *) { abort(); };

    CHECK(amb_send(counter, 0x1234, nullptr, body) == kIOReturnUnsupported);
    CHECK(amb_send(counter, 0x1234, &Counter::_Dispatch, body) == kIOReturnUnsupported);
}

void cxx_counter_calls(void * object)
{
    Counter * counter = static_cast<Counter *>(object);

    CHECK(OSRequiredCast(Counter, counter) == counter && counter->getReady());
    check_arrays(counter);
    check_objects(counter);
    check_queue_name(counter);
    check_unknown(counter);
}

uint32_t cxx_add(void * counter, uint32_t amount)
{
    return static_cast<Counter *>(counter)->Add(amount);
}

uint64_t cxx_total(const void * counter)
{
    return static_cast<const Counter *>(counter)->total();
}

void cxx_timers(void * object)
{
    Counter * counter = static_cast<Counter *>(object);

    CHECK(counter->Arm(0) == kIOReturnSuccess);
    proof_wait(&proof_counts.ticks, 1);
    CHECK(counter->Arm(1) == kIOReturnSuccess);
    proof_wait(&proof_counts.tocks, 1);
    CHECK(counter->Arm(2) == kIOReturnSuccess);
    proof_wait(&proof_counts.plains, 1);
    CHECK(proof_counts.ticks == 1 && proof_counts.tocks == 1);
}

void cxx_reached(void * object, void * other)
{
    Counter * counter = static_cast<Counter *>(object);
    CounterClient * client = static_cast<CounterClient *>(other);
    OSAction * action = nullptr;
    OSAction * tick = nullptr;
    int before = proof_counts.ticks;

    CHECK(client->CreateActionCounterReached(0, &action) == kIOReturnSuccess);
    CHECK(counter->CreateActionTick(0, &tick) == kIOReturnSuccess);
    counter->Reached(nullptr, counter, 1);
    counter->Reached(tick, counter, 1); /* of another kind: nothing happens */
    counter->Reached(action, counter, 5);
    counter->Reached(action, counter, 6);
    proof_wait(&proof_counts.ticks, before + 2);
    tick->release();
    action->release();
}

void cxx_one_way(void * object)
{
    Counter * counter = static_cast<Counter *>(object);
    IODispatchQueue * queue = nullptr;
    uint64_t before = counter->total();

    CHECK(counter->CopyQueue(&queue) == kIOReturnSuccess);
    queue->DispatchSync(^{
        counter->Poke(nullptr, 1);
        CHECK(counter->total() == before + 1);
    });
    counter->Poke(queue, 10);
    queue->release();
    queue = nullptr;
    CHECK(counter->getReady()); /* comes after what was sent before */
    CHECK(counter->total() == before + 11);
}

void cxx_shelf(void * object, uint32_t base)
{
    Shelf * shelf = static_cast<Shelf *>(object);
    uint32_t what = 0;

    CHECK(shelf->put(1) == base + 1);
    CHECK(shelf->twice(4) == 8);
    CHECK(shelf->get(&what) == kIOReturnSuccess && what == 1 + (base ? 50 : 0));
}

void cxx_release(void * object)
{
    static_cast<OSObject *>(object)->release();
}
