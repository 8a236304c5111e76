/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * One connection. Calls and the subscription's timer all run on this object's default queue, one at a time: nothing here
 * needs a lock.
 */

#define SensorsUserClient_Tick_ID 0x53656e736f720002ull
#define CORES_IN_EVENT ((uint32_t)(SENSORS_EVENT_COUNT_MAX - SENSORS_EVENT_CORES))

struct SensorsUserClient {
        IOUserClient client;
        struct Sensors *service;                /* the provider; retained, its readings outlive its own Stop */
        IOTimerDispatchSource *timer;
        OSAction *tick;
        OSAction *completion;                   /* the app's callback, while subscribed */
        uint64_t period, deadline, number;
        struct sensors_times total, cores[SENSORS_EVENT_COUNT_MAX - SENSORS_EVENT_CORES];       /* when last reported */
        uint64_t event[SENSORS_EVENT_COUNT_MAX];
        uint32_t event_count;
};
extern const OSMetaClass gSensorsUserClientMetaClass;

/* --- selectors --- */

static void info_look(void *context, const struct sensors_all *all)
{
        uint64_t *info = context;

        info[SENSORS_INFO_CORES] = all->snapshot.cores;
        info[SENSORS_INFO_SENSORS] = all->snapshot.sensors;
        info[SENSORS_INFO_INTERFACES] = all->snapshot.interfaces;
}

static kern_return_t get_info(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        struct SensorsUserClient *self = (struct SensorsUserClient *)target;
        uint64_t info[SENSORS_INFO_COUNT] = {
                [SENSORS_INFO_PERIOD] = SENSORS_SAMPLE_NS,
                [SENSORS_INFO_RING] = SENSORS_RING_SAMPLES,
                [SENSORS_INFO_TICKS] = (uint64_t)sysconf(_SC_CLK_TCK),
        };

        sensors_look(self->service, info_look, info);
        if (arguments->scalarOutputCount > SENSORS_INFO_COUNT)
                arguments->scalarOutputCount = SENSORS_INFO_COUNT;
        memcpy(arguments->scalarOutput, info, arguments->scalarOutputCount * sizeof(info[0]));
        return kIOReturnSuccess;
}

struct cpu_question {
        uint64_t number;
        bool found;
        struct sensors_times times;
};

static uint32_t cores_listed(const struct sensors_all *all)
{
        return all->snapshot.cores < SENSORS_CORES_MAX ? all->snapshot.cores : SENSORS_CORES_MAX;
}

static void cpu_look(void *context, const struct sensors_all *all)
{
        struct cpu_question *question = context;

        for (uint32_t i = 0; i < cores_listed(all); i++) {
                if (all->cores[i].number == question->number) {
                        question->times = all->cores[i].times;
                        question->found = true;
                }
        }
}

static kern_return_t read_cpu(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        struct SensorsUserClient *self = (struct SensorsUserClient *)target;
        struct cpu_question question = { .number = arguments->scalarInput[0] };

        _Static_assert(sizeof(question.times) == SENSORS_TIMES_COUNT * sizeof(uint64_t), "one scalar per time");
        sensors_look(self->service, cpu_look, &question);
        if (!question.found)
                return kIOReturnBadArgument;
        memcpy(arguments->scalarOutput, &question.times, sizeof(question.times));
        return kIOReturnSuccess;
}

static void snapshot_look(void *context, const struct sensors_all *all)
{
        memcpy(context, &all->snapshot, sizeof(all->snapshot));
}

