/* SPDX-License-Identifier: Apache-2.0 */
/* call-path 6.9, second part: close and death while calls are in progress. */
#include <signal.h>
#include <sys/wait.h>

#include "gate.h"

/* Opens the gate, from another connection. */
DRIVER(1170)
{
        gate_open();
        return kIOReturnSuccess;
}
static void open_gate(io_connect_t other)
{
        ck_code(IOConnectCallScalarMethod(other, 1170, NULL, 0, NULL, NULL), kIOReturnSuccess);
}

/* The call in progress: its result is when the driver's method ended. */
DRIVER(170)
{
        D_EXPECT(arguments->scalarOutputCount == 2);
        gate_wait();
        arguments->scalarOutput[0] = 170;
        arguments->scalarOutput[1] = mach_absolute_time();
        return kIOReturnSuccess;
}
DRIVER_STOP(170)
{
        return IOService_Stop((IOService *)self, provider);
}
DRIVER_FREE(170)
{
        return kIOReturnSuccess;
}
DRIVER(1172)
{
        return kIOReturnSuccess;
}

/* Thread A is in a call, thread B waits in a close. */
struct closing {
        io_connect_t connection, other;
        struct thread_call a, b;
};
static void closing_start(struct closing *closing)
{
        memset(closing, 0, sizeof(*closing));
        closing->connection = contract_open(170);
        closing->other = contract_open(0);
        closing->a.connection = closing->b.connection = closing->connection;
        closing->a.selector = 170;
        closing->b.close = true;
        thread_call_start(&closing->a);
        contract_calls_wait(CONTRACT_METHOD, 170, 1);
        thread_call_start(&closing->b);
        thread_call_waits(&closing->b);
}
static void closing_end(struct closing *closing)
{
        ck_assert(!atomic_load(&closing->a.done) && !atomic_load(&closing->b.done));
        open_gate(closing->other);
        thread_call_join(&closing->a);
        thread_call_join(&closing->b);
        ck_code(closing->a.code, kIOReturnSuccess);
        ck_assert_uint_eq(closing->a.count, 2);
        ck_assert_uint_eq(closing->a.out[0], 170);
        ck_code(closing->b.code, kIOReturnSuccess);
        ck_assert_uint_ge(closing->b.ended, closing->a.out[1]);
        contract_calls_wait(CONTRACT_FREE, 170, 1);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 170), 1);
}

KEPT(call_path_170, "close waits until the call in progress has returned, which gets the driver's result")
{
        struct closing closing;
        closing_start(&closing);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 170), 0);
        closing_end(&closing);
}

KEPT(call_path_171, "a second close meanwhile: 0 at once; one Stop in total")
{
        struct closing closing;
        closing_start(&closing);
        ck_code(IOServiceClose(closing.connection), kIOReturnSuccess);
        closing_end(&closing);
}

DIFFERS(call_path_172, "a call after a close has begun to wait: MACH_SEND_INVALID_DEST, the driver is not called",
        "the original blocks the call until the close is done; section 8.4 recommends this answer, and it comes at once")
{
        struct closing closing;
        closing_start(&closing);
        ck_code(IOConnectCallScalarMethod(closing.connection, 1172, NULL, 0, NULL, NULL), MACH_SEND_INVALID_DEST);
        closing_end(&closing);
        ck_assert_uint_eq(contract_calls(1172), 0);
}

/* --- the app is killed in a call --- */

