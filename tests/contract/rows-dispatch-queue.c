/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 9, 15.8: queues by themselves in the test program, and bound to the driver's objects. */
#include <pthread.h>
#include <time.h>

#include "base/test-process.h"
#include "contract.h"
#include "driver/test.h"

#define MS 1000000ull
#define UNUSED __attribute__((unused))

static UNUSED IODispatchQueue *make(uint64_t options)
{
        IODispatchQueue *queue = NULL;
        ck_code(IODispatchQueue_Create("row", options, 0, &queue), kIOReturnSuccess);
        return queue;
}

/* --- by themselves --- */

enum { THREADS = 4, ROUNDS = 1000 };
static UNUSED struct {
        IODispatchQueue *queue;
        int inside, total, last[THREADS];
        bool bad;
        struct signal done;
} serial = { .done = SIGNAL_INIT };

static UNUSED void serial_item(void *context)
{
        int thread = (int)((intptr_t)context / ROUNDS), number = (int)((intptr_t)context % ROUNDS);
        if (serial.inside++ != 0 || number != serial.last[thread]++)
                serial.bad = true;
        serial.inside--;
        if (++serial.total == THREADS * ROUNDS)
                signal_add(&serial.done);
}
static UNUSED void *serial_thread(void *context)
{
        for (intptr_t i = 0; i < ROUNDS; i++)
                IODispatchQueue_DispatchAsync_f(serial.queue, (void *)((intptr_t)context * ROUNDS + i), serial_item);
        return NULL;
}
KEPT_BARE(memory_and_queues_D001, "1000 DispatchAsync from each of 4 threads: one at a time, each thread's in order")
{
        pthread_t threads[THREADS];
        serial.queue = make(0);
        for (intptr_t i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, serial_thread, (void *)i), 0);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        signal_wait(&serial.done, 1);
        ck_assert(!serial.bad);
        OSObjectRelease(serial.queue);
}

struct place {
        IODispatchQueue *queue, *other;
        bool on, on_other;
        int ran;
        struct signal done;
};
static UNUSED void look_around(void *context)
{
        struct place *place = context;
        place->on = IODispatchQueue_OnQueue(place->queue);
        place->on_other = IODispatchQueue_OnQueue(place->other);
        place->ran++;
        signal_add(&place->done);
}
static UNUSED void look_from_within(void *context)
{
        IODispatchQueue_DispatchSync_f(((struct place *)context)->queue, context, look_around);
}
KEPT_BARE(memory_and_queues_D002, "OnQueue: true inside, for every queue the call chain holds, false outside")
{
        struct place place = { .queue = make(0), .other = make(0), .done = SIGNAL_INIT };
        IODispatchQueue_DispatchAsync_f(place.queue, &place, look_around);
        signal_wait(&place.done, 1);
        ck_assert(place.on && !place.on_other);
        IODispatchQueue_DispatchSync_f(place.other, &place, look_from_within);
        ck_assert(place.on && place.on_other);
        ck_assert(!IODispatchQueue_OnQueue(place.queue) && !IODispatchQueue_OnQueue(place.other));
        OSObjectRelease(place.queue);
        OSObjectRelease(place.other);
}

KEPT_BARE(memory_and_queues_D003, "DispatchSync on the queue one is on: runs at once")
{
        struct place place = { .queue = make(0), .done = SIGNAL_INIT };
        place.other = place.queue;
        IODispatchQueue_DispatchSync_f(place.queue, &place, look_from_within);
        ck_assert_int_eq(place.ran, 1);
        IODispatchQueue_DispatchAsync_f(place.queue, &place, look_from_within);
        signal_wait(&place.done, 2);
        ck_assert(place.on);
        OSObjectRelease(place.queue);
}

