/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/base.h"
#include "channel/packet.h"

int amb_packet_send(int socket, const void *bytes, size_t size, int fd, bool wait)
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec vector = { .iov_base = (void *)bytes, .iov_len = size };
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
        if (n == (ssize_t)size)
                return 0;
        if (n >= 0)
                return amb_trace(-EMSGSIZE);
        if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)
                return AMB_PACKET_FULL;
        if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
                return AMB_PACKET_GONE;
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

int amb_packet_receive(int socket, void *bytes, size_t size, bool wait, int *ret_fd)
{
        /* Room for two descriptors: a second one is a breach that we must see and close. */
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(2 * sizeof(int))];
        } control;
        struct iovec vector = { .iov_base = bytes, .iov_len = size };
        struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
        AMB_FD fd = -1;
        unsigned int count;
        ssize_t n;

        do
                n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
        while (n < 0 && errno == EINTR);
        if (n < 0) {
                if (errno == EAGAIN)
                        return AMB_PACKET_NOTHING;
                if (errno == ECONNRESET)
                        return AMB_PACKET_END;
                return amb_trace(amb_errno());
        }
        fd = take_descriptors(&header, &count);
        if (n == 0)
                return AMB_PACKET_END;
        if (n != (ssize_t)size || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || count > 1)
                return AMB_PACKET_BROKEN;
        *ret_fd = amb_fd_steal(&fd);
        return 0;
}