DRIVER(176)
{
        gate_wait();
        self->number = 176;
        return kIOReturnSuccess;
}
static _Atomic uint32_t stopped_too_early;
DRIVER_STOP(176)
{
        if (self->number != 176)
                atomic_store(&stopped_too_early, 1);
        return IOService_Stop((IOService *)self, provider);
}
DRIVER_FREE(176)
{
        return kIOReturnSuccess;
}
DRIVER(1176)
{
        D_EXPECT(arguments->scalarOutputCount == 1);
        arguments->scalarOutput[0] = atomic_load(&stopped_too_early);
        return kIOReturnSuccess;
}
KEPT(call_path_176, "the app is killed in a call: the driver's method ends normally, then Stop")
{
        io_connect_t other = contract_open(0);
        pid_t app = fork();
        ck_assert_int_ge(app, 0);
        if (app == 0) {
                /* The idle one (type 170) shows when the host has noticed the death. */
                io_connect_t busy = contract_open(176);
                contract_open(170);
                IOConnectCallScalarMethod(busy, 176, NULL, 0, NULL, NULL);
                _exit(1);
        }
        int status;
        contract_calls_wait(CONTRACT_METHOD, 176, 1);
        ck_assert_int_eq(kill(app, SIGKILL), 0);
        ck_assert_int_eq(waitpid(app, &status, 0), app);
        ck_assert(WIFSIGNALED(status));
        contract_calls_wait(CONTRACT_STOP, 170, 1);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 176), 0);
        open_gate(other);
        contract_calls_wait(CONTRACT_FREE, 176, 1);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 176), 1);
        uint64_t early = 1;
        uint32_t count = 1;
        ck_code(IOConnectCallScalarMethod(other, 1176, NULL, 0, &early, &count), kIOReturnSuccess);
        ck_assert_uint_eq(early, 0);
}

/* --- the driver is killed in a call --- */

/* Never returns; an output of more than 4096 bytes has got its first 100 when 1185 says so. */
static _Atomic uint32_t stored;
DRIVER(185)
{
        D_EXPECT(arguments->scalarOutputCount == 2);
        arguments->scalarOutput[0] = arguments->scalarOutput[1] = 185;
        if (arguments->structureOutputDescriptor) {
                uint64_t address, length;
                D_EXPECT(IOMemoryDescriptor_Map(arguments->structureOutputDescriptor, 0, 0, 0, 0, &address, &length) == 0);
                memset((void *)(uintptr_t)address, 0x18, 100);
        } else {
                arguments->structureOutput = OSDataCreate("185", 3);
        }
        atomic_fetch_add(&stored, 1);
        gate_wait();
        return kIOReturnSuccess;
}
DRIVER(1185)
{
        D_EXPECT(arguments->scalarOutputCount == 1);
        arguments->scalarOutput[0] = atomic_load(&stored);
        return kIOReturnSuccess;
}
static void check_untouched(const struct thread_call *call, size_t room, const uint8_t *bytes, size_t from)
{
        ck_code(call->code, MIG_SERVER_DIED);
        ck_assert_uint_eq(call->count, 2);
        ck_assert_uint_eq(call->out[0], 7);
        ck_assert_uint_eq(call->out[1], 8);
        ck_assert_uint_eq(call->room, room);
        for (size_t i = from; i < room; i++)
                ck_assert_uint_eq(bytes[i], 0x5a);
}
KEPT(call_path_185, "the driver is killed in a call: MIG_SERVER_DIED, counts and buffers untouched, out-of-line stores visible")
{
        static uint8_t inline_bytes[64], large_bytes[8192];
        io_connect_t other = contract_open(0);
        struct thread_call small = {
                .connection = contract_open(0), .selector = 185, .bytes = inline_bytes, .room = 64, .out = { 7, 8 }
        };
        struct thread_call large = {
                .connection = contract_open(0), .selector = 185, .bytes = large_bytes, .room = 8192, .out = { 7, 8 }
        };
        memset(inline_bytes, 0x5a, sizeof(inline_bytes));
        memset(large_bytes, 0x5a, sizeof(large_bytes));
        thread_call_start(&small);
        thread_call_start(&large);
        for (uint64_t done = 0; done < 2;) {
                uint32_t count = 1;
                ck_code(IOConnectCallScalarMethod(other, 1185, NULL, 0, &done, &count), kIOReturnSuccess);
        }
        contract_host_kill();
        thread_call_join(&small);
        thread_call_join(&large);
        check_untouched(&small, 64, inline_bytes, 0);
        check_untouched(&large, 8192, large_bytes, 100);
        for (size_t i = 0; i < 100; i++)
                ck_assert_uint_eq(large_bytes[i], 0x18);
}

