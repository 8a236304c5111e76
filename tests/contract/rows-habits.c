/* SPDX-License-Identifier: Apache-2.0 */
/* real-code 1: habits of existing client programs (items 5 to 8). Selectors and types: 10000 + the item's number. */
#include "contract.h"

#include <mach/mach.h>

/* --- 5: absent arguments --- */

DRIVER(10005)
{
        D_EXPECT(arguments->scalarInputCount == 0 && arguments->scalarOutputCount == 0);
        D_EXPECT(arguments->structureInput == NULL && arguments->structureInputDescriptor == NULL);
        D_EXPECT(arguments->structureOutputDescriptor == NULL && arguments->structureOutputMaximumSize == 0);
        return kIOReturnSuccess;
}
KEPT(real_code_05, "absent arguments succeed: NULL without a count, NULL with a count of 0, in every mixture")
{
        io_connect_t connection = contract_open(0);
        unsigned calls = 0;
        for (unsigned mixture = 0; mixture < 16; mixture++) {
                uint64_t out = 7, in = 8;
                uint32_t count = 0;
                size_t size = 0;
                char bytes[1] = "b";
                /* Counts absent or 0; pointers NULL or not. */
                uint32_t *output_count = mixture & 1 ? &count : NULL;
                size_t *output_size = mixture & 2 ? &size : NULL;
                bool pointers = mixture & 4;
                ck_code(IOConnectCallMethod(connection, 10005, mixture & 8 ? &in : NULL, 0, mixture & 8 ? bytes : NULL, 0,
                                            pointers ? &out : NULL, output_count, pointers ? bytes : NULL, output_size),
                        kIOReturnSuccess);
                ck_assert_uint_eq(count, 0);
                ck_assert_uint_eq(size, 0);
                ck_assert_uint_eq(out, 7);
                ck_assert_int_eq(bytes[0], 'b');
                calls++;
        }
        ck_code(IOConnectCallScalarMethod(connection, 10005, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_code(IOConnectCallStructMethod(connection, 10005, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_code(IOConnectCallAsyncMethod(connection, 10005, 0, NULL, 0, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL),
                kIOReturnSuccess);
        ck_assert_uint_eq(contract_calls(10005), calls + 3);
}

/* --- 6: the driver's codes --- */

DRIVER(10006)
{
        arguments->scalarOutput[0] = 42;
        arguments->structureOutput = arguments->structureOutputMaximumSize ? OSDataCreate("out", 3) : NULL;
        return (kern_return_t)arguments->scalarInput[0];
}
KEPT(real_code_06, "the driver's code passes through untouched, whatever it is, and nothing else comes with it")
{
        static const uint32_t codes[] = {
                1, 2, 15, 0x100, 0x7fffffff, 0x80000000, 0xffffffff, 0xdeadbeef, (uint32_t)unix_err(13),
                (uint32_t)kIOReturnBusy, (uint32_t)kIOReturnNotFound, 0xE00002CB, (uint32_t)iokit_vendor_specific_err(0x123),
                (uint32_t)MACH_RCV_TIMED_OUT, (uint32_t)MACH_SEND_INVALID_DEST, (uint32_t)MIG_NO_REPLY,
                (uint32_t)MIG_SERVER_DIED,
        };
        io_connect_t connection = contract_open(0);
        for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
                uint64_t in = codes[i], out = 7;
                uint32_t count = 1;
                char bytes[4] = "...";
                size_t size = 4;
                kern_return_t code = IOConnectCallMethod(connection, 10006, &in, 1, NULL, 0, &out, &count, bytes, &size);
                ck_assert_msg((uint32_t)code == codes[i], "0x%x became 0x%x", codes[i], (uint32_t)code);
                /* What programs print. */
                ck_assert_uint_eq(err_get_system(code), codes[i] >> 26);
                ck_assert_uint_eq(err_get_sub(code), codes[i] >> 14 & 0xfff);
                ck_assert_uint_eq(err_get_code(code), codes[i] & 0x3fff);
                ck_assert_str_ne(mach_error_string(code), "");
                ck_assert_uint_eq(out, 7);
                ck_assert_uint_eq(count, 1);
                ck_assert_uint_eq(size, 4);
                ck_assert_str_eq(bytes, "...");
        }
        ck_assert_uint_eq(contract_calls(10006), sizeof(codes) / sizeof(codes[0]));
}

/* --- 7: handles that are not what they should be --- */

DRIVER_OPEN(10007)
{
        return kIOReturnNoSpace;
}
KEPT(real_code_07, "closing a service, releasing what a failed open left, releasing 0: a code, no crash, nothing else harmed")
{
        io_service_t service = contract_service();
        io_connect_t live = contract_open(0), connection = 0x12345678;

        /* A close gives one reference back whatever the handle is (call-path 5.2). */
        ck_code(IOObjectRetain(service), KERN_SUCCESS);
        ck_assert_uint_eq(IOObjectGetUserRetainCount(service), 2);
        ck_code(IOServiceClose(service), kIOReturnBadArgument);
        ck_assert_uint_eq(IOObjectGetUserRetainCount(service), 1);

        /* An open that fails in the driver sets the handle to 0; one that fails before leaves what was there. */
        ck_code(IOServiceOpen(service, mach_task_self(), 10007, &connection), kIOReturnNoSpace);
        ck_assert_uint_eq(connection, 0);
        ck_code(IOConnectRelease(connection), KERN_SUCCESS);
        ck_code(IOServiceClose(connection), MACH_SEND_INVALID_DEST);
        connection = 0x12345678;
        ck_code(IOServiceOpen(0, mach_task_self(), 10007, &connection), MACH_SEND_INVALID_DEST);
        ck_assert_uint_eq(connection, 0x12345678);
        ck_code(IOConnectRelease(connection), KERN_INVALID_NAME);
        ck_code(IOConnectAddRef(connection), KERN_INVALID_NAME);
        ck_code(IOServiceClose(connection), MACH_SEND_INVALID_DEST);
        ck_code(IOObjectRelease(connection), KERN_INVALID_NAME);

        ck_code(IOObjectRelease(0), KERN_SUCCESS);
        ck_code(IOObjectRelease(MACH_PORT_DEAD), KERN_INVALID_NAME);
        ck_code(IOConnectRelease(MACH_PORT_DEAD), KERN_INVALID_NAME);
        ck_code(IOServiceClose(0), MACH_SEND_INVALID_DEST);

        /* What was open is open. */
        ck_code(IOConnectCallScalarMethod(live, 10005, NULL, 0, NULL, NULL), kIOReturnSuccess);
        ck_code(IOObjectRelease(service), KERN_SUCCESS);
        ck_code(IOObjectRelease(service), KERN_INVALID_NAME);
}

/* --- 8: ways to say "the registry" --- */

/* Everything that takes a main port works with this one. */
static __attribute__((unused)) void main_port_works(mach_port_t main_port)
{
        io_service_t found = IOServiceGetMatchingService(main_port, IOServiceNameMatching("contract")), same;
        io_iterator_t all = 0;
        ck_assert_uint_ne(found, 0);
        ck_code(IOServiceGetMatchingServices(main_port, IOServiceNameMatching("contract"), &all), KERN_SUCCESS);
        same = IOIteratorNext(all);
        ck_assert(IOObjectIsEqualTo(found, same));
        ck_assert_uint_eq(IOIteratorNext(all), 0);
        io_registry_entry_t root = IORegistryGetRootEntry(main_port);
        ck_assert_uint_ne(root, 0);
        IONotificationPortRef port = IONotificationPortCreate(main_port);
        ck_assert_ptr_nonnull(port);
        IONotificationPortDestroy(port);
        IOObjectRelease(root);
        IOObjectRelease(all);
        IOObjectRelease(same);
        IOObjectRelease(found);
}

KEPT(real_code_08, "the main port as either constant, as 0, from IOMainPort or IOMasterPort and given back after")
{
        mach_port_t port = 0, again = 0;
        IOObjectRelease(contract_service());    /* it is there from now on */
        ck_assert_uint_eq(kIOMasterPortDefault, 0);
        ck_assert_uint_eq(kIOMainPortDefault, 0);
        main_port_works(kIOMasterPortDefault);
        main_port_works(kIOMainPortDefault);
        main_port_works(0);
        ck_code(IOMasterPort(MACH_PORT_NULL, &port), KERN_SUCCESS);
        ck_assert(MACH_PORT_VALID(port));
        main_port_works(port);
        ck_code(IOMainPort(MACH_PORT_NULL, &again), KERN_SUCCESS);
        ck_assert_uint_eq(again, port);
        main_port_works(again);
        /* Each of the two added a reference. */
        ck_code(mach_port_deallocate(mach_task_self(), again), KERN_SUCCESS);
        main_port_works(port);
        ck_code(mach_port_deallocate(mach_task_self(), port), KERN_SUCCESS);
        ck_code(mach_port_deallocate(mach_task_self(), port), KERN_INVALID_NAME);
        main_port_works(0);
}
