/* SPDX-License-Identifier: Apache-2.0 */
/* Devices, with a recorder in the same process that plays the kernel: an obliging one and a hostile one; and with the kernel. */
#include <fcntl.h>

#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IOMemoryMap.h>
#include <HIDDriverKit/HIDDriverKit.h>
#include <HIDDriverKit/IOHIDDeviceKeys.h>
#include <ambidext/hid.h>

#include "base/base.h"
#include "driver/service.h"
#include "driver/test.h"
#include "hid/device.h"
#include "hid/test/recorder.h"

/* --- a driver --- */

/* Reports without ids: 4 bytes in, 2 bytes out, a feature of 3. */
static const uint8_t plain[] = { 0x06, 0x00, 0xFF, 0x09, 0x01, 0xA1, 0x01, 0x75, 0x08, 0x95, 0x04, 0x81, 0x02,
                                 0x95, 0x02, 0x91, 0x02, 0x95, 0x03, 0xB1, 0x02, 0xC0 };

/* What setReport and getReport do with what they are asked. */
enum manner { ANSWER, TAKE, KEEP, REFUSE, ANSWER_AND_REFUSE };

typedef struct TestHID {
        IOUserHIDDevice device;
} TestHID;

static struct {
        _Atomic(enum manner) manner;
        bool refuse_start, no_descriptor, no_description;
        uint32_t time_limit_us;
        const void *descriptor;
        size_t descriptor_size;
        /* what was asked last */
        struct signal asked, freed;
        IOHIDReportType type;
        IOOptionBits options;
        uint32_t time_limit_ms;
        uint8_t bytes[64];
        uint64_t size;
        OSAction *kept;
        IOMemoryDescriptor *kept_memory;
} driver = { .asked = SIGNAL_INIT, .freed = SIGNAL_INIT, .descriptor = plain, .descriptor_size = sizeof(plain) };

static bool test_handle_start(IOUserHIDDevice *self, IOService *provider)
{
        return !driver.refuse_start && IOUserHIDDevice_handleStart(self, provider);
}

static void put(OSDictionary *d, const char *key, const char *text, uint64_t number)
{
        OSObject *value = text ? (OSObject *)OSStringCreate(text, (size_t)-1) : (OSObject *)OSNumberCreate(number, 32);

        ck_assert(value && OSDictionarySetValue(d, key, value));
        OSObject_release(value);
}

static OSDictionary *test_description(IOUserHIDDevice *self)
{
        OSDictionary *d;

        if (driver.no_description)
                return NULL;
        d = OSDictionaryCreate();
        put(d, kIOHIDManufacturerKey, "Maker", 0);
        put(d, kIOHIDProductKey, "Thing", 0);
        put(d, kIOHIDSerialNumberKey, "S-1", 0);
        put(d, kIOHIDTransportKey, "USB", 0);
        put(d, kIOHIDVendorIDKey, NULL, 0x16C0);
        put(d, kIOHIDProductIDKey, NULL, 0x27DB);
        put(d, kIOHIDVersionNumberKey, NULL, 3);
        put(d, kIOHIDCountryCodeKey, NULL, 33);
        if (driver.time_limit_us)
                put(d, kIOHIDRequestTimeoutKey, NULL, driver.time_limit_us);
        return d;
}

static OSData *test_report_descriptor(IOUserHIDDevice *self)
{
        return driver.no_descriptor ? NULL : OSDataCreate(driver.descriptor, driver.descriptor_size);
}

static kern_return_t deal_with(IOHIDDevice *self, IOMemoryDescriptor *report, IOHIDReportType type, IOOptionBits options,
                               uint32_t limit, OSAction *action, bool get)
{
        enum manner manner = driver.manner;     /* the test goes on to the next one as soon as this one is answered */
        uint64_t address, length;

        ck_assert_int_eq(IOMemoryDescriptor_Map(report, 0, 0, 0, 0, &address, &length), 0);
        driver.type = type;
        driver.options = options;
        driver.time_limit_ms = limit;
        driver.size = length;
        if (get)
                memcpy((void *)(uintptr_t)address, "\x11\x22\x33", length < 3 ? length : 3);
        else
                memcpy(driver.bytes, (void *)(uintptr_t)address, length < sizeof(driver.bytes) ? length : sizeof(driver.bytes));
        if (manner == KEEP) {
                OSObject_retain(action);
                OSObject_retain(report);
                driver.kept = action;
                driver.kept_memory = report;
        }
        signal_add(&driver.asked);
        if (manner == ANSWER || manner == ANSWER_AND_REFUSE)
                IOHIDDevice_CompleteReport(self, action, kIOReturnSuccess, (uint32_t)length);
        return manner == REFUSE || manner == ANSWER_AND_REFUSE ? kIOReturnBadArgument : kIOReturnSuccess;
}

