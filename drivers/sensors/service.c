/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include "readings.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define Sensors_Tick_ID 0x53656e736f720001ull
#define HARDWARE_EVERY 20u                      /* samples between two readings of hwmon, where some chips are slow */

struct sensors_state {
        IOService *provider;
        IOTimerDispatchSource *timer;
        OSAction *tick;
        IOBufferMemoryDescriptor *memory;
        struct sensors_ring *ring;
        uint64_t deadline, ticks;
        struct sensors_times sampled;           /* total of the last sample */
        uint64_t busy;                          /* of the last sample */
        struct sensors_reader *hardware_reader; /* the timer's own, used without the lock: chips can be slow */
        struct sensors_all hardware;

        pthread_mutex_t lock;                   /* guards what follows */
        struct sensors_reader *reader;
        struct sensors_all all;
};

uint64_t sensors_now(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void state_free(struct sensors_state *state)
{
        if (!state)
                return;
        OSSafeReleaseNULL(state->timer);
        OSSafeReleaseNULL(state->tick);
        OSSafeReleaseNULL(state->memory);
        sensors_reader_free(state->reader);
        sensors_reader_free(state->hardware_reader);
        pthread_mutex_destroy(&state->lock);
        free(state);
}

static kern_return_t ring_create(struct sensors_state *state)
{
        IOAddressSegment range = { 0 };
        kern_return_t r;

        r = IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, sizeof(struct sensors_ring), 0, &state->memory);
        if (r != kIOReturnSuccess)
                return r;
        r = IOBufferMemoryDescriptor_GetAddressRange(state->memory, &range);
        if (r != kIOReturnSuccess)
                return r;
        state->ring = (struct sensors_ring *)(uintptr_t)range.address;
        state->ring->magic = SENSORS_RING_MAGIC;
        state->ring->capacity = SENSORS_RING_SAMPLES;
        state->ring->period = SENSORS_SAMPLE_NS;
        return kIOReturnSuccess;
}

/* The first reading is taken here: a machine that cannot be read has no service. */
static kern_return_t state_create(struct sensors_state **ret_state)
{
        struct sensors_state *state = calloc(1, sizeof(*state));
        kern_return_t r;

        if (!state)
                return kIOReturnNoMemory;
        pthread_mutex_init(&state->lock, NULL);
        if (sensors_reader_new(&state->reader, "/") < 0 || sensors_reader_new(&state->hardware_reader, "/") < 0 ||
            sensors_read_counters(state->reader, &state->all) < 0)
                r = kIOReturnNoDevice;
        else
                r = ring_create(state);
        if (r != kIOReturnSuccess) {
                state_free(state);
                return r;
        }
        sensors_read_hardware(state->reader, &state->all);
        state->sampled = state->all.snapshot.total;
        *ret_state = state;
        return kIOReturnSuccess;
}

/* Under the lock. A reading that fails, which the first one did not, leaves the numbers as they are. */
static void readings_refresh(struct sensors_state *state)
{
        if (sensors_now() - state->all.snapshot.time >= SENSORS_FRESH_NS)
                sensors_read_counters(state->reader, &state->all);
}

void sensors_look(struct Sensors *self, void (*look)(void *context, const struct sensors_all *all), void *context)
{
        struct sensors_state *state = self->state;

        pthread_mutex_lock(&state->lock);
        readings_refresh(state);
        look(context, &state->all);
        pthread_mutex_unlock(&state->lock);
}

IOMemoryDescriptor *sensors_copy_ring(struct Sensors *self)
{
        OSObject_retain(self->state->memory);
        return &self->state->memory->descriptor;
}

static void sample_add(struct sensors_state *state)
{
        const struct sensors_snapshot *now = &state->all.snapshot;
        struct sensors_sample sample = {
                .time = now->time,
                .memory_available = now->memory_available,
                .received = now->received,
                .sent = now->sent,
                .load = now->load[0],
                .hottest = now->hottest,
        };

        if (sensors_busy(&state->sampled, &now->total, &state->busy))
                state->sampled = now->total;
        sample.busy = state->busy;
        sensors_ring_write(state->ring, &sample);
}

static kern_return_t tick_arm(struct sensors_state *state)
{
        uint64_t now = sensors_now();

        state->deadline += SENSORS_SAMPLE_NS;
        if (state->deadline <= now)
                state->deadline = now + SENSORS_SAMPLE_NS;
        return IOTimerDispatchSource_WakeAtTime(state->timer, kIOTimerClockUptimeRaw, state->deadline, 0);
}

