/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real driver in its own process, seen by an app: this program, run by `ambidext run --dext sensors.dext`. What the driver
 * says is compared with this process's own readings of the same machine. Contract: call-path 2 to 4, memory-and-queues 3.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>
#include <mach/mach.h>

#include "readings.h"

static io_connect_t connect_;
static struct sensors_reader *reader;
static struct sensors_all before, after, told;

static io_connect_t open_sensors(void)
{
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("sensors"));
        io_connect_t connect = 0;

        ck_assert_uint_ne(service, 0);
        ck_assert_int_eq(IOServiceOpen(service, mach_task_self(), 0, &connect), 0);
        ck_assert_int_eq(IOObjectRelease(service), 0);
        return connect;
}

static void setup(void)
{
        connect_ = open_sensors();
        ck_assert_int_eq(sensors_reader_new(&reader, "/"), 0);
        ck_assert_int_eq(sensors_read_counters(reader, &before), 0);
        sensors_read_hardware(reader, &before);
}

static void teardown(void)
{
        reader = sensors_reader_free(reader);
        ck_assert_int_eq(IOServiceClose(connect_), 0);
}

/* The driver gives readings that are a few milliseconds old at most: less than a tick or two of the kernel's clock. */
static void assert_between(uint64_t low, uint64_t value, uint64_t high)
{
        ck_assert_uint_ge(value + 10, low);
        ck_assert_uint_le(value, high);
}