static kern_return_t test_get(IOHIDDevice *self, IOMemoryDescriptor *report, IOHIDReportType type, IOOptionBits options,
                              uint32_t limit, OSAction *action)
{
        return deal_with(self, report, type, options, limit, action, true);
}

static kern_return_t test_set(IOHIDDevice *self, IOMemoryDescriptor *report, IOHIDReportType type, IOOptionBits options,
                              uint32_t limit, OSAction *action)
{
        return deal_with(self, report, type, options, limit, action, false);
}

static void test_free(OSObject *object)
{
        IOUserHIDDevice_free(object);
        signal_add(&driver.freed);
}

static const struct amb_method test_methods[] = {
        AMB_OVERRIDE(OSObject, free, test_free),
        AMB_OVERRIDE(IOUserHIDDevice, handleStart, test_handle_start),
        AMB_OVERRIDE(IOUserHIDDevice, newDeviceDescription, test_description),
        AMB_OVERRIDE(IOUserHIDDevice, newReportDescriptor, test_report_descriptor),
        AMB_OVERRIDE(IOHIDDevice, getReport, test_get),
        AMB_OVERRIDE(IOHIDDevice, setReport, test_set),
        AMB_METHODS_END,
};
OSDefineMetaClass(TestHID, IOUserHIDDevice, test_methods);

/* --- the world around it --- */

static char path[64];
static int listener;

static void world_begin(void)
{
        snprintf(path, sizeof(path), "/tmp/ambidext-test-hid.%d", getpid());
        unlink(path);
        listener = recorder_listen(path);
        ck_assert_int_eq(setenv("AMBIDEXT_HID_RECORDER", path, 1), 0);
}

static void world_end(void)
{
        close(listener);
        unlink(path);
        OSObject_release(driver.kept);
        OSObject_release(driver.kept_memory);
}

static TestHID *device_new(void)
{
        TestHID *device = (TestHID *)amb_object_new(OSTypeID(TestHID));

        ck_assert_ptr_nonnull(device);
        return device;
}

/* The device and the recorder's end of it, which has seen the first record. */
static TestHID *device_start(int *ret_fd, struct uhid_event *event)
{
        TestHID *device = device_new();

        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnSuccess);
        *ret_fd = recorder_accept(listener);
        recorder_expect(*ret_fd, UHID_CREATE2, event);
        return device;
}

/* Threads that have just done something for it may hold it a little longer than the caller; nobody does for ever. */
static void device_end(TestHID *device)
{
        int before = signal_count(&driver.freed);

        OSObject_release(device);
        signal_wait(&driver.freed, before + 1);
}

static void device_stop(TestHID *device, int fd)
{
        struct uhid_event event;

        ck_assert_int_eq(amb_invoke(device, IOService, Stop, NULL), kIOReturnSuccess);
        if (fd >= 0) {
                recorder_expect(fd, UHID_DESTROY, &event);
                ck_assert_uint_eq(recorder_read(fd, &event), 0);
                close(fd);
        }
        device_end(device);
}

static IOMemoryDescriptor *memory_of(const void *bytes, size_t size)
{
        IOBufferMemoryDescriptor *memory;
        IOAddressSegment range;

        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(kIOMemoryDirectionOut, size, 0, &memory), 0);
        ck_assert_int_eq(IOBufferMemoryDescriptor_GetAddressRange(memory, &range), 0);
        memcpy((void *)(uintptr_t)range.address, bytes, size);
        return &memory->descriptor;
}

static kern_return_t post_report(TestHID *device, const void *bytes, size_t size)
{
        IOMemoryDescriptor *memory = memory_of(bytes, size);
        kern_return_t code = amb_invoke(device, IOHIDDevice, handleReport, 0, memory, (uint32_t)size, kIOHIDReportTypeInput, 0);

        OSObject_release(memory);
        return code;
}

