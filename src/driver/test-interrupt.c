/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts: kinds of descriptors, level interrupts, unmasking, whose they are. The rows of the contract are in tests/contract. A
 * UIO device is played by a pipe: what it gives and takes is 4 bytes long, and the kernel's refusal of 8 is put in front
 * (meson.build: --wrap).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <DriverKit/DriverKit.h>
#include <ambidext/interrupt.h>

#include "driver/test.h"

#define INTERRUPTED 0x696e747200000001ull

/* the end of the pipe in use as a device; read() and write() may not be asked for 8 bytes */
static int uio = -1;
static _Atomic unsigned int refusals;
ssize_t __real_read(int fd, void *bytes, size_t size);
ssize_t __wrap_read(int fd, void *bytes, size_t size);
ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);

static bool refused(int fd, size_t size)
{
        char one[64], other[64];
        ssize_t n, m;

        if (uio < 0 || size != 8)
                return false;
        /* A copy of the descriptor names the same file. */
        snprintf(one, sizeof(one), "/proc/self/fd/%d", fd);
        snprintf(other, sizeof(other), "/proc/self/fd/%d", uio);
        char one_to[64], other_to[64];
        n = readlink(one, one_to, sizeof(one_to));
        m = readlink(other, other_to, sizeof(other_to));
        if (n <= 0 || n != m || memcmp(one_to, other_to, (size_t)n) != 0)
                return false;
        refusals++;
        errno = EINVAL;
        return true;
}

ssize_t __wrap_read(int fd, void *bytes, size_t size)
{
        return refused(fd, size) ? -1 : __real_read(fd, bytes, size);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
        return refused(fd, size) ? -1 : __real_write(fd, bytes, size);
}

typedef struct Target {
        IOService service;
        struct signal calls, go;
        int held;                               /* the first so many calls wait for go */
        /* descriptors order its uses, which a thread sanitizer does not see through copies */
        _Atomic uint64_t count;
} Target;

static struct signal freed = SIGNAL_INIT;

static void target_interrupted(Target *self, OSAction *action, uint64_t count, uint64_t time)
{
        int call = signal_count(&self->calls) + 1;

        self->count = count;
        signal_add(&self->calls);
        if (call <= self->held)
                signal_wait(&self->go, call);
}

static void target_free(OSObject *object)
{
        IOService_free(object);
        signal_add(&freed);
}

static const struct amb_method target_methods[] = {
        AMB_OVERRIDE(OSObject, free, target_free),
        AMB_METHOD(INTERRUPTED, target_interrupted),
        AMB_METHODS_END,
};
OSDefineMetaClass(Target, IOService, target_methods);

static IOService *provider;
static IODispatchQueue *queue;
static Target *target;
static OSAction *action;
static IOInterruptDispatchSource *source;

static void make(int fd, int unmask_fd, uint64_t type)
{
        struct signal none = SIGNAL_INIT;

        provider = (IOService *)amb_object_new(OSTypeID(IOService));
        target = (Target *)amb_object_new(OSTypeID(Target));
        target->calls = target->go = none;
        ck_assert_int_eq(amb_service_attach_interrupt(provider, 0, fd, unmask_fd, type), kIOReturnSuccess);
        ck_assert_int_eq(IODispatchQueue_Create("q", 0, 0, &queue), kIOReturnSuccess);
        ck_assert_int_eq(IOInterruptDispatchSource_Create(provider, kIOInterruptSourceContinuousTime, queue, &source),
                         kIOReturnSuccess);
        ck_assert_int_eq(OSAction_Create(&target->service.object, INTERRUPTED, IOInterruptDispatchSource_InterruptOccurred_ID, 0,
                                         &action),
                         kIOReturnSuccess);
        ck_assert_int_eq(IOInterruptDispatchSource_SetHandler(source, action), kIOReturnSuccess);
}

static void on(void)
{
        ck_assert_int_eq(IODispatchSource_SetEnable(&source->source, true), kIOReturnSuccess);
}