START_TEST(test_info)
{
        uint64_t info[16] = { 0 };
        uint32_t count = SENSORS_INFO_COUNT;

        ck_assert_int_eq(IOConnectCallScalarMethod(connect_, SENSORS_GET_INFO, NULL, 0, info, &count), 0);
        ck_assert_uint_eq(count, SENSORS_INFO_COUNT);
        ck_assert_uint_eq(info[SENSORS_INFO_CORES], before.snapshot.cores);
        ck_assert_uint_eq(info[SENSORS_INFO_SENSORS], before.snapshot.sensors);
        ck_assert_uint_eq(info[SENSORS_INFO_INTERFACES], before.snapshot.interfaces);
        ck_assert_uint_eq(info[SENSORS_INFO_RING], SENSORS_RING_SAMPLES);
        ck_assert_uint_eq(info[SENSORS_INFO_TICKS], (uint64_t)sysconf(_SC_CLK_TCK));
        ck_assert_uint_gt(info[SENSORS_INFO_PERIOD], 0);
        /* More room than there are scalars, and less. */
        count = 16;
        ck_assert_int_eq(IOConnectCallScalarMethod(connect_, SENSORS_GET_INFO, NULL, 0, info, &count), 0);
        ck_assert_uint_eq(count, SENSORS_INFO_COUNT);
        count = 1;
        ck_assert_int_eq(IOConnectCallScalarMethod(connect_, SENSORS_GET_INFO, NULL, 0, info, &count), 0);
        ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(test_read_cpu)
{
        for (uint32_t i = 0; i < before.snapshot.cores && i < SENSORS_CORES_MAX; i++) {
                uint64_t core = before.cores[i].number, times[SENSORS_TIMES_COUNT];
                uint32_t count = SENSORS_TIMES_COUNT;

                ck_assert_int_eq(IOConnectCallScalarMethod(connect_, SENSORS_READ_CPU, &core, 1, times, &count), 0);
                ck_assert_uint_eq(count, SENSORS_TIMES_COUNT);
                ck_assert_int_eq(sensors_read_counters(reader, &after), 0);
                assert_between(before.cores[i].times.user, times[0], after.cores[i].times.user);
                assert_between(before.cores[i].times.nice, times[1], after.cores[i].times.nice);
                assert_between(before.cores[i].times.system, times[2], after.cores[i].times.system);
                assert_between(before.cores[i].times.idle, times[3], after.cores[i].times.idle);
                assert_between(before.cores[i].times.softirq, times[6], after.cores[i].times.softirq);
        }
}
END_TEST

START_TEST(test_no_such_core)
{
        static const uint64_t cores[] = { 99999, UINT64_MAX, 1ull << 32 };

        for (size_t i = 0; i < sizeof(cores) / sizeof(cores[0]); i++) {
                uint64_t times[SENSORS_TIMES_COUNT] = { 77 };
                uint32_t count = SENSORS_TIMES_COUNT;

                ck_assert_int_eq(IOConnectCallScalarMethod(connect_, SENSORS_READ_CPU, &cores[i], 1, times, &count),
                                 kIOReturnBadArgument);
                ck_assert_uint_eq(count, SENSORS_TIMES_COUNT);
                ck_assert_uint_eq(times[0], 77);
        }
}
END_TEST

START_TEST(test_snapshot)
{
        struct sensors_snapshot now;
        size_t size = sizeof(now);

        ck_assert_int_eq(IOConnectCallStructMethod(connect_, SENSORS_SNAPSHOT, NULL, 0, &now, &size), 0);
        ck_assert_uint_eq(size, sizeof(now));
        ck_assert_int_eq(sensors_read_counters(reader, &after), 0);
        ck_assert_uint_eq(now.memory_total, before.snapshot.memory_total);
        ck_assert_uint_eq(now.swap_total, before.snapshot.swap_total);
        ck_assert_uint_eq(now.cores, before.snapshot.cores);
        ck_assert_uint_eq(now.sensors, before.snapshot.sensors);
        assert_between(before.snapshot.total.user, now.total.user, after.snapshot.total.user);
        ck_assert_uint_le(now.time, after.snapshot.time);
        ck_assert_uint_gt(now.time + 1000000000u, before.snapshot.time);
}
END_TEST

START_TEST(test_read_all)
{
        size_t size = sizeof(told);

        ck_assert_uint_gt(size, 4096);
        ck_assert_int_eq(IOConnectCallStructMethod(connect_, SENSORS_READ_ALL, NULL, 0, &told, &size), 0);
        ck_assert_uint_eq(size, sizeof(told));
        ck_assert_uint_eq(told.snapshot.cores, before.snapshot.cores);
        for (uint32_t i = 0; i < before.snapshot.cores && i < SENSORS_CORES_MAX; i++)
                ck_assert_uint_eq(told.cores[i].number, before.cores[i].number);
        ck_assert_uint_eq(told.snapshot.interfaces, before.snapshot.interfaces);
        for (uint32_t i = 0; i < before.snapshot.interfaces && i < SENSORS_INTERFACES_MAX; i++)
                ck_assert_str_eq(told.interfaces[i].name, before.interfaces[i].name);
        ck_assert_uint_eq(told.snapshot.sensors, before.snapshot.sensors);
        for (uint32_t i = 0; i < before.snapshot.sensors && i < SENSORS_SENSORS_MAX; i++)
                ck_assert_str_eq(told.sensors[i].name, before.sensors[i].name);
}
END_TEST

/* What the dispatch table does not ask for never reaches the driver's functions. */
START_TEST(test_wrong_counts)
{
        static const struct {
                uint32_t selector, scalars_in;
                size_t struct_in;
                uint32_t scalars_out;
                size_t struct_out;
        } calls[] = {
                { SENSORS_GET_INFO, 1, 0, 6, 0 },      { SENSORS_GET_INFO, 0, 1, 6, 0 },
                { SENSORS_GET_INFO, 0, 0, 6, 8 },      { SENSORS_READ_CPU, 0, 0, 8, 0 },
                { SENSORS_READ_CPU, 2, 0, 8, 0 },      { SENSORS_READ_CPU, 1, 0, 7, 0 },
                { SENSORS_READ_CPU, 1, 0, 9, 0 },      { SENSORS_READ_CPU, 1, 4096, 8, 0 },
                { SENSORS_READ_CPU, 1, 4097, 8, 0 },   { SENSORS_SNAPSHOT, 0, 0, 0, SENSORS_SNAPSHOT_SIZE - 1 },
                { SENSORS_SNAPSHOT, 0, 0, 0, 4096 },   { SENSORS_SNAPSHOT, 0, 0, 0, 0 },
                { SENSORS_SNAPSHOT, 0, 0, 1, SENSORS_SNAPSHOT_SIZE },
                { SENSORS_READ_ALL, 0, 0, 0, 4096 },   { SENSORS_READ_ALL, 0, 0, 0, SENSORS_ALL_SIZE - 1 },
                { SENSORS_READ_ALL, 0, 0, 0, SENSORS_ALL_SIZE + 1 },
                { SENSORS_SUBSCRIBE, 1, 0, 0, 0 },     { SENSORS_UNSUBSCRIBE, 1, 0, 0, 0 },
        };
        static char bytes[SENSORS_ALL_SIZE + 1], buffer[SENSORS_ALL_SIZE + 1];

        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
                uint64_t in[16] = { 0 }, out[16] = { 77 };
                uint32_t count = calls[i].scalars_out;
                size_t size = calls[i].struct_out;
                kern_return_t r;

                buffer[0] = 77;
                r = IOConnectCallMethod(connect_, calls[i].selector, in, calls[i].scalars_in, bytes, calls[i].struct_in, out,
                                        &count, buffer, &size);
                ck_assert_msg(r == kIOReturnBadArgument, "call %zu: 0x%x", i, (unsigned int)r);
                ck_assert_uint_eq(count, calls[i].scalars_out);
                ck_assert_uint_eq(size, calls[i].struct_out);
                ck_assert_uint_eq(out[0], 77);
                ck_assert_int_eq(buffer[0], 77);
        }
}
END_TEST

