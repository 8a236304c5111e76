/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/timerfd.h>
#include <time.h>

#include <DriverKit/IOMemoryMap.h>
#include <ambidext/remote.h>

#include "hid/bound.h"
#include "hid/device.h"

/* --- the object --- */

AMB_EXPORT bool IOHIDDevice_init(OSObject *object)
{
        IOHIDDevice *self = (IOHIDDevice *)object;
        struct IOHIDDevice_ivars *d;

        if (!IOService_init(object))
                return false;
        d = self->ivars = calloc(1, sizeof(*d));
        if (!d)
                return false;
        pthread_mutex_init(&d->lock, NULL);
        amb_list_init(&d->held);
        amb_list_init(&d->requests);
        amb_list_init(&d->states);
        amb_hid_wire_init(&d->wire);
        d->timer_fd = d->room_fd = -1;
        return true;
}

AMB_EXPORT void IOHIDDevice_free(OSObject *object)
{
        IOHIDDevice *self = (IOHIDDevice *)object;

        if (self->ivars) {
                /* Off the polls' lists before anything else: object/alive.h. */
                amb_hid_device_close(self);
                amb_hid_states_free(self->ivars);
                pthread_mutex_destroy(&self->ivars->lock);
                free(self->ivars);
        }
        IOService_free(object);
}

static const struct amb_method device_methods[] = {
        AMB_OVERRIDE(OSObject, init, IOHIDDevice_init),
        AMB_OVERRIDE(OSObject, free, IOHIDDevice_free),
        AMB_OVERRIDE(IOHIDDevice, handleReport, IOHIDDevice_handleReport),
        AMB_OVERRIDE(IOHIDDevice, getReport, IOHIDDevice_getReport),
        AMB_OVERRIDE(IOHIDDevice, setReport, IOHIDDevice_setReport),
        AMB_OVERRIDE(IOHIDDevice, setProperty, IOHIDDevice_setProperty),
        AMB_METHODS_END,
};

AMB_EXPORT const OSMetaClass gIOHIDDeviceMetaClass = {
        "IOHIDDevice", &gIOServiceMetaClass, sizeof(IOHIDDevice), device_methods, AMB_SKIN_PLACE,
};

AMB_EXPORT kern_return_t IOHIDDevice_getReport(IOHIDDevice *self, IOMemoryDescriptor *report, IOHIDReportType reportType,
                                               IOOptionBits options, uint32_t completionTimeout, OSAction *action)
{
        uint8_t bytes[AMB_HID_REPORT_MOST];
        uint32_t size = amb_hid_state_get(self->ivars, reportType, (uint8_t)options, bytes, sizeof(bytes));
        IOMemoryMap *map;
        uint64_t length;
        kern_return_t code;

        if (size == 0)
                return kIOReturnUnsupported;
        if (!report)
                return kIOReturnBadArgument;
        code = IOMemoryDescriptor_CreateMapping(report, 0, 0, 0, 0, 0, &map);
        if (code != kIOReturnSuccess)
                return code;
        length = IOMemoryMap_GetLength(map);
        if (size > length)
                size = (uint32_t)length;
        memcpy((void *)(uintptr_t)IOMemoryMap_GetAddress(map), bytes, size);
        OSObject_release(map);
        IOHIDDevice_CompleteReport(self, action, kIOReturnSuccess, size);
        return kIOReturnSuccess;
}

AMB_EXPORT kern_return_t IOHIDDevice_setReport(IOHIDDevice *self, IOMemoryDescriptor *report, IOHIDReportType reportType,
                                               IOOptionBits options, uint32_t completionTimeout, OSAction *action)
{
        return kIOReturnUnsupported;
}

AMB_EXPORT void IOHIDDevice_setProperty(IOHIDDevice *self, OSObject *key, OSObject *value)
{
        OSString *name = OSDynamicCast(OSString, key);
        OSDictionary *properties = name && value ? OSDictionaryCreate() : NULL;
        kern_return_t code = kIOReturnNoMemory;

        if (properties && OSDictionarySetValue(properties, OSStringGetStringPtr(name), value))
                code = IOService_SetProperties(&self->service, properties);
        OSObject_release(properties);
        if (name && value && code != kIOReturnSuccess)
                amb_log(AMB_LOG_WARNING, "%s: property %s cannot be set: 0x%08x", OSObject_GetClassName(self),
                        OSStringGetStringPtr(name), (unsigned int)code);
}