struct busy {
        struct signal started, go, ended;
        _Atomic bool over;
        pid_t waiter;
};
static UNUSED void be_busy(void *context)
{
        struct busy *busy = context;
        signal_add(&busy->started);
        signal_wait(&busy->go, 1);
        busy->over = true;
        signal_add(&busy->ended);
}
/* When who waits for the queue does. */
static UNUSED void *let_go(void *context)
{
        struct busy *busy = context;
        while (!thread_sleeps(busy->waiter))
                sched_yield();
        signal_add(&busy->go);
        return NULL;
}
static UNUSED void note_over(void *context)
{
        ck_assert(((struct busy *)context)->over);
        signal_add(&((struct busy *)context)->ended);
}
KEPT_BARE(memory_and_queues_D004, "DispatchSync from outside on a busy queue: waits, returns after its function has run")
{
        struct busy busy = { SIGNAL_INIT, SIGNAL_INIT, SIGNAL_INIT, false, gettid() };
        IODispatchQueue *queue = make(0);
        pthread_t thread;
        IODispatchQueue_DispatchAsync_f(queue, &busy, be_busy);
        signal_wait(&busy.started, 1);
        ck_assert_int_eq(pthread_create(&thread, NULL, let_go, &busy), 0);
        IODispatchQueue_DispatchSync_f(queue, &busy, note_over);
        ck_assert_int_eq(signal_count(&busy.ended), 2);
        pthread_join(thread, NULL);
        OSObjectRelease(queue);
}

static UNUSED kern_return_t give_code(void *context)
{
        return IODispatchQueue_OnQueue(context) ? 0x123 : 0;
}
KEPT_BARE(memory_and_queues_D005, "RunAction returns what its function returns")
{
        IODispatchQueue *queue = make(0);
        ck_code(IODispatchQueue_RunAction_f(queue, queue, give_code), 0x123);
        OSObjectRelease(queue);
}

static UNUSED struct signal dropped = SIGNAL_INIT, handled = SIGNAL_INIT;
static UNUSED void handle_over(void *context)
{
        ck_assert(((struct busy *)context)->over);
        signal_add(&handled);
}
KEPT_BARE(memory_and_queues_D006, "Cancel: what runs ends, what waits never runs, the handler runs once, after it")
{
        struct busy busy = { SIGNAL_INIT, SIGNAL_INIT, SIGNAL_INIT, false };
        IODispatchQueue *queue = make(0);
        IODispatchQueue_DispatchAsync_f(queue, &busy, be_busy);
        signal_wait(&busy.started, 1);
        for (int i = 0; i < 3; i++)
                IODispatchQueue_DispatchAsync_f(queue, &dropped, signal_add);
        ck_code(IODispatchQueue_Cancel_f(queue, &busy, handle_over), kIOReturnSuccess);
        ck_assert_int_eq(signal_count(&handled), 0);
        signal_add(&busy.go);
        signal_wait(&handled, 1);
        ck_assert_int_eq(signal_count(&busy.ended), 1);
        IODispatchQueue_DispatchAsync_f(queue, &dropped, signal_add);
        ck_assert_int_eq(signal_count(&dropped), 0);
        ck_assert_int_eq(signal_count(&handled), 1);
        OSObjectRelease(queue);
}

/* --- asleep --- */

struct nap {
        IODispatchQueue *queue;
        uint64_t timeout;
        struct signal asleep, woken;
        kern_return_t code;
        bool on_after;
        _Atomic int inside;
        bool alone;
};
#define NAP_INIT(ns) { .queue = make(kIODispatchQueueReentrant), .timeout = (ns), .asleep = SIGNAL_INIT, .woken = SIGNAL_INIT }
static UNUSED void take_nap(void *context)
{
        struct nap *nap = context;
        signal_add(&nap->asleep);
        kern_return_t code = IODispatchQueue_SleepWithTimeout(nap->queue, nap, nap->timeout);
        nap->alone = nap->inside++ == 0;
        nap->on_after = IODispatchQueue_OnQueue(nap->queue);
        nap->code |= code;              /* of several that sleep: 0 if it was for all */
        nap->inside--;
        signal_add(&nap->woken);
}
static UNUSED void wake_nap(void *context)
{
        struct nap *nap = context;
        nap->inside++;
        ck_code(IODispatchQueue_Wakeup(nap->queue, nap), kIOReturnSuccess);
        /* We hold the queue: the sleeper goes on after us. */
        ck_assert_int_eq(signal_count(&nap->woken), 0);
        nap->inside--;
}
KEPT_BARE(memory_and_queues_D007,
        "a sleep on a reentrant queue gives it up: another function runs and its Wakeup ends the sleep; the queue is held again")
{
        struct nap nap = NAP_INIT(UINT64_MAX);
        IODispatchQueue_DispatchAsync_f(nap.queue, &nap, take_nap);
        signal_wait(&nap.asleep, 1);
        IODispatchQueue_DispatchSync_f(nap.queue, &nap, wake_nap);
        signal_wait(&nap.woken, 1);
        ck_code(nap.code, kIOReturnSuccess);
        ck_assert(nap.on_after && nap.alone);
        OSObjectRelease(nap.queue);
}

