/* SPDX-License-Identifier: Apache-2.0 */
/* Handles, and the argument rules that need no daemon. */
#include <IOKit/IOKitLib.h>
#include <ambidext/port.h>
#include <ambidext/registry.h>
#include <mach/mach.h>

#include <check.h>
#include <sys/wait.h>

#include "base/test-suite.h"
#include "client/handle.h"

static void no_registry(void)
{
        setenv("AMBIDEXT_REGISTRY", "/nonexistent/ambidext/registry", 1);
}

START_TEST(test_entries)
{
        mach_port_t a = amb_handle_of_entry(0x100000200), b = amb_handle_of_entry(0x100000201),
                again = amb_handle_of_entry(0x100000200);
        struct amb_known_entry *entry;

        ck_assert_uint_ne(a, 0);
        ck_assert_uint_ne(a, b);
        ck_assert_uint_eq(a, again);
        ck_assert(IOObjectIsEqualTo(a, again));
        ck_assert_uint_eq(IOObjectGetUserRetainCount(a), 2);
        ck_assert_int_eq(amb_handle_get(a, AMB_HANDLE_ENTRY, &entry), 0);
        ck_assert_uint_eq(entry->id, 0x100000200);
        amb_target_unref(entry);
        ck_assert_int_eq(amb_handle_get(a, AMB_HANDLE_PORT, &entry), kIOReturnBadArgument);
        ck_assert_int_eq(IOObjectRelease(a), 0);
        ck_assert_int_eq(IOObjectRelease(a), 0);
        ck_assert_int_eq(IOObjectRelease(a), KERN_INVALID_NAME);
        ck_assert_int_eq(IOObjectRetain(a), KERN_INVALID_NAME);
        ck_assert_int_eq(amb_handle_get(a, AMB_HANDLE_ENTRY, &entry), MACH_SEND_INVALID_DEST);
        ck_assert_int_eq(IOObjectRelease(0), 0);
        ck_assert_int_eq(IOObjectRetain(0), 0);
        ck_assert_uint_eq(IOObjectGetUserRetainCount(0), 0);
        /* The number of a released handle does not come back soon. */
        for (int i = 0; i < 10000; i++) {
                mach_port_t c = amb_handle_of_entry(0x100000300 + (uint64_t)i);

                ck_assert_uint_ne(c, a);
                ck_assert_int_eq(IOObjectRelease(c), 0);
        }
        ck_assert_int_eq(IOObjectRelease(b), 0);
}
END_TEST

START_TEST(test_many)
{
        static mach_port_t handles[5000];

        for (size_t i = 0; i < 5000; i++)
                handles[i] = amb_handle_of_entry(0x100000200 + i);
        for (size_t i = 0; i < 5000; i++)
                ck_assert_uint_eq(amb_handle_of_entry(0x100000200 + i), handles[i]);
        for (size_t i = 0; i < 5000; i++) {
                ck_assert_int_eq(IOObjectRelease(handles[i]), 0);
                ck_assert_int_eq(IOObjectRelease(handles[i]), 0);
        }
        ck_assert_uint_eq(IOObjectGetUserRetainCount(handles[17]), 0);
}
END_TEST

START_TEST(test_dead)
{
        mach_port_t a = amb_handle_of_entry(5), again;
        struct amb_target *target;

        amb_handle_kill(a);
        ck_assert_int_eq(amb_handle_get_any(a, &target), MACH_SEND_INVALID_DEST);
        ck_assert_int_eq(amb_handle_retain(a, true), KERN_INVALID_RIGHT);
        ck_assert_int_eq(amb_handle_release(a, true), KERN_INVALID_RIGHT);
        ck_assert_int_eq(IOObjectRetain(a), 0);
        again = amb_handle_of_entry(5);         /* a dead handle is not given out again */
        ck_assert_uint_ne(again, a);
        ck_assert_int_eq(IOObjectRelease(a), 0);
        ck_assert_int_eq(IOObjectRelease(a), 0);
        ck_assert_int_eq(IOObjectRelease(a), KERN_INVALID_NAME);
        ck_assert_int_eq(IOObjectRelease(again), 0);
}
END_TEST

