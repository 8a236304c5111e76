/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include "channel/side.h"

int amb_side_send(int socket, const struct amb_side_message *message, int fd, bool wait)
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec vector = { .iov_base = (void *)message, .iov_len = sizeof(*message) };
        struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1 };
        ssize_t n;

        if (fd >= 0) {
                header.msg_control = &control;
                header.msg_controllen = sizeof(control);
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
        }
        do
                n = sendmsg(socket, &header, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
        while (n < 0 && errno == EINTR);
        if (n == (ssize_t)sizeof(*message))
                return 0;
        if (n >= 0)
                return amb_trace(-EMSGSIZE);
        if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)
                return AMB_SIDE_FULL;
        if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
                return AMB_SIDE_GONE;
        return amb_trace(amb_errno());
}

/* Takes every descriptor out of a message, so that none is lost: the first one is kept, the others are closed. */
static int take_descriptors(struct msghdr *header, unsigned int *ret_count)
{
        unsigned int count = 0;
        int first = -1;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
                size_t n;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        if (count++ == 0)
                                first = fd;
                        else
                                amb_fd_close(fd);
                }
        }
        *ret_count = count;
        return first;
}

int amb_side_receive(int socket, bool wait, struct amb_side_message *ret_message, int *ret_fd)
{
        /* Room for two descriptors: a second one is a breach that we must see and close. */
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(2 * sizeof(int))];
        } control;
        struct amb_side_message message;
        struct iovec vector = { .iov_base = &message, .iov_len = sizeof(message) };
        struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
        AMB_FD fd = -1;
        unsigned int count;
        ssize_t n;

        do
                n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
        while (n < 0 && errno == EINTR);
        if (n < 0) {
                if (errno == EAGAIN)
                        return AMB_SIDE_NOTHING;
                if (errno == ECONNRESET)
                        return AMB_SIDE_END;
                return amb_trace(amb_errno());
        }
        fd = take_descriptors(&header, &count);
        if (n == 0)
                return AMB_SIDE_END;
        if (n != (ssize_t)sizeof(message) || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || count > 1)
                return AMB_SIDE_BROKEN;
        *ret_message = message;
        *ret_fd = amb_fd_steal(&fd);
        return 0;
}

bool amb_side_request_valid(const struct amb_side_message *m, bool with_fd)
{
        bool needs_fd = m->kind == AMB_SIDE_PORT || m->kind == AMB_SIDE_REGION;

        if ((m->serial == 0 && m->kind != AMB_SIDE_PORT_DROP) || m->code || m->filler || m->identity || with_fd != needs_fd)
                return false;
        if (m->kind != AMB_SIDE_REGION && (m->flags || m->size))
                return false;
        switch (m->kind) {
        case AMB_SIDE_PORT:
        case AMB_SIDE_PORT_DROP:
                return (m->id & 0xFF) < AMB_SIDE_PORTS_MAX;
        case AMB_SIDE_REGION:
                return m->id != 0 && m->size > 0 && m->size <= AMB_SIDE_REGION_BYTES_MAX && m->flags != 0 &&
                       (m->flags & ~(uint32_t)(AMB_SIDE_REGION_IN | AMB_SIDE_REGION_OUT)) == 0;
        case AMB_SIDE_REGION_DROP:
                return m->id != 0;
        case AMB_SIDE_MAP:
        case AMB_SIDE_UNMAP:
        case AMB_SIDE_FETCH:
                return true;
        case AMB_SIDE_CLOSE:
                return m->id == 0;
        default:
                return false;
        }
}

bool amb_side_memory_check(int fd, uint64_t size, int seals)
{
        int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | seals, present;
        struct statfs fs;
        struct stat st;

        present = fcntl(fd, F_GET_SEALS);
        if (present < 0 || (present & wanted) != wanted)
                return false;
        /* Huge pages have seals too, but their faults can fail for want of pages. */
        if (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
                return false;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
                return false;
        return size == 0 || (uint64_t)st.st_size == size;
}

int amb_side_port_create(int *ret_read, int *ret_write)
{
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return amb_trace(amb_errno());
        *ret_read = pair[0];
        *ret_write = pair[1];
        return 0;
}

void amb_side_port_wake(int write_fd)
{
        /* Full means that the reader has wake-ups enough; a dead reader needs none. */
        (void)!send(write_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void amb_side_port_drain(int read_fd)
{
        char bytes[256];

        while (recv(read_fd, bytes, sizeof(bytes), MSG_DONTWAIT) == (ssize_t)sizeof(bytes))
                continue;
}

bool amb_side_port_check(int write_fd)
{
        int domain = -1, type = -1;
        socklen_t length = sizeof(int);

        if (getsockopt(write_fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0)
                return false;
        length = sizeof(int);
        return getsockopt(write_fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && domain == AF_UNIX && type == SOCK_STREAM;
}
