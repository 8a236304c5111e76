/* SPDX-License-Identifier: Apache-2.0 */
/* call-path 6.6: where the driver's methods run, and what runs beside what. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/test-process.h"
#include "contract.h"

/* --- the driver's half --- */

/* What blocked methods wait for, and what they tell the row; each row has its own process. */
static __attribute__((unused)) struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool go;                                /* selector kGo of any row: the blocked method may return */
        struct ContractUserClient *blocked;     /* who blocks; not retained: it is in a call */
        bool inside, stop_inside;               /* the method runs; it ran when Stop began */
} scene = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, NULL, false, false };

#define kGo 2098                /* the blocked method returns */
#define kTerminate 2099         /* terminates the blocked user client, from this one's queue */
#define kStopInside 2100        /* out: was the method inside when Stop began? */

/* Until kGo, or `milliseconds` have passed: kIOReturnTimeout. */
static __attribute__((unused)) kern_return_t block(struct ContractUserClient *self, uint64_t milliseconds)
{
        kern_return_t code = kIOReturnSuccess;
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += (time_t)(milliseconds / 1000);
        until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
        if (until.tv_nsec >= 1000000000) {
                until.tv_sec++;
                until.tv_nsec -= 1000000000;
        }
        pthread_mutex_lock(&scene.lock);
        scene.blocked = self;
        scene.inside = true;
        while (!scene.go && code == kIOReturnSuccess)
                if (pthread_cond_timedwait(&scene.changed, &scene.lock, &until) == ETIMEDOUT)
                        code = kIOReturnTimeout;
        scene.inside = false;
        pthread_mutex_unlock(&scene.lock);
        return code;
}

static __attribute__((unused)) void go(void)
{
        pthread_mutex_lock(&scene.lock);
        scene.go = true;
        pthread_cond_broadcast(&scene.changed);
        pthread_mutex_unlock(&scene.lock);
}

DRIVER(2098)
{
        go();
        return kIOReturnSuccess;
}

DRIVER(2099)
{
        struct ContractUserClient *blocked;
        IODispatchQueue *queue = NULL;
        pthread_mutex_lock(&scene.lock);
        blocked = scene.blocked;
        pthread_mutex_unlock(&scene.lock);
        D_EXPECT(blocked && blocked != self);
        D_EXPECT(IOService_CopyDispatchQueue(&self->client.service, kIOServiceDefaultQueueName, &queue) == kIOReturnSuccess);
        D_EXPECT(IODispatchQueue_OnQueue(queue));
        OSObject_release(queue);
        return IOService_Terminate(&blocked->client.service, 0);
}

DRIVER(2100)
{
        D_EXPECT(arguments->scalarOutputCount == 1);
        pthread_mutex_lock(&scene.lock);
        arguments->scalarOutput[0] = scene.stop_inside;
        pthread_mutex_unlock(&scene.lock);
        return kIOReturnSuccess;
}

static __attribute__((unused)) kern_return_t stop_noting(struct ContractUserClient *self, IOService *provider)
{
        pthread_mutex_lock(&scene.lock);
        scene.stop_inside = scene.inside;
        pthread_mutex_unlock(&scene.lock);
        return IOService_Stop(&self->client.service, provider);
}

/* A queue of this client's own for its methods; the client keeps a reference in `mine`. */
static __attribute__((unused)) kern_return_t own_queue(struct ContractUserClient *self, uint64_t options)
{
        IODispatchQueue *queue;
        D_EXPECT(IODispatchQueue_Create("own", options, 0, &queue) == kIOReturnSuccess);
        self->mine = &queue->object;
        return IOService_SetDispatchQueue(&self->client.service, kIOUserClientQueueNameExternalMethod, queue);
}

/* Is this thread on the object's queue of that name? Asks for a queue that has been set. */
static __attribute__((unused)) bool on_queue(struct ContractUserClient *self, const char *name)
{
        IODispatchQueue *queue = NULL;
        bool on = IOService_CopyDispatchQueue(&self->client.service, name, &queue) == kIOReturnSuccess &&
                  IODispatchQueue_OnQueue(queue);
        OSSafeReleaseNULL(queue);
        return on;
}

/* --- the app's half --- */

struct caller {
        pthread_t thread;
        io_connect_t connection;
        uint32_t selector, times;
        kern_return_t code;             /* of the first call that failed */
        pid_t tid;
        bool ended;
};

