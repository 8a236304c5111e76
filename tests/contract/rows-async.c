/* SPDX-License-Identifier: Apache-2.0 */
/* call-path 6.7, first half: asynchronous calls, and completions as the driver sends them. */
#include "rows-async.h"

/* --- the call --- */

DRIVER(110)
{
        D_EXPECT(OSDynamicCast(OSAction, (OSObject *)arguments->completion));
        D_EXPECT(arguments->scalarInputCount == 1 && arguments->scalarInput[0] == 7);
        return kIOReturnSuccess;
}
KEPT(call_path_110, "a call with a notification port has a completion")
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        ck_code(call(contract_open(0), 110, IONotificationPortGetMachPort(port), 0, 7), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(110), 1);
        IONotificationPortDestroy(port);
}

DRIVER(111)
{
        D_EXPECT(!arguments->completion);
        D_EXPECT(arguments->scalarInputCount == 1 && arguments->scalarOutputCount == 1);
        arguments->scalarOutput[0] = arguments->scalarInput[0] + 1;
        return kIOReturnSuccess;
}
KEPT(call_path_111, "wake port 0: no completion, the results are those of a synchronous call")
{
        uint64_t reference[3] = { 0 }, in = 41, out = 0;
        uint32_t count = 1;
        ck_code(IOConnectCallAsyncScalarMethod(contract_open(0), 111, MACH_PORT_NULL, reference, 3, &in, 1, &out, &count),
                kIOReturnSuccess);
        ck_assert_uint_eq(out, 42);
        ck_assert_uint_eq(count, 1);
}

DRIVER(112) { return kIOReturnSuccess; }
KEPT(call_path_112, "a wake port without receive right: MACH_SEND_INVALID_RIGHT, the driver is not called")
{
        io_connect_t c = contract_open(0);
        io_service_t service = contract_service();
        mach_port_t gone = new_port();
        ck_code(mach_port_destroy(mach_task_self(), gone), KERN_SUCCESS);
        mach_port_t wrong[] = { 0x12345, c, service, gone, MACH_PORT_DEAD };
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
                ck_code(call(c, 112, wrong[i], 0, 0), MACH_SEND_INVALID_RIGHT);
        ck_assert_uint_eq(contract_calls(112), 0);
        IOObjectRelease(service);
}

DRIVER(113) { return kIOReturnSuccess; }
KEPT(call_path_113, "a reference of 0 slots: kIOReturnBadArgument, the driver is not called")
{
        uint64_t reference[8] = { 0 };
        ck_code(IOConnectCallAsyncScalarMethod(contract_open(0), 113, new_port(), reference, 0, NULL, 0, NULL, NULL),
                kIOReturnBadArgument);
        ck_assert_uint_eq(contract_calls(113), 0);
}

