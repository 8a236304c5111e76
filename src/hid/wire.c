/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <DriverKit/OSObject.h>
#include <ambidext/hid.h>

#include "hid/wire.h"

#define DEVICE "/dev/uhid"
#define RECORDER_VARIABLE "AMBIDEXT_HID_RECORDER"
#define RESERVED_MOST 64u
#define SEND_WAIT_MS 1000

/* --- what the process has --- */

static struct {
        pthread_mutex_t lock;
        bool reserved;                          /* only these, from now on */
        const char *denied;                     /* why there are none */
        int free[RESERVED_MOST];
        unsigned int count;
} ways = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const char *reason_of(int error)
{
        switch (error) {
        case ENOENT:
        case ENODEV:
        case ENXIO:
                return "this kernel has no " DEVICE " (CONFIG_UHID; `modprobe uhid` may bring it)";
        case EACCES:
        case EPERM:
                return "this user may not open " DEVICE "; a udev rule can allow it, see ambidext-hid(7)";
        default:
                return DEVICE " cannot be opened";
        }
}

AMB_EXPORT void amb_hid_deny(const char *reason)
{
        pthread_mutex_lock(&ways.lock);
        ways.reserved = true;
        ways.denied = reason;
        pthread_mutex_unlock(&ways.lock);
}

AMB_EXPORT int amb_hid_reserve(unsigned int count)
{
        int error = 0;

        pthread_mutex_lock(&ways.lock);
        ways.reserved = true;
        while (ways.count < count && ways.count < RESERVED_MOST) {
                int fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);

                if (fd < 0) {
                        error = errno;
                        break;
                }
                ways.free[ways.count++] = fd;
        }
        if (ways.count == 0)
                ways.denied = reason_of(error);
        pthread_mutex_unlock(&ways.lock);
        return error ? -error : 0;
}

/* -1: none; *ret_why says so. */
static int take_uhid(const char **ret_why)
{
        int fd = -1;
        bool reserved;

        pthread_mutex_lock(&ways.lock);
        reserved = ways.reserved;
        if (reserved && ways.count > 0)
                fd = ways.free[--ways.count];
        *ret_why = ways.denied ? ways.denied : "this host has as many HID devices as it may have";
        pthread_mutex_unlock(&ways.lock);
        if (reserved)
                return fd;
        fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                *ret_why = reason_of(errno);
        return fd;
}

/* After the device has been destroyed: what the kernel still had to say to it is for nobody. */
static void give_back_uhid(int fd)
{
        struct uhid_event stale;

        while (read(fd, &stale, sizeof(stale)) > 0)
                ;
        pthread_mutex_lock(&ways.lock);
        if (ways.reserved && ways.count < RESERVED_MOST) {
                ways.free[ways.count++] = fd;
                fd = -1;
        }
        pthread_mutex_unlock(&ways.lock);
        amb_fd_close(fd);
}

/* --- a recorder --- */

static int connect_recorder(const char *path, int *ret_fd)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        AMB_FD fd = -1;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return amb_errno();
        *ret_fd = amb_fd_steal(&fd);
        return 0;
}

static void let_go(struct amb_hid_wire *wire, const char *why)
{
        amb_log(AMB_LOG_WARNING, "HID device \"%s\": %s; its reports go nowhere from now on", wire->name, why);
        /* The descriptor stays until the owner closes: somebody waits for it, and its number must not be another's. */
        if (wire->way == AMB_HID_RECORDER)
                shutdown(wire->fd, SHUT_RDWR);
        wire->way = AMB_HID_NOWHERE;
}

static int send_to_recorder(struct amb_hid_wire *wire, const void *bytes, size_t size, bool may_wait)
{
        struct pollfd room = { .fd = wire->fd, .events = POLLOUT };
        ssize_t sent;

        for (;;) {
                sent = send(wire->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (sent >= 0)
                        return 0;
                if (errno == EINTR)
                        continue;
                if (errno != EAGAIN && errno != ENOBUFS) {
                        let_go(wire, "its recorder has ended");
                        return 0;
                }
                if (!may_wait || poll(&room, 1, SEND_WAIT_MS) <= 0) {
                        let_go(wire, "its recorder does not read");
                        return 0;
                }
        }
}

/* What is closed with something unread in it takes from the peer what that has not read: so nothing may be left. */
static void hang_up(int fd)
{
        char byte;

        shutdown(fd, SHUT_RDWR);
        while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) > 0)
                ;
}