static void *caller_run(void *context)
{
        struct caller *caller = context;
        __atomic_store_n(&caller->tid, gettid(), __ATOMIC_SEQ_CST);
        for (uint32_t i = 0; i < caller->times && caller->code == kIOReturnSuccess; i++)
                caller->code = IOConnectCallScalarMethod(caller->connection, caller->selector, NULL, 0, NULL, NULL);
        __atomic_store_n(&caller->ended, true, __ATOMIC_SEQ_CST);
        return NULL;
}

static void caller_start(struct caller *caller, io_connect_t connection, uint32_t selector, uint32_t times)
{
        *caller = (struct caller){ .connection = connection, .selector = selector, .times = times };
        ck_assert_int_eq(pthread_create(&caller->thread, NULL, caller_run, caller), 0);
}

static kern_return_t caller_end(struct caller *caller)
{
        ck_assert_int_eq(pthread_join(caller->thread, NULL), 0);
        return caller->code;
}

static bool caller_ended(struct caller *caller)
{
        return __atomic_load_n(&caller->ended, __ATOMIC_SEQ_CST);
}

static uint64_t ask(io_connect_t connection, uint32_t selector)
{
        uint64_t out = 0;
        uint32_t count = 1;
        ck_code(IOConnectCallScalarMethod(connection, selector, NULL, 0, &out, &count), kIOReturnSuccess);
        return out;
}

static void tell(io_connect_t connection, uint32_t selector)
{
        ck_code(IOConnectCallScalarMethod(connection, selector, NULL, 0, NULL, NULL), kIOReturnSuccess);
}

/* --- rows --- */

DRIVER(98)
{
        IODispatchQueue *named = NULL;
        D_EXPECT(on_queue(self, kIOServiceDefaultQueueName));
        D_EXPECT(IOService_CopyDispatchQueue(&self->client.service, kIOUserClientQueueNameExternalMethod, &named) ==
                 kIOReturnNotFound);
        return kIOReturnSuccess;
}
KEPT(call_path_098, "no named queue: methods run on the user client's default queue")
{
        tell(contract_open(0), 98);
        ck_assert_uint_eq(contract_calls(98), 1);
}

DRIVER_START(99)
{
        return own_queue(self, 0);
}
DRIVER(99)
{
        D_EXPECT(IODispatchQueue_OnQueue((IODispatchQueue *)self->mine));
        D_EXPECT(on_queue(self, kIOUserClientQueueNameExternalMethod));
        D_EXPECT(!on_queue(self, kIOServiceDefaultQueueName));
        return kIOReturnSuccess;
}
KEPT(call_path_099, "a named queue set in Start: methods run on it, and not on the default queue")
{
        tell(contract_open(99), 99);
        ck_assert_uint_eq(contract_calls(99), 1);
}

/* Neither atomic nor locked: only the queue keeps calls apart. */
static __attribute__((unused)) struct {
        uint64_t count;
        volatile bool inside;
        bool met;
} unprotected;
DRIVER(100)
{
        uint64_t count = unprotected.count;
        unprotected.met |= unprotected.inside;
        unprotected.inside = true;
        for (volatile int i = 0; i < 20; i++)
                ;
        unprotected.count = count + 1;
        unprotected.inside = false;
        return kIOReturnSuccess;
}
DRIVER(1100)
{
        D_EXPECT(!unprotected.met);
        arguments->scalarOutput[0] = unprotected.count;
        return kIOReturnSuccess;
}
KEPT(call_path_100, "8 threads on a connection, 1000 calls each: never two in the driver at a time")
{
        io_connect_t connection = contract_open(0);
        struct caller callers[8];
        for (int i = 0; i < 8; i++)
                caller_start(&callers[i], connection, 100, 1000);
        for (int i = 0; i < 8; i++)
                ck_code(caller_end(&callers[i]), kIOReturnSuccess);
        ck_assert_uint_eq(ask(connection, 1100), 8000);
        ck_assert_uint_eq(contract_calls(100), 8000);
}

DRIVER(101)
{
        return block(self, 20000);
}
DRIVER(1101)
{
        go();
        return kIOReturnSuccess;
}
KEPT(call_path_101, "two connections: a method of one may wait for a method of the other")
{
        io_connect_t first = contract_open(0), second = contract_open(0);
        struct caller caller;
        caller_start(&caller, first, 101, 1);
        contract_calls_wait(CONTRACT_METHOD, 101, 1);
        ck_assert(!caller_ended(&caller));
        tell(second, 1101);
        ck_code(caller_end(&caller), kIOReturnSuccess);
}

