/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices, with the kernel's own /dev/uhid: what programs find of them under /dev. Skipped where there is none, or not for this
 * user; tests/uhid/boot.py runs it in a machine that has one.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/hidraw.h>
#include <linux/input.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include <ambidext/hid.h>

#include "hid/test/device.h"

#define SKIPPED 77

/* --- what appears --- */

static bool is_raw(int fd)
{
        char name[128] = "";

        return ioctl(fd, HIDIOCGRAWNAME(sizeof(name)), name) > 0 && strcmp(name, "Maker Thing") == 0;
}

static bool is_input(int fd)
{
        char name[128] = "";

        return ioctl(fd, EVIOCGNAME(sizeof(name)), name) > 0 && strcmp(name, "Maker Thing") == 0;
}

/* A node of the directory that begins so and is ours; -1: not there yet. */
static int look_for(const char *directory, const char *begin, bool (*is_ours)(int fd))
{
        DIR *nodes = opendir(directory);
        struct dirent *node;
        int found = -1;

        while (nodes && found < 0 && (node = readdir(nodes))) {
                int fd = strncmp(node->d_name, begin, strlen(begin)) == 0 ?
                                 openat(dirfd(nodes), node->d_name, O_RDWR | O_CLOEXEC | O_NONBLOCK) : -1;

                if (fd >= 0 && is_ours(fd))
                        found = fd;
                else
                        amb_fd_close(fd);
        }
        if (nodes)
                closedir(nodes);
        return found;
}

/* Waits for it: for nodes that are made, and whose rights udev then changes. */
static int wait_for(const char *directory, const char *begin, bool (*is_ours)(int fd))
{
        int changes = inotify_init1(IN_CLOEXEC), fd;

        ck_assert_int_ge(inotify_add_watch(changes, "/dev", IN_CREATE | IN_ATTRIB), 0);
        while (inotify_add_watch(changes, directory, IN_CREATE | IN_ATTRIB) < 0 ||
               (fd = look_for(directory, begin, is_ours)) < 0) {
                char events[4096];

                ck_assert_int_gt(read(changes, events, sizeof(events)), 0);
        }
        close(changes);
        return fd;
}

/* The kernel may not listen yet: that somebody can open the device does not mean that its drivers have done with it. */
static int open_raw(void)
{
        return wait_for("/dev", "hidraw", is_raw);
}

static TestHID *kernel_device(const void *descriptor, size_t size, enum manner manner)
{
        TestHID *device = device_new();

        unsetenv("AMBIDEXT_HID_RECORDER");
        driver.descriptor = descriptor;
        driver.descriptor_size = size;
        driver.manner = manner;
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnSuccess);
        ck_assert_int_eq(device->device.device.ivars->wire.way, AMB_HID_UHID);
        return device;
}

static TestHID *plain_device(enum manner manner)
{
        return kernel_device(plain_descriptor, sizeof(plain_descriptor), manner);
}

static void expect_raw(int fd, const void *bytes, size_t size)
{
        static uint8_t got[AMB_HID_REPORT_MOST + 1];

        recorder_wait(fd);
        ck_assert_int_eq(read(fd, got, sizeof(got)), (ssize_t)size);
        ck_assert_mem_eq(got, bytes, size);
}

/* --- tests --- */

START_TEST(description)
{
        TestHID *device = plain_device(ANSWER);
        struct hidraw_report_descriptor descriptor = { .size = sizeof(plain_descriptor) };
        struct hidraw_devinfo info;
        char uniq[64] = "";
        int fd = open_raw();

        ck_assert_int_eq(ioctl(fd, HIDIOCGRAWINFO, &info), 0);
        ck_assert_uint_eq(info.bustype, BUS_USB);
        ck_assert_uint_eq((uint16_t)info.vendor, 0x16C0);
        ck_assert_uint_eq((uint16_t)info.product, 0x27DB);
        ck_assert_int_gt(ioctl(fd, HIDIOCGRAWUNIQ(sizeof(uniq)), uniq), 0);
        ck_assert_str_eq(uniq, "S-1");
        ck_assert_int_eq(ioctl(fd, HIDIOCGRDESC, &descriptor), 0);
        ck_assert_mem_eq(descriptor.value, plain_descriptor, sizeof(plain_descriptor));
        close(fd);
        device_stop(device, -1);
}
END_TEST

