/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The way of one HID device to the system, in uhid's records (linux/uhid.h): the kernel's /dev/uhid, a recorder's socket, or
 * nowhere.
 *
 * The peer: the kernel is believed, a recorder is not. What comes is copied, checked against the sizes that uhid allows, and only
 * then told. What a recorder has not read yet waits here, up to a limit; a recorder that lets more than that gather, breaks the
 * rules or ends is let go of, and the device goes on nowhere. Nothing here waits. Not locked: its owner does that.
 */
#include <linux/uhid.h>

#include "base/base.h"

#define AMB_HID_UNSENT_MOST (1u << 20)  /* bytes that wait for a recorder, with what they cost here */

enum amb_hid_way { AMB_HID_NOWHERE, AMB_HID_UHID, AMB_HID_RECORDER };

struct amb_hid_wire {
        enum amb_hid_way way;
        int fd;                         /* -1: none. Readable when there is something to receive, an end included */
        bool uhid;                      /* the descriptor is one of /dev/uhid, for the next device, whatever becomes of the way */
        int bound_fd;                   /* of bound.h, beside uhid's; -1: none */
        const char *name;               /* of the device, for the log; the owner's */
        struct amb_link unsent;         /* records for which the recorder has no room; the oldest first */
        size_t unsent_size;
};

void amb_hid_wire_init(struct amb_hid_wire *wire);

/*
 * Opens the way that this process has and makes the device of *create. 0, also when there is no way: the log says why, and what to
 * do. -errno: the kernel refuses the device, or a recorder was asked for that is not there.
 */
int amb_hid_wire_open(struct amb_hid_wire *wire, const char *name, const struct uhid_create2_req *create);

/* The device goes; a kernel's descriptor is kept for the next one. What is unsent is lost. Fine when it is not open. */
void amb_hid_wire_close(struct amb_hid_wire *wire);

/* One record of `size` bytes, the type included. 0, also nowhere. -errno: the kernel did not take it. */
int amb_hid_wire_send(struct amb_hid_wire *wire, const struct uhid_event *event, size_t size);

/* Something is unsent: the owner waits for room, and calls flush then. */
bool amb_hid_wire_has_unsent(const struct amb_hid_wire *wire);
void amb_hid_wire_flush(struct amb_hid_wire *wire);

/* The bytes of a record up to the end of a member's data. */
#define AMB_HID_EVENT_SIZE(member) (offsetof(struct uhid_event, u) + sizeof(((struct uhid_event *)0)->u.member))
#define AMB_HID_INPUT_SIZE(length) (offsetof(struct uhid_event, u.input2.data) + (length))
#define AMB_HID_GET_REPLY_SIZE(length) (offsetof(struct uhid_event, u.get_report_reply.data) + (length))

/* The next record, zeros at its end; its sizes are checked, its types and ids are not. Does not wait. */
enum { AMB_HID_NOTHING = 1, AMB_HID_ENDED = 2 };        /* ENDED: nobody is there any more; the way is nowhere now */
int amb_hid_wire_receive(struct amb_hid_wire *wire, struct uhid_event *ret_event);