void amb_hid_device_arm(struct IOHIDDevice_ivars *d)
{
        uint64_t due = amb_hid_requests_due(d);
        struct itimerspec at = { 0 };

        if (d->listens_at && (due == 0 || d->listens_at < due))
                due = d->listens_at;
        at.it_value.tv_sec = (time_t)(due / 1000000000u);
        at.it_value.tv_nsec = (long)(due % 1000000000u);
        if (d->timer_fd >= 0)
                timerfd_settime(d->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* --- to the system --- */

/* Under the lock. Never waits. */
static int send_record(struct IOHIDDevice_ivars *d, const struct uhid_event *event, size_t size)
{
        int r = amb_hid_wire_send(&d->wire, event, size);

        if (amb_hid_wire_has_unsent(&d->wire))
                amb_poll_watch_room(&d->room);
        return r;
}

void amb_hid_device_answer(struct IOHIDDevice_ivars *d, const struct uhid_event *event, size_t size)
{
        int r = send_record(d, event, size);

        if (r < 0)
                amb_log(AMB_LOG_WARNING, "HID device \"%s\": the kernel does not take an answer: %s", d->name, strerror(-r));
}

/* Under the lock. */
static int send_input(struct IOHIDDevice_ivars *d, const void *bytes, uint32_t size)
{
        struct uhid_event event = { .type = UHID_INPUT2, .u.input2.size = (uint16_t)size };

        memcpy(event.u.input2.data, bytes, size);
        return send_record(d, &event, AMB_HID_INPUT_SIZE(size));
}

/* Under the lock. The kernel would lose it: keep it until it has started the device; beyond the limit the oldest goes. */
static kern_return_t hold_input(struct IOHIDDevice_ivars *d, const void *bytes, uint32_t size)
{
        struct amb_hid_held *held = malloc(sizeof(*held) + size);

        if (!held)
                return kIOReturnNoMemory;
        held->size = size;
        memcpy(held->bytes, bytes, size);
        if (d->held_count == AMB_HID_HELD_MOST) {
                struct amb_hid_held *oldest = amb_list_first(&d->held, struct amb_hid_held, link);

                amb_link_remove(&oldest->link);
                free(oldest);
                d->held_count--;
                if (!d->dropped)
                        amb_log(AMB_LOG_NOTICE, "HID device \"%s\": the kernel has not started it yet, and more than %d reports "
                                "wait: the oldest go. If it never does, its own log (dmesg) says what is wrong with the report "
                                "descriptor", d->name, AMB_HID_HELD_MOST);
                d->dropped = true;
        }
        amb_list_append(&d->held, &held->link);
        d->held_count++;
        return kIOReturnSuccess;
}

/* Under the lock. */
static void held_end(struct IOHIDDevice_ivars *d, bool send)
{
        struct amb_hid_held *held;

        while ((held = amb_list_first(&d->held, struct amb_hid_held, link))) {
                if (send)
                        send_input(d, held->bytes, held->size);
                amb_link_remove(&held->link);
                free(held);
        }
        d->held_count = 0;
}

static kern_return_t take_input(struct IOHIDDevice_ivars *d, const void *bytes, uint32_t size)
{
        kern_return_t code = kIOReturnSuccess;

        pthread_mutex_lock(&d->lock);
        if (!d->started)
                code = kIOReturnNotReady;
        else if (d->wire.way != AMB_HID_NOWHERE && !d->listens)
                code = hold_input(d, bytes, size);
        else if (send_input(d, bytes, size) < 0)
                code = kIOReturnDeviceError;
        pthread_mutex_unlock(&d->lock);
        return code;
}

AMB_EXPORT kern_return_t IOHIDDevice_handleReport(IOHIDDevice *self, uint64_t timestamp, IOMemoryDescriptor *report,
                                                  uint32_t reportLength, IOHIDReportType reportType, IOOptionBits options)
{
        uint8_t bytes[AMB_HID_REPORT_MOST];
        IOMemoryMap *map;
        uint64_t length;
        kern_return_t code;

        if (!report || reportLength == 0 || IOMemoryDescriptor_GetLength(report, &length) != kIOReturnSuccess ||
            reportLength > length)
                return kIOReturnBadArgument;
        if ((unsigned int)reportType >= kIOHIDReportTypeCount)
                return kIOReturnUnsupported;
        if (reportLength > sizeof(bytes))
                return kIOReturnMessageTooLarge;
        code = IOMemoryDescriptor_CreateMapping(report, kIOMemoryMapReadOnly, 0, 0, reportLength, 0, &map);
        if (code != kIOReturnSuccess)
                return code;
        /* The driver or an application may go on writing there. */
        memcpy(bytes, (const void *)(uintptr_t)IOMemoryMap_GetAddress(map), reportLength);
        OSObject_release(map);
        if (reportType != kIOHIDReportTypeInput)
                return amb_hid_state_set(self->ivars, reportType, bytes, reportLength);
        return take_input(self->ivars, bytes, reportLength);
}

/* --- from the system --- */

struct posted {
        IOHIDDevice *device;            /* which the post holds */
        bool ran;                       /* else the queue has been cancelled */
        struct uhid_event event;
};

static void run_posted(void *context)
{
        struct posted *p = context;

        p->ran = true;
        amb_hid_request_run(p->device, &p->event);
}

/* Worked off, or never: now the next one. */
static void end_posted(void *context)
{
        struct posted *p = context;
        IOHIDDevice *device = p->device;

        if (!p->ran)
                amb_hid_request_refuse(device, &p->event, kIOReturnAborted);
        free(p);
        pthread_mutex_lock(&device->ivars->lock);
        if (device->ivars->started)
                amb_poll_watch(&device->ivars->events);
        pthread_mutex_unlock(&device->ivars->lock);
}

/* Without the lock: the post may run what it gets at once. False: the next event may be read now. */
static bool post(IOHIDDevice *device, const struct uhid_event *event)
{
        struct posted *p = malloc(sizeof(*p));

        if (!p) {
                amb_log(AMB_LOG_ERROR, "HID device \"%s\": no memory for what the system asks", device->ivars->name);
                return false;
        }
        p->device = device;
        p->ran = false;
        p->event = *event;
        amb_method_post((OSObject *)device, IOHIDDevice_setReport_ID, p, run_posted, end_posted);
        return true;
}

/* Under the lock. */
static void kernel_listens(struct IOHIDDevice_ivars *d, bool listens)
{
        d->listens = listens;
        d->listens_at = 0;
        amb_poll_remove(&d->bound);
        amb_hid_bound_end(d->wire.bound_fd);
        if (listens)
                held_end(d, true);
}

/* The kernel's driver has taken the device on. */
static void on_bound(OSObject *object)
{
        struct IOHIDDevice_ivars *d = ((IOHIDDevice *)object)->ivars;

        pthread_mutex_lock(&d->lock);
        if (d->started && d->listens_at) {
                if (amb_hid_bound_seen(d->wire.bound_fd, d->phys))
                        kernel_listens(d, true);
                else
                        amb_poll_watch(&d->bound);
        }
        pthread_mutex_unlock(&d->lock);
}

/* Under the lock. A recorder listens when it says so; the kernel's driver has just begun. */
static void kernel_starts(IOHIDDevice *self)
{
        struct IOHIDDevice_ivars *d = self->ivars;

        if (d->wire.way == AMB_HID_RECORDER) {
                kernel_listens(d, true);
                return;
        }
        d->listens_at = amb_time_now() + AMB_HID_BIND_MS * 1000000ull;
        amb_hid_device_arm(d);
        if (d->wire.bound_fd < 0)
                return;
        amb_hid_bound_listen(d->wire.bound_fd);
        if (amb_poll_add(&d->bound, d->wire.bound_fd, (OSObject *)self, on_bound) == 0)
                amb_poll_watch(&d->bound);
}

/* On the poll thread. */
static void on_event(OSObject *object)
{
        IOHIDDevice *self = (IOHIDDevice *)object;
        struct IOHIDDevice_ivars *d = self->ivars;
        struct uhid_event event;
        int r = AMB_HID_NOTHING;
        bool asked;

        pthread_mutex_lock(&d->lock);
        if (d->started)
                r = amb_hid_wire_receive(&d->wire, &event);
        if (r == 0 && event.type == UHID_STOP)
                kernel_listens(d, false);
        if (r == 0 && event.type == UHID_START)
                kernel_starts(self);
        if (r == AMB_HID_ENDED)
                amb_poll_remove(&d->events);
        pthread_mutex_unlock(&d->lock);
        asked = r == 0 && (event.type == UHID_OUTPUT || event.type == UHID_GET_REPORT || event.type == UHID_SET_REPORT);
        if (asked && post(self, &event))
                return;
        pthread_mutex_lock(&d->lock);
        if (d->started)
                amb_poll_watch(&d->events);
        pthread_mutex_unlock(&d->lock);
}

/* The recorder has read something. */
static void on_room(OSObject *object)
{
        struct IOHIDDevice_ivars *d = ((IOHIDDevice *)object)->ivars;

        pthread_mutex_lock(&d->lock);
        if (d->started) {
                amb_hid_wire_flush(&d->wire);
                if (amb_hid_wire_has_unsent(&d->wire))
                        amb_poll_watch_room(&d->room);
        }
        pthread_mutex_unlock(&d->lock);
}

static void on_timer(OSObject *object)
{
        IOHIDDevice *self = (IOHIDDevice *)object;
        struct IOHIDDevice_ivars *d = self->ivars;
        unsigned int ended = 0;
        uint64_t times;

        pthread_mutex_lock(&d->lock);
        if (d->started) {
                ssize_t got = read(d->timer_fd, &times, sizeof(times));

                (void)got;      /* set anew meanwhile: nothing to read, and nothing is due */
                if (d->listens_at && d->listens_at <= amb_time_now())
                        kernel_listens(d, true);
                ended = amb_hid_requests_end(d, amb_time_now(), false, kIOReturnTimeout);
                amb_poll_watch(&d->timer);
                if (ended > 0)
                        amb_log(AMB_LOG_WARNING, "HID device \"%s\": the driver has not answered %u requests in %u ms", d->name,
                                ended, d->time_limit);
        }
        pthread_mutex_unlock(&d->lock);
        while (ended-- > 0)
                OSObject_release(self);
}

/* --- its life --- */

/* Under the lock. */
static int watch_wire(IOHIDDevice *self)
{
        struct IOHIDDevice_ivars *d = self->ivars;
        int r;

        if (d->wire.way == AMB_HID_NOWHERE)
                return 0;
        r = amb_poll_add(&d->events, d->wire.fd, (OSObject *)self, on_event);
        if (r == 0)
                r = amb_poll_watch(&d->events);
        if (r < 0 || d->wire.way != AMB_HID_RECORDER)
                return r;
        d->room_fd = fcntl(d->wire.fd, F_DUPFD_CLOEXEC, 0);
        return d->room_fd < 0 ? amb_errno() : amb_poll_add(&d->room, d->room_fd, (OSObject *)self, on_room);
}

/* Under the lock. */
static int watch(IOHIDDevice *self)
{
        struct IOHIDDevice_ivars *d = self->ivars;
        int r;

        d->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        r = d->timer_fd < 0 ? amb_errno() : amb_poll_add(&d->timer, d->timer_fd, (OSObject *)self, on_timer);
        if (r == 0)
                r = amb_poll_watch(&d->timer);
        return r == 0 ? watch_wire(self) : r;
}

int amb_hid_device_open(IOHIDDevice *self, const struct uhid_create2_req *create, uint32_t time_limit)
{
        struct IOHIDDevice_ivars *d = self->ivars;
        int r;

        pthread_mutex_lock(&d->lock);
        r = amb_hid_descriptor_read(create->rd_data, create->rd_size, &d->layout);
        if (r == 0) {
                memcpy(d->name, create->name, sizeof(d->name) - 1);
                memcpy(d->phys, create->phys, sizeof(d->phys) - 1);
                d->time_limit = time_limit > AMB_HID_TIME_LIMIT_MOST_MS ? AMB_HID_TIME_LIMIT_MOST_MS :
                                time_limit > 0                          ? time_limit :
                                                                          AMB_HID_TIME_LIMIT_MS;
                r = amb_hid_wire_open(&d->wire, d->name, create);
        }
        if (r == 0) {
                d->started = true;
                r = watch(self);
                if (r < 0)
                        amb_log(AMB_LOG_ERROR, "HID device \"%s\": nobody can wait for what it is told: %s", d->name, strerror(-r));
        }
        pthread_mutex_unlock(&d->lock);
        if (r < 0)
                amb_hid_device_close(self);
        return r;
}

void amb_hid_device_close(IOHIDDevice *self)
{
        struct IOHIDDevice_ivars *d = self->ivars;
        unsigned int ended;

        pthread_mutex_lock(&d->lock);
        d->started = d->listens = false;
        d->listens_at = 0;
        amb_poll_remove(&d->events);
        amb_poll_remove(&d->timer);
        amb_poll_remove(&d->room);
        amb_poll_remove(&d->bound);
        ended = amb_hid_requests_end(d, 0, true, kIOReturnAborted);
        held_end(d, false);
        amb_hid_wire_close(&d->wire);
        d->timer_fd = amb_fd_close(d->timer_fd);
        d->room_fd = amb_fd_close(d->room_fd);
        pthread_mutex_unlock(&d->lock);
        while (ended-- > 0)
                OSObject_release(self);
}
