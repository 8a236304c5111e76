/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a rack in each of its ways, has slots made and taken away, and talks to the slots themselves. */
#include <CoreFoundation/CoreFoundation.h>
#include <string>
#include <unistd.h>

#include "client.h"
#include "create/Rack/RackProtocol.h"

static io_connect_t control;

static kern_return_t open_rack(uint32_t type, io_connect_t *connect)
{
    io_service_t rack = client_find("AcmeRack");
    *connect = IO_OBJECT_NULL;
    kern_return_t code = IOServiceOpen(rack, mach_task_self(), type, connect);
    CHECK((code == kIOReturnSuccess) == (*connect != IO_OBJECT_NULL));
    CHECK_OK(IOObjectRelease(rack));
    return code;
}

/* Between looks at what the driver tells nobody of; not for ever. */
static void look_again(int looks)
{
    CHECK(looks < 20000);
    usleep(1000);
}

/* The driver learns of the end of the last one when its Stop has run. */
static void open_control()
{
    kern_return_t code;
    for (int looks = 0; (code = open_rack(kRackClientTypeControl, &control)) == kIOReturnExclusiveAccess; looks++)
        look_again(looks);
    CHECK_OK(code);
}

static uint64_t counted(io_connect_t connect, unsigned int which)
{
    uint64_t out[3] = {};
    uint32_t count = 3;
    CHECK_OK(IOConnectCallScalarMethod(connect, kRackSlots, nullptr, 0, out, &count));
    CHECK(count == 3);
    return out[which];
}

static std::string slot_name(uint64_t number)
{
    return "RackSlot-" + std::to_string(number);
}

static bool is_there(uint64_t number)
{
    io_service_t slot = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching(slot_name(number).c_str()));
    if (slot != IO_OBJECT_NULL)
        IOObjectRelease(slot);
    return slot != IO_OBJECT_NULL;
}

static void came(void *, io_iterator_t services)
{
    while (io_service_t service = IOIteratorNext(services))
        IOObjectRelease(service);
    CFRunLoopStop(CFRunLoopGetCurrent());
}

/* Registering is asynchronous: somebody who has to know asks to be told. */
static void wait_for_slot(uint64_t number)
{
    IONotificationPortRef notify = IONotificationPortCreate(kIOMainPortDefault);
    io_iterator_t services = IO_OBJECT_NULL;

    CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(notify), kCFRunLoopDefaultMode);
    CHECK_OK(IOServiceAddMatchingNotification(notify, kIOFirstMatchNotification, IOServiceNameMatching(slot_name(number).c_str()),
                                              came, nullptr, &services));
    io_service_t there = IOIteratorNext(services);
    if (there == IO_OBJECT_NULL)
        CFRunLoopRun();
    else
        IOObjectRelease(there);
    IOObjectRelease(services);
    IONotificationPortDestroy(notify);
}

static void wait_quiet()
{
    mach_timespec_t patience = { 60, 0 };
    CHECK_OK(IOKitWaitQuiet(kIOMainPortDefault, &patience));
}

static void check_types()
{
    io_connect_t again, monitors[3];

    CHECK_OK(open_rack(kRackClientTypeControl, &control));
    CHECK_CODE(open_rack(kRackClientTypeControl, &again), kIOReturnExclusiveAccess);
    CHECK_CODE(open_rack(kRackClientTypeBroken, &again), kIOReturnUnsupported);
    CHECK_CODE(open_rack(kRackClientTypeMissing, &again), kIOReturnBadArgument);
    CHECK_CODE(open_rack(77, &again), kIOReturnError);

    for (auto &monitor : monitors)
        CHECK_OK(open_rack(kRackClientTypeMonitor, &monitor));
    CHECK(monitors[0] != monitors[1] && monitors[1] != monitors[2]);
    for (auto monitor : monitors) {
        uint64_t out;
        uint32_t count = 1;
        CHECK(counted(monitor, 0) == 2 && counted(monitor, 2) == 3);
        CHECK_CODE(IOConnectCallScalarMethod(monitor, kRackAddSlot, nullptr, 0, &out, &count), kIOReturnNotPermitted);
        CHECK_OK(IOServiceClose(monitor));
    }
    CHECK_OK(IOServiceClose(control));
    open_control();
}

static CFTypeRef property(const char *name, const char *key)
{
    io_service_t service = client_find(name);
    CFStringRef string = CFStringCreateWithCString(kCFAllocatorDefault, key, kCFStringEncodingUTF8);
    CFTypeRef value = IORegistryEntryCreateCFProperty(service, string, kCFAllocatorDefault, 0);
    CFRelease(string);
    IOObjectRelease(service);
    return value;
}

static int64_t number_property(const char *name, const char *key)
{
    CFTypeRef value = property(name, key);
    int64_t number = -1;
    CHECK(value && CFGetTypeID(value) == CFNumberGetTypeID());
    CHECK(CFNumberGetValue((CFNumberRef)value, kCFNumberSInt64Type, &number));
    CFRelease(value);
    return number;
}