static __attribute__((unused)) IODispatchQueue *common;
DRIVER_START(102)
{
        if (!common)
                D_EXPECT(IODispatchQueue_Create("common", 0, 0, &common) == kIOReturnSuccess);
        return IOService_SetDispatchQueue(&self->client.service, kIOUserClientQueueNameExternalMethod, common);
}
DRIVER(102)
{
        D_EXPECT(IODispatchQueue_OnQueue(common));
        return block(self, 300);
}
DRIVER(1102)
{
        D_EXPECT(IODispatchQueue_OnQueue(common));
        go();
        return kIOReturnSuccess;
}
KEPT(call_path_102, "two user clients on one queue: a method that waits for the other client's method waits in vain")
{
        io_connect_t first = contract_open(102), second = contract_open(102);
        struct caller waits, comes;
        caller_start(&waits, first, 102, 1);
        contract_calls_wait(CONTRACT_METHOD, 102, 1);
        caller_start(&comes, second, 1102, 1);
        ck_code(caller_end(&waits), kIOReturnTimeout);
        ck_code(caller_end(&comes), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(1102), 1);
}

DRIVER(103)
{
        IODispatchQueue *queue = NULL, *found = NULL;
        kern_return_t code;
        D_EXPECT(IODispatchQueue_Create("x", 0, 0, &queue) == kIOReturnSuccess);
        code = IOService_SetDispatchQueue(&self->client.service, "nope", queue);
        D_EXPECT(IOService_CopyDispatchQueue(&self->client.service, "nope", &found) == kIOReturnNotFound && !found);
        /* A user client's name is none of a plain service's. */
        D_EXPECT(IOService_SetDispatchQueue(IOService_GetProvider(&self->client.service), kIOUserClientQueueNameExternalMethod,
                                            queue) == kIOReturnBadArgument);
        OSObject_release(queue);
        return code;
}
KEPT(call_path_103, "SetDispatchQueue with a name that the class does not declare: kIOReturnBadArgument")
{
        ck_code(IOConnectCallScalarMethod(contract_open(0), 103, NULL, 0, NULL, NULL), kIOReturnBadArgument);
}

DRIVER(104)
{
        IODispatchQueue *queue = (IODispatchQueue *)self;
        kern_return_t code = IOService_CopyDispatchQueue(&self->client.service, kIOUserClientQueueNameExternalMethod, &queue);
        D_EXPECT(queue == (IODispatchQueue *)self);
        return code;
}
KEPT(call_path_104, "CopyDispatchQueue with a declared name that was never set: kIOReturnNotFound")
{
        ck_code(IOConnectCallScalarMethod(contract_open(0), 104, NULL, 0, NULL, NULL), kIOReturnNotFound);
}

/* Until the application's handle is dead: from then on the termination has begun. */
static void wait_dead(io_connect_t connection)
{
        while (IOConnectAddRef(connection) == KERN_SUCCESS) {
                ck_code(IOConnectRelease(connection), KERN_SUCCESS);
                contract_calls(0);
        }
}

DRIVER(0)
{
        return kIOReturnSuccess;
}
DRIVER(105)
{
        return block(self, 20000);
}
DRIVER_STOP(105)
{
        return stop_noting(self, provider);
}
KEPT(call_path_105, "Terminate from another queue while a method blocks the default queue: Stop starts after the method's return")
{
        io_connect_t connection = contract_open(105), other = contract_open(0);
        struct caller caller;
        caller_start(&caller, connection, 105, 1);
        contract_calls_wait(CONTRACT_METHOD, 105, 1);
        tell(other, kTerminate);
        wait_dead(connection);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 105), 0);
        ck_assert(!caller_ended(&caller));
        tell(other, kGo);
        ck_code(caller_end(&caller), kIOReturnSuccess);
        contract_calls_wait(CONTRACT_STOP, 105, 1);
        ck_assert_uint_eq(ask(other, kStopInside), 0);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 105), 1);
}

DRIVER_START(106)
{
        return own_queue(self, 0);
}
DRIVER(106)
{
        return block(self, 20000);
}
DRIVER_STOP(106)
{
        return stop_noting(self, provider);
}
KEPT(call_path_106, "Terminate while a method blocks a queue of its own: Stop runs meanwhile, and the call still gets its answer")
{
        io_connect_t connection = contract_open(106), other = contract_open(0);
        struct caller caller;
        caller_start(&caller, connection, 106, 1);
        contract_calls_wait(CONTRACT_METHOD, 106, 1);
        tell(other, kTerminate);
        contract_calls_wait(CONTRACT_STOP, 106, 1);
        ck_assert(!caller_ended(&caller));
        tell(other, kGo);
        ck_code(caller_end(&caller), kIOReturnSuccess);
        ck_assert_uint_eq(ask(other, kStopInside), 1);
        ck_assert_uint_eq(contract_calls(106), 1);
}

