/* SPDX-License-Identifier: Apache-2.0 */
/* memory-and-queues 10.2: interrupts. What a device does here is a write to an eventfd. */
#include <ambidext/interrupt.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "contract.h"

/* --- the driver's half --- */

#define ROW_UNUSED __attribute__((unused))

/* Whose method the interrupts call; on a queue of its own, so that the calling method may wait for it. */
struct InterruptTarget {
        IOService service;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned int calls;             /* that have begun */
        unsigned int let_go;            /* calls up to this one may return */
        uint64_t count, time;
};

#define INTERRUPTED 0x696e747200000001ull
#define FOR_EVER 1000000u

static ROW_UNUSED void target_interrupted(struct InterruptTarget *self, OSAction *action, uint64_t count, uint64_t time)
{
        pthread_mutex_lock(&self->lock);
        self->calls++;
        self->count = count;
        self->time = time;
        pthread_cond_broadcast(&self->changed);
        while (self->calls > self->let_go)
                pthread_cond_wait(&self->changed, &self->lock);
        pthread_mutex_unlock(&self->lock);
}

static ROW_UNUSED bool target_init(OSObject *object)
{
        struct InterruptTarget *self = (struct InterruptTarget *)object;

        if (!IOService_init(object))
                return false;
        pthread_mutex_init(&self->lock, NULL);
        pthread_cond_init(&self->changed, NULL);
        self->let_go = FOR_EVER;
        return true;
}

static const struct amb_method target_methods[] = {
        AMB_OVERRIDE(OSObject, init, target_init),
        AMB_METHOD(INTERRUPTED, target_interrupted),
        AMB_METHODS_END,
};
static ROW_UNUSED const OSMetaClass gInterruptTargetMetaClass = {
        "InterruptTarget", &gIOServiceMetaClass, sizeof(struct InterruptTarget), target_methods, NULL,
};

/* A provider with one interrupt, a source on it, and what it calls. */
struct device {
        IOService *provider;
        IODispatchQueue *queue;
        IOInterruptDispatchSource *source;
        struct InterruptTarget *target;
        OSAction *action;
        int fd;
};

static ROW_UNUSED kern_return_t device_make(struct device *d)
{
        d->fd = eventfd(0, EFD_CLOEXEC);
        d->provider = (IOService *)amb_object_new(OSTypeID(IOService));
        d->target = (struct InterruptTarget *)amb_object_new(OSTypeID(InterruptTarget));
        D_EXPECT(d->fd >= 0 && d->provider && d->target);
        D_EXPECT(amb_service_attach_interrupt(d->provider, 7, d->fd, -1, kIOInterruptTypeEdge) == kIOReturnSuccess);
        D_EXPECT(IODispatchQueue_Create("interrupts", 0, 0, &d->queue) == kIOReturnSuccess);
        D_EXPECT(IOInterruptDispatchSource_Create(d->provider, 7, d->queue, &d->source) == kIOReturnSuccess);
        D_EXPECT(OSAction_Create(&d->target->service.object, INTERRUPTED, IOInterruptDispatchSource_InterruptOccurred_ID, 0,
                                 &d->action) == kIOReturnSuccess);
        return IOInterruptDispatchSource_SetHandler(d->source, d->action);
}

static ROW_UNUSED void device_end(struct device *d)
{
        OSSafeReleaseNULL(d->source);
        OSSafeReleaseNULL(d->action);
        OSSafeReleaseNULL(d->target);
        OSSafeReleaseNULL(d->provider);
        OSSafeReleaseNULL(d->queue);
        close(d->fd);
}

static ROW_UNUSED bool interrupt(struct device *d)
{
        uint64_t one = 1;

        return write(d->fd, &one, sizeof(one)) == (ssize_t)sizeof(one);
}

/* Until the handler has been called so often, 20 s at most. */
static ROW_UNUSED bool calls_wait(struct device *d, unsigned int calls)
{
        struct timespec until;
        int r = 0;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 20;
        pthread_mutex_lock(&d->target->lock);
        while (d->target->calls < calls && r == 0)
                r = pthread_cond_timedwait(&d->target->changed, &d->target->lock, &until);
        pthread_mutex_unlock(&d->target->lock);
        return r == 0;
}

static ROW_UNUSED unsigned int calls_so_far(struct device *d)
{
        unsigned int calls;

        pthread_mutex_lock(&d->target->lock);
        calls = d->target->calls;
        pthread_mutex_unlock(&d->target->lock);
        return calls;
}

static ROW_UNUSED void let_go(struct device *d, unsigned int calls)
{
        pthread_mutex_lock(&d->target->lock);
        d->target->let_go = calls;
        pthread_cond_broadcast(&d->target->changed);
        pthread_mutex_unlock(&d->target->lock);
}

/* Until the runtime has noticed so many interrupts that wait for the handler, 20 s at most. */
static ROW_UNUSED bool pending_wait(struct device *d, uint64_t wanted)
{
        uint64_t count = 0, until = mach_absolute_time() + 20000000000ull;

        while (IOInterruptDispatchSource_GetLastInterrupt(d->source, &count, NULL) == kIOReturnSuccess && count < wanted &&
               mach_absolute_time() < until)
                IOSleep(1);
        return count == wanted;
}

/* Runs `scenario` on a device, whatever it returns takes the device down. */
static ROW_UNUSED kern_return_t with_device(kern_return_t (*scenario)(struct device *d))
{
        struct device d = { .fd = -1 };
        kern_return_t code = device_make(&d);

        if (code == kIOReturnSuccess)
                code = scenario(&d);
        if (d.target)
                let_go(&d, FOR_EVER);
        device_end(&d);
        return code;
}