static void sensors_tick(struct Sensors *self, OSAction *action, uint64_t time)
{
        struct sensors_state *state = self->state;
        bool hardware = state->ticks++ % HARDWARE_EVERY == 0;

        if (hardware)
                sensors_read_hardware(state->hardware_reader, &state->hardware);
        pthread_mutex_lock(&state->lock);
        if (hardware) {
                memcpy(state->all.sensors, state->hardware.sensors, sizeof(state->all.sensors));
                state->all.snapshot.sensors = state->hardware.snapshot.sensors;
                state->all.snapshot.hottest = state->hardware.snapshot.hottest;
        }
        readings_refresh(state);
        sample_add(state);
        pthread_mutex_unlock(&state->lock);
        /* Refused when Stop has cancelled the timer meanwhile: then there is nothing to go on with. */
        tick_arm(state);
}

OSDefineAction(Sensors, Tick, IOTimerDispatchSource_TimerOccurred_ID);

static kern_return_t tick_create(struct Sensors *self)
{
        struct sensors_state *state = self->state;
        IODispatchQueue *queue = NULL;
        kern_return_t r;

        r = IOService_CopyDispatchQueue(&self->service, kIOServiceDefaultQueueName, &queue);
        if (r == kIOReturnSuccess)
                r = IOTimerDispatchSource_Create(queue, &state->timer);
        OSSafeReleaseNULL(queue);
        if (r == kIOReturnSuccess)
                r = Sensors_CreateActionTick(self, 0, &state->tick);
        if (r == kIOReturnSuccess)
                r = IOTimerDispatchSource_SetHandler(state->timer, state->tick);
        if (r == kIOReturnSuccess)
                r = tick_arm(state);
        return r;
}

/* The action retains its target: cancelling is what lets the service be freed. */
static void tick_cancel(struct sensors_state *state, void *context, IODispatchFunction handler)
{
        if (state->tick)
                OSAction_Cancel_f(state->tick, NULL, NULL);
        IODispatchSource_Cancel_f(&state->timer->source, context, handler);
}

static kern_return_t sensors_start(IOService *service, IOService *provider)
{
        struct Sensors *self = (struct Sensors *)service;
        kern_return_t r = IOService_Start(service, provider);

        if (r == kIOReturnSuccess)
                r = state_create(&self->state);
        if (r == kIOReturnSuccess)
                r = tick_create(self);
        if (r == kIOReturnSuccess)
                r = IOService_SetName(service, "sensors");
        if (r == kIOReturnSuccess)
                r = IOService_RegisterService(service);
        if (r != kIOReturnSuccess && self->state && self->state->timer)
                tick_cancel(self->state, NULL, NULL);
        return r;
}

static void sensors_stopped(void *context)
{
        struct Sensors *self = context;

        IOService_Stop(&self->service, self->state->provider);
        OSObject_release(self);
}

/* The base Stop says that the driver is done, so it waits for the last tick. */
static kern_return_t sensors_stop(IOService *service, IOService *provider)
{
        struct Sensors *self = (struct Sensors *)service;

        self->state->provider = provider;
        OSObject_retain(self);
        tick_cancel(self->state, self, sensors_stopped);
        return kIOReturnSuccess;
}

static kern_return_t sensors_new_user_client(IOService *service, uint32_t type, IOUserClient **user_client)
{
        IOService *made = NULL;
        kern_return_t r;

        if (type != 0)
                return kIOReturnBadArgument;
        r = IOService_Create(service, service, "UserClientProperties", &made);
        if (r != kIOReturnSuccess)
                return r;
        *user_client = OSRequiredCast(IOUserClient, made);
        return kIOReturnSuccess;
}

static void sensors_free(OSObject *object)
{
        struct Sensors *self = (struct Sensors *)object;

        state_free(self->state);
        self->state = NULL;
        IOService_free(object);
}

static const struct amb_method sensors_methods[] = {
        AMB_OVERRIDE(OSObject, free, sensors_free),
        AMB_OVERRIDE(IOService, Start, sensors_start),
        AMB_OVERRIDE(IOService, Stop, sensors_stop),
        AMB_OVERRIDE(IOService, NewUserClient, sensors_new_user_client),
        AMB_ACTION_METHOD(Sensors, Tick, sensors_tick),
        AMB_METHODS_END,
};

OSDefineMetaClass(Sensors, IOService, sensors_methods);