static void end(void)
{
        OSObject_release(source);
        OSObject_release(action);
        OSObject_release(target);
        OSObject_release(provider);
        OSObject_release(queue);
        signal_wait(&freed, 1);
}

static void add(int fd, uint64_t count)
{
        ck_assert_int_eq(__real_write(fd, &count, sizeof(count)), sizeof(count));
}

static uint64_t taken(int fd)
{
        uint64_t count = 0;

        ck_assert_int_eq(__real_read(fd, &count, sizeof(count)), sizeof(count));
        return count;
}

/*
 * Interrupts of another source come and are noticed, twice: what the first came together with has been dealt with before the
 * second.
 */
static void others_pass(void)
{
        IOService *other = (IOService *)amb_object_new(OSTypeID(IOService));
        IOInterruptDispatchSource *others;
        int fd = eventfd(0, EFD_CLOEXEC);
        uint64_t pending;

        ck_assert_int_eq(amb_service_attach_interrupt(other, 0, fd, -1, kIOInterruptTypeEdge), kIOReturnSuccess);
        ck_assert_int_eq(IOInterruptDispatchSource_Create(other, 0, queue, &others), kIOReturnSuccess);
        ck_assert_int_eq(IODispatchSource_SetEnable(&others->source, true), kIOReturnSuccess);
        for (uint64_t i = 1; i <= 2; i++) {
                add(fd, 1);
                do
                        IOInterruptDispatchSource_GetLastInterrupt(others, &pending, NULL);
                while (pending < i);
        }
        OSObject_release(others);
        OSObject_release(other);
        close(fd);
}

/* A level interrupt stays in the descriptor until the handler has run; then the device is told, then it is looked for again. */
START_TEST(level)
{
        int fd = eventfd(0, EFD_CLOEXEC), unmask = eventfd(0, EFD_CLOEXEC);
        uint64_t pending;

        make(fd, unmask, kIOInterruptTypeLevel);
        target->held = 1;
        on();
        ck_assert_uint_eq(taken(unmask), 1);
        add(fd, 1);
        signal_wait(&target->calls, 1);
        add(fd, 5);
        others_pass();
        IOInterruptDispatchSource_GetLastInterrupt(source, &pending, NULL);
        ck_assert_uint_eq(pending, 0);
        signal_add(&target->go);
        signal_wait(&target->calls, 2);
        ck_assert_uint_eq(target->count, 5);
        ck_assert_uint_ge(taken(unmask), 1);
        end();
        close(fd);
        close(unmask);
}
END_TEST

/* Its running total, around the end of its 32 bits; unmasking is 4 bytes long, too. */
START_TEST(running_total)
{
        int in[2], out[2];
        uint32_t totals[] = { 0xfffffffeu, 0xffffffffu, 3 }, word;
        static const uint64_t counts[] = { 1, 1, 4 };

        ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
        ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
        uio = in[0];
        make(in[0], -1, kIOInterruptTypeEdge);
        on();
        for (int i = 0; i < 3; i++) {
                ck_assert_int_eq(__real_write(in[1], &totals[i], 4), 4);
                signal_wait(&target->calls, i + 1);
                ck_assert_uint_eq(target->count, counts[i]);
        }
        ck_assert_uint_ge(refusals, 3);
        end();
        signal_wait(&freed, 1);
        freed.count = 0;

        uio = out[1];
        make(in[0], out[1], kIOInterruptTypeEdge);
        on();
        ck_assert_int_eq(__real_read(out[0], &word, sizeof(word)), sizeof(word));
        ck_assert_uint_eq(word, 1);
        end();
}
END_TEST