static void expect_input(int fd, const void *bytes, size_t size)
{
        struct uhid_event event;

        recorder_expect(fd, UHID_INPUT2, &event);
        ck_assert_uint_eq(event.u.input2.size, size);
        ck_assert_mem_eq(event.u.input2.data, bytes, size);
}

static void expect_set_reply(int fd, uint32_t id, int error)
{
        struct uhid_event event;

        recorder_expect(fd, UHID_SET_REPORT_REPLY, &event);
        ck_assert_uint_eq(event.u.set_report_reply.id, id);
        ck_assert_int_eq(event.u.set_report_reply.err, error);
}

static void expect_get_reply(int fd, uint32_t id, int error, const void *bytes, size_t size)
{
        struct uhid_event event;

        recorder_expect(fd, UHID_GET_REPORT_REPLY, &event);
        ck_assert_uint_eq(event.u.get_report_reply.id, id);
        ck_assert_int_eq(event.u.get_report_reply.err, error);
        ck_assert_uint_eq(event.u.get_report_reply.size, size);
        if (size > 0)
                ck_assert_mem_eq(event.u.get_report_reply.data, bytes, size);
}

/* --- life --- */

START_TEST(description)
{
        OSDictionary *properties;
        OSData *data;
        struct uhid_event event;
        TestHID *device;
        int fd;

        world_begin();
        device = device_start(&fd, &event);
        ck_assert_str_eq((char *)event.u.create2.name, "Maker Thing");
        ck_assert_str_eq((char *)event.u.create2.uniq, "S-1");
        ck_assert_uint_eq(event.u.create2.bus, BUS_USB);
        ck_assert_uint_eq(event.u.create2.vendor, 0x16C0);
        ck_assert_uint_eq(event.u.create2.product, 0x27DB);
        ck_assert_uint_eq(event.u.create2.version, 3);
        ck_assert_uint_eq(event.u.create2.country, 33);
        ck_assert_uint_eq(event.u.create2.rd_size, sizeof(plain));
        ck_assert_mem_eq(event.u.create2.rd_data, plain, sizeof(plain));
        ck_assert_int_eq(IOService_CopyProperties((IOService *)device, &properties), 0);
        ck_assert_str_eq(OSDictionaryGetStringValue(properties, kIOHIDProductKey), "Thing");
        data = OSDynamicCast(OSData, OSDictionaryGetValue(properties, kIOHIDReportDescriptorKey));
        ck_assert_uint_eq(OSDataGetLength(data), sizeof(plain));
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(properties, kIOHIDMaxInputReportSizeKey), 4);
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(properties, kIOHIDMaxFeatureReportSizeKey), 3);
        ck_assert_uint_eq(OSDictionaryGetUInt64Value(properties, kIOHIDPrimaryUsagePageKey), 0xFF00);
        OSObject_release(properties);
        device_stop(device, fd);
        world_end();
}
END_TEST

START_TEST(without_a_description)
{
        struct uhid_event event;
        TestHID *device;
        int fd;

        world_begin();
        driver.no_description = true;
        device = device_start(&fd, &event);
        ck_assert_uint_eq(event.u.create2.bus, BUS_VIRTUAL);
        ck_assert_uint_gt(strlen((char *)event.u.create2.name), 0);
        device_stop(device, fd);
        world_end();
}
END_TEST

START_TEST(does_not_start)
{
        static const uint8_t rubbish[5000] = { 0xA1, 0x01 };
        TestHID *device = device_new();

        world_begin();
        driver.refuse_start = true;
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnError);
        driver.refuse_start = false;
        driver.no_descriptor = true;
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnNotReady);
        driver.no_descriptor = false;
        driver.descriptor = rubbish;
        driver.descriptor_size = 2;
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnBadArgument);
        driver.descriptor_size = sizeof(rubbish);
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnBadArgument);
        driver.descriptor_size = 0;
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnBadArgument);
        driver.descriptor = plain;
        driver.descriptor_size = sizeof(plain);
        ck_assert_int_eq(setenv("AMBIDEXT_HID_RECORDER", "/nobody/listens/here", 1), 0);
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnDeviceError);
        ck_assert_int_eq(post_report(device, "1234", 4), kIOReturnNotReady);
        OSObject_release(device);
        world_end();
}
END_TEST

/* A driver that is thrown away without a Stop takes its device along. */
START_TEST(freed_without_stop)
{
        struct uhid_event event;
        TestHID *device;
        int fd;

        world_begin();
        device = device_start(&fd, &event);
        device_end(device);
        recorder_expect(fd, UHID_DESTROY, &event);
        ck_assert_uint_eq(recorder_read(fd, &event), 0);
        close(fd);
        world_end();
}
END_TEST

