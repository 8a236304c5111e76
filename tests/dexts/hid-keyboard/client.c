/* SPDX-License-Identifier: Apache-2.0 */
/* Asks for a keyboard, types on it, and plays the system that sees it: what the driver says and what it is told. */
#include "client.h"
#include "../../../src/hid/test/recorder.h"

enum { INITIALIZE, TERMINATE, READY, POST_REPORT, RESET };

static void expect_input(int fd, const void *bytes, size_t size)
{
        struct uhid_event event;

        recorder_expect(fd, UHID_INPUT2, &event);
        CHECK(event.u.input2.size == size && memcmp(event.u.input2.data, bytes, size) == 0);
}

/* What reset posts: no key is pressed. */
static void expect_released(int fd)
{
        expect_input(fd, "\1\0\0\0\0\0\0\0", 8);
        expect_input(fd, "\2\0\0", 3);
}

static int make_keyboard(io_connect_t connect, int listener)
{
        uint64_t country = 33, ready = 0;
        uint32_t count = 1;
        struct uhid_event event;
        int fd;

        CHECK_OK(IOConnectCallScalarMethod(connect, INITIALIZE, &country, 1, NULL, NULL));
        CHECK_CODE(IOConnectCallScalarMethod(connect, INITIALIZE, &country, 1, NULL, NULL), kIOReturnError);
        fd = recorder_accept(listener);
        recorder_expect(fd, UHID_CREATE2, &event);
        CHECK(strcmp((char *)event.u.create2.name, "ambidext.org virtual keyboard") == 0);
        CHECK(strcmp((char *)event.u.create2.uniq, "ambidext.org:keyboard") == 0);
        CHECK(event.u.create2.vendor == 0x16c0 && event.u.create2.product == 0x27db && event.u.create2.country == 33);
        CHECK(event.u.create2.rd_size > 60 && event.u.create2.rd_data[3] == 6);
        CHECK_OK(IOConnectCallScalarMethod(connect, READY, NULL, 0, &ready, &count));
        CHECK(ready == 1);
        CHECK_OK(IOConnectCallScalarMethod(connect, RESET, NULL, 0, NULL, NULL));
        return fd;
}

/* What programs find of it in the registry, once a method of the keyboard's own has run, which comes after its Start. */
static void check_service(void)
{
        io_service_t service = IO_OBJECT_NULL;
        CFTypeRef property;
        int number = 0;

        service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOHIDDevice"));
        CHECK(service != IO_OBJECT_NULL);
        property = IORegistryEntryCreateCFProperty(service, CFSTR("VendorID"), kCFAllocatorDefault, 0);
        CHECK(property && CFNumberGetValue((CFNumberRef)property, kCFNumberIntType, &number) && number == 0x16c0);
        CFRelease(property);
        property = IORegistryEntryCreateCFProperty(service, CFSTR("MaxInputReportSize"), kCFAllocatorDefault, 0);
        CHECK(property && CFNumberGetValue((CFNumberRef)property, kCFNumberIntType, &number) && number == 8);
        CFRelease(property);
        CHECK_OK(IOObjectRelease(service));
}

static void type(io_connect_t connect, int fd)
{
        uint8_t a[8] = { 1, 0x02, 4 }, big[16] = { 1 };

        /* Before the system listens, and after it. */
        CHECK_OK(IOConnectCallStructMethod(connect, POST_REPORT, a, sizeof(a), NULL, NULL));
        recorder_start(fd);
        expect_released(fd);
        expect_input(fd, a, sizeof(a));
        memset(a + 1, 0, sizeof(a) - 1);
        CHECK_OK(IOConnectCallStructMethod(connect, POST_REPORT, a, sizeof(a), NULL, NULL));
        expect_input(fd, a, sizeof(a));
        CHECK_OK(IOConnectCallStructMethod(connect, POST_REPORT, big, sizeof(big), NULL, NULL));
        expect_input(fd, big, sizeof(big));
        CHECK_CODE(IOConnectCallStructMethod(connect, POST_REPORT, NULL, 0, NULL, NULL), kIOReturnBadArgument);
        CHECK_OK(IOConnectCallScalarMethod(connect, RESET, NULL, 0, NULL, NULL));
        expect_released(fd);
}

/* A report that is too long for one: it comes as the application's memory, which the driver hands on. */
static void too_long(io_connect_t connect)
{
        static uint8_t much[5000];

        CHECK_CODE(IOConnectCallStructMethod(connect, POST_REPORT, much, sizeof(much), NULL, NULL), kIOReturnMessageTooLarge);
}

static void expect_set_reply(int fd, uint32_t id, int error)
{
        struct uhid_event event;

        recorder_expect(fd, UHID_SET_REPORT_REPLY, &event);
        CHECK(event.u.set_report_reply.id == id && event.u.set_report_reply.err == error);
}

/* The system switches a lamp on; the driver says so in a report of its own. */
static void lamps(int fd)
{
        struct uhid_event event;

        recorder_output(fd, "\5\2", 2);
        expect_input(fd, "\6\2", 2);
        recorder_set(fd, 7, UHID_OUTPUT_REPORT, 5, "\5\3", 2);
        expect_input(fd, "\6\3", 2);
        expect_set_reply(fd, 7, 0);
        recorder_set(fd, 8, UHID_OUTPUT_REPORT, 5, "\5\3", 2);          /* as it was */
        expect_set_reply(fd, 8, 0);
        recorder_set(fd, 9, UHID_OUTPUT_REPORT, 9, "\11\3", 2);
        expect_set_reply(fd, 9, EOPNOTSUPP);
        recorder_set(fd, 10, UHID_OUTPUT_REPORT, 5, "\5", 1);
        expect_set_reply(fd, 10, EINVAL);
        /* It has no getReport of its own. */
        recorder_get(fd, 11, UHID_FEATURE_REPORT, 1);
        recorder_expect(fd, UHID_GET_REPORT_REPLY, &event);
        CHECK(event.u.get_report_reply.id == 11 && event.u.get_report_reply.err == EOPNOTSUPP);
}

static void expect_end(int fd)
{
        struct uhid_event event;

        recorder_expect(fd, UHID_DESTROY, &event);
        CHECK(recorder_read(fd, &event) == 0);
        close(fd);
}

int main(void)
{
        const char *path = getenv("AMBIDEXT_HID_RECORDER");
        int listener = recorder_listen(path), fd;
        io_connect_t connect = client_open("org_ambidext_VirtualKeyboardRoot", 0);

        CHECK_CODE(IOConnectCallScalarMethod(connect, RESET, NULL, 0, NULL, NULL), kIOReturnError);
        fd = make_keyboard(connect, listener);
        check_service();
        type(connect, fd);
        too_long(connect);
        lamps(fd);
        /* Ended on request; another one; that ends with the connection. */
        CHECK_OK(IOConnectCallScalarMethod(connect, TERMINATE, NULL, 0, NULL, NULL));
        expect_end(fd);
        fd = make_keyboard(connect, listener);
        type(connect, fd);
        CHECK_OK(IOServiceClose(connect));
        expect_end(fd);
        close(listener);
        unlink(path);
        puts("typed, switched lamps on, ended twice");
        return 0;
}
