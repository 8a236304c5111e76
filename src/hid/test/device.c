/* SPDX-License-Identifier: Apache-2.0 */
#include "hid/test/device.h"

/* --- the driver --- */

const uint8_t plain_descriptor[22] = { 0x06, 0x00, 0xFF, 0x09, 0x01, 0xA1, 0x01, 0x75, 0x08, 0x95, 0x04, 0x81, 0x02,
                                       0x95, 0x02, 0x91, 0x02, 0x95, 0x03, 0xB1, 0x02, 0xC0 };

struct driver driver = {
        .asked = SIGNAL_INIT, .freed = SIGNAL_INIT, .descriptor = plain_descriptor, .descriptor_size = sizeof(plain_descriptor),
};

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

        driver.asked_at = amb_time_now();
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
        if (driver.manner == BASE)
                return IOHIDDevice_getReport(self, report, type, options, limit, action);
        return deal_with(self, report, type, options, limit, action, true);
}

static kern_return_t test_set(IOHIDDevice *self, IOMemoryDescriptor *report, IOHIDReportType type, IOOptionBits options,
                              uint32_t limit, OSAction *action)
{
        if (driver.manner == BASE)
                return IOHIDDevice_setReport(self, report, type, options, limit, action);
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

void world_begin(void)
{
        snprintf(path, sizeof(path), "/tmp/ambidext-test-hid.%d", getpid());
        unlink(path);
        listener = recorder_listen(path);
        ck_assert_int_eq(setenv("AMBIDEXT_HID_RECORDER", path, 1), 0);
}

void world_end(void)
{
        close(listener);
        unlink(path);
        OSObject_release(driver.kept);
        OSObject_release(driver.kept_memory);
}

int world_accept(void)
{
        return recorder_accept(listener);
}

TestHID *device_new(void)
{
        TestHID *device = (TestHID *)amb_object_new(OSTypeID(TestHID));

        ck_assert_ptr_nonnull(device);
        return device;
}

TestHID *device_start(int *ret_fd, struct uhid_event *ret_create)
{
        TestHID *device = device_new();

        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnSuccess);
        *ret_fd = world_accept();
        recorder_expect(*ret_fd, UHID_CREATE2, ret_create);
        return device;
}

void device_end(TestHID *device)
{
        int before = signal_count(&driver.freed);

        OSObject_release(device);
        signal_wait(&driver.freed, before + 1);
}

void device_stop(TestHID *device, int fd)
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

struct bench bench_begin(enum manner manner)
{
        struct uhid_event event;
        struct bench bench;

        driver.manner = manner;
        world_begin();
        bench.device = device_start(&bench.fd, &event);
        bench.hid = &bench.device->device.device;
        recorder_start(bench.fd);
        return bench;
}

void bench_end(struct bench *bench)
{
        device_stop(bench->device, bench->fd);
        world_end();
}

/* --- reports --- */

IOMemoryDescriptor *memory_of(const void *bytes, size_t size)
{
        IOBufferMemoryDescriptor *memory;
        IOAddressSegment range;

        ck_assert_int_eq(IOBufferMemoryDescriptor_Create(kIOMemoryDirectionOut, size, 0, &memory), 0);
        ck_assert_int_eq(IOBufferMemoryDescriptor_GetAddressRange(memory, &range), 0);
        memcpy((void *)(uintptr_t)range.address, bytes, size);
        return &memory->descriptor;
}

kern_return_t handle(TestHID *device, IOMemoryDescriptor *memory, uint32_t length, IOHIDReportType type)
{
        return amb_invoke(device, IOHIDDevice, handleReport, mach_absolute_time(), memory, length, type, 0);
}

kern_return_t post(TestHID *device, IOHIDReportType type, const void *bytes, size_t size)
{
        IOMemoryDescriptor *memory = memory_of(bytes, size);
        kern_return_t code = handle(device, memory, (uint32_t)size, type);

        OSObject_release(memory);
        return code;
}

kern_return_t post_input(TestHID *device, const void *bytes, size_t size)
{
        return post(device, kIOHIDReportTypeInput, bytes, size);
}

void expect_input(int fd, const void *bytes, size_t size)
{
        struct uhid_event event;

        recorder_expect(fd, UHID_INPUT2, &event);
        ck_assert_uint_eq(event.u.input2.size, size);
        ck_assert_mem_eq(event.u.input2.data, bytes, size);
}

void expect_set_reply(int fd, uint32_t id, int error)
{
        struct uhid_event event;

        recorder_expect(fd, UHID_SET_REPORT_REPLY, &event);
        ck_assert_uint_eq(event.u.set_report_reply.id, id);
        ck_assert_int_eq(event.u.set_report_reply.err, error);
}

void expect_get_reply(int fd, uint32_t id, int error, const void *bytes, size_t size)
{
        struct uhid_event event;

        recorder_expect(fd, UHID_GET_REPORT_REPLY, &event);
        ck_assert_uint_eq(event.u.get_report_reply.id, id);
        ck_assert_int_eq(event.u.get_report_reply.err, error);
        ck_assert_uint_eq(event.u.get_report_reply.size, size);
        if (size > 0)
                ck_assert_mem_eq(event.u.get_report_reply.data, bytes, size);
}

static uint32_t last_id = 1000;

void ask_set(struct bench *bench, uint8_t type, uint8_t report, const void *bytes, size_t size, int error)
{
        recorder_set(bench->fd, ++last_id, type, report, bytes, size);
        expect_set_reply(bench->fd, last_id, error);
}

void ask_get(struct bench *bench, uint8_t type, uint8_t report, int error, const void *bytes, size_t size)
{
        recorder_get(bench->fd, ++last_id, type, report);
        expect_get_reply(bench->fd, last_id, error, bytes, size);
}
