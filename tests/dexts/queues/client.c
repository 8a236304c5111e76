/* SPDX-License-Identifier: Apache-2.0 */
/* Client of Conductor: several threads with a connection each, and one connection from two threads. */
#include <pthread.h>

#include <CoreFoundation/CoreFoundation.h>

#include "client.h"
#include "Conductor/ConductorTypes.h"

enum { THREADS = 4, ROUNDS = 50, TIMES = 20 };

static uint64_t scalar(io_connect_t connect, uint32_t selector, const uint64_t *in, uint32_t in_count)
{
        uint64_t out = 0;
        uint32_t count = 1;

        CHECK_OK(IOConnectCallScalarMethod(connect, selector, in, in_count, &out, &count));
        return out;
}

static void *count_often(void *context)
{
        io_connect_t connect = client_open("Conductor", 0);
        uint64_t times = TIMES;

        (void)context;
        for (int i = 0; i < ROUNDS; i++)
                CHECK_OK(IOConnectCallScalarMethod(connect, kConductorCount, &times, 1, NULL, NULL));
        CHECK_OK(IOServiceClose(connect));
        return NULL;
}

static void check_counters(io_connect_t connect)
{
        uint64_t counters[4] = { 0 };
        uint32_t count = 4;
        pthread_t threads[THREADS];

        for (int i = 0; i < THREADS; i++)
                CHECK(pthread_create(&threads[i], NULL, count_often, NULL) == 0);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        CHECK_OK(IOConnectCallScalarMethod(connect, kConductorCounters, NULL, 0, counters, &count));
        for (int i = 0; i < 4; i++)
                CHECK(counters[i] == THREADS * ROUNDS * TIMES);
        printf("counters: %llu each\n", (unsigned long long)counters[0]);
}

static void check_sync(io_connect_t connect)
{
        uint64_t n = 100, out[2] = { 0 };
        uint32_t count = 2;

        CHECK_OK(IOConnectCallScalarMethod(connect, kConductorSync, &n, 1, out, &count));
        CHECK(out[0] == 5050 && out[1] == 0xff);
        CHECK(scalar(connect, kConductorNames, NULL, 0) == 0x3f);
        printf("queues: on them, and by name\n");
}

static void check_time(io_connect_t connect)
{
        uint64_t milliseconds = 3, passed[3] = { 0 };
        uint32_t count = 3;

        CHECK_OK(IOConnectCallScalarMethod(connect, kConductorTime, &milliseconds, 1, passed, &count));
        for (int i = 0; i < 3; i++)
                CHECK(passed[i] >= 3100000 && passed[i] < 100000000000);
        printf("clocks: they agree\n");
}

static void *wait_there(void *context)
{
        uint64_t milliseconds = 60000;
        uint64_t *code = context;

        *code = scalar((io_connect_t)code[1], kConductorWait, &milliseconds, 1);
        return NULL;
}

/* A call that sleeps lets others of its connection through, and one of them wakes it. */
static void check_sleep(io_connect_t connect)
{
        uint64_t code[2] = { 1, connect }, milliseconds = 1;
        pthread_t thread;

        CHECK(pthread_create(&thread, NULL, wait_there, code) == 0);
        while (scalar(connect, kConductorWake, NULL, 0) == 0)
                sched_yield();
        pthread_join(thread, NULL);
        CHECK(code[0] == 0);
        CHECK((kern_return_t)scalar(connect, kConductorWait, &milliseconds, 1) == kIOReturnTimeout);
        printf("sleep: woken, and not woken\n");
}

/* Three values or more come as an array. */
struct answer {
        IOReturn status;
        uint32_t count;
        uint64_t values[16];
        int done;
};

static void answered(void *refcon, IOReturn result, void **arguments, uint32_t count)
{
        struct answer *answer = refcon;

        answer->status = result;
        answer->count = count;
        for (uint32_t i = 0; i < count; i++)
                answer->values[i] = (uint64_t)(uintptr_t)arguments[i];
        answer->done = 1;
        CFRunLoopStop(CFRunLoopGetCurrent());
}

static struct answer ask(io_connect_t connect, IONotificationPortRef port, uint32_t selector, const uint64_t *in, uint32_t in_count)
{
        io_async_ref64_t reference = { 0 };
        struct answer answer = { .done = 0 };

        reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)answered;
        reference[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)&answer;
        CHECK_OK(IOConnectCallAsyncScalarMethod(connect, selector, IONotificationPortGetMachPort(port), reference, kIOAsyncCalloutCount, in,
                                                in_count, NULL, NULL));
        while (!answer.done)
                CFRunLoopRun();
        CHECK_OK(answer.status);
        return answer;
}

static void check_later(io_connect_t connect, IONotificationPortRef port)
{
        uint64_t in[2] = { 500, 0 }, sum = 0;
        struct answer answer = ask(connect, port, kConductorAsync, in, 1);

        CHECK(answer.count == 3 && answer.values[0] == 1 && answer.values[1] == 500);
        answer = ask(connect, port, kConductorCancel, in, 1);
        CHECK(answer.count == 3 && answer.values[0] == 0);
        in[0] = 1000;
        in[1] = 21;
        for (uint64_t i = 0; i < in[0]; i++)
                sum += in[1] * (uint8_t)i;
        answer = ask(connect, port, kConductorStream, in, 2);
        CHECK(answer.count == 3 && answer.values[0] == in[0] && answer.values[1] == sum && answer.values[2] == 1);
        printf("later: in order, cancelled, streamed\n");
}

int main(void)
{
        io_connect_t connect = client_open("Conductor", 0);
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        uint64_t n = 1;

        CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
        check_sync(connect);
        check_counters(connect);
        check_time(connect);
        check_sleep(connect);
        check_later(connect, port);
        CHECK_CODE(IOConnectCallScalarMethod(connect, kConductorSelectors, &n, 1, NULL, NULL), kIOReturnUnsupported);
        CHECK_CODE(IOConnectCallScalarMethod(connect, kConductorAsync, &n, 1, NULL, NULL), kIOReturnBadArgument);
        CHECK_OK(IOServiceClose(connect));
        IONotificationPortDestroy(port);
        return 0;
}