/* --- input --- */

static kern_return_t handle(TestHID *device, IOMemoryDescriptor *memory, uint32_t length, IOHIDReportType type)
{
        return amb_invoke(device, IOHIDDevice, handleReport, mach_absolute_time(), memory, length, type, 0);
}

START_TEST(input)
{
        struct uhid_event event;
        IOMemoryDescriptor *memory = memory_of("abcd", 4), *big;
        static uint8_t zeros[AMB_HID_REPORT_MOST + 1];
        TestHID *device;
        int fd;

        world_begin();
        device = device_start(&fd, &event);
        /* The kernel does not listen yet: they wait, in their order. */
        ck_assert_int_eq(post_report(device, "1111", 4), 0);
        ck_assert_int_eq(post_report(device, "2222", 4), 0);
        recorder_start(fd);
        expect_input(fd, "1111", 4);
        expect_input(fd, "2222", 4);
        ck_assert_int_eq(post_report(device, "3333", 4), 0);
        expect_input(fd, "3333", 4);
        /* A part of the memory. */
        ck_assert_int_eq(handle(device, memory, 2, kIOHIDReportTypeInput), 0);
        expect_input(fd, "ab", 2);
        ck_assert_int_eq(handle(device, memory, 5, kIOHIDReportTypeInput), kIOReturnBadArgument);
        ck_assert_int_eq(handle(device, memory, 0, kIOHIDReportTypeInput), kIOReturnBadArgument);
        ck_assert_int_eq(handle(device, NULL, 4, kIOHIDReportTypeInput), kIOReturnBadArgument);
        ck_assert_int_eq(handle(device, memory, 4, kIOHIDReportTypeOutput), kIOReturnUnsupported);
        big = memory_of(zeros, sizeof(zeros));
        ck_assert_int_eq(handle(device, big, sizeof(zeros), kIOHIDReportTypeInput), kIOReturnMessageTooLarge);
        ck_assert_int_eq(handle(device, big, AMB_HID_REPORT_MOST, kIOHIDReportTypeInput), 0);
        expect_input(fd, zeros, AMB_HID_REPORT_MOST);
        OSObject_release(big);
        OSObject_release(memory);
        OSObject_retain(device);
        ck_assert_int_eq(amb_invoke(device, IOService, Stop, NULL), kIOReturnSuccess);
        ck_assert_int_eq(post_report(device, "1234", 4), kIOReturnNotReady);
        OSObject_release(device);
        device_stop(device, fd);
        world_end();
}
END_TEST

/* Of more than the limit the oldest go, and the device lives on. */
START_TEST(input_waits_within_limits)
{
        struct uhid_event event;
        TestHID *device;
        uint32_t i;
        int fd;

        world_begin();
        device = device_start(&fd, &event);
        for (i = 0; i < AMB_HID_HELD_MOST + 3; i++)
                ck_assert_int_eq(post_report(device, &i, sizeof(i)), 0);
        recorder_start(fd);
        for (i = 3; i < AMB_HID_HELD_MOST + 3; i++)
                expect_input(fd, &i, sizeof(i));
        device_stop(device, fd);
        world_end();
}
END_TEST

/* --- what the system asks --- */