START_TEST(test_unknown_selectors)
{
        static const uint32_t selectors[] = { SENSORS_SELECTORS, 100, 0x7fffffff, 0x80000000, 0xffffffff };

        for (size_t i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++)
                ck_assert_int_eq(IOConnectCallScalarMethod(connect_, selectors[i], NULL, 0, NULL, NULL), kIOReturnUnsupported);
}
END_TEST

/* --- completions --- */

struct heard {
        unsigned int count, stop_at;
        uint64_t number, time;
};

static void completion(void *refcon, IOReturn result, void **arguments, uint32_t count)
{
        struct heard *heard = refcon;
        uint64_t number = (uint64_t)(uintptr_t)arguments[SENSORS_EVENT_NUMBER];
        uint64_t time = (uint64_t)(uintptr_t)arguments[SENSORS_EVENT_TIME];

        ck_assert_int_eq(result, 0);
        ck_assert_uint_ge(count, SENSORS_EVENT_CORES + 1);
        ck_assert_uint_le(count, SENSORS_EVENT_COUNT_MAX);
        ck_assert_uint_eq((uint64_t)(uintptr_t)arguments[SENSORS_EVENT_MEMORY_TOTAL], before.snapshot.memory_total);
        for (uint32_t i = SENSORS_EVENT_CORES; i < count; i++)
                ck_assert_uint_le((uint64_t)(uintptr_t)arguments[i], 1000);
        ck_assert_uint_eq(number, heard->number + 1);
        /* Two that come close together may be told of the same reading (SENSORS_FRESH_NS). */
        ck_assert_uint_ge(time, heard->time);
        heard->number = number;
        heard->time = time;
        if (++heard->count == heard->stop_at)
                CFRunLoopStop(CFRunLoopGetCurrent());
}

static IONotificationPortRef port_create(void)
{
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);

        ck_assert_ptr_nonnull(port);
        CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
        return port;
}

static kern_return_t subscribe(io_connect_t connect, mach_port_t wake, uint64_t period, struct heard *heard)
{
        uint64_t reference[8] = { [kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)completion,
                                  [kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)heard };

        return IOConnectCallAsyncScalarMethod(connect, SENSORS_SUBSCRIBE, wake, reference, kIOAsyncCalloutCount, &period, 1,
                                              NULL, NULL);
}

static void hear(struct heard *heard, unsigned int more)
{
        heard->stop_at = heard->count + more;
        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 20, false), kCFRunLoopRunStopped);
}

