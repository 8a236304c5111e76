/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way by /dev/uhid, with open(2) wrapped (open64, as everything here is built with 64-bit offsets): each opening of it gives a
 * socket whose other end plays the kernel.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>

#include <ambidext/hid.h>

#include "hid/test/device.h"

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

static struct {
        int refuse;             /* an errno */
        int kernels[8];
        int count, refuse_after;
} uhid = { .refuse_after = 100 };

int __wrap_open64(const char *path, int flags, ...)
{
        int pair[2];

        if (strcmp(path, "/dev/uhid") != 0) {
                va_list list;
                va_start(list, flags);
                mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? (mode_t)va_arg(list, int) : 0;
                va_end(list);
                return __real_open64(path, flags, mode);
        }
        if (uhid.refuse || uhid.count >= uhid.refuse_after) {
                errno = uhid.refuse ? uhid.refuse : EMFILE;
                return -1;
        }
        ck_assert_int_eq(flags, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        uhid.kernels[uhid.count++] = pair[1];
        return pair[0];
}

static struct uhid_create2_req create = { .name = "thing", .rd_size = 2, .rd_data = { 5, 1 } };

static void open_device(struct amb_hid_wire *wire, int kernel)
{
        struct uhid_event event;

        ck_assert_int_eq(amb_hid_wire_open(wire, "thing", &create), 0);
        ck_assert_int_eq(wire->way, AMB_HID_UHID);
        recorder_expect(uhid.kernels[kernel], UHID_CREATE2, &event);
        ck_assert_mem_eq(&event.u.create2, &create, offsetof(struct uhid_create2_req, rd_data) + 2);
}

static void close_device(struct amb_hid_wire *wire, int kernel)
{
        struct uhid_event event;

        amb_hid_wire_close(wire);
        ck_assert_int_eq(wire->fd, -1);
        recorder_expect(uhid.kernels[kernel], UHID_DESTROY, &event);
}

/* Without a reservation each device opens for itself, and closes. */
START_TEST(on_demand)
{
        struct uhid_event event;
        struct amb_hid_wire wire;

        open_device(&wire, 0);
        event.type = UHID_INPUT2;
        event.u.input2.size = 1;
        ck_assert_int_eq(amb_hid_wire_send(&wire, &event, AMB_HID_INPUT_SIZE(1)), 0);
        recorder_expect(uhid.kernels[0], UHID_INPUT2, &event);
        ck_assert_int_eq(amb_hid_wire_receive(&wire, &event), AMB_HID_NOTHING);
        recorder_start(uhid.kernels[0]);
        ck_assert_int_eq(amb_hid_wire_receive(&wire, &event), 0);
        ck_assert_uint_eq(event.type, UHID_START);
        close_device(&wire, 0);
        ck_assert_uint_eq(recorder_read(uhid.kernels[0], &event), 0);
        uhid.refuse = EACCES;
        ck_assert_int_eq(amb_hid_wire_open(&wire, "thing", &create), 0);
        ck_assert_int_eq(wire.way, AMB_HID_NOWHERE);
        amb_hid_wire_close(&wire);
}
END_TEST

START_TEST(reserved)
{
        struct amb_hid_wire wires[3], *w = wires;
        struct uhid_event event;

        ck_assert_int_eq(amb_hid_reserve(2), 0);
        ck_assert_int_eq(uhid.count, 2);
        uhid.refuse = EPERM;                    /* the sandbox has closed */
        open_device(&w[0], 1);
        open_device(&w[1], 0);
        ck_assert_int_eq(amb_hid_wire_open(&w[2], "thing", &create), 0);
        ck_assert_int_eq(w[2].way, AMB_HID_NOWHERE);
        ck_assert_int_eq(amb_hid_wire_send(&w[2], &event, sizeof(event.type)), 0);
        ck_assert_int_eq(amb_hid_wire_receive(&w[2], &event), AMB_HID_ENDED);
        amb_hid_wire_close(&w[2]);
        /* One ends, with something unread: the next one has its place, and none of that. */
        recorder_start(uhid.kernels[0]);
        close_device(&w[1], 0);
        open_device(&w[2], 0);
        ck_assert_int_eq(amb_hid_wire_receive(&w[2], &event), AMB_HID_NOTHING);
        close_device(&w[0], 1);
        close_device(&w[2], 0);
}
END_TEST

/* A kernel that says what it never says: the device goes on nowhere, and its end is the end of the kernel's, too. */
START_TEST(let_go)
{
        struct amb_hid_wire wire;
        struct uhid_event event;

        ck_assert_int_eq(amb_hid_reserve(1), 0);
        uhid.refuse = EPERM;
        for (int i = 0; i < 3; i++) {
                open_device(&wire, 0);
                memset(&event, 0, sizeof(event));
                event.type = UHID_OUTPUT;
                event.u.output.size = UHID_DATA_MAX + 1;
                recorder_write(uhid.kernels[0], &event);
                ck_assert_int_eq(amb_hid_wire_receive(&wire, &event), AMB_HID_ENDED);
                ck_assert_int_eq(wire.way, AMB_HID_NOWHERE);
                ck_assert_int_eq(amb_hid_wire_send(&wire, &event, sizeof(event.type)), 0);
                close_device(&wire, 0);
        }
}
END_TEST

START_TEST(reserved_in_part)
{
        struct amb_hid_wire wire;

        uhid.refuse_after = 1;
        ck_assert_int_eq(amb_hid_reserve(4), -EMFILE);
        open_device(&wire, 0);
        close_device(&wire, 0);
}
END_TEST

START_TEST(not_there)
{
        struct amb_hid_wire wire;

        uhid.refuse = ENOENT;
        ck_assert_int_eq(amb_hid_reserve(2), -ENOENT);
        uhid.refuse = 0;
        ck_assert_int_eq(amb_hid_wire_open(&wire, "thing", &create), 0);
        ck_assert_int_eq(wire.way, AMB_HID_NOWHERE);
        ck_assert_int_eq(uhid.count, 0);
        amb_hid_wire_close(&wire);
}
END_TEST

/* What a kernel's write refuses is told; the descriptor is for the next one. */
START_TEST(refused)
{
        struct amb_hid_wire wire;

        ck_assert_int_eq(amb_hid_reserve(1), 0);
        close(uhid.kernels[0]);
        signal(SIGPIPE, SIG_IGN);
        ck_assert_int_eq(amb_hid_wire_open(&wire, "thing", &create), -EPIPE);
        ck_assert_int_eq(wire.way, AMB_HID_NOWHERE);
        ck_assert_int_eq(amb_hid_wire_open(&wire, "thing", &create), -EPIPE);
        amb_hid_wire_close(&wire);
}
END_TEST

/* --- a device --- */

static void tell(int kernel, uint32_t type)
{
        struct uhid_event event = { .type = type };

        recorder_write(uhid.kernels[kernel], &event);
}

/* The binding of this one is in no uevent: its reports go out after a while, in their order; and again after the next start. */
START_TEST(no_uevent)
{
        TestHID *device = device_new();
        struct uhid_event event;

        unsetenv("AMBIDEXT_HID_RECORDER");
        ck_assert_int_eq(amb_invoke(device, IOService, Start, NULL), kIOReturnSuccess);
        recorder_expect(uhid.kernels[0], UHID_CREATE2, &event);
        for (char round = 'a'; round < 'c'; round++) {
                char first[] = { round, '1' }, second[] = { round, '2' };
                uint64_t begin = amb_time_now();

                ck_assert_int_eq(post_input(device, first, 2), kIOReturnSuccess);
                tell(0, UHID_START);
                ck_assert_int_eq(post_input(device, second, 2), kIOReturnSuccess);
                expect_input(uhid.kernels[0], first, 2);
                ck_assert_uint_ge(amb_time_now() - begin, AMB_HID_BIND_MS * 1000000ull);
                expect_input(uhid.kernels[0], second, 2);
                /* It listens: at once. An answer shows that the stop has been seen. */
                ck_assert_int_eq(post_input(device, "now", 3), kIOReturnSuccess);
                expect_input(uhid.kernels[0], "now", 3);
                tell(0, UHID_STOP);
                recorder_get(uhid.kernels[0], 1, 99, 0);
                expect_get_reply(uhid.kernels[0], 1, EINVAL, NULL, 0);
        }
        device_stop(device, -1);
        recorder_expect(uhid.kernels[0], UHID_DESTROY, &event);
}
END_TEST

int main(void)
{
        return run_suite("hid-uhid", on_demand, reserved, let_go, reserved_in_part, not_there, refused, no_uevent);
}
