/* SPDX-License-Identifier: Apache-2.0 */
/* real-code 1: habits of drivers. */
#include "contract.h"

/*
 * 16. A table as drivers write them: entries with functions, a hole of zeros and one with checks but no function, both of which the
 * driver handles itself after the base has said so, and checkCompletionExists as false, true and -1U.
 */
#define kTableFirst 16000u
#define kTableEntries 6u

static __attribute__((unused)) kern_return_t table_function(OSObject *target, void *reference,
                                                            IOUserClientMethodArguments *arguments)
{
        ((struct ContractUserClient *)target)->number = arguments->selector;
        return kIOReturnSuccess;
}

static __attribute__((unused)) kern_return_t table_method(struct ContractUserClient *self, uint64_t selector,
                                                          IOUserClientMethodArguments *arguments)
{
        static const IOUserClientMethodDispatch table[kTableEntries] = {
                [0] = { .function = table_function, .checkCompletionExists = false, .checkScalarInputCount = 1 },
                /* [1]: a hole */
                [2] = { .function = table_function, .checkCompletionExists = true },
                [3] = { .function = table_function, .checkCompletionExists = -1U, .checkScalarInputCount = -1U },
                [4] = { .function = NULL, .checkCompletionExists = false, .checkScalarInputCount = 2, .checkScalarOutputCount = 1 },
        };
        const IOUserClientMethodDispatch *entry = &table[selector - kTableFirst];
        kern_return_t code;

        code = IOUserClient_ExternalMethod(&self->client, selector, arguments, entry, (OSObject *)self, NULL);
        if (code != kIOReturnNoCompletion)
                return code;
        self->number = 100 + selector;
        if (selector == kTableFirst + 4)
                arguments->scalarOutput[0] = arguments->scalarInput[0] + arguments->scalarInput[1];
        return kIOReturnSuccess;
}
#define TABLE_DRIVER(n) DRIVER(n) { return table_method(self, selector, arguments); }
TABLE_DRIVER(16000)
TABLE_DRIVER(16001)
TABLE_DRIVER(16002)
TABLE_DRIVER(16003)
TABLE_DRIVER(16004)

/* Who served the last call: the selector, from the table's function; 100 more, from the driver itself. */
DRIVER(16999)
{
        D_EXPECT(arguments->scalarOutputCount == 1);
        arguments->scalarOutput[0] = self->number;
        self->number = 0;
        return kIOReturnSuccess;
}

static uint64_t served(io_connect_t connection)
{
        uint64_t by = 0;
        uint32_t count = 1;
        ck_code(IOConnectCallScalarMethod(connection, 16999, NULL, 0, &by, &count), kIOReturnSuccess);
        return by;
}

KEPT(real_code_16, "tables with holes that the driver fills, completion checks of false, true and -1U")
{
        io_connect_t connection = contract_open(0);
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        mach_port_t wake = IONotificationPortGetMachPort(port);
        uint64_t in[2] = { 40, 2 }, out = 0, reference[8] = { 0 };
        uint32_t count = 1;

        ck_code(IOConnectCallScalarMethod(connection, 16000, in, 1, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(served(connection), 16000);
        ck_code(IOConnectCallScalarMethod(connection, 16000, in, 2, NULL, NULL), kIOReturnBadArgument);
        ck_code(IOConnectCallAsyncScalarMethod(connection, 16000, wake, reference, 8, in, 1, NULL, NULL), kIOReturnBadArgument);
        ck_assert_uint_eq(served(connection), 0);
        /* A hole's zeros are checks like others: no arguments at all. */
        ck_code(IOConnectCallScalarMethod(connection, 16001, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(served(connection), 16101);
        ck_code(IOConnectCallScalarMethod(connection, 16001, in, 1, NULL, NULL), kIOReturnBadArgument);
        ck_assert_uint_eq(served(connection), 0);

        ck_code(IOConnectCallScalarMethod(connection, 16002, NULL, 0, NULL, NULL), kIOReturnBadArgument);
        ck_assert_uint_eq(served(connection), 0);
        ck_code(IOConnectCallAsyncScalarMethod(connection, 16002, wake, reference, 8, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(served(connection), 16002);

        ck_code(IOConnectCallScalarMethod(connection, 16003, in, 2, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(served(connection), 16003);
        ck_code(IOConnectCallAsyncScalarMethod(connection, 16003, wake, reference, 8, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_assert_uint_eq(served(connection), 16003);

        ck_code(IOConnectCallScalarMethod(connection, 16004, in, 2, &out, &count), kIOReturnSuccess);
        ck_assert_uint_eq(out, 42);
        ck_assert_uint_eq(served(connection), 16104);
        ck_code(IOConnectCallScalarMethod(connection, 16004, in, 1, &out, &count), kIOReturnBadArgument);
        ck_assert_uint_eq(served(connection), 0);
        IONotificationPortDestroy(port);
}