START_TEST(input)
{
        TestHID *device = plain_device(ANSWER);
        int fd = open_raw();

        for (int i = 0; i < 50; i++) {
                ck_assert_int_eq(post_input(device, &i, sizeof(i)), kIOReturnSuccess);
                expect_raw(fd, &i, sizeof(i));
        }
        close(fd);
        device_stop(device, -1);
}
END_TEST

/* The longest report that there can be, with its id. */
START_TEST(long_input)
{
        static const uint8_t descriptor[] = { 0x06, 0x00, 0xFF, 0x09, 0x01, 0xA1, 0x01, 0x85, 0x01, 0x75, 0x08, 0x96, 0xFF, 0x0F,
                                              0x09, 0x02, 0x81, 0x02, 0xC0 };
        static uint8_t bytes[AMB_HID_REPORT_MOST] = { 1, 2, [AMB_HID_REPORT_MOST - 1] = 9 };
        TestHID *device = kernel_device(descriptor, sizeof(descriptor), ANSWER);
        int fd = open_raw();

        ck_assert_int_eq(post_input(device, bytes, sizeof(bytes)), kIOReturnSuccess);
        expect_raw(fd, bytes, sizeof(bytes));
        close(fd);
        device_stop(device, -1);
}
END_TEST

START_TEST(output)
{
        TestHID *device = plain_device(ANSWER);
        int fd = open_raw();

        ck_assert_int_eq(write(fd, "\0\1\2", 3), 3);
        signal_wait(&driver.asked, 1);
        ck_assert_int_eq(driver.type, kIOHIDReportTypeOutput);
        ck_assert_uint_eq(driver.size, 2);
        ck_assert_mem_eq(driver.bytes, "\1\2", 2);
        close(fd);
        device_stop(device, -1);
}
END_TEST

START_TEST(features)
{
        TestHID *device = plain_device(ANSWER);
        uint8_t bytes[16] = { 0, 'x', 'y', 'z' };
        int fd = open_raw();

        ck_assert_int_eq(ioctl(fd, HIDIOCSFEATURE(4), bytes), 4);
        ck_assert_int_eq(driver.type, kIOHIDReportTypeFeature);
        ck_assert_uint_eq(driver.size, 3);
        ck_assert_mem_eq(driver.bytes, "xyz", 3);
        ck_assert_int_eq(ioctl(fd, HIDIOCGFEATURE(sizeof(bytes)), bytes), 4);
        ck_assert_mem_eq(bytes, "\0\x11\x22\x33", 4);
        driver.manner = REFUSE;
        ck_assert_int_eq(ioctl(fd, HIDIOCSFEATURE(4), bytes), -1);
        ck_assert_int_eq(errno, EIO);
        ck_assert_int_eq(ioctl(fd, HIDIOCGFEATURE(sizeof(bytes)), bytes), -1);
        ck_assert_int_eq(errno, EIO);
        /* What handleReport has said. */
        driver.manner = BASE;
        ck_assert_int_eq(post(device, kIOHIDReportTypeFeature, "now", 3), 0);
        bytes[0] = 0;
        ck_assert_int_eq(ioctl(fd, HIDIOCGFEATURE(sizeof(bytes)), bytes), 4);
        ck_assert_mem_eq(bytes, "\0now", 4);
        close(fd);
        device_stop(device, -1);
}
END_TEST

/* The driver does not answer: its limit does, before the kernel's own of 5 s; and the next request is another. */
START_TEST(limit)
{
        TestHID *device;
        uint8_t bytes[4] = { 0 };
        int fd;

        driver.time_limit_us = 20000;
        device = plain_device(KEEP);
        fd = open_raw();
        ck_assert_int_eq(ioctl(fd, HIDIOCGFEATURE(sizeof(bytes)), bytes), -1);
        ck_assert_int_eq(errno, EIO);
        IOHIDDevice_CompleteReport(&device->device.device, driver.kept, kIOReturnSuccess, 3);
        driver.manner = BASE;
        ck_assert_int_eq(post(device, kIOHIDReportTypeFeature, "now", 3), 0);
        ck_assert_int_eq(ioctl(fd, HIDIOCGFEATURE(sizeof(bytes)), bytes), 4);
        ck_assert_mem_eq(bytes, "\0now", 4);
        close(fd);
        device_stop(device, -1);
}
END_TEST