START_TEST(test_main_port)
{
        mach_port_t a, b;

        no_registry();
        ck_assert_int_eq(IOMainPort(0, &a), 0);
        ck_assert_int_eq(IOMasterPort(0, &b), 0);
        ck_assert_uint_eq(a, b);
        ck_assert_uint_eq(IOServiceGetMatchingService(a, IOServiceMatching("x")), 0);
        ck_assert_int_eq(mach_port_deallocate(mach_task_self(), a), 0);
        ck_assert_int_eq(mach_port_deallocate(mach_task_self(), a), 0);
        ck_assert_int_eq(mach_port_deallocate(mach_task_self(), a), KERN_INVALID_NAME);
        ck_assert_int_eq(mach_port_deallocate(0, a), KERN_INVALID_TASK);
        ck_assert_int_eq(mach_port_deallocate(mach_task_self(), 0), 0);
        ck_assert_int_eq(mach_port_deallocate(mach_task_self(), mach_task_self()), 0);
}
END_TEST

START_TEST(test_no_registry)
{
        CFMutableDictionaryRef matching = IOServiceNameMatching("sensors");
        io_iterator_t iterator = 99;
        char *text, *message = NULL;
        CFArrayRef dump;

        no_registry();
        CFRetain(matching);
        ck_assert_uint_eq(IOServiceGetMatchingService(kIOMainPortDefault, matching), 0);
        ck_assert_int_eq(CFGetRetainCount(matching), 1);
        CFRetain(matching);
        ck_assert_int_eq(IOServiceGetMatchingServices(0, matching, &iterator), 0);
        ck_assert_uint_eq(iterator, 0);
        ck_assert_int_eq(CFGetRetainCount(matching), 1);
        CFRetain(matching);
        ck_assert_int_eq(IOServiceGetMatchingServices(4711, matching, &iterator), kIOReturnNotPrivileged);
        ck_assert_int_eq(CFGetRetainCount(matching), 1);
        CFRelease(matching);
        ck_assert_int_eq(IOServiceGetMatchingServices(0, NULL, &iterator), kIOReturnBadArgument);
        ck_assert_uint_eq(IOServiceGetMatchingService(0, NULL), 0);
        ck_assert_uint_eq(IORegistryGetRootEntry(0), 0);
        text = amb_registry_explain();
        ck_assert_ptr_nonnull(strstr(text, "/nonexistent/ambidext/registry"));
        free(text);
        ck_assert_int_eq(amb_registry_dump(&dump), kIOReturnNoDevice);
        ck_assert_int_eq(amb_registry_load_bundle("x.dext", &message, NULL), kIOReturnNoDevice);
        ck_assert_ptr_nonnull(strstr(message, "/nonexistent/ambidext/registry"));
        free(message);
}
END_TEST