/* The app's half of all rows: the driver has seen what it should. */
static ROW_UNUSED void check(uint32_t selector)
{
        ck_code(IOConnectCallScalarMethod(contract_open(0), selector, NULL, 0, NULL, NULL), kIOReturnSuccess);
}

/* --- I1: not switched on --- */

static ROW_UNUSED kern_return_t other_interrupts_pass(struct device *d)
{
        struct device other = { .fd = -1 };
        kern_return_t code = device_make(&other);

        /* Twice: what was seen together with the first one has been dealt with before the second. */
        if (code == kIOReturnSuccess)
                code = IODispatchSource_SetEnable(&other.source->source, true);
        for (unsigned int i = 1; i <= 2 && code == kIOReturnSuccess; i++)
                if (!interrupt(&other) || !calls_wait(&other, i))
                        code = kIOReturnTimeout;
        device_end(&other);
        return code;
}

static ROW_UNUSED kern_return_t switched_off(struct device *d)
{
        D_EXPECT(interrupt(d));
        D_EXPECT(other_interrupts_pass(d) == kIOReturnSuccess);
        D_EXPECT(calls_so_far(d) == 0);
        /* It has not been lost either. */
        D_EXPECT(IODispatchSource_SetEnable(&d->source->source, true) == kIOReturnSuccess);
        D_EXPECT(calls_wait(d, 1) && d->target->count == 1);
        return kIOReturnSuccess;
}
DRIVER(33001) { return with_device(switched_off); }
KEPT(memory_and_queues_I001, "no call of the handler before the source is switched on")
{
        check(33001);
}

/* --- I2, I3: switching --- */

static ROW_UNUSED kern_return_t switched_on_twice(struct device *d)
{
        D_EXPECT(IODispatchSource_SetEnable(&d->source->source, true) == kIOReturnSuccess);
        D_EXPECT(IODispatchSource_SetEnable(&d->source->source, true) == kIOReturnSuccess);
        D_EXPECT(interrupt(d) && calls_wait(d, 1));
        D_EXPECT(d->target->count == 1);
        return kIOReturnSuccess;
}
DRIVER(33002) { return with_device(switched_on_twice); }
KEPT(memory_and_queues_I002, "switching on what is on: success, no effect")
{
        check(33002);
}

static ROW_UNUSED kern_return_t cancelled(struct device *d)
{
        D_EXPECT(IODispatchSource_Cancel_f(&d->source->source, NULL, NULL) == kIOReturnSuccess);
        D_EXPECT(IODispatchSource_SetEnable(&d->source->source, true) == kIOReturnUnsupported);
        D_EXPECT(IODispatchSource_SetEnable(&d->source->source, false) == kIOReturnSuccess);
        D_EXPECT(interrupt(d));
        D_EXPECT(other_interrupts_pass(d) == kIOReturnSuccess);
        D_EXPECT(calls_so_far(d) == 0);
        return kIOReturnSuccess;
}
DRIVER(33003) { return with_device(cancelled); }
KEPT(memory_and_queues_I003, "a cancelled source cannot be switched on: Unsupported")
{
        check(33003);
}

/* --- I4, I5: merging --- */

static ROW_UNUSED kern_return_t merged(struct device *d)
{
        uint64_t last = 0, before;

        let_go(d, 0);
        D_EXPECT(IODispatchSource_SetEnable(&d->source->source, true) == kIOReturnSuccess);
        D_EXPECT(interrupt(d) && calls_wait(d, 1));
        for (uint64_t i = 1; i <= 3; i++) {
                before = mach_absolute_time();
                D_EXPECT(interrupt(d) && pending_wait(d, i));
        }
        D_EXPECT(IOInterruptDispatchSource_GetLastInterrupt(d->source, NULL, &last) == kIOReturnSuccess);
        D_EXPECT(last >= before && last <= mach_absolute_time());
        D_EXPECT(calls_so_far(d) == 1 && d->target->count == 1);
        let_go(d, FOR_EVER);
        D_EXPECT(calls_wait(d, 2));
        D_EXPECT(d->target->count == 3 && d->target->time == last);
        return kIOReturnSuccess;
}
DRIVER(33004) { return with_device(merged); }
KEPT(memory_and_queues_I004, "interrupts while the handler runs: one more call, with their number and the time of the last")
{
        check(33004);
}

static ROW_UNUSED kern_return_t looked_at(struct device *d)
{
        uint64_t count, time = 0, again;

        let_go(d, 0);
        D_EXPECT(IODispatchSource_SetEnable(&d->source->source, true) == kIOReturnSuccess);
        D_EXPECT(interrupt(d) && calls_wait(d, 1));
        D_EXPECT(interrupt(d) && pending_wait(d, 1) && interrupt(d) && pending_wait(d, 2));
        D_EXPECT(IOInterruptDispatchSource_GetLastInterrupt(d->source, NULL, &time) == kIOReturnSuccess && time > 0);
        D_EXPECT(IOInterruptDispatchSource_GetLastInterrupt(d->source, &count, &again) == kIOReturnSuccess);
        D_EXPECT(count == 2 && again == time);
        D_EXPECT(IOInterruptDispatchSource_GetLastInterrupt(d->source, &count, NULL) == kIOReturnSuccess && count == 2);
        let_go(d, FOR_EVER);
        D_EXPECT(calls_wait(d, 2) && d->target->count == 2 && d->target->time == time);
        return kIOReturnSuccess;
}
DRIVER(33005) { return with_device(looked_at); }
KEPT(memory_and_queues_I005, "GetLastInterrupt looks without consuming; either pointer may be NULL")
{
        check(33005);
}
