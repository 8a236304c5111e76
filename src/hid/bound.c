/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/netlink.h>
#include <sys/socket.h>

#include "hid/bound.h"

#define KERNEL_GROUP 1          /* the other is udev's */
#define MESSAGE_MOST 8192

int amb_hid_bound_open(void)
{
        struct sockaddr_nl address = { .nl_family = AF_NETLINK };
        AMB_FD fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -1;
        return amb_fd_steal(&fd);
}

static void set_membership(int fd, int option)
{
        int group = KERNEL_GROUP;

        if (fd >= 0)
                setsockopt(fd, SOL_NETLINK, option, &group, sizeof(group));
}

void amb_hid_bound_listen(int fd)
{
        set_membership(fd, NETLINK_ADD_MEMBERSHIP);
}

/* 0: not the kernel's. -errno: there is no more, or some have been lost. */
static ssize_t receive(int fd, char *message, size_t room)
{
        struct sockaddr_nl from = { 0 };
        socklen_t size = sizeof(from);
        ssize_t got = recvfrom(fd, message, room, MSG_DONTWAIT, (struct sockaddr *)&from, &size);

        if (got < 0)
                return amb_errno();
        return size == sizeof(from) && from.nl_pid == 0 ? got : 0;
}

void amb_hid_bound_end(int fd)
{
        char message[MESSAGE_MOST];
        ssize_t got;

        set_membership(fd, NETLINK_DROP_MEMBERSHIP);
        do
                got = fd < 0 ? -EAGAIN : receive(fd, message, sizeof(message));
        while (got >= 0 || got == -EINTR || got == -ENOBUFS);
}

/* A line "bind@PATH", then NAME=VALUE; each ends with a zero. */
static bool is_bind_of(const char *message, size_t size, const char *phys)
{
        static const char bind[] = "bind@", key[] = "HID_PHYS=";
        const char *end = message + size;

        if (size == 0 || end[-1] != '\0' || strncmp(message, bind, sizeof(bind) - 1) != 0)
                return false;
        for (const char *line = message; line < end; line += strlen(line) + 1)
                if (strncmp(line, key, sizeof(key) - 1) == 0)
                        return strcmp(line + sizeof(key) - 1, phys) == 0;
        return false;
}

bool amb_hid_bound_seen(int fd, const char *phys)
{
        char message[MESSAGE_MOST];

        while (fd >= 0) {
                ssize_t got = receive(fd, message, sizeof(message));

                if (got == -ENOBUFS || (got > 0 && is_bind_of(message, (size_t)got, phys)))
                        return true;
                if (got < 0 && got != -EINTR)
                        return false;
        }
        return false;
}
