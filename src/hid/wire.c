/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <DriverKit/OSObject.h>
#include <ambidext/hid.h>

#include "hid/bound.h"
#include "hid/wire.h"

#define DEVICE "/dev/uhid"
#define RECORDER_VARIABLE "AMBIDEXT_HID_RECORDER"
#define RESERVED_MOST 64u

/* --- what the process has --- */

/* What a device needs of the kernel. */
struct door {
        int fd, bound_fd;
};

static struct {
        pthread_mutex_t lock;
        bool reserved;                          /* only these, from now on */
        const char *denied;                     /* why there are none */
        struct door free[RESERVED_MOST];
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

/* 0; an errno. */
static int open_door(struct door *ret)
{
        int fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0)
                return errno;
        *ret = (struct door){ fd, amb_hid_bound_open() };
        return 0;
}

AMB_EXPORT int amb_hid_reserve(unsigned int count)
{
        int error = 0;

        pthread_mutex_lock(&ways.lock);
        ways.reserved = true;
        while (ways.count < count && ways.count < RESERVED_MOST) {
                error = open_door(&ways.free[ways.count]);
                if (error)
                        break;
                ways.count++;
        }
        if (ways.count == 0)
                ways.denied = reason_of(error);
        pthread_mutex_unlock(&ways.lock);
        return error ? -error : 0;
}

/* False: none; *ret_why says so. */
static bool take_door(struct door *ret, const char **ret_why)
{
        bool reserved, taken = false;
        int error;

        pthread_mutex_lock(&ways.lock);
        reserved = ways.reserved;
        if (reserved && ways.count > 0) {
                *ret = ways.free[--ways.count];
                taken = true;
        }
        *ret_why = ways.denied ? ways.denied : "this host has as many HID devices as it may have";
        pthread_mutex_unlock(&ways.lock);
        if (reserved)
                return taken;
        error = open_door(ret);
        if (error)
                *ret_why = reason_of(error);
        return error == 0;
}