DRIVER(114)
{
        D_EXPECT(arguments->completion);
        complete(self, arguments->completion, 5, 2);
        return kIOReturnSuccess;
}
KEPT(call_path_114, "no reference at all: accepted, the message has function 0 and refcon 0")
{
        mach_port_t port = new_port();
        struct message message;
        ck_code(IOConnectCallAsyncScalarMethod(contract_open(0), 114, port, NULL, 0, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_code(receive(port, &message, NOW), MACH_MSG_SUCCESS);
        for (unsigned i = 0; i < 8; i++)
                ck_assert_uint_eq(reference_at(&message, i), 0);
}

DRIVER(115)
{
        D_EXPECT(arguments->completion);
        complete(self, arguments->completion, 0, 1);
        return kIOReturnSuccess;
}
KEPT(call_path_115, "8 slots: 1 to 7 come back as passed, 0 is 0")
{
        uint64_t reference[8] = { 0x1234, 1, ~0ull, 3, 0x8000000000000000u, 5, 6, 7 };
        mach_port_t port = new_port();
        struct message message;
        ck_code(IOConnectCallAsyncScalarMethod(contract_open(0), 115, port, reference, 8, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_code(receive(port, &message, NOW), MACH_MSG_SUCCESS);
        ck_assert_uint_eq(reference_at(&message, 0), 0);
        for (unsigned i = 1; i < 8; i++)
                ck_assert_uint_eq(reference_at(&message, i), reference[i]);
}

DRIVER(116) { return kIOReturnSuccess; }
KEPT(call_path_116, "9 slots: MIG_ARRAY_TOO_LARGE, the driver is not called")
{
        uint64_t reference[9] = { 0 };
        ck_code(IOConnectCallAsyncScalarMethod(contract_open(0), 116, new_port(), reference, 9, NULL, 0, NULL, NULL),
                MIG_ARRAY_TOO_LARGE);
        ck_assert_uint_eq(contract_calls(116), 0);
}

DRIVER(117)
{
        complete(self, arguments->completion, 0, 0);
        return kIOReturnSuccess;
}
KEPT(call_path_117, "3 slots of a storage of 8: the others are 0 in the message, whatever the storage holds")
{
        uint64_t reference[8] = { 0, 11, 12, 13, 14, 15, 16, 17 };
        mach_port_t port = new_port();
        struct message message;
        ck_code(IOConnectCallAsyncScalarMethod(contract_open(0), 117, port, reference, 3, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_code(receive(port, &message, NOW), MACH_MSG_SUCCESS);
        ck_assert_uint_eq(reference_at(&message, 1), 11);
        ck_assert_uint_eq(reference_at(&message, 2), 12);
        for (unsigned i = 3; i < 8; i++)
                ck_assert_uint_eq(reference_at(&message, i), 0);
}

DRIVER(118) { return kIOReturnSuccess; }
KEPT(call_path_118, "the client's own array keeps what it had in slot 0")
{
        uint64_t reference[8] = { 0x1234, 1, 2, 3, 4, 5, 6, 7 };
        ck_code(IOConnectCallAsyncScalarMethod(contract_open(0), 118, new_port(), reference, 8, NULL, 0, NULL, NULL),
                kIOReturnSuccess);
        ck_assert_uint_eq(reference[0], 0x1234);
        for (unsigned i = 1; i < 8; i++)
                ck_assert_uint_eq(reference[i], i);
}

KEPT(call_path_119, "a dead connection wins over 0 slots: MACH_SEND_INVALID_DEST")
{
        uint64_t reference[8] = { 0 };
        io_connect_t c = contract_open(0);
        ck_code(IOConnectAddRef(c), kIOReturnSuccess);
        ck_code(IOServiceClose(c), kIOReturnSuccess);
        ck_code(IOConnectCallAsyncScalarMethod(c, 0, new_port(), reference, 0, NULL, 0, NULL, NULL), MACH_SEND_INVALID_DEST);
}

DRIVER(120) { return kIOReturnSuccess; }
KEPT(call_path_120, "9 slots and 17 scalars: MIG_ARRAY_TOO_LARGE, the driver is not called")
{
        uint64_t reference[9] = { 0 }, in[17] = { 0 };
        ck_code(IOConnectCallAsyncScalarMethod(contract_open(0), 120, new_port(), reference, 9, in, 17, NULL, NULL),
                MIG_ARRAY_TOO_LARGE);
        ck_assert_uint_eq(contract_calls(120), 0);
}

/* --- callbacks --- */

static struct {
        int calls;
        void *refcon;
        IOReturn result;
        uint64_t args[16];
        uint32_t count;
} got;

static void called(void *refcon, IOReturn result, void *const *args, uint32_t count)
{
        got.calls++;
        got.refcon = refcon;
        got.result = result;
        got.count = count;
        for (uint32_t i = 0; i < count; i++)
                memcpy(&got.args[i], (const char *)args + 8 * i, 8);
}
static void callback0(void *refcon, IOReturn result)
{
        called(refcon, result, NULL, 0);
}
static void callback1(void *refcon, IOReturn result, void *a)
{
        called(refcon, result, (void *[]){ a }, 1);
}
static void callback2(void *refcon, IOReturn result, void *a, void *b)
{
        called(refcon, result, (void *[]){ a, b }, 2);
}
static void callback(void *refcon, IOReturn result, void **args, uint32_t count)
{
        called(refcon, result, args, count);
}

/* Completes with as many scalars as the first input says. */
static kern_return_t complete_count(struct ContractUserClient *self, IOUserClientMethodArguments *arguments)
{
        D_EXPECT(arguments->completion && arguments->scalarInputCount == 1);
        complete(self, arguments->completion, (IOReturn)0xE00002C2, (uint32_t)arguments->scalarInput[0]);
        return kIOReturnSuccess;
}

/* The driver sends `count` scalars; `function` must be called with them, once. */
static void ck_callback(uint32_t selector, void *function, uint64_t count)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        uint64_t reference[kIOAsyncCalloutCount] = { 0, (uintptr_t)function, 0x5EF };
        memset(&got, 0, sizeof(got));
        ck_code(IOConnectCallAsyncScalarMethod(contract_open(0), selector, IONotificationPortGetMachPort(port), reference,
                                               kIOAsyncCalloutCount, &count, 1, NULL, NULL), kIOReturnSuccess);
        ck_assert(contract_port_wait(port, PATIENCE));
        ck_assert_int_eq(got.calls, 1);
        ck_assert_ptr_eq(got.refcon, (void *)0x5EF);
        ck_code(got.result, 0xE00002C2);
        ck_assert_uint_eq(got.count, count);
        for (uint64_t i = 0; i < count; i++)
                ck_assert_uint_eq(got.args[i], 0x1122334455660000u + i);
        IONotificationPortDestroy(port);
}

DRIVER(121) { return complete_count(self, arguments); }
KEPT(call_path_121, "a completion of 0 scalars calls (refcon, result)")
{
        ck_callback(121, (void *)callback0, 0);
}

DRIVER(122) { return complete_count(self, arguments); }
KEPT(call_path_122, "a completion of 1 scalar calls (refcon, result, a0)")
{
        ck_callback(122, (void *)callback1, 1);
}

DRIVER(123) { return complete_count(self, arguments); }
KEPT(call_path_123, "a completion of 2 scalars calls (refcon, result, a0, a1)")
{
        ck_callback(123, (void *)callback2, 2);
}

DRIVER(124) { return complete_count(self, arguments); }
KEPT(call_path_124, "a completion of 3 to 16 scalars calls (refcon, result, args, n)")
{
        ck_callback(124, (void *)callback, 3);
        ck_callback(124, (void *)callback, 16);
}

DRIVER(125) { return complete_count(self, arguments); }
KEPT(call_path_125,
     "the message as received with mach_msg: size 104 + 8n, id 53, content size, type, result, scalars where they belong")
{
        io_connect_t c = contract_open(0);
        mach_port_t port = new_port();
        for (uint32_t n = 0; n <= 16; n++) {
                struct message message;
                ck_code(call(c, 125, port, 9, n), kIOReturnSuccess);
                ck_code(receive(port, &message, NOW), MACH_MSG_SUCCESS);
                ck_assert_uint_eq(message.header.msgh_size, 104 + 8 * n);
                ck_assert_uint_eq(message.header.msgh_remote_port, 0);
                ck_assert_uint_eq(message.header.msgh_local_port, port);
                ck_assert_int_eq((int)u32_at(&message, 20), 53);
                ck_assert_uint_eq(u32_at(&message, 24), 4 + 8 * n);
                ck_assert_uint_eq(u32_at(&message, 28), 150);
                ck_assert_uint_eq(u32_at(&message, 96), 0xE00002C2);
                for (uint32_t i = 0; i < n; i++)
                        ck_assert_uint_eq(u64_at(&message, 100 + 8 * i), 0x1122334455660000u + i);
                ck_assert_uint_eq(u32_at(&message, 100 + 8 * n), 0);
                /* The trailer, and nothing behind it. */
                ck_assert_uint_eq(u32_at(&message, 104 + 8 * n + 4), MACH_MSG_TRAILER_MINIMUM_SIZE);
                ck_assert_uint_eq(u32_at(&message, 104 + 8 * n + 8), 0xAAAAAAAA);
        }
}

/* --- what the driver may do with a completion --- */

DRIVER(126)
{
        complete(self, arguments->completion, 1, 17);
        complete(self, arguments->completion, 2, 16);
        return kIOReturnSuccess;
}
KEPT(call_path_126, "AsyncCompletion with 17 scalars returns, and nothing is sent")
{
        mach_port_t port = new_port();
        ck_code(call(contract_open(0), 126, port, 3, 0), kIOReturnSuccess);
        ck_next(port, NOW, 3, 2);
        ck_nothing(port);
}

DRIVER(127)
{
        complete(self, arguments->completion, 0x12345678, 0);
        complete(self, arguments->completion, -1, 1);
        return kIOReturnSuccess;
}
KEPT(call_path_127, "any 32-bit status arrives as it is")
{
        mach_port_t port = new_port();
        ck_code(call(contract_open(0), 127, port, 3, 0), kIOReturnSuccess);
        ck_next(port, NOW, 3, 0x12345678);
        ck_next(port, NOW, 3, -1);
}

struct step_128 {
        struct ContractUserClient *self;
        int step;
};
static void step_128(void *context)
{
        struct step_128 *step = context;
        complete(step->self, (OSAction *)step->self->mine, step->step, 1);
        OSObjectRelease(step->self);
        free(step);
}
DRIVER(128)
{
        IODispatchQueue *queue;
        D_EXPECT(keep(self, arguments) == 0);
        D_EXPECT(IODispatchQueue_Create("row 128", 0, 0, &queue) == kIOReturnSuccess);
        for (int i = 0; i < 1000; i++) {
                struct step_128 *step = malloc(sizeof(*step));
                D_EXPECT(step);
                OSObjectRetain(self);
                *step = (struct step_128){ self, i };
                IODispatchQueue_DispatchAsync_f(queue, step, step_128);
        }
        OSObjectRelease(queue);
        return kIOReturnSuccess;
}
KEPT(call_path_128, "1000 completions from one driver queue: all arrive, in order")
{
        mach_port_t port = new_port();
        ck_code(call(contract_open(0), 128, port, 3, 0), kIOReturnSuccess);
        for (int i = 0; i < 1000; i++)
                ck_next(port, PATIENCE, 3, i);
        ck_nothing(port);
}

DRIVER(129)
{
        D_EXPECT(keep(self, arguments) == 0);
        for (int i = 0; i < 2; i++)
                complete(self, (OSAction *)self->mine, i, 0);
        return kIOReturnSuccess;
}
DRIVER(1129)
{
        for (int i = 2; i < 4; i++)
                complete(self, (OSAction *)self->mine, i, 3);
        /* What AsyncCompletion invokes. */
        IOUserClient_KernelCompletion(&self->client, (OSAction *)self->mine, 4, NULL, 0);
        return kIOReturnSuccess;
}
KEPT(call_path_129, "one action completed 5 times: 5 messages")
{
        io_connect_t c = contract_open(0);
        mach_port_t port = new_port();
        ck_code(call(c, 129, port, 3, 0), kIOReturnSuccess);
        ck_code(call_sync(c, 1129, 0), kIOReturnSuccess);
        for (int i = 0; i < 5; i++)
                ck_next(port, NOW, 3, i);
        ck_nothing(port);
}

DRIVER(130) { return complete_count(self, arguments); }
KEPT(call_path_130, "a completion sent inside the call is in the port when the call returns")
{
        io_connect_t c = contract_open(0);
        mach_port_t port = new_port();
        for (uint64_t i = 0; i < 300; i++) {
                ck_code(call(c, 130, port, i, i % 17), kIOReturnSuccess);
                ck_next(port, NOW, i, (IOReturn)0xE00002C2);
        }
}

DRIVER(131)
{
        complete(self, arguments->completion, 1, 1);
        return iokit_vendor_specific_err(0x131);
}
KEPT(call_path_131, "a completion sent before the call fails arrives all the same")
{
        mach_port_t port = new_port();
        ck_code(call(contract_open(0), 131, port, 3, 0), iokit_vendor_specific_err(0x131));
        ck_next(port, NOW, 3, 1);
}

DRIVER(132)
{
        D_EXPECT(keep(self, arguments) == 0);
        return iokit_vendor_specific_err(0x132);
}
DRIVER(1132)
{
        complete(self, (OSAction *)self->mine, 2, 1);
        return kIOReturnSuccess;
}
KEPT(call_path_132, "an action kept by a call that failed completes later")
{
        io_connect_t c = contract_open(0);
        mach_port_t port = new_port();
        ck_code(call(c, 132, port, 3, 0), iokit_vendor_specific_err(0x132));
        ck_nothing(port);
        ck_code(call_sync(c, 1132, 0), kIOReturnSuccess);
        ck_next(port, NOW, 3, 2);
}

DRIVER(133) { return arguments->completion ? kIOReturnSuccess : kIOReturnError; }
DRIVER(1133)
{
        complete(self, arguments->completion, 7, 0);
        return kIOReturnSuccess;
}
KEPT(call_path_133, "an action that the driver does not keep sends nothing, and the port lives on")
{
        io_connect_t c = contract_open(0);
        mach_port_t port = new_port();
        ck_code(call(c, 133, port, 3, 0), kIOReturnSuccess);
        ck_code(call(c, 1133, port, 4, 0), kIOReturnSuccess);
        ck_next(port, NOW, 4, 7);
        ck_nothing(port);
}

DRIVER(134)
{
        D_EXPECT(arguments->completion && arguments->scalarInputCount == 1);
        for (int i = 0; i < (int)arguments->scalarInput[0]; i++)
                complete(self, arguments->completion, i, 16);
        return kIOReturnSuccess;
}
static void count_134(void *refcon, IOReturn result, void **args, uint32_t count)
{
        int *next = refcon;
        if (result == *next && count == 16 && ((uint64_t *)args)[15] == 0x112233445566000Full)
                ++*next;
}
KEPT(call_path_134, "100000 completions of the largest kind that nobody reads: the driver is not held up, none is lost")
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        int next = 0;
        uint64_t reference[8] = { 0, (uintptr_t)count_134, (uintptr_t)&next, 3, 4, 5, 6, 7 }, in = 100000;
        /* Nothing is read before the call, and so the driver's method, has returned. */
        ck_code(IOConnectCallAsyncScalarMethod(contract_open(0), 134, IONotificationPortGetMachPort(port), reference, 8, &in, 1,
                                               NULL, NULL), kIOReturnSuccess);
        while (next < 100000) {
                int before = next;
                ck_assert_msg(contract_port_wait(port, PATIENCE), "%d of 100000 came", next);
                ck_assert_int_ge(next, before);
        }
        IONotificationPortDestroy(port);
}