KEPT_BARE(memory_and_queues_D008, "a sleep that nobody ends: Timeout, not before its time; the queue is held again")
{
        struct nap nap = NAP_INIT(20 * MS);
        uint64_t begin = mach_absolute_time();
        IODispatchQueue_DispatchSync_f(nap.queue, &nap, take_nap);
        ck_assert_uint_ge(mach_absolute_time(), begin + 20 * MS);
        ck_code(nap.code, kIOReturnTimeout);
        ck_assert(nap.on_after);
        OSObjectRelease(nap.queue);
}

static UNUSED void wake_all(void *context)
{
        struct nap *nap = context;
        ck_code(IODispatchQueue_WakeupWithOptions(nap->queue, nap, kIODispatchQueueWakeupAll), kIOReturnSuccess);
}
KEPT_BARE(memory_and_queues_D009, "WakeupWithOptions(all): both sleepers return 0")
{
        struct nap nap = NAP_INIT(UINT64_MAX);
        for (int i = 0; i < 2; i++)
                IODispatchQueue_DispatchAsync_f(nap.queue, &nap, take_nap);
        signal_wait(&nap.asleep, 2);
        IODispatchQueue_DispatchSync_f(nap.queue, &nap, wake_all);
        signal_wait(&nap.woken, 2);
        ck_code(nap.code, kIOReturnSuccess);
        OSObjectRelease(nap.queue);
}

KEPT_BARE(memory_and_queues_D010, "Sleep and Wakeup outside the queue, or on one that is not reentrant: an error, no wait")
{
        IODispatchQueue *reentrant = make(kIODispatchQueueReentrant), *plain = make(0);
        ck_code(IODispatchQueue_Sleep(reentrant, &reentrant, UINT64_MAX), kIOReturnNotPermitted);
        ck_code(IODispatchQueue_SleepWithTimeout(reentrant, &reentrant, UINT64_MAX), kIOReturnNotPermitted);
        ck_code(IODispatchQueue_Wakeup(reentrant, &reentrant), kIOReturnNotPermitted);
        ck_code(IODispatchQueue_Sleep(plain, &plain, UINT64_MAX), kIOReturnUnsupported);
        OSObjectRelease(reentrant);
        OSObjectRelease(plain);
}

/* --- bound to objects --- */

/* Is the caller on the queue of this name (or of none: not declared, not set)? */
static UNUSED bool on_queue_of(struct ContractUserClient *self, const char *name)
{
        IODispatchQueue *queue = NULL;
        IOService_CopyDispatchQueue(&self->client.service, name, &queue);
        bool on = queue && IODispatchQueue_OnQueue(queue);
        OSObjectRelease(queue);
        return on;
}