/* One source at a time; a cancelled one has left. */
START_TEST(whose)
{
        int fd = eventfd(0, EFD_CLOEXEC), file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        IOInterruptDispatchSource *second = NULL;
        uint64_t type = 77;

        make(fd, -1, kIOInterruptTypeLevel);
        ck_assert_int_eq(amb_service_attach_interrupt(provider, 0, fd, -1, kIOInterruptTypeEdge), kIOReturnExclusiveAccess);
        ck_assert_int_eq(amb_service_attach_interrupt(provider, 1, file, -1, kIOInterruptTypeEdge), kIOReturnUnsupported);
        ck_assert_int_eq(amb_service_attach_interrupt(provider, 1, -1, -1, kIOInterruptTypeEdge), kIOReturnBadArgument);
        ck_assert_int_eq(amb_service_attach_interrupt(provider, 1, 100000, -1, kIOInterruptTypeEdge), kIOReturnBadArgument);
        ck_assert_int_eq(amb_service_attach_interrupt(provider, 0x10000, fd, -1, kIOInterruptTypeEdge), kIOReturnBadArgument);
        ck_assert_int_eq(amb_service_attach_interrupt(provider, 1, fd, -1, 2), kIOReturnBadArgument);
        ck_assert_int_eq(IOInterruptDispatchSource_GetInterruptType(provider, 0, &type), kIOReturnSuccess);
        ck_assert_uint_eq(type, kIOInterruptTypeLevel);
        ck_assert_int_eq(IOInterruptDispatchSource_GetInterruptType(provider, 1, &type), kIOReturnNoInterrupt);
        ck_assert_uint_eq(type, 0);
        ck_assert_int_eq(IOInterruptDispatchSource_Create(provider, 1, queue, &second), kIOReturnNoInterrupt);
        ck_assert_int_eq(IOInterruptDispatchSource_Create(provider, 0x20000, queue, &second), kIOReturnBadArgument);
        ck_assert_int_eq(IOInterruptDispatchSource_Create(provider, 0, queue, &second), kIOReturnNoResources);
        ck_assert_ptr_null(second);
        on();
        ck_assert_int_eq(IODispatchSource_Cancel_f(&source->source, NULL, NULL), kIOReturnSuccess);
        ck_assert_int_eq(IOInterruptDispatchSource_Create(provider, 0, queue, &second), kIOReturnSuccess);
        ck_assert_int_eq(IOInterruptDispatchSource_SetHandler(second, action), kIOReturnSuccess);
        ck_assert_int_eq(IODispatchSource_SetEnable(&second->source, true), kIOReturnSuccess);
        add(fd, 2);
        signal_wait(&target->calls, 1);
        ck_assert_uint_eq(target->count, 2);
        OSObject_release(second);
        end();
        close(fd);
        close(file);
}
END_TEST

/* A source that is released while interrupts come: its free and the thread that finds it. */
START_TEST(released)
{
        int fd = eventfd(0, EFD_CLOEXEC);
        IOInterruptDispatchSource *again;

        make(fd, -1, kIOInterruptTypeEdge);
        for (int i = 0; i < 2000; i++) {
                on();
                add(fd, 1);
                if (i % 3 == 0)
                        IODispatchSource_SetEnable(&source->source, false);
                OSObject_release(source);
                /* A callback may still hold the old one. */
                while (IOInterruptDispatchSource_Create(provider, 0, queue, &again) != kIOReturnSuccess)
                        continue;
                source = again;
                ck_assert_int_eq(IOInterruptDispatchSource_SetHandler(source, action), kIOReturnSuccess);
        }
        end();
        close(fd);
}
END_TEST

/* What the writer of a pipe has left behind is an interrupt, the pipe's end is none. */
START_TEST(broken)
{
        int in[2];

        ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
        make(in[0], -1, kIOInterruptTypeEdge);
        close(in[0]);
        on();
        add(in[1], 9);
        signal_wait(&target->calls, 1);
        ck_assert_uint_eq(target->count, 9);
        close(in[1]);
        others_pass();
        ck_assert_int_eq(signal_count(&target->calls), 1);
        end();
}
END_TEST

int main(void)
{
        return run_suite("interrupt", level, running_total, whose, released, broken);
}
