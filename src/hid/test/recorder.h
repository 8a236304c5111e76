/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A recorder for tests: plays the kernel for HID devices, at the socket that $AMBIDEXT_HID_RECORDER names. Every step that does not
 * come about ends the program with 1 and says where; waits end after 20 s. One thread. C and C++.
 */
#include <errno.h>
#include <linux/uhid.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RECORDER_PATIENCE_MS 20000

#define RECORDER_CHECK(condition)                                                                                       \
        do {                                                                                                            \
                if (!(condition)) {                                                                                     \
                        fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno);       \
                        exit(1);                                                                                        \
                }                                                                                                       \
        } while (0)

static inline struct sockaddr_un recorder_address(const char *path)
{
        struct sockaddr_un address;

        memset(&address, 0, sizeof(address));
        address.sun_family = AF_UNIX;
        RECORDER_CHECK(path && strlen(path) < sizeof(address.sun_path));
        strcpy(address.sun_path, path);
        return address;
}

/* Listens at the path; the caller removes it. */
static inline int recorder_listen(const char *path)
{
        struct sockaddr_un address = recorder_address(path);
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        RECORDER_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 16) == 0);
        return fd;
}

static inline void recorder_wait(int fd)
{
        struct pollfd ready;

        ready.fd = fd;
        ready.events = POLLIN;
        RECORDER_CHECK(poll(&ready, 1, RECORDER_PATIENCE_MS) == 1);
}

/* The next device. */
static inline int recorder_accept(int listener)
{
        int fd;

        recorder_wait(listener);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        RECORDER_CHECK(fd >= 0);
        return fd;
}

/* Its next record, zeros at the end; how many bytes came. 0: the device has gone. */
static inline __attribute__((unused)) size_t recorder_read(int fd, struct uhid_event *event)
{
        ssize_t size;

        recorder_wait(fd);
        memset(event, 0, sizeof(*event));
        size = recv(fd, event, sizeof(*event), MSG_TRUNC);
        RECORDER_CHECK(size >= 0 && (size_t)size <= sizeof(*event));
        return (size_t)size;
}

/* The same, and it must be of this type. */
static inline __attribute__((unused)) void recorder_expect(int fd, __u32 type, struct uhid_event *event)
{
        size_t size = recorder_read(fd, event);

        if (size < sizeof(event->type) || event->type != type) {
                fprintf(stderr, "a record of %zu bytes and type %u instead of type %u\n", size, event->type, type);
                exit(1);
        }
}

static inline __attribute__((unused)) void recorder_write(int fd, const struct uhid_event *event)
{
        RECORDER_CHECK(send(fd, event, sizeof(*event), MSG_NOSIGNAL) == (ssize_t)sizeof(*event));
}

/* The kernel's drivers have taken the device on. */
static inline __attribute__((unused)) void recorder_start(int fd)
{
        struct uhid_event event;

        memset(&event, 0, sizeof(event));
        event.type = UHID_START;
        recorder_write(fd, &event);
        event.type = UHID_OPEN;
        recorder_write(fd, &event);
}

static inline __attribute__((unused)) void recorder_set(int fd, __u32 id, __u8 type, __u8 report, const void *bytes, size_t size)
{
        struct uhid_event event;

        memset(&event, 0, sizeof(event));
        event.type = UHID_SET_REPORT;
        event.u.set_report.id = id;
        event.u.set_report.rtype = type;
        event.u.set_report.rnum = report;
        event.u.set_report.size = (__u16)size;
        memcpy(event.u.set_report.data, bytes, size);
        recorder_write(fd, &event);
}

static inline __attribute__((unused)) void recorder_get(int fd, __u32 id, __u8 type, __u8 report)
{
        struct uhid_event event;

        memset(&event, 0, sizeof(event));
        event.type = UHID_GET_REPORT;
        event.u.get_report.id = id;
        event.u.get_report.rtype = type;
        event.u.get_report.rnum = report;
        recorder_write(fd, &event);
}

static inline __attribute__((unused)) void recorder_output(int fd, const void *bytes, size_t size)
{
        struct uhid_event event;

        memset(&event, 0, sizeof(event));
        event.type = UHID_OUTPUT;
        event.u.output.rtype = UHID_OUTPUT_REPORT;
        event.u.output.size = (__u16)size;
        memcpy(event.u.output.data, bytes, size);
        recorder_write(fd, &event);
}