static kern_return_t snapshot(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        struct SensorsUserClient *self = (struct SensorsUserClient *)target;
        struct sensors_snapshot now;

        sensors_look(self->service, snapshot_look, &now);
        arguments->structureOutput = OSDataCreate(&now, sizeof(now));
        return arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

static void all_look(void *context, const struct sensors_all *all)
{
        memcpy(context, all, sizeof(*all));
}

/* More than 4096 bytes: the output is the app's buffer, which is mapped and written to. */
static kern_return_t read_all(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        struct SensorsUserClient *self = (struct SensorsUserClient *)target;
        IOMemoryMap *map = NULL;
        kern_return_t r;

        r = IOMemoryDescriptor_CreateMapping(arguments->structureOutputDescriptor, 0, 0, 0, 0, 0, &map);
        if (r != kIOReturnSuccess)
                return r;
        sensors_look(self->service, all_look, (void *)(uintptr_t)IOMemoryMap_GetAddress(map));
        OSSafeReleaseNULL(map);
        return kIOReturnSuccess;
}

/* --- the subscription --- */

static void event_look(void *context, const struct sensors_all *all)
{
        struct SensorsUserClient *self = context;
        const struct sensors_snapshot *now = &all->snapshot;
        uint32_t cores = cores_listed(all) < CORES_IN_EVENT ? cores_listed(all) : CORES_IN_EVENT;
        uint64_t *event = self->event;

        event[SENSORS_EVENT_TIME] = now->time;
        event[SENSORS_EVENT_MEMORY_TOTAL] = now->memory_total;
        event[SENSORS_EVENT_MEMORY_AVAILABLE] = now->memory_available;
        event[SENSORS_EVENT_RECEIVED] = now->received;
        event[SENSORS_EVENT_SENT] = now->sent;
        event[SENSORS_EVENT_LOAD] = now->load[0];
        event[SENSORS_EVENT_HOTTEST] = (uint64_t)now->hottest;
        event[SENSORS_EVENT_SENSORS] = now->sensors;
        if (sensors_busy(&self->total, &now->total, &event[SENSORS_EVENT_BUSY]))
                self->total = now->total;
        for (uint32_t i = 0; i < cores; i++) {
                if (sensors_busy(&self->cores[i], &all->cores[i].times, &event[SENSORS_EVENT_CORES + i]))
                        self->cores[i] = all->cores[i].times;
        }
        self->event_count = SENSORS_EVENT_CORES + cores;
}

static kern_return_t tick_arm(struct SensorsUserClient *self)
{
        uint64_t now = sensors_now();

        self->deadline += self->period;
        if (self->deadline <= now)
                self->deadline = now + self->period;
        return IOTimerDispatchSource_WakeAtTime(self->timer, kIOTimerClockUptimeRaw, self->deadline, 0);
}

static void client_tick(struct SensorsUserClient *self, OSAction *action, uint64_t time)
{
        /* A tick of a subscription that has ended since, or of the one before this one. */
        if (!self->completion || sensors_now() < self->deadline)
                return;
        sensors_look(self->service, event_look, self);
        self->event[SENSORS_EVENT_NUMBER] = ++self->number;
        IOUserClient_AsyncCompletion(&self->client, self->completion, kIOReturnSuccess, self->event, self->event_count);
        tick_arm(self);
}

static kern_return_t subscribe(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        struct SensorsUserClient *self = (struct SensorsUserClient *)target;
        uint64_t period = arguments->scalarInput[0];
        kern_return_t r;

        if (period < SENSORS_PERIOD_MS_MIN || period > SENSORS_PERIOD_MS_MAX)
                return kIOReturnBadArgument;
        if (self->completion)
                return kIOReturnBusy;
        memset(self->cores, 0, sizeof(self->cores));
        memset(self->event, 0, sizeof(self->event));
        sensors_look(self->service, event_look, self);
        self->period = period * 1000000u;
        self->deadline = sensors_now();
        self->number = 0;
        r = tick_arm(self);
        if (r != kIOReturnSuccess)
                return r;
        /* The runtime's reference ends with the call; ours lasts as long as the subscription. */
        OSObject_retain(arguments->completion);
        self->completion = arguments->completion;
        return kIOReturnSuccess;
}

static kern_return_t unsubscribe(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        struct SensorsUserClient *self = (struct SensorsUserClient *)target;

        if (!self->completion)
                return kIOReturnNotFound;
        OSSafeReleaseNULL(self->completion);
        return kIOReturnSuccess;
}

/* completion, scalars in, struct in, scalars out, struct out: checked by the base class before the function runs. */
static const IOUserClientMethodDispatch methods[SENSORS_SELECTORS] = {
        [SENSORS_GET_INFO] = { get_info, 0, 0, 0, kIOUserClientVariableStructureSize, 0 },
        [SENSORS_READ_CPU] = { read_cpu, 0, 1, 0, SENSORS_TIMES_COUNT, 0 },
        [SENSORS_SNAPSHOT] = { snapshot, 0, 0, 0, 0, SENSORS_SNAPSHOT_SIZE },
        [SENSORS_READ_ALL] = { read_all, 0, 0, 0, 0, SENSORS_ALL_SIZE },
        [SENSORS_SUBSCRIBE] = { subscribe, 1, 1, 0, 0, 0 },
        [SENSORS_UNSUBSCRIBE] = { unsubscribe, 0, 0, 0, 0, 0 },
};

static kern_return_t client_external_method(IOUserClient *client, uint64_t selector, IOUserClientMethodArguments *arguments,
                                            const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        if (selector < SENSORS_SELECTORS) {
                dispatch = &methods[selector];
                target = (OSObject *)client;
        }
        return IOUserClient_ExternalMethod(client, selector, arguments, dispatch, target, reference);
}

static kern_return_t client_copy_memory(IOUserClient *client, uint64_t type, uint64_t *options, IOMemoryDescriptor **memory)
{
        struct SensorsUserClient *self = (struct SensorsUserClient *)client;

        if (type != 0)
                return kIOReturnBadArgument;
        *options = kIOUserClientMemoryReadOnly;
        *memory = sensors_copy_ring(self->service);
        return kIOReturnSuccess;
}

/* --- life --- */

OSDefineAction(SensorsUserClient, Tick, IOTimerDispatchSource_TimerOccurred_ID);

static kern_return_t tick_create(struct SensorsUserClient *self)
{
        IODispatchQueue *queue = NULL;
        kern_return_t r = IOService_CopyDispatchQueue(&self->client.service, kIOServiceDefaultQueueName, &queue);

        if (r == kIOReturnSuccess)
                r = IOTimerDispatchSource_Create(queue, &self->timer);
        OSSafeReleaseNULL(queue);
        if (r == kIOReturnSuccess)
                r = SensorsUserClient_CreateActionTick(self, 0, &self->tick);
        if (r == kIOReturnSuccess)
                r = IOTimerDispatchSource_SetHandler(self->timer, self->tick);
        return r;
}

static void tick_cancel(struct SensorsUserClient *self, void *context, IODispatchFunction handler)
{
        if (self->tick)
                OSAction_Cancel_f(self->tick, NULL, NULL);
        IODispatchSource_Cancel_f(&self->timer->source, context, handler);
}

static kern_return_t client_start(IOService *service, IOService *provider)
{
        struct SensorsUserClient *self = (struct SensorsUserClient *)service;
        kern_return_t r = IOService_Start(service, provider);

        if (r != kIOReturnSuccess)
                return r;
        self->service = OSDynamicCast(Sensors, provider);
        if (!self->service)
                return kIOReturnBadArgument;
        OSObject_retain(self->service);
        r = tick_create(self);
        if (r != kIOReturnSuccess && self->timer)
                tick_cancel(self, NULL, NULL);
        return r;
}

static void client_stopped(void *context)
{
        struct SensorsUserClient *self = context;

        IOService_Stop(&self->client.service, &self->service->service);
        OSObject_release(self);
}

static kern_return_t client_stop(IOService *service, IOService *provider)
{
        struct SensorsUserClient *self = (struct SensorsUserClient *)service;

        OSSafeReleaseNULL(self->completion);
        OSObject_retain(self);
        tick_cancel(self, self, client_stopped);
        return kIOReturnSuccess;
}

static void client_free(OSObject *object)
{
        struct SensorsUserClient *self = (struct SensorsUserClient *)object;

        OSSafeReleaseNULL(self->completion);
        OSSafeReleaseNULL(self->tick);
        OSSafeReleaseNULL(self->timer);
        OSSafeReleaseNULL(self->service);
        IOUserClient_free(object);
}

static const struct amb_method client_methods[] = {
        AMB_OVERRIDE(OSObject, free, client_free),
        AMB_OVERRIDE(IOService, Start, client_start),
        AMB_OVERRIDE(IOService, Stop, client_stop),
        AMB_OVERRIDE(IOUserClient, ExternalMethod, client_external_method),
        AMB_OVERRIDE(IOUserClient, CopyClientMemoryForType, client_copy_memory),
        AMB_ACTION_METHOD(SensorsUserClient, Tick, client_tick),
        AMB_METHODS_END,
};

OSDefineMetaClass(SensorsUserClient, IOUserClient, client_methods);