DRIVER(1186)
{
        return kIOReturnSuccess;
}
KEPT(call_path_186, "a call that waits behind another when the driver is killed: MIG_SERVER_DIED for both")
{
        io_connect_t connection = contract_open(0);
        struct thread_call running = { .connection = connection, .selector = 170 };
        struct thread_call waiting = { .connection = connection, .selector = 1186 };
        thread_call_start(&running);
        contract_calls_wait(CONTRACT_METHOD, 170, 1);
        thread_call_start(&waiting);
        thread_call_waits(&waiting);
        ck_assert_uint_eq(contract_calls(1186), 0);
        contract_host_kill();
        thread_call_join(&running);
        thread_call_join(&waiting);
        ck_code(running.code, MIG_SERVER_DIED);
        ck_code(waiting.code, MIG_SERVER_DIED);
}

/* --- calls race with close --- */

#define ROUNDS 500
#define DRIVER_SAYS iokit_vendor_specific_err(198)
static _Atomic uint32_t overlaps;
DRIVER(198)
{
        self->number = 1;
        sched_yield();
        self->number = 0;
        return DRIVER_SAYS;
}
DRIVER_STOP(198)
{
        if (self->number)
                atomic_fetch_add(&overlaps, 1);
        return IOService_Stop((IOService *)self, provider);
}
DRIVER_FREE(198)
{
        return kIOReturnSuccess;
}
DRIVER(1198)
{
        D_EXPECT(arguments->scalarOutputCount == 1);
        arguments->scalarOutput[0] = atomic_load(&overlaps);
        return kIOReturnSuccess;
}

struct race {
        pthread_barrier_t barrier;
        io_connect_t connection;
        kern_return_t last;             /* the first code that is not the driver's */
};
static void *race_run(void *argument)
{
        struct race *race = argument;
        for (int i = 0; i < ROUNDS; i++) {
                pthread_barrier_wait(&race->barrier);
                do
                        race->last = IOConnectCallScalarMethod(race->connection, 198, NULL, 0, NULL, NULL);
                while (race->last == DRIVER_SAYS);
                pthread_barrier_wait(&race->barrier);
        }
        return NULL;
}
KEPT(call_path_198, "calls race with a close, 500 times: the driver's result, then MACH_SEND_INVALID_DEST, MIG_SERVER_DIED or "
                    "kIOReturnBadArgument; never a call during Stop")
{
        struct race race;
        pthread_t thread;
        pthread_barrier_init(&race.barrier, NULL, 2);
        ck_assert_int_eq(pthread_create(&thread, NULL, race_run, &race), 0);
        for (int i = 0; i < ROUNDS; i++) {
                race.connection = contract_open(198);
                pthread_barrier_wait(&race.barrier);
                /* From a close at once to one among many calls. */
                for (int spin = 0; spin < i % 50; spin++)
                        sched_yield();
                ck_code(IOServiceClose(race.connection), kIOReturnSuccess);
                pthread_barrier_wait(&race.barrier);
                ck_assert_msg(race.last == MACH_SEND_INVALID_DEST || race.last == MIG_SERVER_DIED ||
                                      race.last == kIOReturnBadArgument,
                              "round %d: %s", i, mach_error_string(race.last));
        }
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        pthread_barrier_destroy(&race.barrier);
        contract_calls_wait(CONTRACT_FREE, 198, ROUNDS);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 198), ROUNDS);
        ck_assert_uint_gt(contract_calls(198), 0);
        uint64_t during = 1;
        uint32_t count = 1;
        ck_code(IOConnectCallScalarMethod(contract_open(0), 1198, NULL, 0, &during, &count), kIOReturnSuccess);
        ck_assert_uint_eq(during, 0);
}