static void *ask(void *context)
{
        uint8_t bytes[4] = { 0 };

        return (void *)(intptr_t)ioctl(*(int *)context, HIDIOCGFEATURE(sizeof(bytes)), bytes);
}

/* Who waits for an answer gets one, and the device is gone under its reader. */
START_TEST(stop)
{
        TestHID *device = plain_device(KEEP);
        pthread_t asker;
        void *result;
        int fd = open_raw();

        ck_assert_int_eq(pthread_create(&asker, NULL, ask, &fd), 0);
        signal_wait(&driver.asked, 1);
        ck_assert_int_eq(amb_invoke(device, IOService, Stop, NULL), kIOReturnSuccess);
        pthread_join(asker, &result);
        ck_assert_int_eq((intptr_t)result, -1);
        ck_assert_int_eq(ioctl(fd, HIDIOCGRAWINFO, &(struct hidraw_devinfo){ 0 }), -1);
        close(fd);
        OSObject_release(driver.kept);
        OSObject_release(driver.kept_memory);
        device_stop(device, -1);
}
END_TEST

/* X and Y, a byte each. */
static const uint8_t stick[] = { 0x05, 0x01, 0x09, 0x04, 0xA1, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x00, 0x26, 0xFF, 0x00,
                                 0x75, 0x08, 0x95, 0x02, 0x81, 0x02, 0xC0 };

static int axis(int fd, int code)
{
        struct input_absinfo info;

        ck_assert_int_eq(ioctl(fd, EVIOCGABS(code), &info), 0);
        return info.value;
}

/* What has been posted before the kernel was ready is the device's state when somebody looks. */
START_TEST(early)
{
        TestHID *device = device_new();
        struct input_event event;
        int fd;

        unsetenv("AMBIDEXT_HID_RECORDER");
        driver.descriptor = stick;
        driver.descriptor_size = sizeof(stick);
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnSuccess);
        ck_assert_int_eq(post_input(device, "\x30\x40", 2), kIOReturnSuccess);
        fd = wait_for("/dev/input", "event", is_input);
        while (axis(fd, ABS_X) != 0x30 || axis(fd, ABS_Y) != 0x40) {
                recorder_wait(fd);
                ck_assert_int_gt(read(fd, &event, sizeof(event)), 0);
        }
        close(fd);
        device_stop(device, -1);
}
END_TEST

/* A report descriptor that is none to the kernel: a field of more than 256 bits. No device appears, and nothing waits for it. */
START_TEST(never_starts)
{
        static const uint8_t descriptor[] = { 0x06, 0x00, 0xFF, 0x09, 0x01, 0xA1, 0x01, 0x76, 0x2C, 0x01, 0x95, 0x01,
                                              0x81, 0x02, 0xC0 };
        TestHID *device = kernel_device(descriptor, sizeof(descriptor), ANSWER);

        for (int i = 0; i < 2 * AMB_HID_HELD_MOST; i++)
                ck_assert_int_eq(post_input(device, "1234", 4), kIOReturnSuccess);
        device_stop(device, -1);
}
END_TEST

/* Two descriptors are enough for any number of devices, one after the other; what was left unread in one is not the next one's. */
START_TEST(reserved)
{
        ck_assert_int_eq(amb_hid_reserve(2), 0);
        for (int i = 0; i < 10; i++) {
                TestHID *first = plain_device(ANSWER), *second = kernel_device(stick, sizeof(stick), ANSWER);
                int fd = open_raw();

                ck_assert_int_eq(write(fd, "\0\1\2", 3), 3);
                close(fd);
                device_stop(first, -1);
                device_stop(second, -1);
        }
}
END_TEST

int main(void)
{
        if (access("/dev/uhid", R_OK | W_OK) < 0) {
                fprintf(stderr, "skipped: /dev/uhid is not there, or not for this user: %s\n", strerror(errno));
                return SKIPPED;
        }
        return run_suite("hid-kernel", description, input, long_input, output, features, limit, stop, early, never_starts,
                         reserved);
}