/* After the device has been destroyed: what the kernel still had to say to it is for nobody. */
static void give_back_door(struct door door)
{
        struct uhid_event stale;

        while (read(door.fd, &stale, sizeof(stale)) > 0)
                ;
        amb_hid_bound_end(door.bound_fd);
        pthread_mutex_lock(&ways.lock);
        if (ways.reserved && ways.count < RESERVED_MOST) {
                ways.free[ways.count++] = door;
                door = (struct door){ -1, -1 };
        }
        pthread_mutex_unlock(&ways.lock);
        amb_fd_close(door.fd);
        amb_fd_close(door.bound_fd);
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

/* A record that waits for room. */
struct unsent {
        struct amb_link link;
        size_t size;
        uint8_t bytes[];
};

static void forget_unsent(struct amb_hid_wire *wire, struct unsent *unsent)
{
        amb_link_remove(&unsent->link);
        wire->unsent_size -= sizeof(*unsent) + unsent->size;
        free(unsent);
}

static void forget_all_unsent(struct amb_hid_wire *wire)
{
        struct unsent *unsent;

        while ((unsent = amb_list_first(&wire->unsent, struct unsent, link)))
                forget_unsent(wire, unsent);
}

static void let_go(struct amb_hid_wire *wire, const char *why)
{
        amb_log(AMB_LOG_WARNING, "HID device \"%s\": %s; its reports go nowhere from now on", wire->name, why);
        /* The descriptor stays until the owner closes: somebody waits for it, and its number must not be another's. */
        if (wire->way == AMB_HID_RECORDER)
                shutdown(wire->fd, SHUT_RDWR);
        wire->way = AMB_HID_NOWHERE;
        forget_all_unsent(wire);
}

/* False: there is no room. */
static bool try_recorder(struct amb_hid_wire *wire, const void *bytes, size_t size)
{
        ssize_t sent;

        do
                sent = send(wire->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        while (sent < 0 && errno == EINTR);
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
                return false;
        if (sent < 0)
                let_go(wire, "its recorder has ended");
        return true;
}

static void send_to_recorder(struct amb_hid_wire *wire, const void *bytes, size_t size)
{
        size_t cost = sizeof(struct unsent) + size;
        struct unsent *unsent;

        if (!amb_hid_wire_has_unsent(wire) && try_recorder(wire, bytes, size))
                return;
        unsent = wire->unsent_size + cost <= AMB_HID_UNSENT_MOST ? malloc(cost) : NULL;
        if (!unsent) {
                let_go(wire, "its recorder does not read");
                return;
        }
        unsent->size = size;
        memcpy(unsent->bytes, bytes, size);
        amb_list_append(&wire->unsent, &unsent->link);
        wire->unsent_size += cost;
}

bool amb_hid_wire_has_unsent(const struct amb_hid_wire *wire)
{
        return wire->unsent_size > 0;
}

void amb_hid_wire_flush(struct amb_hid_wire *wire)
{
        struct unsent *unsent;

        while (wire->way == AMB_HID_RECORDER && (unsent = amb_list_first(&wire->unsent, struct unsent, link))) {
                if (!try_recorder(wire, unsent->bytes, unsent->size))
                        return;
                /* Let go of, it has gone with the others. */
                if (wire->way == AMB_HID_RECORDER)
                        forget_unsent(wire, unsent);
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

void amb_hid_wire_init(struct amb_hid_wire *wire)
{
        *wire = (struct amb_hid_wire){ .way = AMB_HID_NOWHERE, .fd = -1, .bound_fd = -1 };
        amb_list_init(&wire->unsent);
}

static int write_record(int fd, const struct uhid_event *event, size_t size)
{
        ssize_t written;

        do
                written = write(fd, event, size);
        while (written < 0 && errno == EINTR);
        return written < 0 ? amb_errno() : 0;
}

int amb_hid_wire_send(struct amb_hid_wire *wire, const struct uhid_event *event, size_t size)
{
        if (wire->way == AMB_HID_UHID)
                return write_record(wire->fd, event, size);
        if (wire->way == AMB_HID_RECORDER)
                send_to_recorder(wire, event, size);
        return 0;
}

static void say_nowhere(const char *name, const char *why)
{
        amb_log(AMB_LOG_WARNING, "HID device \"%s\" is there for its driver alone, its reports go nowhere: %s", name, why);
}

/* 0, also when there is none. */
static int open_way(struct amb_hid_wire *wire)
{
        const char *recorder = secure_getenv(RECORDER_VARIABLE), *why;
        struct door door = { -1, -1 };
        int r;

        if (recorder && *recorder) {
                r = connect_recorder(recorder, &wire->fd);
                if (r < 0) {
                        amb_log(AMB_LOG_ERROR, "HID device \"%s\": nobody records at %s (" RECORDER_VARIABLE "): %s", wire->name,
                                recorder, strerror(-r));
                        return r;
                }
                wire->way = AMB_HID_RECORDER;
                return 0;
        }
        if (!take_door(&door, &why)) {
                say_nowhere(wire->name, why);
                return 0;
        }
        wire->way = AMB_HID_UHID;
        wire->uhid = true;
        wire->fd = door.fd;
        wire->bound_fd = door.bound_fd;
        amb_hid_bound_listen(wire->bound_fd);
        return 0;
}

int amb_hid_wire_open(struct amb_hid_wire *wire, const char *name, const struct uhid_create2_req *create)
{
        struct uhid_event event = { .type = UHID_CREATE2, .u.create2 = *create };
        int r;

        amb_hid_wire_init(wire);
        wire->name = name;
        r = open_way(wire);
        if (r < 0)
                return r;
        r = amb_hid_wire_send(wire, &event, offsetof(struct uhid_event, u.create2.rd_data) + create->rd_size);
        if (r < 0) {
                amb_log(AMB_LOG_ERROR, "HID device \"%s\": the kernel refuses it: %s", name, strerror(-r));
                give_back_door((struct door){ wire->fd, wire->bound_fd });
                amb_hid_wire_init(wire);
        }
        return r;
}

void amb_hid_wire_close(struct amb_hid_wire *wire)
{
        struct uhid_event event = { .type = UHID_DESTROY };

        if (wire->uhid) {
                /* Also when it has been let go of; refused for a device that the kernel has let go of by itself. */
                write_record(wire->fd, &event, sizeof(event.type));
                give_back_door((struct door){ wire->fd, wire->bound_fd });
        } else if (wire->fd >= 0) {
                amb_hid_wire_flush(wire);
                amb_hid_wire_send(wire, &event, sizeof(event.type));
                if (amb_hid_wire_has_unsent(wire))
                        amb_log(AMB_LOG_NOTICE, "HID device \"%s\" ends before its recorder has read everything", wire->name);
                hang_up(wire->fd);
                wire->fd = amb_fd_close(wire->fd);
        }
        forget_all_unsent(wire);
        amb_hid_wire_init(wire);
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