DRIVER_START(31011)
{
        IODispatchQueue *queue;
        D_EXPECT(IODispatchQueue_Create("31011", 0, 0, &queue) == kIOReturnSuccess);
        self->mine = (OSObject *)queue;
        return IOService_SetDispatchQueue(&self->client.service, kIOUserClientQueueNameExternalMethod, queue);
}
DRIVER(31011)
{
        D_EXPECT(IODispatchQueue_OnQueue((IODispatchQueue *)self->mine));
        D_EXPECT(on_queue_of(self, "IOUserClientQueueExternalMethod"));
        D_EXPECT(!on_queue_of(self, kIOServiceDefaultQueueName));
        /* Another one in its place, from now on; the one before is let go. */
        IODispatchQueue *second;
        uint32_t before = OSObject_getRetainCount(self->mine);
        D_EXPECT(IODispatchQueue_Create("second", 0, 0, &second) == kIOReturnSuccess);
        D_EXPECT(IOService_SetDispatchQueue(&self->client.service, kIOUserClientQueueNameExternalMethod, second) == 0);
        D_EXPECT(OSObject_getRetainCount(self->mine) == before - 1);
        OSObjectRelease(self->mine);
        self->mine = (OSObject *)second;
        D_EXPECT(!IODispatchQueue_OnQueue(second));
        return kIOReturnSuccess;
}
DRIVER(131011)
{
        D_EXPECT(IODispatchQueue_OnQueue((IODispatchQueue *)self->mine));
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_D011,
        "SetDispatchQueue of ExternalMethod's name in a class that declares none: 0, the method runs there; a second replaces it")
{
        io_connect_t c = contract_open(31011);
        ck_code(IOConnectCallScalarMethod(c, 31011, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_code(IOConnectCallScalarMethod(c, 131011, NULL, 0, NULL, NULL), kIOReturnSuccess);
}

DRIVER(31012)
{
        IODispatchQueue *queue;
        D_EXPECT(IODispatchQueue_Create("31012", 0, 0, &queue) == kIOReturnSuccess);
        kern_return_t code = IOService_SetDispatchQueue(&self->client.service, "nope", queue);
        D_EXPECT(OSObject_getRetainCount(queue) == 1);
        D_EXPECT(IOService_SetDispatchQueue(&self->client.service, NULL, queue) == kIOReturnBadArgument);
        D_EXPECT(IOService_SetDispatchQueue(&self->client.service, kIOServiceDefaultQueueName, NULL) == kIOReturnBadArgument);
        OSObjectRelease(queue);
        return code;
}
KEPT(memory_and_queues_D012, "SetDispatchQueue of a name that no class declares: BadArgument")
{
        ck_code(IOConnectCallScalarMethod(contract_open(0), 31012, NULL, 0, NULL, NULL), kIOReturnBadArgument);
}

DRIVER(31013)
{
        IODispatchQueue *first, *second;
        D_EXPECT(IOService_CopyDispatchQueue(&self->client.service, "Default", &first) == kIOReturnSuccess);
        uint32_t before = OSObject_getRetainCount(first);
        D_EXPECT(IOService_CopyDispatchQueue(&self->client.service, "Default", &second) == kIOReturnSuccess);
        D_EXPECT(first == second);
        D_EXPECT(OSObject_getRetainCount(first) == before + 1);
        OSObjectRelease(first);
        OSObjectRelease(second);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_D013, "CopyDispatchQueue(\"Default\"): 0, one reference")
{
        ck_code(IOConnectCallScalarMethod(contract_open(0), 31013, NULL, 0, NULL, NULL), kIOReturnSuccess);
}

DRIVER(31014)
{
        IODispatchQueue *queue = (IODispatchQueue *)&queue;
        kern_return_t code = IOService_CopyDispatchQueue(&self->client.service, kIOUserClientQueueNameExternalMethod, &queue);
        D_EXPECT(queue == (IODispatchQueue *)&queue);
        return code;
}
KEPT(memory_and_queues_D014, "CopyDispatchQueue of a declared name that was never set: NotFound")
{
        ck_code(IOConnectCallScalarMethod(contract_open(0), 31014, NULL, 0, NULL, NULL), kIOReturnNotFound);
}

DRIVER(31015)
{
        IOService *provider = IOService_GetProvider(&self->client.service);
        IODispatchQueue *queue, *found = NULL;
        /* Declared there and not set: NotFound; the user client itself does not declare it. */
        D_EXPECT(IOService_CopyDispatchQueue(&self->client.service, CONTRACT_SERVICE_QUEUE, &found) == kIOReturnNotFound);
        D_EXPECT(IODispatchQueue_Create("31015", 0, 0, &queue) == kIOReturnSuccess);
        D_EXPECT(IOService_SetDispatchQueue(&self->client.service, CONTRACT_SERVICE_QUEUE, queue) == kIOReturnBadArgument);
        D_EXPECT(IOService_SetDispatchQueue(provider, CONTRACT_SERVICE_QUEUE, queue) == kIOReturnSuccess);
        D_EXPECT(IOService_CopyDispatchQueue(&self->client.service, CONTRACT_SERVICE_QUEUE, &found) == kIOReturnSuccess);
        D_EXPECT(found == queue);
        OSObjectRelease(found);
        OSObjectRelease(queue);
        D_EXPECT(IOService_CopyDispatchQueue(&self->client.service, "nobody's", &found) == kIOReturnNotFound);
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_D015,
        "CopyDispatchQueue of a name that only the provider declares and has set: the provider's queue; nobody's: NotFound")
{
        ck_code(IOConnectCallScalarMethod(contract_open(0), 31015, NULL, 0, NULL, NULL), kIOReturnSuccess);
}

static UNUSED struct {
        kern_return_t before, after, set;
} stopped = { 1, 1, 1 };
DRIVER_STOP(31016)
{
        IODispatchQueue *queue = NULL;
        stopped.before = IOService_CopyDispatchQueue(&self->client.service, kIOServiceDefaultQueueName, &queue);
        kern_return_t code = IOService_Stop(&self->client.service, provider);
        IODispatchQueue *none = NULL;
        stopped.after = IOService_CopyDispatchQueue(&self->client.service, kIOServiceDefaultQueueName, &none);
        stopped.set = IOService_SetDispatchQueue(&self->client.service, kIOServiceDefaultQueueName, queue);
        OSObjectRelease(queue);
        return code;
}
DRIVER(31016)
{
        D_EXPECT(arguments->scalarOutputCount == 3);
        arguments->scalarOutput[0] = (uint32_t)stopped.before;
        arguments->scalarOutput[1] = (uint32_t)stopped.after;
        arguments->scalarOutput[2] = (uint32_t)stopped.set;
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_D016, "CopyDispatchQueue of an object that has stopped: Error; SetDispatchQueue, too")
{
        uint64_t out[3] = { 0 };
        uint32_t count = 3;
        ck_code(IOServiceClose(contract_open(31016)), kIOReturnSuccess);
        contract_calls_wait(CONTRACT_FREE, 31016, 1);
        ck_code(IOConnectCallScalarMethod(contract_open(0), 31016, NULL, 0, out, &count), kIOReturnSuccess);
        ck_code((kern_return_t)out[0], kIOReturnSuccess);
        ck_code((kern_return_t)out[1], kIOReturnError);
        ck_code((kern_return_t)out[2], kIOReturnError);
}
DRIVER_FREE(31016)
{
        return kIOReturnSuccess;
}

DRIVER(31017)
{
        D_EXPECT(on_queue_of(self, kIOServiceDefaultQueueName));
        D_EXPECT(!on_queue_of(self, kIOUserClientQueueNameExternalMethod));
        return kIOReturnSuccess;
}
KEPT(memory_and_queues_D017, "a method whose queue was never set runs on the default queue")
{
        ck_code(IOConnectCallScalarMethod(contract_open(0), 31017, NULL, 0, NULL, NULL), kIOReturnSuccess);
}

KEPT_BARE(memory_and_queues_D018, "names of 255 bytes are kept, of longer ones the first 255; options 1 and 2 are known")
{
        char name[301] = { 0 };
        IODispatchQueue *queue = NULL;
        memset(name, 'q', 300);
        for (size_t length = 300; length >= 255; length -= 45) {
                name[length] = 0;
                ck_code(IODispatchQueue_Create(name, 0, 0, &queue), kIOReturnSuccess);
                ck_assert_uint_eq(strlen(IODispatchQueue_GetName(queue)), 255);
                ck_assert_mem_eq(IODispatchQueue_GetName(queue), name, 255);
                OSSafeReleaseNULL(queue);
        }
        ck_assert_uint_eq(kIODispatchQueueReentrant, 1);
        ck_assert_uint_eq(kIODispatchQueueMethodsNotSynchronized, 2);
        ck_code(IODispatchQueue_Create("row", kIODispatchQueueReentrant | kIODispatchQueueMethodsNotSynchronized, 0, &queue),
                kIOReturnSuccess);
        OSObjectRelease(queue);
}
