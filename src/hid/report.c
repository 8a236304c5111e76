/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: what the system asks of a device, from the kernel's record to the driver's method and back.
 */
#include <DriverKit/IOBufferMemoryDescriptor.h>

#include "hid/device.h"

/* The action that getReport and setReport get. */
struct request {
        OSAction action;
        _Atomic(IOHIDDevice *) device;  /* a reference; NULL: answered */
        struct amb_link link;           /* in the device's list; its lock */
        uint64_t deadline;
        uint32_t type, id;              /* of the record: UHID_OUTPUT takes no answer */
        IOBufferMemoryDescriptor *memory;
        uint8_t *bytes;                 /* of it */
        uint32_t size;
        bool bare;                      /* the report has no id in front */
};

/* --- the answer --- */

/* The kernel makes -EIO of all of them; a recorder sees them. */
static uint16_t error_of(IOReturn status)
{
        switch (status) {
        case kIOReturnSuccess:
                return 0;
        case kIOReturnUnsupported:
                return EOPNOTSUPP;
        case kIOReturnBadArgument:
                return EINVAL;
        case kIOReturnTimeout:
                return ETIMEDOUT;
        case kIOReturnBusy:
                return EBUSY;
        case kIOReturnAborted:
                return ECANCELED;
        case kIOReturnNotPermitted:
        case kIOReturnNotPrivileged:
                return EPERM;
        case kIOReturnNoMemory:
                return ENOMEM;
        default:
                return EIO;
        }
}

/*
 * Under the lock: a report that was asked for, or the failure. Whoever asks on Linux finds the id in the first byte, 0 for a report
 * that has none, from devices on USB and I2C alike; drivers give the report alone.
 */
static void answer_get(struct IOHIDDevice_ivars *d, uint32_t id, IOReturn status, const void *bytes, uint32_t size, bool bare)
{
        struct uhid_event event = { .type = UHID_GET_REPORT_REPLY, .u.get_report_reply = { .id = id, .err = error_of(status) } };
        uint8_t *data = event.u.get_report_reply.data;

        if (status != kIOReturnSuccess || size == 0) {
                size = 0;
        } else if (bare) {
                size = size < UHID_DATA_MAX ? size : UHID_DATA_MAX - 1;
                memcpy(data + 1, bytes, size++);
        } else {
                memcpy(data, bytes, size);
        }
        event.u.get_report_reply.size = (uint16_t)size;
        amb_hid_device_answer(d, &event, AMB_HID_GET_REPLY_SIZE(size));
}

/* Under the lock. */
static void answer_set(struct IOHIDDevice_ivars *d, uint32_t id, IOReturn status)
{
        struct uhid_event event = { .type = UHID_SET_REPORT_REPLY, .u.set_report_reply = { .id = id, .err = error_of(status) } };

        amb_hid_device_answer(d, &event, AMB_HID_EVENT_SIZE(set_report_reply));
}

/* Under the lock: what needs no bytes. */
static void answer(struct IOHIDDevice_ivars *d, uint32_t type, uint32_t id, IOReturn status)
{
        if (type == UHID_SET_REPORT) {
                answer_set(d, id, status);
        } else if (type == UHID_GET_REPORT) {
                answer_get(d, id, status, NULL, 0, false);
        } else if (status != kIOReturnSuccess && d->started && !d->failed) {
                d->failed = true;
                amb_log(AMB_LOG_NOTICE, "HID device \"%s\": setReport has failed (0x%08x), and there is nobody to tell", d->name,
                        (unsigned int)status);
        }
}

/* Under the lock. */
static void leave_list(struct IOHIDDevice_ivars *d, struct request *r)
{
        if (!amb_link_linked(&r->link))
                return;
        amb_link_remove(&r->link);
        d->request_count--;
}

