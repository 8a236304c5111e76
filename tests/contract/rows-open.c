/* SPDX-License-Identifier: Apache-2.0 */
/* call-path 6.8: opening a connection. */
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "contract.h"

extern char **environ;

static kern_return_t open_code(uint32_t type, io_connect_t *connection)
{
        io_service_t service = contract_service();
        kern_return_t code = IOServiceOpen(service, mach_task_self(), type, connection);
        IOObjectRelease(service);
        return code;
}

KEPT(call_path_153, "open with another task or with none: kIOReturnBadArgument, *connect untouched")
{
        io_service_t service = contract_service();
        io_connect_t connection = 0x5a5a5a5a;
        ck_code(IOServiceOpen(service, 0, 153, &connection), kIOReturnBadArgument);
        ck_assert_uint_eq(connection, 0x5a5a5a5a);
        ck_code(IOServiceOpen(service, mach_task_self() + 4, 153, &connection), kIOReturnBadArgument);
        ck_assert_uint_eq(connection, 0x5a5a5a5a);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_OPEN, 153), 0);
        ck_code(IOServiceOpen(service, mach_task_self(), 153, &connection), kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_OPEN, 153), 1);
        IOObjectRelease(service);
}
DRIVER_OPEN(153)
{
        return contract_new_client(self, type, client);
}

KEPT(call_path_154, "a connection handle is no service: kIOReturnBadArgument")
{
        io_connect_t connection = contract_open(0), second = 0x5a5a5a5a;
        ck_code(IOServiceOpen(connection, mach_task_self(), 153, &second), kIOReturnBadArgument);
        ck_assert_uint_eq(second, 0x5a5a5a5a);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_OPEN, 153), 0);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
}

/* A code of its own, also one that means something else to the runtime, and an object that is not wanted then. */
DRIVER_OPEN(155)
{
        return 0x12345678;
}
DRIVER_OPEN(1155)
{
        return MACH_SEND_INVALID_DEST;
}
KEPT(call_path_155, "the code of the driver's NewUserClient reaches the app unchanged, *connect becomes 0")
{
        io_service_t service = contract_service();
        io_connect_t connection = 0x5a5a5a5a;
        ck_code(IOServiceOpen(service, mach_task_self(), 155, &connection), 0x12345678);
        ck_assert_uint_eq(connection, 0);
        connection = 0x5a5a5a5a;
        ck_code(IOServiceOpen(service, mach_task_self(), 1155, &connection), MACH_SEND_INVALID_DEST);
        ck_assert_uint_eq(connection, 0);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_OPEN, 155), 1);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_OPEN, 1155), 1);
        /* The service is as alive as before. */
        ck_code(IOServiceOpen(service, mach_task_self(), 0, &connection), kIOReturnSuccess);
        IOObjectRelease(service);
}

DRIVER_OPEN(156)
{
        *client = NULL;
        return kIOReturnSuccess;
}
KEPT(call_path_156, "NewUserClient succeeds without an object: kIOReturnError, *connect becomes 0")
{
        io_connect_t connection = 0x5a5a5a5a;
        ck_code(open_code(156, &connection), kIOReturnError);
        ck_assert_uint_eq(connection, 0);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_OPEN, 156), 1);
}

/* What is no user client at all, and a user client that the registry does not know as IOUserUserClient. */
static uint32_t strangers_freed;
struct ContractStranger {
        IOService service;
};
static __attribute__((unused)) void stranger_free(OSObject *object)
{
        __atomic_fetch_add(&strangers_freed, 1, __ATOMIC_SEQ_CST);
        IOService_free(object);
}
#ifdef CONTRACT_DRIVER
static const struct amb_method stranger_methods[] = { AMB_OVERRIDE(OSObject, free, stranger_free), AMB_METHODS_END };
OSDefineMetaClass(ContractStranger, IOService, stranger_methods);
DRIVER_OPEN(157)
{
        *client = (IOUserClient *)amb_object_new(OSTypeID(ContractStranger));
        return *client ? kIOReturnSuccess : kIOReturnNoMemory;
}
extern const OSMetaClass gContractUserClientMetaClass;
DRIVER_OPEN(1157)
{
        *client = (IOUserClient *)amb_object_new(OSTypeID(ContractUserClient));
        ((struct ContractUserClient *)*client)->type = type;
        return kIOReturnSuccess;
}
#endif
DRIVER(157)
{
        arguments->scalarOutput[0] = __atomic_load_n(&strangers_freed, __ATOMIC_SEQ_CST);
        return kIOReturnSuccess;
}
DRIVER_FREE(1157)
{
        return kIOReturnSuccess;
}
KEPT(call_path_157, "NewUserClient returns something that is not an IOUserUserClient: kIOReturnUnsupported, and it is ended")
{
        io_connect_t connection = 0x5a5a5a5a;
        uint64_t freed = 0;
        uint32_t count = 1;
        ck_code(open_code(157, &connection), kIOReturnUnsupported);
        ck_assert_uint_eq(connection, 0);
        ck_code(IOConnectCallScalarMethod(contract_open(0), 157, NULL, 0, &freed, &count), kIOReturnSuccess);
        ck_assert_uint_eq(freed, 1);
        connection = 0x5a5a5a5a;
        ck_code(open_code(1157, &connection), kIOReturnUnsupported);
        ck_assert_uint_eq(connection, 0);
        contract_calls_wait(CONTRACT_FREE, 1157, 1);
}

