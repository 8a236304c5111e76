/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call-path 6.5: what the base class checks with a dispatch entry. Every row's method hands its entry to the base; what a call must
 * look like is in the entry, what it looks like in the row.
 */
#include "contract.h"

#define ANY kIOUserClientVariableStructureSize
#define kFunctionCalls 1078     /* a selector: out: how often the function of any entry has run */

/* --- the driver's half --- */

static __attribute__((unused)) uint64_t function_ran;

static __attribute__((unused)) kern_return_t function(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        function_ran++;
        return kIOReturnSuccess;
}

/* Selector n: to the base, with an entry of these checks. */
#define ENTRY(n, method, completion, scalars_in, bytes_in, scalars_out, bytes_out)                                      \
        DRIVER(n)                                                                                                       \
        {                                                                                                               \
                static const IOUserClientMethodDispatch entry = {                                                       \
                        method, completion, scalars_in, bytes_in, scalars_out, bytes_out,                               \
                };                                                                                                      \
                return IOUserClient_ExternalMethod(&self->client, selector, arguments, &entry, NULL, NULL);             \
        }

DRIVER(1078)
{
        D_EXPECT(arguments->scalarOutputCount == 1);
        arguments->scalarOutput[0] = function_ran;
        return kIOReturnSuccess;
}

/* --- the app's half --- */

static uint64_t functions(io_connect_t connection)
{
        uint64_t ran = 0;
        uint32_t count = 1;
        ck_code(IOConnectCallScalarMethod(connection, kFunctionCalls, NULL, 0, &ran, &count), kIOReturnSuccess);
        return ran;
}

/*
 * One call of this shape; its code is what is expected, and the function has run exactly if that is success. A refused call leaves
 * all outputs alone; in an answered one the driver has stored nothing, so they are zeros in full.
 */
static void call(io_connect_t connection, uint32_t selector, uint32_t scalars_in, size_t bytes_in, uint32_t scalars_out,
                 size_t bytes_out, kern_return_t expected)
{
        static uint64_t in[16], out[17];
        static unsigned char structure_in[16384], structure_out[16384];
        uint32_t count = scalars_out;
        size_t size = bytes_out;
        uint64_t ran = functions(connection);

        memset(out, 0xa5, sizeof(out));
        memset(structure_out, 0xa5, sizeof(structure_out));
        ck_code(IOConnectCallMethod(connection, selector, in, scalars_in, structure_in, bytes_in, out, &count, structure_out,
                                    &size),
                expected);
        ck_assert_uint_eq(count, scalars_out);
        ck_assert_uint_eq(size, bytes_out);
        ck_assert_uint_eq(functions(connection), ran + (expected == kIOReturnSuccess));
        for (uint32_t i = 0; i < 17; i++)
                ck_assert_uint_eq(out[i], expected == kIOReturnSuccess && i < scalars_out ? 0 : 0xa5a5a5a5a5a5a5a5ull);
        /* Out of line the driver's stores would be there, and it stores nothing. */
        for (size_t i = 0; i < sizeof(structure_out); i++)
                ck_assert_uint_eq(structure_out[i], expected == kIOReturnSuccess && i < bytes_out && bytes_out <= 4096 ? 0 : 0xa5);
}

/* An asynchronous call without arguments, and what becomes of it. */
static void call_async(io_connect_t connection, uint32_t selector, mach_port_t wake, kern_return_t expected)
{
        uint64_t reference[8] = { 0 }, ran = functions(connection);

        ck_code(IOConnectCallAsyncScalarMethod(connection, selector, wake, reference, 8, NULL, 0, NULL, NULL), expected);
        ck_assert_uint_eq(functions(connection), ran + (expected == kIOReturnSuccess));
}

/* --- rows --- */