START_TEST(test_subscribe)
{
        IONotificationPortRef port = port_create();
        mach_port_t wake = IONotificationPortGetMachPort(port);
        struct heard heard = { 0 };
        uint64_t first;

        ck_assert_int_eq(subscribe(connect_, wake, SENSORS_PERIOD_MS_MIN - 1, &heard), kIOReturnBadArgument);
        ck_assert_int_eq(subscribe(connect_, wake, SENSORS_PERIOD_MS_MAX + 1, &heard), kIOReturnBadArgument);
        ck_assert_int_eq(subscribe(connect_, MACH_PORT_NULL, 20, &heard), kIOReturnBadArgument);
        ck_assert_int_eq(IOConnectCallScalarMethod(connect_, SENSORS_UNSUBSCRIBE, NULL, 0, NULL, NULL), kIOReturnNotFound);
        ck_assert_int_eq(subscribe(connect_, wake, 20, &heard), 0);
        ck_assert_int_eq(subscribe(connect_, wake, 20, &heard), kIOReturnBusy);
        hear(&heard, 1);
        first = heard.time;
        hear(&heard, 10);
        /* Never more often than asked for: ten periods of 20 ms, but for how late the first one was. */
        ck_assert_uint_gt(heard.time - first, 100000000u);
        ck_assert_int_eq(IOConnectCallScalarMethod(connect_, SENSORS_UNSUBSCRIBE, NULL, 0, NULL, NULL), 0);
        ck_assert_int_eq(IOConnectCallScalarMethod(connect_, SENSORS_UNSUBSCRIBE, NULL, 0, NULL, NULL), kIOReturnNotFound);
        /* What was sent before may still be there, then silence, then a new subscription that counts from 1. */
        CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0, false);
        heard.stop_at = heard.count + 1;
        ck_assert_int_eq(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0.1, false), kCFRunLoopRunTimedOut);
        heard = (struct heard){ 0 };
        ck_assert_int_eq(subscribe(connect_, wake, 10, &heard), 0);
        hear(&heard, 3);
        IONotificationPortDestroy(port);
}
END_TEST

/* Two connections have two subscriptions that do not disturb each other; closing one leaves the other. */
START_TEST(test_two_subscriptions)
{
        io_connect_t other = open_sensors();
        IONotificationPortRef port = port_create();
        mach_port_t wake = IONotificationPortGetMachPort(port);
        struct heard one = { 0 }, two = { 0 };

        ck_assert_int_eq(subscribe(connect_, wake, 10, &one), 0);
        ck_assert_int_eq(subscribe(other, wake, 25, &two), 0);
        hear(&two, 4);
        ck_assert_uint_gt(one.count, 0);
        ck_assert_int_eq(IOServiceClose(other), 0);
        hear(&one, 4);
        IONotificationPortDestroy(port);
}
END_TEST

/* --- the ring --- */

static const struct sensors_ring *ring_map(mach_vm_size_t *ret_size)
{
        mach_vm_address_t address = 0;

        ck_assert_int_eq(IOConnectMapMemory64(connect_, 0, mach_task_self(), &address, ret_size, kIOMapAnywhere), 0);
        return (const struct sensors_ring *)(uintptr_t)address;
}

START_TEST(test_map)
{
        IONotificationPortRef port = port_create();
        struct heard heard = { 0 };
        mach_vm_size_t size = 0;
        const struct sensors_ring *ring = ring_map(&size);
        uint64_t written = sensors_ring_written(ring);
        struct sensors_sample sample;

        ck_assert_uint_eq(size, sizeof(*ring));
        ck_assert_uint_eq(ring->magic, SENSORS_RING_MAGIC);
        ck_assert_uint_eq(ring->capacity, SENSORS_RING_SAMPLES);
        /* The driver goes on writing: ten completions of one period of the ring each bring at least five samples. */
        ck_assert_int_eq(subscribe(connect_, IONotificationPortGetMachPort(port), ring->period / 1000000, &heard), 0);
        hear(&heard, 10);
        ck_assert_uint_ge(sensors_ring_written(ring), written + 5);
        ck_assert(sensors_ring_read(ring, written, &sample));
        ck_assert_uint_gt(sample.time, before.snapshot.time - 1000000000u);
        ck_assert_uint_le(sample.busy, 1000);
        ck_assert_uint_gt(sample.memory_available, 0);
        ck_assert_ptr_eq(ring_map(&size), ring);
        ck_assert_int_eq(IOConnectUnmapMemory64(connect_, 0, mach_task_self(), (mach_vm_address_t)(uintptr_t)ring), 0);
        IONotificationPortDestroy(port);
}
END_TEST