/* What a driver asks of its app by a property of the user client can only be known when there is one: refused after Start. */
static kern_return_t demand(struct ContractUserClient *self)
{
        OSDictionary *properties = OSDictionaryCreate();
        OSArray *demands = OSArrayCreate();
        kern_return_t code = kIOReturnNoMemory;
        if (properties && demands && OSArrayAppendStringValue(demands, "org.ambidext.test.nobody-has-this") &&
            OSDictionarySetValue(properties, "IOServiceDEXTEntitlements", demands))
                code = IOService_SetProperties((IOService *)self, properties);
        OSSafeReleaseNULL(demands);
        OSSafeReleaseNULL(properties);
        return code;
}
DRIVER_OPEN(158)
{
        return contract_new_client(self, type, client);
}
DRIVER_OPEN(1158)
{
        return contract_new_client(self, type, client);
}
DRIVER_START(1158)
{
        return demand(self);
}
DRIVER_STOP(1158)
{
        return IOService_Stop((IOService *)self, provider);
}
DRIVER_FREE(1158)
{
        return kIOReturnSuccess;
}
/* test-contract-guest has no entitlements. Its exit status tells which code IOServiceOpen gave. */
static int guest_open(const char *type)
{
        char program[4096];
        pid_t pid;
        int status;
        snprintf(program, sizeof(program), "%s/tests/contract/test-contract-guest", getenv("AMBIDEXT_BUILD"));
        char *arguments[] = { program, (char *)type, NULL };
        ck_assert_int_eq(posix_spawn(&pid, program, NULL, NULL, arguments, environ), 0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFEXITED(status));
        return WEXITSTATUS(status);
}
DIFFERS(call_path_158, "an app whose entitlements do not allow it: kIOReturnNotPermitted",
        "the daemon refuses before any driver code runs, so NewUserClient and Start are not called: a refused app must not reach "
        "driver code. What the driver demands by a property of the user client is refused after Start as on the original, then "
        "Stop and free")
{
        io_connect_t connection = 0x5a5a5a5a;
        contract_service();
        ck_assert_int_eq(guest_open("158"), 2);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_OPEN, 158), 0);

        ck_code(open_code(1158, &connection), kIOReturnNotPermitted);
        ck_assert_uint_eq(connection, 0);
        contract_calls_wait(CONTRACT_FREE, 1158, 1);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_START, 1158), 1);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 1158), 1);
}

DRIVER_START(159)
{
        return iokit_vendor_specific_err(159);
}
DRIVER_STOP(159)
{
        return IOService_Stop((IOService *)self, provider);
}
DRIVER_FREE(159)
{
        return kIOReturnSuccess;
}
KEPT(call_path_159, "the code of the user client's Start reaches the app, *connect becomes 0; no Stop, but free")
{
        io_connect_t connection = 0x5a5a5a5a;
        ck_code(open_code(159, &connection), iokit_vendor_specific_err(159));
        ck_assert_uint_eq(connection, 0);
        contract_calls_wait(CONTRACT_FREE, 159, 1);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_START, 159), 1);
        ck_assert_uint_eq(contract_calls_of(CONTRACT_STOP, 159), 0);
}

/* Start takes its time, so that a call that did not wait for it would come in between. */
DRIVER_START(160)
{
        for (int i = 0; i < 1000; i++)
                sched_yield();
        self->number = 160;
        return kIOReturnSuccess;
}
DRIVER(160)
{
        D_EXPECT(self->type == 160 && self->number == 160);
        return kIOReturnSuccess;
}
KEPT(call_path_160, "when the first call arrives, Start has returned")
{
        for (int i = 1; i <= 20; i++) {
                io_connect_t connection = contract_open(160);
                ck_code(IOConnectCallScalarMethod(connection, 160, NULL, 0, NULL, NULL), kIOReturnSuccess);
                ck_assert_uint_eq(contract_calls_of(CONTRACT_START, 160), i);
                ck_code(IOServiceClose(connection), kIOReturnSuccess);
        }
}

DRIVER(161)
{
        D_EXPECT(arguments->scalarInputCount == 1 && arguments->scalarOutputCount == 2);
        arguments->scalarOutput[0] = self->number;
        arguments->scalarOutput[1] = (uintptr_t)self;
        self->number = arguments->scalarInput[0];
        return kIOReturnSuccess;
}
static void swap(io_connect_t connection, uint64_t in, uint64_t out[2])
{
        uint32_t count = 2;
        ck_code(IOConnectCallScalarMethod(connection, 161, &in, 1, out, &count), kIOReturnSuccess);
        ck_assert_uint_eq(count, 2);
}
KEPT(call_path_161, "two opens by one process: two objects, two handles; closing one leaves the other alone")
{
        io_connect_t a = contract_open(161), b = contract_open(161);
        uint64_t from_a[2], from_b[2];
        ck_assert_uint_ne(a, b);
        swap(a, 11, from_a);
        swap(b, 22, from_b);
        ck_assert_uint_eq(from_a[0], 0);
        ck_assert_uint_eq(from_b[0], 0);
        ck_assert_uint_ne(from_a[1], from_b[1]);
        ck_code(IOServiceClose(a), kIOReturnSuccess);
        swap(b, 33, from_b);
        ck_assert_uint_eq(from_b[0], 22);
        ck_code(IOServiceClose(b), kIOReturnSuccess);
}

KEPT(call_path_162, "IOConnectGetService: kIOReturnUnsupported, nothing is written")
{
        io_connect_t connection = contract_open(0);
        io_service_t service = 0x5a5a5a5a;
        ck_code(IOConnectGetService(connection, &service), kIOReturnUnsupported);
        ck_assert_uint_eq(service, 0x5a5a5a5a);
        ck_code(IOServiceClose(connection), kIOReturnSuccess);
}
