/* SPDX-License-Identifier: Apache-2.0 */
/* Devices, from description to end, and the input reports that they send; a recorder in the same process plays the kernel. */
#include <ambidext/hid.h>

#include "hid/test/device.h"

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
        ck_assert_uint_eq(event.u.create2.rd_size, sizeof(plain_descriptor));
        ck_assert_mem_eq(event.u.create2.rd_data, plain_descriptor, sizeof(plain_descriptor));
        ck_assert_int_eq(IOService_CopyProperties((IOService *)device, &properties), 0);
        ck_assert_str_eq(OSDictionaryGetStringValue(properties, kIOHIDProductKey), "Thing");
        data = OSDynamicCast(OSData, OSDictionaryGetValue(properties, kIOHIDReportDescriptorKey));
        ck_assert_uint_eq(OSDataGetLength(data), sizeof(plain_descriptor));
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
        static const size_t sizes[] = { 2, sizeof(rubbish), 0 };
        TestHID *device = device_new();

        world_begin();
        driver.refuse_start = true;
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnError);
        driver.refuse_start = false;
        driver.no_descriptor = true;
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnNotReady);
        driver.no_descriptor = false;
        driver.descriptor = rubbish;
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(sizes); i++) {
                driver.descriptor_size = sizes[i];
                ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnBadArgument);
        }
        driver.descriptor = plain_descriptor;
        driver.descriptor_size = sizeof(plain_descriptor);
        ck_assert_int_eq(setenv("AMBIDEXT_HID_RECORDER", "/nobody/listens/here", 1), 0);
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnDeviceError);
        ck_assert_int_eq(post_input(device, "1234", 4), kIOReturnNotReady);
        ck_assert_int_eq(post(device, kIOHIDReportTypeFeature, "123", 3), kIOReturnNotReady);
        OSObject_release(device);
        world_end();
}
END_TEST

/* A driver that is thrown away without a Stop takes its device along. */
START_TEST(freed_without_stop)
{
        struct bench b = bench_begin(ANSWER);
        struct uhid_event event;

        device_end(b.device);
        recorder_expect(b.fd, UHID_DESTROY, &event);
        ck_assert_uint_eq(recorder_read(b.fd, &event), 0);
        close(b.fd);
        world_end();
}
END_TEST

START_TEST(nowhere)
{
        TestHID *device = device_new();

        unsetenv("AMBIDEXT_HID_RECORDER");
        amb_hid_deny("this test says so");
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnSuccess);
        ck_assert_int_eq(post_input(device, "1234", 4), kIOReturnSuccess);
        device_stop(device, -1);
}
END_TEST

/* --- input --- */

/* The kernel does not listen yet: they wait, in their order. */
START_TEST(input_before_the_start)
{
        struct uhid_event event;
        TestHID *device;
        int fd;

        world_begin();
        device = device_start(&fd, &event);
        ck_assert_int_eq(post_input(device, "1111", 4), 0);
        ck_assert_int_eq(post_input(device, "2222", 4), 0);
        recorder_start(fd);
        expect_input(fd, "1111", 4);
        expect_input(fd, "2222", 4);
        ck_assert_int_eq(post_input(device, "3333", 4), 0);
        expect_input(fd, "3333", 4);
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
                ck_assert_int_eq(post_input(device, &i, sizeof(i)), 0);
        recorder_start(fd);
        for (i = 3; i < AMB_HID_HELD_MOST + 3; i++)
                expect_input(fd, &i, sizeof(i));
        device_stop(device, fd);
        world_end();
}
END_TEST

START_TEST(parts_of_memory)
{
        static uint8_t zeros[AMB_HID_REPORT_MOST + 1];
        IOMemoryDescriptor *memory = memory_of("abcd", 4), *big = memory_of(zeros, sizeof(zeros));
        struct bench b = bench_begin(ANSWER);

        ck_assert_int_eq(handle(b.device, memory, 2, kIOHIDReportTypeInput), 0);
        expect_input(b.fd, "ab", 2);
        ck_assert_int_eq(handle(b.device, memory, 5, kIOHIDReportTypeInput), kIOReturnBadArgument);
        ck_assert_int_eq(handle(b.device, memory, 0, kIOHIDReportTypeInput), kIOReturnBadArgument);
        ck_assert_int_eq(handle(b.device, NULL, 4, kIOHIDReportTypeInput), kIOReturnBadArgument);
        ck_assert_int_eq(handle(b.device, memory, 4, kIOHIDReportTypeCount), kIOReturnUnsupported);
        ck_assert_int_eq(handle(b.device, big, sizeof(zeros), kIOHIDReportTypeInput), kIOReturnMessageTooLarge);
        ck_assert_int_eq(handle(b.device, big, AMB_HID_REPORT_MOST, kIOHIDReportTypeInput), 0);
        expect_input(b.fd, zeros, AMB_HID_REPORT_MOST);
        OSObject_release(big);
        OSObject_release(memory);
        bench_end(&b);
}
END_TEST

START_TEST(input_after_the_stop)
{
        struct bench b = bench_begin(ANSWER);

        ck_assert_int_eq(amb_invoke(b.device, IOService, Stop, NULL), kIOReturnSuccess);
        ck_assert_int_eq(post_input(b.device, "1234", 4), kIOReturnNotReady);
        bench_end(&b);
}
END_TEST

int main(void)
{
        return run_suite("hid-device", description, without_a_description, does_not_start, freed_without_stop, nowhere,
                         input_before_the_start, input_waits_within_limits, parts_of_memory, input_after_the_stop);
}