DRIVER(78)
{
        return IOUserClient_ExternalMethod(&self->client, selector, arguments, NULL, NULL, NULL);
}
KEPT(call_path_078, "the base without an entry: kIOReturnUnsupported, whatever the call looks like")
{
        io_connect_t connection = contract_open(0);
        call(connection, 78, 0, 0, 0, 0, kIOReturnUnsupported);
        call(connection, 78, 16, 4096, 16, 4096, kIOReturnUnsupported);
        call(connection, 78, 1, 4097, 1, 4097, kIOReturnUnsupported);
        ck_assert_uint_eq(contract_calls(78), 3);
}

ENTRY(79, function, 0, 2, 0, 0, 0)
KEPT(call_path_079, "scalars in that differ from the entry's number: kIOReturnBadArgument, function not called")
{
        io_connect_t connection = contract_open(0);
        call(connection, 79, 1, 0, 0, 0, kIOReturnBadArgument);
        call(connection, 79, 3, 0, 0, 0, kIOReturnBadArgument);
        call(connection, 79, 0, 0, 0, 0, kIOReturnBadArgument);
        call(connection, 79, 2, 0, 0, 0, kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(79), 4);
}

ENTRY(80, function, 0, ANY, 0, 0, 0)
KEPT(call_path_080, "scalars in not checked: 0 to 16 reach the function")
{
        io_connect_t connection = contract_open(0);
        for (uint32_t i = 0; i <= 16; i++)
                call(connection, 80, i, 0, 0, 0, kIOReturnSuccess);
}

ENTRY(81, function, 0, 0, 16, 0, 0)
KEPT(call_path_081, "an inline structure in of another size: kIOReturnBadArgument")
{
        io_connect_t connection = contract_open(0);
        call(connection, 81, 0, 15, 0, 0, kIOReturnBadArgument);
        call(connection, 81, 0, 17, 0, 0, kIOReturnBadArgument);
        call(connection, 81, 0, 0, 0, 0, kIOReturnBadArgument);
        call(connection, 81, 0, 16, 0, 0, kIOReturnSuccess);
}

ENTRY(82, function, 0, 0, 5000, 0, 0)
KEPT(call_path_082, "a large structure in: the descriptor's length is what is compared")
{
        io_connect_t connection = contract_open(0);
        call(connection, 82, 0, 5000, 0, 0, kIOReturnSuccess);
        call(connection, 82, 0, 4999, 0, 0, kIOReturnBadArgument);
        call(connection, 82, 0, 5001, 0, 0, kIOReturnBadArgument);
}

ENTRY(83, function, 0, 0, 0, 0, 0)
KEPT(call_path_083, "structure in 0: exactly the calls without one pass")
{
        io_connect_t connection = contract_open(0);
        call(connection, 83, 0, 0, 0, 0, kIOReturnSuccess);
        call(connection, 83, 0, 1, 0, 0, kIOReturnBadArgument);
        call(connection, 83, 0, 5000, 0, 0, kIOReturnBadArgument);
}

ENTRY(84, function, 0, 0, 0, 4, 0)
KEPT(call_path_084, "room for more or fewer scalars out than the entry's number: kIOReturnBadArgument")
{
        io_connect_t connection = contract_open(0);
        call(connection, 84, 0, 0, 5, 0, kIOReturnBadArgument);
        call(connection, 84, 0, 0, 3, 0, kIOReturnBadArgument);
        call(connection, 84, 0, 0, 4, 0, kIOReturnSuccess);
}

ENTRY(85, function, 0, 0, 0, 16, 0)
KEPT(call_path_085, "room for 100 scalars out is room for 16 and passes a check for 16")
{
        uint64_t out[100];
        uint32_t count = 100;
        memset(out, 0xa5, sizeof(out));
        ck_code(IOConnectCallScalarMethod(contract_open(0), 85, NULL, 0, out, &count), kIOReturnSuccess);
        ck_assert_uint_eq(count, 16);
        for (uint32_t i = 0; i < 100; i++)
                ck_assert_uint_eq(out[i], i < 16 ? 0 : 0xa5a5a5a5a5a5a5a5ull);
}

