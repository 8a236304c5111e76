/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of IOHIDDevice: the device's wire, what the system has asked and nobody has answered yet, and the reports that wait until
 * the kernel listens.
 *
 * `lock` guards all of it; it is never held while driver code runs. Events are read on the runtime's poll thread, one at a time:
 * the next one when the driver's method for the last has returned, so that a peer can pile up nothing here. Methods run on the
 * queue of the device's setReport, which is its default queue. Both polls know the device without holding it.
 *
 * A request (report.c) is the action that a driver gets. It holds the device until it is answered; Stop and the time limit answer
 * for a driver that does not, so that holding is no cycle. Who takes `device` out of it is the one who answers.
 */
#include <pthread.h>
#include <stdatomic.h>

#include <HIDDriverKit/IOUserHIDDevice.h>

#include "driver/poll.h"
#include "hid/descriptor.h"
#include "hid/wire.h"

#define AMB_HID_REQUESTS_MOST 32        /* not answered, of one device */
#define AMB_HID_HELD_MOST 64            /* input reports before the kernel listens */
#define AMB_HID_BIND_MS 1000u           /* from the start to the kernel's listening, if nothing else says so */
#define AMB_HID_TIME_LIMIT_MS 4000u     /* the kernel waits 5 s */
#define AMB_HID_TIME_LIMIT_MOST_MS 60000u

struct amb_hid_held {
        struct amb_link link;
        uint32_t size;
        uint8_t bytes[];
};

/* What the driver has said last of an output or feature report. */
struct amb_hid_state {
        struct amb_link link;
        IOHIDReportType type;
        uint8_t id;
        uint32_t size;
        uint8_t bytes[];
};

struct IOHIDDevice_ivars {
        pthread_mutex_t lock;
        struct amb_hid_wire wire;
        struct amb_poll events, timer, room, bound;
        int room_fd;                    /* the wire's once more, to wait for a recorder's room */
        int timer_fd;                   /* armed for the oldest request */
        bool started;                   /* from the device's making to its end */
        bool listens;                   /* the kernel has started it, and takes reports */
        uint64_t listens_at;            /* when that is taken for granted; 0: the kernel has not begun, or listens */
        bool dropped, failed;           /* said once: a report before that, a setReport that nobody can be told of */
        unsigned int held_count, request_count;
        struct amb_link held, requests; /* the oldest first */
        struct amb_link states;         /* one for each type and id */
        uint32_t time_limit;            /* milliseconds */
        struct amb_hid_layout layout;
        char name[128], phys[64];
};

/*
 * Makes the Linux device. The name stands in *create. 0. AMB_HID_DESCRIPTOR_BAD; -errno, which the log has explained.
 */
int amb_hid_device_open(IOHIDDevice *self, const struct uhid_create2_req *create, uint32_t time_limit);
/* Ends it and answers what has not been; fine when it is not there. Any thread, free included. */
void amb_hid_device_close(IOHIDDevice *self);
/* Under the lock: arms the timer for what is due first: the oldest request, or the kernel's listening. */
void amb_hid_device_arm(struct IOHIDDevice_ivars *d);
/* Under the lock: an answer in a record of `size` bytes; what the kernel does not take is logged. */
void amb_hid_device_answer(struct IOHIDDevice_ivars *d, const struct uhid_event *event, size_t size);

/* --- report.c --- */

/* Works off what the kernel has sent, on the device's queue; without its lock. */
void amb_hid_request_run(IOHIDDevice *device, const struct uhid_event *event);
/* Answers such a record at once, instead. */
void amb_hid_request_refuse(IOHIDDevice *device, const struct uhid_event *event, IOReturn status);
/*
 * Answers requests with `status`: those whose time is over, or all. Under the lock; the references that they had to the device are
 * the caller's to release, after it. Returns how many.
 */
unsigned int amb_hid_requests_end(struct IOHIDDevice_ivars *d, uint64_t now, bool all, IOReturn status);
/* Under the lock: when the oldest is due; 0: there are none. */
uint64_t amb_hid_requests_due(const struct IOHIDDevice_ivars *d);

/* --- state.c --- */

/* Keeps an output or feature report that the driver has handed in. */
kern_return_t amb_hid_state_set(struct IOHIDDevice_ivars *d, IOHIDReportType type, const void *bytes, uint32_t size);
/* Copies it, as much as there is room for. 0: the driver has said nothing of it. */
uint32_t amb_hid_state_get(struct IOHIDDevice_ivars *d, IOHIDReportType type, uint8_t id, void *bytes, uint32_t size);
void amb_hid_states_free(struct IOHIDDevice_ivars *d);

/* --- describe.c --- */

/* What Linux is told of the device. */
void amb_hid_describe(OSDictionary *description, OSData *descriptor, uint64_t entry, struct uhid_create2_req *ret_create);
/* The description's own and what follows from the descriptor. NULL: no memory. */
OSDictionary *amb_hid_properties(OSDictionary *description, OSData *descriptor, const struct amb_hid_layout *layout);