DRIVER(107)
{
        return block(self, 20000);
}
static int signals;
static void count_signal(int number)
{
        __atomic_fetch_add(&signals, 1, __ATOMIC_SEQ_CST);
}
KEPT(call_path_107, "a signal with a handler does not end a call: one answer, no second call; the handler runs at once")
{
        struct sigaction action = { .sa_handler = count_signal };
        io_connect_t connection = contract_open(0), other = contract_open(0);
        struct caller caller;

        ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
        caller_start(&caller, connection, 107, 1);
        contract_calls_wait(CONTRACT_METHOD, 107, 1);
        for (int i = 1; i <= 5; i++) {
                ck_assert_int_eq(pthread_kill(caller.thread, SIGUSR1), 0);
                while (__atomic_load_n(&signals, __ATOMIC_SEQ_CST) < i)
                        contract_calls(107);
        }
        ck_assert(!caller_ended(&caller));
        tell(other, kGo);
        ck_code(caller_end(&caller), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(107), 1);
}

DRIVER(108)
{
        return block(self, 20000);
}
KEPT(call_path_108, "no time-out: while a method blocks, its caller only looks every 100 ms whether the host lives")
{
        io_connect_t connection = contract_open(0), other = contract_open(0);
        struct itimerspec at = { .it_value.tv_nsec = 450000000 };
        struct caller caller;
        long sleeps;            /* how often the caller has gone to sleep */
        struct pollfd timer = { .fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), .events = POLLIN };

        caller_start(&caller, connection, 108, 1);
        contract_calls_wait(CONTRACT_METHOD, 108, 1);
        sleeps = process_status(caller.tid, "voluntary_ctxt_switches");
        ck_assert_int_eq(timerfd_settime(timer.fd, 0, &at, NULL), 0);
        ck_assert_int_eq(poll(&timer, 1, -1), 1);
        sleeps = process_status(caller.tid, "voluntary_ctxt_switches") - sleeps;
        /* Four or five looks, and the sleep that may have begun after the first count. */
        ck_assert_msg(sleeps >= 1 && sleeps <= 7, "%ld sleeps", sleeps);
        ck_assert(!caller_ended(&caller));
        tell(other, kGo);
        ck_code(caller_end(&caller), kIOReturnSuccess);
        close(timer.fd);
}

/* 109: clients whose methods run on a reentrant queue and sleep on it. */
#define kNap 109                /* in: milliseconds; sleeps until a wake-up */
#define kWake 1109              /* wakes all; fails if a nap has not slept yet or has ended */
#define kRally 2109             /* every other one sleeps until the next one comes */

/* On the client's queue; `number` is how many of its calls are in a nap. */
static __attribute__((unused)) void wake(void *client)
{
        struct ContractUserClient *self = client;
        (void)IODispatchQueue_WakeupWithOptions((IODispatchQueue *)self->mine, self, kIODispatchQueueWakeupAll);
}
static __attribute__((unused)) kern_return_t open_with(IOService *self, const char *properties, IOUserClient **client)
{
        IOService *made;
        kern_return_t code = IOService_Create(self, self, properties, &made);
        if (code == kIOReturnSuccess)
                *client = (IOUserClient *)made;
        return code;
}