START_TEST(set_report)
{
        struct uhid_event event;
        TestHID *device;
        int fd;

        world_begin();
        device = device_start(&fd, &event);
        recorder_start(fd);
        driver.manner = ANSWER;
        recorder_set(fd, 41, UHID_FEATURE_REPORT, 0, "xyz", 3);
        expect_set_reply(fd, 41, 0);
        ck_assert_int_eq(driver.type, kIOHIDReportTypeFeature);
        ck_assert_uint_eq(driver.options, 0);
        ck_assert_uint_eq(driver.time_limit_ms, AMB_HID_TIME_LIMIT_MS);
        ck_assert_uint_eq(driver.size, 3);
        ck_assert_mem_eq(driver.bytes, "xyz", 3);
        /* Who takes it and says nothing has taken it. */
        driver.manner = TAKE;
        recorder_set(fd, 42, UHID_OUTPUT_REPORT, 9, "xy", 2);
        expect_set_reply(fd, 42, 0);
        ck_assert_int_eq(driver.type, kIOHIDReportTypeOutput);
        ck_assert_uint_eq(driver.options, 9);
        /* Who refuses it has refused it, but not after an answer. */
        driver.manner = REFUSE;
        recorder_set(fd, 43, UHID_FEATURE_REPORT, 0, "xyz", 3);
        expect_set_reply(fd, 43, EINVAL);
        driver.manner = ANSWER_AND_REFUSE;
        recorder_set(fd, 44, UHID_FEATURE_REPORT, 0, "xyz", 3);
        expect_set_reply(fd, 44, 0);
        /* Later, from elsewhere, and only once. */
        driver.manner = KEEP;
        recorder_set(fd, 45, UHID_FEATURE_REPORT, 0, "xyz", 3);
        signal_wait(&driver.asked, 5);
        IOHIDDevice_CompleteReport((IOHIDDevice *)device, driver.kept, kIOReturnNotPermitted, 0);
        IOHIDDevice_CompleteReport((IOHIDDevice *)device, driver.kept, kIOReturnSuccess, 3);
        expect_set_reply(fd, 45, EPERM);
        /* No such type of report; no bytes. */
        recorder_set(fd, 46, 3, 0, "xyz", 3);
        expect_set_reply(fd, 46, EINVAL);
        recorder_set(fd, 47, UHID_FEATURE_REPORT, 0, "", 0);
        expect_set_reply(fd, 47, EINVAL);
        ck_assert_int_eq(signal_count(&driver.asked), 5);
        device_stop(device, fd);
        world_end();
}
END_TEST

START_TEST(get_report)
{
        struct uhid_event event;
        TestHID *device;
        int fd;

        world_begin();
        device = device_start(&fd, &event);
        recorder_start(fd);
        driver.manner = ANSWER;
        recorder_get(fd, 1, UHID_FEATURE_REPORT, 0);
        expect_get_reply(fd, 1, 0, "\x11\x22\x33", 3);
        ck_assert_uint_eq(driver.size, 3);
        ck_assert_int_eq(driver.type, kIOHIDReportTypeFeature);
        recorder_get(fd, 2, UHID_INPUT_REPORT, 0);
        expect_get_reply(fd, 2, 0, "\x11\x22\x33\0", 4);
        /* No such report: as much room as there can be. */
        recorder_get(fd, 3, UHID_FEATURE_REPORT, 5);
        recorder_expect(fd, UHID_GET_REPORT_REPLY, &event);
        ck_assert_uint_eq(event.u.get_report_reply.size, AMB_HID_REPORT_MOST);
        ck_assert_uint_eq(driver.options, 5);
        /* More than there is room for is all of it. */
        driver.manner = KEEP;
        recorder_get(fd, 4, UHID_FEATURE_REPORT, 0);
        signal_wait(&driver.asked, 4);
        IOHIDDevice_CompleteReport((IOHIDDevice *)device, driver.kept, kIOReturnSuccess, 99999);
        expect_get_reply(fd, 4, 0, "\x11\x22\x33", 3);
        driver.manner = TAKE;
        recorder_get(fd, 5, UHID_FEATURE_REPORT, 0);
        expect_get_reply(fd, 5, ECANCELED, NULL, 0);
        driver.manner = REFUSE;
        recorder_get(fd, 6, UHID_FEATURE_REPORT, 0);
        expect_get_reply(fd, 6, EINVAL, NULL, 0);
        recorder_get(fd, 7, 200, 0);
        expect_get_reply(fd, 7, EINVAL, NULL, 0);
        device_stop(device, fd);
        world_end();
}
END_TEST

/* A device without report ids: hidraw's leading 0 is not the driver's. */
START_TEST(output)
{
        static const struct {
                const char *bytes;
                size_t size;
                const char *gets;
                size_t gets_size;
        } rows[] = {
                { "\1\2", 2, "\1\2", 2 }, { "\0\1\2", 3, "\1\2", 2 }, { "\0\2", 2, "\0\2", 2 }, { "\1\2\3", 3, "\1\2\3", 3 },
        };
        struct uhid_event event;
        TestHID *device;
        int fd;

        world_begin();
        device = device_start(&fd, &event);
        recorder_start(fd);
        driver.manner = ANSWER;
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(rows); i++) {
                recorder_output(fd, rows[i].bytes, rows[i].size);
                signal_wait(&driver.asked, (int)i + 1);
                ck_assert_int_eq(driver.type, kIOHIDReportTypeOutput);
                ck_assert_uint_eq(driver.size, rows[i].gets_size);
                ck_assert_mem_eq(driver.bytes, rows[i].gets, rows[i].gets_size);
        }
        /* Nobody waits for an answer to these, so none came before this one. */
        recorder_get(fd, 8, UHID_FEATURE_REPORT, 0);
        expect_get_reply(fd, 8, 0, "\x11\x22\x33", 3);
        device_stop(device, fd);
        world_end();
}
END_TEST