/* Not a promise of the app's page tables: the memory itself cannot be made writable. */
START_TEST(test_map_is_read_only)
{
        mach_vm_size_t size = 0;
        const struct sensors_ring *ring = ring_map(&size);
        int status;
        pid_t child;

        errno = 0;
        ck_assert_int_eq(mprotect((void *)(uintptr_t)ring, 4096, PROT_READ | PROT_WRITE), -1);
        ck_assert_int_eq(errno, EACCES);
        child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                *(volatile uint32_t *)(uintptr_t)&ring->magic = 0;
                _exit(0);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
        ck_assert_uint_eq(ring->magic, SENSORS_RING_MAGIC);
}
END_TEST

START_TEST(test_no_such_memory)
{
        mach_vm_address_t address = 77;
        mach_vm_size_t size = 77;

        ck_assert_int_eq(IOConnectMapMemory64(connect_, 1, mach_task_self(), &address, &size, kIOMapAnywhere),
                         kIOReturnBadArgument);
        ck_assert_uint_eq(address, 77);
        ck_assert_int_eq(IOConnectUnmapMemory64(connect_, 0, mach_task_self(), 0), kIOReturnBadArgument);
}
END_TEST

/* --- many at once --- */

static void *call_many(void *unused)
{
        io_connect_t connect = open_sensors();

        for (int i = 0; i < 300; i++) {
                struct sensors_snapshot now;
                size_t size = sizeof(now);
                uint64_t core = before.cores[0].number, times[SENSORS_TIMES_COUNT];
                uint32_t count = SENSORS_TIMES_COUNT;

                ck_assert_int_eq(IOConnectCallStructMethod(connect, SENSORS_SNAPSHOT, NULL, 0, &now, &size), 0);
                ck_assert_uint_eq(now.memory_total, before.snapshot.memory_total);
                ck_assert_int_eq(IOConnectCallScalarMethod(connect, SENSORS_READ_CPU, &core, 1, times, &count), 0);
        }
        ck_assert_int_eq(IOServiceClose(connect), 0);
        return NULL;
}

START_TEST(test_many_apps)
{
        pthread_t threads[4];

        for (size_t i = 0; i < 4; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, call_many, NULL), 0);
        for (size_t i = 0; i < 4; i++)
                ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}
END_TEST

START_TEST(test_other_type)
{
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("sensors"));
        io_connect_t connect = 77;

        ck_assert_int_eq(IOServiceOpen(service, mach_task_self(), 1, &connect), kIOReturnBadArgument);
        ck_assert_uint_eq(connect, 0);
        ck_assert_int_eq(IOObjectRelease(service), 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("sensors driver");
        TCase *calls = tcase_create("calls");
        SRunner *runner;
        int failed;

        tcase_set_timeout(calls, 60);
        tcase_add_checked_fixture(calls, setup, teardown);
        tcase_add_test(calls, test_info);
        tcase_add_test(calls, test_read_cpu);
        tcase_add_test(calls, test_no_such_core);
        tcase_add_test(calls, test_snapshot);
        tcase_add_test(calls, test_read_all);
        tcase_add_test(calls, test_wrong_counts);
        tcase_add_test(calls, test_unknown_selectors);
        tcase_add_test(calls, test_subscribe);
        tcase_add_test(calls, test_two_subscriptions);
        tcase_add_test(calls, test_map);
        tcase_add_test(calls, test_map_is_read_only);
        tcase_add_test(calls, test_no_such_memory);
        tcase_add_test(calls, test_many_apps);
        tcase_add_test(calls, test_other_type);
        suite_add_tcase(suite, calls);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
