/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs when a call does not come back the way it went: a method that runs on a queue of the driver's own, and a
 * completion, from before the asynchronous call to the callback that the application's run loop, or a dispatch queue of its own,
 * makes. Hot, and after a millisecond of nothing.
 */
#include <stdio.h>

#include <CoreFoundation/CoreFoundation.h>
#include <dispatch/dispatch.h>

#include "bench/sections.h"

enum { WARM_NS = 5000000, TURN_NS = 4000000, IDLE_NS = 1000000, IDLE_CALLS = 5 };
enum way { PLAIN, OWN_QUEUE, RUN_LOOP, DISPATCH_QUEUE, WAYS };

struct completions {
        io_connect_t connection;
        IONotificationPortRef port;
        dispatch_semaphore_t over;      /* NULL: the run loop delivers */
};

/* --- one of them --- */

static void arrived(void *context, IOReturn result, void *number)
{
        struct completions *completions = context;
        if (result || number)
                bench_fail("the completion is not the one that was asked for");
        if (completions->over)
                dispatch_semaphore_signal(completions->over);
        else
                CFRunLoopStop(CFRunLoopGetCurrent());
}

static void completion_once(void *context)
{
        struct completions *completions = context;
        uint64_t one = 1, reference[kIOAsyncCalloutCount] = {
                [kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)arrived,
                [kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)completions,
        };
        uint32_t none = 0;
        bench_check(IOConnectCallAsyncScalarMethod(completions->connection, kBenchStream,
                                                   IONotificationPortGetMachPort(completions->port), reference,
                                                   kIOAsyncCalloutCount, &one, 1, NULL, &none),
                    "calling kBenchStream");
        if (completions->over)
                dispatch_semaphore_wait(completions->over, DISPATCH_TIME_FOREVER);
        else if (CFRunLoopRunInMode(kCFRunLoopDefaultMode, 10, false) != kCFRunLoopRunStopped)
                bench_fail("a completion does not come");
}

static struct completions completions_make(struct bench *bench, enum way way)
{
        struct completions made = { .connection = bench_open(bench, kBenchDirect) };
        if (!(made.port = IONotificationPortCreate(kIOMainPortDefault)))
                bench_fail("no notification port");
        if (way == RUN_LOOP) {
                CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(made.port), kCFRunLoopDefaultMode);
                return made;
        }
        made.over = dispatch_semaphore_create(0);
        IONotificationPortSetDispatchQueue(made.port, dispatch_queue_create("bench completions", NULL));
        return made;
}

/* --- */

struct subject {
        const char *name;
        void (*once)(void *context);
        void *context;
        struct bench_row *hot, *idle;
};

/* The first one is not counted: what we did not talk to while others had their turn has been idle for longer. */
static void idle_turn(struct bench *bench, struct subject *subject)
{
        for (int i = 0; i <= IDLE_CALLS; i++) {
                bench_sleep(IDLE_NS);
                uint64_t begin = amb_time_now();
                subject->once(subject->context);
                if (i > 0)
                        bench_add(subject->idle, bench_since(bench, begin));
        }
}

void bench_hops(struct bench *bench)
{
        io_connect_t direct = bench_open(bench, kBenchDirect), queue = bench_open(bench, kBenchQueue);
        struct completions loop = completions_make(bench, RUN_LOOP), dispatched = completions_make(bench, DISPATCH_QUEUE);
        struct subject subjects[WAYS] = {
                [PLAIN] = { "call", bench_call, &direct },
                [OWN_QUEUE] = { "call, a queue of its own", bench_call, &queue },
                [RUN_LOOP] = { "completion, run loop", completion_once, &loop },
                [DISPATCH_QUEUE] = { "completion, dispatch queue", completion_once, &dispatched },
        };
        for (int i = 0; i < WAYS; i++)
                subjects[i].hot = bench_row(bench, subjects[i].name, i ? subjects[PLAIN].hot : NULL);
        for (int i = 0; i < WAYS; i++) {
                char name[BENCH_NAME];
                snprintf(name, sizeof(name), "%s, 1 ms idle", subjects[i].name);
                subjects[i].idle = bench_row(bench, name, i ? subjects[PLAIN].idle : NULL);
        }
        bench_rounds(bench, 4);
        while (bench_round(bench)) {
                bench_warm(direct, bench_amount(bench, WARM_NS, 1));
                for (int i = 0; i < WAYS; i++)
                        bench_turn(bench, subjects[i].hot, subjects[i].once, subjects[i].context,
                                   bench_amount(bench, TURN_NS, 100000));
                for (int i = 0; i < WAYS; i++)
                        idle_turn(bench, &subjects[i]);
        }
}