START_TEST(time_limit)
{
        struct uhid_event event;
        TestHID *device;
        int fd;

        world_begin();
        driver.time_limit_us = 30000;
        driver.manner = KEEP;
        device = device_start(&fd, &event);
        recorder_start(fd);
        recorder_get(fd, 1, UHID_FEATURE_REPORT, 0);
        signal_wait(&driver.asked, 1);
        ck_assert_uint_eq(driver.time_limit_ms, 30);
        expect_get_reply(fd, 1, ETIMEDOUT, NULL, 0);
        /* Too late; and the next one is another. */
        IOHIDDevice_CompleteReport((IOHIDDevice *)device, driver.kept, kIOReturnSuccess, 3);
        OSObject_release(driver.kept);
        OSObject_release(driver.kept_memory);
        driver.manner = ANSWER;
        driver.kept = NULL;
        driver.kept_memory = NULL;
        recorder_get(fd, 2, UHID_FEATURE_REPORT, 0);
        expect_get_reply(fd, 2, 0, "\x11\x22\x33", 3);
        device_stop(device, fd);
        world_end();
}
END_TEST

START_TEST(stop_answers)
{
        struct uhid_event event;
        TestHID *device;
        int fd;

        world_begin();
        driver.manner = KEEP;
        device = device_start(&fd, &event);
        recorder_start(fd);
        recorder_get(fd, 1, UHID_FEATURE_REPORT, 0);
        signal_wait(&driver.asked, 1);
        ck_assert_int_eq(amb_invoke(device, IOService, Stop, NULL), kIOReturnSuccess);
        expect_get_reply(fd, 1, ECANCELED, NULL, 0);
        IOHIDDevice_CompleteReport((IOHIDDevice *)device, driver.kept, kIOReturnSuccess, 3);
        device_stop(device, fd);
        world_end();
}
END_TEST

/* --- a hostile recorder --- */

START_TEST(too_many_requests)
{
        struct uhid_event event;
        OSAction *kept[AMB_HID_REQUESTS_MOST];
        TestHID *device;
        int fd;

        world_begin();
        driver.manner = KEEP;
        device = device_start(&fd, &event);
        for (uint32_t i = 0; i < AMB_HID_REQUESTS_MOST; i++) {
                recorder_get(fd, i, UHID_FEATURE_REPORT, 0);
                signal_wait(&driver.asked, (int)i + 1);
                kept[i] = amb_steal(driver.kept);
                OSObject_release(amb_steal(driver.kept_memory));
        }
        recorder_get(fd, 1000, UHID_FEATURE_REPORT, 0);
        expect_get_reply(fd, 1000, EBUSY, NULL, 0);
        for (uint32_t i = 0; i < AMB_HID_REQUESTS_MOST; i++) {
                IOHIDDevice_CompleteReport((IOHIDDevice *)device, kept[i], kIOReturnSuccess, 1);
                expect_get_reply(fd, i, 0, "\x11", 1);
                OSObject_release(kept[i]);
        }
        device_stop(device, fd);
        world_end();
}
END_TEST

/* Each ends the recording, and nothing else. */
START_TEST(breaks_the_rules)
{
        static uint8_t bytes[sizeof(struct uhid_event) + 1];
        static const struct {
                uint32_t type;
                size_t size;
                uint16_t length;        /* of an OUTPUT or SET_REPORT */
        } rows[] = {
                { UHID_START, 3, 0 },
                { UHID_START, sizeof(bytes), 0 },
                { UHID_OUTPUT, sizeof(struct uhid_event), UHID_DATA_MAX + 1 },
                { UHID_SET_REPORT, sizeof(struct uhid_event), UHID_DATA_MAX + 1 },
                { UHID_SET_REPORT, sizeof(struct uhid_event), 0xFFFF },
        };

        world_begin();
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(rows); i++) {
                struct uhid_event event, *bad = (struct uhid_event *)bytes;
                TestHID *device;
                int fd;

                device = device_start(&fd, &event);
                memset(bytes, 0, sizeof(bytes));
                bad->type = rows[i].type;
                if (rows[i].type == UHID_OUTPUT)
                        bad->u.output.size = rows[i].length;
                else if (rows[i].type == UHID_SET_REPORT)
                        bad->u.set_report.size = rows[i].length;
                ck_assert_int_eq(send(fd, bytes, rows[i].size, 0), (ssize_t)rows[i].size);
                ck_assert_uint_eq(recorder_read(fd, &event), 0);
                ck_assert_int_eq(post_report(device, "1234", 4), kIOReturnSuccess);
                close(fd);
                device_stop(device, -1);
        }
        ck_assert_int_eq(signal_count(&driver.asked), 0);
        world_end();
}
END_TEST