ENTRY(86, function, 0, 0, 0, 0, 16)
KEPT(call_path_086, "room for a larger structure out than the entry's size is refused too: kIOReturnBadArgument")
{
        io_connect_t connection = contract_open(0);
        call(connection, 86, 0, 0, 0, 32, kIOReturnBadArgument);
        call(connection, 86, 0, 0, 0, 15, kIOReturnBadArgument);
        call(connection, 86, 0, 0, 0, 8192, kIOReturnBadArgument);
        call(connection, 86, 0, 0, 0, 16, kIOReturnSuccess);
}

ENTRY(87, function, 0, 0, 0, 0, 0)
KEPT(call_path_087, "structure out 0: a call with room for one byte is refused, kIOReturnBadArgument")
{
        io_connect_t connection = contract_open(0);
        call(connection, 87, 0, 0, 0, 1, kIOReturnBadArgument);
        call(connection, 87, 0, 0, 0, 0, kIOReturnSuccess);
}

ENTRY(88, function, 0, 0, 0, 0, 8192)
KEPT(call_path_088, "a large structure out: the descriptor's length is what is compared")
{
        io_connect_t connection = contract_open(0);
        call(connection, 88, 0, 0, 0, 8192, kIOReturnSuccess);
        call(connection, 88, 0, 0, 0, 8191, kIOReturnBadArgument);
        call(connection, 88, 0, 0, 0, 8193, kIOReturnBadArgument);
}

ENTRY(89, function, 0, 0, 0, 0, 16)
KEPT(call_path_089, "a variable structure out has no fixed size: kIOReturnBadArgument, pointer NULL, size 0")
{
        io_connect_t connection = contract_open(0);
        size_t size = (size_t)kIOConnectMethodVarOutputSize;
        void *out = &size;
        ck_code(IOConnectCallStructMethod(connection, 89, NULL, 0, &out, &size), kIOReturnBadArgument);
        ck_assert_ptr_null(out);
        ck_assert_uint_eq(size, 0);
        ck_assert_uint_eq(functions(connection), 0);
        ck_assert_uint_eq(contract_calls(89), 1);
}

ENTRY(90, function, 1, 0, 0, 0, 0)
KEPT(call_path_090, "a completion is wanted and the call is synchronous: kIOReturnBadArgument, function not called")
{
        io_connect_t connection = contract_open(0);
        call(connection, 90, 0, 0, 0, 0, kIOReturnBadArgument);
        ck_assert_uint_eq(contract_calls(90), 1);
}

ENTRY(91, function, 1, 0, 0, 0, 0)
KEPT(call_path_091, "a completion is wanted and the wake port is 0: kIOReturnBadArgument, function not called")
{
        io_connect_t connection = contract_open(0);
        call_async(connection, 91, MACH_PORT_NULL, kIOReturnBadArgument);
        ck_assert_uint_eq(contract_calls(91), 1);
}

ENTRY(92, function, 0, 0, 0, 0, 0)
KEPT(call_path_092, "no completion is wanted and the call has one: kIOReturnBadArgument, function not called")
{
        io_connect_t connection = contract_open(0);
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        call_async(connection, 92, IONotificationPortGetMachPort(port), kIOReturnBadArgument);
        ck_assert_uint_eq(contract_calls(92), 1);
        call_async(connection, 92, MACH_PORT_NULL, kIOReturnSuccess);
        IONotificationPortDestroy(port);
}

ENTRY(93, function, ANY, 0, 0, 0, 0)
KEPT(call_path_093, "the completion not checked: calls with and without one reach the function")
{
        io_connect_t connection = contract_open(0);
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        call(connection, 93, 0, 0, 0, 0, kIOReturnSuccess);
        call_async(connection, 93, IONotificationPortGetMachPort(port), kIOReturnSuccess);
        call_async(connection, 93, MACH_PORT_NULL, kIOReturnSuccess);
        IONotificationPortDestroy(port);
}