/* Once; later ones find no device any more. */
static void finish(struct request *r, IOReturn status, uint32_t count)
{
        IOHIDDevice *device = atomic_exchange(&r->device, NULL);
        struct IOHIDDevice_ivars *d;

        if (!device)
                return;
        d = device->ivars;
        pthread_mutex_lock(&d->lock);
        leave_list(d, r);
        if (r->type == UHID_GET_REPORT)
                answer_get(d, r->id, status, r->bytes, count < r->size ? count : r->size, r->bare);
        else
                answer(d, r->type, r->id, status);
        pthread_mutex_unlock(&d->lock);
        OSObject_release(device);
}

unsigned int amb_hid_requests_end(struct IOHIDDevice_ivars *d, uint64_t now, bool all, IOReturn status)
{
        struct request *r;
        unsigned int ended = 0;

        while ((r = amb_list_first(&d->requests, struct request, link)) && (all || r->deadline <= now)) {
                uint32_t type = r->type, id = r->id;

                leave_list(d, r);
                /* Whoever has taken it before answers when we have let go of the lock; without it, *r is not ours any more. */
                if (!atomic_exchange(&r->device, NULL))
                        continue;
                answer(d, type, id, status);
                ended++;
        }
        amb_hid_device_arm(d);
        return ended;
}

uint64_t amb_hid_requests_due(const struct IOHIDDevice_ivars *d)
{
        const struct request *r = amb_list_first(&d->requests, struct request, link);

        return r ? r->deadline : 0;
}

/* --- the action --- */

static void request_free(OSObject *object)
{
        struct request *r = (struct request *)object;

        /* Nobody can answer any more. What was set has been taken; what was asked for has not been given. */
        finish(r, r->type == UHID_GET_REPORT ? kIOReturnAborted : kIOReturnSuccess, 0);
        OSObject_release(r->memory);
        ((void (*)(OSObject *))amb_class_method(OSTypeID(OSAction), OSObject_free_ID))(object);
}

static const struct amb_method request_methods[] = {
        AMB_OVERRIDE(OSObject, free, request_free),
        AMB_METHODS_END,
};

static const OSMetaClass request_class = {
        "OSAction_IOHIDDevice_CompleteReport", OSTypeID(OSAction), sizeof(struct request), request_methods, NULL,
};

AMB_EXPORT void IOHIDDevice_CompleteReport(IOHIDDevice *self, OSAction *action, IOReturn status, uint32_t actualByteCount)
{
        struct request *r = amb_object_cast(action, &request_class);

        if (r)
                finish(r, status, actualByteCount);
}

/* NULL: no memory. */
static struct request *request_new(IOHIDDevice *device, const struct uhid_event *event, uint32_t size)
{
        struct request *r = (struct request *)amb_object_new(&request_class);
        IOAddressSegment range;

        if (!r)
                return NULL;
        r->size = size;
        if (IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, size, 0, &r->memory) != kIOReturnSuccess ||
            IOBufferMemoryDescriptor_GetAddressRange(r->memory, &range) != kIOReturnSuccess) {
                OSObject_release(r);
                return NULL;
        }
        r->bytes = (uint8_t *)(uintptr_t)range.address;
        r->type = event->type;
        r->id = event->type == UHID_OUTPUT ? 0 : event->u.get_report.id;        /* set_report's is in the same place */
        return r;
}

/* Under the lock. From here on somebody answers. 0; a code: the device has ended, or has too many. */
static IOReturn request_begin(IOHIDDevice *device, struct request *r)
{
        struct IOHIDDevice_ivars *d = device->ivars;

        if (!d->started)
                return kIOReturnNotReady;
        if (d->request_count >= AMB_HID_REQUESTS_MOST)
                return kIOReturnBusy;
        OSObject_retain(device);
        atomic_store(&r->device, device);
        r->deadline = amb_time_now() + d->time_limit * 1000000ull;
        amb_list_append(&d->requests, &r->link);
        d->request_count++;
        amb_hid_device_arm(d);
        return kIOReturnSuccess;
}

/* --- from the record to the method --- */

static bool type_of(uint8_t rtype, IOHIDReportType *ret_type)
{
        static const IOHIDReportType types[] = {
                [UHID_FEATURE_REPORT] = kIOHIDReportTypeFeature,
                [UHID_OUTPUT_REPORT] = kIOHIDReportTypeOutput,
                [UHID_INPUT_REPORT] = kIOHIDReportTypeInput,
        };

        if (rtype >= AMB_ARRAY_LENGTH(types))
                return false;
        *ret_type = types[rtype];
        return true;
}