/* What nobody knows, and what only devices say, is passed over; short records have zeros at their end. */
START_TEST(odd_records)
{
        static const uint32_t types[] = { 0, UHID_DESTROY, UHID_CREATE2, UHID_INPUT2, UHID_GET_REPORT_REPLY, UHID_SET_REPORT_REPLY,
                                          UHID_OPEN, UHID_CLOSE, 15, 0x7FFFFFFF, 0xFFFFFFFF };
        struct uhid_event event;
        TestHID *device;
        int fd;

        world_begin();
        device = device_start(&fd, &event);
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(types); i++)
                ck_assert_int_eq(send(fd, &types[i], 4, 0), 4);
        driver.manner = ANSWER;
        memset(&event, 0, sizeof(event));
        event.type = UHID_GET_REPORT;
        event.u.get_report.id = 77;
        ck_assert_int_eq(send(fd, &event, 8, 0), 8);    /* type and id: report 0, a feature */
        expect_get_reply(fd, 77, 0, "\x11\x22\x33", 3);
        device_stop(device, fd);
        world_end();
}
END_TEST

static uint32_t chance(uint64_t *seed, uint32_t most)
{
        *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
        return (uint32_t)(*seed >> 33) % most;
}

/* Any records, until the recorder is let go of; then the next device. The driver does this and that with what reaches it. */
START_TEST(any_records)
{
        static const uint32_t types[] = { UHID_OUTPUT, UHID_GET_REPORT, UHID_SET_REPORT, UHID_START, UHID_STOP, UHID_OPEN, 99 };
        uint64_t seed = 20261122;
        unsigned int records = 0, answered = 0;

        world_begin();
        driver.time_limit_us = 1000;
        while (records < 3000) {
                struct uhid_event event;
                uint8_t *bytes = (uint8_t *)&event;
                TestHID *device;
                int fd;

                device = device_start(&fd, &event);
                for (bool there = true; there && records < 3000; records++) {
                        size_t size = chance(&seed, 4) ? sizeof(event) : chance(&seed, sizeof(event)) + 1;

                        for (size_t i = 0; i < sizeof(event); i++)
                                bytes[i] = (uint8_t)chance(&seed, 256);
                        event.type = types[chance(&seed, AMB_ARRAY_LENGTH(types))];
                        if (chance(&seed, 8))
                                event.u.set_report.size = (uint16_t)chance(&seed, UHID_DATA_MAX + 1);
                        if (chance(&seed, 8))
                                event.u.output.size = (uint16_t)chance(&seed, UHID_DATA_MAX + 1);
                        if (chance(&seed, 2))
                                event.u.set_report.rtype = event.u.output.rtype = (uint8_t)chance(&seed, 3);
                        driver.manner = chance(&seed, 2) ? ANSWER : REFUSE;
                        there = send(fd, &event, size, MSG_NOSIGNAL) == (ssize_t)size;
                        while (recv(fd, &event, sizeof(event), MSG_DONTWAIT) > 0)
                                answered++;
                }
                close(fd);
                device_stop(device, -1);
        }
        ck_assert_uint_gt(answered, 100);
        ck_assert_int_gt(signal_count(&driver.asked), 100);
        world_end();
}
END_TEST

START_TEST(recorder_ends)
{
        struct uhid_event event;
        TestHID *device;
        int fd;

        world_begin();
        driver.manner = KEEP;
        device = device_start(&fd, &event);
        recorder_start(fd);
        recorder_get(fd, 1, UHID_FEATURE_REPORT, 0);
        signal_wait(&driver.asked, 1);
        close(fd);
        for (int i = 0; i < 100; i++)
                ck_assert_int_eq(post_report(device, "1234", 4), kIOReturnSuccess);
        IOHIDDevice_CompleteReport((IOHIDDevice *)device, driver.kept, kIOReturnSuccess, 3);
        device_stop(device, -1);
        world_end();
}
END_TEST