ENTRY(94, NULL, 0, 1, 16, 1, 16)
KEPT(call_path_094, "all checks pass and there is no function: kIOReturnNoCompletion")
{
        io_connect_t connection = contract_open(0);
        call(connection, 94, 1, 16, 1, 16, kIOReturnNoCompletion);
}

ENTRY(95, NULL, 0, 2, 0, 0, 0)
KEPT(call_path_095, "a failing check wins over the missing function: kIOReturnBadArgument")
{
        io_connect_t connection = contract_open(0);
        call(connection, 95, 1, 0, 0, 0, kIOReturnBadArgument);
        call(connection, 95, 2, 0, 0, 0, kIOReturnNoCompletion);
}

static __attribute__((unused)) struct {
        OSObject *target;
        void *reference;
        IOUserClientMethodArguments *arguments;
} passed;

/* Returns its scalar as the code. */
static __attribute__((unused)) kern_return_t pass_through(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
        passed.target = target;
        passed.reference = reference;
        passed.arguments = arguments;
        return (kern_return_t)arguments->scalarInput[0];
}
DRIVER(96)
{
        static const IOUserClientMethodDispatch entry = { pass_through, 0, 1, 0, 0, 0 };
        kern_return_t code = IOUserClient_ExternalMethod(&self->client, selector, arguments, &entry, (OSObject *)self,
                                                         &self->number);
        D_EXPECT(passed.target == (OSObject *)self && passed.reference == &self->number && passed.arguments == arguments);
        D_EXPECT(IOUserClient_ExternalMethod(&self->client, selector, arguments, &entry, NULL, NULL) == code);
        D_EXPECT(!passed.target && !passed.reference && passed.arguments == arguments);
        return code;
}
KEPT(call_path_096, "the function's code comes back unchanged; target, reference and block reach it, NULL as NULL")
{
        static const kern_return_t codes[] = {
                kIOReturnSuccess,
                1,
                -1,
                kIOReturnBadArgument,
                kIOReturnNoCompletion,
                iokit_vendor_specific_err(0x123),
                MIG_SERVER_DIED,
                MACH_SEND_INVALID_DEST,
                INT32_MIN,
                INT32_MAX,
        };
        io_connect_t connection = contract_open(0);
        for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
                uint64_t in = (uint64_t)(int64_t)codes[i];
                ck_code(IOConnectCallScalarMethod(connection, 96, &in, 1, NULL, NULL), codes[i]);
        }
}

/* A table of one entry, 97; everything else goes to the base without one, as in Apple's sample. */
static __attribute__((unused)) kern_return_t by_table(struct ContractUserClient *self, uint64_t selector,
                                                      IOUserClientMethodArguments *arguments)
{
        static const IOUserClientMethodDispatch table[] = { { function, 0, 0, 0, 0, 0 } };
        const IOUserClientMethodDispatch *entry = selector - 97 < sizeof(table) / sizeof(*table) ? &table[selector - 97] : NULL;
        return IOUserClient_ExternalMethod(&self->client, selector, arguments, entry, NULL, NULL);
}
DRIVER(97)
{
        return by_table(self, selector, arguments);
}
DRIVER(1097)
{
        return by_table(self, selector, arguments);
}
DRIVER(0xffffffef)
{
        return by_table(self, selector, arguments);
}
KEPT(call_path_097, "a selector beyond the driver's table: kIOReturnUnsupported; the base looks at no selector itself")
{
        io_connect_t connection = contract_open(0);
        call(connection, 97, 0, 0, 0, 0, kIOReturnSuccess);
        call(connection, 1097, 0, 0, 0, 0, kIOReturnUnsupported);
        call(connection, 0xffffffefu, 0, 0, 0, 0, kIOReturnUnsupported);
        ck_assert_uint_eq(contract_calls(0xffffffefu), 1);
}