static std::string string_property(const char *name, const char *key)
{
    CFTypeRef value = property(name, key);
    char text[256] = "";
    CHECK(value && CFGetTypeID(value) == CFStringGetTypeID());
    CHECK(CFStringGetCString((CFStringRef)value, text, sizeof(text), kCFStringEncodingUTF8));
    CFRelease(value);
    return text;
}

static void set_label(const std::string &label)
{
    CHECK_OK(IOConnectCallStructMethod(control, kRackSetLabel, label.data(), label.size(), nullptr, nullptr));
    std::string shown = label.substr(0, 63);
    CHECK(string_property("AcmeRack", "RackLabel") == shown);
    CHECK(number_property("AcmeRack", "RackLabelLength") == (int64_t)shown.size());
    CHECK(number_property("AcmeRack", "RackSlots") == 2);
    CFTypeRef labelled = property("AcmeRack", "RackLabelled");
    CHECK(labelled == (CFTypeRef)kCFBooleanTrue);
    CFRelease(labelled);
}

static void check_properties()
{
    CHECK_CODE(IOConnectCallScalarMethod(control, kRackCheckProperties, nullptr, 0, nullptr, nullptr), kIOReturnNotFound);
    set_label("by the door");
    set_label(std::string(100, 'x')); /* only 63 fit */
    CHECK_OK(IOConnectCallScalarMethod(control, kRackCheckProperties, nullptr, 0, nullptr, nullptr));
    CHECK(string_property("AcmeRack", "RackVendor") == "Acme Racks");
}

static void talk_to_slot(uint64_t number)
{
    std::string name = slot_name(number);
    io_connect_t connects[2];
    for (auto &connect : connects)
        connect = client_open(name.c_str(), 0);
    for (auto connect : connects) {
        uint64_t out[2] = {}, value = 100 + number;
        uint32_t count = 2;
        char vendor[64] = "";
        size_t size = sizeof(vendor);
        CHECK_OK(IOConnectCallScalarMethod(connect, kSlotNumber, nullptr, 0, out, &count));
        CHECK(out[0] == number && out[1] == 42);
        CHECK_OK(IOConnectCallScalarMethod(connect, kSlotStore, &value, 1, nullptr, nullptr));
        CHECK(number_property(name.c_str(), "SlotValue") == (int64_t)value && string_property(name.c_str(), "SlotState") == "used");
        CHECK_OK(IOConnectCallStructMethod(connect, kSlotVendor, nullptr, 0, vendor, &size));
        CHECK(strcmp(vendor, "Acme Racks") == 0 && size == strlen(vendor) + 1);
        CHECK_CODE(IOConnectCallScalarMethod(connect, kSlotSelectorCount, nullptr, 0, nullptr, nullptr), kIOReturnUnsupported);
        CHECK_OK(IOServiceClose(connect));
    }
}

static void check_slots()
{
    uint64_t number = 0;
    uint32_t count = 1;

    CHECK(is_there(0) && is_there(1) && !is_there(2));
    talk_to_slot(0);
    talk_to_slot(1);
    CHECK_OK(IOConnectCallScalarMethod(control, kRackAddSlot, nullptr, 0, &number, &count));
    CHECK(number == 2);
    wait_for_slot(2);
    CHECK(is_there(2));
    talk_to_slot(2);
    CHECK(counted(control, 0) == 3 && counted(control, 1) == 3);

    /* Taken away while somebody has it open. */
    io_connect_t orphan = client_open("RackSlot-1", 0);
    uint64_t one = 1;
    CHECK_OK(IOConnectCallScalarMethod(control, kRackRemoveSlot, &one, 1, nullptr, nullptr));
    wait_quiet();
    CHECK(is_there(0) && !is_there(1) && is_there(2));
    CHECK(IOConnectCallScalarMethod(orphan, kSlotStore, &one, 1, nullptr, nullptr) != kIOReturnSuccess);
    IOServiceClose(orphan);
    CHECK_CODE(IOConnectCallScalarMethod(control, kRackRemoveSlot, &one, 1, nullptr, nullptr), kIOReturnNotFound);
    CHECK(counted(control, 0) == 2);
    for (int looks = 0; counted(control, 1) != 2; looks++) /* the last reference goes with the connection's end */
        look_again(looks);
    talk_to_slot(2);
}

/* The driver ends the connection: calls fail, and the next one may come. */
static void check_hang_up()
{
    CHECK_OK(IOConnectCallScalarMethod(control, kRackHangUp, nullptr, 0, nullptr, nullptr));
    wait_quiet();
    CHECK(IOConnectCallScalarMethod(control, kRackCheckProperties, nullptr, 0, nullptr, nullptr) != kIOReturnSuccess);
    IOServiceClose(control);
    open_control();
    CHECK(counted(control, 0) == 2);
    CHECK_OK(IOServiceClose(control));
}

int main()
{
    check_types();
    check_properties();
    check_slots();
    check_hang_up();
    printf("the rack and its slots are as they should be\n");
    return 0;
}