/* --- the wire --- */

int amb_hid_wire_send(struct amb_hid_wire *wire, const struct uhid_event *event, size_t size, bool may_wait)
{
        ssize_t written;

        if (wire->way == AMB_HID_NOWHERE)
                return 0;
        if (wire->way == AMB_HID_RECORDER)
                return send_to_recorder(wire, event, size, may_wait);
        do
                written = write(wire->fd, event, size);
        while (written < 0 && errno == EINTR);
        return written < 0 ? amb_errno() : 0;
}

static void say_nowhere(const char *name, const char *why)
{
        amb_log(AMB_LOG_WARNING, "HID device \"%s\" is there for its driver alone, its reports go nowhere: %s", name, why);
}

int amb_hid_wire_open(struct amb_hid_wire *wire, const char *name, const struct uhid_create2_req *create)
{
        const char *recorder = secure_getenv(RECORDER_VARIABLE), *why;
        struct uhid_event event = { .type = UHID_CREATE2, .u.create2 = *create };
        int r = 0;

        *wire = (struct amb_hid_wire){ .fd = -1, .name = name };
        if (recorder && *recorder) {
                r = connect_recorder(recorder, &wire->fd);
                if (r < 0) {
                        amb_log(AMB_LOG_ERROR, "HID device \"%s\": nobody records at %s (" RECORDER_VARIABLE "): %s", name,
                                recorder, strerror(-r));
                        return r;
                }
                wire->way = AMB_HID_RECORDER;
        } else {
                wire->fd = take_uhid(&why);
                if (wire->fd < 0) {
                        say_nowhere(name, why);
                        return 0;
                }
                wire->way = AMB_HID_UHID;
        }
        r = amb_hid_wire_send(wire, &event, offsetof(struct uhid_event, u.create2.rd_data) + create->rd_size, true);
        if (r < 0) {
                amb_log(AMB_LOG_ERROR, "HID device \"%s\": the kernel refuses it: %s", name, strerror(-r));
                give_back_uhid(amb_fd_steal(&wire->fd));
                wire->way = AMB_HID_NOWHERE;
        }
        return r;
}

void amb_hid_wire_close(struct amb_hid_wire *wire)
{
        struct uhid_event event = { .type = UHID_DESTROY };

        amb_hid_wire_send(wire, &event, sizeof(event.type), false);
        if (wire->way == AMB_HID_UHID)
                give_back_uhid(amb_fd_steal(&wire->fd));
        if (wire->fd >= 0)
                hang_up(wire->fd);
        wire->fd = amb_fd_close(wire->fd);
        wire->way = AMB_HID_NOWHERE;
}

/* The sizes inside of a record. */
static bool sizes_hold(const struct uhid_event *event)
{
        switch (event->type) {
        case UHID_OUTPUT:
                return event->u.output.size <= UHID_DATA_MAX;
        case UHID_SET_REPORT:
                return event->u.set_report.size <= UHID_DATA_MAX;
        default:
                return true;
        }
}

static ssize_t receive(struct amb_hid_wire *wire, struct uhid_event *event)
{
        ssize_t got;

        do
                /* MSG_TRUNC: the message's own size, also when it is longer. */
                got = wire->way == AMB_HID_RECORDER ? recv(wire->fd, event, sizeof(*event), MSG_DONTWAIT | MSG_TRUNC) :
                                                      read(wire->fd, event, sizeof(*event));
        while (got < 0 && errno == EINTR);
        return got;
}

int amb_hid_wire_receive(struct amb_hid_wire *wire, struct uhid_event *ret_event)
{
        struct uhid_event event;
        ssize_t got;

        if (wire->way == AMB_HID_NOWHERE)
                return AMB_HID_ENDED;
        memset(&event, 0, sizeof(event));
        got = receive(wire, &event);
        if (got < 0 && errno == EAGAIN)
                return AMB_HID_NOTHING;
        if (got <= 0) {
                let_go(wire, wire->way == AMB_HID_RECORDER ? "its recorder has ended" : "the kernel has nothing more to say to it");
                return AMB_HID_ENDED;
        }
        if ((size_t)got < sizeof(event.type) || (size_t)got > sizeof(event) || !sizes_hold(&event)) {
                let_go(wire, "what it was told is no record of uhid's");
                return AMB_HID_ENDED;
        }
        *ret_event = event;
        return 0;
}