START_TEST(test_bad_handles)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        mach_port_t bad[] = { 0, 0x12345, MACH_PORT_DEAD, mach_task_self() }, wrong = IONotificationPortGetMachPort(port),
                service;
        io_registry_entry_t entry = 99;
        io_connect_t connect = 99;
        uint64_t id = 99, state = 99;
        io_name_t name = "?";

        for (size_t i = 0; i < AMB_ARRAY_LENGTH(bad); i++) {
                ck_assert_int_eq(IOServiceOpen(bad[i], mach_task_self(), 0, &connect), MACH_SEND_INVALID_DEST);
                ck_assert_int_eq(IOServiceClose(bad[i]), MACH_SEND_INVALID_DEST);
                ck_assert_int_eq(IOConnectCallMethod(bad[i], 0, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL),
                                 MACH_SEND_INVALID_DEST);
                ck_assert_int_eq(IORegistryEntryGetName(bad[i], name), MACH_SEND_INVALID_DEST);
                ck_assert_int_eq(IORegistryEntryGetRegistryEntryID(bad[i], &id), MACH_SEND_INVALID_DEST);
                ck_assert_uint_eq(id, 0);
                ck_assert_int_eq(IOServiceGetState(bad[i], &state), MACH_SEND_INVALID_DEST);
                ck_assert_uint_eq(state, 0);
                ck_assert_uint_eq(IOIteratorNext(bad[i]), 0);
                ck_assert(!IOIteratorIsValid(bad[i]));
                ck_assert_ptr_null(IORegistryEntryCreateCFProperty(bad[i], CFSTR("x"), NULL, 0));
                ck_assert_int_eq(IORegistryEntryGetParentEntry(bad[i], kIOServicePlane, &entry), MACH_SEND_INVALID_DEST);
        }
        ck_assert_int_eq(IOServiceOpen(wrong, mach_task_self(), 0, &connect), kIOReturnBadArgument);
        ck_assert_int_eq(IOConnectCallMethod(wrong, 0, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL), kIOReturnBadArgument);
        ck_assert_int_eq(IORegistryEntryGetName(wrong, name), kIOReturnBadArgument);
        ck_assert_uint_eq(IOIteratorNext(wrong), 0);
        service = amb_handle_of_entry(0x100000200);
        ck_assert_int_eq(IOServiceOpen(service, 0, 0, &connect), kIOReturnBadArgument);
        ck_assert_int_eq(IOConnectCallMethod(service, 0, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL), kIOReturnBadArgument);
        /* As on the original, close gives back a reference of whatever it was given. */
        ck_assert_int_eq(IOServiceClose(service), kIOReturnBadArgument);
        ck_assert_uint_eq(IOObjectGetUserRetainCount(service), 0);
        ck_assert_uint_eq(connect, 99);
        ck_assert_uint_eq(entry, 99);
        ck_assert_int_eq(IOConnectRelease(0), 0);
        ck_assert_int_eq(IOConnectRelease(0xdeadbeef), KERN_INVALID_NAME);
        IONotificationPortDestroy(port);
}
END_TEST

static void never(void *refcon, io_iterator_t iterator)
{
        (void)refcon;
        (void)iterator;
        abort();
}

START_TEST(test_notifications_without_registry)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        io_iterator_t iterator = 0;

        no_registry();
        ck_assert_int_eq(IOServiceAddMatchingNotification(port, "IOServiceNope", IOServiceMatching("x"), never, NULL,
                                                          &iterator),
                         kIOReturnUnsupported);
        ck_assert_int_eq(IOServiceAddMatchingNotification(port, kIOMatchedNotification, NULL, never, NULL, &iterator),
                         kIOReturnBadArgument);
        ck_assert_uint_eq(iterator, 0);
        ck_assert_int_eq(IOServiceAddMatchingNotification(port, kIOMatchedNotification, IOServiceMatching("x"), never, NULL,
                                                          &iterator), 0);
        ck_assert_uint_eq(IOIteratorNext(iterator), 0);
        ck_assert(IOIteratorIsValid(iterator));
        amb_port_dispatch(port);
        ck_assert_int_eq(IOObjectRelease(iterator), 0);
        ck_assert_uint_eq(IOIteratorNext(iterator), 0);
        /* In the other order, too. */
        ck_assert_int_eq(IOServiceAddMatchingNotification(port, kIOTerminatedNotification, IOServiceMatching("x"), never, NULL,
                                                          &iterator), 0);
        IONotificationPortDestroy(port);
        ck_assert_int_eq(IOObjectRelease(iterator), 0);
}
END_TEST

START_TEST(test_fork)
{
        mach_port_t a = amb_handle_of_entry(5);
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(IOObjectRelease(a) == KERN_INVALID_NAME && amb_handle_of_entry(5) != a ? 0 : 1);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        ck_assert_uint_eq(IOObjectGetUserRetainCount(a), 1);
        ck_assert_int_eq(IOObjectRelease(a), 0);
}
END_TEST

int main(void)
{
        return run_suite("client-handle", test_entries, test_many, test_dead, test_main_port, test_no_registry, test_bad_handles,
                         test_notifications_without_registry, test_fork);
}