DRIVER_OPEN(109)
{
        kern_return_t code = open_with(self, "SingleThreadProperties", client);
        if (code == kIOReturnSuccess)
                ((struct ContractUserClient *)*client)->type = type;
        return code;
}
DRIVER_OPEN(2109)
{
        kern_return_t code = open_with(self, "UnlockedProperties", client);
        if (code == kIOReturnSuccess)
                ((struct ContractUserClient *)*client)->type = type;
        return code;
}
DRIVER_START(109)
{
        return own_queue(self, kIODispatchQueueReentrant);
}
DRIVER_START(1109)
{
        return own_queue(self, kIODispatchQueueReentrant);
}
DRIVER_START(2109)
{
        return own_queue(self, kIODispatchQueueReentrant);
}
DRIVER_FREE(2109)
{
        return kIOReturnSuccess;
}
/* On the default queue, while the nap sleeps on the other one. */
DRIVER_STOP(2109)
{
        IODispatchQueue_DispatchSync_f((IODispatchQueue *)self->mine, self, wake);
        return stop_noting(self, provider);
}
DRIVER(109)
{
        kern_return_t code;
        D_EXPECT(arguments->scalarInputCount == 1);
        self->number++;
        code = IODispatchQueue_Sleep((IODispatchQueue *)self->mine, self, arguments->scalarInput[0] * 1000000);
        self->number--;
        D_EXPECT(IODispatchQueue_OnQueue((IODispatchQueue *)self->mine));
        /* The arguments are still this call's. */
        D_EXPECT(arguments->selector == 109 && arguments->scalarOutputCount == arguments->scalarInputCount);
        arguments->scalarOutput[0] = arguments->scalarInput[0];
        return code;
}
DRIVER(1109)
{
        uint64_t asleep = self->number;
        wake(self);
        return asleep > 0 ? kIOReturnSuccess : kIOReturnNotReady;
}
DRIVER(2109)
{
        IODispatchQueue *queue = (IODispatchQueue *)self->mine;
        return self->number++ % 2 ? IODispatchQueue_Wakeup(queue, self) : IODispatchQueue_Sleep(queue, self, 20000000000ull);
}

static void *nap_run(void *context)
{
        struct caller *caller = context;
        uint64_t milliseconds = caller->times, out = 0;
        uint32_t count = 1;
        caller->code = IOConnectCallScalarMethod(caller->connection, kNap, &milliseconds, 1, &out, &count);
        if (caller->code == kIOReturnSuccess && (count != 1 || out != milliseconds))
                caller->code = kIOReturnError;
        __atomic_store_n(&caller->ended, true, __ATOMIC_SEQ_CST);
        return NULL;
}

static void nap_start(struct caller *caller, io_connect_t connection, uint32_t milliseconds)
{
        *caller = (struct caller){ .connection = connection, .times = milliseconds };
        ck_assert_int_eq(pthread_create(&caller->thread, NULL, nap_run, caller), 0);
}

KEPT(call_path_109,
     "locking properties: single-thread keeps a second call out while the first sleeps; without it they meet; unlocked closes at "
     "once")
{
        io_connect_t single = contract_open(109), plain = contract_open(1109), unlocked = contract_open(2109);
        struct caller callers[3];

        /* Nobody is let in who could wake it; the second comes when the first is done. */
        nap_start(&callers[0], single, 300);
        contract_calls_wait(CONTRACT_METHOD, kNap, 1);
        ck_code(IOConnectCallScalarMethod(single, kWake, NULL, 0, NULL, NULL), kIOReturnNotReady);
        ck_code(caller_end(&callers[0]), kIOReturnTimeout);

        /* Sleepers let others in, each with its own arguments; and in turns, many times. */
        for (uint32_t i = 0; i < 3; i++)
                nap_start(&callers[i], plain, 20000 + i);
        contract_calls_wait(CONTRACT_METHOD, kNap, 4);
        ck_code(IOConnectCallScalarMethod(plain, kWake, NULL, 0, NULL, NULL), kIOReturnSuccess);
        for (uint32_t i = 0; i < 3; i++)
                ck_code(caller_end(&callers[i]), kIOReturnSuccess);
        for (uint32_t i = 0; i < 2; i++)
                caller_start(&callers[i], plain, kRally, 200);
        for (uint32_t i = 0; i < 2; i++)
                ck_code(caller_end(&callers[i]), kIOReturnSuccess);

        /* The close waits for nobody, and Stop comes meanwhile: here it wakes the sleeper, whose answer still arrives. */
        nap_start(&callers[0], unlocked, 20000);
        contract_calls_wait(CONTRACT_METHOD, kNap, 5);
        ck_code(IOServiceClose(unlocked), kIOReturnSuccess);
        ck_code(caller_end(&callers[0]), kIOReturnSuccess);
        contract_calls_wait(CONTRACT_STOP, 2109, 1);
        contract_calls_wait(CONTRACT_FREE, 2109, 1);
        ck_code(IOConnectCallScalarMethod(unlocked, kWake, NULL, 0, NULL, NULL), MACH_SEND_INVALID_DEST);
        ck_code(IOServiceClose(plain), kIOReturnSuccess);
        ck_code(IOServiceClose(single), kIOReturnSuccess);
}