struct asked {
        IOHIDReportType type;
        uint8_t id;                     /* of the report */
        const uint8_t *bytes;           /* NULL: a report is asked for */
        uint32_t size;
};

/*
 * Users of Linux's hidraw write a 0 in front of reports that have no id, and uhid leaves it there; drivers expect the report alone.
 * What the kernel's own drivers send has no 0 in front, and has the report's length; so a 0 in front of any other length goes.
 */
static void drop_no_id(const struct amb_hid_layout *layout, struct asked *asked)
{
        if (layout->numbered[asked->type] || asked->size == 0 || asked->bytes[0] != 0)
                return;
        if (asked->size != amb_hid_report_size(layout, asked->type, 0)) {
                asked->bytes++;
                asked->size--;
        }
}

/* False: no such type of report. */
static bool read_record(const struct amb_hid_layout *layout, const struct uhid_event *event, struct asked *ret)
{
        bool fine;

        *ret = (struct asked){ 0 };
        if (event->type == UHID_GET_REPORT) {
                fine = type_of(event->u.get_report.rtype, &ret->type);
                ret->id = event->u.get_report.rnum;
                ret->size = fine ? amb_hid_report_size(layout, ret->type, ret->id) : 0;
                if (ret->size == 0)
                        ret->size = AMB_HID_REPORT_MOST;
                return fine;
        }
        if (event->type == UHID_SET_REPORT) {
                fine = type_of(event->u.set_report.rtype, &ret->type);
                ret->bytes = event->u.set_report.data;
                ret->size = event->u.set_report.size;
                ret->id = event->u.set_report.rnum;
        } else {
                fine = type_of(event->u.output.rtype, &ret->type);
                ret->bytes = event->u.output.data;
                ret->size = event->u.output.size;
                ret->id = fine && layout->numbered[ret->type] && ret->size > 0 ? ret->bytes[0] : 0;
        }
        if (fine)
                drop_no_id(layout, ret);
        return fine && ret->size > 0;
}

void amb_hid_request_refuse(IOHIDDevice *device, const struct uhid_event *event, IOReturn status)
{
        struct IOHIDDevice_ivars *d = device->ivars;

        pthread_mutex_lock(&d->lock);
        answer(d, event->type, event->u.get_report.id, status);
        pthread_mutex_unlock(&d->lock);
}

static IOReturn call_driver(IOHIDDevice *device, struct request *r, const struct asked *asked)
{
        IOMemoryDescriptor *memory = &r->memory->descriptor;
        uint32_t limit = device->ivars->time_limit;

        if (!asked->bytes)
                return amb_invoke(device, IOHIDDevice, getReport, memory, asked->type, asked->id, limit, &r->action);
        return amb_invoke(device, IOHIDDevice, setReport, memory, asked->type, asked->id, limit, &r->action);
}

void amb_hid_request_run(IOHIDDevice *device, const struct uhid_event *event)
{
        struct IOHIDDevice_ivars *d = device->ivars;
        struct asked asked;
        struct request *r;
        IOReturn status;

        if (!read_record(&d->layout, event, &asked)) {
                amb_hid_request_refuse(device, event, kIOReturnBadArgument);
                return;
        }
        r = request_new(device, event, asked.size);
        if (!r) {
                amb_hid_request_refuse(device, event, kIOReturnNoMemory);
                return;
        }
        r->bare = !d->layout.numbered[asked.type] && asked.id == 0;
        if (asked.bytes)
                memcpy(r->bytes, asked.bytes, asked.size);
        pthread_mutex_lock(&d->lock);
        status = request_begin(device, r);
        pthread_mutex_unlock(&d->lock);
        if (status == kIOReturnSuccess) {
                status = call_driver(device, r, &asked);
                if (status != kIOReturnSuccess)
                        finish(r, status, 0);
        } else {
                amb_hid_request_refuse(device, event, status);
        }
        OSObject_release(r);
}
