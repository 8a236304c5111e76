/* SPDX-License-Identifier: Apache-2.0 */
// Makes two game pads, presses buttons, and plays the system that they belong to.
#include <vector>

#include "client.h"
#include "../../../src/hid/test/recorder.h"

namespace {
enum { Create, Ready, Update, Rumbles };

uhid_event expect(int fd, uint32_t type)
{
        uhid_event event;

        recorder_expect(fd, type, &event);
        return event;
}

int expectPad(io_connect_t connect, int listener, uint64_t id, uint64_t vendor, uint64_t product)
{
        uint64_t ready = 0;
        uint32_t count = 1;
        int fd = recorder_accept(listener);

        uhid_event event = expect(fd, UHID_CREATE2);
        CHECK(strcmp((char *)event.u.create2.name, "Pad") == 0 && event.u.create2.bus == BUS_BLUETOOTH);
        CHECK(event.u.create2.vendor == vendor && event.u.create2.product == product && event.u.create2.version == 0x100);
        // Asked on the pad's own queue, so after its Start.
        CHECK_OK(IOConnectCallScalarMethod(connect, Ready, &id, 1, &ready, &count));
        CHECK(ready == 1);
        recorder_start(fd);
        return fd;
}

int makePad(io_connect_t connect, int listener, uint64_t id, uint64_t vendor)
{
        const uint64_t input[] = { id, vendor, 0x05c4 };

        CHECK_OK(IOConnectCallScalarMethod(connect, Create, input, 3, nullptr, nullptr));
        return expectPad(connect, listener, id, vendor, 0x05c4);
}

void press(io_connect_t connect, int fd, uint64_t id, uint64_t buttons, const char *report)
{
        const uint64_t input[] = { id, buttons, 10, 20 };

        CHECK_OK(IOConnectCallScalarMethod(connect, Update, input, 4, nullptr, nullptr));
        uhid_event event = expect(fd, UHID_INPUT2);
        CHECK(event.u.input2.size == 4 && memcmp(event.u.input2.data, report, 4) == 0);
}

void expectSet(int fd, uint32_t id, int error)
{
        uhid_event event = expect(fd, UHID_SET_REPORT_REPLY);

        CHECK(event.u.set_report_reply.id == id && event.u.set_report_reply.err == error);
}

void expectGet(int fd, uint32_t id, int error, const char *bytes, size_t size)
{
        uhid_event event = expect(fd, UHID_GET_REPORT_REPLY);

        CHECK(event.u.get_report_reply.id == id && event.u.get_report_reply.err == error);
        CHECK(event.u.get_report_reply.size == size && memcmp(event.u.get_report_reply.data, bytes, size) == 0);
}

void features(int fd)
{
        recorder_get(fd, 1, UHID_FEATURE_REPORT, 2);
        expectGet(fd, 1, 0, "\2calib!", 7);
        recorder_set(fd, 2, UHID_FEATURE_REPORT, 2, "\2fresh.", 7);
        expectSet(fd, 2, 0);
        recorder_get(fd, 3, UHID_FEATURE_REPORT, 2);
        expectGet(fd, 3, 0, "\2fresh.", 7);
        recorder_get(fd, 4, UHID_FEATURE_REPORT, 9);
        expectGet(fd, 4, EOPNOTSUPP, "", 0);
        recorder_set(fd, 5, UHID_FEATURE_REPORT, 2, "\2", 1);
        expectSet(fd, 5, EOPNOTSUPP);
}

void shake(io_connect_t connect, int fd)
{
        uint64_t rumbles = 0;
        uint32_t count = 1;

        recorder_output(fd, "\5\7", 2);
        recorder_set(fd, 6, UHID_OUTPUT_REPORT, 5, "\5\x09", 2);
        expectSet(fd, 6, 0);    // and so the one before has been seen
        CHECK_OK(IOConnectCallScalarMethod(connect, Rumbles, nullptr, 0, &rumbles, &count));
        CHECK(rumbles == 0x0709);
}

void properties()
{
        io_iterator_t iterator;
        std::vector<int> vendors;

        CHECK_OK(IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceMatching("AppleUserHIDDevice"), &iterator));
        while (io_service_t service = IOIteratorNext(iterator)) {
                CFTypeRef shakes = IORegistryEntryCreateCFProperty(service, CFSTR("Shakes"), kCFAllocatorDefault, 0);
                CFTypeRef vendor = IORegistryEntryCreateCFProperty(service, CFSTR("VendorID"), kCFAllocatorDefault, 0);
                CFTypeRef accelerates = IORegistryEntryCreateCFProperty(service, CFSTR("HIDSupportsPointerAcceleration"), nullptr, 0);
                int number = 0;

                CHECK(shakes == kCFBooleanTrue && accelerates == kCFBooleanFalse);
                CFRelease(accelerates);
                CHECK(vendor && CFNumberGetValue((CFNumberRef)vendor, kCFNumberIntType, &number));
                vendors.push_back(number);
                CFRelease(shakes);
                CFRelease(vendor);
                IOObjectRelease(service);
        }
        IOObjectRelease(iterator);
        CHECK(vendors.size() == 2 && vendors[0] + vendors[1] == 0x054c + 0x045e);
}

// The user client makes a pad while it is being started: once it begins with one, once it fails after all.
void beginWithPad(int listener)
{
        io_connect_t connect = client_open("GamepadRoot", 1), none = IO_OBJECT_NULL;
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("GamepadRoot"));
        io_iterator_t iterator;
        int fd = expectPad(connect, listener, 0, 0x0e6f, 0x0180);

        press(connect, fd, 0, 1, "\1\x0a\x14\x1f");
        CHECK_OK(IOServiceClose(connect));
        expect(fd, UHID_DESTROY);
        close(fd);

        CHECK(service != IO_OBJECT_NULL);
        CHECK_CODE(IOServiceOpen(service, mach_task_self(), 2, &none), kIOReturnNoDevice);
        CHECK_OK(IOServiceWaitQuiet(service, nullptr));
        CHECK_OK(IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceMatching("IOHIDDevice"), &iterator));
        CHECK(IOIteratorNext(iterator) == IO_OBJECT_NULL);
        CHECK_OK(IOObjectRelease(iterator));
        CHECK_OK(IOObjectRelease(service));
}
} // namespace

int main()
{
        const char *path = getenv("AMBIDEXT_HID_RECORDER");
        int listener = recorder_listen(path);
        io_connect_t connect = client_open("GamepadRoot", 0);
        int first = makePad(connect, listener, 1, 0x054c), second = makePad(connect, listener, 2, 0x045e);

        properties();
        press(connect, first, 1, 1, "\1\x0a\x14\x1f");
        press(connect, second, 2, 2, "\1\x0a\x14\x2f");
        press(connect, first, 1, 4, "\1\x0a\x14\x00");
        const uint64_t nobody[] = { 3, 0, 0, 0 };
        CHECK_CODE(IOConnectCallScalarMethod(connect, Update, nobody, 4, nullptr, nullptr), kIOReturnError);
        features(first);
        shake(connect, second);
        // A system that goes away takes nothing with it.
        close(first);
        const uint64_t still[] = { 1, 0, 0, 0 };
        CHECK_OK(IOConnectCallScalarMethod(connect, Update, still, 4, nullptr, nullptr));
        CHECK_OK(IOServiceClose(connect));
        expect(second, UHID_DESTROY);
        close(second);
        beginWithPad(listener);
        close(listener);
        unlink(path);
        puts("two pads: pressed, asked, shaken");
        return 0;
}