/* It holds the driver up for a second, once. */
START_TEST(recorder_does_not_read)
{
        static uint8_t report[AMB_HID_REPORT_MOST];
        struct uhid_event event;
        uint64_t begin;
        TestHID *device;
        int fd;

        world_begin();
        device = device_start(&fd, &event);
        recorder_start(fd);
        recorder_get(fd, 1, 99, 0);             /* its answer shows that the start has been seen */
        expect_get_reply(fd, 1, EINVAL, NULL, 0);
        begin = amb_time_now();
        for (int i = 0; i < 2000; i++)
                ck_assert_int_eq(post_report(device, report, sizeof(report)), kIOReturnSuccess);
        ck_assert_uint_lt(amb_time_now() - begin, 20000000000ull);
        device_stop(device, -1);
        close(fd);
        world_end();
}
END_TEST

/* Answers from another thread, while time limits run out and the device stops. */
static void *answer_all(void *context)
{
        IOHIDDevice *device = context;

        for (int i = 1; i <= 200; i++) {
                OSAction *action;

                signal_wait(&driver.asked, i);
                action = driver.kept;
                OSObject_release(driver.kept_memory);
                if (i % 3)
                        IOHIDDevice_CompleteReport(device, action, kIOReturnSuccess, 3);
                OSObject_release(action);
                if (i % 7 == 0)
                        usleep(1500);
                recorder_get(*(int *)driver.bytes, (uint32_t)i, UHID_FEATURE_REPORT, 0);
        }
        return NULL;
}

START_TEST(answers_race)
{
        struct uhid_event event;
        pthread_t thread;
        TestHID *device;
        int fd;

        world_begin();
        driver.time_limit_us = 1000;
        driver.manner = KEEP;
        device = device_start(&fd, &event);
        memcpy(driver.bytes, &fd, sizeof(fd));
        ck_assert_int_eq(pthread_create(&thread, NULL, answer_all, device), 0);
        recorder_get(fd, 0, UHID_FEATURE_REPORT, 0);
        /* Each has one answer, in whatever way. */
        for (uint32_t i = 0; i < 200; i++) {
                recorder_expect(fd, UHID_GET_REPORT_REPLY, &event);
                ck_assert_uint_eq(event.u.get_report_reply.id, i);
        }
        pthread_join(thread, NULL);
        signal_wait(&driver.asked, 201);
        ck_assert_int_eq(amb_invoke(device, IOService, Stop, NULL), kIOReturnSuccess);
        recorder_expect(fd, UHID_GET_REPORT_REPLY, &event);
        device_stop(device, fd);
        world_end();
}
END_TEST

/* --- without a recorder --- */

START_TEST(nowhere)
{
        TestHID *device = device_new();

        unsetenv("AMBIDEXT_HID_RECORDER");
        amb_hid_deny("this test says so");
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnSuccess);
        ck_assert_int_eq(post_report(device, "1234", 4), kIOReturnSuccess);
        device_stop(device, -1);
}
END_TEST

/* The kernel's own: a raw device appears with our name, a report comes out of it, a feature is asked for through it. */
START_TEST(kernel)
{
        TestHID *device;

        unsetenv("AMBIDEXT_HID_RECORDER");
        if (access("/dev/uhid", R_OK | W_OK) < 0) {
                fprintf(stderr, "skipped: /dev/uhid is not there, or not for this user: %s\n", strerror(errno));
                return;
        }
        device = device_new();
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnSuccess);
        ck_assert_int_eq(device->device.device.ivars->wire.way, AMB_HID_UHID);
        ck_assert_int_eq(post_report(device, "1234", 4), kIOReturnSuccess);
        device_stop(device, -1);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                description, without_a_description, does_not_start, freed_without_stop, input, input_waits_within_limits,
                set_report, get_report, output, time_limit, stop_answers, too_many_requests, breaks_the_rules, odd_records, any_records,
                recorder_ends, recorder_does_not_read, answers_race, nowhere, kernel,
        };

        return run_tests("hid-device", tests, AMB_ARRAY_LENGTH(tests));
}
